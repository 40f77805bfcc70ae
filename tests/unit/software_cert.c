/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/software/cert.h"
#include "backends/software/key.h"
#include "backends/software/ossl.h"
#include "backends/software/subject.h"

#include "tests/unit/software_scratch.h"

#include <criterion/criterion.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void log_has(const char *text)
{
    _cleanup_bytes_ struct idm_bytes log = slurp("log");
    cr_assert_not_null(strstr((const char *)log.data, text), "%s not in:\n%s", text,
                       (const char *)log.data);
}

/* A key that signs as the test wants it. */
struct signer {
    struct idm_bytes pem;
    int calls;
    enum { HONEST, WRONG_BIT, OTHER_HASH, EMPTY, OVERLONG, FAILING } manner;
};

static int sign(void *ctx, enum idm_digest digest, const uint8_t *hash, struct idm_signature *ret,
                struct idm_error *err)
{
    struct signer *signer = ctx;
    uint8_t other[64] = {1};
    signer->calls++;
    if (signer->manner == FAILING)
        return idm_fail(err, IDM_E_TPM_BUSY, "sign", "the chip is busy");
    int r =
        idm_key_sign(&signer->pem, digest, signer->manner == OTHER_HASH ? other : hash, ret, err);
    if (signer->manner == WRONG_BIT)
        ret->data[ret->size - 1] ^= 1;
    if (signer->manner == EMPTY)
        ret->size = 0;
    if (signer->manner == OVERLONG)
        ret->size = IDM_SIG_MAX + 1;
    return r;
}

static void signer_free(struct signer *signer)
{
    idm_bytes_free(&signer->pem);
}

#define NOW  1767225600ll /* 2026-01-01 */
#define YEAR 31536000ll

static const struct idm_cert_profile profile = {
    .subject = "CN=device 1,O=Example", .not_before = NOW, .not_after = NOW + 20 * YEAR};

static int issue_with(const struct signer *signer, const struct idm_cert_profile *p,
                      enum idm_algorithm algorithm, struct idm_bytes *ret, struct idm_error *err)
{
    _cleanup_pkey_ EVP_PKEY *key = NULL;
    cr_assert_eq(idm_key_public(&signer->pem, &key, err), 0);
    int r = idm_cert_issue(p, key, algorithm, sign, (void *)signer, ret, err);
    cr_assert_eq(ERR_peek_error(), 0UL);
    return r;
}

TestSuite(software_cert, .init = make_scratch, .fini = remove_scratch, .timeout = 120);

static void check_issued(enum idm_algorithm algorithm, const char *signature_algorithm)
{
    __attribute__((cleanup(signer_free))) struct signer signer = {0};
    _cleanup_bytes_ struct idm_bytes cert = {0};
    struct idm_error err = {0};
    struct idm_key_info key;
    struct idm_cert_info info;
    cr_assert_eq(idm_key_generate(algorithm, &signer.pem, &err), 0);
    cr_assert_eq(issue_with(&signer, &profile, algorithm, &cert, &err), 0, "%s", err.why);
    cr_assert_eq(signer.calls, 1);
    spit("cert", &cert);
    spit("key", &signer.pem);
    shell("openssl verify -x509_strict -purpose sslclient -CAfile cert -partial_chain cert &&"
          "openssl verify -check_ss_sig -purpose sslserver -CAfile cert -partial_chain cert");
    shell("openssl x509 -in cert -out again && cmp cert again");
    shell(
        "openssl x509 -in cert -pubkey -noout > a && openssl pkey -in key -pubout > b && cmp a b");
    shell("openssl x509 -in cert -noout -text");
    log_has("Version: 3 (0x2)");
    log_has(signature_algorithm);
    log_has("X509v3 Basic Constraints: critical\n                CA:FALSE");
    log_has("X509v3 Key Usage: critical\n                Digital Signature\n");
    log_has("TLS Web Client Authentication, TLS Web Server Authentication\n");
    log_has("X509v3 Subject Key Identifier");
    log_has("Subject: O = Example, CN = device 1");
    log_has("Issuer: O = Example, CN = device 1");
    log_has("Not Before: Jan  1 00:00:00 2026 GMT");
    cr_assert_eq(idm_cert_inspect(&cert, &info, &err), 0, "%s", err.why);
    cr_assert_eq(idm_key_inspect(&signer.pem, &key, &err), 0);
    cr_assert_arr_eq(info.spki, key.spki, IDM_SHA256_SIZE);
    cr_assert_eq(info.not_before, profile.not_before);
    cr_assert_eq(info.not_after, profile.not_after);
    cr_assert_str_eq(info.subject, profile.subject);
    shell("openssl x509 -in cert -outform DER | openssl dgst -sha256 -binary -out h");
    _cleanup_bytes_ struct idm_bytes hash = slurp("h");
    cr_assert_arr_eq(info.sha256, hash.data, IDM_SHA256_SIZE);
}

