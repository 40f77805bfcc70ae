/* SPDX-License-Identifier: BSD-2-Clause */
/* config and persist as small ext4 file systems of their own, as on a device: full, without an inode
 * left, read-only. tmpfs, which other tests mount, has no journal, no inode table and no reserve. */
#include "tests/life/life_device.h"

#include <sched.h>
#include <sys/mount.h>

static void unmount_all(void)
{
    static const char *const dirs[] = {"/config", "/persist"};

    for (size_t i = 0; i < 2; i++) {
        char real[IDM_DEVICE_PATH_SIZE];

        idm_device_path(&device, dirs[i], real);
        umount2(real, MNT_DETACH);
    }
    close_device();
}

TestSuite(ext4, .timeout = 120, .init = use_memory, .fini = unmount_all);

/* Mounts are this test's own, and go with its process. */
static void mount_images(const char *mkfs_options)
{
    _cleanup_run_ struct idm_run run = {0};

    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        cr_skip_test("no mount namespace here");
    const char *const command[] = {
        "sh",
        "-c",
        "cd $1; for d in config persist; do truncate -s 4M $d.img &&"
        "  mkfs.ext4 -q -m 0 $2 $d.img && mount -o loop $d.img root/$d || exit 1;"
        "  rmdir root/$d/lost+found; done",
        "sh",
        device.base,
        mkfs_options,
        NULL};
    cr_assert_eq(idm_run(&run, NULL, command), 0);
    if (run.exit_code != 0)
        cr_skip_test("no loop-mounted ext4 here: %s", run.err);
}

#define REMOUNT(how) "for d in config persist; do mount -o remount," how " $ROOT/$d; done"
/* The last block, or the last inode. */
#define FILL                                                                                       \
    "for d in config persist; do (cd $ROOT/$d; cat /dev/zero > fill; touch $(seq -f many-%%g "     \
    "300))"                                                                                        \
    " 2> /dev/null || true; done"
#define EMPTY "rm -f $ROOT/config/fill $ROOT/config/many-* $ROOT/persist/fill $ROOT/persist/many-*"

static const char *const kinds[] = {"-b 1024", "-b 4096", "-b 1024 -N 64"};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

Test(ext4, a_whole_life)
{
    open_device(&(struct idm_device_options){.conf = NO_OTHER_SLOT});
    mount_images("");
    boot(0);
    status_is("tpm", "tpm", "");
    struct idm_device_identity before = active();
    cr_assert_eq(RUN("hook", "pre-install", "--target-aware", "no"), 0);
    legacy_pair();
    cr_assert_eq(RUN("factory-reset", "--yes"), 0);
    boot(0);
    cr_assert_str_neq(active().spki_sha256, before.spki_sha256);
    shell(0, "umount $ROOT/config $ROOT/persist; for d in config persist; do"
             " e2fsck -fn $d.img > /dev/null 2>&1; mount -o loop $d.img $ROOT/$d; done");
    before = active();
    boot(0);
    still(&before);
}

Test(ext4, full_file_systems_at_first_use_begin_nothing)
{
    for (size_t i = 0; i < KINDS; i++) {
        open_device(NULL);
        mount_images(kinds[i]);
        shell(0, FILL);
        boot(3);
        status_is("none", "none", "storage-full");
        cr_assert_not(idm_device_exists(&device, CONFIG_CERT));
        cr_assert_not(idm_device_exists(&device, CONFIG_KEY));
        shell(0, EMPTY);
        boot(0);
        status_is("tpm", "tpm-dual", "");
        legacy_pair();
        unmount_all();
    }
}

Test(ext4, full_file_systems_later_take_nothing_away)
{
    for (size_t i = 0; i < KINDS; i++) {
        open_device(NULL);
        mount_images(kinds[i]);
        boot(0);
        struct idm_device_identity before = active(), pair = legacy_pair();
        shell(0, FILL);
        boot(0);
        status_is("tpm", "tpm-dual", "");
        still(&before);
        cr_assert_eq(RUN("factory-reset", "--yes"), 1, "%s", device.said);
        /* its exact bytes return, or are due until there is room: never another pair */
        OK(idm_device_delete(&device, CONFIG_CERT));
        boot(0);
        still(&before);
        shell(0, EMPTY);
        boot(0);
        status_is("tpm", "tpm-dual", "");
        still(&before);
        cr_assert_str_eq(legacy_pair().cert_sha256, pair.cert_sha256);
        cr_assert_eq(status_epoch(), 1);
        unmount_all();
    }
}

Test(ext4, read_only_file_systems_at_first_use_begin_nothing)
{
    open_device(NULL);
    mount_images("");
    shell(0, REMOUNT("ro"));
    boot(3);
    status_is("none", "none", "storage-read-only");
    shell(0, REMOUNT("rw"));
    boot(0);
    status_is("tpm", "tpm-dual", "");
}

Test(ext4, read_only_file_systems_later_take_nothing_away)
{
    open_device(NULL);
    mount_images("");
    boot(0);
    struct idm_device_identity before = active(), pair = legacy_pair();
    OK(idm_device_delete(&device, CONFIG_KEY));
    OK(idm_device_delete(&device, PERSIST_TSS2));
    shell(0, REMOUNT("ro"));
    boot(0);
    still(&before);
    cr_assert_eq(RUN("factory-reset", "--yes"), 1, "%s", device.said);
    shell(0, REMOUNT("rw"));
    boot(0);
    status_is("tpm", "tpm-dual", "");
    still(&before);
    cr_assert_str_eq(legacy_pair().cert_sha256, pair.cert_sha256);
}

/* As `errors=remount-ro` leaves it in the middle of everything: half of what was to be done is done. */
Test(ext4, a_file_system_that_turns_read_only_is_no_other_identity)
{
    open_device(NULL);
    mount_images("");
    boot(0);
    struct idm_device_identity before = active();
    shell(0, "mount -o remount,ro $ROOT/config");
    cr_assert_eq(RUN("factory-reset", "--yes"), 1, "%s", device.said);
    still(&before);
    shell(0, "mount -o remount,rw $ROOT/config; mount -o remount,ro $ROOT/persist");
    cr_assert_eq(RUN("factory-reset", "--yes"), 1, "%s", device.said);
    boot(0);
    still(&before);
}
