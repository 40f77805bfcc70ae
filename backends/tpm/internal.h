/* SPDX-License-Identifier: BSD-2-Clause */
/* internal.h - what the files of the TPM backend share.
 *
 *   public.c   public areas: templates, Names, EVP_PKEY      no TPM traffic
 *   tss2file.c, envelope.c   file formats                     no TPM traffic
 *   announce.c does the firmware announce a TPM?              no TPM traffic
 *   connect.c  connection, start-up, waiting     rc.c    response codes → our errors
 *   silence.c  a TPM that never answers
 *   slots.c    what we hold in the chip          auth.c  sessions, owner authorisation
 *   object.c key.c sign.c held.c parent.c primary.c counter.c seal.c clear.c info.c   the entries
 *
 * Two ways to a command. ESAPI (Esys_*) wherever an authorisation or a secret is at stake: it
 * computes HMACs and encrypts parameters. The system API (Tss2_Sys_*, on ESAPI's own context) for
 * ReadPublic, NV_ReadPublic, NV_Read, NV_Increment, Sign and the Load before it: an empty password
 * needs no Name and protects nothing, while ESAPI reads the public area once more for each object
 * that it has not seen, and on a real chip a command takes 20 to 300 ms.
 */
#ifndef IDM_BACKENDS_TPM_INTERNAL_H
#define IDM_BACKENDS_TPM_INTERNAL_H

#include "backends/tpm/public.h"
#include "backends/tpm/tpm.h"
#include "backends/tpm/tss2file.h"

#include <tss2/tss2_esys.h>
#include <tss2/tss2_sys.h>

/* The most that one operation holds: a session and two transient objects (chips have three slots,
 * and one is taken by a persistent object while a command uses it). */
#define IDM_TPM_HELD_MAX 4u

/* Ranges of handles (part 2, 7.4 and 7.5). tpm2-tss has macros for them that shift into the sign.
 */
#define IDM_TPM_LOADED_SESSION_FIRST 0x02000000u
#define IDM_TPM_SAVED_SESSION_FIRST  0x03000000u
#define IDM_TPM_TRANSIENT_FIRST      0x80000000u
#define IDM_TPM_PERSISTENT_FIRST     0x81000000u
#define IDM_TPM_PLATFORM_FIRST       0x81800000u /* persistent, but the platform's */
#define IDM_TPM_PERSISTENT_LAST      0x81ffffffu

struct idm_tpm {
    char *root;
    const struct idm_settings *settings; /* borrowed */
    TSS2_TCTI_CONTEXT *tcti;
    ESYS_CONTEXT *esys;    /* NULL: not connected */
    TSS2_SYS_CONTEXT *sys; /* esys' own; borrowed */
    bool broken;           /* the connection gave something that no TPM says: open another */
    bool started;          /* TPM2_Startup was tried in this operation */
    bool flushed;          /* leftovers were flushed in this operation */
    bool outside;          /* idm_tpm_is_outside */
    uint32_t resubmitted;  /* commands sent again at once in this operation */
    uint32_t waited_ms;    /* in this process */
    uint32_t pause_ms;     /* next pause; 0: the first */
    uint32_t connections;  /* opened so far */
    uint32_t held[IDM_TPM_HELD_MAX]; /* transient objects and sessions of this operation; 0: none */
};

/* "evict 0x81020000", for the `what` of an error. */
struct idm_what {
    char text[96];
};
struct idm_what idm_what_at(const char *verb, uint32_t handle);

/* ---- announce.c ---- */

/* idm_tpm_announced, whatever `use` says. */
bool idm_tpm_announced_by_firmware(const struct idm_tpm *tpm);

/* ---- connect.c ---- */

/* Begins an operation: connects where needed, waiting for an announced chip. TPM_ABSENT, TPM_BUSY,
 * MEMORY. */
int idm_tpm_ready(struct idm_tpm *tpm, const char *what, struct idm_error *err) IDM_NODISCARD;

/* After each response: true when the same command is to be sent again, because the chip has been
 * started, waited for, or rid of leftovers meanwhile. */
bool idm_tpm_again(struct idm_tpm *tpm, TSS2_RC rc) IDM_NODISCARD;

/* Sleeps for the next pause; false when settings->wait_ms is used up. */
bool idm_tpm_pause(struct idm_tpm *tpm) IDM_NODISCARD;

#define IDM_TPM_COMMAND(tpm, rc, call)                                                             \
    do {                                                                                           \
        (rc) = (call);                                                                             \
    } while (idm_tpm_again((tpm), (rc)))

