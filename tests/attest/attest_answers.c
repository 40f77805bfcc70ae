/* SPDX-License-Identifier: BSD-2-Clause */
/* Evidence, quotes and certificates of keys, looked at as a controller does: with the attestation key's
 * public half, OpenSSL, tpm2-tools, and without any of idmode's own verification. */
#include "tests/attest/certified_device.h"

#include "backends/attest/attest.h"
#include "engine/record.h"

#include <openssl/ecdsa.h>
#include <openssl/pem.h>
#include <tss2/tss2_mu.h>

ATTEST(attest_answers);

/* ---- taking a document apart ---- */

struct blob {
    uint8_t data[8192];
    size_t size;
};

static struct blob blob_of(const json_t *object, const char *key)
{
    const char *text = text_of(object, key);
    struct blob blob = {0};
    size_t length = strlen(text);

    cr_assert(length % 4 == 0 && length / 4 * 3 <= sizeof blob.data, "%s", key);
    int size = EVP_DecodeBlock(blob.data, (const unsigned char *)text, (int)length);
    cr_assert_geq(size, 0, "%s", key);
    blob.size =
        (size_t)size - (length && text[length - 1] == '=') - (length && text[length - 2] == '=');
    return blob;
}

static TPM2B_PUBLIC public_of(const json_t *object, const char *key)
{
    struct blob blob = blob_of(object, key);
    TPM2B_PUBLIC area;
    cr_assert_eq(idm_public_parse(blob.data, blob.size, &area), 0, "%s", key);
    return area;
}

