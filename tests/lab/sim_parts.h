/* SPDX-License-Identifier: BSD-2-Clause */
/* sim_parts.h - what the files of the simulated world share.
 *
 *     world_sim.c   open, act, fork: power, updater, commands
 *     sim_device.c  a device before its first power-on
 *     sim_harm.c    what a scenario does to disk, chip and case
 *     sim_see.c     how the device is seen, and which keys live
 *
 * It does what tests/support/device.h and the real world do, on tests/sim: same bootloader, same hooks with
 * the same arguments, same model of a legacy image. idmode is the shipped command line code (cli/) on
 * the simulated backends.
 */
#ifndef IDM_TESTS_LAB_SIM_PARTS_H
#define IDM_TESTS_LAB_SIM_PARTS_H

#include "cli/cli.h"
#include "tests/lab/world.h"
#include "tests/sim/sim.h"
#include "tests/sim/sim_boot.h"

#define LAB_SIM_SNAPSHOTS 8u

/* A kept copy of the disk; shared by forks, never changed. */
struct lab_sim_snapshot {
    unsigned int refs;
    char name[LAB_WORD_SIZE];
    struct idm_sim sim;
};

/* What an updater tells idmode about its installation. */
struct lab_sim_target {
    unsigned int installs; /* number of the installation; 0: none yet */
    int slot;
    const char *aware; /* static: "yes", "no", "unknown" */
    char version[LAB_WORD_SIZE];
    char format[LAB_WORD_SIZE];
};

struct lab_world {
    struct idm_sim sim;
    struct idm_settings
        settings; /* as the configuration says; sim.settings: those of the process */
    struct idm_sim_bootloader bootloader;
    struct lab_slot slots[IDM_SLOTS];

    bool unread; /* world.h */
    unsigned int boots;
    bool powered;
    int slot;            /* that runs */
    struct lab_slot ran; /* the image in it when it booted; none before the first boot */

    struct lab_sim_target target;
    struct lab_sim_target late; /* of the hook that comes after the next boot */
    enum lab_phase late_phase;  /* LAB_PHASE_NONE: none does */

    enum lab_tpm chip;
    unsigned int chips;   /* chips, and memories of one, that there were */
    unsigned int made_in; /* which of them holds the identity; 0: none yet */
    int64_t epoch_seen;
    unsigned int moves;
    bool clock_good;
    int64_t now; /* the good clock */
    enum lab_disk disk;
    /* What a legacy image finds where config is not mounted: numbers of its own pair; 0: nothing. */
    uint32_t beneath_key, beneath_cert;

    struct lab_sim_snapshot *snapshots[LAB_SIM_SNAPSHOTS];

    /* The record as last decoded, and the files that it was decoded from (held). */
    struct idm_sim_blob *record_from[2];
    struct idm_record record;
    bool recorded;

    struct idm_outcome concluded; /* of the last engine run in this boot */
    bool ran_idmode;              /* in this step */
    bool was_resetting;           /* in this step, by the record */
    int exit_code;
    unsigned long writes;
    size_t trace_size;
    char trace[LAB_TRACE_SIZE]; /* last: a fork copies what is used */
};

/* Nobody reads the status document of the run that is going on (quick.c). */
extern bool lab_sim_unread;

/* world_sim.c: fills error, gives -1. */
int lab_sim_broke(char error[LAB_SENTENCE_SIZE], const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The power fails now, in a copy that was made while a step was going on (sim.watched); of what was
 * not synced that outcome is left. *ret is what act() would have said. */
void lab_sim_cut_here(struct lab_world *w, uint64_t outcome, struct lab_result *ret);

/* sim_device.c: fills a zeroed world. */
void lab_sim_make(struct lab_world *w, const struct lab_device *device);
/* An image in a slot; `half`: an interrupted one, which does not boot. */
void lab_sim_put_image(struct lab_world *w, int slot, bool aware, const char *version, bool half);

/* sim_harm.c: 0, or -1 and error. */
int lab_sim_harm(struct lab_world *w, const struct lab_step *step, char error[LAB_SENTENCE_SIZE]);
void lab_sim_set_chip(struct lab_world *w, enum lab_tpm chip, unsigned int busy_commands);
void lab_sim_drop_snapshots(struct lab_world *w);

/* sim_see.c */
/* The record on the disk; NULL: none that is good. */
const struct idm_record *lab_sim_record(struct lab_world *w);
void lab_sim_forget_record(struct lab_world *w);
enum lab_sim_view { LAB_SIM_ABSENT, LAB_SIM_BROKEN, LAB_SIM_WORKS };
/* The pair that a legacy image finds. */
enum lab_sim_view lab_sim_look(struct lab_world *w, struct lab_identity *ret);
int lab_sim_see(struct lab_world *w, struct lab_sight *ret, char error[LAB_SENTENCE_SIZE]);
int lab_sim_key_lives(struct lab_world *w, const char *spki, bool snapshots, bool *ret,
                      char error[LAB_SENTENCE_SIZE]);
int lab_sim_succession(struct lab_world *w, const struct lab_identity *from,
                       const struct lab_identity *to, int64_t epoch, bool *ret,
                       char error[LAB_SENTENCE_SIZE]);

#endif
