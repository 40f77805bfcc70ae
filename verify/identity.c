/* SPDX-License-Identifier: BSD-2-Clause */
#include "verify/identity.h"

#include "backends/software/key.h"
#include "backends/software/ossl.h"
#include "backends/tpm/public.h"
#include "verify/wire.h"

#include <jansson.h>
#include <string.h>

/* As backends/tpm/counter.c defines it (part 2, 13.4), once written. */
#define COUNTER_ATTRIBUTES                                                                         \
    (TPMA_NV_AUTHREAD | TPMA_NV_AUTHWRITE | TPMA_NV_OWNERREAD | TPMA_NV_NO_DA | TPMA_NV_WRITTEN |  \
     ((TPMA_NV)TPM2_NT_COUNTER << TPMA_NV_TPM2_NT_SHIFT))
#define COUNTER_SIZE 8u

int idm_identity_hashes(const struct idm_device_key *device, const struct idm_bytes *certificate,
                        uint8_t ret_spki[IDM_SHA256_SIZE], uint8_t ret_cert[IDM_SHA256_SIZE])
{
    int result = idm_sha256(device->spki.data, device->spki.size, ret_spki);
    return result ? result : idm_sha256(certificate->data, certificate->size, ret_cert);
}

/* ---- counter ---- */

int idm_identity_counter(const TPM2B_NV_PUBLIC *area, const TPMS_NV_CERTIFY_INFO *certified,
                         uint64_t *ret_value, struct idm_refused *refused)
{
    TPM2B_NAME name;
    const TPMS_NV_PUBLIC *nv = &area->nvPublic;
    int result = idm_wire_nv_name(area, &name);
    if (result == IDM_E_CORRUPT ||
        (result == 0 && !idm_wire_same_name(&name, &certified->indexName)))
        return idm_refuse(refused, IDM_REFUSAL_COUNTER, "the AK certified another index");
    if (result < 0)
        return result;
    if (nv->nameAlg != TPM2_ALG_SHA256 || nv->dataSize != COUNTER_SIZE || nv->authPolicy.size ||
        nv->attributes != COUNTER_ATTRIBUTES)
        return idm_refuse(refused, IDM_REFUSAL_COUNTER,
                          "attributes 0x%08x are not those of idmode's counter (0x%08x)",
                          nv->attributes, COUNTER_ATTRIBUTES);
    if (certified->offset != 0 || certified->nvContents.size != COUNTER_SIZE)
        return idm_refuse(refused, IDM_REFUSAL_COUNTER, "not the whole counter is certified");
    *ret_value = 0;
    for (unsigned int i = 0; i < COUNTER_SIZE; i++)
        *ret_value = *ret_value << 8 | certified->nvContents.buffer[i];
    return 0;
}

/* ---- record ---- */

static bool is_name(const TPM2B_NAME *name, const uint8_t recorded[IDM_NAME_SIZE])
{
    return name->size == IDM_NAME_SIZE && memcmp(name->name, recorded, IDM_NAME_SIZE) == 0;
}

/* Names of the device key's parent and of the primary key, where its parents are given. */
static bool parents_are_recorded(const struct idm_list *parents, const struct idm_record *record)
{
    TPM2B_PUBLIC area;
    TPM2B_NAME name;
    if (parents->count == 0)
        return true;
    if (idm_wire_public(&parents->item[0], &area) < 0 || idm_wire_name(&area, &name) < 0)
        return false;
    bool parent = is_name(&name, record->weak_parent ? record->srk_name : record->parent_name);
    if (idm_wire_public(&parents->item[parents->count - 1], &area) < 0 ||
        idm_wire_name(&area, &name) < 0)
        return false;
    return parent && is_name(&name, record->srk_name);
}

/* By the identity in use: the device key, or the old one while the new waits. */
static int is_signed(const struct idm_record *record, EVP_PKEY *key, struct idm_refused *refused)
{
    uint8_t hash[IDM_SHA256_SIZE];
    struct idm_signature signature = {.size = record->signature_size};
    int result = idm_record_identity_hash(record, hash);
    if (result < 0)
        return result;
    memcpy(signature.data, record->signature, record->signature_size);
    result = idm_public_verify(key, IDM_SHA256, hash, &signature, NULL);
    return result == IDM_E_MISMATCH
               ? idm_refuse(refused, IDM_REFUSAL_RECORD, "the key in use did not sign it")
               : result;
}

