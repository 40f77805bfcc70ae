/* SPDX-License-Identifier: BSD-2-Clause */
/* Chips that are not there, late, busy, broken, full, or somebody else's; and what a command
 * costs. */
#include "backends/tpm/internal.h"
#include "tests/unit/tpm_chip.h"

#include <signal.h>
#include <time.h>

static double now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Parent, device key in file and handle, counter; then the proxy in front. */
static void provision(struct chip *chip, struct idm_bytes *ret_tss2, const char *plan)
{
    chip_start(chip);
    chip_parent(chip);
    CHIP_OK(chip,
            idm_tpm_key_create(chip->tpm, CHIP_PARENT, NULL, IDM_ECDSA_P256, ret_tss2, &chip->err));
    CHIP_OK(chip, idm_tpm_key_persist(chip->tpm, ret_tss2, CHIP_PARENT, CHIP_DEVICE, &chip->err));
    CHIP_OK(chip, idm_tpm_counter_make(chip->tpm, CHIP_COUNTER, &chip->err));
    chip_proxy(chip, plan);
}

Test(tpm_faults, hot_paths_cost_what_they_must)
{
    struct chip chip;
    _cleanup_bytes_ struct idm_bytes tss2 = {0};
    const uint8_t hash[32] = {0};
    struct idm_signature signature;
    struct idm_tpm_object_info there;
    uint64_t value;
    char codes[256];
    provision(&chip, &tss2, "");
    struct idm_signer by_file = chip_file_signer(&tss2, IDM_ECDSA_P256);
    struct idm_signer by_handle = chip_handle_signer(IDM_ECDSA_P256);
    for (int warm = 0; warm < 2; warm++) {
        CHIP_OK(&chip, idm_tpm_sign(chip.tpm, &by_handle, IDM_SHA256, hash, &signature, &chip.err));
        (void)chip_commands(&chip, codes);
        cr_assert_str_eq(codes, "15d ", "Sign");
        CHIP_OK(&chip, idm_tpm_sign(chip.tpm, &by_file, IDM_SHA256, hash, &signature, &chip.err));
        (void)chip_commands(&chip, codes);
        cr_assert_str_eq(codes, "157 15d 165 ", "Load, Sign, FlushContext");
        CHIP_OK(&chip, idm_tpm_counter_read(chip.tpm, CHIP_COUNTER, &value, &chip.err));
        (void)chip_commands(&chip, codes);
        cr_assert_str_eq(codes, "169 14e ", "NV_ReadPublic, NV_Read");
        CHIP_OK(&chip, idm_tpm_object(chip.tpm, CHIP_DEVICE, IDM_ROLE_DEVICE, &there, &chip.err));
        (void)chip_commands(&chip, codes);
        cr_assert_str_eq(codes, "173 ", "ReadPublic");
        idm_tpm_close(chip.tpm);
    }
    chip_stop(&chip);
}

Test(tpm_faults, a_failed_signature_leaves_no_slot_taken)
{
    struct chip chip;
    _cleanup_bytes_ struct idm_bytes tss2 = {0};
    const uint8_t hash[32] = {0};
    struct idm_signature signature;
    char codes[256];
    provision(&chip, &tss2, "0x15d:0x2cb:1");
    struct idm_signer by_file = chip_file_signer(&tss2, IDM_ECDSA_P256);
    cr_assert_lt(idm_tpm_sign(chip.tpm, &by_file, IDM_SHA256, hash, &signature, &chip.err), 0);
    (void)chip_commands(&chip, codes);
    cr_assert_str_eq(codes, "157 15d 165 ");
    chip_stop(&chip);
}

