/* SPDX-License-Identifier: BSD-2-Clause */
/* report_html.c - the page: what it is, an index, and a section for each run. */
#include "tests/lab/report_html.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- index ---- */

static void print_verdict(FILE *out, enum lab_verdict verdict)
{
    const char *word = lab_verdict_word(verdict);
    (void)fprintf(out, "<span class=\"verdict %s\">%s</span>", word, word);
}

static void count_verdicts(const struct lab_run *runs, size_t count, size_t ret[LAB_SKIP + 1])
{
    memset(ret, 0, (LAB_SKIP + 1) * sizeof *ret);
    for (size_t i = 0; i < count; i++)
        ret[runs[i].verdict]++;
}

/* Radio buttons before the sections: the style alone hides what is not wanted. */
static void print_filters(FILE *out, const struct lab_run *runs, size_t count)
{
    size_t counts[LAB_SKIP + 1];
    count_verdicts(runs, count, counts);
    (void)fprintf(out,
                  "<fieldset class=\"filters\"><legend>Show</legend>\n"
                  "<label><input type=\"radio\" name=\"show\" id=\"show-all\" "
                  "checked=\"checked\"/> all %zu</label>\n",
                  count);
    for (enum lab_verdict v = LAB_PASS; v <= LAB_SKIP; v++)
        (void)fprintf(
            out, "<label><input type=\"radio\" name=\"show\" id=\"show-%s\"/> %zu %s</label>\n",
            lab_verdict_word(v), counts[v], lab_verdict_word(v));
    (void)fputs("</fieldset>\n", out);
}

static void print_index(FILE *out, const struct lab_run *runs, const struct lab_cast *casts,
                        size_t count)
{
    print_filters(out, runs, count);
    (void)fputs("<table class=\"index\"><tbody>\n", out);
    for (size_t i = 0; i < count; i++) {
        (void)fprintf(out, "<tr class=\"%s\"><td>", lab_verdict_word(runs[i].verdict));
        print_verdict(out, runs[i].verdict);
        (void)fprintf(out, "</td><td><a href=\"#run%zu\">", i + 1);
        lab_print_text(out, runs[i].scenario->name);
        (void)fprintf(out, "</a> <small>%s</small></td><td class=\"life\">", runs[i].world);
        lab_print_strip(out, &runs[i], &casts[i]);
        (void)fprintf(out, "</td><td class=\"steps\">%zu steps</td></tr>\n",
                      runs[i].scenario->steps_count);
    }
    (void)fputs("</tbody></table>\n", out);
}

/* ---- sections ---- */

static void print_where(FILE *out, const struct lab_run *run)
{
    const struct lab_scenario *s = run->scenario;
    (void)fputs("<p class=\"where\">", out);
    if (s->source[0]) {
        (void)fputs("From: ", out);
        lab_print_text(out, s->source);
        (void)fputs(". ", out);
    }
    (void)fputs("File: <code>", out);
    lab_print_text(out, s->file);
    (void)fprintf(out, "</code>. World: %s", run->world);
    if (strcmp(run->world, "vm") == 0)
        (void)fputs(", a whole machine", out);
    if (strcmp(run->world, "vm") == 0 && run->cuts)
        (void)fprintf(out, "; its plug was pulled %lu times", run->cuts);
    (void)fputc('.', out);
    if (run->replays > 1)
        (void)fprintf(out, " Replayed %lu times, %lu of them with a power cut; shown is %s replay.",
                      run->replays, run->cuts,
                      run->verdict == LAB_FAIL ? "the first failing" : "the uncut");
    (void)fputs("</p>\n<p class=\"device\">", out);
    lab_print_device(out, &s->device);
    (void)fputs("</p>\n", out);
}

static void print_life(FILE *out, const struct lab_run *run, const struct lab_cast *cast)
{
    if (run->verdict == LAB_FAIL)
        lab_print_failure(out, run);
    if (run->verdict == LAB_SKIP) {
        (void)fputs("<p class=\"skipped\">Skipped: ", out);
        lab_print_text(out, run->skipped);
        (void)fputs("</p>\n", out);
    }
    if (!run->moments_count)
        return;
    lab_print_strip(out, run, cast);
    (void)fputs("<div class=\"sides\">\n", out);
    lab_print_lanes(out, run, cast);
    (void)fputs("<aside><h3>The path it took</h3>\n", out);
    lab_print_machine(out, run);
    (void)fputs(
        "<div class=\"panel\" aria-live=\"polite\"><p class=\"hint\">Point at a row, or go "
        "there with Tab and the arrow keys, to see what idmode thought. Enter opens the row."
        "</p></div></aside>\n</div>\n",
        out);
}

