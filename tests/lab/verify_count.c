/* SPDX-License-Identifier: BSD-2-Clause */
/* verify_count.c - how far a run came: plan steps of the table that it met, what its last fifth added,
 * which depths it searched to the end. */
#include "tests/lab/verify_run.h"

#include <string.h>

/* ---- plan steps ---- */

static bool read_name(const char **at, const char *end, char ret[64])
{
    size_t size = strcspn(*at, end);
    if (!(*at)[size] || size >= 64)
        return false;
    memcpy(ret, *at, size);
    ret[size] = 0;
    *at += size;
    return true;
}

static bool find_cell(struct verify_point *ret, const char *state, const char *event)
{
    unsigned int s = 0;
    unsigned int e = 0;
    while (s < IDM_STATE_COUNT && strcmp(idm_state_name((enum idm_state)s), state) != 0)
        s++;
    while (e < IDM_EVENT_COUNT && strcmp(idm_event_name((enum idm_event)e), event) != 0)
        e++;
    if (s == IDM_STATE_COUNT || e == IDM_EVENT_COUNT)
        return false;
    *ret = (struct verify_point){
        .known = true, .state = (enum idm_state)s, .event = (enum idm_event)e};
    return true;
}

/* "STATE: EVENT KIND NEXT, plan …" begins a plan, "STATE: ACTION done" ends one of its actions. */
static void read_point(struct verify_point *point, const char *line)
{
    char state[64], word[64];
    if (!read_name(&line, ":", state) || strncmp(line, ": ", 2) != 0)
        return;
    line += 2;
    if (!read_name(&line, " ", word) || strcmp(word, "action") == 0 ||
        strncmp(line, " ignored:", 9) == 0)
        return;
    if (strcmp(line, " done") == 0)
        point->action++;
    else if (!find_cell(point, state, word))
        point->known = false;
}

static void hear(void *self, const char *line)
{
    struct verify_listener *listener = self;
    verify_point_met(listener->run, &listener->point, VERIFY_RAN);
    read_point(&listener->point, line);
}

void verify_listen(struct verify_listener *self, struct verify_run *r, struct lab_world *world)
{
    *self = (struct verify_listener){.run = r};
    world->sim.traced = hear;
    world->sim.traced_self = self;
}

void verify_deaf(struct lab_world *world)
{
    world->sim.traced = NULL;
}

void verify_point_met(struct verify_run *r, const struct verify_point *point, enum verify_met how)
{
    if (!point->known || point->action >= IDM_PLAN_STEPS)
        return;
    uint8_t *met = &r->totals->met[point->event][point->state][point->action];
    r->points += !*met;
    *met |= (uint8_t)how;
}

static bool has_plan(enum idm_event event, enum idm_state state,
                     const struct idm_plan_info **ret_plan)
{
    struct idm_cell cell = idm_table_cell(event, state);
    *ret_plan = idm_plan_info(cell.plan);
    return (cell.kind == IDM_CELL_GO || cell.kind == IDM_CELL_END || cell.kind == IDM_CELL_HOLD) &&
           (*ret_plan)->steps[0] != IDM_A_none;
}

/* All plan steps of the table; those that a run met are told by `how`. `to`: prints those that none did. */
static unsigned long count_points(const struct verify_totals *sum, unsigned int how, FILE *to)
{
    unsigned long count = 0;
    for (unsigned int e = 0; e < IDM_EVENT_COUNT; e++)
        for (unsigned int s = 0; s < IDM_STATE_COUNT; s++) {
            const struct idm_plan_info *plan = NULL;
            if (!has_plan((enum idm_event)e, (enum idm_state)s, &plan))
                continue;
            for (unsigned int i = 0; plan->steps[i] != IDM_A_none; i++) {
                uint8_t met = sum->met[e][s][i];
                count += !how || (met & how);
                if (to && !met)
                    (void)fprintf(to, "not met: %s: %s, plan %s: %s\n",
                                  idm_state_name((enum idm_state)s),
                                  idm_event_name((enum idm_event)e), plan->name,
                                  idm_action_name(plan->steps[i]));
            }
        }
    return count;
}

void verify_print_unmet(const struct verify_totals *sum, FILE *to)
{
    (void)count_points(sum, 0, to);
}

