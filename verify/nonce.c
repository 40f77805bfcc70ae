/* SPDX-License-Identifier: BSD-2-Clause */
#include "verify/nonce.h"

#include "verify/credential.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

struct message {
    uint8_t bytes[32 + 2 + IDM_NONCE_MAX + 2 + IDM_SECRET_MAX + IDM_SHA256_SIZE];
    size_t size;
};

static void add(struct message *m, const void *data, size_t size)
{
    memcpy(m->bytes + m->size, data, size);
    m->size += size;
}

static void add_sized(struct message *m, const struct idm_bytes *bytes)
{
    const uint8_t size[2] = {(uint8_t)(bytes->size >> 8), (uint8_t)(bytes->size & 0xff)};
    add(m, size, sizeof size);
    if (bytes->size)
        add(m, bytes->data, bytes->size);
}

int idm_question_hash(const struct idm_question *question, const char *label,
                      const struct idm_bytes *text, uint8_t ret_hash[IDM_SHA256_SIZE])
{
    struct message m = {0};
    char head[32];
    int length = snprintf(head, sizeof head, "idmode attest %s", label);
    if (question->nonce->size < IDM_NONCE_MIN || question->nonce->size > IDM_NONCE_MAX ||
        question->secret->size > IDM_SECRET_MAX || length < 0 || (size_t)length >= sizeof head)
        return IDM_E_USAGE;
    add(&m, head, (size_t)length + 1);
    add_sized(&m, question->nonce);
    add_sized(&m, question->secret);
    int result = text ? idm_sha256(text->data, text->size, m.bytes + m.size) : 0;
    m.size += text ? IDM_SHA256_SIZE : 0;
    if (result == 0)
        result = idm_sha256(m.bytes, m.size, ret_hash);
    OPENSSL_cleanse(&m, sizeof m);
    return result;
}
