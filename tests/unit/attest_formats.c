/* SPDX-License-Identifier: BSD-2-Clause */
/* The pure half of attestation: nonces, credentials, templates, the file of the keys, PCR lists. */
#include "backends/attest/attest.h"

#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <string.h>
#include <tss2/tss2_mu.h>

TestSuite(attest_formats, .timeout = 60);

/* ---- nonces ---- */

/* Computed apart: printf with sha256sum. */
static const uint8_t golden_quote[] = {
    0xaf, 0x3a, 0xd9, 0x44, 0x0b, 0xd5, 0xa1, 0xe0, 0xa6, 0x63, 0x80, 0x1d, 0x40, 0x7e, 0x04, 0xf2,
    0x43, 0x50, 0xd0, 0xd5, 0x0f, 0xe6, 0x6b, 0xf6, 0xc0, 0xe3, 0xc6, 0x9e, 0xd4, 0x78, 0x99, 0x56};
static const uint8_t golden_text[] = {
    0x96, 0xba, 0xbd, 0x41, 0x75, 0xda, 0xb3, 0x54, 0x28, 0xb0, 0xaf, 0xc4, 0xbb, 0x0b, 0xf0, 0x98,
    0x7a, 0xbf, 0x57, 0xac, 0x1a, 0x09, 0x1c, 0x9d, 0xc5, 0xd5, 0xf2, 0xbb, 0x00, 0xb2, 0x9f, 0x76};

static struct idm_attest_challenge challenge(const char *secret)
{
    struct idm_attest_challenge c = {0};
    cr_assert_eq(idm_attest_nonce("000102030405060708090A0b0c0d0e0f", &c, NULL), 0);
    c.secret_size = strlen(secret);
    memcpy(c.secret, secret, c.secret_size);
    return c;
}

Test(attest_formats, qualification_is_what_the_protocol_says)
{
    struct idm_attest_challenge c = challenge("");
    uint8_t q[IDM_SHA256_SIZE];

    cr_assert_eq(idm_attest_qualify("quote", &c, NULL, 0, q), 0);
    cr_assert_arr_eq(q, golden_quote, sizeof q);
    c = challenge("secret");
    cr_assert_eq(idm_attest_qualify("evidence", &c, "{}", 2, q), 0);
    cr_assert_arr_eq(q, golden_text, sizeof q);
}

Test(attest_formats, bounds_of_a_challenge)
{
    struct idm_attest_challenge c = challenge("");
    uint8_t q[IDM_SHA256_SIZE];
    char hex[2 * IDM_ATTEST_NONCE_MAX + 3];

    for (size_t size = 0; size <= IDM_ATTEST_NONCE_MAX + 1; size++) {
        memset(hex, 'a', 2 * size);
        hex[2 * size] = 0;
        bool good = size >= IDM_ATTEST_NONCE_MIN && size <= IDM_ATTEST_NONCE_MAX;
        cr_assert_eq(idm_attest_nonce(hex, &c, NULL) == 0, good, "%zu bytes", size);
    }
    cr_assert_eq(idm_attest_nonce("000102030405060708090a0b0c0d0e0", &c, NULL), IDM_E_USAGE);
    cr_assert_eq(idm_attest_nonce("000102030405060708090a0b0c0d0e0g", &c, NULL), IDM_E_USAGE);
    c = challenge("");
    c.secret_size = IDM_ATTEST_SECRET_MAX + 1;
    cr_assert_eq(idm_attest_qualify("quote", &c, NULL, 0, q), IDM_E_USAGE);
    c.secret_size = 0;
    c.nonce_size = IDM_ATTEST_NONCE_MIN - 1;
    cr_assert_eq(idm_attest_qualify("quote", &c, NULL, 0, q), IDM_E_USAGE);
}

/* ---- credentials ---- */

/* header, a SHA-384 HMAC and an encrypted 32-byte secret, a point of P-384 */
#define P384_SIZE (8 + 2 + 50 + 34 + 2 + 100)

static struct idm_bytes credential(uint16_t hmac, uint16_t secret, uint16_t coordinate)
{
    uint8_t bytes[1024] = {0xba, 0xdc, 0xc0, 0xde, 0, 0, 0, 1};
    struct idm_bytes file = {0};
    size_t at = 8;
    TPM2B_ID_OBJECT blob = {.size = (uint16_t)(2 + hmac + 2 + secret)};
    TPM2B_ENCRYPTED_SECRET seed = {0};
    TPMS_ECC_POINT point = {.x.size = coordinate, .y.size = coordinate};

