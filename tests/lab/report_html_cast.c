/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/lab/report_html.h"

#include <stdlib.h>
#include <string.h>

size_t lab_cast_number(const struct lab_cast *cast, const struct lab_identity *identity)
{
    for (size_t i = 0; identity->cert[0] && i < cast->count; i++)
        if (strcmp(cast->faces[i].identity->cert, identity->cert) == 0)
            return i + 1;
    return 0;
}

static void add(struct lab_cast *cast, const struct lab_identity *identity)
{
    if (identity->cert[0] && !lab_cast_number(cast, identity))
        cast->faces[cast->count++].identity = identity;
}

static void name(struct lab_cast *cast, const struct lab_moment *moment)
{
    size_t number = lab_cast_number(cast, &moment->sight.active);
    if (moment->step->action == LAB_DO_label && number && !cast->faces[number - 1].label)
        cast->faces[number - 1].label = moment->step->word;
}

int lab_cast_make(struct lab_cast *ret, const struct lab_run *run)
{
    /* Two identities are seen at a moment: the active and the legacy one. */
    struct lab_cast cast = {calloc(2 * run->moments_count + 1, sizeof *cast.faces), 0};
    if (!cast.faces)
        return -1;
    for (size_t i = 0; i < run->moments_count; i++) {
        add(&cast, &run->moments[i].sight.active);
        add(&cast, &run->moments[i].sight.legacy);
        name(&cast, &run->moments[i]);
    }
    *ret = cast;
    return 0;
}

void lab_cast_free(struct lab_cast *cast)
{
    if (!cast)
        return;
    free(cast->faces);
    *cast = (struct lab_cast){0};
}

void lab_print_disc(FILE *out, const struct lab_cast *cast, const struct lab_identity *identity)
{
    size_t number = lab_cast_number(cast, identity);
    if (number)
        (void)fprintf(out, "<b class=\"disc i%zu%s\">%zu</b>", (number - 1) % LAB_COLOURS,
                      identity->works ? "" : " dead", number);
}
