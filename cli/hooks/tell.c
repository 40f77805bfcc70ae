/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/hooks/hooks.h"

#include "backends/bootenv/child.h"
#include "backends/platform/trace.h"
#include "backends/store/inroot.h"
#include "backends/store/lock.h"

#include <ctype.h>
#include <dirent.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>

#define LOCK_MS 60000u /* idmode may wait for a chip meanwhile; nobody waits for us */

void idm_hooks_say(const struct idm_hooks *hooks, bool bad, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    char text[sizeof line + 8];
    (void)snprintf(text, sizeof text, "hooks: %s", line);
    idm_trace_line(hooks->options->root, IDM_TRACE_FILE, text);
    if (bad && !*hooks->options->root)
        syslog(LOG_WARNING, "%s", line);
}

/* ---- what changed ---- */

static json_t *read_json(struct idm_hooks *hooks, enum idm_file file)
{
    _cleanup_bytes_ struct idm_bytes text = {0};
    if (idm_store_read(hooks->store, file, &text, NULL) || !text.data)
        return NULL;
    return json_loadb((const char *)text.data, text.size, 0, NULL);
}

/* This boot's word counts, where there is one: storage may have refused to keep it. */
static void read_told(struct idm_hooks *hooks, struct idm_told *ret)
{
    json_t *report = read_json(hooks, IDM_F_RUN_HOOKS);
    bool here = idm_told_of_status(json_object_get(report, "told"), ret);
    json_decref(report);
    if (here)
        return;
    json_t *told = read_json(hooks, IDM_F_TOLD);
    idm_told_parse(told, ret);
    json_decref(told);
}

bool idm_hooks_look(struct idm_hooks *hooks, struct idm_change *ret_change)
{
    _cleanup_bytes_ struct idm_bytes history = {0};
    *ret_change = (struct idm_change){0};
    json_t *status = read_json(hooks, IDM_F_RUN_STATUS);
    bool published = idm_told_of_status(status, &ret_change->now);
    read_told(hooks, &ret_change->before);
    bool news = published && !idm_told_same(&ret_change->now, &ret_change->before);
    if (news) {
        if (idm_store_read(hooks->store, IDM_F_HISTORY, &history, NULL))
            idm_bytes_free(&history); /* then the last event stands for it */
        idm_change_fill(ret_change, status, &history);
    }
    json_decref(status);
    return news;
}

/* ---- which hooks ---- */

struct hook {
    char name[NAME_MAX + 1];
    const char *unfit; /* why it is not run; NULL: it is */
    bool refused;      /* somebody must look at it */
};

struct directory {
    char path[PATH_MAX];
    size_t count;
    bool more; /* than are run */
    struct hook hooks[IDM_HOOKS_MAX];
};

/* run-parts(8), without options: letters, digits, underscores and hyphens. So editors' and packages'
 * leftovers (x~, x.dpkg-old) are none. */
static bool is_hook_name(const char *name)
{
    for (const char *at = name; *at; at++)
        if (!isascii((unsigned char)*at) ||
            !(isalnum((unsigned char)*at) || *at == '_' || *at == '-'))
            return false;
    return *name != 0;
}

/* May somebody else than root, or than who runs this, change it? */
static const char *not_ours(const struct stat *st)
{
    if (st->st_uid != 0 && st->st_uid != geteuid())
        return "it is not root's";
    if (st->st_mode & S_IWOTH || (st->st_mode & S_IWGRP && st->st_gid != 0))
        return "others may write to it";
    return NULL;
}

static void judge(int dir, struct hook *hook)
{
    struct stat st;
    if (fstatat(dir, hook->name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        hook->unfit = "it cannot be looked at";
    } else if (!S_ISREG(st.st_mode)) {
        hook->unfit = "it is no regular file";
        hook->refused = S_ISLNK(st.st_mode);
    } else if ((hook->unfit = not_ours(&st)) != NULL) {
        hook->refused = true;
    } else if (!(st.st_mode & S_IXUSR)) {
        hook->unfit = "it is not executable";
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct hook *)a)->name, ((const struct hook *)b)->name);
}

