/* SPDX-License-Identifier: BSD-2-Clause */
/* Endorsement keys: their makers' certificates, and credentials that tpm2-tools open and make. */
#include "tests/attest/forge.h"
#include "tests/support/run.h"
#include "tests/support/swtpm.h"

#include "backends/attest/template.h"
#include "backends/tpm/public.h"
#include "verify/credential.h"
#include "verify/kdf.h"

#include <criterion/criterion.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char dir[64];

static void make_dir(void)
{
    strcpy(dir, "/tmp/idmode-ek-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    cr_assert_eq(chdir(dir), 0);
}

static void remove_dir(void)
{
    char command[96];
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    cr_assert_eq(system(command), 0);
}
TestSuite(attest_ek, .init = make_dir, .fini = remove_dir);

/* Runs it in the scratch directory; its exit code and what it said. */
static int shell(struct idm_run *run, const char *tcti, const char *text)
{
    char variable[128];
    (void)snprintf(variable, sizeof variable, "TPM2TOOLS_TCTI=%s", tcti ? tcti : "none");
    const char *const env[] = {variable, "TSS2_LOG=all+none",
                               "VERIFY=" IDM_TEST_BUILD_DIR "/bin/idmode-verify",
                               "TESTS=" IDM_TEST_SOURCE_DIR "/tests/attest", NULL};
    const struct idm_run_options options = {.env = env, .timeout_s = 120};
    cr_assert_eq(idm_run(run, &options, (const char *const[]){"bash", "-euc", text, NULL}), 0);
    return run->exit_code;
}

static void must(const char *tcti, const char *text)
{
    _cleanup_run_ struct idm_run run = {0};
    cr_assert_eq(shell(&run, tcti, text), 0, "%s\n%s%s", text, run.out, run.err);
}

static void write_file(const char *name, const struct idm_bytes *bytes)
{
    FILE *file = fopen(name, "we");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes->data, 1, bytes->size, file), bytes->size);
    cr_assert_eq(fclose(file), 0);
}

static void read_file(const char *name, struct idm_bytes *ret)
{
    static uint8_t buffer[IDM_BYTES_MAX];
    FILE *file = fopen(name, "re");
    cr_assert_not_null(file, "%s", name);
    size_t size = fread(buffer, 1, sizeof buffer, file);
    (void)fclose(file);
    forge_set(ret, buffer, size);
}

/* ---- makers' certificates ---- */

static struct forge f;

static void put_key(void)
{
    FILE *file = fopen("ek.pem", "we");
    cr_assert(file && PEM_write_PUBKEY(file, f.ek_key) == 1);
    cr_assert_eq(fclose(file), 0);
}

/* The word with which the EK document is refused, "none" when it is certified. */
static const char *word(const char *roots, const char *others, const char *certificate, int64_t now,
                        char *ret_why)
{
    struct idm_bytes pem = {0}, more = {0}, der = {0}, text = {0};
    struct idm_ek_trust trust;
    struct idm_ek_document document;
    struct idm_ek_finding findings[IDM_LIST_MAX];
    const struct idm_ek_finding *chosen = NULL;
    struct idm_refused refused = {0};
    struct idm_error err;
    read_file(roots, &pem);
    if (others)
        read_file(others, &more);
    if (certificate)
        read_file(certificate, &der);
    forge_ek_document(&f, certificate ? &der : NULL, &text);
    cr_assert_eq(idm_ek_trust_set(&trust, &pem, others ? &more : NULL, &err), 0, "%s", err.why);
    cr_assert_eq(idm_ek_document_read(&text, &document, &err), 0, "%s", err.why);
    cr_assert_eq(idm_ek_examine(&document, &trust, now, findings, &err), 0);
    int rc = idm_ek_choose(findings, document.count, NULL, false, &chosen, &refused);
    cr_assert_eq(rc == 0, refused.refusal == IDM_REFUSAL_NONE);
    cr_assert(rc != 0 || chosen == &findings[0]);
    if (rc == 0)
        cr_assert_str_eq(chosen->cert.manufacturer, "id:494E5443");
    (void)snprintf(ret_why, 256, "%s", refused.why);
    idm_ek_document_free(&document);
    idm_ek_trust_free(&trust);
    idm_bytes_free(&pem);
    idm_bytes_free(&more);
    idm_bytes_free(&der);
    idm_bytes_free(&text);
    return idm_refusal_word(refused.refusal);
}

