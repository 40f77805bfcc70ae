/* SPDX-License-Identifier: BSD-2-Clause */
/* The record, as it stands and with its checksum put right: what is behind a good checksum is only
 * reached so. */
#include "tests/fuzz/fuzz.h"

#include "engine/record.h"

#include <stdlib.h>
#include <string.h>

static void use(const struct idm_record *record)
{
    uint8_t hash[IDM_SHA256_SIZE];
    uint64_t low = 0;
    uint64_t high = 0;
    struct idm_record more = *record;
    idm_record_counter_range(record, &low, &high);
    (void)idm_record_counter_target(record);
    FUZZ_CHECK(idm_record_identity_hash(record, hash) == 0);
    idm_record_bury_name(&more, more.device_name);
    idm_record_bury_spki(&more, more.tpm_spki);
    FUZZ_CHECK(idm_all_zero(more.device_name, IDM_NAME_SIZE) ||
               idm_record_is_dead_name(&more, more.device_name));
    struct idm_slot *slot = idm_record_slot_make(&more, "new", more.slots[0].name);
    FUZZ_CHECK(idm_record_slot(&more, "new") == slot);
}

static void check(const uint8_t *data, size_t size)
{
    struct idm_record record;
    struct idm_record untouched;
    memset(&record, 0x5a, sizeof record);
    memcpy(&untouched, &record, sizeof untouched);
    int rc = idm_record_decode(data, size, &record);
    FUZZ_CHECK(rc == 0 || rc == IDM_E_CORRUPT || rc == IDM_E_NEWER);
    if (rc) {
        FUZZ_CHECK(memcmp(&record, &untouched, sizeof record) == 0);
        return;
    }
    struct idm_record again;
    uint8_t *bytes = malloc(idm_record_size());
    uint8_t *twice = malloc(idm_record_size());
    FUZZ_CHECK(bytes && twice);
    use(&record);
    FUZZ_CHECK(idm_record_encode(&record, bytes) == 0);
    FUZZ_CHECK(idm_record_decode(bytes, idm_record_size(), &again) == 0);
    FUZZ_CHECK(idm_record_encode(&again, twice) == 0);
    FUZZ_CHECK(memcmp(bytes, twice, idm_record_size()) == 0);
    free(bytes);
    free(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(data, size);
    if (size <= IDM_SHA256_SIZE || size > IDM_BYTES_MAX)
        return 0;
    uint8_t *sealed = malloc(size);
    FUZZ_CHECK(sealed);
    memcpy(sealed, data, size);
    FUZZ_CHECK(idm_sha256(sealed, size - IDM_SHA256_SIZE, sealed + size - IDM_SHA256_SIZE) == 0);
    check(sealed, size);
    free(sealed);
    return 0;
}
