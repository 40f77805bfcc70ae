/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/lab/replay_parts.h"

#include <string.h>

/* A label that ends up on another identity when the power fails elsewhere says nothing of the life
 * after a cut: `works` marks those that stayed the same. */
static void compare_labels(struct lab_replay *r, const struct lab_timeline *t)
{
    if (!r->labels_count) {
        memcpy(r->labels, t->labels, t->labels_count * sizeof *t->labels);
        for (size_t l = 0; l < t->labels_count; l++)
            r->labels[l].identity.works = true;
        r->labels_count = t->labels_count;
    }
    for (size_t l = 0; l < t->labels_count && l < r->labels_count; l++) {
        struct lab_identity *first = &r->labels[l].identity;
        const struct lab_identity *other = &t->labels[l].identity;
        first->works = first->works && strcmp(first->cert, other->cert) == 0 &&
                       strcmp(first->spki, other->spki) == 0;
    }
}

static bool moved(const struct lab_replay *r, const char *name)
{
    for (size_t l = 0; *name && l < r->labels_count; l++)
        if (strcmp(r->labels[l].name, name) == 0 && !r->labels[l].identity.works)
            return true;
    return false;
}

static void take_labels_back(struct lab_replay *r)
{
    for (size_t i = 0; i < r->scenario->steps_count; i++) {
        const struct lab_expect *e = &r->scenario->steps[i].expect;
        r->taken_back[i] |= (lab_claims)moved(r, e->identity) << LAB_CLAIM_identity |
                            (lab_claims)moved(r, e->identity_not) << LAB_CLAIM_identity_not |
                            (lab_claims)moved(r, e->key) << LAB_CLAIM_key |
                            (lab_claims)moved(r, e->legacy_identity) << LAB_CLAIM_legacy_identity;
    }
}

/* The step as far as it comes when the power fails at that place, which is none of idmode's. */
static int act_until(struct lab_replay *r, struct lab_timeline *t, size_t i, enum lab_place place)
{
    static const enum lab_phase phases[LAB_PLACE_COUNT] = {
        [LAB_AT_PRE_INSTALL] = LAB_PRE_INSTALL,
        [LAB_AT_WRITE] = LAB_WRITE,
        [LAB_AT_POST_INSTALL] = LAB_POST_INSTALL,
    };
    struct lab_step killed = r->scenario->steps[i];
    if (place == LAB_AT_BEFORE)
        return 0;
    if (phases[place] == LAB_PHASE_NONE)
        return lab_act(r, t, i, NULL, NULL);
    killed.install.killed = phases[place];
    return lab_act(r, t, i, &killed, NULL);
}

/* What a cut in the step is measured by: the same life, where the power fails between two things that
 * are not idmode's. */
static int fail_around(struct lab_replay *r, const struct lab_timeline *base, size_t i,
                       enum lab_place place, unsigned int boots)
{
    const struct lab_way way = {.noted = r->taken_back};
    struct lab_timeline t;
    r->place = (struct lab_place_now){.fails = true, .where = place, .step = i};
    if (lab_fork(r, &t, base, i) < 0)
        return -1;
    int result = act_until(r, &t, i, place);
    for (unsigned int boot = 1; result == 0 && boot < boots; boot++)
        result = lab_act(r, &t, i, &lab_recovery, NULL);
    if (result == 0)
        result = lab_recover(r, &t, i, &way);
    if (result == 0)
        result = lab_take_rest(r, &t, i + 1, &way);
    if (result == 0)
        compare_labels(r, &t);
    lab_timeline_close(&t);
    r->place = (struct lab_place_now){0};
    return result;
}

static bool has_place(const struct lab_step *step, enum lab_place place)
{
    if (place == LAB_AT_BEFORE || place == LAB_AT_AFTER)
        return true;
    if (step->action != LAB_DO_install || step->install.killed != LAB_PHASE_NONE)
        return false;
    return place == LAB_AT_PRE_INSTALL || !step->install.write_fails;
}

int lab_measure(struct lab_replay *r, const struct lab_timeline *base, size_t i)
{
    unsigned int most = lab_cuts_nested(r->cuts);
    memset(r->taken_back, 0, r->scenario->steps_count * sizeof *r->taken_back);
    r->labels_count = 0;
    for (unsigned int boots = 1; boots <= most; boots++)
        for (enum lab_place place = LAB_AT_BEFORE; place < LAB_PLACE_COUNT; place++)
            if (has_place(&r->scenario->steps[i], place) &&
                fail_around(r, base, i, place, boots) < 0)
                return -1;
    take_labels_back(r);
    return 0;
}