Test(software_cert, issued_certificates_are_what_openssl_expects)
{
    check_issued(IDM_ECDSA_P256, "Signature Algorithm: ecdsa-with-SHA256");
    check_issued(IDM_ECDSA_P384, "Signature Algorithm: ecdsa-with-SHA384");
    check_issued(IDM_RSA_2048, "Signature Algorithm: sha256WithRSAEncryption");
}

Test(software_cert, serves_tls_both_ways)
{
    __attribute__((cleanup(signer_free))) struct signer signer = {0};
    _cleanup_bytes_ struct idm_bytes cert = {0};
    cr_assert_eq(idm_key_generate(IDM_ECDSA_P256, &signer.pem, NULL), 0);
    cr_assert_eq(issue_with(&signer, &profile, IDM_ECDSA_P256, &cert, NULL), 0);
    spit("cert", &cert);
    spit("key", &signer.pem);
    shell("openssl s_server -unix sock -cert cert -key key -Verify 1 -CAfile cert -partial_chain"
          " -verify_return_error -naccept 1 -quiet >server 2>&1 & n=0;"
          " until [ -S sock ] || [ $n -gt 500 ]; do n=$((n+1)); sleep 0.02; done;"
          " openssl s_client -unix sock -cert cert -key key -CAfile cert -partial_chain"
          " -verify_return_error -brief; r=$?; wait; exit $r");
    log_has("Verification: OK");
}

Test(software_cert, legacy_keys_of_other_kinds_can_be_certified)
{
    static const char *const makes[] = {
        "openssl ecparam -name secp521r1 -genkey -noout -out key", "openssl genrsa -out key 3072",
        ("openssl ecparam -name prime256v1 -genkey -noout -conv_form compressed "
         "-param_enc explicit -out key")};
    for (size_t i = 0; i < 3; i++) {
        __attribute__((cleanup(signer_free))) struct signer signer = {0};
        _cleanup_bytes_ struct idm_bytes cert = {0};
        struct idm_error err = {0};
        shell(makes[i]);
        signer.pem = slurp("key");
        cr_assert_eq(issue_with(&signer, &profile, IDM_ALG_NONE, &cert, &err), 0, "%s", err.why);
        spit("cert", &cert);
        shell("openssl verify -check_ss_sig -CAfile cert cert");
    }
    __attribute__((cleanup(signer_free))) struct signer signer = {0};
    _cleanup_bytes_ struct idm_bytes cert = {0};
    shell("openssl genpkey -algorithm ed25519 -out key");
    signer.pem = slurp("key");
    cr_assert_eq(issue_with(&signer, &profile, IDM_ALG_NONE, &cert, NULL), IDM_E_USAGE);
    cr_assert_eq(signer.calls, 0);
}

Test(software_cert, a_signature_that_is_not_good_gives_nothing)
{
    static const struct {
        int manner;
        int code;
    } cases[] = {{WRONG_BIT, IDM_E_MISMATCH},
                 {OTHER_HASH, IDM_E_MISMATCH},
                 {EMPTY, IDM_E_MISMATCH},
                 {OVERLONG, IDM_E_INTERNAL},
                 {FAILING, IDM_E_TPM_BUSY}};
    for (int algorithm = IDM_ECDSA_P256; algorithm <= IDM_RSA_2048; algorithm++) {
        __attribute__((cleanup(signer_free))) struct signer signer = {0};
        cr_assert_eq(idm_key_generate((enum idm_algorithm)algorithm, &signer.pem, NULL), 0);
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct idm_bytes cert = {0};
            struct idm_error err = {0};
            signer.manner = cases[i].manner;
            cr_assert_eq(issue_with(&signer, &profile, (enum idm_algorithm)algorithm, &cert, &err),
                         cases[i].code, "case %zu", i);
            cr_assert_eq(err.code, cases[i].code);
            cr_assert_null(cert.data);
        }
    }
}

