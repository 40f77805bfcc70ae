/* SPDX-License-Identifier: BSD-2-Clause */
/* envelope.h - the sealed form of the legacy key and certificate.
 *
 *      0   8  magic "IDMSEAL\0"
 *      8   1  version, 1
 *      9   1  lowest version of a reader that understands it, 1
 *     10   2  size of the public area      big-endian, as all numbers here
 *     12   2  size of the private area
 *     14   4  size of the ciphertext = size of the plain text
 *     18  12  nonce, random                                     NIST SP 800-38D, 8.2.2
 *     30   …  TPM2B_PUBLIC and TPM2B_PRIVATE of the object that holds the 32-byte key
 *      …   …  ciphertext, AES-256-GCM
 *     -16 16  tag
 *
 * Everything before the ciphertext is additional authenticated data; the file ends with the tag.
 * The key seals one envelope only, so a nonce cannot meet it twice.
 */
#ifndef IDM_BACKENDS_TPM_ENVELOPE_H
#define IDM_BACKENDS_TPM_ENVELOPE_H

#include "backends/bytes.h"

#include <tss2/tss2_tpm2_types.h>

#define IDM_ENVELOPE_KEY_SIZE 32u
/* 4 KiB: header, areas and tag take less than 512 bytes on known chips. */
#define IDM_ENVELOPE_PLAIN_MAX (IDM_BYTES_MAX - 4096u)

/* Encrypts `plain` under `key`, with the sealed object that holds it. USAGE: plain too large.
 * CRYPTO, MEMORY. */
int idm_envelope_make(const TPM2B_PUBLIC *public_area, const TPM2B_PRIVATE *private_area,
                      const uint8_t key[IDM_ENVELOPE_KEY_SIZE], const struct idm_bytes *plain,
                      struct idm_bytes *ret, struct idm_error *err) IDM_NODISCARD;
/* The sealed object in an envelope. CORRUPT, NEWER. */
int idm_envelope_parse(const struct idm_bytes *envelope, TPM2B_PUBLIC *ret_public,
                       TPM2B_PRIVATE *ret_private, struct idm_error *err) IDM_NODISCARD;
/* Decrypts an envelope that idm_envelope_parse took. CORRUPT: the key is another, or any byte has
 * changed. CRYPTO, MEMORY. */
int idm_envelope_open(const struct idm_bytes *envelope, const uint8_t key[IDM_ENVELOPE_KEY_SIZE],
                      struct idm_bytes *ret_plain, struct idm_error *err) IDM_NODISCARD;

#endif
