/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/tpm/silence.h"
#include "cli/attest/attest.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum takes { NONCE = 1, CREDENTIAL = 2, SERVICE = 4, PCRS = 8, PREPARED = 16, OUT = 32 };

static const struct command {
    const char *name;
    int (*run)(struct idm_attester *a, struct idm_error *err);
    unsigned int takes, needs;
    const char *usage, *does;
} commands[] = {
    {"ek", idm_attest_ek, OUT, 0, "ek", "the chip's endorsement keys and their certificates"},
    {"ak", idm_attest_ak, SERVICE | OUT, 0, "ak [--service NAME]",
     "the attestation key for a service; made at the first call"},
    {"activate", idm_attest_activate, CREDENTIAL | SERVICE | OUT, CREDENTIAL,
     "activate --credential FILE [--service NAME]", "print the secret in a credential"},
    {"evidence", idm_attest_evidence, NONCE | CREDENTIAL | SERVICE | PCRS | PREPARED | OUT, NONCE,
     "evidence --nonce HEX [--credential FILE] [--service NAME] [--pcrs LIST]\n"
     "            [--prepared]",
     "all that can be proven about this device, bound to the nonce"},
    {"quote", idm_attest_quote_alone, NONCE | CREDENTIAL | SERVICE | PCRS | OUT, NONCE,
     "quote --nonce HEX [--credential FILE] [--service NAME] [--pcrs LIST]", "the PCRs alone"},
    {"certify", idm_attest_certify_alone, NONCE | CREDENTIAL | SERVICE | PREPARED | OUT, NONCE,
     "certify --nonce HEX [--credential FILE] [--service NAME] [--prepared]",
     "the device key alone"},
};
#define COMMANDS (sizeof commands / sizeof commands[0])

static int print_help(void)
{
    (void)puts("idmode attest - proves to others which chip this is\n\nusage: idmode [OPTIONS] "
               "attest COMMAND\n");
    for (size_t i = 0; i < COMMANDS; i++)
        (void)printf("  %s\n        %s\n", commands[i].usage, commands[i].does);
    (void)puts(
        "\n  --pcrs LIST            sha256:0,1,2,3,4,5,6,7 where it is not given\n"
        "  --out FILE             in place of standard output; readable for its owner alone\n"
        "\nOPTIONS and exit codes: idmode --help");
    return fflush(stdout) == 0 ? IDM_EXIT_DONE : IDM_EXIT_FAILED;
}

static int print_version(const struct idm_options *options)
{
    if (options->json)
        idm_say_json(json_pack("{s:s}", "version", IDM_VERSION));
    else
        (void)puts("idmode " IDM_VERSION);
    return fflush(stdout) == 0 ? IDM_EXIT_DONE : IDM_EXIT_FAILED;
}

static unsigned int given(const struct idm_options *o)
{
    return (o->nonce ? NONCE : 0u) | (o->credential ? CREDENTIAL : 0u) |
           (o->service ? SERVICE : 0u) | (o->pcrs ? PCRS : 0u) | (o->prepared ? PREPARED : 0u) |
           (o->out ? OUT : 0u);
}

static const struct command *find(const struct idm_options *options)
{
    for (size_t i = 0; options->words == 2 && i < COMMANDS; i++)
        if (strcmp(commands[i].name, options->word[1]) == 0)
            return &commands[i];
    return NULL;
}

static int run(const struct idm_options *options)
{
    _cleanup_attester_ struct idm_attester attester = {0};
    struct idm_error err = {0};
    const struct command *command = find(options);
    if (!command)
        return idm_misuse(options, "attest", "it is ek, ak, activate, evidence, quote or certify");
    if (given(options) & ~command->takes || command->needs & ~given(options))
        return idm_misuse(options, "attest", command->usage);
    int rc = idm_attester_open(&attester, options);
    if (rc)
        return rc;
    if (command->run(&attester, &err))
        return idm_say_error(options, "attest", &err);
    return IDM_EXIT_DONE;
}

int main(int argc, char **argv)
{
    struct idm_options options;
    if (!idm_options_open_standard() || !idm_tpm_outwait(&argc, &argv))
        return IDM_EXIT_FAILED;
    /* As core.c does: no configuration of OpenSSL, and no words of the TSS. What is written here is for
     * root alone: an endorsement key is a tracking number, and a secret is a secret. */
    if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
        return IDM_EXIT_FAILED;
    (void)umask(077);
    (void)setenv("TSS2_LOG", "all+none", 0);
    if (!idm_options_parse(&options, argc, argv) || !idm_options_fit(&options, "attest"))
        return idm_options_misused(argv);
    options.reach = &idm_reach_real;
    if (options.version)
        return print_version(&options);
    return options.help ? print_help() : run(&options);
}
