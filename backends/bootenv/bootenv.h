/* SPDX-License-Identifier: BSD-2-Clause */
/* bootenv.h - what the boot environment says: which slot booted, and is it on trial?
 *
 * idmode only reads it. The environment is evidence, never the truth: absent, damaged, reset to its
 * defaults, contradictory are legal, and then nothing is claimed (UNKNOWN, empty).
 *
 *     trial     YES                              NO                        UNKNOWN
 *     bootcount upgrade_available a number not 0 upgrade_available is 0    absent, no number
 *     rauc      -                                -                         always (1)
 *     ustate    1 installed, 2 testing           0 OK                      absent, others (2)
 *     custom    the variable has that value      it has another            absent, unprintable
 *     auto      all schemes whose variables exist agree (BOOT_ORDER: rauc; upgrade_available or
 *               bootlimit: bootcount; ustate: ustate); disagreement, or none: UNKNOWN
 *
 *     (1) BOOT_x_LEFT falls at every boot and is raised again later in it: at the time that we
 * look, a committed slot and one on trial look the same. (2) SWUpdate, include/state.h: 3 failed, 4
 * not available, 5 error, 6 wait, 7 in progress: none of them says what is running now.
 *
 * NO from an environment that names the other slot (`other` below) as the one to boot is UNKNOWN: it is of
 * another time, a copy that was damaged since having been the newer one.
 *
 * A boot counter without an update under way (bootcount > 0, no upgrade_available) proves nothing.
 *
 *     slot      1 [image] slot unless auto   2 backend command: slot=   3 ROOT/proc/cmdline:
 *               rauc.slot=, then idmode.slot=   4 variables slot, bootslot, mender_boot_part
 *     other     1 command: other=   2 the configured slot that is not the current one, if exactly
 *               one is
 *
 * Slot names are opaque: printable, no blanks, below IDM_SLOT_NAME_SIZE; others count as not said.
 */
#ifndef IDM_BACKENDS_BOOTENV_BOOTENV_H
#define IDM_BACKENDS_BOOTENV_BOOTENV_H

#include "backends/backends.h"

/* libubootenv waits for its lock without limit, and a reader of eMMC may stall: longer than any
 * healthy read, shorter than a watchdog. */
#define IDM_BOOTENV_LIMIT_MS 10000u

struct idm_bootenv_query; /* a reading under way */

/* Begins to read it: what a program has to tell is told while the caller does something else. U-Boot's
 * environment is read by the program `bootenv`, which lies beside the running program or in
 * ../libexec/idmode from there; [bootenv] command is run as ROOT/command and prints lines slot=, other= and
 * trial=yes|no|unknown. root and settings are borrowed until the end. NULL: no memory, which
 * idm_bootenv_end says; every other failure is told by it as well. */
struct idm_bootenv_query *idm_bootenv_begin(const char *root, const struct idm_settings *settings,
                                            unsigned int limit_ms);

/* Waits for the answer, until limit_ms after the begin, and frees query. The state is NONE when none is
 * configured or, with U-Boot, when the configuration file does not exist below root; UNREADABLE when it
 * cannot be read; slot and other are filled from the other sources all the same. Returns 0, or BOOTENV
 * exactly when the state is UNREADABLE, with the reason. *ret is filled in both cases. */
int idm_bootenv_end(struct idm_bootenv_query *query, struct idm_bootenv *ret,
                    struct idm_error *err) IDM_NODISCARD;

/* Frees it unheard; what was started for it is killed. NULL is fine. */
void idm_bootenv_drop(struct idm_bootenv_query *query);

/* Both, one after the other. */
int idm_bootenv_read(const char *root, const struct idm_settings *settings, unsigned int limit_ms,
                     struct idm_bootenv *ret, struct idm_error *err) IDM_NODISCARD;

#endif