/* `alone`: its name is the page's title. */
static void print_run(FILE *out, const struct lab_run *run, const struct lab_cast *cast,
                      size_t number, bool alone)
{
    (void)fprintf(out, "<section class=\"run %s\" id=\"run%zu\"><h2>",
                  lab_verdict_word(run->verdict), number);
    if (alone)
        (void)fputs("What happened", out);
    else
        lab_print_text(out, run->scenario->name);
    (void)fputc(' ', out);
    print_verdict(out, run->verdict);
    (void)fputs("</h2>\n", out);
    print_where(out, run);
    print_life(out, run, cast);
    (void)fputs("</section>\n", out);
}

/* ---- head ---- */

static void print_title(FILE *out, const struct lab_run *runs, size_t count)
{
    if (count == 1)
        lab_print_text(out, runs[0].scenario->name);
    else
        (void)fprintf(out, "The lives of %zu devices", count);
}

static void print_head(FILE *out, const struct lab_run *runs, size_t count)
{
    (void)fputs("<!DOCTYPE html>\n"
                "<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\"><head>\n"
                "<meta charset=\"utf-8\"/>\n"
                "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
                "<title>",
                out);
    print_title(out, runs, count);
    (void)fputs(" - idmode</title>\n", out);
    lab_print_style(out);
    (void)fputs("</head><body>\n", out);
}

static void print_legend_states(FILE *out)
{
    (void)fputs("<li><b>State</b> ", out);
    for (enum idm_state s = 0; s < IDM_STATE_COUNT; s++)
        (void)fprintf(out, "<span class=\"chip-state s-%s\" title=\"%s\">%s</span> ",
                      lab_look_of(s)->id, lab_look_of(s)->sentence, idm_state_name(s));
    (void)fputs(
        "blue: TLS uses a software key; green: the TPM's; striped: <em>held</em>, the "
        "identity cannot be proven now and nothing is changed; pale: an old image runs, and "
        "idmode does not</li>\n",
        out);
}

static void print_legend(FILE *out)
{
    (void)fputs(
        "<p class=\"lead\">A device proves who it is with a key and a certificate: its "
        "<em>identity</em>. Old system images keep the key in a file; newer ones can keep it in a "
        "TPM chip, where nobody can copy it. Images are upgraded, rolled back and downgraded, "
        "chips "
        "fail, power goes; at each boot <em>idmode</em> decides which identity the device uses, "
        "and "
        "never changes it in silence. Here is what happened to a device, from top to bottom, and "
        "what idmode made of it.</p>\n<ul class=\"legend\">\n"
        "<li><b>Identity</b> <b class=\"disc i0\">1</b> <b class=\"disc i1\">2</b> one number and "
        "colour each; while the band keeps its colour, controllers see the same device</li>\n"
        "<li><b>Image</b> <span class=\"runs\"><span class=\"image aware\"><b>2.0</b> aware</span>"
        "</span> runs idmode, <span class=\"runs\"><span class=\"image legacy\"><b>1.0</b> legacy"
        "</span></span> is older and knows only two files: the <em>legacy view</em>. On trial: the "
        "bootloader may still go back</li>\n",
        out);
    print_legend_states(out);
    (void)fputs(
        "<li><b>Marks</b> <span class=\"tag cut\">⚡</span> the power fails there, "
        "<span class=\"tag bad\">✗</span> here something is not as it must be</li>\n</ul>\n",
        out);
}

/* ---- all ---- */

static void print_page(FILE *out, const struct lab_run *runs, const struct lab_cast *casts,
                       size_t count)
{
    print_head(out, runs, count);
    lab_print_heads(out);
    (void)fputs("<header><p class=\"brand\">idmode · lives of devices</p><h1>", out);
    print_title(out, runs, count);
    (void)fputs("</h1>\n", out);
    print_legend(out);
    if (count != 1)
        print_index(out, runs, casts, count);
    (void)fputs("</header>\n<main>\n", out);
    for (size_t i = 0; i < count; i++)
        print_run(out, &runs[i], &casts[i], i + 1, count == 1);
    (void)fputs("</main>\n", out);
    lab_print_script(out);
    (void)fputs("</body></html>\n", out);
}

int lab_report_html(FILE *out, const struct lab_run *runs, size_t count)
{
    struct lab_cast *casts = calloc(count + 1, sizeof *casts);
    int rc = casts ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = lab_cast_make(&casts[i], &runs[i]);
    if (rc == 0) {
        errno = 0;
        print_page(out, runs, casts, count);
        rc = fflush(out) == 0 && !ferror(out) ? 0 : -1;
        if (rc && !errno)
            errno = EIO;
    }
    for (size_t i = 0; casts && i < count; i++)
        lab_cast_free(&casts[i]);
    free(casts);
    return rc;
}
