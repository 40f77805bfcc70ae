/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests for a CA, and what comes back from one: openssl is the CA. */
#include "backends/software/request.h"

#include "tests/unit/software_scratch.h"

#include <time.h>

TestSuite(software_request, .init = make_scratch, .fini = remove_scratch);

static int sign(void *ctx, enum idm_digest digest, const uint8_t *hash, struct idm_signature *ret,
                struct idm_error *err)
{
    return idm_key_sign(ctx, digest, hash, ret, err);
}

static int request_by(struct idm_bytes *key, struct idm_bytes *signing, const char *subject,
                      struct idm_bytes *ret, struct idm_error *err)
{
    EVP_PKEY *public_key = NULL;
    cr_assert_eq(idm_key_public(key, &public_key, NULL), 0);
    int r = idm_request_issue(subject, public_key, sign, signing, ret, err);
    EVP_PKEY_free(public_key);
    return r;
}

static void log_has(const char *text)
{
    _cleanup_bytes_ struct idm_bytes log = slurp("log");
    cr_assert_not_null(strstr((const char *)log.data, text), "%s not in:\n%s", text,
                       (const char *)log.data);
}

static void check_request(enum idm_algorithm algorithm)
{
    _cleanup_bytes_ struct idm_bytes key = {0};
    _cleanup_bytes_ struct idm_bytes pem = {0};
    struct idm_error err = {0};
    cr_assert_eq(idm_key_generate(algorithm, &key, NULL), 0);
    cr_assert_eq(request_by(&key, &key, "CN=device 1,O=Example", &pem, &err), 0, "%s", err.why);
    spit("csr", &pem);
    spit("key", &key);
    shell("openssl req -in csr -verify -noout && openssl req -in csr -text -noout");
    log_has("Subject: O = Example, CN = device 1");
    log_has("Version: 1 (0x0)");
    log_has("X509v3 Key Usage: critical");
    log_has("Digital Signature");
    log_has("TLS Web Client Authentication, TLS Web Server Authentication");
    shell("openssl req -in csr -pubkey -noout > a; openssl pkey -in key -pubout > b; cmp a b");
}

Test(software_request, openssl_reads_and_verifies_it)
{
    check_request(IDM_ECDSA_P256);
    check_request(IDM_ECDSA_P384);
    check_request(IDM_RSA_2048);
}

Test(software_request, another_keys_signature_and_bad_subjects_are_found)
{
    _cleanup_bytes_ struct idm_bytes key = {0};
    _cleanup_bytes_ struct idm_bytes other = {0};
    _cleanup_bytes_ struct idm_bytes pem = {0};
    cr_assert_eq(idm_key_generate(IDM_ECDSA_P256, &key, NULL), 0);
    cr_assert_eq(idm_key_generate(IDM_ECDSA_P256, &other, NULL), 0);
    cr_assert_eq(request_by(&key, &other, "CN=x", &pem, NULL), IDM_E_MISMATCH);
    cr_assert_eq(request_by(&key, &key, "no subject", &pem, NULL), IDM_E_SETTINGS);
    cr_assert_null(pem.data);
}

/* ---- chains ---- */

/* ca NAME ISSUER EXTENSION…, leaf NAME ISSUER EXTENSION…: keys k.NAME, certificates NAME. */
#define TOOLS                                                                                      \
    "ec() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out k.$1; };"          \
    "make() { n=$1; by=$2; shift 2; ec $n; openssl req -new -key k.$n -subj /CN=$n -out r; "       \
    "printf '%%b' \"$*\" > ext; if [ $by = $n ]; then set -- -signkey k.$n; "                      \
    "else set -- -CA $by -CAkey k.$by -CAcreateserial; fi; "                                       \
    "openssl x509 -req -in r \"$@\" ${days:--days 9} ${md:--sha256} -extfile ext -out $n; };"      \
    "CA='basicConstraints=critical,CA:TRUE\\nkeyUsage=critical,keyCertSign\\n';"                   \
    "LEAF='basicConstraints=CA:FALSE\\nkeyUsage=critical,digitalSignature\\n"                      \
    "extendedKeyUsage=clientAuth\\n';"

static int check_file(const char *name, struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes pem = slurp(name);
    _cleanup_bytes_ struct idm_bytes blocks = {0};
    struct idm_cert_info info = {0};
    int r = idm_chain_check(&pem, time(NULL), &info, &blocks, err);
    cr_assert_eq(r == 0, blocks.data != NULL);
    return r;
}

