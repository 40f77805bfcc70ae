/* SPDX-License-Identifier: BSD-2-Clause */
/* A simulated device before its first power-on: configuration, images, boot environment, chip. */
#include "tests/lab/sim_parts.h"

#include "backends/platform/settings_value.h"

#include <stdlib.h>
#include <string.h>

/* ---- images ---- */

/* What a slot holds, as a number: the same image has the same content. FNV-1a. */
static uint32_t content_of(const struct lab_slot *image, bool half)
{
    uint32_t hash = 2166136261u;
    char text[LAB_WORD_SIZE + 16];
    (void)snprintf(text, sizeof text, "%s %s%s", image->aware ? "aware" : "legacy", image->version,
                   half ? " half" : "");
    for (const char *c = text; *c; c++)
        hash = (hash ^ (uint8_t)*c) * 16777619u;
    return hash | 1u;
}

void lab_sim_put_image(struct lab_world *w, int slot, bool aware, const char *version, bool half)
{
    struct lab_slot image = {.present = true, .aware = aware};
    (void)snprintf(image.version, sizeof image.version, "%s", version);
    w->sim.slot_content[slot] = content_of(&image, half);
    w->slots[slot] = half ? (struct lab_slot){0} : image;
}

/* ---- configuration ---- */

/* Every value through the product's own parser, so that an invalid one is what it is on a device. */
static void apply_settings(struct idm_settings *ret, const struct lab_setting *list, size_t count)
{
    struct idm_settings_raw *raw = calloc(IDM_SETTINGS_ROWS_MAX, sizeof *raw);
    if (!raw)
        abort();
    memset(ret, 0, sizeof *ret);
    for (size_t row = 0; row < idm_settings_row_count; row++) {
        for (size_t i = 0; i < count; i++) {
            if (strcmp(list[i].section, idm_settings_rows[row].section) != 0 ||
                strcmp(list[i].key, idm_settings_rows[row].key) != 0)
                continue;
            raw[row].value = (char *)list[i].value;
            raw[row].line = i + 1;
            (void)snprintf(raw[row].file, sizeof raw[row].file, "/etc/idmode/idmode.conf");
        }
        if (idm_settings_apply(ret, &idm_settings_rows[row], &raw[row]))
            abort();
    }
    idm_settings_check(ret, raw);
    free(raw);
}

/* As tests/support/device.c and the real world configure their device, then the scenario's own. */
static void make_settings(struct lab_world *w, const struct lab_device *device)
{
    struct lab_setting list[LAB_CONFIG_MAX + 4] = {
        {"tpm", "wait", "200ms"},
        {"identity", "algorithm", ""},
        {"image", "slots", "A:/slots/a.img B:/slots/b.img"},
        {"bootenv", "backend", ""},
    };
    (void)snprintf(list[1].value, sizeof list[1].value, "%s",
                   device->rsa ? "rsa-2048" : "ecdsa-p256");
    (void)snprintf(list[3].value, sizeof list[3].value, "%s",
                   device->bootenv == LAB_BOOTENV_NONE ? "none" : "uboot");
    size_t count = 4;
    for (size_t i = 0; i < device->settings_count; i++)
        list[count++] = device->settings[i];
    apply_settings(&w->settings, list, count);
    w->sim.settings = w->settings;
}

void lab_sim_make(struct lab_world *w, const struct lab_device *device)
{
    static const enum idm_sim_scheme schemes[] = {[LAB_BOOTENV_BOOTCOUNT] = IDM_SIM_BOOTCOUNT,
                                                  [LAB_BOOTENV_RAUC] = IDM_SIM_RAUC,
                                                  [LAB_BOOTENV_NONE] = IDM_SIM_NO_ENV};
    idm_sim_init(&w->sim);
    w->sim.traced_self = w;
    w->sim.config_fs = device->filesystem == LAB_FAT ? IDM_SIM_FAT : IDM_SIM_EXT4;
    w->sim.slot_content[0] = 0;
    w->sim.slot_content[1] = 0;
    idm_sim_boot_make(&w->bootloader, schemes[device->bootenv]);
    lab_sim_put_image(w, 0, device->aware, device->version, false);
    if (device->other_slot != LAB_SLOT_EMPTY)
        lab_sim_put_image(w, 1, device->other_slot == LAB_SLOT_AWARE, device->version, false);
    w->target = (struct lab_sim_target){.slot = 1, .aware = "yes"};
    w->chips = 1;
    w->clock_good = true;
    w->now = IDM_SIM_NOW;
    lab_sim_set_chip(w, device->tpm, device->busy_commands);
    make_settings(w, device);
}
