/* SPDX-License-Identifier: BSD-2-Clause */
/* mounts.h - which directories an image declares to be mount points.
 *
 *     ROOT/etc/fstab                          second field (fstab(5))
 *     ROOT/etc/systemd/system/(*.mount)       [Mount] Where= (systemd.mount(5)); hides a unit of
 *     ROOT/usr/lib/systemd/system/(*.mount)   the same name here, also when it is a masking link
 *
 * An empty /config is only "nothing there" when the file system that belongs there is mounted.
 */
#ifndef IDM_BACKENDS_STORE_MOUNTS_H
#define IDM_BACKENDS_STORE_MOUNTS_H

#include "backends/settings.h"

#include <stdbool.h>
#include <stddef.h>

#define IDM_MOUNTS_MAX                                                                             \
    128u /* more than any image declares; beyond it the list counts as unknown                     \
          */

struct idm_mounts {
    bool unknown; /* a source exists but could not be read, or is too large */
    size_t count;
    char (*paths)[IDM_PATH_SIZE]; /* owned; normalised: leading slash, no doubled, no trailing */
};

/* Reads all sources below root_fd. Never fails: what cannot be read sets ret->unknown. The caller
 * frees with idm_mounts_free. */
void idm_mounts_read(int root_fd, struct idm_mounts *ret);
void idm_mounts_free(struct idm_mounts *mounts); /* NULL is fine */

/* Copies `path` normalised into ret_path. False when it is not absolute or does not fit. */
bool idm_mounts_normalise(const char *path, char ret_path[IDM_PATH_SIZE]);

/* Is `mount` the same as `path` or a directory above it? Both normalised; "/" is above nothing: the
 * root is always there. */
bool idm_mounts_covers(const char *mount, const char *path);

#endif
