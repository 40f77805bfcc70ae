/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/lab/judge.h"

#include <inttypes.h>
#include <string.h>

static const char *const words[LAB_CLAIM_COUNT] = {
#define CLAIM_WORD(name, word) [LAB_CLAIM_##name] = word,
    LAB_CLAIMS(CLAIM_WORD)
#undef CLAIM_WORD
};

static const char nothing_published[] = "idmode published nothing";

struct judging {
    struct lab_judged *judged;
    lab_claims excused;
    const struct lab_expect *expect;
    const struct lab_sight *sight;
    const struct lab_label *labels;
    size_t labels_count;
};

void lab_judge_failed(struct lab_judged *judged, lab_claims excused, enum lab_claim claim,
                      const char *expected, const char *found)
{
    judged->failed |= UINT32_C(1) << claim;
    if (judged->told || excused >> claim & 1)
        return;
    judged->told = true;
    (void)snprintf(judged->what, sizeof judged->what, "%s", words[claim]);
    (void)snprintf(judged->expected, sizeof judged->expected, "%s", expected);
    (void)snprintf(judged->found, sizeof judged->found, "%s", found);
}

static void fails(const struct judging *j, enum lab_claim claim, const char *expected,
                  const char *found)
{
    lab_judge_failed(j->judged, j->excused, claim, expected, found);
}

/* ---- words ---- */

static void judge_word(const struct judging *j, enum lab_claim claim, const char *expected,
                       const char *found)
{
    if (*expected && strcmp(expected, found) != 0)
        fails(j, claim, expected, *found ? found : nothing_published);
}

static void judge_flag(const struct judging *j, enum lab_claim claim, int expected, bool found)
{
    if (expected < 0)
        return;
    const char *word = expected ? "yes" : "no";
    if (!j->sight->published)
        fails(j, claim, word, nothing_published);
    else if (found != (expected == 1))
        fails(j, claim, word, found ? "yes" : "no");
}

static void judge_words(const struct judging *j)
{
    static const char *const tris[] = {
        [IDM_UNKNOWN] = "unknown", [IDM_NO] = "no", [IDM_YES] = "yes"};
    const struct lab_expect *e = j->expect;
    const struct lab_sight *s = j->sight;
    judge_word(j, LAB_CLAIM_mode, e->mode, s->mode);
    /* Under a legacy image nothing is published, but the record is still what it is. */
    judge_word(j, LAB_CLAIM_state, e->state,
               !s->published && s->recorded ? idm_state_name(s->recorded_state) : s->state);
    judge_flag(j, LAB_CLAIM_held, e->held, s->held);
    judge_flag(j, LAB_CLAIM_healthy, e->healthy, s->healthy);
    judge_word(j, LAB_CLAIM_legacy_view, e->legacy_view, s->legacy_view);
    judge_word(j, LAB_CLAIM_legacy_key, e->legacy_key, s->legacy_key);
    judge_word(j, LAB_CLAIM_marker, e->marker, s->marker ? "present" : "absent");
    judge_word(j, LAB_CLAIM_tpm, e->tpm, s->tpm);
    judge_word(j, LAB_CLAIM_image, e->image, s->slots[s->slot].version);
    judge_word(j, LAB_CLAIM_trial, e->trial, tris[s->trial]);
    judge_word(j, LAB_CLAIM_slot, e->slot, s->slot ? "B" : "A");
}

static void judge_epoch(const struct judging *j)
{
    const struct lab_sight *s = j->sight;
    int64_t found = !s->published && s->recorded ? s->recorded_epoch : s->epoch;
    char expected_text[32], found_text[32];
    if (j->expect->epoch < 0)
        return;
    (void)snprintf(expected_text, sizeof expected_text, "%" PRId64, j->expect->epoch);
    (void)snprintf(found_text, sizeof found_text, "%" PRId64, found);
    if (!s->published && !s->recorded)
        fails(j, LAB_CLAIM_epoch, expected_text, nothing_published);
    else if (found != j->expect->epoch)
        fails(j, LAB_CLAIM_epoch, expected_text, found_text);
}

/* ---- reasons ---- */

static void list_reasons(uint64_t reasons, char *ret, size_t size)
{
    size_t used = 0;
    (void)snprintf(ret, size, "none");
    for (unsigned int r = 1; r < IDM_REASON_COUNT && used < size; r++)
        if (reasons >> r & 1)
            used += (size_t)snprintf(ret + used, size - used, "%s%s", used ? ", " : "",
                                     idm_reason_word((enum idm_reason)r));
}

