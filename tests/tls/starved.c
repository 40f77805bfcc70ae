/* SPDX-License-Identifier: BSD-2-Clause */
/* starved.c - idm-starved WAY FIRST STEP: one allocation of a TLS program fails, in whatever library it is made.
 *
 *     provider    a key by URI and one by file, a signature by each
 *     library     idmode_open, a certificate, a signature
 *     handshake   idmode_use_identity, and a TLS 1.3 handshake with it at both ends
 *
 * Each place in a child of its own: allocation FIRST, FIRST + STEP, … fails, and every other time all after it
 * as well, as far as the way has any. What comes then is good, under the device's certificate ($CERT), or an
 * error that OpenSSL's queue or idmode_error() tells; and with memory again the same process goes the same way
 * to its end. The first time goes without a failure, to count. Prints how many places failed, how many of them
 * ended in an error, and how many of these without words. Exit 1: anything else; 3: a child was killed.
 */
#include <execinfo.h>
#include <idmode.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/store.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- allocations: this program's stand before libc's for every library in it ---- */

static struct shared {
    unsigned long fails_at; /* 0: none */
    bool goes_on;
    unsigned long counted;
    bool said; /* the error had words */
} * shared;
static bool armed;

static bool fails(void)
{
    if (!armed)
        return false;
    unsigned long n = ++shared->counted;
    return shared->fails_at && (shared->goes_on ? n >= shared->fails_at : n == shared->fails_at);
}

#include "tests/support/allocator.h"

/* ---- the device's certificate ---- */

static X509 *device;

static bool read_device(void)
{
    FILE *file = fopen(getenv("CERT"), "re");
    device = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
    return device && fclose(file) == 0;
}

/* With memory. */
static bool verifies(const unsigned char *signature, size_t size)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool good = EVP_DigestVerifyInit(md, NULL, EVP_sha256(), NULL, X509_get0_pubkey(device)) == 1 &&
                EVP_DigestVerify(md, signature, size, (const unsigned char *)"hello", 5) == 1;
    EVP_MD_CTX_free(md);
    return good;
}

/* Ends what may fail. */
static void tell(bool said)
{
    shared->said = shared->said || (armed && said);
    armed = false;
}

/* ---- ways: 1 good, 0 an error, -1 something wrong ---- */

static EVP_PKEY *load(const char *from)
{
    EVP_PKEY *key = NULL;
    OSSL_STORE_CTX *store = OSSL_STORE_open(from, NULL, NULL, NULL, NULL);
    while (store && !key && !OSSL_STORE_eof(store)) {
        OSSL_STORE_INFO *info = OSSL_STORE_load(store);
        if (info && OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY)
            key = OSSL_STORE_INFO_get1_PKEY(info);
        OSSL_STORE_INFO_free(info);
        if (!info)
            break;
    }
    (void)OSSL_STORE_close(store);
    return key;
}

/* As nginx, curl, mosquitto and Python do. "file:" of OSSL_STORE follows a null pointer when a decoder finds no
 * memory, whatever the key is: not ours to judge. */
static EVP_PKEY *load_file(const char *path)
{
    BIO *bio = BIO_new_file(path, "r");
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    return key;
}

static int sign_by(EVP_PKEY *key)
{
    unsigned char signature[512];
    size_t size = sizeof signature;
    bool was = armed;
    armed = false;
    EVP_MD_CTX *md = EVP_MD_CTX_new(); /* which fails without a word */
    armed = was;
    bool signed_it = key && EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, key) == 1 &&
                     EVP_DigestSign(md, signature, &size, (const unsigned char *)"hello", 5) == 1;
    EVP_MD_CTX_free(md);
    EVP_PKEY_free(key);
    tell(ERR_peek_error() != 0);
    return !signed_it ? 0 : verifies(signature, size) ? 1 : -1;
}

static int go_provider(void)
{
    bool was = armed;
    int good = sign_by(load("idmode:key"));
    if (good != 1)
        return good;
    armed = was;
    return sign_by(load_file(getenv("KEY")));
}

static int end_library(idmode *id, int good)
{
    tell(idmode_error()[0] != 0 || ERR_peek_error() != 0);
    idmode_close(id);
    return good;
}

static int go_library(void)
{
    unsigned char signature[IDMODE_SIGNATURE_MAX];
    size_t size = sizeof signature;
    char *pem = NULL;
    idmode *id = NULL;
    bool good = idmode_open(&id, getenv("IDMODE_ROOT")) == IDMODE_OK &&
                idmode_get_certificate(id, &pem) == IDMODE_OK &&
                idmode_sign(id, "sha256", "hello", 5, signature, &size) == IDMODE_OK;
    free(pem);
    int rc = end_library(id, good);
    return rc && !verifies(signature, size) ? -1 : rc;
}

static int take_any(int good, X509_STORE_CTX *ctx)
{
    (void)good;
    (void)ctx;
    return 1;
}

static SSL *new_end(idmode *id, bool server)
{
    SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    SSL *ssl = NULL;
    if (ctx && idmode_use_identity(id, ctx) == IDMODE_OK) {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, take_any);
        ssl = SSL_new(ctx);
    }
    SSL_CTX_free(ctx);
    return ssl;
}

