/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/store/mounts.h"

#include "backends/store/inroot.h"

#include <dirent.h>
#include <mntent.h>
#include <stdlib.h>
#include <sys/stat.h>

bool idm_mounts_normalise(const char *path, char ret_path[IDM_PATH_SIZE])
{
    char normal[IDM_PATH_SIZE];
    size_t length = 0;
    if (path[0] != '/')
        return false;
    for (const char *c = path; *c; c++) {
        if (*c == '/' && (c[1] == '/' || (c[1] == 0 && length > 0)))
            continue;
        if (length + 1 >= sizeof normal)
            return false;
        normal[length++] = *c;
    }
    normal[length] = 0;
    memcpy(ret_path, normal, length + 1);
    return true;
}

bool idm_mounts_covers(const char *mount, const char *path)
{
    size_t length = strlen(mount);
    return length > 1 && strncmp(mount, path, length) == 0 &&
           (path[length] == 0 || path[length] == '/');
}

static void add(struct idm_mounts *mounts, const char *path)
{
    char normal[IDM_PATH_SIZE];
    /* "none" and "swap" in fstab; a path too long for a configured directory cannot be one */
    if (!idm_mounts_normalise(path, normal))
        return;
    if (mounts->count == IDM_MOUNTS_MAX) {
        mounts->unknown = true;
        return;
    }
    if (!mounts->paths)
        mounts->paths = calloc(IDM_MOUNTS_MAX, sizeof *mounts->paths);
    if (!mounts->paths) {
        mounts->unknown = true;
        return;
    }
    memcpy(mounts->paths[mounts->count++], normal, strlen(normal) + 1);
}

/* A regular file as a stream; NULL with *unknown set unless it simply is not there. */
static FILE *open_text(int dir, const char *path, bool *unknown)
{
    int fd = idm_inroot_open(dir, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd < 0) {
        if (errno != ENOENT && errno != ENOTDIR)
            *unknown = true;
        return NULL;
    }
    /* A unit masked by a link to /dev/null declares nothing. */
    FILE *stream = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? fdopen(fd, "re") : NULL;
    if (!stream)
        (void)close(fd);
    return stream;
}

static void read_fstab(int root_fd, struct idm_mounts *mounts)
{
    FILE *stream = open_text(root_fd, "/etc/fstab", &mounts->unknown);
    if (!stream)
        return;
    struct mntent entry;
    char line[4096];
    while (getmntent_r(stream, &entry, line, (int)sizeof line))
        add(mounts, entry.mnt_dir);
    if (ferror(stream))
        mounts->unknown = true;
    (void)fclose(stream);
}

static char *trim(char *text)
{
    static const char space[] = " \t\r\n";
    text += strspn(text, space);
    for (size_t n = strlen(text); n > 0 && strchr(space, text[n - 1]); n--)
        text[n - 1] = 0;
    return text;
}

static void read_unit(int root_fd, const char *path, struct idm_mounts *mounts)
{
    FILE *stream = open_text(root_fd, path, &mounts->unknown);
    if (!stream)
        return;
    char line[1024];
    bool in_mount = false;
    while (fgets(line, sizeof line, stream)) {
        char *text = trim(line);
        if (*text == '[')
            in_mount = strcmp(text, "[Mount]") == 0;
        else if (in_mount && strncmp(text, "Where", 5) == 0 && *trim(text + 5) == '=')
            add(mounts, trim(trim(text + 5) + 1));
    }
    if (ferror(stream))
        mounts->unknown = true;
    (void)fclose(stream);
}

static bool hidden(int root_fd, const char *name)
{
    char path[sizeof "/etc/systemd/system/" + NAME_MAX];
    (void)snprintf(path, sizeof path, "/etc/systemd/system/%s", name);
    int fd = idm_inroot_open(root_fd, path, O_PATH | O_NOFOLLOW);
    if (fd >= 0)
        (void)close(fd);
    return fd >= 0;
}

static void read_units(int root_fd, const char *directory, bool may_be_hidden,
                       struct idm_mounts *mounts)
{
    int fd = idm_inroot_open(root_fd, directory, O_RDONLY | O_DIRECTORY);
    if (fd < 0) {
        if (errno != ENOENT && errno != ENOTDIR)
            mounts->unknown = true;
        return;
    }
    DIR *dir = fdopendir(fd);
    if (!dir) {
        (void)close(fd);
        mounts->unknown = true;
        return;
    }
    struct dirent *entry;
    while ((errno = 0, entry = readdir(dir))) {
        const char *dot = strrchr(entry->d_name, '.');
        if (!dot || strcmp(dot, ".mount") != 0)
            continue;
        if (may_be_hidden && hidden(root_fd, entry->d_name))
            continue;
        char path[64 + NAME_MAX];
        (void)snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        read_unit(root_fd, path, mounts);
    }
    if (errno)
        mounts->unknown = true;
    (void)closedir(dir);
}

void idm_mounts_read(int root_fd, struct idm_mounts *ret)
{
    *ret = (struct idm_mounts){0};
    read_fstab(root_fd, ret);
    read_units(root_fd, "/etc/systemd/system", false, ret);
    read_units(root_fd, "/usr/lib/systemd/system", true, ret);
}

void idm_mounts_free(struct idm_mounts *mounts)
{
    if (!mounts)
        return;
    free(mounts->paths);
    *mounts = (struct idm_mounts){0};
}
