/* SPDX-License-Identifier: BSD-2-Clause */
#include "verify/enrol.h"

#include "verify/credential.h"
#include "verify/members.h"
#include "verify/wire.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#define AT(field)      offsetof(struct read, field)
#define COUNT(members) (sizeof(members) / sizeof *(members))
#define RANDOM_SIZE    32u

/* ---- EKs ---- */

static void refuse_ek(struct idm_ek_finding *finding, const char *why)
{
    finding->state = IDM_EK_REFUSED;
    (void)snprintf(finding->why, sizeof finding->why, "%s", why);
}

/* 0, also when the key is refused. */
static int examine(const struct idm_ek_entry *entry, const struct idm_list *chain,
                   const struct idm_ek_trust *trust, int64_t now, struct idm_ek_finding *ret,
                   struct idm_error *err)
{
    struct idm_error why = {0};
    *ret = (struct idm_ek_finding){0};
    if (entry->public.size == 0) {
        (void)snprintf(ret->why, sizeof ret->why, "the chip could not make the key");
        return 0;
    }
    if (idm_wire_public(&entry->public, &ret->area) < 0) {
        refuse_ek(ret, "it is no TPM2B_PUBLIC");
        return 0;
    }
    ret->template = idm_ek_template_name(&ret->area);
    if (!ret->template) {
        refuse_ek(ret, "its public area is none that an EK template makes");
        return 0;
    }
    int result = idm_wire_name(&ret->area, &ret->name);
    ret->state = entry->certificate.size ? IDM_EK_CERTIFIED : IDM_EK_BARE;
    if (result == 0 && ret->state == IDM_EK_CERTIFIED)
        result = idm_ek_certified(trust, &ret->area, &entry->certificate, chain->item, chain->count,
                                  now, &ret->cert, &why);
    if (result == IDM_E_REFUSED || result == IDM_E_CORRUPT) {
        refuse_ek(ret, why.why);
        return 0;
    }
    return result < 0 ? idm_fail(err, result, "examine an EK", "%s", idm_error_sentence(result))
                      : 0;
}

int idm_ek_examine(const struct idm_ek_document *document, const struct idm_ek_trust *trust,
                   int64_t now, struct idm_ek_finding ret[IDM_LIST_MAX], struct idm_error *err)
{
    for (size_t i = 0; i < document->count; i++) {
        int result = examine(&document->key[i], &document->chain, trust, now, &ret[i], err);
        if (result < 0)
            return result;
    }
    return 0;
}

static const struct idm_ek_finding *first(const struct idm_ek_finding findings[], size_t count,
                                          enum idm_ek_state state, const char *template)
{
    for (size_t i = 0; i < count; i++)
        if (findings[i].state == state &&
            (!template || strcmp(findings[i].template, template) == 0))
            return &findings[i];
    return NULL;
}

int idm_ek_choose(const struct idm_ek_finding findings[], size_t count, const char *template,
                  bool bare, const struct idm_ek_finding **ret, struct idm_refused *refused)
{
    const struct idm_ek_finding *found = first(findings, count, IDM_EK_REFUSED, NULL);
    if (found)
        return idm_refuse(refused, IDM_REFUSAL_EK, "%s", found->why);
    found = first(findings, count, IDM_EK_CERTIFIED, template);
    if (!found && bare)
        found = first(findings, count, IDM_EK_BARE, template);
    if (found) {
        *ret = found;
        return 0;
    }
    if (first(findings, count, IDM_EK_CERTIFIED, NULL))
        return idm_refuse(refused, IDM_REFUSAL_EK, "no EK of the template %s", template);
    if (first(findings, count, IDM_EK_UNMADE, NULL))
        return idm_refuse(refused, IDM_REFUSAL_EK, "the chip made none of its certified EKs");
    return idm_refuse(refused, IDM_REFUSAL_NO_CERTIFICATE,
                      "any chip, or software, may have made this EK");
}

/* ---- challenge ---- */

void idm_challenge_free(struct idm_challenge *challenge)
{
    idm_bytes_free(&challenge->nonce);
    idm_bytes_free(&challenge->secret);
}

int idm_name_set(const struct idm_bytes *bytes, TPM2B_NAME *ret)
{
    if (bytes->size == 0 || bytes->size > sizeof ret->name)
        return IDM_E_CORRUPT;
    *ret = (TPM2B_NAME){.size = (UINT16)bytes->size};
    memcpy(ret->name, bytes->data, bytes->size);
    return 0;
}

