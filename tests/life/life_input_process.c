/* SPDX-License-Identifier: BSD-2-Clause */
/* Hostile surroundings of the shipped programs: locks, closed descriptors, umask, environment, file
 * systems; and what `sign` signs. */
#include "tests/life/life_device.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

LIFE(input_process);

#define RUN_IT "$IDMODE --root $ROOT --tcti $TCTI"

/* ---- lock ---- */

Test(input_process, held_lock_is_exit_4_and_names_its_holder)
{
    struct idm_device_identity before;

    open_device(NULL);
    boot(0);
    before = active();
    /* A chip that never answers keeps one idmode, and its lock, where they are. */
    shell(0, "$IDMODE --root $ROOT --tcti 'cmd:cat > /dev/null' boot & holder=$!;"
             "for i in $(seq 200); do test -s $ROOT/run/idmode/lock && break; sleep 0.02; done;"
             "code=0; " RUN_IT " --lock-timeout 0 boot > out 2>&1 || code=$?;"
             "sign=0; " RUN_IT " --lock-timeout 1 sign < /dev/null > sign 2>&1 || sign=$?;" RUN_IT
             " mode > mode; " RUN_IT " status > /dev/null;"
             "kill -9 $holder; wait $holder 2> /dev/null || true;"
             "test $code = 4; test $sign = 4; grep -q 'idmode boot' out; grep -q \"$holder\" out;"
             "test $(wc -l < out) = 1; grep -q 'idmode boot' sign; rm out sign mode");
    cr_assert_eq(RUN("boot"), 0);
    still(&before);
}

/* ---- what a process inherits ---- */

Test(input_process, closed_standard_descriptors_harm_no_file)
{
    open_device(NULL);
    boot(0);
    for (int mask = 1; mask < 8; mask++) {
        shell(0, RUN_IT " boot %s %s %s", mask & 1 ? "0<&-" : "", mask & 2 ? "1>&-" : "> /dev/null",
              mask & 4 ? "2>&-" : "");
        boot(0);
        status_is("tpm", "tpm-dual", "");
    }
    shell(0, "! grep -rl 'mode tpm, state' $ROOT/config $ROOT/persist $ROOT/run");
    /* provisioning writes the most files */
    cr_assert_eq(RUN("factory-reset", "--yes"), 0);
    shell(0, RUN_IT " factory-reset --yes 0<&- 1>&- 2>&-");
    boot(0);
    active();
}

static void modes_are_ours(void)
{
    static const struct {
        const char *path;
        const char *mode;
    } wanted[] = {
        {CONFIG_CERT, "644"},
        {CONFIG_KEY, "600"},
        {CONFIG_RECORD, "600"},
        {CONFIG_TSS2, "600"},
        {CONFIG_TPM, "644"},
        {PERSIST_RECORD, "600"},
        {PERSIST_TSS2, "600"},
        {PERSIST_TPM, "644"},
        {PERSIST_KEY, "600"},
        {PERSIST_CERT, "644"},
        {"/persist/idmode", "700"},
        {"/persist/idmode/history", "600"},
        {MARKER, "644"},
        {"/run/idmode", "755"},
        {"/run/idmode/mode", "644"},
        {"/run/idmode/status.json", "644"},
        {"/run/idmode/lock", "600"},
        {"/run/idmode/device.cert.pem", "644"},
        {"/run/idmode/trace", "644"},
        {"/run/idmode/device.key.pem", "644"},
    };

    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        char path[IDM_DEVICE_PATH_SIZE], mode[8];
        struct stat st;

        idm_device_path(&device, wanted[i].path, path);
        cr_assert_eq(stat(path, &st), 0, "%s", path);
        snprintf(mode, sizeof(mode), "%o", st.st_mode & 07777);
        cr_assert_str_eq(mode, wanted[i].mode, "%s", wanted[i].path);
    }
}

Test(input_process, umask_of_the_caller_does_not_count)
{
    static const char *const masks[] = {"000", "077", "777"};

    for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        open_device(NULL);
        idm_device_cut_at(&device, 1);
        OK(idm_device_boot(&device)); /* the power is on, nothing is made yet */
        shell(0, "umask %s; exec " RUN_IT " boot", masks[i]);
        modes_are_ours();
        close_device();
    }
}