/* A negative errno where the directory cannot be read. */
static int list(struct idm_hooks *hooks, struct directory *ret, const char **ret_unfit)
{
    struct stat st;
    _cleanup_close_ int root = idm_inroot_root(hooks->options->root);
    int fd = root < 0 ? -1
                      : idm_inroot_open(root, hooks->settings.hooks_directory,
                                        O_RDONLY | O_DIRECTORY | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    DIR *stream = fdopendir(fd);
    if (!stream) {
        int failed = errno;
        (void)close(fd);
        return -failed;
    }
    *ret = (struct directory){0};
    int r = fstat(fd, &st) < 0 || idm_fd_path(fd, ret->path, sizeof ret->path) < 0 ? -EIO : 0;
    *ret_unfit = r == 0 ? not_ours(&st) : NULL;
    const struct dirent *entry = NULL;
    while (r == 0 && (entry = readdir(stream)) != NULL) {
        if (!is_hook_name(entry->d_name))
            continue;
        if (ret->count == IDM_HOOKS_MAX) {
            ret->more = true;
            break;
        }
        struct hook *hook = &ret->hooks[ret->count++];
        (void)snprintf(hook->name, sizeof hook->name, "%s", entry->d_name);
        judge(fd, hook);
    }
    (void)closedir(stream);
    qsort(ret->hooks, ret->count, sizeof *ret->hooks, by_name);
    return r;
}

bool idm_hooks_any(struct idm_hooks *hooks)
{
    static struct directory directory;
    const char *unfit = NULL;
    return list(hooks, &directory, &unfit) == 0 && directory.count > 0;
}

/* ---- their runs ---- */

static json_t *report_on(const char *name, const char *result, const char *why)
{
    json_t *line = json_pack("{s:s, s:s}", "name", name, "result", result);
    if (why)
        (void)json_object_set_new(line, "why", json_string(why));
    return line;
}

static json_t *run_hook(struct idm_hooks *hooks, const struct directory *directory,
                        const struct hook *hook, char *const environment[])
{
    static struct idm_child_result result;
    char path[PATH_MAX + NAME_MAX + 2];
    char why[256] = "";
    struct idm_error err = {0};
    if (hook->unfit) {
        idm_hooks_say(hooks, hook->refused, "%s not run: %s", hook->name, hook->unfit);
        return report_on(hook->name, hook->refused ? "refused" : "skipped", hook->unfit);
    }
    (void)snprintf(path, sizeof path, "%s/%s", directory->path, hook->name);
    char *const argv[] = {path, NULL};
    if (idm_child_do(argv, environment, hooks->settings.hooks_timeout_ms, &result, &err))
        (void)snprintf(why, sizeof why, "%s", err.why);
    else if (result.exit_code != 0)
        (void)snprintf(why, sizeof why, "exit code %d%s%.200s", result.exit_code,
                       result.err[0] ? ": " : "", result.err);
    idm_hooks_say(hooks, why[0] != 0, "%s %s%s", hook->name, why[0] ? "failed: " : "done", why);
    return report_on(hook->name, why[0] ? "failed" : "done", why[0] ? why : NULL);
}

static json_t *run_all(struct idm_hooks *hooks, const struct idm_change *change,
                       const struct directory *directory)
{
    static struct idm_hooks_env env;
    json_t *reports = json_array();
    if (!idm_change_environment(change, hooks->options, &env)) {
        (void)json_array_append_new(
            reports, report_on("", "failed", "the change does not fit into an environment"));
        return reports;
    }
    for (size_t i = 0; i < directory->count; i++)
        (void)json_array_append_new(reports,
                                    run_hook(hooks, directory, &directory->hooks[i], env.list));
    if (directory->more)
        (void)json_array_append_new(reports, report_on("", "failed", "there are more than 64"));
    return reports;
}

/* ---- what is noted of it ---- */

static int write_json(struct idm_hooks *hooks, enum idm_file file, json_t *doc,
                      struct idm_error *err)
{
    char *text = doc ? json_dumps(doc, JSON_INDENT(2)) : NULL;
    json_decref(doc);
    if (!text)
        return idm_fail(err, IDM_E_MEMORY, "note what was told", "out of memory");
    int rc = idm_store_write(hooks->store, file, text, strlen(text), err);
    free(text);
    return rc;
}

static json_t *make_report(const struct idm_change *change, json_t *reports)
{
    char at[32] = "";
    struct tm tm;
    time_t now = time(NULL);
    if (gmtime_r(&now, &tm))
        (void)strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return json_pack("{s:s, s:s, s:o, s:o, s:o}", "at", at, "event", change->event, "told",
                     idm_told_json(&change->now), "before", idm_told_json(&change->before), "hooks",
                     reports);
}

/* Under idmode's lock, which sweeps what looks like the leftover of a write. */
static void note(struct idm_hooks *hooks, const struct idm_change *change, json_t *reports,
                 bool told)
{
    struct idm_lock lock = {0};
    struct idm_error err = {0};
    int rc = idm_lock_take(&lock, hooks->options->root, LOCK_MS, "idmode hooks", &err);
    if (rc)
        json_decref(reports);
    else
        rc = write_json(hooks, IDM_F_RUN_HOOKS, make_report(change, reports), &err);
    if (rc == 0 && told)
        rc = write_json(hooks, IDM_F_TOLD, idm_told_json(&change->now), &err);
    idm_lock_release(&lock);
    if (rc)
        idm_hooks_say(hooks, true, "not noted, so that it is told again: %s: %s", err.what,
                      err.why);
}

void idm_hooks_tell(struct idm_hooks *hooks, const struct idm_change *change)
{
    static struct directory directory;
    const char *unfit = NULL;
    int rc = list(hooks, &directory, &unfit);
    if (rc < 0 || unfit) {
        /* Not told: it is, once somebody has mended the directory. */
        struct idm_change nothing = *change;
        const char *why = unfit ? unfit : strerror(-rc);
        nothing.now = change->before;
        idm_hooks_say(hooks, true, "none run: %s: %s", hooks->settings.hooks_directory, why);
        json_t *reports = json_array();
        (void)json_array_append_new(reports,
                                    report_on(hooks->settings.hooks_directory, "refused", why));
        note(hooks, &nothing, reports, false);
        return;
    }
    idm_hooks_say(hooks, false, "told: mode %s, state %s, epoch %lld%s, before: %s, %s, %lld",
                  change->now.mode, change->now.state, change->now.epoch,
                  change->now.held ? ", held" : "", change->before.mode, change->before.state,
                  change->before.epoch);
    note(hooks, change, run_all(hooks, change, &directory), true);
}
