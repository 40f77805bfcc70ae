/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/seek.h"

#include <fts.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- forms ---- */

static struct idm_seek_form *new_form(struct idm_seek *seek, const char *name, int as_text)
{
    struct idm_seek_form *form = &seek->forms[seek->count++];

    form->name = name;
    form->as_text = as_text;
    return form;
}

static void add_raw(struct idm_seek *seek, const unsigned char half[IDM_SEEK_HALF])
{
    struct idm_seek_form *raw = new_form(seek, "raw", 0);
    struct idm_seek_form *reversed = new_form(seek, "reversed", 0);

    raw->size = reversed->size = IDM_SEEK_HALF;
    memcpy(raw->bytes, half, IDM_SEEK_HALF);
    for (size_t i = 0; i < IDM_SEEK_HALF; i++)
        reversed->bytes[i] = half[IDM_SEEK_HALF - 1 - i];
}

static void add_hex(struct idm_seek *seek, const unsigned char half[IDM_SEEK_HALF])
{
    struct idm_seek_form *form = new_form(seek, "hexadecimal", 1);

    form->size = sizeof(form->bytes);
    for (size_t i = 0; i < sizeof(form->bytes); i++)
        form->bytes[i] =
            (unsigned char)"0123456789abcdef"[half[i / 2] >> (i % 2 == 0 ? 4 : 0) & 15];
}

/* The half begins `skew` bytes after a group of three; of the text only what no neighbour has a part
 * in counts. */
static void add_base64(struct idm_seek *seek, const unsigned char half[IDM_SEEK_HALF], size_t skew)
{
    unsigned char bytes[IDM_SEEK_HALF + 2] = {0}, text[4 * (IDM_SEEK_HALF + 4) / 3 + 1];
    struct idm_seek_form *form = new_form(seek, "base64", 1);
    size_t size = (skew + IDM_SEEK_HALF) / 3 * 3, first = skew == 0 ? 0 : 4;

    memcpy(bytes + skew, half, IDM_SEEK_HALF);
    EVP_EncodeBlock(text, bytes, (int)size);
    form->size = size / 3 * 4 - first;
    memcpy(form->bytes, text + first, form->size);
}

static int scalar_of(EVP_PKEY *key, unsigned char ret_scalar[IDM_SEEK_SCALAR])
{
    BIGNUM *number = NULL;
    int result = -1;

    if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &number) == 1 &&
        BN_bn2binpad(number, ret_scalar, IDM_SEEK_SCALAR) == (int)IDM_SEEK_SCALAR)
        result = 0;
    BN_clear_free(number);
    return result;
}

int idm_seek_learn(struct idm_seek *ret, const char *pem, size_t size)
{
    struct idm_seek seek = {.count = 0};
    BIO *bio = BIO_new_mem_buf(pem, (int)size);
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
    int result = key != NULL ? scalar_of(key, seek.scalar) : -1;

    for (size_t half = 0; half < 2; half++) {
        add_raw(&seek, seek.scalar + half * IDM_SEEK_HALF);
        add_hex(&seek, seek.scalar + half * IDM_SEEK_HALF);
        for (size_t skew = 0; skew < 3; skew++)
            add_base64(&seek, seek.scalar + half * IDM_SEEK_HALF, skew);
    }
    if (result == 0)
        *ret = seek;
    EVP_PKEY_free(key);
    BIO_free(bio);
    return result;
}

/* ---- looking ---- */

static size_t without_blanks(const unsigned char *data, size_t size, char *ret_text)
{
    size_t n = 0;

    for (size_t i = 0; i < size; i++) {
        if (strchr(" \t\r\n:", data[i]) == NULL || data[i] == '\0')
            ret_text[n++] = (char)data[i];
    }
    return n;
}

/* Base64 knows upper and lower case; hexadecimal comes in either. */
static int form_in(const struct idm_seek_form *form, const char *data, size_t size)
{
    if (strcmp(form->name, "hexadecimal") != 0)
        return memmem(data, size, form->bytes, form->size) != NULL;
    for (size_t i = 0; i + form->size <= size; i++) {
        if (strncasecmp(data + i, (const char *)form->bytes, form->size) == 0)
            return 1;
    }
    return 0;
}

const char *idm_seek_in(const struct idm_seek *seek, const void *data, size_t size)
{
    char *text = malloc(size + 1);
    const char *found = NULL;

    if (text == NULL)
        return NULL;
    size_t length = without_blanks(data, size, text);
    for (size_t i = 0; i < seek->count && found == NULL; i++) {
        const struct idm_seek_form *form = &seek->forms[i];

        if (form_in(form, form->as_text ? text : data, form->as_text ? length : size))
            found = form->name;
    }
    free(text);
    return found;
}

static char *whole_file(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "re");
    char *data = NULL;
    size_t size = 0;

    if (file == NULL)
        return NULL;
    for (size_t room = 0, n = 1; n > 0; size += n) {
        if (room - size < 4096) {
            char *more = realloc(data, room = 2 * room + 65536);
            if (more == NULL)
                break;
            data = more;
        }
        n = fread(data + size, 1, room - size, file);
    }
    fclose(file);
    *ret_size = size;
    return data;
}

int idm_seek_tree(const struct idm_seek *seek, const char *dir, char ret_where[IDM_SEEK_WHERE_SIZE])
{
    char *const roots[] = {(char *)dir, NULL};
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    size_t at = 0, prefix = strlen(dir);
    const FTSENT *entry;
    int count = tree == NULL ? -1 : 0;

    ret_where[0] = '\0';
    while (count >= 0 && (entry = fts_read(tree)) != NULL) {
        if (entry->fts_info != FTS_F)
            continue;
        size_t size = 0;
        char *data = whole_file(entry->fts_accpath, &size);
        const char *form = data == NULL ? NULL : idm_seek_in(seek, data, size);

        if (data == NULL)
            count = -1;
        if (form != NULL) {
            count++;
            at += (size_t)snprintf(ret_where + at, IDM_SEEK_WHERE_SIZE - at, " %s (%s)",
                                   entry->fts_path + prefix, form);
            at = at < IDM_SEEK_WHERE_SIZE ? at : IDM_SEEK_WHERE_SIZE - 1;
        }
        free(data);
    }
    if (tree != NULL)
        fts_close(tree);
    return count;
}
