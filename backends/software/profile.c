/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/software/profile.h"

#include <openssl/x509v3.h>

const struct idm_scheme *idm_scheme_of(const EVP_PKEY *key)
{
    static const struct idm_scheme schemes[] = {
        {"EC", 256, IDM_SHA256, NID_ecdsa_with_SHA256, V_ASN1_UNDEF},
        {"EC", 384, IDM_SHA384, NID_ecdsa_with_SHA384, V_ASN1_UNDEF},
        {"EC", 571, IDM_SHA512, NID_ecdsa_with_SHA512, V_ASN1_UNDEF},
        {"RSA", 16384, IDM_SHA256, NID_sha256WithRSAEncryption, V_ASN1_NULL},
    };
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (EVP_PKEY_is_a(key, schemes[i].type) && EVP_PKEY_get_bits(key) <= schemes[i].bits_max)
            return &schemes[i];
    }
    return NULL;
}

bool idm_scheme_set(X509_ALGOR *algorithm, const struct idm_scheme *scheme)
{
    return X509_ALGOR_set0(algorithm, OBJ_nid2obj(scheme->nid), scheme->parameters, NULL) == 1;
}

bool idm_extension_add(STACK_OF(X509_EXTENSION) * *list, int nid, bool critical, void *content)
{
    X509_EXTENSION *extension = content ? X509V3_EXT_i2d(nid, critical, content) : NULL;
    bool ok = extension && X509v3_add_ext(list, extension, -1);
    X509_EXTENSION_free(extension);
    return ok;
}

static bool add_key_usage(STACK_OF(X509_EXTENSION) * *list)
{
    enum { DIGITAL_SIGNATURE = 0 }; /* RFC 5280, 4.2.1.3: bit number */
    ASN1_BIT_STRING *content = ASN1_BIT_STRING_new();
    bool ok = content && ASN1_BIT_STRING_set_bit(content, DIGITAL_SIGNATURE, 1) &&
              idm_extension_add(list, NID_key_usage, true, content);
    ASN1_BIT_STRING_free(content);
    return ok;
}

static bool add_extended_key_usage(STACK_OF(X509_EXTENSION) * *list)
{
    EXTENDED_KEY_USAGE *content = sk_ASN1_OBJECT_new_null();
    bool ok = content && sk_ASN1_OBJECT_push(content, OBJ_nid2obj(NID_client_auth)) > 0 &&
              sk_ASN1_OBJECT_push(content, OBJ_nid2obj(NID_server_auth)) > 0 &&
              idm_extension_add(list, NID_ext_key_usage, false, content);
    sk_ASN1_OBJECT_free(content);
    return ok;
}

bool idm_tls_usage_add(STACK_OF(X509_EXTENSION) * *list)
{
    return add_key_usage(list) && add_extended_key_usage(list);
}
