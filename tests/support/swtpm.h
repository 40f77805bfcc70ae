/* SPDX-License-Identifier: BSD-2-Clause */
/* swtpm.h - one software TPM per test, on a Unix socket of its own.
 *
 *     struct idm_swtpm chip;
 *     cr_assert_eq(idm_swtpm_start(&chip, NULL), 0);
 *     … settings.tcti = chip.tcti, or IDMODE_TCTI=chip.tcti for a program …
 *     idm_swtpm_power_cycle(&chip);                    TPM Reset: resetCount + 1
 *     idm_swtpm_remove(&chip);
 *
 *     run_dir/tpm        command socket        (tcti: "swtpm:path=run_dir/tpm")
 *     run_dir/tpm.ctrl   control socket        (QEMU takes this one)
 *     run_dir/state/     NV memory, unless the caller brings a state directory
 *
 * swtpm serves one connection after another, any number of times; a second client waits until the
 * first has gone. The swtpm TCTI connects anew for each command, so a `struct idm_tpm` that is open
 * keeps neither tpm2-tools nor programs away, and survives a power cycle. swtpm has no resource
 * manager: tpm2-tools leave their transient objects behind. It dies with the thread that started
 * it. Functions return 0 or -errno and print nothing; nothing here knows Criterion.
 */
#ifndef IDM_TESTS_SUPPORT_SWTPM_H
#define IDM_TESTS_SUPPORT_SWTPM_H

#include <stdbool.h>
#include <sys/types.h>

struct idm_swtpm {
    pid_t pid;           /* 0: not running */
    bool resumes;        /* its volatile memory was copied with it */
    char run_dir[64];    /* made by start, deleted by remove */
    char state_dir[512]; /* NV memory */
    char tcti[96];       /* for ESAPI, tpm2-tools (TPM2TOOLS_TCTI), tpm2-openssl
                            (TPM2OPENSSL_TCTI), settings.tcti */
};

/* Starts a TPM on the state in `state_dir` (made when it is missing; a new TPM when it is empty;
 * the caller's to delete), or on new state of its own when NULL. Returns when the TPM takes
 * commands; TPM2_Startup(CLEAR) has been done. -ETIMEDOUT after 10 s, -ECHILD when swtpm died at
 * once. */
int idm_swtpm_start(struct idm_swtpm *ret, const char *state_dir);

/* A second chip in the state of a running or stopped one, its memory of this power cycle included
 * (resetCount, PCRs): a TPM resume, no reset. It is not started: idm_swtpm_resume does, or
 * idm_swtpm_power_cycle, which forgets that memory. `chip` goes on as before. */
int idm_swtpm_copy(struct idm_swtpm *ret, const struct idm_swtpm *chip);

/* Takes the power away without TPM2_Shutdown; clients see a closed connection. Stopped already:
 * nothing. */
void idm_swtpm_stop(struct idm_swtpm *chip);

/* Gives power to a stopped TPM: same state, same tcti. Running already: success. */
int idm_swtpm_resume(struct idm_swtpm *chip);

/* Waits until a TPM that was given power has started: before that its files come and go, and whoever
 * copies its state directory finds some of them gone. Stopped: nothing. */
int idm_swtpm_settle(const struct idm_swtpm *chip);

/* A TPM Reset without TPM2_Shutdown before it; a stopped one is started. Clients need not notice. */
int idm_swtpm_power_cycle(struct idm_swtpm *chip);

/* TPM2_Shutdown(CLEAR), as a kernel sends it before an orderly reboot: the chip's clock stays safe. */
int idm_swtpm_shutdown(const struct idm_swtpm *chip);

/* Throws the NV memory of a stopped or running TPM away and starts another chip at the same socket:
 * other seeds, other endorsement key. */
int idm_swtpm_replace(struct idm_swtpm *chip);

/* Stops it and deletes run_dir. Safe on a zeroed struct, and twice. */
void idm_swtpm_remove(struct idm_swtpm *chip);

#endif
