/* SPDX-License-Identifier: BSD-2-Clause */
/* A device key's life in the chip: made, signs by file and by handle, persisted, evicted, dead. */
#include "backends/tpm/public.h"
#include "tests/unit/tpm_chip.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>

static const enum idm_algorithm algorithms[] = {IDM_ECDSA_P256, IDM_ECDSA_P384, IDM_RSA_2048};

Test(tpm_key, signs_by_file_and_by_handle_with_each_algorithm)
{
    struct chip chip;
    chip_start(&chip);
    chip_parent(&chip);
    for (size_t i = 0; i < 3; i++) {
        _cleanup_bytes_ struct idm_bytes tss2 = {0};
        struct idm_tpm_object_info there = {0};
        struct idm_tss2_info file;
        struct idm_signature untouched = {.size = 7};
        CHIP_OK(&chip,
                idm_tpm_key_create(chip.tpm, CHIP_PARENT, NULL, algorithms[i], &tss2, &chip.err));
        struct idm_signer by_file = chip_file_signer(&tss2, algorithms[i]);
        struct idm_signer by_handle = chip_handle_signer(algorithms[i]);
        chip_signs(&chip, &by_file);
        CHIP_FAILS(
            &chip,
            idm_tpm_sign(chip.tpm, &by_handle, IDM_SHA256, there.name, &untouched, &chip.err),
            IDM_E_TPM_EMPTY);
        cr_assert_eq(untouched.size, 7);
        CHIP_OK(&chip, idm_tpm_key_persist(chip.tpm, &tss2, CHIP_PARENT, CHIP_DEVICE, &chip.err));
        chip_signs(&chip, &by_handle);

        CHIP_OK(&chip, idm_tpm_object(chip.tpm, CHIP_DEVICE, IDM_ROLE_DEVICE, &there, &chip.err));
        CHIP_OK(&chip, idm_tss2_inspect(&tss2, &file, &chip.err));
        cr_assert_eq(there.what, IDM_OBJECT_OURS);
        cr_assert_eq(there.key.algorithm, algorithms[i]);
        cr_assert_eq(file.key.algorithm, algorithms[i]);
        cr_assert_eq(file.parent, CHIP_PARENT);
        cr_assert_arr_eq(there.name, file.name, IDM_NAME_SIZE);
        cr_assert_arr_eq(there.key.spki, file.key.spki, IDM_SHA256_SIZE);
        CHIP_OK(&chip, idm_tpm_object(chip.tpm, CHIP_DEVICE, IDM_ROLE_PARENT, &there, &chip.err));
        cr_assert_eq(there.what, IDM_OBJECT_STRANGER);
        CHIP_OK(&chip, idm_tpm_evict(chip.tpm, CHIP_DEVICE, file.name, &chip.err));
    }
    chip_stop(&chip);
}

Test(tpm_key, is_what_tpm2_tools_see)
{
    struct chip chip;
    _cleanup_bytes_ struct idm_bytes tss2 = {0};
    chip_start(&chip);
    chip_parent(&chip);
    CHIP_OK(&chip,
            idm_tpm_key_create(chip.tpm, CHIP_PARENT, NULL, IDM_ECDSA_P256, &tss2, &chip.err));
    CHIP_OK(&chip, idm_tpm_key_persist(chip.tpm, &tss2, CHIP_PARENT, CHIP_DEVICE, &chip.err));
    cr_assert_eq(chip_shell(&chip, "tpm2_readpublic -c 0x%x > device.txt", CHIP_DEVICE), 0);
    cr_assert_eq(chip_shell(&chip, "tpm2_readpublic -c 0x%x > parent.txt", CHIP_PARENT), 0);
    cr_assert_eq(chip_shell(&chip, "tpm2_readpublic -c 0x%x > srk.txt", CHIP_SRK), 0);
    cr_assert_eq(chip_shell(&chip, "grep -q 'raw: 0x40472' device.txt"), 0);
    cr_assert_eq(chip_shell(&chip, "grep -q 'raw: 0x30472' parent.txt"), 0);
    cr_assert_eq(chip_shell(&chip, "grep -q 'raw: 0x30472' srk.txt"), 0);
    /* The TSS2 convention: the SRK is the primary with an empty unique. */
    cr_assert_eq(chip_shell(&chip,
                            "tpm2_createprimary -Q -C o -G ecc256:null:aes128cfb "
                            "-a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|"
                            "restricted|decrypt' -c p.ctx && tpm2_readpublic -c p.ctx > p.txt"
                            " && grep ^name: p.txt > a && grep ^name: srk.txt > b && cmp a b"),
                 0);
    chip_stop(&chip);
}

