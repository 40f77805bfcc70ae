/* SPDX-License-Identifier: BSD-2-Clause */
/* sim_boot.h - the boot environment of a simulated device and the bootloader that obeys it: in memory
 * what tests/support/bootloader.h does with files and Debian's tools, whose table describes both.
 *
 * Two copies, as libubootenv 0.3.2 treats them [measured with fw_printenv, fw_setenv and bootenv]:
 *
 *                          fw_printenv   fw_setenv                          idmode's bootenv
 *     both good            the newer     writes the older                   the newer
 *     one short (torn)     fails         defaults + change, second copy     the good one
 *     both short           fails         the same                           unreadable
 *     one missing          fails         fails                              the good one
 *     both missing         fails         fails                              unreadable
 */
#ifndef IDM_TESTS_SIM_SIM_BOOT_H
#define IDM_TESTS_SIM_SIM_BOOT_H

#include "backends/backends.h"

enum idm_sim_scheme { IDM_SIM_BOOTCOUNT, IDM_SIM_RAUC, IDM_SIM_NO_ENV };
enum idm_sim_env_state { IDM_SIM_ENV_GOOD, IDM_SIM_ENV_SHORT, IDM_SIM_ENV_MISSING };

struct idm_sim_env {
    enum idm_sim_env_state state;
    unsigned int sequence; /* the newer copy's is higher */
    /* bootcount */
    int bootslot;
    int upgrade_available, bootcount;
    /* rauc */
    char order[IDM_SLOTS + 1];
    int left[IDM_SLOTS];
};

struct idm_sim_bootloader {
    enum idm_sim_scheme scheme;
    struct idm_sim_env env[2];
    unsigned int harms; /* copies damaged so far */
    /* its own memory */
    int slot;
    bool trial;
};

/* Slot A boots, no trial. */
void idm_sim_boot_make(struct idm_sim_bootloader *ret, enum idm_sim_scheme scheme);

/* The functions of tests/support/bootloader.h. -1: the tools failed, or no slot has an image. */
int idm_sim_boot_pick(struct idm_sim_bootloader *boot, const bool has_image[IDM_SLOTS],
                      int *ret_slot);
int idm_sim_boot_up(struct idm_sim_bootloader *boot, int slot);
int idm_sim_boot_begin(struct idm_sim_bootloader *boot, int slot);
int idm_sim_boot_arm(struct idm_sim_bootloader *boot, int slot);
int idm_sim_boot_commit(struct idm_sim_bootloader *boot, int slot);
int idm_sim_boot_fallback(struct idm_sim_bootloader *boot, int from);

/* A torn or emptied copy, one after the other; both copies gone. */
void idm_sim_boot_tear(struct idm_sim_bootloader *boot);
void idm_sim_boot_delete(struct idm_sim_bootloader *boot);

/* What idmode's backend says about it in a system that booted from `slot`, by the product's own reading
 * of the variables. */
void idm_sim_boot_read(const struct idm_sim_bootloader *boot, const struct idm_settings *settings,
                       int slot, struct idm_bootenv *ret);

#endif
