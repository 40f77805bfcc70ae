/* SPDX-License-Identifier: BSD-2-Clause */
/* report_html_machine.c - the state machine, small: what it can do in grey, what this device did in
 * ink, with the numbers of the steps.
 *
 *              none
 *        blank       software
 *                  migrating
 *        tpm         tpm-dual
 *             resetting
 *
 * States, colours and grey arrows come from the table (diagrams/). The path comes from the trace:
 * one boot may go through several states.
 */
#include "tests/lab/report_html.h"

#include <string.h>

#define WIDTH   384
#define HEIGHT  372
#define HALF_W  52 /* of a box */
#define HALF_H  17
#define NUMBERS 3u /* written at an arrow; more become "…" */

struct point {
    int x, y;
};

/* Where the box of a state is, its middle. */
static const struct point places[IDM_STATE_COUNT] = {
    [IDM_S_none] = {192, 24},       [IDM_S_blank] = {70, 100},     [IDM_S_software] = {306, 100},
    [IDM_S_migrating] = {218, 190}, [IDM_S_tpm_dual] = {306, 280}, [IDM_S_tpm] = {70, 280},
    [IDM_S_resetting] = {192, 348},
};

/* ---- the path ---- */

struct walk {
    unsigned int count[IDM_STATE_COUNT][IDM_STATE_COUNT];
    size_t at[IDM_STATE_COUNT][IDM_STATE_COUNT][NUMBERS]; /* moments */
    bool visited[IDM_STATE_COUNT];
    enum idm_state end;
};

static void go(struct walk *walk, enum idm_state to, size_t moment)
{
    unsigned int *count = &walk->count[walk->end][to];
    size_t *at = walk->at[walk->end][to];
    if (to == walk->end)
        return;
    /* Twice in one moment (a reset, begun again) is one number. */
    if (*count == 0 || *count > NUMBERS || at[*count - 1] != moment) {
        if (*count < NUMBERS)
            at[*count] = moment;
        (*count)++;
    }
    walk->visited[to] = true;
    walk->end = to;
}

static bool state_named(const char *name, size_t length, enum idm_state *ret)
{
    for (enum idm_state s = 0; s < IDM_STATE_COUNT; s++)
        if (strlen(idm_state_name(s)) == length && memcmp(name, idm_state_name(s), length) == 0) {
            *ret = s;
            return true;
        }
    return false;
}

/* "software: cert_deleted go tpm-dual, plan …": engine/run.c writes it. */
static bool read_change(const char *line, const char *end, enum idm_state *from, enum idm_state *to)
{
    static const char word[] = " go ";
    const char *colon = memchr(line, ':', (size_t)(end - line));
    const char *next = colon ? memmem(colon, (size_t)(end - colon), word, sizeof word - 1) : NULL;
    if (!next)
        return false;
    next += sizeof word - 1;
    const char *comma = memchr(next, ',', (size_t)(end - next));
    return comma && state_named(line, (size_t)(colon - line), from) &&
           state_named(next, (size_t)(comma - next), to);
}

/* A plan that the power ended has said where it goes, and may not have come there: the record says how
 * far the device went. */
static void walk_trace(struct walk *walk, const struct lab_run *run, size_t moment)
{
    const char *trace = run->moments[moment].sight.trace;
    bool cut = run->moments[moment].result.was_cut;
    while (*trace && !(cut && walk->end == lab_state_at(run, moment))) {
        const char *end = strchrnul(trace, '\n');
        enum idm_state from = IDM_S_none, to = IDM_S_none;
        if (read_change(trace, end, &from, &to) && from == walk->end)
            go(walk, to, moment);
        trace = end + (*end != 0);
    }
}

static void walk_run(struct walk *ret, const struct lab_run *run)
{
    /* A device that was set up before has come from nothing too, before the first step. */
    ret->end =
        run->moments_count && run->scenario->device.provisioned ? lab_state_at(run, 0) : IDM_S_none;
    ret->visited[ret->end] = true;
    for (size_t i = 0; i < run->moments_count; i++) {
        if (lab_has_trace(&run->moments[i]))
            walk_trace(ret, run, i);
        /* What the trace does not show (several runs in one step, another disk) still happened. */
        go(ret, lab_state_at(run, i), i);
    }
}

/* ---- arrows ---- */

struct arrow {
    struct point from, bend, to;
};

static int absolute(int n)
{
    return n < 0 ? -n : n;
}

/* Where the line from the middle of a box to `towards` leaves it. */
static struct point edge_of(struct point box, struct point towards)
{
    int dx = towards.x - box.x, dy = towards.y - box.y;
    bool by_side = absolute(dx) * HALF_H > absolute(dy) * HALF_W;
    int length = by_side ? absolute(dx) : absolute(dy);
    int half = by_side ? HALF_W : HALF_H;
    if (!length)
        return box;
    return (struct point){box.x + dx * half / length, box.y + dy * half / length};
}

