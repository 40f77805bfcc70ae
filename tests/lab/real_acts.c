/* SPDX-License-Identifier: BSD-2-Clause */
/* What is done with a real device: power, updater, commands. */
#include "tests/lab/real.h"

#include <stdio.h>
#include <string.h>

static const char *phase_word(enum lab_phase phase)
{
    switch (phase) {
    case LAB_PRE_INSTALL:
        return "pre-install";
    case LAB_POST_INSTALL:
        return "post-install";
    case LAB_INSTALL_FAILED:
        return "install-failed";
    case LAB_COMMIT:
        return "commit";
    case LAB_ROLLBACK:
        return "rollback";
    case LAB_PHASE_NONE:
    case LAB_WRITE:
        break;
    }
    return "";
}

/* ---- late hooks ---- */

static void swap_late(struct lab_late *late, struct idm_device *device)
{
    struct lab_late was = {.phase = late->phase,
                           .installs = device->installs,
                           .target_slot = device->target_slot,
                           .target_aware = device->target_aware};

    memcpy(was.version, device->target_version, sizeof(was.version));
    memcpy(was.format, device->target_format, sizeof(was.format));
    device->installs = late->installs;
    device->target_slot = late->target_slot;
    device->target_aware = late->target_aware;
    memcpy(device->target_version, late->version, sizeof(late->version));
    memcpy(device->target_format, late->format, sizeof(late->format));
    *late = was;
}

static void keep_late(struct lab_world *world, enum lab_phase phase)
{
    const struct idm_device *device = &world->device;
    struct lab_late *late = &world->late;

    if (phase == LAB_PHASE_NONE || phase == LAB_WRITE)
        return;
    *late = (struct lab_late){.phase = phase,
                              .installs = device->installs,
                              .target_slot = device->target_slot,
                              .target_aware = device->target_aware};
    memcpy(late->version, device->target_version, sizeof(late->version));
    memcpy(late->format, device->target_format, sizeof(late->format));
}

/* The boot is what the step is about: its exit code stays. */
static int call_late(struct lab_world *world)
{
    struct idm_device *device = &world->device;
    int exit_code = device->exit_code, result;

    if (world->late.phase == LAB_PHASE_NONE || !device->image.aware)
        return 0;
    swap_late(&world->late, device);
    result = idm_device_hook(device, phase_word(world->late.phase));
    swap_late(&world->late, device);
    world->late.phase = LAB_PHASE_NONE;
    device->exit_code = exit_code;
    return result;
}

/* ---- power, updater ---- */

int lab_real_boot(struct lab_world *world)
{
    struct idm_device *device = &world->device;

    if (lab_real_chip_reset(world) != 0 || idm_device_boot(device) != 0)
        return -1;
    world->powered = true;
    return device->was_cut ? 0 : call_late(world);
}

static enum idm_device_install_end end_of(const struct lab_install *install)
{
    if (install->write_fails)
        return IDM_INSTALL_WRITE_FAILS;
    switch (install->killed) {
    case LAB_PRE_INSTALL:
        return IDM_INSTALL_DIES_AFTER_PRE;
    case LAB_WRITE:
        return IDM_INSTALL_DIES_AFTER_WRITE;
    case LAB_POST_INSTALL:
        return IDM_INSTALL_DIES_AFTER_POST;
    case LAB_PHASE_NONE:
    case LAB_INSTALL_FAILED:
    case LAB_COMMIT:
    case LAB_ROLLBACK:
        break;
    }
    return IDM_INSTALL_ARMED;
}

int lab_real_install(struct lab_world *world, const struct lab_install *install)
{
    const struct idm_device_install how = {
        .aware = install->image == LAB_SLOT_AWARE,
        .version = install->version[0] != '\0' ? install->version : NULL,
        .said = install->image_unsaid ? "unknown" : NULL,
        .format = install->format[0] != '\0' ? install->format : NULL,
        .skip_pre_install = !install->pre_install || install->late == LAB_PRE_INSTALL,
        .skip_post_install = !install->post_install || install->late == LAB_POST_INSTALL,
        .end = end_of(install),
    };

    if (idm_device_install(&world->device, &how) < 0)
        return -1;
    keep_late(world, install->late);
    return 0;
}

int lab_real_commit(struct lab_world *world, bool hooks)
{
    return idm_device_commit(&world->device, hooks);
}

int lab_real_hook(struct lab_world *world, enum lab_phase phase)
{
    if (!world->device.image.aware || phase_word(phase)[0] == '\0')
        return 0;
    return idm_device_hook(&world->device, phase_word(phase));
}

/* ---- commands ---- */

int lab_real_command(struct lab_world *world, const char *const args[])
{
    bool off =
        world->device.boots == 0; /* an installer's own idmode, on a disk that never booted */

    if (!off && !world->device.image.aware)
        return 0;
    return idm_device_run(&world->device, NULL, NULL, 0, args);
}

static int factory_reset(struct lab_world *world, const char *how)
{
    const char *const plain[] = {"factory-reset", "--yes", NULL};
    const char *const said[] = {"factory-reset", "--yes", "--reset", how, NULL};

    return lab_real_command(world, how[0] != '\0' ? said : plain);
}

static int hold_clear(struct lab_world *world, const struct lab_step *step)
{
    return lab_real_command(world, (const char *const[]){"hold", "clear", "--reason",
                                                         idm_reason_word(step->reason), "--to",
                                                         step->word, "--yes", NULL});
}

static int words(struct lab_world *world, const struct lab_step *step)
{
    const char *args[LAB_WORDS_MAX + 1];

    for (size_t i = 0; i < step->words_count; i++)
        args[i] = step->words[i];
    args[step->words_count] = NULL;
    return lab_real_command(world, args);
}

int lab_real_request(struct lab_world *world, const struct lab_step *step)
{
    if (step->action == LAB_DO_factory_reset)
        return factory_reset(world, step->word);
    if (step->action == LAB_DO_migrate)
        return lab_real_command(world, (const char *const[]){"migrate", step->word, NULL});
    return step->action == LAB_DO_hold_clear ? hold_clear(world, step) : words(world, step);
}
