/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_cost.c - what a signature, a handshake and a look at the mode cost; for idm-bench.
 *
 *     tls-cost sign TCTI HANDLE ROUNDS     "A B": microseconds of a quick signature through OpenSSL and
 *                                          idmode:key, and of Esys_Sign alone, taken in turns
 *     tls-cost mode ROUNDS                 nanoseconds of idmode_get_mode
 *     tls-cost handshake CERT KEY ROUNDS   so many handshakes in memory, CERT and KEY on the server's side
 *     tls-cost mutual CERT KEY OTHER OTHERKEY ROUNDS [TCTI HANDLE]
 *                                          "A B": microseconds of a quick TLS 1.3 handshake with CERT and KEY
 *                                          on the client's side, OTHER's on the server's; and, where there
 *                                          is a TCTI, of one with OTHER's on both and one Esys_Sign, taken
 *                                          in turns
 *
 * Exit 0, or 1 with a line on stderr.
 */
#include "include/idmode.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/store.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_tctildr.h>

#define ROUNDS_MAX 2001

static int fail(const char *what)
{
    fprintf(stderr, "tls-cost: %s failed\n", what);
    ERR_print_errors_fp(stderr);
    return 1;
}

static double now_us(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return (left > right) - (left < right);
}

/* The first decile: what else the machine does has little part in it. */
static double quick(double *figures, size_t count)
{
    qsort(figures, count, sizeof(*figures), compare);
    return figures[count / 10];
}

/* ---- sign ---- */

static EVP_PKEY *load_key(void)
{
    OSSL_STORE_CTX *store = OSSL_STORE_open("idmode:key", NULL, NULL, NULL, NULL);
    OSSL_STORE_INFO *info = store != NULL ? OSSL_STORE_load(store) : NULL;
    EVP_PKEY *key = info != NULL ? OSSL_STORE_INFO_get1_PKEY(info) : NULL;

    OSSL_STORE_INFO_free(info);
    OSSL_STORE_close(store);
    return key;
}

static bool sign_by_openssl(EVP_PKEY *key)
{
    unsigned char signature[512];
    size_t size = sizeof(signature);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool good = EVP_DigestSignInit_ex(md, NULL, "SHA256", NULL, NULL, key, NULL) == 1 &&
                EVP_DigestSign(md, signature, &size, (const unsigned char *)"message", 7) == 1;
    EVP_MD_CTX_free(md);
    return good;
}

static bool sign_by_esys(ESYS_CONTEXT *esys, ESYS_TR key)
{
    const TPM2B_DIGEST digest = {.size = 32, .buffer = {1}};
    const TPMT_SIG_SCHEME scheme = {.scheme = TPM2_ALG_ECDSA,
                                    .details.ecdsa.hashAlg = TPM2_ALG_SHA256};
    const TPMT_TK_HASHCHECK no_ticket = {.tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL};
    TPMT_SIGNATURE *signature = NULL;
    TSS2_RC rc = Esys_Sign(esys, key, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &digest,
                           &scheme, &no_ticket, &signature);
    Esys_Free(signature);
    return rc == TSS2_RC_SUCCESS;
}

struct chip {
    TSS2_TCTI_CONTEXT *tcti;
    ESYS_CONTEXT *esys;
    ESYS_TR key;
};

static bool open_chip(struct chip *chip, const char *tcti, const char *handle)
{
    return Tss2_TctiLdr_Initialize(tcti, &chip->tcti) == TSS2_RC_SUCCESS &&
           Esys_Initialize(&chip->esys, chip->tcti, NULL) == TSS2_RC_SUCCESS &&
           Esys_TR_FromTPMPublic(chip->esys, (TPM2_HANDLE)strtoul(handle, NULL, 0), ESYS_TR_NONE,
                                 ESYS_TR_NONE, ESYS_TR_NONE, &chip->key) == TSS2_RC_SUCCESS;
}

static void close_chip(struct chip *chip)
{
    if (chip->esys != NULL)
        Esys_TR_Close(chip->esys, &chip->key);
    Esys_Finalize(&chip->esys);
    Tss2_TctiLdr_Finalize(&chip->tcti);
}

static int cost_sign(const char *tcti, const char *handle, size_t rounds)
{
    static double ours[ROUNDS_MAX], theirs[ROUNDS_MAX];
    struct chip chip = {0};
    EVP_PKEY *key = load_key();

    if (key == NULL || !open_chip(&chip, tcti, handle))
        return fail("loading the key");
    for (size_t i = 0; i < rounds; i++) {
        double begin = now_us(CLOCK_MONOTONIC);
        if (!sign_by_openssl(key))
            return fail("signing through OpenSSL");
        double middle = now_us(CLOCK_MONOTONIC);
        if (!sign_by_esys(chip.esys, chip.key))
            return fail("Esys_Sign");
        ours[i] = middle - begin;
        theirs[i] = now_us(CLOCK_MONOTONIC) - middle;
    }
    printf("%.2f %.2f\n", quick(ours, rounds), quick(theirs, rounds));
    EVP_PKEY_free(key);
    close_chip(&chip);
    return 0;
}