    blob.credential[1] = (uint8_t)hmac;
    if (coordinate <= 66) {
        size_t size = 0;
        Tss2_MU_TPMS_ECC_POINT_Marshal(&point, seed.secret, sizeof seed.secret, &size);
        seed.size = (uint16_t)size;
    } else {
        seed.size = coordinate;
        seed.secret[0] = 0xfe;
    }
    cr_assert_eq(Tss2_MU_TPM2B_ID_OBJECT_Marshal(&blob, bytes, sizeof bytes, &at), 0);
    cr_assert_eq(Tss2_MU_TPM2B_ENCRYPTED_SECRET_Marshal(&seed, bytes, sizeof bytes, &at), 0);
    cr_assert_eq(idm_bytes_set(&file, bytes, at), 0);
    return file;
}

Test(attest_formats, credentials_of_every_kind_are_told_apart)
{
    static const struct {
        uint16_t hmac, size;
        TPMI_ALG_HASH hash;
        TPMI_ALG_PUBLIC type;
    } kinds[] = {
        {32, 256, TPM2_ALG_SHA256, TPM2_ALG_RSA}, {32, 32, TPM2_ALG_SHA256, TPM2_ALG_ECC},
        {48, 48, TPM2_ALG_SHA384, TPM2_ALG_ECC},  {64, 66, TPM2_ALG_SHA512, TPM2_ALG_ECC},
        {48, 384, TPM2_ALG_SHA384, TPM2_ALG_RSA}, {48, 512, TPM2_ALG_SHA384, TPM2_ALG_RSA}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        _cleanup_bytes_ struct idm_bytes file = credential(kinds[i].hmac, 32, kinds[i].size);
        struct idm_credential c;
        cr_assert_eq(idm_credential_parse(&file, &c, NULL), 0, "%zu", i);
        cr_assert_eq(c.hash, kinds[i].hash);
        cr_assert_eq(c.type, kinds[i].type);
        cr_assert_eq(c.key_size, kinds[i].size);
    }
}

static void refused(const struct idm_bytes *file, const char *why)
{
    struct idm_credential c;
    struct idm_error err = {0};
    cr_assert_eq(idm_credential_parse(file, &c, &err), IDM_E_REFUSED, "%s", why);
    cr_assert(err.why[0] && err.todo[0], "%s", why);
}