static int signed_by_active(const struct idm_record *record,
                            const struct idm_evidence_document *doc,
                            const struct idm_device_key *device, struct idm_refused *refused)
{
    uint8_t hash[IDM_SHA256_SIZE];
    if (!doc->prepared)
        return is_signed(record, device->key, refused);
    const struct idm_bytes *old = &doc->old_certificates.item[0];
    _cleanup_pkey_ EVP_PKEY *key = doc->old_certificates.count ? idm_certificate_key(old) : NULL;
    if (!key)
        return idm_refuse(refused, IDM_REFUSAL_SUCCESSOR, "the old certificate is missing");
    int result = idm_sha256(old->data, old->size, hash);
    if (result == 0 && memcmp(hash, record->software_cert, sizeof hash) != 0)
        result = idm_refuse(refused, IDM_REFUSAL_RECORD, "it names another old certificate");
    return result == 0 ? is_signed(record, key, refused) : result;
}

static bool state_fits(const struct idm_record *record, bool prepared)
{
    return prepared ? record->state == IDM_S_migrating
                    : idm_record_active(record) == IDM_ACTIVE_TPM;
}

int idm_identity_record(const struct idm_record *record, const struct idm_evidence_document *doc,
                        const struct idm_device_key *device, const struct idm_findings *found,
                        struct idm_refused *refused)
{
    if (!state_fits(record, doc->prepared))
        return idm_refuse(refused, IDM_REFUSAL_RECORD, "its state is %s",
                          idm_state_name((enum idm_state)record->state));
    if (!is_name(&device->name, record->device_name) ||
        memcmp(found->spki, record->tpm_spki, IDM_SHA256_SIZE) != 0 ||
        memcmp(found->cert, record->tpm_cert, IDM_SHA256_SIZE) != 0)
        return idm_refuse(refused, IDM_REFUSAL_RECORD, "it names another key or certificate");
    if (!parents_are_recorded(&doc->device.parents, record))
        return idm_refuse(refused, IDM_REFUSAL_RECORD, "it names other parents");
    int result = signed_by_active(record, doc, device, refused);
    if (result < 0)
        return result;
    if (record->has_witness != found->has_counter)
        return idm_refuse(refused, IDM_REFUSAL_COUNTER,
                          record->has_witness ? "the record knows one, the chip not"
                                              : "the record knows of none");
    /* Exactly: what widens the legal range (an open plan, its slack) is not signed, and would let the
     * record before this one pass. */
    if (found->has_counter &&
        (record->witness != found->counter || record->counter_index != found->counter_index))
        return idm_refuse(refused, IDM_REFUSAL_ROLLED_BACK,
                          "the record stands for counter %llu, the chip's is %llu",
                          (unsigned long long)record->witness, (unsigned long long)found->counter);
    return 0;
}

/* ---- succession ---- */

