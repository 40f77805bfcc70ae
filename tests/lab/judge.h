/* SPDX-License-Identifier: BSD-2-Clause */
/* judge.h - what a step expects, compared with what is seen.
 *
 * Each thing that a step can claim is a bit, so that a replay can say which claims it takes back:
 * see replay.h.
 */
#ifndef IDM_TESTS_LAB_JUDGE_H
#define IDM_TESTS_LAB_JUDGE_H

#include "tests/lab/report.h"

/* name, word as in the file */
#define LAB_CLAIMS(X)                                                                              \
    X(exit, "exit")                                                                                \
    X(label, "label")                                                                              \
    X(cut, "cut")                                                                                  \
    X(mode, "mode")                                                                                \
    X(state, "state")                                                                              \
    X(held, "held")                                                                                \
    X(healthy, "healthy")                                                                          \
    X(reasons, "reasons")                                                                          \
    X(reason, "reason")                                                                            \
    X(identity, "identity")                                                                        \
    X(identity_not, "identity-not")                                                                \
    X(key, "key")                                                                                  \
    X(legacy_view, "legacy-view")                                                                  \
    X(legacy_identity, "legacy-identity")                                                          \
    X(legacy_key, "legacy-key")                                                                    \
    X(marker, "marker")                                                                            \
    X(tpm, "tpm")                                                                                  \
    X(epoch, "epoch")                                                                              \
    X(image, "image")                                                                              \
    X(trial, "trial")                                                                              \
    X(slot, "slot")

enum lab_claim {
#define LAB_CLAIM_ENUM(name, word) LAB_CLAIM_##name,
    LAB_CLAIMS(LAB_CLAIM_ENUM)
#undef LAB_CLAIM_ENUM
        LAB_CLAIM_COUNT
};

typedef uint32_t lab_claims; /* bit per enum lab_claim */
#define LAB_ALL_CLAIMS UINT32_MAX
_Static_assert(LAB_CLAIM_COUNT <= 32, "claims fit a bit set");

struct lab_label {
    const char *name; /* borrowed from the scenario */
    struct lab_identity identity;
};

struct lab_judged {
    lab_claims failed; /* all that do not hold, excused or not */
    bool told;         /* one of them was not excused: the first one is in the texts */
    char what[LAB_WORD_SIZE];
    char expected[512];
    char found[512];
};

/* Adds a claim that does not hold. */
void lab_judge_failed(struct lab_judged *judged, lab_claims excused, enum lab_claim claim,
                      const char *expected, const char *found);

/* All that the step expects of the sight; `result` NULL: the exit code says nothing, for the step was
 * cut. */
void lab_judge(struct lab_judged *judged, lab_claims excused, const struct lab_step *step,
               const struct lab_result *result, const struct lab_sight *sight,
               const struct lab_label *labels, size_t labels_count);

#endif
