/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/watch/watch.h"

#include "backends/store/inroot.h"

#include <dirent.h>
#include <inotifytools/inotify.h>
#include <inotifytools/inotifytools.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* Above: other people's directories, in which others write much. */
#define EVENTS_ABOVE (IN_CREATE | IN_DELETE | IN_MOVE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define EVENTS       (EVENTS_ABOVE | IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB)
/* The watch is gone, or belongs to what is no longer at that path. */
#define LOST (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED | IN_Q_OVERFLOW)

/* ---- which directories, which names ---- */

static struct idm_watch_dir *find_dir(struct idm_watch_tree *tree, const char *path)
{
    for (size_t i = 0; i < tree->dirs; i++)
        if (strcmp(tree->dir[i].path, path) == 0)
            return &tree->dir[i];
    if (tree->dirs == IDM_WATCH_DIRS)
        return NULL;
    struct idm_watch_dir *dir = &tree->dir[tree->dirs++];
    *dir = (struct idm_watch_dir){.wd = -1};
    (void)snprintf(dir->path, sizeof dir->path, "%s", path);
    return dir;
}

static bool add_name(struct idm_watch_tree *tree, const char *path, const char *name, size_t length,
                     enum idm_watch_news news)
{
    struct idm_watch_dir *dir = find_dir(tree, path);
    if (!dir || length > NAME_MAX)
        return false;
    for (size_t i = 0; i < dir->names; i++) {
        if (strncmp(dir->name[i].name, name, length) != 0 || dir->name[i].name[length])
            continue;
        if (dir->name[i].news < news)
            dir->name[i].news = news;
        return true;
    }
    if (dir->names == IDM_WATCH_NAMES)
        return false;
    memcpy(dir->name[dir->names].name, name, length);
    dir->name[dir->names].name[length] = 0;
    dir->name[dir->names++].news = news;
    return true;
}

/* The directories above a real path, below the root: whichever is exchanged, what we watch is no longer
 * it. */
static bool add_above(struct idm_watch_tree *tree, const char *real)
{
    char above[PATH_MAX];
    size_t skip = strcmp(tree->top, "/") == 0 ? 0 : strlen(tree->top);
    if (strncmp(real, tree->top, skip) != 0)
        skip = 0; /* a configuration elsewhere */
    for (const char *slash = real + skip; slash && slash[0] && slash[1];
         slash = strchr(slash + 1, '/')) {
        size_t length = (size_t)(slash - real);
        (void)snprintf(above, sizeof above, "%.*s", length ? (int)length : 1, real);
        if (!add_name(tree, above, slash + 1, strcspn(slash + 1, "/"), IDM_NEWS_TREE))
            return false;
    }
    return true;
}

/* The directory at `path` below the root, links followed inside it, with its names; where it does not
 * exist, the last one on the way to it. */
static bool add_path(struct idm_watch_tree *tree, int root, const char *path,
                     const char *const names[], enum idm_watch_news news)
{
    char real[PATH_MAX];
    char prefix[PATH_MAX];
    for (const char *at = path;; at += strcspn(at, "/")) {
        (void)snprintf(prefix, sizeof prefix, "%.*s", (int)(at - path), path);
        int fd = idm_inroot_open(root, prefix, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
        if (fd < 0)
            return true;
        int found = idm_fd_path(fd, real, sizeof real);
        (void)close(fd);
        if (found < 0 || !add_above(tree, real))
            return false;
        at += strspn(at, "/");
        if (!*at)
            break;
        if (!add_name(tree, real, at, strcspn(at, "/"), IDM_NEWS_TREE))
            return false;
    }
    for (; *names; names++)
        if (!add_name(tree, real, *names, strlen(*names), news))
            return false;
    return true;
}

static bool add_joined(struct idm_watch_tree *tree, int root, const char *base, const char *rest,
                       const char *const names[])
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s%s", base, rest);
    return add_path(tree, root, path, names, IDM_NEWS_FILE);
}

/* A configuration that is named on the command line stands as it is, not below the root. */
static bool add_config(struct idm_watch_tree *tree, int root, const char *given)
{
    static const char *const file[] = {"idmode.conf", "idmode.conf.d", NULL};
    static const char *const every[] = {"*.conf", NULL};
    char real[PATH_MAX];
    if (!given)
        return add_path(tree, root, "/usr/lib/idmode", file, IDM_NEWS_SETTINGS) &&
               add_path(tree, root, "/etc/idmode", file, IDM_NEWS_SETTINGS) &&
               add_path(tree, root, "/etc/idmode/idmode.conf.d", every, IDM_NEWS_SETTINGS);
    const char *name = strrchr(given, '/');
    const char *const names[] = {name ? name + 1 : given, NULL};
    char dir[PATH_MAX];
    (void)snprintf(dir, sizeof dir, "%.*s", name ? (int)(name - given + 1) : 1, name ? given : ".");
    if (!realpath(dir, real))
        return true;
    int machine = idm_inroot_root("");
    bool good = machine >= 0 && add_path(tree, machine, real, names, IDM_NEWS_SETTINGS);
    idm_close_fd(&machine);
    return good;
}

