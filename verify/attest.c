/* SPDX-License-Identifier: BSD-2-Clause */
#include "verify/attest.h"

#include "backends/attest/template.h"
#include "backends/software/ossl.h"
#include "backends/tpm/public.h"
#include "verify/wire.h"

#include <openssl/crypto.h>
#include <string.h>

/* ---- keys ---- */

void idm_ak_key_free(struct idm_ak_key *ak)
{
    EVP_PKEY_free(ak->key);
    ak->key = NULL;
}

int idm_ak_key_open(const struct idm_bytes *public, const struct idm_list *parents,
                    struct idm_ak_key *ret, struct idm_refused *refused)
{
    TPM2B_PUBLIC wanted;
    struct idm_ak_key ak = {0};
    idm_template_attestation(&wanted);
    if (idm_wire_public(public, &ak.area) < 0)
        return idm_refuse(refused, IDM_REFUSAL_FORMAT, "the AK is no TPM2B_PUBLIC");
    if (!idm_public_same_template(&ak.area, &wanted))
        return idm_refuse(refused, IDM_REFUSAL_AK,
                          "attributes 0x%08x or parameters are not exactly an AK's (restricted "
                          "ECDSA P-256 key that was made in its chip and stays there, 0x%08x)",
                          ak.area.publicArea.objectAttributes, IDM_ATTRIBUTES_ATTESTATION);
    int result = idm_wire_name(&ak.area, &ak.name);
    if (result == 0 && parents && parents->count)
        result = idm_parents_trace(parents, &ak.name, &ak.qualified, refused);
    if (result == 0) {
        result = idm_public_evp(&ak.area, &ak.key);
        if (result == IDM_E_CORRUPT)
            result = idm_refuse(refused, IDM_REFUSAL_AK, "its point is not on the curve");
    }
    *ret = ak;
    return result;
}

int idm_parents_trace(const struct idm_list *parents, const TPM2B_NAME *name, TPM2B_NAME *ret,
                      struct idm_refused *refused)
{
    TPM2B_NAME above = {0};
    TPM2B_NAME found = {0};
    int result = 0;
    idm_wire_hierarchy(TPM2_RH_OWNER, &above);
    for (size_t i = parents->count; i > 0; i--) {
        TPM2B_PUBLIC area;
        if (idm_wire_public(&parents->item[i - 1], &area) < 0)
            return idm_refuse(refused, IDM_REFUSAL_FORMAT, "a parent is no TPM2B_PUBLIC");
        if (!idm_public_is_storage(&area) ||
            !(area.publicArea.objectAttributes & TPMA_OBJECT_FIXEDPARENT))
            return idm_refuse(refused, IDM_REFUSAL_PARENTS,
                              "a parent is not a storage key that stays in its chip");
        result = idm_wire_name(&area, &found);
        if (result == 0)
            result = idm_wire_qualified(&above, &found, &above);
        if (result < 0)
            return result;
    }
    return idm_wire_qualified(&above, name, ret);
}

/* ---- one attestation ---- */

int idm_attest_check(const struct idm_ak_key *ak, const struct idm_part *part, TPMI_ST_ATTEST type,
                     const uint8_t *q, size_t q_size, TPMS_ATTEST *ret, struct idm_refused *refused)
{
    TPMS_ATTEST attest;
    TPMT_SIGNATURE signature;
    if (part->attest.size == 0 || part->signature.size == 0 ||
        idm_wire_signature(&part->signature, &signature) < 0)
        return idm_refuse(refused, IDM_REFUSAL_FORMAT, "the signature is no TPMT_SIGNATURE");
    int result =
        idm_wire_verify(ak->key, &ak->area, part->attest.data, part->attest.size, &signature);
    if (result == IDM_E_CORRUPT || result == IDM_E_MISMATCH)
        return idm_refuse(refused, IDM_REFUSAL_SIGNATURE, "the signature is not good under the AK");
    if (result < 0)
        return result;
    /* A restricted key signs data from outside only when it does not begin with the magic number (part 1,
     * 31.2): what is signed and begins so, the chip made. CVE-2024-29038, CVE-2024-29040. */
    static const uint8_t magic[] = {0xff, 'T', 'C', 'G'};
    if (part->attest.size < sizeof magic || memcmp(part->attest.data, magic, sizeof magic) != 0)
        return idm_refuse(refused, IDM_REFUSAL_MAGIC,
                          "what was signed does not begin with TPM_GENERATED_VALUE");
    if (idm_wire_attest(&part->attest, &attest) < 0)
        return idm_refuse(refused, IDM_REFUSAL_FORMAT, "what was signed is no TPMS_ATTEST");
    if (attest.magic != TPM2_GENERATED_VALUE)
        return idm_refuse(refused, IDM_REFUSAL_MAGIC, "the magic number is 0x%08x", attest.magic);
    if (attest.type != type)
        return idm_refuse(refused, IDM_REFUSAL_TYPE, "type 0x%04x where 0x%04x is wanted",
                          attest.type, type);
    if (ak->qualified.size && !idm_wire_same_name(&attest.qualifiedSigner, &ak->qualified))
        return idm_refuse(refused, IDM_REFUSAL_PARENTS,
                          "the AK's parents are not those that the chip signed for");
    if (attest.extraData.size != q_size || CRYPTO_memcmp(attest.extraData.buffer, q, q_size) != 0)
        return idm_refuse(refused, IDM_REFUSAL_NONCE,
                          "it answers another nonce, or was made without the activated secret");
    *ret = attest;
    return 0;
}

/* ---- the device key ---- */

void idm_device_key_done(struct idm_device_key *device)
{
    EVP_PKEY_free(device->key);
    idm_bytes_free(&device->spki);
    device->key = NULL;
}

