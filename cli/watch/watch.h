/* SPDX-License-Identifier: BSD-2-Clause */
/* watch.h - idmode-watch: notices that a file of the identity changed, and has `idmode boot` look.
 *
 *     inotify, mounts ─► tree.c: does that concern us? ─► main.c: when? ─► run.c: idmode boot
 *                                                              │
 *                                    its exit code: 0 is well, anything else is looked at again
 *
 * It decides nothing about identities: that is idmode's alone. It knows names and moments.
 *
 *   - What idmode writes arrives by a rename from idmode's own temp name (".NAME.tmp"): no reason to look,
 *     whoever ran idmode. What it removes, and directories that it makes, cost one more look, which then
 *     finds nothing: a settled boot writes the marker alone.
 *   - Events are gathered until QUIET_MS without one, at most GATHER_MS: a burst is one look.
 *   - LOOKS_AT_ONCE looks, and one more every LOOK_AGAIN_MS: whatever keeps changing files, flash and chip
 *     are spared.
 *   - A device that is held or fails is looked at again after --retry seconds, twice that, and so on up to
 *     RETRY_MOST_MS; at once when the chip's node appears.
 *
 * Links libinotifytools, which is GPL-2-only, and so neither OpenSSL nor the rest of idmode: of that only
 * the options and the configuration.
 */
#ifndef IDM_CLI_WATCH_WATCH_H
#define IDM_CLI_WATCH_WATCH_H

#include "backends/settings.h"
#include "cli/options.h"

#include <limits.h>
#include <sys/types.h>

#define QUIET_MS      150
#define GATHER_MS     500
#define LOOKS_AT_ONCE 10
#define LOOK_AGAIN_MS 30000
#define RETRY_MOST_MS 300000
#define STOP_MS       10000 /* a boot that runs is waited for before we end */

int64_t idm_watch_now_ms(void);
void idm_watch_say(const char *format, ...) IDM_PRINTF(1, 2);

/* ---- tree.c: directories and the names in them ---- */

/* What an event means; a later one includes the earlier. */
enum idm_watch_news {
    IDM_NEWS_NONE,
    IDM_NEWS_CHIP,     /* the chip's node: of interest to a device that is held */
    IDM_NEWS_FILE,     /* certificate, key, marker, record */
    IDM_NEWS_TREE,     /* a directory came, went or was replaced; or events were lost */
    IDM_NEWS_SETTINGS, /* the configuration, and so perhaps the directories */
};

#define IDM_WATCH_DIRS  48u /* five of ours, the configuration's, /dev, and what lies above them */
#define IDM_WATCH_NAMES 12u

struct idm_watch_dir {
    char path[PATH_MAX]; /* as this process sees it, without links */
    int wd;
    size_t names;
    struct {
        char name[NAME_MAX + 1];
        enum idm_watch_news news;
    } name[IDM_WATCH_NAMES];
};

struct idm_watch_tree {
    char top[PATH_MAX]; /* the root, as this process sees it */
    int fd;             /* of inotify: libinotifytools', not ours to close */
    size_t dirs;
    struct idm_watch_dir dir[IDM_WATCH_DIRS];
    uint64_t seen;          /* what stood at those paths: devices, inodes, read-only or not */
    uint32_t own_cookie;    /* of a rename from idmode's temp name … */
    char own[NAME_MAX + 1]; /* … and to which name it goes */
};

/* Watches everything anew, directories that exist and those above missing ones. STORAGE when inotify has
 * no room; MEMORY. Never twice at a time in a process. */
int idm_watch_tree_build(struct idm_watch_tree *tree, const struct idm_options *options,
                         const struct idm_settings *settings, struct idm_error *err) IDM_NODISCARD;
void idm_watch_tree_free(struct idm_watch_tree *tree);
/* Takes events that wait; poll says when there are more. */
enum idm_watch_news idm_watch_tree_news(struct idm_watch_tree *tree);
/* After a mount or an unmount somewhere: is it ours? */
bool idm_watch_tree_moved(const struct idm_watch_tree *tree);

/* ---- run.c: idmode boot ---- */

struct idm_watch_run {
    pid_t pid; /* 0: none runs */
    int fd;    /* pidfd, -1 */
};

/* `quiet`: says nothing that it said before. STORAGE. */
int idm_watch_run_start(struct idm_watch_run *run, const struct idm_options *options, bool quiet,
                        struct idm_error *err) IDM_NODISCARD;
/* Its exit code, 128 and more when a signal ended it; -1: it still runs. */
int idm_watch_run_end(struct idm_watch_run *run);

/* ---- notify.c: sd_notify(3)'s protocol ---- */

/* One datagram to $NOTIFY_SOCKET; without one, nothing. */
void idm_watch_notify(const char *message);
/* Half of what $WATCHDOG_USEC allows, in ms; -1: nobody watches. */
int64_t idm_watch_watchdog_ms(void);

#endif
