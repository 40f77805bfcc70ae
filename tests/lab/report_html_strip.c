/* SPDX-License-Identifier: BSD-2-Clause */
/* report_html_strip.c - a whole life in one narrow picture, from left to right.
 *
 *     ████│█████    state, in the colours of the state machine; red below while held
 *     ▓▓▓▓│▒▒▒▒▒    active identity, one colour each
 *
 * A line across means that the power failed there, a thick one that the run failed.
 */
#include "tests/lab/report_html.h"

#define STEP 10u /* width of a moment; the page stretches the picture */

static void print_block(FILE *out, const char *look, size_t from, size_t to, unsigned int y,
                        unsigned int height)
{
    (void)fprintf(out, "<rect class=\"%s\" x=\"%zu\" y=\"%u\" width=\"%zu\" height=\"%u\"/>", look,
                  from * STEP, y, (to - from) * STEP, height);
}

/* Equal neighbours become one block: fewer edges, and a smaller page. */
static void print_states(FILE *out, const struct lab_run *run)
{
    char look[32];
    for (size_t from = 0, to = 0; from < run->moments_count; from = to) {
        enum idm_state state = lab_state_at(run, from);
        while (to < run->moments_count && lab_state_at(run, to) == state)
            to++;
        (void)snprintf(look, sizeof look, "s-%s", lab_look_of(state)->id);
        print_block(out, look, from, to, 3, 11);
    }
    for (size_t i = 0; i < run->moments_count; i++)
        if (run->moments[i].sight.held)
            print_block(out, "held", i, i + 1, 11, 3);
}

static void print_identities(FILE *out, const struct lab_run *run, const struct lab_cast *cast)
{
    char look[16];
    for (size_t from = 0, to = 0; from < run->moments_count; from = to) {
        size_t number = lab_cast_number(cast, &run->moments[from].sight.active);
        while (to < run->moments_count &&
               lab_cast_number(cast, &run->moments[to].sight.active) == number)
            to++;
        (void)snprintf(look, sizeof look, "i%zu", (number - 1) % LAB_COLOURS);
        if (number)
            print_block(out, look, from, to, 16, 7);
    }
}

static void print_marks(FILE *out, const struct lab_run *run)
{
    for (size_t i = 0; i < run->moments_count; i++) {
        size_t x = i * STEP;
        if (run->moments[i].result.was_cut)
            (void)fprintf(out, "<rect class=\"cut\" x=\"%zu\" y=\"0\" width=\"1\" height=\"26\"/>",
                          x + 9);
        if (lab_fails_at(run, i))
            (void)fprintf(out, "<rect class=\"fail\" x=\"%zu\" y=\"0\" width=\"4\" height=\"26\"/>",
                          x + 3);
    }
}

void lab_print_strip(FILE *out, const struct lab_run *run, const struct lab_cast *cast)
{
    if (!run->moments_count)
        return;
    (void)fprintf(out,
                  "<svg class=\"strip\" style=\"max-width:%zurem\" viewBox=\"0 0 %zu 26\" "
                  "preserveAspectRatio=\"none\" role=\"img\" aria-label=\"states and identities, "
                  "step by step\">",
                  2 * run->moments_count, run->moments_count * STEP);
    print_states(out, run);
    print_identities(out, run, cast);
    print_marks(out, run);
    (void)fputs("</svg>\n", out);
}