Test(software_cert, another_keys_signature_gives_nothing)
{
    __attribute__((cleanup(signer_free))) struct signer signer = {0};
    __attribute__((cleanup(signer_free))) struct signer other = {0};
    _cleanup_pkey_ EVP_PKEY *key = NULL;
    struct idm_bytes cert = {0};
    cr_assert_eq(idm_key_generate(IDM_ECDSA_P256, &signer.pem, NULL), 0);
    cr_assert_eq(idm_key_generate(IDM_ECDSA_P256, &other.pem, NULL), 0);
    cr_assert_eq(idm_key_public(&signer.pem, &key, NULL), 0);
    cr_assert_eq(idm_cert_issue(&profile, key, IDM_ECDSA_P256, sign, &other, &cert, NULL),
                 IDM_E_MISMATCH);
    cr_assert_eq(idm_cert_issue(&profile, key, IDM_RSA_2048, sign, &signer, &cert, NULL),
                 IDM_E_MISMATCH);
    cr_assert_null(cert.data);
    cr_assert_eq(ERR_peek_error(), 0UL);
}

Test(software_cert, serial_numbers_are_random_positive_and_sixteen_octets)
{
    __attribute__((cleanup(signer_free))) struct signer signer = {0};
    char last[64] = "";
    cr_assert_eq(idm_key_generate(IDM_ECDSA_P256, &signer.pem, NULL), 0);
    for (int i = 0; i < 64; i++) {
        _cleanup_bytes_ struct idm_bytes cert = {0};
        cr_assert_eq(issue_with(&signer, &profile, IDM_ECDSA_P256, &cert, NULL), 0);
        BIO *bio = BIO_new_mem_buf(cert.data, (int)cert.size);
        X509 *x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x509), NULL);
        char *text = BN_bn2hex(number);
        cr_assert_eq(strlen(text), 32u, "%s", text);
        cr_assert(text[0] >= '4' && text[0] <= '7');
        cr_assert_str_neq(text, last);
        strcpy(last, text);
        OPENSSL_free(text);
        BN_free(number);
        X509_free(x509);
        BIO_free(bio);
    }
}

Test(software_cert, dates_before_and_after_2050)
{
    static const struct {
        int64_t seconds;
        const char *text, *encoded;
    } dates[] = {
        {0, "Jan  1 00:00:00 1970", "UTCTIME           :700101000000Z"},
        {951782399, "Feb 28 23:59:59 2000", "UTCTIME           :000228235959Z"},
        {951782400, "Feb 29 00:00:00 2000", "UTCTIME           :000229000000Z"},
        {2147483648, "Jan 19 03:14:08 2038", "UTCTIME           :380119031408Z"},
        {2524607999, "Dec 31 23:59:59 2049", "UTCTIME           :491231235959Z"},
        {2524608000, "Jan  1 00:00:00 2050", "GENERALIZEDTIME   :20500101000000Z"},
        {4107542400, "Mar  1 00:00:00 2100", "GENERALIZEDTIME   :21000301000000Z"},
        {253402300799, "Dec 31 23:59:59 9999", "GENERALIZEDTIME   :99991231235959Z"},
    };
    __attribute__((cleanup(signer_free))) struct signer signer = {0};
    cr_assert_eq(idm_key_generate(IDM_ECDSA_P256, &signer.pem, NULL), 0);
    for (size_t i = 1; i < sizeof dates / sizeof dates[0]; i++) {
        _cleanup_bytes_ struct idm_bytes cert = {0};
        struct idm_cert_info info;
        struct idm_cert_profile p = profile;
        p.not_before = dates[i - 1].seconds;
        p.not_after = dates[i].seconds;
        cr_assert_eq(issue_with(&signer, &p, IDM_ECDSA_P256, &cert, NULL), 0);
        cr_assert_eq(idm_cert_inspect(&cert, &info, NULL), 0);
        cr_assert_eq(info.not_before, dates[i - 1].seconds);
        cr_assert_eq(info.not_after, dates[i].seconds);
        spit("cert", &cert);
        shell("openssl x509 -in cert -noout -startdate -enddate; openssl asn1parse -in cert");
        log_has(dates[i - 1].text);
        log_has(dates[i].text);
        log_has(dates[i].encoded);
        log_has(dates[i - 1].encoded);
    }
    static const int64_t bad[][2] = {
        {-1, 10}, {10, 10}, {11, 10}, {0, 253402300800}, {INT64_MIN, INT64_MAX}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct idm_bytes cert = {0};
        struct idm_cert_profile p = profile;
        p.not_before = bad[i][0];
        p.not_after = bad[i][1];
        cr_assert_eq(issue_with(&signer, &p, IDM_ECDSA_P256, &cert, NULL), IDM_E_USAGE);
    }
}