/* The next value from *at on is skipped, or with `open` entered. False: none of that tag, or it is cut short. */
static bool step(const uint8_t **at, const uint8_t *end, int tag, bool open)
{
    long length = 0;
    int found = 0;
    int class = 0;
    const uint8_t *begin = *at;
    int form = ASN1_get_object(at, &length, &found, &class, end - begin);
    if (form & 0x80 || found != tag || (form & 1) || length > end - *at)
        return false;
    *at += open ? 0 : length;
    return true;
}

/* Its SubjectPublicKeyInfo (RFC 5280, 4.1) where it stands, without decoding anything: OpenSSL needs as long
 * for the key in a certificate as for two signatures. False: it has to look. */
static bool spki_in(const struct idm_bytes *der, const uint8_t **ret, size_t *ret_size)
{
    const uint8_t *at = der->data;
    const uint8_t *end = at + der->size;
    for (int i = 0; i < 2; i++) /* Certificate, TBSCertificate */
        if (!step(&at, end, V_ASN1_SEQUENCE, true))
            return false;
    if (!step(&at, end, 0, false) ||
        !step(&at, end, V_ASN1_INTEGER, false)) /* version, serial number */
        return false;
    for (int i = 0; i < 4; i++) /* signature algorithm, issuer, validity, subject */
        if (!step(&at, end, V_ASN1_SEQUENCE, false))
            return false;
    *ret = at;
    bool found = step(&at, end, V_ASN1_SEQUENCE, false);
    *ret_size = (size_t)(at - *ret);
    return found;
}

EVP_PKEY *idm_certificate_key(const struct idm_bytes *der)
{
    const uint8_t *at = der->data;
    _cleanup_x509_ X509 *cert = d2i_X509(NULL, &at, (long)der->size);
    return cert && at == der->data + der->size ? X509_get_pubkey(cert) : NULL;
}

static int device_key(const struct idm_device_part *part, struct idm_device_key *ret,
                      struct idm_refused *refused)
{
    if (idm_wire_public(&part->public, &ret->area) < 0)
        return idm_refuse(refused, IDM_REFUSAL_FORMAT, "the device key is no TPM2B_PUBLIC");
    TPMA_OBJECT attributes = ret->area.publicArea.objectAttributes;
    if (!(attributes & TPMA_OBJECT_SENSITIVEDATAORIGIN))
        return idm_refuse(refused, IDM_REFUSAL_DEVICE,
                          "it was imported: other copies of it may exist (no sensitiveDataOrigin)");
    if (!idm_public_is(&ret->area, IDM_ROLE_DEVICE))
        return idm_refuse(refused, IDM_REFUSAL_DEVICE,
                          "attributes 0x%08x or parameters are not exactly a device key's (0x%08x)",
                          attributes, IDM_ATTRIBUTES_DEVICE);
    int result = idm_wire_name(&ret->area, &ret->name);
    if (result == 0)
        result = idm_public_evp(&ret->area, &ret->key);
    if (result == 0)
        result = idm_wire_spki(&ret->area, ret->key, &ret->spki);
    return result == IDM_E_CORRUPT ? idm_refuse(refused, IDM_REFUSAL_DEVICE, "it is no key")
                                   : result;
}

static int device_place(const struct idm_device_part *part, struct idm_device_key *device,
                        struct idm_refused *refused)
{
    TPM2B_NAME qualified;
    if (part->parents.count == 0)
        return 0;
    int result = idm_parents_trace(&part->parents, &device->name, &qualified, refused);
    if (result < 0)
        return result;
    if (!idm_wire_same_name(&qualified, &device->attested.attested.certify.qualifiedName))
        return idm_refuse(refused, IDM_REFUSAL_PARENTS,
                          "the device key's parents are not those that the chip certified");
    device->traced = true;
    return 0;
}

static int certificate_fits(const struct idm_device_part *part, const struct idm_device_key *device,
                            struct idm_refused *refused)
{
    _ossl_queue_ bool queue = idm_ossl_begin();
    _cleanup_pkey_ EVP_PKEY *key = NULL;
    const uint8_t *spki = NULL;
    size_t spki_size = 0;
    if (part->certificates.count == 0)
        return idm_refuse(refused, IDM_REFUSAL_CERTIFICATE, "there is none");
    if (spki_in(&part->certificates.item[0], &spki, &spki_size) && spki_size == device->spki.size &&
        memcmp(spki, device->spki.data, spki_size) == 0)
        return 0;
    key = idm_certificate_key(&part->certificates.item[0]);
    if (!key)
        return idm_refuse(refused, IDM_REFUSAL_CERTIFICATE, "it is not one DER certificate");
    if (EVP_PKEY_eq(key, device->key) != 1)
        return idm_refuse(refused, IDM_REFUSAL_CERTIFICATE, "it is for another key");
    return 0;
}

int idm_device_key_check(const struct idm_ak_key *ak, const struct idm_device_part *part,
                         const uint8_t *q, size_t q_size, struct idm_device_key *ret,
                         struct idm_refused *refused)
{
    *ret = (struct idm_device_key){0};
    int result = device_key(part, ret, refused);
    if (result == 0)
        result = idm_attest_check(ak, &part->part, TPM2_ST_ATTEST_CERTIFY, q, q_size,
                                  &ret->attested, refused);
    if (result < 0)
        return result;
    if (!idm_wire_same_name(&ret->attested.attested.certify.name, &ret->name))
        return idm_refuse(refused, IDM_REFUSAL_DEVICE, "the AK certified another key");
    result = device_place(part, ret, refused);
    return result < 0 ? result : certificate_fits(part, ret, refused);
}
