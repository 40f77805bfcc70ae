/* SPDX-License-Identifier: BSD-2-Clause */
/* Lives in the real world, with everything logged that changes something. */
#include "tests/cuts/points.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMANDS_MAX 4096u

/* ---- the log ---- */

static struct cuts_point *add_point(struct cuts *cuts, const struct cuts_point *point)
{
    if (cuts->points_count % 1024 == 0) {
        size_t room = cuts->points_count + 1024;
        struct cuts_point *more = reallocarray(cuts->points, room, sizeof(*more));

        if (more == NULL)
            return NULL;
        cuts->points = more;
    }
    cuts->points[cuts->points_count] = *point;
    return &cuts->points[cuts->points_count++];
}

static int add_both(struct cuts *cuts, struct cuts_point point, enum idm_device_kill before,
                    enum idm_device_kill after)
{
    point.kill = before;
    if (add_point(cuts, &point) == NULL)
        return cuts_fail(cuts, "out of memory");
    point.kill = after;
    return add_point(cuts, &point) != NULL ? 0 : cuts_fail(cuts, "out of memory");
}

static unsigned plan_of(const char *word)
{
    unsigned p = 0;

    while (p < IDM_PLAN_COUNT && strcmp(idm_plan_info((enum idm_plan)p)->name, word) != 0)
        p++;
    return p;
}

static FILE *open_log(const struct lab_world *world, const char *name)
{
    char path[IDM_DEVICE_PATH_SIZE];

    snprintf(path, sizeof(path), "%s/%s", world->device.base, name);
    return fopen(path, "re");
}

/* swtpm's TCTI connects anew for each command, so the n-th connect is the n-th command. */
static int read_calls(struct cuts *cuts, const struct lab_world *world, size_t stand,
                      unsigned plans[COMMANDS_MAX], size_t *ret_commands)
{
    FILE *file = open_log(world, IDM_DEVICE_CALLS);
    struct cuts_point point = {.stand = stand};
    char plan[48], line[1024];
    int result = 0;

    *ret_commands = 0;
    while (file != NULL && result == 0 && fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "%lu %31s %47s %47s %95s", &point.n, point.what, plan, point.action,
                   point.path) != 5)
            result = cuts_fail(cuts, "no line of idm-kill: %s", line);
        point.plan = plan_of(plan);
        if (strcmp(point.what, "connect") == 0 && *ret_commands < COMMANDS_MAX)
            plans[(*ret_commands)++] = point.plan;
        if (result == 0)
            result = add_both(cuts, point, IDM_KILL_BEFORE_CALL, IDM_KILL_AFTER_CALL);
    }
    if (file != NULL)
        fclose(file);
    return result;
}

static int read_commands(struct cuts *cuts, const struct lab_world *world, size_t stand,
                         const unsigned plans[COMMANDS_MAX], size_t connects)
{
    FILE *file = open_log(world, IDM_DEVICE_COMMANDS);
    struct cuts_point point = {.stand = stand, .action = "-", .path = "chip"};
    char line[256];
    int result = 0;

    while (file != NULL && result == 0 && fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "%lu %31s", &point.n, point.what) != 2)
            result = cuts_fail(cuts, "no line of tcti_shim: %s", line);
        point.plan = point.n <= connects ? plans[point.n - 1] : CUTS_PLAN_NONE;
        if (result == 0)
            result = add_both(cuts, point, IDM_KILL_BEFORE_COMMAND, IDM_KILL_AFTER_COMMAND);
    }
    if (file != NULL)
        fclose(file);
    return result;
}

/* ---- lives ---- */

static int log_step(struct cuts *cuts, struct lab_timeline *t, size_t life, size_t i)
{
    const struct lab_step *step = &cuts->lives[life].scenario.steps[i];
    size_t stand = cuts->stands_count, connects;
    unsigned plans[COMMANDS_MAX];
    char path[IDM_DEVICE_PATH_SIZE];
    struct cuts_stand *more = reallocarray(cuts->stands, stand + 1, sizeof(*more));
    struct lab_stop stop;

    if (more == NULL)
        return cuts_fail(cuts, "out of memory");
    cuts->stands = more;
    more[stand] = (struct cuts_stand){.life = life, .step = i};
    if (lab_timeline_fork(&more[stand].before, t, &stop) != 0)
        return cuts_fail(cuts, "%s", stop.found);
    cuts->stands_count++;
    idm_device_kill_begin(&t->world->device, IDM_KILL_COUNTS, 0);
    if (lab_timeline_act(t, step, i, NULL, NULL, &stop) != 0)
        return cuts_fail(cuts, "%s", stop.found);
    snprintf(path, sizeof(path), "%s/" IDM_DEVICE_CALLS, t->world->device.base);
    if (cuts_order(cuts, path) != 0 || read_calls(cuts, t->world, stand, plans, &connects) != 0)
        return -1;
    return read_commands(cuts, t->world, stand, plans, connects);
}