/* What the attestation key says, after its signature was found good. */
static TPMS_ATTEST attested(const json_t *part, const TPM2B_PUBLIC *ak, TPMI_ST_ATTEST type)
{
    struct blob message = blob_of(part, "attest"), bytes = blob_of(part, "signature");
    TPMS_ATTEST attest = {0};
    TPMT_SIGNATURE signature = {0};
    EVP_PKEY *key = NULL;
    unsigned char *der = NULL;
    size_t at = 0;

    cr_assert_eq(Tss2_MU_TPMS_ATTEST_Unmarshal(message.data, message.size, &at, &attest), 0);
    cr_assert_eq(at, message.size);
    cr_assert_eq(attest.magic, TPM2_GENERATED_VALUE);
    cr_assert_eq(attest.type, type);
    at = 0;
    cr_assert_eq(Tss2_MU_TPMT_SIGNATURE_Unmarshal(bytes.data, bytes.size, &at, &signature), 0);
    cr_assert_eq(signature.sigAlg, TPM2_ALG_ECDSA);
    const TPMS_SIGNATURE_ECC *rs = &signature.signature.ecdsa;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    ECDSA_SIG_set0(sig, BN_bin2bn(rs->signatureR.buffer, rs->signatureR.size, NULL),
                   BN_bin2bn(rs->signatureS.buffer, rs->signatureS.size, NULL));
    int size = i2d_ECDSA_SIG(sig, &der);
    cr_assert_eq(idm_public_evp(ak, &key), 0);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    cr_assert_eq(EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
    cr_assert_eq(EVP_DigestVerify(ctx, der, (size_t)size, message.data, message.size), 1);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    OPENSSL_free(der);
    ECDSA_SIG_free(sig);
    return attest;
}

static struct idm_attest_challenge challenge_of(const char *secret)
{
    struct idm_attest_challenge c;
    cr_assert_eq(idm_attest_nonce(NONCE, &c, NULL), 0);
    c.secret_size = strlen(secret);
    memcpy(c.secret, secret, c.secret_size);
    return c;
}

/* Does it answer our nonce and secret, under that label? */
static void answers(const TPMS_ATTEST *attest, const char *label, const char *secret,
                    const char *text)
{
    struct idm_attest_challenge c = challenge_of(secret);
    uint8_t q[IDM_SHA256_SIZE];

    cr_assert_eq(idm_attest_qualify(label, &c, text, text ? strlen(text) : 0, q), 0);
    cr_assert_eq(attest->extraData.size, sizeof q);
    cr_assert_arr_eq(attest->extraData.buffer, q, sizeof q, "%s", label);
}

static struct idm_ak parents_of(const json_t *list)
{
    struct idm_ak parents = {.parent_count = json_array_size(list)};
    for (size_t i = 0; i < parents.parent_count; i++) {
        json_t *wrapped = json_pack("{s:O}", "p", json_array_get(list, i));
        parents.parents[i] = public_of(wrapped, "p");
        json_decref(wrapped);
    }
    return parents;
}

static void same_boot(const TPMS_ATTEST *a, const TPMS_ATTEST *b)
{
    cr_assert_eq(a->clockInfo.resetCount, b->clockInfo.resetCount);
    cr_assert_eq(a->clockInfo.restartCount, b->clockInfo.restartCount);
    cr_assert_eq(a->clockInfo.safe, TPM2_YES);
}

/* ---- all of it ---- */

struct seen {
    json_t *outer, *body;
    TPM2B_PUBLIC ak, device;
    struct idm_record record;
    X509 *cert;
};

static X509 *cert_of(const json_t *list)
{
    json_t *wrapped = json_pack("{s:O}", "c", json_array_get(list, 0));
    struct blob der = blob_of(wrapped, "c");
    const unsigned char *at = der.data;
    X509 *cert = d2i_X509(NULL, &at, (long)der.size);
    cr_assert_not_null(cert);
    json_decref(wrapped);
    return cert;
}

static void look_at_device(struct seen *s, const TPMS_ATTEST *quote, const char *secret)
{
    const json_t *part = json_object_get(s->body, "device");
    const TPMS_ATTEST certify = attested(part, &s->ak, TPM2_ST_ATTEST_CERTIFY);
    struct idm_ak parents = parents_of(json_object_get(part, "parents"));
    uint8_t name[IDM_NAME_SIZE];
    EVP_PKEY *key = NULL;

    s->device = public_of(part, "public");
    answers(&certify, "device", secret, NULL);
    same_boot(&certify, quote);
    cr_assert_eq(idm_public_name(&s->device, name), 0);
    cr_assert_arr_eq(certify.attested.certify.name.name, name, sizeof name);
    cr_assert_eq(s->device.publicArea.objectAttributes, 0x00040472);
    cr_assert(idm_attest_is_below(&s->device, &parents, &certify.attested.certify.qualifiedName));
    s->cert = cert_of(json_object_get(part, "certificates"));
    cr_assert_eq(idm_public_evp(&s->device, &key), 0);
    cr_assert_eq(EVP_PKEY_eq(X509_get0_pubkey(s->cert), key), 1);
    EVP_PKEY_free(key);
    cr_assert_arr_eq(s->record.device_name, name, sizeof name);
    cr_assert_eq(idm_public_name(&parents.parents[0], name), 0);
    cr_assert_arr_eq(s->record.parent_name, name, sizeof name);
}

static void look_at_counter(const struct seen *s, const TPMS_ATTEST *quote, const char *secret)
{
    const json_t *part = json_object_get(s->body, "counter");
    const TPMS_ATTEST nv = attested(part, &s->ak, TPM2_ST_ATTEST_NV);
    struct blob bytes = blob_of(part, "public");
    TPM2B_NV_PUBLIC area = {0};
    uint8_t name[IDM_NAME_SIZE] = {0, TPM2_ALG_SHA256};
    uint64_t value = 0;
    size_t at = 0;

    answers(&nv, "counter", secret, NULL);
    same_boot(&nv, quote);
    cr_assert_eq(Tss2_MU_TPM2B_NV_PUBLIC_Unmarshal(bytes.data, bytes.size, &at, &area), 0);
    cr_assert_eq(at, bytes.size);
    cr_assert_eq(idm_sha256(bytes.data + 2, bytes.size - 2, name + 2), 0);
    cr_assert_arr_eq(nv.attested.nv.indexName.name, name, sizeof name);
    cr_assert(area.nvPublic.attributes & TPMA_NV_WRITTEN);
    for (size_t i = 0; i < 8; i++)
        value = value << 8 | nv.attested.nv.nvContents.buffer[i];
    cr_assert_eq(value, s->record.witness);
}

static void look_at_quote(struct seen *s, const char *secret)
{
    const char *text = text_of(s->outer, "body");
    const TPMS_ATTEST quote = attested(s->outer, &s->ak, TPM2_ST_ATTEST_QUOTE);
    struct idm_ak parents = parents_of(json_object_get(s->body, "parents"));
    const json_t *bank = json_object_get(json_object_get(s->body, "pcrs"), "sha256");
    uint8_t all[8 * 32], hash[32];

    answers(&quote, "evidence", secret, text);
    cr_assert(idm_attest_is_below(&s->ak, &parents, &quote.qualifiedSigner));
    cr_assert_eq(json_object_size(bank), 8);
    for (size_t i = 0; i < 8; i++) {
        char number[2] = {(char)('0' + i), 0};
        unsigned char *value = OPENSSL_hexstr2buf(text_of(bank, number), NULL);
        memcpy(all + 32 * i, value, 32);
        OPENSSL_free(value);
    }
    cr_assert_eq(idm_sha256(all, sizeof all, hash), 0);
    cr_assert_arr_eq(quote.attested.quote.pcrDigest.buffer, hash, sizeof hash);
    look_at_device(s, &quote, secret);
    if (!json_is_null(json_object_get(s->body, "counter")))
        look_at_counter(s, &quote, secret);
}

static struct seen take_apart(json_t *answer, const char *secret)
{
    struct seen s = {.outer = answer};

    cr_assert_str_eq(text_of(answer, "type"), "idmode-evidence");
    s.body = json_loads(text_of(answer, "body"), JSON_REJECT_DUPLICATES, NULL);
    cr_assert_not_null(s.body);
    cr_assert_str_eq(text_of(s.body, "nonce"), NONCE);
    cr_assert_eq(json_is_true(json_object_get(s.body, "credential")), *secret != 0);
    s.ak = public_of(s.body, "ak");
    cr_assert_eq(s.ak.publicArea.objectAttributes, 0x00050472);
    struct blob record = blob_of(s.body, "record");
    cr_assert_eq(idm_record_decode(record.data, record.size, &s.record), 0);
    look_at_quote(&s, secret);
    return s;
}

static void forget(struct seen *s)
{
    X509_free(s->cert);
    json_decref(s->body);
    json_decref(s->outer);
}

#define NO_SECRET ""

/* ---- evidence ---- */

static void status_is_the_published_one(const struct seen *s)
{
    char *text = NULL;
    OK(idm_device_read(&device, "/run/idmode/status.json", &text, NULL));
    json_t *published = json_loads(text, 0, NULL);
    cr_assert(published && json_equal(json_object_get(s->body, "status"), published));
    json_decref(published);
    free(text);
}

Test(attest_answers, evidence_holds_together)
{
    open_certified(NULL);
    reboot();
    attest(0, "A ak > ak.json");
    struct seen s = take_apart(ANSWER("evidence", "--nonce", NONCE), NO_SECRET);
    status_is_the_published_one(&s);
    cr_assert(json_is_null(json_object_get(s.outer, "old_signature")));
    cr_assert(json_is_null(json_object_get(s.body, "statement")));
    forget(&s);
    /* bound to the secret of a credential */
    attest(0, "printf %%s secret > secret; A ek > ek.json;"
              "jq -r '.keys[1].public' ek.json | base64 -d > ek.pub;"
              "tpm2_makecredential -Q -u ek.pub -s secret -n $(jq -r .name ak.json) -o $ROOT/c;"
              "tpm2_flushcontext -t");
    char path[320];
    snprintf(path, sizeof path, "%s/c", device.root);
    s = take_apart(ANSWER("evidence", "--nonce", NONCE, "--credential", path), "secret");
    forget(&s);
    reboot();
    s = take_apart(ANSWER("evidence", "--nonce", NONCE), NO_SECRET);
    forget(&s);
    chip_is_clean();
}

Test(attest_answers, rsa_device_with_its_key_in_a_file_alone)
{
    open_device(&(struct idm_device_options){.rsa = true, .conf = TPM_CONF("key-storage = tss2")});
    reboot();
    attest(0, "A ak --service one > ak.json");
    struct seen s = take_apart(ANSWER("evidence", "--nonce", NONCE, "--service", "one"), NO_SECRET);
    cr_assert_eq(s.device.publicArea.type, TPM2_ALG_RSA);
    cr_assert_str_eq(text_of(s.body, "service"), "one");
    forget(&s);
    chip_is_clean();
}

Test(attest_answers, clock_is_not_safe_after_a_power_cut)
{
    open_device(NULL);
    reboot();
    attest(0, "A ak");
    boot(0);
    json_t *answer = ANSWER("quote", "--nonce", NONCE);
    TPM2B_PUBLIC ak = public_of(answer, "ak");
    TPMS_ATTEST quote = attested(answer, &ak, TPM2_ST_ATTEST_QUOTE);
    cr_assert_eq(quote.clockInfo.safe, TPM2_NO);
    json_decref(answer);
}

/* Both halves, as they ship; and a device of another maker, and yesterday's answer. */
Test(attest_answers, verifier_finds_it_proven)
{
    open_certified(NULL);
    reboot();
    attest(0,
           "V=" IDM_TEST_BUILD_DIR "/bin/idmode-verify; A ek > ek.json; A ak > ak.json;"
           "cat ca/issuercert.pem ca/swtpm-localca-rootca-cert.pem > roots.pem;"
           "$V ek --roots roots.pem ek.json > said; grep -q certified said;"
           "$V challenge --ek ek.json --ak ak.json --credential c --secret s --roots roots.pem > n;"
           "A evidence --nonce $(cat n) --credential c > e.json;"
           "$V evidence --secret s --ek ek.json e.json > said; grep -q 'proven by the chip' said;"
           "A evidence --nonce " NONCE " --credential c > old.json;"
           "$V evidence --secret s --ek ek.json old.json && exit 9;"
           "sed s/tpm-dual/tpm-duel/ e.json > x; $V evidence --secret s --ek ek.json x && exit 9;"
           "A quote --nonce $(cat n) > q.json; $V quote --nonce $(cat n) --ak ak.json q.json;"
           "A certify --nonce $(cat n) > k.json; $V certify --nonce $(cat n) --ak ak.json k.json");
    certify_chip("another");
    attest(0, "V=" IDM_TEST_BUILD_DIR "/bin/idmode-verify; A ek > ek.json;"
              "$V ek --roots roots.pem ek.json && exit 9; true");
}

/* ---- single parts ---- */

Test(attest_answers, quote_is_checked_by_tpm2_tools)
{
    open_certified(NULL); /* has SHA-256 PCRs alone */
    reboot();
    attest(0, "A ak > /dev/null; A quote --nonce " NONCE " --pcrs sha256:0,7,16 > q.json;"
              "for p in ak attest signature; do jq -r .$p q.json | base64 -d > q.$p; done;"
              "q=$(jq -r .qualification q.json);"
              "tpm2_checkquote -Q -u q.ak -m q.attest -s q.signature -q $q;"
              "! tpm2_checkquote -Q -u q.ak -m q.attest -s q.signature -q " NONCE " 2>/dev/null;"
              "tpm2_pcrread -Q sha256:0,7,16 -o read; jq -r '.pcrs.sha256[]' q.json | xxd -r -p |"
              " cmp - read");
    json_t *answer = ANSWER("quote", "--nonce", NONCE, "--pcrs", "sha256:0,1,2,3,4,5,6,7,8,9,23");
    TPM2B_PUBLIC ak = public_of(answer, "ak");
    TPMS_ATTEST quote = attested(answer, &ak, TPM2_ST_ATTEST_QUOTE);
    answers(&quote, "quote", NO_SECRET, NULL);
    cr_assert_eq(json_object_size(json_object_get(json_object_get(answer, "pcrs"), "sha256")), 11);
    json_decref(answer);
    answer = ANSWER("certify", "--nonce", NONCE);
    TPMS_ATTEST certify = attested(json_object_get(answer, "device"), &ak, TPM2_ST_ATTEST_CERTIFY);
    answers(&certify, "device", NO_SECRET, NULL);
    json_decref(answer);
    REFUSED(2, "--pcrs", "quote", "--nonce", NONCE, "--pcrs", "sha256:24");
    REFUSED(2, "--pcrs", "quote", "--nonce", NONCE, "--pcrs", "md5:1");
    REFUSED(2, "--nonce", "quote", "--nonce", "00");
    REFUSED(1, "no such sha1 PCRs", "quote", "--nonce", NONCE, "--pcrs", "sha1:0");
    REFUSED(2, "--nonce HEX", "quote");
    REFUSED(2, "attest: ek", "ek", "--nonce", NONCE);
}

/* ---- migration ---- */

static void old_key_signed(const struct seen *s)
{
    static const char label[] = "idmode attest successor";
    struct blob signature = blob_of(s->outer, "old_signature");
    const char *text = text_of(s->outer, "body");
    X509 *old = cert_of(json_object_get(s->body, "old_certificates"));
    struct idm_attest_challenge c = challenge_of(NO_SECRET);
    uint8_t message[sizeof label + 32];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    memcpy(message, label, sizeof label);
    cr_assert_eq(idm_attest_qualify("successor", &c, text, strlen(text), message + sizeof label),
                 0);
    cr_assert_eq(EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, X509_get0_pubkey(old)), 1);
    cr_assert_eq(EVP_DigestVerify(ctx, signature.data, signature.size, message, sizeof message), 1);
    EVP_MD_CTX_free(ctx);
    X509_free(old);
}

