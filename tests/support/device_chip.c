/* SPDX-License-Identifier: BSD-2-Clause */
/* The device's chip in other hands, and the whole device as it stands. */
#include "tests/support/device.h"

#include "backends/settings.h"
#include "backends/tpm/tpm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a frozen device consists of, below its directory. */
static const char *const PARTS[] = {"root", "bootloader"};

#define CHIP_PART  "chip"
#define STATE_PART "device"

static int frozen_path(struct idm_device *device, const char *name, const char *part,
                       char ret_path[IDM_DEVICE_PATH_SIZE])
{
    int n = snprintf(ret_path, IDM_DEVICE_PATH_SIZE, "%s/frozen/%s/%s", device->base, name, part);

    return n > 0 && (size_t)n < IDM_DEVICE_PATH_SIZE
               ? 0
               : idm_device_fail(device, "the name %s is too long", name);
}

static int make_frozen_dir(struct idm_device *device, const char *name)
{
    char path[IDM_DEVICE_PATH_SIZE];

    snprintf(path, sizeof(path), "%s/frozen", device->base);
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return idm_device_fail(device, "make %s: %s", path, strerror(errno));
    if (frozen_path(device, name, "", path) != 0)
        return -1;
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return idm_device_fail(device, "make %s: %s", path, strerror(errno));
    return 0;
}

/* ---- the chip ---- */

static int chip_did(struct idm_device *device, const char *what, int result)
{
    return result == 0 ? 0 : idm_device_fail(device, "%s: %s", what, strerror(-result));
}

int idm_device_chip_swap(struct idm_device *device)
{
    char other[IDM_DEVICE_PATH_SIZE], aside[IDM_DEVICE_PATH_SIZE];

    snprintf(other, sizeof(other), "%s.other", device->tpm.state_dir);
    snprintf(aside, sizeof(aside), "%s.aside", device->tpm.state_dir);
    idm_swtpm_stop(&device->tpm);
    if (mkdir(other, 0700) != 0 && errno != EEXIST)
        return idm_device_fail(device, "make %s: %s", other, strerror(errno));
    if (rename(device->tpm.state_dir, aside) != 0 || rename(other, device->tpm.state_dir) != 0 ||
        rename(aside, other) != 0)
        return idm_device_fail(device, "swap the chips: %s", strerror(errno));
    return chip_did(device, "start the other chip", idm_swtpm_resume(&device->tpm));
}

struct chip_user {
    struct idm_settings settings;
    struct idm_tpm *tpm;
    struct idm_error error;
};

static int chip_open(struct idm_device *device, struct chip_user *ret)
{
    idm_settings_default(&ret->settings);
    snprintf(ret->settings.tcti, sizeof(ret->settings.tcti), "%s", device->tcti);
    if (idm_tpm_open(&ret->tpm, device->root, &ret->settings, &ret->error) != 0)
        return idm_device_fail(device, "open the chip: %s", ret->error.why);
    return 0;
}

int idm_device_chip_clear(struct idm_device *device)
{
    struct chip_user user = {0};
    int result = chip_open(device, &user);

    if (result == 0 && idm_tpm_clear(user.tpm, &user.error) != 0)
        result = idm_device_fail(device, "clear the chip: %s", user.error.why);
    idm_tpm_free(user.tpm);
    return result;
}

int idm_device_chip_signs(struct idm_device *device, const char *tss2, size_t size, bool *ret_signs)
{
    const uint8_t hash[32] = {1};
    struct chip_user user = {0};
    struct idm_bytes file = {0};
    struct idm_signature signature;
    struct idm_signer signer = {.kind = IDM_SIGNER_FILE, .key = &file};
    int result = chip_open(device, &user);

    signer.handle = user.settings.parent_handle;
    signer.algorithm = user.settings.algorithm;
    if (result == 0 && idm_bytes_set(&file, tss2, size) != 0)
        result = idm_device_fail(device, "no memory for a key file");
    if (result == 0) {
        result = idm_tpm_sign(user.tpm, &signer, IDM_SHA256, hash, &signature, &user.error);
        *ret_signs = result == 0;
        /* What says "not this key" is an answer; a chip that gives none is a failure. */
        if (result == IDM_E_TPM_UNFIT)
            result = 0;
        else if (result != 0)
            result = idm_device_fail(device, "sign with a key file: %s", user.error.why);
    }
    idm_bytes_free(&file);
    idm_tpm_free(user.tpm);
    return result;
}

/* ---- the whole device ---- */

