/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/tpm/tss2file.h"
#include "backends/tpm/public.h"

#include <openssl/asn1t.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_mu.h>

#define PEM_LABEL    "TSS2 PRIVATE KEY"
#define OID_LOADABLE "2.23.133.10.1.3" /* id-loadablekey, TCG arc */
#define DER_TRUE     0xff              /* X.690, 11.1 */
#define THEIR_TRUE   0x01              /* what tpm2-openssl 1.1.1 writes */

static const char what_read[] = "read the TSS2 key file";
static const char what_write[] = "encode a TSS2 key file";

/* emptyAuth stays ASN1_BOOLEAN -1 when it is absent, so that FALSE and absent differ. */
typedef struct {
    ASN1_OBJECT *type;
    ASN1_BOOLEAN empty_auth;
    ASN1_INTEGER *parent;
    ASN1_OCTET_STRING *public_area;
    ASN1_OCTET_STRING *private_area;
} TPM_KEY;

DECLARE_ASN1_FUNCTIONS(TPM_KEY)

ASN1_SEQUENCE(TPM_KEY) =
    {
        ASN1_SIMPLE(TPM_KEY, type, ASN1_OBJECT),
        ASN1_EXP_OPT(TPM_KEY, empty_auth, ASN1_BOOLEAN, 0),
        ASN1_SIMPLE(TPM_KEY, parent, ASN1_INTEGER),
        ASN1_SIMPLE(TPM_KEY, public_area, ASN1_OCTET_STRING),
        ASN1_SIMPLE(TPM_KEY, private_area, ASN1_OCTET_STRING),
} ASN1_SEQUENCE_END(TPM_KEY)

        IMPLEMENT_ASN1_FUNCTIONS(TPM_KEY)

            static int damaged(struct idm_error * err, const char *why)
{
    ERR_clear_error();
    (void)idm_fail(err, IDM_E_CORRUPT, what_read, "%s", why);
    return IDM_E_CORRUPT;
}

/* ---- encode ---- */

static bool fill(TPM_KEY *file, const struct idm_tss2_key *key)
{
    uint8_t public_area[sizeof(TPM2B_PUBLIC)];
    uint8_t private_area[sizeof(TPM2B_PRIVATE)];
    size_t public_size = 0;
    size_t private_size = 0;
    if (Tss2_MU_TPM2B_PUBLIC_Marshal(&key->public_area, public_area, sizeof public_area,
                                     &public_size) != TSS2_RC_SUCCESS ||
        Tss2_MU_TPM2B_PRIVATE_Marshal(&key->private_area, private_area, sizeof private_area,
                                      &private_size) != TSS2_RC_SUCCESS)
        return false;
    ASN1_OBJECT_free(file->type);
    file->type = OBJ_txt2obj(OID_LOADABLE, 1);
    file->empty_auth = DER_TRUE;
    return file->type && ASN1_INTEGER_set_uint64(file->parent, key->parent) &&
           ASN1_OCTET_STRING_set(file->public_area, public_area, (int)public_size) &&
           ASN1_OCTET_STRING_set(file->private_area, private_area, (int)private_size);
}

static bool write_pem(const uint8_t *der, long size, struct idm_bytes *ret_pem, int *result)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    bool good = bio && PEM_write_bio(bio, PEM_LABEL, "", der, size) > 0;
    if (good) {
        long length = BIO_get_mem_data(bio, &text);
        *result = idm_bytes_set(ret_pem, text, (size_t)length);
    }
    BIO_free(bio);
    return good;
}

int idm_tss2_encode(const struct idm_tss2_key *key, struct idm_bytes *ret_pem,
                    struct idm_error *err)
{
    int result = IDM_E_CRYPTO;
    uint8_t *der = NULL;
    TPM_KEY *file = TPM_KEY_new();
    if (file && fill(file, key)) {
        int size = i2d_TPM_KEY(file, &der);
        if (size > 0 && !write_pem(der, size, ret_pem, &result))
            result = IDM_E_CRYPTO;
    }
    TPM_KEY_free(file);
    OPENSSL_free(der);
    ERR_clear_error();
    if (result < 0)
        return idm_fail(err, result, what_write, "%s", idm_error_sentence(result));
    return 0;
}

/* ---- decode ---- */

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* OpenSSL skips text around a PEM block, and so would hide a second one. */
static bool is_one_block(const struct idm_bytes *pem)
{
    static const char begin[] = "-----BEGIN " PEM_LABEL "-----";
    static const char end[] = "-----END " PEM_LABEL "-----";
    size_t size = pem->size;
    while (size > 0 && is_space(pem->data[size - 1]))
        size--;
    return size > sizeof begin + sizeof end && memcmp(pem->data, begin, sizeof begin - 1) == 0 &&
           memcmp(pem->data + size - (sizeof end - 1), end, sizeof end - 1) == 0 &&
           memmem(pem->data + 1, size - 1, "-----BEGIN", 10) == NULL &&
           memchr(pem->data, 0, size) == NULL;
}