/* ---- what the last fifth added ---- */

void verify_trail_on(struct verify_run *r)
{
    struct verify_trail *t = &r->trail;
    if (!t->every)
        t->every = 1;
    if (r->totals->recoveries % t->every)
        return;
    if (t->count == VERIFY_TRAIL) {
        for (size_t i = 0; i < VERIFY_TRAIL / 2; i++) {
            t->images[i] = t->images[2 * i + 1];
            t->points[i] = t->points[2 * i + 1];
        }
        t->count /= 2;
        t->every *= 2;
        if (r->totals->recoveries % t->every)
            return;
    }
    t->images[t->count] = r->images.count;
    t->points[t->count++] = r->points;
}

void verify_trail_end(struct verify_run *r)
{
    const struct verify_trail *t = &r->trail;
    unsigned long from = r->totals->recoveries - r->totals->recoveries / 5;
    size_t at = t->every ? from / t->every : 0; /* moment i is recovery (i + 1) · every */
    if (at == 0 || at > t->count)
        return;
    r->totals->late_images = r->images.count - t->images[at - 1];
    r->totals->late_points = r->points - t->points[at - 1];
}

/* ---- all jobs together ---- */

void verify_add_totals(struct verify_totals *sum, const struct verify_totals *one)
{
    sum->recoveries += one->recoveries;
    sum->again += one->again;
    sum->elsewhere += one->elsewhere;
    sum->equal += one->equal;
    sum->images += one->images;
    sum->late_images += one->late_images;
    sum->late_points += one->late_points;
    sum->runs += one->runs;
    sum->violations += one->violations;
    sum->lives += one->lives;
    sum->left_outcomes += one->left_outcomes;
    sum->left_calls += one->left_calls;
    sum->user_seconds += one->user_seconds;
    sum->stopped |= one->stopped;
    for (size_t i = 0; i <= VERIFY_DEPTH_MAX; i++) {
        sum->depths[i].entered += one->depths[i].entered;
        sum->depths[i].left += one->depths[i].left;
    }
    const uint8_t *from = &one->met[0][0][0];
    uint8_t *to = &sum->met[0][0][0];
    for (size_t i = 0; i < sizeof sum->met; i++)
        to[i] |= from[i];
}

static void print_depths(const struct verify_options *options, const struct verify_totals *sum)
{
    bool above = true; /* whatever is above is exhausted */
    for (unsigned int i = 0; i <= options->depth; i++) {
        const struct verify_depth *d = &sum->depths[i];
        bool whole = above && !d->left;
        (void)printf("depth %u: %lu places with every step%s", i, d->entered,
                     whole ? ": exhausted\n" : "");
        if (!whole)
            (void)printf(", %lu more met and not entered%s\n", d->left,
                         above ? "" : ", not all of them met");
        above = whole;
    }
}

void verify_print_totals(const struct verify_options *options, const struct verify_totals *sum)
{
    double each = sum->recoveries ? sum->user_seconds / (double)sum->recoveries * 1e6 : 0;
    print_depths(options, sum);
    (void)printf("%lu steps without a fault, %lu random lives%s\n", sum->runs, sum->lives,
                 sum->stopped ? "; the limit was reached" : "");
    (void)printf("plan steps of the table: %lu; %lu ran, %lu were cut in between their effects\n",
                 count_points(sum, 0, NULL), count_points(sum, VERIFY_RAN | VERIFY_WAS_CUT, NULL),
                 count_points(sum, VERIFY_WAS_CUT, NULL));
    (void)printf("left out: %lu outcomes of cuts, %lu failing calls\n", sum->left_outcomes,
                 sum->left_calls);
    (void)printf(
        "%lu more faults left an image that was booted before; %lu such images were booted "
        "again: %lu came to another place\n",
        sum->equal, sum->again, sum->elsewhere);
    (void)printf("the last fifth of the recoveries met %lu new images and %lu new plan steps\n",
                 sum->late_images, sum->late_points);
    (void)printf("%.1f s of processor time, %.1f microseconds a recovery\n", sum->user_seconds,
                 each);
    (void)printf("%lu recoveries booted, %lu distinct, %lu violations\n", sum->recoveries,
                 sum->images, sum->violations);
}
