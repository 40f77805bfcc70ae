/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/attest/forge.h"

#include "backends/software/cert.h"
#include "backends/software/key.h"
#include "backends/tpm/public.h"
#include "verify/pcrs.h"
#include "verify/wire.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_mu.h>

void forge_abort(const char *file, int line, const char *condition)
{
    (void)fprintf(stderr, "%s:%d: %s does not hold\n", file, line, condition);
    abort();
}

void forge_set(struct idm_bytes *b, const void *data, size_t size)
{
    FORGE_MUST(idm_bytes_set(b, data, size) == 0);
}

/* ---- keys ---- */

static void coordinate(const EVP_PKEY *key, const char *name, size_t bytes,
                       TPM2B_ECC_PARAMETER *ret)
{
    BIGNUM *number = NULL;
    FORGE_MUST(EVP_PKEY_get_bn_param(key, name, &number) == 1);
    FORGE_MUST(BN_bn2binpad(number, ret->buffer, (int)bytes) == (int)bytes);
    BN_free(number);
    ret->size = (UINT16)bytes;
}

EVP_PKEY *forge_key(TPM2B_PUBLIC *area)
{
    TPMT_PUBLIC *key = &area->publicArea;
    bool rsa = key->type == TPM2_ALG_RSA;
    bool p384 = key->parameters.eccDetail.curveID == TPM2_ECC_NIST_P384;
    EVP_PKEY *made = rsa ? EVP_RSA_gen(2048) : EVP_EC_gen(p384 ? "P-384" : "P-256");
    FORGE_MUST(made);
    if (rsa) {
        BIGNUM *n = NULL;
        FORGE_MUST(EVP_PKEY_get_bn_param(made, OSSL_PKEY_PARAM_RSA_N, &n) == 1);
        key->unique.rsa.size = 256;
        FORGE_MUST(BN_bn2binpad(n, key->unique.rsa.buffer, 256) == 256);
        BN_free(n);
    } else {
        coordinate(made, OSSL_PKEY_PARAM_EC_PUB_X, p384 ? 48 : 32, &key->unique.ecc.x);
        coordinate(made, OSSL_PKEY_PARAM_EC_PUB_Y, p384 ? 48 : 32, &key->unique.ecc.y);
    }
    return made;
}

static void ak_area(TPM2B_PUBLIC *ret)
{
    *ret = (TPM2B_PUBLIC){.publicArea = {.type = TPM2_ALG_ECC,
                                         .nameAlg = TPM2_ALG_SHA256,
                                         .objectAttributes = 0x00050472,
                                         .parameters.eccDetail = {
                                             .symmetric.algorithm = TPM2_ALG_NULL,
                                             .scheme = {.scheme = TPM2_ALG_ECDSA,
                                                        .details.ecdsa.hashAlg = TPM2_ALG_SHA256},
                                             .curveID = TPM2_ECC_NIST_P256,
                                             .kdf.scheme = TPM2_ALG_NULL,
                                         }}};
}

/* ---- certificates ---- */

static int sign_as(void *key, enum idm_digest digest, const uint8_t *hash,
                   struct idm_signature *ret, struct idm_error *err)
{
    (void)err;
    ret->size = sizeof ret->data;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    FORGE_MUST(digest == IDM_SHA256 && ctx && EVP_PKEY_sign_init(ctx) > 0 &&
               EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) > 0 &&
               EVP_PKEY_sign(ctx, ret->data, &ret->size, hash, IDM_SHA256_SIZE) > 0);
    EVP_PKEY_CTX_free(ctx);
    return 0;
}

static void self_signed(EVP_PKEY *key, const char *subject, struct idm_bytes *ret_der)
{
    struct idm_cert_profile profile = {.not_before = 1700000000, .not_after = 4000000000};
    struct idm_bytes pem = {0};
    unsigned char *der = NULL;
    (void)snprintf(profile.subject, sizeof profile.subject, "%s", subject);
    FORGE_MUST(idm_cert_issue(&profile, key, IDM_ALG_NONE, sign_as, key, &pem, NULL) == 0);
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    int size = i2d_X509(cert, &der);
    FORGE_MUST(size > 0);
    forge_set(ret_der, der, (size_t)size);
    OPENSSL_free(der);
    X509_free(cert);
    BIO_free(bio);
    idm_bytes_free(&pem);
}

