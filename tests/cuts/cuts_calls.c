/* SPDX-License-Identifier: BSD-2-Clause */
/* The shipped programs are killed at each kind of call that changes something and at each command to the
 * chip, in every plan of plans.def; then the device boots and the oracle of the scenarios judges.
 *
 *     IDM_TEST_CUTS=N        how many cuts; 200
 *     IDM_TEST_CUTS_SEED=S   which; 1
 *     IDM_TEST_CUTS_AT=I     only the I-th of these, as a failure prints it
 *
 * Of four kills one takes no power: the process is gone, the device stays on, and idmode boot runs again
 * in the same power cycle, before the power fails all the same. After one cut in ten the oracle also
 * boots either slot of a copy, and boots until nothing is written any more (I1, I9). */
#include "tests/cuts/points.h"
#include "tests/lab/oracle_parts.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define CUTS     200u
#define CUTS_MAX 20000u
#define STAYS_ON 4u
#define THOROUGH 10u

static struct cuts cuts;
static unsigned by_plan[IDM_PLAN_COUNT + 1], by_kind[IDM_KILL_AFTER_COMMAND + 1];
static unsigned by_program[CUTS_PROGRAM_COUNT], failures;

static const char *const kinds[] = {
    [IDM_KILL_BEFORE_CALL] = "before call",
    [IDM_KILL_AFTER_CALL] = "after call",
    [IDM_KILL_BEFORE_COMMAND] = "before command",
    [IDM_KILL_AFTER_COMMAND] = "after command",
};

static unsigned long setting(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoul(text, NULL, 10) : otherwise;
}

static void close_all(void)
{
    cuts_free(&cuts);
}

