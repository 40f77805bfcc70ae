/* SPDX-License-Identifier: BSD-2-Clause */
/* checks.c - who may notice a mistake in the table: the unit tests of table and engine, compiled against
 * shim/, and the scenarios on the simulated device. */
#include "tests/mutate/mutate.h"

#include "tests/lab/replay.h"
#include "tests/mutate/shim/criterion/criterion.h"

#include <glob.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#define TESTS_MAX  256u
#define SUITES_MAX 32u

static struct {
    const char *suite;
    const char *name;
    void (*run)(void);
} tests[TESTS_MAX];
static size_t tests_count;

static struct {
    const char *name;
    const struct mutate_suite *what;
} suites[SUITES_MAX];
static size_t suites_count;

static bool talking;

/* ---- what the shim calls ---- */

void mutate_add_test(const char *suite, const char *name, void (*run)(void))
{
    if (tests_count == TESTS_MAX)
        abort();
    tests[tests_count].suite = suite;
    tests[tests_count].name = name;
    tests[tests_count++].run = run;
}

void mutate_add_suite(const char *suite, const struct mutate_suite *what)
{
    if (suites_count == SUITES_MAX)
        abort();
    suites[suites_count].name = suite;
    suites[suites_count++].what = what;
}

static _Noreturn void end(void)
{
    (void)fflush(stderr);
    _exit(CHECK_FAILED);
}

void mutate_judge(bool ok, const char *file, int line, const char *what, ...)
{
    if (ok)
        return;
    if (talking)
        (void)fprintf(stderr, "%s:%d: %s\n", file, line, what);
    end();
}

void mutate_say(const char *format, ...)
{
    va_list args;
    if (!talking)
        return;
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
}

void checks_talk(bool on)
{
    talking = on;
}

/* ---- the list ---- */

static enum check_class class_of(const char *suite)
{
    if (strcmp(suite, "fsm_golden") == 0)
        return CHECK_SENTENCE;
    bool rule = strcmp(suite, "fsm_matrix") == 0 || strcmp(suite, "fsm_plans") == 0;
    return rule ? CHECK_RULE : CHECK_ENGINE;
}

/* Every scenario is two checks. Its memory lives as long as the program. */
static int read_scenarios(struct lab_scenario **ret, size_t *ret_count, const char *directory)
{
    struct lab_scenario_error err = {0};
    glob_t found;
    char pattern[4096];
    (void)snprintf(pattern, sizeof pattern, "%s/*.yaml", directory);
    if (glob(pattern, 0, NULL, &found))
        return -1;
    struct lab_scenario *all = calloc(found.gl_pathc, sizeof *all);
    size_t count = 0;
    for (size_t i = 0; all && i < found.gl_pathc; i++) {
        if (lab_scenario_read(&all[count], found.gl_pathv[i], &err)) {
            (void)fprintf(stderr, "%s:%d: %s\n", found.gl_pathv[i], err.line, err.text);
            globfree(&found);
            return -1;
        }
        count += all[count].world != LAB_WORLD_REAL;
    }
    globfree(&found);
    *ret = all;
    *ret_count = count;
    return all ? 0 : -1;
}

static struct check *add_tests(struct check *to, enum check_class class)
{
    for (size_t i = 0; i < tests_count; i++) {
        if (class_of(tests[i].suite) != class)
            continue;
        to->class = class;
        to->test = tests[i].run;
        (void)snprintf(to->name, sizeof to->name, "%s/%s", tests[i].suite, tests[i].name);
        to++;
    }
    return to;
}

static struct check *add_scenarios(struct check *to, enum check_class class,
                                   const struct lab_scenario *scenarios, size_t count)
{
    for (size_t i = 0; i < count; i++, to++) {
        const char *slash = strrchr(scenarios[i].file, '/');
        const char *name = slash ? slash + 1 : scenarios[i].file;
        to->class = class;
        to->scenario = &scenarios[i];
        (void)snprintf(to->name, sizeof to->name, "%.*s%s", (int)(strlen(name) - 5), name,
                       class == CHECK_CUTS ? ", cut" : "");
    }
    return to;
}

int checks_open(struct check **ret, size_t *ret_count, const char *directory)
{
    struct lab_scenario *scenarios = NULL;
    size_t count = 0;
    if (read_scenarios(&scenarios, &count, directory))
        return -1;
    size_t all = tests_count + 2 * count;
    struct check *checks = calloc(all, sizeof *checks);
    struct overlay_seen *seen =
        mmap(NULL, all * sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!checks || seen == MAP_FAILED)
        return -1;
    struct check *end_of_list = add_tests(checks, CHECK_RULE);
    end_of_list = add_scenarios(end_of_list, CHECK_SCENARIO, scenarios, count);
    end_of_list = add_tests(end_of_list, CHECK_ENGINE);
    end_of_list = add_scenarios(end_of_list, CHECK_CUTS, scenarios, count);
    end_of_list = add_tests(end_of_list, CHECK_SENTENCE);
    for (size_t i = 0; i < all; i++)
        checks[i].seen = &seen[i];
    *ret = checks;
    *ret_count = (size_t)(end_of_list - checks);
    return 0;
}

/* ---- one check ---- */

static void run_test(const struct check *check)
{
    const struct mutate_suite *suite = NULL;
    for (size_t i = 0; i < suites_count; i++) {
        size_t length = strlen(suites[i].name);
        if (strncmp(check->name, suites[i].name, length) == 0 && check->name[length] == '/')
            suite = suites[i].what;
    }
    if (suite && suite->init)
        suite->init();
    check->test();
    if (suite && suite->fini)
        suite->fini();
}

/* A power cut between a step and the history is no lie. */
static bool is_cut(const struct check *check)
{
    bool cut = check->class == CHECK_CUTS;
    for (size_t i = 0; i < check->scenario->steps_count; i++)
        cut |= check->scenario->steps[i].cut != LAB_CUT_NONE;
    return cut;
}

static void run_scenario(const struct check *check)
{
    struct lab_run run = {0};
    struct lab_cuts cuts = {.kind =
                                check->class == CHECK_CUTS ? LAB_CUTS_EVERY : LAB_CUTS_AS_WRITTEN};
    overlay_judge_truth(!is_cut(check));
    lab_replay(&run, &lab_sim_world, check->scenario, &cuts, false);
    if (run.verdict == LAB_FAIL && talking)
        lab_report_text(stderr, &run);
    if (run.verdict == LAB_FAIL)
        end();
    if (!overlay_truth_holds()) {
        mutate_say("%s: a step did not lead to the state that its cell says", check->name);
        end();
    }
    overlay_judge_truth(false);
    lab_run_free(&run);
}

void check_run(const struct check *check)
{
    if (check->test)
        run_test(check);
    else
        run_scenario(check);
}
