/* SPDX-License-Identifier: BSD-2-Clause */
/* fingerprint.h - tells whether a slot's content changed, without reading all of it.
 *
 *     SHA-256( size, 8 bytes little-endian ‖ head ‖ tail )
 *
 *     head   bytes [0, min(size, 1 MiB))          superblock, inode tables, start of an image
 *     tail   bytes [size - min(size, 64 KiB), size)   dm-verity trees, signatures, GPT
 *
 * Both ranges are always hashed whole: where they overlap (a file below 1 MiB + 64 KiB) the bytes
 * count twice, an empty file is its size alone. Sizes of the ranges are part of the record's
 * format: another choice would make every recorded statement stale.
 */
#ifndef IDM_BACKENDS_PLATFORM_FINGERPRINT_H
#define IDM_BACKENDS_PLATFORM_FINGERPRINT_H

#include "backends/backends.h"

#define IDM_FINGERPRINT_HEAD (1024u * 1024u)
#define IDM_FINGERPRINT_TAIL (64u * 1024u)

/* Of the regular file or block device that [image] slots names for `slot`, below root; links are
 * followed inside it (/dev/disk/by-partlabel/…). UNREADABLE: no path is known, it is not there,
 * something else (MTD and UBI character devices too), or an I/O error. CRYPTO, MEMORY. */
int idm_slot_fingerprint(const char *root, const struct idm_settings *settings, const char *slot,
                         uint8_t ret_hash[IDM_SHA256_SIZE], struct idm_error *err) IDM_NODISCARD;

#endif
