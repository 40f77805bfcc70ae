/* SPDX-License-Identifier: BSD-2-Clause */
/* place.h - inside the store: its handle and its directories.
 *
 * Directories are opened once and kept: by path, each read and each write would look for them again.
 */
#ifndef IDM_BACKENDS_STORE_PLACE_H
#define IDM_BACKENDS_STORE_PLACE_H

#include "backends/store/inroot.h"
#include "backends/store/mounts.h"
#include "backends/store/store.h"

#include <sys/types.h>

/* Where a directory lies. */
struct idm_place_seen {
    bool known;
    dev_t device;
    uint64_t inode;
    uint64_t mount; /* statx(2), stx_mnt_id; 0: the kernel does not tell (before 5.8) */
};

struct idm_store {
    int root_fd;
    char *root; /* as given, for messages */
    /* By place; -1: not opened. Opened anew where the state of a place is asked for: the directory that was
     * proven to be on the right file system is the one that is read and written. After idm_store_let_go it is
     * looked for again, and `seen` says whether what is found lies where it lay. */
    int dirs[IDM_PLACES];
    struct idm_place_seen seen[IDM_PLACES];
    const struct idm_settings *settings;
    bool mounts_known; /* `mounts` has been read */
    struct idm_mounts mounts;
    bool swept; /* leftovers of a power cut have been looked for */
};

/* Directory of `place`, the store's own descriptor or a negative errno; with `make` idmode's own ones are made
 * when missing (PERSIST_OURS 0700, others 0755 whatever the umask) and their parent is synced. -ENOENT: it is
 * not there; -ENOTDIR: a link or file is in its place; -ESTALE: since its state was asked for it was let go, and
 * now another file system is there. */
int idm_place_dir(struct idm_store *store, enum idm_place place, bool make);

/* ROOT/run/idmode, without a store; makes ROOT/run too. The caller owns the descriptor. */
int idm_place_open_run(int root_fd, bool make);

/* Path as a message shows it: ROOT, directory, and "/" name when name is not NULL; cut to size. */
void idm_place_path(const struct idm_store *store, enum idm_place place, const char *name,
                    char *ret_path, size_t size);

/* The place that holds idmode's own directory; `place` itself for CONFIG and PERSIST. */
enum idm_place idm_place_base(enum idm_place place);

/* Is the directory the root of a mount? */
bool idm_place_fd_is_mount(int fd);

/* config-remount = yes: makes a read-only mounted config directory writable until the end of the
 * change. READ_ONLY when that is not permitted. Nothing to do: 0. */
struct idm_remount {
    int fd;              /* of the mount's root; -1: nothing to restore */
    unsigned long flags; /* mount(2) flags that make it read-only again */
};
#define IDM_REMOUNT_NONE                                                                           \
    {                                                                                              \
        .fd = -1                                                                                   \
    }
int idm_remount_begin(struct idm_store *store, enum idm_place place, struct idm_remount *ret,
                      struct idm_error *err) IDM_NODISCARD;
void idm_remount_end(struct idm_remount *remount);
#define _cleanup_remount_ __attribute__((cleanup(idm_remount_end)))

/* file.c: removes the temp file that a power cut left beside `file` in `dir`, if there is one. */
void idm_file_sweep(int dir, enum idm_file file);
/* file.c: is there one? */
bool idm_file_leftover(int dir, enum idm_file file);
/* file.c: the directory that holds `file`. */
enum idm_place idm_file_place(enum idm_file file);

/* store.c: once per store, before its first change. */
void idm_store_sweep(struct idm_store *store);

#endif
