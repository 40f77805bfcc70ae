/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/lab/report_lines.h"

#include "tests/lab/report_html.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define IDENTITIES 64u /* more are not told apart */

static struct {
    FILE *out;
    time_t start;
    size_t count; /* of identities seen */
    char certs[IDENTITIES][LAB_HEX_SIZE];
} lines;

static time_t now_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

int lab_lines_in(const char *path)
{
    lines.out = fopen(path, "we");
    return lines.out ? 0 : -errno;
}

int lab_lines_end(void)
{
    bool failed = lines.out && (ferror(lines.out) || fclose(lines.out) != 0);
    lines.out = NULL;
    return failed ? -EIO : 0;
}

void lab_lines_begin(const struct lab_run *run)
{
    if (!lines.out)
        return;
    lines.start = now_seconds();
    lines.count = 0;
    (void)fprintf(lines.out, "%s (%s): %s\n%5s %7s  %-10s %-9s %5s %8s  %s\n", run->scenario->file,
                  run->world, run->scenario->name, "step", "time", "state", "mode", "epoch",
                  "identity", "what happened");
    (void)fflush(lines.out);
}

/* Numbered in the order of their appearance, from 1; 0: none. */
static size_t number_of(const struct lab_identity *identity)
{
    if (!*identity->cert)
        return 0;
    for (size_t i = 0; i < lines.count; i++)
        if (strcmp(lines.certs[i], identity->cert) == 0)
            return i + 1;
    if (lines.count == IDENTITIES)
        return 0;
    (void)snprintf(lines.certs[lines.count], LAB_HEX_SIZE, "%s", identity->cert);
    return ++lines.count;
}

/* What the page says, with nothing in it that stands for something else: names are letters and digits. */
static void print_event(const struct lab_run *run, const struct lab_moment *moment)
{
    struct lab_run one = *run;
    struct lab_moment copy = *moment;
    char *text = NULL;
    size_t size = 0;
    FILE *event = open_memstream(&text, &size);
    one.moments = &copy;
    one.moments_count = 1;
    if (event) {
        lab_print_event(event, &one, 0);
        (void)fclose(event);
    }
    (void)fputs(text ? text : "", lines.out);
    free(text);
}

static void print_device(const struct lab_sight *s)
{
    char epoch[24] = "-", number[24] = "-";
    if (s->recorded)
        (void)snprintf(epoch, sizeof epoch, "%" PRId64, s->recorded_epoch);
    if (number_of(&s->active))
        (void)snprintf(number, sizeof number, "%zu", number_of(&s->active));
    (void)fprintf(lines.out, "%-10s %-9s %5s %8s  ",
                  s->recorded ? idm_state_name(s->recorded_state) : "-",
                  !s->powered ? "off"
                  : *s->mode  ? s->mode
                              : "-",
                  epoch, number);
}

static void print_reasons(const struct lab_sight *s)
{
    const char *before = s->held ? " - held: " : " - ";
    for (enum idm_reason r = IDM_R_none + 1; r < IDM_REASON_COUNT; r++)
        if (s->powered && s->published && (s->reasons >> r & 1)) {
            (void)fprintf(lines.out, "%s%s", before, idm_reason_word(r));
            before = ", ";
        }
}

void lab_lines_moment(const struct lab_run *run, const struct lab_moment *moment)
{
    if (!lines.out || !moment->step)
        return;
    time_t seconds = now_seconds() - lines.start;
    const struct lab_result *r = &moment->result;
    (void)fprintf(lines.out, "%4zu%s %4ld:%02ld  ", moment->index + 1, moment->recovery ? "'" : " ",
                  (long)(seconds / 60), (long)(seconds % 60));
    print_device(&moment->sight);
    print_event(run, moment);
    if (r->was_cut)
        (void)fprintf(lines.out, " - the plug is pulled after %lu.%lu s", r->cut_ms / 1000,
                      r->cut_ms % 1000 / 100);
    print_reasons(&moment->sight);
    (void)fputc('\n', lines.out);
    (void)fflush(lines.out);
}

void lab_lines_verdict(const struct lab_run *run)
{
    if (!lines.out)
        return;
    long seconds = (long)(now_seconds() - lines.start);
    if (run->verdict == LAB_FAIL)
        lab_report_text(lines.out, run);
    (void)fprintf(lines.out, "%s after %ld:%02ld: %zu steps, %lu cuts\n",
                  lab_verdict_word(run->verdict), seconds / 60, seconds % 60,
                  run->scenario->steps_count, run->cuts);
    (void)fflush(lines.out);
}
