/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/verify/verify.h"

#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* One row per option: where it goes, and the commands that take it ("" : all), each between blanks. */
static const struct row {
    const char *name;
    char letter;
    bool flag;
    size_t offset;
    const char *commands;
} rows[] = {
#define AT(field) offsetof(struct idm_verify_options, field)
    {"json", 0, true, AT(json), ""},
    {"quiet", 'q', true, AT(quiet), ""},
    {"help", 'h', true, AT(help), ""},
    {"version", 0, true, AT(version), ""},
    {"roots", 0, false, AT(roots), " ek challenge "},
    {"intermediates", 0, false, AT(intermediates), " ek challenge "},
    {"ek", 0, false, AT(ek), " challenge evidence make-credential "},
    {"ak", 0, false, AT(ak), " challenge evidence make-credential quote certify "},
    {"name", 0, false, AT(name), " make-credential "},
    {"template", 0, false, AT(template), " challenge make-credential "},
    {"nonce", 0, false, AT(nonce), " evidence quote certify "},
    {"secret", 0, false, AT(secret), " challenge evidence make-credential quote certify "},
    {"credential", 0, false, AT(credential), " challenge make-credential "},
    {"min-epoch", 0, false, AT(min_epoch), " evidence "},
    {"pcrs", 0, false, AT(pcrs), " evidence quote "},
    {"succeeds", 0, false, AT(succeeds), " evidence "},
    {"without-counter", 0, true, AT(without_counter), " evidence "},
    {"adopted", 0, true, AT(adopted), " evidence certify "},
#undef AT
};
#define ROWS       (sizeof rows / sizeof *rows)
#define FIRST_LONG 256 /* getopt values of rows: above every letter */

/* Commands that read a document without an option's name, and those that do not. */
static const char readers[] = " ek evidence quote certify ";
static const char makers[] = " challenge make-credential ";

static bool among(const char *words, const char *word)
{
    char wanted[64];
    int size = snprintf(wanted, sizeof wanted, " %s ", word);
    return size > 0 && (size_t)size < sizeof wanted && strstr(words, wanted);
}

static bool take(struct idm_verify_options *o, const struct row *row, const char *value)
{
    void *field = (char *)o + row->offset;
    if (row->commands[0] && (o->given >> (row - rows) & 1)) {
        (void)fprintf(stderr, "idmode-verify: --%s is given twice\n", row->name);
        return false;
    }
    o->given |= 1u << (row - rows);
    if (row->flag)
        *(bool *)field = true;
    else
        memcpy(field, &value, sizeof value);
    return true;
}

static const struct row *row_of(int value)
{
    for (size_t i = 0; i < ROWS; i++)
        if (value == FIRST_LONG + (int)i || (rows[i].letter && value == rows[i].letter))
            return &rows[i];
    return NULL;
}

static bool fits(const struct idm_verify_options *o, int words)
{
    if (!o->command || (!among(readers, o->command) && !among(makers, o->command))) {
        (void)fprintf(stderr, "idmode-verify: which command? (see idmode-verify --help)\n");
        return false;
    }
    if (words > 2 || (words == 2 && !among(readers, o->command))) {
        (void)fprintf(stderr, "idmode-verify: too many arguments (see idmode-verify --help)\n");
        return false;
    }
    for (size_t i = 0; i < ROWS; i++)
        if ((o->given >> i & 1) && rows[i].commands[0] && !among(rows[i].commands, o->command)) {
            (void)fprintf(stderr,
                          "idmode-verify: --%s does not go with %s (see idmode-verify --help)\n",
                          rows[i].name, o->command);
            return false;
        }
    return true;
}

bool idm_verify_parse(struct idm_verify_options *ret, int argc, char **argv)
{
    struct option longs[ROWS + 1] = {0};
    struct idm_verify_options o = {0};
    int value = 0;
    for (size_t i = 0; i < ROWS; i++)
        longs[i] = (struct option){.name = rows[i].name,
                                   .has_arg = rows[i].flag ? no_argument : required_argument,
                                   .val = FIRST_LONG + (int)i};
    while ((value = getopt_long(argc, argv, "qh", longs, NULL)) != -1) {
        const struct row *row = row_of(value);
        if (!row || !take(&o, row, optarg))
            return false;
    }
    int words = argc - optind;
    o.command = words > 0 ? argv[optind] : NULL;
    o.file = words > 1 && strcmp(argv[optind + 1], "-") != 0 ? argv[optind + 1] : NULL;
    *ret = o;
    return o.help || o.version || fits(&o, words);
}
