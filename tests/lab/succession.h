/* SPDX-License-Identifier: BSD-2-Clause */
/* succession.h - the old key's signed word for the certificate that follows it, as a controller reads it in
 * /run/idmode/statement.json (docs/attestation.md): both worlds parse it here, each verifies the signature. */
#ifndef IDM_TESTS_LAB_SUCCESSION_H
#define IDM_TESTS_LAB_SUCCESSION_H

#include "tests/lab/world.h"

struct lab_succession {
    uint8_t hash[IDM_SHA256_SIZE]; /* what the old key signed */
    struct idm_signature signature;
};

/* True: the text is a statement that `to` follows `from` under that epoch. */
bool lab_succession_says(const void *text, size_t size, const struct lab_identity *from,
                         const struct lab_identity *to, int64_t epoch, struct lab_succession *ret);

#endif
