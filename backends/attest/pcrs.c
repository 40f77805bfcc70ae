/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/attest/internal.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define PCRS (sizeof((struct idm_pcrs *)0)->value / sizeof((struct idm_pcrs *)0)->value[0])

static const struct bank {
    const char *name;
    TPMI_ALG_HASH hash;
    uint16_t size;
} banks[] = {{"sha1", TPM2_ALG_SHA1, 20},
             {"sha256", TPM2_ALG_SHA256, 32},
             {"sha384", TPM2_ALG_SHA384, 48},
             {"sha512", TPM2_ALG_SHA512, 64}};
#define BANKS (sizeof banks / sizeof banks[0])

static const char what_read[] = "read the PCRs";

const char *idm_pcrs_bank(const struct idm_pcrs *pcrs)
{
    for (size_t i = 0; i < BANKS; i++)
        if (banks[i].hash == pcrs->bank)
            return banks[i].name;
    return "unknown";
}

static bool parse_bank(const char *text, size_t length, struct idm_pcrs *ret)
{
    for (size_t i = 0; i < BANKS; i++) {
        if (strlen(banks[i].name) != length || strncmp(banks[i].name, text, length) != 0)
            continue;
        *ret = (struct idm_pcrs){.bank = banks[i].hash, .size = banks[i].size};
        return true;
    }
    return false;
}

int idm_pcrs_parse(const char *text, struct idm_pcrs *ret, struct idm_error *err)
{
    static const char why[] =
        "it is sha1, sha256, sha384 or sha512, a colon, and numbers from 0 to 23";
    struct idm_pcrs pcrs;
    const char *at = strchr(text, ':');
    if (!at || !parse_bank(text, (size_t)(at - text), &pcrs))
        return idm_fail(err, IDM_E_USAGE, "--pcrs", "%s", why);
    while (*at) {
        char *end = NULL;
        at++; /* the colon or comma */
        if (*at < '0' || *at > '9')
            return idm_fail(err, IDM_E_USAGE, "--pcrs", "%s", why);
        unsigned long number = strtoul(at, &end, 10);
        if (number >= PCRS || (*end && *end != ','))
            return idm_fail(err, IDM_E_USAGE, "--pcrs", "%s", why);
        pcrs.selected |= 1u << number;
        at = end;
    }
    *ret = pcrs;
    return 0;
}

static TPML_PCR_SELECTION selection_of(const struct idm_pcrs *pcrs, uint32_t selected)
{
    TPML_PCR_SELECTION selection = {.count = 1,
                                    .pcrSelections = {{.hash = pcrs->bank, .sizeofSelect = 3}}};
    for (unsigned int i = 0; i < 3; i++)
        selection.pcrSelections[0].pcrSelect[i] = (BYTE)(selected >> (8 * i));
    return selection;
}

static uint32_t selected_of(const TPML_PCR_SELECTION *selection, TPMI_ALG_HASH bank)
{
    uint32_t selected = 0;
    if (selection->count != 1 || selection->pcrSelections[0].hash != bank ||
        selection->pcrSelections[0].sizeofSelect != 3)
        return 0;
    for (unsigned int i = 0; i < 3; i++)
        selected |= (uint32_t)selection->pcrSelections[0].pcrSelect[i] << (8 * i);
    return selected;
}

/* Takes what one response holds (at most eight values); *left loses those. */
static int take_some(struct idm_pcrs *pcrs, const TPML_PCR_SELECTION *got,
                     const TPML_DIGEST *values, uint32_t *left, struct idm_error *err)
{
    uint32_t selected = selected_of(got, pcrs->bank);
    uint32_t next = 0;
    if (selected == 0)
        return idm_fail(err, IDM_E_REFUSED, what_read, "the TPM has no such %s PCRs",
                        idm_pcrs_bank(pcrs));
    for (unsigned int i = 0; i < PCRS; i++) {
        if (!(selected >> i & 1))
            continue;
        if (next == values->count || values->digests[next].size != pcrs->size || !(*left >> i & 1))
            return idm_fail(err, IDM_E_TPM_OTHER, what_read, "the TPM gave other values");
        memcpy(pcrs->value[i], values->digests[next].buffer, pcrs->size);
        next++;
        *left &= ~(1u << i);
    }
    return 0;
}

int idm_attest_pcrs(struct idm_tpm *tpm, struct idm_pcrs *pcrs, struct idm_error *err)
{
    int result = idm_tpm_ready(tpm, what_read, err);
    for (uint32_t left = pcrs->selected; result == 0 && left;) {
        const TPML_PCR_SELECTION asked = selection_of(pcrs, left);
        TPML_PCR_SELECTION got = {0};
        TPML_DIGEST values = {0};
        uint32_t updates = 0;
        TSS2_RC rc;
        IDM_TPM_COMMAND(tpm, rc,
                        Tss2_Sys_PCR_Read(tpm->sys, NULL, &asked, &updates, &got, &values, NULL));
        if (rc != TSS2_RC_SUCCESS)
            return idm_tpm_fail(tpm, rc, what_read, err);
        result = take_some(pcrs, &got, &values, &left, err);
    }
    return result;
}

/* SHA-256, the hash of the attestation key's scheme, over all values one after the other. */
static bool is_digest_of(const struct idm_pcrs *pcrs, const TPM2B_DIGEST *digest)
{
    uint8_t all[sizeof pcrs->value];
    uint8_t hash[IDM_SHA256_SIZE];
    size_t size = 0;
    for (unsigned int i = 0; i < PCRS; i++) {
        if (!(pcrs->selected >> i & 1))
            continue;
        memcpy(all + size, pcrs->value[i], pcrs->size);
        size += pcrs->size;
    }
    return idm_sha256(all, size, hash) == 0 && digest->size == sizeof hash &&
           memcmp(digest->buffer, hash, sizeof hash) == 0;
}

int idm_attest_quote(struct idm_tpm *tpm, uint32_t ak, const struct idm_pcrs *pcrs,
                     const uint8_t qualification[IDM_SHA256_SIZE], struct idm_attested *ret,
                     struct idm_error *err)
{
    static const char what[] = "quote the PCRs";
    const TPML_PCR_SELECTION selection = selection_of(pcrs, pcrs->selected);
    const TPM2B_DATA asked = idm_attest_data(qualification);
    TSS2L_SYS_AUTH_RESPONSE response = {0};
    TPM2B_ATTEST attest = {.size = sizeof attest.attestationData};
    TPMT_SIGNATURE signature = {0};
    _cleanup_attested_ struct idm_attested made = {0};
    TSS2_RC rc;
    IDM_TPM_COMMAND(tpm, rc,
                    Tss2_Sys_Quote(tpm->sys, ak, &idm_tpm_empty_password, &asked,
                                   &idm_attest_own_scheme, &selection, &attest, &signature,
                                   &response));
    if (rc != TSS2_RC_SUCCESS)
        return idm_tpm_fail(tpm, rc, what, err);
    int result =
        idm_attest_take(&attest, &signature, TPM2_ST_ATTEST_QUOTE, &asked, &made, what, err);
    if (result)
        return result;
    const TPMS_QUOTE_INFO *quote = &made.what.attested.quote;
    if (selected_of(&quote->pcrSelect, pcrs->bank) != pcrs->selected)
        return idm_fail(err, IDM_E_TPM_OTHER, what, "the TPM quoted other PCRs");
    if (!is_digest_of(pcrs, &quote->pcrDigest))
        return idm_fail(err, IDM_E_MISMATCH, what, "they change all the time");
    *ret = made;
    made = (struct idm_attested){0};
    return 0;
}