Test(attest_ek, certificates)
{
    static const struct {
        const char *section, *word, *why;
    } cases[] = {
        {"good", "none", ""}, /* critical: SAN, key usage, and the TPM's specification */
        {"eku_critical", "none", ""},
        {"no_eku", "none", ""},
        {"other_eku", "ek", "not issued for an EK"},
        {"no_san", "ek", "does not name a TPM"},
        {"ca", "ek", "not issued for an EK"},
        {"signs", "ek", "not issued for an EK"},
        {"unknown_critical", "ek", "unhandled critical extension"},
    };
    char why[256];
    forge_make(&f);
    put_key();
    must(NULL, "$TESTS/ca.sh maker; $TESTS/ca.sh another;"
               "for s in good eku_critical no_eku other_eku no_san ca signs unknown_critical; do "
               "$TESTS/ek_cert.sh maker ek.pem $s.der $s; done");
    int64_t now = time(NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "%s.der", cases[i].section);
        cr_expect_str_eq(word("maker/both.pem", NULL, name, now, why), cases[i].word, "%s: %s",
                         name, why);
        cr_expect_not_null(strstr(why, cases[i].why), "%s: %s", name, why);
    }
    cr_assert_str_eq(word("maker/root.pem", "maker/issuer.pem", "good.der", now, why), "none");
    cr_assert_str_eq(word("maker/issuer.pem", NULL, "good.der", now, why),
                     "none"); /* as far as trusted */
    cr_assert_str_eq(word("maker/root.pem", NULL, "good.der", now, why), "ek");
    cr_assert_str_eq(word("another/both.pem", "maker/issuer.pem", "good.der", now, why), "ek");
    cr_assert_str_eq(word("maker/both.pem", NULL, "good.der", now + 20 * 365 * 86400LL, why), "ek");
    cr_assert_not_null(strstr(why, "expired"));
    cr_assert_str_eq(word("maker/both.pem", NULL, "good.der", now - 86400, why), "ek");
    cr_assert_str_eq(word("maker/both.pem", NULL, NULL, now, why), "no-certificate");
    forge_free(&f);
    forge_make(&f); /* its key is another one: a copied certificate */
    cr_assert_str_eq(word("maker/both.pem", NULL, "good.der", now, why), "ek");
    cr_assert_not_null(strstr(why, "another key"));
    forge_free(&f);
}

/* ---- RSA keys of makers who name their algorithm RSAES-OAEP ---- */

static EVP_PKEY *key_of_maker(void)
{
    FILE *file = fopen("maker/issuer.key", "re");
    EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
    cr_assert_not_null(key);
    (void)fclose(file);
    return key;
}

/* The certificate in rsa.der with that key type, signed by its maker again. */
static void name_it_oaep(struct idm_bytes *ret)
{
    struct idm_bytes der = {0};
    unsigned char *bits = NULL;
    unsigned char *out = NULL;
    read_file("rsa.der", &der);
    const unsigned char *at = der.data;
    X509 *cert = d2i_X509(NULL, &at, (long)der.size);
    EVP_PKEY *maker = key_of_maker();
    cr_assert_not_null(cert);
    int size = i2d_PublicKey(X509_get0_pubkey(cert), &bits);
    /* X509_set_pubkey takes keys that OpenSSL knows: into the place of the old one. */
    cr_assert_eq(X509_PUBKEY_set0_param(X509_get_X509_PUBKEY(cert), OBJ_nid2obj(NID_rsaesOaep),
                                        V_ASN1_NULL, NULL, bits, size),
                 1);
    cr_assert_gt(X509_sign(cert, maker, EVP_sha256()), 0);
    size = i2d_X509(cert, &out);
    forge_set(ret, out, (size_t)size);
    OPENSSL_free(out);
    X509_free(cert);
    EVP_PKEY_free(maker);
    idm_bytes_free(&der);
}