static char *subject_text(const char *text, struct idm_error *err)
{
    static char printed[1024];
    _cleanup_x509_name_ X509_NAME *name = NULL;
    int r = idm_subject_parse(text, &name, err);
    cr_assert(r == 0 || r == IDM_E_SETTINGS, "%s: %d", text, r);
    cr_assert_eq(ERR_peek_error(), 0UL);
    if (r < 0)
        return NULL;
    _cleanup_bio_ BIO *bio = BIO_new(BIO_s_mem());
    X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB);
    printed[BIO_read(bio, printed, sizeof printed - 1)] = 0;
    return printed;
}

Test(software_cert, subjects)
{
    static const char *const good[][2] = {
        {"CN=a", "CN=a"},
        {"cn = a , o = b ", "CN=a,O=b"},
        {"CN=a b,OU=c,O=d,L=e,ST=f,street=g,C=DE,DC=h,UID=i", NULL},
        {"SERIALNUMBER=12-AB,CN=x", "serialNumber=12-AB,CN=x"},
        {"CN=Gerät №1,O=日本", NULL},
        {"CN=a\\,b\\+c\\\"d\\\\e\\<f\\>g\\;h\\=i", "CN=a\\,b\\+c\\\"d\\\\e\\<f\\>g\\;h=i"},
        {"CN=\\#a\\ ", "CN=\\#a\\ "},
        {"CN=\\C3\\a4", "CN=ä"},
        {"CN=a=b#c", "CN=a=b#c"},
        {"CN=100%", "CN=100%"},
        {"CN=1234567890123456789012345678901234567890123456789012345678901234", NULL},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct idm_error err = {0};
        const char *text = subject_text(good[i][0], &err);
        cr_assert_not_null(text, "%s: %s", good[i][0], err.why);
        cr_assert_str_eq(text, good[i][1] ? good[i][1] : good[i][0]);
    }
    static const char *const bad[] = {
        "",
        " ",
        "a",
        "CN",
        "CN=",
        "CN= ",
        "=a",
        "XX=a",
        "CN=a,",
        ",CN=a",
        "CN=a,,O=b",
        "CN=a+O=b",
        "CN=\"a\"",
        "CN=a;O=b",
        "CN=<a>",
        "CN=#0401",
        "CN=a\\",
        "CN=a\\x",
        "CN=a\\4",
        "CN=\\00",
        "CN=\\0a",
        "CN=a\nb",
        "CN=a+ä",
        "CN=\x7f",
        "CN=\xff",
        "CN=\xc3",
        "CN=\\C3",
        "CN=\xed\xa0\x80",
        "CN=%{serial}",
        "CN=a%{x}",
        "C=DEU",
        "C=D",
        "DC=\xc3\xa4",
        "SERIALNUMBER=\xc3\xa4",
        "CN=12345678901234567890123456789012345678901234567890123456789012345",
        "CN=1,CN=2,CN=3,CN=4,CN=5,CN=6,CN=7,CN=8,CN=9,CN=10,CN=11,CN=12,CN=13,CN=14,CN=15,CN=16,"
        "CN=17",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct idm_error err = {0};
        cr_assert_null(subject_text(bad[i], &err), "%s", bad[i]);
        cr_assert_eq(err.code, IDM_E_SETTINGS);
        cr_assert(err.why[0] && err.todo[0]);
        for (const char *c = err.why; *c; c++)
            cr_assert((unsigned char)*c < 0x80, "not printable: %s", err.why);
    }
    char everything[2] = "x";
    for (int c = 1; c < 256; c++) {
        char text[64];
        everything[0] = (char)c;
        (void)snprintf(text, sizeof text, "CN=a%sb,O=\\%s", everything, everything);
        (void)subject_text(text, NULL);
    }
}

