/* SPDX-License-Identifier: BSD-2-Clause */
/* enrol.c - what the controller decides. */
#include "examples/control-plane/control_plane.h"

#include "verify/pcrs.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static unsigned int refuse(json_t **ret, const char *word, const char *why)
{
    *ret = json_pack("{s:s, s:s}", "refused", word, "why", why);
    return 403;
}

static unsigned int refuse_as(json_t **ret, const struct idm_refused *refused)
{
    return refuse(ret, idm_refusal_word(refused->refusal), refused->why);
}

static unsigned int failed(json_t **ret, int result)
{
    *ret = json_pack("{s:s}", "error", idm_error_sentence(result));
    return result == IDM_E_FULL ? 503 : 500;
}

static bool is_name(const char *text)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    return text && *text && strlen(text) < CP_NAME_SIZE && strspn(text, letters) == strlen(text);
}

/* ---- first round ---- */

/* A member that is a document of its own, as text: its reader is strict about every member of it. */
static int document(const json_t *object, const char *name, struct idm_bytes *ret)
{
    char *text = json_dumps(json_object_get(object, name), JSON_COMPACT);
    int result = text ? idm_bytes_set(ret, text, strlen(text)) : IDM_E_CORRUPT;
    free(text);
    return result;
}

/* The EK that is challenged: certified by a maker that we trust. */
static int choose_ek(struct cp *cp, const json_t *request, struct idm_ek_finding *ret,
                     struct idm_refused *refused)
{
    struct idm_bytes text = {0};
    struct idm_ek_document ek = {0};
    struct idm_ek_finding findings[IDM_LIST_MAX];
    const struct idm_ek_finding *chosen = NULL;
    struct idm_error err = {0};
    int result = document(request, "ek", &text);
    if (result == 0)
        result = idm_ek_document_read(&text, &ek, &err);
    if (result == IDM_E_CORRUPT)
        result = idm_refuse(refused, IDM_REFUSAL_FORMAT, "the EK: %s", err.why);
    if (result == 0)
        result = idm_ek_examine(&ek, &cp->trust, time(NULL), findings, &err);
    if (result == 0)
        result = idm_ek_choose(findings, ek.count, NULL, false, &chosen, refused);
    if (result == 0)
        *ret = *chosen;
    idm_ek_document_free(&ek);
    idm_bytes_free(&text);
    return result;
}

/* A name and a chip belong together from the first time on: a swapped chip, or a disk in another device, does
 * not get as far as a challenge. */
static int belongs(struct cp *cp, const char *name, const char *ek, struct idm_refused *refused)
{
    struct cp_device by_name = {0};
    struct cp_device by_ek = {0};
    int result = cp_store_device(cp, name, &by_name);
    int other = cp_store_device_of_ek(cp, ek, &by_ek);
    if (result == 0 && by_name.ek[0] && strcmp(by_name.ek, ek) != 0)
        result = idm_refuse(refused, IDM_REFUSAL_EK, "%s is known with another chip", name);
    else if (other == 0 && strcmp(by_ek.name, name) != 0)
        result = idm_refuse(refused, IDM_REFUSAL_EK, "this chip is known as another device");
    else if (result == IDM_E_ABSENT)
        result = 0;
    if (result == 0 && other != 0 && other != IDM_E_ABSENT)
        result = other;
    cp_device_free(&by_name);
    cp_device_free(&by_ek);
    return result;
}

static int challenge(const json_t *request, const struct idm_ek_finding *ek,
                     struct idm_challenge *ret, struct idm_bytes *ret_credential,
                     struct idm_refused *refused)
{
    struct idm_bytes text = {0};
    struct idm_ak_document ak = {0};
    struct idm_error err = {0};
    int result = document(request, "ak", &text);
    if (result == 0)
        result = idm_ak_document_read(&text, &ak, &err);
    if (result == IDM_E_CORRUPT)
        result = idm_refuse(refused, IDM_REFUSAL_FORMAT, "the AK: %s", err.why);
    if (result == 0)
        result = idm_challenge_make(&ek->area, &ak, ret, ret_credential, refused);
    idm_ak_document_free(&ak);
    idm_bytes_free(&text);
    return result;
}

