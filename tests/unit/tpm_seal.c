/* SPDX-License-Identifier: BSD-2-Clause */
/* The sealed legacy key: back exactly as it was, or not at all. */
#include "backends/tpm/envelope.h"
#include "tests/unit/tpm_chip.h"

Test(tpm_seal, gives_the_same_bytes_back)
{
    static const size_t sizes[] = {0, 1, 16, 3000, IDM_ENVELOPE_PLAIN_MAX};
    static uint8_t bytes[IDM_ENVELOPE_PLAIN_MAX + 1];
    struct chip chip;
    chip_start(&chip);
    chip_parent(&chip);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        _cleanup_bytes_ struct idm_bytes plain = {0};
        _cleanup_bytes_ struct idm_bytes sealed = {0};
        _cleanup_bytes_ struct idm_bytes again = {0};
        cr_assert_eq(idm_bytes_set(&plain, bytes, sizes[i]), 0);
        CHIP_OK(&chip, idm_tpm_seal(chip.tpm, CHIP_PARENT, NULL, &plain, &sealed, &chip.err));
        cr_assert_leq(sealed.size, plain.size + 512);
        if (plain.size >= 16)
            cr_assert_null(memmem(sealed.data, sealed.size, plain.data, 16));
        if (i == 3)
            cr_assert_eq(idm_swtpm_power_cycle(&chip.sw), 0);
        CHIP_OK(&chip, idm_tpm_unseal(chip.tpm, CHIP_PARENT, NULL, &sealed, &again, &chip.err));
        cr_assert(idm_bytes_equal(&plain, &again));
    }
    _cleanup_bytes_ struct idm_bytes large = {0};
    _cleanup_bytes_ struct idm_bytes sealed = {0};
    cr_assert_eq(idm_bytes_set(&large, bytes, sizeof bytes), 0);
    CHIP_FAILS(&chip, idm_tpm_seal(chip.tpm, CHIP_PARENT, NULL, &large, &sealed, &chip.err),
               IDM_E_USAGE);
    chip_stop(&chip);
}

Test(tpm_seal, two_envelopes_share_nothing)
{
    struct chip chip;
    _cleanup_bytes_ struct idm_bytes plain = {0};
    _cleanup_bytes_ struct idm_bytes one = {0};
    _cleanup_bytes_ struct idm_bytes two = {0};
    chip_start(&chip);
    chip_parent(&chip);
    cr_assert_eq(idm_bytes_set(&plain, "the same text twice", 19), 0);
    CHIP_OK(&chip, idm_tpm_seal(chip.tpm, CHIP_PARENT, NULL, &plain, &one, &chip.err));
    CHIP_OK(&chip, idm_tpm_seal(chip.tpm, CHIP_PARENT, NULL, &plain, &two, &chip.err));
    cr_assert_eq(one.size, two.size);
    cr_assert_neq(memcmp(one.data + one.size - 35, two.data + two.size - 35, 19), 0);
    cr_assert_neq(memcmp(one.data + 18, two.data + 18, 12), 0, "nonce");
    chip_stop(&chip);
}

Test(tpm_seal, every_changed_byte_is_noticed)
{
    struct chip chip;
    _cleanup_bytes_ struct idm_bytes plain = {0};
    _cleanup_bytes_ struct idm_bytes sealed = {0};
    _cleanup_bytes_ struct idm_bytes out = {0};
    chip_start(&chip);
    chip_parent(&chip);
    cr_assert_eq(idm_bytes_set(&plain, "0123456789", 10), 0);
    CHIP_OK(&chip, idm_tpm_seal(chip.tpm, CHIP_PARENT, NULL, &plain, &sealed, &chip.err));
    for (size_t i = 0; i < sealed.size; i++) {
        sealed.data[i] ^= (uint8_t)(1 << i % 8);
        int result = idm_tpm_unseal(chip.tpm, CHIP_PARENT, NULL, &sealed, &out, &chip.err);
        cr_assert(result == IDM_E_CORRUPT || result == IDM_E_NEWER || result == IDM_E_TPM_UNFIT,
                  "byte %zu: %s", i, idm_error_name(result));
        cr_assert_null(out.data);
        sealed.data[i] ^= (uint8_t)(1 << i % 8);
    }
    for (size_t size = 0; size < sealed.size; size++) {
        const struct idm_bytes torn = {sealed.data, size};
        CHIP_FAILS(&chip, idm_tpm_unseal(chip.tpm, CHIP_PARENT, NULL, &torn, &out, &chip.err),
                   IDM_E_CORRUPT);
    }
    sealed.data[9] = 2;
    CHIP_FAILS(&chip, idm_tpm_unseal(chip.tpm, CHIP_PARENT, NULL, &sealed, &out, &chip.err),
               IDM_E_NEWER);
    sealed.data[9] = 1;
    CHIP_OK(&chip, idm_tpm_unseal(chip.tpm, CHIP_PARENT, NULL, &sealed, &out, &chip.err));
    cr_assert(idm_bytes_equal(&plain, &out));
    chip_stop(&chip);
}

Test(tpm_seal, opens_only_under_its_parent)
{
    struct chip chip;
    uint8_t name[IDM_NAME_SIZE];
    _cleanup_bytes_ struct idm_bytes plain = {0};
    _cleanup_bytes_ struct idm_bytes sealed = {0};
    _cleanup_bytes_ struct idm_bytes out = {0};
    chip_start(&chip);
    CHIP_OK(&chip, idm_tpm_parent_make(chip.tpm, CHIP_SRK, CHIP_PARENT, name, &chip.err));
    cr_assert_eq(idm_bytes_set(&plain, "secret", 6), 0);
    CHIP_OK(&chip, idm_tpm_seal(chip.tpm, CHIP_PARENT, NULL, &plain, &sealed, &chip.err));
    CHIP_FAILS(&chip, idm_tpm_unseal(chip.tpm, CHIP_SRK, NULL, &sealed, &out, &chip.err),
               IDM_E_TPM_UNFIT);
    CHIP_OK(&chip, idm_tpm_evict(chip.tpm, CHIP_PARENT, name, &chip.err));
    CHIP_FAILS(&chip, idm_tpm_unseal(chip.tpm, CHIP_PARENT, NULL, &sealed, &out, &chip.err),
               IDM_E_TPM_EMPTY);
    chip_parent(&chip);
    CHIP_FAILS(&chip, idm_tpm_unseal(chip.tpm, CHIP_PARENT, NULL, &sealed, &out, &chip.err),
               IDM_E_TPM_UNFIT);
    chip_stop(&chip);
}
