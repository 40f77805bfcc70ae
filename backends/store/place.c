/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/store/place.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

/* idmode's own directories: the last component, made when missing, never reached through a link */
static const struct {
    enum idm_place base;
    const char *name; /* NULL: the directory is the machine's, not ours */
    mode_t mode;
} places[IDM_PLACES] = {
    [IDM_CONFIG] = {IDM_CONFIG, NULL, 0},
    [IDM_CONFIG_OURS] = {IDM_CONFIG, "idmode", 0755},
    [IDM_PERSIST] = {IDM_PERSIST, NULL, 0},
    [IDM_PERSIST_OURS] = {IDM_PERSIST, "idmode", 0700},
    [IDM_MARKER_DIR] = {IDM_PERSIST, "config", 0755},
    [IDM_RUN] = {IDM_RUN, "idmode", 0755},
};

enum idm_place idm_place_base(enum idm_place place)
{
    return places[place].base;
}

static const char *base_path(const struct idm_store *store, enum idm_place place)
{
    if (place == IDM_RUN)
        return "/run";
    return places[place].base == IDM_CONFIG ? store->settings->config_dir
                                            : store->settings->persist_dir;
}

void idm_place_path(const struct idm_store *store, enum idm_place place, const char *name,
                    char *ret_path, size_t size)
{
    const char *ours = places[place].name;
    (void)snprintf(ret_path, size, "%s%s%s%s%s%s", store->root, base_path(store, place),
                   ours ? "/" : "", ours ? ours : "", name ? "/" : "", name ? name : "");
}

static int open_base(int root_fd, const char *path)
{
    /* O_RDONLY, not O_PATH: an automount point is mounted by being opened */
    int fd = idm_inroot_open(root_fd, path, O_RDONLY | O_DIRECTORY);
    return fd < 0 ? -errno : fd;
}

static int open_own(int parent, const char *name)
{
    int fd =
        idm_fd_above_stdio(openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    return fd < 0 ? -errno : fd;
}

static int make_own(int parent, const char *name, mode_t mode, bool durable)
{
    if (mkdirat(parent, name, mode) < 0)
        return errno == EEXIST ? open_own(parent, name) : -errno;
    int fd = open_own(parent, name);
    if (fd < 0)
        return fd;
    /* the umask may have taken bits; FAT refuses, and has none to set */
    int failed = fchmod(fd, mode) < 0 && errno != EPERM && errno != EOPNOTSUPP ? errno : 0;
    if (!failed && durable && fsync(parent) < 0)
        failed = errno;
    if (!failed)
        return fd;
    (void)close(fd);
    return -failed;
}

static int open_or_make(int parent, const char *name, mode_t mode, bool make, bool durable)
{
    int fd = open_own(parent, name);
    if (fd == -ENOENT && make)
        fd = make_own(parent, name, mode, durable);
    return fd;
}

int idm_place_open_run(int root_fd, bool make)
{
    _cleanup_close_ int run = open_base(root_fd, "/run");
    if (run == -ENOENT && make)
        run = make_own(root_fd, "run", 0755, false);
    if (run < 0)
        return run;
    return open_or_make(run, places[IDM_RUN].name, places[IDM_RUN].mode, make, false);
}

static int look(int fd, struct idm_place_seen *ret)
{
    struct statx st;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &st) < 0)
        return -errno;
    *ret = (struct idm_place_seen){.known = true,
                                   .device = makedev(st.stx_dev_major, st.stx_dev_minor),
                                   .inode = st.stx_ino,
                                   .mount = st.stx_mask & STATX_MNT_ID ? st.stx_mnt_id : 0};
    return 0;
}

/* The same directory, or at least the same mount: FAT and overlays give a directory another number when the
 * kernel has forgotten it for want of memory, and an automounter mounts the same file system again. */
static bool lies_where(const struct idm_place_seen *now, const struct idm_place_seen *then)
{
    return now->device == then->device &&
           (now->inode == then->inode || (now->mount && now->mount == then->mount));
}

/* One of ours that somebody removed is made anew, where the file system is still the one that was proven. With
 * a base, or with one of ours that was a mount, its file system has gone. */
static bool may_be_missing(const struct idm_store *store, enum idm_place place)
{
    const struct idm_place_seen *seen = &store->seen[place];
    const struct idm_place_seen *base = &store->seen[places[place].base];
    return !seen->known ||
           (seen != base && seen->device == base->device && seen->mount == base->mount);
}