/* The DER inside, owned by the caller (OPENSSL_free); NULL when it is not the one block. */
static uint8_t *read_pem(const struct idm_bytes *pem, long *ret_size)
{
    char *label = NULL;
    char *header = NULL;
    uint8_t *der = NULL;
    BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->size);
    bool good = bio && PEM_read_bio(bio, &label, &header, &der, ret_size) > 0 &&
                strcmp(label, PEM_LABEL) == 0 && header[0] == 0;
    BIO_free(bio);
    OPENSSL_free(label);
    OPENSSL_free(header);
    if (good)
        return der;
    OPENSSL_free(der);
    return NULL;
}

/* Parsed strictly: all of it, and the only encoding that DER allows. */
static TPM_KEY *parse(const uint8_t *der, long size)
{
    const uint8_t *end = der;
    TPM_KEY *file = d2i_TPM_KEY(NULL, &end, size);
    if (!file)
        return NULL;
    uint8_t *again = NULL;
    int again_size = i2d_TPM_KEY(file, &again);
    bool same =
        end == der + size && again_size == size && memcmp(again, der, (size_t)size) == 0 &&
        (file->empty_auth <= 0 || file->empty_auth == DER_TRUE || file->empty_auth == THEIR_TRUE);
    OPENSSL_free(again);
    if (same)
        return file;
    TPM_KEY_free(file);
    return NULL;
}

static bool read_parent(const ASN1_INTEGER *integer, uint32_t *ret)
{
    int64_t value = 0;
    if (ASN1_INTEGER_get_int64(&value, integer) != 1 || value < INT32_MIN || value > UINT32_MAX)
        return false;
    *ret = (uint32_t)value;
    return true;
}

static bool read_areas(const TPM_KEY *file, struct idm_tss2_key *ret)
{
    const uint8_t *data = ASN1_STRING_get0_data(file->public_area);
    size_t size = (size_t)ASN1_STRING_length(file->public_area);
    size_t offset = 0;
    if (idm_public_parse(data, size, &ret->public_area) < 0)
        return false;
    data = ASN1_STRING_get0_data(file->private_area);
    size = (size_t)ASN1_STRING_length(file->private_area);
    return Tss2_MU_TPM2B_PRIVATE_Unmarshal(data, size, &offset, &ret->private_area) ==
               TSS2_RC_SUCCESS &&
           offset == size && ret->private_area.size > 0;
}

static int check(const TPM_KEY *file, struct idm_tss2_key *ret, struct idm_error *err)
{
    char oid[64];
    uint8_t name[IDM_NAME_SIZE];
    if (OBJ_obj2txt(oid, sizeof oid, file->type, 1) <= 0 || strcmp(oid, OID_LOADABLE) != 0)
        return damaged(err, "not a loadable key");
    if (file->empty_auth <= 0)
        return damaged(err, "the key has a password, which nobody could type");
    if (!read_parent(file->parent, &ret->parent))
        return damaged(err, "the parent is no TPM handle");
    if (!read_areas(file, ret))
        return damaged(err, "no TPM2B_PUBLIC and TPM2B_PRIVATE inside");
    if (idm_public_name(&ret->public_area, name) < 0)
        return damaged(err, "the key's Name is not SHA-256");
    return 0;
}

int idm_tss2_decode(const struct idm_bytes *pem, struct idm_tss2_key *ret, struct idm_error *err)
{
    if (pem->size > IDM_TSS2_FILE_MAX)
        return damaged(err, "larger than any such key");
    if (!is_one_block(pem))
        return damaged(err, "not one PEM block '" PEM_LABEL "'");
    long size = 0;
    uint8_t *der = read_pem(pem, &size);
    if (!der)
        return damaged(err, "the PEM block is damaged");
    TPM_KEY *file = parse(der, size);
    OPENSSL_free(der);
    if (!file)
        return damaged(err, "not the DER of a TPMKey, or with a policy, which idmode does not use");
    struct idm_tss2_key key = {0};
    int result = check(file, &key, err);
    TPM_KEY_free(file);
    if (result == 0)
        *ret = key;
    return result;
}

int idm_tss2_inspect(const struct idm_bytes *pem, struct idm_tss2_info *ret, struct idm_error *err)
{
    struct idm_tss2_key key;
    int result = idm_tss2_decode(pem, &key, err);
    if (result < 0)
        return result;
    struct idm_tss2_info info = {.parent = key.parent};
    result = idm_public_name(&key.public_area, info.name);
    if (result == 0)
        result = idm_public_key_info(&key.public_area, &info.key);
    if (result == IDM_E_CORRUPT)
        return damaged(err, "the public area is no RSA or NIST P key");
    if (result < 0)
        return idm_fail(err, result, what_read, "%s", idm_error_sentence(result));
    *ret = info;
    return 0;
}