static void hash_of(const struct idm_bytes *bytes, uint8_t ret[IDM_SHA256_SIZE])
{
    FORGE_MUST(idm_sha256(bytes->data, bytes->size, ret) == 0);
}

void forge_certificate(struct forge *f)
{
    struct idm_key_info info;
    self_signed(f->device_key, "CN=forged", &f->cert);
    hash_of(&f->cert, f->record.tpm_cert);
    FORGE_MUST(idm_public_inspect(f->device_key, &info, NULL) == 0);
    memcpy(f->record.tpm_spki, info.spki, IDM_SHA256_SIZE);
}

/* ---- the record ---- */

static void note_name(const TPM2B_PUBLIC *area, uint8_t ret[IDM_NAME_SIZE])
{
    FORGE_MUST(idm_public_name(area, ret) == 0);
}

void forge_record(struct forge *f)
{
    struct idm_record *r = &f->record;
    struct idm_signature signature = {0};
    EVP_PKEY *key = f->prepared ? f->old_key : f->device_key;
    note_name(&f->device, r->device_name);
    note_name(&f->parent, r->parent_name);
    note_name(&f->srk, r->srk_name);
    FORGE_MUST(idm_record_identity_hash(r, r->signed_hash) == 0);
    (void)sign_as(key, IDM_SHA256, r->signed_hash, &signature, NULL);
    memset(r->signature, 0, sizeof r->signature);
    memcpy(r->signature, signature.data, signature.size);
    r->signature_size = (uint16_t)signature.size;
}

void forge_prepare(struct forge *f)
{
    f->prepared = true;
    f->record.state = IDM_S_migrating;
    hash_of(&f->old_cert, f->record.software_cert);
    forge_record(f);
}

/* ---- the device ---- */

void forge_make(struct forge *f)
{
    static const uint8_t nonce[32] = {1, 2, 3};
    static const uint8_t secret[32] = {9, 8, 7};
    *f = (struct forge){.counter = 7,
                        .clock = {.clock = 1234567, .resetCount = 3, .restartCount = 1, .safe = 1}};
    idm_template_ek(&f->ek);
    idm_template_storage(&f->srk);
    idm_template_storage(&f->parent);
    ak_area(&f->ak);
    FORGE_MUST(idm_template_device(IDM_ECDSA_P256, &f->device) == 0);
    f->ek_key = forge_key(&f->ek);
    f->srk_key = forge_key(&f->srk);
    f->parent_key = forge_key(&f->parent);
    f->ak_key = forge_key(&f->ak);
    f->device_key = forge_key(&f->device);
    f->old_key = EVP_EC_gen("P-256");
    FORGE_MUST(f->old_key);
    f->nv.nvPublic = (TPMS_NV_PUBLIC){
        .nvIndex = FORGE_INDEX,
        .nameAlg = TPM2_ALG_SHA256,
        .attributes = TPMA_NV_AUTHREAD | TPMA_NV_AUTHWRITE | TPMA_NV_OWNERREAD | TPMA_NV_NO_DA |
                      TPMA_NV_WRITTEN | ((TPMA_NV)TPM2_NT_COUNTER << TPMA_NV_TPM2_NT_SHIFT),
        .dataSize = 8};
    self_signed(f->old_key, "CN=old", &f->old_cert);
    forge_set(&f->nonce, nonce, sizeof nonce);
    forge_set(&f->secret, secret, sizeof secret);
    f->record = (struct idm_record){.state = IDM_S_tpm_dual,
                                    .epoch = 4,
                                    .has_witness = 1,
                                    .witness = 7,
                                    .counter_index = FORGE_INDEX,
                                    .algorithm = IDM_ECDSA_P256};
    note_name(&f->ek, f->record.ek_name);
    forge_certificate(f);
    forge_record(f);
}

