/* SPDX-License-Identifier: BSD-2-Clause */
/* verb_replay.c - idmode-lab replay: files in, verdicts and reports out. */
#include "tests/lab/keep_status.h"
#include "tests/lab/replay.h"
#include "tests/lab/report_lines.h"
#include "tests/lab/verbs.h"
#include "tests/vm/world_vm.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct options {
    const struct lab_world_ops *world;
    struct lab_cuts cuts;
    bool tap;
    unsigned long life;
    const char *junit, *html, *status, *lines;
};

struct library {
    struct lab_scenario *scenarios;
    size_t count, room;
    unsigned int bad; /* files that are none */
};

static int misuse(const char *what, const char *why)
{
    (void)fprintf(stderr, "idmode-lab: %s: %s (see idmode-lab replay --help)\n", what, why);
    return LAB_EXIT_USAGE;
}

static int print_help(void)
{
    (void)fputs(
        "idmode-lab replay - scenarios: a device's life, step by step, judged after each step\n\n"
        "usage: idmode-lab replay [OPTION]… FILE…      a directory stands for its *.yaml\n\n"
        "  --world sim|real|vm  sim: the engine on a device in memory (default);\n"
        "                     real: the programs, swtpm and files in a scratch directory;\n"
        "                     vm: a whole machine in QEMU (docs/scenarios.md)\n"
        "  --cut every        let the power fail after each durable step of each step, once each\n"
        "  --cut pairs        and once more in the boot after that; triples: and in the one after\n"
        "  --cut random:SEED:N  N of all these cuts, drawn from SEED\n"
        "  --cut at:STEP:N    one of them, as a failure prints it; at:STEP:N:M: with a second "
        "one,\n"
        "                     at:STEP:before, at:STEP:after: between two steps\n"
        "  --seed N           other places where a step says `cut: random`\n"
        "  --tap              print TAP 13 instead\n"
        "  --junit FILE       write a report in JUnit's XML as well\n"
        "  --html FILE        write one page with a timeline of each scenario as well\n"
        "  --timeline FILE    write a line per step while it happens (world vm)\n"
        "  --status FILE      keep every status document that is published, one line each\n\n"
        "exit: 0 nothing failed, 1 a scenario failed, 2 usage or a file that is no scenario,\n"
        "      5 a report could not be written\n",
        stdout);
    return fflush(stdout) == 0 ? LAB_EXIT_DONE : LAB_EXIT_OUTPUT;
}

/* ---- files ---- */

static void free_library(struct library *library)
{
    for (size_t i = 0; i < library->count; i++)
        lab_scenario_free(&library->scenarios[i]);
    free(library->scenarios);
}

static void say_bad(struct library *library, const char *path, const struct lab_scenario_error *err)
{
    library->bad++;
    if (err->line)
        (void)fprintf(stderr, "%s:%d:%d: %s\n", path, err->line, err->column, err->text);
    else
        (void)fprintf(stderr, "%s: %s\n", path, err->text);
}

static void say_errno(struct library *library, const char *path)
{
    struct lab_scenario_error err = {0};
    (void)snprintf(err.text, sizeof err.text, "%s", strerror(errno));
    say_bad(library, path, &err);
}

static void read_one(struct library *library, const char *path)
{
    struct lab_scenario_error err = {0};
    if (library->count == library->room) {
        size_t room = library->room ? 2 * library->room : 64;
        struct lab_scenario *grown = reallocarray(library->scenarios, room, sizeof *grown);
        if (!grown) {
            say_errno(library, path);
            return;
        }
        library->scenarios = grown;
        library->room = room;
    }
    if (lab_scenario_read(&library->scenarios[library->count], path, &err) < 0)
        say_bad(library, path, &err);
    else
        library->count++;
}

static int is_scenario(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return entry->d_name[0] != '.' && length > 5 &&
           strcmp(entry->d_name + length - 5, ".yaml") == 0;
}

