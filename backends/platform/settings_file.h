/* SPDX-License-Identifier: BSD-2-Clause */
/* settings_file.h - one configuration file, opened with care and read line by line; used by settings.c
 * alone.
 *
 *     open (no links, no devices, at most 1 MiB) ──► each line: told of, or without effect
 *
 * Own code and no library: of what a device reads at each boot, from a file that others write, each line must
 * be named as bad or read as it stands. docs/dependencies.md weighs the libraries there are.
 */
#ifndef IDM_BACKENDS_PLATFORM_SETTINGS_FILE_H
#define IDM_BACKENDS_PLATFORM_SETTINGS_FILE_H

#include "backends/error.h"

#define IDM_SETTINGS_FILE_MAX (1024u * 1024u)
#define IDM_SETTINGS_LINE_MAX 1023u /* characters */
#define IDM_SETTINGS_FILES    64u   /* in conf.d */

/* Told of each key in the file as it comes, known or not: of equal ones the last counts. The strings are
 * borrowed for the call. section "": before any; value "": nothing behind the sign. */
typedef void idm_settings_key_fn(void *ctx, const char *section, const char *key, const char *value,
                                 unsigned long line);

/* Reads `name`, opened relative to `dir` (AT_FDCWD, or a root directory below which it stays).
 * `shown` is the path in errors. IDM_E_ABSENT: no such file; IDM_E_SETTINGS, nothing was told of: not a
 * regular file, unreadable or too large; IDM_E_SETTINGS, every other line was told of: a line is not INI, with
 * file and line of the first one in err->why; IDM_E_MEMORY. */
int idm_settings_file_parse(int dir, const char *name, const char *shown, idm_settings_key_fn *tell,
                            void *ctx, struct idm_error *err) IDM_NODISCARD;

/* What an errno of a file or directory of the configuration is: IDM_E_MEMORY where it passes and says nothing
 * about the file, so that no default may count for it; else IDM_E_SETTINGS. */
int idm_settings_code(int failed);

/* Opens below the root directory `root` (AT_FDCWD: the machine's own), following links on the way
 * but never out of it, nor at the end. A descriptor, or -1 with errno set. */
int idm_settings_open(int root, const char *name, int flags) IDM_NODISCARD;

#endif