void forge_free(struct forge *f)
{
    EVP_PKEY *keys[] = {f->ek_key, f->srk_key, f->parent_key, f->ak_key, f->device_key, f->old_key};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        EVP_PKEY_free(keys[i]);
    idm_bytes_free(&f->cert);
    idm_bytes_free(&f->old_cert);
    idm_bytes_free(&f->nonce);
    idm_bytes_free(&f->secret);
}

void forge_policy(const struct forge *f, struct idm_policy *ret)
{
    *ret = (struct idm_policy){.question = {.nonce = &f->nonce, .secret = &f->secret}};
    FORGE_MUST(idm_wire_name(&f->ak, &ret->ak_name) == 0);
    FORGE_MUST(idm_pcr_list_parse(IDM_PCRS_DEFAULT, &ret->pcrs) == 0);
}

/* ---- JSON ---- */

json_t *forge_base64(const void *data, size_t size)
{
    char *text = malloc(size * 4 / 3 + 8);
    FORGE_MUST(text && EVP_EncodeBlock((unsigned char *)text, data, (int)size) >= 0);
    json_t *value = json_string(size ? text : "");
    free(text);
    return value;
}

static json_t *hex(const void *data, size_t size)
{
    char text[2 * 128 + 1];
    FORGE_MUST(size <= 128);
    idm_hex(data, size, text);
    return json_string(text);
}

json_t *forge_public(const TPM2B_PUBLIC *area)
{
    uint8_t bytes[sizeof *area];
    size_t size = 0;
    FORGE_MUST(Tss2_MU_TPM2B_PUBLIC_Marshal(area, bytes, sizeof bytes, &size) == TSS2_RC_SUCCESS);
    return forge_base64(bytes, size);
}

static json_t *nv_public(const TPM2B_NV_PUBLIC *area)
{
    uint8_t bytes[sizeof *area];
    size_t size = 0;
    FORGE_MUST(Tss2_MU_TPM2B_NV_PUBLIC_Marshal(area, bytes, sizeof bytes, &size) ==
               TSS2_RC_SUCCESS);
    return forge_base64(bytes, size);
}

static void print(json_t *object, struct idm_bytes *ret)
{
    char *text = json_dumps(object, JSON_COMPACT);
    FORGE_MUST(text);
    forge_set(ret, text, strlen(text));
    free(text);
    json_decref(object);
}

/* ---- what the chip says ---- */

static void qualified(const struct forge *f, const TPM2B_PUBLIC *area, TPM2B_NAME *ret)
{
    TPM2B_NAME above, name;
    idm_wire_hierarchy(TPM2_RH_OWNER, &above);
    FORGE_MUST(idm_wire_name(&f->srk, &name) == 0 &&
               idm_wire_qualified(&above, &name, &above) == 0);
    FORGE_MUST(idm_wire_name(&f->parent, &name) == 0 &&
               idm_wire_qualified(&above, &name, &above) == 0);
    FORGE_MUST(idm_wire_name(area, &name) == 0 && idm_wire_qualified(&above, &name, ret) == 0);
}

static void begin(const struct forge *f, TPMI_ST_ATTEST type, const char *label,
                  const struct idm_bytes *text, TPMS_ATTEST *ret)
{
    const struct idm_question question = {.nonce = &f->nonce, .secret = &f->secret};
    *ret = (TPMS_ATTEST){.magic = TPM2_GENERATED_VALUE,
                         .type = type,
                         .clockInfo = f->clock,
                         .firmwareVersion = 0x1122334455667788u,
                         .extraData.size = IDM_SHA256_SIZE};
    qualified(f, &f->ak, &ret->qualifiedSigner);
    FORGE_MUST(idm_question_hash(&question, label, text, ret->extraData.buffer) == 0);
}

