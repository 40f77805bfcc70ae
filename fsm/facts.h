/* SPDX-License-Identifier: BSD-2-Clause */
/* facts.h - what is known about the device, folded into few values each.
 *
 * Facts are read, never assumed, and never booleans where "I could not tell" is possible. The first
 * value of each enumeration is the one that claims least. engine/facts_*.c fills this in; the fsm
 * only looks at it.
 */
#ifndef IDM_FSM_FACTS_H
#define IDM_FSM_FACTS_H

#include <stdbool.h>
#include <stdint.h>

enum idm_state {
    IDM_S_none, /* there is no record */
    IDM_S_blank,
    IDM_S_software,
    IDM_S_migrating,
    IDM_S_tpm_dual,
    IDM_S_tpm,
    IDM_S_resetting,
    IDM_STATE_COUNT,
    IDM_S_same = IDM_STATE_COUNT /* in a cell: the state does not change */
};

/* Can the two file systems be believed? */
enum idm_evidence {
    IDM_EVIDENCE_READABLE,
    IDM_EVIDENCE_CONFIG_UNREADABLE,
    IDM_EVIDENCE_PERSIST_UNREADABLE
};

enum idm_record_fact {
    IDM_RECORD_ABSENT,
    IDM_RECORD_GOOD,
    IDM_RECORD_COPY_LOST, /* one good copy; the other absent, damaged or older */
    IDM_RECORD_CORRUPT,   /* no good copy though there is one, or two that contradict each other */
    IDM_RECORD_NEWER,
};

/* The plan that the record says is open. */
enum idm_intent {
    IDM_INTENT_none,
    IDM_INTENT_provision,
    IDM_INTENT_provision_soft,
    IDM_INTENT_to_tpm,
    IDM_INTENT_reset,
    IDM_INTENT_reset_soft
};

/* A certificate or key file against the record. */
enum idm_file_fact {
    IDM_FILE_ABSENT,   /* on a proven mount */
    IDM_FILE_SOFTWARE, /* the recorded software identity's */
    IDM_FILE_TPM,      /* the recorded TPM identity's (certificates only) */
    IDM_FILE_DEAD,     /* of an identity that the record declared dead */
    IDM_FILE_FORMER,   /* the software identity's before it was renewed (certificates only) */
    IDM_FILE_OTHER,    /* good, but not recorded */
    IDM_FILE_CORRUPT,  /* torn, empty, garbage: not "deleted" */
};

enum idm_copy { IDM_COPY_ABSENT, IDM_COPY_GOOD, IDM_COPY_BAD };

enum idm_chip {
    IDM_CHIP_UNASKED, /* nothing in this state needs it */
    IDM_CHIP_NONE,    /* the firmware announces none, or use = never */
    IDM_CHIP_USABLE,
    IDM_CHIP_BUSY,
    IDM_CHIP_LOCKED,
    IDM_CHIP_ABSENT, /* announced, does not answer */
    IDM_CHIP_FAILED,
    IDM_CHIP_GARBLED, /* at first use: it answers, and not as a TPM does; nothing confirms a failure */
    IDM_CHIP_OWNED,
    IDM_CHIP_CLEARED,
    IDM_CHIP_REPLACED,
    IDM_CHIP_COUNT
};

enum idm_proof { IDM_PROOF_UNASKED, IDM_PROOF_GIVEN, IDM_PROOF_LOST };

enum idm_counter_fact {
    IDM_COUNTER_UNASKED,
    IDM_COUNTER_UNRECORDED, /* the record has no witness */
    IDM_COUNTER_LEGAL,
    IDM_COUNTER_ILLEGAL,
    IDM_COUNTER_LOST, /* recorded, but the index is gone or not exactly ours */
};

enum idm_room_fact { IDM_ROOM_IS_OK, IDM_ROOM_IS_FULL, IDM_ROOM_IS_READ_ONLY };

