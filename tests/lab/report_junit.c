/* SPDX-License-Identifier: BSD-2-Clause */
/* JUnit's XML as Jenkins and GitLab read it: there is no standard, only the schema of the Ant task
 * (https://github.com/windyroad/JUnit-Schema). */
#include "tests/lab/report.h"

/* XML 1.0, section 2.2 has no control characters but three, which a line has no use for. */
static void print_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '&')
            (void)fputs("&amp;", out);
        else if (*text == '<')
            (void)fputs("&lt;", out);
        else if (*text == '>')
            (void)fputs("&gt;", out);
        else if (*text == '"')
            (void)fputs("&quot;", out);
        else
            (void)fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
    }
}

static void print_failure(FILE *out, const struct lab_run *run)
{
    const struct lab_failure *failure = &run->failure;
    (void)fprintf(out, "<failure type=\"");
    print_text(out, failure->what);
    (void)fprintf(out, "\" message=\"step %zu, line %d: %s: expected ", failure->step + 1,
                  failure->line, failure->what);
    print_text(out, failure->expected);
    (void)fputs(", found ", out);
    print_text(out, failure->found);
    (void)fputs("\">", out);
    print_text(out, failure->again);
    (void)fputs("</failure>\n", out);
}

static void print_case(FILE *out, const struct lab_run *run)
{
    char name[LAB_SENTENCE_SIZE];
    lab_report_name(run, name, sizeof name);
    (void)fprintf(out, "<testcase classname=\"scenarios.%s\" name=\"", run->world);
    print_text(out, name);
    (void)fprintf(out, "\" time=\"%.3f\">\n", run->seconds);
    if (run->verdict == LAB_FAIL)
        print_failure(out, run);
    if (run->verdict == LAB_SKIP) {
        (void)fputs("<skipped message=\"", out);
        print_text(out, run->skipped);
        (void)fputs("\"/>\n", out);
    }
    (void)fputs("</testcase>\n", out);
}

int lab_report_junit(FILE *out, const struct lab_run *runs, size_t count)
{
    size_t verdicts[LAB_SKIP + 1] = {0};
    double seconds = 0;
    for (size_t i = 0; i < count; i++) {
        verdicts[runs[i].verdict]++;
        seconds += runs[i].seconds;
    }
    (void)fprintf(out,
                  "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n"
                  "<testsuite name=\"%s\" tests=\"%zu\" failures=\"%zu\" errors=\"0\" "
                  "skipped=\"%zu\" time=\"%.3f\">\n",
                  count ? runs[0].world : "", count, verdicts[LAB_FAIL], verdicts[LAB_SKIP],
                  seconds);
    for (size_t i = 0; i < count; i++)
        print_case(out, &runs[i]);
    (void)fputs("</testsuite>\n</testsuites>\n", out);
    return fflush(out) == 0 && !ferror(out) ? 0 : -1;
}
