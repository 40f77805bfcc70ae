/* SPDX-License-Identifier: BSD-2-Clause */
/* record.h - our durable statement, and its form on disk.
 *
 *     offset 0   "IDMODEREC"  version  min_reader  size     what every version begins with
 *                sequence, state, open plan, witness, Names, hashes, slots, …
 *     last 32    SHA-256 over everything before
 *
 * Fixed size, little-endian, no padding. Two copies lie on two file systems; the one with the
 * higher sequence counts. `version` is the format, `min_reader` the oldest program that may read and
 * replace it, told by the newest format which that knows; an older one keeps the bytes and says so.
 *
 * A program reads and writes every format from IDM_RECORD_OLDEST to IDM_RECORD_VERSION, and writes the
 * newest that all images which may boot can read (idm_record_format_for, slots.c). A new format adds fields
 * at the end of a walk (record.c) and a file in tests/corpus; what older ones do not hold is then zero.
 */
#ifndef IDM_ENGINE_RECORD_H
#define IDM_ENGINE_RECORD_H

#include "backends/backends.h"
#include "fsm/fsm.h"

/* Tests build the engine of a later program: the same fields under a number that this one may not read. */
#ifndef IDM_RECORD_VERSION
#define IDM_RECORD_VERSION    1u /* the newest format */
#define IDM_RECORD_MIN_READER 1u /* of it */
#endif
#define IDM_RECORD_OLDEST        1u
#define IDM_RECORD_SIGNATURE_MAX 256u /* RSA-2048; P-384 needs 104 */
#define IDM_TOMBSTONES           16u
#define IDM_INSTALL_ID_SIZE      64u

enum idm_slot_kind { IDM_SLOT_UNKNOWN, IDM_SLOT_LEGACY, IDM_SLOT_AWARE, IDM_SLOT_EMPTY };

/* Bits. IMPORTED: made outside of the chip, so that other copies of it may exist. ADOPTED: it was in
 * the chip before idmode was. REUSED: idmode's own, but its record was lost; an operator named it. */
enum idm_key_origin { IDM_KEY_IMPORTED = 1, IDM_KEY_ADOPTED = 2, IDM_KEY_REUSED = 4 };

/* FOREIGN: the Name of another device's object in this chip. It is not dead: it is never used, moved or
 * removed, but by TPM2_Clear. */
enum idm_tombstone_kind { IDM_TOMB_FREE, IDM_TOMB_NAME, IDM_TOMB_SPKI, IDM_TOMB_FOREIGN };

struct idm_tombstone {
    uint8_t kind;
    uint8_t value[IDM_NAME_SIZE]; /* a TPM Name, or an SPKI hash and two zero bytes */
};

struct idm_slot {
    uint8_t known; /* 0: a free entry */
    char name[IDM_SLOT_NAME_SIZE];
    uint8_t kind;
    uint8_t outranks; /* seen on the slot itself: counts more than [image] other-slot */
    uint8_t has_fingerprint;
    uint8_t fingerprint[IDM_SHA256_SIZE];
    uint16_t format; /* newest record format that the image reads; 0: none, or unknown */
    char version[IDM_VERSION_SIZE];
};

/* Bits of `open`. Older programs read any bit as the first. */
enum idm_install_open {
    IDM_INSTALL_OPEN = 1,
    /* The image that ran when it began was itself not committed, and no boot environment says so: until its
     * commit nothing is given up, also when this installation comes to nothing. */
    IDM_INSTALL_ON_TRIAL = 2,
};

struct idm_install {
    uint8_t open;    /* of enum idm_install_open; 0: none is */
    uint8_t kind;    /* what is being installed: enum idm_slot_kind */
    uint8_t booted;  /* the slot was seen running since */
    uint8_t written; /* post-install came */
    uint8_t has_before;
    uint8_t before[IDM_SHA256_SIZE]; /* fingerprint of the slot when it began */
    uint8_t boot[IDM_SHA256_SIZE];   /* hash of the boot in which it began */
    uint16_t format;
    char id[IDM_INSTALL_ID_SIZE];
    char slot[IDM_SLOT_NAME_SIZE];
    char version[IDM_VERSION_SIZE];
};

