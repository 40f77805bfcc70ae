/* SPDX-License-Identifier: BSD-2-Clause */
/* idmode.h - the device's identity for C programs: which mode, which certificate, and TLS that follows.
 *
 *     idmode *id;                                    cc client.c $(pkg-config --cflags --libs idmode)
 *     if (idmode_open(&id, NULL) < 0) …
 *     if (idmode_use_identity(id, ssl_ctx) < 0)      from now on each handshake of this SSL_CTX uses
 *         fputs(idmode_error(), stderr);             the identity that is in use when it begins
 *     …
 *     idmode_close(id);                              after the last SSL of that SSL_CTX was freed
 *
 * The mode is a load from a page that is mapped once: no system call, no lock.
 *
 * Threads: every function may be called from any thread, also with the same idmode at once, but not at
 * the same time as idmode_close of it. Fork: a child may go on with what it inherited; connections it
 * opens anew. Nothing runs at exit, nothing prompts, no signal is used.
 *
 * Errors: functions that can fail return one of the negative codes below and leave their outputs
 * untouched; idmode_error() then says what failed, why, and what to do.
 *
 * Environment: IDMODE_ROOT, IDMODE_TCTI, as idmode(8) reads them; ignored under raised privileges.
 */
#ifndef IDMODE_H
#define IDMODE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ssl_ctx_st; /* OpenSSL's SSL_CTX: programs that do not use TLS need none of its headers */

typedef struct idmode idmode;

/* The numbers are for ever. */
enum idmode_mode {
    IDMODE_MODE_UNKNOWN = 0,  /* not decided yet in this boot, held, or facts are unreadable */
    IDMODE_MODE_NONE = 1,     /* the device has no identity */
    IDMODE_MODE_SOFTWARE = 2, /* a key that software can read */
    IDMODE_MODE_TPM = 3,      /* a key inside the TPM */
};

enum idmode_result {
    IDMODE_OK = 0,
    IDMODE_E_USAGE = -1,  /* the call makes no sense: a NULL, an unknown digest, a short buffer */
    IDMODE_E_MEMORY = -2, /* no memory; try again */
    IDMODE_E_NONE = -3,   /* no identity is in use now, or another one than when it was asked for */
    IDMODE_E_DENIED = -4, /* this process may not sign: see the group idmode */
    IDMODE_E_BUSY = -5,   /* the TPM or the broker is busy, or does not answer; try again */
    IDMODE_E_TPM = -6,    /* the TPM refused or failed */
    IDMODE_E_UNREADABLE =
        -7,               /* a file of idmode's is unreadable or damaged, or no broker is there */
    IDMODE_E_CRYPTO = -8, /* OpenSSL failed */
};

/* Opens the device below `root` (NULL: IDMODE_ROOT, else the machine itself). Works before `idmode boot`
 * has run: the mode is unknown until then. The caller closes *ret. E_USAGE: the path is too long;
 * E_MEMORY, E_CRYPTO. */
int idmode_open(idmode **ret, const char *root);

/* NULL is fine. Every SSL_CTX that was given to idmode_use_identity must be gone, or must never begin
 * a handshake again. Not in a child that shares it with a parent's thread. */
void idmode_close(idmode *id);

/* The mode now. Never fails, never waits: one load from memory (before `idmode boot` has run in this
 * boot: one attempt to open a file). NULL: unknown. */
enum idmode_mode idmode_get_mode(const idmode *id);

/* A number that is another one after each change of mode or identity, and never 0 after `idmode boot`
 * has run; as cheap as the mode. Kept, and compared later, it tells whether to look again. */
uint32_t idmode_get_generation(const idmode *id);

/* How often the identity of this device has changed in its life; 0: never had one. As cheap. */
uint32_t idmode_get_epoch(const idmode *id);

/* "unknown", "none", "software", "tpm"; static. */
const char *idmode_mode_name(enum idmode_mode mode);

/* Waits until the generation is not `generation` any more, at most timeout_ms (below 0: for ever). 1: it
 * is another one (also if it was so already); 0: the time is over; E_USAGE. Sleeps in the kernel; a
 * signal handler that runs does not end it. */
int idmode_wait(idmode *id, uint32_t generation, int timeout_ms);

/* The status document (status.json, a JSON object in UTF-8), terminated; the caller frees it with free().
 * E_NONE: `idmode boot` has not run; E_UNREADABLE, E_MEMORY, E_USAGE. */
int idmode_get_status(idmode *id, char **ret_json);

/* The certificate in use with its chain, PEM, terminated; the caller frees it with free(). E_NONE,
 * E_UNREADABLE, E_MEMORY, E_CRYPTO, E_USAGE. */
int idmode_get_certificate(idmode *id, char **ret_pem);

/* Signs message[0..size) with the key in use: DER ECDSA (RFC 3279), or RSA PKCS #1 v1.5. `digest`:
 * "sha256", "sha384", "sha512"; a software key that signs no digests (Ed25519, of an old image) signs the
 * message itself, whatever it says. *signature_size: room in `signature`, at least IDMODE_SIGNATURE_MAX;
 * then its length. A message of at most 96 KiB that does not begin with "idmode ", as idmode's own
 * statements do (E_DENIED). Waits for a busy chip as long as idmode is configured to ([tpm] wait), at
 * most 15 s for the broker. Every error above. */
#define IDMODE_SIGNATURE_MAX 512
int idmode_sign(idmode *id, const char *digest, const void *message, size_t size,
                unsigned char *signature, size_t *signature_size);

/* Makes `ssl_ctx` (a client's or a server's, of the default library context) use the device's identity
 * from now on: certificate, chain and key. A change of identity or mode is followed: handshakes that
 * begin after it use the new one, those under way end with the old one. While no identity is in use new
 * handshakes fail, with the reason in OpenSSL's error queue; nothing falls back to anything else.
 *
 * Takes the certificate callback of the SSL_CTX (SSL_CTX_set_cert_cb) and keeps a reference to `id` in
 * it, so `id` must stay open. Loads the provider "idmode" into the default library context, beside
 * `default`, unless it is there. May be called once for each of many SSL_CTX; again for the same one is
 * harmless. Returns the errors of loading the identity that is in use now, and sets the callback all the
 * same: a server may start before the device has one. E_USAGE, E_CRYPTO: it was not set. */
int idmode_use_identity(idmode *id, struct ssl_ctx_st *ssl_ctx);

/* What the last function that failed in this thread had to say: "what: why (what to do)"; "" before.
 * Owned by the library, good until the thread's next failure. */
const char *idmode_error(void);

#ifdef __cplusplus
}
#endif
#endif
