/* SPDX-License-Identifier: BSD-2-Clause */
/* journey.h - a device's life as a table: what happens to it, and what must be seen then.
 *
 *     {.says = "certificate deleted", .act = journey_deletes, .path = "/config/device.cert.pem",
 *      .boots = true, .state = "tpm-dual", .mode = "tpm", .active = 'B', .legacy = 'A',
 *      .marker = true, .epoch = 2}
 *
 *       act ──► power cycle (boots) ──► look from outside ──► judge against the row ──► report
 *
 * Identities have letters. A letter's first appearance binds it to a certificate and a key that no
 * other letter has; from then on it means exactly these. A pair in the config directory that bears a
 * letter must also keep the bytes of both its files. '-' is: no identity.
 *
 * Everything is judged from outside: status document, signatures, files. Nothing here knows
 * Criterion; idm_life.c prints journeys, life_journey.c tests them.
 */
#ifndef IDM_TESTS_LIFE_JOURNEY_H
#define IDM_TESTS_LIFE_JOURNEY_H

#include "tests/support/device.h"

#define JOURNEY_IDENTITIES 8
#define JOURNEY_CUTS       3
#define JOURNEY_ARGS       6
#define JOURNEY_WHY_SIZE   512

struct journey;

struct journey_step {
    const char *says;
    int (*act)(struct journey *journey, const struct journey_step *step); /* NULL: nothing */
    const char *args[JOURNEY_ARGS];    /* journey_runs: idmode's arguments */
    const char *path;                  /* journey_deletes, … */
    const char *name;                  /* of a snapshot */
    struct idm_device_install install; /* journey_installs */
    bool boots;                        /* a power cycle afterwards */

    /* The power fails. */
    unsigned every_cut; /* 1, a rehearsal: after each durable step in turn (3: each third one), each
                             time on the device as it was before, then a boot; in the end all is as
                             it was before */
    bool may_be_as_above; /* where the cut came early, the row above may hold instead */
    bool second_boot;     /* judged after two boots: what ends with a TPM reset shows only then */
    /* Right after this action of the act, of the boot after it, of the next; `boots` follows, in full. */
    const char *cuts[JOURNEY_CUTS];

    /* What must be seen. */
    const char *state;   /* "-": an old image runs, and nothing is said */
    const char *mode;    /* "unknown": held as well */
    const char *reasons; /* exactly, with a space between; NULL: none */
    char active, legacy;
    bool marker;
    unsigned epoch; /* 0: not judged */
    int exit;       /* of the last run of idmode in this step */
    bool silent;    /* and that it had nothing to say on stderr */
};

struct journey_plan {
    const char *name;  /* as a test's name */
    const char *title; /* for people */
    const char *story; /* what this device shows, one line */
    struct idm_device_options options;
    const char *other_slot; /* version of an aware image that lies in slot B from the start */
    const struct journey_step *steps;
    size_t count;
};

/* The lives that people are shown, and those that exist for their power cuts only. */
extern const struct journey_plan journey_plans[];
extern const size_t journey_plan_count;
extern const struct journey_plan journey_cut_plans[];
extern const size_t journey_cut_plan_count;

struct journey_look {
    char image[8]; /* "A old", "B new" */
    char state[16], mode[12], reasons[96];
    char active, legacy; /* '?': of no letter yet, '!': does not work */
    char active_print[9], legacy_print[9];
    bool marker, held;
    unsigned epoch;
    unsigned cuts; /* of a rehearsal */
};

struct journey_identity {
    char cert[IDM_DEVICE_HEX_SIZE], spki[IDM_DEVICE_HEX_SIZE];
    char *cert_pem, *key_pem; /* as a pair in the config directory; owned; NULL: never was one */
};

struct journey {
    struct idm_device device;
    const struct journey_plan *plan;
    /* The caller's to set: */
    unsigned stride; /* of the cuts of a rehearsal only every stride-th; 0: each */
    unsigned idle; /* of those, every idle-th ends with boots that may write nothing but the marker;
                        0: none */
    struct journey_identity known[JOURNEY_IDENTITIES]; /* [0] is A */
    char *key_file;                                    /* a TSS2 file put aside; owned */
    char *own_serial;           /* while the disk is in another device; owned */
    struct journey_look look;   /* after the last step */
    char why[JOURNEY_WHY_SIZE]; /* what did not hold; "": all did */
};

/* Makes the device of a plan, switched off. -1: journey->why says why not; there is nothing to
 * close then. */
int journey_open(struct journey *ret, const struct journey_plan *plan);
/* NULL and a zeroed journey are fine. */
void journey_close(struct journey *journey);

/* Carries one step out, looks and judges. True when all held; otherwise journey->why. */
bool journey_play(struct journey *journey, const struct journey_step *step);

/* For journey.c: the files of config and persist as a boot must leave them, one line each, without
 * the marker. NULL with device->error; the caller frees it. */
char *journey_list_files(struct idm_device *device);
/* For journey.c: the first line of one list that another one lacks, to the list's end. */
const char *journey_first_other_line(const char *list, const char *other);

/* ---- acts ----
 * 0, or -1 with journey->why or device->error. */

int journey_installs(struct journey *journey, const struct journey_step *step);
int journey_commits(struct journey *journey, const struct journey_step *step); /* with the hook */
int journey_falls_back(struct journey *journey, const struct journey_step *step);
int journey_runs(struct journey *journey, const struct journey_step *step);
int journey_deletes(struct journey *journey, const struct journey_step *step);
int journey_snapshots(struct journey *journey, const struct journey_step *step);
int journey_restores(struct journey *journey, const struct journey_step *step);
int journey_swaps_chip(struct journey *journey, const struct journey_step *step);
/* The chip's memory and the serial number of another device; once more: back. */
int journey_moves_disk(struct journey *journey, const struct journey_step *step);
/* Somebody clears the chip; the device as it was before is kept as `name`, to be thawed. */
int journey_clears_chip(struct journey *journey, const struct journey_step *step);
int journey_thaws(struct journey *journey, const struct journey_step *step);
/* Puts a copy of the TPM key's file aside, which signs in the chip; the copy is dead now. */
int journey_keeps_key_file(struct journey *journey, const struct journey_step *step);
int journey_finds_key_file_dead(struct journey *journey, const struct journey_step *step);

#endif
