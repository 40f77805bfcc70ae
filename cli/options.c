/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/options.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum kind { TEXT, FLAG, NUMBER };

/* One row per option: where it goes, and the commands that take it ("" : all). */
static const struct row {
    const char *name;
    char letter;
    uint8_t kind; /* enum kind */
    uint16_t offset;
    const char *commands;
} rows[] = {
#define AT(field) (uint16_t) offsetof(struct idm_options, field)
    {"root", 0, TEXT, AT(root), ""},
    {"config", 0, TEXT, AT(config), ""},
    {"tcti", 0, TEXT, AT(tcti), ""},
    {"lock-timeout", 0, NUMBER, AT(lock_timeout_s), ""},
    {"json", 0, FLAG, AT(json), ""},
    {"quiet", 'q', FLAG, AT(quiet), ""},
    {"verbose", 'v', FLAG, AT(verbose), ""},
    {"help", 'h', FLAG, AT(help), ""},
    {"version", 0, FLAG, AT(version), ""},
    {"target-aware", 0, TEXT, AT(target_aware), "hook"},
    {"target-format", 0, TEXT, AT(target_format), "hook"},
    {"target-version", 0, TEXT, AT(target_version), "hook"},
    {"target-slot", 0, TEXT, AT(target_slot), "hook"},
    {"install-id", 0, TEXT, AT(install_id), "hook"},
    {"format", 0, TEXT, AT(format), "status"},
    {"strict", 0, FLAG, AT(strict), "status boot"},
    {"digest", 0, TEXT, AT(digest), "sign"},
    {"in", 0, TEXT, AT(in), "sign"},
    {"out", 0, TEXT, AT(out), "sign attest status"},
    {"key", 0, TEXT, AT(key), "import"},
    {"imported", 0, FLAG, AT(imported), "adopt"},
    {"prepared", 0, FLAG, AT(prepared), "cert csr attest"},
    {"nonce", 0, TEXT, AT(nonce), "attest"},
    {"credential", 0, TEXT, AT(credential), "attest"},
    {"service", 0, TEXT, AT(service), "attest"},
    {"pcrs", 0, TEXT, AT(pcrs), "attest"},
    {"lines", 'n', NUMBER, AT(lines), "history"},
    {"yes", 0, FLAG, AT(yes), "factory-reset hold"},
    {"reason", 0, TEXT, AT(reason), "hold"},
    {"to", 0, TEXT, AT(to), "hold"},
    {"reset", 0, TEXT, AT(reset), "factory-reset"},
    {"next-boot", 0, FLAG, AT(next_boot), "factory-reset"},
    {"without-tpm", 0, TEXT, AT(without_tpm), "factory-reset"},
    {"retry", 0, NUMBER, AT(retry_s), "watch"},
#undef AT
};
#define ROWS (sizeof rows / sizeof *rows)
_Static_assert(ROWS <= 64, "options fit a bit set");
#define FIRST_LONG 256 /* getopt values of rows: above every letter */

static bool take_number(const struct row *row, const char *text, void *field)
{
    char *end = NULL;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < 0 || value > 1000000) {
        (void)fprintf(stderr, "idmode: --%s: \"%s\" is not a number from 0 to 1000000\n", row->name,
                      text);
        return false;
    }
    int number = (int)value;
    memcpy(field, &number, sizeof number);
    return true;
}

static bool take(struct idm_options *o, const struct row *row, const char *value)
{
    void *field = (char *)o + row->offset;
    if (row->commands[0])
        o->given |= UINT64_C(1) << (row - rows);
    switch ((enum kind)row->kind) {
    case TEXT:
        memcpy(field, &value, sizeof value);
        return true;
    case FLAG:
        *(bool *)field = true;
        return true;
    case NUMBER:
        break;
    }
    return take_number(row, value, field);
}

static const struct row *row_of(int value)
{
    for (size_t i = 0; i < ROWS; i++)
        if (value == FIRST_LONG + (int)i || (rows[i].letter && value == rows[i].letter))
            return &rows[i];
    return NULL;
}

static const char *or_environment(const char *given, const char *name)
{
    const char *value = given ? given : secure_getenv(name);
    return value && *value ? value : NULL;
}

/* "/" and "" are the machine itself; a root never ends in a slash. */
static const char *without_slash(const char *root)
{
    static char path[4096];
    size_t length = root ? strlen(root) : 0;
    if (length >= sizeof path)
        return NULL;
    while (length && root[length - 1] == '/')
        length--;
    memcpy(path, root ? root : "", length);
    path[length] = 0;
    return path;
}

bool idm_options_parse(struct idm_options *ret, int argc, char **argv)
{
    struct option longs[ROWS + 1] = {0};
    struct idm_options o = {.lock_timeout_s = 30, .retry_s = 5, .lines = -1};
    int value = 0;
    for (size_t i = 0; i < ROWS; i++)
        longs[i] =
            (struct option){.name = rows[i].name,
                            .has_arg = rows[i].kind == FLAG ? no_argument : required_argument,
                            .val = FIRST_LONG + (int)i};
    optind = 0; /* glibc: begins anew, also after another command line */
    while ((value = getopt_long(argc, argv, "qvhn:", longs, NULL)) != -1) {
        const struct row *row = row_of(value);
        if (!row || !take(&o, row, optarg))
            return false;
    }
    for (; optind < argc; optind++) {
        if (o.words == IDM_OPTIONS_WORDS) {
            (void)fprintf(stderr, "idmode: too many arguments (see idmode --help)\n");
            return false;
        }
        o.word[o.words++] = argv[optind];
    }
    o.root = without_slash(or_environment(o.root, "IDMODE_ROOT"));
    o.config = or_environment(o.config, "IDMODE_CONFIG");
    o.tcti = or_environment(o.tcti, "IDMODE_TCTI");
    if (!o.root) {
        (void)fprintf(stderr, "idmode: --root: the path is too long\n");
        return false;
    }
    *ret = o;
    return true;
}

bool idm_options_fit(const struct idm_options *options, const char *command)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (!(options->given >> i & 1))
            continue;
        const char *found = strstr(rows[i].commands, command);
        if (found)
            continue;
        (void)fprintf(stderr, "idmode: --%s does not go with %s (see idmode --help)\n",
                      rows[i].name, command);
        return false;
    }
    return true;
}

bool idm_options_open_standard(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) != -1 || errno != EBADF)
            continue;
        int opened = open("/dev/null", O_RDWR); /* the lowest that is free: this one */
        if (opened != fd)
            return false;
    }
    return true;
}

int idm_options_misused(char **argv)
{
    for (; *argv; argv++) {
        size_t length = strlen(*argv);
        if (length < 3 || strncmp(*argv, "--json", length) != 0) /* getopt takes "--js" too */
            continue;
        (void)puts("{\"error\": {\"code\": \"usage\", \"what\": \"usage\", \"why\": \"the command "
                   "line makes no sense, as stderr says\", \"do\": \"see idmode --help\"}}");
        break;
    }
    return 2;
}