static int vouched_by_statement(const struct idm_evidence_document *doc,
                                const struct idm_bytes *old, EVP_PKEY *key,
                                struct idm_findings *found, struct idm_refused *refused)
{
    static const char label[] = "idmode succession v1";
    uint8_t message[sizeof label + 2 * IDM_SHA256_SIZE + 4];
    uint8_t hash[IDM_SHA256_SIZE];
    struct idm_statement statement = {0};
    struct idm_signature signature = {0};
    struct idm_error err = {0};
    int result = doc->statement.size ? idm_statement_read(&doc->statement, &statement, &err)
                                     : idm_fail(&err, IDM_E_CORRUPT, "", "there is no statement");
    if (result == IDM_E_CORRUPT)
        return idm_refuse(refused, IDM_REFUSAL_SUCCESSOR, "%s", err.why);
    if (result == 0)
        result = idm_sha256(old->data, old->size, found->old_cert);
    memcpy(message, label, sizeof label);
    memcpy(message + sizeof label, statement.old_cert, IDM_SHA256_SIZE);
    memcpy(message + sizeof label + IDM_SHA256_SIZE, statement.new_cert, IDM_SHA256_SIZE);
    for (unsigned int i = 0; i < 4; i++)
        message[sizeof label + 2 * IDM_SHA256_SIZE + i] = (uint8_t)(statement.epoch >> (8 * i));
    if (result == 0)
        result = idm_sha256(message, sizeof message, hash);
    if (result == 0 &&
        (memcmp(statement.old_cert, found->old_cert, IDM_SHA256_SIZE) != 0 ||
         memcmp(statement.new_cert, found->cert, IDM_SHA256_SIZE) != 0 ||
         statement.epoch > found->epoch || (doc->prepared && statement.epoch != found->epoch)))
        result = idm_refuse(refused, IDM_REFUSAL_SUCCESSOR,
                            "the statement is about other certificates or another epoch");
    signature.size = statement.signature.size;
    if (result == 0 && signature.size > sizeof signature.data)
        result = IDM_E_MISMATCH;
    if (result == 0 && signature.size) {
        memcpy(signature.data, statement.signature.data, signature.size);
        result = idm_public_verify(key, IDM_SHA256, hash, &signature, NULL);
    }
    if (result == IDM_E_MISMATCH)
        result =
            idm_refuse(refused, IDM_REFUSAL_SUCCESSOR, "the old key did not sign the statement");
    idm_statement_free(&statement);
    return result;
}

/* The old key signed this very evidence: "idmode attest successor" 0x00 Q(successor, body). */
static int vouched_now(const struct idm_evidence_document *doc, const struct idm_policy *policy,
                       EVP_PKEY *key, struct idm_refused *refused)
{
    static const char label[] = "idmode attest successor";
    uint8_t message[sizeof label + IDM_SHA256_SIZE];
    uint8_t hash[IDM_SHA256_SIZE];
    struct idm_signature signature = {.size = doc->old_signature.size};
    memcpy(message, label, sizeof label);
    int result =
        idm_question_hash(&policy->question, IDM_Q_SUCCESSOR, &doc->body, message + sizeof label);
    if (result == 0)
        result = idm_sha256(message, sizeof message, hash);
    if (result < 0)
        return result;
    result = IDM_E_MISMATCH;
    if (signature.size && signature.size <= sizeof signature.data) {
        memcpy(signature.data, doc->old_signature.data, signature.size);
        result = idm_public_verify(key, IDM_SHA256, hash, &signature, NULL);
    }
    return result == IDM_E_MISMATCH ? idm_refuse(refused, IDM_REFUSAL_SUCCESSOR,
                                                 "the old key did not sign this evidence")
                                    : result;
}

int idm_identity_succession(const struct idm_evidence_document *doc,
                            const struct idm_policy *policy, struct idm_findings *found,
                            struct idm_refused *refused)
{
    const struct idm_bytes *old = policy->known;
    if (doc->prepared) {
        const struct idm_bytes *shown =
            &doc->old_certificates.item[0]; /* there: the record's check */
        if (old && !idm_bytes_equal(old, shown))
            return idm_refuse(refused, IDM_REFUSAL_SUCCESSOR,
                              "the old certificate is not the one that is known");
        old = shown;
    }
    if (!doc->prepared && (doc->old_signature.size || doc->old_certificates.count))
        return idm_refuse(refused, IDM_REFUSAL_FORMAT, "an old key where none is in use");
    if (!old)
        return 0;
    _cleanup_pkey_ EVP_PKEY *key = idm_certificate_key(old);
    if (!key)
        return idm_refuse(refused, IDM_REFUSAL_SUCCESSOR, "the old certificate holds no key");
    int result = vouched_by_statement(doc, old, key, found, refused);
    if (result == 0 && doc->prepared)
        result = vouched_now(doc, policy, key, refused);
    found->succession = result == 0;
    found->succession_now = result == 0 && doc->prepared;
    return result;
}
