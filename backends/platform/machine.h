/* SPDX-License-Identifier: BSD-2-Clause */
/* machine.h - what the machine says about itself: clock, boot, serial number, image version.
 *
 *     serial   ROOT/sys/class/dmi/id/product_serial                     HARDWARE
 *              ROOT/proc/device-tree/serial-number,
 *              ROOT/sys/firmware/devicetree/base/serial-number          HARDWARE
 *              ROOT/etc/machine-id                                      MACHINE_ID
 *     boot id  ROOT/proc/sys/kernel/random/boot_id, else the machine's own
 *     version  [image] version, or of ROOT/etc/os-release, else ROOT/usr/lib/os-release
 * (os-release(5)): VERSION_ID, else IMAGE_VERSION
 *
 * Below a root that is not "" only files under it count: a scratch device has no hardware of ours.
 * Texts hold printable ASCII only (others become '?'), without blanks around them.
 */
#ifndef IDM_BACKENDS_PLATFORM_MACHINE_H
#define IDM_BACKENDS_PLATFORM_MACHINE_H

#include "backends/backends.h"

/* Fills all of *ret. A serial number that firmware vendors leave as a placeholder is none. One that
 * exists and cannot be read gives IDM_SERIAL_NONE, never the machine id in its place: the record
 * would then say something else at the next boot. UNREADABLE when there is no boot id, ABSENT or
 * UNREADABLE when root cannot be opened. */
int idm_machine_read(const char *root, const struct idm_settings *settings,
                     struct idm_platform *ret, struct idm_error *err) IDM_NODISCARD;

#endif
