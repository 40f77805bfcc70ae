/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/software/key.h"
#include "backends/software/ossl.h"
#include "backends/software/pem.h"

#include "tests/unit/software_scratch.h"

#include "tests/support/thorough.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What openssl says the hash of the public key is; not for files whose encoding is not canonical.
 */
static void openssl_spki(const char *name, uint8_t ret[IDM_SHA256_SIZE])
{
    char command[256];
    (void)snprintf(command, sizeof command,
                   "openssl pkey -in %s -pubout -outform DER | openssl dgst -sha256 -binary -out h",
                   name);
    shell(command);
    _cleanup_bytes_ struct idm_bytes hash = slurp("h");
    cr_assert_eq(hash.size, IDM_SHA256_SIZE);
    memcpy(ret, hash.data, IDM_SHA256_SIZE);
}

static void accepts(const char *name, enum idm_algorithm algorithm, const char *canonical)
{
    struct idm_key_info info;
    struct idm_error err = {0};
    uint8_t spki[IDM_SHA256_SIZE];
    _cleanup_bytes_ struct idm_bytes pem = slurp(name);
    cr_assert_eq(idm_key_inspect(&pem, &info, &err), 0, "%s: %s", name, err.why);
    cr_assert_eq(err.code, 0);
    cr_assert_eq(info.algorithm, algorithm, "%s", name);
    openssl_spki(canonical, spki);
    cr_assert_arr_eq(info.spki, spki, IDM_SHA256_SIZE, "%s", name);
    cr_assert_eq(ERR_peek_error(), 0UL);
}

static void refuses(const struct idm_bytes *pem, const char *why)
{
    struct idm_key_info info, before;
    struct idm_error err = {0};
    memset(&info, 0xa5, sizeof info);
    before = info;
    cr_assert_eq(idm_key_inspect(pem, &info, &err), IDM_E_CORRUPT, "not corrupt: %.200s",
                 (const char *)pem->data);
    cr_assert_eq(err.code, IDM_E_CORRUPT);
    cr_assert(!why || strstr(err.why, why), "%s", err.why);
    cr_assert_eq(memcmp(&info, &before, sizeof info), 0);
    cr_assert_eq(ERR_peek_error(), 0UL);
}

static void refuses_text(const char *text, size_t size, const char *why)
{
    _cleanup_bytes_ struct idm_bytes pem = {0};
    cr_assert_eq(idm_bytes_set(&pem, text, size), 0);
    refuses(&pem, why);
}

static void refuses_file(const char *name, const char *why)
{
    _cleanup_bytes_ struct idm_bytes pem = slurp(name);
    refuses(&pem, why);
}

TestSuite(software_key, .init = make_scratch, .fini = remove_scratch, .timeout = 120);

Test(software_key, ec_in_every_form)
{
    for (size_t i = 0; i < 2; i++) {
        enum idm_algorithm algorithm = i ? IDM_ECDSA_P384 : IDM_ECDSA_P256;
        shell(i ? "openssl ecparam -name secp384r1 -genkey -out with-parameters"
                : "openssl ecparam -name prime256v1 -genkey -out with-parameters");
        shell("openssl ec -in with-parameters -out sec1 && openssl ec -in sec1 -text -out text &&"
              "openssl pkcs8 -topk8 -nocrypt -in sec1 -out pkcs8 &&"
              "openssl ec -in sec1 -conv_form compressed -out compressed &&"
              "openssl ec -in sec1 -param_enc explicit -out explicit &&"
              "openssl ec -in sec1 -no_public -out no-public &&"
              "sed 's/$/\\r/' sec1 > crlf && (printf %s \"$(cat sec1)\") > no-newline &&"
              "(echo Bag Attributes; echo '    localKeyID: 01'; cat pkcs8) > bag");
        static const char *const names[] = {"with-parameters", "sec1",     "text",      "pkcs8",
                                            "compressed",      "explicit", "no-public", "crlf",
                                            "no-newline",      "bag"};
        for (size_t n = 0; n < sizeof names / sizeof names[0]; n++)
            accepts(names[n], algorithm, "sec1");
    }
}

