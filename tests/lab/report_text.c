/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/lab/report.h"

#include <string.h>

#define TRACE_LINES 12u /* what went before a failure, at most */

void lab_report_name(const struct lab_run *run, char *ret, size_t size)
{
    const char *file = strrchr(run->scenario->file, '/');
    file = file ? file + 1 : run->scenario->file;
    size_t length = strlen(file);
    if (length > 5 && strcmp(file + length - 5, ".yaml") == 0)
        length -= 5;
    (void)snprintf(ret, size, "%.*s", (int)length, file);
}

/* The end of the last trace: why idmode did what it did. */
static void print_trace(FILE *out, const struct lab_run *run)
{
    if (!run->moments_count)
        return;
    const char *trace = run->moments[run->moments_count - 1].sight.trace;
    const char *at = trace + strlen(trace);
    unsigned int lines = 0;
    while (at > trace && lines <= TRACE_LINES)
        lines += *--at == '\n';
    if (lines > TRACE_LINES)
        at++;
    if (*at)
        (void)fputs("    trace:\n", out);
    while (*at) {
        size_t length = strcspn(at, "\n");
        if (length)
            (void)fprintf(out, "      %.*s\n", (int)length, at);
        at += length + (at[length] == '\n');
    }
}

static void print_failure(FILE *out, const struct lab_run *run)
{
    const struct lab_failure *failure = &run->failure;
    const struct lab_scenario *scenario = run->scenario;
    (void)fprintf(out, "FAILED %s (%s): %s\n  step %zu", scenario->file, run->world, scenario->name,
                  failure->step + 1);
    if (failure->step < scenario->steps_count)
        (void)fprintf(out, ", line %d, %s", failure->line,
                      lab_action_word(scenario->steps[failure->step].action));
    (void)fprintf(out, ": %s\n    expected: %s\n    found:    %s\n", failure->what,
                  failure->expected, failure->found);
    print_trace(out, run);
    (void)fprintf(out, "  again: %s\n", failure->again);
}

void lab_report_text(FILE *out, const struct lab_run *run)
{
    if (run->verdict == LAB_FAIL)
        print_failure(out, run);
    else if (run->verdict == LAB_SKIP)
        (void)fprintf(out, "skipped %s (%s): %s\n", run->scenario->file, run->world, run->skipped);
}

void lab_report_counts(FILE *out, const struct lab_run *runs, size_t count)
{
    size_t verdicts[LAB_SKIP + 1] = {0};
    for (size_t i = 0; i < count; i++)
        verdicts[runs[i].verdict]++;
    (void)fprintf(out, "%zu passed, %zu failed", verdicts[LAB_PASS], verdicts[LAB_FAIL]);
    if (verdicts[LAB_SKIP])
        (void)fprintf(out, ", %zu skipped", verdicts[LAB_SKIP]);
}
