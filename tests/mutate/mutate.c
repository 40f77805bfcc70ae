/* SPDX-License-Identifier: BSD-2-Clause */
/* mutate.c - idm-mutate: how many mistakes in the table does somebody notice? docs/table-mutation.md. */
#include "tests/mutate/mutate.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS_MAX    16u
#define SECONDS_MAX 240 /* of CPU: a mutant that takes longer does not come to an end */
#define NAME_SIZE   160u

enum verdict { UNTRIED, KILLED, SURVIVED };

/* In memory that all processes share. */
struct result {
    enum verdict verdict;
    size_t check; /* that ran last */
};

struct excuse {
    char *name; /* mutant_print */
    char *why;
    bool used;
};

struct options {
    const char *source; /* directory of the sources */
    const char *only;   /* mutants whose name contains it */
    const char *xml;
    unsigned int every; /* so many-th mutant */
    unsigned int jobs;
    bool behaviour; /* without rules and sentences about the table */
    bool trust;     /* what is listed as equivalent is not run through the long checks again */
    bool talk;
    bool
        plain; /* no mistake: every check once, in this process, for what is reached (tests/coverage) */
};

struct hunt {
    struct options options;
    struct mutant *mutants;
    size_t mutants_count;
    struct check *checks;
    size_t checks_count;
    struct result *results;
    struct excuse *excuses;
    size_t excuses_count;
};

/* ---- reviewed: equivalent.txt ---- */

/* Lines `MUTANT | why it changes nothing`; # begins a comment. */
static int read_excuses(struct hunt *h)
{
    char path[4096];
    char *line = NULL;
    size_t room = 0;
    (void)snprintf(path, sizeof path, "%s/tests/mutate/equivalent.txt", h->options.source);
    FILE *from = fopen(path, "re");
    if (!from) {
        (void)fprintf(stderr, "idm-mutate: %s: %s\n", path, strerror(errno));
        return -1;
    }
    while (getline(&line, &room, from) > 0) {
        char *why = strstr(line, " | ");
        if (line[0] == '#' || !why)
            continue;
        *why = '\0';
        why += 3;
        why[strcspn(why, "\n")] = '\0';
        h->excuses = reallocarray(h->excuses, h->excuses_count + 1, sizeof *h->excuses);
        if (!h->excuses)
            abort();
        h->excuses[h->excuses_count++] = (struct excuse){.name = strdup(line), .why = strdup(why)};
    }
    free(line);
    (void)fclose(from);
    return 0;
}

static struct excuse *excuse_of(const struct hunt *h, const char *name)
{
    for (size_t i = 0; i < h->excuses_count; i++)
        if (strcmp(h->excuses[i].name, name) == 0)
            return &h->excuses[i];
    return NULL;
}

/* ---- processes ---- */

static pid_t in_child(void)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        perror("idm-mutate: fork");
        exit(5);
    }
    if (pid == 0) {
        struct rlimit limit = {.rlim_cur = SECONDS_MAX, .rlim_max = SECONDS_MAX};
        struct rlimit no_core = {0};
        (void)setrlimit(RLIMIT_CPU, &limit);
        (void)setrlimit(RLIMIT_CORE, &no_core);
    }
    return pid;
}

/* Without a mistake every check holds; what it looks up is noted. */
static bool baseline(struct hunt *h)
{
    bool good = true;
    for (size_t i = 0; i < h->checks_count; i++) {
        int status = 0;
        pid_t pid = in_child();
        if (pid == 0) {
            checks_talk(true);
            overlay_watch(h->checks[i].seen);
            check_run(&h->checks[i]);
            _exit(0);
        }
        if (waitpid(pid, &status, 0) != pid || status != 0) {
            (void)fprintf(stderr, "idm-mutate: %s fails without a mistake\n", h->checks[i].name);
            good = false;
        }
    }
    return good;
}

static bool asked(const struct hunt *h, const struct check *check, bool trusted)
{
    bool about_table = check->class == CHECK_RULE || check->class == CHECK_SENTENCE;
    if (trusted && check->class != CHECK_RULE && check->class != CHECK_SCENARIO)
        return false;
    return !(h->options.behaviour && about_table);
}

static void try_mutant(struct hunt *h, size_t which)
{
    char name[NAME_SIZE];
    mutant_print(&h->mutants[which], name, sizeof name);
    bool trusted = h->options.trust && excuse_of(h, name);
    struct result *result = &h->results[which];
    overlay_mutate(&h->mutants[which]);
    checks_talk(h->options.talk);
    for (size_t i = 0; i < h->checks_count; i++) {
        if (!asked(h, &h->checks[i], trusted) ||
            !overlay_saw(h->checks[i].seen, &h->mutants[which]))
            continue;
        result->check = i;
        check_run(&h->checks[i]);
    }
    result->verdict = SURVIVED;
    _exit(0);
}

