/* SPDX-License-Identifier: BSD-2-Clause */
/* identity.h - inside the evidence: counter, record, succession. */
#ifndef IDM_VERIFY_IDENTITY_H
#define IDM_VERIFY_IDENTITY_H

#include "engine/record.h"
#include "verify/attest.h"
#include "verify/evidence.h"

/* SHA-256 of the key's SubjectPublicKeyInfo and of the certificate. MEMORY, CRYPTO. */
int idm_identity_hashes(const struct idm_device_key *device, const struct idm_bytes *certificate,
                        uint8_t ret_spki[IDM_SHA256_SIZE],
                        uint8_t ret_cert[IDM_SHA256_SIZE]) IDM_NODISCARD;

/* Is this idmode's counter, written, and the whole of it certified? REFUSED (COUNTER), CRYPTO. */
int idm_identity_counter(const TPM2B_NV_PUBLIC *area, const TPMS_NV_CERTIFY_INFO *certified,
                         uint64_t *ret_value, struct idm_refused *refused) IDM_NODISCARD;

/* Is the record signed by the identity in use, and does it name what the parts prove? `found` holds what was
 * found so far. REFUSED (RECORD, ROLLED_BACK), MEMORY, CRYPTO. */
int idm_identity_record(const struct idm_record *record, const struct idm_evidence_document *doc,
                        const struct idm_device_key *device, const struct idm_findings *found,
                        struct idm_refused *refused) IDM_NODISCARD;

/* Does the old key vouch for the new certificate: by signing this evidence while prepared, by the statement
 * for the certificate that the policy knows? REFUSED (SUCCESSOR), MEMORY, CRYPTO. */
int idm_identity_succession(const struct idm_evidence_document *doc,
                            const struct idm_policy *policy, struct idm_findings *found,
                            struct idm_refused *refused) IDM_NODISCARD;

#endif
