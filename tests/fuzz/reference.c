/* SPDX-License-Identifier: BSD-2-Clause */
/* device.key.pem in /run, as PEM and as the DER inside: what is read is written as the same. */
#include "tests/fuzz/fuzz.h"

#include "backends/active/reference.h"

#include <openssl/err.h>
#include <string.h>

static void check(int rc, const struct idm_reference *found)
{
    _cleanup_bytes_ struct idm_bytes pem = {0};
    struct idm_reference again;
    FUZZ_CHECK(ERR_peek_error() == 0);
    FUZZ_CHECK(rc == 0 || rc == IDM_E_CORRUPT || rc == IDM_E_NEWER);
    if (rc)
        return;
    FUZZ_CHECK(memchr(found->boot, 0, sizeof found->boot) &&
               memchr(found->mode, 0, sizeof found->mode));
    FUZZ_CHECK(idm_reference_write(found, &pem) == 0);
    FUZZ_CHECK(idm_reference_read(pem.data, pem.size, &again, NULL) == 0);
    FUZZ_CHECK(strcmp(again.boot, found->boot) == 0 && strcmp(again.mode, found->mode) == 0);
    FUZZ_CHECK(again.epoch == found->epoch &&
               memcmp(again.spki, found->spki, IDM_SHA256_SIZE) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct idm_reference found;
    struct idm_error err = {0};
    check(idm_reference_read(data, size, &found, &err), &found);
    check(idm_reference_parse(data, size, &found, &err), &found);
    return 0;
}
