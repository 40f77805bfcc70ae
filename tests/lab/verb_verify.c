/* SPDX-License-Identifier: BSD-2-Clause */
/* verb_verify.c - idmode-lab verify: jobs, and what they found together. */
#include "tests/lab/verbs.h"
#include "tests/lab/verify.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS_MAX    64u
#define IMAGES_ROOM (1u << 26) /* 512 MB of addresses, of which is used what is met */

/* ---- memory that the jobs share ---- */

static void *shared_memory(size_t size)
{
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

bool verify_shared_add(struct verify_shared *shared, uint64_t hash)
{
    hash += !hash;
    for (size_t i = 0; i < shared->room; i++) {
        uint64_t *slot = &shared->slots[(hash + i) & (shared->room - 1)];
        uint64_t there = 0;
        if (__atomic_compare_exchange_n(slot, &there, hash, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
            (void)__atomic_fetch_add(shared->count, 1, __ATOMIC_RELAXED);
            return true;
        }
        if (there == hash)
            return false;
    }
    return false;
}

/* ---- options ---- */

struct call {
    struct verify_options options;
    const char *life;
};

static int misuse(const char *what, const char *why)
{
    (void)fprintf(stderr, "idmode-lab: %s: %s (see idmode-lab verify --help)\n", what, why);
    return LAB_EXIT_USAGE;
}

static int print_help(void)
{
    (void)fputs(
        "idmode-lab verify - simulated devices, explored with every cut and fault against I1 to "
        "I12\n\n"
        "usage: idmode-lab verify [OPTION]…\n\n"
        "  --depth D       so many steps besides boots, breadth first (1)\n"
        "  --cuts 1|2|3    the recovery of a cut is cut as well: 2 once more (default), 3 twice\n"
        "  --calls N       every N-th call of the backends fails, once and for ever (7)\n"
        "  --seed S        of the random lives (1)\n"
        "  --lives N       so many random lives after that (2000)\n"
        "  --recoveries N  at most so many in each job before that (0: no limit)\n"
        "  --seconds N     and at most so long (0: no limit)\n"
        "  --jobs J        processes that share the work (1)\n"
        "  --life LIFE     one life, as a violation prints it, with its trace\n\n"
        "The same options give the same run, unless --seconds ends it.\n\n"
        "exit: 0 no violation, 1 there is one, 2 usage, "
        "5 a job did not come to its end\n",
        stdout);
    return fflush(stdout) == 0 ? LAB_EXIT_DONE : LAB_EXIT_OUTPUT;
}

static bool take_number(const char *text, unsigned long least, unsigned long most,
                        unsigned long *ret)
{
    size_t digits = strspn(text, "0123456789");
    unsigned long value = digits && digits < 19 && !text[digits] ? strtoul(text, NULL, 10) : 0;
    if (!digits || digits >= 19 || text[digits] || value < least || value > most)
        return false;
    *ret = value;
    return true;
}

static const struct option long_options[] = {
    {"depth", required_argument, NULL, 'd'},
    {"cuts", required_argument, NULL, 'c'},
    {"seed", required_argument, NULL, 's'},
    {"lives", required_argument, NULL, 'n'},
    {"seconds", required_argument, NULL, 't'},
    {"recoveries", required_argument, NULL, 'r'},
    {"jobs", required_argument, NULL, 'j'},
    {"life", required_argument, NULL, 'l'},
    {"calls", required_argument, NULL, 'e'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

/* -1: go on; else the exit code. */
static int take_option(struct call *call, int option, const char *text)
{
    struct verify_options *o = &call->options;
    unsigned long value = 0;
    bool good = true;
    switch (option) {
    case 'd':
        good = take_number(text, 0, 40, &value);
        o->depth = (unsigned int)value;
        break;
    case 'c':
        good = take_number(text, 1, 3, &value);
        o->cuts = (unsigned int)value;
        break;
    case 'e':
        good = take_number(text, 1, 1000, &value);
        o->stride = (unsigned int)value;
        break;
    case 's':
        good = take_number(text, 0, UINT32_MAX, &value);
        o->seed = value;
        break;
    case 'n':
        good = take_number(text, 0, UINT32_MAX, &o->lives);
        break;
    case 't':
        good = take_number(text, 0, 1000000, &value);
        o->seconds = (unsigned int)value;
        break;
    case 'r':
        good = take_number(text, 0, UINT32_MAX, &o->limit);
        break;
    case 'j':
        good = take_number(text, 1, JOBS_MAX, &value);
        o->jobs = (unsigned int)value;
        break;
    case 'l':
        call->life = text;
        break;
    case 'h':
        return print_help();
    default:
        return LAB_EXIT_USAGE;
    }
    return good ? -1 : misuse(text, "not a number that fits here");
}

static int take_options(struct call *call, int argc, char **argv)
{
    int option;
    optind = 1;
    while ((option = getopt_long(argc, argv, "h", long_options, NULL)) >= 0) {
        int rc = take_option(call, option, optarg);
        if (rc >= 0)
            return rc;
    }
    return optind < argc ? misuse(argv[optind], "no file is wanted here") : -1;
}

/* ---- one life ---- */

static int show_life(const struct verify_alphabet *alphabet, const char *text)
{
    struct verify_life life;
    struct lab_violation violation = {0};
    if (!verify_life_parse(alphabet, text, &life))
        return misuse(text, "not a life");
    verify_life_scenario(&life, stdout);
    int invariant = verify_life_run(alphabet, &life, stdout, &violation);
    if (invariant > 0)
        (void)printf("I%d: %s\n", invariant, violation.text);
    else
        (void)printf("%s\n", invariant ? "it ends before its last step" : "all invariants hold");
    return invariant ? LAB_EXIT_FAILED : LAB_EXIT_DONE;
}

/* ---- the jobs ---- */

static void add_totals(struct verify_totals *sum, const struct verify_totals *one)
{
    sum->recoveries += one->recoveries;
    sum->runs += one->runs;
    sum->places += one->places;
    sum->run += one->run;
    sum->again += one->again;
    sum->elsewhere += one->elsewhere;
    sum->violations += one->violations;
    sum->left_out += one->left_out;
    sum->unvisited += one->unvisited;
    sum->lives += one->lives;
    sum->user_seconds += one->user_seconds;
    sum->stopped |= one->stopped;
}

static bool new_till_the_end(const struct verify_totals *totals, unsigned int jobs)
{
    bool new = false;
    for (unsigned int i = 0; i < jobs; i++)
        new |= totals[i].newest > totals[i].recoveries - totals[i].recoveries / 5;
    return new;
}

static void print_totals(const struct verify_options *options, const struct verify_totals *totals,
                         size_t distinct)
{
    struct verify_totals sum = {0};
    for (unsigned int i = 0; i < options->jobs; i++)
        add_totals(&sum, &totals[i]);
    double each = sum.run ? sum.user_seconds / (double)sum.run * 1e6 : 0;
    (void)printf("%lu places entered, %lu steps without a fault, %lu random lives\n", sum.places,
                 sum.runs, sum.lives);
    (void)printf(
        "%lu of the recoveries were booted, the others began with an image that was booted "
        "before;\n%lu of those were booted all the same: %lu came to another place\n",
        sum.run, sum.again, sum.elsewhere);
    (void)printf("%.1f s of processor time, %.1f microseconds for each that was booted\n",
                 sum.user_seconds, each);
    (void)printf("%lu outcomes of cuts left out, %lu places not entered%s\n", sum.left_out,
                 sum.unvisited, sum.stopped ? ": the limit was reached" : "");
    (void)printf("the last fifth of the run met %s\n",
                 new_till_the_end(totals, options->jobs) ? "new images" : "no new image");
    (void)printf("%lu recoveries, %zu distinct, %lu violations\n", sum.recoveries, distinct,
                 sum.violations);
}

static bool run_jobs(struct verify_options *options, const struct verify_alphabet *alphabet,
                     struct verify_shared *images, struct verify_totals *totals)
{
    pid_t children[JOBS_MAX];
    bool good = true;
    (void)fflush(stdout);
    for (options->job = 0; options->job < options->jobs; options->job++) {
        pid_t child = fork();
        if (child == 0) {
            verify_explore(options, alphabet, images, &totals[options->job]);
            (void)fflush(stdout);
            _exit(0);
        }
        children[options->job] = child;
    }
    for (unsigned int i = 0; i < options->jobs; i++) {
        int status = 0;
        if (children[i] < 0 || waitpid(children[i], &status, 0) < 0 || status != 0)
            good = false;
    }
    return good;
}

static int explore(struct verify_options *options, const struct verify_alphabet *alphabet)
{
    unsigned long violations = 0;
    struct verify_totals *totals = shared_memory(JOBS_MAX * sizeof *totals);
    struct verify_shared images = {.room = IMAGES_ROOM,
                                   .slots = shared_memory(IMAGES_ROOM * sizeof(uint64_t)),
                                   .count = shared_memory(sizeof(size_t))};
    if (!images.slots || !images.count || !totals) {
        (void)fprintf(stderr, "idmode-lab: verify: out of memory\n");
        return LAB_EXIT_OUTPUT;
    }
    bool good = run_jobs(options, alphabet, &images, totals);
    for (unsigned int i = 0; i < options->jobs; i++)
        violations += totals[i].violations;
    if (!good)
        (void)fprintf(stderr, "idmode-lab: verify: a job did not come to its end\n");
    print_totals(options, totals, *images.count);
    (void)munmap(images.slots, IMAGES_ROOM * sizeof(uint64_t));
    (void)munmap(images.count, sizeof(size_t));
    (void)munmap(totals, JOBS_MAX * sizeof *totals);
    if (fflush(stdout) || !good)
        return LAB_EXIT_OUTPUT;
    return violations ? LAB_EXIT_FAILED : LAB_EXIT_DONE;
}

int lab_verb_verify(int argc, char **argv)
{
    struct call call = {
        .options = {.depth = 1, .cuts = 2, .stride = 7, .jobs = 1, .seed = 1, .lives = 2000}};
    struct verify_alphabet alphabet;
    int rc = take_options(&call, argc, argv);
    if (rc >= 0)
        return rc;
    if (verify_alphabet_open(&alphabet))
        return LAB_EXIT_OUTPUT;
    rc = call.life ? show_life(&alphabet, call.life) : explore(&call.options, &alphabet);
    verify_alphabet_close(&alphabet);
    return rc;
}
