/* SPDX-License-Identifier: BSD-2-Clause */
/* What the verifier takes, and for each thing that may be false the word with which it refuses. */
#include "tests/attest/forge.h"

#include "backends/tpm/public.h"

#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

static struct forge f;

static void make(void)
{
    forge_make(&f);
}

static void done(void)
{
    forge_free(&f);
}
TestSuite(attest_evidence, .init = make, .fini = done);

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

Test(attest_evidence, what_is_true_is_proven)
{
    struct idm_policy policy;
    struct idm_findings found;
    struct idm_refused refused;
    struct idm_bytes text = {0};
    forge_policy(&f, &policy);
    forge_evidence(&f, &text);
    cr_assert_eq(idm_evidence_verify(&text, &policy, &found, &refused), 0, "%s", refused.why);
    cr_assert_eq(found.epoch, 4);
    cr_assert_eq(found.counter, 7);
    cr_assert_eq(found.counter_index, FORGE_INDEX);
    cr_assert(found.traced && found.same_parent && found.has_counter && !found.succession);
    cr_assert_arr_eq(found.spki, f.record.tpm_spki, IDM_SHA256_SIZE);
    cr_assert_arr_eq(found.cert, f.record.tpm_cert, IDM_SHA256_SIZE);
    cr_assert_str_eq(found.claims.mode, "tpm");
    cr_assert_str_eq(found.claims.legacy, "plain");
    cr_assert(found.claims.ever_plain);
    cr_assert_eq(found.pcrs.bank[0].selected, 0xffu);
    idm_bytes_free(&text);
}

/* ---- the AK ---- */

/* A secret that some chip activated does not make another key the AK. */
Test(attest_evidence, another_ak_than_the_activated_one)
{
    struct idm_policy policy;
    forge_policy(&f, &policy);
    EVP_PKEY_free(f.ak_key);
    f.ak_key = forge_key(&f.ak);
    cr_assert_str_eq(word_under(&policy), "ak");
}

Test(attest_evidence, every_attribute_of_the_ak_counts)
{
    for (unsigned int bit = 0; bit < 32; bit++) {
        f.ak.publicArea.objectAttributes = 0x00050472u ^ 1u << bit;
        const char *said = word(); /* reserved bits: the TPM2B does not even read again */
        cr_assert(strcmp(said, "ak") == 0, "bit %u: %s", bit, said);
    }
}

Test(attest_evidence, every_parameter_of_the_ak_counts)
{
    TPMS_ECC_PARMS *p = &f.ak.publicArea.parameters.eccDetail;
    p->scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA384;
    REFUSES("ak");
    p->scheme = (TPMT_ECC_SCHEME){.scheme = TPM2_ALG_NULL};
    REFUSES("ak");
    forge_free(&f);
    forge_make(&f);
    f.ak.publicArea.authPolicy.size = 32;
    REFUSES("ak");
    f.ak.publicArea.authPolicy.size = 0;
    f.ak.publicArea.nameAlg = TPM2_ALG_SHA384;
    REFUSES("ak");
}

Test(attest_evidence, a_signature_by_another_key)
{
    f.signs = f.old_key;
    REFUSES("signature");
}

static void no_parents(struct forge *g, json_t *body)
{
    (void)g;
    (void)json_object_set_new(body, "parents", json_array());
}

static void own_parent_only(struct forge *g, json_t *body)
{
    (void)json_object_set_new(body, "parents", json_pack("[o]", forge_public(&g->parent)));
}

static void parent_that_moves(struct forge *g, json_t *body)
{
    TPM2B_PUBLIC area = g->parent;
    area.publicArea.objectAttributes &= ~(TPMA_OBJECT)TPMA_OBJECT_FIXEDTPM;
    (void)json_object_set_new(body, "parents",
                              json_pack("[o, o]", forge_public(&area), forge_public(&g->srk)));
}

Test(attest_evidence, parents_of_the_ak)
{
    f.spoil_body = no_parents;
    REFUSES("parents");
    f.spoil_body = own_parent_only;
    REFUSES("parents");
    f.spoil_body = parent_that_moves;
    REFUSES("parents");
}

/* ---- the quote: CVE-2024-29038 (magic), -29039 (selection), -29040 (magic, in FAPI's words) ---- */

static void wrong_magic(TPMS_ATTEST *a)
{
    a->magic ^= 1;
}

static void wrong_type(TPMS_ATTEST *a)
{
    TPMS_ATTEST time = *a;
    time.type = TPM2_ST_ATTEST_TIME;
    memset(&time.attested, 0, sizeof time.attested);
    *a = time;
}

static void fewer_pcrs(TPMS_ATTEST *a)
{
    a->attested.quote.pcrSelect.pcrSelections[0].pcrSelect[0] = 0x7f;
}

static void no_pcrs(TPMS_ATTEST *a)
{
    a->attested.quote.pcrSelect.count = 0;
}

static void other_bank(TPMS_ATTEST *a)
{
    a->attested.quote.pcrSelect.pcrSelections[0].hash = TPM2_ALG_SHA384;
}

