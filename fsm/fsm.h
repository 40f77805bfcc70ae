/* SPDX-License-Identifier: BSD-2-Clause */
/* fsm.h - the state machine: pure, no I/O, no allocation, no clock, no globals that change.
 *
 *     facts, request ──classify──► event ──table[event][state]──► cell: next state, plan, why
 *                                                                       │
 *     boot repeats this until a cell ends the loop (END, HOLD)   plan: named actions in durable
 * order
 *
 * table.def holds the machine: one row per event, in order of priority, one cell per state.
 * plans.def holds the plans. Everything that is printed (trace, diagram, docs) is printed from
 * these two.
 *
 * Thread-safe: all functions depend on their arguments alone. Returned pointers are static.
 */
#ifndef IDM_FSM_FSM_H
#define IDM_FSM_FSM_H

#include "fsm/facts.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- reasons: why a device is held or not healthy (the words of the status document) ---- */

/* name, word, sentence, what to do */
#define IDM_REASONS(X)                                                                             \
    X(tpm_absent, "tpm-absent", "the TPM that holds the identity does not answer",                 \
      "check that the chip is enabled in the firmware; the device recovers by itself when it "     \
      "returns")                                                                                   \
    X(tpm_busy, "tpm-busy", "the TPM is busy or not ready yet",                                    \
      "wait; idmode tries again at the next run")                                                  \
    X(tpm_failed, "tpm-failed", "the TPM reports a failure of its own",                            \
      "power-cycle the device; if it stays, the chip is broken: idmode factory-reset "             \
      "--yes --without-tpm REASON")                                                                \
    X(tpm_locked, "tpm-locked", "the TPM is in dictionary-attack lockout",                         \
      "wait for the lockout to end, or clear it with the lockout authorisation")                   \
    X(tpm_owned, "tpm-owned", "the TPM has an owner authorisation or objects that are not ours",   \
      "configure owner-auth-file, or other handles")                                               \
    X(tpm_cleared, "tpm-cleared", "the TPM was cleared: its keys are gone for ever",               \
      "idmode factory-reset --yes makes a new identity")                                           \
    X(tpm_replaced, "tpm-replaced", "this is another TPM than the one that holds the identity",    \
      "put the old board or chip back, or idmode factory-reset --yes --without-tpm REASON")        \
    X(tpm_key_lost, "tpm-key-lost", "no copy of the device key works in this TPM",                 \
      "idmode doctor shows the copies; idmode factory-reset --yes makes a new one")                \
    X(tpm_malfunction, "tpm-malfunction", "the TPM was broken when the device was set up",         \
      "the device works in software mode; repair the chip, then idmode migrate prepare")           \
    X(tpm_volatile, "tpm-volatile", "the TPM forgets what it was given",                           \
      "the firmware keeps no TPM storage: update it, or use = never")                              \
    X(witness_lost, "witness-lost", "the TPM counter that guards against old disk copies is gone", \
      "idmode hold clear --reason witness-lost, after you made sure that the disk is the newest")  \
    X(config_dir_unreadable, "config-dir-unreadable",                                              \
      "the config directory cannot be read or is not mounted",                                     \
      "mount it or repair its file system, then idmode boot")                                      \
    X(config_dir_corrupt, "config-dir-corrupt",                                                    \
      "the config file system lost its content; it was restored", "check the storage")             \
    X(config_dir_volatile, "config-dir-volatile",                                                  \
      "the config directory does not survive a reboot", "mount persistent storage there")          \
    X(persist_unmounted, "persist-unmounted",                                                      \
      "the persist directory cannot be read or is not mounted",                                    \
      "mount it or repair its file system, then idmode boot")                                      \
    X(key_lost, "key-lost",                                                                        \
      "no good copy of the software key is left, or of a key that is being imported",              \
      "restore /config/device.key.pem from a backup, repeat idmode import, or idmode "             \
      "factory-reset --yes")                                                                       \
    X(cert_corrupt, "cert-corrupt", "no good copy of the certificate is left",                     \
      "restore it from a backup; it is issued again under a plausible clock")                      \
    X(record_corrupt, "record-corrupt",                                                            \
      "the record is lost or damaged and the evidence is ambiguous",                               \
      "idmode doctor shows what was found; installers call idmode factory-reset")                  \
    X(record_newer, "record-newer", "the record was written by a newer idmode",                    \
      "boot the newer image; nothing was changed")                                                 \
    X(rolled_back, "rolled-back", "the storage is older than the TPM's counter: a restored copy",  \
      "restore the newest copy; idmode hold show names the other ways out")                        \
    X(cloned, "cloned", "the storage belongs to another device",                                   \
      "put it back, or idmode hold clear --reason cloned --to new-identity --yes")                 \
    X(clock, "clock", "the clock is implausible, so no certificate can be issued",                 \
      "set the clock")                                                                             \
    X(storage_full, "storage-full", "no room left for a change",                                   \
      "free some space; the identity works")                                                       \
    X(storage_read_only, "storage-read-only", "the file system is read-only",                      \
      "mount it read-write; the identity works")                                                   \
    X(bootenv_unreadable, "bootenv-unreadable", "the boot environment cannot be read",             \
      "check /etc/fw_env.config with fw_printenv; until then nothing is given up that another "    \
      "image needs")                                                                               \
    X(legacy_changed, "legacy-changed", "a legacy image made or needed another certificate",       \
      "accept the reported legacy certificate in the controller")                                  \
    X(backup_degraded, "backup-degraded", "a second copy of the TPM identity is missing",          \
      "nothing now; it is tried again at each boot")                                               \
    X(reset_incomplete, "reset-incomplete", "the factory reset is not finished",                   \
      "reboot (the TPM must reset); if it stays, idmode doctor")                                   \
    X(reset_weak, "reset-weak", "old key files cannot be made useless on this TPM",                \
      "give idmode a persistent slot and the owner authorisation")                                 \
    X(settings_invalid, "settings-invalid", "the configuration has an invalid value",              \
      "idmode doctor names file and line")

