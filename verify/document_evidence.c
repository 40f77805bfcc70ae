/* SPDX-License-Identifier: BSD-2-Clause */
#include "verify/document.h"

#include "verify/members.h"

#include <string.h>

#define AT(type, field) offsetof(struct type, field)
#define COUNT(members)  (sizeof(members) / sizeof *(members))

/* ---- parts ---- */

static void part_free(struct idm_part *part)
{
    idm_bytes_free(&part->attest);
    idm_bytes_free(&part->signature);
}

static void device_free(struct idm_device_part *device)
{
    idm_bytes_free(&device->public);
    idm_list_free(&device->parents);
    part_free(&device->part);
    idm_list_free(&device->certificates);
}

static int read_device(const json_t *object, struct idm_device_part *ret, struct idm_error *err)
{
    static const struct idm_member members[] = {
        {"public", IDM_M_BASE64, AT(idm_device_part, public), NULL},
        {"parents", IDM_M_LIST, AT(idm_device_part, parents), NULL},
        {"attest", IDM_M_BASE64, AT(idm_device_part, part.attest), NULL},
        {"signature", IDM_M_BASE64, AT(idm_device_part, part.signature), NULL},
        {"certificates", IDM_M_LIST, AT(idm_device_part, certificates), NULL},
    };
    return idm_members_read(object, members, COUNT(members), ret, err);
}

static int read_counter(const json_t *object, struct idm_counter_part *ret, struct idm_error *err)
{
    static const struct idm_member members[] = {
        {"public", IDM_M_BASE64, AT(idm_counter_part, public), NULL},
        {"attest", IDM_M_BASE64, AT(idm_counter_part, part.attest), NULL},
        {"signature", IDM_M_BASE64, AT(idm_counter_part, part.signature), NULL},
    };
    return object ? idm_members_read(object, members, COUNT(members), ret, err) : 0;
}

/* ---- the status document ---- */

static void claim(const json_t *value, char *ret, size_t size)
{
    const char *text = json_string_value(value);
    size_t i = 0;
    for (; text && text[i] && i + 1 < size; i++)
        ret[i] = text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?';
    ret[i] = 0;
}

static void read_claims(const json_t *status, struct idm_claims *ret)
{
    const json_t *legacy = json_object_get(status, "legacy");
    claim(json_object_get(status, "mode"), ret->mode, sizeof ret->mode);
    claim(json_object_get(status, "state"), ret->state, sizeof ret->state);
    claim(json_object_get(legacy, "storage"), ret->legacy, sizeof ret->legacy);
    claim(json_object_get(json_object_get(status, "image"), "version"), ret->version,
          sizeof ret->version);
    ret->ever_plain = !json_is_false(json_object_get(legacy, "ever_plain")); /* unless it says so */
    ret->healthy = json_is_true(json_object_get(status, "healthy"));
}

/* ---- idmode-evidence ---- */

void idm_evidence_document_free(struct idm_evidence_document *evidence)
{
    idm_bytes_free(&evidence->body);
    idm_bytes_free(&evidence->old_signature);
    idm_bytes_free(&evidence->nonce);
    idm_bytes_free(&evidence->ak);
    idm_bytes_free(&evidence->counter.public);
    idm_bytes_free(&evidence->record);
    idm_bytes_free(&evidence->statement);
    part_free(&evidence->quote);
    part_free(&evidence->counter.part);
    device_free(&evidence->device);
    idm_list_free(&evidence->parents);
    idm_list_free(&evidence->old_certificates);
}

/* Objects inside are read once their members are known to be there. */
struct read {
    struct idm_evidence_document evidence;
    const json_t *device, *counter, *pcrs, *status;
};

static int read_body(struct read *read, struct idm_error *err)
{
    static const struct idm_member members[] = {
        {"service", IDM_M_SERVICE, AT(read, evidence.service), NULL},
        {"nonce", IDM_M_HEX, AT(read, evidence.nonce), NULL},
        {"credential", IDM_M_BOOL, AT(read, evidence.credential), NULL},
        {"prepared", IDM_M_BOOL, AT(read, evidence.prepared), NULL},
        {"ak", IDM_M_BASE64, AT(read, evidence.ak), NULL},
        {"parents", IDM_M_LIST, AT(read, evidence.parents), NULL},
        {"device", IDM_M_OBJECT, AT(read, device), NULL},
        {"counter", IDM_M_OBJECT_NULL, AT(read, counter), NULL},
        {"pcrs", IDM_M_OBJECT, AT(read, pcrs), NULL},
        {"record", IDM_M_BASE64, AT(read, evidence.record), NULL},
        {"status", IDM_M_OBJECT_NULL, AT(read, status), NULL},
        {"statement", IDM_M_TEXT_NULL, AT(read, evidence.statement), NULL},
        {"old_certificates", IDM_M_LIST_NULL, AT(read, evidence.old_certificates), NULL},
    };
    _cleanup_json_ json_t *object = NULL;
    int result = idm_members_load(&read->evidence.body, &object, err);
    if (result == 0)
        result = idm_members_read(object, members, COUNT(members), read, err);
    if (result == 0)
        result = read_device(read->device, &read->evidence.device, err);
    if (result == 0)
        result = read_counter(read->counter, &read->evidence.counter, err);
    if (result == 0)
        result = idm_members_pcrs(read->pcrs, &read->evidence.pcrs, err);
    if (result == 0)
        read_claims(read->status, &read->evidence.claims);
    return result;
}

