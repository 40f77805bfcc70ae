/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/verify/verify.h"

#include "cli/options.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "idmode-verify: the controller's side of attestation. No TPM, no root.\n\n"
    "  ek --roots FILE [--intermediates FILE] [FILE]\n"
    "      is the EK in the answer of `idmode attest ek` in a real chip?\n"
    "  challenge --ek FILE --ak FILE --credential FILE --secret FILE [--roots FILE] [--template "
    "T]\n"
    "      writes a credential for the device, and what is to be remembered; prints the nonce\n"
    "  evidence [--nonce HEX] --secret FILE [--ek FILE] [--min-epoch N] [FILE]\n"
    "      is the device's identity in that chip? Also: --ak FILE, --pcrs LIST, --succeeds "
    "CERTIFICATE,\n"
    "      --without-counter, --adopted\n"
    "  make-credential --ek FILE (--ak FILE | --name HEX) --secret FILE --credential FILE\n"
    "  quote, certify --nonce HEX [--secret FILE] [--ak FILE] [--pcrs LIST] [FILE]\n\n"
    "FILE without an option: the document, stdin without. --json: one object on stdout. -q, "
    "--help, "
    "--version.\n"
    "Exit: 0 proven, 1 refused, 2 usage, 5 a file or the library failed. See idmode-verify(1).\n";

/* jansson's own way to keep secrets out of freed memory: the size stands before each block. */
static void *wiping_malloc(size_t size)
{
    size_t *block = size < SIZE_MAX / 2 ? malloc(size + 2 * sizeof *block) : NULL;
    if (!block)
        return NULL;
    *block = size;
    return block + 2;
}

static void wiping_free(void *pointer)
{
    size_t *block = pointer;
    if (!block)
        return;
    block -= 2;
    OPENSSL_cleanse(block, *block + 2 * sizeof *block);
    free(block);
}

static idm_verify_fn command_of(const char *name)
{
    static const struct {
        const char *name;
        idm_verify_fn run;
    } commands[] = {
        {"ek", idm_verify_ek},
        {"challenge", idm_verify_challenge},
        {"evidence", idm_verify_evidence},
        {"make-credential", idm_verify_make_credential},
        {"quote", idm_verify_quote},
        {"certify", idm_verify_certify},
    };
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run;
    return NULL;
}

static int say_version(const struct idm_verify_options *options)
{
    if (options->json)
        idm_verify_say_json(json_pack("{s:s, s:i}", "version", IDM_VERSION, "evidence_format", 1));
    else
        (void)puts("idmode-verify " IDM_VERSION);
    return IDM_VERIFY_PROVEN;
}

int main(int argc, char **argv)
{
    struct idm_verify_options options;
    if (!idm_options_open_standard())
        return IDM_VERIFY_FAILED;
    json_set_alloc_funcs(wiping_malloc, wiping_free);
    if (!idm_verify_parse(&options, argc, argv))
        return IDM_VERIFY_USAGE;
    if (options.help)
        return fputs(help, stdout) < 0 ? IDM_VERIFY_FAILED : IDM_VERIFY_PROVEN;
    if (options.version)
        return say_version(&options);
    int code = command_of(options.command)(&options);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        (void)fprintf(stderr, "idmode-verify: stdout: the answer cannot be written\n");
        return IDM_VERIFY_FAILED;
    }
    return code;
}