/* ---- rc.c ---- */

/* The bare TPM response code: without layer, handle, parameter and session numbers. A code of any
 * layer that is not the TPM's comes back as it is (0x10000 and above). */
uint32_t idm_rc_code(TSS2_RC rc);
/* Does this say: the chip is at work, ask again later? */
bool idm_rc_busy(uint32_t code);
/* A format 1 code: a handle, parameter or session of the command was at fault. */
bool idm_rc_format1(TSS2_RC rc);
/* The error for a response that is not success. 0x101 asks for GetTestResult first. */
int idm_tpm_fail(struct idm_tpm *tpm, TSS2_RC rc, const char *what, struct idm_error *err);

/* For the answer to a command that brings its own object: where that object is at fault (a format 1
 * code, SENSITIVE), TPM_UNFIT, also in *err, whose `foreign` still tells; otherwise `code`. */
int idm_tpm_unfit(TSS2_RC rc, int code, struct idm_error *err);

/* ---- slots.c ---- */

/* A raw handle that FlushContext must get, or that flushing leftovers must spare. */
void idm_tpm_hold(struct idm_tpm *tpm, uint32_t handle);
void idm_tpm_release(struct idm_tpm *tpm, uint32_t handle);
/* Flushes and forgets a transient object. Never fails: there is nothing else to be done. */
void idm_tpm_flush(struct idm_tpm *tpm, uint32_t handle);
/* Flushes all transient objects (`sessions`: all sessions) but ours. */
void idm_tpm_flush_leftovers(struct idm_tpm *tpm, bool sessions);
/* Flushes all transient objects with that Name, whoever loaded them. */
void idm_tpm_flush_named(struct idm_tpm *tpm, const uint8_t name[IDM_NAME_SIZE]);

/* An object that ESAPI knows; dropped, it is closed, and flushed first where it is transient or a
 * session. */
struct idm_tpm_ref {
    struct idm_tpm *tpm;
    ESYS_TR tr;      /* ESYS_TR_NONE: empty */
    uint32_t loaded; /* raw handle to flush; 0: persistent or NV, only closed */
};
#define IDM_TPM_REF_EMPTY                                                                          \
    {                                                                                              \
        .tpm = NULL, .tr = ESYS_TR_NONE, .loaded = 0                                               \
    }
/* Takes a transient object or session that ESAPI has just returned. */
int idm_tpm_ref_take(struct idm_tpm_ref *ref, struct idm_tpm *tpm, ESYS_TR tr,
                     struct idm_error *err) IDM_NODISCARD;
void idm_tpm_ref_drop(struct idm_tpm_ref *ref);
#define _cleanup_ref_ __attribute__((cleanup(idm_tpm_ref_drop)))

/* ---- object.c ---- */

/* TPM_EMPTY. The Name in the response must be that of the public area (part 1, 16). */
int idm_tpm_read_public(struct idm_tpm *tpm, uint32_t handle, TPM2B_PUBLIC *ret_public,
                        uint8_t ret_name[IDM_NAME_SIZE], struct idm_error *err) IDM_NODISCARD;
/* Makes the persistent object known to ESAPI, its public area verified against its Name.
 * TPM_EMPTY. */
int idm_tpm_ref_open(struct idm_tpm *tpm, uint32_t handle, struct idm_tpm_ref *ret,
                     TPM2B_PUBLIC *ret_public, struct idm_error *err) IDM_NODISCARD;
/* The same for a storage key that idmode can use; TPM_TAKEN otherwise. TPM_OTHER: not the one whose Name is
 * `wanted`. NULL or zeros: whichever it is, for a session that no secret depends on, or a first use. */
int idm_tpm_storage_open(struct idm_tpm *tpm, uint32_t handle, const uint8_t wanted[IDM_NAME_SIZE],
                         struct idm_tpm_ref *ret, struct idm_error *err) IDM_NODISCARD;
/* Makes `object` persistent at `handle` and reads it back; `name` must be there then. */
int idm_tpm_persist(struct idm_tpm *tpm, const struct idm_tpm_ref *object,
                    const struct idm_tpm_ref *salt, uint32_t handle,
                    const uint8_t name[IDM_NAME_SIZE], struct idm_error *err) IDM_NODISCARD;
