/* SPDX-License-Identifier: BSD-2-Clause */
/* The tests' own device, wherever it needs no idmode: the other tests rest on it. */
#include "tests/support/device.h"

#include "backends/tpm/tpm.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CUT   "LD_PRELOAD=" IDM_TEST_BUILD_DIR "/tests/cut.so"
#define CLOCK "LD_PRELOAD=" IDM_TEST_BUILD_DIR "/tests/clock.so"

#define OK(device, call) cr_assert_eq((call), 0, "%s: %s", #call, (device)->error)

static struct idm_device device;

static void open_device(const struct idm_device_options *options)
{
    OK(&device, idm_device_open(&device, options));
}

static void close_device(void)
{
    idm_device_close(&device);
}

TestSuite(support_device, .timeout = 60, .fini = close_device);

static void variable_is(const char *name, const char *wanted)
{
    char value[IDM_BOOT_VALUE_SIZE];

    cr_assert_eq(idm_bootloader_get(&device.bootloader, name, value), 0, "%s", name);
    cr_assert_str_eq(value, wanted, "%s=%s, not %s", name, value, wanted);
}

static void boots(int slot, const char *version)
{
    OK(&device, idm_device_boot(&device));
    cr_assert_eq(device.slot, slot, "boot %u went to slot %d", device.boots, device.slot);
    cr_assert_str_eq(device.image.version, version);
}

Test(support_device, legacy_image_mints_when_something_is_missing_and_never_otherwise)
{
    struct idm_device_identity first, second;
    enum idm_legacy_view view;
    char *key = NULL;

    open_device(&(struct idm_device_options){.without_tpm = true, .legacy = true});
    cr_assert_eq(idm_device_active(&device, &first), 1);
    boots(0, "1.0");
    cr_assert(device.minted);
    cr_assert_eq(device.legacy_view, IDM_LEGACY_VIEW_WORKS);
    OK(&device, idm_device_read(&device, "/config/device.key.pem", &key, NULL));
    cr_assert_eq(strncmp(key, "-----BEGIN EC PARAMETERS-----", 29), 0, "%s", key);
    cr_assert_not_null(strstr(key, "-----BEGIN EC PRIVATE KEY-----"));
    free(key);
    cr_assert_eq(idm_device_active(&device, &first), 0);
    cr_assert(first.works);
    cr_assert_eq(strlen(first.spki_sha256), 64);

    boots(0, "1.0");
    cr_assert_not(device.minted);
    cr_assert_eq(idm_device_active(&device, &second), 0);
    cr_assert_str_eq(first.cert_sha256, second.cert_sha256);

    OK(&device, idm_device_delete(&device, "/config/device.key.pem"));
    OK(&device, idm_device_legacy(&device, &view, &second));
    cr_assert_eq(view, IDM_LEGACY_VIEW_ABSENT);
    boots(0, "1.0");
    cr_assert(device.minted);
    cr_assert_eq(idm_device_active(&device, &second), 0);
    cr_assert_str_neq(first.spki_sha256, second.spki_sha256);
}

Test(support_device, torn_or_foreign_legacy_files_are_broken_not_minted_over)
{
    struct idm_device_identity before, after;
    enum idm_legacy_view view;

    open_device(&(struct idm_device_options){.without_tpm = true, .legacy = true, .rsa = true});
    boots(0, "1.0");
    OK(&device, idm_device_legacy(&device, &view, &before));
    OK(&device, idm_device_snapshot(&device, "good"));
    OK(&device, idm_device_tear(&device, "/config/device.key.pem"));
    boots(0, "1.0");
    cr_assert_not(device.minted);
    cr_assert_eq(device.legacy_view, IDM_LEGACY_VIEW_BROKEN);
    OK(&device, idm_device_legacy(&device, &view, &after));
    cr_assert_not(after.works);
    cr_assert_str_eq(before.cert_sha256, after.cert_sha256);

    OK(&device, idm_device_write_text(&device, "/config/device.cert.pem", ""));
    OK(&device, idm_device_legacy(&device, &view, &after));
    cr_assert_eq(view, IDM_LEGACY_VIEW_BROKEN);
    cr_assert_str_eq(after.cert_sha256, "");

    OK(&device, idm_device_write_text(&device, "/persist/later/file", "x"));
    OK(&device, idm_device_restore(&device, "good"));
    cr_assert_not(idm_device_exists(&device, "/persist/later"));
    OK(&device, idm_device_legacy(&device, &view, &after));
    cr_assert_eq(view, IDM_LEGACY_VIEW_WORKS);
    cr_assert_str_eq(before.cert_sha256, after.cert_sha256);

    /* Another key of the same kind: present, readable, and not this certificate's. */
    OK(&device, idm_device_snapshot(&device, "good"));
    OK(&device, idm_device_delete(&device, "/config"));
    OK(&device, idm_device_write_text(&device, "/config/.made", ""));
    boots(0, "1.0");
    char *cert = NULL, *key = NULL;
    OK(&device, idm_device_read(&device, "/config/device.key.pem", &key, NULL));
    OK(&device, idm_device_restore(&device, "good"));
    OK(&device, idm_device_read(&device, "/config/device.cert.pem", &cert, NULL));
    OK(&device, idm_device_write_text(&device, "/config/device.key.pem", key));
    OK(&device, idm_device_legacy(&device, &view, &after));
    cr_assert_eq(view, IDM_LEGACY_VIEW_BROKEN);
    cr_assert_eq(strncmp(key, "-----BEGIN RSA PRIVATE KEY-----", 31), 0);
    free(cert);
    free(key);
}

