/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/attest/internal.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHAIN_MAX 65536u

/* ---- certificates ---- */

/* Indices are often larger than what is in them: zeros, or the ones of fresh flash. */
static bool is_padding(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != 0 && bytes[i] != 0xff)
            return false;
    return true;
}

/* The certificate at the front, and its size; the caller's to free. */
static X509 *front(const uint8_t *bytes, size_t size, size_t *ret_size)
{
    const unsigned char *end = bytes;
    X509 *x509 = d2i_X509(NULL, &end, (long)size);
    *ret_size = (size_t)(end - bytes);
    ERR_clear_error();
    return x509;
}

/* SubjectPublicKey's bits are the key, under whatever algorithm name: older makers say RSAES-OAEP, which
 * OpenSSL makes no key of (RFC 5280, 4.1.2.7). */
static bool is_for(const X509 *x509, const TPM2B_PUBLIC *area)
{
    const ASN1_BIT_STRING *bits = X509_get0_pubkey_bitstr(x509);
    EVP_PKEY *key = NULL;
    unsigned char *der = NULL;
    bool same = false;
    if (bits && idm_public_evp(area, &key) == 0) {
        int size = i2d_PublicKey(key, &der);
        same = size > 0 && size == bits->length && memcmp(der, bits->data, (size_t)size) == 0;
    }
    OPENSSL_free(der);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return same;
}

static int read_certificate(struct idm_tpm *tpm, struct idm_nv_list *list, struct idm_ek *ek,
                            struct idm_error *err)
{
    const struct idm_what what = idm_what_at("read the EK certificate at", ek->kind->certificate);
    _cleanup_bytes_ struct idm_bytes bytes = {0};
    size_t size = 0;
    int rc = idm_nv_read(tpm, list, ek->kind->certificate, &bytes, err);
    if (rc == IDM_E_ABSENT)
        (void)snprintf(ek->why, sizeof ek->why, "the index of its certificate was never written");
    if (rc)
        return rc == IDM_E_ABSENT ? 0 : rc;
    X509 *x509 = front(bytes.data, bytes.size, &size);
    if (!x509 || !is_padding(bytes.data + size, bytes.size - size)) {
        X509_free(x509);
        return idm_fail(err, IDM_E_CORRUPT, what.text, "it is no certificate");
    }
    ek->matches = ek->made && is_for(x509, &ek->area);
    X509_free(x509);
    if (ek->made && !ek->matches)
        (void)snprintf(ek->why, sizeof ek->why, "%s",
                       "the certificate is for another key than the chip makes from this template");
    rc = idm_bytes_set(&ek->certificate, bytes.data, size);
    return rc ? idm_fail(err, rc, what.text, "%s", idm_error_sentence(rc)) : 0;
}

/* What cannot be read of a chain is left out: it proves nothing by itself, and its reader has roots. */
static bool only_this_one(int rc)
{
    return rc == IDM_E_ABSENT || rc == IDM_E_REFUSED || rc == IDM_E_CORRUPT;
}

static int read_stream(struct idm_tpm *tpm, struct idm_nv_list *list, uint8_t stream[CHAIN_MAX],
                       size_t *ret_size, struct idm_error *err)
{
    size_t size = 0;
    for (size_t i = 0; i < list->count; i++) {
        _cleanup_bytes_ struct idm_bytes bytes = {0};
        if (list->index[i] < IDM_EK_CHAIN_FIRST)
            continue;
        int rc = idm_nv_read(tpm, list, list->index[i], &bytes, err);
        if (rc && !only_this_one(rc))
            return rc;
        if (bytes.size == 0 || bytes.size > CHAIN_MAX - size)
            continue;
        memcpy(stream + size, bytes.data, bytes.size);
        size += bytes.size;
    }
    *ret_size = size;
    return 0;
}

/* Moves the certificates together; their size. */
static size_t keep_certificates(uint8_t *stream, size_t size)
{
    size_t kept = 0;
    for (size_t at = 0; at < size;) {
        size_t one = 0;
        bool padding = stream[at] == 0 || stream[at] == 0xff;
        X509 *x509 = padding ? NULL : front(stream + at, size - at, &one);
        if (x509) {
            memmove(stream + kept, stream + at, one);
            kept += one;
        }
        at += x509 ? one : 1;
        X509_free(x509);
    }
    return kept;
}

/* One stream of certificates, however the maker cut it into indices. */
static int read_chain(struct idm_tpm *tpm, struct idm_nv_list *list, struct idm_bytes *ret,
                      struct idm_error *err)
{
    static const char what[] = "read the EK's certificate chain";
    uint8_t *stream = malloc(CHAIN_MAX);
    size_t size = 0;
    if (!stream)
        return idm_fail(err, IDM_E_MEMORY, what, "out of memory");
    int rc = read_stream(tpm, list, stream, &size, err);
    if (rc == 0 && (size = keep_certificates(stream, size)) > 0) {
        rc = idm_bytes_set(ret, stream, size);
        rc = rc ? idm_fail(err, rc, what, "%s", idm_error_sentence(rc)) : 0;
    }
    free(stream);
    return rc;
}

/* ---- keys ---- */

/* An index that is defined and was never written prescribes nothing. */
static int read_if_there(struct idm_tpm *tpm, struct idm_nv_list *list, uint32_t index,
                         struct idm_bytes *ret, struct idm_error *err)
{
    int rc = idm_nv_has(list, index) ? idm_nv_read(tpm, list, index, ret, err) : 0;
    return rc == IDM_E_ABSENT ? 0 : rc;
}

