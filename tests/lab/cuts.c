/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/lab/replay.h"

#include <stdlib.h>
#include <string.h>

#define COUNT_MAX 100000u

const char *lab_place_word(enum lab_place place)
{
    static const char *const words[LAB_PLACE_COUNT] = {
        [LAB_AT_DURABLE] = "",
        [LAB_AT_BEFORE] = "before",
        [LAB_AT_PRE_INSTALL] = "pre-install",
        [LAB_AT_WRITE] = "write",
        [LAB_AT_POST_INSTALL] = "post-install",
        [LAB_AT_AFTER] = "after",
    };
    return words[place];
}

/* Decimal, from 1, followed by `end`; *at is moved behind it. */
static bool take_number(const char **at, char end, unsigned long *ret)
{
    size_t digits = strspn(*at, "0123456789");
    if (!digits || digits > 9 || (*at)[digits] != end)
        return false;
    *ret = strtoul(*at, NULL, 10);
    *at += digits + (end != 0);
    return true;
}

static bool parse_random(struct lab_cuts *ret, const char *at)
{
    unsigned long seed = 0;
    unsigned long count = 0;
    if (!take_number(&at, ':', &seed) || !take_number(&at, 0, &count) || !count ||
        count > COUNT_MAX)
        return false;
    *ret = (struct lab_cuts){.kind = LAB_CUTS_RANDOM, .seed = seed, .count = count};
    return true;
}

static bool parse_at(struct lab_cuts *ret, const char *at)
{
    struct lab_cuts cuts = {.kind = LAB_CUTS_AT};
    unsigned long step = 0;
    if (!take_number(&at, ':', &step) || !step)
        return false;
    cuts.step = step;
    for (enum lab_place place = LAB_AT_BEFORE; place < LAB_PLACE_COUNT; place++)
        if (strcmp(at, lab_place_word(place)) == 0)
            cuts.where = place;
    if (cuts.where != LAB_AT_DURABLE) {
        *ret = cuts;
        return true;
    }
    for (size_t i = 0; i < LAB_CUTS_MAX; i++) {
        bool last = !take_number(&at, ':', &cuts.at[i]);
        if ((last && !take_number(&at, 0, &cuts.at[i])) || !cuts.at[i])
            return false;
        if (last) {
            *ret = cuts;
            return true;
        }
    }
    return false;
}

unsigned int lab_cuts_nested(const struct lab_cuts *cuts)
{
    unsigned int nested = 1;
    switch (cuts->kind) {
    case LAB_CUTS_PAIRS:
        return 2;
    case LAB_CUTS_TRIPLES:
        return 3;
    case LAB_CUTS_AT:
        while (nested < LAB_CUTS_MAX && cuts->at[nested])
            nested++;
        break;
    case LAB_CUTS_AS_WRITTEN:
    case LAB_CUTS_EVERY:
    case LAB_CUTS_RANDOM:
        break;
    }
    return nested;
}

bool lab_cuts_parse(struct lab_cuts *ret, const char *text)
{
    if (strncmp(text, "random:", 7) == 0)
        return parse_random(ret, text + 7);
    if (strncmp(text, "at:", 3) == 0)
        return parse_at(ret, text + 3);
    if (strcmp(text, "every") == 0)
        *ret = (struct lab_cuts){.kind = LAB_CUTS_EVERY};
    else if (strcmp(text, "pairs") == 0)
        *ret = (struct lab_cuts){.kind = LAB_CUTS_PAIRS};
    else if (strcmp(text, "triples") == 0)
        *ret = (struct lab_cuts){.kind = LAB_CUTS_TRIPLES};
    else
        return false;
    return true;
}