/* What the chip does not hold that it should. Older programs read any bit as the first. */
enum idm_owned {
    IDM_OWNED_BY_ANOTHER = 1, /* made without the owner's authorisation: what needs it is missing */
    IDM_OWNED_RENEWING = 2,   /* the lost counter is being made anew: until then it stays lost */
    IDM_OWNED_OUTLIVED = 4,   /* a factory reset could not make an earlier key's copies useless */
};

struct idm_record {
    uint16_t format; /* as which it was read, or is to be written; 0: the newest */
    uint64_t sequence;
    int64_t
        written_at; /* the latest plausible time at which it was written: a floor for the clock */
    uint8_t state;  /* enum idm_state */
    uint8_t intent; /* enum idm_intent */
    uint8_t staged;
    uint32_t epoch;     /* +1 with each change of the active identity */
    uint32_t announced; /* the last epoch that was published */

    /* witness: TPM counter; legal values follow from the open plan (idm_record_counter_range) */
    uint8_t has_witness;
    uint8_t
        witness_slack; /* so much more than the range is legal: an increment may have happened */
    uint64_t witness;

    /* TPM identity (prepared only, in `migrating`) */
    uint8_t device_name[IDM_NAME_SIZE];
    uint8_t parent_name[IDM_NAME_SIZE];
    uint8_t srk_name[IDM_NAME_SIZE];
    uint8_t ek_name[IDM_NAME_SIZE];
    uint8_t tpm_spki[IDM_SHA256_SIZE];
    uint8_t tpm_cert[IDM_SHA256_SIZE];
    /* software identity: the active one, or the legacy pair */
    uint8_t software_spki[IDM_SHA256_SIZE];
    uint8_t software_cert[IDM_SHA256_SIZE];

    /* settings as they were when the identity was made: another image's do not change it */
    uint8_t algorithm;
    uint8_t key_storage;
    uint8_t legacy_key;
    uint32_t device_handle;
    uint32_t parent_handle;
    uint32_t srk_handle;
    uint32_t counter_index;

    /* device */
    uint8_t has_serial;
    uint8_t serial[IDM_SHA256_SIZE]; /* hash of the hardware serial number */
    char manufacturer[16];
    char firmware[24];
    uint8_t config_is_mount;
    uint8_t persist_is_mount;

    /* sticky facts */
    uint8_t hooks_proven;   /* a pre-install arrived for an installation that was then booted */
    uint8_t legacy_seen;    /* a legacy image was, or may have been, on this device */
    uint8_t ever_plain;     /* the legacy key was once on storage in the clear */
    uint8_t malfunction;    /* the chip was broken at first use */
    uint8_t legacy_changed; /* reported until the next committed installation */
    uint8_t origin; /* of the TPM key: 0 made by idmode in the chip, else enum idm_key_origin */
    uint8_t owned;  /* enum idm_owned, bits */
    uint8_t weak_parent; /* the SRK is the parent: a reset cannot make old key files useless */

    /* seal, reset */
    uint8_t seal; /* enum idm_seal */
    uint32_t seal_reset_count;
    uint8_t reset_pending;
    uint8_t reset_clears;
    uint32_t reset_reset_count;

    /* pending loss of the certificate */
    uint8_t pending;
    uint8_t pending_on_trial;
    char pending_slot[IDM_SLOT_NAME_SIZE];
    uint8_t pending_has_fingerprint;
    uint8_t pending_fingerprint[IDM_SHA256_SIZE];

    struct idm_tombstone tombstones[IDM_TOMBSTONES];
    struct idm_slot slots[IDM_SLOTS];
    struct idm_install install;

    /* last change of the active identity */
    char change_why[32]; /* name of the event */
    int64_t change_at;
    uint8_t change_previous[IDM_SHA256_SIZE]; /* certificate before it; zero: none */

