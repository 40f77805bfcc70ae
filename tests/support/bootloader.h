/* SPDX-License-Identifier: BSD-2-Clause */
/* bootloader.h - a boot environment of two redundant files, and the bootloader that obeys it.
 *
 *                 arm                    boot                     commit          fallback
 *  BOOTCOUNT  bootslot=B           bootcount + 1 while      upgrade_available  bootslot=A
 *             upgrade_available=1   upgrade_available;       = 0, bootcount     upgrade_available
 *             bootcount=0           over bootlimit: fallback = 0                = 0, bootcount = 0
 *  RAUC       BOOT_B_LEFT=3, then   first of BOOT_ORDER with BOOT_B_LEFT=3      BOOT_B_LEFT=0
 *             BOOT_ORDER="B A"      LEFT > 0; LEFT - 1,
 *                                   but never below 1
 *  NONE       the bootloader's own  that slot                nothing            own memory
 *             memory
 *
 * The variables of BOOTCOUNT are U-Boot's (doc/README.bootcount and its "upgrade_available") plus
 * bootslot, as integrators name theirs; those of RAUC are its U-Boot back end's, set by separate
 * calls as RAUC sets them, and `rauc status mark-good` is what commits. All are changed by Debian's
 * fw_setenv, never by hand.
 *
 * So that a test knows which slot boots, this bootloader leaves a slot only when it is told to,
 * when bootcount passes bootlimit, or when the slot has no image. An environment that cannot be
 * read boots the slot that booted last, and is left as it is.
 */
#ifndef IDM_TESTS_SUPPORT_BOOTLOADER_H
#define IDM_TESTS_SUPPORT_BOOTLOADER_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

enum idm_boot_scheme { IDM_BOOT_BOOTCOUNT, IDM_BOOT_RAUC, IDM_BOOT_NONE };

#define IDM_BOOT_VALUE_SIZE 128u

struct idm_bootloader {
    enum idm_boot_scheme scheme;
    char dir[PATH_MAX];      /* where uboot.env and uboot-redund.env lie; real path */
    char config[PATH_MAX];   /* fw_env.config with real paths, for fw_setenv -c */
    char defaults[PATH_MAX]; /* for fw_setenv -f: U-Boot's compiled-in environment */
    char own[PATH_MAX];      /* the bootloader's own memory, outside the device's disk */
};

/* Makes the environment: slot A boots, no trial. `dir` (for the environment, inside the device) and
 * `private_dir` (for the configuration with real paths, outside) exist. bootlimit: for BOOTCOUNT,
 * the boots that a trial may take. -1 when fw_setenv failed. */
int idm_bootloader_make(struct idm_bootloader *ret, enum idm_boot_scheme scheme, const char *dir,
                        const char *private_dir, unsigned bootlimit);

/* Text for a fw_env.config that names the two files below `dir_seen`, the directory as its reader
 * sees it. */
void idm_bootloader_config_text(const char *dir_seen, char *ret_text, size_t size);

/* One variable; "" when it is not set. -1 when the environment cannot be read, or the value is too
 * long. */
int idm_bootloader_get(const struct idm_bootloader *boot, const char *name,
                       char ret_value[IDM_BOOT_VALUE_SIZE]);

/* Sets variables by one atomic fw_setenv; each "NAME=VALUE", "NAME=" removes; ended by NULL. A
 * damaged environment starts anew from what was set here when it was made. */
int idm_bootloader_set(const struct idm_bootloader *boot, const char *const assignments[]);

/* At a power-on: picks the slot, counts the attempt. has_image[0] is slot A's, [1] slot B's.
 * *ret_slot: 0 or 1. -1 when no slot has an image or a tool failed. */
int idm_bootloader_pick(const struct idm_bootloader *boot, const bool has_image[2], int *ret_slot);

/* What the next power-on would pick, without doing it. *ret_on_trial: the slot that was armed and
 * neither committed nor given up, or -1. -1 as idm_bootloader_pick. */
int idm_bootloader_next(const struct idm_bootloader *boot, const bool has_image[2], int *ret_slot,
                        int *ret_on_trial);

/* The same bootloader for a copy of its files: `dir` and `private_dir` as for idm_bootloader_make.
 * -1 when its configuration cannot be written. */
int idm_bootloader_move(struct idm_bootloader *boot, const char *dir, const char *private_dir);

/* The system that booted reports that it is up, as every image does: outside a trial RAUC's
 * attempts are set back. */
int idm_bootloader_up(const struct idm_bootloader *boot, int slot);

/* The updater's parts. begin: before it writes `slot` (RAUC makes it unbootable; others: nothing).
 * arm: `slot` boots next, on trial. commit: the trial of `slot` is over. */
int idm_bootloader_begin(const struct idm_bootloader *boot, int slot);
int idm_bootloader_arm(const struct idm_bootloader *boot, int slot);
int idm_bootloader_commit(const struct idm_bootloader *boot, int slot);

/* An updater that is not ours changed the environment by itself: from now on `slot` is on trial, or
 * was committed. What the environment says is left alone. */
int idm_bootloader_noted(const struct idm_bootloader *boot, int slot, bool on_trial);

/* The bootloader gives up on the slot `from`: the other one boots next. No hook runs. */
int idm_bootloader_fallback(const struct idm_bootloader *boot, int from);

#endif
