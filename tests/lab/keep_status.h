/* SPDX-License-Identifier: BSD-2-Clause */
/* keep_status.h - every status document that devices publish during a replay, one line each: what an
 * agent's author, or the schema, is tested with. One file per process; not for two threads. */
#ifndef IDM_TESTS_LAB_KEEP_STATUS_H
#define IDM_TESTS_LAB_KEEP_STATUS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Begins to keep, in a new file. 0 or -errno. */
int lab_keep_status_in(const char *path);
/* 0, or -EIO when the file could not be written. Not begun: 0. */
int lab_keep_status_end(void);
bool lab_keeps_status(void);
/* A document as it was published (NULL, text that is no JSON: a line that says so). Not begun: nothing. */
void lab_keep_status(const json_t *status);
void lab_keep_status_text(const void *text, size_t size);

#endif
