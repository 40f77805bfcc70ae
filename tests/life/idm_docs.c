/* SPDX-License-Identifier: BSD-2-Clause */
/* idm_docs.c - writes again what documents show of idmode (tests/support/shown.h).
 *
 *     idm-docs FILE…      exit 0: all blocks are as they should be, or were written again; 1: a block
 *                         or a file is not in order; 2: usage
 */
#include "tests/support/shown.h"

#include <stdio.h>
#include <stdlib.h>

/* Beside it first: a full disk must not cost the document. */
static int write_again(const struct idm_shown *shown, const char *path)
{
    char *beside = NULL;
    int rc = -1;

    if (asprintf(&beside, "%s.new", path) < 0)
        return -1;
    FILE *out = fopen(beside, "we");
    if (out) {
        size_t written = fwrite(shown->text, 1, shown->size, out);
        if (fclose(out) == 0 && written == shown->size)
            rc = rename(beside, path);
    }
    if (rc) {
        perror(path);
        (void)remove(beside);
    }
    free(beside);
    return rc;
}

static int one_document(const char *path)
{
    _cleanup_shown_ struct idm_shown shown = {0};

    if (idm_shown_run(&shown, path)) {
        fprintf(stderr, "idm-docs: %s\n", shown.error);
        return -1;
    }
    printf("%s: %u blocks, %u written again\n", path, shown.blocks, shown.differ);
    return shown.differ ? write_again(&shown, path) : 0;
}

int main(int argc, char **argv)
{
    int rc = 0;

    if (argc < 2 || argv[1][0] == '-') {
        fputs("usage: idm-docs FILE…\n", stderr);
        return 2;
    }
    for (int i = 1; i < argc; i++)
        rc |= one_document(argv[i]);
    return rc ? 1 : 0;
}
