/* SPDX-License-Identifier: BSD-2-Clause */
/* What the helper prints of the boot environment; the first byte picks the scheme. */
#include "tests/fuzz/fuzz.h"

#include "backends/bootenv/vars.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct idm_settings settings;
    struct idm_vars vars;
    char slot[IDM_SLOT_NAME_SIZE] = "";
    if (size == 0)
        return 0;
    char *text = malloc(size); /* terminated, in place of the first byte */
    FUZZ_CHECK(text);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = 0;
    idm_settings_default(&settings);
    settings.bootenv_scheme = (enum idm_bootenv_scheme)(data[0] % (IDM_SCHEME_CUSTOM + 1));
    (void)snprintf(settings.bootenv_trial_when, sizeof settings.bootenv_trial_when, "trying=yes");
    idm_vars_wanted(&settings, &vars);
    size_t wanted = vars.count;
    idm_vars_parse(&vars, text);
    FUZZ_CHECK(vars.count == wanted);
    enum idm_tri trial = idm_vars_trial(&vars, &settings);
    FUZZ_CHECK(trial == IDM_UNKNOWN || trial == IDM_NO || trial == IDM_YES);
    idm_vars_slot(&vars, slot);
    FUZZ_CHECK(memchr(slot, 0, sizeof slot));
    for (size_t i = 0; i < vars.count; i++)
        FUZZ_CHECK(!vars.vars[i].readable || memchr(vars.vars[i].value, 0, IDM_VAR_VALUE_SIZE));
    free(text);
    return 0;
}
