/* SPDX-License-Identifier: BSD-2-Clause */
/* What happens to a device in its life. */
#include "tests/life/journey.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERIAL       "/sys/class/dmi/id/product_serial"
#define OTHER_SERIAL "SN-OTHER\n"
#define KEY_FILE     "/persist/idmode/tpm.key.pem"

int journey_installs(struct journey *journey, const struct journey_step *step)
{
    /* A veto shows as the exit code that the row judges. */
    return idm_device_install(&journey->device, &step->install) < 0 ? -1 : 0;
}

int journey_commits(struct journey *journey, const struct journey_step *step)
{
    (void)step;
    return idm_device_commit(&journey->device, true);
}

int journey_falls_back(struct journey *journey, const struct journey_step *step)
{
    (void)step;
    return idm_device_fallback(&journey->device);
}

int journey_runs(struct journey *journey, const struct journey_step *step)
{
    return idm_device_run(&journey->device, NULL, NULL, 0, step->args);
}

int journey_deletes(struct journey *journey, const struct journey_step *step)
{
    return idm_device_delete(&journey->device, step->path);
}

int journey_snapshots(struct journey *journey, const struct journey_step *step)
{
    return idm_device_snapshot(&journey->device, step->name);
}

int journey_restores(struct journey *journey, const struct journey_step *step)
{
    return idm_device_restore(&journey->device, step->name);
}

int journey_swaps_chip(struct journey *journey, const struct journey_step *step)
{
    (void)step;
    return idm_device_chip_swap(&journey->device);
}

int journey_moves_disk(struct journey *journey, const struct journey_step *step)
{
    struct idm_device *device = &journey->device;
    char *serial = NULL;
    int result;

    (void)step;
    if (journey_swaps_chip(journey, step) != 0)
        return -1;
    if (journey->own_serial != NULL) {
        result = idm_device_write_text(device, SERIAL, journey->own_serial);
        free(journey->own_serial);
        journey->own_serial = NULL;
        return result;
    }
    if (idm_device_read(device, SERIAL, &serial, NULL) != 0)
        return -1;
    journey->own_serial = serial;
    return idm_device_write_text(device, SERIAL, OTHER_SERIAL);
}

int journey_clears_chip(struct journey *journey, const struct journey_step *step)
{
    if (idm_device_freeze(&journey->device, step->name) != 0)
        return -1;
    return idm_device_chip_clear(&journey->device);
}

int journey_thaws(struct journey *journey, const struct journey_step *step)
{
    return idm_device_thaw(&journey->device, step->name);
}

static int key_file_signs(struct journey *journey, bool wanted)
{
    struct idm_device *device = &journey->device;
    bool signs;

    if (idm_device_chip_signs(device, journey->key_file, strlen(journey->key_file), &signs) != 0)
        return -1;
    if (signs != wanted)
        return idm_device_fail(device, "the old key file %s in this chip",
                               signs ? "still signs" : "does not sign");
    return 0;
}

int journey_keeps_key_file(struct journey *journey, const struct journey_step *step)
{
    (void)step;
    free(journey->key_file);
    journey->key_file = NULL;
    if (idm_device_read(&journey->device, KEY_FILE, &journey->key_file, NULL) != 0)
        return -1;
    return key_file_signs(journey, true);
}

int journey_finds_key_file_dead(struct journey *journey, const struct journey_step *step)
{
    (void)step;
    return key_file_signs(journey, false);
}