/* device:/dev/tpmrm0; another TCTI has no node to wait for. */
static bool add_chip(struct idm_watch_tree *tree, int root, const char *tcti)
{
    static const char kind[] = "device:/";
    char dir[PATH_MAX];
    if (strncmp(tcti, kind, sizeof kind - 1) != 0)
        return true;
    const char *path = tcti + sizeof kind - 2;
    const char *slash = strrchr(path, '/');
    const char *const names[] = {slash + 1, NULL};
    (void)snprintf(dir, sizeof dir, "%.*s", (int)(slash - path), path);
    return add_path(tree, root, dir, names, IDM_NEWS_CHIP);
}

/* The names of backends/backends.h that boot can make again, or whose loss it must say. */
static bool add_all(struct idm_watch_tree *tree, int root, const struct idm_options *options,
                    const struct idm_settings *settings)
{
    static const char *const pair[] = {"device.cert.pem", "device.key.pem", NULL};
    static const char *const copies[] = {"record", "tpm.key.pem", "tpm.cert.pem", "legacy.sealed",
                                         NULL};
    static const char *const store[] = {
        "record",        "tpm.key.pem", "tpm.cert.pem", "legacy.cert.pem", "legacy.key.pem",
        "legacy.sealed", NULL};
    static const char *const marker[] = {"tpm_in_use", NULL};
    const char *tcti = options->tcti ? options->tcti : settings->tcti;
    return add_joined(tree, root, settings->config_dir, "", pair) &&
           add_joined(tree, root, settings->config_dir, "/idmode", copies) &&
           add_joined(tree, root, settings->persist_dir, "/idmode", store) &&
           add_joined(tree, root, settings->persist_dir, "/config", marker) &&
           add_config(tree, root, options->config) && add_chip(tree, root, tcti);
}

/* ---- watching them ---- */

/* libinotifytools waits in seconds and keeps its descriptor to itself; we wait for other things as well. */
static int find_descriptor(void)
{
    char target[64];
    int found = -1;
    DIR *list = opendir("/proc/self/fd");
    const struct dirent *entry = NULL;
    while (list && found < 0 && (entry = readdir(list)) != NULL) {
        ssize_t length = readlinkat(dirfd(list), entry->d_name, target, sizeof target - 1);
        target[length > 0 ? length : 0] = 0;
        if (strcmp(target, "anon_inode:inotify") == 0)
            found = (int)strtol(entry->d_name, NULL, 10);
    }
    if (list)
        (void)closedir(list);
    return found;
}

/* FNV-1a over what stands at the watched paths. */
static uint64_t look_at(const struct idm_watch_tree *tree)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < tree->dirs; i++) {
        struct stat st = {0};
        struct statvfs fs = {0};
        if (stat(tree->dir[i].path, &st) < 0 || statvfs(tree->dir[i].path, &fs) < 0)
            st = (struct stat){0};
        const uint64_t words[] = {st.st_dev, st.st_ino, fs.f_flag & ST_RDONLY};
        for (size_t w = 0; w < sizeof words / sizeof *words; w++)
            hash = (hash ^ words[w]) * UINT64_C(1099511628211);
    }
    return hash;
}

static int events_of(const struct idm_watch_dir *dir)
{
    for (size_t i = 0; i < dir->names; i++)
        if (dir->name[i].news != IDM_NEWS_TREE)
            return EVENTS;
    return EVENTS_ABOVE;
}

