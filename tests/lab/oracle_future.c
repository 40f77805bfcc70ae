/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/lab/oracle_parts.h"

#include <stdio.h>
#include <string.h>

static const struct lab_step power_on = {.action = LAB_DO_boot};
static const struct lab_step give_up = {.action = LAB_DO_fallback};
static const struct lab_cut uncut = {.kind = LAB_UNCUT};

/* A copy to ask. -1: the world broke. */
static int copy_of(const struct lab_oracle *o, struct lab_world *world, struct lab_world **ret,
                   char error[LAB_SENTENCE_SIZE])
{
    if (o->ops->fork(ret, world, error))
        return -1;
    if (o->ops->unread)
        o->ops->unread(*ret);
    return 0;
}

/* One step in a copy of the world. -1: the world broke. */
static int go(const struct lab_oracle *o, struct lab_world *copy, const struct lab_step *step,
              struct lab_result *result, char error[LAB_SENTENCE_SIZE])
{
    *result = (struct lab_result){0};
    if (o->ops->act(copy, step, &uncut, result) == 0)
        return 0;
    memcpy(error, result->error, LAB_SENTENCE_SIZE);
    return -1;
}

/* ---- I8 ---- */

static int reset_final(struct lab_oracle *o, struct lab_world *world, const struct lab_sight *after,
                       struct lab_violation *ret, char error[LAB_SENTENCE_SIZE])
{
    bool ended = o->reset_open && lab_in_use(after) && after->recorded &&
                 after->recorded_state != IDM_S_resetting;
    if (!ended)
        return 1;
    for (size_t i = 0; i < o->dead_count && lab_chip_serves(after); i++) {
        const struct lab_dead *dead = &o->dead[i];
        bool lives = false;
        if (dead->left || (o->restored && !dead->in_chip)) /* the older disk has its file */
            continue;
        if (o->ops->key_lives(world, dead->spki, dead->in_chip, &lives, error))
            return -1;
        if (lives)
            return lab_violates(ret, 8, "the key %.8s can still sign after the factory reset",
                                dead->spki);
    }
    o->reset_open = false;
    o->stranded = o->stranded && (o->chip_given_up || !lab_chip_serves(after));
    return 1;
}

/* ---- I2: the old key's word ---- */

/* A fault may keep it from being published in this boot, not in the next one. */
static int succession_said(struct lab_oracle *o, struct lab_world *world,
                           const struct lab_step *step, const struct lab_result *result,
                           const struct lab_sight *after, struct lab_violation *ret,
                           char error[LAB_SENTENCE_SIZE])
{
    bool said = true;
    bool judged = step->action == LAB_DO_boot && !result->was_cut && lab_in_use(after);
    struct lab_identity from = o->followed;
    if (o->damage.persist || o->restored || o->moved) /* it is kept once */
        o->followed = (struct lab_identity){0};
    if (!judged || !o->followed.cert[0] || !o->ops->succession)
        return 1;
    o->followed = (struct lab_identity){0};
    if (o->ops->succession(world, &from, &after->active, after->epoch, &said, error))
        return -1;
    if (said)
        return 1;
    (void)lab_violates(ret, 2, "%.8s follows %.8s, and no statement signed by the old key says so",
                       after->active.cert, from.cert);
    return 0;
}

/* ---- I1: whichever slot boots next ---- */

static int slot_works(const struct lab_oracle *o, struct lab_world *copy, const char *which,
                      struct lab_violation *ret, char error[LAB_SENTENCE_SIZE])
{
    struct lab_result result;
    struct lab_sight sight;
    if (go(o, copy, &power_on, &result, error) || o->ops->see(copy, &sight, error))
        return -1;
    /* With `legacy-key = none` that is what was asked for. */
    bool unwanted = o->legacy_key == IDM_LEGACY_NONE;
    if (!sight.aware && result.minted && !unwanted && !o->legacy_unannounced &&
        !o->legacy_unrecorded)
        return lab_violates(ret, 1, "%s holds a legacy image, and it would mint a new identity",
                            which);
    if (sight.aware && !lab_in_use(&sight) && !lab_excused(o, &sight))
        return lab_violates(ret, 1, "%s would boot into mode %s", which, sight.mode);
    return 1;
}

/* ---- I9 ---- */

static int settles(const struct lab_oracle *o, struct lab_world *copy, struct lab_violation *ret,
                   char error[LAB_SENTENCE_SIZE])
{
    struct lab_result result;
    /* A reset waits to be final for the chip's count of resets: in another chip it begins anew. */
    if (o->chip_changed)
        return 1;
    for (unsigned int i = 0; i < 2; i++) /* after the one of slot_works */
        if (go(o, copy, &power_on, &result, error))
            return -1;
    unsigned long writes = o->ops->writes(copy);
    if (writes)
        return lab_violates(ret, 9, "a third boot still writes (%lu)", writes);
    return 1;
}

static int next_boots(const struct lab_oracle *o, struct lab_world *world,
                      const struct lab_sight *after, struct lab_violation *ret,
                      char error[LAB_SENTENCE_SIZE])
{
    struct lab_world *copy = NULL;
    char which[LAB_WORD_SIZE];
    (void)snprintf(which, sizeof which, "slot %c, which boots next,", 'A' + after->next_slot);
    if (copy_of(o, world, &copy, error))
        return -1;
    int rc = slot_works(o, copy, which, ret, error);
    if (rc == 1 && after->slots[after->next_slot].aware)
        rc = settles(o, copy, ret, error);
    o->ops->close(copy);
    return rc;
}

static int other_boots(const struct lab_oracle *o, struct lab_world *world,
                       const struct lab_sight *after, struct lab_violation *ret,
                       char error[LAB_SENTENCE_SIZE])
{
    struct lab_world *copy = NULL;
    struct lab_result result;
    int other = 1 - after->next_slot;
    if (!after->slots[other].present)
        return 1;
    if (copy_of(o, world, &copy, error))
        return -1;
    int rc = go(o, copy, &give_up, &result, error) ? -1 : 1;
    if (rc == 1)
        rc = slot_works(o, copy, other ? "slot B, after a fallback," : "slot A, after a fallback,",
                        ret, error);
    o->ops->close(copy);
    return rc;
}

int lab_judge_future(struct lab_oracle *o, struct lab_world *world, const struct lab_step *step,
                     const struct lab_result *result, const struct lab_sight *after,
                     struct lab_violation *ret, char error[LAB_SENTENCE_SIZE])
{
    if (!lab_idmode_ran(step, after))
        return 1;
    int rc = result->was_cut ? 1 : reset_final(o, world, after, ret, error);
    if (rc == 1)
        rc = succession_said(o, world, step, result, after, ret, error);
    bool asked = rc == 1 && o->ops->forks_cheaply && o->provisioned && o->ops->writes(world) > 0 &&
                 after->slots[after->next_slot].present && after->disk == LAB_DISK_OK &&
                 !lab_excused(o, after) &&
                 !(after->recorded && after->recorded_state == IDM_S_resetting);
    /* What the scenario destroyed may not be repaired yet where the power failed. */
    if (result->was_cut)
        asked = asked && !(o->damage.config | o->damage.persist);
    else if (asked)
        rc = next_boots(o, world, after, ret, error);
    if (asked && rc == 1)
        rc = other_boots(o, world, after, ret, error);
    return rc;
}