Test(tpm_faults, nothing_leaks_slots)
{
    struct chip chip;
    _cleanup_bytes_ struct idm_bytes tss2 = {0};
    _cleanup_bytes_ struct idm_bytes plain = {0};
    _cleanup_bytes_ struct idm_bytes sealed = {0};
    uint8_t name[IDM_NAME_SIZE];
    provision(&chip, &tss2, "");
    cr_assert_eq(idm_bytes_set(&plain, "x", 1), 0);
    for (int i = 0; i < 3; i++) {
        CHIP_OK(&chip, idm_tpm_seal(chip.tpm, CHIP_PARENT, NULL, &plain, &sealed, &chip.err));
        CHIP_OK(&chip, idm_tpm_unseal(chip.tpm, CHIP_PARENT, NULL, &sealed, &plain, &chip.err));
        CHIP_OK(&chip, idm_tpm_ek_name(chip.tpm, name, &chip.err));
        CHIP_OK(&chip, idm_tpm_srk_name(chip.tpm, CHIP_SRK + 1, name, &chip.err));
        CHIP_OK(&chip, idm_tpm_parent_make(chip.tpm, CHIP_SRK, CHIP_PARENT + 1, name, &chip.err));
        CHIP_OK(&chip, idm_tpm_evict(chip.tpm, CHIP_PARENT + 1, name, &chip.err));
        cr_assert_lt(idm_tpm_unseal(chip.tpm, CHIP_SRK, NULL, &sealed, &plain, &chip.err), 0);
    }
    cr_assert_eq(chip_shell(&chip, "tpm2_getcap handles-transient > t; "
                                   "tpm2_getcap handles-loaded-session >> t; test ! -s t"),
                 0);
    chip_stop(&chip);
}

Test(tpm_faults, slots_that_a_dead_client_leaked_are_freed)
{
    struct chip chip;
    _cleanup_bytes_ struct idm_bytes tss2 = {0};
    _cleanup_bytes_ struct idm_bytes again = {0};
    const uint8_t hash[32] = {0};
    struct idm_signature signature;
    provision(&chip, &tss2, "");
    struct idm_signer by_file = chip_file_signer(&tss2, IDM_ECDSA_P256);
    struct idm_signer by_handle = chip_handle_signer(IDM_ECDSA_P256);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(chip_shell(&chip, "tpm2_createprimary -Q -C o -c p%d.ctx", i), 0);
    cr_assert_eq(chip_shell(&chip, "tpm2_getcap handles-transient | wc -l | grep -qx 3"), 0,
                 "tpm2-tools leave their objects where no resource manager cleans up");
    CHIP_OK(&chip, idm_tpm_sign(chip.tpm, &by_file, IDM_SHA256, hash, &signature, &chip.err));
    cr_assert_eq(chip_shell(&chip, "tpm2_getcap handles-transient > t; test ! -s t"), 0);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(chip_shell(&chip,
                                "tpm2_startauthsession -S s%d.ctx; "
                                "tpm2_createprimary -Q -C o -c p%d.ctx",
                                i, i),
                     0);
    CHIP_OK(&chip,
            idm_tpm_key_create(chip.tpm, CHIP_PARENT, NULL, IDM_ECDSA_P256, &again, &chip.err));
    CHIP_OK(&chip, idm_tpm_sign(chip.tpm, &by_handle, IDM_SHA256, hash, &signature, &chip.err));
    chip_stop(&chip);
}

Test(tpm_faults, full_slots_are_freed_once_and_not_under_a_resource_manager)
{
    struct chip chip;
    _cleanup_bytes_ struct idm_bytes tss2 = {0};
    const uint8_t hash[32] = {0};
    struct idm_signature signature;
    char codes[256];
    provision(&chip, &tss2, "0x157:0x902:9");
    struct idm_signer by_file = chip_file_signer(&tss2, IDM_ECDSA_P256);
    CHIP_FAILS(&chip, idm_tpm_sign(chip.tpm, &by_file, IDM_SHA256, hash, &signature, &chip.err),
               IDM_E_TPM_BUSY);
    (void)chip_commands(&chip, codes);
    cr_assert_str_eq(codes, "157 17a 157 ", "Load, GetCapability, Load");
    chip_proxy(&chip, "0x157:0x902:9");
    (void)strcat(chip.settings.tcti, " tabrmd");
    CHIP_FAILS(&chip, idm_tpm_sign(chip.tpm, &by_file, IDM_SHA256, hash, &signature, &chip.err),
               IDM_E_TPM_BUSY);
    cr_assert_eq(chip_commands(&chip, NULL), 1);
    chip_stop(&chip);
}