enum idm_reason {
    IDM_R_none,
#define IDM_REASON_ENUM(name, word, sentence, todo) IDM_R_##name,
    IDM_REASONS(IDM_REASON_ENUM)
#undef IDM_REASON_ENUM
        IDM_REASON_COUNT,
    IDM_R_by_chip = IDM_REASON_COUNT, /* in a cell: the reason that fits facts.chip */
    IDM_R_by_room,                    /* in a cell: the reason that fits facts.room */
};

/* ---- plans and actions ------------------------------------------------------------------------
 */

/* One action each: imperative, idempotent, one durable step or none. engine/action_*.c carries them
 * out; `record_…` writes the record on both file systems. */
/* clang-format off */
#define IDM_ACTIONS(X) \
    X(rewrite_record_copy) \
    X(record_begin) /* state := next, intent of the plan */ \
    X(record_given_key) /* the same; the key that was given is to be the TPM identity's */ \
    X(keep_found_pair) \
    X(record_witness) \
    X(record_staged) \
    X(record_next) /* state := next, epoch + 1, no open plan */ \
    X(record_state) /* state := next, same epoch, no open plan */ \
    X(record_dropped) /* no open plan, nothing else */ \
    X(record_adopted) /* state := next; the pair in the config directory is the software identity */ \
    X(record_legacy) /* the pair in the store is the legacy pair now */ \
    X(record_tpm_identity) /* what stands at the handles is the TPM identity */ \
    X(record_tombstone) /* state := next; the TPM key is dead from now on */ \
    X(record_reset) /* state := next; everything recorded is dead from now on */ \
    X(record_reset_how) /* the open reset's way changes */ \
    X(record_cleared) /* our own TPM2_Clear is done */ \
    X(record_buried) \
    X(record_pending) \
    X(record_pending_off) \
    X(record_slots) \
    X(record_install) \
    X(record_statement) \
    X(record_install_failed) \
    X(record_committed) \
    X(record_sealed) \
    X(record_announced) \
    X(record_released) /* state := next; the TPM key is dead, the legacy pair active */ \
    X(record_rebaselined) /* the counter counts as it stands */ \
    X(record_reset_final) \
    X(make_counter) \
    X(add_counter) /* to an identity that has none */ \
    X(make_parent) \
    X(make_tss2_files) \
    X(make_handle) \
    X(make_tpm_cert) \
    X(renew_tpm_cert) \
    X(record_tpm_cert) /* another certificate of the TPM key: another identity, the same key */ \
    X(adopt_store_cert) /* a CA's certificate in place of the one in the store */ \
    X(adopt_tpm_cert) \
    X(copy_tpm_cert) \
    X(make_legacy_key) \
    X(make_legacy_cert) \
    X(renew_legacy_pair) \
    X(renew_legacy_cert) \
    X(make_sealed_legacy) \
    X(sign_statement) \
    X(increment_counter) \
    X(increment_for_reset) \
    X(adopt_pair_key) \
    X(adopt_pair_cert) \
    X(put_former_aside) \
    X(restore_store_key) \
    X(restore_store_cert) \
    X(restore_config_key) \
    X(restore_config_cert) \
    X(check_config_pair) \
    X(put_tpm_cert_in_config) \
    X(restore_tpm_copies) \
    X(restore_config_folder) \
    X(seal_legacy_pair) \
    X(compare_sealed_pair) \
    X(unseal_store_key) \
    X(unseal_store_cert) \
    X(remove_config_key) \
    X(remove_store_key) \
    X(remove_store_cert) \
    X(remove_sealed) \
    X(bury_config_cert) \
    X(bury_config_key) \
    X(bury_store_key) \
    X(bury_store_cert) \
    X(bury_tss2_files) \
    X(bury_tpm_certs) \
    X(remove_reset_request) \
    X(evict_dead) \
    X(clear_chip) \
    X(write_marker)
