/* SPDX-License-Identifier: BSD-2-Clause */
/* import.c - a private key from outside becomes a child of a parent in the chip.
 *
 *     sensitive ──CFB, key from the seed──► ┐
 *     HMAC over it and the Name ──────────► ├── duplicate ──► TPM2_Import ──► TSS2 file
 *     seed ──parent's public key──────────► ┘
 *
 * The outer wrap of a duplicate (TPM 2.0 Library, part 1, 23.3.2.3), made here: only the chip that
 * holds the parent can open it, and on the way to it nothing is in the clear. The parent's Name is
 * the caller's: a key wrapped for whoever answers would be given away. */
#include "backends/software/key.h"
#include "backends/software/key_parse.h"
#include "backends/tpm/internal.h"
#include "backends/tpm/wrap.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <string.h>
#include <tss2/tss2_mu.h>

static const char what[] = "import the key into the TPM";

/* ---- the key as TPM structures (part 2, 12.2 and 12.3) ---- */

static bool take(const EVP_PKEY *key, const char *name, uint8_t *to, size_t size)
{
    BIGNUM *number = NULL;
    bool good = EVP_PKEY_get_bn_param(key, name, &number) == 1 &&
                BN_bn2binpad(number, to, (int)size) == (int)size;
    BN_clear_free(number);
    return good;
}

static bool take_ecc(const EVP_PKEY *key, uint16_t size, TPM2B_PUBLIC *area,
                     TPM2B_SENSITIVE *sensitive)
{
    TPMS_ECC_POINT *point = &area->publicArea.unique.ecc;
    TPM2B_ECC_PARAMETER *secret = &sensitive->sensitiveArea.sensitive.ecc;
    point->x.size = point->y.size = secret->size = size;
    return take(key, OSSL_PKEY_PARAM_EC_PUB_X, point->x.buffer, size) &&
           take(key, OSSL_PKEY_PARAM_EC_PUB_Y, point->y.buffer, size) &&
           take(key, OSSL_PKEY_PARAM_PRIV_KEY, secret->buffer, size);
}

/* Of the two primes one is the secret (part 2, 12.3.2.4); the public exponent must be the default. */
static bool take_rsa(const EVP_PKEY *key, TPM2B_PUBLIC *area, TPM2B_SENSITIVE *sensitive)
{
    TPM2B_PUBLIC_KEY_RSA *modulus = &area->publicArea.unique.rsa;
    TPM2B_PRIVATE_KEY_RSA *prime = &sensitive->sensitiveArea.sensitive.rsa;
    uint8_t exponent[4];
    const uint8_t f4[4] = {0, 1, 0, 1};
    modulus->size = 256;
    prime->size = 128;
    return take(key, OSSL_PKEY_PARAM_RSA_E, exponent, sizeof exponent) &&
           memcmp(exponent, f4, sizeof f4) == 0 &&
           take(key, OSSL_PKEY_PARAM_RSA_N, modulus->buffer, modulus->size) &&
           take(key, OSSL_PKEY_PARAM_RSA_FACTOR1, prime->buffer, prime->size);
}

static bool describe(const EVP_PKEY *key, enum idm_algorithm algorithm, TPM2B_PUBLIC *ret_public,
                     TPM2B_SENSITIVE *ret_sensitive)
{
    if (idm_template_imported(algorithm, ret_public) < 0)
        return false;
    ret_sensitive->sensitiveArea.sensitiveType = ret_public->publicArea.type;
    if (algorithm == IDM_RSA_2048)
        return take_rsa(key, ret_public, ret_sensitive);
    return take_ecc(key, algorithm == IDM_ECDSA_P256 ? 32 : 48, ret_public, ret_sensitive);
}

/* ---- into the chip ---- */

