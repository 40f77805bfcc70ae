/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/store/store.h"
#include "tests/unit/store_scratch.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>

static struct idm_settings settings;
static struct idm_store *store;
static struct idm_error err;

/* The store's own calls to fsync, fchmod and renameat come here: the program's symbols stand before
 * libc's.
 */
static int fsync_calls, fsync_errno;
static bool garble; /* the storage forgets a bit between write and rename */

int fsync(int fd)
{
    fsync_calls++;
    if (fsync_errno) {
        errno = fsync_errno;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

static int fchmod_errno;

int fchmod(int fd, mode_t mode)
{
    if (fchmod_errno) {
        errno = fchmod_errno;
        return -1;
    }
    return (int)syscall(SYS_fchmod, fd, mode);
}

int renameat(int old_dir, const char *old_name, int new_dir, const char *new_name)
{
    if (garble) {
        int fd = openat(old_dir, old_name, O_WRONLY | O_CLOEXEC);
        cr_assert_eq(pwrite(fd, "X", 1, 0), 1);
        cr_assert_eq(close(fd), 0);
    }
    return (int)syscall(SYS_renameat2, old_dir, old_name, new_dir, new_name, 0);
}

static void set_up(void)
{
    scratch_make();
    make_dir("/config");
    make_dir("/persist");
    memset(&settings, 0, sizeof settings);
    (void)snprintf(settings.config_dir, sizeof settings.config_dir, "/config");
    (void)snprintf(settings.persist_dir, sizeof settings.persist_dir, "/persist");
    cr_assert_eq(idm_store_open(&store, root, &settings, &err), 0, "%s", err.why);
}

static void tear_down(void)
{
    idm_store_close(store);
    scratch_remove();
}

TestSuite(store_file, .init = set_up, .fini = tear_down, .timeout = 60);

/* The store holds its root open, and with it the mounts that it sees. */
static void own_mounts_and_store(void)
{
    own_mounts();
    idm_store_close(store);
    cr_assert_eq(idm_store_open(&store, root, &settings, &err), 0, "%s", err.why);
}

static int write_text(enum idm_file file, const char *text)
{
    err = (struct idm_error){0};
    return idm_store_write(store, file, text, strlen(text), &err);
}

static int read_code(enum idm_file file)
{
    _cleanup_bytes_ struct idm_bytes b = {0};
    err = (struct idm_error){0};
    int r = idm_store_read(store, file, &b, &err);
    cr_expect(r == 0 || b.data == NULL, "output touched on failure");
    return r;
}

static const struct {
    enum idm_place place;
    const char *name;
    mode_t mode;
} expected[IDM_FILE_COUNT] = {
#define ROW(file, place, name, mode) [file] = {place, name, mode},
    IDM_FILES(ROW)
#undef ROW
};

static const char *const directories[IDM_PLACES] = {
    "/config", "/config/idmode", "/persist", "/persist/idmode", "/persist/config", "/run/idmode",
};

static void write_all_files(mode_t mask)
{
    mode_t before = umask(mask);
    for (int f = 0; f < IDM_FILE_COUNT; f++) {
        char path[256], text[64];
        _cleanup_bytes_ struct idm_bytes b = {0};
        (void)snprintf(path, sizeof path, "%s/%s", directories[expected[f].place],
                       expected[f].name);
        (void)snprintf(text, sizeof text, "content of %d", f);
        cr_assert_eq(write_text((enum idm_file)f, text), 0, "%s: %s", path, err.why);
        cr_expect(holds(path, text), "%s", path);
        cr_expect_eq(mode_of(path), expected[f].mode, "%s: mode %o", path, mode_of(path));
        cr_assert_eq(idm_store_read(store, (enum idm_file)f, &b, &err), 0);
        cr_expect_str_eq((const char *)b.data, text);
    }
    (void)umask(before);
    cr_expect_eq(mode_of("/persist/idmode"), 0700);
    cr_expect_eq(mode_of("/config/idmode"), 0755);
    cr_expect_eq(mode_of("/persist/config"), 0755);
    cr_expect_eq(mode_of("/run/idmode"), 0755);
}

Test(store_file, every_file_has_its_place_and_mode_under_umask_0)
{
    write_all_files(0);
}

Test(store_file, every_file_has_its_place_and_mode_under_umask_077)
{
    write_all_files(077);
}

Test(store_file, empty_file_and_largest_file)
{
    static uint8_t big[IDM_BYTES_MAX + 1];
    _cleanup_bytes_ struct idm_bytes b = {0};
    memset(big, 'k', sizeof big);
    cr_assert_eq(idm_store_write(store, IDM_F_HISTORY, NULL, 0, &err), 0);
    cr_assert_eq(idm_store_read(store, IDM_F_HISTORY, &b, &err), 0);
    cr_expect_eq(b.size, 0);
    cr_assert_eq(idm_store_write(store, IDM_F_HISTORY, big, IDM_BYTES_MAX, &err), 0);
    cr_assert_eq(idm_store_read(store, IDM_F_HISTORY, &b, &err), 0);
    cr_expect_eq(b.size, IDM_BYTES_MAX);
    cr_expect_eq(idm_store_write(store, IDM_F_HISTORY, big, sizeof big, &err), IDM_E_USAGE);
    put_bytes("/persist/idmode/history", big, sizeof big);
    cr_expect_eq(read_code(IDM_F_HISTORY), IDM_E_CORRUPT);
}

Test(store_file, absent_and_not_there)
{
    cr_expect_eq(read_code(IDM_F_CONFIG_CERT), IDM_E_ABSENT);
    cr_expect_eq(read_code(IDM_F_CONFIG_RECORD), IDM_E_UNREADABLE);
    cr_expect_str_eq(err.why, "its directory: it is not there");
    cr_assert_eq(rmdir(at("/config")), 0);
    cr_expect_eq(read_code(IDM_F_CONFIG_CERT), IDM_E_UNREADABLE);
    cr_expect_eq(write_text(IDM_F_CONFIG_CERT, "x"), IDM_E_STORAGE);
    cr_expect_eq(idm_store_remove(store, IDM_F_CONFIG_CERT, &err), IDM_E_STORAGE);
    cr_expect_not(there("/config"));
}

static void plant_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", at(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(close(fd), 0);
}

/* What may lie where the certificate belongs. */
static void plant(int what)
{
    const char *path = at("/config/device.cert.pem");
    put("/elsewhere", "stranger");
    (void)unlink(path);
    (void)rmdir(path);
    switch (what) {
    case 0:
        cr_assert_eq(symlink("../elsewhere", path), 0);
        break;
    case 1:
        cr_assert_eq(symlink("/persist", path), 0);
        break;
    case 2:
        cr_assert_eq(symlink("nowhere", path), 0);
        break;
    case 3:
        cr_assert_eq(symlink("/etc/passwd", path), 0);
        break;
    case 4:
        cr_assert_eq(mkfifo(path, 0644), 0);
        break;
    case 5:
        plant_socket("/config/device.cert.pem");
        break;
    case 6:
        if (mknod(path, S_IFCHR | 0644, makedev(1, 3)) == 0)
            break;
        cr_assert_eq(mkfifo(path, 0644), 0);
        break;
    default:
        cr_assert_eq(mkdir(path, 0755), 0);
        break;
    }
}

Test(store_file, only_regular_files_are_read)
{
    static const char *const why[] = {
        "a symbolic link is in its place", "a symbolic link is in its place",
        "a symbolic link is in its place", "a symbolic link is in its place",
        "a FIFO is in its place",          "a socket is in its place",
        "a device is in its place",        "a directory is in its place",
    };
    for (int what = 0; what < 8; what++) {
        plant(what);
        cr_expect_eq(read_code(IDM_F_CONFIG_CERT), IDM_E_UNREADABLE, "%d", what);
        cr_expect(strcmp(err.why, why[what]) == 0 || what == 6, "%d: %s", what, err.why);
    }
}

Test(store_file, a_write_replaces_what_is_planted_and_touches_nothing_else)
{
    for (int what = 0; what < 7; what++) {
        plant(what);
        cr_expect_eq(write_text(IDM_F_CONFIG_CERT, "ours"), 0, "%d: %s", what, err.why);
        cr_expect(holds("/config/device.cert.pem", "ours"), "%d", what);
        cr_expect(holds("/elsewhere", "stranger"), "%d", what);
        cr_expect_not(there("/config/nowhere"));
    }
    plant(7);
    cr_expect_eq(write_text(IDM_F_CONFIG_CERT, "ours"), IDM_E_STORAGE);
    cr_expect_not(there("/config/.device.cert.pem.tmp"));
    cr_expect_eq(idm_store_remove(store, IDM_F_CONFIG_CERT, &err), IDM_E_STORAGE);
}

Test(store_file, a_hard_link_keeps_its_content)
{
    put("/elsewhere", "stranger");
    cr_assert_eq(link(at("/elsewhere"), at("/config/device.key.pem")), 0);
    cr_expect_eq(read_code(IDM_F_CONFIG_KEY), 0);
    cr_expect_eq(write_text(IDM_F_CONFIG_KEY, "ours"), 0);
    cr_expect(holds("/elsewhere", "stranger"));
    cr_assert_eq(unlink(at("/config/device.key.pem")), 0);
    cr_assert_eq(link(at("/elsewhere"), at("/config/device.key.pem")), 0);
    cr_expect_eq(idm_store_remove(store, IDM_F_CONFIG_KEY, &err), 0);
    cr_expect_not(there("/config/device.key.pem"));
    cr_expect(holds("/elsewhere", "stranger"));
}

Test(store_file, our_own_directory_is_never_a_link)
{
    make_dir("/stranger");
    cr_assert_eq(symlink("../stranger", at("/persist/idmode")), 0);
    cr_expect_eq(write_text(IDM_F_PERSIST_RECORD, "x"), IDM_E_STORAGE);
    cr_expect_str_eq(err.why, "its directory: a link or a file is in its place");
    cr_expect_eq(read_code(IDM_F_PERSIST_RECORD), IDM_E_UNREADABLE);
    cr_expect_eq(idm_store_remove(store, IDM_F_PERSIST_RECORD, &err), IDM_E_STORAGE);
    cr_expect_not(there("/stranger/record"));
}

Test(store_file, the_configured_directory_may_be_a_link_but_not_out_of_the_root)
{
    make_dir("/mnt/config");
    cr_assert_eq(rmdir(at("/config")), 0);
    cr_assert_eq(symlink("/mnt/config", at("/config")), 0);
    cr_expect_eq(write_text(IDM_F_CONFIG_RECORD, "absolute"), 0, "%s", err.why);
    cr_expect(holds("/mnt/config/idmode/record", "absolute"));
    cr_assert_eq(unlink(at("/config")), 0);
    cr_assert_eq(symlink("../../../../../../mnt/config", at("/config")), 0);
    cr_expect_eq(idm_store_place_state(store, IDM_CONFIG), IDM_PLACE_PROVEN);
    cr_expect_eq(write_text(IDM_F_CONFIG_CERT, "clamped"), 0, "%s", err.why);
    cr_expect(holds("/mnt/config/device.cert.pem", "clamped"));
    cr_assert_eq(unlink(at("/config")), 0);
    cr_assert_eq(symlink("/proc/self/root/tmp", at("/config")), 0);
    cr_expect_eq(idm_store_place_state(store, IDM_CONFIG), IDM_PLACE_UNREADABLE);
    cr_expect_eq(write_text(IDM_F_CONFIG_CERT, "out"), IDM_E_STORAGE);
}

/* A directory is opened when it is proven, or first used, and kept until it is proven again or gone. */
Test(store_file, what_was_proven_is_what_is_used)
{
    make_dir("/mnt/a/idmode");
    make_dir("/mnt/b");
    cr_assert_eq(rmdir(at("/config")), 0);
    cr_assert_eq(symlink("/mnt/a", at("/config")), 0);
    cr_expect_eq(idm_store_place_state(store, IDM_CONFIG_OURS), IDM_PLACE_PROVEN);
    cr_assert_eq(unlink(at("/config")), 0);
    cr_assert_eq(symlink("/mnt/b", at("/config")), 0);
    cr_expect_eq(write_text(IDM_F_CONFIG_RECORD, "proven"), 0, "%s", err.why);
    cr_expect_eq(write_text(IDM_F_CONFIG_CERT, "proven"), 0, "%s", err.why);
    cr_expect(holds("/mnt/a/idmode/record", "proven"));
    cr_expect(holds("/mnt/a/device.cert.pem", "proven"));
    cr_expect_not(there("/mnt/b/device.cert.pem"));
    cr_expect_eq(idm_store_place_state(store, IDM_CONFIG_OURS), IDM_PLACE_MISSING);
    cr_expect_eq(read_code(IDM_F_CONFIG_RECORD), IDM_E_UNREADABLE);
    cr_expect_eq(write_text(IDM_F_CONFIG_RECORD, "again"), 0, "%s", err.why);
    cr_expect(holds("/mnt/b/idmode/record", "again"));
    /* let go: looked for again, on the same file system */
    cr_assert_eq(unlink(at("/config")), 0);
    cr_assert_eq(symlink("/mnt/a", at("/config")), 0);
    idm_store_let_go(store);
    cr_expect_eq(write_text(IDM_F_CONFIG_RECORD, "found"), 0, "%s", err.why);
    cr_expect(holds("/mnt/a/idmode/record", "found"));
    cr_assert_eq(unlink(at("/config")), 0);
    cr_assert_eq(symlink("/mnt/b", at("/config")), 0);
    idm_store_let_go(store);
    cr_expect_eq(write_text(IDM_F_CONFIG_RECORD, "again"), 0, "%s", err.why);
    /* removed under our feet: made anew */
    cr_assert_eq(unlink(at("/mnt/b/idmode/record")), 0);
    cr_assert_eq(rmdir(at("/mnt/b/idmode")), 0);
    cr_expect_eq(write_text(IDM_F_CONFIG_RECORD, "once more"), 0, "%s", err.why);
    cr_expect(holds("/mnt/b/idmode/record", "once more"));
}

/* While the chip is waited for nothing keeps a file system mounted. What is found in its place afterwards is
 * another one that nobody has proven, and gets no key. */
Test(store_file, what_was_unmounted_after_its_proof_is_not_replaced_by_what_lies_below)
{
    own_mounts_and_store();
    mount_tmpfs("/persist", "size=1m");
    cr_expect_eq(idm_store_place_state(store, IDM_PERSIST_OURS), IDM_PLACE_MISSING);
    cr_expect_eq(write_text(IDM_F_PERSIST_KEY, "on the medium"), 0, "%s", err.why);
    idm_store_let_go(store);
    cr_expect_eq(write_text(IDM_F_PERSIST_KEY, "and again"), 0, "%s", err.why);
    cr_expect(holds("/persist/idmode/legacy.key.pem", "and again"));
    idm_store_let_go(store);
    cr_assert_eq(umount(at("/persist")), 0);
    cr_expect_eq(write_text(IDM_F_PERSIST_KEY, "below"), IDM_E_STORAGE);
    cr_expect_str_eq(err.why, "its directory: another file system is there than before");
    cr_expect_eq(read_code(IDM_F_PERSIST_KEY), IDM_E_UNREADABLE);
    cr_expect_eq(idm_store_remove(store, IDM_F_PERSIST_KEY, &err), IDM_E_STORAGE);
    cr_expect_not(there("/persist/idmode"));
    cr_assert_eq(rmdir(at("/persist")), 0);
    cr_expect_eq(write_text(IDM_F_PERSIST_KEY, "nowhere"), IDM_E_STORAGE);
    cr_expect_eq(idm_store_remove(store, IDM_F_PERSIST_KEY, &err), IDM_E_STORAGE);
    make_dir("/persist");
    cr_expect_eq(idm_store_place_state(store, IDM_PERSIST_OURS), IDM_PLACE_MISSING);
    cr_expect_eq(write_text(IDM_F_PERSIST_KEY, "proven anew"), 0, "%s", err.why);
}

/* Of one device there are two mounts then: only the mount's number tells them apart. */
Test(store_file, nor_is_a_bind_mount_from_the_same_device)
{
    own_mounts_and_store();
    make_dir("/disk");
    make_dir("/persist/idmode");
    cr_assert_eq(mount(at("/disk"), at("/persist"), NULL, MS_BIND, NULL), 0);
    cr_expect_eq(write_text(IDM_F_PERSIST_KEY, "on the disk"), 0, "%s", err.why);
    idm_store_let_go(store);
    cr_assert_eq(umount(at("/persist")), 0);
    cr_expect_eq(write_text(IDM_F_PERSIST_KEY, "below"), IDM_E_STORAGE);
    cr_expect_not(there("/persist/idmode/legacy.key.pem"));
}

Test(store_file, our_own_directory_may_be_the_one_that_was_unmounted)
{
    own_mounts_and_store();
    make_dir("/persist");
    mount_tmpfs("/persist/idmode", "size=1m");
    cr_expect_eq(idm_store_place_state(store, IDM_PERSIST_OURS), IDM_PLACE_PROVEN);
    idm_store_let_go(store);
    cr_assert_eq(umount(at("/persist/idmode")), 0);
    cr_expect_eq(write_text(IDM_F_PERSIST_KEY, "below"), IDM_E_STORAGE);
    cr_expect_not(there("/persist/idmode/legacy.key.pem"));
    cr_assert_eq(rmdir(at("/persist/idmode")), 0);
    cr_expect_eq(write_text(IDM_F_PERSIST_KEY, "made"), IDM_E_STORAGE);
    cr_expect_not(there("/persist/idmode"));
}

/* ---- power cuts -------------------------------------------------------------------------------*/

Test(store_file, leftovers_of_a_cut_go_with_the_next_change)
{
    put("/elsewhere", "stranger");
    make_dir("/persist/idmode");
    put("/persist/idmode/.legacy.key.pem.tmp", "half a private key");
    put("/config/.device.cert.pem.tmp", "half a certificate");
    cr_assert_eq(symlink("/elsewhere", at("/config/.device.key.pem.tmp")), 0);
    int key = open(at("/persist/idmode/.legacy.key.pem.tmp"), O_RDONLY | O_CLOEXEC);
    cr_expect_eq(write_text(IDM_F_MARKER, "tpm\n"), 0);
    cr_expect_not(there("/persist/idmode/.legacy.key.pem.tmp"));
    cr_expect_not(there("/config/.device.cert.pem.tmp"));
    cr_expect_not(there("/config/.device.key.pem.tmp"));
    cr_expect(holds("/elsewhere", "stranger"));
    char bytes[18] = {1};
    cr_expect_eq(read(key, bytes, sizeof bytes), (ssize_t)sizeof bytes);
    cr_expect_eq(bytes[0], 0, "the key's bytes are still on the medium");
    cr_assert_eq(close(key), 0);
}

Test(store_file, a_temp_file_in_the_way_is_replaced)
{
    cr_expect_eq(write_text(IDM_F_CONFIG_CERT, "one"), 0);
    put("/elsewhere", "stranger");
    cr_assert_eq(symlink("/elsewhere", at("/config/.device.cert.pem.tmp")), 0);
    cr_expect_eq(write_text(IDM_F_CONFIG_CERT, "two"), 0);
    cr_expect(holds("/config/device.cert.pem", "two"));
    cr_expect(holds("/elsewhere", "stranger"));
    cr_assert_eq(mkdir(at("/config/.device.cert.pem.tmp"), 0755), 0);
    cr_expect_eq(write_text(IDM_F_CONFIG_CERT, "three"), IDM_E_STORAGE);
    cr_expect(holds("/config/device.cert.pem", "two"));
}

Test(store_file, sync_errors_are_errors_and_leave_the_old_file)
{
    cr_assert_eq(write_text(IDM_F_PERSIST_RECORD, "old"), 0);
    fsync_errno = EIO;
    cr_expect_eq(write_text(IDM_F_PERSIST_RECORD, "new"), IDM_E_STORAGE);
    cr_expect_eq(err.foreign, (unsigned long)EIO);
    fsync_errno = ENOSPC;
    cr_expect_eq(write_text(IDM_F_PERSIST_RECORD, "new"), IDM_E_FULL);
    fsync_errno = 0;
    cr_expect(holds("/persist/idmode/record", "old"));
    cr_expect_not(there("/persist/idmode/.record.tmp"));
}

Test(store_file, durable_places_sync_file_and_directory_and_run_does_not)
{
    cr_assert_eq(write_text(IDM_F_PERSIST_RECORD, "a"), 0);
    fsync_calls = 0;
    cr_assert_eq(write_text(IDM_F_PERSIST_RECORD, "b"), 0);
    cr_expect_eq(fsync_calls, 2);
    cr_assert_eq(write_text(IDM_F_CONFIG_RECORD, "b"), 0);
    cr_expect_eq(fsync_calls, 5, "a new directory needs its parent synced");
    cr_assert_eq(write_text(IDM_F_RUN_MODE, "tpm"), 0);
    cr_assert_eq(idm_store_remove(store, IDM_F_RUN_MODE, &err), 0);
    cr_expect_eq(fsync_calls, 5);
    cr_assert_eq(idm_store_remove(store, IDM_F_PERSIST_RECORD, &err), 0);
    cr_expect_eq(fsync_calls, 6);
}

Test(store_file, fat_refuses_modes)
{
    fchmod_errno = EPERM;
    cr_expect_eq(write_text(IDM_F_CONFIG_KEY, "key"), 0, "%s", err.why);
    cr_expect_eq(write_text(IDM_F_CONFIG_RECORD, "record"), 0, "%s", err.why);
    cr_expect_eq(mode_of("/config/device.key.pem") & 077, 0, "never wider than it should be");
    fchmod_errno = EIO;
    cr_expect_eq(write_text(IDM_F_CONFIG_CERT, "x"), IDM_E_STORAGE);
    cr_expect_not(there("/config/.device.cert.pem.tmp"));
    cr_expect_not(there("/config/device.cert.pem"));
}

Test(store_file, what_the_storage_garbles_is_seen)
{
    garble = true;
    cr_expect_eq(write_text(IDM_F_PERSIST_RECORD, "record"), IDM_E_STORAGE);
    cr_expect_str_eq(err.why, "other bytes are read back than were written");
}

/* ---- remove -----------------------------------------------------------------------------------*/

Test(store_file, remove_is_idempotent)
{
    cr_assert_eq(idm_store_remove(store, IDM_F_PERSIST_RECORD, &err), 0);
    cr_assert_eq(idm_store_remove(store, IDM_F_RUN_MODE, &err), 0);
    cr_assert_eq(write_text(IDM_F_PERSIST_RECORD, "x"), 0);
    cr_assert_eq(idm_store_remove(store, IDM_F_PERSIST_RECORD, &err), 0);
    cr_assert_eq(idm_store_remove(store, IDM_F_PERSIST_RECORD, &err), 0);
    cr_expect_eq(read_code(IDM_F_PERSIST_RECORD), IDM_E_ABSENT);
}

Test(store_file, a_removed_key_is_overwritten)
{
    char bytes[8] = "";
    cr_assert_eq(write_text(IDM_F_CONFIG_KEY, "secret!!"), 0);
    int fd = open(at("/config/device.key.pem"), O_RDONLY | O_CLOEXEC);
    cr_assert_eq(idm_store_remove(store, IDM_F_CONFIG_KEY, &err), 0);
    cr_assert_eq(read(fd, bytes, sizeof bytes), (ssize_t)sizeof bytes);
    cr_assert_eq(close(fd), 0);
    for (size_t i = 0; i < sizeof bytes; i++)
        cr_expect_eq(bytes[i], 0);
}

/* ---- file systems -----------------------------------------------------------------------------*/

Test(store_file, full_file_system_keeps_the_old_file)
{
    static uint8_t big[128 * 1024];
    own_mounts_and_store();
    mount_tmpfs("/persist", "size=64k");
    cr_assert_eq(write_text(IDM_F_PERSIST_RECORD, "old"), 0, "%s", err.why);
    cr_expect_eq(idm_store_write(store, IDM_F_PERSIST_RECORD, big, sizeof big, &err), IDM_E_FULL);
    cr_expect_str_eq(err.what + strlen("write ") + strlen(root), "/persist/idmode/record");
    cr_expect(holds("/persist/idmode/record", "old"));
    cr_expect_not(there("/persist/idmode/.record.tmp"));
    cr_expect_eq(idm_store_place_room(store, IDM_PERSIST_OURS, sizeof big), IDM_ROOM_FULL);
    cr_expect_eq(idm_store_place_room(store, IDM_PERSIST_OURS, 100), IDM_ROOM_OK);
    cr_expect_eq(idm_store_remove(store, IDM_F_PERSIST_RECORD, &err), 0);
}

Test(store_file, no_inode_left)
{
    own_mounts_and_store();
    mount_tmpfs("/persist", "nr_inodes=3");
    cr_assert_eq(write_text(IDM_F_PERSIST_RECORD, "old"), 0, "%s", err.why);
    cr_expect_eq(write_text(IDM_F_PERSIST_RECORD, "new"), IDM_E_FULL);
    cr_expect(holds("/persist/idmode/record", "old"));
    cr_expect_eq(idm_store_place_room(store, IDM_PERSIST_OURS, 1), IDM_ROOM_FULL);
}

/* ROOT/config: a read-only bind mount of ROOT/disk, which itself is writable. */
static void bind_read_only(void)
{
    make_dir("/disk");
    cr_assert_eq(mount(at("/disk"), at("/config"), NULL, MS_BIND, NULL), 0, "%s", strerror(errno));
    cr_assert_eq(mount(NULL, at("/config"), NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), 0);
}

Test(store_file, read_only_mount_is_said)
{
    own_mounts_and_store();
    bind_read_only();
    put("/disk/device.key.pem", "key");
    cr_expect_eq(write_text(IDM_F_CONFIG_CERT, "x"), IDM_E_READ_ONLY);
    cr_expect_eq(write_text(IDM_F_CONFIG_RECORD, "x"), IDM_E_READ_ONLY);
    cr_expect_eq(idm_store_remove(store, IDM_F_CONFIG_KEY, &err), IDM_E_READ_ONLY);
    cr_expect_eq(idm_store_remove(store, IDM_F_CONFIG_CERT, &err), 0, "absent: %s", err.why);
    cr_expect_eq(idm_store_place_room(store, IDM_CONFIG, 1), IDM_ROOM_READ_ONLY);
    cr_expect_eq(read_code(IDM_F_CONFIG_KEY), 0);
}

Test(store_file, config_remount_opens_a_bind_mount_and_leaves_the_rest_alone)
{
    own_mounts_and_store();
    bind_read_only();
    settings.config_remount = true;
    cr_expect_eq(idm_store_place_room(store, IDM_CONFIG_OURS, 1), IDM_ROOM_OK);
    cr_expect_eq(write_text(IDM_F_CONFIG_CERT, "x"), 0, "%s", err.why);
    cr_expect_eq(write_text(IDM_F_CONFIG_RECORD, "r"), 0, "%s", err.why);
    cr_expect_eq(idm_store_remove(store, IDM_F_CONFIG_CERT, &err), 0, "%s", err.why);
    cr_expect(holds("/disk/idmode/record", "r"));
    cr_expect_not(there("/disk/device.cert.pem"));
    cr_expect_eq(access(at("/config"), W_OK), -1);
    cr_expect_eq(errno, EROFS);
    cr_expect_eq(access(at("/disk"), W_OK), 0);
}

Test(store_file, config_remount_opens_a_file_system)
{
    own_mounts_and_store();
    mount_tmpfs("/config", "size=64k");
    put("/config/.device.key.pem.tmp", "left by a cut");
    cr_assert_eq(mount(NULL, at("/config"), NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID, NULL), 0);
    settings.config_remount = true;
    cr_expect_eq(write_text(IDM_F_CONFIG_CERT, "x"), 0, "%s", err.why);
    cr_expect(holds("/config/device.cert.pem", "x"));
    cr_expect_not(there("/config/.device.key.pem.tmp"));
    cr_expect_eq(access(at("/config"), W_OK), -1);
    cr_expect_eq(errno, EROFS);
}

Test(store_file, config_remount_without_the_right_is_refused)
{
    own_mounts_and_store();
    bind_read_only();
    settings.config_remount = true;
    pid_t child = fork();
    if (child == 0) {
        if (setgid(65534) < 0 || setuid(65534) < 0)
            _exit(2);
        _exit(write_text(IDM_F_CONFIG_CERT, "x") == IDM_E_READ_ONLY && err.todo[0] ? 0 : 1);
    }
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
}

Test(store_file, closed_standard_descriptors_do_not_end_in_a_key_file)
{
    pid_t child = fork();
    if (child == 0) {
        struct idm_store *other = NULL;
        for (int fd = 0; fd <= 2; fd++)
            (void)close(fd);
        if (idm_store_open(&other, root, &settings, NULL) < 0)
            _exit(1);
        int r = idm_store_write(other, IDM_F_CONFIG_KEY, "key", 3, NULL);
        _exit(r < 0 || fcntl(0, F_GETFD) >= 0 || fcntl(1, F_GETFD) >= 0 || fcntl(2, F_GETFD) >= 0);
    }
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
    cr_expect(holds("/config/device.key.pem", "key"));
}
