/* SPDX-License-Identifier: BSD-2-Clause */
/* machine.h - QEMU as a power supply with a cable into the machine.
 *
 *     idm_machine_on ──► …begins… ──► …ready… ──► idm_machine_say ──► idm_machine_off (pulls the plug)
 *
 * The processor is emulated in software, the TPM is swtpm behind the kernel's driver, disks are files
 * without a cache between the guest's flush and the file. Off is always a kill: there is no shutdown.
 * Functions return 0, or -1 with machine->error. All waiting is bounded. Not thread-safe.
 */
#ifndef IDM_TESTS_VM_MACHINE_H
#define IDM_TESTS_VM_MACHINE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define IDM_MACHINE_DISKS 8u /* vda … vdh */

struct idm_machine {
    /* Set before it is switched on; all paths are real and absolute. */
    char dir[PATH_MAX - 64]; /* for sockets and logs; console.log is kept */
    char kernel[PATH_MAX];
    char initrd[PATH_MAX];
    char disks[IDM_MACHINE_DISKS][PATH_MAX];
    char tpm_state[PATH_MAX]; /* empty: a machine without a TPM */
    char serial[32];          /* DMI product serial */
    char command_line[256];   /* what follows the console on the kernel's command line */
    bool no_battery;          /* its clock begins in 2000 */

    pid_t qemu, swtpm; /* 0: off */
    int agent;         /* socket, -1: not connected */
    char error[640];
};

/* Power. What ran before is switched off first. */
int idm_machine_on(struct idm_machine *machine);
/* No more power, this instant. Off already: nothing. */
void idm_machine_off(struct idm_machine *machine);

/* The boot has come to the point where identities begin (idm-vm-begin.service). */
int idm_machine_begins(struct idm_machine *machine);
/* The boot is over, the machine listens. */
int idm_machine_ready(struct idm_machine *machine);

/* Has bash run a script as root; its exit code, and what it printed on both streams (owned by the
 * caller, terminated). */
int idm_machine_ask(struct idm_machine *machine, const char *script, int *ret_code, char **ret_out,
                    size_t *ret_size);
/* The same in two halves, for whoever cuts the power between them. */
int idm_machine_begin(struct idm_machine *machine, const char *script);
int idm_machine_end(struct idm_machine *machine, int *ret_code, char **ret_out, size_t *ret_size);

#endif
