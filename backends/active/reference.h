/* SPDX-License-Identifier: BSD-2-Clause */
/* reference.h - what /run/idmode/device.key.pem holds: which identity, never a secret.
 *
 *     -----BEGIN IDMODE PRIVATE KEY-----     a DER UTF8String of lines, "name=value" each:
 *     DIGtaWRtb2RlIHJlZmVyZW5j...              idmode reference 1
 *     -----END IDMODE PRIVATE KEY-----         uri=idmode:key
 *                                              boot=2f9c…         boot id: a copy of an earlier boot
 *                                              mode=tpm           is told from today's
 *                                              epoch=3
 *                                              spki-sha256=<hex>  of the certificate beside it
 *
 * A program that takes files only is given it as its key file; the provider's decoder knows the label.
 * Nothing in it is trusted: where the key is and how it signs stands in files of root's (signer.h), and
 * a reference that does not name the identity in use is refused. Names that a reader does not know it
 * skips; a first line with another number it refuses.
 */
#ifndef IDM_BACKENDS_ACTIVE_REFERENCE_H
#define IDM_BACKENDS_ACTIVE_REFERENCE_H

#include "backends/bytes.h"

#define IDM_REFERENCE_LABEL "IDMODE PRIVATE KEY"
#define IDM_REFERENCE_URI   "idmode:key"
#define IDM_REFERENCE_MAX   4096u /* of the PEM text */

struct idm_reference {
    char boot[40];
    char mode[16]; /* "software", "tpm" */
    uint32_t epoch;
    uint8_t spki[IDM_SHA256_SIZE];
};

/* PEM, replacing *ret_pem. MEMORY. */
int idm_reference_write(const struct idm_reference *reference,
                        struct idm_bytes *ret_pem) IDM_NODISCARD;
/* Exactly one block in text[0..size). CORRUPT, NEWER, MEMORY. No OpenSSL error is left behind. */
int idm_reference_read(const void *text, size_t size, struct idm_reference *ret,
                       struct idm_error *err) IDM_NODISCARD;
/* The same in two steps: PEM to DER, DER to reference. */
#define IDM_REFERENCE_TAG 0x0c /* UTF8String (X.690, 8.23): no key begins so */
int idm_reference_unwrap(const void *text, size_t size, struct idm_bytes *ret_der,
                         struct idm_error *err) IDM_NODISCARD;
int idm_reference_parse(const void *der, size_t size, struct idm_reference *ret,
                        struct idm_error *err) IDM_NODISCARD;

/* ---- lines, shared with signer.h ---- */

/* The value of `name` in lines "name=value\n", cut at the end of its line, into ret[size]. False: it is
 * not there, empty, or too long. */
bool idm_line_text(const char *lines, const char *name, char *ret, size_t size);
/* A number, decimal or 0x…, that fits. */
bool idm_line_number(const char *lines, const char *name, uint32_t *ret);
/* A SHA-256 in hex. */
bool idm_line_hash(const char *lines, const char *name, uint8_t ret[IDM_SHA256_SIZE]);

#endif