static void other_values(TPMS_ATTEST *a)
{
    a->attested.quote.pcrDigest.buffer[0] ^= 1;
}

static void other_nonce(TPMS_ATTEST *a)
{
    a->extraData.buffer[31] ^= 1;
}

static void shorter_nonce(TPMS_ATTEST *a)
{
    a->extraData.size = 31;
}

static void other_signer(TPMS_ATTEST *a)
{
    a->qualifiedSigner.name[9] ^= 1;
}

static void unsafe(TPMS_ATTEST *a)
{
    a->clockInfo.safe = 0;
}

static void other_reset(TPMS_ATTEST *a)
{
    a->clockInfo.resetCount++;
}

static void other_restart(TPMS_ATTEST *a)
{
    a->clockInfo.restartCount++;
}

static const struct {
    forge_spoil spoil;
    const char *word;
} common[] = {
    {wrong_magic, "magic"},   {wrong_type, "type"},      {other_nonce, "nonce"},
    {shorter_nonce, "nonce"}, {other_signer, "parents"}, {unsafe, "clock"},
    {other_reset, "clock"},   {other_restart, "clock"},
};

/* Each rule that holds for every part is tried in each part alone. */
Test(attest_evidence, what_every_part_must_be)
{
    for (size_t i = 0; i < sizeof common / sizeof *common; i++) {
        f.spoil_quote = common[i].spoil;
        cr_expect_str_eq(word(), common[i].word, "quote, case %zu: %s", i, word());
        f.spoil_quote = NULL;
        f.spoil_device = common[i].spoil;
        cr_expect_str_eq(word(), common[i].word, "device, case %zu: %s", i, word());
        f.spoil_device = NULL;
        f.spoil_counter = common[i].spoil;
        cr_expect_str_eq(word(), common[i].word, "counter, case %zu: %s", i, word());
        f.spoil_counter = NULL;
    }
}

Test(attest_evidence, pcrs)
{
    static const forge_spoil spoils[] = {fewer_pcrs, no_pcrs, other_bank, other_values};
    for (size_t i = 0; i < sizeof spoils / sizeof *spoils; i++) {
        f.spoil_quote = spoils[i];
        cr_expect_str_eq(word(), "pcrs", "case %zu: %s", i, word());
    }
    f.spoil_quote = NULL;
    f.pcrs = "sha256:0,1,2,3,4,5,6,7,8";
    REFUSES("pcrs");
}

static int quote_alone(struct idm_refused *refused)
{
    struct idm_bytes text = {0};
    struct idm_quote_document doc = {0};
    struct idm_ak_key ak = {0};
    TPMS_ATTEST attest;
    uint8_t q[IDM_SHA256_SIZE];
    const struct idm_question question = {.nonce = &f.nonce, .secret = &f.secret};
    forge_quote(&f, &text);
    cr_assert_eq(idm_quote_document_read(&text, &doc, NULL), 0);
    cr_assert_eq(idm_ak_key_open(&doc.ak, NULL, &ak, refused), 0);
    cr_assert_eq(idm_question_hash(&question, IDM_Q_QUOTE, NULL, q), 0);
    int rc = idm_attest_check(&ak, &doc.quote, TPM2_ST_ATTEST_QUOTE, q, sizeof q, &attest, refused);
    idm_ak_key_free(&ak);
    idm_quote_document_free(&doc);
    idm_bytes_free(&text);
    return rc;
}

Test(attest_evidence, a_quote_alone)
{
    struct idm_refused refused = {0};
    cr_assert_eq(quote_alone(&refused), 0);
    f.spoil_quote = wrong_magic;
    cr_assert_eq(quote_alone(&refused), IDM_E_REFUSED);
    cr_assert_eq(refused.refusal, IDM_REFUSAL_MAGIC);
    f.spoil_quote = wrong_type;
    cr_assert_eq(quote_alone(&refused), IDM_E_REFUSED);
    cr_assert_eq(refused.refusal, IDM_REFUSAL_TYPE);
}

/* ---- the nonce, the secret ---- */

Test(attest_evidence, another_nonce_another_secret_or_none)
{
    struct idm_policy policy;
    struct idm_bytes other = {0};
    const struct idm_bytes none = {0};
    forge_policy(&f, &policy);
    forge_set(&other, f.nonce.data, f.nonce.size);
    other.data[0] ^= 1;
    policy.question.nonce = &other;
    cr_assert_str_eq(word_under(&policy), "nonce");
    policy.question.nonce = &f.nonce;
    policy.question.secret = &other;
    cr_assert_str_eq(word_under(&policy), "nonce");
    policy.question.secret = &none;
    cr_assert_str_eq(word_under(&policy), "nonce");
    idm_bytes_free(&other);
}

/* A later round: the AK is known, nothing is activated. */
Test(attest_evidence, without_a_credential)
{
    idm_bytes_free(&f.secret);
    REFUSES("none");
}

