/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/attest/keys.h"

#include "backends/tpm/public.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_mu.h>

static const char what_read[] = "read the attestation keys";
static const char what_write[] = "write the attestation keys";

static int damaged(struct idm_error *err, const char *why)
{
    (void)idm_fail(err, IDM_E_CORRUPT, what_read, "%s", why);
    return IDM_E_CORRUPT;
}

bool idm_ak_service_is_good(const char *service)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t length = strlen(service);
    return length < IDM_AK_SERVICE_SIZE && service[0] != '.' && strspn(service, letters) == length;
}

void idm_ak_file_free(struct idm_ak_file *file)
{
    free(file->keys);
    *file = (struct idm_ak_file){0};
}

const struct idm_ak *idm_ak_file_find(const struct idm_ak_file *file, const char *service)
{
    for (size_t i = 0; i < file->count; i++)
        if (strcmp(file->keys[i].service, service) == 0)
            return &file->keys[i];
    return NULL;
}

int idm_ak_file_put(struct idm_ak_file *file, const struct idm_ak *ak, struct idm_error *err)
{
    struct idm_ak *there = (struct idm_ak *)idm_ak_file_find(file, ak->service);
    if (!there && file->count == IDM_AK_SERVICES)
        return idm_fail(err, IDM_E_FULL, what_write, "there are keys for %u services",
                        IDM_AK_SERVICES);
    if (!there) {
        struct idm_ak *more = realloc(file->keys, (file->count + 1) * sizeof *more);
        if (!more)
            return idm_fail(err, IDM_E_MEMORY, what_write, "%s", idm_error_sentence(IDM_E_MEMORY));
        file->keys = more;
        there = &more[file->count++];
    }
    *there = *ak;
    return 0;
}

/* ---- JSON ---- */

json_t *idm_json_base64(const void *data, size_t size)
{
    unsigned char *text = malloc(4 * ((size + 2) / 3) + 1);
    if (!text)
        return NULL;
    int length = EVP_EncodeBlock(text, data, (int)size);
    json_t *string = json_stringn((const char *)text, (size_t)length);
    free(text);
    return string;
}

json_t *idm_json_public(const TPM2B_PUBLIC *area)
{
    uint8_t bytes[sizeof *area];
    size_t size = 0;
    if (Tss2_MU_TPM2B_PUBLIC_Marshal(area, bytes, sizeof bytes, &size) != TSS2_RC_SUCCESS)
        return NULL;
    return idm_json_base64(bytes, size);
}

json_t *idm_json_nv_public(const TPM2B_NV_PUBLIC *area)
{
    uint8_t bytes[sizeof *area];
    size_t size = 0;
    if (Tss2_MU_TPM2B_NV_PUBLIC_Marshal(area, bytes, sizeof bytes, &size) != TSS2_RC_SUCCESS)
        return NULL;
    return idm_json_base64(bytes, size);
}

json_t *idm_json_publics(const TPM2B_PUBLIC *areas, size_t count)
{
    json_t *list = json_array();
    bool good = list != NULL;
    for (size_t i = 0; good && i < count; i++)
        good = json_array_append_new(list, idm_json_public(&areas[i])) == 0;
    if (good)
        return list;
    json_decref(list);
    return NULL;
}

/* ---- encode ---- */

static json_t *encode_one(const struct idm_ak *ak, struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes pem = {0};
    if (idm_tss2_encode(&ak->key, &pem, err))
        return NULL;
    return json_pack("{s:s, s:s, s:o}", "service", ak->service, "key", (const char *)pem.data,
                     "parents", idm_json_publics(ak->parents, ak->parent_count));
}

