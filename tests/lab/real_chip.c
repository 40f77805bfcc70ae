/* SPDX-License-Identifier: BSD-2-Clause */
/* The chip in the real world: whose it is, what it answers, what it remembers. */
#include "tests/lab/real.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_tctildr.h>
#include <unistd.h>

#define SHIM   IDM_TEST_BUILD_DIR "/tests/tcti_shim.so"
#define AS_NEW "chip-as-new"

static const TPM2B_AUTH NOBODY, SOMEBODY = {.size = 8, .buffer = "somebody"};

static int did(struct lab_world *world, const char *what, int result)
{
    return result == 0 ? 0 : idm_device_fail(&world->device, "%s: %s", what, strerror(-result));
}

static void as_new_path(const struct lab_world *world, char ret_path[IDM_DEVICE_PATH_SIZE])
{
    snprintf(ret_path, IDM_DEVICE_PATH_SIZE, "%s/" AS_NEW, world->device.base);
}

int lab_real_chip_runs(struct lab_world *world)
{
    return did(world, "start the chip", idm_swtpm_resume(&world->device.tpm));
}

int lab_real_chip_new(struct lab_world *world)
{
    char path[IDM_DEVICE_PATH_SIZE];

    as_new_path(world, path);
    if (did(world, "start the chip", idm_swtpm_settle(&world->device.tpm)) != 0)
        return -1;
    return idm_device_replace_tree(&world->device, world->device.tpm.state_dir, path);
}

int lab_real_chip_reset(struct lab_world *world)
{
    char path[IDM_DEVICE_PATH_SIZE];

    if (world->chip != LAB_TPM_VOLATILE)
        return 0;
    as_new_path(world, path);
    idm_swtpm_stop(&world->device.tpm);
    world->chips++;
    world->owned = false;
    return idm_device_replace_tree(&world->device, path, world->device.tpm.state_dir);
}

int lab_real_chip_replace(struct lab_world *world)
{
    world->chips++;
    world->owned = false;
    if (did(world, "start another chip", idm_swtpm_replace(&world->device.tpm)) != 0)
        return -1;
    return lab_real_chip_new(world);
}

/* ---- the owner ---- */

static TSS2_RC change_owner(ESYS_CONTEXT *esys, const TPM2B_AUTH *from, const TPM2B_AUTH *to)
{
    TSS2_RC rc = Esys_TR_SetAuth(esys, ESYS_TR_RH_OWNER, from);

    if (rc != TSS2_RC_SUCCESS)
        return rc;
    return Esys_HierarchyChangeAuth(esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                    ESYS_TR_NONE, to);
}

static int set_owner(struct lab_world *world, bool owned)
{
    TSS2_TCTI_CONTEXT *tcti = NULL;
    ESYS_CONTEXT *esys = NULL;
    TSS2_RC rc;

    if (owned == world->owned)
        return 0;
    if (lab_real_chip_runs(world) != 0)
        return -1;
    rc = Tss2_TctiLdr_Initialize(world->device.tpm.tcti, &tcti);
    if (rc == TSS2_RC_SUCCESS)
        rc = Esys_Initialize(&esys, tcti, NULL);
    if (rc == TSS2_RC_SUCCESS)
        rc = change_owner(esys, owned ? &NOBODY : &SOMEBODY, owned ? &SOMEBODY : &NOBODY);
    Esys_Finalize(&esys);
    Tss2_TctiLdr_Finalize(&tcti);
    if (rc != TSS2_RC_SUCCESS)
        return idm_device_fail(&world->device, "change the owner's authorisation: 0x%x", rc);
    world->owned = owned;
    return 0;
}

/* ---- what it answers ---- */

static int path_is(struct lab_world *world, const char *before, const char *middle,
                   const char *after)
{
    struct idm_device *device = &world->device;
    int n = snprintf(device->tcti, sizeof(device->tcti), "%s%s%s", before, middle, after);

    if (n < 0 || (size_t)n >= sizeof(device->tcti))
        return idm_device_fail(device, "the way to the chip is too long");
    return 0;
}

static int busy_path(struct lab_world *world)
{
    char log[sizeof(world->device.base) + 16], words[sizeof(log) + 64];

    snprintf(log, sizeof(log), "%s/commands", world->device.base);
    if (unlink(log) != 0 && errno != ENOENT)
        return idm_device_fail(&world->device, "remove %s: %s", log, strerror(errno));
    snprintf(words, sizeof(words), "log=%s,mode=busy:%u,child=", log, world->busy_commands);
    return path_is(world, SHIM ":", words, world->device.tpm.tcti);
}

int lab_real_chip_path(struct lab_world *world)
{
    const char *chip = world->device.tpm.tcti;

    switch (world->chip) {
    case LAB_TPM_ABSENT:
        return path_is(world, "none", "", "");
    case LAB_TPM_LATE:
        return path_is(world, "swtpm:path=", world->device.base, "/nobody");
    case LAB_TPM_FAILED:
        return path_is(world, SHIM ":", "mode=failure,child=", chip);
    case LAB_TPM_LOCKED:
        return path_is(world, SHIM ":", "do=answer:0x921,child=", chip);
    case LAB_TPM_BUSY:
        return busy_path(world);
    case LAB_TPM_USABLE:
    case LAB_TPM_OWNED:
    case LAB_TPM_CLEARED:
    case LAB_TPM_REPLACED:
    case LAB_TPM_VOLATILE:
        return path_is(world, chip, "", "");
    }
    return -1;
}

static int clear(struct lab_world *world)
{
    if (idm_device_chip_clear(&world->device) != 0)
        return -1;
    world->chips++;
    world->owned = false;
    return 0;
}

int lab_real_set_chip(struct lab_world *world, enum lab_tpm chip, unsigned int busy_commands)
{
    bool once = chip == LAB_TPM_CLEARED || chip == LAB_TPM_REPLACED;

    world->chip = once ? LAB_TPM_USABLE : chip;
    world->busy_commands = busy_commands;
    if (lab_real_chip_path(world) != 0 || set_owner(world, chip == LAB_TPM_OWNED) != 0)
        return -1;
    if (chip == LAB_TPM_CLEARED)
        return clear(world);
    return chip == LAB_TPM_REPLACED ? lab_real_chip_replace(world) : 0;
}
