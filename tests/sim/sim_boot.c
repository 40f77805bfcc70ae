/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/sim/sim_boot.h"

#include "backends/bootenv/vars.h"

#include <stdio.h>
#include <string.h>

#define RAUC_ATTEMPTS 3    /* RAUC's own default for BOOT_x_LEFT */
#define BOOTLIMIT     1000 /* only a scenario's word ends a trial */

static const struct idm_sim_env defaults = {
    .bootslot = 0, .order = "AB", .left = {RAUC_ATTEMPTS, RAUC_ATTEMPTS}};

void idm_sim_boot_make(struct idm_sim_bootloader *ret, enum idm_sim_scheme scheme)
{
    *ret = (struct idm_sim_bootloader){.scheme = scheme, .env = {defaults, defaults}};
    ret->env[1].sequence = 1;
}

/* ---- the tools ---- */

static bool any(const struct idm_sim_bootloader *boot, enum idm_sim_env_state state)
{
    return boot->env[0].state == state || boot->env[1].state == state;
}

static int newer(const struct idm_sim_bootloader *boot)
{
    return boot->env[1].sequence > boot->env[0].sequence;
}

/* fw_printenv; NULL: it fails. */
static const struct idm_sim_env *get(const struct idm_sim_bootloader *boot)
{
    bool good = !any(boot, IDM_SIM_ENV_MISSING) && !any(boot, IDM_SIM_ENV_SHORT);
    return good ? &boot->env[newer(boot)] : NULL;
}

/* fw_setenv: the copy that the caller changes; NULL: it fails. */
static struct idm_sim_env *set(struct idm_sim_bootloader *boot)
{
    int from = newer(boot);
    unsigned int sequence = boot->env[from].sequence + 1;
    if (any(boot, IDM_SIM_ENV_MISSING))
        return NULL;
    int to = any(boot, IDM_SIM_ENV_SHORT) ? 1 : !from;
    boot->env[to] = any(boot, IDM_SIM_ENV_SHORT) ? defaults : boot->env[from];
    boot->env[to].sequence = sequence;
    return &boot->env[to];
}

static void remember(struct idm_sim_bootloader *boot, int slot, bool trial)
{
    boot->slot = slot;
    boot->trial = trial;
}

/* ---- the bootloader ---- */

static int set_left(struct idm_sim_bootloader *boot, int slot, int left)
{
    struct idm_sim_env *env = set(boot);
    if (env)
        env->left[slot] = left;
    return env ? 0 : -1;
}

static int pick_bootcount(struct idm_sim_bootloader *boot, const bool has_image[IDM_SLOTS],
                          int *slot)
{
    const struct idm_sim_env *env = get(boot);
    if (!env)
        return 0;
    *slot = env->bootslot;
    if (!env->upgrade_available)
        return 0;
    int count = env->bootcount + 1;
    if (count > BOOTLIMIT && has_image[!*slot]) {
        *slot = !*slot;
        return idm_sim_boot_fallback(boot, !*slot);
    }
    struct idm_sim_env *changed = set(boot);
    if (changed)
        changed->bootcount = count;
    return changed ? 0 : -1;
}

static int pick_rauc(struct idm_sim_bootloader *boot, int *slot)
{
    const struct idm_sim_env *env = get(boot);
    for (const char *c = env ? env->order : ""; *c; c++) {
        int left = env->left[*c - 'A'];
        if (left == 0)
            continue;
        *slot = *c - 'A';
        return left > 1 ? set_left(boot, *slot, left - 1) : 0;
    }
    return 0;
}

int idm_sim_boot_pick(struct idm_sim_bootloader *boot, const bool has_image[IDM_SLOTS],
                      int *ret_slot)
{
    int slot = boot->slot;
    int result = 0;
    int before = slot;
    bool trial = boot->trial;
    if (boot->scheme == IDM_SIM_BOOTCOUNT)
        result = pick_bootcount(boot, has_image, &slot);
    else if (boot->scheme == IDM_SIM_RAUC)
        result = pick_rauc(boot, &slot);
    if (!has_image[slot])
        slot = !slot;
    if (result || !has_image[slot])
        return -1;
    remember(boot, slot, trial && slot == before);
    *ret_slot = slot;
    return 0;
}

int idm_sim_boot_up(struct idm_sim_bootloader *boot, int slot)
{
    const struct idm_sim_env *env = get(boot);
    if (boot->scheme != IDM_SIM_RAUC || boot->trial || !env || env->left[slot] == RAUC_ATTEMPTS)
        return 0;
    return set_left(boot, slot, RAUC_ATTEMPTS);
}

/* ---- the updater ---- */

static int set_order(struct idm_sim_bootloader *boot, int first, bool both)
{
    struct idm_sim_env *env = set(boot);
    if (env)
        (void)snprintf(env->order, sizeof env->order, "%c%s", 'A' + first,
                       !both   ? ""
                       : first ? "A"
                               : "B");
    return env ? 0 : -1;
}

static int set_bootcount(struct idm_sim_bootloader *boot, int slot, bool upgrade)
{
    struct idm_sim_env *env = set(boot);
    if (!env)
        return -1;
    if (slot >= 0)
        env->bootslot = slot;
    env->upgrade_available = upgrade;
    env->bootcount = 0;
    return 0;
}