Test(software_cert, invalid_subject_stops_before_the_key_is_used)
{
    __attribute__((cleanup(signer_free))) struct signer signer = {0};
    struct idm_bytes cert = {0};
    struct idm_cert_profile p = profile;
    strcpy(p.subject, "CN=%{serial}");
    cr_assert_eq(idm_key_generate(IDM_ECDSA_P256, &signer.pem, NULL), 0);
    cr_assert_eq(issue_with(&signer, &p, IDM_ECDSA_P256, &cert, NULL), IDM_E_SETTINGS);
    cr_assert_eq(signer.calls, 0);
    cr_assert_null(cert.data);
}

static void refuses(const void *data, size_t size, const char *why)
{
    _cleanup_bytes_ struct idm_bytes pem = {0};
    struct idm_cert_info info, before;
    struct idm_signature signature = {.size = 8};
    struct idm_error err = {0};
    uint8_t hash[32] = {0};
    cr_assert_eq(idm_bytes_set(&pem, data, size), 0);
    memset(&info, 0xa5, sizeof info);
    before = info;
    cr_assert_eq(idm_cert_inspect(&pem, &info, &err), IDM_E_CORRUPT, "not corrupt: %.300s",
                 (const char *)pem.data);
    cr_assert(!why || strstr(err.why, why), "%s", err.why);
    cr_assert_eq(memcmp(&info, &before, sizeof info), 0);
    cr_assert_eq(ERR_peek_error(), 0UL);
    int r = cert_verify(&pem, IDM_SHA256, hash, &signature, &err);
    cr_assert(r == IDM_E_CORRUPT || r == IDM_E_MISMATCH, "%d", r);
    cr_assert_eq(ERR_peek_error(), 0UL);
}

static void refuses_file(const char *name, const char *why)
{
    _cleanup_bytes_ struct idm_bytes pem = slurp(name);
    refuses(pem.data, pem.size, why);
}

#define CA_AND_LEAF                                                                                \
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout cak -out ca "    \
    "-subj /CN=CA -days 10 && openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 "       \
    "-nodes -keyout k -subj /CN=leaf -out r && openssl x509 -req -in r -CA ca -CAkey cak -days 9 " \
    "-out leaf && cat leaf ca > chain"

Test(software_cert, chains)
{
    struct idm_cert_info leaf, chain;
    struct idm_error err = {0};
    shell(CA_AND_LEAF " && openssl x509 -in leaf -text -out text && (cat leaf; head -c 300 ca) >"
                      " torn && (cat leaf k) > with-key && (cat leaf; sed s/MII/MIJ/ ca) > bad &&"
                      "openssl x509 -in leaf -trustout -addtrust clientAuth -out trusted &&"
                      "sed 's/N CERT/N X509 CERT/;s/D CERT/D X509 CERT/' leaf > old-label");
    _cleanup_bytes_ struct idm_bytes leaf_pem = slurp("leaf");
    cr_assert_eq(idm_cert_inspect(&leaf_pem, &leaf, &err), 0, "%s", err.why);
    cr_assert_str_eq(leaf.subject, "CN=leaf");
    static const char *const same[] = {"chain", "text", "old-label"};
    for (size_t i = 0; i < 3; i++) {
        _cleanup_bytes_ struct idm_bytes pem = slurp(same[i]);
        cr_assert_eq(idm_cert_inspect(&pem, &chain, &err), 0, "%s: %s", same[i], err.why);
        cr_assert_eq(chain.links, i == 0 ? 2 : 1,
                     "a chain counts as far as each signed the one before");
        cr_assert_arr_eq(chain.sha256, leaf.sha256, IDM_SHA256_SIZE);
        cr_assert_arr_eq(chain.spki, leaf.spki, IDM_SHA256_SIZE);
        cr_assert_str_eq(chain.subject, leaf.subject);
    }
    refuses_file("torn", "cut short");
    refuses_file("with-key", "unexpected PEM block: PRIVATE KEY");
    refuses_file("bad", NULL);
    refuses_file("trusted", "unexpected PEM block: TRUSTED CERTIFICATE");
}

