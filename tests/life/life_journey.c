/* SPDX-License-Identifier: BSD-2-Clause */
/* The lives of journey_plans.c and journey_cuts.c, one test each; nothing may be left to settle
 * after a power cut and two boots. */
#include "tests/life/journey.h"
#include "tests/support/thorough.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Every how many-th cut, by default: the simulated device takes each of them. */
#ifdef __SANITIZE_ADDRESS__
#define STRIDE 7
#else
#define STRIDE 3
#endif

/* Writing a file is three durable steps: one of them is tried to its very end. */
#define IDLE 3

#define LIVES(X)                                                                                   \
    X(sold_old)                                                                                    \
    X(moved_on_request)                                                                            \
    X(without_a_chip)                                                                              \
    X(chip_not_to_be_used)                                                                         \
    X(born_with_a_chip)                                                                            \
    X(prepare_and_abort_cut)                                                                       \
    X(reset_of_dual_cut)                                                                           \
    X(reset_by_clear_cut)                                                                          \
    X(reset_of_software_cut)                                                                       \
    X(seal_and_unseal_cut)

static struct journey journey;

/* A process that is killed loses nothing on a disk either: memory serves as well, and faster. */
static void use_memory(void)
{
    if (access("/dev/shm", W_OK | X_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 0);
}

static void close_journey(void)
{
    journey_close(&journey);
}

TestSuite(life, .timeout = 240, .init = use_memory, .fini = close_journey);

static const struct journey_plan *find(const char *name)
{
    for (size_t i = 0; i < journey_plan_count; i++) {
        if (strcmp(journey_plans[i].name, name) == 0)
            return &journey_plans[i];
    }
    for (size_t i = 0; i < journey_cut_plan_count; i++) {
        if (strcmp(journey_cut_plans[i].name, name) == 0)
            return &journey_cut_plans[i];
    }
    return NULL;
}

static void play(const char *name)
{
    const struct journey_plan *plan = find(name);

    cr_assert_not_null(plan, "no journey is called %s", name);
    cr_assert_eq(journey_open(&journey, plan), 0, "%s", journey.why);
    journey.stride = (unsigned)idm_every(STRIDE);
    journey.idle = IDLE;
    for (size_t i = 0; i < plan->count; i++)
        cr_assert(journey_play(&journey, &plan->steps[i]), "step %zu, %s: %s", i + 1,
                  plan->steps[i].says, journey.why);
}

#define LIFE(name)                                                                                 \
    Test(life, name)                                                                               \
    {                                                                                              \
        play(#name);                                                                               \
    }
LIVES(LIFE)

#define COUNT(name) +1

Test(life, no_journey_is_left_out)
{
    cr_assert_eq(journey_plan_count + journey_cut_plan_count, 0 LIVES(COUNT));
}
