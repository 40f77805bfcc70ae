/* SPDX-License-Identifier: BSD-2-Clause */
#include "verify/nonce.h"

#include <openssl/crypto.h>
#include <string.h>

int idm_question_hash(const struct idm_question *question, const char *label,
                      const struct idm_bytes *text, uint8_t ret_hash[IDM_SHA256_SIZE])
{
    struct idm_attest_challenge challenge = {.nonce_size = question->nonce->size,
                                             .secret_size = question->secret->size};
    if (challenge.nonce_size > sizeof challenge.nonce ||
        challenge.secret_size > sizeof challenge.secret)
        return IDM_E_USAGE;
    if (challenge.nonce_size)
        memcpy(challenge.nonce, question->nonce->data, challenge.nonce_size);
    if (challenge.secret_size)
        memcpy(challenge.secret, question->secret->data, challenge.secret_size);
    int result = idm_attest_qualify(label, &challenge, text ? text->data : NULL,
                                    text ? text->size : 0, ret_hash);
    OPENSSL_cleanse(&challenge, sizeof challenge);
    return result;
}
