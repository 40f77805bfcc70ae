/* SPDX-License-Identifier: BSD-2-Clause */
/* TSS2 PRIVATE KEY files: ours work in other programs, theirs in ours, damaged ones nowhere. */
#include "tests/unit/tpm_chip.h"

#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

static void make_key(struct chip *chip, struct idm_bytes *ret_tss2)
{
    chip_parent(chip);
    CHIP_OK(chip,
            idm_tpm_key_create(chip->tpm, CHIP_PARENT, NULL, IDM_ECDSA_P256, ret_tss2, &chip->err));
}

Test(tpm_tss2file, other_programs_take_ours)
{
    static const enum idm_algorithm algorithms[] = {IDM_ECDSA_P256, IDM_ECDSA_P384, IDM_RSA_2048};
    struct chip chip;
    chip_start(&chip);
    chip_parent(&chip);
    for (size_t i = 0; i < 3; i++) {
        _cleanup_bytes_ struct idm_bytes tss2 = {0};
        struct idm_tss2_info info;
        CHIP_OK(&chip,
                idm_tpm_key_create(chip.tpm, CHIP_PARENT, NULL, algorithms[i], &tss2, &chip.err));
        CHIP_OK(&chip, idm_tss2_inspect(&tss2, &info, &chip.err));
        chip_write(&chip, "key.pem", tss2.data, tss2.size);
        cr_assert_eq(chip_shell(&chip, "openssl asn1parse -in key.pem > asn1 && "
                                       "grep -q 'OBJECT *:2.23.133.10.1.3' asn1 && "
                                       "grep -q 'INTEGER *:81020001' asn1 && "
                                       "grep -q 'BOOLEAN *:255' asn1"),
                     0);
        cr_assert_eq(chip_shell(&chip,
                                "openssl pkey -provider tpm2 -provider default -in key.pem "
                                "-pubout -outform DER | openssl dgst -sha256 -binary > spki"),
                     0);
        _cleanup_bytes_ struct idm_bytes spki = {0};
        chip_read(&chip, "spki", &spki);
        cr_assert_eq(spki.size, IDM_SHA256_SIZE);
        cr_assert_arr_eq(spki.data, info.key.spki, IDM_SHA256_SIZE);
        cr_assert_eq(
            chip_shell(
                &chip,
                "echo text > text && "
                "openssl pkey -provider tpm2 -provider default -in key.pem -pubout "
                "-out pub.pem && "
                "openssl pkeyutl -provider tpm2 -provider default -sign -rawin -digest sha256 "
                "-inkey key.pem -in text -out sig && "
                "openssl dgst -sha256 -verify pub.pem -signature sig text"),
            0);
    }
    chip_stop(&chip);
}

Test(tpm_tss2file, ours_takes_other_programs_files)
{
    struct chip chip;
    _cleanup_bytes_ struct idm_bytes tss2 = {0};
    struct idm_tss2_info info;
    chip_start(&chip);
    /* tpm2-openssl's own primary has the empty unique too: 0x40000001. */
    cr_assert_eq(chip_shell(&chip, "openssl genpkey -provider tpm2 -provider default -algorithm EC "
                                   "-pkeyopt group:P-256 -out their.pem"),
                 0);
    chip_read(&chip, "their.pem", &tss2);
    CHIP_OK(&chip, idm_tss2_inspect(&tss2, &info, &chip.err));
    cr_assert_eq(info.parent, TPM2_RH_OWNER);
    chip_parent(&chip);
    struct idm_signer by_file = {
        .kind = IDM_SIGNER_FILE, .key = &tss2, .handle = CHIP_SRK, .algorithm = IDM_ECDSA_P256};
    chip_signs(&chip, &by_file);

    cr_assert_eq(chip_shell(&chip, "openssl genpkey -provider tpm2 -provider default -algorithm EC "
                                   "-pkeyopt group:P-256 -pkeyopt user-auth:abc -out locked.pem"),
                 0);
    chip_read(&chip, "locked.pem", &tss2);
    CHIP_FAILS(&chip, idm_tss2_inspect(&tss2, &info, &chip.err), IDM_E_CORRUPT);
    chip_stop(&chip);
}

