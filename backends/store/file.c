/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/store/place.h"

#include <stdlib.h>
#include <sys/stat.h>

static const struct {
    enum idm_place place;
    const char *name;
    const char *temp;
    mode_t mode;
} files[IDM_FILE_COUNT] = {
#define ROW(file, place, name, mode) [file] = {place, name, "." name ".tmp", mode},
    IDM_FILES(ROW)
#undef ROW
};

enum idm_place idm_file_place(enum idm_file file)
{
    return files[file].place;
}

static bool is_key(enum idm_file file)
{
    return file == IDM_F_CONFIG_KEY || file == IDM_F_PERSIST_KEY;
}

static void describe(const struct idm_store *store, const char *verb, enum idm_file file,
                     char ret_what[160])
{
    int n = snprintf(ret_what, 160, "%s ", verb);
    idm_place_path(store, files[file].place, files[file].name, ret_what + n, 160 - (size_t)n);
}

static const char *kind_name(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFLNK:
        return "a symbolic link";
    case S_IFDIR:
        return "a directory";
    case S_IFIFO:
        return "a FIFO";
    case S_IFSOCK:
        return "a socket";
    default:
        return "a device";
    }
}

/* ---- read -------------------------------------------------------------------------------------*/

static int fail_directory(int errnum, int code, const char *what, struct idm_error *err)
{
    (void)idm_fail(err, code, what, "its directory: %s",
                   errnum == ENOENT    ? "it is not there"
                   : errnum == ENOTDIR ? "a link or a file is in its place"
                   : errnum == ESTALE  ? "another file system is there than before"
                                       : strerror(errnum));
    if (err)
        err->foreign = (unsigned long)errnum;
    if (errnum == ENOENT || errnum == ESTALE)
        (void)idm_advise(err, "mount its file system; see [paths] in the configuration");
    return code;
}

/* Never opens what is no regular file: opening alone can hang (a FIFO) or act (a device). */
static int open_regular(int dir, const char *name, const char *what, struct stat *ret_st,
                        int *ret_fd, struct idm_error *err)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return idm_fail_errno(err, IDM_E_UNREADABLE, what, errno);
    _cleanup_close_ int fd = -1;
    if (S_ISREG(st.st_mode)) {
        /* O_NONBLOCK: it may have been exchanged since */
        fd = idm_fd_above_stdio(
            openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
        if (fd < 0 || fstat(fd, &st) < 0)
            return idm_fail_errno(err, IDM_E_UNREADABLE, what, errno);
    }
    if (!S_ISREG(st.st_mode)) {
        (void)idm_fail(err, IDM_E_UNREADABLE, what, "%s is in its place", kind_name(st.st_mode));
        (void)idm_advise(err, "look where it comes from, then remove it");
        return IDM_E_UNREADABLE;
    }
    *ret_st = st;
    *ret_fd = fd;
    fd = -1;
    return 0;
}