Test(tpm_key, survives_a_power_cut_and_a_lockout)
{
    struct chip chip;
    _cleanup_bytes_ struct idm_bytes tss2 = {0};
    struct idm_tpm_info before;
    struct idm_tpm_info after;
    chip_start(&chip);
    chip_parent(&chip);
    CHIP_OK(&chip,
            idm_tpm_key_create(chip.tpm, CHIP_PARENT, NULL, IDM_ECDSA_P256, &tss2, &chip.err));
    struct idm_signer by_file = chip_file_signer(&tss2, IDM_ECDSA_P256);
    CHIP_OK(&chip, idm_tpm_info(chip.tpm, &before, &chip.err));
    cr_assert_str_eq(before.manufacturer, "IBM");
    cr_assert(before.firmware[0]);
    cr_assert_eq(idm_swtpm_power_cycle(&chip.sw), 0);
    CHIP_OK(&chip, idm_tpm_info(chip.tpm, &after, &chip.err));
    cr_assert_eq(after.reset_count, before.reset_count + 1);
    chip_signs(&chip, &by_file);

    cr_assert_eq(chip_shell(&chip, "tpm2_dictionarylockout -s -n 1 -t 1000 -l 1000"), 0);
    cr_assert_eq(chip_shell(&chip, "tpm2_createprimary -Q -C o -c p.ctx -p secret && "
                                   "echo x | tpm2_sign -c p.ctx -p wrong -o s; "
                                   "tpm2_create -Q -C p.ctx -P wrong -G ecc -u u -r r; "
                                   "tpm2_getcap properties-variable | grep -q 'inLockout: *1'"),
                 0);
    chip_signs(&chip, &by_file);
    chip_stop(&chip);
}

Test(tpm_key, dies_with_its_parent)
{
    struct chip chip;
    _cleanup_bytes_ struct idm_bytes tss2 = {0};
    uint8_t parent[IDM_NAME_SIZE];
    uint8_t again[IDM_NAME_SIZE];
    uint8_t hash[32] = {1};
    struct idm_signature signature;
    chip_start(&chip);
    CHIP_OK(&chip, idm_tpm_parent_make(chip.tpm, CHIP_SRK, CHIP_PARENT, parent, &chip.err));
    CHIP_OK(&chip, idm_tpm_parent_make(chip.tpm, CHIP_SRK, CHIP_PARENT, again, &chip.err));
    cr_assert_arr_eq(parent, again, IDM_NAME_SIZE, "kept");
    CHIP_OK(&chip,
            idm_tpm_key_create(chip.tpm, CHIP_PARENT, NULL, IDM_ECDSA_P256, &tss2, &chip.err));
    struct idm_signer by_file = chip_file_signer(&tss2, IDM_ECDSA_P256);
    chip_signs(&chip, &by_file);
    CHIP_OK(&chip, idm_tpm_evict(chip.tpm, CHIP_PARENT, parent, &chip.err));
    CHIP_OK(&chip, idm_tpm_evict(chip.tpm, CHIP_PARENT, parent, &chip.err));
    CHIP_FAILS(&chip, idm_tpm_sign(chip.tpm, &by_file, IDM_SHA256, hash, &signature, &chip.err),
               IDM_E_TPM_UNFIT);
    CHIP_OK(&chip, idm_tpm_parent_make(chip.tpm, CHIP_SRK, CHIP_PARENT, again, &chip.err));
    cr_assert_neq(memcmp(parent, again, IDM_NAME_SIZE), 0, "another epoch");
    CHIP_FAILS(&chip, idm_tpm_sign(chip.tpm, &by_file, IDM_SHA256, hash, &signature, &chip.err),
               IDM_E_TPM_UNFIT);
    CHIP_FAILS(&chip, idm_tpm_key_persist(chip.tpm, &tss2, CHIP_PARENT, CHIP_DEVICE, &chip.err),
               IDM_E_TPM_UNFIT);
    by_file.handle = CHIP_SRK;
    CHIP_FAILS(&chip, idm_tpm_sign(chip.tpm, &by_file, IDM_SHA256, hash, &signature, &chip.err),
               IDM_E_TPM_UNFIT);
    chip_stop(&chip);
}