Test(attest_formats, hostile_credentials_are_refused)
{
    _cleanup_bytes_ struct idm_bytes good = credential(48, 32, 48);
    struct idm_bytes other = credential(20, 20, 32); /* SHA-1 */
    struct idm_credential c;

    cr_assert_eq(good.size, P384_SIZE);
    refused(&(struct idm_bytes){0}, "nothing at all");
    for (size_t size = 0; size < good.size; size++)
        refused(&(struct idm_bytes){good.data, size}, "cut short");
    /* data[size] is there: one byte more */
    refused(&(struct idm_bytes){good.data, good.size + 1}, "something behind it");
    refused(&other, "SHA-1");
    idm_bytes_free(&other);
    other = credential(32, 33, 32);
    refused(&other, "a secret longer than the digest");
    idm_bytes_free(&other);
    other = credential(32, 0, 32);
    refused(&other, "no secret");
    idm_bytes_free(&other);
    other = credential(32, 32, 255);
    refused(&other, "RSA of 2040 bits");
    idm_bytes_free(&other);
    other = credential(32, 32, 0);
    refused(&other, "the point at infinity");
    idm_bytes_free(&other);
    /* every bit: parsed or refused, and every size field refused */
    for (size_t bit = 0; bit < 8 * good.size; bit++) {
        good.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        int rc = idm_credential_parse(&good, &c, NULL);
        cr_assert(rc == 0 || rc == IDM_E_REFUSED);
        cr_assert(rc != 0 || bit / 8 >= 12, "bit %zu of the header", bit);
        good.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* ---- templates ---- */

static void hash(const EVP_MD *md, uint8_t *digest, size_t size, const void *data, size_t data_size)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_DigestInit_ex(ctx, md, NULL);
    EVP_DigestUpdate(ctx, digest, size);
    EVP_DigestUpdate(ctx, data, data_size);
    EVP_DigestFinal_ex(ctx, digest, NULL);
    EVP_MD_CTX_free(ctx);
}

/* Part 3, 23.4 and 23.6: policies A and B are computed, C is what makes B come out. */
Test(attest_formats, policies_are_what_they_stand_for)
{
    static const uint8_t secret[] = {0, 0, 1, 0x51, 0x40, 0, 0, 0x0b}; /* PolicySecret, its Name */
    for (size_t i = 0; i < IDM_EK_KINDS; i++) {
        const struct idm_ek_kind *kind = &idm_ek_kinds[i];
        const EVP_MD *md = kind->hash == TPM2_ALG_SHA256   ? EVP_sha256()
                           : kind->hash == TPM2_ALG_SHA384 ? EVP_sha384()
                                                           : EVP_sha512();
        size_t size = (size_t)EVP_MD_get_size(md);
        uint8_t digest[64] = {0}, either[4 + 128] = {0, 0, 1, 0x71}; /* PolicyOR */
        TPM2B_PUBLIC area;
        TPML_DIGEST branches;

        idm_ek_template(kind, &area);
        const TPM2B_DIGEST *policy = &area.publicArea.authPolicy;
        hash(md, digest, size, secret, sizeof secret);
        hash(md, digest, size, "", 0); /* no policyRef */
        cr_assert_eq(policy->size, size);
        idm_ek_policy_branches(kind->hash, &branches);
        cr_assert_eq(branches.count, 2);
        cr_assert_arr_eq(branches.digests[0].buffer, digest, size);
        if (!kind->high) {
            cr_assert_arr_eq(policy->buffer, digest, size, "%s", kind->name);
            cr_assert_eq(idm_ek_policy_of(&area), IDM_EK_POLICY_A);
            continue;
        }
        memcpy(either + 4, digest, size);
        memcpy(either + 4 + size, branches.digests[1].buffer, size);
        memset(digest, 0, size);
        hash(md, digest, size, either, 4 + 2 * size);
        cr_assert_arr_eq(policy->buffer, digest, size, "%s", kind->name);
        cr_assert_eq(idm_ek_policy_of(&area), IDM_EK_POLICY_B);
    }
}

Test(attest_formats, templates_fit_the_profile)
{
    TPM2B_PUBLIC low, ours, area;
    TPM2B_NAME name;
    uint8_t bytes[sizeof(TPM2B_PUBLIC)];
    size_t size = 0;

    /* the one that the record's EK Name is taken with */
    idm_ek_template(&idm_ek_kinds[1], &low);
    idm_template_ek(&ours);
    cr_assert(idm_public_same_template(&low, &ours));
    cr_assert_eq(low.publicArea.unique.ecc.y.size, 32);
    for (size_t i = 0; i < IDM_EK_KINDS; i++) {
        const struct idm_ek_kind *kind = &idm_ek_kinds[i];
        idm_ek_template(kind, &area);
        cr_assert_eq(area.publicArea.objectAttributes, kind->high ? 0x000300f2 : 0x000300b2);
        cr_assert_eq(idm_ek_name(&area, &name), 0);
        cr_assert_eq(name.size, 2 + area.publicArea.authPolicy.size);
        /* as it stands in NV */
        size = 0;
        cr_assert_eq(Tss2_MU_TPMT_PUBLIC_Marshal(&area.publicArea, bytes, sizeof bytes, &size), 0);
        cr_assert_eq(idm_ek_template_given(kind, bytes, size, &ours), 0);
        cr_assert(idm_public_same_template(&area, &ours));
        for (size_t cut = 0; cut < size; cut++)
            cr_assert_eq(idm_ek_template_given(kind, bytes, cut, &ours), IDM_E_CORRUPT);
    }
    /* a signing key, and another kind's, are none */
    idm_template_attestation(&area);
    size = 0;
    cr_assert_eq(Tss2_MU_TPMT_PUBLIC_Marshal(&area.publicArea, bytes, sizeof bytes, &size), 0);
    cr_assert_eq(idm_ek_template_given(&idm_ek_kinds[1], bytes, size, &ours), IDM_E_CORRUPT);
    cr_assert_eq(idm_ek_template_given(&idm_ek_kinds[0], bytes, size, &ours), IDM_E_CORRUPT);
    cr_assert_eq(area.publicArea.objectAttributes, 0x00050472);
}

Test(attest_formats, nonces_are_cut_to_the_room_there_is)
{
    uint8_t nonce[600];
    TPM2B_PUBLIC area;

    memset(nonce, 7, sizeof nonce);
    idm_ek_template(&idm_ek_kinds[0], &area);
    idm_ek_add_nonce(nonce, 3, &area);
    cr_assert_eq(area.publicArea.unique.rsa.size, 256);
    cr_assert_eq(area.publicArea.unique.rsa.buffer[2], 7);
    cr_assert_eq(area.publicArea.unique.rsa.buffer[3], 0);
    idm_ek_add_nonce(nonce, sizeof nonce, &area);
    cr_assert_eq(area.publicArea.unique.rsa.buffer[255], 7);
    cr_assert_eq(area.publicArea.unique.rsa.buffer[256], 0);
    idm_ek_template(&idm_ek_kinds[1], &area);
    idm_ek_add_nonce(nonce, sizeof nonce, &area);
    cr_assert_eq(area.publicArea.unique.ecc.x.buffer[31], 7);
    cr_assert_eq(area.publicArea.unique.ecc.x.buffer[32], 0);
    cr_assert_eq(area.publicArea.unique.ecc.y.buffer[0], 0);
}

/* ---- keys in a file ---- */

static struct idm_ak key(const char *service)
{
    struct idm_ak ak = {.key = {.parent = 0x81020001, .private_area = {.size = 3, .buffer = "abc"}},
                        .parent_count = 2};
    strcpy(ak.service, service);
    idm_template_attestation(&ak.key.public_area);
    ak.key.public_area.publicArea.unique.ecc.x.size = 32;
    ak.key.public_area.publicArea.unique.ecc.y.size = 32;
    memset(ak.key.public_area.publicArea.unique.ecc.x.buffer, 1, 32);
    idm_template_storage(&ak.parents[0]);
    idm_template_storage(&ak.parents[1]);
    return ak;
}

static struct idm_bytes two_keys(void)
{
    _cleanup_ak_file_ struct idm_ak_file file = {0};
    struct idm_bytes bytes = {0};
    struct idm_ak one = key(""), two = key("billing.v2");

    cr_assert_eq(idm_ak_file_put(&file, &one, NULL), 0);
    cr_assert_eq(idm_ak_file_put(&file, &two, NULL), 0);
    cr_assert_eq(idm_ak_file_put(&file, &two, NULL), 0, "in place of the first");
    cr_assert_eq(file.count, 2);
    cr_assert_eq(idm_ak_file_encode(&file, &bytes, NULL), 0);
    return bytes;
}

Test(attest_formats, keys_come_back_as_they_were_written)
{
    _cleanup_ak_file_ struct idm_ak_file file = {0};
    _cleanup_bytes_ struct idm_bytes bytes = two_keys();
    struct idm_ak two = key("billing.v2");

    cr_assert_eq(idm_ak_file_decode(&bytes, &file, NULL), 0);
    cr_assert_eq(file.count, 2);
    cr_assert_not_null(idm_ak_file_find(&file, ""));
    cr_assert_null(idm_ak_file_find(&file, "billing"));
    const struct idm_ak *found = idm_ak_file_find(&file, "billing.v2");
    cr_assert_eq(found->parent_count, 2);
    cr_assert(idm_public_same_template(&found->parents[1], &two.parents[1]));
    cr_assert_arr_eq(found->key.private_area.buffer, "abc", 3);
}

Test(attest_formats, room_for_so_many_services)
{
    _cleanup_ak_file_ struct idm_ak_file file = {0};
    char name[8];
    for (unsigned i = 0; i <= IDM_AK_SERVICES; i++) {
        snprintf(name, sizeof name, "s%u", i);
        struct idm_ak ak = key(name);
        cr_assert_eq(idm_ak_file_put(&file, &ak, NULL), i < IDM_AK_SERVICES ? 0 : IDM_E_FULL);
    }
    cr_assert(idm_ak_service_is_good(""));
    cr_assert(idm_ak_service_is_good("a-Z_0.9"));
    cr_assert(!idm_ak_service_is_good(".a"));
    cr_assert(!idm_ak_service_is_good("a/b"));
    cr_assert(!idm_ak_service_is_good("a\xc3\xa4"));
    cr_assert(idm_ak_service_is_good("12345678901234567890123456789012"));
    cr_assert(!idm_ak_service_is_good("123456789012345678901234567890123"));
}

static int decode(const char *text)
{
    struct idm_ak_file file = {0};
    struct idm_bytes bytes = {(uint8_t *)text, strlen(text)};
    int rc = idm_ak_file_decode(&bytes, &file, NULL);
    idm_ak_file_free(&file);
    return rc;
}

Test(attest_formats, damaged_files_of_keys)
{
    _cleanup_bytes_ struct idm_bytes good = two_keys();
    static const struct {
        const char *from, *to;
        int rc;
    } edits[] = {{"billing.v2", "../billing", IDM_E_CORRUPT},
                 {"\"service\"", "\"servant\"", IDM_E_CORRUPT},
                 {"-----BEGIN", "-----BEGAN", IDM_E_CORRUPT},
                 {"\"parents\": [", "\"parents\": {}, \"x\": [", IDM_E_CORRUPT},
                 {"\"min_reader\": 1", "\"min_reader\": 2", IDM_E_NEWER},
                 {"\"version\": 1", "\"version\": 2", 0}};

    for (size_t size = 0; size < good.size; size++) {
        struct idm_ak_file file = {0};
        cr_assert_eq(idm_ak_file_decode(&(struct idm_bytes){good.data, size}, &file, NULL),
                     IDM_E_CORRUPT, "%zu", size);
        cr_assert_null(file.keys);
    }
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        char text[8192];
        char *at = strstr((char *)good.data, edits[i].from);
        cr_assert_not_null(at);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - (char *)good.data), (char *)good.data,
                 edits[i].to, at + strlen(edits[i].from));
        cr_assert_eq(decode(text), edits[i].rc, "%s", edits[i].to);
    }
    cr_assert_eq(decode("{\"version\": 1, \"min_reader\": 1, \"keys\": []}"), 0);
    cr_assert_eq(decode("{\"version\": 1, \"min_reader\": 1, \"keys\": {}}"), IDM_E_CORRUPT);
    cr_assert_eq(decode("[]"), IDM_E_CORRUPT);
}