/* It outlives exec, and whoever ignores it is not told how its children ended. */
Test(input_process, child_signal_that_the_caller_ignores_costs_no_childs_answer)
{
    open_device(NULL);
    boot(0);
    shell(0, "env --ignore-signal=CHLD " RUN_IT " boot");
    status_is("tpm", "tpm-dual", "");
}

Test(input_process, environment_of_the_caller_runs_nothing)
{
    struct idm_device_identity before;

    open_device(NULL);
    boot(0);
    before = active();
    shell(0,
          "mkdir evil; for p in sh openssl fw_printenv fw_setenv bootenv core tpm2_sign cat env;"
          "do printf '#!/bin/sh\\n/usr/bin/touch %s/evil/ran\\n' > evil/$p; chmod +x evil/$p; done;"
          "printf '[[[ = no configuration\\n' > evil/openssl.cnf;"
          "cd evil; for command in boot sign 'cert show' status 'hook rollback' mode boot; do "
          "/usr/bin/env -i PATH=$BASE/evil IFS=/ TMPDIR=/nowhere LC_ALL=xx_YY TZ=:/nowhere"
          "  BASH_ENV=$BASE/evil/sh ENV=$BASE/evil/sh SHELL=$BASE/evil/sh HOME=/nowhere"
          "  OPENSSL_MODULES=/nowhere OPENSSL_ENGINES=/nowhere SSL_CERT_FILE=/nowhere"
          "  TPM2TOOLS_TCTI=none TCTI=none POSIXLY_CORRECT=1 COLUMNS=-1"
          "  $IDMODE --root $ROOT --tcti $TCTI $command < /dev/null > /dev/null;"
          "done; test ! -e ran",
          device.base);
    status_is("tpm", "tpm-dual", "");
    still(&before);
}

Test(input_process, no_environment_at_all)
{
    open_device(NULL);
    boot(0);
    shell(0, "env -i " RUN_IT " boot; env -i " RUN_IT " mode | grep -qx tpm");
}

/* ---- two devices on one machine ---- */

Test(input_process, two_roots_at_once)
{
    struct idm_device first;
    struct idm_device_identity a, b;

    open_device(NULL);
    first = device;
    open_device(NULL);
    for (int i = 0; i < 4; i++) {
        struct idm_device second = device;
        pid_t child = fork();

        if (child == 0)
            _exit(idm_device_idmode(&first, NULL, "boot", NULL) == 0 &&
                          (first.exit_code == 0 || i == 0)
                      ? 0
                      : 1);
        if (i == 0)
            OK(idm_device_boot(&device));
        else
            cr_assert_eq(RUN("boot"), 0);
        int status;
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "round %d", i);
        if (i == 0) {
            second = device;
            device = first;
            boot(0); /* its kernel and bootloader speak for the first time */
            first = device;
            device = second;
        }
    }
    b = active();
    struct idm_device second = device;
    device = first;
    a = active();
    cr_assert_str_neq(a.spki_sha256, b.spki_sha256);
    close_device();
    device = second;
    still(&b);
}

/* ---- file systems ---- */

/* Mounts are this test's own: they go with its process. */
static void mount_small(const char *path, const char *options)
{
    char real[IDM_DEVICE_PATH_SIZE];

    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        cr_skip_test("no mount namespace here");
    idm_device_path(&device, path, real);
    shell(0, "cp -a %s $BASE/aside", real);
    if (mount("tmpfs", real, "tmpfs", 0, options) != 0)
        cr_skip_test("no file system can be mounted here");
    shell(0, "cp -a $BASE/aside/. %s/", real);
}

static void unmount_all(void)
{
    char real[IDM_DEVICE_PATH_SIZE];

    idm_device_path(&device, "/config", real);
    umount2(real, MNT_DETACH);
    idm_device_path(&device, "/run", real);
    umount2(real, MNT_DETACH);
    close_device();
}

TestSuite(input_mounts, .timeout = 60, .fini = unmount_all);

#define FILL(dir) "dd if=/dev/zero of=$ROOT" dir "/fill bs=1k 2> /dev/null || true"

Test(input_mounts, read_only_config_keeps_the_identity)
{
    struct idm_device_identity before;

    open_device(NULL);
    boot(0);
    before = active();
    mount_small("/config", "size=512k,mode=755");
    shell(0, "rm $ROOT" CONFIG_CERT "; mount -o remount,ro $ROOT/config");
    boot(0);
    status_is("tpm", "tpm-dual", "storage-read-only config-dir-volatile");
    still(&before);
    shell(0, "mount -o remount,rw $ROOT/config");
    boot(0);
    status_is("tpm", "tpm-dual", "config-dir-volatile");
    still(&before);
    legacy_pair();
}

