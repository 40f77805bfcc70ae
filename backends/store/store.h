/* SPDX-License-Identifier: BSD-2-Clause */
/* store.h - the files of struct idm_backends on a real file system.
 *
 *     store.c   the handle, leftovers of a power cut      place.c   directories, proof, room
 *     file.c    read, write, remove                       mounts.c  who must be a mount point
 *
 * One write: temp file (".NAME.tmp", O_EXCL, mode before content) ─ write ─ fsync ─ rename ─ fsync
 * of the directory ─ read back from the medium and compare.
 *
 * Links. The configured directories may be links (/config -> /mnt/config) and are resolved below
 * the root. What idmode makes itself (its directories, its files) is never reached through one: a
 * link, FIFO, device or directory there makes a read UNREADABLE. A write replaces the name, never
 * what it points to, so it heals a planted link and never writes through a hard link. Reading a
 * file with several hard links is harmless; overwriting one at removal is not, and is left out.
 *
 * FAT has no permissions: a refused fchmod is tolerated, since the file was created with its mode.
 *
 * Descriptors are close-on-exec and never 0, 1 or 2. Writers hold the lock (lock.h).
 */
#ifndef IDM_BACKENDS_STORE_STORE_H
#define IDM_BACKENDS_STORE_STORE_H

#include "backends/backends.h"

struct idm_store;

/* A store below `root` ("" or absolute, without trailing slash). The settings are borrowed until
 * idm_store_close; the caller owns *ret. UNREADABLE or ABSENT when root cannot be opened, MEMORY.
 */
int idm_store_open(struct idm_store **ret, const char *root, const struct idm_settings *settings,
                   struct idm_error *err) IDM_NODISCARD;
void idm_store_close(struct idm_store *store); /* NULL is fine */

/* Closes the directories that it has opened, which keep their file systems from being unmounted; they are opened
 * again when they are needed. Where another file system is found then, what uses the place fails (UNREADABLE,
 * STORAGE) until idm_store_place_state has looked at it. */
void idm_store_let_go(struct idm_store *store);

/* As struct idm_backends says. */

/* ABSENT, UNREADABLE, CORRUPT (larger than IDM_BYTES_MAX), MEMORY. */
int idm_store_read(struct idm_store *store, enum idm_file file, struct idm_bytes *ret,
                   struct idm_error *err) IDM_NODISCARD;
/* FULL, READ_ONLY, STORAGE, MEMORY; USAGE when larger than IDM_BYTES_MAX. */
int idm_store_write(struct idm_store *store, enum idm_file file, const void *data, size_t size,
                    struct idm_error *err) IDM_NODISCARD;
/* FULL, READ_ONLY, STORAGE. The name goes first and durably; then the bytes of a key file are
 * overwritten through the open descriptor: overwriting before it would leave a file of zeros after
 * a power cut, neither the old nor the new. A missing CONFIG or PERSIST directory is STORAGE, since
 * the file may lie on a file system that is not mounted; a missing directory of ours is success. */
int idm_store_remove(struct idm_store *store, enum idm_file file,
                     struct idm_error *err) IDM_NODISCARD;

/* The mode page (active/page.h). READ_ONLY, FULL, STORAGE. */
int idm_store_page(struct idm_store *store, unsigned int mode, uint32_t epoch,
                   struct idm_error *err) IDM_NODISCARD;

enum idm_place_state idm_store_place_state(struct idm_store *store, enum idm_place place);
/* FULL and READ_ONLY as found; READ_ONLY also where the place cannot be reached at all. A read-only
 * mount that config-remount would open counts as writable. */
enum idm_room idm_store_place_room(struct idm_store *store, enum idm_place place, size_t size);
/* tmpfs, ramfs, or an overlay whose upper directory is in one (statfs(2), f_type). */
bool idm_store_place_is_volatile(struct idm_store *store, enum idm_place place);
bool idm_store_place_is_mount(struct idm_store *store, enum idm_place place);

#endif
