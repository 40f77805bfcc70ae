/* SPDX-License-Identifier: BSD-2-Clause */
/* Every byte of every document edited, and every bit of its first 64 bytes: refused, or the same document in
 * other white space. What remains harmless is named: members that the verifier does not take from the device. */
#include "tests/attest/forge.h"
#include "tests/support/thorough.h"
#include "verify/pcrs.h"
#include "verify/wire.h"

#include <criterion/criterion.h>
#include <stdlib.h>
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
TestSuite(attest_edits, .init = make, .fini = done);

typedef int (*judge_fn)(const struct idm_bytes *text);

/* Members whose words the verifier does not believe anyhow; and in a certify alone the certificate, which
 * nobody but its own issuer signed: it proves that it is for the key, and that is looked at. */
static const char *const unread[] = {"manufacturer", "firmware", "template", "name",
                                     "index",        "matches",  "why",      "qualification",
                                     "certificates", NULL};
static bool certificates_count = true;

static void forget(json_t *value)
{
    size_t i = 0;
    json_t *item = NULL;
    const char *name = NULL;
    for (const char *const *u = unread; json_is_object(value) && *u; u++)
        if (!certificates_count || strcmp(*u, "certificates") != 0)
            (void)json_object_del(value, *u);
    if (json_is_array(value))
        json_array_foreach(value, i, item) forget(item);
    if (json_is_object(value))
        json_object_foreach(value, name, item) forget(item);
}

/* Does it say the same, apart from what is not read? */
static bool means_the_same(const struct idm_bytes *a, const struct idm_bytes *b)
{
    json_t *one = json_loadb((const char *)a->data, a->size, JSON_REJECT_DUPLICATES, NULL);
    json_t *two = json_loadb((const char *)b->data, b->size, JSON_REJECT_DUPLICATES, NULL);
    forget(one);
    forget(two);
    bool same = one && two && json_equal(one, two);
    json_decref(one);
    json_decref(two);
    return same;
}

static size_t every = 1; /* one byte in so many is edited */

struct tally {
    unsigned int refused, same;
};

static void one_edit(const struct idm_bytes *true_text, struct idm_bytes *edited, size_t at,
                     uint8_t now, judge_fn judge, struct tally *tally)
{
    uint8_t was = edited->data[at];
    if (now == was)
        return;
    edited->data[at] = now;
    int rc = judge(edited);
    if (rc < 0) {
        cr_assert(rc == IDM_E_REFUSED || rc == IDM_E_CORRUPT, "byte %zu: %s", at,
                  idm_error_name(rc));
        tally->refused++;
    } else {
        cr_assert(means_the_same(true_text, edited), "byte %zu from '%c' to 0x%02x was taken: %.*s",
                  at, was, now, 80, true_text->data + (at < 40 ? 0 : at - 40));
        tally->same++;
    }
    edited->data[at] = was;
}

/* Another letter of the same alphabet, so that the edit reaches beyond the parser. */
static uint8_t neighbour(uint8_t c)
{
    if (c == '9' || c == 'z' || c == 'Z' || c == '/' || c == '+')
        return c == '9' ? '0' : 'A';
    return (uint8_t)(c + 1);
}

static struct tally sweep(const struct idm_bytes *text, judge_fn judge)
{
    struct tally tally = {0};
    struct idm_bytes edited = {0};
    forge_set(&edited, text->data, text->size);
    cr_assert_eq(judge(text), 0, "the true document is refused");
    for (size_t at = 0; at < text->size; at += every)
        one_edit(text, &edited, at, neighbour(text->data[at]), judge, &tally);
    for (size_t bit = 0; bit < 64 * 8 && bit / 8 < text->size; bit++)
        one_edit(text, &edited, bit / 8, (uint8_t)(text->data[bit / 8] ^ 1u << bit % 8), judge,
                 &tally);
    for (size_t size = 0; size < text->size; size += 1 + size / 64) { /* cut short */
        struct idm_bytes cut = {.data = text->data, .size = size};
        cr_assert_lt(judge(&cut), 0, "cut to %zu bytes", size);
    }
    idm_bytes_free(&edited);
    return tally;
}

/* ---- evidence ---- */

static int judge_evidence(const struct idm_bytes *text)
{
    struct idm_policy policy;
    struct idm_findings found;
    struct idm_refused refused;
    forge_policy(&f, &policy);
    return idm_evidence_verify(text, &policy, &found, &refused);
}

