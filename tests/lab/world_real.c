/* SPDX-License-Identifier: BSD-2-Clause */
/* The real world: a directory, a swtpm, and the programs that ship. */
#include "tests/lab/real.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONF_SIZE 8192u

static void say(char error[LAB_SENTENCE_SIZE], const char *text)
{
    snprintf(error, LAB_SENTENCE_SIZE, "%.*s", (int)LAB_SENTENCE_SIZE - 1, text);
}

/* ---- making it ---- */

static bool sets(const struct lab_device *device, const char *section, const char *key)
{
    for (size_t i = 0; i < device->settings_count; i++) {
        if (strcmp(device->settings[i].section, section) == 0 &&
            strcmp(device->settings[i].key, key) == 0)
            return true;
    }
    return false;
}

static void write_settings(const struct lab_device *device, char ret_text[CONF_SIZE])
{
    size_t used = 0;

    ret_text[0] = '\0';
    if (!sets(device, "tpm", "wait"))
        used = (size_t)snprintf(ret_text, CONF_SIZE, "[tpm]\nwait = 200ms\n");
    for (size_t i = 0; i < device->settings_count && used < CONF_SIZE; i++)
        used += (size_t)snprintf(ret_text + used, CONF_SIZE - used, "[%s]\n%s = %s\n",
                                 device->settings[i].section, device->settings[i].key,
                                 device->settings[i].value);
}

static enum idm_boot_scheme scheme_of(enum lab_bootenv bootenv)
{
    return bootenv == LAB_BOOTENV_RAUC   ? IDM_BOOT_RAUC
           : bootenv == LAB_BOOTENV_NONE ? IDM_BOOT_NONE
                                         : IDM_BOOT_BOOTCOUNT;
}

static int furnish(struct lab_world *world, const struct lab_device *device)
{
    if (device->other_slot != LAB_SLOT_EMPTY &&
        idm_device_put_image(&world->device, 1, device->other_slot == LAB_SLOT_AWARE,
                             device->version) != 0)
        return -1;
    if (lab_real_chip_new(world) != 0)
        return -1;
    return lab_real_set_chip(world, device->tpm, device->busy_commands);
}

static void real_close(struct lab_world *world)
{
    if (world == NULL)
        return;
    idm_device_close(&world->device);
    free(world);
}

/* What lies beside the device's own directories. */
static int copy_rest(struct lab_world *copy, const struct lab_world *world)
{
    static const char *const parts[] = {"chip-as-new", "mounted", "beneath", "commands"};
    char from[IDM_DEVICE_PATH_SIZE], to[IDM_DEVICE_PATH_SIZE];

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        snprintf(from, sizeof(from), "%s/%s", world->device.base, parts[i]);
        snprintf(to, sizeof(to), "%s/%s", copy->device.base, parts[i]);
        if (access(from, F_OK) == 0 && idm_device_replace_tree(&copy->device, from, to) != 0)
            return -1;
    }
    return 0;
}

static int real_fork(struct lab_world **ret, struct lab_world *world, char error[LAB_SENTENCE_SIZE])
{
    struct lab_world *copy = malloc(sizeof(*copy));

    if (copy == NULL) {
        say(error, "out of memory");
        return -1;
    }
    *copy = *world;
    copy->seen_valid = false;
    if (idm_device_copy(&copy->device, &world->device) == 0 && lab_real_chip_path(copy) == 0 &&
        copy_rest(copy, world) == 0) {
        *ret = copy;
        return 0;
    }
    say(error, copy->device.error);
    real_close(copy);
    return -1;
}

/* ---- acting ---- */

static int do_it(struct lab_world *world, const struct lab_step *step)
{
    struct idm_device *device = &world->device;

    switch (step->action) {
    case LAB_DO_boot:
        return lab_real_boot(world);
    case LAB_DO_install:
        return lab_real_install(world, &step->install);
    case LAB_DO_commit:
        return lab_real_commit(world, step->hooks);
    case LAB_DO_fallback:
        return idm_device_fallback(device);
    case LAB_DO_hook:
        return lab_real_hook(world, step->phase);
    case LAB_DO_factory_reset:
    case LAB_DO_migrate:
    case LAB_DO_hold_clear:
    case LAB_DO_command:
        return lab_real_request(world, step);
    case LAB_DO_delete:
    case LAB_DO_empty:
    case LAB_DO_tear:
        return lab_real_harm(world, step->action, step->what);
    case LAB_DO_tpm:
        return lab_real_set_chip(world, step->tpm, step->busy_commands);
    case LAB_DO_clock:
        lab_real_set_clock(world, step->clock_good);
        return 0;
    case LAB_DO_disk:
        lab_real_set_disk(world, step->disk);
        return 0;
    case LAB_DO_mount:
        return lab_real_mount(world, step->mount_config, step->mount_persist);
    case LAB_DO_snapshot:
        return idm_device_snapshot(device, step->word);
    case LAB_DO_restore:
        return idm_device_restore(device, step->word);
    case LAB_DO_move_disk:
        return lab_real_move_disk(world);
    case LAB_DO_check:
        return idm_device_fail(device, "check: only a whole machine can (--world vm)");
    case LAB_DO_label:
    case LAB_DO_nothing:
    case LAB_ACTION_COUNT:
        break;
    }
    return 0;
}