Test(tpm_faults, a_busy_chip_is_waited_for_within_limits)
{
    struct chip chip;
    _cleanup_bytes_ struct idm_bytes tss2 = {0};
    const uint8_t hash[32] = {0};
    struct idm_signature signature;
    provision(&chip, &tss2, "0x15d:0x922:8");
    struct idm_signer by_handle = chip_handle_signer(IDM_ECDSA_P256);
    CHIP_FAILS(&chip, idm_tpm_sign(chip.tpm, &by_handle, IDM_SHA256, hash, &signature, &chip.err),
               IDM_E_TPM_BUSY);
    cr_assert_eq(chip_commands(&chip, NULL), 6, "once, and five times again");
    cr_assert_eq(chip.err.foreign, 0x922);

    chip.settings.wait_ms = 200;
    chip_proxy(&chip, "0x15d:0x90a:9");
    CHIP_OK(&chip, idm_tpm_sign(chip.tpm, &by_handle, IDM_SHA256, hash, &signature, &chip.err));
    cr_assert_eq(chip_commands(&chip, NULL), 10);

    chip_proxy(&chip, "0x15d:0x908:9999");
    double before = now_ms();
    CHIP_FAILS(&chip, idm_tpm_sign(chip.tpm, &by_handle, IDM_SHA256, hash, &signature, &chip.err),
               IDM_E_TPM_BUSY);
    double first = now_ms() - before;
    cr_assert_geq(first, 200);
    CHIP_FAILS(&chip, idm_tpm_sign(chip.tpm, &by_handle, IDM_SHA256, hash, &signature, &chip.err),
               IDM_E_TPM_BUSY);
    cr_assert_lt(now_ms() - before - first, 150, "the wait is the process's, not the command's");
    chip_stop(&chip);
}

Test(tpm_faults, response_codes_mean_what_they_say)
{
    static const struct {
        const char *plan;
        int code;
        const char *why; /* NULL: any */
    } cases[] = {
        {"0x15d:0x101:1,0x17c:0x101:1", IDM_E_TPM_FAILED, NULL},
        /* GetTestResult says that all is well */
        {"0x15d:0x101:1", IDM_E_TPM_OTHER, "the TPM answers TPM_RC_FAILURE (0x101)"},
        {"0x15d:0x921:1", IDM_E_TPM_LOCKED, "the TPM answers TPM_RC_LOCKOUT (0x921)"},
        /* through a resource manager */
        {"0x15d:0xc0921:1", IDM_E_TPM_LOCKED, "the TPM answers TPM_RC_LOCKOUT (0xc0921)"},
        {"0x15d:0x923:99", IDM_E_TPM_BUSY, NULL},
        {"0x15d:0x18b:1", IDM_E_TPM_EMPTY, NULL},
        {"0x15d:0x14b:1", IDM_E_TPM_FULL, NULL},
        {"0x15d:0x143:1", IDM_E_TPM_OTHER, "the TPM answers TPM_RC_COMMAND_CODE (0x143)"},
        {"0x15d:0x131:1", IDM_E_TPM_OTHER,
         "the TPM answers 0x131 (tpm2_rc_decode has a sentence for it)"},
        {"0x15d:0x9a2:1", IDM_E_TPM_UNFIT, "the TPM answers TPM_RC_BAD_AUTH (0x9a2)"},
        /* of session 1 */
        {"0x15d:0x98e:1", IDM_E_TPM_UNFIT, "the TPM answers TPM_RC_AUTH_FAIL (0x98e)"},
        {"0x15d:0xffffffff:1", IDM_E_TPM_ABSENT, NULL},
    };
    struct chip chip;
    _cleanup_bytes_ struct idm_bytes tss2 = {0};
    const uint8_t hash[32] = {0};
    provision(&chip, &tss2, "");
    struct idm_signer by_handle = chip_handle_signer(IDM_ECDSA_P256);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct idm_signature signature = {.size = 3};
        chip_proxy(&chip, cases[i].plan);
        int result = idm_tpm_sign(chip.tpm, &by_handle, IDM_SHA256, hash, &signature, &chip.err);
        cr_assert_eq(result, cases[i].code, "%s: %s: %s", cases[i].plan, idm_error_name(result),
                     chip.err.why);
        cr_assert_eq(signature.size, 3);
        cr_assert(chip.err.what[0] && chip.err.why[0] && chip.err.foreign);
        if (cases[i].why)
            cr_assert_str_eq(chip.err.why, cases[i].why);
        bool stays = cases[i].code == IDM_E_TPM_BUSY || cases[i].code == IDM_E_TPM_ABSENT;
        (void)chip_commands(&chip, NULL);
        result = idm_tpm_sign(chip.tpm, &by_handle, IDM_SHA256, hash, &signature, &chip.err);
        cr_assert_eq(result, stays ? cases[i].code : 0, "%s", cases[i].plan);
        cr_assert_geq(chip_commands(&chip, NULL), 1, "connected anew");
    }
    chip_stop(&chip);
}

