/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/tpm/envelope.h"
#include "backends/tpm/public.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_mu.h>

#define MAGIC      "IDMSEAL" /* with its NUL: 8 bytes */
#define MAGIC_SIZE 8u
#define VERSION    1u
#define NONCE_SIZE 12u
#define NONCE_AT   18u
#define AREAS_AT   30u
#define TAG_SIZE   16u

static const char what_make[] = "seal";
static const char what_read[] = "read the sealed envelope";

/* Where things are; sizes in bytes. */
struct layout {
    size_t public_size;
    size_t private_size;
    size_t text_size;
    size_t text_at; /* also the size of the additional data */
    size_t total;
};

static struct layout layout_of(size_t public_size, size_t private_size, size_t text_size)
{
    struct layout at = {public_size, private_size, text_size, 0, 0};
    at.text_at = AREAS_AT + public_size + private_size;
    at.total = at.text_at + text_size + TAG_SIZE;
    return at;
}

static void put(uint8_t *to, size_t bytes, size_t value)
{
    for (size_t i = bytes; i-- > 0; value >>= 8)
        to[i] = (uint8_t)(value & 0xff);
}

static size_t get(const uint8_t *from, size_t bytes)
{
    size_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | from[i];
    return value;
}

/* Header and areas; 0 or CRYPTO. */
static int write_head(const struct layout *at, const uint8_t *public_bytes,
                      const uint8_t *private_bytes, uint8_t *to)
{
    memcpy(to, MAGIC, MAGIC_SIZE);
    to[8] = VERSION;
    to[9] = VERSION;
    put(to + 10, 2, at->public_size);
    put(to + 12, 2, at->private_size);
    put(to + 14, 4, at->text_size);
    memcpy(to + AREAS_AT, public_bytes, at->public_size);
    memcpy(to + AREAS_AT + at->public_size, private_bytes, at->private_size);
    return RAND_bytes(to + NONCE_AT, NONCE_SIZE) == 1 ? 0 : IDM_E_CRYPTO;
}

static int encrypt(const struct layout *at, const uint8_t *key, const struct idm_bytes *plain,
                   uint8_t *envelope)
{
    int size = 0;
    uint8_t *text = envelope + at->text_at;
    EVP_CIPHER_CTX *gcm = EVP_CIPHER_CTX_new();
    bool good =
        gcm && EVP_EncryptInit_ex(gcm, EVP_aes_256_gcm(), NULL, key, envelope + NONCE_AT) == 1 &&
        EVP_EncryptUpdate(gcm, NULL, &size, envelope, (int)at->text_at) == 1 &&
        (at->text_size == 0 ||
         EVP_EncryptUpdate(gcm, text, &size, plain->data, (int)at->text_size) == 1) &&
        EVP_EncryptFinal_ex(gcm, text + at->text_size, &size) == 1 &&
        EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_GET_TAG, (int)TAG_SIZE, text + at->text_size) == 1;
    EVP_CIPHER_CTX_free(gcm);
    return good ? 0 : IDM_E_CRYPTO;
}

int idm_envelope_make(const TPM2B_PUBLIC *public_area, const TPM2B_PRIVATE *private_area,
                      const uint8_t key[IDM_ENVELOPE_KEY_SIZE], const struct idm_bytes *plain,
                      struct idm_bytes *ret, struct idm_error *err)
{
    uint8_t public_bytes[sizeof(TPM2B_PUBLIC)];
    uint8_t private_bytes[sizeof(TPM2B_PRIVATE)];
    size_t public_size = 0;
    size_t private_size = 0;
    if (plain->size > IDM_ENVELOPE_PLAIN_MAX)
        return idm_fail(err, IDM_E_USAGE, what_make, "%zu bytes are too many", plain->size);
    if (Tss2_MU_TPM2B_PUBLIC_Marshal(public_area, public_bytes, sizeof public_bytes,
                                     &public_size) != TSS2_RC_SUCCESS ||
        Tss2_MU_TPM2B_PRIVATE_Marshal(private_area, private_bytes, sizeof private_bytes,
                                      &private_size) != TSS2_RC_SUCCESS)
        return idm_fail(err, IDM_E_CRYPTO, what_make, "the sealed object cannot be written down");
    const struct layout at = layout_of(public_size, private_size, plain->size);
    if (at.total > IDM_BYTES_MAX)
        return idm_fail(err, IDM_E_USAGE, what_make, "%zu bytes are too many", plain->size);
    uint8_t *bytes = malloc(at.total);
    int result = bytes ? 0 : IDM_E_MEMORY;
    if (result == 0)
        result = write_head(&at, public_bytes, private_bytes, bytes);
    if (result == 0)
        result = encrypt(&at, key, plain, bytes);
    if (result == 0)
        result = idm_bytes_set(ret, bytes, at.total);
    free(bytes);
    return result < 0 ? idm_fail(err, result, what_make, "%s", idm_error_sentence(result)) : 0;
}

