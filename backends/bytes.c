/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/bytes.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

int idm_bytes_set(struct idm_bytes *b, const void *data, size_t size)
{
    if (size > IDM_BYTES_MAX)
        return IDM_E_USAGE;
    uint8_t *copy = calloc(1, size + 1);
    if (!copy)
        return IDM_E_MEMORY;
    if (data && size)
        memcpy(copy, data, size);
    idm_bytes_free(b);
    *b = (struct idm_bytes){.data = copy, .size = size};
    return 0;
}

void idm_bytes_free(struct idm_bytes *b)
{
    if (!b)
        return;
    if (b->data)
        OPENSSL_cleanse(b->data, b->size);
    free(b->data);
    *b = (struct idm_bytes){0};
}

void idm_bytes_move(struct idm_bytes *to, struct idm_bytes *from)
{
    if (to == from)
        return;
    idm_bytes_free(to);
    *to = *from;
    *from = (struct idm_bytes){0};
}

bool idm_bytes_equal(const struct idm_bytes *a, const struct idm_bytes *b)
{
    return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static EVP_MD *sha256;

/* Kept until the process ends: looking it up costs as much as a short digest. */
static void fetch_sha256(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

int idm_sha256(const void *data, size_t size, uint8_t ret_hash[IDM_SHA256_SIZE])
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, fetch_sha256);
    const EVP_MD *md = sha256 ? sha256 : EVP_sha256(); /* which looks it up anew each time */
    if (EVP_Digest(data, size, hash, &length, md, NULL) != 1 || length != IDM_SHA256_SIZE)
        return IDM_E_CRYPTO;
    memcpy(ret_hash, hash, IDM_SHA256_SIZE);
    return 0;
}

void idm_hex(const uint8_t *data, size_t size, char *ret_text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        ret_text[2 * i] = digits[data[i] >> 4];
        ret_text[2 * i + 1] = digits[data[i] & 15];
    }
    ret_text[2 * size] = 0;
}

bool idm_all_zero(const uint8_t *data, size_t size)
{
    return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}
