/* SPDX-License-Identifier: BSD-2-Clause */
/* provider.h - the OpenSSL 3 provider "idmode": the device's key for any program.
 *
 *     idmode:key, idmode:cert ──► store.c ──┐
 *     device.key.pem ──► decoder.c ─────────┼─► struct idm_provider_key (keymgmt.c)
 *                                           │         │
 *     certificate's key ──► keymgmt import ─┘         └─► signature.c, eddsa.c ──► idm_active_sign
 *
 * Key management, signature, store and decoder, nothing else (provider(7), provider-keymgmt(7),
 * provider-signature(7), provider-storemgmt(7), provider-decoder(7)). Keys are called EC and RSA (ED25519
 * and ED448, which only an old image makes, in software), as libssl knows them, so `default` must come first among the providers, or be preferred by
 * "?provider=default": otherwise we would be asked for keys that are not ours.
 *
 * What an EVP_PKEY can do with a public key, and the parameters of a signature, are OpenSSL's own: each
 * object here holds one of the default provider's, in a library context of our own, and passes on what
 * it is asked. The one thing that is ours is the signature.
 */
#ifndef IDM_BACKENDS_PROVIDER_PROVIDER_H
#define IDM_BACKENDS_PROVIDER_PROVIDER_H

#include "backends/active/active.h"

#include <openssl/core.h>
#include <openssl/core_dispatch.h>

struct idm_provider {
    const OSSL_CORE_HANDLE *core;
    const struct idm_provider_offer *offer;
    OSSL_FUNC_core_new_error_fn *new_error;
    OSSL_FUNC_core_set_error_debug_fn *set_error_debug;
    OSSL_FUNC_core_vset_error_fn *vset_error;
    OSSL_FUNC_BIO_gets_fn *bio_gets;
    OSSL_FUNC_BIO_read_ex_fn *bio_read;
};

/* A key as OpenSSL holds it. `key` NULL: a public key that was imported, to be compared with ours. */
struct idm_provider_key {
    const struct idm_provider *provider;
    EVP_PKEY *public_key;       /* in idm_active_libctx(); NULL: empty */
    struct idm_active_key *key; /* ours */
};

/* What the store and the decoder hand to the key management (OSSL_OBJECT_PARAM_REFERENCE): whoever takes
 * the key leaves NULL. */
struct idm_provider_reference {
    struct idm_provider_key *key;
};
/* Gives `from`, of which it takes over a reference, to the callback. 0: refused, or no memory (raised). */
int idm_provider_key_give(const struct idm_provider *provider, struct idm_active_key *from,
                          const char *type, OSSL_CALLBACK *callback, void *arg);
/* OSSL_FUNC_store_export_object and OSSL_FUNC_decoder_export_object. */
int idm_provider_export_object(void *ctx, const void *given, size_t size, OSSL_CALLBACK *callback,
                               void *arg);
/* "EC", "RSA", "ED25519", "ED448"; NULL: keys of this kind are not offered. Static. */
const char *idm_provider_key_type(const EVP_PKEY *key);

/* Puts the error into the application's queue; 0, so that a function can return it. */
int idm_provider_raise(const struct idm_provider *provider, const struct idm_error *err);
/* The same from a code and a reason. */
int idm_provider_fail(const struct idm_provider *provider, int code, const char *why);

extern const OSSL_DISPATCH idm_provider_ec_keymgmt[];
extern const OSSL_DISPATCH idm_provider_rsa_keymgmt[];
extern const OSSL_DISPATCH idm_provider_ed25519_keymgmt[];
extern const OSSL_DISPATCH idm_provider_ed448_keymgmt[];
extern const OSSL_DISPATCH idm_provider_signature[];
extern const OSSL_DISPATCH idm_provider_eddsa[];
extern const OSSL_DISPATCH idm_provider_store[];
extern const OSSL_DISPATCH idm_provider_pem_decoder[];
extern const OSSL_DISPATCH idm_provider_ec_decoder[];
extern const OSSL_DISPATCH idm_provider_rsa_decoder[];
extern const OSSL_DISPATCH idm_provider_ed25519_decoder[];
extern const OSSL_DISPATCH idm_provider_ed448_decoder[];

/* The identity in use, for the store and the decoder: the one handed over in this thread, else loaded
 * in the process' own context (IDMODE_ROOT, IDMODE_TCTI), which is never closed: nothing runs at exit.
 * As idm_active_load. */
int idm_provider_load(struct idm_active_key **ret, struct idm_error *err) IDM_NODISCARD;
/* From now on in this thread, until NULL: libidmode, whose callers name a root of their own. Borrowed. */
void idm_provider_hand_over(struct idm_active_key *key);

/* What OSSL_provider_init is in idmode.so; and what libidmode gives to OSSL_PROVIDER_add_builtin, under
 * another name, so that both can be in one process. */
#define IDM_PROVIDER_BUILTIN "libidmode"
int idm_provider_init_builtin(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                              const OSSL_DISPATCH **out, void **ret_ctx);
int idm_provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                      const OSSL_DISPATCH **out, void **ret_ctx);

#endif