    /* By the active key over idm_record_identity_hash, made when that changes: an edit of the disk
     * alone shows. Size 0: no identity is active, or its key signs no digests (Ed25519). */
    uint8_t signed_hash[IDM_SHA256_SIZE];
    uint16_t signature_size;
    uint8_t signature[IDM_RECORD_SIGNATURE_MAX];
};

/* Encoded size, header and checksum included. */
size_t idm_record_size(void);

/* Writes exactly idm_record_size() bytes, as record->format. USAGE: there is no such format here; CRYPTO.
 */
int idm_record_encode(const struct idm_record *record, uint8_t *ret_bytes) IDM_NODISCARD;

/* The newest format that we write and a program which reads up to `reads` understands; reads 0: nobody
 * knows what it reads. */
uint16_t idm_record_format_for(uint16_t reads);

/* CORRUPT: not a record, cut short, or its checksum is wrong. NEWER: intact, but its min_reader is
 * above IDM_RECORD_VERSION. *ret is untouched on failure. */
int idm_record_decode(const void *bytes, size_t size, struct idm_record *ret) IDM_NODISCARD;

/* What the signature covers: which identity is active, epoch, witness, Names, and the active
 * identity's hashes. Slots, installations, pending losses and announcements stay outside: they change
 * without the key. IDM_E_CRYPTO. */
int idm_record_identity_hash(const struct idm_record *record,
                             uint8_t ret_hash[IDM_SHA256_SIZE]) IDM_NODISCARD;
enum idm_active { IDM_ACTIVE_NONE, IDM_ACTIVE_SOFTWARE, IDM_ACTIVE_TPM };
enum idm_active idm_record_active(const struct idm_record *record);

/* Values that the counter may have, by the open plan (both included). */
void idm_record_counter_range(const struct idm_record *record, uint64_t *ret_low,
                              uint64_t *ret_high);

/* The value that makes the open plan final: what increment_counter goes to. */
uint64_t idm_record_counter_target(const struct idm_record *record);

/* May copies of the TPM key lie below a parent that a factory reset leaves where it is? Below the SRK, or,
 * of an adopted key, anywhere. */
bool idm_record_key_is_weak(const struct idm_record *record);

bool idm_record_is_dead_name(const struct idm_record *record, const uint8_t name[IDM_NAME_SIZE]);
bool idm_record_is_dead_spki(const struct idm_record *record, const uint8_t spki[IDM_SHA256_SIZE]);
bool idm_record_has_tombstones(const struct idm_record *record, bool names_too);
/* Adds it, or makes it the youngest where it is there; an all-zero value is not added. When all places are
 * taken the oldest goes: it was buried or is unreachable. */
void idm_record_bury_name(struct idm_record *record, const uint8_t name[IDM_NAME_SIZE]);
void idm_record_bury_spki(struct idm_record *record, const uint8_t spki[IDM_SHA256_SIZE]);
void idm_record_note_foreign(struct idm_record *record, const uint8_t name[IDM_NAME_SIZE]);
bool idm_record_is_foreign(const struct idm_record *record, const uint8_t name[IDM_NAME_SIZE]);
bool idm_record_has_foreign(const struct idm_record *record);
/* After a TPM2_Clear nobody's object is left. */
void idm_record_forget_foreign(struct idm_record *record);
/* names_too false: only those of software keys. Foreign Names stay. */
void idm_record_clear_tombstones(struct idm_record *record, bool names_too);

/* The entry for that slot, or NULL. "" is the slot of a device whose slots have no names. */
const struct idm_slot *idm_record_slot(const struct idm_record *record, const char *name);
/* The same, made when it is missing: in a free place, else in place of the entry that is not `keep`
 * (may be NULL), so that a renamed slot cannot fill the record. */
struct idm_slot *idm_record_slot_make(struct idm_record *record, const char *name,
                                      const char *keep);

#endif