/* Reads at most `size` bytes; the number read, or -1 and errno. */
static ssize_t read_all(int fd, uint8_t *buffer, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = read(fd, buffer + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static int read_regular(int dir, const char *name, const char *what, struct idm_bytes *ret,
                        struct idm_error *err)
{
    struct stat st = {0};
    _cleanup_close_ int fd = -1;
    int r = open_regular(dir, name, what, &st, &fd, err);
    if (r < 0)
        return r;
    if (st.st_size > IDM_BYTES_MAX)
        return idm_fail(err, IDM_E_CORRUPT, what, "it has %lld bytes, more than %u",
                        (long long)st.st_size, IDM_BYTES_MAX);
    size_t size = (size_t)st.st_size;
    _cleanup_bytes_ struct idm_bytes content = {.data = malloc(size + 1), .size = size};
    if (!content.data) {
        content.size = 0;
        return idm_fail(err, IDM_E_MEMORY, what, "out of memory");
    }
    ssize_t n = read_all(fd, content.data, size + 1);
    if (n < 0)
        return idm_fail_errno(err, IDM_E_UNREADABLE, what, errno);
    if ((size_t)n != size)
        return idm_fail(err, IDM_E_UNREADABLE, what, "it changed while it was read");
    content.data[size] = 0;
    idm_bytes_move(ret, &content);
    return 0;
}

int idm_store_read(struct idm_store *store, enum idm_file file, struct idm_bytes *ret,
                   struct idm_error *err)
{
    char what[160];
    describe(store, "read", file, what);
    int dir = idm_place_dir(store, files[file].place, false);
    if (dir < 0)
        return fail_directory(-dir, IDM_E_UNREADABLE, what, err);
    return read_regular(dir, files[file].name, what, ret, err);
}

/* ---- write ------------------------------------------------------------------------------------*/

/* FULL, READ_ONLY or STORAGE: a change never reports that something does not exist. */
static int fail_change(int errnum, const char *what, struct idm_error *err)
{
    int code = errnum == ENOSPC || errnum == EDQUOT ? IDM_E_FULL
               : errnum == EROFS                    ? IDM_E_READ_ONLY
                                                    : IDM_E_STORAGE;
    (void)idm_fail(err, code, what, "%s", strerror(errnum));
    if (err)
        err->foreign = (unsigned long)errnum;
    if (code == IDM_E_FULL)
        (void)idm_advise(err, "make room on its file system");
    if (code == IDM_E_READ_ONLY)
        (void)idm_advise(err, "mount it read-write; config-remount = yes does so for config-dir");
    return code;
}

static int create_temp(int dir, const char *temp, mode_t mode)
{
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(dir, temp, flags, mode);
    if (fd < 0 && errno == EEXIST && unlinkat(dir, temp, 0) == 0)
        fd = openat(dir, temp, flags, mode);
    fd = idm_fd_above_stdio(fd);
    if (fd < 0)
        return -errno;
    /* a umask may have taken bits; FAT refuses, and the file was never wider than `mode` */
    if (fchmod(fd, mode) < 0 && errno != EPERM && errno != EOPNOTSUPP) {
        int failed = errno;
        (void)close(fd);
        return -failed;
    }
    return fd;
}

static int write_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

static int write_temp(int dir, enum idm_file file, const uint8_t *data, size_t size, bool durable)
{
    int fd = create_temp(dir, files[file].temp, files[file].mode);
    if (fd < 0)
        return fd;
    int r = write_all(fd, data, size);
    if (r == 0 && durable && fsync(fd) < 0)
        r = -errno;
    /* so that reading back asks the medium, not the cache; only a hint */
    if (r == 0 && durable)
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    if (close(fd) < 0 && r == 0)
        r = -errno;
    return r;
}

static int read_back(int dir, enum idm_file file, const uint8_t *data, size_t size,
                     const char *what, struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes found = {0};
    struct idm_error why = {0};
    int r = read_regular(dir, files[file].name, what, &found, &why);
    if (r == IDM_E_MEMORY)
        return idm_fail(err, r, what, "out of memory");
    if (r < 0)
        return idm_fail(err, IDM_E_STORAGE, what, "it cannot be read back: %s", why.why);
    if (found.size == size && (size == 0 || memcmp(found.data, data, size) == 0))
        return 0;
    (void)idm_fail(err, IDM_E_STORAGE, what, "other bytes are read back than were written");
    (void)idm_advise(err, "check the storage; it may be worn out");
    return IDM_E_STORAGE;
}

int idm_store_write(struct idm_store *store, enum idm_file file, const void *data, size_t size,
                    struct idm_error *err)
{
    char what[160];
    bool durable = files[file].place != IDM_RUN;
    describe(store, "write", file, what);
    if (size > IDM_BYTES_MAX)
        return idm_fail(err, IDM_E_USAGE, what, "%zu bytes are more than %u", size, IDM_BYTES_MAX);
    idm_store_sweep(store);
    _cleanup_remount_ struct idm_remount remount = IDM_REMOUNT_NONE;
    int r = idm_remount_begin(store, files[file].place, &remount, err);
    if (r < 0)
        return r;
    int dir = idm_place_dir(store, files[file].place, true);
    if (dir == -ENOENT || dir == -ENOTDIR || dir == -ELOOP || dir == -ESTALE)
        return fail_directory(-dir, IDM_E_STORAGE, what, err);
    if (dir < 0)
        return fail_change(-dir, what, err);
    r = write_temp(dir, file, data, size, durable);
    if (r == 0 && renameat(dir, files[file].temp, dir, files[file].name) < 0)
        r = -errno;
    if (r < 0) {
        (void)unlinkat(dir, files[file].temp, 0);
        return fail_change(-r, what, err);
    }
    if (durable && fsync(dir) < 0)
        return fail_change(errno, what, err);
    return read_back(dir, file, data, size, what, err);
}

/* ---- remove -----------------------------------------------------------------------------------*/

/* A descriptor to overwrite a key through after its name is gone; -1 where that is not possible or
 * would hit another name of the same file. */
static int open_to_wipe(int dir, const char *name, struct stat *ret_st)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
        return -1;
    int fd = idm_fd_above_stdio(
        openat(dir, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1) {
        *ret_st = st;
        return fd;
    }
    idm_close_fd(&fd);
    return -1;
}

static void wipe(int fd, off_t size)
{
    static uint8_t zeros[4096]; /* not const: const zeros are shipped */
    off_t left = size < (off_t)IDM_BYTES_MAX ? size : (off_t)IDM_BYTES_MAX;
    while (left > 0) {
        size_t n = left < (off_t)sizeof zeros ? (size_t)left : sizeof zeros;
        if (write_all(fd, zeros, n) < 0)
            return;
        left -= (off_t)n;
    }
    (void)fsync(fd);
}

static bool is_absent(int dir, const char *name)
{
    struct stat st;
    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

/* 0 or a negative errno; a name that does not exist is success, and then too it is synced: an
 * earlier attempt may have failed just there. */
static int remove_name(int dir, const char *name, bool key, bool durable)
{
    struct stat st = {0};
    _cleanup_close_ int fd = key ? open_to_wipe(dir, name, &st) : -1;
    /* looked up first: unlinkat on a read-only mount fails even where there is nothing */
    if (!is_absent(dir, name) && unlinkat(dir, name, 0) < 0 && errno != ENOENT)
        return -errno;
    if (durable && fsync(dir) < 0)
        return -errno;
    if (fd >= 0)
        wipe(fd, st.st_size);
    return 0;
}

bool idm_file_leftover(int dir, enum idm_file file)
{
    return !is_absent(dir, files[file].temp);
}

void idm_file_sweep(int dir, enum idm_file file)
{
    if (idm_file_leftover(dir, file))
        (void)remove_name(dir, files[file].temp, is_key(file), files[file].place != IDM_RUN);
}

int idm_store_remove(struct idm_store *store, enum idm_file file, struct idm_error *err)
{
    char what[160];
    enum idm_place place = files[file].place;
    describe(store, "remove", file, what);
    idm_store_sweep(store);
    int dir = idm_place_dir(store, place, false);
    if (dir == -ENOENT && place != idm_place_base(place)) {
        int base = idm_place_dir(store, idm_place_base(place), false);
        if (base >= 0)
            return 0;
    }
    if (dir == -ENOENT && place == IDM_RUN)
        return 0;
    if (dir < 0)
        return fail_directory(-dir, IDM_E_STORAGE, what, err);
    _cleanup_remount_ struct idm_remount remount = IDM_REMOUNT_NONE;
    int r = is_absent(dir, files[file].name) ? 0 : idm_remount_begin(store, place, &remount, err);
    if (r < 0)
        return r;
    r = remove_name(dir, files[file].name, is_key(file), place != IDM_RUN);
    return r < 0 ? fail_change(-r, what, err) : 0;
}