Test(attest_edits, evidence)
{
    struct idm_bytes text = {0};
    forge_evidence(&f, &text);
    struct tally tally = sweep(&text, judge_evidence);
    cr_assert_eq(tally.same, 0, "compact JSON has no white space, and all of it counts");
    cr_assert_gt(tally.refused, text.size);
    idm_bytes_free(&text);
}

/* Now and then: it differs from the one above in its last members. */
Test(attest_edits, evidence_of_a_migration)
{
    struct idm_bytes text = {0};
    every = idm_every(7);
    forge_prepare(&f);
    forge_evidence(&f, &text);
    struct tally tally = sweep(&text, judge_evidence);
    cr_assert_eq(tally.same, 0);
    idm_bytes_free(&text);
}

/* White space outside the body, which its quote does not cover, is harmless. */
Test(attest_edits, white_space)
{
    struct idm_bytes text = {0};
    struct idm_bytes spaced = {0};
    forge_evidence(&f, &text);
    forge_set(&spaced, NULL, text.size + 1);
    spaced.data[0] = '\n';
    memcpy(spaced.data + 1, text.data, text.size);
    cr_assert_eq(judge_evidence(&spaced), 0);
    spaced.data[0] = 'x';
    cr_assert_lt(judge_evidence(&spaced), 0);
    idm_bytes_free(&text);
    idm_bytes_free(&spaced);
}

/* The structures themselves, each bit of them, in base64 that is right. */
static int judge_bits(const char *part, const char *name, size_t bit, bool outer)
{
    struct idm_bytes text = {0};
    forge_evidence(&f, &text);
    json_t *doc = json_loadb((const char *)text.data, text.size, 0, NULL);
    json_t *object = outer ? doc : json_object_get(doc, part);
    const char *was = json_string_value(json_object_get(object, name));
    cr_assert_not_null(was);
    uint8_t bytes[1024];
    int size = EVP_DecodeBlock(bytes, (const unsigned char *)was, (int)strlen(was));
    size -= was[strlen(was) - 1] == '=' ? 1 + (was[strlen(was) - 2] == '=') : 0;
    if (bit / 8 >= (size_t)size) {
        json_decref(doc);
        idm_bytes_free(&text);
        return 1;
    }
    bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    (void)json_object_set_new(object, name, forge_base64(bytes, (size_t)size));
    char *dump = json_dumps(doc, 0);
    forge_set(&text, dump, strlen(dump));
    free(dump);
    json_decref(doc);
    int rc = judge_evidence(&text);
    idm_bytes_free(&text);
    return rc;
}

Test(attest_edits, every_bit_of_the_quote_and_its_signature)
{
    for (size_t bit = 0;; bit++) {
        int rc = judge_bits(NULL, "attest", bit, true);
        if (rc == 1)
            break;
        cr_assert_eq(rc, IDM_E_REFUSED, "attest, bit %zu", bit);
    }
    for (size_t bit = 0;; bit++) {
        int rc = judge_bits(NULL, "signature", bit, true);
        if (rc == 1)
            break;
        cr_assert_eq(rc, IDM_E_REFUSED, "signature, bit %zu", bit);
    }
}

/* ---- the documents of the first round ---- */

static const struct idm_bytes *true_text;

/* Taken as another AK than the one that was given means: taken. Its parents prove nothing yet. */
static int judge_ak(const struct idm_bytes *text)
{
    struct idm_ak_document doc = {0};
    struct idm_ak_key ak = {0};
    TPM2B_NAME wanted;
    struct idm_refused refused;
    cr_assert_eq(idm_wire_name(&f.ak, &wanted), 0);
    int rc = idm_ak_document_read(text, &doc, NULL);
    if (rc == 0)
        rc = idm_ak_key_open(&doc.public, &doc.parents, &ak, &refused);
    if (rc == 0 && (!idm_wire_same_name(&ak.name, &wanted) || !means_the_same(text, true_text)))
        rc = IDM_E_REFUSED; /* of another Name: the credential does not open for it */
    idm_ak_key_free(&ak);
    idm_ak_document_free(&doc);
    return rc;
}

Test(attest_edits, ak)
{
    struct idm_bytes text = {0};
    forge_ak_document(&f, &text);
    true_text = &text;
    struct tally tally = sweep(&text, judge_ak);
    cr_assert_gt(tally.refused, 100);
    idm_bytes_free(&text);
}

