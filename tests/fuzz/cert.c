/* SPDX-License-Identifier: BSD-2-Clause */
/* device.cert.pem, with or without a chain. */
#include "tests/fuzz/fuzz.h"

#include "backends/software/cert.h"
#include "backends/software/key.h"

#include <openssl/err.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const labels[] = {"CERTIFICATE", NULL};
    _cleanup_bytes_ struct idm_bytes pem = {0};
    struct idm_cert_info info;
    struct idm_cert_info again;
    struct idm_key_info key_info;
    struct idm_error err = {0};
    EVP_PKEY *key = NULL;
    if (size > 32768)
        return 0;
    fuzz_pem(labels, data, size, &pem);
    int rc = idm_cert_inspect(&pem, &info, &err);
    FUZZ_CHECK(ERR_peek_error() == 0);
    FUZZ_CHECK(rc == 0 || rc == IDM_E_CORRUPT);
    if (rc)
        return 0;
    FUZZ_CHECK(memchr(info.subject, 0, sizeof info.subject));
    FUZZ_CHECK(idm_cert_read(&pem, NULL, 0, &again, &key, &err) == 0);
    FUZZ_CHECK(memcmp(info.sha256, again.sha256, IDM_SHA256_SIZE) == 0);
    FUZZ_CHECK(idm_public_inspect(key, &key_info, &err) == 0);
    FUZZ_CHECK(memcmp(info.spki, key_info.spki, IDM_SHA256_SIZE) == 0);
    EVP_PKEY_free(key);
    FUZZ_CHECK(ERR_peek_error() == 0);
    return 0;
}
