/* SPDX-License-Identifier: BSD-2-Clause */
/* forget_fs.c - a file system in memory that forgets, when its power fails, what was never synced.
 *
 *     forget-fs ext4|fat DIR     stands in DIR's place, with what DIR held as its synced content;
 *                                in the foreground, until it is unmounted
 *     setxattr(DIR, "user.power-off", SEED)     the power fails, and is back: SEED (decimal) decides
 *
 *     what programs see          what a power cut leaves
 *     ┌ bytes of a file ────fsync of the file────► bytes
 *     └ names in a directory ─fsync of the directory─► names
 *
 * What was not synced, docs/fault-model.md: "What a cut does to files":
 *   bytes      all of them; those of the last fsync (none: the file is empty); up to a 512-byte edge; up to
 *              any byte; one 512-byte block of foreign bytes
 *   names      ext4: of the changes in one directory the first few, in order; a rename is one change
 *              fat: any of them, in any order; a rename is a removal and a creation, so that both names
 *              may be left, or neither
 *   directory  as its name; with it goes all that is in it
 * The fsync of a new file does not make its name durable, as POSIX has it. The two file systems of a
 * device are two processes, so that what the one keeps says nothing about the other.
 *
 * fat also has no permissions (chmod is EPERM, all is 0755) and no links. Neither keeps anything in the
 * kernel: no cached names, attributes or pages, so that a program never sees what was forgotten.
 */
#define FUSE_USE_VERSION 31
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define POWER_OFF "user.power-off"
#define SECTOR    512u

struct node;

struct entry {
    char name[256];
    struct node *node;
};

struct names {
    struct entry *list;
    size_t count;
};

/* name goes (if it is not empty), then to stands for node (if that is not empty). */
struct change {
    char name[256], to[256];
    struct node *node;
};

struct bytes {
    uint8_t *data;
    size_t size;
};

struct node {
    struct node *next; /* of all */
    ino_t number;
    mode_t mode;
    struct timespec changed;
    /* a file's */
    struct bytes now, synced;
    bool dirty;
    /* a directory's */
    struct names names, synced_names;
    struct change *log; /* since the last fsync */
    size_t log_count;
};

static struct node *root, *all;
static bool fat;

/* ---- memory: a file system without memory for a test's few files is no test ---- */

static void *grow(void *old, size_t size)
{
    void *grown = realloc(old, size != 0 ? size : 1);

    if (grown == NULL)
        abort();
    return grown;
}

static struct node *make_node(mode_t mode)
{
    static ino_t last;
    struct node *node = grow(NULL, sizeof(*node));

    *node = (struct node){.next = all, .number = ++last, .mode = mode};
    (void)clock_gettime(CLOCK_REALTIME, &node->changed);
    all = node;
    return node;
}

static void copy_bytes(struct bytes *to, const struct bytes *from)
{
    to->data = grow(to->data, from->size);
    if (from->size != 0)
        memcpy(to->data, from->data, from->size);
    to->size = from->size;
}

static void copy_names(struct names *to, const struct names *from)
{
    to->list = grow(to->list, from->count * sizeof(*to->list));
    if (from->count != 0)
        memcpy(to->list, from->list, from->count * sizeof(*to->list));
    to->count = from->count;
}

/* ---- names ---- */

static struct entry *find(const struct names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->list[i].name, name) == 0)
            return &names->list[i];
    }
    return NULL;
}

static void apply(struct names *names, const struct change *change)
{
    struct entry *entry = find(names, change->name);

    if (change->name[0] != '\0' && entry != NULL)
        *entry = names->list[--names->count];
    if (change->to[0] == '\0')
        return;
    entry = find(names, change->to);
    if (entry == NULL) {
        names->list = grow(names->list, (names->count + 1) * sizeof(*names->list));
        entry = &names->list[names->count++];
        memcpy(entry->name, change->to, sizeof(entry->name));
    }
    entry->node = change->node;
}

static void log_change(struct node *dir, const struct change *change)
{
    dir->log = grow(dir->log, (dir->log_count + 1) * sizeof(*dir->log));
    dir->log[dir->log_count++] = *change;
}

