/* SPDX-License-Identifier: BSD-2-Clause */
/* sim.h - a device in memory behind struct idm_backends: files, a TPM, two slots, a clock.
 *
 *     struct idm_sim sim;                      a new device: empty disk, a usable, empty TPM
 *     idm_sim_init(&sim);
 *     idm_sim_boot(&sim, &outcome);            one power cycle and one run of the engine
 *     idm_sim_free(&sim);
 *
 * What it keeps honest: a file is there or not and its directory too; a key is known by a number
 * that is never used twice, a certificate names its key, a TSS2 file and an envelope name the parent
 * object that they need, and no object survives in the chip that the chip did not keep. A change of a
 * file is the same row of primitive effects as on the real device (sim_files.c), and each file system
 * does with the unsynced ones what ext4 or FAT may do. What it leaves out: real cryptography, timing
 * (waiting for a busy chip takes virtual time only).
 *
 * Faults: the calls of one run are numbered from 1. One of them fails, or the power goes before or
 * after it takes effect, after one primitive effect, or after an action of that name. After a cut no
 * call has an effect any more and all of them fail, so that the engine comes back to its caller (and
 * frees what it holds), but nothing that it did after the cut exists.
 */
#ifndef IDM_TESTS_SIM_SIM_H
#define IDM_TESTS_SIM_SIM_H

#include "engine/engine.h"

#define IDM_SIM_OBJECTS 7u         /* facts: real chips keep as few persistent objects */
#define IDM_SIM_NOW     1800000000 /* 2027-01-15, the clock at the start */
#define IDM_SIM_COUNTER 40u        /* a new chip's counters start above it */

enum idm_sim_fault {
    IDM_SIM_HEALTHY,
    IDM_SIM_FAIL,       /* call `fault_at` fails, once, without effect */
    IDM_SIM_FAIL_ON,    /* it fails, and all calls after it, those for /run apart */
    IDM_SIM_CUT_BEFORE, /* the power goes in the place of changing call `fault_at` */
    IDM_SIM_CUT_AFTER,  /* the power goes right after it */
    IDM_SIM_CUT_EFFECT, /* the power goes right after primitive effect `fault_at` */
    IDM_SIM_CUT_NAMED,  /* the power goes right after the action `fault_name` (enum idm_action) */
};

/* A file's bytes, shared by all devices that were copied from one another; never changed. */
struct idm_sim_blob {
    unsigned int refs;
    struct idm_bytes bytes;
    void *notes; /* what a reader found in it; NULL, or freed with it */
};

enum idm_sim_fs { IDM_SIM_EXT4, IDM_SIM_FAT };

/* What was done to a directory or a file and has not been synced. */
enum idm_sim_effect_kind {
    IDM_SIM_MKDIR,
    IDM_SIM_CREATE, /* the temporary file's name */
    IDM_SIM_WRITE,  /* its content */
    IDM_SIM_RENAME, /* over the file's name */
    IDM_SIM_UNLINK,
    IDM_SIM_UNLINK_TEMP,
};
#define IDM_SIM_PENDING 64u /* one change has four; a store that forgets to sync has more */

struct idm_sim_effect {
    enum idm_sim_effect_kind kind;
    enum idm_place place; /* the directory that holds the name */
    enum idm_file file;
    enum idm_place made;         /* MKDIR: the directory itself */
    struct idm_sim_blob *before; /* owned: what had the name before; NULL: nothing */
};

/* What the newest primitive effect did. */
enum idm_sim_newest {
    IDM_SIM_DURABLE, /* in the chip: it is done */
    IDM_SIM_UNSYNCED,
    IDM_SIM_SYNC, /* it only made others durable */
};

struct idm_sim_object {
    uint32_t handle; /* 0: a free place */
    uint32_t id;     /* of the key; never used twice */
    uint32_t under;  /* id of the parent; 0: the storage root key */
    enum idm_tpm_role role;
    bool stranger;
    bool imported; /* a device key with the attributes of one that was made outside */
};

struct idm_sim_chip {
    int answers;       /* 0, or the IDM_E_TPM_… that every command gives */
    bool announced;    /* by the firmware */
    unsigned int busy; /* so many next commands answer TPM_RC_RETRY */
    bool owner_auth;   /* somebody set one: nothing persistent is made or removed without it */
    bool nv_full;      /* no room for a counter */
    bool forgets;      /* everything but its seeds, at each reset */
    uint32_t seed;     /* the endorsement key's: another chip has another */
    uint32_t srk;      /* the storage root key's: TPM2_Clear changes it */
    uint32_t reset_count;
    bool has_counter;
    bool counter_written;
    uint64_t counter;
    uint64_t counter_max; /* of all counters that ever were: a new one starts above it */
    struct idm_sim_object objects[IDM_SIM_OBJECTS];
};

struct idm_sim {
    struct idm_backends backends;
    struct idm_settings settings;

    struct idm_sim_blob *files[IDM_FILE_COUNT]; /* NULL: absent */
    struct idm_sim_blob *temps[IDM_FILE_COUNT]; /* temporary files that a cut left */
    bool made[IDM_PLACES]; /* our own directories, which come and go; the others are always there */
    enum idm_sim_fs config_fs; /* of config; persist is ext4 */
    bool forgets_fsync; /* a store that does not sync what it writes: to see that it is seen */
    struct idm_sim_effect pending[IDM_SIM_PENDING];
    size_t pending_count;
    enum idm_place_state state[IDM_PLACES]; /* of CONFIG and PERSIST */
    enum idm_room room;
    bool config_volatile; /* config lies in memory; nothing here empties it */

    struct idm_sim_chip chip;
    uint32_t next_id; /* of keys, certificates, envelopes */