static void reap(struct hunt *h, const pid_t *pids, const size_t *which, size_t *slot)
{
    int status = 0;
    pid_t pid = wait(&status);
    for (size_t i = 0; i < h->options.jobs; i++) {
        if (pids[i] != pid)
            continue;
        *slot = i;
        if (h->results[which[i]].verdict != SURVIVED)
            h->results[which[i]].verdict = KILLED;
    }
}

static void hunt(struct hunt *h)
{
    pid_t pids[JOBS_MAX] = {0};
    size_t which[JOBS_MAX] = {0};
    size_t running = 0;
    char name[NAME_SIZE];
    for (size_t i = 0; i < h->mutants_count; i++) {
        size_t slot = running;
        mutant_print(&h->mutants[i], name, sizeof name);
        bool wanted =
            h->options.only ? strstr(name, h->options.only) != NULL : i % h->options.every == 0;
        if (!wanted)
            continue;
        if (running == h->options.jobs)
            reap(h, pids, which, &slot);
        else
            running++;
        which[slot] = i;
        pids[slot] = in_child();
        if (pids[slot] == 0)
            try_mutant(h, i);
    }
    for (size_t slot = 0; running > 0; running--) {
        reap(h, pids, which, &slot);
        pids[slot] = 0;
    }
}

/* ---- report ---- */

struct figures {
    unsigned long tried, killed, by_sentence, equivalent, wrong;
};

static void judge_mutant(struct hunt *h, size_t which, struct figures *f)
{
    char name[NAME_SIZE];
    const struct result *result = &h->results[which];
    mutant_print(&h->mutants[which], name, sizeof name);
    struct excuse *excuse = excuse_of(h, name);
    if (excuse)
        excuse->used = true;
    if (result->verdict == UNTRIED)
        return;
    bool killed = result->verdict == KILLED;
    const struct check *check = &h->checks[result->check];
    f->tried++;
    f->killed += killed;
    f->by_sentence += killed && check->class == CHECK_SENTENCE;
    f->equivalent += !killed && excuse;
    if (killed && h->options.only)
        (void)printf("killed    %s: %s\n", name, check->name);
    if (!killed && !excuse) {
        f->wrong++;
        (void)printf("SURVIVED  %s\n", name);
    } else if (!killed && h->options.only) {
        (void)printf("equal     %s: %s\n", name, excuse->why);
    } else if (killed && excuse && !h->options.behaviour) {
        f->wrong++;
        (void)printf("EXCUSED, and yet killed  %s: %s\n", name, check->name);
    }
}

static void print_case(FILE *xml, const char *name, const struct figures *f)
{
    (void)fprintf(xml, "<testcase name=\"%s\" status=\"%s\">\n", name,
                  f->wrong ? "FAILED" : "PASSED");
    if (f->wrong)
        (void)fprintf(xml, "<failure>%lu</failure>\n", f->wrong);
    (void)fputs("</testcase>\n", xml);
}

static void print_killers(const struct hunt *h)
{
    static const char *const names[CHECK_CLASSES] = {
        [CHECK_RULE] = "rules about the table (fsm_matrix, fsm_plans)",
        [CHECK_SCENARIO] = "scenarios",
        [CHECK_ENGINE] = "simulated devices with faults (engine_*, fsm_classify)",
        [CHECK_CUTS] = "scenarios with a cut at each step",
        [CHECK_SENTENCE] = "golden sentences (fsm_golden)",
    };
    unsigned long killed[CHECK_CLASSES] = {0};
    for (size_t i = 0; i < h->mutants_count; i++)
        if (h->results[i].verdict == KILLED)
            killed[h->checks[h->results[i].check].class]++;
    (void)printf("killed first by:");
    for (size_t i = 0; i < CHECK_CLASSES; i++)
        (void)printf("%s %s %lu", i ? "," : "", names[i], killed[i]);
    (void)fputc('\n', stdout);
}

static double percent(unsigned long part, unsigned long whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 100.0;
}

static void print_line(const char *word, const struct figures *f, const char *sentence)
{
    unsigned long alive = f->tried - f->killed - f->equivalent;
    (void)printf("%-8s %6lu %8lu %10lu %9lu   %s\n", word, f->tried, f->killed, f->equivalent,
                 alive, sentence);
}

