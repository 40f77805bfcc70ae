/* SPDX-License-Identifier: BSD-2-Clause */
/* enrol.c - ek, challenge, make-credential: before the device can prove anything. */
#include "cli/verify/verify.h"

#include "verify/credential.h"
#include "verify/text.h"

#include <stdio.h>
#include <time.h>

/* ---- ek ---- */

static const char *const states[] = {
    [IDM_EK_UNMADE] = "unmade",
    [IDM_EK_BARE] = "no-certificate",
    [IDM_EK_CERTIFIED] = "certified",
    [IDM_EK_REFUSED] = "refused",
};

static json_t *finding_json(const struct idm_ek_finding *f)
{
    bool certified = f->state == IDM_EK_CERTIFIED;
    return json_pack("{s:s, s:s?, s:o, s:s?, s:s?, s:s?, s:s?, s:s?}", "state", states[f->state],
                     "template", f->template, "name", idm_verify_hex(f->name.name, f->name.size),
                     "manufacturer", certified ? f->cert.manufacturer : NULL, "model",
                     certified ? f->cert.model : NULL, "version",
                     certified ? f->cert.version : NULL, "issuer",
                     certified ? f->cert.issuer : NULL, "why", f->why[0] ? f->why : NULL);
}

static void say_finding(const struct idm_ek_finding *f)
{
    char name[2 * sizeof f->name.name + 1];
    idm_hex(f->name.name, f->name.size, name);
    (void)printf("EK %s: %s\n", f->template ? f->template : "of an unknown template",
                 states[f->state]);
    if (f->state == IDM_EK_CERTIFIED)
        (void)printf("  maker   %s, model %s, version %s\n  issuer  %s\n", f->cert.manufacturer,
                     f->cert.model, f->cert.version, f->cert.issuer);
    if (f->name.size)
        (void)printf("  Name    %s\n", name);
    if (f->why[0])
        (void)printf("  why     %s\n", f->why);
}

static void say_findings(const struct idm_verify_options *options, const struct idm_ek_finding *f,
                         size_t count)
{
    json_t *keys = json_array();
    for (size_t i = 0; i < count; i++) {
        if (options->json)
            (void)json_array_append_new(keys, finding_json(&f[i]));
        else if (!options->quiet)
            say_finding(&f[i]);
    }
    if (options->json)
        idm_verify_say_json(json_pack("{s:b, s:n, s:O}", "proven", 1, "refused", "keys", keys));
    json_decref(keys);
}

int idm_verify_ek(const struct idm_verify_options *options)
{
    _cleanup_bytes_ struct idm_bytes text = {0};
    struct idm_ek_document document = {0};
    struct idm_ek_finding findings[IDM_LIST_MAX];
    const struct idm_ek_finding *chosen = NULL;
    struct idm_ek_trust trust = {0};
    struct idm_refused refused = {0};
    struct idm_error err = {0};
    if (!options->roots) {
        (void)idm_fail(&err, IDM_E_USAGE, "--roots", "whose certificates are trusted?");
        return idm_verify_say_error(options, &err);
    }
    int result = idm_verify_trust(options, &trust, &err);
    if (result == 0)
        result = idm_verify_read(options->file, &text, &err);
    if (result == 0 && (result = idm_ek_document_read(&text, &document, &err)) == IDM_E_CORRUPT)
        result = idm_refuse(&refused, IDM_REFUSAL_FORMAT, "%s", err.why);
    if (result == 0)
        result = idm_ek_examine(&document, &trust, time(NULL), findings, &err);
    if (result == 0)
        result = idm_ek_choose(findings, document.count, NULL, false, &chosen, &refused);
    if (result == 0)
        say_findings(options, findings, document.count);
    idm_ek_document_free(&document);
    idm_ek_trust_free(&trust);
    if (result == IDM_E_REFUSED)
        return idm_verify_say_refused(options, &refused);
    return result ? idm_verify_say_error(options, &err) : IDM_VERIFY_PROVEN;
}

/* ---- challenge ---- */

static int missing(const struct idm_verify_options *options, const char *what)
{
    struct idm_error err = {0};
    (void)idm_fail(&err, IDM_E_USAGE, options->command, "it needs %s", what);
    return idm_verify_say_error(options, &err);
}