static void migrates(bool rsa)
{
    open_device(&(struct idm_device_options){.legacy = true, .rsa = rsa});
    reboot();
    OK(idm_device_put_image(&device, 0, true, "2.0"));
    reboot();
    REFUSED(1, "migrate prepare", "evidence", "--nonce", NONCE, "--prepared");
    cr_assert_eq(RUN("migrate", "prepare"), 0);
    reboot();
    attest(0, "A ak");
    REFUSED(1, "not the TPM's", "evidence", "--nonce", NONCE);
    struct seen s = take_apart(ANSWER("evidence", "--nonce", NONCE, "--prepared"), NO_SECRET);
    cr_assert(json_is_true(json_object_get(s.body, "prepared")));
    old_key_signed(&s);
    json_t *statement = json_loads(text_of(s.body, "statement"), 0, NULL);
    cr_assert_str_eq(text_of(statement, "label"), "idmode succession v1");
    char hex[65];
    idm_hex(s.record.tpm_cert, 32, hex);
    cr_assert_str_eq(text_of(statement, "new_cert_sha256"), hex);
    json_decref(statement);
    forget(&s);
    cr_assert_eq(RUN("migrate", "commit"), 0);
    REFUSED(1, "nothing is prepared", "evidence", "--nonce", NONCE, "--prepared");
    s = take_apart(ANSWER("evidence", "--nonce", NONCE), NO_SECRET);
    cr_assert(json_is_string(json_object_get(s.body, "statement")));
    cr_assert(json_is_null(json_object_get(s.outer, "old_signature")));
    forget(&s);
}