static bool shake(SSL *client, SSL *server)
{
    BIO *one = NULL;
    BIO *two = NULL;
    if (BIO_new_bio_pair(&one, 0, &two, 0) != 1)
        return false;
    SSL_set_bio(client, one, one);
    SSL_set_bio(server, two, two);
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    for (int i = 0; i < 20 && !(SSL_is_init_finished(client) && SSL_is_init_finished(server));
         i++) {
        int left = SSL_do_handshake(client);
        if (left != 1 && SSL_get_error(client, left) != SSL_ERROR_WANT_READ)
            return false;
        left = SSL_do_handshake(server);
        if (left != 1 && SSL_get_error(server, left) != SSL_ERROR_WANT_READ)
            return false;
    }
    return SSL_is_init_finished(client) && SSL_is_init_finished(server);
}

static bool has_device(SSL *ssl)
{
    return SSL_get0_peer_certificate(ssl) && X509_cmp(SSL_get0_peer_certificate(ssl), device) == 0;
}

static int go_handshake(void)
{
    idmode *id = NULL;
    SSL *client = NULL;
    SSL *server = NULL;
    if (idmode_open(&id, getenv("IDMODE_ROOT")) == IDMODE_OK &&
        (client = new_end(id, false)) != NULL)
        server = new_end(id, true);
    bool good = server && shake(client, server);
    tell(idmode_error()[0] != 0 || ERR_peek_error() != 0);
    bool right = !good || (has_device(client) && has_device(server));
    SSL_free(client);
    SSL_free(server);
    int rc = end_library(id, good);
    return right ? rc : -1;
}

/* warm: once before, since what OpenSSL looks up for TLS in its default context, our algorithms among it, it does
 * once. */
static const struct {
    const char *name;
    int (*go)(void);
    bool warm;
} ways[] = {{"provider", go_provider, false},
            {"library", go_library, false},
            {"handshake", go_handshake, true}};

/* ---- a place ---- */

enum end { GOOD = 10, AN_ERROR, WRONG, NEVER_AGAIN };

/* A crash says where, and is one all the same. */
static void tell_crash(int number)
{
    void *frames[32];
    armed = false;
    backtrace_symbols_fd(frames, backtrace(frames, 32), STDERR_FILENO);
    (void)raise(number);
}

static enum end go_twice(int (*go)(void))
{
    armed = true;
    int first = go();
    armed = false;
    if (first < 0)
        return WRONG;
    ERR_clear_error();
    if (go() != 1) {
        ERR_print_errors_fp(stderr);
        (void)fprintf(stderr, "idmode_error: %s\n", idmode_error());
        return NEVER_AGAIN;
    }
    return first ? GOOD : AN_ERROR;
}

/* The wait status. */
static int try_at(int (*go)(void), unsigned long n, bool goes_on)
{
    int status = 0;
    *shared = (struct shared){.fails_at = n, .goes_on = goes_on};
    pid_t pid = fork();
    if (pid == 0) {
        const struct sigaction crash = {.sa_handler = tell_crash, .sa_flags = (int)SA_RESETHAND};
        (void)sigaction(SIGSEGV, &crash, NULL);
        (void)sigaction(SIGABRT, &crash, NULL);
        (void)alarm(60);
        _exit(go_twice(go));
    }
    return waitpid(pid, &status, 0) == pid ? status : -1;
}

static int run(int (*go)(void), unsigned long first, unsigned long step)
{
    unsigned long places = 0;
    unsigned long errors = 0;
    unsigned long mute = 0;
    int rc = 0;
    int status = try_at(go, 0, false);
    unsigned long count = shared->counted;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != GOOD)
        return fprintf(stderr, "without a failure: %x\n", (unsigned)status), 1;
    for (unsigned long n = first; n <= count; n += step, places++) {
        status = try_at(go, n, places % 2 == 1);
        int end = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        errors += end == AN_ERROR;
        mute += end == AN_ERROR && !shared->said;
        if (end == GOOD || (end == AN_ERROR && shared->said))
            continue;
        (void)fprintf(stderr, "allocation %lu of %lu%s: status %x\n", n, count,
                      shared->goes_on ? " and all after it" : "", (unsigned)status);
        if (end != AN_ERROR)
            rc = WIFEXITED(status) && rc != 3 ? 1 : 3;
    }
    (void)printf("%lu of %lu allocations failed: %lu errors, %lu without words\n", places, count,
                 errors, mute);
    return rc;
}

static SSL *new_plain(bool server)
{
    SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    SSL *ssl = NULL;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, take_any);
    if (SSL_CTX_use_certificate_file(ctx, getenv("PEER_CERT"), SSL_FILETYPE_PEM) == 1 &&
        SSL_CTX_use_PrivateKey_file(ctx, getenv("PEER_KEY"), SSL_FILETYPE_PEM) == 1)
        ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    return ssl;
}

/* What OpenSSL looks up once and, if there was no memory, never again: a plain key's way, first. */
static bool warm_up(void)
{
    EVP_PKEY *key = load(getenv("PEER_KEY"));
    SSL *client = new_plain(false);
    SSL *server = new_plain(true);
    bool good = key && client && server && shake(client, server);
    SSL_free(client);
    SSL_free(server);
    EVP_PKEY_free(key);
    return good;
}

int main(int argc, char **argv)
{
    void *frame = NULL;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (argc != 4 || shared == MAP_FAILED || backtrace(&frame, 1) != 1 || !read_device() ||
        !warm_up())
        return 2;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (strcmp(argv[1], ways[i].name) == 0 && (!ways[i].warm || ways[i].go() == 1))
            return run(ways[i].go, strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
    return 2;
}