static void say_challenge(const struct idm_verify_options *options,
                          const struct idm_challenge *challenge)
{
    char nonce[2 * IDM_NONCE_MAX + 1];
    idm_hex(challenge->nonce.data, challenge->nonce.size, nonce);
    if (options->json)
        idm_verify_say_json(json_pack(
            "{s:s, s:o, s:o, s:s, s:s, s:s}", "nonce", nonce, "ek_name",
            idm_verify_hex(challenge->ek.name, challenge->ek.size), "ak_name",
            idm_verify_hex(challenge->ak.name, challenge->ak.size), "service", challenge->service,
            "credential", options->credential, "secret", options->secret));
    else
        (void)puts(nonce);
    if (!options->roots && !options->quiet)
        (void)fprintf(stderr, "idmode-verify: challenge: the EK's certificate was not judged "
                              "(idmode-verify ek, or --roots)\n");
}

static int make_challenge(const struct idm_verify_options *options, struct idm_challenge *ret,
                          struct idm_bytes *ret_credential, struct idm_error *err,
                          struct idm_refused *refused)
{
    _cleanup_bytes_ struct idm_bytes text = {0};
    struct idm_ak_document ak = {0};
    TPM2B_PUBLIC ek;
    int result = idm_verify_read(options->ak, &text, err);
    if (result == 0 && (result = idm_ak_document_read(&text, &ak, err)) == IDM_E_CORRUPT)
        result = idm_refuse(refused, IDM_REFUSAL_FORMAT, "%s", err->why);
    if (result == 0)
        result = idm_verify_ek_area(options, &ek, err, refused);
    if (result == 0) {
        result = idm_challenge_make(&ek, &ak, ret, ret_credential, refused);
        if (result < 0 && result != IDM_E_REFUSED)
            (void)idm_fail(err, result, "make a challenge", "%s", idm_error_sentence(result));
    }
    idm_ak_document_free(&ak);
    return result;
}

int idm_verify_challenge(const struct idm_verify_options *options)
{
    _cleanup_bytes_ struct idm_bytes credential = {0};
    _cleanup_bytes_ struct idm_bytes remembered = {0};
    struct idm_challenge challenge = {0};
    struct idm_refused refused = {0};
    struct idm_error err = {0};
    if (!options->ek || !options->ak || !options->credential || !options->secret)
        return missing(options, "--ek, --ak, and new files for --credential and --secret");
    int result = make_challenge(options, &challenge, &credential, &err, &refused);
    if (result == 0 && (result = idm_challenge_write(&challenge, &remembered)) < 0)
        (void)idm_fail(&err, result, "write the challenge", "%s", idm_error_sentence(result));
    if (result == 0)
        result = idm_verify_write(options->secret, &remembered, &err);
    if (result == 0)
        result = idm_verify_write(options->credential, &credential, &err);
    if (result == 0)
        say_challenge(options, &challenge);
    idm_challenge_free(&challenge);
    if (result == IDM_E_REFUSED)
        return idm_verify_say_refused(options, &refused);
    return result ? idm_verify_say_error(options, &err) : IDM_VERIFY_PROVEN;
}

/* ---- make-credential ---- */

static int name_of(const struct idm_verify_options *options, TPM2B_NAME *ret, struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes bytes = {0};
    if (options->ak)
        return idm_verify_ak_name(options->ak, ret, err);
    if (idm_text_hex(options->name, &bytes) < 0 || idm_name_set(&bytes, ret) < 0)
        return idm_fail(err, IDM_E_USAGE, "--name", "it is no Name in lower-case hex");
    return 0;
}

int idm_verify_make_credential(const struct idm_verify_options *options)
{
    _cleanup_bytes_ struct idm_bytes secret = {0};
    _cleanup_bytes_ struct idm_bytes credential = {0};
    struct idm_refused refused = {0};
    struct idm_error err = {0};
    TPM2B_PUBLIC ek;
    TPM2B_NAME name;
    if (!options->ek || !options->secret || !options->credential || !options->ak == !options->name)
        return missing(options, "--ek, --secret, --credential, and one of --ak and --name");
    int result = name_of(options, &name, &err);
    if (result == 0)
        result = idm_verify_ek_area(options, &ek, &err, &refused);
    if (result == 0)
        result = idm_verify_read(options->secret, &secret, &err);
    if (result == 0)
        result = idm_credential_make(&ek, &name, secret.data, secret.size, &credential, &err);
    if (result == 0)
        result = idm_verify_write(options->credential, &credential, &err);
    if (result == IDM_E_REFUSED)
        return idm_verify_say_refused(options, &refused);
    return result ? idm_verify_say_error(options, &err) : IDM_VERIFY_PROVEN;
}
