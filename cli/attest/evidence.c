/* SPDX-License-Identifier: BSD-2-Clause */
/* evidence.c - everything in one answer: the parts, a text that holds them, and a quote over that text. */
#include "cli/attest/attest.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define QUOTE_TRIES 3

/* ---- parts ---- */

/* A device whose chip's owner gave no counter has none to show. */
static int counter_part(struct idm_attester *a, json_t **ret, struct idm_error *err)
{
    _cleanup_attested_ struct idm_attested attested = {0};
    const struct idm_record *r = idm_engine_record(a->session.engine);
    TPM2B_NV_PUBLIC area;
    uint8_t q[IDM_SHA256_SIZE];
    if (!r->has_witness) {
        *ret = json_null();
        return 0;
    }
    int rc = idm_attester_qualify(a, "counter", NULL, q, err);
    if (rc == 0)
        rc = idm_attest_counter(a->tpm, a->loaded, r->counter_index, q, &area, &attested, err);
    if (rc)
        return rc;
    *ret = json_pack("{s:o, s:o, s:o}", "public", idm_json_nv_public(&area), "attest",
                     idm_json_base64(attested.attest.data, attested.attest.size), "signature",
                     idm_json_base64(attested.signature.data, attested.signature.size));
    return 0;
}

static json_t *record_part(struct idm_attester *a)
{
    uint8_t bytes[4096];
    size_t size = idm_record_size();
    const struct idm_record *r = idm_engine_record(a->session.engine);
    if (size > sizeof bytes || idm_record_encode(r, bytes))
        return NULL;
    return idm_json_base64(bytes, size);
}

/* A text file as a string; absent: null. NULL: it cannot be read, or is no text. */
static json_t *file_part(struct idm_attester *a, enum idm_file file)
{
    _cleanup_bytes_ struct idm_bytes text = {0};
    const struct idm_backends *be = &a->session.backends;
    int rc = be->file_read(be->self, file, &text, NULL);
    if (rc == IDM_E_ABSENT)
        return json_null();
    return rc ? NULL : json_stringn((const char *)text.data, text.size);
}

/* The status document; not published: null. NULL: it cannot be read, or is none. */
static json_t *status_part(struct idm_attester *a)
{
    _cleanup_bytes_ struct idm_bytes text = {0};
    const struct idm_backends *be = &a->session.backends;
    int rc = be->file_read(be->self, IDM_F_RUN_STATUS, &text, NULL);
    if (rc == IDM_E_ABSENT)
        return json_null();
    return rc ? NULL : json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, NULL);
}

/* The software identity's certificate, which the prepared one is to follow. */
static json_t *old_part(struct idm_attester *a)
{
    _cleanup_bytes_ struct idm_bytes pem = {0};
    if (!a->session.options->prepared)
        return json_null();
    if (idm_engine_certificate(a->session.engine, false, &pem, NULL))
        return NULL;
    return idm_attest_chain(&pem);
}

/* Everything but the PCRs, which come last: they may have to be read again. */
static int gather(struct idm_attester *a, json_t **ret, struct idm_error *err)
{
    const struct idm_options *o = a->session.options;
    const struct idm_attest_challenge *c = &a->challenge;
    json_t *device = NULL;
    json_t *counter = NULL;
    int rc = idm_attest_device_part(a, &device, err);
    if (rc == 0)
        rc = counter_part(a, &counter, err);
    if (rc) {
        json_decref(device);
        return rc;
    }
    *ret = json_pack("{s:s, s:o, s:b, s:b, s:o, s:o, s:o, s:o, s:n, s:o, s:o, s:o, s:o}", "service",
                     a->ak->service, "nonce", idm_attest_hex(c->nonce, c->nonce_size), "credential",
                     (int)(c->secret_size > 0), "prepared", (int)o->prepared, "ak",
                     idm_json_public(&a->ak->key.public_area), "parents",
                     idm_json_publics(a->ak->parents, a->ak->parent_count), "device", device,
                     "counter", counter, "pcrs", "record", record_part(a), "status", status_part(a),
                     "statement", file_part(a, IDM_F_STATEMENT), "old_certificates", old_part(a));
    return *ret ? 0
                : idm_fail(
                      err, IDM_E_CORRUPT, "attest",
                      "the record, the status, the statement or the certificate cannot be read");
}

