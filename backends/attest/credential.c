/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/attest/credential.h"

#include <string.h>
#include <tss2/tss2_mu.h>

#define MAGIC          0xBADCC0DEu
#define VERSION        1u
#define COORDINATE_MAX 66u /* P-521 */

static int refuse(struct idm_error *err, const char *why)
{
    (void)idm_fail(err, IDM_E_REFUSED, "read the credential", "%s", why);
    return idm_advise(err,
                      "give the file that idmode-verify challenge or tpm2_makecredential wrote"),
           IDM_E_REFUSED;
}

/* The HMAC comes first in the object, with its size; what is left must be an encrypted digest with its
 * own size inside (part 1, 24.4). */
static TPMI_ALG_HASH hash_of(const TPM2B_ID_OBJECT *blob)
{
    TPM2B_DIGEST integrity = {0};
    size_t offset = 0;
    if (Tss2_MU_TPM2B_DIGEST_Unmarshal(blob->credential, blob->size, &offset, &integrity) !=
        TSS2_RC_SUCCESS)
        return TPM2_ALG_NULL;
    size_t left = blob->size - offset;
    if (left <= sizeof(uint16_t) || left > sizeof(uint16_t) + integrity.size)
        return TPM2_ALG_NULL;
    switch (integrity.size) {
    case TPM2_SHA256_DIGEST_SIZE:
        return TPM2_ALG_SHA256;
    case TPM2_SHA384_DIGEST_SIZE:
        return TPM2_ALG_SHA384;
    case TPM2_SHA512_DIGEST_SIZE:
        return TPM2_ALG_SHA512;
    default:
        return TPM2_ALG_NULL;
    }
}

static bool is_point(const TPM2B_ENCRYPTED_SECRET *secret, uint16_t *ret_size)
{
    TPMS_ECC_POINT point = {0};
    size_t offset = 0;
    if (Tss2_MU_TPMS_ECC_POINT_Unmarshal(secret->secret, secret->size, &offset, &point) !=
            TSS2_RC_SUCCESS ||
        offset != secret->size || point.x.size == 0 || point.y.size == 0 ||
        point.x.size > COORDINATE_MAX || point.y.size > COORDINATE_MAX)
        return false;
    *ret_size = point.x.size > point.y.size ? point.x.size : point.y.size;
    return true;
}

static bool is_rsa(uint16_t size)
{
    return size == 256 || size == 384 || size == 512;
}

int idm_credential_parse(const struct idm_bytes *file, struct idm_credential *ret,
                         struct idm_error *err)
{
    struct idm_credential c = {.type = TPM2_ALG_ECC};
    uint32_t magic = 0;
    uint32_t version = 0;
    size_t at = 0;
    if (!file->data ||
        Tss2_MU_UINT32_Unmarshal(file->data, file->size, &at, &magic) != TSS2_RC_SUCCESS ||
        Tss2_MU_UINT32_Unmarshal(file->data, file->size, &at, &version) != TSS2_RC_SUCCESS ||
        magic != MAGIC)
        return refuse(err, "it does not begin as a credential does");
    if (version != VERSION)
        return refuse(err, "its version is not 1");
    if (Tss2_MU_TPM2B_ID_OBJECT_Unmarshal(file->data, file->size, &at, &c.blob) !=
            TSS2_RC_SUCCESS ||
        Tss2_MU_TPM2B_ENCRYPTED_SECRET_Unmarshal(file->data, file->size, &at, &c.secret) !=
            TSS2_RC_SUCCESS)
        return refuse(err, "it is cut short, or a size in it is wrong");
    if (at != file->size)
        return refuse(err, "something follows the credential");
    c.hash = hash_of(&c.blob);
    if (c.hash == TPM2_ALG_NULL)
        return refuse(err, "its first part is no credential");
    if (!is_point(&c.secret, &c.key_size)) {
        if (!is_rsa(c.secret.size))
            return refuse(err, "its second part is neither an RSA block nor a point");
        c.type = TPM2_ALG_RSA;
        c.key_size = c.secret.size;
    }
    *ret = c;
    return 0;
}