int idm_ak_file_encode(const struct idm_ak_file *file, struct idm_bytes *ret, struct idm_error *err)
{
    json_t *list = json_array();
    bool good = list != NULL;
    for (size_t i = 0; good && i < file->count; i++)
        good = json_array_append_new(list, encode_one(&file->keys[i], err)) == 0;
    json_t *document = good ? json_pack("{s:i, s:i, s:O}", "version", IDM_AK_FILE_VERSION,
                                        "min_reader", IDM_AK_FILE_VERSION, "keys", list)
                            : NULL;
    char *text = document ? json_dumps(document, JSON_INDENT(1)) : NULL;
    int rc = text ? idm_bytes_set(ret, text, strlen(text)) : IDM_E_MEMORY;
    free(text);
    json_decref(document);
    json_decref(list);
    return rc ? idm_fail(err, rc, what_write, "%s", idm_error_sentence(rc)) : 0;
}

/* ---- decode ---- */

static int decode_public(const char *text, TPM2B_PUBLIC *ret)
{
    uint8_t bytes[sizeof *ret + 3];
    size_t length = strlen(text);
    if (length == 0 || length % 4 || length / 4 * 3 > sizeof bytes)
        return IDM_E_CORRUPT;
    int size = EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)length);
    size_t padding = text[length - 1] != '=' ? 0 : text[length - 2] != '=' ? 1 : 2;
    if (size < 0 || (size_t)size < padding)
        return IDM_E_CORRUPT;
    return idm_public_parse(bytes, (size_t)size - padding, ret);
}

static int decode_parents(const json_t *list, struct idm_ak *ret)
{
    ret->parent_count = json_array_size(list);
    if (ret->parent_count == 0 || ret->parent_count > IDM_AK_PARENTS)
        return IDM_E_CORRUPT;
    for (size_t i = 0; i < ret->parent_count; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (!text || decode_public(text, &ret->parents[i]))
            return IDM_E_CORRUPT;
    }
    return 0;
}

static int decode_one(json_t *object, struct idm_ak *ret, struct idm_error *err)
{
    const char *service = NULL;
    const char *pem = NULL;
    size_t length = 0;
    json_t *parents = NULL;
    if (json_unpack(object, "{s:s, s:s%, s:o !}", "service", &service, "key", &pem, &length,
                    "parents", &parents) ||
        !idm_ak_service_is_good(service) || decode_parents(parents, ret))
        return damaged(err, "a key in it is damaged");
    (void)snprintf(ret->service, sizeof ret->service, "%s", service);
    _cleanup_bytes_ struct idm_bytes bytes = {0};
    int rc = idm_bytes_set(&bytes, pem, length);
    return rc ? rc : idm_tss2_decode(&bytes, &ret->key, err);
}

static int decode_keys(const json_t *list, struct idm_ak_file *ret, struct idm_error *err)
{
    struct idm_ak ak = {0};
    int rc = json_array_size(list) > IDM_AK_SERVICES ? damaged(err, "too many keys") : 0;
    for (size_t i = 0; rc == 0 && i < json_array_size(list); i++) {
        rc = decode_one(json_array_get(list, i), &ak, err);
        if (rc == 0 && idm_ak_file_find(ret, ak.service))
            rc = damaged(err, "two keys of one service");
        if (rc == 0)
            rc = idm_ak_file_put(ret, &ak, err);
    }
    return rc;
}

int idm_ak_file_decode(const struct idm_bytes *bytes, struct idm_ak_file *ret,
                       struct idm_error *err)
{
    struct idm_ak_file file = {0};
    int version = 0;
    int min_reader = 0;
    json_t *list = NULL;
    json_t *document =
        json_loadb((const char *)bytes->data, bytes->size, JSON_REJECT_DUPLICATES, NULL);
    int rc = 0;
    if (!document ||
        json_unpack(document, "{s:i, s:i, s:o}", "version", &version, "min_reader", &min_reader,
                    "keys", &list) ||
        !json_is_array(list))
        rc = damaged(err, "it is no list of keys");
    else if (min_reader > IDM_AK_FILE_VERSION)
        rc = idm_fail(err, IDM_E_NEWER, what_read, "%s", idm_error_sentence(IDM_E_NEWER));
    else
        rc = decode_keys(list, &file, err);
    json_decref(document);
    if (rc) {
        idm_ak_file_free(&file);
        return rc;
    }
    idm_ak_file_free(ret);
    *ret = file;
    return 0;
}