static void change_names(struct node *dir, const char *name, const char *to, struct node *node)
{
    struct change change = {.node = node};

    snprintf(change.name, sizeof(change.name), "%s", name);
    snprintf(change.to, sizeof(change.to), "%s", to);
    apply(&dir->names, &change);
    (void)clock_gettime(CLOCK_REALTIME, &dir->changed);
    if (node != NULL)
        node->changed = dir->changed;
    if (!fat || name[0] == '\0' || to[0] == '\0') {
        log_change(dir, &change);
        return;
    }
    change.to[0] = '\0';
    log_change(dir, &change);
    change.name[0] = '\0';
    snprintf(change.to, sizeof(change.to), "%s", to);
    log_change(dir, &change);
}

static struct node *walk(const char *path)
{
    struct node *node = root;
    char part[256];

    while (node != NULL && *path != '\0') {
        size_t n = strcspn(path, "/");

        if (n >= sizeof(part))
            return NULL;
        memcpy(part, path, n);
        part[n] = '\0';
        if (n != 0) {
            struct entry *entry = S_ISDIR(node->mode) ? find(&node->names, part) : NULL;

            node = entry != NULL ? entry->node : NULL;
        }
        path += n + (path[n] == '/');
    }
    return node;
}

/* The directory that a path is in; *ret_name points into the path. */
static struct node *parent(const char *path, const char **ret_name)
{
    char above[4096];
    const char *slash = strrchr(path, '/');

    snprintf(above, sizeof(above), "%.*s", (int)(slash - path), path);
    *ret_name = slash + 1;
    return walk(above);
}

static struct node *opened(const char *path, const struct fuse_file_info *info)
{
    return info != NULL && info->fh != 0 ? (struct node *)(uintptr_t)info->fh : walk(path);
}

/* ---- power ---- */

/* splitmix64 (Steele, Lea, Flood 2014, figure 16). */
static uint64_t draw(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void lose_bytes(struct node *node, uint64_t *seed)
{
    uint64_t how = draw(seed) % 5, where = node->now.size != 0 ? draw(seed) % node->now.size : 0;

    if (how == 1)
        copy_bytes(&node->now, &node->synced);
    if (how == 2)
        node->now.size = (size_t)(where / SECTOR * SECTOR);
    if (how == 3)
        node->now.size = (size_t)where;
    for (size_t i = (size_t)(where / SECTOR * SECTOR);
         how == 4 && i < node->now.size && i < (where / SECTOR + 1) * SECTOR; i++)
        node->now.data[i] = (uint8_t)draw(seed);
    copy_bytes(&node->synced, &node->now);
    node->dirty = false;
}

static void lose_names(struct node *dir, uint64_t *seed)
{
    size_t kept = (size_t)(draw(seed) % (dir->log_count + 1));

    for (size_t i = 0; fat && i < dir->log_count; i++) { /* in any order */
        size_t other = (size_t)(draw(seed) % dir->log_count);
        struct change change = dir->log[i];

        dir->log[i] = dir->log[other];
        dir->log[other] = change;
    }
    for (size_t i = 0; i < kept; i++)
        apply(&dir->synced_names, &dir->log[i]);
    copy_names(&dir->names, &dir->synced_names);
    dir->log_count = 0;
}

static void power_off(uint64_t seed)
{
    for (struct node *node = all; node != NULL; node = node->next) {
        if (S_ISDIR(node->mode))
            lose_names(node, &seed);
        else if (node->dirty)
            lose_bytes(node, &seed);
    }
}

static int do_setxattr(const char *path, const char *name, const char *value, size_t size,
                       int flags)
{
    char text[32];

    (void)path;
    (void)flags;
    if (strcmp(name, POWER_OFF) != 0 || size >= sizeof(text))
        return -EOPNOTSUPP;
    memcpy(text, value, size);
    text[size] = '\0';
    power_off(strtoull(text, NULL, 10));
    return 0;
}

/* ---- calls ---- */

static int do_getattr(const char *path, struct stat *ret, struct fuse_file_info *info)
{
    const struct node *node = opened(path, info);

    if (node == NULL)
        return -ENOENT;
    *ret = (struct stat){.st_ino = node->number,
                         .st_mode = fat ? (node->mode & S_IFMT) | 0755 : node->mode,
                         .st_nlink = 1,
                         .st_uid = getuid(),
                         .st_gid = getgid(),
                         .st_size = (off_t)node->now.size,
                         .st_blocks = (blkcnt_t)((node->now.size + SECTOR - 1) / SECTOR),
                         .st_mtim = node->changed,
                         .st_ctim = node->changed,
                         .st_atim = node->changed};
    return 0;
}

static int do_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset,
                      struct fuse_file_info *info, enum fuse_readdir_flags flags)
{
    const struct node *dir = opened(path, info);