static unsigned tpm_resets(void)
{
    struct idm_settings settings;
    struct idm_tpm_info info;
    struct idm_tpm *tpm = NULL;

    idm_settings_default(&settings);
    snprintf(settings.tcti, sizeof(settings.tcti), "%s", device.tpm.tcti);
    cr_assert_eq(idm_tpm_open(&tpm, "", &settings, NULL), 0);
    cr_assert_eq(idm_tpm_info(tpm, &info, NULL), 0);
    idm_tpm_free(tpm);
    return info.reset_count;
}

Test(support_device, boot_is_a_power_cycle)
{
    char *first = NULL, *second = NULL;

    open_device(&(struct idm_device_options){.legacy = true});
    cr_assert(device.has_tpm);
    cr_assert_eq(strncmp(device.tcti, "swtpm:", 6), 0, "%s", device.tcti);
    boots(0, "1.0");
    OK(&device, idm_device_read(&device, "/proc/sys/kernel/random/boot_id", &first, NULL));
    OK(&device, idm_device_write_text(&device, "/run/idmode/mode", "software\n"));
    unsigned before = tpm_resets();
    boots(0, "1.0");
    OK(&device, idm_device_read(&device, "/proc/sys/kernel/random/boot_id", &second, NULL));
    cr_assert_str_neq(first, second);
    cr_assert_eq(strlen(second), 37);
    cr_assert_not(idm_device_exists(&device, "/run/idmode"));
    cr_assert(idm_device_exists(&device, "/run"));
    cr_assert_eq(tpm_resets(), before + 1, "the TPM kept its power");
    free(first);
    free(second);
}

Test(support_device, bootcount_trial_commits_or_falls_back)
{
    open_device(&(struct idm_device_options){.without_tpm = true, .legacy = true, .bootlimit = 2});
    boots(0, "1.0");
    variable_is("upgrade_available", "0");
    OK(&device, idm_device_install(&device, &(struct idm_device_install){.version = "1.1"}));
    variable_is("upgrade_available", "1");
    boots(1, "1.1");
    variable_is("bootcount", "1");
    boots(1, "1.1");
    boots(0, "1.0"); /* bootcount 3 is over the limit */
    variable_is("upgrade_available", "0");
    variable_is("bootcount", "0");

    OK(&device, idm_device_install(&device, &(struct idm_device_install){.version = "1.2"}));
    boots(1, "1.2");
    OK(&device, idm_device_commit(&device, true));
    variable_is("upgrade_available", "0");
    boots(1, "1.2");
    variable_is("bootcount", "0");
    OK(&device, idm_device_fallback(&device));
    boots(0, "1.0");
}

Test(support_device, rauc_trial_commits_or_falls_back)
{
    open_device(
        &(struct idm_device_options){.without_tpm = true, .legacy = true, .scheme = IDM_BOOT_RAUC});
    boots(0, "1.0");
    variable_is("BOOT_A_LEFT", "3"); /* counted down at the boot, set back by mark-good */
    OK(&device, idm_device_install(&device, NULL));
    variable_is("BOOT_ORDER", "B A");
    variable_is("BOOT_B_LEFT", "3");
    OK(&device, idm_device_fallback(&device)); /* of A, which runs: the order already says B */
    OK(&device, idm_device_put_image(&device, 1, false, "2.0"));
    boots(1, "2.0");
    OK(&device, idm_device_install(&device, &(struct idm_device_install){.version = "3.0"}));
    for (int i = 0; i < 5; i++)
        boots(0, "3.0");
    variable_is("BOOT_A_LEFT", "1"); /* on trial nobody marks it good */
    OK(&device, idm_device_commit(&device, true));
    variable_is("BOOT_A_LEFT", "3");
    OK(&device, idm_device_fallback(&device));
    boots(1, "2.0");
}