/* Loads under an opened parent in `session`. TPM_UNFIT. */
int idm_tpm_load(struct idm_tpm *tpm, const struct idm_tpm_ref *parent, ESYS_TR session,
                 const TPM2B_PUBLIC *public_area, const TPM2B_PRIVATE *private_area,
                 struct idm_tpm_ref *ret, struct idm_error *err) IDM_NODISCARD;
/* Creates under an opened parent in `session`; the public area that comes back must be the template
 * but for its unique part. `ret_private` is the caller's to wipe. */
int idm_tpm_create(struct idm_tpm *tpm, const struct idm_tpm_ref *parent, ESYS_TR session,
                   const TPM2B_SENSITIVE_CREATE *sensitive, const TPM2B_PUBLIC *template,
                   TPM2B_PUBLIC *ret_public, TPM2B_PRIVATE *ret_private,
                   struct idm_error *err) IDM_NODISCARD;

/* ---- sign.c ---- */

/* Loads the file's key under the handle of its parent, with the system API: two commands more where the
 * parent is IDM_TPM_PRIMARY. *ret_handle: transient, noted by idm_tpm_hold. TPM_UNFIT. */
int idm_tpm_load_file(struct idm_tpm *tpm, const struct idm_tss2_key *key, uint32_t parent,
                      uint32_t *ret_handle, struct idm_error *err) IDM_NODISCARD;

/* ---- primary.c ---- */

/* CreatePrimary of the SRK with owner authorisation. */
int idm_tpm_srk_create(struct idm_tpm *tpm, struct idm_tpm_ref *ret,
                       uint8_t ret_name[IDM_NAME_SIZE], struct idm_error *err) IDM_NODISCARD;

/* The SRK at its configured handle as salt for the owner's session, where one is needed (another
 * than the empty authorisation is configured) and the SRK fits; otherwise left empty. */
int idm_tpm_owner_salt(struct idm_tpm *tpm, struct idm_tpm_ref *ret,
                       struct idm_error *err) IDM_NODISCARD;

/* ---- info.c ---- */

/* TPM2_GetCapability(TPM_PROPERTIES) of one property; absent: 0. */
int idm_tpm_property(struct idm_tpm *tpm, uint32_t property, uint32_t *ret,
                     struct idm_error *err) IDM_NODISCARD;

/* The list in an answer to TPM2_GetCapability(HANDLES); NULL: it is of something else, or longer than can be.
 * tpm2-tss passes on whatever list the answer says that it is. */
const TPML_HANDLE *idm_tpm_handles(const TPMS_CAPABILITY_DATA *data);

/* The first persistent handle from `from` on, as the chip lists them; 0: none. */
int idm_tpm_first_persistent(struct idm_tpm *tpm, uint32_t from, uint32_t *ret,
                             struct idm_error *err) IDM_NODISCARD;

/* ---- counter.c ---- */

/* Public area of the counter as it is defined: without TPMA_NV_WRITTEN, which its first increment sets. */
void idm_template_counter(uint32_t index, TPM2B_NV_PUBLIC *ret);

/* ---- auth.c ---- */

/* An HMAC session salted with `salt` (empty: unsalted), AES-128-CFB for the parameters that
 * `attributes` names (TPMA_SESSION_DECRYPT: first one to the chip, _ENCRYPT: first one from it). */
int idm_tpm_session(struct idm_tpm *tpm, const struct idm_tpm_ref *salt, TPMA_SESSION attributes,
                    struct idm_tpm_ref *ret, struct idm_error *err) IDM_NODISCARD;

/* Owner authorisation for the commands until it is dropped. `session` is what an owner command
 * takes as its first session. `crypt` as attributes above, used where a session is opened. */
struct idm_tpm_owner {
    struct idm_tpm *tpm;
    struct idm_tpm_ref opened;
    ESYS_TR session;
};
#define IDM_TPM_OWNER_EMPTY                                                                        \
    {                                                                                              \
        .tpm = NULL, .opened = IDM_TPM_REF_EMPTY, .session = ESYS_TR_NONE                          \
    }
int idm_tpm_owner_begin(struct idm_tpm *tpm, const struct idm_tpm_ref *salt, TPMA_SESSION crypt,
                        struct idm_tpm_owner *ret, struct idm_error *err) IDM_NODISCARD;
void idm_tpm_owner_end(struct idm_tpm_owner *owner);
#define _cleanup_owner_ __attribute__((cleanup(idm_tpm_owner_end)))

/* One empty-password authorisation, for the system API. */
extern const TSS2L_SYS_AUTH_COMMAND idm_tpm_empty_password;

#endif
