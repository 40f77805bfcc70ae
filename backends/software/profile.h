/* SPDX-License-Identifier: BSD-2-Clause */
/* profile.h - what certificates of our own and requests for a CA's share: how their key signs them, and
 * what the key may be used for. Thread-safe; nothing here keeps state. */
#ifndef IDM_BACKENDS_SOFTWARE_PROFILE_H
#define IDM_BACKENDS_SOFTWARE_PROFILE_H

#include "backends/backends.h"

#include <openssl/x509.h>

/* How keys of one kind sign certificates (RFC 5758, 3.2; RFC 4055, 5). */
struct idm_scheme {
    const char *type;
    int bits_max; /* of the key */
    enum idm_digest digest;
    int nid;
    int parameters; /* ECDSA has none, RSA has NULL */
};

/* Static; NULL: keys of this kind sign no certificates here. */
const struct idm_scheme *idm_scheme_of(const EVP_PKEY *key);
/* False: out of memory. */
bool idm_scheme_set(X509_ALGOR *algorithm, const struct idm_scheme *scheme);

/* Appends the extension, whose content (NULL: false) stays the caller's. *list may be NULL at first; the
 * caller frees it. False: out of memory. */
bool idm_extension_add(STACK_OF(X509_EXTENSION) * *list, int nid, bool critical, void *content);
/* Key usage digitalSignature (critical), extended key usage clientAuth and serverAuth (RFC 5280, 4.2.1.3
 * and 4.2.1.12). False: out of memory. */
bool idm_tls_usage_add(STACK_OF(X509_EXTENSION) * *list);

#endif