static double cpu_seconds(void)
{
    double seconds = 0;

    for (int i = 0; i < 2; i++) {
        struct rusage use;

        (void)getrusage(i == 0 ? RUSAGE_SELF : RUSAGE_CHILDREN, &use);
        seconds += (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
                   (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
    }
    return seconds;
}

/* ---- one cut ---- */

static int stop_missed(struct lab_stop *stop)
{
    *stop = (struct lab_stop){.what = "cut"};
    snprintf(stop->found, sizeof(stop->found), "idmode did not come that far");
    return -1;
}

/* The process died, the power did not. */
static int boot_while_on(struct lab_timeline *t, const struct lab_step *step, size_t i,
                         struct lab_stop *stop)
{
    static const struct lab_step again = {
        .action = LAB_DO_command, .words = {"boot"}, .words_count = 1};

    if (!t->world->device.image.aware)
        return 0;
    t->world->powered = true;
    return lab_timeline_act(t, step, i, &again, NULL, stop);
}

static int cut_at(struct lab_timeline *t, const struct cuts_point *point, size_t nth,
                  struct lab_stop *stop)
{
    static struct lab_world_ops thorough;
    const struct cuts_stand *stand = &cuts.stands[point->stand];
    const struct lab_step *step = &cuts.lives[stand->life].scenario.steps[stand->step];
    int result;

    thorough = lab_real_world;
    thorough.forks_cheaply = true;
    idm_device_kill_begin(&t->world->device, point->kill, point->n);
    result = lab_timeline_act(t, step, stand->step, NULL, NULL, stop);
    if (result == 0 && !t->now->moment.result.was_cut)
        return stop_missed(stop);
    if (result == 0 && nth % STAYS_ON == 0)
        result = boot_while_on(t, step, stand->step, stop);
    if (nth % THOROUGH == 0)
        t->oracle->ops = &thorough;
    if (result == 0)
        result = lab_timeline_act(t, step, stand->step, &lab_recovery, NULL, stop);
    return result;
}

static void count(const struct cuts_point *point)
{
    const struct cuts_stand *stand = &cuts.stands[point->stand];

    by_plan[point->plan]++;
    by_kind[point->kill]++;
    by_program[cuts_program_of(&cuts.lives[stand->life].scenario.steps[stand->step])]++;
}

static void cut_once(const struct cuts_point *point, size_t nth)
{
    const struct cuts_stand *stand = &cuts.stands[point->stand];
    const struct lab_scenario *scenario = &cuts.lives[stand->life].scenario;
    struct lab_timeline t;
    struct lab_stop stop;
    int result = lab_timeline_fork(&t, &stand->before, &stop);

    if (result == 0)
        result = cut_at(&t, point, nth, &stop);
    lab_timeline_close(&t);
    count(point);
    if (result == 0)
        return;
    failures++;
    fprintf(stderr,
            "cut %zu: %s:%d (%s), killed %s %lu, which is %s %s, plan %s after %s\n"
            "    %s: %s\n    %s\n",
            nth, strrchr(scenario->file, '/') + 1, scenario->steps[stand->step].line,
            lab_action_word(scenario->steps[stand->step].action), kinds[point->kill], point->n,
            point->what, point->path,
            point->plan < IDM_PLAN_COUNT ? idm_plan_info((enum idm_plan)point->plan)->name : "-",
            point->action, stop.what, stop.found, stop.expected);
}

/* ---- all of them ---- */

static void print_counts(size_t done, uint64_t seed, double start)
{
    static const char *const programs[] = {"boot", "hook", "migrate", "factory-reset", "others"};
    size_t lives = 0, without_plan = by_plan[IDM_PLAN_COUNT];

    for (size_t i = 0; i < cuts.lives_count; i++)
        lives += cuts.lives[i].steps != 0;
    printf("%zu cuts of %zu points (seed %llu) in %zu steps of %zu lives, %u failed, %.1f s CPU\n",
           done, cuts.points_count, (unsigned long long)seed, cuts.stands_count, lives, failures,
           cpu_seconds() - start);
    for (unsigned i = 0; i < CUTS_PROGRAM_COUNT; i++)
        printf("%s %u%s", programs[i], by_program[i], i + 1 < CUTS_PROGRAM_COUNT ? ", " : "\n");
    for (unsigned i = IDM_KILL_BEFORE_CALL; i <= IDM_KILL_AFTER_COMMAND; i++)
        printf("%s %u%s", kinds[i], by_kind[i], i < IDM_KILL_AFTER_COMMAND ? ", " : "\n");
    for (unsigned i = 0; i < IDM_PLAN_COUNT; i++)
        printf("%s %u, ", idm_plan_info((enum idm_plan)i)->name, by_plan[i]);
    printf("no plan %zu\n", without_plan);
    fflush(stdout);
}

static const struct {
    enum idm_plan plan;
    const char *why;
} UNCUT[] = {
    {IDM_P_nothing, "it does nothing"},
    {IDM_P_reissue_tpm_cert, "no scenario takes all copies of that certificate and nothing else"},
    {IDM_P_renew_software, "no scenario has a CA's certificate to install"},
    {IDM_P_renew_tpm, "no scenario has a CA's certificate to install"},
    {IDM_P_renew_tpm_alone, "no scenario has a CA's certificate to install"},
    {IDM_P_add_witness, "no scenario has an owner who gives way: tests/life/life_others.c"},
    {IDM_P_begin_given, "no scenario has a key to give: tests/life/life_given.c"},
    {IDM_P_mark, "the disk is full: tests/tools/disk.c refuses before the kernel is asked"},
};

static bool excused(unsigned plan)
{
    for (size_t i = 0; i < sizeof(UNCUT) / sizeof(UNCUT[0]); i++) {
        if (UNCUT[i].plan == (enum idm_plan)plan) {
            if (by_plan[plan] == 0)
                printf("%s is not cut: %s\n", idm_plan_info((enum idm_plan)plan)->name,
                       UNCUT[i].why);
            return true;
        }
    }
    return false;
}

/* What a scenario reaches must be cut. */
static void expect_every_plan(void)
{
    for (unsigned i = 0; i < IDM_PLAN_COUNT; i++) {
        const char *name = idm_plan_info((enum idm_plan)i)->name;

        if (excused(i))
            continue;
        cr_expect_neq(
            by_plan[i], 0, "plan %s was never cut%s", name,
            cuts.reached >> i & 1 ? "" : ": no scenario reaches it: write one in tests/cuts/lives");
    }
    fflush(stdout);
}

/* A process that is killed loses nothing on a disk either, and memory syncs faster. */
static void use_memory(void)
{
    if (access("/dev/shm", W_OK | X_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 0);
}

TestSuite(cuts_calls, .timeout = 3000, .init = use_memory, .fini = close_all);

Test(cuts_calls, in_every_plan)
{
    size_t wanted = setting("IDM_TEST_CUTS", CUTS), only = setting("IDM_TEST_CUTS_AT", 0);
    uint64_t seed = setting("IDM_TEST_CUTS_SEED", 1);
    double start = cpu_seconds();
    size_t *drawn, count_drawn, done = 0;

    cr_assert_leq(wanted, CUTS_MAX);
    drawn = calloc(wanted + 1, sizeof(*drawn));
    cr_assert_not_null(drawn);
    cr_assert_eq(cuts_choose(&cuts), 0, "%s", cuts.error);
    printf("choosing: %.1f s CPU\n", cpu_seconds() - start);
    cr_assert_eq(cuts_record(&cuts), 0, "%s", cuts.error);
    printf("choosing and logging: %.1f s CPU\n", cpu_seconds() - start);
    count_drawn = cuts_draw(&cuts, seed, wanted, drawn);
    for (size_t i = 0; i < count_drawn; i++) {
        if (only != 0 && only != i + 1)
            continue;
        cut_once(&cuts.points[drawn[i]], i + 1);
        done++;
    }
    free(drawn);
    print_counts(done, seed, start);
    cr_assert_eq(failures, 0);
    if (only == 0)
        expect_every_plan();
}
