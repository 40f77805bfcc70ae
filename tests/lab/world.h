/* SPDX-License-Identifier: BSD-2-Clause */
/* world.h - a place where a scenario happens: the simulated device, or files, swtpm and the shipped
 * programs in a scratch directory. Both do the same things and are seen in the same way.
 *
 *     replay.c ──► struct lab_world ──┬─► world_sim.c   tests/sim: the shipping engine, in memory
 *        │                            └─► world_real.c  tests/support: the shipped programs
 *        └─ see ──► struct lab_sight ──► expectations, oracle.h, reports
 *
 * A cut is asked for with the step: the power fails right after the n-th durable step that idmode
 * takes in it (counted over all its runs in that step: both hooks of an installation), or right
 * after the named one. After a cut the world is without power until the next LAB_DO_boot; whoever
 * asked for it boots.
 */
#ifndef IDM_TESTS_LAB_WORLD_H
#define IDM_TESTS_LAB_WORLD_H

#include "tests/lab/scenario.h"

#define LAB_HEX_SIZE   65u /* SHA-256 in hex, terminated */
#define LAB_TRACE_SIZE 16384u

struct lab_identity {
    char cert[LAB_HEX_SIZE]; /* of the certificate's exact bytes (DER); empty: there is none */
    char spki[LAB_HEX_SIZE]; /* of the key's SubjectPublicKeyInfo */
    bool works;              /* the key signed a challenge that this certificate verifies */
};

struct lab_slot {
    bool present;
    bool aware;
    char version[LAB_WORD_SIZE];
};

/* The device as it stands after a step. Reading it changes nothing. */
struct lab_sight {
    /* The image that ran last. */
    bool powered; /* false: never switched on, or after a cut */
    bool aware;
    int slot; /* 0 is A */
    struct lab_slot slots[2];
    int next_slot;      /* what the bootloader would pick now */
    enum idm_tri trial; /* the bootloader's truth */

    /* What idmode published in this boot; under a legacy image `mode` is software, the rest empty. */
    bool published;
    char mode[LAB_WORD_SIZE];
    char identity_mode[LAB_WORD_SIZE];
    char state[LAB_WORD_SIZE];
    bool held;
    bool healthy;
    uint64_t reasons; /* bit per enum idm_reason */
    int64_t epoch;
    char last_event[LAB_WORD_SIZE];
    char tpm[LAB_WORD_SIZE]; /* tpm.status */

    /* The record on the disk, whoever runs. */
    bool recorded;
    enum idm_state recorded_state;
    int64_t recorded_epoch;
    bool staged;          /* a change of the identity has been decided and is not through */
    bool reset_requested; /* a factory reset waits for the next boot */

    struct lab_identity active; /* what TLS uses in this boot; under a legacy image its pair */
    struct lab_identity legacy; /* the pair in the config directory, as far as it can be read */
    char legacy_view[LAB_WORD_SIZE]; /* works, absent, broken */
    char legacy_key[LAB_WORD_SIZE];  /* plain, sealed, none: from the files themselves */
    bool marker;

    /* The device's surroundings, as the scenario set them. */
    enum lab_tpm chip; /* USABLE also after CLEARED and REPLACED */
    bool own_chip;     /* the chip in which the identity was made, and not cleared since */
    bool clock_good;
    enum lab_disk disk;
    bool config_mounted, persist_mounted;

    char trace[LAB_TRACE_SIZE]; /* of the last run, one line each; cut at the front when longer */
};

struct lab_cut {
    enum {
        LAB_UNCUT,
        LAB_CUT_AT,
        LAB_CUT_AFTER_NAMED,
        /* The simulated world alone: idm_sim_fault of the same name (tests/sim/sim.h). A call that
         * fails is no cut, but was_cut says that it happened. */
        LAB_CUT_EFFECT,
        LAB_CALL_FAILS,
        LAB_CALLS_FAIL_ON,
    } kind;
    unsigned long at; /* from 1 */
    uint64_t outcome; /* CUT_EFFECT: what is left of what was not synced (idm_sim_settle) */
    const char *name; /* word of enum idm_action, borrowed */
};

struct lab_result {
    bool judged_exit; /* idmode ran, and was not cut */
    int exit_code;    /* of its last run that says something about the step: the boot, the command,
                              the hook that refused or else the last hook */
    bool was_cut;     /* the asked-for cut happened */
    unsigned long cut_ms;  /* a whole machine: so long after the step began; 0: not said */
    unsigned long durable; /* durable steps that idmode took in this step */
    unsigned long calls;   /* of the backends; the simulated world alone counts them */
    bool minted;           /* a legacy image made a new pair */
    long issued;           /* certificates that idmode issued; -1: this world does not count them */
    enum idm_tri
        resetting; /* did a record on the disk say so at any time in it? UNKNOWN after a cut,
                               and where this world does not look */
    char error[LAB_SENTENCE_SIZE]; /* after -1: what of the world itself broke */
    char note[LAB_SENTENCE_SIZE];  /* what a check found, in its own words */
};

struct lab_world; /* each world has its own */

struct lab_world_ops {
    const char *name; /* "sim", "real" */
    /* A device before its first power-on (with `provisioned`: after its first boot). 0, or -1 and
     * `error`; then nothing is left. */
    int (*open)(struct lab_world **ret, const struct lab_device *device,
                char error[LAB_SENTENCE_SIZE]);
    void (*close)(struct lab_world *world); /* NULL is fine */
    /* Does the step's action; not `label`, which is the replay's own. 0, also when idmode failed or the
     * power was cut; -1 when the world broke. */
    int (*act)(struct lab_world *world, const struct lab_step *step, const struct lab_cut *cut,
               struct lab_result *ret);
    int (*see)(struct lab_world *world, struct lab_sight *ret, char error[LAB_SENTENCE_SIZE]);
    /* A second world in the same state, independent of the first: for cuts, and for questions of the
     * kind "what if the other slot booted". -1 when the world broke. */
    int (*fork)(struct lab_world **ret, struct lab_world *world, char error[LAB_SENTENCE_SIZE]);
    /* Nobody but `see` will look at what that world publishes from here on: it need not be composed
     * each time. NULL: it always is. */
    void (*unread)(struct lab_world *world);
    /* A world that cannot rehearse a step (fork) draws `cut: random` from so many places, the last of
     * which may lie behind the step's end. 0: it can. */
    unsigned long blind_cuts;
    /* Is fork cheap enough to ask such a question after every step? */
    bool forks_cheaply;
    /* Has a key with this SPKI any way left to sign: a file that loads in the chip, a persistent object,
     * a plain key file? What the reset must have ended. `snapshots`: files of kept snapshots count too. */
    int (*key_lives)(struct lab_world *world, const char *spki, bool snapshots, bool *ret,
                     char error[LAB_SENTENCE_SIZE]);
    /* Does the published statement say, by the old key's signature, that `to` follows `from` under that
     * epoch? NULL: this world cannot tell. */
    int (*succession)(struct lab_world *world, const struct lab_identity *from,
                      const struct lab_identity *to, int64_t epoch, bool *ret,
                      char error[LAB_SENTENCE_SIZE]);
    /* Durable writes of the last act, marker and /run apart. */
    unsigned long (*writes)(const struct lab_world *world);
};

extern const struct lab_world_ops lab_sim_world;
extern const struct lab_world_ops lab_real_world;

#endif