static int begin(struct idm_watch_tree *tree, struct idm_error *err)
{
    if (!inotifytools_initialize())
        return idm_fail_errno(err, IDM_E_STORAGE, "watch files", inotifytools_error());
    tree->fd = find_descriptor();
    if (tree->fd < 0)
        return idm_fail(err, IDM_E_STORAGE, "watch files", "/proc is not mounted");
    if (fcntl(tree->fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(tree->fd, F_SETFL, O_NONBLOCK) < 0)
        return idm_fail_errno(err, IDM_E_STORAGE, "watch files", errno);
    /* Above before below: what is exchanged after this is seen from above. */
    for (size_t i = 0; i < tree->dirs; i++) {
        struct idm_watch_dir *dir = &tree->dir[i];
        if (inotifytools_watch_file(dir->path, events_of(dir))) {
            char name[PATH_MAX + 1];
            bool slash = dir->path[strlen(dir->path) - 1] == '/';
            (void)snprintf(name, sizeof name, "%s%s", dir->path, slash ? "" : "/");
            dir->wd = inotifytools_wd_from_filename(name);
        } else if (inotifytools_error() != ENOENT && inotifytools_error() != ENOTDIR) {
            char what[160];
            (void)snprintf(what, sizeof what, "watch %.120s", dir->path);
            (void)idm_fail_errno(err, IDM_E_STORAGE, what, inotifytools_error());
            (void)idm_advise(err, "see fs.inotify.max_user_watches in sysctl(8)");
            return IDM_E_STORAGE;
        }
    }
    tree->seen = look_at(tree);
    return 0;
}

void idm_watch_tree_free(struct idm_watch_tree *tree)
{
    if (tree->fd >= 0)
        inotifytools_cleanup();
    tree->fd = -1;
    tree->dirs = 0;
}

/* All of it anew at each change: a path that libinotifytools watches twice still means the old inode. */
int idm_watch_tree_build(struct idm_watch_tree *tree, const struct idm_options *options,
                         const struct idm_settings *settings, struct idm_error *err)
{
    idm_watch_tree_free(tree);
    tree->own[0] = 0;
    int root = idm_inroot_root(options->root);
    if (root < 0)
        return idm_fail_errno(err, IDM_E_STORAGE, "open the root directory", errno);
    int known = idm_fd_path(root, tree->top, sizeof tree->top);
    bool good = known == 0 && add_all(tree, root, options, settings);
    idm_close_fd(&root);
    if (known < 0)
        return idm_fail(err, IDM_E_STORAGE, "watch files", "/proc is not mounted");
    if (!good)
        return idm_fail(err, IDM_E_STORAGE, "watch files", "there are too many directories");
    int rc = begin(tree, err);
    if (rc)
        inotifytools_cleanup();
    if (rc)
        tree->fd = -1;
    return rc;
}

bool idm_watch_tree_moved(const struct idm_watch_tree *tree)
{
    return look_at(tree) != tree->seen;
}

/* ---- events ---- */

static bool fits(const char *wanted, const char *name)
{
    size_t length = strlen(name);
    if (wanted[0] == '*')
        return length > strlen(wanted) - 1 && name[0] != '.' &&
               strcmp(name + length - strlen(wanted + 1), wanted + 1) == 0;
    return strcmp(wanted, name) == 0;
}

/* ".record.tmp" → "record": only idmode makes such a file, and renames it when it is complete. */
static bool is_own_rename(struct idm_watch_tree *tree, const struct inotify_event *event)
{
    size_t length = strlen(event->name);
    if (event->mask & IN_MOVED_FROM && length > 5 && event->name[0] == '.' &&
        strcmp(event->name + length - 4, ".tmp") == 0) {
        tree->own_cookie = event->cookie;
        (void)snprintf(tree->own, sizeof tree->own, "%.*s", (int)length - 5, event->name + 1);
        return true;
    }
    return event->mask & IN_MOVED_TO && tree->own[0] && event->cookie == tree->own_cookie &&
           strcmp(event->name, tree->own) == 0;
}

static enum idm_watch_news judge(struct idm_watch_tree *tree, const struct inotify_event *event)
{
    enum idm_watch_news news = IDM_NEWS_NONE;
    if (event->mask & LOST)
        return IDM_NEWS_TREE;
    if (!event->len || is_own_rename(tree, event))
        return IDM_NEWS_NONE;
    for (size_t d = 0; d < tree->dirs; d++) {
        const struct idm_watch_dir *dir = &tree->dir[d];
        for (size_t i = 0; dir->wd == event->wd && i < dir->names; i++)
            if (dir->name[i].news > news && fits(dir->name[i].name, event->name))
                news = dir->name[i].news;
    }
    /* A directory that others write to, or whose times change, is still the same one. */
    if (news == IDM_NEWS_TREE && !(event->mask & (IN_CREATE | IN_DELETE | IN_MOVE)))
        return IDM_NEWS_NONE;
    return news;
}

/* Read here, not by inotifytools_next_event: that waits in whole seconds, and keeps events back where poll
 * does not see them. */
enum idm_watch_news idm_watch_tree_news(struct idm_watch_tree *tree)
{
    static char buffer[65536] __attribute__((aligned(__alignof__(struct inotify_event))));
    enum idm_watch_news news = IDM_NEWS_NONE;
    ssize_t size = read(tree->fd, buffer, sizeof buffer);
    for (ssize_t at = 0; at < size;) {
        const struct inotify_event *event = (const void *)(buffer + at);
        enum idm_watch_news one = judge(tree, event);
        if (one > news)
            news = one;
        at += (ssize_t)(sizeof *event + event->len);
    }
    return news;
}