/* Makes rsa.pem; the EK with that key, by the default template. */
static void make_rsa_ek(TPM2B_PUBLIC *ret)
{
    EVP_PKEY *key = EVP_RSA_gen(2048);
    BIGNUM *n = NULL;
    FILE *file = fopen("rsa.pem", "we");
    cr_assert(key && file && PEM_write_PUBKEY(file, key) == 1);
    cr_assert_eq(fclose(file), 0);
    cr_assert_eq(EVP_PKEY_get_bn_param(key, "n", &n), 1);
    for (size_t i = 0; i < IDM_EK_KINDS; i++) {
        idm_ek_template(&idm_ek_kinds[i], ret);
        if (ret->publicArea.type == TPM2_ALG_RSA)
            break;
    }
    ret->publicArea.unique.rsa.size = (uint16_t)BN_bn2bin(n, ret->publicArea.unique.rsa.buffer);
    BN_free(n);
    EVP_PKEY_free(key);
}

Test(attest_ek, a_key_named_rsaes_oaep)
{
    TPM2B_PUBLIC ek, another;
    struct idm_ek_trust trust, stranger;
    struct idm_bytes cert = {0}, pem = {0}, other_pem = {0};
    struct idm_ek_cert found;
    struct idm_error err = {0};
    make_rsa_ek(&another);
    make_rsa_ek(&ek);
    must(NULL, "$TESTS/ca.sh maker; $TESTS/ca.sh another; $TESTS/ek_cert.sh maker rsa.pem rsa.der");
    name_it_oaep(&cert);
    int64_t now = time(NULL);
    read_file("maker/both.pem", &pem);
    read_file("another/both.pem", &other_pem);
    cr_assert_eq(idm_ek_trust_set(&trust, &pem, NULL, &err), 0);
    cr_assert_eq(idm_ek_trust_set(&stranger, &other_pem, NULL, &err), 0);

    cr_assert_eq(idm_ek_certified(&trust, &ek, &cert, NULL, 0, now, &found, &err), 0, "%s",
                 err.why);
    cr_assert_str_eq(found.manufacturer, "id:494E5443");
    cr_assert_eq(idm_ek_certified(&trust, &another, &cert, NULL, 0, now, &found, &err),
                 IDM_E_REFUSED);
    cr_assert_not_null(strstr(err.why, "another key"), "%s", err.why);
    cr_assert_eq(idm_ek_certified(&stranger, &ek, &cert, NULL, 0, now, &found, &err),
                 IDM_E_REFUSED);
    cert.data[cert.size - 1] ^= 1; /* the maker's signature */
    cr_assert_eq(idm_ek_certified(&trust, &ek, &cert, NULL, 0, now, &found, &err), IDM_E_REFUSED);

    idm_ek_trust_free(&trust);
    idm_ek_trust_free(&stranger);
    idm_bytes_free(&cert);
    idm_bytes_free(&pem);
    idm_bytes_free(&other_pem);
}

/* Every byte of a certificate edited: no chain, or no certificate any more. */
Test(attest_ek, every_byte_of_a_certificate)
{
    struct idm_bytes pem = {0}, der = {0};
    struct idm_ek_trust trust;
    struct idm_ek_cert found;
    forge_make(&f);
    put_key();
    must(NULL, "$TESTS/ca.sh maker; $TESTS/ek_cert.sh maker ek.pem good.der");
    read_file("maker/both.pem", &pem);
    read_file("good.der", &der);
    cr_assert_eq(idm_ek_trust_set(&trust, &pem, NULL, NULL), 0);
    int64_t now = time(NULL);
    cr_assert_eq(idm_ek_certified(&trust, &f.ek, &der, NULL, 0, now, &found, NULL), 0);
    for (size_t i = 0; i < der.size; i++) {
        der.data[i] ^= 1;
        cr_assert_lt(idm_ek_certified(&trust, &f.ek, &der, NULL, 0, now, &found, NULL), 0,
                     "byte %zu", i);
        der.data[i] ^= 1;
    }
    der.size--;
    cr_assert_lt(idm_ek_certified(&trust, &f.ek, &der, NULL, 0, now, &found, NULL), 0);
    idm_ek_trust_free(&trust);
    idm_bytes_free(&pem);
    idm_bytes_free(&der);
    forge_free(&f);
}

