/* SPDX-License-Identifier: BSD-2-Clause */
/* verify_place.c - a world and the oracle that watches it, one step at a time. */
#include "tests/lab/oracle_parts.h"
#include "tests/lab/sim_parts.h"
#include "tests/lab/verify.h"
#include "tests/lab/verify_note.h"

#include <stdlib.h>
#include <string.h>

/* A sight without its trace, which nobody reads here and which is most of it. */
#define SIGHT_SIZE offsetof(struct lab_sight, trace)

static struct lab_world_ops asked_already;

static void *allocate(size_t size)
{
    void *memory = calloc(1, size);
    if (!memory)
        abort();
    return memory;
}

int verify_place_open(struct verify_place *ret, const struct verify_alphabet *alphabet,
                      size_t device, char error[LAB_SENTENCE_SIZE])
{
    static struct lab_sight sight;
    struct verify_place place = {.device = device};
    const struct lab_device *made = &alphabet->devices[device].device;
    if (lab_sim_world.open(&place.world, made, error))
        return -1;
    place.world->sim.traced = NULL;
    lab_sim_world.unread(place.world);
    place.oracle = lab_oracle_open(&lab_sim_world, made);
    place.sight = allocate(SIGHT_SIZE);
    if (!place.oracle)
        abort();
    int rc = lab_sim_world.see(place.world, &sight, error);
    memcpy(place.sight, &sight, SIGHT_SIZE);
    if (rc)
        verify_place_close(&place);
    *ret = place;
    return rc;
}

void verify_place_fork(struct verify_place *ret, const struct verify_place *place)
{
    char error[LAB_SENTENCE_SIZE];
    struct lab_world *world = NULL;
    if (lab_sim_world.fork(&world, place->world, error))
        abort();
    verify_place_fork_world(ret, place, world);
}

void verify_place_fork_world(struct verify_place *ret, const struct verify_place *place,
                             struct lab_world *world)
{
    struct verify_place fork = {.device = place->device, .world = world};
    fork.oracle = lab_oracle_fork(place->oracle);
    fork.sight = allocate(SIGHT_SIZE);
    if (!fork.oracle)
        abort();
    memcpy(fork.sight, place->sight, SIGHT_SIZE);
    *ret = fork;
}

void verify_place_close(struct verify_place *place)
{
    lab_sim_world.close(place->world);
    lab_oracle_close(place->oracle);
    free(place->sight);
    *place = (struct verify_place){0};
}

static int see(struct verify_place *place, struct lab_sight *ret)
{
    char error[LAB_SENTENCE_SIZE] = "";
    return lab_sim_world.see(place->world, ret, error);
}

static int judge(struct verify_place *place, const struct lab_step *step,
                 const struct lab_result *result, const struct lab_sight *after,
                 struct lab_violation *ret)
{
    char error[LAB_SENTENCE_SIZE] = "";
    int rc =
        lab_oracle_step(place->oracle, place->world, step, result, place->sight, after, ret, error);
    memcpy(place->sight, after, SIGHT_SIZE);
    return rc;
}

/* What the oracle asks of the next boots follows from the place and from how it was come to: once is
 * enough. */
static bool asks(const struct verify_place *place, const struct lab_step *step,
                 const struct lab_result *result, const struct lab_sight *after,
                 struct verify_set *futures)
{
    uint64_t how = (uint64_t)lab_idmode_ran(step, after) << 2 |
                   (uint64_t)(lab_sim_world.writes(place->world) > 0) << 1 | result->was_cut;
    return !futures ||
           verify_set_add(futures,
                          verify_mix(verify_hash(place->world, place->oracle, place->device), how));
}

/* A question that the world does not bear (a fallback, and the boot environment cannot be written) is none:
 * else a place would go on or not by whether it was asked before. */
static int judge_asking(struct verify_place *place, const struct lab_step *step,
                        const struct lab_result *result, const struct lab_sight *after,
                        struct lab_violation *ret)
{
    struct lab_oracle *unasked = lab_oracle_fork(place->oracle);
    struct lab_sight *before = allocate(SIGHT_SIZE);
    if (!unasked)
        abort();
    memcpy(before, place->sight, SIGHT_SIZE);
    int rc = judge(place, step, result, after, ret);
    if (rc == -1) {
        lab_oracle_close(place->oracle);
        memcpy(place->sight, before, SIGHT_SIZE);
        place->oracle = unasked;
        unasked = NULL;
        place->oracle->ops = &asked_already;
        rc = judge(place, step, result, after, ret);
        place->oracle->ops = &lab_sim_world;
    }
    free(before);
    lab_oracle_close(unasked);
    return rc;
}

int verify_place_act(struct verify_place *place, const struct lab_step *step,
                     const struct lab_cut *cut, struct verify_set *futures,
                     struct lab_result *ret_result, struct lab_violation *ret)
{
    static struct lab_sight after;
    if (!asked_already.name) {
        asked_already = lab_sim_world;
        asked_already.forks_cheaply = false;
    }
    if (lab_sim_world.act(place->world, step, cut, ret_result) || see(place, &after))
        return -1;
    if (asks(place, step, ret_result, &after, futures))
        return judge_asking(place, step, ret_result, &after, ret);
    place->oracle->ops = &asked_already;
    int rc = judge(place, step, ret_result, &after, ret);
    place->oracle->ops = &lab_sim_world;
    return rc;
}

int verify_place_cut(struct verify_place *place, const struct lab_step *step,
                     const struct lab_result *result, struct lab_violation *ret)
{
    static struct lab_sight after;
    return see(place, &after) ? -1 : judge_asking(place, step, result, &after, ret);
}