static void sign(const struct forge *f, const TPMS_ATTEST *attest, json_t *object)
{
    uint8_t bytes[sizeof *attest];
    uint8_t hash[IDM_SHA256_SIZE];
    struct idm_signature der = {0};
    TPMT_SIGNATURE signature = {
        .sigAlg = TPM2_ALG_ECDSA,
        .signature.ecdsa = {.hash = TPM2_ALG_SHA256, .signatureR.size = 32, .signatureS.size = 32}};
    size_t size = 0;
    FORGE_MUST(Tss2_MU_TPMS_ATTEST_Marshal(attest, bytes, sizeof bytes, &size) == TSS2_RC_SUCCESS);
    (void)json_object_set_new(object, "attest", forge_base64(bytes, size));
    FORGE_MUST(idm_sha256(bytes, size, hash) == 0);
    (void)sign_as(f->signs ? f->signs : f->ak_key, IDM_SHA256, hash, &der, NULL);
    const uint8_t *at = der.data;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)der.size);
    FORGE_MUST(pair);
    (void)BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature.signature.ecdsa.signatureR.buffer, 32);
    (void)BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature.signature.ecdsa.signatureS.buffer, 32);
    ECDSA_SIG_free(pair);
    size = 0;
    FORGE_MUST(Tss2_MU_TPMT_SIGNATURE_Marshal(&signature, bytes, sizeof bytes, &size) ==
               TSS2_RC_SUCCESS);
    (void)json_object_set_new(object, "signature", forge_base64(bytes, size));
}

static json_t *parents(const struct forge *f)
{
    return json_pack("[o, o]", forge_public(&f->parent), forge_public(&f->srk));
}

static json_t *device_json(const struct forge *f)
{
    TPMS_ATTEST attest;
    json_t *object = json_pack("{s:o, s:o, s:[o]}", "public", forge_public(&f->device), "parents",
                               f->adopted ? json_array() : parents(f), "certificates",
                               forge_base64(f->cert.data, f->cert.size));
    begin(f, TPM2_ST_ATTEST_CERTIFY, IDM_Q_DEVICE, NULL, &attest);
    FORGE_MUST(idm_wire_name(&f->device, &attest.attested.certify.name) == 0);
    qualified(f, &f->device, &attest.attested.certify.qualifiedName);
    if (f->spoil_device)
        f->spoil_device(&attest);
    sign(f, &attest, object);
    return object;
}

static json_t *counter_json(const struct forge *f)
{
    TPMS_ATTEST attest;
    TPMS_NV_CERTIFY_INFO *nv = &attest.attested.nv;
    if (f->no_counter)
        return json_null();
    json_t *object = json_pack("{s:o}", "public", nv_public(&f->nv));
    begin(f, TPM2_ST_ATTEST_NV, IDM_Q_COUNTER, NULL, &attest);
    FORGE_MUST(idm_wire_nv_name(&f->nv, &nv->indexName) == 0);
    nv->nvContents.size = 8;
    for (unsigned int i = 0; i < 8; i++)
        nv->nvContents.buffer[i] = (uint8_t)(f->counter >> (56 - 8 * i));
    if (f->spoil_counter)
        f->spoil_counter(&attest);
    sign(f, &attest, object);
    return object;
}

/* All PCRs hold the SHA-256 of nothing, but for their first byte, which is their number. */
static void pcr_value(unsigned int pcr, uint8_t ret[IDM_SHA256_SIZE])
{
    FORGE_MUST(idm_sha256("", 0, ret) == 0);
    ret[0] = (uint8_t)pcr;
}

