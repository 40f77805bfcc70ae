/* SPDX-License-Identifier: BSD-2-Clause */
/* evidence.c - what the device proves, and what its software only says. */
#include "cli/verify/verify.h"

#include "backends/software/ossl.h"
#include "verify/pcrs.h"
#include "verify/wire.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the policy ---- */

static int take_epoch(const char *text, uint32_t *ret, struct idm_error *err)
{
    unsigned long long value = text ? strtoull(text, NULL, 10) : 0;
    if (text && (!*text || strspn(text, "0123456789") != strlen(text) || value > UINT32_MAX))
        return idm_fail(err, IDM_E_USAGE, "--min-epoch", "\"%.40s\" is no epoch", text);
    *ret = (uint32_t)value;
    return 0;
}

/* A certificate, PEM or DER, as DER. */
static int take_certificate(const char *path, struct idm_bytes *ret, struct idm_error *err)
{
    _ossl_queue_ bool queue = idm_ossl_begin();
    _cleanup_bytes_ struct idm_bytes bytes = {0};
    unsigned char *der = NULL;
    int result = idm_verify_read(path, &bytes, err);
    if (result < 0)
        return result;
    _cleanup_bio_ BIO *bio = BIO_new_mem_buf(bytes.data, (int)bytes.size);
    const uint8_t *at = bytes.data;
    _cleanup_x509_ X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    if (!cert)
        cert = d2i_X509(NULL, &at, (long)bytes.size);
    int size = cert ? i2d_X509(cert, &der) : -1;
    result = size > 0 ? idm_bytes_set(ret, der, (size_t)size) : IDM_E_CORRUPT;
    OPENSSL_free(der);
    return result ? idm_fail(err, result, path, "it is no certificate") : 0;
}

static int take_policy(const struct idm_verify_options *options,
                       const struct idm_challenge *challenge, struct idm_policy *ret,
                       struct idm_error *err)
{
    ret->question = (struct idm_question){.nonce = &challenge->nonce, .secret = &challenge->secret};
    ret->ak_name = challenge->ak;
    ret->without_counter = options->without_counter;
    ret->adopted = options->adopted;
    if (idm_pcr_list_parse(options->pcrs ? options->pcrs : IDM_PCRS_DEFAULT, &ret->pcrs) < 0)
        return idm_fail(err, IDM_E_USAGE, "--pcrs",
                        "it is BANK:N,N… (sha1, sha256, sha384, sha512)");
    return take_epoch(options->min_epoch, &ret->min_epoch, err);
}

/* --ek: the credential was made for a key of that document. */
static int check_ek(const struct idm_verify_options *options, const struct idm_challenge *challenge,
                    struct idm_error *err, struct idm_refused *refused)
{
    _cleanup_bytes_ struct idm_bytes text = {0};
    struct idm_ek_document document = {0};
    struct idm_ek_finding findings[IDM_LIST_MAX];
    bool found = false;
    if (!options->ek)
        return 0;
    if (challenge->ek.size == 0)
        return idm_fail(err, IDM_E_USAGE, "--ek",
                        "without the file of `challenge` nobody knows for which EK it was made");
    int result = idm_verify_read(options->ek, &text, err);
    if (result == 0)
        result = idm_ek_document_read(&text, &document, err);
    if (result == 0)
        result = idm_ek_examine(&document, NULL, 0, findings, err);
    for (size_t i = 0; result == 0 && i < document.count; i++)
        found = found || (findings[i].state != IDM_EK_REFUSED &&
                          idm_wire_same_name(&findings[i].name, &challenge->ek));
    idm_ek_document_free(&document);
    if (result == 0 && !found)
        return idm_refuse(refused, IDM_REFUSAL_EK, "the credential was made for another EK");
    return result;
}

/* ---- in words ---- */

static void print_hex(const char *before, const void *data, size_t size)
{
    char text[2 * sizeof(TPM2B_NAME) + 1];
    idm_hex(data, size, text);
    (void)printf("%s%s\n", before, text);
}

static void say_identity(const struct idm_findings *f)
{
    print_hex("  AK          ", f->ak_name.name, f->ak_name.size);
    (void)printf("              is in the chip whose EK opened the credential\n");
    print_hex("  device key  ", f->spki, sizeof f->spki);
    (void)printf("              was made in that chip and cannot leave it%s\n",
                 f->same_parent ? "; one factory reset destroys it and the AK" : "");
    print_hex("  certificate ", f->cert, sizeof f->cert);
    (void)printf("              is for that key%s\n",
                 f->prepared ? "; it waits for migrate commit" : "");
}