static void judge_reasons(const struct judging *j)
{
    const struct lab_expect *e = j->expect;
    char expected[512], found[512];
    list_reasons(e->reasons, expected, sizeof expected);
    list_reasons(j->sight->reasons, found, sizeof found);
    const char *seen = j->sight->published ? found : nothing_published;
    if (e->reasons_judged && (!j->sight->published || e->reasons != j->sight->reasons))
        fails(j, LAB_CLAIM_reasons, expected, seen);
    if (e->reason != IDM_R_none && (!j->sight->published || !(j->sight->reasons >> e->reason & 1)))
        fails(j, LAB_CLAIM_reason, idm_reason_word(e->reason), seen);
}

/* ---- identities ---- */

static const struct lab_identity *labelled(const struct judging *j, const char *name)
{
    static const struct lab_identity none = {0};
    /* The last one given counts. */
    for (size_t i = j->labels_count; i > 0; i--)
        if (strcmp(j->labels[i - 1].name, name) == 0)
            return &j->labels[i - 1].identity;
    return &none;
}

static void describe(const struct lab_identity *identity, char *ret, size_t size)
{
    if (*identity->cert || *identity->spki)
        (void)snprintf(ret, size, "certificate %.16s, key %.16s%s",
                       *identity->cert ? identity->cert : "none",
                       *identity->spki ? identity->spki : "none",
                       identity->works ? "" : " (which does not sign)");
    else
        (void)snprintf(ret, size, "no identity");
}

static bool same_cert(const struct lab_identity *a, const struct lab_identity *b)
{
    return *a->cert && strcmp(a->cert, b->cert) == 0;
}

static bool same_key(const struct lab_identity *a, const struct lab_identity *b)
{
    return *a->spki && strcmp(a->spki, b->spki) == 0;
}

static void identity_fails(const struct judging *j, enum lab_claim claim, const char *name,
                           const char * not, const struct lab_identity *found)
{
    char expected[512], seen[512];
    int used = snprintf(expected, sizeof expected, "%s%s: ", not, name);
    describe(labelled(j, name), expected + used, sizeof expected - (size_t)used);
    describe(found, seen, sizeof seen);
    fails(j, claim, expected, seen);
}

/* An identity that cannot sign is none, unless its key is locked away on purpose. */
static bool is_legacy(const struct lab_sight *sight, const struct lab_identity *label)
{
    if (!same_cert(&sight->legacy, label))
        return false;
    if (strcmp(sight->legacy_key, "plain") != 0 && !*sight->legacy.spki)
        return true;
    return same_key(&sight->legacy, label);
}

static void judge_identities(const struct judging *j)
{
    const struct lab_expect *e = j->expect;
    const struct lab_identity *active = &j->sight->active;
    const struct lab_identity *named = labelled(j, e->identity);
    if (*e->identity && !(active->works && same_cert(active, named) && same_key(active, named)))
        identity_fails(j, LAB_CLAIM_identity, e->identity, "", active);
    named = labelled(j, e->identity_not);
    if (*e->identity_not && same_cert(active, named) && same_key(active, named))
        identity_fails(j, LAB_CLAIM_identity_not, e->identity_not, "not ", active);
    if (*e->key && !(active->works && same_key(active, labelled(j, e->key))))
        identity_fails(j, LAB_CLAIM_key, e->key, "", active);
    if (*e->legacy_identity && !is_legacy(j->sight, labelled(j, e->legacy_identity)))
        identity_fails(j, LAB_CLAIM_legacy_identity, e->legacy_identity, "", &j->sight->legacy);
}

/* ---- */

static void judge_exit(const struct judging *j, const struct lab_step *step,
                       const struct lab_result *result)
{
    char expected[32], found[32];
    (void)snprintf(expected, sizeof expected, "%d", step->exit_code);
    (void)snprintf(found, sizeof found, "%d", result->exit_code);
    if (!result->judged_exit)
        fails(j, LAB_CLAIM_exit, expected, "idmode did not run");
    else if (result->exit_code != step->exit_code)
        fails(j, LAB_CLAIM_exit, expected, found);
}

void lab_judge(struct lab_judged *judged, lab_claims excused, const struct lab_step *step,
               const struct lab_result *result, const struct lab_sight *sight,
               const struct lab_label *labels, size_t labels_count)
{
    const struct judging j = {judged, excused, &step->expect, sight, labels, labels_count};
    if (step->exit_judged && result)
        judge_exit(&j, step, result);
    if (!step->expects)
        return;
    judge_words(&j);
    judge_epoch(&j);
    judge_reasons(&j);
    judge_identities(&j);
}
