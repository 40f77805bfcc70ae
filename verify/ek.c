/* SPDX-License-Identifier: BSD-2-Clause */
#include "verify/ek.h"

#include "backends/attest/template.h"
#include "backends/software/ossl.h"
#include "backends/tpm/public.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#define CHAIN_MAX 8 /* certificates below the root: makers use three */
#define AUTH_LEVEL                                                                                 \
    2 /* 112 bits: no SHA-1, no RSA below 2048 (SSL_CTX_set_security_level(3))                     \
       */

/* TCG OID registry: arc 2.23.133. */
#define OID_MANUFACTURER "2.23.133.2.1"
#define OID_MODEL        "2.23.133.2.2"
#define OID_VERSION      "2.23.133.2.3"
#define OID_EK_CERT      "2.23.133.8.1"
#define OID_DIRECTORY    "2.5.29.9" /* subjectDirectoryAttributes: the profile's TPM specification */

static const char what[] = "verify the EK certificate";

/* ---- templates ---- */

const char *idm_ek_template_name(const TPM2B_PUBLIC *area)
{
    const TPMA_OBJECT needed = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                               TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;
    for (size_t i = 0; i < IDM_EK_KINDS; i++) {
        TPM2B_PUBLIC wanted;
        idm_ek_template(&idm_ek_kinds[i], &wanted);
        if (idm_public_same_template(area, &wanted))
            return idm_ek_kinds[i].name;
    }
    /* A chip may hold a template of its maker's own (profile 2.2.1.4). What it says is worth something only
     * with the maker's certificate. */
    return (area->publicArea.objectAttributes & (needed | TPMA_OBJECT_SIGN_ENCRYPT)) == needed
               ? "own"
               : NULL;
}

/* ---- trust ---- */

static void stack_free(STACK_OF(X509) * *stack)
{
    sk_X509_pop_free(*stack, X509_free);
    *stack = NULL;
}

/* Adds every certificate of a PEM text; how many, or negative. */
static int read_pem(const struct idm_bytes *pem, STACK_OF(X509) * stack)
{
    _cleanup_bio_ BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->size);
    int count = 0;
    if (!bio)
        return IDM_E_MEMORY;
    for (X509 *cert = NULL; (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)); count++)
        if (!sk_X509_push(stack, cert)) {
            X509_free(cert);
            return IDM_E_MEMORY;
        }
    unsigned long last = ERR_peek_last_error();
    bool end = ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
    return end && count ? count : IDM_E_CORRUPT;
}

static int add_roots(X509_STORE *store, const struct idm_bytes *pem)
{
    STACK_OF(X509) *certs = sk_X509_new_null();
    int result = certs ? read_pem(pem, certs) : IDM_E_MEMORY;
    for (int i = 0; result > 0 && i < sk_X509_num(certs); i++)
        if (X509_STORE_add_cert(store, sk_X509_value(certs, i)) != 1)
            result = IDM_E_CRYPTO;
    stack_free(&certs);
    return result < 0 ? result : 0;
}

int idm_ek_trust_set(struct idm_ek_trust *ret, const struct idm_bytes *roots,
                     const struct idm_bytes *others, struct idm_error *err)
{
    _ossl_queue_ bool queue = idm_ossl_begin();
    *ret = (struct idm_ek_trust){.roots = X509_STORE_new(), .others = sk_X509_new_null()};
    if (!ret->roots || !ret->others)
        return idm_fail(err, IDM_E_MEMORY, what, "%s", idm_error_sentence(IDM_E_MEMORY));
    int result = add_roots(ret->roots, roots);
    if (result < 0)
        return idm_ossl_fail(err, result, "read the roots", "not PEM certificates");
    result = others ? read_pem(others, ret->others) : 0;
    if (result < 0)
        return idm_ossl_fail(err, result, "read the intermediate certificates",
                             "not PEM certificates");
    return 0;
}

void idm_ek_trust_free(struct idm_ek_trust *trust)
{
    X509_STORE_free(trust->roots);
    stack_free(&trust->others);
    trust->roots = NULL;
}

/* ---- one certificate ---- */

static bool is_oid(const ASN1_OBJECT *object, const char *oid)
{
    char text[64];
    int length = OBJ_obj2txt(text, sizeof text, object, 1);
    return length > 0 && (size_t)length < sizeof text && strcmp(text, oid) == 0;
}