static json_t *quote_of(const struct forge *f, TPMS_ATTEST *attest)
{
    struct idm_pcrs pcrs;
    uint8_t all[IDM_PCRS * IDM_SHA256_SIZE];
    size_t size = 0;
    TPMS_QUOTE_INFO *quote = &attest->attested.quote;
    json_t *values = json_object();
    FORGE_MUST(idm_pcr_list_parse(f->pcrs ? f->pcrs : IDM_PCRS_DEFAULT, &pcrs) == 0);
    FORGE_MUST(pcrs.count == 1 && pcrs.bank[0].algorithm == TPM2_ALG_SHA256);
    quote->pcrSelect.count = 1;
    quote->pcrSelect.pcrSelections[0] =
        (TPMS_PCR_SELECTION){.hash = TPM2_ALG_SHA256, .sizeofSelect = 3};
    for (unsigned int pcr = 0; pcr < IDM_PCRS; pcr++) {
        char number[12];
        if (!(pcrs.bank[0].selected >> pcr & 1))
            continue;
        (void)snprintf(number, sizeof number, "%u", pcr);
        quote->pcrSelect.pcrSelections[0].pcrSelect[pcr / 8] |= (BYTE)(1u << pcr % 8);
        pcr_value(pcr, all + size);
        (void)json_object_set_new(values, number, hex(all + size, IDM_SHA256_SIZE));
        size += IDM_SHA256_SIZE;
    }
    quote->pcrDigest.size = IDM_SHA256_SIZE;
    FORGE_MUST(idm_sha256(all, size, quote->pcrDigest.buffer) == 0);
    return json_pack("{s:o}", "sha256", values);
}

/* ---- succession ---- */

static json_t *statement(const struct forge *f)
{
    static const char label[] = "idmode succession v1";
    uint8_t message[sizeof label + 68];
    uint8_t hash[IDM_SHA256_SIZE];
    struct idm_signature signature = {0};
    uint32_t epoch = f->record.epoch + 1;
    memcpy(message, label, sizeof label);
    hash_of(&f->old_cert, message + sizeof label);
    hash_of(&f->cert, message + sizeof label + 32);
    for (unsigned int i = 0; i < 4; i++)
        message[sizeof label + 64 + i] = (uint8_t)(epoch >> (8 * i));
    FORGE_MUST(idm_sha256(message, sizeof message, hash) == 0);
    (void)sign_as(f->old_key, IDM_SHA256, hash, &signature, NULL);
    json_t *object = json_pack("{s:i, s:s, s:o, s:o, s:I, s:o}", "schema", 1, "label", label,
                               "old_cert_sha256", hex(message + sizeof label, 32),
                               "new_cert_sha256", hex(message + sizeof label + 32, 32), "epoch",
                               (json_int_t)epoch, "signature", hex(signature.data, signature.size));
    struct idm_bytes text = {0};
    print(object, &text);
    json_t *value = json_string((const char *)text.data);
    idm_bytes_free(&text);
    return value;
}

static json_t *old_signature(const struct forge *f, const struct idm_bytes *body)
{
    static const char label[] = "idmode attest successor";
    const struct idm_question question = {.nonce = &f->nonce, .secret = &f->secret};
    uint8_t message[sizeof label + IDM_SHA256_SIZE];
    uint8_t hash[IDM_SHA256_SIZE];
    struct idm_signature signature = {0};
    memcpy(message, label, sizeof label);
    FORGE_MUST(idm_question_hash(&question, IDM_Q_SUCCESSOR, body, message + sizeof label) == 0);
    FORGE_MUST(idm_sha256(message, sizeof message, hash) == 0);
    (void)sign_as(f->old_key, IDM_SHA256, hash, &signature, NULL);
    return forge_base64(signature.data, signature.size);
}

/* ---- the documents ---- */

static json_t *body_of(struct forge *f, json_t *pcrs)
{
    static const char status[] =
        "{\"mode\": \"tpm\", \"state\": \"tpm-dual\", \"healthy\": true, \"legacy\": {\"storage\": "
        "\"plain\", \"ever_plain\": true}, \"image\": {\"version\": \"2.0\"}}";
    uint8_t record[8192];
    FORGE_MUST(idm_record_size() <= sizeof record && idm_record_encode(&f->record, record) == 0);
    json_t *body =
        json_pack("{s:s, s:o, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "service", "", "nonce",
                  hex(f->nonce.data, f->nonce.size), "credential", f->secret.size > 0, "prepared",
                  f->prepared, "ak", forge_public(&f->ak), "parents", parents(f), "device",
                  device_json(f), "counter", counter_json(f), "pcrs", pcrs, "record",
                  forge_base64(record, idm_record_size()), "status", json_loads(status, 0, NULL));
    (void)json_object_set_new(body, "statement", f->prepared ? statement(f) : json_null());
    (void)json_object_set_new(
        body, "old_certificates",
        f->prepared ? json_pack("[o]", forge_base64(f->old_cert.data, f->old_cert.size))
                    : json_null());
    return body;
}