static int report(struct hunt *h)
{
    struct figures all = {0};
    struct figures each[MUTATION_COUNT] = {0};
    FILE *xml = h->options.xml ? fopen(h->options.xml, "we") : NULL;
    for (size_t i = 0; i < h->mutants_count; i++)
        judge_mutant(h, i, &each[h->mutants[i].mutation]);
    for (size_t i = 0; i < h->excuses_count; i++) {
        if (h->excuses[i].used)
            continue;
        (void)printf("EXCUSED, but there is no such mutant  %s\n", h->excuses[i].name);
        all.wrong++;
    }
    if (xml)
        (void)fputs("<testsuite name=\"table_mutation\">\n", xml);
    (void)printf("\n%-8s %6s %8s %10s %9s\n", "mutation", "tried", "killed", "equivalent",
                 "survived");
    for (enum mutation m = 0; m < MUTATION_COUNT; m++) {
        print_line(mutation_word(m), &each[m], mutation_sentence(m));
        if (xml)
            print_case(xml, mutation_word(m), &each[m]);
        all.tried += each[m].tried;
        all.killed += each[m].killed;
        all.by_sentence += each[m].by_sentence;
        all.equivalent += each[m].equivalent;
        all.wrong += each[m].wrong;
    }
    print_line("all", &all, "");
    print_killers(h);
    (void)printf("kill rate %.1f %% of %lu mutants that are not equivalent (%lu of %lu made)",
                 percent(all.killed - all.by_sentence, all.tried - all.equivalent),
                 all.tried - all.equivalent, all.tried, (unsigned long)h->mutants_count);
    if (!h->options.behaviour)
        (void)printf(", golden sentences not counted; with them %.1f %%",
                     percent(all.killed, all.tried - all.equivalent));
    (void)fputc('\n', stdout);
    if (xml) {
        print_case(xml, "equivalent mutants are listed", &all);
        (void)fputs("</testsuite>\n", xml);
        (void)fclose(xml);
    }
    return all.wrong ? 1 : 0;
}

/* ---- words ---- */

static int print_help(void)
{
    (void)puts(
        "idm-mutate - puts one mistake after another into the table and the plans, and counts how "
        "many\n"
        "are noticed (docs/table-mutation.md)\n\n"
        "usage: idm-mutate [OPTION]…\n\n"
        "  --every N      every N-th mutant (1: all)\n"
        "  --only TEXT    mutants whose name contains it; says who killed each\n"
        "  --behaviour    only simulated devices may kill: no rule or sentence about the table\n"
        "  --trust        runs what is listed as equivalent through the short checks alone\n"
        "  --plain        no mistake: every check once, in one process (for gcov)\n"
        "  --talk         what the check that kills has to say\n"
        "  --jobs N       processes at once (2)\n"
        "  --source DIR   the sources: tests/scenarios and tests/mutate/equivalent.txt\n"
        "  --xml FILE     a report in JUnit's XML as well\n\n"
        "exit: 0 nothing survived but what is listed, 1 something did, 2 usage, 5 no memory");
    return 0;
}

static unsigned int number(const char *text, unsigned int most)
{
    unsigned long n = strtoul(text, NULL, 10);
    return n < 1 ? 1 : n > most ? most : (unsigned int)n;
}

/* -1: go on; else the exit code. */
static int take_options(struct options *o, int argc, char **argv)
{
    static const struct option longs[] = {{"every", required_argument, NULL, 'e'},
                                          {"only", required_argument, NULL, 'o'},
                                          {"behaviour", no_argument, NULL, 'b'},
                                          {"trust", no_argument, NULL, 'r'},
                                          {"plain", no_argument, NULL, 'p'},
                                          {"talk", no_argument, NULL, 't'},
                                          {"jobs", required_argument, NULL, 'j'},
                                          {"source", required_argument, NULL, 's'},
                                          {"xml", required_argument, NULL, 'x'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    int option = 0;
    while ((option = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        switch (option) {
        case 'e':
            o->every = number(optarg, 100000);
            break;
        case 'o':
            o->only = optarg;
            break;
        case 'b':
            o->behaviour = true;
            break;
        case 'r':
            o->trust = true;
            break;
        case 'p':
            o->plain = true;
            break;
        case 't':
            o->talk = true;
            break;
        case 'j':
            o->jobs = number(optarg, JOBS_MAX);
            break;
        case 's':
            o->source = optarg;
            break;
        case 'x':
            o->xml = optarg;
            break;
        case 'h':
            return print_help();
        default:
            return 2;
        }
    }
    return -1;
}

int main(int argc, char **argv)
{
    struct hunt h = {.options = {.source = IDM_TEST_SOURCE_DIR, .every = 1, .jobs = 2}};
    char scenarios[4096];
    int result = take_options(&h.options, argc, argv);
    if (result >= 0)
        return result;
    (void)snprintf(scenarios, sizeof scenarios, "%s/tests/scenarios", h.options.source);
    (void)setenv("TSS2_LOG", "all+none", 0);
    if (checks_open(&h.checks, &h.checks_count, scenarios) || read_excuses(&h))
        return 5;
    h.mutants = mutants_list(&h.mutants_count);
    h.results = mmap(NULL, h.mutants_count * sizeof *h.results, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (h.results == MAP_FAILED)
        return 5;
    (void)printf("%zu checks, each run once without a mistake\n", h.checks_count);
    checks_talk(h.options.plain);
    for (size_t i = 0; h.options.plain && i < h.checks_count; i++)
        check_run(&h.checks[i]);
    if (h.options.plain)
        return 0;
    if (!baseline(&h))
        return 1;
    hunt(&h);
    return report(&h);
}
