/* SPDX-License-Identifier: BSD-2-Clause */
/* judge.h - one composed evidence at a time, and the word with which the verifier answers it. */
#ifndef IDM_TESTS_ATTEST_JUDGE_H
#define IDM_TESTS_ATTEST_JUDGE_H

#include "tests/attest/forge.h"

#include "backends/tpm/public.h"

#include <criterion/criterion.h>
#include <string.h>

static struct forge f;

static void make(void)
{
    forge_make(&f);
}

static void done(void)
{
    forge_free(&f);
}

static int judge(const struct idm_bytes *text, const struct idm_policy *policy,
                 struct idm_refused *refused)
{
    struct idm_findings findings;
    return idm_evidence_verify(text, policy, &findings, refused);
}

/* Composes it as f says; the word of the refusal, "none" when it is proven. */
static const char *word_under(const struct idm_policy *policy)
{
    struct idm_bytes text = {0};
    struct idm_refused refused = {0};
    forge_evidence(&f, &text);
    int rc = judge(&text, policy, &refused);
    cr_assert(rc == 0 || rc == IDM_E_REFUSED, "%s", idm_error_name(rc));
    cr_assert_eq(rc == 0, refused.refusal == IDM_REFUSAL_NONE);
    idm_bytes_free(&text);
    return idm_refusal_word(refused.refusal);
}

static const char *word(void)
{
    struct idm_policy policy;
    forge_policy(&f, &policy);
    return word_under(&policy);
}

#define REFUSES(wanted) cr_assert_str_eq(word(), wanted)

#endif