void forge_evidence(struct forge *f, struct idm_bytes *ret)
{
    struct idm_bytes text = {0};
    TPMS_ATTEST attest = {0};
    TPMS_ATTEST head;
    json_t *body = body_of(f, quote_of(f, &attest));
    if (f->spoil_body)
        f->spoil_body(f, body);
    print(body, &text);
    begin(f, TPM2_ST_ATTEST_QUOTE, IDM_Q_EVIDENCE, &text, &head);
    head.attested.quote = attest.attested.quote;
    if (f->spoil_quote)
        f->spoil_quote(&head);
    json_t *outer = json_pack("{s:s, s:i, s:s, s:o}", "type", "idmode-evidence", "version", 1,
                              "body", (const char *)text.data, "old_signature",
                              f->prepared ? old_signature(f, &text) : json_null());
    sign(f, &head, outer);
    if (f->spoil_outer)
        f->spoil_outer(f, outer);
    idm_bytes_free(&text);
    print(outer, ret);
}

void forge_quote(struct forge *f, struct idm_bytes *ret)
{
    TPMS_ATTEST attest = {0};
    TPMS_ATTEST head;
    json_t *outer =
        json_pack("{s:s, s:i, s:o, s:s, s:o}", "type", "idmode-quote", "version", 1, "ak",
                  forge_public(&f->ak), "qualification", "", "pcrs", quote_of(f, &attest));
    begin(f, TPM2_ST_ATTEST_QUOTE, IDM_Q_QUOTE, NULL, &head);
    head.attested.quote = attest.attested.quote;
    if (f->spoil_quote)
        f->spoil_quote(&head);
    sign(f, &head, outer);
    if (f->spoil_outer)
        f->spoil_outer(f, outer);
    print(outer, ret);
}

void forge_certify(struct forge *f, struct idm_bytes *ret)
{
    print(json_pack("{s:s, s:i, s:o, s:o, s:s, s:o}", "type", "idmode-certify", "version", 1, "ak",
                    forge_public(&f->ak), "parents", parents(f), "qualification", "", "device",
                    device_json(f)),
          ret);
}

void forge_ak_document(struct forge *f, struct idm_bytes *ret)
{
    TPM2B_NAME name;
    FORGE_MUST(idm_wire_name(&f->ak, &name) == 0);
    print(json_pack("{s:s, s:i, s:s, s:o, s:o, s:o}", "type", "idmode-ak", "version", 1, "service",
                    "", "name", hex(name.name, name.size), "public", forge_public(&f->ak),
                    "parents", parents(f)),
          ret);
}

void forge_ek_document(struct forge *f, const struct idm_bytes *certificate, struct idm_bytes *ret)
{
    TPM2B_NAME name;
    FORGE_MUST(idm_wire_name(&f->ek, &name) == 0);
    json_t *key =
        json_pack("{s:s, s:o, s:o, s:o, s:o, s:b, s:n}", "template", "L-2", "name",
                  hex(name.name, name.size), "public", forge_public(&f->ek), "index",
                  certificate ? json_string("0x01c0000a") : json_null(), "certificate",
                  certificate ? forge_base64(certificate->data, certificate->size) : json_null(),
                  "matches", certificate != NULL, "why");
    print(json_pack("{s:s, s:i, s:s, s:s, s:[o], s:[]}", "type", "idmode-ek", "version", 1,
                    "manufacturer", "IBM", "firmware", "8217.4131", "keys", key, "chain"),
          ret);
}
