/* SPDX-License-Identifier: BSD-2-Clause */
/* internal.h - what the files of the engine share. Nothing outside engine/ includes it.
 *
 *   facts.c     evidence → struct idm_facts          chip.c   the part of it that asks the TPM
 *   slots.c     images, installations, trials        copies.c record and files, read and written
 *   act_*.c     actions (act_given.c: keys that idmode did not make; act_offered.c: a CA's certificates;
 *               act_record.c: what the record says; act_record_dead.c: how an identity dies)
 *                                                    run.c    the loop, requests
 *   outcome.c   mode, reasons, exit code             use.c    signatures, certificates
 *   publish.c publish_key.c document.c   /run        history.c
 */
#ifndef IDM_ENGINE_INTERNAL_H
#define IDM_ENGINE_INTERNAL_H

#include "engine/engine.h"

/* A file of this round: rc 0 and bytes, or the code of file_read. */
struct idm_loaded {
    int rc;
    struct idm_bytes bytes;
};

/* Certificates and keys of this round, looked into. rc: that of the file, or CORRUPT. */
struct idm_seen_cert {
    int rc;
    struct idm_cert_info info;
};
struct idm_seen_key {
    int rc;
    struct idm_key_info info;
};
struct idm_seen_tss2 {
    int rc;
    struct idm_tss2_info info;
};

/* What the chip said in this process. Asked again after a plan that may have changed it. */
struct idm_chip_view {
    bool asked;
    enum idm_chip chip;
    enum idm_chip verdict; /* for people: CLEARED or REPLACED also where nothing depends on it */
    enum idm_proof proof;
    enum idm_counter_fact counter;
    enum idm_fact_tri ours;
    bool unnamed_key;
    bool dead_at_handle;
    bool increment_due; /* a factory reset has begun, and the counter does not say so yet */
    bool cert_of_chip;
    bool handle_missing;    /* the key works from its file, but is not at its handle */
    bool replaced_knows_us; /* another chip, which has our counter index */
    bool bare_by_file;      /* the key proved itself without a certificate: by its file */
    bool forgot;
    bool given_at_handle; /* the key that is being adopted, or was imported, is at its handle */
    bool clear_refused;   /* asked only for a reset by TPM2_Clear */
    bool rekey_refused;   /* asked only for any other */
    bool has_reset_count;
    uint32_t reset_count;
};

struct idm_images {
    char own[IDM_SLOT_NAME_SIZE];
    char other[IDM_SLOT_NAME_SIZE];
    bool own_has_fingerprint;
    bool other_has_fingerprint;
    uint8_t own_fingerprint[IDM_SHA256_SIZE];
    uint8_t other_fingerprint[IDM_SHA256_SIZE];
    uint8_t boot[IDM_SHA256_SIZE]; /* hash of the boot id */
};

/* A key that somebody wants to be the device's, looked into. */
struct idm_given {
    char unfit[256]; /* why it may not be; empty: it may */
    uint8_t name[IDM_NAME_SIZE];
    struct idm_key_info key;
    uint8_t origin;
    uint32_t handle; /* where it stands already; 0: in a file */
    uint32_t srk;    /* a file's parent that is not idmode's; 0: idmode's */
};

struct idm_engine {
    const struct idm_backends *be;
    const struct idm_settings *settings;
    struct idm_platform platform;
    struct idm_bootenv bootenv;
    bool bootenv_read;
    struct idm_images images;

    struct idm_record record; /* as on disk, but for edits inside a plan */
    bool recorded;

    struct idm_loaded files[IDM_FILE_COUNT];
    struct idm_seen_cert config_cert, store_cert, tpm_cert_config, tpm_cert_persist;
    struct idm_seen_key config_key, store_key;
    struct idm_seen_tss2 tss2_config, tss2_persist;
    struct idm_chip_view chip;
    struct idm_facts facts;

    /* the step that runs */
    struct idm_cell cell;
    enum idm_event event;
    const struct idm_target *target;
    struct idm_given given;
    const struct idm_bytes *given_key; /* of the request that runs, or NULL */
    struct idm_bytes offered;          /* a CA's certificate with its chain */
    char offered_unfit[256];           /* why it may not be used; empty: it may */
    bool offered_again;                /* it is in use already, to the byte */
    struct idm_bytes fresh_tss2; /* a key that is not on disk, with key-storage = persistent */

    /* this process */
    const struct idm_ask *ask;     /* the request, or NULL */
    enum idm_request_kind request; /* the request that this process will make: what must be asked */
    uint64_t reasons;
    uint64_t tried[2];          /* events whose plan failed and may */
    enum idm_chip chip_refused; /* what the chip's refusal to make the first key says of it */
    bool ended_held;
    bool reset_done;      /* a factory reset ended in this process */
    bool unrecorded_pair; /* in use without a record, for want of room */
    enum idm_event last_event;
    uint64_t ignored[2]; /* ignored events already traced */
};