static int random_bytes(struct idm_bytes *ret)
{
    int result = idm_bytes_set(ret, NULL, RANDOM_SIZE);
    if (result == 0 && RAND_priv_bytes(ret->data, RANDOM_SIZE) != 1)
        result = IDM_E_CRYPTO;
    return result;
}

int idm_challenge_make(const TPM2B_PUBLIC *ek, const struct idm_ak_document *ak,
                       struct idm_challenge *ret, struct idm_bytes *ret_credential,
                       struct idm_refused *refused)
{
    struct idm_ak_key opened = {0};
    struct idm_challenge challenge = {0};
    struct idm_error err = {0};
    int result = idm_ak_key_open(&ak->public, &ak->parents, &opened, refused);
    idm_ak_key_free(&opened);
    if (result == 0)
        result = idm_wire_name(ek, &challenge.ek);
    if (result == 0)
        result = random_bytes(&challenge.nonce);
    if (result == 0)
        result = random_bytes(&challenge.secret);
    if (result == 0)
        result = idm_credential_make(ek, &opened.name, challenge.secret.data, challenge.secret.size,
                                     ret_credential, &err);
    if (result == IDM_E_CORRUPT || result == IDM_E_USAGE)
        result = idm_refuse(refused, IDM_REFUSAL_EK, "%s", err.why);
    if (result < 0) {
        idm_challenge_free(&challenge);
        return result;
    }
    challenge.ak = opened.name;
    memcpy(challenge.service, ak->service, sizeof challenge.service);
    idm_challenge_free(ret);
    *ret = challenge;
    return 0;
}

/* ---- what is remembered ---- */

int idm_challenge_write(const struct idm_challenge *challenge, struct idm_bytes *ret)
{
    char ek[2 * sizeof challenge->ek.name + 1];
    char ak[2 * sizeof challenge->ak.name + 1];
    char nonce[2 * IDM_NONCE_MAX + 1];
    char secret[2 * IDM_SECRET_MAX + 1];
    char text[1024];
    if (challenge->nonce.size > IDM_NONCE_MAX || challenge->secret.size > IDM_SECRET_MAX)
        return IDM_E_USAGE;
    idm_hex(challenge->ek.name, challenge->ek.size, ek);
    idm_hex(challenge->ak.name, challenge->ak.size, ak);
    idm_hex(challenge->nonce.data, challenge->nonce.size, nonce);
    idm_hex(challenge->secret.data, challenge->secret.size, secret);
    int size = snprintf(text, sizeof text,
                        "{\"type\": \"idmode-challenge\", \"version\": 1, \"service\": \"%s\",\n"
                        " \"ek\": \"%s\",\n \"ak\": \"%s\",\n \"nonce\": \"%s\",\n"
                        " \"secret\": \"%s\"}\n",
                        challenge->service, ek, ak, nonce, secret);
    int result = size > 0 && (size_t)size < sizeof text ? idm_bytes_set(ret, text, (size_t)size)
                                                        : IDM_E_INTERNAL;
    OPENSSL_cleanse(secret, sizeof secret);
    OPENSSL_cleanse(text, sizeof text);
    return result;
}

int idm_challenge_read(const struct idm_bytes *text, struct idm_challenge *ret,
                       struct idm_error *err)
{
    struct read {
        struct idm_challenge challenge;
        struct idm_bytes ek, ak;
    } read = {0};
    static const struct idm_member members[] = {
        {"type", IDM_M_CONSTANT, 0, "idmode-challenge"},
        {"version", IDM_M_CONSTANT, 0, "1"},
        {"service", IDM_M_SERVICE, AT(challenge.service), NULL},
        {"ek", IDM_M_HEX, AT(ek), NULL},
        {"ak", IDM_M_HEX, AT(ak), NULL},
        {"nonce", IDM_M_HEX, AT(challenge.nonce), NULL},
        {"secret", IDM_M_HEX, AT(challenge.secret), NULL},
    };
    _cleanup_json_ json_t *object = NULL;
    int result = idm_members_load(text, &object, err);
    if (result == 0)
        result = idm_members_read(object, members, COUNT(members), &read, err);
    if (result == 0 &&
        (idm_name_set(&read.ek, &read.challenge.ek) < 0 ||
         idm_name_set(&read.ak, &read.challenge.ak) < 0 || read.challenge.secret.size == 0 ||
         read.challenge.secret.size > IDM_SECRET_MAX))
        result = idm_fail(err, IDM_E_CORRUPT, "read the challenge", "a size is wrong");
    idm_bytes_free(&read.ek);
    idm_bytes_free(&read.ak);
    if (result < 0) {
        idm_challenge_free(&read.challenge);
        return result;
    }
    idm_challenge_free(ret);
    *ret = read.challenge;
    return 0;
}