static void say_state(const struct idm_findings *f)
{
    (void)printf("  epoch       %u\n", f->epoch);
    if (f->has_counter)
        (void)printf("  counter     %llu at 0x%08x: no younger record of this chip exists\n",
                     (unsigned long long)f->counter, f->counter_index);
    if (f->succession) {
        print_hex("  successor   of ", f->old_cert, sizeof f->old_cert);
        (void)printf("              whose key %s\n",
                     f->succession_now ? "signed this answer" : "named this certificate once");
    }
    idm_verify_say_pcrs(&f->pcrs);
    (void)printf("  one boot    no reset of the chip lies between the parts\n");
}

static const char *or_nothing(const char *text)
{
    return text[0] ? text : "(not said)";
}

static void say_text(const struct idm_findings *f)
{
    (void)printf("proven by the chip:\n");
    say_identity(f);
    say_state(f);
    (void)printf("only claimed, by the device's software:\n"
                 "  mode        %s (state %s, %s)\n"
                 "  legacy key  %s%s\n"
                 "  image       %s\n",
                 or_nothing(f->claims.mode), or_nothing(f->claims.state),
                 f->claims.healthy ? "healthy" : "not healthy", or_nothing(f->claims.legacy),
                 f->claims.ever_plain ? ", was on storage in the clear" : "",
                 or_nothing(f->claims.version));
    if (!f->traced)
        (void)printf(
            "not known:\n  parents     the key was adopted; a factory reset may leave it\n");
    if (!f->has_counter)
        (void)printf(
            "not known:\n  youth       no counter: an older copy of the disk would not show\n");
    (void)printf(
        "privacy: certificate, record and the chip's clock are the same for every service\n"
        "that asks. Keep them from those who must not know this device.\n");
}

static json_t *proven_json(const struct idm_findings *f)
{
    json_t *old = f->succession ? idm_verify_hex(f->old_cert, sizeof f->old_cert) : json_null();
    return json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:b, s:I, s:o, s:o, s:b, s:b, s:o, s:b, s:o}", "service",
        f->service, "ak_name", idm_verify_hex(f->ak_name.name, f->ak_name.size), "device_name",
        idm_verify_hex(f->device_name.name, f->device_name.size), "spki_sha256",
        idm_verify_hex(f->spki, sizeof f->spki), "cert_sha256",
        idm_verify_hex(f->cert, sizeof f->cert), "prepared", f->prepared, "epoch",
        (json_int_t)f->epoch, "counter",
        f->has_counter ? json_integer((json_int_t)f->counter) : json_null(), "counter_index",
        f->has_counter ? json_integer(f->counter_index) : json_null(), "parents_traced", f->traced,
        "same_parent_as_ak", f->same_parent, "successor_of", old, "successor_now",
        f->succession_now, "pcrs", idm_verify_pcrs_json(&f->pcrs));
}

static json_t *claimed_json(const struct idm_findings *f)
{
    const struct idm_claims *c = &f->claims;
    return json_pack("{s:s, s:s, s:b, s:s, s:b, s:s}", "mode", c->mode, "state", c->state,
                     "healthy", c->healthy, "legacy_key", c->legacy, "legacy_key_ever_plain",
                     c->ever_plain, "image_version", c->version);
}

static void say_findings(const struct idm_verify_options *options, const struct idm_findings *f)
{
    if (options->json)
        idm_verify_say_json(json_pack("{s:b, s:n, s:o, s:o}", "proven", 1, "refused", "facts",
                                      proven_json(f), "claimed", claimed_json(f)));
    else if (!options->quiet)
        say_text(f);
}

/* ---- the command ---- */

struct given {
    struct idm_bytes text, known;
    struct idm_challenge challenge;
    struct idm_policy policy;
};

static int take(const struct idm_verify_options *options, struct given *ret, struct idm_error *err,
                struct idm_refused *refused)
{
    int result = idm_verify_question(options, &ret->challenge, err);
    if (result == 0)
        result = take_policy(options, &ret->challenge, &ret->policy, err);
    if (result == 0 && options->succeeds) {
        result = take_certificate(options->succeeds, &ret->known, err);
        ret->policy.known = &ret->known;
    }
    if (result == 0)
        result = check_ek(options, &ret->challenge, err, refused);
    return result ? result : idm_verify_read(options->file, &ret->text, err);
}

int idm_verify_evidence(const struct idm_verify_options *options)
{
    struct given given = {0};
    struct idm_findings findings;
    struct idm_refused refused = {0};
    struct idm_error err = {0};
    int code = IDM_VERIFY_PROVEN;
    int result = take(options, &given, &err, &refused);
    if (result < 0 && result != IDM_E_REFUSED)
        code = idm_verify_say_error(options, &err);
    else if (result == 0)
        result = idm_evidence_verify(&given.text, &given.policy, &findings, &refused);
    if (code == IDM_VERIFY_PROVEN && result < 0)
        code = idm_verify_say_result(options, result, &refused);
    else if (result == 0)
        say_findings(options, &findings);
    idm_challenge_free(&given.challenge);
    idm_bytes_free(&given.text);
    idm_bytes_free(&given.known);
    return code;
}