Test(tpm_key, strangers_are_never_moved)
{
    struct chip chip;
    _cleanup_bytes_ struct idm_bytes one = {0};
    _cleanup_bytes_ struct idm_bytes two = {0};
    uint8_t name[IDM_NAME_SIZE];
    struct idm_tss2_info info;
    struct idm_tpm_object_info there;
    chip_start(&chip);
    chip_parent(&chip);
    CHIP_OK(&chip,
            idm_tpm_key_create(chip.tpm, CHIP_PARENT, NULL, IDM_ECDSA_P256, &one, &chip.err));
    CHIP_OK(&chip,
            idm_tpm_key_create(chip.tpm, CHIP_PARENT, NULL, IDM_ECDSA_P256, &two, &chip.err));
    CHIP_OK(&chip, idm_tpm_key_persist(chip.tpm, &one, CHIP_PARENT, CHIP_DEVICE, &chip.err));
    CHIP_OK(&chip, idm_tpm_key_persist(chip.tpm, &one, CHIP_PARENT, CHIP_DEVICE, &chip.err));
    CHIP_FAILS(&chip, idm_tpm_key_persist(chip.tpm, &two, CHIP_PARENT, CHIP_DEVICE, &chip.err),
               IDM_E_TPM_TAKEN);
    CHIP_OK(&chip, idm_tss2_inspect(&two, &info, &chip.err));
    CHIP_FAILS(&chip, idm_tpm_evict(chip.tpm, CHIP_DEVICE, info.name, &chip.err), IDM_E_TPM_TAKEN);
    CHIP_FAILS(&chip, idm_tpm_srk_name(chip.tpm, CHIP_DEVICE, name, &chip.err), IDM_E_TPM_TAKEN);
    CHIP_FAILS(&chip, idm_tpm_parent_make(chip.tpm, CHIP_SRK, CHIP_DEVICE, name, &chip.err),
               IDM_E_TPM_TAKEN);
    CHIP_FAILS(&chip, idm_tpm_parent_make(chip.tpm, CHIP_DEVICE, CHIP_PARENT + 1, name, &chip.err),
               IDM_E_TPM_TAKEN);
    CHIP_FAILS(&chip,
               idm_tpm_key_create(chip.tpm, CHIP_DEVICE, NULL, IDM_ECDSA_P256, &two, &chip.err),
               IDM_E_TPM_TAKEN);
    CHIP_FAILS(&chip,
               idm_tpm_key_create(chip.tpm, CHIP_PARENT + 1, NULL, IDM_ECDSA_P256, &two, &chip.err),
               IDM_E_TPM_EMPTY);
    CHIP_OK(&chip, idm_tpm_object(chip.tpm, CHIP_PARENT + 1, IDM_ROLE_PARENT, &there, &chip.err));
    cr_assert_eq(there.what, IDM_OBJECT_EMPTY);
    cr_assert(idm_all_zero(there.name, IDM_NAME_SIZE));
    chip_stop(&chip);
}

Test(tpm_key, an_rsa_srk_serves_too)
{
    struct chip chip;
    _cleanup_bytes_ struct idm_bytes tss2 = {0};
    uint8_t name[IDM_NAME_SIZE];
    uint8_t srk[IDM_NAME_SIZE];
    struct idm_tpm_object_info there;
    chip_start(&chip);
    cr_assert_eq(chip_shell(&chip,
                            "tpm2_createprimary -Q -C o -G rsa -c p.ctx && tpm2_evictcontrol -Q "
                            "-C o -c p.ctx 0x%x",
                            CHIP_SRK),
                 0);
    CHIP_OK(&chip, idm_tpm_srk_name(chip.tpm, CHIP_SRK, name, &chip.err));
    chip_parent(&chip);
    CHIP_OK(&chip, idm_tpm_srk_name(chip.tpm, CHIP_SRK, srk, &chip.err));
    cr_assert_arr_eq(name, srk, IDM_NAME_SIZE);
    CHIP_OK(&chip, idm_tpm_object(chip.tpm, CHIP_PARENT, IDM_ROLE_PARENT, &there, &chip.err));
    cr_assert_eq(there.what, IDM_OBJECT_OURS);
    CHIP_OK(&chip,
            idm_tpm_key_create(chip.tpm, CHIP_PARENT, NULL, IDM_ECDSA_P256, &tss2, &chip.err));
    struct idm_signer by_file = chip_file_signer(&tss2, IDM_ECDSA_P256);
    chip_signs(&chip, &by_file);
    chip_stop(&chip);
}