Test(tpm_faults, a_chip_that_nobody_started_is_started_once)
{
    struct chip chip;
    _cleanup_bytes_ struct idm_bytes tss2 = {0};
    const uint8_t hash[32] = {0};
    struct idm_signature signature;
    char codes[256];
    provision(&chip, &tss2, "0x15d:0x100:1");
    struct idm_signer by_handle = chip_handle_signer(IDM_ECDSA_P256);
    CHIP_OK(&chip, idm_tpm_sign(chip.tpm, &by_handle, IDM_SHA256, hash, &signature, &chip.err));
    (void)chip_commands(&chip, codes);
    cr_assert_str_eq(codes, "15d 144 15d ", "Sign, Startup, Sign");
    chip_proxy(&chip, "0x15d:0x100:9");
    CHIP_FAILS(&chip, idm_tpm_sign(chip.tpm, &by_handle, IDM_SHA256, hash, &signature, &chip.err),
               IDM_E_TPM_OTHER);
    (void)chip_commands(&chip, codes);
    cr_assert_str_eq(codes, "15d 144 15d ");
    chip_stop(&chip);
}

Test(tpm_faults, an_owner_with_a_password_is_respected)
{
    struct chip chip;
    _cleanup_bytes_ struct idm_bytes tss2 = {0};
    uint8_t name[IDM_NAME_SIZE];
    struct idm_tss2_info info;
    provision(&chip, &tss2, "");
    CHIP_OK(&chip, idm_tss2_inspect(&tss2, &info, &chip.err));
    cr_assert_eq(chip_shell(&chip, "tpm2_changeauth -c o secret"), 0);
    struct idm_signer by_file = chip_file_signer(&tss2, IDM_ECDSA_P256);
    struct idm_signer by_handle = chip_handle_signer(IDM_ECDSA_P256);
    chip_signs(&chip, &by_file);
    chip_signs(&chip, &by_handle);
    CHIP_OK(&chip, idm_tpm_counter_increment(chip.tpm, CHIP_COUNTER, &chip.err));
    CHIP_FAILS(&chip, idm_tpm_evict(chip.tpm, CHIP_DEVICE, info.name, &chip.err), IDM_E_TPM_OWNED);
    CHIP_FAILS(&chip, idm_tpm_counter_make(chip.tpm, CHIP_COUNTER + 1, &chip.err), IDM_E_TPM_OWNED);
    CHIP_FAILS(&chip, idm_tpm_parent_make(chip.tpm, CHIP_SRK, CHIP_PARENT + 1, name, &chip.err),
               IDM_E_TPM_OWNED);
    CHIP_FAILS(&chip, idm_tpm_srk_name(chip.tpm, CHIP_SRK + 1, name, &chip.err), IDM_E_TPM_OWNED);

    /* With the file all of it works, and the password never travels. */
    (void)strcpy(chip.settings.owner_auth_file, "/owner");
    CHIP_FAILS(&chip, idm_tpm_evict(chip.tpm, CHIP_DEVICE, info.name, &chip.err), IDM_E_TPM_OWNED);
    cr_assert_eq(chip_shell(&chip, "echo secret > real && ln -s real owner"), 0);
    CHIP_FAILS(&chip, idm_tpm_evict(chip.tpm, CHIP_DEVICE, info.name, &chip.err), IDM_E_TPM_OWNED);
    cr_assert_eq(chip_shell(&chip, "rm owner && head -c 66 /dev/zero > owner"), 0);
    CHIP_FAILS(&chip, idm_tpm_evict(chip.tpm, CHIP_DEVICE, info.name, &chip.err), IDM_E_TPM_OWNED);
    cr_assert_eq(chip_shell(&chip, "rm owner && mkfifo owner"), 0);
    CHIP_FAILS(&chip, idm_tpm_evict(chip.tpm, CHIP_DEVICE, info.name, &chip.err), IDM_E_TPM_OWNED);
    cr_assert_eq(chip_shell(&chip, "rm owner && mv real owner"), 0);
    CHIP_OK(&chip, idm_tpm_evict(chip.tpm, CHIP_DEVICE, info.name, &chip.err));
    CHIP_OK(&chip, idm_tpm_key_persist(chip.tpm, &tss2, CHIP_PARENT, CHIP_DEVICE, &chip.err));
    cr_assert_eq(chip_shell(&chip, "tpm2_nvundefine -Q 0x%x -C o -P secret", CHIP_COUNTER), 0);
    CHIP_OK(&chip, idm_tpm_counter_make(chip.tpm, CHIP_COUNTER, &chip.err));
    CHIP_OK(&chip, idm_tpm_parent_make(chip.tpm, CHIP_SRK, CHIP_PARENT + 1, name, &chip.err));
    CHIP_OK(&chip, idm_tpm_srk_name(chip.tpm, CHIP_SRK, name, &chip.err));
    CHIP_OK(&chip, idm_tpm_evict(chip.tpm, CHIP_SRK, name, &chip.err));
    CHIP_OK(&chip, idm_tpm_parent_make(chip.tpm, CHIP_SRK, CHIP_PARENT + 2, name, &chip.err));
    cr_assert_eq(chip_shell(&chip, "test -s commands.raw && ! grep -q secret commands.raw"), 0);
    cr_assert_eq(chip_shell(&chip, "tpm2_getcap handles-loaded-session > t; test ! -s t"), 0);
    chip_stop(&chip);
}