/* clang-format on */

enum __attribute__((packed)) idm_action { /* a byte: plans are tables of it */
                                          IDM_A_none,
#define IDM_ACTION_ENUM(name) IDM_A_##name,
                                          IDM_ACTIONS(IDM_ACTION_ENUM)
#undef IDM_ACTION_ENUM
                                              IDM_ACTION_COUNT
};

enum idm_plan {
#define PLAN(name, ...) IDM_P_##name,
#include "fsm/plans.def"
#undef PLAN
    IDM_PLAN_COUNT
};

#define IDM_PLAN_STEPS 32u /* more than the longest plan, with its end mark */

struct idm_plan_info {
    const char *name;
    bool issues_certificate;       /* only under a plausible clock */
    bool needs_room;               /* only with room for what it writes */
    enum idm_intent intent : 8;    /* what record_begin notes as the open plan */
    enum idm_reason tolerates : 8; /* a failure becomes this and the boot goes on; none: it stops */
    enum idm_action steps[IDM_PLAN_STEPS]; /* ends with IDM_A_none */
};

/* ---- events and cells --------------------------------------------------------------------------
 */

enum idm_event {
#define ROW(name, ...) IDM_EV_##name,
#include "fsm/table.def"
#undef ROW
    IDM_EVENT_COUNT,
    IDM_EV_none = IDM_EVENT_COUNT
};

enum idm_cell_kind {
    IDM_CELL_MISSING, /* zero: never in a table that compiled */
    IDM_CELL_GO,      /* run the plan, be in `next`, go round again */
    IDM_CELL_END,     /* run the plan; the loop ends, the identity is in use */
    IDM_CELL_HOLD,    /* run the plan (the marker at most); the loop ends, held for `reason` */
    IDM_CELL_IGNORE,
    IDM_CELL_REFUSE, /* a request is refused with `exit`; nothing changes */
    IDM_CELL_NEVER,  /* cannot happen, `why` shows it */
};

/* Bit-fields: the matrix is the largest thing that a device carries of us. */
struct idm_cell {
    enum idm_cell_kind kind : 8;
    enum idm_state next : 8;
    enum idm_plan plan : 8;
    enum idm_reason reason : 8; /* GO, END: reported in this boot; HOLD: held for it */
    unsigned int exit : 8;      /* REFUSE: 1 refused, 5 an operation failed */
    const char *why;
};

/* The cell for this event in this state; `next` is resolved. */
struct idm_cell idm_table_cell(enum idm_event event, enum idm_state state);
/* What the event means: one clause. */
const char *idm_event_sentence(enum idm_event event);
const struct idm_plan_info *idm_plan_info(enum idm_plan plan);
/* One sentence: what order the plan keeps and why. For documents; a device does not carry it. */
const char *idm_plan_why(enum idm_plan plan);

/* ---- classification ----------------------------------------------------------------------------
 */

