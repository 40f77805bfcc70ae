/* SPDX-License-Identifier: BSD-2-Clause */
/* keys.c - ek, ak, activate: the first round. */
#include "cli/attest/attest.h"

#include <openssl/crypto.h>
#include <openssl/x509.h>
#include <string.h>

static json_t *text_or_null(const char *text)
{
    return text[0] ? json_string(text) : json_null();
}

static json_t *ek_json(const struct idm_ek *ek)
{
    bool certified = ek->certificate.size > 0;
    char index[16] = "";
    if (certified)
        (void)snprintf(index, sizeof index, "0x%08x", ek->kind->certificate);
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:b, s:o}", "template", ek->kind->name, "name",
                     ek->made ? idm_attest_hex(ek->name.name, ek->name.size) : json_null(),
                     "public", ek->made ? idm_json_public(&ek->area) : json_null(), "index",
                     text_or_null(index), "certificate",
                     certified ? idm_json_base64(ek->certificate.data, ek->certificate.size)
                               : json_null(),
                     "matches", (int)ek->matches, "why", text_or_null(ek->why));
}

/* DER certificates, one after the other, as idm_ek_read leaves them. */
static json_t *chain_json(const struct idm_bytes *chain)
{
    json_t *list = json_array();
    const unsigned char *at = chain->data;
    const unsigned char *end = chain->data + chain->size;
    while (list && at && at < end) {
        const unsigned char *begin = at;
        X509 *x509 = d2i_X509(NULL, &at, end - at);
        if (!x509)
            break;
        X509_free(x509);
        (void)json_array_append_new(list, idm_json_base64(begin, (size_t)(at - begin)));
    }
    return list;
}

static json_t *eks_json(const struct idm_ek_list *list)
{
    json_t *keys = json_array();
    for (size_t i = 0; keys && i < list->count; i++)
        if (json_array_append_new(keys, ek_json(&list->ek[i]))) {
            json_decref(keys);
            return NULL;
        }
    return keys;
}

int idm_attest_ek(struct idm_attester *a, struct idm_error *err)
{
    _cleanup_ek_list_ struct idm_ek_list list = {0};
    struct idm_tpm_info info;
    int rc = idm_tpm_info(a->tpm, &info, err);
    if (rc == 0)
        rc = idm_ek_read(a->tpm, &list, err);
    if (rc)
        return rc;
    json_t *document = json_pack("{s:s, s:i, s:s, s:s, s:o, s:o}", "type", "idmode-ek", "version",
                                 1, "manufacturer", info.manufacturer, "firmware", info.firmware,
                                 "keys", eks_json(&list), "chain", chain_json(&list.chain));
    return idm_attest_print(a->session.options, document, false, err);
}

int idm_attest_ak(struct idm_attester *a, struct idm_error *err)
{
    uint8_t name[IDM_NAME_SIZE];
    int rc = idm_attester_look(a, err);
    if (rc == 0 && !a->ak)
        rc = idm_attester_make_key(a, err);
    if (rc)
        return rc;
    const TPM2B_PUBLIC *area = &a->ak->key.public_area;
    rc = idm_public_name(area, name);
    if (rc)
        return idm_fail(err, rc, "attest", "%s", idm_error_sentence(rc));
    json_t *document = json_pack("{s:s, s:i, s:s, s:o, s:o, s:o}", "type", "idmode-ak", "version",
                                 1, "service", a->ak->service, "name",
                                 idm_attest_hex(name, sizeof name), "public", idm_json_public(area),
                                 "parents", idm_json_publics(a->ak->parents, a->ak->parent_count));
    return idm_attest_print(a->session.options, document, false, err);
}

int idm_attest_activate(struct idm_attester *a, struct idm_error *err)
{
    const struct idm_options *options = a->session.options;
    const struct idm_attest_challenge *c = &a->challenge;
    int rc = idm_attester_look(a, err);
    if (rc == 0)
        rc = idm_attester_activate(a, err);
    if (rc)
        return rc;
    if (!options->json)
        return idm_write_out(options, c->secret, c->secret_size, err);
    return idm_attest_print(options,
                            json_pack("{s:o}", "secret", idm_attest_hex(c->secret, c->secret_size)),
                            false, err);
}
