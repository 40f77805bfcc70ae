/* SPDX-License-Identifier: BSD-2-Clause */
/* tpm.key.pem: what is read is written again as the same key. */
#include "tests/fuzz/fuzz.h"

#include "backends/tpm/tss2file.h"

#include <openssl/err.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const labels[] = {"TSS2 PRIVATE KEY", NULL};
    _cleanup_bytes_ struct idm_bytes pem = {0};
    _cleanup_bytes_ struct idm_bytes written = {0};
    struct idm_tss2_key key;
    struct idm_tss2_key again;
    struct idm_tss2_info info;
    struct idm_tss2_info of_written;
    struct idm_error err = {0};
    if (size > 32768)
        return 0;
    fuzz_pem(labels, data, size, &pem);
    int rc = idm_tss2_inspect(&pem, &info, &err);
    FUZZ_CHECK(ERR_peek_error() == 0);
    FUZZ_CHECK(rc == 0 || rc == IDM_E_CORRUPT);
    int decoded = idm_tss2_decode(&pem, &key, &err);
    FUZZ_CHECK(decoded == 0 || (decoded == IDM_E_CORRUPT && rc));
    if (rc || decoded)
        return 0;
    FUZZ_CHECK(info.parent == key.parent);
    FUZZ_CHECK(idm_tss2_encode(&key, &written, &err) == 0);
    FUZZ_CHECK(idm_tss2_decode(&written, &again, &err) == 0);
    FUZZ_CHECK(idm_tss2_inspect(&written, &of_written, &err) == 0);
    FUZZ_CHECK(again.parent == key.parent);
    FUZZ_CHECK(memcmp(info.name, of_written.name, IDM_NAME_SIZE) == 0);
    FUZZ_CHECK(memcmp(info.key.spki, of_written.key.spki, IDM_SHA256_SIZE) == 0);
    FUZZ_CHECK(ERR_peek_error() == 0);
    return 0;
}