enum idm_request_kind {
    IDM_REQ_BOOT,
    IDM_REQ_PRE_INSTALL,
    IDM_REQ_POST_INSTALL,
    IDM_REQ_INSTALL_FAILED,
    IDM_REQ_COMMITTED,
    IDM_REQ_ROLLBACK,
    IDM_REQ_RESET,
    IDM_REQ_PREPARE,
    IDM_REQ_COMMIT,
    IDM_REQ_ABORT,
    IDM_REQ_IMPORT,        /* a key from outside becomes the device's */
    IDM_REQ_ADOPT,         /* a key that is in the TPM does */
    IDM_REQ_CERT,          /* a CA's certificate for the active or the prepared key */
    IDM_REQ_RELEASE_RETRY, /* an operator's word about a hold */
    IDM_REQ_RELEASE_LEGACY,
    IDM_REQ_RELEASE_EPOCH,
    IDM_REQ_RELEASE_NEW,
    IDM_REQ_RELEASE_REUSE,
};

struct idm_request {
    enum idm_request_kind kind;
    bool target_legacy;       /* PRE_INSTALL: the image is legacy, or nobody said what it is */
    bool late;                /* a hook whose installation is not the open one */
    bool without_tpm;         /* RESET: the operator says that the chip is gone */
    bool clears;              /* RESET: by TPM2_Clear */
    const char *unfit;        /* IMPORT, ADOPT, REUSE: why that key may not be ours; CERT: why that
                                 certificate may not; NULL: it may */
    bool prepared;            /* CERT: for the identity that a migration prepared */
    bool key_certified;       /* the same: the config certificate is that key's */
    enum idm_reason held_for; /* RELEASE: what the boot loop before was held for; none: not held */
    enum idm_reason named;    /* RELEASE: the reason that the operator named */
};

struct idm_verdict {
    enum idm_event event;
    struct idm_cell cell;
    uint64_t ignored[2]; /* bit per event: raised before it, ignored in this state */
    bool clock_blocked;  /* an event was passed over for the clock, or for room */
    bool room_blocked;
};

/* The first event, in the order of the table, that these facts and this request raise and this
 * state does not ignore. With IDM_REQ_BOOT there always is one (`settled` is last); with another
 * request IDM_EV_none means that the request asks nothing of this state. A request sees the rows
 * below the line alone; boot sees those above it. */
struct idm_verdict idm_classify(const struct idm_facts *facts, const struct idm_request *request);

/* Is the event raised? Without regard to state cells and order; for tests and diagrams. */
bool idm_event_raised(enum idm_event event, const struct idm_facts *facts,
                      const struct idm_request *request);
/* Rows from here on answer requests. */
enum idm_event idm_first_request_event(void);

/* What stands in the way of a factory reset that is refused: the first that is missing, as a clause. */
const char *idm_reset_obstacle(const struct idm_facts *facts, const struct idm_request *request);

/* The same for a key that is given, adopted or used again, and refused. */
const char *idm_key_obstacle(const struct idm_facts *facts, const struct idm_request *request);

/* The same for a CA's certificate. */
const char *idm_cert_obstacle(const struct idm_facts *facts, const struct idm_request *request);

/* The reason behind IDM_R_by_chip and IDM_R_by_room; others as they are. */
enum idm_reason idm_reason_resolve(enum idm_reason reason, const struct idm_facts *facts);

/* ---- words -------------------------------------------------------------------------------------
 */

const char *idm_state_name(enum idm_state state);    /* "tpm-dual" */
const char *idm_event_name(enum idm_event event);    /* "cert_deleted" */
const char *idm_action_name(enum idm_action action); /* "make_parent" */
const char *idm_cell_kind_name(enum idm_cell_kind kind);
const char *idm_reason_word(enum idm_reason reason); /* "tpm-absent" */
const char *idm_reason_sentence(enum idm_reason reason);
const char *idm_reason_todo(enum idm_reason reason);
const char *idm_chip_name(enum idm_chip chip); /* tpm.status of the status document */
/* Facts in words, for people: "the recorded software identity's", "damaged", … */
const char *idm_evidence_words(enum idm_evidence fact);
const char *idm_record_words(enum idm_record_fact fact);
const char *idm_file_words(enum idm_file_fact fact);
const char *idm_copy_words(enum idm_copy fact);
const char *idm_proof_words(enum idm_proof fact);
const char *idm_counter_words(enum idm_counter_fact fact);
const char *idm_seal_words(enum idm_seal fact);
const char *idm_tri_word(enum idm_fact_tri fact); /* "unknown", "no", "yes" */

#endif