/* In the order of their bytes, whatever the locale. */
static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void read_directory(struct library *library, const char *path)
{
    struct dirent **names = NULL;
    int count = scandir(path, &names, is_scenario, by_bytes);
    if (count < 0)
        say_errno(library, path);
    if (count == 0)
        say_bad(library, path, &(struct lab_scenario_error){.text = "no *.yaml in it"});
    for (int i = 0; i < count; i++) {
        char *file = NULL;
        bool slash = path[strlen(path) - 1] == '/';
        if (asprintf(&file, "%s%s%s", path, slash ? "" : "/", names[i]->d_name) < 0)
            say_errno(library, path);
        else
            read_one(library, file);
        free(file);
        free(names[i]);
    }
    free(names);
}

static void read_library(struct library *library, char *const *paths, int count)
{
    for (int i = 0; i < count; i++) {
        struct stat st;
        if (stat(paths[i], &st) == 0 && S_ISDIR(st.st_mode))
            read_directory(library, paths[i]);
        else
            read_one(library, paths[i]);
    }
}

/* ---- runs ---- */

/* One line that is written again and again; gone at the end. */
static void print_progress(const struct lab_scenario *scenario, size_t at, size_t count)
{
    if (!isatty(STDERR_FILENO))
        return;
    if (scenario)
        (void)fprintf(stderr, "\r\033[K[%zu/%zu] %.60s", at, count, scenario->file);
    else
        (void)fputs("\r\033[K", stderr);
}

static void run_all(const struct library *library, const struct options *options,
                    struct lab_run *runs)
{
    for (size_t i = 0; i < library->count; i++) {
        print_progress(&library->scenarios[i], i + 1, library->count);
        lab_replay(&runs[i], options->world, &library->scenarios[i], &options->cuts,
                   options->html != NULL);
        if (runs[i].verdict == LAB_PASS)
            continue;
        print_progress(NULL, 0, 0);
        if (!options->tap)
            lab_report_text(stdout, &runs[i]);
        (void)fflush(stdout);
    }
    print_progress(NULL, 0, 0);
}

/* What the simulated world costs: each life once, and the lives that are cut. */
static void print_cost(const struct lab_run *runs, size_t count)
{
    double all = 0;
    double uncut = 0;
    size_t uncut_count = 0;
    for (size_t i = 0; i < count; i++) {
        bool whole = runs[i].verdict != LAB_SKIP && runs[i].cuts == 0;
        all += runs[i].cpu_seconds;
        uncut += whole ? runs[i].cpu_seconds : 0;
        uncut_count += whole;
    }
    if (strcmp(runs[0].world, lab_sim_world.name) == 0)
        (void)printf(", %.0f ms of processor time; the %zu without a cut %.0f ms", 1e3 * all,
                     uncut_count, 1e3 * uncut);
}

static void print_summary(const struct lab_run *runs, size_t count)
{
    unsigned long replays = 0;
    unsigned long cuts = 0;
    double seconds = 0;
    for (size_t i = 0; i < count; i++) {
        replays += runs[i].replays;
        cuts += runs[i].cuts;
        seconds += runs[i].seconds;
    }
    (void)printf("%zu scenarios in the world %s: %lu replays, %lu cuts, %.2f s", count,
                 runs[0].world, replays, cuts, seconds);
    print_cost(runs, count);
    (void)fputc('\n', stdout);
    lab_report_counts(stdout, runs, count);
    (void)fputc('\n', stdout);
}

typedef int report_fn(FILE *out, const struct lab_run *runs, size_t count);

static int write_report(const char *path, report_fn *report, const struct lab_run *runs,
                        size_t count)
{
    FILE *out = path ? fopen(path, "we") : NULL;
    if (!path)
        return 0;
    int failed = out ? report(out, runs, count) : -1;
    if (out && fclose(out) != 0)
        failed = -1;
    if (failed)
        (void)fprintf(stderr, "idmode-lab: write %s: %s\n", path, strerror(errno));
    return failed;
}

static int report_all(const struct options *options, const struct lab_run *runs, size_t count)
{
    bool failed = false;
    int result = LAB_EXIT_DONE;
    for (size_t i = 0; i < count; i++)
        failed |= runs[i].verdict == LAB_FAIL;
    if (failed)
        result = LAB_EXIT_FAILED;
    if (write_report(options->junit, lab_report_junit, runs, count) < 0 ||
        write_report(options->html, lab_report_html, runs, count) < 0)
        result = LAB_EXIT_OUTPUT;
    if (options->tap)
        (void)lab_report_tap(stdout, runs, count);
    else
        print_summary(runs, count);
    return fflush(stdout) == 0 && !ferror(stdout) ? result : LAB_EXIT_OUTPUT;
}

