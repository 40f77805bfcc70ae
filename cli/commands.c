/* SPDX-License-Identifier: BSD-2-Clause */
/* commands.c - every command but `mode`, by its name. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    idm_command_fn run;
    int words; /* how many words it takes, its own name included */
    int most;  /* where it may take more */
    const char *usage;
    const char *does;
} commands[] = {
    {"boot", idm_command_boot, 1, 0, "boot",
     "recover, decide, rewrite the marker, publish the status"},
    {"mode", NULL, 1, 0, "mode", "print none, software, tpm or unknown"},
    {"status", idm_command_status, 1, 0,
     "status [--format text|json|eve|prometheus] [--strict] [--out FILE]",
     "what is in use, and why; --out: metrics, replaced as a whole"},
    {"hook", idm_command_hook, 2, 0,
     "hook PHASE [--target-aware yes|no|unknown] [--target-format N|none|unknown]\n"
     "            [--target-version V] [--target-slot S] [--install-id ID]",
     "PHASE: pre-install, post-install, install-failed, commit, rollback"},
    {"migrate", idm_command_migrate, 2, 0, "migrate prepare|commit|abort|show",
     "move a software device to its TPM"},
    {"import", idm_command_import, 1, 0, "import --key FILE",
     "at first use: make an offline private key the TPM's"},
    {"adopt", idm_command_adopt, 2, 0, "adopt HANDLE|FILE [--imported]",
     "at first use: make a key that is in the TPM the device's"},
    {"csr", idm_command_csr, 1, 0, "csr [--prepared]",
     "print a certificate request for the key in use, or prepared"},
    {"cert", idm_command_cert, 2, 3, "cert show [--prepared] | cert install [--prepared] FILE",
     "print the certificate in use; use a CA's, with its chain"},
    {"sign", idm_command_sign, 1, 0,
     "sign [--digest sha256|sha384|sha512] [--in FILE] [--out FILE]",
     "sign exactly the input, DER"},
    {"history", idm_command_history, 1, 0, "history [-n N]", "changes, refusals and holds"},
    {"doctor", idm_command_doctor, 1, 0, "doctor", "check everything readable, change nothing"},
    {"hold", idm_command_hold, 2, 0,
     "hold show | hold clear --reason R --to retry|reuse|legacy|accept-epoch|new-identity\n"
     "            --yes",
     "what is held, and an operator's way out"},
    {"attest", NULL, 2, 0, "attest ek|ak|activate|evidence|quote|certify …",
     "prove to others which chip this is (idmode attest --help)"},
    {"factory-reset", idm_command_factory_reset, 1, 0,
     "factory-reset --yes [--reset rekey|clear] [--next-boot] [--without-tpm REASON]",
     "destroy the identity and make a new one"},
};
#define COMMANDS (sizeof commands / sizeof *commands)

static void print_help(FILE *out)
{
    (void)fputs("idmode - keeps the identity of a device\n\nusage: idmode [OPTIONS] COMMAND\n\n",
                out);
    for (size_t i = 0; i < COMMANDS; i++)
        (void)fprintf(out, "  %s\n        %s\n", commands[i].usage, commands[i].does);
    (void)fputs("\n  --root DIR             every path lies below DIR\n"
                "  --config FILE          this configuration, as it stands\n"
                "  --tcti STRING          how to reach the TPM; none: there is none\n"
                "  --lock-timeout SECONDS wait so long for another idmode (30)\n"
                "  --json                 exactly one JSON object on stdout\n"
                "  -q, -v, --help, --version\n\n"
                "exit: 0 done, 1 refused, 2 usage or configuration, 3 held or no identity,\n"
                "      4 the lock stayed busy, 5 an operation failed (nothing lost, try again)\n",
                out);
}

static int say_help(const struct idm_options *options)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = options->json ? open_memstream(&text, &size) : stdout;
    if (!out)
        return IDM_EXIT_FAILED;
    print_help(out);
    if (!options->json)
        return IDM_EXIT_DONE;
    bool good = fclose(out) == 0;
    if (good)
        idm_say_json(json_pack("{s:s}", "help", text));
    free(text);
    return good ? IDM_EXIT_DONE : IDM_EXIT_FAILED;
}

static int print_version(const struct idm_options *options)
{
    if (options->json)
        idm_say_json(json_pack("{s:s, s:i}", "version", IDM_VERSION, "record_format",
                               (int)IDM_RECORD_VERSION));
    else
        (void)printf("idmode %s (record format %u)\n", IDM_VERSION, IDM_RECORD_VERSION);
    return IDM_EXIT_DONE;
}

static int usage(const struct idm_options *options, const char *why)
{
    struct idm_error err = {0};
    (void)idm_fail(&err, IDM_E_USAGE, "usage", "%s", why);
    (void)idm_advise(&err, "see idmode --help");
    return idm_say_error(options, options->words ? options->word[0] : "", &err);
}

static int run_command(const struct idm_options *options, char **argv)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, options->word[0]) != 0 || !commands[i].run)
            continue;
        if (!idm_options_fit(options, commands[i].name))
            return idm_options_misused(argv);
        int most = commands[i].most ? commands[i].most : commands[i].words;
        if (options->words < commands[i].words || options->words > most)
            return usage(options, commands[i].usage);
        int rc = commands[i].run(options);
        return fflush(stdout) == 0 ? rc : IDM_EXIT_FAILED;
    }
    return usage(options, "no such command");
}

int idm_cli_run(int argc, char **argv, const struct idm_reach *reach)
{
    struct idm_options options;
    if (!idm_options_parse(&options, argc, argv))
        return idm_options_misused(argv);
    options.reach = reach;
    if (options.version)
        return print_version(&options);
    if (options.help)
        return say_help(&options);
    return options.words ? run_command(&options, argv) : usage(&options, "no command");
}
