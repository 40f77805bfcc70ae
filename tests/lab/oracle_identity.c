/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/lab/oracle_parts.h"

#include <stdio.h>
#include <string.h>

/* A published mode that the surroundings do not bear. */
static bool honest(const struct lab_sight *after, struct lab_violation *ret)
{
    bool mounted = after->config_mounted && after->persist_mounted;
    bool tpm = strcmp(after->mode, "tpm") == 0;
    bool silent = after->chip == LAB_TPM_ABSENT || after->chip == LAB_TPM_LATE ||
                  after->chip == LAB_TPM_FAILED || after->chip == LAB_TPM_LOCKED;
    if (lab_in_use(after) && !mounted)
        return lab_violates(ret, 11, "mode is %s although a directory is not mounted", after->mode);
    if (tpm && silent)
        return lab_violates(ret, 3, "mode is tpm although the chip (%s) did not sign in this boot",
                            lab_tpm_word(after->chip));
    if (lab_in_use(after) && !after->active.works)
        return lab_violates(ret, 3, "mode is %s, and its key does not sign under its certificate",
                            after->mode);
    return true;
}

/* One identity has one epoch, one epoch one identity. */
static bool epoch_fits(struct lab_oracle *o, const struct lab_sight *after,
                       struct lab_violation *ret)
{
    if (!after->recorded) /* in use without a record, for want of room: no epoch has begun */
        return true;
    for (size_t i = 0; i < o->announced_count; i++) {
        const struct lab_announced *seen = &o->announced[i];
        if (seen->epoch == after->epoch && strcmp(seen->cert, after->active.cert) != 0)
            return lab_violates(ret, 2,
                                "epoch %lld was announced for certificate %.8s, now for %.8s",
                                (long long)after->epoch, seen->cert, after->active.cert);
        if (seen->epoch == after->epoch)
            return true;
    }
    if (o->announced_count < LAB_EPOCHS_MAX) {
        struct lab_announced *seen = &o->announced[o->announced_count++];
        seen->epoch = after->epoch;
        memcpy(seen->cert, after->active.cert, sizeof seen->cert);
    }
    return true;
}

/* A key that was left in a chip, by an operator's word, is out of reach: an older disk that names it, or
 * another word, may bring it back. Then it is dead no more. */
static bool is_dead(struct lab_oracle *o, const char *spki)
{
    for (size_t i = 0; i < o->dead_count; i++) {
        struct lab_dead *dead = &o->dead[i];
        if (strcmp(dead->spki, spki) != 0)
            continue;
        if (!dead->left || !(o->restored || o->causes & LAB_CAUSE_OPERATOR))
            return true;
        *dead = o->dead[--o->dead_count];
        return false;
    }
    return false;
}

/* A software identity has no witness: its old disk copy cannot be told from the newest, nor can the legacy
 * pair of one, once an operator gave the TPM identity beside it up. */
static bool came_back_unseen(const struct lab_oracle *o, const struct lab_sight *after)
{
    return o->restored &&
           ((o->restored_copy.state != IDM_S_tpm && o->restored_copy.state != IDM_S_tpm_dual) ||
            strcmp(after->mode, "software") == 0);
}

static bool is_minted(const struct lab_oracle *o, const struct lab_sight *after)
{
    return o->causes & LAB_CAUSE_MINTED && strcmp(o->minted, after->active.cert) == 0;
}

static bool same_key(const struct lab_oracle *o, const struct lab_sight *after)
{
    return strcmp(o->last.spki, after->active.spki) == 0;
}

/* I12 where nobody counts what is issued: a certificate that was not there before. */
static bool seems_issued(const struct lab_oracle *o, const struct lab_sight *before,
                         const struct lab_sight *after)
{
    bool back = (o->causes & LAB_CAUSE_OPERATOR) && strcmp(o->last_pair, after->active.spki) == 0;
    return strcmp(before->legacy.cert, after->active.cert) != 0 && !back && !is_minted(o, after) &&
           !o->restored && !o->moved;
}

