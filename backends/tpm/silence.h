/* SPDX-License-Identifier: BSD-2-Clause */
/* silence.h - a TPM that takes a command and never answers; see silence.c. */
#ifndef IDM_BACKENDS_TPM_SILENCE_H
#define IDM_BACKENDS_TPM_SILENCE_H

#include "backends/error.h"

#include <tss2/tss2_tcti.h>

/* First thing in main. From now on this process starts /proc/self/exe anew, with "silent" as its first word and its
 * own after it, when the TPM does not answer: 10 seconds (or [tpm] wait) after the first command of a connection,
 * 120 after any other. Where this is such a start the word is taken off. For a program of one thread that may end
 * anywhere; uses a timer and SIGRTMIN. `argv` must stay. False: out of memory. */
bool idm_tpm_outwait(int *argc, char ***argv) IDM_NODISCARD;

/* This is such a start: every operation on the TPM is IDM_E_TPM_BUSY at once. */
bool idm_tpm_is_silent(void);

/* Tss2_TctiLdr_Initialize and _Finalize, around which the clock runs. */
TSS2_RC idm_tcti_open(const char *tcti, uint32_t wait_ms, TSS2_TCTI_CONTEXT **ret) IDM_NODISCARD;
void idm_tcti_close(TSS2_TCTI_CONTEXT **tcti);

#endif
