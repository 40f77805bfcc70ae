/* SPDX-License-Identifier: BSD-2-Clause */
/* A key from outside in the chip: it signs there, and says of itself that it came from outside. */
#include "backends/software/key.h"
#include "tests/unit/tpm_chip.h"

#include <openssl/core_names.h>
#include <openssl/pem.h>

static const enum idm_algorithm algorithms[] = {IDM_ECDSA_P256, IDM_ECDSA_P384, IDM_RSA_2048};

static void imports_under(struct chip *chip, uint32_t parent, const uint8_t *name)
{
    for (size_t i = 0; i < 3; i++) {
        _cleanup_bytes_ struct idm_bytes pem = {0};
        _cleanup_bytes_ struct idm_bytes tss2 = {0};
        struct idm_key_info key;
        struct idm_tss2_info file;
        struct idm_tpm_object_info there;
        CHIP_OK(chip, idm_key_generate(algorithms[i], &pem, &chip->err));
        CHIP_OK(chip, idm_key_inspect(&pem, &key, &chip->err));
        CHIP_OK(chip, idm_tpm_key_import(chip->tpm, parent, name, &pem, &tss2, &chip->err));
        CHIP_OK(chip, idm_tss2_inspect(&tss2, &file, &chip->err));
        cr_assert_arr_eq(file.key.spki, key.spki, IDM_SHA256_SIZE);
        cr_assert_eq(file.parent, parent);
        struct idm_signer by_file = {
            .kind = IDM_SIGNER_FILE, .key = &tss2, .handle = parent, .algorithm = algorithms[i]};
        struct idm_signer by_handle = chip_handle_signer(algorithms[i]);
        chip_signs(chip, &by_file);
        CHIP_OK(chip, idm_tpm_key_persist(chip->tpm, &tss2, parent, CHIP_DEVICE, &chip->err));
        chip_signs(chip, &by_handle);
        CHIP_OK(chip, idm_tpm_object(chip->tpm, CHIP_DEVICE, IDM_ROLE_DEVICE, &there, &chip->err));
        cr_assert_eq(there.what, IDM_OBJECT_IMPORTED);
        cr_assert_arr_eq(there.name, file.name, IDM_NAME_SIZE);
        CHIP_OK(chip, idm_tpm_evict(chip->tpm, CHIP_DEVICE, file.name, &chip->err));
    }
}

Test(tpm_import, signs_by_file_and_by_handle_with_each_algorithm)
{
    struct chip chip;
    uint8_t name[IDM_NAME_SIZE];
    chip_start(&chip);
    CHIP_OK(&chip, idm_tpm_parent_make(chip.tpm, CHIP_SRK, CHIP_PARENT, name, &chip.err));
    imports_under(&chip, CHIP_PARENT, name);
    chip_stop(&chip);
}

/* What systemd and tpm2-tools leave at 0x81000001. */
Test(tpm_import, works_under_an_rsa_parent_too)
{
    struct chip chip;
    uint8_t name[IDM_NAME_SIZE];
    chip_start(&chip);
    cr_assert_eq(chip_shell(&chip,
                            "tpm2_createprimary -Q -C o -G rsa2048:aes256cfb -c p.ctx -a "
                            "'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|"
                            "restricted|decrypt' && tpm2_evictcontrol -Q -C o -c p.ctx 0x%x"
                            " && tpm2_flushcontext -t",
                            CHIP_SRK),
                 0);
    CHIP_OK(&chip, idm_tpm_srk_name(chip.tpm, CHIP_SRK, name, &chip.err));
    imports_under(&chip, CHIP_SRK, name);
    chip_stop(&chip);
}

Test(tpm_import, works_under_the_primary_key_without_a_slot)
{
    struct chip chip;
    uint8_t name[IDM_NAME_SIZE];
    _cleanup_bytes_ struct idm_bytes pem = {0};
    _cleanup_bytes_ struct idm_bytes tss2 = {0};
    chip_start(&chip);
    CHIP_OK(&chip, idm_tpm_srk_name(chip.tpm, IDM_TPM_PRIMARY, name, &chip.err));
    CHIP_OK(&chip, idm_key_generate(IDM_ECDSA_P256, &pem, &chip.err));
    CHIP_OK(&chip, idm_tpm_key_import(chip.tpm, IDM_TPM_PRIMARY, name, &pem, &tss2, &chip.err));
    struct idm_signer by_file = {.kind = IDM_SIGNER_FILE,
                                 .key = &tss2,
                                 .handle = IDM_TPM_PRIMARY,
                                 .algorithm = IDM_ECDSA_P256};
    chip_signs(&chip, &by_file);
    chip_stop(&chip);
}

/* An interposer that puts its own parent in ours' place would get the key. */
Test(tpm_import, gives_nothing_to_another_parent)
{
    struct chip chip;
    uint8_t name[IDM_NAME_SIZE];
    _cleanup_bytes_ struct idm_bytes pem = {0};
    _cleanup_bytes_ struct idm_bytes tss2 = {0};
    chip_start(&chip);
    CHIP_OK(&chip, idm_tpm_parent_make(chip.tpm, CHIP_SRK, CHIP_PARENT, name, &chip.err));
    CHIP_OK(&chip, idm_key_generate(IDM_ECDSA_P256, &pem, &chip.err));
    name[7] ^= 1;
    CHIP_FAILS(&chip, idm_tpm_key_import(chip.tpm, CHIP_PARENT, name, &pem, &tss2, &chip.err),
               IDM_E_TPM_TAKEN);
    cr_assert_null(tss2.data);
    chip_stop(&chip);
}

/* The end of the private scalar: enough of it to be known again. */
static void private_bytes(const struct idm_bytes *pem, uint8_t ret[16])
{
    uint8_t scalar[32];
    BIGNUM *number = NULL;
    BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->size);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    cr_assert_eq(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &number), 1);
    cr_assert_eq(BN_bn2binpad(number, scalar, sizeof scalar), (int)sizeof scalar);
    memcpy(ret, scalar + 16, 16);
    BN_free(number);
    EVP_PKEY_free(key);
    BIO_free(bio);
}

/* facts: an interposer or a bus analyser reads every command. */
Test(tpm_import, shows_no_private_byte_on_the_bus)
{
    struct chip chip;
    uint8_t name[IDM_NAME_SIZE];
    _cleanup_bytes_ struct idm_bytes pem = {0};
    _cleanup_bytes_ struct idm_bytes tss2 = {0};
    _cleanup_bytes_ struct idm_bytes bus = {0};
    uint8_t secret[16];
    chip_start(&chip);
    CHIP_OK(&chip, idm_tpm_parent_make(chip.tpm, CHIP_SRK, CHIP_PARENT, name, &chip.err));
    CHIP_OK(&chip, idm_key_generate(IDM_ECDSA_P256, &pem, &chip.err));
    private_bytes(&pem, secret);
    chip_proxy(&chip, "");
    CHIP_OK(&chip, idm_tpm_key_import(chip.tpm, CHIP_PARENT, name, &pem, &tss2, &chip.err));
    chip_read(&chip, "commands.raw", &bus);
    cr_assert_gt(bus.size, 500);
    cr_assert_null(memmem(bus.data, bus.size, secret, sizeof secret));
    chip_stop(&chip);
}
