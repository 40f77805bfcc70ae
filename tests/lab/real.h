/* SPDX-License-Identifier: BSD-2-Clause */
/* real.h - what the files of the real world share.
 *
 *   world_real.c   the world: open, act, fork, close       real_see.c    how it is seen
 *   real_acts.c    power, updater, commands                real_keys.c   which keys still live
 *   real_harm.c    files, disks, mounts, other cases       real_chip.c   what happens to the chip
 *   real_tree.c    what was written
 *
 *     BASE/root, bootloader, snapshots     tests/support/device.h
 *     BASE/chip-as-new                     the chip's memory when it left its factory
 *     BASE/mounted/config, persist         a file system that is not mounted just now
 *     BASE/beneath/config, persist         what lies under one that is
 *
 * How each surrounding is produced, and why so
 *   tpm absent      --tcti none: what stands for a firmware that announces no chip
 *   tpm late        a socket on which nobody listens: announced, and no answer within `wait`
 *   tpm failed, busy, locked
 *                   tests/tools/tcti_shim.c, since swtpm fails never and has no time to be busy; a
 *                   lockout of swtpm's own refuses no key of ours (noDA), so `locked` is the worse chip
 *                   that answers TPM_RC_LOCKOUT to everything
 *   tpm owned       TPM2_HierarchyChangeAuth on the chip itself
 *   tpm cleared     TPM2_Clear on the chip itself
 *   tpm replaced    another swtpm, without state
 *   tpm volatile    at each of its resets the memory that it had when new: same seeds, nothing else, as
 *                   firmware TPMs without storage of their own
 *   clock bad       tests/tools/clock.c: 1970
 *   disk, FAT       tests/tools/disk.c, which says why no mounts
 *   mount no        the directory is exchanged for what lies beneath it, and /etc/fstab declares it
 *
 * [tpm] wait is 200ms unless the scenario says otherwise: nobody waits for a chip that a test takes
 * away.
 */
#ifndef IDM_TESTS_LAB_REAL_H
#define IDM_TESTS_LAB_REAL_H

#include "tests/lab/world.h"
#include "tests/support/device.h"

#define LAB_TREE_MAX 512u

/* One entry of config or persist; a file that was written anew has another inode or other times. */
struct lab_entry {
    char path[160]; /* device path */
    bool directory;
    uint64_t inode;
    int64_t size;
    int64_t changed; /* ctime, in ns */
};

struct lab_tree {
    struct lab_entry entries[LAB_TREE_MAX]; /* sorted by path */
    size_t count;
};

/* A hook whose call is under way while the device reboots. */
struct lab_late {
    enum lab_phase phase; /* LAB_PHASE_NONE: none is */
    unsigned installs;    /* of that installation */
    int target_slot;
    const char *target_aware; /* static */
    char version[IDM_DEVICE_VERSION_SIZE];
    char format[16];
};

struct lab_world {
    struct idm_device device;
    bool powered;

    enum lab_tpm chip;
    unsigned int busy_commands;
    bool owned;             /* somebody set the owner's authorisation */
    unsigned int chips;     /* chips, and memories of one, that there were */
    unsigned int made_in;   /* which of them holds the identity; 0: none yet */
    unsigned int moves;     /* cases that the disk was in before */
    unsigned int env_harms; /* copies of the boot environment damaged so far */
    bool clock_good;
    enum lab_disk disk;
    bool config_mounted, persist_mounted;
    struct lab_late late;

    unsigned long writes; /* of the last act */
    size_t trace_start;   /* where the last act's lines begin */
    bool seen_valid;      /* nothing happened since `seen` */
    struct lab_sight seen;
};

/* ---- real_acts.c: 0, or -1 with device.error ---- */
int lab_real_boot(struct lab_world *world);
int lab_real_install(struct lab_world *world, const struct lab_install *install);
int lab_real_commit(struct lab_world *world, bool hooks);
int lab_real_hook(struct lab_world *world, enum lab_phase phase);
/* idmode with arguments; nothing where no idmode is: under a legacy image. */
int lab_real_command(struct lab_world *world, const char *const args[]);
int lab_real_request(struct lab_world *world, const struct lab_step *step);

/* ---- real_harm.c ---- */
int lab_real_harm(struct lab_world *world, enum lab_action how, enum lab_what what);
int lab_real_mount(struct lab_world *world, int config, int persist);
int lab_real_move_disk(struct lab_world *world);
void lab_real_set_disk(struct lab_world *world, enum lab_disk disk);
void lab_real_set_clock(struct lab_world *world, bool good);

/* ---- real_chip.c ---- */
/* Keeps the chip's memory as it is now as that of a new one. */
int lab_real_chip_new(struct lab_world *world);
int lab_real_set_chip(struct lab_world *world, enum lab_tpm chip, unsigned int busy_commands);
/* The chip of a copy starts when it is first asked. */
int lab_real_chip_runs(struct lab_world *world);
/* What a reset does to a chip that forgets. */
int lab_real_chip_reset(struct lab_world *world);
/* After a fork: the way to the copy's own chip. */
int lab_real_chip_path(struct lab_world *world);
/* Another chip, without memory. */
int lab_real_chip_replace(struct lab_world *world);

/* ---- real_tree.c ---- */
int lab_real_tree(struct idm_device *device, struct lab_tree *ret);
/* Entries of config and persist that came, went or changed; the marker does not count. */
unsigned long lab_real_changes(const struct lab_tree *before, const struct lab_tree *after);

/* ---- real_see.c ---- */
int lab_real_see(struct lab_world *world, struct lab_sight *ret, char error[LAB_SENTENCE_SIZE]);
/* The record on the disk. False: none that is good. */
bool lab_real_record(struct lab_world *world, struct idm_record *ret);
/* "config" or "persist" as the disk has it, mounted or not; real path. */
void lab_real_disk_path(const struct lab_world *world, const char *place,
                        char ret_path[IDM_DEVICE_PATH_SIZE]);

/* ---- real_keys.c ---- */
int lab_real_key_lives(struct lab_world *world, const char *spki, bool snapshots, bool *ret,
                       char error[LAB_SENTENCE_SIZE]);
int lab_real_succession(struct lab_world *world, const struct lab_identity *from,
                        const struct lab_identity *to, int64_t epoch, bool *ret,
                        char error[LAB_SENTENCE_SIZE]);

#endif
