/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/active/reference.h"

#include "backends/software/pem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADING         "idmode reference "
#define HEADING_CURRENT HEADING "1\n"
#define DER_HEAD        4u

static const char what[] = "read the key reference";

/* ---- lines ---- */

bool idm_line_text(const char *lines, const char *name, char *ret, size_t size)
{
    size_t length = strlen(name);
    for (const char *at = lines; at && *at; at = strchr(at, '\n'), at = at ? at + 1 : NULL) {
        if (strncmp(at, name, length) != 0 || at[length] != '=')
            continue;
        const char *value = at + length + 1;
        size_t value_length = strcspn(value, "\n");
        if (value_length == 0 || value_length >= size)
            return false;
        memcpy(ret, value, value_length);
        ret[value_length] = 0;
        return true;
    }
    return false;
}

bool idm_line_number(const char *lines, const char *name, uint32_t *ret)
{
    char text[16];
    char *end = NULL;
    if (!idm_line_text(lines, name, text, sizeof text) || text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    unsigned long value = strtoul(text, &end, 0);
    if (errno || *end || value > UINT32_MAX)
        return false;
    *ret = (uint32_t)value;
    return true;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool idm_line_hash(const char *lines, const char *name, uint8_t ret[IDM_SHA256_SIZE])
{
    char hex[2 * IDM_SHA256_SIZE + 1];
    uint8_t hash[IDM_SHA256_SIZE];
    if (!idm_line_text(lines, name, hex, sizeof hex) || strlen(hex) != sizeof hex - 1)
        return false;
    for (size_t i = 0; i < sizeof hash; i++) {
        int high = digit(hex[2 * i]);
        int low = digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        hash[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(ret, hash, sizeof hash);
    return true;
}

/* ---- the reference ---- */

int idm_reference_write(const struct idm_reference *reference, struct idm_bytes *ret_pem)
{
    char hex[2 * IDM_SHA256_SIZE + 1];
    char body[512] = {IDM_REFERENCE_TAG, (char)0x82}; /* length in two bytes */
    _cleanup_bytes_ struct idm_bytes pem = {0};
    idm_hex(reference->spki, IDM_SHA256_SIZE, hex);
    int size = snprintf(body + DER_HEAD, sizeof body - DER_HEAD,
                        HEADING_CURRENT "uri=" IDM_REFERENCE_URI
                                        "\nboot=%s\nmode=%s\nepoch=%u\nspki-sha256=%s\n",
                        reference->boot, reference->mode, reference->epoch, hex);
    body[2] = (char)(size >> 8);
    body[3] = (char)size;
    int rc = idm_pem_append(&pem, IDM_REFERENCE_LABEL, body, DER_HEAD + (size_t)size);
    if (rc == 0)
        idm_bytes_move(ret_pem, &pem);
    return rc;
}

static int parse(const char *lines, struct idm_reference *ret, struct idm_error *err)
{
    struct idm_reference r = {0};
    char uri[32];
    if (strncmp(lines, HEADING, sizeof HEADING - 1) != 0)
        return idm_fail(err, IDM_E_CORRUPT, what, "it is no reference to a device's identity");
    if (strncmp(lines, HEADING_CURRENT, sizeof HEADING_CURRENT - 1) != 0)
        return idm_fail(err, IDM_E_NEWER, what, "it was written by a newer idmode");
    if (!idm_line_text(lines, "uri", uri, sizeof uri) || strcmp(uri, IDM_REFERENCE_URI) != 0 ||
        !idm_line_text(lines, "boot", r.boot, sizeof r.boot) ||
        !idm_line_text(lines, "mode", r.mode, sizeof r.mode) ||
        !idm_line_number(lines, "epoch", &r.epoch) || !idm_line_hash(lines, "spki-sha256", r.spki))
        return idm_fail(err, IDM_E_CORRUPT, what, "a line is missing or damaged");
    *ret = r;
    return 0;
}

int idm_reference_parse(const void *der, size_t size, struct idm_reference *ret,
                        struct idm_error *err)
{
    char lines[IDM_REFERENCE_MAX];
    const uint8_t *head = der;
    if (size < DER_HEAD || size > sizeof lines || head[0] != IDM_REFERENCE_TAG || head[1] != 0x82 ||
        (size_t)(head[2] << 8 | head[3]) != size - DER_HEAD ||
        memchr(head + DER_HEAD, 0, size - DER_HEAD))
        return idm_fail(err, IDM_E_CORRUPT, what, "it is no reference, or damaged");
    memcpy(lines, head + DER_HEAD, size - DER_HEAD);
    lines[size - DER_HEAD] = 0;
    return parse(lines, ret, err);
}

int idm_reference_unwrap(const void *text, size_t size, struct idm_bytes *ret_der,
                         struct idm_error *err)
{
    struct idm_pem_cursor cursor = {.at = text, .left = size};
    _cleanup_pem_block_ struct idm_pem_block block = {0};
    if (size > IDM_REFERENCE_MAX)
        return idm_fail(err, IDM_E_CORRUPT, what, "it is too long");
    int rc = idm_pem_next(&cursor, what, &block, err);
    if (rc)
        return rc;
    if (strcmp(block.label, IDM_REFERENCE_LABEL) != 0 || block.encrypted)
        return idm_fail(err, IDM_E_CORRUPT, what, "it is no " IDM_REFERENCE_LABEL);
    idm_bytes_move(ret_der, &block.der);
    return 0;
}

int idm_reference_read(const void *text, size_t size, struct idm_reference *ret,
                       struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes der = {0};
    int rc = idm_reference_unwrap(text, size, &der, err);
    return rc ? rc : idm_reference_parse(der.data, der.size, ret, err);
}
