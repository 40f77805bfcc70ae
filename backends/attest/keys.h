/* SPDX-License-Identifier: BSD-2-Clause */
/* keys.h - the attestation keys of a device, one for each service, in one file without a secret.
 *
 *     {"version": 1, "min_reader": 1, "keys": [
 *       {"service": "", "key": "-----BEGIN TSS2 PRIVATE KEY-----…", "parents": ["base64 TPM2B_PUBLIC"]}]}
 *
 * `parents` are the public areas from the key's parent up to the primary key: they never change for a key,
 * and reading them would cost a command each. The file lies in two places; it is read strictly. Pure.
 */
#ifndef IDM_BACKENDS_ATTEST_KEYS_H
#define IDM_BACKENDS_ATTEST_KEYS_H

#include "backends/bytes.h"
#include "backends/tpm/tss2file.h"

#include <jansson.h>

#define IDM_AK_SERVICES     16u
#define IDM_AK_SERVICE_SIZE 33u
#define IDM_AK_PARENTS      2u
#define IDM_AK_FILE_VERSION 1

struct idm_ak {
    char service[IDM_AK_SERVICE_SIZE]; /* "": the service that nobody named */
    struct idm_tss2_key key;
    TPM2B_PUBLIC parents[IDM_AK_PARENTS];
    size_t parent_count;
};

struct idm_ak_file {
    struct idm_ak *keys; /* owned; at most IDM_AK_SERVICES */
    size_t count;
};
void idm_ak_file_free(struct idm_ak_file *file);
#define _cleanup_ak_file_ __attribute__((cleanup(idm_ak_file_free)))

/* "", or up to 32 of A-Z a-z 0-9 . _ - that do not begin with a dot. */
bool idm_ak_service_is_good(const char *service);

/* CORRUPT, MEMORY; NEWER: only a newer program may read it. *ret is replaced. */
int idm_ak_file_decode(const struct idm_bytes *bytes, struct idm_ak_file *ret,
                       struct idm_error *err) IDM_NODISCARD;
int idm_ak_file_encode(const struct idm_ak_file *file, struct idm_bytes *ret,
                       struct idm_error *err) IDM_NODISCARD;

/* NULL: none of that service. */
const struct idm_ak *idm_ak_file_find(const struct idm_ak_file *file, const char *service);
/* In place of one of the same service, or added. FULL: IDM_AK_SERVICES are there; MEMORY. */
int idm_ak_file_put(struct idm_ak_file *file, const struct idm_ak *ak,
                    struct idm_error *err) IDM_NODISCARD;

/* Base64 of bytes, and of a public area with its size, as JSON strings; NULL: no memory, or no area that
 * can be written. */
json_t *idm_json_base64(const void *data, size_t size);
json_t *idm_json_public(const TPM2B_PUBLIC *area);
json_t *idm_json_nv_public(const TPM2B_NV_PUBLIC *area);
json_t *idm_json_publics(const TPM2B_PUBLIC *areas, size_t count);

#endif
