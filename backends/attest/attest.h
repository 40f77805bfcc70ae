/* SPDX-License-Identifier: BSD-2-Clause */
/* attest.h - the device's half of attestation, on the real chip. The protocol: docs/attestation.md.
 *
 *     qualify.c credential.c template.c     pure
 *     keys.c    the attestation keys in a file, without a secret      pure
 *     nv.c ek.c     what the chip's maker left in it                  ak.c  attestation keys
 *     activate.c    a credential's secret                             quote.c pcrs.c  what the chip signs
 *
 * Errors of every function that talks to the chip: those of backends/tpm/tpm.h; below only what it adds.
 * At most two transient objects and one session at a time. Callers hold the lock. One struct idm_tpm per
 * thread; not for use after fork.
 */
#ifndef IDM_BACKENDS_ATTEST_ATTEST_H
#define IDM_BACKENDS_ATTEST_ATTEST_H

#include "backends/attest/credential.h"
#include "backends/attest/keys.h"
#include "backends/attest/qualify.h"
#include "backends/attest/template.h"
#include "backends/tpm/tpm.h"

/* ---- endorsement keys ---- */

struct idm_ek {
    const struct idm_ek_kind *kind;
    bool made; /* the chip made the key: `area` and `name` */
    TPM2B_PUBLIC area;
    TPM2B_NAME name;
    struct idm_bytes certificate; /* DER; empty: the chip holds none for this kind */
    bool matches;                 /* the certificate is for this key */
    char why[200];                /* why the key was not made, or does not match; empty otherwise */
};

struct idm_ek_list {
    struct idm_ek ek[IDM_EK_KINDS];
    size_t count;
    struct idm_bytes chain; /* DER certificates, one after the other */
};

/* Every EK that the chip has a certificate for, made again from its template; the P-256 one of the low
 * range where it has none. A certificate that cannot be read is an error (CORRUPT): it is there. */
int idm_ek_read(struct idm_tpm *tpm, struct idm_ek_list *ret, struct idm_error *err) IDM_NODISCARD;
void idm_ek_list_free(struct idm_ek_list *list);
#define _cleanup_ek_list_ __attribute__((cleanup(idm_ek_list_free)))

/* ---- attestation keys ---- */

/* Where the parent of all attestation keys stands, as recorded. */
struct idm_ak_parent {
    uint32_t handle; /* may be IDM_TPM_PRIMARY */
    uint8_t name[IDM_NAME_SIZE];
    uint32_t srk_handle; /* the parent's parent; the same, or IDM_TPM_PRIMARY: the parent is the
                                     primary key itself */
};

/* A new key under the parent. TPM_TAKEN: another object than `name` is at the parent's handle; TPM_EMPTY:
 * none. */
int idm_ak_create(struct idm_tpm *tpm, const struct idm_ak_parent *parent, const char *service,
                  struct idm_ak *ret, struct idm_error *err) IDM_NODISCARD;

/* Loads the key; `ret_handle` is flushed by idm_ak_unload. TPM_UNFIT: it does not load under that parent.
 */
int idm_ak_load(struct idm_tpm *tpm, const struct idm_ak_parent *parent, const struct idm_ak *ak,
                uint32_t *ret_handle, struct idm_error *err) IDM_NODISCARD;
void idm_ak_unload(struct idm_tpm *tpm, uint32_t handle);

/* TPM2_ActivateCredential for the loaded key: the secret, at most IDM_ATTEST_SECRET_MAX bytes, the
 * caller's to wipe. REFUSED: it is not for this key in this chip. */
int idm_ak_activate(struct idm_tpm *tpm, uint32_t ak, const struct idm_credential *credential,
                    struct idm_attest_challenge *ret, struct idm_error *err) IDM_NODISCARD;

/* ---- what the chip signs ---- */

struct idm_attested {
    TPMS_ATTEST what;           /* parsed: magic, type and extraData are as they should be */
    struct idm_bytes attest;    /* TPMS_ATTEST as signed */
    struct idm_bytes signature; /* TPMT_SIGNATURE */
};
void idm_attested_free(struct idm_attested *attested);
#define _cleanup_attested_ __attribute__((cleanup(idm_attested_free)))

/* TPM2_Certify of the object at `object` (loaded or persistent). TPM_EMPTY. */
int idm_attest_certify(struct idm_tpm *tpm, uint32_t ak, uint32_t object,
                       const uint8_t qualification[IDM_SHA256_SIZE], struct idm_attested *ret,
                       struct idm_error *err) IDM_NODISCARD;

/* TPM2_Certify of the device key, by its handle or by its file under `parent`. TPM_EMPTY: nothing there;
 * TPM_TAKEN: another object is; TPM_UNFIT: it does not load. */
struct idm_device_key {
    uint8_t name[IDM_NAME_SIZE];
    uint32_t handle;              /* 0: it has none */
    const struct idm_bytes *file; /* TSS2 PRIVATE KEY, borrowed; NULL: it has none */
};
int idm_attest_device(struct idm_tpm *tpm, uint32_t ak, const struct idm_ak_parent *parent,
                      const struct idm_device_key *key,
                      const uint8_t qualification[IDM_SHA256_SIZE], TPM2B_PUBLIC *ret_area,
                      struct idm_attested *ret, struct idm_error *err) IDM_NODISCARD;

/* TPM2_NV_Certify of idmode's counter, all of it. TPM_EMPTY: no index; TPM_TAKEN: another index than
 * idmode's. */
int idm_attest_counter(struct idm_tpm *tpm, uint32_t ak, uint32_t index,
                       const uint8_t qualification[IDM_SHA256_SIZE], TPM2B_NV_PUBLIC *ret_area,
                       struct idm_attested *ret, struct idm_error *err) IDM_NODISCARD;

/* PCRs of one bank. */
struct idm_pcrs {
    TPMI_ALG_HASH bank;
    uint32_t selected; /* bit per PCR */
    uint16_t size;     /* of a value */
    uint8_t value[24][64];
};
/* "sha256:0,1,7". USAGE. */
int idm_pcrs_parse(const char *text, struct idm_pcrs *ret, struct idm_error *err) IDM_NODISCARD;
const char *idm_pcrs_bank(const struct idm_pcrs *pcrs);

/* TPM2_PCR_Read. REFUSED: the chip does not have that bank, or not these PCRs. */
int idm_attest_pcrs(struct idm_tpm *tpm, struct idm_pcrs *pcrs,
                    struct idm_error *err) IDM_NODISCARD;
/* TPM2_Quote of them. MISMATCH: they have changed since they were read; read again. */
int idm_attest_quote(struct idm_tpm *tpm, uint32_t ak, const struct idm_pcrs *pcrs,
                     const uint8_t qualification[IDM_SHA256_SIZE], struct idm_attested *ret,
                     struct idm_error *err) IDM_NODISCARD;

/* Is this the qualified name of `area` below these parents (of its parent first, of the primary last)? */
bool idm_attest_is_below(const TPM2B_PUBLIC *area, const struct idm_ak *parents,
                         const TPM2B_NAME *qualified);

#endif
