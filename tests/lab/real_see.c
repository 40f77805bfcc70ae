/* SPDX-License-Identifier: BSD-2-Clause */
/* A real device, seen from outside: what it published, what lies on its disk, who signs. */
#include "tests/lab/keep_status.h"
#include "tests/lab/real.h"

#include "backends/software/key.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int broke(char error[LAB_SENTENCE_SIZE], const struct lab_world *world)
{
    snprintf(error, LAB_SENTENCE_SIZE, "%.*s", (int)LAB_SENTENCE_SIZE - 1, world->device.error);
    return -1;
}

/* ---- published ---- */

static void copy_word(const json_t *object, const char *key, char ret_word[LAB_WORD_SIZE])
{
    const char *text = json_string_value(json_object_get(object, key));

    snprintf(ret_word, LAB_WORD_SIZE, "%s", text != NULL ? text : "");
}

static uint64_t reasons_of(const json_t *status)
{
    const json_t *list = json_object_get(status, "reasons");
    uint64_t reasons = 0;

    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *word = json_string_value(json_array_get(list, i));

        for (unsigned int r = 1; r < IDM_REASON_COUNT; r++) {
            if (word != NULL && strcmp(word, idm_reason_word((enum idm_reason)r)) == 0)
                reasons |= UINT64_C(1) << r;
        }
    }
    return reasons;
}

static int see_published(struct lab_world *world, struct lab_sight *ret)
{
    char path[IDM_DEVICE_PATH_SIZE];
    json_error_t error;
    json_t *status;

    if (!ret->aware) {
        snprintf(ret->mode, sizeof(ret->mode), "software");
        return 0;
    }
    if (!idm_device_exists(&world->device, "/run/idmode/status.json"))
        return 0;
    idm_device_path(&world->device, "/run/idmode/status.json", path);
    status = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (status == NULL)
        return idm_device_fail(&world->device, "%s is no JSON: %s", path, error.text);
    lab_keep_status(status);
    ret->published = true;
    copy_word(status, "mode", ret->mode);
    copy_word(status, "identity_mode", ret->identity_mode);
    copy_word(status, "state", ret->state);
    copy_word(status, "last_event", ret->last_event);
    copy_word(json_object_get(status, "tpm"), "status", ret->tpm);
    ret->held = json_is_true(json_object_get(status, "held"));
    ret->healthy = json_is_true(json_object_get(status, "healthy"));
    ret->reasons = reasons_of(status);
    ret->epoch = json_integer_value(json_object_get(status, "epoch"));
    json_decref(status);
    return 0;
}

/* The end of what the last act traced, from a whole line on. */
static int see_trace(struct lab_world *world, struct lab_sight *ret)
{
    char *trace = NULL, *start;
    size_t size;

    if (!idm_device_exists(&world->device, "/run/idmode/trace"))
        return 0;
    if (idm_device_read(&world->device, "/run/idmode/trace", &trace, &size) != 0)
        return -1;
    /* Shorter than before: it was cut back meanwhile. */
    start = trace + (size >= world->trace_start ? world->trace_start : 0);
    if (strlen(start) >= sizeof(ret->trace)) {
        start += strlen(start) - (sizeof(ret->trace) - 1);
        start += strcspn(start, "\n") + 1;
    }
    snprintf(ret->trace, sizeof(ret->trace), "%s", start);
    free(trace);
    return 0;
}

/* ---- disk ---- */

/* NULL: absent, or larger than anything of ours. */
static struct idm_bytes read_place(const struct lab_world *world, const char *place,
                                   const char *name)
{
    char path[IDM_DEVICE_PATH_SIZE], real[2 * IDM_DEVICE_PATH_SIZE];
    struct idm_bytes bytes = {0};
    uint8_t buffer[32768];
    FILE *file;
    size_t n;

    lab_real_disk_path(world, place, path);
    snprintf(real, sizeof(real), "%s/%s", path, name);
    file = fopen(real, "re");
    if (file == NULL)
        return bytes;
    n = fread(buffer, 1, sizeof(buffer), file);
    if (idm_bytes_set(&bytes, buffer, n) != 0)
        bytes = (struct idm_bytes){0};
    fclose(file);
    return bytes;
}

bool lab_real_record(struct lab_world *world, struct idm_record *ret)
{
    static const char *const places[] = {"persist", "config"};
    bool found = false;

    for (size_t i = 0; i < 2; i++) {
        _cleanup_bytes_ struct idm_bytes bytes = read_place(world, places[i], "idmode/record");
        struct idm_record record;

        if (bytes.data == NULL || idm_record_decode(bytes.data, bytes.size, &record) != 0)
            continue;
        if (!found || record.sequence > ret->sequence)
            *ret = record;
        found = true;
    }
    return found;
}