/* A true key does not make a false one beside it harmless: nobody knows which one is challenged. */
Test(attest_ek, one_false_key_among_true_ones)
{
    struct idm_ek_finding findings[2] = {{.state = IDM_EK_CERTIFIED, .template = "L-2"},
                                         {.state = IDM_EK_REFUSED, .why = "false"}};
    const struct idm_ek_finding *chosen = NULL;
    struct idm_refused refused;
    cr_assert_eq(idm_ek_choose(findings, 1, NULL, false, &chosen, &refused), 0);
    cr_assert_eq(idm_ek_choose(findings, 2, NULL, false, &chosen, &refused), IDM_E_REFUSED);
    findings[1].state = IDM_EK_BARE;
    cr_assert_eq(idm_ek_choose(findings + 1, 1, NULL, false, &chosen, &refused), IDM_E_REFUSED);
    cr_assert_eq(refused.refusal, IDM_REFUSAL_NO_CERTIFICATE);
    cr_assert_eq(idm_ek_choose(findings + 1, 1, NULL, true, &chosen, &refused), 0);
    cr_assert_eq(idm_ek_choose(findings, 2, "L-2", false, &chosen, &refused), 0);
    cr_assert_eq(idm_ek_choose(findings, 1, "H-3", false, &chosen, &refused), IDM_E_REFUSED);
}

/* ---- credentials ---- */

/* tpm2-tools make the keys, we the credential, the chip opens it. P-384: policy B, so by its empty
 * authorisation. */
Test(attest_ek, the_chip_opens_what_we_make)
{
    struct idm_swtpm chip;
    cr_assert_eq(idm_swtpm_start(&chip, NULL), 0);
    must(chip.tcti,
         "exec >log 2>&1; tpm2_createprimary -C o -G ecc -c srk.ctx; tpm2_flushcontext -t;"
         "tpm2_create -C srk.ctx -G ecc256:ecdsa-sha256:null -u ak.pub -r ak.priv -a "
         "'restricted|sign|fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda';"
         "tpm2_flushcontext -t; tpm2_load -C srk.ctx -u ak.pub -r ak.priv -c ak.ctx;"
         "tpm2_flushcontext -t; tpm2_readpublic -c ak.ctx -n ak.name; tpm2_flushcontext -t;"
         "name=$(xxd -p -c 99 ak.name 2>/dev/null || od -An -v -tx1 ak.name | tr -d ' \\n');"
         "head -c 32 /dev/urandom >secret;"
         "for key in rsa2048 ecc ecc384; do tpm2_createek -G $key -c ek.ctx -u ek.pub;"
         "  tpm2_flushcontext -t;"
         "  $VERIFY make-credential --ek ek.pub --ak ak.pub --secret secret --credential $key.a;"
         "  $VERIFY make-credential --ek ek.pub --name $name --secret secret --credential $key.b;"
         "  for file in $key.a $key.b; do auth=; [ $key = ecc384 ] || {"
         "    tpm2_startauthsession --policy-session -S s.ctx; tpm2_policysecret -S s.ctx -c e;"
         "    auth='-P session:s.ctx'; };"
         "    tpm2_activatecredential -c ak.ctx -C ek.ctx -i $file -o opened $auth;"
         "    tpm2_flushcontext -t; [ -z \"$auth\" ] || tpm2_flushcontext s.ctx;"
         "    cmp opened secret; rm opened; done; done");
    /* For another Name the chip does not open it. */
    must(chip.tcti,
         "exec >log 2>&1; tpm2_createek -G ecc -c ek.ctx -u ek.pub; tpm2_flushcontext -t;"
         "$VERIFY make-credential --ek ek.pub --name 000b$(printf '%064d' 7) --secret secret "
         "--credential other; tpm2_startauthsession --policy-session -S s.ctx;"
         "tpm2_policysecret -S s.ctx -c e;"
         "! tpm2_activatecredential -c ak.ctx -C ek.ctx -i other -o opened -P session:s.ctx");
    idm_swtpm_remove(&chip);
}

