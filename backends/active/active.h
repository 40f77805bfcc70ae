/* SPDX-License-Identifier: BSD-2-Clause */
/* active.h - the identity in use, as TLS needs it: a public key, a certificate, and signatures.
 *
 *     device.key.pem (reference) ─┐
 *     device.cert.pem ────────────┼─► struct idm_active_key ─► idm_active_sign
 *     signer (root's) ────────────┘                              │
 *                              software, key readable: here ◄────┤
 *                              broker's socket is there: it ◄────┤   sign.sock, one round trip
 *                              otherwise: the TPM itself     ◄───┘   one TPM2_Sign
 *
 * Loading asks no TPM. A key stays what it was when it was loaded: it signs as that identity or not at
 * all, never as another one, and never in software for a TPM key.
 *
 * Threads: every function from any thread; a context keeps as many connections as were ever used at the
 * same time. Fork: a child opens its own connections, its parent's are left alone. OpenSSL: a library
 * context of our own with the default provider alone, so that neither the application's configuration
 * nor our own provider takes part; the calling thread's error queue is left as it was, and so is errno
 * (Python reports a failed load by what it finds there). Nothing runs at exit.
 */
#ifndef IDM_BACKENDS_ACTIVE_ACTIVE_H
#define IDM_BACKENDS_ACTIVE_ACTIVE_H

#include "backends/active/reference.h"
#include "backends/active/signer.h"
#include "backends/backends.h"

#include <openssl/evp.h>
#include <stdatomic.h>

#define IDM_HASH_MAX 64u /* SHA-512 */
/* What the broker hashes for a client: a TLS 1.2 CertificateVerify signs the whole handshake so far, of
 * which certificate chains and lists of authorities are most. */
#define IDM_MESSAGE_MAX (96u * 1024u)

struct idm_active_ctx;

/* Immutable and counted once it is loaded. */
struct idm_active_key {
    _Atomic unsigned int refs;
    struct idm_active_ctx *ctx; /* that it was loaded in; borrowed */
    struct idm_reference reference;
    struct idm_bytes chain;        /* PEM, as in /run: the device's certificate first */
    EVP_PKEY *public_key;          /* in idm_active_libctx() */
    EVP_PKEY *private_key;         /* software, where this process may read it; else NULL */
    bool direct;                   /* `signer` is filled: this process may read root's file */
    struct idm_signer_file signer; /* of the TPM key */
};

/* `root` as in struct idm_options; `tcti` NULL: what `idmode boot` used. Both are copied. No I/O.
 * MEMORY, USAGE. */
int idm_active_open(struct idm_active_ctx **ret, const char *root, const char *tcti,
                    struct idm_error *err) IDM_NODISCARD;
/* Closes its connections; not for a child that inherited it. NULL is fine. Keys that were loaded in it
 * sign no more. */
void idm_active_close(struct idm_active_ctx *ctx);
/* This process is the only one that signs directly with the chip, and for long: it keeps a key by file
 * loaded also where there is no resource manager, which costs everybody one of the chip's slots until
 * idm_active_let_go. Others keep it loaded only where that costs nobody anything. Before the first key. */
void idm_active_is_alone(struct idm_active_ctx *ctx);
/* Flushes what the connection that was used last keeps loaded. Never fails. */
void idm_active_let_go(struct idm_active_ctx *ctx);
const char *idm_active_root(const struct idm_active_ctx *ctx);

/* The identity in use now; the caller owns a reference. `reads_key`: read the software key itself also
 * where a broker is there (the broker does so). HELD: none is in use, with the reason; UNREADABLE,
 * CORRUPT, NEWER, MEMORY, CRYPTO. */
int idm_active_load(struct idm_active_ctx *ctx, bool reads_key, struct idm_active_key **ret,
                    struct idm_error *err) IDM_NODISCARD;
struct idm_active_key *idm_active_key_up(struct idm_active_key *key);
/* NULL is fine. */
void idm_active_key_free(struct idm_active_key *key);

struct idm_to_sign {
    bool
        pure; /* Ed25519, Ed448: the message itself is signed; what follows but it does not count */
    enum idm_digest digest;
    bool pss; /* RSA: PSS with a salt of the digest's length (RFC 8446, 4.2.3); else PKCS #1 v1.5 */
    uint8_t hash[IDM_HASH_MAX];
    const uint8_t *message; /* what `hash` is of; NULL: unknown, or over IDM_MESSAGE_MAX */
    size_t message_size;
};

/* A signature by the key; that it verifies under it is looked at for the first one, after each change
 * that idmode publishes, and for one in 64. HELD: another identity is in use by now; REFUSED: this
 * process may not sign; the TPM_* codes; UNREADABLE: neither broker nor key can be reached; MEMORY,
 * CRYPTO. Waits for a busy chip at most `[tpm] wait`, for a broker or, without resource manager, for others
 * who sign by file at most IDM_BROKER_WAIT_MS. */
#define IDM_BROKER_WAIT_MS 15000u
int idm_active_sign(struct idm_active_ctx *ctx, const struct idm_active_key *key,
                    const struct idm_to_sign *what, struct idm_signature *ret,
                    struct idm_error *err) IDM_NODISCARD;
/* The same without a broker; wait_ms: at most so long for a busy chip, UINT32_MAX: as configured. */
int idm_active_sign_direct(struct idm_active_ctx *ctx, const struct idm_active_key *key,
                           const struct idm_to_sign *what, uint32_t wait_ms,
                           struct idm_signature *ret, struct idm_error *err) IDM_NODISCARD;

/* Our library context; NULL when OpenSSL cannot make one, for want of memory: not once a key was loaded.
 * Made once per process, never freed: freeing it at exit, when OpenSSL is half gone, is how providers
 * crash. */
OSSL_LIB_CTX *idm_active_libctx(void);
/* Ed25519 and Ed448 sign messages, not digests (RFC 8032): a software identity that an old image made. */
bool idm_active_is_pure(const EVP_PKEY *key);
/* SHA-256 of the canonical SubjectPublicKeyInfo, as idm_public_inspect computes it. CRYPTO, MEMORY. */
int idm_active_spki(const EVP_PKEY *key, uint8_t ret[IDM_SHA256_SIZE]) IDM_NODISCARD;
/* SHA-256, -384, -512 by OpenSSL's names for them and by size (32, 48, 64); false: another one. */
bool idm_active_digest(const char *name, enum idm_digest *ret, size_t *ret_size);
const char *idm_active_digest_name(enum idm_digest digest);

#endif
