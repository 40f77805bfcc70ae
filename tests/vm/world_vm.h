/* SPDX-License-Identifier: BSD-2-Clause */
/* world_vm.h - the third world: a whole machine. Debian's kernel with its TPM driver and resource manager,
 * systemd as PID 1, idmode as it is installed with its units, RAUC with two slots, /config on FAT, /persist
 * on ext4, and a plug that is pulled.
 *
 *     BASE/vm/config.img, persist.img, media.img, tpm/      the machine's disks and its chip's memory
 *     BASE/root/slots/, boot/                               slots and boot environment: also the machine's
 *     BASE/root/config, persist, run                        copies of what it holds, to be looked at
 *
 * A step happens in the machine; then its files and the chip's memory are copied out, and the device is
 * seen, and judged by the oracle, as one of the real world is (tests/lab/real_see.c). A cut is at an
 * instant, not at a durable step: `at` counts from where the step begins, in tenths of a second. After a
 * cut the disks are read as they are, the journal of ext4 replayed in a copy.
 */
#ifndef IDM_TESTS_VM_WORLD_VM_H
#define IDM_TESTS_VM_WORLD_VM_H

#include "tests/lab/world.h"

extern const struct lab_world_ops lab_vm_world;

#endif