static bool begin(const char *path, int (*begin_in)(const char *path))
{
    int rc = path ? begin_in(path) : 0;
    if (rc < 0)
        (void)fprintf(stderr, "idmode-lab: write %s: %s\n", path, strerror(-rc));
    return rc == 0;
}

static int replay(const struct options *options, char *const *paths, int count)
{
    struct library library = {0};
    int result = LAB_EXIT_USAGE;
    /* A key that does not load is an answer here; who wants the library's words says so. */
    (void)setenv("TSS2_LOG", "all+none", 0);
    read_library(&library, paths, count);
    struct lab_run *runs = calloc(library.count + 1, sizeof *runs);
    if (!runs)
        perror("idmode-lab");
    else if (!begin(options->status, lab_keep_status_in) || !begin(options->lines, lab_lines_in))
        result = LAB_EXIT_OUTPUT;
    else if (!library.bad) {
        run_all(&library, options, runs);
        result = report_all(options, runs, library.count);
        if (lab_keep_status_end() < 0 || lab_lines_end() < 0)
            result = LAB_EXIT_OUTPUT;
    }
    for (size_t i = 0; runs && i < library.count; i++)
        lab_run_free(&runs[i]);
    free(runs);
    free_library(&library);
    return result;
}

/* ---- words ---- */

static const struct lab_world_ops *find_world(const char *name)
{
    static const struct lab_world_ops *const worlds[] = {&lab_sim_world, &lab_real_world,
                                                         &lab_vm_world, NULL};
    const struct lab_world_ops *const *world = worlds;
    while (*world && strcmp((*world)->name, name) != 0)
        world++;
    return *world;
}

/* false: nothing more to do, with the exit code in *ret_result. */
static bool take_option(struct options *options, int option, int *ret_result)
{
    char *end = NULL;
    *ret_result = LAB_EXIT_USAGE;
    switch (option) {
    case 'w':
        options->world = find_world(optarg);
        if (options->world)
            return true;
        (void)misuse(optarg, "the world is sim, real or vm");
        return false;
    case 'c':
        if (lab_cuts_parse(&options->cuts, optarg))
            return true;
        (void)misuse(optarg, "the cut is " LAB_CUTS_WORDS);
        return false;
    case 't':
        options->tap = true;
        return true;
    case 'j':
        options->junit = optarg;
        return true;
    case 'p':
        options->html = optarg;
        return true;
    case 's':
        options->status = optarg;
        return true;
    case 'l':
        options->lines = optarg;
        return true;
    case 'd':
        options->life = strtoul(optarg, &end, 10);
        if (*optarg >= '0' && *optarg <= '9' && !*end)
            return true;
        (void)misuse(optarg, "the seed is a number");
        return false;
    case 'h':
        *ret_result = print_help();
        return false;
    default:
        (void)misuse("replay", "not understood");
        return false;
    }
}

int lab_verb_replay(int argc, char **argv)
{
    static const struct option longs[] = {
        {"world", required_argument, NULL, 'w'}, {"cut", required_argument, NULL, 'c'},
        {"tap", no_argument, NULL, 't'},         {"junit", required_argument, NULL, 'j'},
        {"html", required_argument, NULL, 'p'},  {"status", required_argument, NULL, 's'},
        {"seed", required_argument, NULL, 'd'},  {"timeline", required_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},        {0}};
    struct options options = {.world = &lab_sim_world};
    int option = 0;
    int result = 0;
    while ((option = getopt_long(argc, argv, "h", longs, NULL)) != -1)
        if (!take_option(&options, option, &result))
            return result;
    if (optind == argc)
        return misuse("replay", "no file");
    if (options.lines && options.world != &lab_vm_world)
        return misuse("--timeline", "only in the world vm a life happens once, from step to step");
    options.cuts.life = options.life;
    return replay(&options, argv + optind, argc - optind);
}
