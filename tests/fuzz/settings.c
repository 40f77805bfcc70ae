/* SPDX-License-Identifier: BSD-2-Clause */
/* idmode.conf: whatever it holds, boot gets settings that it can work with. */
#include "tests/fuzz/fuzz.h"

#include "backends/settings.h"

#include <stdlib.h>
#include <string.h>

#define ENDS(field) FUZZ_CHECK(memchr((field), 0, sizeof(field)))

static void check(const struct idm_settings *s)
{
    ENDS(s->config_dir);
    ENDS(s->persist_dir);
    ENDS(s->tcti);
    ENDS(s->owner_auth_file);
    ENDS(s->subject);
    ENDS(s->version);
    ENDS(s->slot);
    ENDS(s->bootenv_config);
    ENDS(s->bootenv_command);
    ENDS(s->bootenv_trial_when);
    ENDS(s->access_group);
    ENDS(s->hooks_directory);
    for (size_t i = 0; i < IDM_SLOTS; i++) {
        ENDS(s->slots[i].name);
        ENDS(s->slots[i].path);
    }
    FUZZ_CHECK(s->config_dir[0] == '/' && s->persist_dir[0] == '/');
    FUZZ_CHECK(idm_algorithm_name(s->algorithm));
    FUZZ_CHECK(s->device_handle >> 24 == 0x81 && s->parent_handle >> 24 == 0x81 &&
               s->srk_handle >> 24 == 0x81 && s->counter_index >> 24 == 0x01);
    FUZZ_CHECK(s->device_handle != s->parent_handle && s->device_handle != s->srk_handle &&
               s->parent_handle != s->srk_handle);
    FUZZ_CHECK(s->invalid == (s->invalid_error.code != 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct idm_settings settings;
    struct idm_error err = {0};
    char *said = NULL;
    size_t said_size = 0;
    FILE *warnings = open_memstream(&said, &said_size);
    FUZZ_CHECK(warnings);
    int rc = idm_settings_read(&settings, "", fuzz_file("idmode.conf", data, size), warnings, &err);
    FUZZ_CHECK(fclose(warnings) == 0);
    FUZZ_CHECK(rc == 0 && settings.invalid == (settings.invalid_error.code == IDM_E_SETTINGS));
    check(&settings);
    free(said);
    return 0;
}
