/* SPDX-License-Identifier: BSD-2-Clause */
#include "verify/pcrs.h"

#include <openssl/evp.h>
#include <string.h>

static const struct bank {
    const char *name;
    TPM2_ALG_ID algorithm;
    size_t size;
} banks[] = {
    {"sha1", TPM2_ALG_SHA1, TPM2_SHA1_DIGEST_SIZE},
    {"sha256", TPM2_ALG_SHA256, TPM2_SHA256_DIGEST_SIZE},
    {"sha384", TPM2_ALG_SHA384, TPM2_SHA384_DIGEST_SIZE},
    {"sha512", TPM2_ALG_SHA512, TPM2_SHA512_DIGEST_SIZE},
};
#define BANKS (sizeof banks / sizeof *banks)

TPM2_ALG_ID idm_pcr_bank_of(const char *name, size_t *ret_size)
{
    for (size_t i = 0; i < BANKS; i++)
        if (strcmp(name, banks[i].name) == 0) {
            *ret_size = banks[i].size;
            return banks[i].algorithm;
        }
    return 0;
}

const char *idm_pcr_bank_name(TPM2_ALG_ID algorithm)
{
    for (size_t i = 0; i < BANKS; i++)
        if (banks[i].algorithm == algorithm)
            return banks[i].name;
    return NULL;
}

bool idm_pcr_number(const char *text, unsigned int *ret)
{
    size_t length = strspn(text, "0123456789");
    if (length == 0 || length > 2 || text[length] || (length == 2 && text[0] == '0'))
        return false;
    unsigned int number = (unsigned int)(text[0] - '0');
    if (length == 2)
        number = 10 * number + (unsigned int)(text[1] - '0');
    *ret = number;
    return number < IDM_PCRS;
}

static int parse_bank(char *text, struct idm_pcrs *ret)
{
    size_t size = 0;
    char *list = strchr(text, ':');
    if (!list || ret->count == IDM_PCR_BANKS)
        return IDM_E_CORRUPT;
    *list++ = 0;
    struct idm_pcr_bank *bank = &ret->bank[ret->count++];
    bank->algorithm = idm_pcr_bank_of(text, &size);
    for (size_t i = 0; i + 1 < ret->count; i++)
        if (ret->bank[i].algorithm == bank->algorithm)
            return IDM_E_CORRUPT;
    for (char *number = NULL; (number = strsep(&list, ","));) {
        unsigned int pcr = 0;
        if (!idm_pcr_number(number, &pcr) || (bank->selected >> pcr & 1))
            return IDM_E_CORRUPT;
        bank->selected |= 1u << pcr;
    }
    return bank->algorithm ? 0 : IDM_E_CORRUPT;
}

int idm_pcr_list_parse(const char *text, struct idm_pcrs *ret)
{
    char copy[512];
    char *rest = copy;
    struct idm_pcrs found = {0};
    size_t length = strlen(text);
    if (length == 0 || length >= sizeof copy)
        return IDM_E_CORRUPT;
    memcpy(copy, text, length + 1);
    for (char *bank = NULL; (bank = strsep(&rest, "+"));) {
        int result = parse_bank(bank, &found);
        if (result < 0)
            return result;
    }
    *ret = found;
    return 0;
}

static uint32_t mask_of(const TPMS_PCR_SELECTION *selection)
{
    uint32_t mask = 0;
    for (unsigned int i = 0; i < selection->sizeofSelect && i < sizeof selection->pcrSelect; i++)
        mask |= (uint32_t)selection->pcrSelect[i] << (8 * i);
    return mask;
}

static const struct idm_pcr_bank *find(const struct idm_pcrs *pcrs, TPM2_ALG_ID algorithm)
{
    for (size_t i = 0; i < pcrs->count; i++)
        if (pcrs->bank[i].algorithm == algorithm)
            return &pcrs->bank[i];
    return NULL;
}

bool idm_pcrs_selected(const struct idm_pcrs *wanted, const TPML_PCR_SELECTION *quoted)
{
    uint32_t seen = 0; /* bit per bank of `wanted` */
    if (quoted->count != wanted->count)
        return false;
    for (size_t i = 0; i < quoted->count; i++) {
        const struct idm_pcr_bank *bank = find(wanted, quoted->pcrSelections[i].hash);
        if (!bank || bank->selected != mask_of(&quoted->pcrSelections[i]))
            return false;
        seen |= 1u << (bank - wanted->bank);
    }
    return seen == (1u << wanted->count) - 1;
}

static bool add_bank(EVP_MD_CTX *ctx, const struct idm_pcr_bank *bank)
{
    size_t size = 0;
    (void)idm_pcr_bank_of(idm_pcr_bank_name(bank->algorithm), &size);
    for (unsigned int pcr = 0; pcr < IDM_PCRS; pcr++)
        if ((bank->selected >> pcr & 1) && EVP_DigestUpdate(ctx, bank->value[pcr], size) != 1)
            return false;
    return true;
}

int idm_pcrs_digest(const struct idm_pcrs *values, const TPMS_QUOTE_INFO *quote)
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    if (!idm_pcrs_selected(values, &quote->pcrSelect))
        return IDM_E_MISMATCH;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx && EVP_DigestInit_ex2(ctx, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; good && i < quote->pcrSelect.count; i++)
        good = add_bank(ctx, find(values, quote->pcrSelect.pcrSelections[i].hash));
    good = good && EVP_DigestFinal_ex(ctx, hash, &size) == 1;
    EVP_MD_CTX_free(ctx);
    if (!good)
        return IDM_E_CRYPTO;
    return quote->pcrDigest.size == size && memcmp(quote->pcrDigest.buffer, hash, size) == 0
               ? 0
               : IDM_E_MISMATCH;
}