Test(software_key, rsa_in_every_form)
{
    shell("openssl genrsa -traditional -out pkcs1 2048 &&"
          "openssl pkcs8 -topk8 -nocrypt -in pkcs1 -out pkcs8 &&"
          "openssl genrsa -traditional -out large 4096 && openssl genrsa -out weak 1024");
    accepts("pkcs1", IDM_RSA_2048, "pkcs1");
    accepts("pkcs8", IDM_RSA_2048, "pkcs1");
    accepts("large", IDM_ALG_NONE, "large");
    refuses_file("weak", "too weak");
}

Test(software_key, other_good_keys_have_no_algorithm_of_ours)
{
    shell("openssl genpkey -algorithm ed25519 -out ed25519 &&"
          "openssl ecparam -name secp521r1 -genkey -noout -out p521 &&"
          "openssl ecparam -name secp256k1 -genkey -noout -out k256 &&"
          "openssl genpkey -algorithm x25519 -out x25519");
    accepts("ed25519", IDM_ALG_NONE, "ed25519");
    accepts("p521", IDM_ALG_NONE, "p521");
    accepts("k256", IDM_ALG_NONE, "k256");
    refuses_file("x25519", "cannot sign");
}

Test(software_key, encrypted_never_prompts)
{
    shell("openssl ecparam -name prime256v1 -genkey -noout -out k &&"
          "openssl ec -in k -aes128 -passout pass:secret -out traditional &&"
          "openssl pkcs8 -topk8 -in k -passout pass:secret -out pkcs8");
    refuses_file("traditional", "encrypted private keys are not supported");
    refuses_file("pkcs8", "encrypted private keys are not supported");
}

Test(software_key, hybrid_point_is_refused)
{
    shell("openssl ecparam -name prime256v1 -genkey -noout | "
          "openssl ec -conv_form hybrid -out hybrid");
    refuses_file("hybrid", "hybrid");
}

Test(software_key, exactly_one_key)
{
    shell(
        "openssl ecparam -name prime256v1 -genkey -out a &&"
        "openssl ecparam -name prime256v1 -genkey -out b &&"
        "openssl ecparam -name secp384r1 -out p384 && cat a b > two &&"
        "(cat p384; openssl ec -in a) > other-parameters && (cat p384 p384; cat a) > parameters &&"
        "openssl ec -in a -pubout -out public && cat a public > key-and-public &&"
        "openssl req -x509 -new -key a -subj /CN=x -out cert && cat cert a > cert-and-key");
    refuses_file("two", "more than one");
    refuses_file("other-parameters", "EC PARAMETERS");
    refuses_file("parameters", "EC PARAMETERS");
    refuses_file("p384", "no private key");
    refuses_file("public", "unexpected PEM block: PUBLIC KEY");
    refuses_file("key-and-public", NULL);
    refuses_file("cert-and-key", "unexpected PEM block: CERTIFICATE");
}

Test(software_key, garbage_is_corrupt)
{
    static char garbage[IDM_BYTES_MAX];
    struct idm_bytes empty = {0};
    refuses(&empty, "empty");
    refuses_text("", 0, "empty");
    refuses_text(garbage, 227, "binary");
    refuses_text(garbage, sizeof garbage, "binary");
    srand(4711);
    for (size_t i = 0; i < sizeof garbage; i++)
        garbage[i] = (char)rand();
    refuses_text(garbage, sizeof garbage, NULL);
    memset(garbage, 'A', sizeof garbage);
    refuses_text(garbage, sizeof garbage, "no private key");
    memcpy(garbage, "-----BEGIN PRIVATE KEY-----\n", 28);
    refuses_text(garbage, sizeof garbage, "cut short");
    memcpy(garbage + sizeof garbage - 27, "\n-----END PRIVATE KEY-----\n", 27);
    refuses_text(garbage, sizeof garbage, NULL);
}

Test(software_key, zero_bytes_in_a_good_file_are_corrupt)
{
    shell("openssl ecparam -name prime256v1 -genkey -out k");
    _cleanup_bytes_ struct idm_bytes pem = slurp("k");
    _cleanup_bytes_ struct idm_bytes edited = {0};
    for (size_t i = 0; i < pem.size; i++) {
        cr_assert_eq(idm_bytes_set(&edited, pem.data, pem.size), 0);
        edited.data[i] = 0;
        refuses(&edited, NULL);
        memset(edited.data + i, 0, edited.size - i);
        refuses(&edited, NULL);
    }
}