/* ---- signatures over all of it ---- */

static int quote_once(struct idm_attester *a, json_t *body, struct idm_pcrs *pcrs, char **ret_text,
                      struct idm_attested *ret, struct idm_error *err)
{
    uint8_t q[IDM_SHA256_SIZE];
    int rc = idm_attest_pcrs(a->tpm, pcrs, err);
    if (rc)
        return rc;
    bool good = json_object_set_new(body, "pcrs", idm_attest_pcr_values(pcrs)) == 0;
    char *text = good ? json_dumps(body, JSON_COMPACT) : NULL;
    if (!text)
        return idm_fail(err, IDM_E_MEMORY, "attest", "%s", idm_error_sentence(IDM_E_MEMORY));
    rc = idm_attester_qualify(a, "evidence", text, q, err);
    if (rc == 0)
        rc = idm_attest_quote(a->tpm, a->loaded, pcrs, q, ret, err);
    if (rc)
        free(text);
    else
        *ret_text = text;
    return rc;
}

/* The message begins as idmode's own statements do, so that nobody else can have had it signed. */
static int old_signature(struct idm_attester *a, const char *body, json_t **ret,
                         struct idm_error *err)
{
    static const char label[] = "idmode attest successor";
    uint8_t message[sizeof label + IDM_SHA256_SIZE];
    uint8_t hash[IDM_SHA256_SIZE];
    struct idm_signature signature = {0};
    if (!a->session.options->prepared) {
        *ret = json_null();
        return 0;
    }
    memcpy(message, label, sizeof label);
    int rc = idm_attester_qualify(a, "successor", body, message + sizeof label, err);
    if (rc)
        return rc;
    rc = idm_sha256(message, sizeof message, hash);
    if (rc)
        return idm_fail(err, rc, "attest", "%s", idm_error_sentence(rc));
    rc = idm_engine_sign(a->session.engine, IDM_SHA256, hash, &signature, err);
    if (rc == 0)
        *ret = idm_json_base64(signature.data, signature.size);
    return rc;
}

static int seal_and_print(struct idm_attester *a, json_t *body, struct idm_pcrs *pcrs,
                          struct idm_error *err)
{
    _cleanup_attested_ struct idm_attested attested = {0};
    char *text = NULL;
    json_t *old = NULL;
    int rc = IDM_E_MISMATCH;
    for (int i = 0; i < QUOTE_TRIES && rc == IDM_E_MISMATCH; i++)
        rc = quote_once(a, body, pcrs, &text, &attested, err);
    if (rc == 0)
        rc = old_signature(a, text, &old, err);
    if (rc == 0)
        rc = idm_attest_print(
            a->session.options,
            json_pack("{s:s, s:i, s:s, s:o, s:o, s:o}", "type", "idmode-evidence", "version", 1,
                      "body", text, "attest",
                      idm_json_base64(attested.attest.data, attested.attest.size), "signature",
                      idm_json_base64(attested.signature.data, attested.signature.size),
                      "old_signature", old),
            true, err);
    free(text);
    return rc;
}

int idm_attest_evidence(struct idm_attester *a, struct idm_error *err)
{
    struct idm_pcrs pcrs;
    json_t *body = NULL;
    int rc = idm_attest_pcrs_asked(a->session.options, &pcrs, err);
    if (rc == 0)
        rc = idm_attester_begin(a, err);
    if (rc == 0)
        rc = gather(a, &body, err);
    if (rc == 0)
        rc = seal_and_print(a, body, &pcrs, err);
    json_decref(body);
    return rc;
}
