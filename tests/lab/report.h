/* SPDX-License-Identifier: BSD-2-Clause */
/* report.h - what a replay leaves behind, for those who print it.
 *
 *     replay.c ──► struct lab_run (one scenario in one world, maybe with cuts)
 *                     ├─► terminal, TAP, JUnit   report_text.c, report_tap.c, report_junit.c
 *                     └─► one self-contained page  report_html.c
 */
#ifndef IDM_TESTS_LAB_REPORT_H
#define IDM_TESTS_LAB_REPORT_H

#include "tests/lab/oracle.h"

#include <stdio.h>

/* One step as it went. With a cut, the boot after it is an entry of its own (`recovery`). */
struct lab_moment {
    const struct lab_step *step; /* borrowed from the scenario */
    size_t index;                /* of the step, from 0 */
    bool recovery;               /* the boot after a cut */
    struct lab_result result;
    struct lab_sight sight; /* afterwards */
};

enum lab_verdict { LAB_PASS, LAB_FAIL, LAB_SKIP };

struct lab_failure {
    size_t step; /* index, from 0 */
    int line;
    char what[LAB_WORD_SIZE]; /* the expectation's key, "exit", "I1" … "I12", "world" */
    char expected[512];
    char found[512];
    char again[1024]; /* the one command that reproduces it */
};

struct lab_run {
    const struct lab_scenario *scenario; /* borrowed */
    const char *world;                   /* "sim", "real" */
    enum lab_verdict verdict;
    char skipped[LAB_SENTENCE_SIZE]; /* why, when skipped */
    struct lab_failure failure;      /* of the first failing replay */
    struct lab_moment *moments;      /* owned: of the failing replay, else of the uncut one (of one
                                        that is cut, where the scenario asks for no other), if wanted */
    size_t moments_count;
    unsigned long replays; /* that ran to their end */
    unsigned long cuts;    /* how often the power failed within a step */
    double seconds;        /* wall clock */
    double cpu_seconds;    /* of this process: in the simulated world, of everything */
};

void lab_run_free(struct lab_run *run);

/* What a person at a terminal wants to know of one run, as soon as it ended: nothing when it passed,
 * why when it failed or was skipped. */
void lab_report_text(FILE *out, const struct lab_run *run);
/* "N passed, N failed[, N skipped]", without a newline. */
void lab_report_counts(FILE *out, const struct lab_run *runs, size_t count);
/* The file's name without directory and ".yaml": what a test case is called. */
void lab_report_name(const struct lab_run *run, char *ret, size_t size);

/* Test Anything Protocol, version 13. 0, or -1 with errno; so do the others. */
int lab_report_tap(FILE *out, const struct lab_run *runs, size_t count);
/* JUnit's XML, one element a line. */
int lab_report_junit(FILE *out, const struct lab_run *runs, size_t count);
/* One self-contained HTML page (no network, no file beside it) with a timeline per run. */
int lab_report_html(FILE *out, const struct lab_run *runs, size_t count);

#endif
