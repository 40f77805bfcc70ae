/* SPDX-License-Identifier: BSD-2-Clause */
/* parts.c - quote and certify: one part alone, for an AK that is known. */
#include "cli/verify/verify.h"

#include "verify/pcrs.h"
#include "verify/wire.h"

#include <stdio.h>

struct part {
    struct idm_bytes text;
    struct idm_challenge challenge;
    struct idm_ak_key ak;
    struct idm_refused refused;
    uint8_t q[IDM_SHA256_SIZE];
};

static void part_done(struct part *part)
{
    idm_bytes_free(&part->text);
    idm_challenge_free(&part->challenge);
    idm_ak_key_free(&part->ak);
}
#define _cleanup_part_ __attribute__((cleanup(part_done)))

/* Reads what both need; not 0: the exit code, after its message. */
static int begin(const struct idm_verify_options *options, struct part *part)
{
    struct idm_error err = {0};
    int result = idm_verify_question(options, &part->challenge, &err);
    if (result == 0)
        result = idm_verify_read(options->file, &part->text, &err);
    return result ? idm_verify_say_error(options, &err) : 0;
}

/* The AK of the document must be the one that the options name. */
static int open_ak(struct part *part, const struct idm_bytes *public,
                   const struct idm_list *parents, const char *label)
{
    const struct idm_question question = {.nonce = &part->challenge.nonce,
                                          .secret = &part->challenge.secret};
    int result = idm_ak_key_open(public, parents, &part->ak, &part->refused);
    if (result == 0 && !idm_wire_same_name(&part->ak.name, &part->challenge.ak))
        result = idm_refuse(&part->refused, IDM_REFUSAL_AK, "it is not the AK that was named");
    return result ? result : idm_question_hash(&question, label, NULL, part->q);
}

static int check_quote(struct part *part, const struct idm_pcrs *wanted, struct idm_pcrs *ret)
{
    struct idm_quote_document document = {0};
    struct idm_error err = {0};
    TPMS_ATTEST attest;
    int result = idm_quote_document_read(&part->text, &document, &err);
    if (result == IDM_E_CORRUPT)
        result = idm_refuse(&part->refused, IDM_REFUSAL_FORMAT, "%s", err.why);
    if (result == 0)
        result = open_ak(part, &document.ak, NULL, IDM_Q_QUOTE);
    if (result == 0)
        result = idm_attest_check(&part->ak, &document.quote, TPM2_ST_ATTEST_QUOTE, part->q,
                                  sizeof part->q, &attest, &part->refused);
    if (result == 0 && !idm_pcrs_selected(wanted, &attest.attested.quote.pcrSelect))
        result = idm_refuse(&part->refused, IDM_REFUSAL_PCRS, "other PCRs than asked for");
    if (result == 0)
        result = idm_pcrs_digest(&document.pcrs, &attest.attested.quote);
    if (result == IDM_E_MISMATCH)
        result = idm_refuse(&part->refused, IDM_REFUSAL_PCRS, "the values are not those quoted");
    *ret = document.pcrs;
    idm_quote_document_free(&document);
    return result;
}

int idm_verify_quote(const struct idm_verify_options *options)
{
    _cleanup_part_ struct part part = {0};
    struct idm_pcrs wanted;
    struct idm_pcrs pcrs;
    struct idm_error err = {0};
    if (idm_pcr_list_parse(options->pcrs ? options->pcrs : IDM_PCRS_DEFAULT, &wanted) < 0) {
        (void)idm_fail(&err, IDM_E_USAGE, "--pcrs",
                       "it is BANK:N,N… (sha1, sha256, sha384, sha512)");
        return idm_verify_say_error(options, &err);
    }
    int code = begin(options, &part);
    if (code)
        return code;
    int result = check_quote(&part, &wanted, &pcrs);
    if (result < 0)
        return idm_verify_say_result(options, result, &part.refused);
    if (options->json)
        idm_verify_say_json(json_pack("{s:b, s:n, s:o}", "proven", 1, "refused", "pcrs",
                                      idm_verify_pcrs_json(&pcrs)));
    else if (!options->quiet)
        idm_verify_say_pcrs(&pcrs);
    return IDM_VERIFY_PROVEN;
}

static int check_certify(struct part *part, bool adopted, TPM2B_NAME *ret)
{
    struct idm_certify_document document = {0};
    struct idm_device_key device = {0};
    struct idm_error err = {0};
    int result = idm_certify_document_read(&part->text, &document, &err);
    if (result == IDM_E_CORRUPT)
        result = idm_refuse(&part->refused, IDM_REFUSAL_FORMAT, "%s", err.why);
    if (result == 0)
        result = open_ak(part, &document.ak, &document.parents, IDM_Q_DEVICE);
    if (result == 0)
        result = idm_device_key_check(&part->ak, &document.device, part->q, sizeof part->q, &device,
                                      &part->refused);
    if (result == 0 && !device.traced && !adopted)
        result = idm_refuse(&part->refused, IDM_REFUSAL_PARENTS,
                            "the device key was adopted, its parents are not known");
    *ret = device.name;
    idm_device_key_done(&device);
    idm_certify_document_free(&document);
    return result;
}

int idm_verify_certify(const struct idm_verify_options *options)
{
    _cleanup_part_ struct part part = {0};
    TPM2B_NAME name;
    char text[2 * sizeof name.name + 1];
    int code = begin(options, &part);
    if (code)
        return code;
    int result = check_certify(&part, options->adopted, &name);
    if (result < 0)
        return idm_verify_say_result(options, result, &part.refused);
    idm_hex(name.name, name.size, text);
    if (options->json)
        idm_verify_say_json(
            json_pack("{s:b, s:n, s:s}", "proven", 1, "refused", "device_name", text));
    else if (!options->quiet)
        (void)printf("device key %s\nwas made in the chip of that AK and cannot leave it\n", text);
    return IDM_VERIFY_PROVEN;
}
