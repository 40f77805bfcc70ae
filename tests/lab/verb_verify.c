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

#define JOBS_MAX 64u

/* ---- memory that the jobs share ---- */

static void *shared_memory(size_t size)
{
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* ---- options ---- */

struct call {
    struct verify_options options;
    const char *life;
    bool unmet;
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
        "  --calls N       each call of the backends fails, once and for ever; after the first "
        "step\n"
        "                  every N-th of them (7)\n"
        "  --again N       of the images that were booted before, every N-th is booted again (4)\n"
        "  --seed S        of the random lives (1)\n"
        "  --lives N       so many random lives after that (2000)\n"
        "  --recoveries N  at most so many before that (0: no limit)\n"
        "  --seconds N     and at most so long (0: no limit)\n"
        "  --jobs J        processes that share the devices (1)\n"
        "  --unmet         lists the plan steps of the table that were not met\n"
        "  --life LIFE     one life, as a violation prints it, with its trace\n\n"
        "The same options give the same run, unless --seconds ends it.\n\n"
        "exit: 0 no violation, 1 there is one, or equal images came to different places, 2 usage,\n"
        "      "
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
    {"again", required_argument, NULL, 'a'},
    {"unmet", no_argument, NULL, 'u'},
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
        good = take_number(text, 0, VERIFY_DEPTH_MAX, &value);
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
    case 'a':
        good = take_number(text, 1, 1000000, &value);
        o->again = (unsigned int)value;
        break;
    case 'u':
        call->unmet = true;
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

static bool run_jobs(struct verify_options *options, const struct verify_alphabet *alphabet,
                     struct verify_totals *totals)
{
    pid_t children[JOBS_MAX];
    bool good = true;
    (void)fflush(stdout);
    for (options->job = 0; options->job < options->jobs; options->job++) {
        pid_t child = fork();
        if (child == 0) {
            verify_explore(options, alphabet, &totals[options->job]);
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

static int explore(struct call *call, const struct verify_alphabet *alphabet)
{
    struct verify_totals *totals = shared_memory((JOBS_MAX + 1) * sizeof *totals);
    if (!totals) {
        (void)fprintf(stderr, "idmode-lab: verify: out of memory\n");
        return LAB_EXIT_OUTPUT;
    }
    struct verify_totals *sum = &totals[JOBS_MAX];
    bool good = run_jobs(&call->options, alphabet, totals);
    for (unsigned int i = 0; i < call->options.jobs; i++)
        verify_add_totals(sum, &totals[i]);
    if (!good)
        (void)fprintf(stderr, "idmode-lab: verify: a job did not come to its end\n");
    if (call->unmet)
        verify_print_unmet(sum, stdout);
    verify_print_totals(&call->options, sum);
    bool found = sum->violations || sum->elsewhere;
    (void)munmap(totals, (JOBS_MAX + 1) * sizeof *totals);
    if (fflush(stdout) || !good)
        return LAB_EXIT_OUTPUT;
    return found ? LAB_EXIT_FAILED : LAB_EXIT_DONE;
}

int lab_verb_verify(int argc, char **argv)
{
    struct call call = {
        .options = {
            .depth = 1, .cuts = 2, .stride = 7, .again = 4, .jobs = 1, .seed = 1, .lives = 2000}};
    struct verify_alphabet alphabet;
    int rc = take_options(&call, argc, argv);
    if (rc >= 0)
        return rc;
    if (verify_alphabet_open(&alphabet))
        return LAB_EXIT_OUTPUT;
    rc = call.life ? show_life(&alphabet, call.life) : explore(&call, &alphabet);
    verify_alphabet_close(&alphabet);
    return rc;
}
