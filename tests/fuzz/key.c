/* SPDX-License-Identifier: BSD-2-Clause */
/* device.key.pem: what is taken for a key is one, and its public half is the one that is told. */
#include "tests/fuzz/fuzz.h"

#include "backends/software/key.h"

#include <openssl/err.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t hash[IDM_SHA256_SIZE] = {1, 2, 3};
    static const char *const labels[] = {"PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", NULL};
    _cleanup_bytes_ struct idm_bytes pem = {0};
    struct idm_key_info info;
    struct idm_key_info of_public;
    struct idm_signature signature;
    struct idm_error err = {0};
    EVP_PKEY *public_key = NULL;
    if (size > 16384)
        return 0;
    fuzz_pem(labels, data, size, &pem);
    int rc = idm_key_inspect(&pem, &info, &err);
    FUZZ_CHECK(ERR_peek_error() == 0);
    FUZZ_CHECK(rc == 0 || rc == IDM_E_CORRUPT);
    if (rc)
        return 0;
    FUZZ_CHECK(idm_key_public(&pem, &public_key, &err) == 0);
    FUZZ_CHECK(idm_public_inspect(public_key, &of_public, &err) == 0);
    FUZZ_CHECK(memcmp(of_public.spki, info.spki, IDM_SHA256_SIZE) == 0);
    if (info.algorithm != IDM_ALG_NONE) {
        FUZZ_CHECK(idm_key_sign(&pem, IDM_SHA256, hash, &signature, &err) == 0);
        FUZZ_CHECK(idm_public_verify(public_key, IDM_SHA256, hash, &signature, &err) == 0);
    }
    EVP_PKEY_free(public_key);
    FUZZ_CHECK(ERR_peek_error() == 0);
    return 0;
}