Test(input_mounts, full_config_keeps_the_identity)
{
    struct idm_device_identity before;
    struct kept record;

    open_device(NULL);
    boot(0);
    before = active();
    mount_small("/config", "size=512k,mode=755");
    shell(0, FILL("/config"));
    record = keep(CONFIG_RECORD);
    boot(0);
    status_is("tpm", "tpm-dual", "config-dir-volatile");
    cr_assert_eq(RUN("hook", "pre-install", "--target-aware", "yes"), 5);
    cr_assert_eq(RUN("factory-reset", "--yes"), 1);
    exact(&record);
    still(&before);
    OK(idm_device_delete(&device, "/config/fill"));
    boot(0);
    status_is("tpm", "tpm-dual", "config-dir-volatile");
    cr_assert_eq(RUN("hook", "pre-install", "--target-aware", "yes"), 0);
    still(&before);
    drop(&record);
}

Test(input_mounts, full_run_changes_no_identity)
{
    struct idm_device_identity before;

    open_device(NULL);
    boot(0);
    before = active();
    mount_small("/run", "size=128k,mode=755");
    shell(0, FILL("/run"));
    cr_assert_eq(RUN("boot"), 0);
    OK(idm_device_delete(&device, "/run/fill"));
    cr_assert_eq(RUN("boot"), 0);
    status_is("tpm", "tpm-dual", "");
    still(&before);
}

/* ---- sign ---- */

static void signs(const char *digest, const char *message)
{
    shell(0,
          "%s > message; " RUN_IT " sign --digest %s --in message --out signature;" RUN_IT
          " sign --digest %s < message > other;" RUN_IT
          " cert show | openssl x509 -noout -pubkey > key.pem;"
          "openssl dgst -%s -verify key.pem -signature signature message;"
          "openssl dgst -%s -verify key.pem -signature other message;"
          "echo more >> message; ! openssl dgst -%s -verify key.pem -signature other message",
          message, digest, digest, digest, digest, digest);
}

static void signs_everything(void)
{
    signs("sha256", "printf ''");
    signs("sha384", "printf x");
    signs("sha512", "printf idmod");
    signs("sha256", "printf 'IDMODE x'");
    signs("sha256", "head -c 1048576 /dev/urandom");
}

static void refuses_labels(void)
{
    shell(0,
          "for text in 'idmode ' 'idmode proof of possession v1' 'idmode x'; do "
          "  code=0; printf '%%s' \"$text\" | " RUN_IT " sign > out 2> err || code=$?;"
          "  test $code = 1; test ! -s out; test $(wc -l < err) = 1;"
          "done;"
          /* byte by byte: the label must be found across short reads */
          "code=0; (for c in i d m o d e ' ' x; do printf '%%s' \"$c\"; sleep 0.01; done) |" RUN_IT
          " sign > out 2> err || code=$?; test $code = 1; test ! -s out");
}

Test(input_process, sign_with_the_tpm_key)
{
    open_device(NULL);
    boot(0);
    signs_everything();
    refuses_labels();
}

Test(input_process, sign_with_the_software_key)
{
    open_device(&(struct idm_device_options){.without_tpm = true});
    boot(0);
    signs_everything();
    refuses_labels();
}

Test(input_process, sign_that_cannot_write_or_read_says_so)
{
    open_device(NULL);
    boot(0);
    cr_assert_eq(RUN("sign", "--in", "/nowhere/file"), 5);
    cr_assert_eq(RUN("sign", "--out", "/nowhere/file"), 5);
    cr_assert_eq(RUN("sign", "--in", "/"), 5);
    shell(5, RUN_IT " sign < /dev/null > /dev/full");
    shell(5, RUN_IT " cert show > /dev/full");
    shell(5, RUN_IT " status --json > /dev/full");
}

Test(input_process, sign_while_held_or_before_boot_is_exit_3)
{
    open_device(NULL);
    cr_assert_eq(RUN("sign"), 3);
    boot(0);
    cr_assert_eq(RUN("sign"), 0);
    OK(idm_device_write_text(&device, "/sys/class/dmi/id/product_serial", "ANOTHER\n"));
    boot(3);
    cr_assert_eq(RUN("sign"), 3);
    cr_assert_eq(RUN("cert", "show"), 3);
}
