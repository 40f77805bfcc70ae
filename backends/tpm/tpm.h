/* SPDX-License-Identifier: BSD-2-Clause */
/* tpm.h - the TPM 2.0 behind the TPM entries of `struct idm_backends`, which holds their contract.
 *
 *     SRK           srk_handle      used if it fits, else made      primary, empty unique
 *      └ parent     parent_handle   slot only, blob never written   0x00030472
 *         ├ device key   TSS2 file (no secret) and device_handle    0x00040472
 *         └ sealed data  inside an envelope (envelope.h)            0x00000452
 *     counter       counter_index   NT_COUNTER                      witness against rollback
 *
 * Errors of every function that talks to the chip: TPM_ABSENT, TPM_BUSY, TPM_FAILED, TPM_LOCKED,
 * TPM_OWNED, TPM_FULL, TPM_OTHER, MEMORY, CRYPTO; below only what it adds. One struct per thread;
 * not for use after fork. Owner authorisation is read from settings->owner_auth_file (one trailing
 * newline does not count, at most 64 bytes) each time that it is needed, otherwise it is empty.
 */
#ifndef IDM_BACKENDS_TPM_TPM_H
#define IDM_BACKENDS_TPM_TPM_H

#include "backends/backends.h"

#include <openssl/evp.h>

struct idm_tpm;

/* Allocates; no TPM traffic until the first command. `root` is copied, `settings` borrowed until
 * idm_tpm_free. MEMORY. */
int idm_tpm_open(struct idm_tpm **ret, const char *root, const struct idm_settings *settings,
                 struct idm_error *err) IDM_NODISCARD;
/* Drops the connection; the next command opens another. What was waited for stays counted. */
void idm_tpm_close(struct idm_tpm *tpm);
/* The next operation may wait the whole of settings->wait_ms again: for processes that live long. */
void idm_tpm_wait_anew(struct idm_tpm *tpm);
/* Does the caller hold idmode's lock? It does until it says otherwise. Where there is no resource manager, what an idmode at work has
 * loaded looks like a leftover: who is outside flushes leftovers only while nobody has the lock, and until
 * then the chip is busy. */
void idm_tpm_is_outside(struct idm_tpm *tpm, bool outside);
/* Closes and frees; NULL is fine. */
void idm_tpm_free(struct idm_tpm *tpm);

/* No TPM traffic. A chip that nothing announces is not waited for. */
enum idm_tri idm_tpm_announced(struct idm_tpm *tpm);

int idm_tpm_info(struct idm_tpm *tpm, struct idm_tpm_info *ret, struct idm_error *err);

/* An empty handle is no error: IDM_OBJECT_EMPTY. The Name of a stranger's object whose nameAlg is
 * not SHA-256 is given as zeros. One command. */
int idm_tpm_object(struct idm_tpm *tpm, uint32_t handle, enum idm_tpm_role role,
                   struct idm_tpm_object_info *ret, struct idm_error *err);
int idm_tpm_persistent(struct idm_tpm *tpm, uint32_t ret_handles[IDM_TPM_PERSISTENT_MAX],
                       size_t *ret_count, struct idm_error *err);

/* TPM_TAKEN: something at `handle` that is no storage key. */
int idm_tpm_srk_name(struct idm_tpm *tpm, uint32_t handle, uint8_t ret_name[IDM_NAME_SIZE],
                     struct idm_error *err);
int idm_tpm_ek_name(struct idm_tpm *tpm, uint8_t ret_name[IDM_NAME_SIZE], struct idm_error *err);

/* TPM_EMPTY: no index, or one of ours that was never incremented (idm_tpm_counter_make completes
 * it). TPM_TAKEN: an index with other attributes. Two commands. */
int idm_tpm_counter_read(struct idm_tpm *tpm, uint32_t index, uint64_t *ret_value,
                         struct idm_error *err);
int idm_tpm_counter_make(struct idm_tpm *tpm, uint32_t index, struct idm_error *err);
int idm_tpm_counter_increment(struct idm_tpm *tpm, uint32_t index, struct idm_error *err);
/* No index: success. */

/* TPM_TAKEN: a stranger's object at either handle. TPM_FULL: no slot for SRK or parent. */
int idm_tpm_parent_make(struct idm_tpm *tpm, uint32_t srk_handle, uint32_t parent_handle,
                        uint8_t ret_name[IDM_NAME_SIZE], struct idm_error *err);
/* TPM_EMPTY, TPM_TAKEN: nothing, or no storage key, at parent_handle; TPM_OTHER: another one than
 * `parent_name` (zeros: whichever it is). USAGE: IDM_ALG_NONE. */