Test(support_device, failed_and_abandoned_installations_do_not_boot)
{
    open_device(
        &(struct idm_device_options){.without_tpm = true, .legacy = true, .scheme = IDM_BOOT_NONE});
    cr_assert_not(idm_device_exists(&device, "/etc/fw_env.config"));
    boots(0, "1.0");
    cr_assert_eq(idm_device_fallback(&device), -1);
    OK(&device,
       idm_device_install(&device, &(struct idm_device_install){.end = IDM_INSTALL_WRITE_FAILS}));
    cr_assert_not(idm_device_slot(&device, 1).present);
    boots(0, "1.0");
    OK(&device,
       idm_device_install(&device, &(struct idm_device_install){.end = IDM_INSTALL_DIES_AFTER_WRITE,
                                                                .aware = true}));
    cr_assert(idm_device_slot(&device, 1).present);
    cr_assert(idm_device_slot(&device, 1).aware);
    boots(0, "1.0");
    OK(&device, idm_device_install(&device, &(struct idm_device_install){.version = "2.1"}));
    boots(1, "2.1");
    OK(&device, idm_device_delete(&device, "/slots/b.img"));
    boots(0, "1.0");
}

Test(support_device, unreadable_boot_environment_keeps_the_slot_and_is_left_alone)
{
    char value[IDM_BOOT_VALUE_SIZE] = "untouched", *torn = NULL;
    size_t size = 0;

    open_device(&(struct idm_device_options){.without_tpm = true, .legacy = true});
    boots(0, "1.0");
    OK(&device, idm_device_install(&device, NULL));
    OK(&device, idm_device_put_image(&device, 1, false, "2.0"));
    boots(1, "2.0");
    OK(&device, idm_device_tear(&device, "/boot/uboot.env"));
    OK(&device, idm_device_tear(&device, "/boot/uboot-redund.env"));
    cr_assert_eq(idm_bootloader_get(&device.bootloader, "bootcount", value), -1);
    cr_assert_str_eq(value, "untouched");
    boots(1, "2.0");
    OK(&device, idm_device_read(&device, "/boot/uboot.env", &torn, &size));
    cr_assert_eq(size, 0x2000);
    free(torn);
}

/* Runs a shell command line under the cut preload; ret_steps: what was counted. */
static int run_cut(const char *line, const char *cut, const char *count_file, int *ret_steps)
{
    char count[512];
    _cleanup_run_ struct idm_run run = {0};
    const char *const env[] = {CUT, count, cut, NULL};
    FILE *file;

    snprintf(count, sizeof(count), "IDM_TEST_CUT_COUNT_FILE=%s", count_file);
    unlink(count_file);
    cr_assert_eq(idm_run(&run, &(struct idm_run_options){.env = env},
                         (const char *const[]){"sh", "-c", line, NULL}),
                 0);
    *ret_steps = 0;
    file = fopen(count_file, "re");
    if (file != NULL) {
        cr_assert_eq(fscanf(file, "%d", ret_steps), 1);
        fclose(file);
    }
    return run.exit_code;
}

Test(support_device, cut_kills_right_after_the_step)
{
    char line[1024], count[320], steps_line[] = "IDM_TEST_CUT=0";
    int steps;

    open_device(&(struct idm_device_options){.without_tpm = true, .legacy = true});
    snprintf(count, sizeof(count), "%s/count", device.base);
    snprintf(line, sizeof(line),
             "cd %s/config && : >a && mv a b && ! mv z y 2>/dev/null && sync b && mv b c && rm c "
             "&& : >d",
             device.root);
    cr_assert_eq(run_cut(line, NULL, count, &steps), 0);
    cr_assert_eq(steps, 4, "rename, (failed rename,) fsync, rename, unlink: %d", steps);
    cr_assert(idm_device_exists(&device, "/config/d"));
    OK(&device, idm_device_delete(&device, "/config/d"));

    static const char *const left[] = {"/config/b", "/config/b", "/config/c", NULL};
    for (int n = 1; n <= 4; n++) {
        steps_line[strlen(steps_line) - 1] = (char)('0' + n);
        cr_assert_eq(run_cut(line, steps_line, count, &steps), 137, "cut %d", n);
        cr_assert_eq(steps, n);
        cr_assert_not(idm_device_exists(&device, "/config/a"));
        cr_assert_not(idm_device_exists(&device, "/config/d"));
        if (left[n - 1] != NULL) {
            cr_assert(idm_device_exists(&device, left[n - 1]), "cut %d", n);
            OK(&device, idm_device_delete(&device, left[n - 1]));
        }
    }
}

