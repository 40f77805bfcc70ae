/* SPDX-License-Identifier: BSD-2-Clause */
/* Which scenarios are lived: in the simulated world they cost next to nothing. */
#include "tests/cuts/points.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCENARIOS IDM_TEST_SOURCE_DIR "/tests/scenarios"
#define OWN       IDM_TEST_SOURCE_DIR "/tests/cuts/lives"
/* Of a life that is chosen for one more plan: opening a device costs as much as these many steps. */
#define COST_OF_LIFE 3u

_Static_assert(IDM_PLAN_COUNT <= 128, "a bit per plan");

int cuts_fail(struct cuts *cuts, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(cuts->error, sizeof(cuts->error), format, arguments);
    va_end(arguments);
    return -1;
}

enum cuts_program cuts_program_of(const struct lab_step *step)
{
    switch (step->action) {
    case LAB_DO_boot:
        return CUTS_BOOT;
    case LAB_DO_install:
    case LAB_DO_commit:
    case LAB_DO_hook:
        return CUTS_HOOK;
    case LAB_DO_migrate:
        return CUTS_MIGRATE;
    case LAB_DO_factory_reset:
        return CUTS_RESET;
    case LAB_DO_command:
    case LAB_DO_hold_clear:
    case LAB_DO_label:
    case LAB_DO_fallback:
    case LAB_DO_delete:
    case LAB_DO_empty:
    case LAB_DO_tear:
    case LAB_DO_tpm:
    case LAB_DO_clock:
    case LAB_DO_disk:
    case LAB_DO_mount:
    case LAB_DO_snapshot:
    case LAB_DO_restore:
    case LAB_DO_move_disk:
    case LAB_DO_check:
    case LAB_DO_nothing:
    case LAB_ACTION_COUNT:
        break;
    }
    return CUTS_OTHER;
}

/* ---- reading ---- */

static int is_scenario(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);

    return n > 5 && strcmp(entry->d_name + n - 5, ".yaml") == 0;
}

static int read_one(struct cuts *cuts, const char *directory, const char *name)
{
    struct cuts_life *life = &cuts->lives[cuts->lives_count];
    struct lab_scenario_error error;
    char path[1024];

    *life = (struct cuts_life){.own = strcmp(directory, OWN) == 0};
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    if (lab_scenario_read(&life->scenario, path, &error) != 0)
        return cuts_fail(cuts, "%s: %.*s", name, 500, error.text);
    if (life->scenario.world != LAB_WORLD_ANY) { /* both worlds have to live it */
        lab_scenario_free(&life->scenario);
        *life = (struct cuts_life){0};
        return 0;
    }
    life->plans = calloc(life->scenario.steps_count + 1, sizeof(*life->plans));
    cuts->lives_count++;
    return life->plans != NULL ? 0 : cuts_fail(cuts, "out of memory");
}