Test(software_cert, garbage_is_corrupt)
{
    static char garbage[IDM_BYTES_MAX];
    refuses("", 0, "empty");
    refuses(garbage, 500, "binary");
    refuses(garbage, sizeof garbage, "binary");
    srand(42);
    for (size_t i = 0; i < sizeof garbage; i++)
        garbage[i] = (char)rand();
    refuses(garbage, sizeof garbage, NULL);
    memset(garbage, '\n', sizeof garbage);
    refuses(garbage, sizeof garbage, "no certificate");
}

Test(software_cert, every_truncation_is_corrupt)
{
    shell(CA_AND_LEAF);
    _cleanup_bytes_ struct idm_bytes pem = slurp("leaf");
    for (size_t size = 0; size < pem.size - 1; size++)
        refuses(pem.data, size, NULL);
}

Test(software_cert, no_edit_goes_unnoticed)
{
    static const char with[] = "ABQgw49+/= \n\r:-";
    static const char *const names[] = {"leaf", "own"};
    size_t unnoticed[2] = {0};
    __attribute__((cleanup(signer_free))) struct signer signer = {0};
    _cleanup_bytes_ struct idm_bytes own = {0};
    shell(CA_AND_LEAF);
    cr_assert_eq(idm_key_generate(IDM_ECDSA_P256, &signer.pem, NULL), 0);
    cr_assert_eq(issue_with(&signer, &profile, IDM_ECDSA_P256, &own, NULL), 0);
    spit("own", &own);
    for (size_t n = 0; n < 2; n++) {
        _cleanup_bytes_ struct idm_bytes pem = slurp(names[n]);
        _cleanup_bytes_ struct idm_bytes edited = {0};
        struct idm_cert_info good, info;
        cr_assert_eq(idm_cert_inspect(&pem, &good, NULL), 0);
        for (size_t i = 0; i < pem.size - 1; i++) {
            for (const char *c = with; *c; c++) {
                if (*c == (char)pem.data[i])
                    continue;
                cr_assert_eq(idm_bytes_set(&edited, pem.data, pem.size), 0);
                edited.data[i] = (uint8_t)*c;
                int r = idm_cert_inspect(&edited, &info, NULL);
                cr_assert(r == 0 || r == IDM_E_CORRUPT, "%d", r);
                cr_assert(r < 0 || memcmp(good.sha256, info.sha256, sizeof info.sha256) != 0,
                          "%s: byte %zu to %c", names[n], i, *c);
                unnoticed[n] += r == 0;
            }
        }
    }
    /* A self-signed one has its own signature to be checked against, unless the damage makes it
     * look as if another key had issued it. */
    cr_assert_lt(unnoticed[1], unnoticed[0] * 2 / 3, "%zu of %zu", unnoticed[1], unnoticed[0]);
}

/* Its hash stands for its own signature; nobody else's does. */
Test(software_cert, a_known_one_is_not_verified_again)
{
    __attribute__((cleanup(signer_free))) struct signer signer = {0};
    _cleanup_bytes_ struct idm_bytes own = {0};
    uint8_t known[2][IDM_SHA256_SIZE] = {{0}};
    struct idm_cert_info info, read;
    EVP_PKEY *key = NULL;
    struct idm_error err = {0};
    cr_assert_eq(idm_key_generate(IDM_ECDSA_P256, &signer.pem, NULL), 0);
    cr_assert_eq(issue_with(&signer, &profile, IDM_ECDSA_P256, &own, NULL), 0);
    cr_assert_eq(idm_cert_inspect(&own, &info, NULL), 0);
    memcpy(known[0], info.sha256, IDM_SHA256_SIZE);
    spit("own", &own);
    shell("openssl x509 -in own -outform der -out d");
    _cleanup_bytes_ struct idm_bytes der = slurp("d");
    der.data[der.size - 1] ^= 1;
    spit("d", &der);
    shell("openssl x509 -inform der -in d -out damaged");
    _cleanup_bytes_ struct idm_bytes damaged = slurp("damaged");
    cr_assert_eq(idm_cert_read(&own, known, 2, &read, &key, &err), 0, "%s", err.why);
    cr_expect_eq(memcmp(&read, &info, sizeof info), 0);
    EVP_PKEY_free(key);
    cr_expect_eq(idm_cert_read(&damaged, known, 2, &read, &key, &err), IDM_E_CORRUPT);
    cr_assert_eq(idm_sha256(der.data, der.size, known[1]), 0);
    cr_assert_eq(idm_cert_read(&damaged, known, 2, &read, &key, &err), 0, "%s", err.why);
    cr_expect_eq(memcmp(read.sha256, known[1], IDM_SHA256_SIZE), 0);
    EVP_PKEY_free(key);
}

