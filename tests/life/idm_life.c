/* SPDX-License-Identifier: BSD-2-Clause */
/* idm_life.c - takes devices through their lives with the real idmode, and prints what is seen.
 *
 *     idm-life [--keep]       exit 0: all held; 1: something did not; 2: usage, or no device could
 *                             be made
 *
 * One table per device (journey_plans.c), a line per step, in at most 100 columns. On a terminal an
 * identity has one colour wherever it appears; elsewhere its fingerprint says the same.
 */
#include "tests/life/journey.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROW_FORM    "  %-45s %-5s  %-9s  %-8s  %s%-8s%s  %s%-8s%s  %-6s  %s\n"
#define RULE_LENGTH 98
#define STRIDE      2 /* every second cut is shown; the tests take each */

enum paint { PLAIN, BOLD, DIM, GOOD, BAD, PAINTS };

/* ECMA-48, 8.3.117 (SGR). */
static const char *const SEQUENCES[PAINTS] = {"\033[0m", "\033[1m", "\033[2m", "\033[32m",
                                              "\033[1;31m"};
static const char *const LETTERS[JOURNEY_IDENTITIES] = {
    "\033[36m", "\033[35m", "\033[33m", "\033[34m", "\033[92m", "\033[95m", "\033[96m", "\033[93m"};

struct totals {
    unsigned steps, cuts, failed, skipped;
};

static bool coloured;

static const char *paint(enum paint which)
{
    return coloured ? SEQUENCES[which] : "";
}

static const char *paint_letter(char letter)
{
    if (!coloured)
        return "";
    return letter >= 'A' && letter < 'A' + JOURNEY_IDENTITIES ? LETTERS[letter - 'A'] : "";
}

static bool terminal_takes_colour(void)
{
    const char *term = getenv("TERM");

    return isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL &&
           (term == NULL || strcmp(term, "dumb") != 0);
}

static void print_heading(size_t number, const struct journey_plan *plan)
{
    printf("\n%sDevice %zu: %s%s\n%s\n\n%s", paint(BOLD), number, plan->title, paint(PLAIN),
           plan->story, paint(DIM));
    printf(ROW_FORM, "event", "image", "state", "mode", "", "in use", "", "", "old pair", "",
           "marker", "");
    printf("  ");
    for (int i = 0; i < RULE_LENGTH; i++)
        putchar('-');
    printf("%s\n", paint(PLAIN));
}

static const char *or_dash(const char *text)
{
    return text[0] != '\0' ? text : "-";
}

static void print_row(const struct journey *journey, const struct journey_step *step, bool held)
{
    const struct journey_look *l = &journey->look;
    char says[64];
    char verdict[32];

    snprintf(says, sizeof(says), "%s", step->says);
    if (l->cuts != 0)
        snprintf(says, sizeof(says), "%s %u times", step->says, l->cuts);
    snprintf(verdict, sizeof(verdict), "%s%s%s", paint(held ? GOOD : BAD), held ? "OK" : "NO",
             paint(PLAIN));
    printf("%s" ROW_FORM, coloured ? "\r" : "", says, l->image, l->state, l->mode,
           paint_letter(l->active), or_dash(l->active_print), paint(PLAIN), paint_letter(l->legacy),
           or_dash(l->legacy_print), paint(PLAIN), l->marker ? "yes" : "-", verdict);
    if (!held)
        printf("      %s%s%s\n", paint(BAD), journey->why, paint(PLAIN));
    fflush(stdout);
}

/* A rehearsal takes seconds: say what is going on, where the line can be written over. */
static void announce(const struct journey_step *step)
{
    if (!coloured)
        return;
    printf("  %s ...", step->says);
    fflush(stdout);
}

static bool keep_device(struct journey *journey, size_t number)
{
    if (idm_device_freeze(&journey->device, "end") != 0) {
        fprintf(stderr, "idm-life: device %zu: %s\n", number, journey->device.error);
        return false;
    }
    printf("  kept: %s\n", journey->device.base);
    /* What is left of the device is the chip's process: its memory is among what was kept. */
    journey->device.base[0] = '\0';
    return true;
}

static int live(size_t number, const struct journey_plan *plan, bool keep, struct totals *totals)
{
    struct journey journey;
    int result = 0;

    print_heading(number, plan);
    if (journey_open(&journey, plan) != 0) {
        fprintf(stderr, "idm-life: device %zu: %s\n", number, journey.why);
        return -1;
    }
    journey.stride = STRIDE;
    for (size_t i = 0; i < plan->count; i++) {
        bool held;

        announce(&plan->steps[i]);
        held = journey_play(&journey, &plan->steps[i]);
        print_row(&journey, &plan->steps[i], held);
        totals->steps++;
        totals->cuts += journey.look.cuts;
        if (!held) {
            totals->failed++;
            totals->skipped += (unsigned)(plan->count - i - 1);
            break;
        }
    }
    if (keep && !keep_device(&journey, number))
        result = -1;
    journey_close(&journey);
    return result;
}

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void print_summary(const struct totals *totals, double seconds)
{
    printf("\n%s", paint(totals->failed == 0 ? GOOD : BAD));
    if (totals->failed == 0)
        printf("%u steps, all held", totals->steps);
    else
        printf("%u steps, %u did not hold, %u after them not taken", totals->steps, totals->failed,
               totals->skipped);
    printf("%s (%u power cuts, %.0f s)\n", paint(PLAIN), totals->cuts, seconds);
}

int main(int argc, char **argv)
{
    bool keep = argc == 2 && strcmp(argv[1], "--keep") == 0;
    double began = seconds_now();
    struct totals totals = {0};
    int result = 0;

    if (argc > 1 && !keep) {
        fprintf(stderr, "usage: idm-life [--keep]\n"
                        "  --keep   leave the devices' directories, and say where they are\n");
        return 2;
    }
    coloured = terminal_takes_colour();
    for (size_t i = 0; i < journey_plan_count && result == 0; i++)
        result = live(i + 1, &journey_plans[i], keep, &totals);
    if (result != 0)
        return 2;
    print_summary(&totals, seconds_now() - began);
    return totals.failed == 0 ? 0 : 1;
}