static int read_all(struct cuts *cuts, const char *directory)
{
    struct dirent **names = NULL;
    int n = scandir(directory, &names, is_scenario, alphasort), result = 0;
    struct cuts_life *more;

    if (n <= 0)
        return cuts_fail(cuts, "%s: %s", directory, n < 0 ? strerror(errno) : "no scenario");
    more = reallocarray(cuts->lives, cuts->lives_count + (size_t)n, sizeof(*more));
    if (more == NULL)
        result = cuts_fail(cuts, "out of memory");
    else
        cuts->lives = more;
    for (int i = 0; i < n; i++) {
        if (result == 0)
            result = read_one(cuts, directory, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    return result;
}

/* ---- which plans ---- */

static cuts_plans plans_in(const char *trace)
{
    static const char before[] = ", plan ";
    cuts_plans plans = 0;

    for (const char *at = strstr(trace, before); at != NULL; at = strstr(at, before)) {
        size_t length;

        at += strlen(before);
        length = strcspn(at, ",: \n");
        for (unsigned p = 0; p < IDM_PLAN_COUNT; p++) {
            const struct idm_plan_info *plan = idm_plan_info((enum idm_plan)p);

            if (strlen(plan->name) == length && strncmp(plan->name, at, length) == 0 &&
                plan->steps[0] != IDM_A_none)
                plans |= (cuts_plans)1 << p;
        }
    }
    return plans;
}

int cuts_act(struct lab_timeline *t, const struct cuts_life *life, size_t i, struct lab_stop *stop)
{
    const struct lab_step *step = &life->scenario.steps[i];
    const struct lab_cut cut = {.kind = LAB_CUT_AFTER_NAMED, .name = step->cut_name};
    bool named = life->own && step->cut == LAB_CUT_NAMED;

    if (lab_timeline_act(t, step, i, NULL, named ? &cut : NULL, stop) != 0)
        return -1;
    if (!named || t->now->moment.result.was_cut)
        return 0;
    *stop = (struct lab_stop){.what = "cut"};
    snprintf(stop->found, sizeof(stop->found), "there was no %s", step->cut_name);
    return -1;
}

static int live_in_memory(struct cuts *cuts, struct cuts_life *life)
{
    const struct lab_scenario *scenario = &life->scenario;
    struct lab_timeline t;
    struct lab_stop stop;
    int result = lab_timeline_open(&t, &lab_sim_world, scenario, &stop);

    for (size_t i = 0; result == 0 && i < scenario->steps_count; i++) {
        const struct lab_step *step = &scenario->steps[i];

        if (step->action == LAB_DO_label)
            result = lab_timeline_pass(&t, step, i, &stop);
        else
            result = cuts_act(&t, life, i, &stop);
        if (result == 0 && lab_runs_idmode(step->action))
            life->plans[i] = plans_in(t.now->moment.sight.trace);
        cuts->reached |= life->plans[i];
    }
    lab_timeline_close(&t);
    if (result != 0)
        return cuts_fail(cuts, "%s in memory: %s: %s", scenario->file, stop.what, stop.found);
    return 0;
}

/* ---- the fewest steps ---- */

static size_t members(cuts_plans plans)
{
    return (size_t)(__builtin_popcountll((uint64_t)plans) +
                    __builtin_popcountll((uint64_t)(plans >> 64)));
}

static size_t worth(const struct cuts_life *life, cuts_plans wanted, size_t *ret_steps)
{
    cuts_plans gained = 0;
    size_t best = 0;

    for (size_t i = 0; i < life->scenario.steps_count; i++) {
        cuts_plans fresh = life->plans[i] & wanted & ~gained;
        size_t value;

        if (fresh == 0)
            continue;
        gained |= fresh;
        value = members(gained) * 1000 / (i + 1 + COST_OF_LIFE);
        if (value > best) {
            best = value;
            *ret_steps = i + 1;
        }
    }
    return best;
}

static void choose(struct cuts *cuts)
{
    cuts_plans wanted = cuts->reached;

    while (wanted != 0) {
        struct cuts_life *best = NULL;
        size_t best_value = 0, best_steps = 0;

        for (size_t i = 0; i < cuts->lives_count; i++) {
            size_t steps = 0, value = worth(&cuts->lives[i], wanted, &steps);

            if (value > best_value) {
                best = &cuts->lives[i];
                best_value = value;
                best_steps = steps;
            }
        }
        if (best == NULL)
            return;
        if (best_steps > best->steps)
            best->steps = best_steps;
        for (size_t i = 0; i < best->steps; i++)
            wanted &= ~best->plans[i];
    }
}

int cuts_choose(struct cuts *cuts)
{
    if (read_all(cuts, SCENARIOS) != 0 || read_all(cuts, OWN) != 0)
        return -1;
    for (size_t i = 0; i < cuts->lives_count; i++) {
        if (live_in_memory(cuts, &cuts->lives[i]) != 0)
            return -1;
    }
    choose(cuts);
    return 0;
}