/* Nothing in /run outlives this boot: wherever it is, that is where the others look. */
static int keep(struct idm_store *store, enum idm_place place, int fd)
{
    struct idm_place_seen now = {0};
    struct idm_place_seen *seen = &store->seen[place];
    idm_close_fd(&store->dirs[place]);
    int failed = fd < 0 || place == IDM_RUN ? 0 : look(fd, &now);
    if (fd == -ENOENT && place != IDM_RUN && !may_be_missing(store, place))
        failed = -ESTALE;
    if (failed == 0 && now.known && seen->known && !lies_where(&now, seen))
        failed = -ESTALE;
    if (failed < 0) {
        idm_close_fd(&fd);
        return failed;
    }
    if (now.known)
        *seen = now;
    store->dirs[place] = fd < 0 ? -1 : fd;
    return fd;
}

/* One that was removed meanwhile is none. */
static bool is_there(int fd)
{
    struct stat st;
    return fd >= 0 && fstat(fd, &st) == 0 && st.st_nlink > 0;
}

static int base_dir(struct idm_store *store, enum idm_place base)
{
    if (is_there(store->dirs[base]))
        return store->dirs[base];
    return keep(store, base, open_base(store->root_fd, base_path(store, base)));
}

int idm_place_dir(struct idm_store *store, enum idm_place place, bool make)
{
    if (is_there(store->dirs[place]))
        return store->dirs[place];
    if (place == IDM_RUN)
        return keep(store, place, idm_place_open_run(store->root_fd, make));
    int base = base_dir(store, places[place].base);
    if (base < 0 || !places[place].name)
        return base;
    return keep(store, place,
                open_or_make(base, places[place].name, places[place].mode,
                             make && may_be_missing(store, place), true));
}

/* Those at and below `base`: they are about to be proven. */
static void forget(struct idm_store *store, enum idm_place base)
{
    for (int place = 0; place < IDM_PLACES; place++) {
        if (places[place].base != base)
            continue;
        idm_close_fd(&store->dirs[place]);
        store->seen[place] = (struct idm_place_seen){0};
    }
}

void idm_store_let_go(struct idm_store *store)
{
    for (int place = 0; place < IDM_PLACES; place++)
        idm_close_fd(&store->dirs[place]);
}

bool idm_place_fd_is_mount(int fd)
{
    struct statx here;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_INO, &here) < 0)
        return false;
    if (here.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT)
        return here.stx_attributes & STATX_ATTR_MOUNT_ROOT;
    /* Before Linux 5.8: another device above, which misses a bind mount from the same one. */
    struct stat self, above;
    return fstat(fd, &self) == 0 && fstatat(fd, "..", &above, 0) == 0 &&
           self.st_dev != above.st_dev;
}

bool idm_store_place_is_mount(struct idm_store *store, enum idm_place place)
{
    int fd = idm_place_dir(store, place, false);
    return fd >= 0 && idm_place_fd_is_mount(fd);
}

/* ---- proof ------------------------------------------------------------------------------------*/

/* Is every declared mount point at or above `path` mounted? */
static bool declared_are_mounted(struct idm_store *store, const char *path)
{
    char normal[IDM_PATH_SIZE];
    if (!idm_mounts_normalise(path, normal))
        return true;
    for (size_t i = 0; i < store->mounts.count; i++) {
        if (!idm_mounts_covers(store->mounts.paths[i], normal))
            continue;
        _cleanup_close_ int fd = open_base(store->root_fd, store->mounts.paths[i]);
        if (fd < 0 || !idm_place_fd_is_mount(fd))
            return false;
    }
    return true;
}

/* Where `fd` lies, seen from the root. */
static bool real_path(const struct idm_store *store, int fd, char ret_path[IDM_PATH_SIZE])
{
    char root[4096], path[4096];
    if (idm_fd_path(store->root_fd, root, sizeof root) < 0 ||
        idm_fd_path(fd, path, sizeof path) < 0)
        return false;
    size_t skip = strcmp(root, "/") == 0 ? 0 : strlen(root);
    if (strncmp(path, root, skip) != 0)
        return false;
    return idm_mounts_normalise(path + skip, ret_path);
}

/* The same for where `fd` really lies: fstab names /mnt/config when /config is a link. */
static bool declared_are_mounted_at(struct idm_store *store, int fd)
{
    char path[IDM_PATH_SIZE];
    return store->mounts.count == 0 || !real_path(store, fd, path) ||
           declared_are_mounted(store, path);
}

static bool mounts_hold_auto(struct idm_store *store, enum idm_place place, int fd)
{
    if (!store->mounts_known) {
        idm_mounts_read(store->root_fd, &store->mounts);
        store->mounts_known = true;
    }
    if (store->mounts.unknown || !declared_are_mounted(store, base_path(store, place)))
        return false;
    return fd < 0 || declared_are_mounted_at(store, fd);
}