/* The settings that count for this identity: recorded ones where there is a record. */
struct idm_tpm_layout {
    uint32_t device_handle, parent_handle, srk_handle, counter_index;
    enum idm_key_storage storage;
    enum idm_algorithm algorithm;
    enum idm_legacy_key legacy;
};
struct idm_tpm_layout idm_layout(const struct idm_engine *e);

static inline bool idm_same(const uint8_t *a, const uint8_t *b, size_t size)
{
    return __builtin_memcmp(a, b, size) == 0;
}

/* ---- copies.c ---- */
/* file_read, with ABSENT for a file whose directory is missing under a proven one. */
int idm_read(struct idm_engine *e, enum idm_file file, struct idm_bytes *ret) IDM_NODISCARD;
/* Reads both copies of the record; fills e->record, e->recorded, facts.record, facts.evidence. */
void idm_load_record(struct idm_engine *e, struct idm_facts *facts);
/* Is its signature not that of the active identity? False also where that cannot be judged. */
bool idm_record_is_forged(struct idm_engine *e);
/* The software key to sign with; false: no good copy. */
bool idm_software_signer(const struct idm_engine *e, struct idm_signer *ret);
/* Signs what changed, raises the sequence and writes both copies, persist first. */
int idm_write_record(struct idm_engine *e, struct idm_error *err) IDM_NODISCARD;
/* Reads (again) and looks into all files that the facts rest on. */
void idm_load_files(struct idm_engine *e);
void idm_free_files(struct idm_engine *e);
/* The first good copy, or NULL. Borrowed from e->files. */
const struct idm_bytes *idm_good_tss2(const struct idm_engine *e);
const struct idm_bytes *idm_good_tpm_cert(const struct idm_engine *e);
const struct idm_bytes *idm_good_software_key(const struct idm_engine *e);
const struct idm_bytes *idm_good_software_cert(const struct idm_engine *e);
/* file_write unless the file holds exactly these bytes already (as loaded in this round). */
int idm_put(struct idm_engine *e, enum idm_file file, const struct idm_bytes *bytes,
            struct idm_error *err) IDM_NODISCARD;

/* ---- facts.c, chip.c, slots.c ---- */
/* A clock far in the future is as wrong as one in the past: one such boot must not raise the floor of
 * all later ones. Longer than any image is in use. */
#define IDM_CLOCK_HORIZON (INT64_C(25) * 365 * 86400)
bool idm_clock_is_plausible(const struct idm_engine *e);
void idm_read_facts(struct idm_engine *e);
/* The part of it that the files of the identities say. */
void idm_file_facts(struct idm_engine *e, struct idm_facts *facts);
void idm_ask_chip(struct idm_engine *e);
/* What an error of any TPM call says about the chip; USABLE when it is about one object only. */
enum idm_chip idm_chip_of(int rc);
/* A signature by the TPM key on record, by handle or by file, that is good under its certificate. The
 * codes of backends.sign; MISMATCH: somebody else's key signed. */
int idm_tpm_sign_active(struct idm_engine *e, enum idm_digest digest, const uint8_t *hash,
                        struct idm_signature *ret, struct idm_error *err) IDM_NODISCARD;
/* Is no copy of the TPM certificate good, though all could be read? */
bool idm_tpm_cert_is_lost(const struct idm_engine *e);
/* Where the active or prepared TPM key signs: handle first, file second. False: no copy. */
bool idm_tpm_signer(const struct idm_engine *e, bool by_file, struct idm_signer *ret);
void idm_read_images(struct idm_engine *e);
void idm_image_facts(struct idm_engine *e, struct idm_facts *facts);
enum idm_fact_tri idm_trial(const struct idm_engine *e);
enum idm_slot_kind idm_other_kind(const struct idm_engine *e);
/* The format in which that record is to be written: every image that may boot can read it. */
uint16_t idm_wanted_format(const struct idm_engine *e, const struct idm_record *r);
/* A hook of an installation that is not the open one. */
bool idm_hook_is_late(const struct idm_engine *e, enum idm_request_kind kind,
                      const struct idm_target *target);

/* ---- actions ---- */
typedef int (*idm_action_fn)(struct idm_engine *e, struct idm_error *err);
idm_action_fn idm_action(enum idm_action action);
/* May the action change what the chip would answer? */
bool idm_action_touches_chip(enum idm_action action);
#define IDM_ACTION_PROTOTYPE(name) int idm_do_##name(struct idm_engine *e, struct idm_error *err);
IDM_ACTIONS(IDM_ACTION_PROTOTYPE)
#undef IDM_ACTION_PROTOTYPE

/* A self-signed certificate as the settings want it. */
int idm_issue(struct idm_engine *e, const struct idm_signer *signer,
              const uint8_t spki[IDM_SHA256_SIZE], struct idm_bytes *ret_pem,
              struct idm_error *err) IDM_NODISCARD;