/* ---- mode ---- */

static int cost_mode(unsigned long rounds)
{
    idmode *id = NULL;
    unsigned sum = 0;

    if (idmode_open(&id, NULL) != 0 || idmode_get_mode(id) == IDMODE_MODE_UNKNOWN)
        return fail("reading the mode");
    /* of this process alone: nothing here waits for another one */
    double begin = now_us(CLOCK_PROCESS_CPUTIME_ID);
    for (unsigned long i = 0; i < rounds; i++)
        sum += idmode_get_mode(id);
    double took = now_us(CLOCK_PROCESS_CPUTIME_ID) - begin;
    idmode_close(id);
    printf("%.3f %u\n", took * 1e3 / (double)rounds, sum);
    return 0;
}

/* ---- handshake ---- */

static bool shake(SSL_CTX *client_ctx, SSL_CTX *server_ctx)
{
    SSL *client = SSL_new(client_ctx), *server = SSL_new(server_ctx);
    BIO *a = NULL, *b = NULL;
    bool done = false;

    BIO_new_bio_pair(&a, 0, &b, 0);
    SSL_set_bio(client, a, a);
    SSL_set_bio(server, b, b);
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    for (int i = 0; i < 10 && !done; i++) {
        int c = SSL_do_handshake(client);
        int s = SSL_do_handshake(server);
        done = c == 1 && s == 1;
    }
    SSL_free(client);
    SSL_free(server);
    return done;
}

static int cost_handshake(const char *cert, const char *key, size_t rounds)
{
    SSL_CTX *client = SSL_CTX_new(TLS_client_method()), *server = SSL_CTX_new(TLS_server_method());

    if (SSL_CTX_use_certificate_chain_file(server, cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(server, key, SSL_FILETYPE_PEM) != 1)
        return fail("loading certificate and key");
    for (size_t i = 0; i < rounds; i++) {
        if (!shake(client, server))
            return fail("the handshake");
    }
    SSL_CTX_free(client);
    SSL_CTX_free(server);
    return 0;
}

static int take_any(int good, X509_STORE_CTX *ctx)
{
    (void)good;
    (void)ctx;
    return 1;
}

static SSL_CTX *new_ctx(const SSL_METHOD *method, const char *cert, const char *key)
{
    SSL_CTX *ctx = SSL_CTX_new(method);

    SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, take_any);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_use_certificate_chain_file(ctx, cert) == 1 &&
        SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) == 1)
        return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

static int cost_mutual(char *const files[4], size_t rounds, const char *tcti, const char *handle)
{
    static double ours[ROUNDS_MAX], theirs[ROUNDS_MAX];
    struct chip chip = {0};
    SSL_CTX *server = new_ctx(TLS_server_method(), files[2], files[3]);
    SSL_CTX *device = new_ctx(TLS_client_method(), files[0], files[1]);
    SSL_CTX *plain = new_ctx(TLS_client_method(), files[2], files[3]);

    if (server == NULL || device == NULL || plain == NULL)
        return fail("loading certificates and keys");
    if (tcti != NULL && !open_chip(&chip, tcti, handle))
        return fail("opening the chip");
    for (size_t i = 0; i < rounds; i++) {
        double begin = now_us(CLOCK_MONOTONIC);
        if (!shake(device, server))
            return fail("the handshake");
        double middle = now_us(CLOCK_MONOTONIC);
        if (tcti != NULL && (!shake(plain, server) || !sign_by_esys(chip.esys, chip.key)))
            return fail("the handshake with a software key");
        ours[i] = middle - begin;
        theirs[i] = now_us(CLOCK_MONOTONIC) - middle;
    }
    printf("%.2f %.2f\n", quick(ours, rounds), quick(theirs, rounds));
    SSL_CTX_free(server);
    SSL_CTX_free(device);
    SSL_CTX_free(plain);
    close_chip(&chip);
    return 0;
}

int main(int argc, char *argv[])
{
    if (argc == 5 && strcmp(argv[1], "sign") == 0 && strtoul(argv[4], NULL, 0) <= ROUNDS_MAX)
        return cost_sign(argv[2], argv[3], strtoul(argv[4], NULL, 0));
    if (argc == 3 && strcmp(argv[1], "mode") == 0)
        return cost_mode(strtoul(argv[2], NULL, 0));
    if (argc == 5 && strcmp(argv[1], "handshake") == 0)
        return cost_handshake(argv[2], argv[3], strtoul(argv[4], NULL, 0));
    if ((argc == 7 || argc == 9) && strcmp(argv[1], "mutual") == 0 &&
        strtoul(argv[6], NULL, 0) <= ROUNDS_MAX)
        return cost_mutual(&argv[2], strtoul(argv[6], NULL, 0), argc == 9 ? argv[7] : NULL,
                           argc == 9 ? argv[8] : NULL);
    fprintf(stderr, "tls-cost sign|mode|handshake|mutual …\n");
    return 1;
}