/* Printable ASCII, others as '?', cut to size. */
static void keep_text(const ASN1_STRING *value, char ret[IDM_EK_TEXT_SIZE])
{
    const uint8_t *data = ASN1_STRING_get0_data(value);
    size_t size = (size_t)ASN1_STRING_length(value);
    size_t i = 0;
    for (; i < size && i + 1 < IDM_EK_TEXT_SIZE; i++)
        ret[i] = data[i] >= 0x20 && data[i] < 0x7f ? (char)data[i] : '?';
    ret[i] = 0;
}

static void keep_attributes(const X509_NAME *name, struct idm_ek_cert *ret)
{
    for (int i = 0; i < X509_NAME_entry_count(name); i++) {
        const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
        const ASN1_OBJECT *object = X509_NAME_ENTRY_get_object(entry);
        const ASN1_STRING *value = X509_NAME_ENTRY_get_data(entry);
        if (is_oid(object, OID_MANUFACTURER))
            keep_text(value, ret->manufacturer);
        else if (is_oid(object, OID_MODEL))
            keep_text(value, ret->model);
        else if (is_oid(object, OID_VERSION))
            keep_text(value, ret->version);
    }
}

/* Profile 3.2.9: the TPM's attributes stand in a directory name of the SAN. */
static bool names_a_tpm(const X509 *cert, struct idm_ek_cert *ret)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DIRNAME)
            keep_attributes(name->d.directoryName, ret);
    }
    GENERAL_NAMES_free(names);
    return ret->manufacturer[0] && ret->model[0] && ret->version[0];
}

static bool usable_as_ek(X509 *cert)
{
    int critical = 0;
    EXTENDED_KEY_USAGE *uses = X509_get_ext_d2i(cert, NID_ext_key_usage, &critical, NULL);
    bool good = !uses && critical == -1; /* -1: there is none */
    for (int i = 0; uses && i < sk_ASN1_OBJECT_num(uses); i++)
        good = good || is_oid(sk_ASN1_OBJECT_value(uses, i), OID_EK_CERT);
    EXTENDED_KEY_USAGE_free(uses);
    uint32_t usage = X509_get_key_usage(cert); /* all bits where the extension is not there */
    return good && (usage & (KU_KEY_ENCIPHERMENT | KU_KEY_AGREEMENT)) && X509_check_ca(cert) == 0;
}

/* ---- the key ---- */

/* Older makers (Infineon among them) name the key's algorithm RSAES-OAEP (RFC 4055, 4.1), which OpenSSL 3.0 makes
 * no key of. The bits are an RSAPublicKey all the same. */
static bool is_oaep(const X509 *cert)
{
    ASN1_OBJECT *algorithm = NULL;
    const X509_PUBKEY *key = X509_get_X509_PUBKEY(cert);
    return X509_PUBKEY_get0_param(&algorithm, NULL, NULL, NULL, key) == 1 &&
           OBJ_obj2nid(algorithm) == NID_rsaesOaep;
}

static bool same_bits(const X509 *cert, const EVP_PKEY *key)
{
    const ASN1_BIT_STRING *bits = X509_get0_pubkey_bitstr(cert);
    unsigned char *der = NULL;
    int size = i2d_PublicKey(key, &der);
    bool same =
        bits && size > 0 && size == bits->length && memcmp(der, bits->data, (size_t)size) == 0;
    OPENSSL_free(der);
    return same;
}

/* Where it is, the certificate has a key that OpenSSL understands: one that was named RSAES-OAEP gets its other
 * name in the parsed copy, since a chain from a key unknown to it is none. The signature stays one over the bytes
 * that were read, which the copy keeps; were they made anew, the signature would not be good. */
static bool is_for(X509 *cert, EVP_PKEY *key)
{
    const EVP_PKEY *certified = X509_get0_pubkey(cert);
    if (certified)
        return EVP_PKEY_eq(certified, key) == 1;
    return is_oaep(cert) && same_bits(cert, key) && X509_set_pubkey(cert, key) == 1;
}

/* ---- the chain ---- */