static bool change_allowed(const struct lab_oracle *o, const struct lab_result *result,
                           const struct lab_sight *before, const struct lab_sight *after,
                           struct lab_violation *ret)
{
    bool to_software = strcmp(o->last_mode, "tpm") == 0 && strcmp(after->mode, "software") == 0;
    bool was_software = strcmp(o->last_mode, "software") == 0;
    bool free_cause =
        o->causes & (LAB_CAUSE_RESET | LAB_CAUSE_MIGRATED | LAB_CAUSE_WIPED | LAB_CAUSE_OPERATOR) ||
        is_minted(o, after) || (o->causes & LAB_CAUSE_CERT_LOST && same_key(o, after)) ||
        o->restored;
    bool deleted = (o->causes & LAB_CAUSE_CERT_DELETED) && was_software;
    if (to_software && !free_cause)
        return lab_violates(ret, 4, "a software identity (%.8s) took the place of the TPM's (%.8s)",
                            after->active.cert, o->last.cert);
    if (!free_cause && !deleted)
        return lab_violates(ret, 2, "the identity changed from %.8s to %.8s without a cause",
                            o->last.cert, after->active.cert);
    if (before->trial == IDM_YES && after->trial == IDM_YES && !free_cause &&
        !lab_trial_is_secret(o))
        return lab_violates(ret, 5, "the identity changed on trial (%.8s to %.8s)", o->last.cert,
                            after->active.cert);
    if (result->issued < 0 && seems_issued(o, before, after) && !after->clock_good)
        return lab_violates(ret, 12, "a certificate (%.8s) was issued under an implausible clock",
                            after->active.cert);
    if (after->recorded && after->epoch <= o->last_epoch)
        return lab_violates(ret, 2, "the identity changed and the epoch did not: %lld after %lld",
                            (long long)after->epoch, (long long)o->last_epoch);
    return true;
}

/* design 8: the new certificate is published with a statement signed by the old key, where the two follow one
 * another, and nothing of the store was lost. */
static void note_succession(struct lab_oracle *o, const struct lab_sight *after)
{
    const unsigned int others = LAB_CAUSE_RESET | LAB_CAUSE_WIPED | LAB_CAUSE_OPERATOR;
    bool follows = strcmp(o->last_mode, "software") == 0 && strcmp(after->mode, "tpm") == 0 &&
                   !(o->causes & others) && !o->restored && !o->reset_open;
    o->followed = follows ? o->last : (struct lab_identity){0};
}

/* A certificate that had to be issued again on its key, for want of a copy, was no answer to the
 * deletion: that may still come. */
static unsigned int causes_left(const struct lab_oracle *o, const struct lab_sight *after)
{
    bool waits = same_key(o, after) && strcmp(after->mode, "software") == 0;
    return waits ? o->causes & LAB_CAUSE_CERT_DELETED : 0;
}

bool lab_judge_identity(struct lab_oracle *o, const struct lab_step *step,
                        const struct lab_result *result, const struct lab_sight *before,
                        const struct lab_sight *after, struct lab_violation *ret)
{
    if (result->issued > 0 && !after->clock_good)
        return lab_violates(ret, 12, "%ld certificates were issued under an implausible clock",
                            result->issued);
    if (!after->powered || !after->aware || !after->published || !lab_idmode_ran(step, after))
        return true;
    if (!honest(after, ret))
        return false;
    if (!lab_in_use(after))
        return true;
    if (is_dead(o, after->active.spki) && !came_back_unseen(o, after))
        return lab_violates(ret, 8, "the key %.8s is in use again after a factory reset",
                            after->active.spki);
    bool known = o->last.cert[0] != 0;
    bool changed = known && strcmp(o->last.cert, after->active.cert) != 0;
    if (changed && !change_allowed(o, result, before, after, ret))
        return false;
    if (!epoch_fits(o, after, ret))
        return false;
    if (changed)
        note_succession(o, after);
    if (changed)
        o->causes = causes_left(o, after);
    o->last = after->active;
    o->last_epoch = after->epoch;
    (void)snprintf(o->last_mode, sizeof o->last_mode, "%s", after->mode);
    return true;
}