Test(attest_answers, migration_carries_the_old_keys_word)
{
    migrates(false);
}

Test(attest_answers, migration_of_an_rsa_device)
{
    migrates(true);
}

/* ---- chips and owners ---- */

Test(attest_answers, without_the_owner_there_is_no_counter)
{
    open_device(NULL);
    shell(0,
          "tpm2_createprimary -Q -C o -G ecc -c k.ctx -a 'fixedtpm|fixedparent|sensitivedataorigin|"
          "userwithauth|restricted|decrypt|noda'; tpm2_evictcontrol -Q -C o -c k.ctx 0x81000001;"
          "tpm2_flushcontext -t; tpm2_changeauth -Q -c owner secret");
    reboot();
    attest(0, "A ak | jq -e '.parents | length == 1'");
    reboot();
    struct seen s = take_apart(ANSWER("evidence", "--nonce", NONCE), NO_SECRET);
    cr_assert(json_is_null(json_object_get(s.body, "counter")));
    forget(&s);
}

Test(attest_answers, adopted_key_is_shown_without_parents)
{
    open_device(&(struct idm_device_options){.conf = "[image]\nother-slot = none\n"});
    shell(0, "tpm2_createprimary -Q -C o -G ecc256:ecdsa-sha256 -c k.ctx -a 'fixedtpm|fixedparent|"
             "sensitivedataorigin|userwithauth|sign|noda' && tpm2_evictcontrol -Q -C o -c k.ctx"
             " 0x81020005 && tpm2_flushcontext -t");
    cr_assert_eq(RUN("adopt", "0x81020005"), 0);
    reboot();
    attest(0, "A ak > ak.json; A certify --nonce " NONCE
              " | jq -e '.device.parents == [] and (.parents | length == 2)'");
}

