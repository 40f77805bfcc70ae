/* SPDX-License-Identifier: BSD-2-Clause */
/* The witness: exactly our NV counter, or not ours. */
#include "tests/unit/tpm_chip.h"

Test(tpm_counter, counts_and_never_goes_back)
{
    struct chip chip;
    uint64_t first = 0;
    uint64_t value = 0;
    chip_start(&chip);
    CHIP_FAILS(&chip, idm_tpm_counter_read(chip.tpm, CHIP_COUNTER, &first, &chip.err),
               IDM_E_TPM_EMPTY);
    CHIP_FAILS(&chip, idm_tpm_counter_increment(chip.tpm, CHIP_COUNTER, &chip.err),
               IDM_E_TPM_EMPTY);
    CHIP_OK(&chip, idm_tpm_counter_make(chip.tpm, CHIP_COUNTER, &chip.err));
    CHIP_OK(&chip, idm_tpm_counter_read(chip.tpm, CHIP_COUNTER, &first, &chip.err));
    CHIP_OK(&chip, idm_tpm_counter_make(chip.tpm, CHIP_COUNTER, &chip.err));
    CHIP_OK(&chip, idm_tpm_counter_read(chip.tpm, CHIP_COUNTER, &value, &chip.err));
    cr_assert_eq(value, first, "made twice, incremented once");
    CHIP_OK(&chip, idm_tpm_counter_increment(chip.tpm, CHIP_COUNTER, &chip.err));
    cr_assert_eq(idm_swtpm_power_cycle(&chip.sw), 0);
    CHIP_OK(&chip, idm_tpm_counter_read(chip.tpm, CHIP_COUNTER, &value, &chip.err));
    cr_assert_eq(value, first + 1, "durable");
    cr_assert_eq(
        chip_shell(&chip, "tpm2_nvreadpublic 0x%x | grep -q 'value: 0x22060014'", CHIP_COUNTER), 0);

    cr_assert_eq(chip_shell(&chip, "tpm2_nvundefine -Q 0x%x -C o", CHIP_COUNTER), 0);
    CHIP_FAILS(&chip, idm_tpm_counter_read(chip.tpm, CHIP_COUNTER, &first, &chip.err),
               IDM_E_TPM_EMPTY);
    CHIP_OK(&chip, idm_tpm_counter_make(chip.tpm, CHIP_COUNTER, &chip.err));
    CHIP_OK(&chip, idm_tpm_counter_read(chip.tpm, CHIP_COUNTER, &first, &chip.err));
    cr_assert_gt(first, value, "a new index starts above every old one");
    chip_stop(&chip);
}

Test(tpm_counter, making_it_can_be_interrupted)
{
    struct chip chip;
    uint64_t value = 0;
    chip_start(&chip);
    cr_assert_eq(chip_shell(&chip,
                            "tpm2_nvdefine -Q 0x%x -C o -s 8 -g sha256 -a "
                            "'nt=counter|authread|authwrite|ownerread|no_da'",
                            CHIP_COUNTER),
                 0);
    CHIP_FAILS(&chip, idm_tpm_counter_read(chip.tpm, CHIP_COUNTER, &value, &chip.err),
               IDM_E_TPM_EMPTY);
    CHIP_OK(&chip, idm_tpm_counter_make(chip.tpm, CHIP_COUNTER, &chip.err));
    CHIP_OK(&chip, idm_tpm_counter_read(chip.tpm, CHIP_COUNTER, &value, &chip.err));
    chip_stop(&chip);
}

Test(tpm_counter, a_strangers_index_is_left_alone)
{
    /* Ordinary data, bits, a counter that the owner may write, that lockout stops, that forgets at
     * a power cut, with a policy digest algorithm of its own. */
    static const char *const strangers[] = {
        "-s 8 -g sha256 -a 'authread|authwrite|ownerread|no_da'",
        "-s 8 -g sha256 -a 'nt=bits|authread|authwrite|ownerread|no_da'",
        "-s 8 -g sha256 -a 'nt=counter|authread|authwrite|ownerread|ownerwrite|no_da'",
        "-s 8 -g sha256 -a 'nt=counter|authread|authwrite|ownerread'",
        "-s 8 -g sha256 -a 'nt=counter|authread|authwrite|ownerread|no_da|orderly'",
        "-s 8 -g sha384 -a 'nt=counter|authread|authwrite|ownerread|no_da'",
        "-s 8 -g sha256 -a 'nt=counter|authread|authwrite|ownerread|no_da|policyread'",
    };
    struct chip chip;
    chip_start(&chip);
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        uint64_t value = 7;
        uint32_t index = CHIP_COUNTER + (uint32_t)i;
        cr_assert_eq(chip_shell(&chip, "tpm2_nvdefine -Q 0x%x -C o %s", index, strangers[i]), 0,
                     "%s", strangers[i]);
        (void)chip_shell(&chip, "printf 12345678 | tpm2_nvwrite -Q 0x%x -C 0x%x -i-", index, index);
        CHIP_FAILS(&chip, idm_tpm_counter_read(chip.tpm, index, &value, &chip.err),
                   IDM_E_TPM_TAKEN);
        CHIP_FAILS(&chip, idm_tpm_counter_make(chip.tpm, index, &chip.err), IDM_E_TPM_TAKEN);
        CHIP_FAILS(&chip, idm_tpm_counter_increment(chip.tpm, index, &chip.err), IDM_E_TPM_TAKEN);
        cr_assert_eq(value, 7);
        cr_assert_eq(chip_shell(&chip, "tpm2_nvreadpublic 0x%x", index), 0, "still there");
    }
    chip_stop(&chip);
}