static void fits(const char *name)
{
    struct idm_error err = {0};
    cr_assert_eq(check_file(name, &err), 0, "%s: %s", name, err.why);
}

static void refused(const char *name, const char *why)
{
    struct idm_error err = {0};
    cr_assert_eq(check_file(name, &err), IDM_E_REFUSED, "%s: %d %s", name, err.code, err.why);
    cr_assert_not_null(strstr(err.why, why), "%s: %s", name, err.why);
}

static void script(const char *text)
{
    FILE *file = fopen("script", "we");
    cr_assert_not_null(file);
    fprintf(file, TOOLS "%s", text);
    cr_assert_eq(fclose(file), 0);
    shell("bash -e script");
}

Test(software_request, a_leaf_with_its_chain_fits)
{
    script("make root root $CA; make mid root $CA; make low mid $CA; make dev low $LEAF;"
           "make bare root 'basicConstraints=CA:FALSE\\n';"
           "cat dev low mid > chain; cat dev low mid root > whole;"
           "(openssl x509 -in dev -text; cat low mid) > text");
    fits("dev"); /* the peers have the rest */
    fits("chain");
    fits("whole");
    fits("bare"); /* no usages: all */
    _cleanup_bytes_ struct idm_bytes text = slurp("text");
    _cleanup_bytes_ struct idm_bytes chain = slurp("chain");
    _cleanup_bytes_ struct idm_bytes blocks = {0};
    struct idm_cert_info info = {0};
    cr_assert_eq(idm_chain_check(&text, time(NULL), &info, &blocks, NULL), 0);
    cr_assert(idm_bytes_equal(&blocks, &chain), "PEM alone");
    cr_assert_eq(info.links, 3);
}

Test(software_request, what_is_not_in_its_place_is_refused)
{
    script("make root root $CA; make mid root $CA; make dev mid $LEAF; make other root $CA;"
           "cat mid root > of-ca; cat dev root > gap; cat dev other > stranger;"
           "cat dev root mid > order; make sub dev $LEAF; cat sub dev mid > under-leaf;"
           "make nosign root 'basicConstraints=critical,CA:TRUE\\nkeyUsage=critical,cRLSign\\n';"
           "make dev2 nosign $LEAF; cat dev2 nosign > no-usage;"
           "make short root 'basicConstraints=critical,CA:TRUE,pathlen:0\\nkeyUsage=critical,"
           "keyCertSign\\n'; make too short $CA; make dev3 too $LEAF; cat dev3 too short > deep;");
    refused("mid", "a CA's");
    refused("of-ca", "a CA's");
    refused("gap", "was not issued by");
    refused("stranger", "was not issued by");
    refused("order", "was not issued by");
    refused("under-leaf", "");
    refused("no-usage", "was not issued by");
    refused("deep", "path length");
}

Test(software_request, what_does_not_serve_tls_now_is_refused)
{
    script("make root root $CA;"
           "make mail root 'basicConstraints=CA:FALSE\\nextendedKeyUsage=emailProtection\\n';"
           "make server root 'basicConstraints=CA:FALSE\\nextendedKeyUsage=serverAuth\\n';"
           "make crypt root 'basicConstraints=CA:FALSE\\nkeyUsage=critical,keyEncipherment\\n';"
           "md=-sha1; make weak root $LEAF; md=;"
           "days='-days -1'; make old root $LEAF; make oldca root $CA; days=; make new oldca $LEAF;"
           "cat new oldca > old-issuer;"
           "ec() { openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out k.$1; };"
           "make small root $LEAF");
    refused("mail", "purpose");
    refused("server", "purpose");
    refused("crypt", "purpose");
    refused("weak", "signed in a way");
    refused("small", "key that TLS users");
    refused("old", "has expired");
    refused("old-issuer", "issuer 1 in the file has expired");
    fits("new");
    _cleanup_bytes_ struct idm_bytes pem = slurp("new");
    _cleanup_bytes_ struct idm_bytes blocks = {0};
    struct idm_cert_info info = {0};
    struct idm_error err = {0};
    cr_assert_eq(idm_chain_check(&pem, time(NULL) - 86400, &info, &blocks, &err), IDM_E_REFUSED);
    cr_assert_not_null(strstr(err.why, "not valid yet"));
    cr_assert_null(blocks.data);
}
