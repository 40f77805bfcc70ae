/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/store/place.h"

#include <sys/mount.h>
#include <sys/statvfs.h>

static const struct {
    unsigned long statvfs_flag, mount_flag;
} kept[] = {
    {ST_NOSUID, MS_NOSUID},   {ST_NODEV, MS_NODEV},           {ST_NOEXEC, MS_NOEXEC},
    {ST_NOATIME, MS_NOATIME}, {ST_NODIRATIME, MS_NODIRATIME}, {ST_RELATIME, MS_RELATIME},
};

static bool is_read_only(int fd)
{
    struct statvfs fs;
    return fstatvfs(fd, &fs) == 0 && (fs.f_flag & ST_RDONLY);
}

static unsigned long flags_to_keep(int fd)
{
    struct statvfs fs;
    unsigned long flags = 0;
    if (fstatvfs(fd, &fs) < 0)
        return 0;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (fs.f_flag & kept[i].statvfs_flag)
            flags |= kept[i].mount_flag;
    return flags;
}

static int remount(int fd, unsigned long flags)
{
    /* by descriptor: the path was resolved below the root once, and mount(2) knows no root */
    char path[40];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return mount(NULL, path, NULL, MS_REMOUNT | flags, NULL);
}

/* Opens the mount alone first: of a read-only bind mount the file system behind it is writable, and
 * may be the machine's root, which must not become read-only afterwards. */
static int open_mount(int fd, unsigned long *ret_restore)
{
    unsigned long keep = flags_to_keep(fd);
    bool bind = remount(fd, MS_BIND | keep) == 0;
    if (bind && !is_read_only(fd)) {
        *ret_restore = MS_BIND | MS_RDONLY | keep;
        return 0;
    }
    if (remount(fd, keep) == 0 && !is_read_only(fd)) {
        *ret_restore = MS_RDONLY | keep;
        return 0;
    }
    int failed = errno;
    if (bind)
        (void)remount(fd, MS_BIND | MS_RDONLY | keep);
    return -failed;
}

int idm_remount_begin(struct idm_store *store, enum idm_place place, struct idm_remount *ret,
                      struct idm_error *err)
{
    if (!store->settings->config_remount || idm_place_base(place) != IDM_CONFIG)
        return 0;
    int dir = idm_place_dir(store, IDM_CONFIG, false);
    /* not there, writable, or not a mount of its own: the change itself says what is wrong */
    if (dir < 0 || !is_read_only(dir) || !idm_place_fd_is_mount(dir))
        return 0;
    unsigned long restore = 0;
    int fd = fcntl(dir, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int r = fd < 0 ? -errno : open_mount(fd, &restore);
    if (r < 0) {
        char what[160] = "remount read-write ";
        idm_close_fd(&fd);
        size_t used = strlen(what);
        idm_place_path(store, IDM_CONFIG, NULL, what + used, sizeof what - used);
        (void)idm_fail(err, IDM_E_READ_ONLY, what, "%s", strerror(-r));
        if (err)
            err->foreign = (unsigned long)-r;
        (void)idm_advise(err, "run as root with the right to mount, or mount it read-write");
        return IDM_E_READ_ONLY;
    }
    *ret = (struct idm_remount){.fd = fd, .flags = restore};
    return 0;
}

void idm_remount_end(struct idm_remount *remount_)
{
    if (remount_->fd < 0)
        return;
    /* Busy, because somebody else has a file open for writing there: the change is durable all the
     * same, and the next one finds nothing to open. */
    (void)remount(remount_->fd, remount_->flags);
    idm_close_fd(&remount_->fd);
}
