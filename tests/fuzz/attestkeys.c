/* SPDX-License-Identifier: BSD-2-Clause */
/* attest.keys: what is read is written again as the same keys. */
#include "tests/fuzz/fuzz.h"

#include "backends/attest/keys.h"

#include <openssl/err.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_bytes_ struct idm_bytes file = {0};
    _cleanup_bytes_ struct idm_bytes written = {0};
    _cleanup_bytes_ struct idm_bytes twice = {0};
    _cleanup_ak_file_ struct idm_ak_file keys = {0};
    _cleanup_ak_file_ struct idm_ak_file again = {0};
    struct idm_error err = {0};
    if (size > 65536 || idm_bytes_set(&file, data, size))
        return 0;
    int rc = idm_ak_file_decode(&file, &keys, &err);
    FUZZ_CHECK(rc == 0 || rc == IDM_E_CORRUPT || rc == IDM_E_NEWER);
    FUZZ_CHECK(ERR_peek_error() == 0);
    if (rc)
        return 0;
    FUZZ_CHECK(keys.count <= IDM_AK_SERVICES);
    for (size_t i = 0; i < keys.count; i++)
        FUZZ_CHECK(idm_ak_file_find(&keys, keys.keys[i].service) == &keys.keys[i]);
    FUZZ_CHECK(idm_ak_file_encode(&keys, &written, &err) == 0);
    FUZZ_CHECK(idm_ak_file_decode(&written, &again, &err) == 0);
    FUZZ_CHECK(again.count == keys.count);
    FUZZ_CHECK(idm_ak_file_encode(&again, &twice, &err) == 0);
    FUZZ_CHECK(idm_bytes_equal(&written, &twice));
    return 0;
}