static void truncations(const char *name)
{
    _cleanup_bytes_ struct idm_bytes pem = slurp(name);
    cr_assert_eq(pem.data[pem.size - 1], '\n');
    /* Without its last newline the file is whole. */
    for (size_t size = 0; size < pem.size - 1; size++)
        refuses_text((const char *)pem.data, size, NULL);
}

Test(software_key, every_truncation_is_corrupt)
{
    shell("openssl ecparam -name prime256v1 -genkey -out parameters &&"
          "openssl genpkey -algorithm ec -pkeyopt ec_paramgen_curve:P-384 -out pkcs8 &&"
          "openssl genrsa -traditional -out rsa 2048");
    truncations("parameters");
    truncations("pkcs8");
    truncations("rsa");
}

/* Every `step`-th byte replaced by each of `with`. */
static void single_edits(const char *name, size_t step, const char *with)
{
    _cleanup_bytes_ struct idm_bytes pem = slurp(name);
    _cleanup_bytes_ struct idm_bytes edited = {0};
    struct idm_key_info good, info;
    cr_assert_eq(idm_key_inspect(&pem, &good, NULL), 0);
    for (size_t i = 0; i < pem.size - 1; i += step) {
        for (const char *c = with; *c; c++) {
            if (*c == (char)pem.data[i])
                continue;
            cr_assert_eq(idm_bytes_set(&edited, pem.data, pem.size), 0);
            edited.data[i] = (uint8_t)*c;
            int r = idm_key_inspect(&edited, &info, NULL);
            cr_assert(r == 0 || r == IDM_E_CORRUPT, "byte %zu to %c: %d", i, *c, r);
            cr_assert(r < 0 || memcmp(good.spki, info.spki, sizeof info.spki) != 0,
                      "%s: byte %zu, %c to %c: the same key", name, i, pem.data[i], *c);
        }
    }
}

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/= \n\r\t-:";

Test(software_key, no_edit_of_an_ec_key_goes_unnoticed)
{
    shell("openssl ecparam -name prime256v1 -genkey -out parameters &&"
          "openssl pkcs8 -topk8 -nocrypt -in parameters -out pkcs8 &&"
          "openssl ecparam -name secp384r1 -genkey -noout -out p384 &&"
          "openssl genpkey -algorithm ed25519 -out ed25519");
    single_edits("parameters", idm_every(2), "AEQgw/=\n \r-:");
    single_edits("parameters", idm_every(31), alphabet);
    single_edits("pkcs8", idm_every(3), "AEQgw/=\n ");
    single_edits("p384", idm_every(5), "AQg7/=\n");
    single_edits("ed25519", idm_every(2), "AEQgw/=\n ");
}

Test(software_key, no_edit_of_an_rsa_key_goes_unnoticed)
{
    shell("openssl genrsa -traditional -out pkcs1 2048 &&"
          "openssl pkcs8 -topk8 -nocrypt -in pkcs1 -out pkcs8");
    /* Each takes two primality tests. */
    single_edits("pkcs1", idm_every(3), "=");
    single_edits("pkcs1", 29 * idm_every(4), "Aw");
    single_edits("pkcs8", 41 * idm_every(4), "B");
}

/* Damage that OpenSSL overlooks: offset and new byte in the DER of a PKCS #8 RSA key. */
Test(software_key, damage_that_openssl_overlooks_is_corrupt)
{
    static const struct {
        size_t at;
        uint8_t from, to;
    } edits[] = {
        {6, 0x00, 0x01},  /* PrivateKeyInfo.version */
        {20, 0x05, 0x04}, /* the algorithm's parameters: NULL */
        {32, 0x00, 0x02}, /* RSAPrivateKey.version */
    };
    shell("openssl genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:2048 -out k");
    _cleanup_bytes_ struct idm_bytes pem = slurp("k");
    struct idm_pem_cursor cursor = {.at = (const char *)pem.data, .left = pem.size};
    _cleanup_pem_block_ struct idm_pem_block block = {0};
    cr_assert_eq(idm_pem_next(&cursor, "read", &block, NULL), 0);
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        _cleanup_bytes_ struct idm_bytes again = {0};
        cr_assert_eq(block.der.data[edits[i].at], edits[i].from);
        block.der.data[edits[i].at] = edits[i].to;
        cr_assert_eq(idm_pem_append(&again, block.label, block.der.data, block.der.size), 0);
        refuses(&again, NULL);
        block.der.data[edits[i].at] = edits[i].from;
        idm_bytes_free(&again);
        cr_assert_eq(idm_pem_append(&again, block.label, block.der.data, block.der.size), 0);
        cr_assert(idm_bytes_equal(&again, &pem));
    }
}

