/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/lab/succession.h"

#include <jansson.h>
#include <string.h>

static int digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

static bool from_hex(const char *text, uint8_t *ret, size_t room, size_t *ret_size)
{
    size_t length = text ? strlen(text) : 1;
    if (length % 2 || length / 2 > room)
        return false;
    for (size_t i = 0; i < length / 2; i++) {
        int high = digit(text[2 * i]);
        int low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret[i] = (uint8_t)(high * 16 + low);
    }
    *ret_size = length / 2;
    return true;
}

/* The label with its zero, both certificates' hashes, the epoch as four bytes, little-endian. */
static bool signed_hash(const char *label, const struct lab_identity *from,
                        const struct lab_identity *to, int64_t epoch, uint8_t ret[IDM_SHA256_SIZE])
{
    uint8_t message[64 + 2 * IDM_SHA256_SIZE + 4];
    size_t size = strlen(label) + 1;
    size_t old_size = 0;
    size_t new_size = 0;
    memcpy(message, label, size);
    if (!from_hex(from->cert, message + size, IDM_SHA256_SIZE, &old_size) ||
        !from_hex(to->cert, message + size + IDM_SHA256_SIZE, IDM_SHA256_SIZE, &new_size) ||
        old_size != IDM_SHA256_SIZE || new_size != IDM_SHA256_SIZE)
        return false;
    size += 2 * IDM_SHA256_SIZE;
    for (unsigned int i = 0; i < 4; i++)
        message[size++] = (uint8_t)((uint64_t)epoch >> (8 * i));
    return idm_sha256(message, size, ret) == 0;
}

static bool is(const json_t *object, const char *key, const char *wanted)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text && strcmp(text, wanted) == 0;
}

bool lab_succession_says(const void *text, size_t size, const struct lab_identity *from,
                         const struct lab_identity *to, int64_t epoch, struct lab_succession *ret)
{
    static const char label[] = "idmode succession v1";
    json_t *object = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    bool says = is(object, "label", label) && is(object, "old_cert_sha256", from->cert) &&
                is(object, "new_cert_sha256", to->cert) &&
                json_integer_value(json_object_get(object, "epoch")) == epoch &&
                from_hex(json_string_value(json_object_get(object, "signature")),
                         ret->signature.data, sizeof ret->signature.data, &ret->signature.size) &&
                signed_hash(label, from, to, epoch, ret->hash);
    json_decref(object);
    return says;
}
