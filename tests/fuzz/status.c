/* SPDX-License-Identifier: BSD-2-Clause */
/* A status document that somebody gives to `idmode-lab diagram --current`: what is taken from it are
 * words of the table. */
#include "tests/fuzz/fuzz.h"

#include "diagrams/lab.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lab_current current;
    char *text = NULL;
    size_t length = 0;
    fuzz_quiet(1);
    int rc = lab_current_read(&current, fuzz_file("status.json", data, size));
    fuzz_quiet(0);
    FUZZ_CHECK(rc == 0 || rc == -1);
    if (rc)
        return 0;
    FILE *out = open_memstream(&text, &length);
    FUZZ_CHECK(out);
    lab_print_current(out, &current);
    FUZZ_CHECK(lab_print_mermaid(out, &current) == 0);
    FUZZ_CHECK(fclose(out) == 0);
    FUZZ_CHECK(current.state > IDM_S_none || strcmp(idm_state_name(current.state), text) != 0);
    free(text);
    return 0;
}
