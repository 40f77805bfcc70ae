/* SPDX-License-Identifier: BSD-2-Clause */
/* An allocation of the shipped programs fails, once or from there on: on real files and a real TPM, in whatever
 * library it is made. No crash, an exit code that says so, and the next boots settle what was left. By default a
 * few places of each command, evenly spread; under the label slow 25 times as many. tests/unit/engine_memory.c
 * takes every place, on a simulated device. */
#include "tests/life/life_device.h"
#include "tests/support/thorough.h"

TestSuite(memory, .timeout = 1500, .init = use_memory, .fini = close_device);

#define STARVE IDM_TEST_BUILD_DIR "/tests/starve.so"
#define PLACES 500u /* of each command, when thorough */
#define WORDS  6u

struct command {
    const char *words[WORDS];
    bool changes_identity;
};

/* Exit code of the command with its n-th allocation failing; 0: none. *ret_count: how many there were. */
static int starve(const struct command *command, unsigned long n, bool goes_on,
                  unsigned long *ret_count)
{
    char at[64], count[320], path[280];
    struct idm_run run = {0};
    const char *argv[WORDS + 6] = {IDMODE, "--root", device.root, "--tcti", device.tcti};

    (void)snprintf(path, sizeof path, "%s/starved", device.base);
    (void)snprintf(count, sizeof count, "IDM_TEST_STARVE_COUNT=%s", path);
    (void)snprintf(at, sizeof at, "IDM_TEST_STARVE=%lu", n);
    (void)unlink(path);
    for (size_t i = 0; command->words[i] != NULL; i++)
        argv[5 + i] = command->words[i];
    const char *env[] = {"LD_PRELOAD=" STARVE,
                         at,
                         "IDM_TEST_STARVE_PROGRAM=idmode",
                         count,
                         goes_on ? "IDM_TEST_STARVE_ON=1" : NULL,
                         NULL};
    cr_assert_eq(idm_run(&run, &(struct idm_run_options){.env = env}, argv), 0);
    int rc = run.exit_code;
    cr_assert(rc < 128 && !run.timed_out, "%s, allocation %lu: killed (%d): %s", argv[5], n, rc,
              run.err);
    idm_run_free(&run);
    FILE *from = fopen(path, "re");
    if (from == NULL || fscanf(from, "%lu", ret_count) != 1)
        *ret_count = 0;
    if (from != NULL)
        (void)fclose(from);
    return rc;
}

/* Two boots settle it; what was not to change has not. */
static void heals(const struct command *command, unsigned long n,
                  const struct idm_device_identity *before, long long epoch)
{
    OK(idm_device_boot(&device));
    boot(0);
    long long now = status_epoch();
    if (!command->changes_identity) {
        struct idm_device_identity is = active();
        cr_expect_str_eq(is.cert_sha256, before->cert_sha256, "%s, allocation %lu: I2",
                         command->words[0], n);
        cr_expect_eq(now, epoch, "%s, allocation %lu", command->words[0], n);
    } else {
        cr_expect(now == epoch || now == epoch + 1, "%s, allocation %lu: epoch %lld after %lld",
                  command->words[0], n, now, epoch);
    }
}

static void torture(const struct command *command)
{
    unsigned long count = 0;
    unsigned long ignored = 0;
    struct idm_device_identity before = active();
    long long epoch = status_epoch();

    OK(idm_device_freeze(&device, "before"));
    int good = starve(command, 0, false, &count);
    cr_assert_gt(count, 100u, "%s: %lu allocations seen", command->words[0], count);
    unsigned long places = PLACES / idm_every(25);
    for (unsigned long i = 0; i < places; i++) {
        unsigned long n = 1 + i * count / places;
        OK(idm_device_thaw(&device, "before"));
        int rc = starve(command, n, i % 2 == 1, &ignored);
        cr_expect(rc == good || rc == 1 || rc == 3 || rc == 5, "%s, allocation %lu of %lu: exit %d",
                  command->words[0], n, count, rc);
        heals(command, n, &before, epoch);
    }
    cr_log_info("%s: %lu of %lu allocations failed", command->words[0], places, count);
}

#ifdef __SANITIZE_ADDRESS__
#define NOT_UNDER_ASAN() cr_skip_test("ASan brings an allocator of its own")
#else
#define NOT_UNDER_ASAN() (void)0
#endif

Test(memory, boot)
{
    NOT_UNDER_ASAN();
    open_device(NULL);
    boot(0);
    torture(&(struct command){{"boot"}, false});
}

Test(memory, sign)
{
    NOT_UNDER_ASAN();
    open_device(NULL);
    boot(0);
    torture(&(struct command){{"sign"}, false});
}

Test(memory, boot_of_a_software_device)
{
    NOT_UNDER_ASAN();
    open_device(&(struct idm_device_options){.without_tpm = true});
    boot(0);
    torture(&(struct command){{"boot"}, false});
}

Test(memory, status)
{
    NOT_UNDER_ASAN();
    open_device(NULL);
    boot(0);
    torture(&(struct command){{"status", "--json"}, false});
}

Test(memory, migrate)
{
    NOT_UNDER_ASAN();
    open_software_device(NULL, false);
    boot(0);
    torture(&(struct command){{"migrate", "prepare"}, false});
}

Test(memory, pre_install)
{
    NOT_UNDER_ASAN();
    open_device(&(struct idm_device_options){.conf = NO_OTHER_SLOT});
    boot(0);
    torture(&(struct command){{"hook", "pre-install", "--target-aware", "no"}, false});
}

Test(memory, factory_reset)
{
    NOT_UNDER_ASAN();
    open_device(NULL);
    boot(0);
    torture(&(struct command){{"factory-reset", "--yes"}, true});
}
