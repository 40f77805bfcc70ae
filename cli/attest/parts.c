/* SPDX-License-Identifier: BSD-2-Clause */
/* parts.c - the parts of evidence that several documents have, and quote and certify alone. */
#include "cli/attest/attest.h"

#include <string.h>

#define QUOTE_TRIES 3 /* PCRs may be extended between their reading and the quote */

/* ---- PCRs ---- */

int idm_attest_pcrs_asked(const struct idm_options *options, struct idm_pcrs *ret,
                          struct idm_error *err)
{
    return idm_pcrs_parse(options->pcrs ? options->pcrs : "sha256:0,1,2,3,4,5,6,7", ret, err);
}

json_t *idm_attest_pcr_values(const struct idm_pcrs *pcrs)
{
    json_t *bank = json_object();
    bool good = bank != NULL;
    for (unsigned int i = 0; good && i < 24; i++) {
        char number[4];
        if (!(pcrs->selected >> i & 1))
            continue;
        (void)snprintf(number, sizeof number, "%u", i);
        good = json_object_set_new(bank, number, idm_attest_hex(pcrs->value[i], pcrs->size)) == 0;
    }
    if (good)
        return json_pack("{s:o}", idm_pcrs_bank(pcrs), bank);
    json_decref(bank);
    return NULL;
}

static int quote(struct idm_attester *a, const uint8_t q[IDM_SHA256_SIZE], struct idm_pcrs *pcrs,
                 struct idm_attested *ret, struct idm_error *err)
{
    int rc = IDM_E_MISMATCH;
    for (int i = 0; i < QUOTE_TRIES && rc == IDM_E_MISMATCH; i++) {
        rc = idm_attest_pcrs(a->tpm, pcrs, err);
        if (rc == 0)
            rc = idm_attest_quote(a->tpm, a->loaded, pcrs, q, ret, err);
    }
    return rc;
}

int idm_attest_quote_alone(struct idm_attester *a, struct idm_error *err)
{
    _cleanup_attested_ struct idm_attested attested = {0};
    struct idm_pcrs pcrs;
    uint8_t q[IDM_SHA256_SIZE];
    int rc = idm_attest_pcrs_asked(a->session.options, &pcrs, err);
    if (rc == 0)
        rc = idm_attester_begin(a, err);
    if (rc == 0)
        rc = idm_attester_qualify(a, "quote", NULL, q, err);
    if (rc == 0)
        rc = quote(a, q, &pcrs, &attested, err);
    if (rc)
        return rc;
    json_t *document = json_pack(
        "{s:s, s:i, s:o, s:o, s:o, s:o, s:o}", "type", "idmode-quote", "version", 1, "ak",
        idm_json_public(&a->ak->key.public_area), "qualification", idm_attest_hex(q, sizeof q),
        "attest", idm_json_base64(attested.attest.data, attested.attest.size), "signature",
        idm_json_base64(attested.signature.data, attested.signature.size), "pcrs",
        idm_attest_pcr_values(&pcrs));
    return idm_attest_print(a->session.options, document, false, err);
}

/* ---- device key ---- */

static int certificates(struct idm_attester *a, bool prepared, json_t **ret, struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes pem = {0};
    int rc = idm_engine_certificate(a->session.engine, prepared, &pem, err);
    if (rc)
        return rc;
    *ret = idm_attest_chain(&pem);
    return *ret ? 0 : idm_fail(err, IDM_E_CORRUPT, "attest", "the certificate cannot be read");
}

/* Where the key's qualified name is not one below the attestation key's parents (an adopted key), nobody
 * knows its parents. */
static json_t *parents_json(const struct idm_attester *a, const TPM2B_PUBLIC *area,
                            const struct idm_attested *attested)
{
    bool below = idm_attest_is_below(area, a->ak, &attested->what.attested.certify.qualifiedName);
    return idm_json_publics(a->ak->parents, below ? a->ak->parent_count : 0);
}

int idm_attest_device_part(struct idm_attester *a, json_t **ret, struct idm_error *err)
{
    _cleanup_attested_ struct idm_attested attested = {0};
    bool prepared = a->session.options->prepared;
    struct idm_key_place place = {0};
    TPM2B_PUBLIC area;
    uint8_t q[IDM_SHA256_SIZE];
    json_t *chain = NULL;
    int rc = idm_engine_tpm_key(a->session.engine, prepared, &place, err);
    if (rc)
        return rc;
    struct idm_device_key key = {.handle = place.handle, .file = place.file};
    memcpy(key.name, place.name, IDM_NAME_SIZE);
    rc = idm_attester_qualify(a, "device", NULL, q, err);
    if (rc == 0)
        rc = idm_attest_device(a->tpm, a->loaded, &a->parent, &key, q, &area, &attested, err);
    if (rc == 0)
        rc = certificates(a, prepared, &chain, err);
    if (rc)
        return rc;
    *ret = json_pack("{s:o, s:o, s:o, s:o, s:o}", "public", idm_json_public(&area), "parents",
                     parents_json(a, &area, &attested), "attest",
                     idm_json_base64(attested.attest.data, attested.attest.size), "signature",
                     idm_json_base64(attested.signature.data, attested.signature.size),
                     "certificates", chain);
    return *ret ? 0 : idm_fail(err, IDM_E_MEMORY, "attest", "%s", idm_error_sentence(IDM_E_MEMORY));
}

int idm_attest_certify_alone(struct idm_attester *a, struct idm_error *err)
{
    uint8_t q[IDM_SHA256_SIZE];
    json_t *device = NULL;
    int rc = idm_attester_begin(a, err);
    if (rc == 0)
        rc = idm_attester_qualify(a, "device", NULL, q, err);
    if (rc == 0)
        rc = idm_attest_device_part(a, &device, err);
    if (rc)
        return rc;
    json_t *document = json_pack("{s:s, s:i, s:o, s:o, s:o, s:o}", "type", "idmode-certify",
                                 "version", 1, "ak", idm_json_public(&a->ak->key.public_area),
                                 "parents", idm_json_publics(a->ak->parents, a->ak->parent_count),
                                 "qualification", idm_attest_hex(q, sizeof q), "device", device);
    return idm_attest_print(a->session.options, document, false, err);
}