static bool is_key(const struct lab_world *world, const char *place, const char *name)
{
    _cleanup_bytes_ struct idm_bytes bytes = read_place(world, place, name);
    struct idm_key_info info;

    return bytes.data != NULL && idm_key_inspect(&bytes, &info, NULL) == 0;
}

static bool is_there(const struct lab_world *world, const char *place, const char *name)
{
    _cleanup_bytes_ struct idm_bytes bytes = read_place(world, place, name);

    return bytes.data != NULL;
}

static const char *legacy_key(const struct lab_world *world)
{
    if (is_key(world, "config", "device.key.pem") ||
        is_key(world, "persist", "idmode/legacy.key.pem"))
        return "plain";
    return is_there(world, "persist", "idmode/legacy.sealed") ||
                   is_there(world, "config", "idmode/legacy.sealed")
               ? "sealed"
               : "none";
}

static int see_disk(struct lab_world *world, struct lab_sight *ret)
{
    struct idm_device_identity legacy = {0};
    struct idm_record record;
    enum idm_legacy_view view;

    ret->recorded = lab_real_record(world, &record);
    if (ret->recorded) {
        ret->recorded_state = (enum idm_state)record.state;
        ret->recorded_epoch = record.epoch;
        ret->staged = record.staged;
    }
    ret->reset_requested = is_there(world, "persist", "idmode/reset-requested");
    if (idm_device_legacy(&world->device, &view, &legacy) != 0)
        return -1;
    snprintf(ret->legacy_view, sizeof(ret->legacy_view), "%s", idm_legacy_view_name(view));
    snprintf(ret->legacy_key, sizeof(ret->legacy_key), "%s", legacy_key(world));
    memcpy(ret->legacy.cert, legacy.cert_sha256, sizeof(ret->legacy.cert));
    memcpy(ret->legacy.spki, legacy.spki_sha256, sizeof(ret->legacy.spki));
    ret->legacy.works = legacy.works;
    ret->marker = is_there(world, "persist", "config/tpm_in_use");
    return 0;
}

/* ---- images ---- */

static int see_images(struct lab_world *world, struct lab_sight *ret)
{
    struct idm_device *device = &world->device;
    bool has_image[2];
    int on_trial = -1;

    for (int i = 0; i < 2; i++) {
        struct idm_device_image image = idm_device_slot(device, i);

        has_image[i] = image.present;
        ret->slots[i] = (struct lab_slot){.present = image.present, .aware = image.aware};
        memcpy(ret->slots[i].version, image.version, sizeof(image.version));
    }
    ret->powered = world->powered;
    ret->aware = device->image.aware;
    ret->slot = device->slot;
    if (idm_bootloader_next(&device->bootloader, has_image, &ret->next_slot, &on_trial) != 0)
        return idm_device_fail(device, "the bootloader finds nothing to boot");
    ret->trial = on_trial == device->slot ? IDM_YES : IDM_NO;
    return 0;
}

/* ---- who signs ---- */

/* Not counted among the runs, and not among the commands that a busy chip refuses. */
static int see_active(struct lab_world *world, struct lab_sight *ret)
{
    struct idm_device *device = &world->device;
    struct idm_device_identity active = {0};
    struct idm_device was;
    int result;

    if (!world->powered)
        return 0;
    if (lab_real_chip_runs(world) != 0)
        return -1;
    was = *device;
    if (world->chip == LAB_TPM_BUSY)
        snprintf(device->tcti, sizeof(device->tcti), "%s", device->tpm.tcti);
    result = idm_device_active(device, &active);
    if (result < 0)
        memcpy(was.error, device->error, sizeof(was.error));
    *device = was;
    memcpy(ret->active.cert, active.cert_sha256, sizeof(ret->active.cert));
    memcpy(ret->active.spki, active.spki_sha256, sizeof(ret->active.spki));
    ret->active.works = active.works;
    return result < 0 ? -1 : 0;
}

static void see_surroundings(const struct lab_world *world, struct lab_sight *ret)
{
    ret->chip = world->chip;
    ret->own_chip = world->made_in == world->chips;
    ret->clock_good = world->clock_good;
    ret->disk = world->disk;
    ret->config_mounted = world->config_mounted;
    ret->persist_mounted = world->persist_mounted;
}

int lab_real_see(struct lab_world *world, struct lab_sight *ret, char error[LAB_SENTENCE_SIZE])
{
    struct lab_sight *sight = &world->seen;

    if (!world->seen_valid) {
        *sight = (struct lab_sight){0};
        see_surroundings(world, sight);
        if (see_images(world, sight) != 0 || see_published(world, sight) != 0 ||
            see_trace(world, sight) != 0 || see_disk(world, sight) != 0 ||
            see_active(world, sight) != 0)
            return broke(error, world);
        world->seen_valid = true;
    }
    *ret = *sight;
    return 0;
}