static int judge_certify(const struct idm_bytes *text)
{
    struct idm_certify_document doc = {0};
    struct idm_ak_key ak = {0};
    struct idm_device_key device = {0};
    struct idm_refused refused;
    uint8_t q[IDM_SHA256_SIZE];
    const struct idm_question question = {.nonce = &f.nonce, .secret = &f.secret};
    TPM2B_NAME wanted;
    cr_assert_eq(idm_wire_name(&f.ak, &wanted), 0);
    cr_assert_eq(idm_question_hash(&question, IDM_Q_DEVICE, NULL, q), 0);
    int rc = idm_certify_document_read(text, &doc, NULL);
    if (rc == 0)
        rc = idm_ak_key_open(&doc.ak, &doc.parents, &ak, &refused);
    if (rc == 0 && !idm_wire_same_name(&ak.name, &wanted))
        rc = IDM_E_REFUSED;
    if (rc == 0)
        rc = idm_device_key_check(&ak, &doc.device, q, sizeof q, &device, &refused);
    idm_device_key_done(&device);
    idm_ak_key_free(&ak);
    idm_certify_document_free(&doc);
    return rc;
}

Test(attest_edits, certify)
{
    struct idm_bytes text = {0};
    forge_certify(&f, &text);
    certificates_count = false;
    struct tally tally = sweep(&text, judge_certify);
    cr_assert_gt(tally.refused, 100);
    idm_bytes_free(&text);
}

static int judge_quote(const struct idm_bytes *text)
{
    struct idm_quote_document doc = {0};
    struct idm_ak_key ak = {0};
    TPMS_ATTEST attest;
    struct idm_refused refused;
    uint8_t q[IDM_SHA256_SIZE];
    const struct idm_question question = {.nonce = &f.nonce, .secret = &f.secret};
    TPM2B_NAME wanted;
    cr_assert_eq(idm_wire_name(&f.ak, &wanted), 0);
    cr_assert_eq(idm_question_hash(&question, IDM_Q_QUOTE, NULL, q), 0);
    int rc = idm_quote_document_read(text, &doc, NULL);
    if (rc == 0)
        rc = idm_ak_key_open(&doc.ak, NULL, &ak, &refused);
    if (rc == 0 && !idm_wire_same_name(&ak.name, &wanted))
        rc = IDM_E_REFUSED;
    if (rc == 0)
        rc =
            idm_attest_check(&ak, &doc.quote, TPM2_ST_ATTEST_QUOTE, q, sizeof q, &attest, &refused);
    if (rc == 0 && idm_pcrs_digest(&doc.pcrs, &attest.attested.quote) < 0)
        rc = IDM_E_REFUSED;
    idm_ak_key_free(&ak);
    idm_quote_document_free(&doc);
    return rc;
}

Test(attest_edits, quote)
{
    struct idm_bytes text = {0};
    forge_quote(&f, &text);
    struct tally tally = sweep(&text, judge_quote);
    cr_assert_gt(tally.refused, 100);
    idm_bytes_free(&text);
}

/* ---- the challenge that the controller keeps ---- */

static int judge_challenge(const struct idm_bytes *text)
{
    struct idm_challenge read = {0};
    int rc = idm_challenge_read(text, &read, NULL);
    if (rc == 0 && !means_the_same(text, true_text))
        rc =
            IDM_E_REFUSED; /* other hex: another secret, nonce or Name, under which nothing is proven */
    idm_challenge_free(&read);
    return rc;
}

Test(attest_edits, challenge)
{
    struct idm_bytes text = {0};
    struct idm_bytes ak_text = {0};
    struct idm_bytes credential = {0};
    struct idm_ak_document ak = {0};
    struct idm_challenge challenge = {0};
    struct idm_refused refused;
    forge_ak_document(&f, &ak_text);
    cr_assert_eq(idm_ak_document_read(&ak_text, &ak, NULL), 0);
    cr_assert_eq(idm_challenge_make(&f.ek, &ak, &challenge, &credential, &refused), 0);
    cr_assert_eq(idm_challenge_write(&challenge, &text), 0);
    true_text = &text;
    (void)sweep(&text, judge_challenge);
    idm_challenge_free(&challenge);
    idm_ak_document_free(&ak);
    idm_bytes_free(&credential);
    idm_bytes_free(&ak_text);
    idm_bytes_free(&text);
}