/* A PEM file of our label around any DER. */
static void pem_of(const uint8_t *der, size_t size, struct idm_bytes *ret)
{
    char *text = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    cr_assert_gt(PEM_write_bio(bio, "TSS2 PRIVATE KEY", "", der, (long)size), 0);
    long length = BIO_get_mem_data(bio, &text);
    cr_assert_eq(idm_bytes_set(ret, text, (size_t)length), 0);
    BIO_free(bio);
}

/* The DER in a PEM file; OPENSSL_free. */
static uint8_t *der_of(const struct idm_bytes *pem, long *ret_size)
{
    char *label = NULL;
    char *header = NULL;
    uint8_t *der = NULL;
    BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->size);
    cr_assert_eq(PEM_read_bio(bio, &label, &header, &der, ret_size), 1);
    BIO_free(bio);
    OPENSSL_free(label);
    OPENSSL_free(header);
    return der;
}

Test(tpm_tss2file, each_way_to_write_a_parent_is_read)
{
    /* INTEGER, and what it stands for. */
    static const struct {
        uint8_t der[7];
        size_t size;
        uint32_t parent;
    } ways[] = {
        {{2, 5, 0, 0x81, 2, 0, 1}, 7, CHIP_PARENT}, {{2, 4, 0x81, 2, 0, 1}, 6, CHIP_PARENT},
        {{2, 4, 0x40, 0, 0, 1}, 6, TPM2_RH_OWNER},  {{2, 1, 0}, 3, 0},
        {{2, 5, 1, 0, 0, 0, 0}, 7, UINT32_MAX},     {{2, 5, 0xff, 0x7f, 0, 0, 0}, 7, UINT32_MAX},
        {{2, 5, 0, 0x40, 0, 0, 1}, 7, UINT32_MAX},
    };
    struct chip chip;
    _cleanup_bytes_ struct idm_bytes tss2 = {0};
    chip_start(&chip);
    make_key(&chip, &tss2);
    long size = 0;
    uint8_t *der = der_of(&tss2, &size);
    uint8_t *at = memmem(der, (size_t)size, ways[0].der, 7);
    cr_assert_not_null(at);
    cr_assert_eq(der[1], 0x82 - 1, "a one-byte length follows");
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        _cleanup_bytes_ struct idm_bytes pem = {0};
        struct idm_tss2_info info;
        uint8_t other[1024];
        size_t head = (size_t)(at - der);
        size_t tail = (size_t)size - head - 7;
        memcpy(other, der, head);
        memcpy(other + head, ways[i].der, ways[i].size);
        memcpy(other + head + ways[i].size, at + 7, tail);
        other[2] = (uint8_t)(der[2] - 7 + ways[i].size);
        pem_of(other, head + ways[i].size + tail, &pem);
        int result = idm_tss2_inspect(&pem, &info, &chip.err);
        if (ways[i].parent == UINT32_MAX) {
            cr_assert_eq(result, IDM_E_CORRUPT, "%zu", i);
        } else {
            cr_assert_eq(result, 0, "%zu: %s", i, chip.err.why);
            cr_assert_eq(info.parent, ways[i].parent, "%zu", i);
        }
    }
    OPENSSL_free(der);
    chip_stop(&chip);
}

Test(tpm_tss2file, a_changed_byte_never_passes_for_the_same_key)
{
    struct chip chip;
    _cleanup_bytes_ struct idm_bytes tss2 = {0};
    struct idm_tss2_info good;
    const uint8_t hash[32] = {0};
    chip_start(&chip);
    make_key(&chip, &tss2);
    CHIP_OK(&chip, idm_tss2_inspect(&tss2, &good, &chip.err));
    long size = 0;
    uint8_t *der = der_of(&tss2, &size);
    for (long i = 0; i < size; i++) {
        _cleanup_bytes_ struct idm_bytes pem = {0};
        struct idm_tss2_info info;
        struct idm_signature signature;
        der[i] ^= 0x10;
        pem_of(der, (size_t)size, &pem);
        der[i] ^= 0x10;
        int result = idm_tss2_inspect(&pem, &info, &chip.err);
        if (result < 0) {
            cr_assert_eq(result, IDM_E_CORRUPT, "byte %ld: %s", i, idm_error_name(result));
            continue;
        }
        struct idm_signer by_file = chip_file_signer(&pem, IDM_ECDSA_P256);
        result = idm_tpm_sign(chip.tpm, &by_file, IDM_SHA256, hash, &signature, &chip.err);
        if (info.parent == good.parent)
            cr_assert_eq(result, IDM_E_TPM_UNFIT, "byte %ld: %s", i, idm_error_name(result));
    }
    OPENSSL_free(der);
    chip_stop(&chip);
}