int idm_tpm_key_create(struct idm_tpm *tpm, uint32_t parent_handle,
                       const uint8_t parent_name[IDM_NAME_SIZE], enum idm_algorithm algorithm,
                       struct idm_bytes *ret_tss2, struct idm_error *err);
/* TPM_EMPTY: no parent; TPM_TAKEN: another object than `parent_name` at its handle; USAGE: a key that
 * idmode has no algorithm for; CORRUPT: not one good key. */
int idm_tpm_key_import(struct idm_tpm *tpm, uint32_t parent_handle,
                       const uint8_t parent_name[IDM_NAME_SIZE], const struct idm_bytes *key_pem,
                       struct idm_bytes *ret_tss2, struct idm_error *err);
/* REFUSED; TPM_EMPTY, TPM_UNFIT, CORRUPT. signer->algorithm does not count. */
int idm_tpm_key_check(struct idm_tpm *tpm, const struct idm_signer *signer, bool imported,
                      struct idm_tpm_object_info *ret, struct idm_error *err);
/* CORRUPT: no good file; TPM_UNFIT: not a child of what is at parent_handle. */
int idm_tpm_key_persist(struct idm_tpm *tpm, const struct idm_bytes *tss2, uint32_t parent_handle,
                        uint32_t handle, struct idm_error *err);
int idm_tpm_evict(struct idm_tpm *tpm, uint32_t handle, const uint8_t name[IDM_NAME_SIZE],
                  struct idm_error *err);

/* USAGE: plain too large for an envelope. TPM_OTHER: another parent than `parent_name` (zeros: whichever
 * it is). */
int idm_tpm_seal(struct idm_tpm *tpm, uint32_t parent_handle,
                 const uint8_t parent_name[IDM_NAME_SIZE], const struct idm_bytes *plain,
                 struct idm_bytes *ret_envelope, struct idm_error *err);
/* CORRUPT, NEWER: no envelope that this program can read, or changed since it was sealed.
 * TPM_UNFIT: not sealed under what is at parent_handle; TPM_OTHER: as idm_tpm_seal. */
int idm_tpm_unseal(struct idm_tpm *tpm, uint32_t parent_handle,
                   const uint8_t parent_name[IDM_NAME_SIZE], const struct idm_bytes *envelope,
                   struct idm_bytes *ret_plain, struct idm_error *err);

/* TPM_OWNED, before anything is tried, when the lockout authorisation is set: one wrong guess would
 * lock it. TPM_OTHER when the chip says success and still holds an owner's object or our counter.
 */
int idm_tpm_clear(struct idm_tpm *tpm, struct idm_error *err);
int idm_tpm_may_clear(struct idm_tpm *tpm, struct idm_error *err);

/* Signs with the TPM key that `signer` names. HANDLE: one command; TPM_EMPTY when nothing is there.
 * FILE: three (Load, Sign, FlushContext); CORRUPT; TPM_UNFIT when it does not load under what is at
 * the parent's handle, or nothing is there. USAGE: a software signer. */
int idm_tpm_sign(struct idm_tpm *tpm, const struct idm_signer *signer, enum idm_digest digest,
                 const uint8_t *hash, struct idm_signature *ret,
                 struct idm_error *err) IDM_NODISCARD;

/* A FILE signer's key that stays loaded from one signature to the next. Zeroed: nothing is. */
struct idm_tpm_held {
    uint32_t handle; /* transient; 0: not loaded */
    uint32_t connection;
    uint8_t name[IDM_NAME_SIZE];
};
/* As idm_tpm_sign with a FILE signer, but one command when the key is loaded already: Load comes before it
 * the first time, and again when the chip, or somebody who needed room in it, dropped the key. Without a
 * resource manager another object may have got its handle since: the caller has to look at each signature,
 * and zeroes *held when it is not the key's. *held belongs to one key and one `tpm`. */
int idm_tpm_sign_held(struct idm_tpm *tpm, struct idm_tpm_held *held,
                      const struct idm_signer *signer, enum idm_digest digest, const uint8_t *hash,
                      struct idm_signature *ret, struct idm_error *err) IDM_NODISCARD;
/* Flushes it, and zeroes *held. Never fails: there is nothing else to be done. */
void idm_tpm_let_go(struct idm_tpm *tpm, struct idm_tpm_held *held);
/* Has whoever is behind this TCTI a resource manager: handles of its own for each connection, whose objects
 * go with it? */
bool idm_tpm_is_managed(const char *tcti);

/* The public half, owned by the caller. FILE: from the file, no TPM traffic, CORRUPT. HANDLE: one
 * command, TPM_EMPTY. USAGE: a software signer. */
int idm_tpm_public_key(struct idm_tpm *tpm, const struct idm_signer *signer, EVP_PKEY **ret,
                       struct idm_error *err) IDM_NODISCARD;

#endif
