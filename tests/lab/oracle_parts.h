/* SPDX-License-Identifier: BSD-2-Clause */
/* oracle_parts.h - what the files of the oracle share.
 *
 *   oracle.c           memory, causes, the order of judgement
 *   oracle_identity.c  I2 I3 I4 I5 I12: which identity, and may it have changed?
 *   oracle_device.c    I1 I6 I7 I10 I11: what the images find
 *   oracle_future.c    I1 I8 I9: asked of a copy of the world
 *
 * Judges return true when all is well, else false after violates().
 */
#ifndef IDM_TESTS_LAB_ORACLE_PARTS_H
#define IDM_TESTS_LAB_ORACLE_PARTS_H

#include "tests/lab/oracle.h"

#define LAB_EPOCHS_MAX    64u
#define LAB_DEAD_MAX      32u
#define LAB_SNAPSHOTS_MAX 8u

/* What may change the identity (I2). A cause ends with the change that it caused, or when the device is in
 * use and nothing is under way that would still cause one. */
enum lab_cause {
    LAB_CAUSE_RESET = 1 << 0,        /* a factory reset, from its first durable step on */
    LAB_CAUSE_MIGRATED = 1 << 1,     /* the controller accepted the move */
    LAB_CAUSE_CERT_DELETED = 1 << 2, /* rules 4 and 5; it may wait for a commit */
    LAB_CAUSE_CERT_LOST = 1 << 3,    /* no copy is left: issued again, on the same key */
    LAB_CAUSE_MINTED = 1 << 4,       /* a legacy image made a pair: to that pair alone */
    LAB_CAUSE_WIPED = 1 << 5,        /* neither a record nor a whole pair is left */
    LAB_CAUSE_OPERATOR = 1 << 6,     /* a release, an import, a certificate from a CA */
};

/* What is kept twice. */
enum lab_kind {
    LAB_KIND_RECORD = 1 << 0,
    LAB_KIND_CERT = 1 << 1, /* of the software identity, or what stands in its place */
    LAB_KIND_KEY = 1 << 2,
    LAB_KIND_TPM = 1 << 3, /* TSS2 file, TPM certificate, envelope */
    LAB_KINDS = (1 << 4) - 1,
};

/* Which copies the scenario destroyed since a boot was last found in order. */
struct lab_damage {
    unsigned int config, persist; /* of enum lab_kind */
};

struct lab_announced {
    int64_t epoch;
    char cert[LAB_HEX_SIZE];
};

struct lab_dead {
    char spki[LAB_HEX_SIZE];
    bool left;    /* in a chip that the operator gave up */
    bool in_chip; /* then a kept copy of its file must be dead too; of a software key it is not */
};

struct lab_kept {
    char name[LAB_WORD_SIZE];
    int64_t epoch;
    enum idm_state state;
    struct lab_damage damage;
    char cert[LAB_HEX_SIZE]; /* announced last */
};

struct lab_oracle {
    const struct lab_world_ops *ops;
    const struct lab_device *device;
    enum idm_legacy_key legacy_key; /* the policy of the device's configuration */
    bool other_slot_said;           /* the configuration speaks for the other slot */

    bool provisioned; /* an identity was announced */
    struct lab_announced announced[LAB_EPOCHS_MAX];
    size_t announced_count;
    struct lab_identity last; /* announced last, by an aware image */
    char last_mode[LAB_WORD_SIZE];
    char last_pair[LAB_HEX_SIZE]; /* SPKI of the legacy pair beside it; empty: there was none */
    int64_t last_epoch;
    unsigned int causes;       /* of enum lab_cause */
    char minted[LAB_HEX_SIZE]; /* certificate of the pair that a legacy image made last */
    struct lab_damage damage;

    struct lab_identity followed; /* by the TPM's in use, as its own key must say; empty: judged */

    bool reset_open;
    struct lab_dead dead[LAB_DEAD_MAX]; /* what a reset destroyed */
    size_t dead_count;

    struct lab_kept kept[LAB_SNAPSHOTS_MAX];
    size_t kept_count;
    bool restored; /* an older disk copy is in place */
    struct lab_kept restored_copy;
    bool restored_same;            /* the identity that it replaced was the same */
    int64_t witnessed_epoch;       /* newest epoch that this chip's counter stands for */
    bool moved;                    /* the disk is in another device */
    char moved_spki[LAB_HEX_SIZE]; /* the key that was in use before that */
    bool chip_changed;             /* another chip, a cleared or a forgetful one, at any time */
    bool legacy_unannounced; /* a legacy image came without a hook, and no aware image ran since */
    bool was_cut;            /* the step before was */
    bool chip_given_up;      /* the last reset was one without the TPM: its key stays in the chip */
    bool gave_up_once;       /* so was an earlier one */
    bool legacy_unrecorded;  /* one came while nothing could be noted, and the settings deny it */
    /* What idmode may know of a trial that the boot environment does not tell of. */
    bool trial_unheard;       /* the image that is on trial came without a hook */
    bool trial_ended_by_word; /* a hook said so, and no boot environment says otherwise */
    bool install_heard;       /* one was announced, and no hook has ended it */
    bool bootenv_harmed;      /* since the last installation */
    /* A key that no record names stands in the chip: the disk was wiped, or the chip was given up. It
     * looks like an older disk (I10). */
    bool stranded;
};

bool lab_violates(struct lab_violation *ret, unsigned int invariant, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Did idmode itself run in this step? */
bool lab_idmode_ran(const struct lab_step *step, const struct lab_sight *after);
/* `software` or `tpm`, published by an aware image. */
bool lab_in_use(const struct lab_sight *sight);
/* A legacy image lies in a slot from which the bootloader may boot. */
bool lab_legacy_present(const struct lab_sight *sight);
/* Is the chip there, and the one that the identity was made in? */
bool lab_chip_serves(const struct lab_sight *sight);
/* Does nothing tell idmode that this image is on trial? */
bool lab_trial_is_secret(const struct lab_oracle *o);
/* What is lost in both copies: of enum lab_kind. */
unsigned int lab_lost(const struct lab_oracle *o);
/* May the device be unable to use its identity now, for what the scenario did to it? */
bool lab_excused(const struct lab_oracle *o, const struct lab_sight *sight);

bool lab_judge_identity(struct lab_oracle *o, const struct lab_step *step,
                        const struct lab_result *result, const struct lab_sight *before,
                        const struct lab_sight *after, struct lab_violation *ret);
bool lab_judge_device(struct lab_oracle *o, const struct lab_step *step,
                      const struct lab_result *result, const struct lab_sight *before,
                      const struct lab_sight *after, struct lab_violation *ret);
/* 1 all well, 0 violated, -1 the world broke. */
int lab_judge_future(struct lab_oracle *o, struct lab_world *world, const struct lab_step *step,
                     const struct lab_result *result, const struct lab_sight *after,
                     struct lab_violation *ret, char error[LAB_SENTENCE_SIZE]);

#endif
