/* SPDX-License-Identifier: BSD-2-Clause */
#include "verify/evidence.h"

#include "engine/record.h"
#include "verify/attest.h"
#include "verify/identity.h"
#include "verify/pcrs.h"
#include "verify/wire.h"

#include <string.h>

/* Everything that was read and found on the way. */
struct look {
    const struct idm_policy *policy;
    struct idm_evidence_document doc;
    struct idm_ak_key ak;
    struct idm_device_key device;
    TPMS_ATTEST quote, counter;
    struct idm_findings found;
    struct idm_refused *refused;
};

static void look_done(struct look *look)
{
    idm_evidence_document_free(&look->doc);
    idm_ak_key_free(&look->ak);
    idm_device_key_done(&look->device);
}

/* ---- who answers ---- */

static int check_ak(struct look *look)
{
    int result = idm_ak_key_open(&look->doc.ak, &look->doc.parents, &look->ak, look->refused);
    if (result < 0)
        return result;
    if (!idm_wire_same_name(&look->ak.name, &look->policy->ak_name))
        return idm_refuse(look->refused, IDM_REFUSAL_AK, "it is not the AK that was activated");
    if (look->ak.qualified.size == 0)
        return idm_refuse(look->refused, IDM_REFUSAL_PARENTS, "the AK's parents are missing");
    look->found.ak_name = look->ak.name;
    memcpy(look->found.service, look->doc.service, sizeof look->found.service);
    return 0;
}

static int check_part(struct look *look, const struct idm_part *part, TPMI_ST_ATTEST type,
                      const char *label, const struct idm_bytes *text, TPMS_ATTEST *ret)
{
    uint8_t q[IDM_SHA256_SIZE];
    int result = idm_question_hash(&look->policy->question, label, text, q);
    if (result < 0)
        return result;
    return idm_attest_check(&look->ak, part, type, q, sizeof q, ret, look->refused);
}

/* The quote covers the body to the last byte; what the body says of the question is said twice. */
static int check_quote(struct look *look)
{
    const struct idm_question *question = &look->policy->question;
    int result = check_part(look, &look->doc.quote, TPM2_ST_ATTEST_QUOTE, IDM_Q_EVIDENCE,
                            &look->doc.body, &look->quote);
    if (result < 0)
        return result;
    if (!idm_bytes_equal(&look->doc.nonce, question->nonce) ||
        look->doc.credential != (question->secret->size > 0))
        return idm_refuse(look->refused, IDM_REFUSAL_NONCE, "the body names another nonce");
    if (!idm_pcrs_selected(&look->policy->pcrs, &look->quote.attested.quote.pcrSelect))
        return idm_refuse(look->refused, IDM_REFUSAL_PCRS, "other PCRs than asked for are quoted");
    result = idm_pcrs_digest(&look->doc.pcrs, &look->quote.attested.quote);
    if (result == IDM_E_MISMATCH)
        return idm_refuse(look->refused, IDM_REFUSAL_PCRS, "the values are not those quoted");
    look->found.pcrs = look->doc.pcrs;
    return result;
}

/* ---- its key, its counter ---- */

static int check_device(struct look *look)
{
    uint8_t q[IDM_SHA256_SIZE];
    const struct idm_device_part *part = &look->doc.device;
    struct idm_findings *found = &look->found;
    int result = idm_question_hash(&look->policy->question, IDM_Q_DEVICE, NULL, q);
    if (result == 0)
        result = idm_device_key_check(&look->ak, part, q, sizeof q, &look->device, look->refused);
    if (result < 0)
        return result;
    if (!look->device.traced && !look->policy->adopted)
        return idm_refuse(look->refused, IDM_REFUSAL_PARENTS,
                          "the device key was adopted, its parents are not known");
    found->device_name = look->device.name;
    found->traced = look->device.traced;
    found->same_parent = part->parents.count && look->doc.parents.count &&
                         idm_bytes_equal(&part->parents.item[0], &look->doc.parents.item[0]);
    return idm_identity_hashes(&look->device, &part->certificates.item[0], found->spki,
                               found->cert);
}

