/* SPDX-License-Identifier: BSD-2-Clause */
/* The signer file in /run: what is read is written as the same. */
#include "tests/fuzz/fuzz.h"

#include "backends/active/signer.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_bytes_ struct idm_bytes text = {0};
    _cleanup_bytes_ struct idm_bytes written = {0};
    struct idm_signer_file file = {0};
    struct idm_signer_file again = {0};
    struct idm_error err = {0};
    if (idm_bytes_set(&text, data, size))
        return 0;
    int rc = idm_signer_file_read(&text, &file, &err);
    FUZZ_CHECK(rc == 0 || rc == IDM_E_CORRUPT || rc == IDM_E_NEWER);
    if (rc == 0) {
        FUZZ_CHECK(idm_signer_file_write(&file, &written) == 0);
        FUZZ_CHECK(idm_signer_file_read(&written, &again, &err) == 0);
        FUZZ_CHECK(file.software == again.software && file.epoch == again.epoch &&
                   file.handle == again.handle);
        FUZZ_CHECK(strcmp(file.key_file, again.key_file) == 0 &&
                   strcmp(file.tcti, again.tcti) == 0);
        FUZZ_CHECK(idm_bytes_equal(&file.tss2, &again.tss2));
    }
    idm_signer_file_free(&file);
    idm_signer_file_free(&again);
    return 0;
}