static int open_session(struct cp *cp, const char *name, const struct idm_challenge *challenge,
                        char ret_id[CP_SESSION_SIZE])
{
    uint8_t random[(CP_SESSION_SIZE - 1) / 2];
    struct idm_bytes text = {0};
    int result = RAND_bytes(random, sizeof random) == 1 ? idm_challenge_write(challenge, &text)
                                                        : IDM_E_CRYPTO;
    idm_hex(random, sizeof random, ret_id);
    if (result == 0)
        result = cp_store_open_session(cp, ret_id, name, &text);
    idm_bytes_free(&text);
    return result;
}

static json_t *challenge_json(const char *session, const struct idm_challenge *challenge,
                              const struct idm_bytes *credential)
{
    char nonce[2 * IDM_NONCE_MAX + 1];
    char base64[4096];
    if (credential->size > sizeof base64 / 4 * 3 - 4)
        return NULL;
    idm_hex(challenge->nonce.data, challenge->nonce.size, nonce);
    (void)EVP_EncodeBlock((unsigned char *)base64, credential->data, (int)credential->size);
    return json_pack("{s:s, s:s, s:s}", "session", session, "nonce", nonce, "credential", base64);
}

unsigned int cp_enrol(struct cp *cp, const struct idm_bytes *body, json_t **ret)
{
    struct idm_refused refused = {0};
    struct idm_ek_finding ek;
    struct idm_challenge asked = {0};
    struct idm_bytes credential = {0};
    char session[CP_SESSION_SIZE];
    char ek_name[2 * sizeof ek.name.name + 1];
    json_t *request =
        json_loadb((const char *)body->data, body->size, JSON_REJECT_DUPLICATES, NULL);
    const char *name = json_string_value(json_object_get(request, "device"));
    int result = is_name(name) ? choose_ek(cp, request, &ek, &refused)
                               : idm_refuse(&refused, IDM_REFUSAL_FORMAT, "which device is it?");
    if (result == 0) {
        idm_hex(ek.name.name, ek.name.size, ek_name);
        result = belongs(cp, name, ek_name, &refused);
    }
    if (result == 0)
        result = challenge(request, &ek, &asked, &credential, &refused);
    if (result == 0)
        result = open_session(cp, name, &asked, session);
    if (result == 0)
        *ret = challenge_json(session, &asked, &credential);
    idm_challenge_free(&asked);
    idm_bytes_free(&credential);
    json_decref(request);
    if (result == IDM_E_REFUSED)
        return refuse_as(ret, &refused);
    return result ? failed(ret, result) : 200;
}

/* ---- second round ---- */

/* The device's certificate in the evidence that was proven. */
static int certificate_of(const struct idm_bytes *text, struct idm_bytes *ret)
{
    struct idm_evidence_document document = {0};
    int result = idm_evidence_document_read(text, &document, NULL);
    if (result == 0)
        idm_bytes_move(ret, &document.device.certificates.item[0]);
    idm_evidence_document_free(&document);
    return result;
}

/* Proven under what is known. The same certificate again, or one that the known one's key vouches for. */
static int judge(const struct idm_bytes *text, const struct idm_challenge *asked,
                 const struct cp_device *known, struct idm_findings *ret,
                 struct cp_device *ret_device, struct idm_refused *refused)
{
    struct idm_policy policy = {.question = {.nonce = &asked->nonce, .secret = &asked->secret},
                                .ak_name = asked->ak};
    int result = idm_pcr_list_parse(IDM_PCRS_DEFAULT, &policy.pcrs);
    if (known)
        policy.min_epoch = known->epoch;
    if (result == 0)
        result = idm_evidence_verify(text, &policy, ret, refused);
    if (result == 0)
        result = certificate_of(text, &ret_device->certificate);
    if (result == 0 && known && !idm_bytes_equal(&known->certificate, &ret_device->certificate)) {
        policy.known = &known->certificate;
        result = idm_evidence_verify(text, &policy, ret, refused);
    }
    if (result == 0 && known && ret->counter < known->counter)
        result = idm_refuse(refused, IDM_REFUSAL_ROLLED_BACK, "its counter stood higher before");
    return result;
}