Test(attest_answers, held_device_says_nothing)
{
    open_device(NULL);
    reboot();
    attest(0, "A ak");
    OK(idm_device_chip_swap(&device));
    boot(3);
    REFUSED(3, "identity", "evidence", "--nonce", NONCE);
    REFUSED(3, "identity", "ak");
    attest(0, "A ek | jq -e '.keys | length == 1'"); /* who is it, then? */
}

/* ---- commands to the chip, and their failures ---- */

static void log_is(const char *wanted)
{
    char path[300], line[64], found[512] = "";
    log_path(path);
    FILE *log = fopen(path, "re");
    cr_assert_not_null(log);
    while (fgets(line, sizeof line, log) != NULL) {
        char *name = strchr(line, ' ') + 1;
        name[strcspn(name, " ")] = 0;
        strcat(strcat(found, *found ? " " : ""), name);
    }
    fclose(log);
    cr_assert_str_eq(found, wanted);
}

Test(attest_answers, evidence_takes_no_more_commands_than_it_says)
{
    open_device(NULL);
    reboot();
    attest(0,
           "A ak > ak.json; A ek > ek.json; jq -r '.keys[0].public' ek.json | base64 -d > ek.pub;"
           "printf x > s; tpm2_makecredential -Q -u ek.pub -s s -n $(jq -r .name ak.json) "
           "-o $ROOT/c; tpm2_flushcontext -t");
    char path[320];
    snprintf(path, sizeof path, "%s/c", device.root);
    spoil(COUNT);
    json_decref(ANSWER("evidence", "--nonce", NONCE));
    log_is("Load Certify NV_Certify PCR_Read Quote FlushContext");
    spoil(COUNT);
    json_decref(ANSWER("evidence", "--nonce", NONCE, "--credential", path));
    log_is("Load GetCapability ReadPublic CreatePrimary StartAuthSession PolicySecret "
           "ActivateCredential FlushContext Certify NV_Certify PCR_Read Quote FlushContext");
    honest();
}