static int import(struct idm_tpm *tpm, const struct idm_tpm_ref *parent, const TPM2B_PUBLIC *area,
                  const struct idm_wrapped *wrapped, struct idm_tss2_key *ret,
                  struct idm_error *err)
{
    const TPM2B_DATA no_inner_key = {0};
    const TPMT_SYM_DEF_OBJECT no_inner_wrap = {.algorithm = TPM2_ALG_NULL};
    TPM2B_PRIVATE *private_area = NULL;
    TSS2_RC rc;
    IDM_TPM_COMMAND(tpm, rc,
                    Esys_Import(tpm->esys, parent->tr, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                                &no_inner_key, area, &wrapped->duplicate, &wrapped->seed,
                                &no_inner_wrap, &private_area));
    if (rc != TSS2_RC_SUCCESS)
        return idm_tpm_fail(tpm, rc, what, err);
    ret->public_area = *area;
    ret->private_area = *private_area;
    Esys_Free(private_area);
    return 0;
}

/* The chip checks when it loads it that both halves belong together. */
static int try_load(struct idm_tpm *tpm, const struct idm_tpm_ref *parent,
                    const struct idm_tss2_key *key, struct idm_error *err)
{
    _cleanup_ref_ struct idm_tpm_ref loaded = IDM_TPM_REF_EMPTY;
    return idm_tpm_load(tpm, parent, ESYS_TR_PASSWORD, &key->public_area, &key->private_area,
                        &loaded, err);
}

/* With the public area that the seed is encrypted to. */
static int open_parent(struct idm_tpm *tpm, uint32_t handle, struct idm_tpm_ref *ret,
                       TPM2B_PUBLIC *ret_area, struct idm_error *err)
{
    uint8_t name[IDM_NAME_SIZE];
    if (handle != IDM_TPM_PRIMARY)
        return idm_tpm_ref_open(tpm, handle, ret, ret_area, err);
    int result = idm_tpm_storage_open(tpm, handle, NULL, ret, err);
    return result < 0 ? result : idm_tpm_read_public(tpm, ret->loaded, ret_area, name, err);
}

static int wrap_and_import(struct idm_tpm *tpm, uint32_t handle,
                           const uint8_t parent_name[IDM_NAME_SIZE], const TPM2B_PUBLIC *area,
                           const TPM2B_SENSITIVE *sensitive, struct idm_bytes *ret_tss2,
                           struct idm_error *err)
{
    _cleanup_ref_ struct idm_tpm_ref parent = IDM_TPM_REF_EMPTY;
    struct idm_tss2_key key = {.parent = handle};
    struct idm_wrapped wrapped = {0};
    TPM2B_PUBLIC parent_area;
    uint8_t name[IDM_NAME_SIZE];
    int result = open_parent(tpm, handle, &parent, &parent_area, err);
    if (result < 0)
        return result;
    if (!idm_public_is_storage(&parent_area) || idm_public_name(&parent_area, name) < 0 ||
        memcmp(name, parent_name, IDM_NAME_SIZE) != 0)
        return idm_fail(err, IDM_E_TPM_TAKEN, what, "another object than the parent is at 0x%08x",
                        handle);
    result = idm_wrap(&parent_area, area, sensitive, &wrapped);
    if (result < 0)
        return idm_fail(err, result, what,
                        "the parent is of a kind that nothing can be wrapped for");
    result = import(tpm, &parent, area, &wrapped, &key, err);
    if (result == 0)
        result = try_load(tpm, &parent, &key, err);
    return result == 0 ? idm_tss2_encode(&key, ret_tss2, err) : result;
}

int idm_tpm_key_import(struct idm_tpm *tpm, uint32_t parent_handle,
                       const uint8_t parent_name[IDM_NAME_SIZE], const struct idm_bytes *key_pem,
                       struct idm_bytes *ret_tss2, struct idm_error *err)
{
    TPM2B_PUBLIC area = {0};
    TPM2B_SENSITIVE sensitive = {0};
    struct idm_key_info info;
    EVP_PKEY *key = NULL;
    int result = idm_key_inspect(key_pem, &info, err);
    if (result == 0)
        result = idm_key_parse(key_pem, what, &key, err);
    if (result == 0 && !describe(key, info.algorithm, &area, &sensitive))
        result = idm_fail(err, IDM_E_USAGE, what,
                          "not a P-256, P-384 or RSA-2048 key with exponent 65537");
    if (result == 0)
        result = idm_tpm_ready(tpm, what, err);
    if (result == 0)
        result = wrap_and_import(tpm, parent_handle, parent_name, &area, &sensitive, ret_tss2, err);
    OPENSSL_cleanse(&sensitive, sizeof sensitive);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return result;
}