/* Ours and tpm2_makecredential's are files of one format: the same sizes, the same head. */
Test(attest_ek, tools_make_the_same_format)
{
    struct idm_swtpm chip;
    struct idm_bytes ours = {0}, theirs = {0};
    cr_assert_eq(idm_swtpm_start(&chip, NULL), 0);
    must(chip.tcti,
         "exec >log 2>&1; head -c 32 /dev/urandom >secret; name=000b$(printf '%064d' 7);"
         "for key in rsa2048 ecc; do tpm2_createek -G $key -c ek.ctx -u ek.pub; tpm2_flushcontext "
         "-t;"
         "$VERIFY make-credential --ek ek.pub --name $name --secret secret --credential $key.ours;"
         "tpm2_makecredential -u ek.pub -s secret -n $name -o $key.theirs; tpm2_flushcontext -t; "
         "done");
    for (int i = 0; i < 2; i++) {
        read_file(i ? "ecc.ours" : "rsa2048.ours", &ours);
        read_file(i ? "ecc.theirs" : "rsa2048.theirs", &theirs);
        cr_assert_eq(ours.size, theirs.size);
        cr_assert_arr_eq(ours.data, theirs.data, 12); /* magic, version, size, size of the HMAC */
    }
    idm_bytes_free(&ours);
    idm_bytes_free(&theirs);
    idm_swtpm_remove(&chip);
}

Test(attest_ek, keys_that_get_no_credential)
{
    struct idm_bytes out = {0};
    TPM2B_NAME name = {.size = 34};
    uint8_t secret[64] = {1};
    forge_make(&f);
    cr_assert_eq(idm_credential_make(&f.ek, &name, secret, 32, &out, NULL), 0);
    cr_assert_eq(idm_credential_make(&f.ek, &name, secret, 33, &out, NULL), IDM_E_USAGE);
    cr_assert_eq(idm_credential_make(&f.ek, &name, secret, 0, &out, NULL), IDM_E_USAGE);
    cr_assert_eq(idm_credential_make(&f.device, &name, secret, 32, &out, NULL), IDM_E_CORRUPT);
    f.ek.publicArea.unique.ecc.x.buffer[5] ^= 1; /* not on the curve */
    cr_assert_eq(idm_credential_make(&f.ek, &name, secret, 32, &out, NULL), IDM_E_CORRUPT);
    idm_bytes_free(&out);
    forge_free(&f);
}

/* A controller that is shown a device key, or an AK with one bit more, encrypts nothing. */
Test(attest_ek, a_challenge_insists_on_an_ak)
{
    struct idm_challenge challenge = {0};
    struct idm_bytes text = {0}, credential = {0};
    struct idm_ak_document ak;
    struct idm_refused refused;
    forge_make(&f);
    for (unsigned int bit = 0; bit < 32; bit++) {
        f.ak.publicArea.objectAttributes = 0x00050472u ^ 1u << bit;
        forge_ak_document(&f, &text);
        cr_assert_eq(idm_ak_document_read(&text, &ak, NULL), 0);
        cr_assert_eq(idm_challenge_make(&f.ek, &ak, &challenge, &credential, &refused),
                     IDM_E_REFUSED, "bit %u", bit);
        cr_assert_null(credential.data);
        idm_ak_document_free(&ak);
    }
    idm_bytes_free(&text);
    forge_free(&f);
}

/* ---- key derivation, against values of another implementation ---- */

/* KDFa by hand from HMAC: counter 1, label and its NUL, context, bits (part 1, 11.4.10.2). */
Test(attest_ek, kdfa_is_its_definition)
{
    const uint8_t key[32] = {7};
    const uint8_t context[5] = {1, 2, 3, 4, 5};
    const uint8_t message[] = {0, 0, 0, 1, 'S', 'T', 'O', 'R', 'A', 'G', 'E',
                               0, 1, 2, 3, 4,   5,   0,   0,   0,   128};
    uint8_t ours[16], mac[64];
    size_t size = 0;
    cr_assert_eq(idm_kdfa(TPM2_ALG_SHA256, key, sizeof key, "STORAGE", context, sizeof context,
                          ours, sizeof ours),
                 0);
    cr_assert_not_null(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, sizeof key, message,
                                 sizeof message, mac, sizeof mac, &size));
    cr_assert_arr_eq(ours, mac, sizeof ours);
}