Test(tpm_key, leading_zeros_do_no_harm)
{
    struct chip chip;
    chip_start(&chip);
    chip_parent(&chip);
    size_t short_integers = 0;
    for (uint8_t i = 0; i < 60; i++) {
        _cleanup_bytes_ struct idm_bytes tss2 = {0};
        struct idm_tss2_info info;
        EVP_PKEY *key = NULL;
        CHIP_OK(&chip,
                idm_tpm_key_create(chip.tpm, CHIP_PARENT, NULL, IDM_ECDSA_P256, &tss2, &chip.err));
        CHIP_OK(&chip, idm_tss2_inspect(&tss2, &info, &chip.err));
        struct idm_signer by_file = chip_file_signer(&tss2, IDM_ECDSA_P256);
        CHIP_OK(&chip, idm_tpm_public_key(chip.tpm, &by_file, &key, &chip.err));
        for (uint8_t j = 0; j < 10; j++) {
            const uint8_t hash[32] = {i, j};
            struct idm_signature signature;
            CHIP_OK(&chip,
                    idm_tpm_sign(chip.tpm, &by_file, IDM_SHA256, hash, &signature, &chip.err));
            cr_assert(chip_verifies(key, IDM_SHA256, hash, &signature));
            short_integers += signature.data[3] < 32;
        }
        EVP_PKEY_free(key);
    }
    cr_log_info("%zu of 600 signatures had a short r", short_integers);
    chip_stop(&chip);
}

Test(tpm_key, a_chip_may_drop_leading_zeros_of_a_coordinate)
{
    for (int coordinate = 0; coordinate < 2; coordinate++) {
        EVP_PKEY *key = NULL;
        EVP_PKEY *from_tpm = NULL;
        uint8_t point[65];
        const uint8_t *at = point + 1 + 32 * coordinate;
        size_t size = 0;
        do {
            EVP_PKEY_free(key);
            key = EVP_EC_gen("P-256");
            cr_assert_eq(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point,
                                                         sizeof point, &size),
                         1);
        } while (at[0] != 0);
        TPM2B_PUBLIC area;
        cr_assert_eq(idm_template_device(IDM_ECDSA_P256, &area), 0);
        TPM2B_ECC_PARAMETER *xy[2] = {&area.publicArea.unique.ecc.x, &area.publicArea.unique.ecc.y};
        for (int i = 0; i < 2; i++) {
            uint16_t dropped = i == coordinate;
            xy[i]->size = (uint16_t)(32 - dropped);
            memcpy(xy[i]->buffer, point + 1 + 32 * i + dropped, xy[i]->size);
        }
        cr_assert_eq(idm_public_evp(&area, &from_tpm), 0);
        cr_assert_eq(EVP_PKEY_eq(key, from_tpm), 1);
        EVP_PKEY_free(key);
        EVP_PKEY_free(from_tpm);
    }
}