static int read_layout(const struct idm_bytes *envelope, struct layout *ret, struct idm_error *err)
{
    const uint8_t *bytes = envelope->data;
    if (envelope->size < AREAS_AT + TAG_SIZE || memcmp(bytes, MAGIC, MAGIC_SIZE) != 0)
        return idm_fail(err, IDM_E_CORRUPT, what_read, "no envelope of idmode's");
    if (bytes[9] > VERSION)
        return idm_fail(err, IDM_E_NEWER, what_read, "version %u", bytes[8]);
    struct layout at = layout_of(get(bytes + 10, 2), get(bytes + 12, 2), get(bytes + 14, 4));
    if (bytes[8] != VERSION || bytes[9] != VERSION || at.total != envelope->size)
        return idm_fail(err, IDM_E_CORRUPT, what_read, "its header is damaged");
    *ret = at;
    return 0;
}

int idm_envelope_parse(const struct idm_bytes *envelope, TPM2B_PUBLIC *ret_public,
                       TPM2B_PRIVATE *ret_private, struct idm_error *err)
{
    struct layout at;
    TPM2B_PUBLIC public_area = {0};
    TPM2B_PRIVATE private_area = {0};
    TPM2B_PUBLIC template;
    int result = read_layout(envelope, &at, err);
    if (result < 0)
        return result;
    const uint8_t *areas = envelope->data + AREAS_AT;
    size_t private_end = 0;
    idm_template_sealed(&template);
    if (idm_public_parse(areas, at.public_size, &public_area) < 0 ||
        !idm_public_same_template(&public_area, &template) ||
        Tss2_MU_TPM2B_PRIVATE_Unmarshal(areas + at.public_size, at.private_size, &private_end,
                                        &private_area) != TSS2_RC_SUCCESS ||
        private_end != at.private_size)
        return idm_fail(err, IDM_E_CORRUPT, what_read, "the sealed object in it is damaged");
    *ret_public = public_area;
    *ret_private = private_area;
    return 0;
}

static int decrypt(const struct layout *at, const uint8_t *key, const uint8_t *envelope,
                   uint8_t *plain)
{
    int size = 0;
    uint8_t tag[TAG_SIZE];
    const uint8_t *text = envelope + at->text_at;
    memcpy(tag, text + at->text_size, TAG_SIZE);
    EVP_CIPHER_CTX *gcm = EVP_CIPHER_CTX_new();
    int result = IDM_E_CRYPTO;
    if (gcm && EVP_DecryptInit_ex(gcm, EVP_aes_256_gcm(), NULL, key, envelope + NONCE_AT) == 1 &&
        EVP_DecryptUpdate(gcm, NULL, &size, envelope, (int)at->text_at) == 1 &&
        (at->text_size == 0 ||
         EVP_DecryptUpdate(gcm, plain, &size, text, (int)at->text_size) == 1) &&
        EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_SET_TAG, (int)TAG_SIZE, tag) == 1)
        result = EVP_DecryptFinal_ex(gcm, plain + at->text_size, &size) == 1 ? 0 : IDM_E_CORRUPT;
    EVP_CIPHER_CTX_free(gcm);
    return result;
}

int idm_envelope_open(const struct idm_bytes *envelope, const uint8_t key[IDM_ENVELOPE_KEY_SIZE],
                      struct idm_bytes *ret_plain, struct idm_error *err)
{
    struct layout at;
    int result = read_layout(envelope, &at, err);
    if (result < 0)
        return result;
    _cleanup_bytes_ struct idm_bytes plain = {0};
    /* Room of the right size, wiped by its owner however this ends. */
    plain.data = calloc(1, at.text_size + 1);
    plain.size = at.text_size;
    result = plain.data ? decrypt(&at, key, envelope->data, plain.data) : IDM_E_MEMORY;
    if (result < 0) {
        plain.size = plain.data ? plain.size : 0;
        return idm_fail(err, result, what_read, "%s",
                        result == IDM_E_CORRUPT ? "changed since it was sealed"
                                                : idm_error_sentence(result));
    }
    plain.data[plain.size] = 0;
    idm_bytes_move(ret_plain, &plain);
    return 0;
}
