/* SPDX-License-Identifier: BSD-2-Clause */
/* Migration: does the old key vouch for the new certificate, and when does it not? */
#include "tests/attest/judge.h"

TestSuite(attest_succession, .init = make, .fini = done);

/* ---- migration ---- */

Test(attest_succession, the_old_key_vouches)
{
    struct idm_policy policy;
    struct idm_findings found;
    struct idm_refused refused;
    struct idm_bytes text = {0};
    forge_prepare(&f);
    forge_policy(&f, &policy);
    policy.known = &f.old_cert;
    policy.min_epoch = 5;
    forge_evidence(&f, &text);
    cr_assert_eq(idm_evidence_verify(&text, &policy, &found, &refused), 0, "%s", refused.why);
    cr_assert(found.prepared && found.succession && found.succession_now);
    cr_assert_eq(found.epoch, 5);
    policy.known = &f.cert; /* another certificate is the known one */
    cr_assert_eq(judge(&text, &policy, &refused), IDM_E_REFUSED);
    cr_assert_eq(refused.refusal, IDM_REFUSAL_SUCCESSOR);
    idm_bytes_free(&text);
}

static void no_statement(struct forge *g, json_t *body)
{
    (void)g;
    (void)json_object_set_new(body, "statement", json_null());
}

static void no_old_certificate(struct forge *g, json_t *body)
{
    (void)g;
    (void)json_object_set_new(body, "old_certificates", json_null());
}

static void no_old_signature(struct forge *g, json_t *outer)
{
    (void)g;
    (void)json_object_set_new(outer, "old_signature", json_null());
}

static void copied_old_signature(struct forge *g, json_t *outer)
{
    struct forge again = *g;
    struct idm_bytes text = {0};
    again.spoil_outer = NULL;
    again.nonce = (struct idm_bytes){0};
    forge_set(&again.nonce, "another nonce of some bytes", 20);
    forge_evidence(&again, &text);
    json_t *earlier = json_loadb((const char *)text.data, text.size, 0, NULL);
    (void)json_object_set(outer, "old_signature", json_object_get(earlier, "old_signature"));
    json_decref(earlier);
    idm_bytes_free(&text);
    idm_bytes_free(&again.nonce);
}

Test(attest_succession, the_old_key_does_not_vouch)
{
    forge_prepare(&f);
    f.spoil_body = no_statement;
    REFUSES("successor");
    f.spoil_body = no_old_certificate;
    REFUSES("successor");
    f.spoil_body = NULL;
    f.spoil_outer = no_old_signature;
    REFUSES("successor");
    f.spoil_outer = copied_old_signature;
    REFUSES("successor");
    f.spoil_outer = NULL;
    REFUSES("none");
}

/* The statement alone, later: the old key named this certificate once. */
static void keep_statement(struct forge *g, json_t *body)
{
    struct idm_bytes text = {0};
    struct forge earlier = *g;
    earlier.prepared = true;
    earlier.spoil_body = NULL;
    earlier.record.epoch--;
    forge_evidence(&earlier, &text);
    json_t *outer = json_loadb((const char *)text.data, text.size, 0, NULL);
    json_t *was = json_loads(json_string_value(json_object_get(outer, "body")), 0, NULL);
    (void)json_object_set(body, "statement", json_object_get(was, "statement"));
    json_decref(was);
    json_decref(outer);
    idm_bytes_free(&text);
}

Test(attest_succession, the_old_key_vouched_once)
{
    struct idm_policy policy;
    forge_policy(&f, &policy);
    policy.known = &f.old_cert;
    cr_assert_str_eq(word_under(&policy), "successor");
    f.spoil_body = keep_statement;
    cr_assert_str_eq(word_under(&policy), "none");
    policy.known = &f.cert;
    cr_assert_str_eq(word_under(&policy), "successor");
}