/* Without power there is no updater and no shell; a disk that never booted may be in an installer. */
static bool needs_power(const struct lab_world *world, const struct lab_step *step)
{
    bool updater = step->action == LAB_DO_install || step->action == LAB_DO_commit ||
                   step->action == LAB_DO_hook;

    return step->action != LAB_DO_boot && lab_runs_idmode(step->action) && !world->powered &&
           (updater || world->device.boots != 0);
}

static int64_t recorded_epoch(struct lab_world *world)
{
    struct idm_record record;

    return lab_real_record(world, &record) ? (int64_t)record.epoch : -1;
}

static size_t trace_size(struct lab_world *world, const struct lab_step *step)
{
    char *trace = NULL;
    size_t size = 0;

    /* A power-on empties /run. */
    if (step->action == LAB_DO_boot || !idm_device_exists(&world->device, "/run/idmode/trace") ||
        idm_device_read(&world->device, "/run/idmode/trace", &trace, &size) != 0)
        return 0;
    free(trace);
    return size;
}

/* Runs the step with everything counted. */
static int act_counted(struct lab_world *world, const struct lab_step *step,
                       const struct lab_cut *cut, struct lab_result *ret)
{
    struct idm_device *device = &world->device;
    unsigned long runs = device->runs;
    int64_t epoch = recorded_epoch(world);
    struct lab_tree before, after;
    int result;

    if (lab_real_tree(device, &before) != 0 ||
        (step->action != LAB_DO_boot && lab_runs_idmode(step->action) &&
         lab_real_chip_runs(world) != 0))
        return -1;
    device->was_cut = false;
    device->minted = false;
    idm_device_cut_begin(device, cut != NULL && cut->kind == LAB_CUT_AT ? cut->at : 0,
                         cut != NULL && cut->kind == LAB_CUT_AFTER_NAMED ? cut->name : NULL);
    result = do_it(world, step);
    idm_device_cut_end(device);
    if (result != 0)
        return -1;
    world->powered = world->powered && !device->was_cut;
    ret->durable = idm_device_steps(device);
    ret->was_cut = device->was_cut;
    ret->minted = device->minted;
    ret->judged_exit = device->runs != runs && !device->was_cut;
    ret->exit_code = device->exit_code;
    if (device->runs == runs)
        return 0;
    if (lab_real_tree(device, &after) != 0)
        return -1;
    world->writes = lab_real_changes(&before, &after);
    /* An identity that idmode made in this step is the present chip's. */
    if (recorded_epoch(world) != epoch)
        world->made_in = world->chips;
    return 0;
}

static int real_act(struct lab_world *world, const struct lab_step *step, const struct lab_cut *cut,
                    struct lab_result *ret)
{
    *ret = (struct lab_result){.issued = -1};
    world->seen_valid = false;
    world->writes = 0;
    if (needs_power(world, step)) {
        say(ret->error, "the device has no power: boot it first");
        return -1;
    }
    world->trace_start = trace_size(world, step);
    if (act_counted(world, step, cut, ret) == 0)
        return 0;
    say(ret->error, world->device.error);
    return -1;
}

static int real_open(struct lab_world **ret, const struct lab_device *device,
                     char error[LAB_SENTENCE_SIZE])
{
    static const struct lab_step power_on = {.action = LAB_DO_boot};
    struct lab_result result;
    char conf[CONF_SIZE];
    const struct idm_device_options options = {
        .legacy = !device->aware,
        .version = device->version,
        .rsa = device->rsa,
        .scheme = scheme_of(device->bootenv),
        .conf = conf,
    };
    struct lab_world *world = calloc(1, sizeof(*world));

    if (world == NULL) {
        say(error, "out of memory");
        return -1;
    }
    write_settings(device, conf);
    world->chips = 1;
    world->clock_good = true;
    world->config_mounted = world->persist_mounted = true;
    if (idm_device_open(&world->device, &options) != 0)
        goto failed;
    world->device.fat = device->filesystem == LAB_FAT;
    if (furnish(world, device) != 0 ||
        (device->provisioned && real_act(world, &power_on, NULL, &result) != 0))
        goto failed;
    *ret = world;
    return 0;
failed:
    say(error, world->device.error);
    real_close(world);
    return -1;
}

static unsigned long real_writes(const struct lab_world *world)
{
    return world->writes;
}

const struct lab_world_ops lab_real_world = {
    .name = "real",
    .open = real_open,
    .close = real_close,
    .act = real_act,
    .see = lab_real_see,
    .fork = real_fork,
    .forks_cheaply = false,
    .key_lives = lab_real_key_lives,
    .succession = lab_real_succession,
    .writes = real_writes,
};