Test(software_key, foreign_public_half_is_corrupt)
{
    /* The private scalar of one key with the public point of another. */
    shell("openssl ecparam -name prime256v1 -genkey -noout -outform DER -out a &&"
          "openssl ecparam -name prime256v1 -genkey -noout -outform DER -out b &&"
          "(head -c 57 a; tail -c +58 b) > mixed.der && (echo -----BEGIN EC PRIVATE KEY-----;"
          "base64 -w 64 mixed.der; echo -----END EC PRIVATE KEY-----) > mixed");
    refuses_file("mixed", "do not belong together");
    _cleanup_bytes_ struct idm_bytes pem = slurp("mixed");
    struct idm_signature signature;
    struct idm_error err = {0};
    uint8_t hash[32] = {1};
    cr_assert_eq(idm_key_sign(&pem, IDM_SHA256, hash, &signature, &err), IDM_E_CORRUPT);
    cr_assert_eq(ERR_peek_error(), 0UL);
}

static void signs_as_openssl_verifies(const struct idm_bytes *pem, enum idm_digest digest,
                                      const char *name)
{
    char command[256];
    struct idm_error err = {0};
    struct idm_signature signature;
    spit("k", pem);
    (void)snprintf(command, sizeof command,
                   "echo data > d && openssl dgst -%s -binary -out h d && "
                   "openssl pkey -in k -pubout -out pub",
                   name);
    shell(command);
    _cleanup_bytes_ struct idm_bytes hash = slurp("h");
    cr_assert_eq(idm_key_sign(pem, digest, hash.data, &signature, &err), 0, "%s", err.why);
    struct idm_bytes raw = {.data = signature.data, .size = signature.size};
    spit("s", &raw);
    (void)snprintf(command, sizeof command, "openssl dgst -%s -verify pub -signature s d", name);
    shell(command);
    _cleanup_pkey_ EVP_PKEY *public_key = NULL;
    cr_assert_eq(idm_key_public(pem, &public_key, &err), 0);
    cr_assert_eq(idm_public_verify(public_key, digest, hash.data, &signature, &err), 0);
    signature.data[signature.size / 2] ^= 1;
    cr_assert_eq(idm_public_verify(public_key, digest, hash.data, &signature, &err),
                 IDM_E_MISMATCH);
    cr_assert_eq(ERR_peek_error(), 0UL);
}

Test(software_key, generated_keys_are_as_openssl_writes_them)
{
    static const enum idm_algorithm all[] = {IDM_ECDSA_P256, IDM_ECDSA_P384, IDM_RSA_2048};
    static const char *const again[] = {
        "(openssl ecparam -name prime256v1; openssl ec -in k 2>/dev/null) > again",
        "(openssl ecparam -name secp384r1; openssl ec -in k 2>/dev/null) > again",
        "openssl rsa -traditional -in k -out again"};
    for (size_t i = 0; i < 3; i++) {
        struct idm_error err = {0};
        _cleanup_bytes_ struct idm_bytes pem = {0};
        cr_assert_eq(idm_key_generate(all[i], &pem, &err), 0, "%s", err.why);
        spit("k", &pem);
        accepts("k", all[i], "k");
        shell(again[i]);
        shell("cmp k again && openssl pkey -in k -check -noout");
        signs_as_openssl_verifies(&pem, IDM_SHA256, "sha256");
        signs_as_openssl_verifies(&pem, IDM_SHA384, "sha384");
        signs_as_openssl_verifies(&pem, IDM_SHA512, "sha512");
    }
    _cleanup_bytes_ struct idm_bytes none = {0};
    cr_assert_eq(idm_key_generate(IDM_ALG_NONE, &none, NULL), IDM_E_USAGE);
    cr_assert_null(none.data);
}