Test(tpm_faults, an_answer_that_contradicts_itself_is_not_believed)
{
    struct chip chip;
    _cleanup_bytes_ struct idm_bytes tss2 = {0};
    _cleanup_bytes_ struct idm_bytes out = {0};
    struct idm_tpm_object_info there;
    uint8_t name[IDM_NAME_SIZE];
    provision(&chip, &tss2, "0x173:0xfffffffe:99");
    CHIP_FAILS(&chip, idm_tpm_object(chip.tpm, CHIP_DEVICE, IDM_ROLE_DEVICE, &there, &chip.err),
               IDM_E_TPM_OTHER);
    CHIP_FAILS(&chip, idm_tpm_srk_name(chip.tpm, CHIP_SRK, name, &chip.err), IDM_E_TPM_OTHER);
    (void)chip_commands(&chip, NULL);
    /* The public area would be the salt's key: nothing secret may follow. */
    CHIP_FAILS(&chip,
               idm_tpm_key_create(chip.tpm, CHIP_PARENT, NULL, IDM_ECDSA_P256, &out, &chip.err),
               IDM_E_TPM_OTHER);
    CHIP_FAILS(&chip, idm_tpm_seal(chip.tpm, CHIP_PARENT, NULL, &tss2, &out, &chip.err),
               IDM_E_TPM_OTHER);
    char codes[256];
    (void)chip_commands(&chip, codes);
    cr_assert_str_eq(codes, "173 173 ");
    chip_stop(&chip);
}

/* An interposer that gives a storage key of its own for the parent, with the Name that belongs to it, would
 * read the session's salt, and with it the secret: not even the session is begun. */
static void gives_nothing(struct chip *chip, int result)
{
    char codes[256];
    cr_assert_eq(result, IDM_E_TPM_OTHER, "%s: %s", idm_error_name(result), chip->err.why);
    cr_assert_eq(chip->err.code, IDM_E_TPM_OTHER);
    cr_assert_not_null(strstr(chip->err.why, "on record"), "%s", chip->err.why);
    (void)chip_commands(chip, codes);
    cr_assert_str_eq(codes, "173 ");
}

