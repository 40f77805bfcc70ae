/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/attest/qualify.h"

#include <openssl/crypto.h>
#include <string.h>

#define LABEL_MAX 32u
static const char prefix[] = "idmode attest ";

static uint8_t *put(uint8_t *at, const void *data, size_t size)
{
    if (size)
        memcpy(at, data, size);
    return at + size;
}

static uint8_t *put_sized(uint8_t *at, const uint8_t *data, size_t size)
{
    *at++ = (uint8_t)(size >> 8);
    *at++ = (uint8_t)size;
    return put(at, data, size);
}

int idm_attest_qualify(const char *label, const struct idm_attest_challenge *challenge,
                       const void *text, size_t text_size, uint8_t ret[IDM_SHA256_SIZE])
{
    uint8_t message[sizeof prefix + LABEL_MAX + 4 + IDM_ATTEST_NONCE_MAX + IDM_ATTEST_SECRET_MAX +
                    IDM_SHA256_SIZE];
    uint8_t hash[IDM_SHA256_SIZE];
    size_t length = strlen(label);
    int rc = 0;
    if (length > LABEL_MAX || challenge->nonce_size < IDM_ATTEST_NONCE_MIN ||
        challenge->nonce_size > sizeof challenge->nonce ||
        challenge->secret_size > sizeof challenge->secret)
        return IDM_E_USAGE;
    uint8_t *end = put(message, prefix, sizeof prefix - 1);
    end = put(end, label, length + 1); /* with its zero */
    end = put_sized(end, challenge->nonce, challenge->nonce_size);
    end = put_sized(end, challenge->secret, challenge->secret_size);
    if (text) {
        rc = idm_sha256(text, text_size, hash);
        end = put(end, hash, sizeof hash);
    }
    if (rc == 0)
        rc = idm_sha256(message, (size_t)(end - message), ret);
    OPENSSL_cleanse(message, sizeof message);
    return rc;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int idm_attest_nonce(const char *hex, struct idm_attest_challenge *ret, struct idm_error *err)
{
    static const char what[] = "--nonce";
    size_t length = strlen(hex);
    struct idm_attest_challenge challenge = {.nonce_size = length / 2};
    if (length % 2 || challenge.nonce_size < IDM_ATTEST_NONCE_MIN ||
        challenge.nonce_size > sizeof challenge.nonce)
        return idm_fail(err, IDM_E_USAGE, what, "it has %u to %u bytes in hexadecimal digits",
                        IDM_ATTEST_NONCE_MIN, IDM_ATTEST_NONCE_MAX);
    for (size_t i = 0; i < challenge.nonce_size; i++) {
        int high = digit(hex[2 * i]);
        int low = digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return idm_fail(err, IDM_E_USAGE, what, "not a hexadecimal digit");
        challenge.nonce[i] = (uint8_t)(high << 4 | low);
    }
    *ret = challenge;
    return 0;
}
