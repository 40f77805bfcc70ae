/* SPDX-License-Identifier: BSD-2-Clause */
/* Documents of attestation: what is refused left nothing behind, what is read is read the same again, and evidence
 * is judged under the AK and the nonce that it names itself, so that an edit reaches as deep as it can. */
#include "tests/fuzz/fuzz.h"

#include "verify/attest.h"
#include "verify/enrol.h"
#include "verify/evidence.h"
#include "verify/pcrs.h"
#include "verify/wire.h"

#include <openssl/err.h>
#include <string.h>

static void judge(const struct idm_bytes *text, const struct idm_evidence_document *doc)
{
    const struct idm_bytes none = {0};
    struct idm_policy policy = {.question = {.nonce = &doc->nonce, .secret = &none},
                                .without_counter = true,
                                .adopted = true};
    struct idm_findings found;
    struct idm_findings untouched;
    struct idm_refused refused;
    TPM2B_PUBLIC ak;
    if (idm_wire_public(&doc->ak, &ak) || idm_wire_name(&ak, &policy.ak_name) ||
        idm_pcr_list_parse(IDM_PCRS_DEFAULT, &policy.pcrs))
        return;
    memset(&found, 0x5a, sizeof found);
    memcpy(&untouched, &found, sizeof found); /* its padding, too */
    int rc = idm_evidence_verify(text, &policy, &found, &refused);
    FUZZ_CHECK(rc == 0 || rc == IDM_E_REFUSED || rc == IDM_E_USAGE);
    FUZZ_CHECK((rc == IDM_E_REFUSED) == (refused.refusal != IDM_REFUSAL_NONE));
    FUZZ_CHECK(rc == 0 || memcmp(&found, &untouched, sizeof found) == 0);
}

static void evidence(const struct idm_bytes *text)
{
    struct idm_evidence_document doc = {0};
    struct idm_evidence_document again = {0};
    int rc = idm_evidence_document_read(text, &doc, NULL);
    FUZZ_CHECK(rc == 0 || rc == IDM_E_CORRUPT);
    FUZZ_CHECK(rc == idm_evidence_document_read(text, &again, NULL));
    FUZZ_CHECK(idm_bytes_equal(&doc.body, &again.body) &&
               idm_bytes_equal(&doc.record, &again.record));
    FUZZ_CHECK(rc == 0 || (!doc.body.data && !doc.parents.count && !doc.device.certificates.count));
    if (rc == 0)
        judge(text, &doc);
    idm_evidence_document_free(&doc);
    idm_evidence_document_free(&again);
}

static void first_round(const struct idm_bytes *text)
{
    struct idm_ek_document ek = {0};
    struct idm_ak_document ak = {0};
    struct idm_ek_finding findings[IDM_LIST_MAX];
    const struct idm_ek_finding *chosen = NULL;
    struct idm_challenge challenge = {0};
    struct idm_bytes written = {0};
    struct idm_refused refused;
    struct idm_ak_key key = {0};
    if (idm_ek_document_read(text, &ek, NULL) == 0) {
        FUZZ_CHECK(idm_ek_examine(&ek, NULL, 0, findings, NULL) == 0);
        int rc = idm_ek_choose(findings, ek.count, NULL, true, &chosen, &refused);
        FUZZ_CHECK(rc == 0 ? chosen != NULL : rc == IDM_E_REFUSED);
    }
    if (idm_ak_document_read(text, &ak, NULL) == 0) {
        int rc = idm_ak_key_open(&ak.public, &ak.parents, &key, &refused);
        FUZZ_CHECK(rc == 0 || rc == IDM_E_REFUSED);
    }
    if (idm_challenge_read(text, &challenge, NULL) == 0) {
        struct idm_challenge again = {0};
        FUZZ_CHECK(challenge.nonce.size > IDM_NONCE_MAX ||
                   (idm_challenge_write(&challenge, &written) == 0 &&
                    idm_challenge_read(&written, &again, NULL) == 0 &&
                    idm_bytes_equal(&challenge.secret, &again.secret)));
        idm_challenge_free(&again);
    }
    idm_ak_key_free(&key);
    idm_bytes_free(&written);
    idm_challenge_free(&challenge);
    idm_ak_document_free(&ak);
    idm_ek_document_free(&ek);
}

static void parts(const struct idm_bytes *text)
{
    struct idm_quote_document quote = {0};
    struct idm_certify_document certify = {0};
    struct idm_statement statement = {0};
    int rc = idm_quote_document_read(text, &quote, NULL);
    FUZZ_CHECK(rc == 0 || rc == IDM_E_CORRUPT);
    rc = idm_certify_document_read(text, &certify, NULL);
    FUZZ_CHECK(rc == 0 || rc == IDM_E_CORRUPT);
    rc = idm_statement_read(text, &statement, NULL);
    FUZZ_CHECK(rc == 0 || rc == IDM_E_CORRUPT);
    idm_statement_free(&statement);
    idm_certify_document_free(&certify);
    idm_quote_document_free(&quote);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct idm_bytes text = {0};
    if (size > 65536 || idm_bytes_set(&text, data, size))
        return 0;
    evidence(&text);
    first_round(&text);
    parts(&text);
    FUZZ_CHECK(ERR_peek_error() == 0);
    idm_bytes_free(&text);
    return 0;
}