/* A certificate deleted in software mode makes a change due, but not on trial. */
enum idm_pending { IDM_PENDING_NONE, IDM_PENDING_WAITING, IDM_PENDING_DUE, IDM_PENDING_EXPIRED };

/* The second copies of the TPM identity. */
enum idm_backup { IDM_BACKUP_COMPLETE, IDM_BACKUP_MISSING };

/* The sealed legacy key. */
enum idm_seal {
    IDM_SEAL_NONE,
    IDM_SEAL_FRESH,  /* written; the TPM has not been reset since */
    IDM_SEAL_MATURE, /* the TPM was reset since, or the plain key never touched storage */
};

enum idm_fact_tri { IDM_FACT_UNKNOWN, IDM_FACT_NO, IDM_FACT_YES };

struct idm_facts {
    enum idm_state state;
    enum idm_evidence evidence;
    enum idm_record_fact record;
    bool record_forged; /* its signature is not that of the identity which it says is active */
    enum idm_intent intent;
    bool staged;
    bool announced; /* this epoch's identity was announced */

    /* config directory */
    enum idm_file_fact config_cert;
    enum idm_file_fact config_key;
    bool config_pair_fits;   /* both are good and alive, and the certificate is the key's */
    bool config_volatile;    /* a reboot empties it, though not the persist directory */
    bool config_folder_gone; /* the mount is proven, our folder in it was there once and is gone */

    /* second copies */
    enum idm_copy store_key;
    enum idm_copy store_cert;
    enum idm_seal seal;
    enum idm_backup backup;
    bool tpm_files; /* without a record: a TSS2 file, TPM certificate or sealed key lies on disk */
    bool store_files; /* without a record: a legacy key or certificate lies in the store */

    /* chip */
    enum idm_chip chip;
    enum idm_proof proof;
    enum idm_counter_fact counter;
    enum idm_fact_tri chip_ours; /* does it hold a key or counter with exactly our attributes? */
    bool cert_of_chip;           /* the config certificate is that of the key at our handle */
    bool unnamed_key;            /* a key of ours that the record does not name */
    bool dead_remain;   /* resetting: not all that is dead is gone, or counted as gone; else: a dead
                           Name was seen in a file or handle */
    bool reset_pending; /* a finished reset waits for the TPM reset */
    bool chip_reset_since; /* the TPM was reset since that reset */
    bool chip_required;    /* use = required */

    enum idm_fact_tri moved; /* is the disk in another device? */

    bool cert_lost;   /* the TPM identity's certificate: no copy of it is good, and all were read */
    bool chip_forgot; /* the chip is the same, and nothing of what was kept in it is there */
    bool key_given;   /* the TPM identity's key was imported or adopted, or is to be */
    bool key_awaited; /* blank: that key is in no file and at no handle, and nobody gives it now */

    /* images */
    bool slot_stale; /* what the record says about the slots is not what is there */
    bool legacy_may_boot;
    enum idm_fact_tri trial;
    bool install_open;

    /* policy */
    enum idm_pending pending;
    bool loss_moves_to_tpm; /* on-cert-loss = tpm-key */
    bool seal_allowed;      /* legacy-key, and the hooks-proven gate of auto */
    bool legacy_unwanted;   /* legacy-key = none */
    bool keeps_one;         /* controller-keeps = one */
    bool reset_clears;      /* reset = clear, as recorded with the open reset */
    bool clear_refused; /* the reset that is asked for needs TPM2_Clear, and the chip refuses it */
    bool
        rekey_refused; /* the reset that is asked for removes keys and makes new ones, and the owner of
                           the chip lets us do neither */
    bool witnessed;    /* the record has a witness */
    bool witness_owed;    /* it has none, for want of the owner's authorisation or of the index */
    bool reset_requested; /* an installer left reset-requested */

    bool clock_good;
    enum idm_room_fact room;

    /* this boot */
    uint64_t tried[2]; /* bit per event: its plan failed and may; not again in this boot */
    bool held;         /* requests: the boot loop before ended held */
};

#endif