static int check_counter(struct look *look)
{
    const struct idm_counter_part *part = &look->doc.counter;
    TPM2B_NV_PUBLIC area;
    if (part->public.size == 0) {
        if (look->policy->without_counter)
            return 0;
        return idm_refuse(look->refused, IDM_REFUSAL_COUNTER,
                          "there is none: an older copy of the disk would not show");
    }
    int result =
        check_part(look, &part->part, TPM2_ST_ATTEST_NV, IDM_Q_COUNTER, NULL, &look->counter);
    if (result < 0)
        return result;
    if (idm_wire_nv_public(&part->public, &area) < 0)
        return idm_refuse(look->refused, IDM_REFUSAL_FORMAT, "the counter is no TPM2B_NV_PUBLIC");
    result = idm_identity_counter(&area, &look->counter.attested.nv, &look->found.counter,
                                  look->refused);
    look->found.has_counter = result == 0;
    look->found.counter_index = area.nvPublic.nvIndex;
    return result;
}

/* ---- one boot ---- */

static bool same_clock(const TPMS_ATTEST *a, const TPMS_ATTEST *b)
{
    return a->clockInfo.resetCount == b->clockInfo.resetCount &&
           a->clockInfo.restartCount == b->clockInfo.restartCount &&
           a->firmwareVersion == b->firmwareVersion && b->clockInfo.safe == TPM2_YES;
}

static int check_clock(struct look *look)
{
    const TPMS_ATTEST *quote = &look->quote;
    if (quote->clockInfo.safe != TPM2_YES)
        return idm_refuse(look->refused, IDM_REFUSAL_CLOCK,
                          "the chip's clock may repeat itself (power was cut; try again later)");
    if (!same_clock(quote, &look->device.attested) ||
        (look->found.has_counter && !same_clock(quote, &look->counter)))
        return idm_refuse(look->refused, IDM_REFUSAL_CLOCK,
                          "the chip was reset between the parts, or they are of different chips");
    look->found.reset_count = quote->clockInfo.resetCount;
    look->found.restart_count = quote->clockInfo.restartCount;
    return 0;
}

/* ---- what the disk says, as far as the key signed it ---- */

static int check_record(struct look *look)
{
    struct idm_record record;
    struct idm_findings *found = &look->found;
    const struct idm_evidence_document *doc = &look->doc;
    if (idm_record_decode(doc->record.data, doc->record.size, &record) < 0)
        return idm_refuse(look->refused, IDM_REFUSAL_RECORD, "it is no record that can be read");
    int result = idm_identity_record(&record, doc, &look->device, found, look->refused);
    if (result < 0)
        return result;
    found->prepared = doc->prepared;
    found->epoch = record.epoch + (doc->prepared ? 1 : 0);
    memcpy(found->ek_name, record.ek_name, IDM_NAME_SIZE);
    if (found->epoch < look->policy->min_epoch)
        return idm_refuse(look->refused, IDM_REFUSAL_EPOCH, "epoch %u, not %u or later",
                          found->epoch, look->policy->min_epoch);
    return 0;
}

int idm_evidence_verify(const struct idm_bytes *text, const struct idm_policy *policy,
                        struct idm_findings *ret, struct idm_refused *refused)
{
    static int (*const checks[])(struct look *) = {check_ak,      check_quote, check_device,
                                                   check_counter, check_clock, check_record};
    struct look look = {.policy = policy, .refused = refused};
    struct idm_error err = {0};
    *refused = (struct idm_refused){0};
    int result = idm_evidence_document_read(text, &look.doc, &err);
    if (result == IDM_E_CORRUPT)
        result = idm_refuse(refused, IDM_REFUSAL_FORMAT, "%s", err.why);
    for (size_t i = 0; result == 0 && i < sizeof checks / sizeof *checks; i++)
        result = checks[i](&look);
    if (result == 0)
        result = idm_identity_succession(&look.doc, policy, &look.found, refused);
    look.found.claims = look.doc.claims;
    if (result == 0)
        *ret = look.found;
    look_done(&look);
    return result;
}