Test(tpm_tss2file, what_is_no_key_file_is_refused)
{
    struct chip chip;
    _cleanup_bytes_ struct idm_bytes tss2 = {0};
    _cleanup_bytes_ struct idm_bytes junk = {0};
    struct idm_tss2_info info;
    static uint8_t bytes[IDM_BYTES_MAX];
    chip_start(&chip);
    make_key(&chip, &tss2);
    static const size_t sizes[] = {0, 1, 5, 100, 8192, 8193, IDM_BYTES_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        cr_assert_eq(RAND_bytes(bytes, (int)sizes[i]), 1);
        cr_assert_eq(idm_bytes_set(&junk, bytes, sizes[i]), 0);
        CHIP_FAILS(&chip, idm_tss2_inspect(&junk, &info, &chip.err), IDM_E_CORRUPT);
        if (sizes[i] > 0 && sizes[i] <= 8192) {
            pem_of(bytes, sizes[i], &junk);
            CHIP_FAILS(&chip, idm_tss2_inspect(&junk, &info, &chip.err), IDM_E_CORRUPT);
        }
    }
    for (size_t size = 0; size + 1 < tss2.size; size++) {
        cr_assert_eq(idm_bytes_set(&junk, tss2.data, size), 0);
        CHIP_FAILS(&chip, idm_tss2_inspect(&junk, &info, &chip.err), IDM_E_CORRUPT);
    }
    /* Two blocks; text in front; text behind; white space behind is fine. */
    memcpy(bytes, tss2.data, tss2.size);
    memcpy(bytes + tss2.size, tss2.data, tss2.size);
    cr_assert_eq(idm_bytes_set(&junk, bytes, 2 * tss2.size), 0);
    CHIP_FAILS(&chip, idm_tss2_inspect(&junk, &info, &chip.err), IDM_E_CORRUPT);
    cr_assert_eq(idm_bytes_set(&junk, bytes + tss2.size - 1, tss2.size + 1), 0);
    CHIP_FAILS(&chip, idm_tss2_inspect(&junk, &info, &chip.err), IDM_E_CORRUPT);
    cr_assert_eq(idm_bytes_set(&junk, bytes, tss2.size + 1), 0);
    CHIP_FAILS(&chip, idm_tss2_inspect(&junk, &info, &chip.err), IDM_E_CORRUPT);
    bytes[tss2.size] = '\n';
    cr_assert_eq(idm_bytes_set(&junk, bytes, tss2.size + 1), 0);
    CHIP_OK(&chip, idm_tss2_inspect(&junk, &info, &chip.err));
    chip_stop(&chip);
}

Test(tpm_tss2file, the_public_key_needs_no_chip)
{
    struct chip chip;
    _cleanup_bytes_ struct idm_bytes tss2 = {0};
    struct idm_tss2_info info;
    uint8_t spki[IDM_SHA256_SIZE];
    uint8_t *der = NULL;
    EVP_PKEY *key = NULL;
    chip_start(&chip);
    make_key(&chip, &tss2);
    idm_swtpm_stop(&chip.sw);
    struct idm_signer by_file = chip_file_signer(&tss2, IDM_ECDSA_P256);
    CHIP_OK(&chip, idm_tpm_public_key(chip.tpm, &by_file, &key, &chip.err));
    CHIP_OK(&chip, idm_tss2_inspect(&tss2, &info, &chip.err));
    int size = i2d_PUBKEY(key, &der);
    cr_assert_gt(size, 0);
    cr_assert_eq(idm_sha256(der, (size_t)size, spki), 0);
    cr_assert_arr_eq(spki, info.key.spki, IDM_SHA256_SIZE);
    OPENSSL_free(der);
    EVP_PKEY_free(key);
    chip_stop(&chip);
}