Test(support_device, preloads_are_harmless_without_their_variables)
{
    _cleanup_run_ struct idm_run run = {0}, cut = {0};
    static const char *const clock_env[] = {CLOCK, NULL}, *const cut_env[] = {CUT, NULL};
    time_t before = time(NULL);

    cr_assert_eq(idm_run(&run, &(struct idm_run_options){.env = clock_env},
                         (const char *const[]){"date", "+%s", NULL}),
                 0);
    cr_assert_geq(atoll(run.out), before);
    cr_assert_leq(atoll(run.out),
                  time(NULL) + 1); /* time(2) looks at a clock that ticks coarsely */
    open_device(&(struct idm_device_options){.without_tpm = true, .legacy = true});
    cr_assert_eq(idm_run(&cut, &(struct idm_run_options){.env = cut_env},
                         (const char *const[]){"rm", "-r", device.root, NULL}),
                 0);
    cr_assert_eq(cut.exit_code, 0, "%s", cut.err);
}

Test(support_device, clock_stands_elsewhere_and_ticks)
{
    _cleanup_run_ struct idm_run date = {0}, ticking = {0}, cert = {0};
    static const char *const env[] = {CLOCK, "IDM_TEST_CLOCK=86400", NULL};
    const struct idm_run_options options = {.env = env};

    cr_assert_eq(idm_run(&date, &options, (const char *const[]){"date", "-u", "+%F", NULL}), 0);
    cr_assert_str_eq(date.out, "1970-01-02\n");
    cr_assert_eq(idm_run(&ticking, &options,
                         (const char *const[]){"bash", "-c",
                                               "a=$EPOCHREALTIME; for i in {1..100}; do :; done; "
                                               "[ $EPOCHREALTIME != $a ]",
                                               NULL}),
                 0);
    cr_assert_eq(ticking.exit_code, 0);
    cr_assert_eq(
        idm_run(&cert, &options,
                (const char *const[]){"bash", "-c",
                                      "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x "
                                      "-keyout /dev/null | openssl x509 -noout -startdate",
                                      NULL}),
        0);
    cr_assert_not_null(strstr(cert.out, "notBefore=Jan  2 00:00:0"), "%s%s", cert.out, cert.err);
}

Test(support_device, run_bounds_time_and_hides_the_machines_own_tpm)
{
    _cleanup_run_ struct idm_run hung = {0}, env = {0}, missing = {0}, echo = {0};

    cr_assert_eq(idm_run(&hung, &(struct idm_run_options){.timeout_s = 1},
                         (const char *const[]){"sh", "-c", "echo begun; sleep 30 & wait", NULL}),
                 0);
    cr_assert(hung.timed_out);
    cr_assert_str_eq(hung.out, "begun\n");

    setenv("TPM2TOOLS_TCTI", "device:/dev/tpmrm0", 1);
    setenv("TSS2_LOG", "all+trace", 1);
    cr_assert_eq(idm_run(&env, NULL, (const char *const[]){"env", NULL}), 0);
    cr_assert_null(strstr(env.out, "/dev/tpm"), "%s", env.out);
    cr_assert_null(strstr(env.out, "TSS2_LOG"), "%s", env.out);
    cr_assert_not_null(strstr(env.out, "TPM2TOOLS_TCTI=none\n"));

    cr_assert_eq(idm_run(&missing, NULL, (const char *const[]){"no-such-program", NULL}), 0);
    cr_assert_eq(missing.exit_code, 127);

    cr_assert_eq(idm_run(&echo, &(struct idm_run_options){.input = "a\0b", .input_size = 3},
                         (const char *const[]){"cat", NULL}),
                 0);
    cr_assert_eq(echo.out_size, 3);
    cr_assert_eq(memcmp(echo.out, "a\0b", 4), 0);
}
