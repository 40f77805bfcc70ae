/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/lab/keep_status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static FILE *kept;

int lab_keep_status_in(const char *path)
{
    kept = fopen(path, "we");
    return kept ? 0 : -errno;
}

bool lab_keeps_status(void)
{
    return kept != NULL;
}

int lab_keep_status_end(void)
{
    bool failed = kept && (ferror(kept) || fclose(kept) != 0);
    kept = NULL;
    return failed ? -EIO : 0;
}

void lab_keep_status(const json_t *status)
{
    if (!kept)
        return;
    char *line = json_dumps(status, JSON_COMPACT);
    (void)fprintf(kept, "%s\n", line ? line : "no JSON");
    free(line);
}

void lab_keep_status_text(const void *text, size_t size)
{
    if (!kept)
        return;
    json_t *status = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    lab_keep_status(status);
    json_decref(status);
}
