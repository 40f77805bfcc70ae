/* SPDX-License-Identifier: BSD-2-Clause */
/* pcrs.h - which PCRs, and what a quote says of them. Pure; any thread. */
#ifndef IDM_VERIFY_PCRS_H
#define IDM_VERIFY_PCRS_H

#include "verify/document.h"

#define IDM_PCRS_DEFAULT "sha256:0,1,2,3,4,5,6,7"

/* sha1, sha256, sha384, sha512: TPM_ALG_ID and size of a digest; 0 for any other name. */
TPM2_ALG_ID idm_pcr_bank_of(const char *name, size_t *ret_size);
const char *idm_pcr_bank_name(TPM2_ALG_ID algorithm); /* static; NULL for any other */
/* "0" to "23", without leading zeros. */
bool idm_pcr_number(const char *text, unsigned int *ret);

/* BANK:N[,N…][+BANK:…], as tpm2-tools write it: the selection, without values. CORRUPT. */
int idm_pcr_list_parse(const char *text, struct idm_pcrs *ret) IDM_NODISCARD;

/* Does the quote select exactly these PCRs (any order of banks)? */
bool idm_pcrs_selected(const struct idm_pcrs *wanted, const TPML_PCR_SELECTION *quoted);
/* Are these the values behind the quote's digest (part 2, 10.12.1: SHA-256 with our AKs)? CRYPTO, MISMATCH. */
int idm_pcrs_digest(const struct idm_pcrs *values, const TPMS_QUOTE_INFO *quote) IDM_NODISCARD;

#endif
