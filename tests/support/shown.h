/* SPDX-License-Identifier: BSD-2-Clause */
/* shown.h - what a document shows of idmode is what idmode prints.
 *
 *     <!-- from: new legacy 1.0; boot; install aware 2.0; boot -->       a device, made ready
 *     ```
 *     $ idmode migrate prepare                                           run there, by sh
 *     migrate: mode software, state migrating, epoch 1                   compared
 *     ```
 *
 * After `from:`, steps separated by semicolons:
 *
 *     new legacy|aware VERSION    a device with that image in slot A, never switched on
 *     again                       the device of the block before, as it was left
 *     boot                        a power cycle
 *     install legacy|aware VERSION, commit, fallback       by its updater and its bootloader
 *     unplug, clear               what happens to its TPM; a boot plugs it in again
 *     run COMMAND                 a command that is not shown
 *     delete PATH                 a file on the device
 *
 * A path of the device in a command (/run/idmode/trace, /config/…) is its own. Hashes and times
 * differ at each run: they count as equal. A line `…` stands for any number of lines.
 */
#ifndef IDM_TESTS_SUPPORT_SHOWN_H
#define IDM_TESTS_SUPPORT_SHOWN_H

#include <stddef.h>

struct idm_shown {
    unsigned blocks;  /* that say where they come from */
    unsigned differ;  /* of these, what the program prints is something else */
    char *text;       /* the document as it should be, terminated, owned */
    size_t size;      /* without the terminator */
    char first[1024]; /* the first difference: line, shown, printed */
    char error[1024]; /* after -1: what could not be read or run */
};

/* Runs all blocks of a document. 0, differences or not; -1 with error. idm_shown_free in both cases. */
int idm_shown_run(struct idm_shown *ret, const char *path);
void idm_shown_free(struct idm_shown *shown); /* NULL is fine */
#define _cleanup_shown_ __attribute__((cleanup(idm_shown_free)))

#endif
