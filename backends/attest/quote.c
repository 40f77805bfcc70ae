/* SPDX-License-Identifier: BSD-2-Clause */
/* quote.c - what the chip composes and signs with an attestation key: one command each. Each answer is
 * parsed and compared with what was asked, so that nothing else ever goes out as evidence. */
#include "backends/attest/internal.h"

#include <string.h>
#include <tss2/tss2_mu.h>

#define COUNTER_SIZE 8u

static const char why_other[] = "the TPM attests to something else than asked for";

/* The key's own scheme. */
const TPMT_SIG_SCHEME idm_attest_own_scheme = {.scheme = TPM2_ALG_NULL};
/* Two keys, or a key and an index, each with its empty password. */
static const TSS2L_SYS_AUTH_COMMAND two_passwords = {
    .count = 2, .auths = {{.sessionHandle = TPM2_RH_PW}, {.sessionHandle = TPM2_RH_PW}}};

void idm_attested_free(struct idm_attested *attested)
{
    idm_bytes_free(&attested->attest);
    idm_bytes_free(&attested->signature);
    *attested = (struct idm_attested){0};
}

TPM2B_DATA idm_attest_data(const uint8_t qualification[IDM_SHA256_SIZE])
{
    TPM2B_DATA data = {.size = IDM_SHA256_SIZE};
    memcpy(data.buffer, qualification, IDM_SHA256_SIZE);
    return data;
}

static bool is_as_asked(const TPMS_ATTEST *attest, TPMI_ST_ATTEST type, const TPM2B_DATA *asked)
{
    return attest->magic == TPM2_GENERATED_VALUE && attest->type == type &&
           attest->extraData.size == asked->size &&
           memcmp(attest->extraData.buffer, asked->buffer, asked->size) == 0;
}

int idm_attest_take(const TPM2B_ATTEST *attest, const TPMT_SIGNATURE *signature,
                    TPMI_ST_ATTEST type, const TPM2B_DATA *asked, struct idm_attested *ret,
                    const char *what, struct idm_error *err)
{
    uint8_t bytes[sizeof *signature];
    size_t at = 0;
    size_t size = 0;
    _cleanup_attested_ struct idm_attested taken = {0};
    if (Tss2_MU_TPMS_ATTEST_Unmarshal(attest->attestationData, attest->size, &at, &taken.what) !=
            TSS2_RC_SUCCESS ||
        at != attest->size || !is_as_asked(&taken.what, type, asked) ||
        Tss2_MU_TPMT_SIGNATURE_Marshal(signature, bytes, sizeof bytes, &size) != TSS2_RC_SUCCESS)
        return idm_fail(err, IDM_E_TPM_OTHER, what, "%s", why_other);
    int rc = idm_bytes_set(&taken.attest, attest->attestationData, attest->size);
    if (rc == 0)
        rc = idm_bytes_set(&taken.signature, bytes, size);
    if (rc)
        return idm_fail(err, rc, what, "%s", idm_error_sentence(rc));
    *ret = taken;
    taken = (struct idm_attested){0};
    return 0;
}

/* ---- keys ---- */

int idm_attest_certify(struct idm_tpm *tpm, uint32_t ak, uint32_t object,
                       const uint8_t qualification[IDM_SHA256_SIZE], struct idm_attested *ret,
                       struct idm_error *err)
{
    const struct idm_what what = idm_what_at("certify the TPM object at", object);
    const TPM2B_DATA asked = idm_attest_data(qualification);
    TSS2L_SYS_AUTH_RESPONSE response = {0};
    TPM2B_ATTEST attest = {.size = sizeof attest.attestationData};
    TPMT_SIGNATURE signature = {0};
    TSS2_RC rc;
    IDM_TPM_COMMAND(tpm, rc,
                    Tss2_Sys_Certify(tpm->sys, object, ak, &two_passwords, &asked,
                                     &idm_attest_own_scheme, &attest, &signature, &response));
    if (rc != TSS2_RC_SUCCESS)
        return idm_tpm_fail(tpm, rc, what.text, err);
    return idm_attest_take(&attest, &signature, TPM2_ST_ATTEST_CERTIFY, &asked, ret, what.text,
                           err);
}

static bool is_named(const TPM2B_NAME *name, const uint8_t wanted[IDM_NAME_SIZE])
{
    return name->size == IDM_NAME_SIZE && memcmp(name->name, wanted, IDM_NAME_SIZE) == 0;
}

static int certify_named(struct idm_tpm *tpm, uint32_t ak, uint32_t object,
                         const uint8_t name[IDM_NAME_SIZE],
                         const uint8_t qualification[IDM_SHA256_SIZE], struct idm_attested *ret,
                         struct idm_error *err)
{
    _cleanup_attested_ struct idm_attested made = {0};
    int rc = idm_attest_certify(tpm, ak, object, qualification, &made, err);
    if (rc)
        return rc;
    if (!is_named(&made.what.attested.certify.name, name))
        return idm_fail(err, IDM_E_TPM_TAKEN, idm_what_at("certify the device key at", object).text,
                        "another object is there");
    *ret = made;
    made = (struct idm_attested){0};
    return 0;
}

static int by_file(struct idm_tpm *tpm, uint32_t ak, const struct idm_ak_parent *parent,
                   const struct idm_tss2_key *file, const struct idm_device_key *key,
                   const uint8_t qualification[IDM_SHA256_SIZE], struct idm_attested *ret,
                   struct idm_error *err)
{
    uint32_t loaded = 0;
    int rc = idm_attest_load(tpm, parent->handle, file, "load the device key", &loaded, err);
    if (rc)
        return rc;
    rc = certify_named(tpm, ak, loaded, key->name, qualification, ret, err);
    idm_tpm_flush(tpm, loaded);
    return rc;
}