int idm_sim_boot_begin(struct idm_sim_bootloader *boot, int slot)
{
    if (boot->scheme != IDM_SIM_RAUC)
        return 0;
    return set_order(boot, !slot, false) ? -1 : set_left(boot, slot, 0);
}

int idm_sim_boot_arm(struct idm_sim_bootloader *boot, int slot)
{
    int result = 0;
    if (boot->scheme == IDM_SIM_BOOTCOUNT)
        result = set_bootcount(boot, slot, true);
    else if (boot->scheme == IDM_SIM_RAUC)
        result = set_left(boot, slot, RAUC_ATTEMPTS) ? -1 : set_order(boot, slot, true);
    if (result == 0)
        remember(boot, slot, true);
    return result;
}

int idm_sim_boot_commit(struct idm_sim_bootloader *boot, int slot)
{
    int result = 0;
    if (boot->scheme == IDM_SIM_BOOTCOUNT)
        result = set_bootcount(boot, -1, false);
    else if (boot->scheme == IDM_SIM_RAUC)
        result = set_left(boot, slot, RAUC_ATTEMPTS);
    if (result == 0)
        remember(boot, slot, false);
    return result;
}

int idm_sim_boot_fallback(struct idm_sim_bootloader *boot, int from)
{
    int result = 0;
    if (boot->scheme == IDM_SIM_BOOTCOUNT)
        result = set_bootcount(boot, !from, false);
    else if (boot->scheme == IDM_SIM_RAUC)
        result = set_left(boot, from, 0);
    if (result == 0)
        remember(boot, !from, false);
    return result;
}

void idm_sim_boot_tear(struct idm_sim_bootloader *boot)
{
    struct idm_sim_env *env = &boot->env[boot->harms++ % 2];
    if (env->state == IDM_SIM_ENV_GOOD)
        env->state = IDM_SIM_ENV_SHORT;
}

void idm_sim_boot_delete(struct idm_sim_bootloader *boot)
{
    for (size_t i = 0; i < 2; i++)
        boot->env[i].state = IDM_SIM_ENV_MISSING;
}

/* ---- what idmode reads ---- */

/* The newer of the good copies; NULL: none. */
static const struct idm_sim_env *readable(const struct idm_sim_bootloader *boot)
{
    int first = newer(boot);
    if (boot->env[first].state == IDM_SIM_ENV_GOOD)
        return &boot->env[first];
    return boot->env[!first].state == IDM_SIM_ENV_GOOD ? &boot->env[!first] : NULL;
}

static void print_env(const struct idm_sim_bootloader *boot, const struct idm_sim_env *env,
                      char *ret_text, size_t size)
{
    if (boot->scheme == IDM_SIM_RAUC)
        (void)snprintf(ret_text, size, "BOOT_ORDER=%c%s%s\n", env->order[0],
                       env->order[1] ? " " : "", env->order + 1);
    else
        (void)snprintf(ret_text, size, "bootslot=%c\nupgrade_available=%d\nbootlimit=%d\n",
                       'A' + env->bootslot, env->upgrade_available, BOOTLIMIT);
}

static enum idm_bootenv_state state_of(const struct idm_sim_bootloader *boot,
                                       const struct idm_settings *settings)
{
    if (settings->bootenv_backend == IDM_BOOTENV_COMMAND)
        return IDM_BOOTENV_IS_UNREADABLE; /* no such program on this device */
    if (settings->bootenv_backend == IDM_BOOTENV_NONE || boot->scheme == IDM_SIM_NO_ENV ||
        strcmp(settings->bootenv_config, "/etc/fw_env.config") != 0)
        return IDM_BOOTENV_IS_NONE;
    return readable(boot) ? IDM_BOOTENV_IS_READABLE : IDM_BOOTENV_IS_UNREADABLE;
}

static void read_trial(const struct idm_sim_bootloader *boot, const struct idm_settings *settings,
                       struct idm_bootenv *ret)
{
    struct idm_vars vars;
    char text[128];
    idm_vars_wanted(settings, &vars);
    print_env(boot, readable(boot), text, sizeof text);
    idm_vars_parse(&vars, text);
    ret->trial = idm_vars_believed(&vars, idm_vars_trial(&vars, settings), ret->other);
}

/* [image] slot, else the kernel's command line names the slot; the other one is by `slots =`. */
void idm_sim_boot_read(const struct idm_sim_bootloader *boot, const struct idm_settings *settings,
                       int slot, struct idm_bootenv *ret)
{
    const char *own = slot == 0 ? "A" : "B";
    size_t others = 0;
    *ret = (struct idm_bootenv){.state = state_of(boot, settings)};
    if (strcmp(settings->slot, "auto") != 0)
        own = settings->slot;
    (void)snprintf(ret->slot, sizeof ret->slot, "%s", own);
    for (size_t i = 0; i < IDM_SLOTS; i++) {
        const char *name = settings->slots[i].name;
        if (name[0] && strcmp(name, own) != 0 && others++ == 0)
            memcpy(ret->other, name, sizeof ret->other);
    }
    if (others != 1)
        ret->other[0] = 0;
    if (ret->state == IDM_BOOTENV_IS_READABLE)
        read_trial(boot, settings, ret);
}
