/* SPDX-License-Identifier: BSD-2-Clause */
/* settings_file.h - one configuration file, opened with care and parsed by libeconf; used by
 * settings.c alone.
 *
 *     open (no links, no devices, at most 1 MiB) ──► check each line ──► libeconf ──► values
 *
 * libeconf 0.5.1 takes a blank line or a comment behind blanks for more of the value before it,
 * cuts values at any ";" or "#", cuts lines at 8191 bytes in two, stops lines at a zero byte, lets
 * the first of two equal keys win, does not list a key behind an equal one of another section, and
 * needs time that grows with the square of the comments. So it gets a copy in which each line is a
 * section, a key that no later line repeats, or empty: line numbers stay.
 */
#ifndef IDM_BACKENDS_PLATFORM_SETTINGS_FILE_H
#define IDM_BACKENDS_PLATFORM_SETTINGS_FILE_H

#include "backends/error.h"

#include <libeconf.h>

#define IDM_SETTINGS_FILE_MAX (1024u * 1024u)
#define IDM_SETTINGS_LINE_MAX 1023u /* characters */
#define IDM_SETTINGS_FILES    64u   /* in conf.d */

/* Told of each key in the file (the last of equal ones), known or not; section "": before any. */
typedef void idm_settings_key_fn(void *ctx, const char *section, const char *key,
                                 unsigned long line);

/* Parses `name`, opened relative to `dir` (AT_FDCWD, or a root directory below which it stays).
 * `shown` is the path in errors. IDM_E_ABSENT: no such file; IDM_E_SETTINGS: not a regular file,
 * unreadable, too large or not INI, with file and line in err->why. The caller frees *ret with
 * econf_freeFile. */
int idm_settings_file_parse(int dir, const char *name, const char *shown, idm_settings_key_fn *tell,
                            void *ctx, econf_file **ret, struct idm_error *err) IDM_NODISCARD;

/* Opens below the root directory `root` (AT_FDCWD: the machine's own), following links on the way
 * but never out of it, nor at the end. A descriptor, or -1 with errno set. */
int idm_settings_open(int root, const char *name, int flags) IDM_NODISCARD;

/* Value of a key and its line; false: not set in this file. *ret_value is the caller's to free. */
bool idm_settings_file_value(econf_file *file, const char *section, const char *key,
                             char **ret_value, unsigned long *ret_line) IDM_NODISCARD;

#endif
