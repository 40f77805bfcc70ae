/* SPDX-License-Identifier: BSD-2-Clause */
/* report_html.h - the parts of the page that report_html.c puts together.
 *
 *     page   report_html.c          head, index, one section per run
 *            report_html_style.c    style and script, as text
 *     lanes  report_html_lanes.c    one row per moment: image, state, identity, …
 *            report_html_detail.c   what opens under a row: hashes, expectations, trace
 *            report_html_strip.c    the same life as one narrow picture
 *            report_html_machine.c  the state machine with the path that was taken
 *     words  report_html_words.c    what a step says, in words; escaping
 *            report_html_cast.c     who is who: the identities of one run, numbered
 *
 * The page is also well-formed XML: every tool can read it, and a test can tell a slip in it.
 * Same runs, same bytes: no time of day, no duration, no random identifier.
 */
#ifndef IDM_TESTS_LAB_REPORT_HTML_H
#define IDM_TESTS_LAB_REPORT_HTML_H

#include "diagrams/lab.h"
#include "tests/lab/report.h"

/* ---- who is who ---- */

#define LAB_COLOURS 10u /* of identities: .i0 … .i9 in the style */

struct lab_face {
    const struct lab_identity *identity; /* the first sight of it, borrowed */
    const char *label;                   /* given by a step, borrowed; NULL: none */
};

/* The identities of one run, in order of appearance. An identity is known by its certificate. */
struct lab_cast {
    struct lab_face *faces; /* owned */
    size_t count;
};

/* 0, or -1 with errno ENOMEM. */
int lab_cast_make(struct lab_cast *ret, const struct lab_run *run);
void lab_cast_free(struct lab_cast *cast); /* NULL is fine */
/* The identity's number, from 1; 0: it has no certificate. */
size_t lab_cast_number(const struct lab_cast *cast, const struct lab_identity *identity);
/* A disc in its colour with its number; nothing without a certificate. */
void lab_print_disc(FILE *out, const struct lab_cast *cast, const struct lab_identity *identity);

/* ---- words ---- */

/* Escaped for text and for attributes in double quotes. Bytes that are not UTF-8, and characters
 * that XML 1.0 (2.2) does not allow, become U+FFFD. */
void lab_print_text(FILE *out, const char *text);
/* The moment's number as a reader counts: its step's, from 1; the boot after a cut has a prime. */
void lab_print_number(FILE *out, const struct lab_run *run, size_t moment);
/* One sentence: what happened at this moment. */
void lab_print_event(FILE *out, const struct lab_run *run, size_t moment);
/* The device before its first power-on. */
void lab_print_device(FILE *out, const struct lab_device *device);
const char *lab_verdict_word(enum lab_verdict verdict);

/* ---- what a moment means ---- */

/* The recorded state; none where there is no record. */
enum idm_state lab_state_at(const struct lab_run *run, size_t moment);
/* Did idmode run in this moment? Otherwise the trace is an older one. */
bool lab_has_trace(const struct lab_moment *moment);
/* Is this where the run failed? */
bool lab_fails_at(const struct lab_run *run, size_t moment);

/* ---- parts ---- */

void lab_print_style(FILE *out);
void lab_print_script(FILE *out);
void lab_print_strip(FILE *out, const struct lab_run *run, const struct lab_cast *cast);
void lab_print_lanes(FILE *out, const struct lab_run *run, const struct lab_cast *cast);
void lab_print_detail(FILE *out, const struct lab_run *run, const struct lab_cast *cast,
                      size_t moment);
void lab_print_failure(FILE *out, const struct lab_run *run);
void lab_print_heads(FILE *out); /* of arrows; once in a page, before the first machine */
void lab_print_machine(FILE *out, const struct lab_run *run);

#endif