Test(tpm_faults, another_storage_key_than_the_one_on_record_gets_no_salt)
{
    static const char lie[] = "0x173:0xfffffffd:1";
    struct chip chip;
    _cleanup_bytes_ struct idm_bytes plain = {0};
    _cleanup_bytes_ struct idm_bytes sealed = {0};
    _cleanup_bytes_ struct idm_bytes out = {0};
    uint8_t name[IDM_NAME_SIZE];
    chip_start(&chip);
    CHIP_OK(&chip, idm_tpm_parent_make(chip.tpm, CHIP_SRK, CHIP_PARENT, name, &chip.err));
    cr_assert_eq(idm_bytes_set(&plain, "secret", 6), 0);
    CHIP_OK(&chip, idm_tpm_seal(chip.tpm, CHIP_PARENT, name, &plain, &sealed, &chip.err));
    chip_proxy(&chip, lie);
    gives_nothing(&chip,
                  idm_tpm_key_create(chip.tpm, CHIP_PARENT, name, IDM_ECDSA_P256, &out, &chip.err));
    chip_proxy(&chip, lie);
    gives_nothing(&chip, idm_tpm_seal(chip.tpm, CHIP_PARENT, name, &plain, &out, &chip.err));
    chip_proxy(&chip, lie);
    gives_nothing(&chip, idm_tpm_unseal(chip.tpm, CHIP_PARENT, name, &sealed, &out, &chip.err));
    cr_assert_null(out.data);
    CHIP_OK(&chip, idm_tpm_unseal(chip.tpm, CHIP_PARENT, name, &sealed, &out, &chip.err));
    cr_assert(idm_bytes_equal(&plain, &out));
    chip_stop(&chip);
}

/* It has no handle at which another object could stand, but an interposer can answer for it as well. */
Test(tpm_faults, nor_does_another_primary_key)
{
    struct chip chip;
    _cleanup_bytes_ struct idm_bytes plain = {0};
    _cleanup_bytes_ struct idm_bytes sealed = {0};
    uint8_t name[IDM_NAME_SIZE];
    chip_start(&chip);
    CHIP_OK(&chip, idm_tpm_srk_name(chip.tpm, IDM_TPM_PRIMARY, name, &chip.err));
    cr_assert_eq(idm_bytes_set(&plain, "secret", 6), 0);
    CHIP_OK(&chip, idm_tpm_seal(chip.tpm, IDM_TPM_PRIMARY, name, &plain, &sealed, &chip.err));
    name[7] ^= 1;
    CHIP_FAILS(&chip, idm_tpm_seal(chip.tpm, IDM_TPM_PRIMARY, name, &plain, &sealed, &chip.err),
               IDM_E_TPM_OTHER);
    chip_stop(&chip);
}

/* The numbers of commands look like handles: none of them is flushed, listed or taken for a property. */
Test(tpm_faults, a_list_of_something_else_is_not_believed)
{
    static const char lie[] = "0x17a:0xfffffffc:1";
    struct chip chip;
    struct idm_tpm_info info;
    uint32_t handles[IDM_TPM_PERSISTENT_MAX];
    size_t count = 0;
    char codes[256];
    chip_start(&chip);
    chip_proxy(&chip, lie);
    CHIP_FAILS(&chip, idm_tpm_info(chip.tpm, &info, &chip.err), IDM_E_TPM_OTHER);
    chip_proxy(&chip, lie);
    CHIP_FAILS(&chip, idm_tpm_persistent(chip.tpm, handles, &count, &chip.err), IDM_E_TPM_OTHER);
    cr_assert_not_null(strstr(chip.err.why, "another question"), "%s", chip.err.why);
    chip_proxy(&chip, lie);
    CHIP_OK(&chip, idm_tpm_ready(chip.tpm, "flush", &chip.err));
    (void)chip_commands(&chip, NULL);
    idm_tpm_flush_leftovers(chip.tpm, true);
    (void)chip_commands(&chip, codes);
    cr_assert_str_eq(codes, "17a 17a ");
    chip_stop(&chip);
}

Test(tpm_faults, a_full_chip_says_so)
{
    struct chip chip;
    uint8_t name[IDM_NAME_SIZE];
    int result = 0;
    chip_start(&chip);
    for (uint32_t handle = CHIP_PARENT; result == 0 && handle < CHIP_PARENT + 128; handle++)
        result = idm_tpm_parent_make(chip.tpm, CHIP_SRK, handle, name, &chip.err);
    cr_assert_eq(result, IDM_E_TPM_FULL, "%s", idm_error_name(result));
    CHIP_FAILS(&chip,
               idm_tpm_parent_make(chip.tpm, CHIP_SRK + 1, CHIP_PARENT + 200, name, &chip.err),
               IDM_E_TPM_FULL);
    chip_stop(&chip);
}