    (void)offset;
    (void)flags;
    fill(buffer, ".", NULL, 0, 0);
    fill(buffer, "..", NULL, 0, 0);
    for (size_t i = 0; dir != NULL && i < dir->names.count; i++)
        fill(buffer, dir->names.list[i].name, NULL, 0, 0);
    return dir != NULL ? 0 : -ENOENT;
}

static int add(const char *path, mode_t mode, struct node **ret)
{
    const char *name;
    struct node *dir = parent(path, &name);

    if (dir == NULL)
        return -ENOENT;
    if (strlen(name) > 255)
        return -ENAMETOOLONG;
    if (find(&dir->names, name) != NULL)
        return -EEXIST;
    *ret = make_node(mode);
    change_names(dir, "", name, *ret);
    return 0;
}

static int do_mkdir(const char *path, mode_t mode)
{
    struct node *node;

    return add(path, S_IFDIR | (mode & 07777), &node);
}

static int do_create(const char *path, mode_t mode, struct fuse_file_info *info)
{
    struct node *node = NULL;
    int result = add(path, S_IFREG | (mode & 07777), &node);

    info->fh = (uint64_t)(uintptr_t)node;
    info->direct_io = 1;
    return result;
}

static int do_truncate(const char *path, off_t size, struct fuse_file_info *info)
{
    struct node *node = opened(path, info);

    if (node == NULL)
        return -ENOENT;
    node->now.data = grow(node->now.data, (size_t)size);
    if ((size_t)size > node->now.size)
        memset(node->now.data + node->now.size, 0, (size_t)size - node->now.size);
    node->now.size = (size_t)size;
    node->dirty = true;
    (void)clock_gettime(CLOCK_REALTIME, &node->changed);
    return 0;
}

static int do_open(const char *path, struct fuse_file_info *info)
{
    struct node *node = walk(path);

    if (node == NULL)
        return -ENOENT;
    info->fh = (uint64_t)(uintptr_t)node;
    info->direct_io = 1;
    return (info->flags & O_TRUNC) != 0 ? do_truncate(path, 0, info) : 0;
}

static int do_opendir(const char *path, struct fuse_file_info *info)
{
    struct node *node = walk(path);

    info->fh = (uint64_t)(uintptr_t)node;
    return node != NULL ? 0 : -ENOENT;
}

static int do_read(const char *path, char *ret, size_t size, off_t offset,
                   struct fuse_file_info *info)
{
    const struct node *node = opened(path, info);
    size_t start = (size_t)offset;

    if (node == NULL)
        return -ENOENT;
    if (start >= node->now.size)
        return 0;
    if (size > node->now.size - start)
        size = node->now.size - start;
    memcpy(ret, node->now.data + start, size);
    return (int)size;
}

static int do_write(const char *path, const char *data, size_t size, off_t offset,
                    struct fuse_file_info *info)
{
    struct node *node = opened(path, info);
    size_t start = (size_t)offset;

    if (node == NULL)
        return -ENOENT;
    if (start + size > node->now.size)
        (void)do_truncate(path, (off_t)(start + size), info);
    memcpy(node->now.data + start, data, size);
    node->dirty = true;
    (void)clock_gettime(CLOCK_REALTIME, &node->changed);
    return (int)size;
}

static int do_unlink(const char *path)
{
    const char *name;
    struct node *dir = parent(path, &name);

    if (dir == NULL || find(&dir->names, name) == NULL)
        return -ENOENT;
    change_names(dir, name, "", NULL);
    return 0;
}

static int do_rmdir(const char *path)
{
    const struct node *node = walk(path);

    return node != NULL && node->names.count != 0 ? -ENOTEMPTY : do_unlink(path);
}

static int do_rename(const char *from, const char *to, unsigned int flags)
{
    const char *name, *new_name;
    struct node *dir = parent(from, &name), *new_dir = parent(to, &new_name);
    struct node *node = walk(from);

    if (flags != 0)
        return -EINVAL;
    if (node == NULL || dir == NULL || new_dir == NULL)
        return -ENOENT;
    if (dir == new_dir) {
        change_names(dir, name, new_name, node);
        return 0;
    }
    change_names(new_dir, "", new_name, node);
    change_names(dir, name, "", NULL);
    return 0;
}

static int do_fsync(const char *path, int data_only, struct fuse_file_info *info)
{
    struct node *node = opened(path, info);

    (void)data_only;
    if (node == NULL)
        return -ENOENT;
    copy_bytes(&node->synced, &node->now);
    node->dirty = false;
    return 0;
}

