/* SPDX-License-Identifier: BSD-2-Clause */
/* internal.h - what the files of the attestation share. Commands go the way that backends/tpm/internal.h
 * says: ESAPI where a secret is at stake, the system API with empty passwords elsewhere. */
#ifndef IDM_BACKENDS_ATTEST_INTERNAL_H
#define IDM_BACKENDS_ATTEST_INTERNAL_H

#include "backends/attest/attest.h"
#include "backends/tpm/internal.h"

/* ---- ak.c ---- */

/* TPM2_Load of any key under the parent at a handle, made for it where that is IDM_TPM_PRIMARY. */
int idm_attest_load(struct idm_tpm *tpm, uint32_t parent, const struct idm_tss2_key *key,
                    const char *what, uint32_t *ret_handle, struct idm_error *err) IDM_NODISCARD;

/* ---- nv.c ---- */

#define IDM_NV_LIST_MAX 64u
struct idm_nv_list {
    uint32_t index[IDM_NV_LIST_MAX];
    size_t count;
    uint32_t chunk; /* TPM2_PT_NV_BUFFER_MAX; 0: not asked yet */
};
/* The indices of the endorsement keys that are defined, ascending. */
int idm_nv_list(struct idm_tpm *tpm, struct idm_nv_list *ret, struct idm_error *err) IDM_NODISCARD;
bool idm_nv_has(const struct idm_nv_list *list, uint32_t index);
/* All bytes of an index, with its own authorisation where it has one, else with the owner's (empty) one.
 * ABSENT: it was never written; REFUSED: neither may read it; CORRUPT: larger than a certificate is. */
int idm_nv_read(struct idm_tpm *tpm, struct idm_nv_list *list, uint32_t index,
                struct idm_bytes *ret, struct idm_error *err) IDM_NODISCARD;

/* ---- ek.c ---- */

/* The template that the chip prescribes for that kind: its own in NV or the default, with its nonce where it
 * has one (as tpm2_createek -t takes them). */
int idm_ek_template_of(struct idm_tpm *tpm, struct idm_nv_list *list,
                       const struct idm_ek_kind *kind, TPM2B_PUBLIC *ret,
                       struct idm_error *err) IDM_NODISCARD;
/* The key, made in the chip. TPM_OTHER and TPM_EMPTY where the chip cannot make such a key. */
int idm_ek_make(struct idm_tpm *tpm, const TPM2B_PUBLIC *template, struct idm_tpm_ref *ret,
                TPM2B_PUBLIC *ret_area, struct idm_error *err) IDM_NODISCARD;

/* ---- quote.c ---- */

extern const TPMT_SIG_SCHEME idm_attest_own_scheme; /* TPM2_ALG_NULL: the key's */
TPM2B_DATA idm_attest_data(const uint8_t qualification[IDM_SHA256_SIZE]);
/* Is it of that type, for that question, and nothing else? TPM_OTHER, MEMORY. */
int idm_attest_take(const TPM2B_ATTEST *attest, const TPMT_SIGNATURE *signature,
                    TPMI_ST_ATTEST type, const TPM2B_DATA *asked, struct idm_attested *ret,
                    const char *what, struct idm_error *err) IDM_NODISCARD;

#endif
