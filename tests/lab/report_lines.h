/* SPDX-License-Identifier: BSD-2-Clause */
/* report_lines.h - a life while it happens, one line per moment: for worlds in which a step takes its time.
 *
 *     step    time  state      mode      epoch identity  what happened
 *        4    1:22  software   off           1        1  Boots slot B: aware 2.0 - the plug is pulled after 3.4 s
 *        4'   1:58  software   software      1        1  Boots slot B: aware 2.0, after the cut
 *
 * One file per process; not for two threads. Not begun: all others do nothing.
 */
#ifndef IDM_TESTS_LAB_REPORT_LINES_H
#define IDM_TESTS_LAB_REPORT_LINES_H

#include "tests/lab/report.h"

/* Begins, in a new file. 0 or -errno. */
int lab_lines_in(const char *path);
/* 0, or -EIO when the file could not be written. */
int lab_lines_end(void);

/* A life begins; what happened in it; how it ended. Each is in the file when the call returns. */
void lab_lines_begin(const struct lab_run *run);
void lab_lines_moment(const struct lab_run *run, const struct lab_moment *moment);
void lab_lines_verdict(const struct lab_run *run);

#endif
