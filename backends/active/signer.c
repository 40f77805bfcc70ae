/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/active/signer.h"

#include "backends/active/reference.h"

#include <string.h>

#define HEADING         "idmode signer "
#define HEADING_CURRENT HEADING "1\n"
#define PEM_BEGIN       "-----BEGIN TSS2 PRIVATE KEY-----"

static const char what[] = "read how the identity signs (/run/idmode/signer)";

static bool fits_a_line(const char *text)
{
    return !strchr(text, '\n');
}

int idm_signer_file_write(const struct idm_signer_file *f, struct idm_bytes *ret_text)
{
    char hex[2 * IDM_SHA256_SIZE + 1];
    char text[4 * IDM_PATH_SIZE];
    if (!fits_a_line(f->key_file) || !fits_a_line(f->tcti))
        return IDM_E_USAGE;
    idm_hex(f->spki, IDM_SHA256_SIZE, hex);
    int size =
        f->software
            ? snprintf(text, sizeof text,
                       HEADING_CURRENT "mode=software\nepoch=%u\nspki-sha256=%s\nkey-file=%s\n",
                       f->epoch, hex, f->key_file)
            : snprintf(text, sizeof text,
                       HEADING_CURRENT "mode=tpm\nepoch=%u\nspki-sha256=%s\nalgorithm=%s\ntcti=%s\n"
                                       "wait-ms=%u\nhandle=0x%08x\nparent=0x%08x\n",
                       f->epoch, hex, idm_algorithm_name(f->algorithm), f->tcti, f->wait_ms,
                       f->handle, f->parent);
    _cleanup_bytes_ struct idm_bytes all = {0};
    int rc = idm_bytes_set(&all, NULL, (size_t)size + f->tss2.size);
    if (rc)
        return rc;
    memcpy(all.data, text, (size_t)size);
    if (f->tss2.size)
        memcpy(all.data + size, f->tss2.data, f->tss2.size);
    idm_bytes_move(ret_text, &all);
    return 0;
}

static bool read_tpm(const char *lines, struct idm_signer_file *f)
{
    char algorithm[32];
    if (!idm_line_text(lines, "algorithm", algorithm, sizeof algorithm) ||
        !idm_line_text(lines, "tcti", f->tcti, sizeof f->tcti) ||
        !idm_line_number(lines, "wait-ms", &f->wait_ms) ||
        !idm_line_number(lines, "handle", &f->handle) ||
        !idm_line_number(lines, "parent", &f->parent))
        return false;
    f->algorithm = idm_algorithm_of(algorithm);
    return f->algorithm != IDM_ALG_NONE;
}

int idm_signer_file_read(const struct idm_bytes *text, struct idm_signer_file *ret,
                         struct idm_error *err)
{
    struct idm_signer_file f = {0};
    char mode[16] = "";
    const char *lines = (const char *)text->data;
    if (!lines || strlen(lines) != text->size || strncmp(lines, HEADING, sizeof HEADING - 1) != 0)
        return idm_fail(err, IDM_E_CORRUPT, what, "it is no such file");
    if (strncmp(lines, HEADING_CURRENT, sizeof HEADING_CURRENT - 1) != 0)
        return idm_fail(err, IDM_E_NEWER, what, "it was written by a newer idmode");
    bool good = idm_line_text(lines, "mode", mode, sizeof mode) &&
                idm_line_number(lines, "epoch", &f.epoch) &&
                idm_line_hash(lines, "spki-sha256", f.spki);
    f.software = strcmp(mode, "software") == 0;
    if (good && f.software)
        good = idm_line_text(lines, "key-file", f.key_file, sizeof f.key_file);
    else if (good)
        good = strcmp(mode, "tpm") == 0 && read_tpm(lines, &f);
    if (!good)
        return idm_fail(err, IDM_E_CORRUPT, what, "a line is missing or damaged");
    const char *pem = strstr(lines, "\n" PEM_BEGIN); /* not within a path or a TCTI */
    pem = pem ? pem + 1 : NULL;
    if (pem && idm_bytes_set(&f.tss2, pem, text->size - (size_t)(pem - lines)))
        return idm_fail(err, IDM_E_MEMORY, what, "out of memory");
    *ret = f;
    return 0;
}

void idm_signer_file_free(struct idm_signer_file *file)
{
    if (!file)
        return;
    idm_bytes_free(&file->tss2);
    *file = (struct idm_signer_file){0};
}