Test(software_cert, verify_knows_its_key)
{
    uint8_t hash[32] = {1, 2, 3}, other[32] = {1, 2, 4};
    struct idm_signature signature, foreign;
    struct idm_error err = {0};
    shell(CA_AND_LEAF);
    _cleanup_bytes_ struct idm_bytes cert = slurp("chain");
    _cleanup_bytes_ struct idm_bytes key = slurp("k");
    _cleanup_bytes_ struct idm_bytes ca_key = slurp("cak");
    cr_assert_eq(idm_key_sign(&key, IDM_SHA256, hash, &signature, &err), 0);
    cr_assert_eq(idm_key_sign(&ca_key, IDM_SHA256, hash, &foreign, &err), 0);
    cr_assert_eq(cert_verify(&cert, IDM_SHA256, hash, &signature, &err), 0);
    cr_assert_eq(cert_verify(&cert, IDM_SHA256, other, &signature, &err), IDM_E_MISMATCH);
    cr_assert_eq(cert_verify(&cert, IDM_SHA256, hash, &foreign, &err), IDM_E_MISMATCH);
    for (size_t i = 0; i < signature.size; i++) {
        struct idm_signature edited = signature;
        edited.data[i] ^= 0x20;
        cr_assert_eq(cert_verify(&cert, IDM_SHA256, hash, &edited, &err), IDM_E_MISMATCH);
    }
    foreign.size = IDM_SIG_MAX + 1;
    cr_assert_eq(cert_verify(&cert, IDM_SHA256, hash, &foreign, &err), IDM_E_MISMATCH);
    cr_assert_eq(ERR_peek_error(), 0UL);
}

Test(software_cert, encoding_of_the_key_does_not_change_its_hash)
{
    struct idm_key_info key;
    struct idm_cert_info info;
    shell("openssl ecparam -name prime256v1 -genkey -noout -out k && openssl ec -in k "
          "-conv_form compressed -param_enc named_curve -out k2 && openssl req -x509 -new -key k2 "
          "-subj /CN=x -out cert");
    _cleanup_bytes_ struct idm_bytes key_pem = slurp("k");
    _cleanup_bytes_ struct idm_bytes cert_pem = slurp("cert");
    cr_assert_eq(idm_key_inspect(&key_pem, &key, NULL), 0);
    cr_assert_eq(idm_cert_inspect(&cert_pem, &info, NULL), 0);
    cr_assert_arr_eq(key.spki, info.spki, IDM_SHA256_SIZE);
}

Test(software_cert, long_subjects_are_cut_between_characters)
{
    struct idm_cert_info info;
    shell("openssl ecparam -name prime256v1 -genkey -noout -out k");
    for (int pad = 0; pad < 4; pad++) {
        char command[512], more[8] = "";
        memset(more, 'x', (size_t)pad);
        (void)snprintf(
            command, sizeof command,
            "u=ääääääääääääääääääääääääääääää; openssl req -x509 -new -utf8 -key k -subj "
            "/CN=%s$u/OU=$u$u/OU=$u$u/OU=$u$u/O=$u$u -out cert",
            more);
        shell(command);
        _cleanup_bytes_ struct idm_bytes pem = slurp("cert");
        cr_assert_eq(idm_cert_inspect(&pem, &info, NULL), 0);
        size_t size = strlen(info.subject);
        cr_assert(size < sizeof info.subject && size > sizeof info.subject - 6);
        cr_assert_str_eq(info.subject + size - 3, "…");
        cr_assert_eq((unsigned char)info.subject[size - 4], 0xa4, "cut inside a character");
    }
}
