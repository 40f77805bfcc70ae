/* SPDX-License-Identifier: BSD-2-Clause */
/* What the verifier takes, and for each thing that may be false in the parts by the AK the word with which it refuses. */
#include "tests/attest/judge.h"

TestSuite(attest_evidence, .init = make, .fini = done);

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
