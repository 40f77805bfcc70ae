/* SPDX-License-Identifier: BSD-2-Clause */
/* A scenario file: read whole, or refused with a place and a sentence. */
#include "tests/fuzz/fuzz.h"

#include "tests/lab/scenario.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lab_scenario scenario = {0};
    struct lab_scenario_error err = {0};
    int rc = lab_scenario_read(&scenario, fuzz_file("scenario.yaml", data, size), &err);
    FUZZ_CHECK(rc == 0 || (rc == -1 && err.text[0] && memchr(err.text, 0, sizeof err.text)));
    FUZZ_CHECK(rc == 0 || (!scenario.steps && scenario.steps_count == 0));
    for (size_t i = 0; rc == 0 && i < scenario.steps_count; i++) {
        FUZZ_CHECK(lab_action_word(scenario.steps[i].action));
        FUZZ_CHECK(scenario.steps[i].line > 0);
    }
    if (rc == 0)
        lab_scenario_free(&scenario);
    return 0;
}
