/* SPDX-License-Identifier: BSD-2-Clause */
/* core.c - libexec/idmode/core: what `idmode` loads to do anything but `mode`, on the real device. */
#include "cli/core.h"

#include "backends/tpm/silence.h"
#include "cli/cli.h"
#include "cli/hooks/hooks.h"

#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int idm_core_main(int argc, char **argv)
{
    /* Ignored by the caller it stays so across exec, and the kernel keeps no child's result: none that we start
     * would be believed. */
    (void)signal(SIGCHLD, SIG_DFL);
    if (!idm_options_open_standard())
        return IDM_EXIT_FAILED;
    if (argc > 1 && strcmp(argv[1], "hooks") == 0)
        return idm_hooks_main(argc - 1, argv + 1);
    if (!idm_tpm_outwait(&argc, &argv))
        return IDM_EXIT_FAILED;
    /* No configuration of OpenSSL, whoever names it: it could load modules into the program that holds
     * the keys or take algorithms away, and the one for TLS users names a provider that asks us. */
    /* Its tables go with the process, and need not be taken down one by one before. Nobody asks for a cipher by
     * its name: they need not be listed. */
    /* Without memory for its default context OpenSSL 3.0 follows a null pointer at its first use. */
    if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT |
                                OPENSSL_INIT_NO_ADD_ALL_CIPHERS,
                            NULL) != 1 ||
        OSSL_LIB_CTX_get0_global_default() == NULL) {
        (void)fputs("idmode: start: out of memory (try again)\n", stderr);
        return IDM_EXIT_FAILED;
    }
    (void)umask(022); /* files have their own modes; nothing rests on the caller's */
    /* What a chip answers is told in our words; who wants the library's says so (TSS2_LOG). */
    (void)setenv("TSS2_LOG", "all+none", 0);
    return idm_cli_run(argc, argv, &idm_reach_real);
}