Test(tpm_key, names_of_srk_and_ek_are_the_chips)
{
    struct chip chip;
    uint8_t srk[IDM_NAME_SIZE];
    uint8_t ek[IDM_NAME_SIZE];
    uint8_t other[IDM_NAME_SIZE];
    struct idm_tpm_object_info there;
    uint32_t handles[IDM_TPM_PERSISTENT_MAX];
    size_t count;
    chip_start(&chip);
    CHIP_OK(&chip, idm_tpm_srk_name(chip.tpm, CHIP_SRK, srk, &chip.err));
    CHIP_OK(&chip, idm_tpm_ek_name(chip.tpm, ek, &chip.err));
    CHIP_OK(&chip, idm_tpm_persistent(chip.tpm, handles, &count, &chip.err));
    cr_assert_eq(count, 0, "computed, not persisted");
    chip_parent(&chip);
    CHIP_OK(&chip, idm_tpm_object(chip.tpm, CHIP_SRK, IDM_ROLE_PARENT, &there, &chip.err));
    cr_assert_arr_eq(there.name, srk, IDM_NAME_SIZE);
    CHIP_OK(&chip, idm_tpm_persistent(chip.tpm, handles, &count, &chip.err));
    cr_assert_eq(count, 2);
    cr_assert_eq(handles[0], CHIP_SRK);
    cr_assert_eq(handles[1], CHIP_PARENT);

    cr_assert_eq(chip_shell(&chip, "tpm2_createek -Q -G ecc -c ek.ctx -u ek.pub -f tss && "
                                   "tpm2_readpublic -c ek.ctx -n ek.name"),
                 0);
    _cleanup_bytes_ struct idm_bytes tools = {0};
    chip_read(&chip, "ek.name", &tools);
    cr_assert_eq(tools.size, IDM_NAME_SIZE);
    cr_assert_arr_eq(tools.data, ek, IDM_NAME_SIZE);

    cr_assert_eq(idm_swtpm_power_cycle(&chip.sw), 0);
    CHIP_OK(&chip, idm_tpm_ek_name(chip.tpm, other, &chip.err));
    cr_assert_arr_eq(other, ek, IDM_NAME_SIZE);
    cr_assert_eq(idm_swtpm_replace(&chip.sw), 0);
    CHIP_OK(&chip, idm_tpm_ek_name(chip.tpm, other, &chip.err));
    cr_assert_neq(memcmp(other, ek, IDM_NAME_SIZE), 0);
    chip_stop(&chip);
}

Test(tpm_key, clear_leaves_nothing)
{
    struct chip chip;
    _cleanup_bytes_ struct idm_bytes tss2 = {0};
    uint8_t hash[32] = {0};
    uint8_t before[IDM_NAME_SIZE];
    uint8_t after[IDM_NAME_SIZE];
    struct idm_signature signature;
    uint32_t handles[IDM_TPM_PERSISTENT_MAX];
    size_t count = 1;
    uint64_t value;
    chip_start(&chip);
    chip_parent(&chip);
    CHIP_OK(&chip, idm_tpm_srk_name(chip.tpm, CHIP_SRK, before, &chip.err));
    CHIP_OK(&chip, idm_tpm_counter_make(chip.tpm, CHIP_COUNTER, &chip.err));
    CHIP_OK(&chip,
            idm_tpm_key_create(chip.tpm, CHIP_PARENT, NULL, IDM_ECDSA_P256, &tss2, &chip.err));
    CHIP_OK(&chip, idm_tpm_clear(chip.tpm, &chip.err));
    CHIP_OK(&chip, idm_tpm_persistent(chip.tpm, handles, &count, &chip.err));
    cr_assert_eq(count, 0);
    CHIP_FAILS(&chip, idm_tpm_counter_read(chip.tpm, CHIP_COUNTER, &value, &chip.err),
               IDM_E_TPM_EMPTY);
    struct idm_signer by_file = chip_file_signer(&tss2, IDM_ECDSA_P256);
    CHIP_FAILS(&chip, idm_tpm_sign(chip.tpm, &by_file, IDM_SHA256, hash, &signature, &chip.err),
               IDM_E_TPM_UNFIT);
    chip_parent(&chip);
    CHIP_FAILS(&chip, idm_tpm_sign(chip.tpm, &by_file, IDM_SHA256, hash, &signature, &chip.err),
               IDM_E_TPM_UNFIT);
    CHIP_OK(&chip, idm_tpm_srk_name(chip.tpm, CHIP_SRK, after, &chip.err));
    cr_assert_neq(memcmp(before, after, IDM_NAME_SIZE), 0);

    cr_assert_eq(chip_shell(&chip, "tpm2_changeauth -c l secret"), 0);
    CHIP_FAILS(&chip, idm_tpm_clear(chip.tpm, &chip.err), IDM_E_TPM_OWNED);
    cr_assert_eq(chip_shell(&chip, "tpm2_clear secret"), 0, "no wrong guess was made");
    chip_stop(&chip);
}
