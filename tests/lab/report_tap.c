/* SPDX-License-Identifier: BSD-2-Clause */
/* Test Anything Protocol, version 13: https://testanything.org/tap-version-13-specification.html */
#include "tests/lab/report.h"

/* "#" begins a directive, and a line is a line. */
static void print_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '#' || *text == '\\')
            (void)fputc('\\', out);
        (void)fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
    }
}

/* A YAML scalar in double quotes. */
static void print_entry(FILE *out, const char *key, const char *text)
{
    (void)fprintf(out, "  %s: \"", key);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            (void)fputc('\\', out);
        (void)fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
    }
    (void)fputs("\"\n", out);
}

static void print_diagnosis(FILE *out, const struct lab_run *run)
{
    const struct lab_failure *failure = &run->failure;
    (void)fputs("  ---\n", out);
    print_entry(out, "message", failure->what);
    (void)fprintf(out, "  severity: fail\n  step: %zu\n  line: %d\n", failure->step + 1,
                  failure->line);
    print_entry(out, "file", run->scenario->file);
    print_entry(out, "expected", failure->expected);
    print_entry(out, "found", failure->found);
    print_entry(out, "again", failure->again);
    (void)fputs("  ...\n", out);
}

int lab_report_tap(FILE *out, const struct lab_run *runs, size_t count)
{
    (void)fprintf(out, "TAP version 13\n1..%zu\n", count);
    for (size_t i = 0; i < count; i++) {
        char name[LAB_SENTENCE_SIZE];
        lab_report_name(&runs[i], name, sizeof name);
        (void)fprintf(out, "%s %zu - ", runs[i].verdict == LAB_FAIL ? "not ok" : "ok", i + 1);
        print_text(out, name);
        (void)fprintf(out, " (%s): ", runs[i].world);
        print_text(out, runs[i].scenario->name);
        if (runs[i].verdict == LAB_SKIP) {
            (void)fputs(" # SKIP ", out);
            print_text(out, runs[i].skipped);
        }
        (void)fputc('\n', out);
        if (runs[i].verdict == LAB_FAIL)
            print_diagnosis(out, &runs[i]);
    }
    (void)fputs("# ", out);
    lab_report_counts(out, runs, count);
    (void)fputc('\n', out);
    return fflush(out) == 0 && !ferror(out) ? 0 : -1;
}