/* Is the base directory (fd; negative: not there) the file system that it should be? */
static bool mounts_hold(struct idm_store *store, enum idm_place place, int fd)
{
    bool required = false;
    switch (store->settings->require_mount) {
    case IDM_MOUNT_AUTO:
        return mounts_hold_auto(store, place, fd);
    case IDM_MOUNT_NONE:
        break;
    case IDM_MOUNT_CONFIG:
        required = place == IDM_CONFIG;
        break;
    case IDM_MOUNT_PERSIST:
        required = place == IDM_PERSIST;
        break;
    case IDM_MOUNT_BOTH:
        required = true;
        break;
    }
    return !required || (fd >= 0 && idm_place_fd_is_mount(fd));
}

static bool parent_exists(struct idm_store *store, const char *path)
{
    char parent[IDM_PATH_SIZE];
    if (!idm_mounts_normalise(path, parent))
        return false;
    *strrchr(parent, '/') = 0;
    _cleanup_close_ int fd = open_base(store->root_fd, parent);
    return fd >= 0;
}

static enum idm_place_state base_state(struct idm_store *store, enum idm_place place)
{
    const char *path = base_path(store, place);
    forget(store, place);
    _cleanup_close_ int run = place == IDM_RUN ? open_base(store->root_fd, path) : -1;
    int fd = place == IDM_RUN ? run : idm_place_dir(store, place, false);
    if (fd < 0 && fd != -ENOENT)
        return IDM_PLACE_UNREADABLE;
    if (fd < 0) {
        /* a link that leads nowhere says nothing about what it should lead to */
        _cleanup_close_ int link = idm_inroot_open(store->root_fd, path, O_PATH | O_NOFOLLOW);
        if (link >= 0)
            return IDM_PLACE_UNREADABLE;
    }
    if (place != IDM_RUN && !mounts_hold(store, place, fd))
        return IDM_PLACE_UNPROVEN;
    if (fd >= 0)
        return IDM_PLACE_PROVEN;
    return parent_exists(store, path) ? IDM_PLACE_MISSING : IDM_PLACE_UNPROVEN;
}

enum idm_place_state idm_store_place_state(struct idm_store *store, enum idm_place place)
{
    enum idm_place_state state = base_state(store, places[place].base);
    if (!places[place].name)
        return state;
    if (state != IDM_PLACE_PROVEN)
        return state == IDM_PLACE_UNREADABLE ? state : IDM_PLACE_UNPROVEN;
    int fd = idm_place_dir(store, place, false);
    if (fd == -ENOENT)
        return IDM_PLACE_MISSING;
    if (fd < 0)
        return IDM_PLACE_UNREADABLE;
    /* somebody may have given our directory a file system of its own */
    bool holds = store->settings->require_mount != IDM_MOUNT_AUTO || place == IDM_RUN ||
                 declared_are_mounted_at(store, fd);
    return holds ? IDM_PLACE_PROVEN : IDM_PLACE_UNPROVEN;
}

/* ---- room -------------------------------------------------------------------------------------*/

static int nearest(struct idm_store *store, enum idm_place place)
{
    int fd = idm_place_dir(store, place, false);
    if (fd == -ENOENT && place != places[place].base)
        fd = idm_place_dir(store, places[place].base, false);
    return fd == -ENOENT && place == IDM_RUN ? store->root_fd : fd;
}

enum idm_room idm_store_place_room(struct idm_store *store, enum idm_place place, size_t size)
{
    int fd = nearest(store, place);
    struct statvfs fs;
    if (fd < 0 || fstatvfs(fd, &fs) < 0)
        return IDM_ROOM_READ_ONLY;
    if (fs.f_flag & ST_RDONLY) {
        bool opens = store->settings->config_remount && places[place].base == IDM_CONFIG;
        int base = opens ? idm_place_dir(store, places[place].base, false) : -ENOENT;
        if (base < 0 || !idm_place_fd_is_mount(base))
            return IDM_ROOM_READ_ONLY;
    }
    /* No statistics (some network and FUSE file systems): believed until a write says otherwise. */
    if (fs.f_blocks == 0 || fs.f_frsize == 0)
        return IDM_ROOM_OK;
    /* one block each for a new directory and for a directory that grows */
    fsblkcnt_t needed = (size + fs.f_frsize - 1) / fs.f_frsize + 2;
    bool no_inode = fs.f_files != 0 && fs.f_favail == 0; /* FAT counts no inodes */
    return fs.f_bavail < needed || no_inode ? IDM_ROOM_FULL : IDM_ROOM_OK;
}