/* Bent to the right of its direction, so that there and back are two lines. */
static struct arrow arrow_between(enum idm_state from, enum idm_state to)
{
    struct point a = places[from], b = places[to];
    int dx = b.x - a.x, dy = b.y - a.y;
    int longer = absolute(dx) > absolute(dy) ? absolute(dx) : absolute(dy);
    int by = longer > 170 ? 46 : 30;
    struct arrow arrow = {
        .bend = {(a.x + b.x) / 2 - dy * by / longer, (a.y + b.y) / 2 + dx * by / longer}};
    arrow.from = edge_of(a, arrow.bend);
    arrow.to = edge_of(b, arrow.bend);
    return arrow;
}

static void print_arrow(FILE *out, enum idm_state from, enum idm_state to, const char *look)
{
    struct arrow a = arrow_between(from, to);
    (void)fprintf(out, "<path class=\"%s\" d=\"M%d %dQ%d %d %d %d\" marker-end=\"url(#head-%s)\"/>",
                  look, a.from.x, a.from.y, a.bend.x, a.bend.y, a.to.x, a.to.y, look);
}

static void print_numbers(FILE *out, const struct lab_run *run, const struct walk *walk,
                          enum idm_state from, enum idm_state to)
{
    struct arrow a = arrow_between(from, to);
    const char *comma = "";
    (void)fprintf(out, "<text class=\"at\" x=\"%d\" y=\"%d\">",
                  (a.from.x + 2 * a.bend.x + a.to.x) / 4,
                  (a.from.y + 2 * a.bend.y + a.to.y) / 4 + 4);
    for (unsigned int i = 0; i < walk->count[from][to] && i < NUMBERS; i++) {
        (void)fputs(comma, out);
        lab_print_number(out, run, walk->at[from][to][i]);
        comma = ", ";
    }
    (void)fprintf(out, "%s</text>", walk->count[from][to] > NUMBERS ? " …" : "");
}

/* ---- boxes ---- */

static void print_box(FILE *out, const struct walk *walk, enum idm_state state)
{
    struct point p = places[state];
    const struct lab_look *look = lab_look_of(state);
    (void)fprintf(out,
                  "<g class=\"s-%s%s%s\" data-state=\"%s\"><title>%s: %s</title>"
                  "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"8\"/>"
                  "<text x=\"%d\" y=\"%d\">%s</text></g>\n",
                  look->id, walk->visited[state] ? "" : " never", walk->end == state ? " end" : "",
                  look->id, idm_state_name(state), look->sentence, p.x - HALF_W, p.y - HALF_H,
                  2 * HALF_W, 2 * HALF_H, p.x, p.y + 5, idm_state_name(state));
}

void lab_print_heads(FILE *out)
{
    static const char *const looks[] = {"can", "did"};
    (void)fputs("<svg class=\"heads\" width=\"0\" height=\"0\" aria-hidden=\"true\"><defs>", out);
    for (size_t i = 0; i < sizeof looks / sizeof *looks; i++)
        (void)fprintf(out,
                      "<marker id=\"head-%s\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" "
                      "markerWidth=\"8\" markerHeight=\"8\" markerUnits=\"userSpaceOnUse\" "
                      "orient=\"auto\"><path class=\"%s-head\" d=\"M0 0L8 4L0 8z\"/></marker>",
                      looks[i], looks[i]);
    (void)fputs("</defs></svg>\n", out);
}

static void print_arrows(FILE *out, const struct walk *walk, bool did)
{
    for (enum idm_state from = 0; from < IDM_STATE_COUNT; from++)
        for (enum idm_state to = 0; to < IDM_STATE_COUNT; to++) {
            bool can = lab_joined(from, to, false) || lab_joined(from, to, true);
            if (did && walk->count[from][to])
                print_arrow(out, from, to, "did");
            else if (!did && can && !lab_is_hub(to) && !walk->count[from][to])
                print_arrow(out, from, to, "can");
        }
}

void lab_print_machine(FILE *out, const struct lab_run *run)
{
    struct walk walk = {0};
    walk_run(&walk, run);
    (void)fprintf(out,
                  "<svg class=\"machine\" viewBox=\"0 0 %d %d\" role=\"img\" "
                  "aria-label=\"the state machine and the path taken\">\n",
                  WIDTH, HEIGHT);
    print_arrows(out, &walk, false);
    print_arrows(out, &walk, true);
    (void)fputc('\n', out);
    for (enum idm_state s = 0; s < IDM_STATE_COUNT; s++)
        print_box(out, &walk, s);
    for (enum idm_state from = 0; from < IDM_STATE_COUNT; from++)
        for (enum idm_state to = 0; to < IDM_STATE_COUNT; to++)
            if (walk.count[from][to])
                print_numbers(out, run, &walk, from, to);
    (void)fputs("</svg>\n", out);
}