/* Only the EK's own certificate, and only what the profile says about the TPM in words. */
static bool critical_is_known(X509 *cert)
{
    for (int i = 0; i < X509_get_ext_count(cert); i++) {
        X509_EXTENSION *extension = X509_get_ext(cert, i);
        if (X509_EXTENSION_get_critical(extension) && !X509_supported_extension(extension) &&
            !is_oid(X509_EXTENSION_get_object(extension), OID_DIRECTORY))
            return false;
    }
    return true;
}

static int on_error(int good, X509_STORE_CTX *ctx)
{
    return good || (X509_STORE_CTX_get_error(ctx) == X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION &&
                    X509_STORE_CTX_get_error_depth(ctx) == 0 &&
                    critical_is_known(X509_STORE_CTX_get_current_cert(ctx)));
}

/* All that may help, in a stack that owns its certificates. */
static STACK_OF(X509) *
    helpers(const struct idm_ek_trust *trust, const struct idm_bytes *chain, size_t count)
{
    STACK_OF(X509) *all = X509_chain_up_ref(trust->others);
    for (size_t i = 0; all && i < count; i++) {
        const uint8_t *at = chain[i].data;
        X509 *cert = d2i_X509(NULL, &at, (long)chain[i].size);
        if (cert && !sk_X509_push(all, cert)) /* what does not parse does not help */
            X509_free(cert);
    }
    return all;
}

static int chain_leads_up(const struct idm_ek_trust *trust, X509 *cert, STACK_OF(X509) * others,
                          int64_t now, struct idm_error *err)
{
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    if (!ctx || !others || X509_STORE_CTX_init(ctx, trust->roots, cert, others) != 1) {
        X509_STORE_CTX_free(ctx);
        return idm_ossl_fail(err, IDM_E_MEMORY, what, "no memory for a chain");
    }
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_time(param, (time_t)now);
    X509_VERIFY_PARAM_set_depth(param, CHAIN_MAX);
    X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
    (void)X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
    X509_STORE_CTX_set_verify_cb(ctx, on_error);
    int result = 0;
    if (X509_verify_cert(ctx) != 1)
        result = idm_fail(err, IDM_E_REFUSED, what, "no chain to the given roots: %s",
                          X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
    X509_STORE_CTX_free(ctx);
    return result;
}

/* ---- all of it ---- */

static int fits(X509 *cert, const TPM2B_PUBLIC *ek, struct idm_ek_cert *ret, struct idm_error *err)
{
    _cleanup_pkey_ EVP_PKEY *key = NULL;
    int result = idm_public_evp(ek, &key);
    if (result < 0)
        return idm_fail(err, result, what, "the EK's public area holds no key");
    if (!is_for(cert, key))
        return idm_fail(err, IDM_E_REFUSED, what, "the certificate is another key's");
    if (!names_a_tpm(cert, ret))
        return idm_fail(err, IDM_E_REFUSED, what,
                        "it does not name a TPM's maker, model and version");
    if (!usable_as_ek(cert))
        return idm_fail(err, IDM_E_REFUSED, what, "it was not issued for an EK");
    return 0;
}

int idm_ek_certified(const struct idm_ek_trust *trust, const TPM2B_PUBLIC *ek,
                     const struct idm_bytes *cert, const struct idm_bytes *chain,
                     size_t chain_count, int64_t now, struct idm_ek_cert *ret,
                     struct idm_error *err)
{
    _ossl_queue_ bool queue = idm_ossl_begin();
    struct idm_ek_cert found = {0};
    const uint8_t *at = cert->data;
    _cleanup_x509_ X509 *leaf = d2i_X509(NULL, &at, (long)cert->size);
    if (!leaf || at != cert->data + cert->size)
        return idm_ossl_fail(err, IDM_E_CORRUPT, what, "it is not one DER certificate");
    int result = fits(leaf, ek, &found, err);
    if (result < 0)
        return result;
    if (trust) {
        STACK_OF(X509) *others = helpers(trust, chain, chain_count);
        result = chain_leads_up(trust, leaf, others, now, err);
        stack_free(&others);
    }
    if (result == 0)
        result = idm_sha256(cert->data, cert->size, found.sha256);
    if (result < 0)
        return result;
    (void)X509_NAME_oneline(X509_get_issuer_name(leaf), found.issuer, sizeof found.issuer);
    *ret = found;
    return 0;
}
