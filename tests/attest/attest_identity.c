/* SPDX-License-Identifier: BSD-2-Clause */
/* Device key, counter and record: what may be false in them, and the word with which the verifier refuses. */
#include "tests/attest/judge.h"

TestSuite(attest_identity, .init = make, .fini = done);

/* ---- the device key ---- */

static void renew(void)
{
    forge_certificate(&f);
    forge_record(&f);
}

Test(attest_identity, every_attribute_of_the_device_key_counts)
{
    for (unsigned int bit = 0; bit < 32; bit++) {
        f.device.publicArea.objectAttributes = 0x00040472u ^ 1u << bit;
        forge_record(&f);
        cr_expect_str_eq(word(), "device", "bit %u: %s", bit, word());
    }
}

Test(attest_identity, an_imported_key_is_none)
{
    struct idm_policy policy;
    struct idm_bytes text = {0};
    struct idm_refused refused;
    forge_policy(&f, &policy);
    EVP_PKEY_free(f.device_key);
    cr_assert_eq(idm_template_imported(IDM_ECDSA_P256, &f.device), 0);
    f.device_key = forge_key(&f.device);
    renew();
    forge_evidence(&f, &text);
    cr_assert_eq(judge(&text, &policy, &refused), IDM_E_REFUSED);
    cr_assert_eq(refused.refusal, IDM_REFUSAL_DEVICE);
    cr_assert_not_null(strstr(refused.why, "imported"));
    idm_bytes_free(&text);
}

Test(attest_identity, an_rsa_device_key)
{
    EVP_PKEY_free(f.device_key);
    cr_assert_eq(idm_template_device(IDM_RSA_2048, &f.device), 0);
    f.device_key = forge_key(&f.device);
    renew();
    REFUSES("none");
}

static void other_name(TPMS_ATTEST *a)
{
    a->attested.certify.name.name[20] ^= 1;
}

static void other_qualified(TPMS_ATTEST *a)
{
    a->attested.certify.qualifiedName.name[20] ^= 1;
}

Test(attest_identity, another_key_was_certified)
{
    f.spoil_device = other_name;
    REFUSES("device");
    f.spoil_device = other_qualified;
    REFUSES("parents");
}

static void other_certificate(struct forge *g, json_t *body)
{
    json_t *list = json_object_get(json_object_get(body, "device"), "certificates");
    (void)json_array_set_new(list, 0, forge_base64(g->old_cert.data, g->old_cert.size));
}

static void no_certificate(struct forge *g, json_t *body)
{
    (void)g;
    (void)json_array_clear(json_object_get(json_object_get(body, "device"), "certificates"));
}

Test(attest_identity, the_certificate_is_for_that_key)
{
    f.spoil_body = other_certificate;
    REFUSES("certificate");
    f.spoil_body = no_certificate;
    REFUSES("certificate");
}

Test(attest_identity, an_adopted_key_needs_a_word)
{
    struct idm_policy policy;
    f.adopted = true;
    REFUSES("parents");
    forge_policy(&f, &policy);
    policy.adopted = true;
    cr_assert_str_eq(word_under(&policy), "none");
}

/* ---- the counter ---- */

Test(attest_identity, every_attribute_of_the_counter_counts)
{
    TPMA_NV right = f.nv.nvPublic.attributes;
    for (unsigned int bit = 0; bit < 32; bit++) {
        f.nv.nvPublic.attributes = right ^ 1u << bit;
        cr_expect_str_eq(word(), "counter", "bit %u: %s", bit, word());
    }
}

static void other_index(TPMS_ATTEST *a)
{
    a->attested.nv.indexName.name[30] ^= 1;
}

static void part_of_it(TPMS_ATTEST *a)
{
    a->attested.nv.nvContents.size = 7;
}

static void behind(TPMS_ATTEST *a)
{
    a->attested.nv.offset = 8;
}

Test(attest_identity, the_whole_counter_of_that_index)
{
    static const forge_spoil spoils[] = {other_index, part_of_it, behind};
    for (size_t i = 0; i < sizeof spoils / sizeof *spoils; i++) {
        f.spoil_counter = spoils[i];
        cr_expect_str_eq(word(), "counter", "case %zu: %s", i, word());
    }
}

Test(attest_identity, no_counter_needs_a_word)
{
    struct idm_policy policy;
    forge_policy(&f, &policy);
    policy.without_counter = true;
    f.no_counter = true;
    f.record.has_witness = 0;
    f.record.witness = 0;
    forge_record(&f);
    REFUSES("counter");
    cr_assert_str_eq(word_under(&policy), "none");
    /* Left out by somebody, though the record knows one. */
    f.record.has_witness = 1;
    forge_record(&f);
    cr_assert_str_eq(word_under(&policy), "counter");
}

/* ---- the record ---- */

Test(attest_identity, an_older_record_of_the_same_chip)
{
    f.counter = 8;
    REFUSES("rolled-back");
    /* What nobody signed does not widen what is legal. */
    f.record.witness_slack = 9;
    f.record.intent = IDM_INTENT_reset;
    f.record.staged = 1;
    REFUSES("rolled-back");
}

Test(attest_identity, the_record_is_signed)
{
    f.record.epoch++;
    REFUSES("record");
    forge_record(&f);
    REFUSES("none");
    f.record.signature_size = 0;
    REFUSES("record");
}

Test(attest_identity, the_record_names_what_is_proven)
{
    f.record.tpm_cert[0] ^= 1;
    forge_record(&f);
    REFUSES("record");
    f.record.tpm_cert[0] ^= 1;
    f.record.tpm_spki[0] ^= 1;
    forge_record(&f);
    REFUSES("record");
    f.record.tpm_spki[0] ^= 1;
    f.record.counter_index++;
    forge_record(&f);
    REFUSES("rolled-back");
    f.record.counter_index--;
    f.record.state = IDM_S_software;
    forge_record(&f);
    REFUSES("record");
    f.record.state = IDM_S_tpm;
    forge_record(&f);
    f.record.parent_name[3] ^= 1;
    REFUSES("record");
}

Test(attest_identity, an_epoch_of_the_past)
{
    struct idm_policy policy;
    forge_policy(&f, &policy);
    policy.min_epoch = 4;
    cr_assert_str_eq(word_under(&policy), "none");
    policy.min_epoch = 5;
    cr_assert_str_eq(word_under(&policy), "epoch");
}

/* ---- parts of two devices ---- */

static struct forge other;

static json_t *body_of_other(const char *part)
{
    struct idm_bytes text = {0};
    forge_evidence(&other, &text);
    json_t *outer = json_loadb((const char *)text.data, text.size, 0, NULL);
    json_t *body = json_loads(json_string_value(json_object_get(outer, "body")), 0, NULL);
    json_t *value = json_incref(json_object_get(body, part));
    json_decref(body);
    json_decref(outer);
    idm_bytes_free(&text);
    return value;
}

static const char *mixed;

static void mix(struct forge *g, json_t *body)
{
    (void)g;
    (void)json_object_set_new(body, mixed, body_of_other(mixed));
}

Test(attest_identity, parts_of_another_device)
{
    static const char *const parts[] = {"ak", "parents", "device", "counter", "record"};
    static const char *const words[] = {"ak", "parents", "signature", "signature", "record"};
    forge_make(&other);
    f.spoil_body = mix;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        mixed = parts[i];
        cr_expect_str_eq(word(), words[i], "%s: %s", mixed, word());
    }
    forge_free(&other);
}