static int remember(struct cp *cp, const char *name, const struct idm_challenge *asked,
                    const struct idm_findings *found, struct cp_device *device,
                    struct idm_refused *refused)
{
    (void)snprintf(device->name, sizeof device->name, "%s", name);
    idm_hex(asked->ek.name, asked->ek.size, device->ek);
    idm_hex(asked->ak.name, asked->ak.size, device->ak);
    device->epoch = found->epoch;
    device->counter = found->counter;
    int result = cp_store_put(cp, device);
    return result == IDM_E_MISMATCH
               ? idm_refuse(refused, IDM_REFUSAL_EK, "another device has this chip or certificate")
               : result;
}

static json_t *proven_json(const char *name, bool known, const struct idm_findings *found)
{
    const struct idm_claims *claims = &found->claims;
    return json_pack("{s:s, s:s, s:I, s:{s:s, s:s, s:b}}", "device", name, "result",
                     !known              ? "enrolled"
                     : found->succession ? "migrated"
                                         : "proven",
                     "epoch", (json_int_t)found->epoch, "claimed", "mode", claims->mode,
                     "legacy_key", claims->legacy, "legacy_key_ever_plain", claims->ever_plain);
}

/* Two challenges may have been open for one name. */
static bool is_ek(const struct idm_challenge *asked, const struct cp_device *known)
{
    char ek[2 * sizeof asked->ek.name + 1];
    idm_hex(asked->ek.name, asked->ek.size, ek);
    return strcmp(ek, known->ek) == 0;
}

unsigned int cp_evidence(struct cp *cp, const char *session, const struct idm_bytes *body,
                         json_t **ret)
{
    char name[CP_NAME_SIZE] = "";
    struct idm_bytes text = {0};
    struct idm_challenge asked = {0};
    struct cp_device known = {0};
    struct cp_device device = {0};
    struct idm_findings found;
    struct idm_refused refused = {0};
    int result = cp_store_take_session(cp, session, name, &text);
    if (result == IDM_E_ABSENT)
        return refuse(ret, "nonce", "no such challenge is open: it was answered, or is too old");
    if (result == 0)
        result = idm_challenge_read(&text, &asked, NULL);
    int there = result == 0 ? cp_store_device(cp, name, &known) : result;
    if (there != 0 && there != IDM_E_ABSENT)
        result = there;
    if (result == 0 && there == 0 && known.ek[0] && !is_ek(&asked, &known))
        result = idm_refuse(&refused, IDM_REFUSAL_EK, "%s is known with another chip", name);
    if (result == 0)
        result = judge(body, &asked, there == 0 ? &known : NULL, &found, &device, &refused);
    if (result == 0)
        result = remember(cp, name, &asked, &found, &device, &refused);
    if (result == 0)
        *ret = proven_json(name, there == 0, &found);
    idm_bytes_free(&text);
    idm_challenge_free(&asked);
    cp_device_free(&known);
    cp_device_free(&device);
    if (result == IDM_E_REFUSED)
        return refuse_as(ret, &refused);
    return result ? failed(ret, result) : 200;
}

/* ---- devices of the old days ---- */

unsigned int cp_register(struct cp *cp, const char *name, const struct idm_bytes *body,
                         json_t **ret)
{
    struct idm_bytes der = {0};
    unsigned char *data = NULL;
    BIO *bio = BIO_new_mem_buf(body->data ? (const void *)body->data : "", (int)body->size);
    X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    int size = cert ? i2d_X509(cert, &data) : -1;
    int result =
        size > 0 && is_name(name) ? idm_bytes_set(&der, data, (size_t)size) : IDM_E_CORRUPT;
    if (result == 0)
        result = cp_store_register(cp, name, &der);
    OPENSSL_free(data);
    X509_free(cert);
    BIO_free(bio);
    idm_bytes_free(&der);
    if (result == IDM_E_CORRUPT)
        return refuse(ret, "format", "a name, and a certificate in PEM, are needed");
    if (result == IDM_E_MISMATCH)
        return refuse(ret, "certificate", "the name or the certificate is known already");
    if (result < 0)
        return failed(ret, result);
    *ret = json_pack("{s:s}", "registered", name);
    return 201;
}
