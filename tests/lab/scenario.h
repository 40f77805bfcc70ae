/* SPDX-License-Identifier: BSD-2-Clause */
/* scenario.h - a device's life, written down: what a file of tests/scenarios says, checked and folded
 * into plain values.
 *
 *     file.yaml ──► lab_scenario_read ──► struct lab_scenario ──► replay.c ──► a world (world.h)
 *                   line:column: message
 *
 * The language is described in docs/scenarios.md. Unknown keys and values are errors: a misspelt
 * expectation must not pass for a fulfilled one.
 */
#ifndef IDM_TESTS_LAB_SCENARIO_H
#define IDM_TESTS_LAB_SCENARIO_H

#include "engine/engine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAB_WORD_SIZE     64u
#define LAB_SENTENCE_SIZE 256u
#define LAB_STEPS_MAX     256u
#define LAB_WORDS_MAX     24u /* arguments of `command` */
#define LAB_CONFIG_MAX    16u

/* word in the language: `step:` */
#define LAB_ACTIONS(X)                                                                             \
    X(boot, "boot")                                                                                \
    X(label, "label")                                                                              \
    X(install, "install")                                                                          \
    X(commit, "commit")                                                                            \
    X(fallback, "fallback")                                                                        \
    X(hook, "hook")                                                                                \
    X(factory_reset, "factory-reset")                                                              \
    X(migrate, "migrate")                                                                          \
    X(hold_clear, "hold-clear")                                                                    \
    X(delete, "delete")                                                                            \
    X(empty, "empty")                                                                              \
    X(tear, "tear")                                                                                \
    X(tpm, "tpm")                                                                                  \
    X(clock, "clock")                                                                              \
    X(disk, "disk")                                                                                \
    X(mount, "mount")                                                                              \
    X(snapshot, "snapshot")                                                                        \
    X(restore, "restore")                                                                          \
    X(move_disk, "move-disk")                                                                      \
    X(command, "command")                                                                          \
    X(check, "check")                                                                              \
    X(nothing, "nothing")

enum lab_action {
#define LAB_ACTION_ENUM(name, word) LAB_DO_##name,
    LAB_ACTIONS(LAB_ACTION_ENUM)
#undef LAB_ACTION_ENUM
        LAB_ACTION_COUNT
};

/* Updater phases, hooks or not. */
enum lab_phase {
    LAB_PHASE_NONE,
    LAB_PRE_INSTALL,
    LAB_WRITE, /* no hook: the updater writes the slot */
    LAB_POST_INSTALL,
    LAB_INSTALL_FAILED,
    LAB_COMMIT,
    LAB_ROLLBACK,
};

/* What `delete`, `empty` and `tear` touch. */
enum lab_what {
    LAB_CERT,       /* config directory: device.cert.pem */
    LAB_KEY,        /* config directory: device.key.pem */
    LAB_MARKER,     /* tpm_in_use */
    LAB_RECORD,     /* both copies of the record */
    LAB_RECORD_A,   /* the copy under persist */
    LAB_PERSIST,    /* everything under persist */
    LAB_CONFIG_DIR, /* everything in the config directory, our folder too */
    LAB_BOOTENV,    /* delete: both copies of the environment; empty, tear: one after the other */
    LAB_DISK,       /* persist and the config directory */
};

enum lab_tpm {
    LAB_TPM_USABLE,
    LAB_TPM_ABSENT,   /* the firmware announces none */
    LAB_TPM_LATE,     /* announced; no node yet, and not within `wait` */
    LAB_TPM_FAILED,   /* failure mode, confirmed by GetTestResult */
    LAB_TPM_LOCKED,   /* answers TPM_RC_LOCKOUT to everything, our keys (noDA) included */
    LAB_TPM_OWNED,    /* somebody set an owner authorisation */
    LAB_TPM_CLEARED,  /* somebody's TPM2_Clear: happens once, the chip is usable */
    LAB_TPM_REPLACED, /* another, empty chip: happens once, the chip is usable */
    LAB_TPM_VOLATILE, /* forgets everything at its reset */
    LAB_TPM_BUSY,     /* the next `busy_commands` commands answer TPM_RC_RETRY */
};

enum lab_disk { LAB_DISK_OK, LAB_DISK_FULL, LAB_DISK_READ_ONLY };
enum lab_filesystem { LAB_EXT4, LAB_FAT };
enum lab_bootenv { LAB_BOOTENV_BOOTCOUNT, LAB_BOOTENV_RAUC, LAB_BOOTENV_NONE };
enum lab_slot_image { LAB_SLOT_EMPTY, LAB_SLOT_AWARE, LAB_SLOT_LEGACY };
enum lab_world_name { LAB_WORLD_ANY, LAB_WORLD_SIM, LAB_WORLD_REAL };

/* One line of idmode.conf: the language names the key alone, the section follows from it. */
struct lab_setting {
    char section[LAB_WORD_SIZE];
    char key[LAB_WORD_SIZE];
    char value[LAB_SENTENCE_SIZE];
};