static void says_no_credential(struct forge *g, json_t *body)
{
    (void)g;
    (void)json_object_set_new(body, "credential", json_false());
}

static void says_another_nonce(struct forge *g, json_t *body)
{
    (void)g;
    (void)json_object_set_new(body, "nonce", json_string("00112233445566778899aabbccddeeff"));
}

Test(attest_evidence, what_the_body_says_of_the_question)
{
    f.spoil_body = says_no_credential;
    REFUSES("nonce");
    f.spoil_body = says_another_nonce;
    REFUSES("nonce");
}

/* ---- the device key ---- */

static void renew(void)
{
    forge_certificate(&f);
    forge_record(&f);
}

Test(attest_evidence, every_attribute_of_the_device_key_counts)
{
    for (unsigned int bit = 0; bit < 32; bit++) {
        f.device.publicArea.objectAttributes = 0x00040472u ^ 1u << bit;
        forge_record(&f);
        cr_expect_str_eq(word(), "device", "bit %u: %s", bit, word());
    }
}

Test(attest_evidence, an_imported_key_is_none)
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

Test(attest_evidence, an_rsa_device_key)
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

Test(attest_evidence, another_key_was_certified)
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

Test(attest_evidence, the_certificate_is_for_that_key)
{
    f.spoil_body = other_certificate;
    REFUSES("certificate");
    f.spoil_body = no_certificate;
    REFUSES("certificate");
}

Test(attest_evidence, an_adopted_key_needs_a_word)
{
    struct idm_policy policy;
    f.adopted = true;
    REFUSES("parents");
    forge_policy(&f, &policy);
    policy.adopted = true;
    cr_assert_str_eq(word_under(&policy), "none");
}

/* ---- the counter ---- */

Test(attest_evidence, every_attribute_of_the_counter_counts)
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

Test(attest_evidence, the_whole_counter_of_that_index)
{
    static const forge_spoil spoils[] = {other_index, part_of_it, behind};
    for (size_t i = 0; i < sizeof spoils / sizeof *spoils; i++) {
        f.spoil_counter = spoils[i];
        cr_expect_str_eq(word(), "counter", "case %zu: %s", i, word());
    }
}

Test(attest_evidence, no_counter_needs_a_word)
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

Test(attest_evidence, an_older_record_of_the_same_chip)
{
    f.counter = 8;
    REFUSES("rolled-back");
    /* What nobody signed does not widen what is legal. */
    f.record.witness_slack = 9;
    f.record.intent = IDM_INTENT_reset;
    f.record.staged = 1;
    REFUSES("rolled-back");
}

Test(attest_evidence, the_record_is_signed)
{
    f.record.epoch++;
    REFUSES("record");
    forge_record(&f);
    REFUSES("none");
    f.record.signature_size = 0;
    REFUSES("record");
}

Test(attest_evidence, the_record_names_what_is_proven)
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

Test(attest_evidence, an_epoch_of_the_past)
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

Test(attest_evidence, parts_of_another_device)
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

/* ---- migration ---- */

Test(attest_evidence, the_old_key_vouches)
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

Test(attest_evidence, the_old_key_does_not_vouch)
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

Test(attest_evidence, the_old_key_vouched_once)
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

/* ---- the document ---- */

static void unknown_member(struct forge *g, json_t *body)
{
    (void)g;
    (void)json_object_set_new(body, "more", json_true());
}

static void missing_member(struct forge *g, json_t *body)
{
    (void)g;
    (void)json_object_del(body, "status");
}

static void other_version(struct forge *g, json_t *outer)
{
    (void)g;
    (void)json_object_set_new(outer, "version", json_integer(2));
}

Test(attest_evidence, members)
{
    f.spoil_body = unknown_member;
    REFUSES("format");
    f.spoil_body = missing_member;
    REFUSES("format");
    f.spoil_body = NULL;
    f.spoil_outer = unknown_member;
    REFUSES("format");
    f.spoil_outer = other_version;
    REFUSES("format");
}

Test(attest_evidence, sizes_are_bounded)
{
    struct idm_policy policy;
    struct idm_refused refused;
    struct idm_bytes text = {0};
    forge_policy(&f, &policy);
    cr_assert_eq(idm_bytes_set(&text, NULL, IDM_BYTES_MAX), 0);
    memset(text.data, '[', text.size);
    cr_assert_eq(judge(&text, &policy, &refused), IDM_E_REFUSED);
    cr_assert_eq(refused.refusal, IDM_REFUSAL_FORMAT);
    memset(text.data, ' ', text.size);
    cr_assert_eq(judge(&text, &policy, &refused), IDM_E_REFUSED);
    text.size = 0;
    cr_assert_eq(judge(&text, &policy, &refused), IDM_E_REFUSED);
    idm_bytes_free(&text);
}

static void storage_key(struct forge *g, json_t *body)
{
    (void)json_object_set_new(body, "ak", forge_public(&g->srk));
}

Test(attest_evidence, a_storage_key_is_no_ak)
{
    f.spoil_body = storage_key;
    REFUSES("ak");
}