int idm_ek_template_of(struct idm_tpm *tpm, struct idm_nv_list *list,
                       const struct idm_ek_kind *kind, TPM2B_PUBLIC *ret, struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes template = {0};
    _cleanup_bytes_ struct idm_bytes nonce = {0};
    int rc = read_if_there(tpm, list, kind->template, &template, err);
    if (rc == 0)
        rc = read_if_there(tpm, list, kind->nonce, &nonce, err);
    if (rc)
        return rc;
    if (!template.data)
        idm_ek_template(kind, ret);
    else if (idm_ek_template_given(kind, template.data, template.size, ret))
        return idm_fail(err, IDM_E_CORRUPT,
                        idm_what_at("read the EK template at", kind->template).text,
                        "it is no template of an endorsement key");
    if (nonce.data)
        idm_ek_add_nonce(nonce.data, nonce.size, ret);
    return 0;
}

int idm_ek_make(struct idm_tpm *tpm, const TPM2B_PUBLIC *template, struct idm_tpm_ref *ret,
                TPM2B_PUBLIC *ret_area, struct idm_error *err)
{
    static const char what[] = "make the endorsement key";
    const TPM2B_SENSITIVE_CREATE nothing = {0};
    const TPM2B_DATA outside = {0};
    const TPML_PCR_SELECTION no_pcr = {0};
    TPM2B_PUBLIC *area = NULL;
    ESYS_TR tr = ESYS_TR_NONE;
    TSS2_RC rc;
    int result = idm_tpm_ready(tpm, what, err);
    if (result)
        return result;
    IDM_TPM_COMMAND(tpm, rc,
                    Esys_CreatePrimary(tpm->esys, ESYS_TR_RH_ENDORSEMENT, ESYS_TR_PASSWORD,
                                       ESYS_TR_NONE, ESYS_TR_NONE, &nothing, template, &outside,
                                       &no_pcr, &tr, &area, NULL, NULL, NULL));
    if (rc != TSS2_RC_SUCCESS) {
        result = idm_tpm_fail(tpm, rc, what, err);
        if (result == IDM_E_TPM_OWNED)
            (void)idm_advise(err,
                             "the endorsement hierarchy has an authorisation that is not empty");
        return result;
    }
    _cleanup_ref_ struct idm_tpm_ref made = IDM_TPM_REF_EMPTY;
    result = idm_tpm_ref_take(&made, tpm, tr, err);
    if (result == 0 && !idm_public_same_template(area, template))
        result = idm_fail(err, IDM_E_TPM_OTHER, what, "the TPM made another key than asked for");
    if (result == 0) {
        *ret_area = *area;
        *ret = made;
        made = (struct idm_tpm_ref)IDM_TPM_REF_EMPTY;
    }
    Esys_Free(area);
    return result;
}

/* A chip need not be able to make every key that its maker gave it a certificate for. */
static int make_key(struct idm_tpm *tpm, struct idm_nv_list *list, struct idm_ek *ek,
                    struct idm_error *err)
{
    TPM2B_PUBLIC template;
    struct idm_error why = {0};
    int rc = idm_ek_template_of(tpm, list, ek->kind, &template, err);
    if (rc)
        return rc;
    {
        _cleanup_ref_ struct idm_tpm_ref made = IDM_TPM_REF_EMPTY;
        rc = idm_ek_make(tpm, &template, &made, &ek->area, &why);
    }
    if (rc == IDM_E_TPM_OTHER) {
        (void)snprintf(ek->why, sizeof ek->why, "%s", why.why);
        return 0;
    }
    if (rc) {
        if (err)
            *err = why;
        return rc;
    }
    rc = idm_ek_name(&ek->area, &ek->name);
    ek->made = rc == 0;
    return rc ? idm_fail(err, rc, "make the endorsement key", "no Name") : 0;
}

static int add(struct idm_tpm *tpm, struct idm_nv_list *list, const struct idm_ek_kind *kind,
               struct idm_ek_list *ret, struct idm_error *err)
{
    struct idm_ek *ek = &ret->ek[ret->count++];
    *ek = (struct idm_ek){.kind = kind};
    int rc = make_key(tpm, list, ek, err);
    if (rc == 0 && idm_nv_has(list, kind->certificate))
        rc = read_certificate(tpm, list, ek, err);
    return rc;
}

int idm_ek_read(struct idm_tpm *tpm, struct idm_ek_list *ret, struct idm_error *err)
{
    struct idm_nv_list list;
    _cleanup_ek_list_ struct idm_ek_list found = {0};
    int rc = idm_nv_list(tpm, &list, err);
    for (size_t i = 0; rc == 0 && i < IDM_EK_KINDS; i++)
        if (idm_nv_has(&list, idm_ek_kinds[i].certificate))
            rc = add(tpm, &list, &idm_ek_kinds[i], &found, err);
    if (rc == 0 && found.count == 0)
        rc = add(tpm, &list, &idm_ek_kinds[1], &found, err);
    if (rc == 0)
        rc = read_chain(tpm, &list, &found.chain, err);
    if (rc)
        return rc;
    *ret = found;
    found = (struct idm_ek_list){0};
    return 0;
}

void idm_ek_list_free(struct idm_ek_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        idm_bytes_free(&list->ek[i].certificate);
    idm_bytes_free(&list->chain);
    *list = (struct idm_ek_list){0};
}