/* The configured subject for a key, its placeholders replaced. SETTINGS. */
int idm_subject(const struct idm_engine *e, const uint8_t spki[IDM_SHA256_SIZE], char *ret,
                size_t size, struct idm_error *err) IDM_NODISCARD;
/* Looks into what an action just wrote to the store, so that later actions of the plan see it. The
 * certificate may be missing, the key may not. */
int idm_reload_store(struct idm_engine *e, struct idm_error *err) IDM_NODISCARD;
/* The same for the TPM certificate there. */
int idm_reload_tpm_cert(struct idm_engine *e, struct idm_error *err) IDM_NODISCARD;

/* A new record, with the settings of today; nothing where there is one. */
void idm_begin_record(struct idm_engine *e);
/* Writes it with the cell's state and its plan's intent. */
int idm_write_begun(struct idm_engine *e, struct idm_error *err) IDM_NODISCARD;
/* For an object found without a record at `handle`: is it a device key that we may call ours? An
 * imported one is, where our parent stands beside it. */
bool idm_is_ours(struct idm_engine *e, const struct idm_tpm_object_info *info);

/* ---- act_record.c, act_record_dead.c: parts of the actions that write the record ---- */
/* The state becomes what the cell says. */
void idm_enter_next(struct idm_engine *e);
void idm_close_plan(struct idm_record *r);
/* The hash of the hardware's serial number, where there is one. */
void idm_note_serial(struct idm_engine *e);
/* Hash of the active identity's certificate; borrowed from the record. */
const uint8_t *idm_active_cert(const struct idm_record *r);
/* The active identity changes: once per change, reported under this epoch. */
void idm_raise_epoch(struct idm_engine *e, const uint8_t previous_cert[IDM_SHA256_SIZE]);
/* The TPM identity is dead from the next write on. */
void idm_bury_tpm_identity(struct idm_record *r);
/* A key whose file was written may stand in the chip though no record names it yet. */
void idm_bury_key_files(struct idm_engine *e);

/* ---- act_seal.c ---- */
/* Without a record: the pair in the first envelope that opens under our parent becomes the record's. None
 * that does is no error. What unsealing may give, but for what says that it is none. */
int idm_find_sealed_pair(struct idm_engine *e, struct idm_error *err) IDM_NODISCARD;

/* ---- act_given.c ---- */
/* Looks into the key that is asked to become the device's: e->given. */
void idm_look_at_given(struct idm_engine *e, const struct idm_ask *ask);
/* Is the key that the record waits for in no file and at no handle, and does nobody give it now? */
bool idm_given_is_awaited(const struct idm_engine *e);
/* make_tss2_files for such a key. */
int idm_place_given_key(struct idm_engine *e, struct idm_error *err) IDM_NODISCARD;
/* Does this file's key live under the parent that stands in the chip now? */
bool idm_tss2_works(struct idm_engine *e, enum idm_file file, const struct idm_seen_tss2 *seen);
/* Name and public key of the file's key, into the record. */
int idm_note_device_key(struct idm_engine *e, const struct idm_bytes *tss2,
                        struct idm_error *err) IDM_NODISCARD;

/* ---- act_offered.c ---- */
/* Looks into the certificate that is offered: e->offered…. */
void idm_look_at_offered(struct idm_engine *e, const struct idm_ask *ask);

/* ---- outcome.c ---- */
struct idm_loop_end {
    bool held;
    bool failed;
    enum idm_reason reason; /* held for it */
    struct idm_error error;
};
/* After a loop that failed: reads what it left, and rewrites the marker all the same. */
void idm_finish(struct idm_engine *e, const struct idm_loop_end *end);
void idm_conclude(struct idm_engine *e, const struct idm_loop_end *end, struct idm_outcome *ret);
enum idm_mode idm_identity_mode(const struct idm_engine *e);

/* ---- publish.c, publish_key.c, document.c, history.c ---- */
/* The status document, which the caller frees; NULL without memory. `identity`: the certificate in use,
 * NULL: none that can be read. Asks no backend. */
char *idm_status_text(const struct idm_engine *e, const struct idm_outcome *outcome,
                      const struct idm_cert_info *identity);
/* device.key.pem and signer of the identity in use (active/reference.h, signer.h). MEMORY, USAGE. */
int idm_key_files(const struct idm_engine *e, struct idm_bytes *ret_reference,
                  struct idm_bytes *ret_signer) IDM_NODISCARD;
void idm_publish(struct idm_engine *e, struct idm_outcome *outcome);
/* The highest epoch in it; 0: none. */
uint32_t idm_history_epoch(struct idm_engine *e);
void idm_history_add(struct idm_engine *e, const char *kind, enum idm_event event,
                     enum idm_state from, enum idm_state to, enum idm_reason reason);
void idm_trace(struct idm_engine *e, const char *format, ...) IDM_PRINTF(2, 3);
bool idm_marker_wanted(const struct idm_engine *e, bool *ret_known);

#endif