/* ---- PCR lists, qualified names ---- */

Test(attest_formats, lists_of_pcrs)
{
    static const char *const bad[] = {
        "",      "sha256",     "sha256:",   "sha256:24", "sha256:1,", "sha256:,",  "sha256:-1",
        "sha:1", "sha256:1;2", "sha256:1 ", "sha2566:1", "sha256:+1", "sha256:0x1"};
    struct idm_pcrs pcrs;
    cr_assert_eq(idm_pcrs_parse("sha384:0,23,7,7", &pcrs, NULL), 0);
    cr_assert_eq(pcrs.selected, 1u | 1u << 23 | 1u << 7);
    cr_assert_eq(pcrs.bank, TPM2_ALG_SHA384);
    cr_assert_eq(pcrs.size, 48);
    cr_assert_str_eq(idm_pcrs_bank(&pcrs), "sha384");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(idm_pcrs_parse(bad[i], &pcrs, NULL), IDM_E_USAGE, "%s", bad[i]);
}

Test(attest_formats, qualified_names_depend_on_every_parent)
{
    struct idm_ak parents = key("");
    uint8_t name[IDM_NAME_SIZE], step[4 + 34] = {0x40, 0, 0, 1}, both[68];

    parents.parents[0].publicArea.unique.ecc.x.size = 1; /* parent and root key differ */
    cr_assert_eq(idm_public_name(&parents.parents[1], step + 4), 0);
    uint8_t qualified[34] = {0, 0x0b};
    cr_assert_eq(idm_sha256(step, sizeof step, qualified + 2), 0);
    const TPM2B_PUBLIC *below[] = {&parents.parents[0], &parents.key.public_area};
    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq(idm_public_name(below[i], name), 0);
        memcpy(both, qualified, 34);
        memcpy(both + 34, name, 34);
        cr_assert_eq(idm_sha256(both, sizeof both, qualified + 2), 0);
    }
    TPM2B_NAME q = {.size = 34};
    memcpy(q.name, qualified, 34);
    cr_assert(idm_attest_is_below(&parents.key.public_area, &parents, &q));
    q.name[33] ^= 1;
    cr_assert(!idm_attest_is_below(&parents.key.public_area, &parents, &q));
    q.name[33] ^= 1;
    parents.parent_count = 1;
    cr_assert(!idm_attest_is_below(&parents.key.public_area, &parents, &q));
}