Test(tpm_faults, no_chip_is_said_at_once)
{
    static const char *const nowhere[] = {"none",
                                          "",
                                          "swtpm:path=/nonexistent/tpm",
                                          "device:/nonexistent/tpm",
                                          "device:/dev/null",
                                          "no-such-library:x"};
    struct chip chip;
    chip_start(&chip);
    for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++) {
        struct idm_tpm_info info;
        (void)strcpy(chip.settings.tcti, nowhere[i]);
        double before = now_ms();
        idm_tpm_close(chip.tpm);
        CHIP_FAILS(&chip, idm_tpm_info(chip.tpm, &info, &chip.err), IDM_E_TPM_ABSENT);
        cr_assert_lt(now_ms() - before, 500, "%s", nowhere[i]);
        cr_assert(chip.err.why[0] && chip.err.todo[0]);
    }
    chip_stop(&chip);
}

Test(tpm_faults, a_late_chip_is_waited_for)
{
    struct chip chip;
    struct idm_tpm_info info;
    chip_start(&chip);
    idm_swtpm_stop(&chip.sw);
    chip.settings.wait_ms = 300;
    double before = now_ms();
    CHIP_FAILS(&chip, idm_tpm_info(chip.tpm, &info, &chip.err), IDM_E_TPM_ABSENT);
    cr_assert_geq(now_ms() - before, 300);

    chip.settings.wait_ms = 20000;
    pid_t late = fork();
    if (late == 0) {
        (void)usleep(50000);
        _exit(idm_swtpm_resume(&chip.sw) == 0 && sleep(5) == 0 ? 0 : 1);
    }
    CHIP_OK(&chip, idm_tpm_info(chip.tpm, &info, &chip.err));
    (void)kill(late, SIGKILL);
    chip_stop(&chip);
}

Test(tpm_faults, firmware_announces_a_chip_or_does_not)
{
    static const char *const evidence[] = {
        "mkdir -p dev && touch dev/tpmrm0",
        "mkdir -p sys/class/tpm/tpm0",
        "mkdir -p sys/firmware/acpi/tables && touch sys/firmware/acpi/tables/TPM2",
        "mkdir -p sys/firmware/devicetree/base/soc/spi@1/tpm@0 && "
        "printf 'infineon,slb9670\\0tcg,tpm_tis-spi\\0' > "
        "sys/firmware/devicetree/base/soc/spi@1/tpm@0/compatible",
        "mkdir -p proc/device-tree/i2c/x && printf 'atmel,tpm20\\0' > "
        "proc/device-tree/i2c/x/compatible",
    };
    struct chip chip;
    struct idm_tpm_info info;
    chip_start(&chip);
    cr_assert_eq(idm_tpm_announced(chip.tpm), IDM_YES, "a TCTI that is no device");
    (void)strcpy(chip.settings.tcti, "none");
    cr_assert_eq(idm_tpm_announced(chip.tpm), IDM_NO);
    (void)strcpy(chip.settings.tcti, "device:/dev/tpmrm0");
    cr_assert_eq(chip_shell(&chip, "mkdir -p sys/class/tpm sys/firmware/devicetree/base/soc/a/b && "
                                   "printf 'acme,wdt\\0acme,stpm-not\\0' > "
                                   "sys/firmware/devicetree/base/soc/a/compatible && "
                                   "ln -s .. sys/firmware/devicetree/base/soc/loop"),
                 0);
    cr_assert_eq(idm_tpm_announced(chip.tpm), IDM_NO);
    chip.settings.wait_ms = 10000;
    double before = now_ms();
    (void)strcpy(chip.settings.tcti, "device:/nonexistent/tpm");
    CHIP_FAILS(&chip, idm_tpm_info(chip.tpm, &info, &chip.err), IDM_E_TPM_ABSENT);
    cr_assert_lt(now_ms() - before, 1000, "nobody waits for what nothing announces");
    (void)strcpy(chip.settings.tcti, "device:/dev/tpmrm0");
    for (size_t i = 0; i < sizeof evidence / sizeof evidence[0]; i++) {
        cr_assert_eq(chip_shell(&chip, "%s", evidence[i]), 0);
        cr_assert_eq(idm_tpm_announced(chip.tpm), IDM_YES, "%s", evidence[i]);
        chip.settings.use = IDM_USE_NEVER;
        cr_assert_eq(idm_tpm_announced(chip.tpm), IDM_NO);
        chip.settings.use = IDM_USE_AUTO;
        cr_assert_eq(chip_shell(&chip, "rm -rf dev sys proc"), 0);
        cr_assert_eq(idm_tpm_announced(chip.tpm), IDM_NO);
    }
    chip_stop(&chip);
}