int idm_evidence_document_read(const struct idm_bytes *text, struct idm_evidence_document *ret,
                               struct idm_error *err)
{
    static const struct idm_member members[] = {
        {"type", IDM_M_CONSTANT, 0, "idmode-evidence"},
        {"version", IDM_M_CONSTANT, 0, "1"},
        {"body", IDM_M_TEXT, AT(read, evidence.body), NULL},
        {"attest", IDM_M_BASE64, AT(read, evidence.quote.attest), NULL},
        {"signature", IDM_M_BASE64, AT(read, evidence.quote.signature), NULL},
        {"old_signature", IDM_M_BASE64_NULL, AT(read, evidence.old_signature), NULL},
    };
    struct read read = {0};
    _cleanup_json_ json_t *object = NULL;
    int result = idm_members_load(text, &object, err);
    if (result == 0)
        result = idm_members_read(object, members, COUNT(members), &read, err);
    if (result == 0)
        result = read_body(&read, err);
    if (result < 0)
        idm_evidence_document_free(&read.evidence);
    else
        *ret = read.evidence;
    return result;
}

/* ---- idmode-quote, idmode-certify ---- */

void idm_quote_document_free(struct idm_quote_document *document)
{
    idm_bytes_free(&document->ak);
    part_free(&document->quote);
}

int idm_quote_document_read(const struct idm_bytes *text, struct idm_quote_document *ret,
                            struct idm_error *err)
{
    struct quote {
        struct idm_quote_document document;
        const json_t *pcrs;
    } read = {0};
    static const struct idm_member members[] = {
        {"type", IDM_M_CONSTANT, 0, "idmode-quote"},
        {"version", IDM_M_CONSTANT, 0, "1"},
        {"ak", IDM_M_BASE64, AT(quote, document.ak), NULL},
        {"qualification", IDM_M_IGNORED, 0, NULL}, /* computed, never taken from here */
        {"attest", IDM_M_BASE64, AT(quote, document.quote.attest), NULL},
        {"signature", IDM_M_BASE64, AT(quote, document.quote.signature), NULL},
        {"pcrs", IDM_M_OBJECT, AT(quote, pcrs), NULL},
    };
    _cleanup_json_ json_t *object = NULL;
    int result = idm_members_load(text, &object, err);
    if (result == 0)
        result = idm_members_read(object, members, COUNT(members), &read, err);
    if (result == 0)
        result = idm_members_pcrs(read.pcrs, &read.document.pcrs, err);
    if (result < 0)
        idm_quote_document_free(&read.document);
    else
        *ret = read.document;
    return result;
}

void idm_certify_document_free(struct idm_certify_document *document)
{
    idm_bytes_free(&document->ak);
    idm_list_free(&document->parents);
    device_free(&document->device);
}

int idm_certify_document_read(const struct idm_bytes *text, struct idm_certify_document *ret,
                              struct idm_error *err)
{
    struct certify {
        struct idm_certify_document document;
        const json_t *device;
    } read = {0};
    static const struct idm_member members[] = {
        {"type", IDM_M_CONSTANT, 0, "idmode-certify"},
        {"version", IDM_M_CONSTANT, 0, "1"},
        {"ak", IDM_M_BASE64, AT(certify, document.ak), NULL},
        {"parents", IDM_M_LIST, AT(certify, document.parents), NULL},
        {"qualification", IDM_M_IGNORED, 0, NULL},
        {"device", IDM_M_OBJECT, AT(certify, device), NULL},
    };
    _cleanup_json_ json_t *object = NULL;
    int result = idm_members_load(text, &object, err);
    if (result == 0)
        result = idm_members_read(object, members, COUNT(members), &read, err);
    if (result == 0)
        result = read_device(read.device, &read.document.device, err);
    if (result < 0)
        idm_certify_document_free(&read.document);
    else
        *ret = read.document;
    return result;
}