/* The device before its first power-on. */
struct lab_device {
    enum lab_tpm tpm; /* CLEARED and REPLACED mean nothing here: refused */
    unsigned int busy_commands;
    bool aware;                     /* the image in slot A */
    char version[LAB_WORD_SIZE];    /* of it */
    bool provisioned;               /* one boot before the first step */
    enum lab_filesystem filesystem; /* of the config directory */
    enum lab_slot_image other_slot; /* what slot B physically holds */
    bool rsa;                       /* legacy pairs and `algorithm`: RSA-2048 */
    enum lab_bootenv bootenv;
    struct lab_setting settings[LAB_CONFIG_MAX];
    size_t settings_count;
};

struct lab_install {
    enum lab_slot_image image; /* AWARE or LEGACY */
    bool image_unsaid;         /* `aware: unknown`: aware, but the hook is told `unknown` */
    char version[LAB_WORD_SIZE];
    char format[LAB_WORD_SIZE]; /* empty: not given to the hook */
    bool pre_install;           /* is the hook called? */
    bool post_install;
    bool write_fails;
    enum lab_phase
        killed; /* the updater dies right after this phase: PRE_INSTALL, WRITE, POST_INSTALL */
    enum lab_phase late; /* this hook's call arrives only after the next boot */
};

/* What is expected after a step. Only what is set is judged. */
struct lab_expect {
    char mode[LAB_WORD_SIZE]; /* empty strings: not judged */
    char state[LAB_WORD_SIZE];
    char identity[LAB_WORD_SIZE]; /* labels */
    char identity_not[LAB_WORD_SIZE];
    char key[LAB_WORD_SIZE];
    char legacy_view[LAB_WORD_SIZE];
    char legacy_identity[LAB_WORD_SIZE];
    char legacy_key[LAB_WORD_SIZE];
    char marker[LAB_WORD_SIZE];
    char tpm[LAB_WORD_SIZE];
    char image[LAB_WORD_SIZE];
    char trial[LAB_WORD_SIZE];
    char slot[LAB_WORD_SIZE];
    int held;      /* -1 not judged, else 0 or 1 */
    int healthy;   /* likewise */
    int64_t epoch; /* -1: not judged */
    bool reasons_judged;
    uint64_t reasons;       /* exactly these: bit per enum idm_reason */
    enum idm_reason reason; /* this one among them; IDM_R_none: not judged */
};

enum lab_cut_kind {
    LAB_CUT_NONE,
    LAB_CUT_NAMED,  /* right after the durable step of that name: an action of fsm.h */
    LAB_CUT_EVERY,  /* one replay per durable step */
    LAB_CUT_RANDOM, /* at one drawn from the seed */
};

struct lab_step {
    enum lab_action action;
    int line, column; /* in the file, from 1 */

    char word
        [LAB_WORD_SIZE];    /* label, snapshot, restore, check: NAME; migrate: prepare|commit|abort;
                                 factory-reset: rekey|clear or empty; hold-clear: `to` */
    enum idm_reason reason; /* hold-clear */
    struct lab_install install;
    enum lab_phase phase; /* hook */
    bool hooks;           /* commit: does the updater call the hook? */
    enum lab_what what;
    enum lab_tpm tpm;
    unsigned int busy_commands;
    bool clock_good;
    enum lab_disk disk;
    int mount_config, mount_persist;              /* -1 as it is, 0 not mounted, 1 mounted */
    char words[LAB_WORDS_MAX][LAB_SENTENCE_SIZE]; /* command */
    size_t words_count;

    bool exit_judged;
    int exit_code;
    enum lab_cut_kind cut;
    char cut_name[LAB_WORD_SIZE];
    bool expects;
    struct lab_expect expect;
};

struct lab_scenario {
    char file[512];
    char name[LAB_SENTENCE_SIZE];
    char source[LAB_SENTENCE_SIZE];
    char why[LAB_SENTENCE_SIZE]; /* of `world` */
    enum lab_world_name world;
    struct lab_device device;
    struct lab_step *steps; /* owned */
    size_t steps_count;
};

struct lab_scenario_error {
    int line, column; /* from 1; 0: of the file as a whole */
    char text[2048];  /* the longest names every durable step */
};

/* Reads one file. 0, or -1 and *err; *ret is untouched then. lab_scenario_free releases it. What the
 * file leaves out is as contract section 7 says; an installation without a version is of "2.0". */
int lab_scenario_read(struct lab_scenario *ret, const char *path, struct lab_scenario_error *err)
    __attribute__((warn_unused_result));
/* NULL and a zeroed struct are fine. */
void lab_scenario_free(struct lab_scenario *scenario);

/* May idmode run in such a step, so that an exit code or a cut makes sense? */
bool lab_runs_idmode(enum lab_action action);

/* Words of the language; static. */
const char *lab_action_word(enum lab_action action);
const char *lab_phase_word(enum lab_phase phase);
const char *lab_what_word(enum lab_what what);
const char *lab_tpm_word(enum lab_tpm tpm);

#endif