Test(software_key, many_generated_keys_round_trip)
{
    /* About one in 128 points has a coordinate that begins with a zero byte. */
    int zeros = 0;
    for (int i = 0; i < 1000 && !(i >= 300 && zeros > 0); i++) {
        struct idm_key_info info, public_info;
        _cleanup_bytes_ struct idm_bytes pem = {0};
        _cleanup_bytes_ struct idm_bytes der = {0};
        _cleanup_pkey_ EVP_PKEY *public_key = NULL;
        cr_assert_eq(idm_key_generate(IDM_ECDSA_P256, &pem, NULL), 0);
        cr_assert_eq(idm_key_inspect(&pem, &info, NULL), 0);
        cr_assert_eq(idm_key_public(&pem, &public_key, NULL), 0);
        cr_assert_eq(idm_public_inspect(public_key, &public_info, NULL), 0);
        cr_assert_eq(memcmp(info.spki, public_info.spki, sizeof info.spki), 0);
        cr_assert_eq(idm_public_spki(public_key, &der, NULL), 0);
        cr_assert_eq(der.size, 91u);
        cr_assert_eq(der.data[26], 4);
        zeros += der.data[27] == 0 || der.data[59] == 0;
    }
    cr_assert_gt(zeros, 0);
}

Test(software_key, public_half_holds_no_private_key)
{
    _cleanup_bytes_ struct idm_bytes pem = {0};
    _cleanup_pkey_ EVP_PKEY *public_key = NULL;
    cr_assert_eq(idm_key_generate(IDM_ECDSA_P256, &pem, NULL), 0);
    cr_assert_eq(idm_key_public(&pem, &public_key, NULL), 0);
    unsigned char *der = NULL;
    cr_assert_leq(i2d_PrivateKey(public_key, &der), 0);
    ERR_clear_error();
}

static unsigned long allocations_left = ULONG_MAX;
static bool fails_once;

static bool allocation_fails(void)
{
    if (allocations_left) {
        allocations_left--;
        return false;
    }
    if (fails_once)
        allocations_left = ULONG_MAX;
    return true;
}

static void *failing_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (allocation_fails())
        return NULL;
    return size ? malloc(size) : NULL;
}

static void *failing_realloc(void *data, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (allocation_fails())
        return NULL;
    return realloc(data, size);
}

static void plain_free(void *data, const char *file, int line)
{
    (void)file;
    (void)line;
    free(data);
}

/* OpenSSL takes other allocators only before its first allocation. */
__attribute__((constructor)) static void use_failing_allocators(void)
{
    (void)CRYPTO_set_mem_functions(failing_malloc, failing_realloc, plain_free);
}

/* The n-th allocation fails, or all from it on: a good file is still not called damaged. */
Test(software_key, a_lack_of_memory_is_no_damage)
{
    struct idm_key_info info;
    shell("openssl ecparam -name prime256v1 -genkey -out k");
    _cleanup_bytes_ struct idm_bytes pem = slurp("k");
    CRYPTO_malloc_fn used = NULL;
    CRYPTO_get_mem_functions(&used, NULL, NULL);
    cr_assert(used == failing_malloc);
    cr_assert_eq(idm_key_inspect(&pem, &info, NULL), 0);
    for (int once = 0; once < 2; once++) {
        bool ran_out = true;
        for (unsigned long n = 0; ran_out; n++) {
            fails_once = once;
            allocations_left = n;
            int r = idm_key_inspect(&pem, &info, NULL);
            ran_out = allocations_left == 0 || allocations_left > ULONG_MAX / 2;
            allocations_left = ULONG_MAX;
            cr_assert(r == 0 || r == IDM_E_MEMORY || r == IDM_E_CRYPTO, "once %d, %lu: %d", once, n,
                      r);
        }
    }
}

Test(software_key, keys_that_sign_no_digests_say_so)
{
    shell("openssl genpkey -algorithm ed25519 -out ed25519");
    _cleanup_bytes_ struct idm_bytes pem = slurp("ed25519");
    struct idm_signature signature;
    struct idm_error err = {0};
    uint8_t hash[32] = {1};
    cr_assert_eq(idm_key_sign(&pem, IDM_SHA256, hash, &signature, &err), IDM_E_CRYPTO);
    cr_assert(strstr(err.why, "signs no digests"), "%s", err.why);
    cr_assert_eq(ERR_peek_error(), 0UL);
}