/* Whatever goes wrong at whichever command: an exit code of the list, a word why, no answer, and nothing
 * left in the chip. */
Test(attest_answers, failing_chip_gives_no_evidence)
{
    static const struct {
        const char *what;
        int exit;
        const char *word;
    } faults[] = {{"answer:0x921", 5, "lockout"}, {"answer:0x101", 5, ""},
                  {"garble:10", 5, ""},           {"truncate:12", 5, ""},
                  {"disconnect-before", 5, ""},   {"disconnect-after", 5, ""}};
    open_device(&(struct idm_device_options){.conf = TPM_CONF("wait = 0s")});
    reboot();
    attest(0, "A ak");
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        for (unsigned n = 1; n <= 5; n++) {
            spoil_at(faults[i].what, n);
            REFUSED(faults[i].exit, faults[i].word, "evidence", "--nonce", NONCE);
            /* where the connection broke the next one makes room by itself, with more commands */
            honest();
            shell(0, "tpm2_flushcontext -t");
        }
    honest();
    nobody();
    REFUSED(5, "answers", "evidence", "--nonce", NONCE);
    honest();
    /* busy for a while is waited for */
    spoil("times=3,do=answer:0x922");
    json_decref(ANSWER("evidence", "--nonce", NONCE));
    honest();
    struct seen s = take_apart(ANSWER("evidence", "--nonce", NONCE), NO_SECRET);
    forget(&s);
}
