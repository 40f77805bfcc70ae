/* SPDX-License-Identifier: BSD-2-Clause */
/* signer.h - ROOT/run/idmode/signer (0600): how the identity in use signs, for root's own programs.
 *
 *     idmode signer 1
 *     mode=tpm                        or software
 *     epoch=3
 *     spki-sha256=<hex>
 *     algorithm=ecdsa-p256            tpm
 *     tcti=device:/dev/tpmrm0         tpm: as `idmode boot` reached it
 *     wait-ms=10000                   tpm
 *     handle=0x81020000               tpm; not there: by file alone
 *     parent=0x81020001               tpm, with a file
 *     key-file=/persist/idmode/…      software: below ROOT
 *     -----BEGIN TSS2 PRIVATE KEY-----…   tpm, where there is a file: no secret (tss2file.h)
 *
 * Written by the engine beside the reference, so that who signs (the provider in a process of root's,
 * the broker) needs neither the configuration nor the record, and cannot disagree with the engine about
 * which copy is good. Gone whenever no identity is in use.
 */
#ifndef IDM_BACKENDS_ACTIVE_SIGNER_H
#define IDM_BACKENDS_ACTIVE_SIGNER_H

#include "backends/backends.h"

struct idm_signer_file {
    bool software;
    uint32_t epoch;
    uint8_t spki[IDM_SHA256_SIZE];
    char key_file[2 * IDM_PATH_SIZE]; /* software */
    enum idm_algorithm algorithm;     /* this and below: tpm */
    char tcti[IDM_PATH_SIZE];
    uint32_t wait_ms;
    uint32_t handle; /* 0: none */
    uint32_t parent;
    struct idm_bytes tss2; /* empty: none. Owned */
};

/* Replaces *ret_text. MEMORY, USAGE (a path or TCTI with a line end in it). */
int idm_signer_file_write(const struct idm_signer_file *file,
                          struct idm_bytes *ret_text) IDM_NODISCARD;
/* CORRUPT, NEWER, MEMORY. *ret is the caller's to free. */
int idm_signer_file_read(const struct idm_bytes *text, struct idm_signer_file *ret,
                         struct idm_error *err) IDM_NODISCARD;
void idm_signer_file_free(struct idm_signer_file *file);

#endif
