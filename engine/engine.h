/* SPDX-License-Identifier: BSD-2-Clause */
/* engine.h - reads facts, asks the table, runs plans, says what came out.
 *
 *     open ─► boot ─► (request ─► boot) ─► outcome ─► close
 *
 * boot: facts → first event → cell → plan, again and again until a cell ends the loop; at most
 * IDM_ROUNDS_MAX rounds. A request is classified after a boot loop, its plan runs, and another boot
 * loop follows, so that a command always meets a device that has recovered.
 *
 * Not thread-safe; one engine per process at a time, under the lock (backends/store/lock.h).
 */
#ifndef IDM_ENGINE_ENGINE_H
#define IDM_ENGINE_ENGINE_H

#include "backends/backends.h"
#include "engine/record.h"
#include "fsm/fsm.h"

#define IDM_ROUNDS_MAX 16u /* the longest way that the model needs is 9 */

struct idm_engine;

enum idm_mode { IDM_MODE_UNKNOWN, IDM_MODE_NONE, IDM_MODE_SOFTWARE, IDM_MODE_TPM };

/* Exit codes of the programs (contract, section 2). */
enum idm_exit {
    IDM_EXIT_DONE = 0,
    IDM_EXIT_REFUSED = 1,
    IDM_EXIT_USAGE = 2,
    IDM_EXIT_HELD = 3,
    IDM_EXIT_LOCKED = 4,
    IDM_EXIT_FAILED = 5,
};

/* What a hook says about the image that it installs. */
struct idm_target {
    enum idm_slot_kind kind;
    uint16_t format; /* newest record format that it reads; 0: unknown, or it reads none */
    char version[IDM_VERSION_SIZE];
    char slot[IDM_SLOT_NAME_SIZE]; /* empty: the other slot */
    char id[IDM_INSTALL_ID_SIZE];  /* empty: nobody gave one */
};

struct idm_outcome {
    enum idm_exit exit;
    enum idm_mode mode;
    enum idm_mode identity_mode; /* last proven; valid while held */
    enum idm_state state;        /* as recorded, also while held */
    uint32_t epoch;              /* likewise; 0 without a record */
    enum idm_chip chip;          /* for people: tpm.status */
    enum idm_event last_event;
    bool held;
    enum idm_reason held_for;     /* IDM_R_none: not held */
    uint64_t reasons;             /* bit per enum idm_reason */
    enum idm_event request_event; /* IDM_EV_none without a request */
    char refused[200];            /* why a request was refused, or empty */
    struct idm_error error;       /* of a failed run; code 0: none */
};

_Static_assert(IDM_REASON_COUNT <= 64, "reasons fit a bit set");

/* Borrows backends and settings until close. IDM_E_MEMORY, or the error of platform(). */
int idm_engine_open(struct idm_engine **ret, const struct idm_backends *backends,
                    const struct idm_settings *settings, struct idm_error *err) IDM_NODISCARD;
/* NULL is fine. */
void idm_engine_close(struct idm_engine *engine);

/* The boot loop; publishes mode, status, certificate and key reference. Returns ret->exit. */
enum idm_exit idm_engine_boot(struct idm_engine *engine, struct idm_outcome *ret);

/* A request: boot loop, request, boot loop; a key that is given comes before the first boot loop, which
 * would make one. ret->exit is that of the request: refusals 1 (among hooks
 * only pre-install), failed operations 5, a held device 0 where the request itself was carried out. */
struct idm_ask {
    enum idm_request_kind kind;
    const struct idm_target *target; /* hooks; else NULL */
    bool without_tpm;                /* factory reset: the operator says that the chip is gone */
    bool clears;                     /* factory reset: by TPM2_Clear */
    const struct idm_bytes *key;     /* import: PEM private key; adopt by file: TSS2 PRIVATE KEY */
    uint32_t handle;                 /* adopt: the key's persistent handle; 0: by file */
    bool imported;                   /* adopt: the operator says that the key was made outside */
    const struct idm_bytes *cert;    /* cert: PEM, the device's certificate and its chain */
    bool prepared;                   /* cert: of the identity that a migration prepared */
    enum idm_reason named;           /* releases: the reason that the operator named */
};
enum idm_exit idm_engine_request(struct idm_engine *engine, const struct idm_ask *ask,
                                 struct idm_outcome *ret);

/* Everything that idmode composes and signs itself begins so; nothing else that it signs may. */
#define IDM_LABEL_PREFIX "idmode "

/* Reads record and files, asks no TPM, changes nothing: what sign and certificate need when no boot
 * loop ran in this process. IDM_E_HELD when this boot has not found an identity in use. */
int idm_engine_look(struct idm_engine *engine, struct idm_error *err) IDM_NODISCARD;

/* A signature by the active identity over a digest that the caller computed, after idm_engine_look
 * or a boot loop. IDM_E_HELD when no identity is active; the codes of backends.sign. The caller
 * checks that the input does not begin with IDM_LABEL_PREFIX. */
int idm_engine_sign(struct idm_engine *engine, enum idm_digest digest, const uint8_t *hash,
                    struct idm_signature *ret, struct idm_error *err) IDM_NODISCARD;

/* Certificate bytes: of the active identity, or of the prepared one. ABSENT when there is none. */
int idm_engine_certificate(struct idm_engine *engine, bool prepared, struct idm_bytes *ret_pem,
                           struct idm_error *err) IDM_NODISCARD;

/* A PKCS #10 request, PEM, for the active identity's key or the prepared one's, with the configured
 * subject; after idm_engine_look or a boot loop. ABSENT when there is none; SETTINGS the subject; the
 * codes of backends.sign. */
int idm_engine_csr(struct idm_engine *engine, bool prepared, struct idm_bytes *ret_pem,
                   struct idm_error *err) IDM_NODISCARD;

/* Where the TPM identity's key is, the one in use or the prepared one; after idm_engine_look or a boot loop.
 * Borrowed until the next of them. REFUSED: it is not in use, or not prepared. */
struct idm_key_place {
    uint8_t name[IDM_NAME_SIZE];
    uint32_t handle;              /* 0: not persistent */
    const struct idm_bytes *file; /* TSS2 PRIVATE KEY; NULL: no good copy */
};
int idm_engine_tpm_key(const struct idm_engine *engine, bool prepared, struct idm_key_place *ret,
                       struct idm_error *err) IDM_NODISCARD;

/* Reads all facts, the TPM's proof among them, and says what a boot loop would do first. Changes
 * nothing. */
struct idm_verdict idm_engine_examine(struct idm_engine *engine);

/* Reasons that stand in the record and in the facts as last read, bit per enum idm_reason. */
uint64_t idm_engine_reasons(const struct idm_engine *engine);

/* The record as last read; NULL when there is none. */
const struct idm_record *idm_engine_record(const struct idm_engine *engine);
const struct idm_facts *idm_engine_facts(const struct idm_engine *engine);

const char *idm_mode_name(enum idm_mode mode);

/* Not held, no reasons, and the run did not fail. */
bool idm_outcome_is_healthy(const struct idm_outcome *outcome);

#endif
