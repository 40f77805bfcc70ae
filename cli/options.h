/* SPDX-License-Identifier: BSD-2-Clause */
/* options.h - the words of the command line, the same for `idmode` and the program behind it. */
#ifndef IDM_CLI_OPTIONS_H
#define IDM_CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define IDM_OPTIONS_WORDS 4

struct idm_reach;

struct idm_options {
    const struct idm_reach *reach; /* where the commands find their device (cli.h); not parsed */
    const char *root;              /* "" or a path without trailing slash */
    const char *config;            /* NULL: the default files below root */
    const char *tcti;              /* NULL: as configured */
    unsigned int lock_timeout_s;
    bool json, quiet, verbose, help, version;
    /* of single commands */
    const char *target_aware, *target_format, *target_version, *target_slot, *install_id;
    const char *format, *digest, *in, *out, *reset, *without_tpm, *reason, *to, *key;
    const char *nonce, *credential, *service, *pcrs;
    unsigned int retry_s; /* idmode-watch */
    bool imported, strict, yes, next_boot, prepared;
    int lines;                           /* -n; -1: not given */
    int words;                           /* how many of word[] there are */
    const char *word[IDM_OPTIONS_WORDS]; /* the command and its arguments */
    uint64_t given;                      /* bit per option of a single command, see options.c */
};

/* Parses; the environment's IDMODE_ROOT, IDMODE_CONFIG and IDMODE_TCTI fill what the command line
 * leaves open (not under raised privileges). Borrows argv, which getopt may permute. False after a
 * message on stderr: usage, exit 2. */
bool idm_options_parse(struct idm_options *ret, int argc, char **argv);

/* False, with a message, when an option was given that `command` does not take. */
bool idm_options_fit(const struct idm_options *options, const char *command);

/* After one of the two said no: where --json was among the words, the one object that it promises.
 * The exit code. */
int idm_options_misused(char **argv);

/* Makes sure that file descriptors 0 to 2 are open: a file that we open must not become one of
 * them. */
bool idm_options_open_standard(void);

#endif
