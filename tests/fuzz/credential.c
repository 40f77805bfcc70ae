/* SPDX-License-Identifier: BSD-2-Clause */
/* A credential from outside: what is taken is written again to the same bytes, all else is refused. */
#include "tests/fuzz/fuzz.h"

#include "backends/attest/credential.h"

#include <string.h>
#include <tss2/tss2_mu.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_bytes_ struct idm_bytes file = {0};
    static struct idm_credential c;
    uint8_t again[sizeof c] = {0xba, 0xdc, 0xc0, 0xde, 0, 0, 0, 1};
    struct idm_error err = {0};
    size_t at = 8;
    if (size > 8192 || idm_bytes_set(&file, data, size))
        return 0;
    memset(&c, 0xa5, sizeof c);
    int rc = idm_credential_parse(&file, &c, &err);
    FUZZ_CHECK(rc == 0 || (rc == IDM_E_REFUSED && err.why[0]));
    FUZZ_CHECK(rc == 0 || c.key_size == 0xa5a5);
    if (rc)
        return 0;
    FUZZ_CHECK(Tss2_MU_TPM2B_ID_OBJECT_Marshal(&c.blob, again, sizeof again, &at) == 0);
    FUZZ_CHECK(Tss2_MU_TPM2B_ENCRYPTED_SECRET_Marshal(&c.secret, again, sizeof again, &at) == 0);
    FUZZ_CHECK(at == size && memcmp(again, data, size) == 0);
    return 0;
}
