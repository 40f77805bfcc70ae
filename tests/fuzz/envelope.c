/* SPDX-License-Identifier: BSD-2-Clause */
/* legacy.sealed: only the bytes that were written open, and only with their key. The first seed was
 * made with this key; nothing else that opens can be found. */
#include "tests/fuzz/fuzz.h"

#include "backends/tpm/envelope.h"

#include <string.h>

#define KEY "fuzzing the envelope: thirty-two"
_Static_assert(sizeof KEY - 1 == IDM_ENVELOPE_KEY_SIZE, "an AES-256 key");

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_bytes_ struct idm_bytes envelope = {0};
    _cleanup_bytes_ struct idm_bytes plain = {0};
    TPM2B_PUBLIC public_area;
    TPM2B_PRIVATE private_area;
    struct idm_error err = {0};
    if (idm_bytes_set(&envelope, data, size))
        return 0;
    int rc = idm_envelope_parse(&envelope, &public_area, &private_area, &err);
    FUZZ_CHECK(rc == 0 || rc == IDM_E_CORRUPT || rc == IDM_E_NEWER);
    if (rc)
        return 0;
    rc = idm_envelope_open(&envelope, (const uint8_t *)KEY, &plain, &err);
    FUZZ_CHECK(rc == 0 || rc == IDM_E_CORRUPT);
    FUZZ_CHECK(rc == 0 || !plain.data);
    FUZZ_CHECK(rc || strcmp((const char *)plain.data, "the legacy key") == 0);
    return 0;
}
