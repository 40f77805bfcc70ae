/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/platform/settings_value.h"
#include "tests/lab/scenario_parts.h"

#include <stdio.h>
#include <string.h>

/* ---- config ---- */

/* The key's row in the product's own table; `section` NULL: in any section. */
static const struct idm_settings_row *find_row(const char *section, const char *key)
{
    for (size_t i = 0; i < idm_settings_row_count; i++)
        if ((!section || strcmp(idm_settings_rows[i].section, section) == 0) &&
            strcmp(idm_settings_rows[i].key, key) == 0)
            return &idm_settings_rows[i];
    return NULL;
}

static const char *key_at(unsigned int index)
{
    return index < idm_settings_row_count ? idm_settings_rows[index].key : NULL;
}

/* An invalid value may be what a scenario is about: then it expects the reason for it. Anything else
 * is a mistake, and is reported when the whole file was read. */
static void check_value(struct lab_reader *reader, const struct idm_settings_row *row,
                        const yaml_node_t *node)
{
    struct idm_settings settings = {0};
    struct idm_settings_raw raw = {.value = (char *)node->data.scalar.value};
    if (idm_settings_apply(&settings, row, &raw))
        abort();
    if (!settings.invalid || reader->bad_setting)
        return;
    reader->bad_setting = node;
    (void)snprintf(reader->bad_setting_text, sizeof reader->bad_setting_text,
                   "%s: '%.64s' is not valid; allowed: %s", row->key, raw.value, row->allowed);
}

static int take_setting(struct lab_reader *reader, const struct idm_settings_row *row,
                        const yaml_node_t *node)
{
    struct lab_device *device = &reader->scenario->device;
    const struct lab_key key = {.word = row->key, .size = sizeof device->settings->value};
    if (device->settings_count == LAB_CONFIG_MAX)
        return lab_fail_at(reader, node, "config: at most %u keys", LAB_CONFIG_MAX);
    struct lab_setting *setting = &device->settings[device->settings_count];
    for (const struct lab_setting *before = device->settings; before < setting; before++)
        if (strcmp(before->section, row->section) == 0 && strcmp(before->key, row->key) == 0)
            return lab_fail_at(reader, node, "config: %s is set twice", row->key);
    if (lab_take_text(reader, node, &key, setting->value) < 0)
        return -1;
    (void)snprintf(setting->section, sizeof setting->section, "%s", row->section);
    (void)snprintf(setting->key, sizeof setting->key, "%s", row->key);
    device->settings_count++;
    check_value(reader, row, node);
    return 0;
}

static const struct lab_words setting_keys = {.at = key_at};

/* One pair; `section` NULL: the key's own. */
static int take_pair(struct lab_reader *reader, const yaml_node_pair_t *pair, const char *section)
{
    const yaml_node_t *written = lab_node(reader, pair->key);
    const struct idm_settings_row *row = find_row(section, lab_scalar(written));
    if (!row)
        return lab_fail_word(reader, written, "config", &setting_keys);
    return take_setting(reader, row, lab_node(reader, pair->value));
}

static int take_section(struct lab_reader *reader, const yaml_node_t *node, const char *section)
{
    if (lab_check_map(reader, node, "config") < 0)
        return -1;
    const yaml_node_pair_t *end = node->data.mapping.pairs.top;
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < end; pair++)
        if (take_pair(reader, pair, section) < 0)
            return -1;
    return 0;
}

/* {legacy-key: keep}, and {identity: {legacy-key: keep}} as the file itself has it. */
static int take_config(struct lab_reader *reader, const yaml_node_t *node,
                       const struct lab_key *key, void *ret)
{
    (void)ret;
    if (lab_check_map(reader, node, key->word) < 0)
        return -1;
    const yaml_node_pair_t *end = node->data.mapping.pairs.top;
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < end; pair++) {
        const yaml_node_t *value = lab_node(reader, pair->value);
        const char *name = lab_scalar(lab_node(reader, pair->key));
        int r = value->type == YAML_MAPPING_NODE ? take_section(reader, value, name)
                                                 : take_pair(reader, pair, NULL);
        if (r < 0)
            return -1;
    }
    return 0;
}