int idm_device_freeze(struct idm_device *device, const char *name)
{
    char from[IDM_DEVICE_PATH_SIZE], to[IDM_DEVICE_PATH_SIZE];
    bool written;
    FILE *file;

    if (make_frozen_dir(device, name) != 0 ||
        chip_did(device, "start the chip", idm_swtpm_settle(&device->tpm)) != 0)
        return -1;
    for (size_t i = 0; i < sizeof(PARTS) / sizeof(PARTS[0]); i++) {
        snprintf(from, sizeof(from), "%s/%s", device->base, PARTS[i]);
        if (frozen_path(device, name, PARTS[i], to) != 0 ||
            idm_device_replace_tree(device, from, to) != 0)
            return -1;
    }
    /* swtpm has written what it answered for: between two commands its files are whole. */
    if (frozen_path(device, name, CHIP_PART, to) != 0 ||
        (device->has_tpm && idm_device_replace_tree(device, device->tpm.state_dir, to) != 0) ||
        frozen_path(device, name, STATE_PART, to) != 0)
        return -1;
    file = fopen(to, "we");
    written = file != NULL && fwrite(device, sizeof(*device), 1, file) == 1;
    if ((file != NULL && fclose(file) != 0) || !written)
        return idm_device_fail(device, "write %s: %s", to, strerror(errno));
    return 0;
}

int idm_device_thaw(struct idm_device *device, const char *name)
{
    char from[IDM_DEVICE_PATH_SIZE], to[IDM_DEVICE_PATH_SIZE];
    struct idm_device was;
    size_t n = 0;
    FILE *file;

    if (frozen_path(device, name, STATE_PART, from) != 0)
        return -1;
    file = fopen(from, "re");
    if (file != NULL) {
        n = fread(&was, sizeof(was), 1, file);
        fclose(file);
    }
    if (n != 1)
        return idm_device_fail(device, "no device was frozen as %s", name);
    idm_swtpm_stop(&device->tpm);
    for (size_t i = 0; i < sizeof(PARTS) / sizeof(PARTS[0]); i++) {
        snprintf(to, sizeof(to), "%s/%s", device->base, PARTS[i]);
        if (frozen_path(device, name, PARTS[i], from) != 0 ||
            idm_device_replace_tree(device, from, to) != 0)
            return -1;
    }
    if (frozen_path(device, name, CHIP_PART, from) != 0 ||
        (device->has_tpm && idm_device_replace_tree(device, from, device->tpm.state_dir) != 0))
        return -1;
    was.tpm = device->tpm;
    *device = was;
    return device->has_tpm ? chip_did(device, "start the chip", idm_swtpm_resume(&device->tpm)) : 0;
}

/* ---- a second one ---- */

static int copy_part(struct idm_device *ret, const struct idm_device *device, const char *part)
{
    char from[IDM_DEVICE_PATH_SIZE], to[IDM_DEVICE_PATH_SIZE];

    snprintf(from, sizeof(from), "%s/%s", device->base, part);
    snprintf(to, sizeof(to), "%s/%s", ret->base, part);
    if (access(from, F_OK) != 0)
        return 0;
    return idm_device_replace_tree(ret, from, to);
}

static int copy_chip(struct idm_device *ret, const struct idm_device *device)
{
    int result;

    if (!device->has_tpm)
        return 0;
    result = idm_swtpm_copy(&ret->tpm, &device->tpm);
    if (result != 0)
        return chip_did(ret, "copy the chip", result);
    ret->has_tpm = true;
    if (strcmp(device->tcti, device->tpm.tcti) == 0)
        snprintf(ret->tcti, sizeof(ret->tcti), "%s", ret->tpm.tcti);
    return 0;
}

static int copy_bootloader(struct idm_device *ret)
{
    char boot[IDM_DEVICE_PATH_SIZE], private_dir[IDM_DEVICE_PATH_SIZE];

    idm_device_path(ret, "/boot", boot);
    snprintf(private_dir, sizeof(private_dir), "%s/bootloader", ret->base);
    if (idm_bootloader_move(&ret->bootloader, boot, private_dir) != 0)
        return idm_device_fail(ret, "the boot environment could not be moved to %s", boot);
    return 0;
}

int idm_device_copy(struct idm_device *ret, struct idm_device *device)
{
    char error[sizeof(ret->error)];

    *ret = *device;
    ret->base[0] = '\0';
    ret->tpm = (struct idm_swtpm){0};
    ret->has_tpm = false;
    if (idm_device_make_base(ret) == 0 && copy_part(ret, device, "root") == 0 &&
        copy_part(ret, device, "bootloader") == 0 && copy_part(ret, device, "snapshots") == 0 &&
        copy_bootloader(ret) == 0 && copy_chip(ret, device) == 0)
        return 0;
    memcpy(error, ret->error, sizeof(error));
    idm_device_close(ret);
    memcpy(ret->error, error, sizeof(error));
    return -1;
}