/* Only these say something about one copy; everything else is about the chip. */
static bool try_the_file(int rc)
{
    return rc == IDM_E_TPM_EMPTY || rc == IDM_E_TPM_TAKEN;
}

int idm_attest_device(struct idm_tpm *tpm, uint32_t ak, const struct idm_ak_parent *parent,
                      const struct idm_device_key *key,
                      const uint8_t qualification[IDM_SHA256_SIZE], TPM2B_PUBLIC *ret_area,
                      struct idm_attested *ret, struct idm_error *err)
{
    struct idm_tss2_key file;
    uint8_t name[IDM_NAME_SIZE];
    int rc = key->file ? idm_tss2_decode(key->file, &file, err) : 0;
    if (rc)
        return rc;
    rc = key->handle ? certify_named(tpm, ak, key->handle, key->name, qualification, ret, err)
                     : IDM_E_TPM_EMPTY;
    if (try_the_file(rc) && key->file)
        rc = by_file(tpm, ak, parent, &file, key, qualification, ret, err);
    else if (rc && !key->handle)
        (void)idm_fail(err, rc, "certify the device key", "no copy of it is left");
    if (rc)
        return rc;
    if (key->file)
        *ret_area = file.public_area; /* of that Name: no command */
    else
        rc = idm_tpm_read_public(tpm, key->handle, ret_area, name, err);
    return rc;
}

/* ---- qualified names (part 1, 16) ---- */

static bool extend(const TPM2B_PUBLIC *area, TPM2B_NAME *qualified)
{
    uint8_t bytes[2 * sizeof qualified->name];
    uint8_t name[IDM_NAME_SIZE];
    if (qualified->size > sizeof qualified->name || idm_public_name(area, name))
        return false;
    memcpy(bytes, qualified->name, qualified->size);
    memcpy(bytes + qualified->size, name, sizeof name);
    TPM2B_NAME next = {.size = IDM_NAME_SIZE, .name = {name[0], name[1]}};
    if (idm_sha256(bytes, qualified->size + sizeof name, next.name + 2))
        return false;
    *qualified = next;
    return true;
}

bool idm_attest_is_below(const TPM2B_PUBLIC *area, const struct idm_ak *parents,
                         const TPM2B_NAME *qualified)
{
    TPM2B_NAME computed = {.size = 4, .name = {TPM2_RH_OWNER >> 24, 0, 0, TPM2_RH_OWNER & 0xff}};
    for (size_t i = parents->parent_count; i > 0; i--)
        if (!extend(&parents->parents[i - 1], &computed))
            return false;
    return extend(area, &computed) && computed.size == qualified->size &&
           memcmp(computed.name, qualified->name, computed.size) == 0;
}

/* ---- counter ---- */

static bool nv_is_named(const TPM2B_NV_PUBLIC *area, const TPM2B_NAME *name)
{
    uint8_t bytes[sizeof *area];
    uint8_t computed[IDM_NAME_SIZE] = {TPM2_ALG_SHA256 >> 8, TPM2_ALG_SHA256 & 0xff};
    size_t size = 0;
    return Tss2_MU_TPMS_NV_PUBLIC_Marshal(&area->nvPublic, bytes, sizeof bytes, &size) ==
               TSS2_RC_SUCCESS &&
           idm_sha256(bytes, size, computed + 2) == 0 && is_named(name, computed);
}

/* What idmode's counter is called once it is written is known without asking for its public area: another
 * index has another Name. */
static int take_counter(const TPM2B_ATTEST *attest, const TPMT_SIGNATURE *signature,
                        const TPM2B_DATA *asked, const TPM2B_NV_PUBLIC *area,
                        struct idm_attested *ret, const char *what, struct idm_error *err)
{
    _cleanup_attested_ struct idm_attested made = {0};
    int rc = idm_attest_take(attest, signature, TPM2_ST_ATTEST_NV, asked, &made, what, err);
    if (rc)
        return rc;
    const TPMS_NV_CERTIFY_INFO *nv = &made.what.attested.nv;
    if (!nv_is_named(area, &nv->indexName))
        return idm_fail(err, IDM_E_TPM_TAKEN, what, "the index is not idmode's counter");
    if (nv->offset != 0 || nv->nvContents.size != COUNTER_SIZE)
        return idm_fail(err, IDM_E_TPM_OTHER, what, "%s", why_other);
    *ret = made;
    made = (struct idm_attested){0};
    return 0;
}

int idm_attest_counter(struct idm_tpm *tpm, uint32_t ak, uint32_t index,
                       const uint8_t qualification[IDM_SHA256_SIZE], TPM2B_NV_PUBLIC *ret_area,
                       struct idm_attested *ret, struct idm_error *err)
{
    const struct idm_what what = idm_what_at("certify the counter", index);
    const TPM2B_DATA asked = idm_attest_data(qualification);
    TSS2L_SYS_AUTH_RESPONSE response = {0};
    TPM2B_ATTEST attest = {.size = sizeof attest.attestationData};
    TPMT_SIGNATURE signature = {0};
    TSS2_RC rc;
    IDM_TPM_COMMAND(tpm, rc,
                    Tss2_Sys_NV_Certify(tpm->sys, ak, index, index, &two_passwords, &asked,
                                        &idm_attest_own_scheme, COUNTER_SIZE, 0, &attest,
                                        &signature, &response));
    if (rc != TSS2_RC_SUCCESS)
        return idm_tpm_fail(tpm, rc, what.text, err);
    idm_template_counter(index, ret_area);
    ret_area->nvPublic.attributes |= TPMA_NV_WRITTEN;
    return take_counter(&attest, &signature, &asked, ret_area, ret, what.text, err);
}