/* ---- tpm ---- */

static const char *const tpms[] = {
    [LAB_TPM_USABLE] = "usable",   [LAB_TPM_ABSENT] = "absent",     [LAB_TPM_LATE] = "late",
    [LAB_TPM_FAILED] = "failed",   [LAB_TPM_LOCKED] = "locked",     [LAB_TPM_OWNED] = "owned",
    [LAB_TPM_CLEARED] = "cleared", [LAB_TPM_REPLACED] = "replaced", [LAB_TPM_VOLATILE] = "volatile",
    [LAB_TPM_BUSY] = NULL, /* it is written {busy: N} */
};

const char *lab_tpm_word(enum lab_tpm tpm)
{
    return tpm == LAB_TPM_BUSY ? "busy" : tpms[tpm];
}

static int take_busy(struct lab_reader *reader, const yaml_node_t *node, const struct lab_key *key,
                     void *ret)
{
    int64_t commands = 0;
    if (lab_take_number(reader, node, key->word, 1000000, &commands) < 0)
        return -1;
    *(unsigned int *)ret = (unsigned int)commands;
    return 0;
}

static const struct lab_key busy_keys[] = {{.word = "busy", .take = take_busy}};
static const struct lab_key tpm_word = {.word = "tpm", .words = {.array = tpms}};

int lab_take_tpm(struct lab_reader *reader, const yaml_node_t *node, enum lab_tpm *ret_tpm,
                 unsigned int *ret_busy)
{
    if (node->type == YAML_SCALAR_NODE)
        return lab_take_choice(reader, node, &tpm_word, ret_tpm);
    if (LAB_TAKE_MAP(reader, node, "tpm", busy_keys, ret_busy) < 0)
        return -1;
    if (node->data.mapping.pairs.start == node->data.mapping.pairs.top)
        return lab_fail_at(reader, node, "tpm: {busy: N} is wanted here");
    *ret_tpm = LAB_TPM_BUSY;
    return 0;
}

/* ---- device ---- */

static int take_first_tpm(struct lab_reader *reader, const yaml_node_t *node,
                          const struct lab_key *key, void *ret)
{
    struct lab_device *device = &reader->scenario->device;
    (void)key, (void)ret;
    if (lab_take_tpm(reader, node, &device->tpm, &device->busy_commands) < 0)
        return -1;
    if (device->tpm != LAB_TPM_CLEARED && device->tpm != LAB_TPM_REPLACED)
        return 0;
    return lab_fail_at(reader, node,
                       "tpm: a device has its first chip yet; allowed: usable, "
                       "absent, late, failed, locked, owned, volatile, {busy: N}");
}

static int take_key(struct lab_reader *reader, const yaml_node_t *node, const struct lab_key *key,
                    void *ret)
{
    int choice = 0;
    if (lab_take_choice(reader, node, key, &choice) < 0)
        return -1;
    *(bool *)ret = choice == 1;
    return 0;
}

#define DEVICE(field) LAB_FIELD(struct lab_device, field)
static const struct lab_key device_keys[] = {
    {.word = "tpm", .take = take_first_tpm},
    {"aware", lab_take_bool, DEVICE(aware)},
    {"version", lab_take_text, DEVICE(version)},
    {"provisioned", lab_take_bool, DEVICE(provisioned)},
    {"filesystem", lab_take_choice, DEVICE(filesystem), .words = LAB_WORDS("ext4", "fat")},
    {"other-slot", lab_take_choice, DEVICE(other_slot),
     .words = LAB_WORDS("none", "aware", "legacy")},
    {"key", take_key, DEVICE(rsa), .words = LAB_WORDS("ec", "rsa-2048")},
    {"bootenv", lab_take_choice, DEVICE(bootenv), .words = LAB_WORDS("bootcount", "rauc", "none")},
    {.word = "config", .take = take_config},
};
#undef DEVICE

int lab_take_device(struct lab_reader *reader, const yaml_node_t *node)
{
    return LAB_TAKE_MAP(reader, node, "device", device_keys, &reader->scenario->device);
}
