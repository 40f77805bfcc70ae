/* SPDX-License-Identifier: BSD-2-Clause */
/* The device's updater: images in slots, hooks, the bootloader's orders. */
#include "tests/support/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An image: a text that names it, then zeros. The last line proves that it is whole. */
#define IMAGE_SIZE 8192u
#define IMAGE_FORM "idmode test image\nkind=%s\nversion=%s\n"
#define IMAGE_END  "end\n"

static const char *const SLOT_FILE[IDM_DEVICE_SLOTS] = {"/slots/a.img", "/slots/b.img"};
static const char *const SLOT_NAME[IDM_DEVICE_SLOTS] = {"A", "B"};

static size_t make_image(char image[IMAGE_SIZE], bool aware, const char *version)
{
    memset(image, 0, IMAGE_SIZE);
    snprintf(image, IMAGE_SIZE, IMAGE_FORM, aware ? "aware" : "legacy", version);
    memcpy(image + IMAGE_SIZE - strlen(IMAGE_END), IMAGE_END, strlen(IMAGE_END));
    return IMAGE_SIZE;
}

int idm_device_put_image(struct idm_device *device, int slot, bool aware, const char *version)
{
    char image[IMAGE_SIZE];

    if (strlen(version) >= IDM_DEVICE_VERSION_SIZE)
        return idm_device_fail(device, "version %s is too long", version);
    return idm_device_write(device, SLOT_FILE[slot], image, make_image(image, aware, version));
}

struct idm_device_image idm_device_slot(const struct idm_device *device, int slot)
{
    struct idm_device_image image = {0};
    char path[IDM_DEVICE_PATH_SIZE], text[IMAGE_SIZE + 1] = "", kind[8];
    FILE *file;

    idm_device_path(device, SLOT_FILE[slot], path);
    file = fopen(path, "re");
    if (file == NULL)
        return image;
    if (fread(text, 1, IMAGE_SIZE, file) == IMAGE_SIZE &&
        strcmp(text + IMAGE_SIZE - strlen(IMAGE_END), IMAGE_END) == 0 &&
        sscanf(text, "idmode test image\nkind=%7[a-z]\nversion=%63[^\n]\n", kind, image.version) ==
            2) {
        image.present = true;
        image.aware = strcmp(kind, "aware") == 0;
    }
    fclose(file);
    return image;
}

int idm_device_hook(struct idm_device *device, const char *phase)
{
    const char *args[16] = {"hook", phase, "--target-slot", SLOT_NAME[device->target_slot]};
    size_t n = 4;
    char id[32];

    snprintf(id, sizeof(id), "install-%u", device->installs);
    if (device->installs != 0) {
        args[n++] = "--target-aware";
        args[n++] = device->target_aware;
        args[n++] = "--target-version";
        args[n++] = device->target_version;
        args[n++] = "--install-id";
        args[n++] = id;
    }
    if (device->target_format[0] != '\0') {
        args[n++] = "--target-format";
        args[n++] = device->target_format;
    }
    args[n] = NULL;
    return idm_device_run(device, NULL, NULL, 0, args);
}

static int hook_if(struct idm_device *device, bool wanted, const char *phase)
{
    device->exit_code = 0;
    device->was_cut = false;
    return wanted && device->image.aware ? idm_device_hook(device, phase) : 0;
}

static int bootloader_said(struct idm_device *device, int result)
{
    return result == 0 ? 0
                       : idm_device_fail(device, "fw_setenv could not change the environment in %s",
                                         device->bootloader.dir);
}

static int begin(struct idm_device *device, const struct idm_device_install *install)
{
    const char *version = install->version != NULL ? install->version : "2.0";

    if (device->boots == 0)
        return idm_device_fail(device, "no updater runs on a device that was never switched on");
    device->installs++;
    device->target_slot = !device->slot;
    device->target_aware = install->said != NULL ? install->said : install->aware ? "yes" : "no";
    snprintf(device->target_version, sizeof(device->target_version), "%s", version);
    snprintf(device->target_format, sizeof(device->target_format), "%s",
             install->format != NULL ? install->format : "");
    return hook_if(device, !install->skip_pre_install, "pre-install");
}

static int write_half(struct idm_device *device, bool aware)
{
    char image[IMAGE_SIZE];

    make_image(image, aware, device->target_version);
    return idm_device_write(device, SLOT_FILE[device->target_slot], image, IMAGE_SIZE / 2);
}

/* post-install and arming: RAUC sets the primary slot before its handler runs. */
static int finish(struct idm_device *device, const struct idm_device_install *install)
{
    bool arm = install->end == IDM_INSTALL_ARMED;
    bool arm_first = device->bootloader.scheme == IDM_BOOT_RAUC;

    if (arm && arm_first &&
        bootloader_said(device, idm_bootloader_arm(&device->bootloader, device->target_slot)) != 0)
        return -1;
    if (hook_if(device, !install->skip_post_install, "post-install") != 0)
        return -1;
    if (!arm || arm_first || device->was_cut)
        return 0;
    return bootloader_said(device, idm_bootloader_arm(&device->bootloader, device->target_slot));
}

int idm_device_install(struct idm_device *device, const struct idm_device_install *install)
{
    static const struct idm_device_install defaults = {.aware = true};

    if (install == NULL)
        install = &defaults;
    if (begin(device, install) != 0)
        return -1;
    if (device->was_cut || install->end == IDM_INSTALL_DIES_AFTER_PRE)
        return 0;
    if (device->exit_code != 0)
        return 1;
    if (bootloader_said(device, idm_bootloader_begin(&device->bootloader, device->target_slot)) !=
        0)
        return -1;
    if (install->end == IDM_INSTALL_WRITE_FAILS)
        return write_half(device, install->aware) != 0 ? -1
                                                       : hook_if(device, true, "install-failed");
    if (idm_device_put_image(device, device->target_slot, install->aware, device->target_version) !=
        0)
        return -1;
    if (install->end == IDM_INSTALL_DIES_AFTER_WRITE)
        return 0;
    return finish(device, install);
}

int idm_device_commit(struct idm_device *device, bool with_hook)
{
    if (bootloader_said(device, idm_bootloader_commit(&device->bootloader, device->slot)) != 0)
        return -1;
    return hook_if(device, with_hook, "commit");
}

int idm_device_fallback(struct idm_device *device)
{
    if (!idm_device_slot(device, !device->slot).present)
        return idm_device_fail(device, "the other slot is empty: there is nothing to fall back to");
    return bootloader_said(device, idm_bootloader_fallback(&device->bootloader, device->slot));
}