static int live(struct cuts *cuts, size_t life)
{
    const struct lab_scenario *scenario = &cuts->lives[life].scenario;
    char why[sizeof(cuts->error)];
    struct lab_timeline t;
    struct lab_stop stop;
    int result = lab_timeline_open(&t, &lab_real_world, scenario, &stop);

    if (result != 0)
        return cuts_fail(cuts, "%s: %s", scenario->file, stop.found);
    for (size_t i = 0; result == 0 && i < cuts->lives[life].steps; i++) {
        const struct lab_step *step = &scenario->steps[i];

        if (step->action == LAB_DO_label)
            result = lab_timeline_pass(&t, step, i, &stop);
        else if (cuts->lives[life].plans[i] != 0 && step->cut != LAB_CUT_NAMED)
            result = log_step(cuts, &t, life, i);
        else if (cuts_act(&t, &cuts->lives[life], i, &stop) != 0)
            result = cuts_fail(cuts, "%s", stop.found);
        if (result != 0) {
            memcpy(why, cuts->error, sizeof(why));
            (void)cuts_fail(cuts, "%s:%d: %.*s", scenario->file, step->line, 700, why);
        }
    }
    lab_timeline_close(&t);
    return result;
}

int cuts_record(struct cuts *cuts)
{
    for (size_t i = 0; i < cuts->lives_count; i++) {
        if (cuts->lives[i].steps != 0 && live(cuts, i) != 0)
            return -1;
    }
    return 0;
}

/* ---- draws ---- */

/* splitmix64 (Steele, Lea, Flood 2014, figure 16): the same draws everywhere. */
static uint64_t draw(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static bool fits(const struct cuts_point *point, unsigned plan, enum idm_device_kill kill)
{
    return !point->drawn && point->plan == plan && (kill == IDM_KILL_NONE || point->kill == kill);
}

/* -1: there is none left. */
static long draw_one(struct cuts *cuts, uint64_t *seed, unsigned plan, enum idm_device_kill kill)
{
    size_t fitting = 0;

    for (size_t i = 0; i < cuts->points_count; i++)
        fitting += fits(&cuts->points[i], plan, kill);
    if (fitting == 0)
        return -1;
    fitting = (size_t)(draw(seed) % fitting);
    for (size_t i = 0; i < cuts->points_count; i++) {
        if (fits(&cuts->points[i], plan, kill) && fitting-- == 0) {
            cuts->points[i].drawn = true;
            return (long)i;
        }
    }
    return -1;
}

size_t cuts_draw(struct cuts *cuts, uint64_t seed, size_t count, size_t *ret_points)
{
    static const enum idm_device_kill kinds[] = {IDM_KILL_AFTER_CALL, IDM_KILL_AFTER_COMMAND,
                                                 IDM_KILL_BEFORE_CALL, IDM_KILL_BEFORE_COMMAND};
    size_t drawn = 0, before = 1;

    for (size_t turn = 0; drawn < count && before != 0; turn++) {
        before = 0;
        for (unsigned plan = 0; plan <= IDM_PLAN_COUNT && drawn < count; plan++) {
            long point = draw_one(cuts, &seed, plan, kinds[(turn + plan) % 4]);

            if (point < 0)
                point = draw_one(cuts, &seed, plan, IDM_KILL_NONE);
            if (point < 0)
                continue;
            ret_points[drawn++] = (size_t)point;
            before++;
        }
    }
    return drawn;
}

void cuts_free(struct cuts *cuts)
{
    for (size_t i = 0; i < cuts->stands_count; i++)
        lab_timeline_close(&cuts->stands[i].before);
    for (size_t i = 0; i < cuts->lives_count; i++) {
        lab_scenario_free(&cuts->lives[i].scenario);
        free(cuts->lives[i].plans);
    }
    free(cuts->points);
    free(cuts->stands);
    free(cuts->lives);
    *cuts = (struct cuts){0};
}