static int do_fsyncdir(const char *path, int data_only, struct fuse_file_info *info)
{
    struct node *dir = opened(path, info);

    (void)data_only;
    if (dir == NULL)
        return -ENOENT;
    copy_names(&dir->synced_names, &dir->names);
    dir->log_count = 0;
    return 0;
}

static int do_chmod(const char *path, mode_t mode, struct fuse_file_info *info)
{
    struct node *node = opened(path, info);

    if (node == NULL)
        return -ENOENT;
    if (fat)
        return -EPERM;
    node->mode = (node->mode & S_IFMT) | (mode & 07777);
    return 0;
}

static int do_chown(const char *path, uid_t user, gid_t group, struct fuse_file_info *info)
{
    (void)user;
    (void)group;
    if (opened(path, info) == NULL)
        return -ENOENT;
    return fat ? -EPERM : 0;
}

static int do_utimens(const char *path, const struct timespec times[2], struct fuse_file_info *info)
{
    (void)times;
    return opened(path, info) != NULL ? 0 : -ENOENT;
}

static int do_statfs(const char *path, struct statvfs *ret)
{
    (void)path;
    *ret = (struct statvfs){.f_bsize = 4096, .f_frsize = 4096, .f_namemax = 255};
    ret->f_blocks = ret->f_bfree = ret->f_bavail = 16384;
    ret->f_files = ret->f_ffree = ret->f_favail = 16384;
    return 0;
}

static void *do_init(struct fuse_conn_info *connection, struct fuse_config *config)
{
    (void)connection;
    config->use_ino = 1;
    config->nullpath_ok = 1;
    config->hard_remove = 1;
    config->entry_timeout = config->attr_timeout = config->negative_timeout = 0;
    return NULL;
}

static const struct fuse_operations operations = {
    .init = do_init,
    .getattr = do_getattr,
    .readdir = do_readdir,
    .mkdir = do_mkdir,
    .create = do_create,
    .open = do_open,
    .opendir = do_opendir,
    .read = do_read,
    .write = do_write,
    .truncate = do_truncate,
    .unlink = do_unlink,
    .rmdir = do_rmdir,
    .rename = do_rename,
    .fsync = do_fsync,
    .fsyncdir = do_fsyncdir,
    .chmod = do_chmod,
    .chown = do_chown,
    .utimens = do_utimens,
    .statfs = do_statfs,
    .setxattr = do_setxattr,
};

/* ---- what was there before ---- */

static void load_file(struct node *node, const char *path, size_t size)
{
    FILE *file = fopen(path, "re");

    node->now.data = grow(NULL, size);
    if (file == NULL || fread(node->now.data, 1, size, file) != size)
        abort();
    fclose(file);
    node->now.size = size;
    copy_bytes(&node->synced, &node->now);
}

static void load(struct node *dir, const char *path)
{
    DIR *stream = opendir(path);
    struct dirent *found;

    while (stream != NULL && (found = readdir(stream)) != NULL) {
        char below[4096];
        struct stat st;
        struct node *node;

        if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0)
            continue;
        snprintf(below, sizeof(below), "%s/%s", path, found->d_name);
        if (lstat(below, &st) != 0)
            abort();
        node = make_node(st.st_mode);
        change_names(dir, "", found->d_name, node);
        if (S_ISDIR(st.st_mode))
            load(node, below);
        else if (S_ISREG(st.st_mode))
            load_file(node, below, (size_t)st.st_size);
    }
    if (stream != NULL)
        closedir(stream);
    copy_names(&dir->synced_names, &dir->names);
    dir->log_count = 0;
}

int main(int argc, char *argv[])
{
    struct stat st;

    if (argc != 3 || (strcmp(argv[1], "ext4") != 0 && strcmp(argv[1], "fat") != 0) ||
        stat(argv[2], &st) != 0 || !S_ISDIR(st.st_mode)) {
        fputs("usage: forget-fs ext4|fat DIRECTORY\n", stderr);
        return 2;
    }
    fat = strcmp(argv[1], "fat") == 0;
    root = make_node(st.st_mode);
    load(root, argv[2]);
    /* One thread: nothing here is locked. */
    char *arguments[] = {argv[0],
                         (char[]){"-f"},
                         (char[]){"-s"},
                         (char[]){"-o"},
                         (char[]){"default_permissions,fsname=forget"},
                         argv[2],
                         NULL};
    return fuse_main(6, arguments, &operations, NULL);
}
