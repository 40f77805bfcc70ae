/* SPDX-License-Identifier: BSD-2-Clause */
/* core.h - what `idmode` finds in libexec/idmode/core (core.map shows nothing else). */
#ifndef IDM_CLI_CORE_H
#define IDM_CLI_CORE_H

/* Does what the words say, as a program's main: once in a process. Returns its exit code (contract of `idmode`).
 * Started for the process that tells hooks ("hooks" as the first word) and as a process that starts itself anew
 * (backends/tpm/silence.h) it is the same. */
int idm_core_main(int argc, char **argv);

#endif