    struct idm_platform platform;
    uint32_t boots; /* power cycles so far */
    struct idm_bootenv bootenv;
    uint32_t slot_content[IDM_SLOTS]; /* A, B; 0: cannot be read */

    /* the run */
    enum idm_sim_fault fault;
    unsigned long fault_at;
    const char *fault_name; /* borrowed */
    unsigned long calls;    /* that could fail so far */
    unsigned long changes;  /* that could change something durable so far */
    unsigned long writes;   /* that did, marker and /run apart */
    unsigned long effects;  /* primitive ones so far, the chip's among them */
    enum idm_sim_newest newest;
    unsigned long issued; /* certificates */
    bool fault_hit;
    bool dead;               /* after a cut */
    unsigned long processes; /* that began so far */
    bool swept;              /* the process has looked for leftover temporary files */
    uint32_t waited_ms;      /* for a busy chip, in this process: virtual time */
    uint32_t pause_ms;
    void (*traced)(void *self, const char *line); /* gets each line of the trace; may be NULL */
    void *traced_self;
    void (*watched)(void *self); /* called after each primitive effect, to copy the device as a cut
                                    there leaves it; may be NULL, and is in a copy */
    void *watched_self;
};

/* A new device with the documented defaults; aware image in slot A, something unknown in slot B. */
void idm_sim_init(struct idm_sim *sim);
void idm_sim_free(struct idm_sim *sim);
/* *to is a device of its own afterwards; it must not hold one before. No fault is armed in it. */
void idm_sim_copy(struct idm_sim *to, const struct idm_sim *from);

/* Arms one fault for the next run. */
void idm_sim_arm(struct idm_sim *sim, enum idm_sim_fault fault, unsigned long at);
/* The counters of a run begin at 0, armed faults stay. idm_sim_run does both; who runs commands on
 * sim->backends (cli/cli.h) begins the run once and a process before each command. */
void idm_sim_begin_run(struct idm_sim *sim);
void idm_sim_begin_process(struct idm_sim *sim);

/* Power off and on: /run is empty, the TPM was reset, the boot has another id, the chip lives. */
void idm_sim_power_cycle(struct idm_sim *sim);
/* One run of the engine, without a power cycle: a request, or a boot (NULL). Counters of the run start
 * at 0; the fault is disarmed after it. When the engine cannot even start: IDM_EXIT_FAILED and an
 * empty outcome. */
enum idm_exit idm_sim_run(struct idm_sim *sim, const struct idm_ask *ask, struct idm_outcome *ret);
/* A power cycle and a boot. */
enum idm_exit idm_sim_boot(struct idm_sim *sim, struct idm_outcome *ret);

/* ---- what a power cut leaves ---- */

/* Primitive effects that were issued and not synced when the power went. */
size_t idm_sim_unsynced(const struct idm_sim *sim);
/* In how many states the disks may be then: each unsynced effect kept, lost, or torn as its file system
 * does it. At most six are combined in every way; of more, all are kept but one or two: *ret_left_out (NULL
 * is fine) says how many combinations that leaves out. At least 1. */
uint64_t idm_sim_outcomes(const struct idm_sim *sim, uint64_t *ret_left_out);
/* Does outcome k leave something that no outcome of a cut right before the newest effect left? False where it
 * is the same but for the bytes of a temporary file, which nobody reads. Of the first effect of a process all
 * do: in between others may change the device. */
bool idm_sim_outcome_is_new(const struct idm_sim *sim, uint64_t k);
/* Puts the disks into outcome k < idm_sim_outcomes(); the same k gives the same state. 0: all that
 * was issued is kept, which is also what a power cycle takes where nobody chose. Nothing is unsynced
 * afterwards. */
void idm_sim_settle(struct idm_sim *sim, uint64_t k);

/* ---- what is there ---- */

/* A file's bytes; NULL: absent. Borrowed until the file changes. */
const struct idm_bytes *idm_sim_file(const struct idm_sim *sim, enum idm_file file);
/* The record on disk: of two good copies the newer one. False: none, or damaged ones. */
bool idm_sim_record(const struct idm_sim *sim, struct idm_record *ret);
/* Numbers of the key and of the certificate in a file; 0: absent or not one. */
uint32_t idm_sim_key_of(const struct idm_sim *sim, enum idm_file file);
uint32_t idm_sim_cert_of(const struct idm_sim *sim, enum idm_file file);
/* Number of the key that the certificate in that file is for. */
uint32_t idm_sim_cert_key_of(const struct idm_sim *sim, enum idm_file file);
const struct idm_sim_object *idm_sim_object_at(const struct idm_sim *sim, uint32_t handle);

/* ---- what happens to it ---- */

/* A legacy image's boot: keeps a complete matching pair, else mints one. */
void idm_sim_legacy_boot(struct idm_sim *sim);
/* A new pair in the config directory, as a legacy image or a person makes it. */
void idm_sim_mint(struct idm_sim *sim);
void idm_sim_delete(struct idm_sim *sim, enum idm_file file);
void idm_sim_put(struct idm_sim *sim, enum idm_file file, const char *text);
/* Cuts a file to so many bytes; an absent one stays absent. */
void idm_sim_truncate(struct idm_sim *sim, enum idm_file file, size_t size);
/* Config and persist become what they are in `from`: a restored copy of the disk. */
void idm_sim_restore_disk(struct idm_sim *sim, const struct idm_sim *from);
/* Somebody's TPM2_Clear; another, empty chip in its place. */
void idm_sim_chip_clear(struct idm_sim *sim);
void idm_sim_chip_replace(struct idm_sim *sim);
/* All of config or persist, our directories too. */
void idm_sim_wipe(struct idm_sim *sim, enum idm_place place);

#endif