/* KDFe by hand from SHA-256: counter 1, Z, label and its NUL, both parties (part 1, 11.4.10.3). */
Test(attest_ek, kdfe_is_its_definition)
{
    const uint8_t z[4] = {1, 2, 3, 4};
    const TPM2B_ECC_PARAMETER u = {2, {5, 6}}, v = {2, {7, 8}};
    const uint8_t message[] = {0,   0,   0,   1,   1,   2, 3, 4, 'I', 'D', 'E',
                               'N', 'T', 'I', 'T', 'Y', 0, 5, 6, 7,   8};
    uint8_t ours[32], hash[32];
    cr_assert_eq(idm_kdfe(TPM2_ALG_SHA256, z, 4, "IDENTITY", &u, &v, ours, sizeof ours), 0);
    cr_assert_eq(idm_sha256(message, sizeof message, hash), 0);
    cr_assert_arr_eq(ours, hash, 32);
}

/* ---- the program ---- */

Test(attest_ek, the_program_keeps_secrets_and_never_overwrites)
{
    struct idm_bytes text = {0};
    forge_make(&f);
    forge_ak_document(&f, &text);
    write_file("ak.json", &text);
    forge_ek_document(&f, NULL, &text);
    write_file("ek.json", &text);
    must(
        NULL,
        "$VERIFY challenge --ek ek.json --ak ak.json --credential c --secret s >nonce 2>said;"
        "grep -q 'not judged' said; [ $(stat -c %a s) = 600 ]; [ $(wc -c <nonce) = 65 ];"
        "! $VERIFY challenge --ek ek.json --ak ak.json --credential d --secret s 2>said;"
        "grep -q 'File exists' said; [ ! -e d ];"
        "code=0; $VERIFY challenge --ek ek.json --ak ak.json 2>/dev/null || code=$?; [ $code = 2 ];"
        "code=0; $VERIFY frob 2>/dev/null || code=$?; [ $code = 2 ];"
        "code=0; $VERIFY ek --roots nothing <ek.json 2>/dev/null || code=$?; [ $code = 5 ];"
        "$TESTS/ca.sh maker; code=0;"
        "$VERIFY ek --roots maker/both.pem --json ek.json >out 2>said || code=$?; [ $code = 1 ];"
        "grep -q no-certificate said; [ \"$(jq -r .refused out)\" = no-certificate ];"
        "code=0; $VERIFY challenge --roots maker/both.pem --ek ek.json --ak ak.json "
        "--credential e --secret t 2>said || code=$?; [ $code = 1 ]; [ ! -e t ]");
    idm_bytes_free(&text);
    forge_free(&f);
}

/* A bare secret names no AK: whoever owns any chip could have activated it for another key. */
Test(attest_ek, a_bare_secret_needs_the_ak)
{
    struct idm_bytes text = {0};
    forge_make(&f);
    forge_evidence(&f, &text);
    write_file("evidence.json", &text);
    forge_ak_document(&f, &text);
    write_file("ak.json", &text);
    write_file("secret", &f.secret);
    write_file("nonce", &f.nonce);
    must(NULL,
         "nonce=$(od -An -v -tx1 nonce | tr -d ' \\n'); code=0;"
         "$VERIFY evidence --nonce $nonce --secret secret evidence.json 2>said || code=$?;"
         "[ $code = 2 ]; grep -q -e --ak said;"
         "$VERIFY evidence --nonce $nonce --secret secret --ak ak.json evidence.json >out;"
         "grep -q 'only claimed' out; grep -q 'privacy' out;"
         "$VERIFY evidence --nonce $nonce --secret secret --ak ak.json --json <evidence.json >out;"
         "[ \"$(jq -r .facts.epoch out)\" = 4 ]; code=0;"
         "$VERIFY evidence --nonce $nonce --secret secret --ak ak.json --min-epoch 5 --json "
         "evidence.json >out 2>said || code=$?; [ $code = 1 ];"
         "[ \"$(jq -r .refused out)\" = epoch ]");
    idm_bytes_free(&text);
    forge_free(&f);
}
