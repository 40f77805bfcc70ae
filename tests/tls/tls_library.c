/* SPDX-License-Identifier: BSD-2-Clause */
/* libidmode: mode page, certificate, signature, and TLS that follows a change of mode in a running
 * process; provider and library under threads and forks. */
#include "tests/tls/tls_device.h"

#include "backends/active/page.h"
#include "include/idmode.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

static idmode *id;

static void close_all(void)
{
    idmode_close(id);
    id = NULL;
    close_device();
}

TestSuite(tls_library, .timeout = 120, .fini = close_all);

#define IDOK(call) cr_assert_eq((call), IDMODE_OK, "%s: %s", #call, idmode_error())

static void open_library(void)
{
    unsetenv("IDMODE_TCTI"); /* what boot used counts */
    IDOK(idmode_open(&id, device.root));
}

/* ---- mode ---- */

Test(tls_library, mode_is_that_of_the_device)
{
    char *text = NULL;

    open_device(NULL);
    open_library();
    cr_assert_eq(idmode_get_mode(id), IDMODE_MODE_UNKNOWN);
    cr_assert_eq(idmode_get_generation(id), 0u);
    cr_assert_eq(idmode_get_status(id, &text), IDMODE_E_NONE);
    cr_assert_eq(idmode_wait(id, 0, 1), 0);
    boot(0);
    cr_assert_eq(idmode_wait(id, 0, 10000), 1);
    cr_assert_eq(idmode_get_mode(id), IDMODE_MODE_TPM);
    cr_assert_str_eq(idmode_mode_name(idmode_get_mode(id)), "tpm");
    cr_assert_eq(idmode_get_epoch(id), 1u);
    uint32_t generation = idmode_get_generation(id);
    cr_assert_neq(generation, 0u);
    cr_assert_eq(RUN("boot"), 0); /* nothing changes */
    cr_assert_eq(idmode_get_generation(id), generation);
    cr_assert_eq(idmode_wait(id, generation, 20), 0);
    IDOK(idmode_get_status(id, &text));
    cr_assert(strstr(text, "\"mode\": \"tpm\""));
    free(text);
    IDOK(idmode_get_certificate(id, &text));
    struct kept cert = keep("/run/idmode/device.cert.pem");
    cr_assert_str_eq(text, cert.data);
    drop(&cert);
    free(text);
}

static void *change_later(void *arg)
{
    (void)arg;
    (void)!idm_device_idmode(&device, NULL, "factory-reset", "--yes", NULL);
    return NULL;
}

Test(tls_library, wait_ends_with_a_change)
{
    pthread_t thread;

    open_tls(TPM);
    open_library();
    uint32_t generation = idmode_get_generation(id);
    cr_assert_eq(pthread_create(&thread, NULL, change_later, NULL), 0);
    cr_assert_eq(idmode_wait(id, generation, 60000), 1);
    pthread_join(thread, NULL);
    cr_assert_neq(idmode_get_generation(id), generation);
    cr_assert_eq(idmode_get_epoch(id), 2u);
}

static void read_mode_traced(void)
{
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGSTOP);
    unsigned sum = 0;
    for (int i = 0; i < 1000; i++)
        sum += idmode_get_mode(id) + idmode_get_generation(id) + idmode_get_epoch(id);
    _exit(sum == 1000 * (IDMODE_MODE_TPM + 1 + 1) ? 0 : 1);
}

Test(tls_library, reading_the_mode_makes_no_system_call)
{
    unsigned calls = 0;
    int status = 0;

    open_tls(TPM);
    open_library();
    cr_assert_eq(idmode_get_mode(id), IDMODE_MODE_TPM);
    pid_t pid = fork();
    if (pid == 0)
        read_mode_traced();
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    while (WIFSTOPPED(status)) {
        cr_assert_eq(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        calls++;
    }
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    /* the end of raise (up to three stops) and the beginning of _exit */
    cr_assert(calls <= 8, "%u stops", calls);
}

/* ---- sign ---- */

/* Says nothing to Criterion, which cannot be told in threads and children. */
static bool signs_well(void)
{
    unsigned char signature[IDMODE_SIGNATURE_MAX];
    size_t size = sizeof(signature);
    char *pem = NULL;

    if (idmode_sign(id, "sha384", "hello", 5, signature, &size) != 0 ||
        idmode_get_certificate(id, &pem) != 0) {
        fprintf(stderr, "%s\n", idmode_error());
        return false;
    }
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool good = EVP_DigestVerifyInit(md, NULL, EVP_sha384(), NULL, X509_get0_pubkey(cert)) == 1 &&
                EVP_DigestVerify(md, signature, size, (const unsigned char *)"hello", 5) == 1;
    EVP_MD_CTX_free(md);
    X509_free(cert);
    BIO_free(bio);
    free(pem);
    return good;
}

static void signature_is_good(void)
{
    cr_assert(signs_well(), "%s", idmode_error());
}

Test(tls_library, signs_in_either_mode_and_says_why_not)
{
    unsigned char signature[IDMODE_SIGNATURE_MAX];
    size_t size = sizeof(signature);

    for (int kind = TPM; kind <= SOFTWARE; kind++) {
        open_tls((enum kind)kind);
        open_library();
        signature_is_good();
        size = sizeof(signature);
        cr_assert_eq(idmode_sign(id, "md5", "x", 1, signature, &size), IDMODE_E_USAGE);
        cr_assert_eq(idmode_sign(id, "sha256", "idmode x", 8, signature, &size), IDMODE_E_DENIED);
        cr_assert_eq(idmode_sign(NULL, "sha256", "x", 1, signature, &size), IDMODE_E_USAGE);
        size = 10;
        cr_assert_eq(idmode_sign(id, "sha256", "x", 1, signature, &size), IDMODE_E_USAGE);
        cr_assert_eq(size, 10u);
        close_all();
    }
    open_tls_with(TPM, TPM_CONF("wait = 100ms"), false);
    open_library();
    idm_swtpm_stop(&device.tpm);
    size = sizeof(signature);
    cr_assert_eq(idmode_sign(id, "sha256", "x", 1, signature, &size), IDMODE_E_BUSY);
    cr_assert(strstr(idmode_error(), "TPM"), "%s", idmode_error());
    cr_assert_eq(idm_swtpm_resume(&device.tpm), 0);
    signature_is_good();
}

/* ---- TLS ---- */

static int take_any(int good, X509_STORE_CTX *ctx)
{
    (void)good;
    (void)ctx;
    return 1;
}

static SSL_CTX *new_ctx(bool server, int version)
{
    SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    SSL_CTX_set_min_proto_version(ctx, version);
    SSL_CTX_set_max_proto_version(ctx, version);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, take_any);
    return ctx;
}

struct pair {
    SSL *client, *server;
};

static struct pair new_pair(SSL_CTX *client, SSL_CTX *server)
{
    struct pair pair = {SSL_new(client), SSL_new(server)};
    BIO *a = NULL, *b = NULL;
    cr_assert_eq(BIO_new_bio_pair(&a, 0, &b, 0), 1);
    SSL_set_bio(pair.client, a, a);
    SSL_set_bio(pair.server, b, b);
    SSL_set_connect_state(pair.client);
    SSL_set_accept_state(pair.server);
    return pair;
}

static void free_pair(struct pair *pair)
{
    SSL_free(pair->client);
    SSL_free(pair->server);
}

static bool shake(struct pair *pair)
{
    for (int i = 0; i < 20; i++) {
        int c = SSL_do_handshake(pair->client);
        int s = SSL_do_handshake(pair->server);
        if (c == 1 && s == 1)
            return true;
        int ce = SSL_get_error(pair->client, c);
        int se = SSL_get_error(pair->server, s);
        if ((c != 1 && ce != SSL_ERROR_WANT_READ) || (s != 1 && se != SSL_ERROR_WANT_READ))
            return false;
    }
    return false;
}

/* Both ends show the certificate in use. */
static void shows(struct pair *pair, const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    X509 *of_server = SSL_get1_peer_certificate(pair->client);
    X509 *of_client = SSL_get1_peer_certificate(pair->server);
    cr_assert(of_server && X509_cmp(of_server, cert) == 0);
    cr_assert(of_client && X509_cmp(of_client, cert) == 0);
    X509_free(of_server);
    X509_free(of_client);
    X509_free(cert);
    BIO_free(bio);
}

static void new_handshakes_show_what_is_in_use(SSL_CTX *client, SSL_CTX *server)
{
    char *pem = NULL;
    IDOK(idmode_get_certificate(id, &pem));
    struct pair pair = new_pair(client, server);
    cr_assert(shake(&pair), "%s: %s", idmode_error(),
              ERR_error_string(ERR_peek_last_error(), NULL));
    shows(&pair, pem);
    free_pair(&pair);
    free(pem);
}

static void follows(int version)
{
    char *before = NULL;

    open_software_device(NULL, false);
    open_library();
    SSL_CTX *client = new_ctx(false, version), *server = new_ctx(true, version);
    IDOK(idmode_use_identity(id, client));
    IDOK(idmode_use_identity(id, server));
    new_handshakes_show_what_is_in_use(client, server);

    IDOK(idmode_get_certificate(id, &before));
    struct pair idle = new_pair(client, server);      /* made before the change, begun after it */
    struct pair under_way = new_pair(client, server); /* begun before it */
    SSL_do_handshake(under_way.client);
    SSL_do_handshake(under_way.server);
    SSL_do_handshake(under_way.client);
    cr_assert_eq(RUN("migrate", "prepare"), 0);
    cr_assert_eq(RUN("migrate", "commit"), 0);
    cr_assert_eq(idmode_get_mode(id), IDMODE_MODE_TPM);
    cr_assert(shake(&under_way), "%s", ERR_error_string(ERR_peek_last_error(), NULL));
    X509 *shown = SSL_get1_peer_certificate(under_way.client);
    BIO *bio = BIO_new_mem_buf(before, -1);
    X509 *old = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    cr_assert_eq(X509_cmp(shown, old), 0, "a handshake under way ends with what it began with");
    X509_free(shown);
    X509_free(old);
    BIO_free(bio);
    free_pair(&under_way);

    char *after = NULL;
    IDOK(idmode_get_certificate(id, &after));
    cr_assert(strcmp(before, after) != 0);
    bool shaken = shake(&idle);
    if (!shaken)
        ERR_print_errors_fp(stderr);
    cr_assert(shaken, "%s: %s", idmode_error(), ERR_error_string(ERR_peek_error(), NULL));
    shows(&idle, after);
    free_pair(&idle);
    new_handshakes_show_what_is_in_use(client, server);

    nobody(); /* held: nothing is shown, and nothing old */
    cr_assert_eq(RUN("boot"), 3);
    struct pair pair = new_pair(client, server);
    cr_assert_not(shake(&pair));
    cr_assert(strstr(idmode_error(), "no identity is in use"), "%s", idmode_error());
    free_pair(&pair);
    honest();
    cr_assert_eq(RUN("boot"), 0);
    new_handshakes_show_what_is_in_use(client, server);
    SSL_CTX_free(client);
    SSL_CTX_free(server);
    free(before);
    free(after);
}

Test(tls_library, running_process_follows_the_mode_tls_1_3)
{
    follows(TLS1_3_VERSION);
}

Test(tls_library, running_process_follows_the_mode_tls_1_2)
{
    follows(TLS1_2_VERSION);
}

Test(tls_library, one_tpm_command_per_handshake)
{
    open_tls(TPM);
    boot_through(COUNT);
    open_library();
    SSL_CTX *client = new_ctx(false, TLS1_3_VERSION), *server = new_ctx(true, TLS1_3_VERSION);
    cr_assert_eq(SSL_CTX_use_certificate_file(client, IDM_TEST_SOURCE_DIR "/none", 1), 0);
    IDOK(idmode_use_identity(id, server));
    SSL_CTX_set_verify(server, SSL_VERIFY_NONE, NULL);
    for (unsigned i = 1; i <= 5; i++) {
        struct pair pair = new_pair(client, server);
        cr_assert(shake(&pair));
        free_pair(&pair);
        cr_assert_eq(commands(NULL), i, "%u commands", commands(NULL));
    }
    SSL_CTX_free(client);
    SSL_CTX_free(server);
}

/* ---- threads and processes ---- */

#define SIGNERS 8
#define EACH    5

static void *sign_many(void *ret_good)
{
    bool good = true;
    for (int i = 0; i < EACH; i++)
        good = signs_well() && good;
    *(bool *)ret_good = good;
    return NULL;
}

static void all_sign_at_once(void)
{
    pthread_t threads[SIGNERS];
    pid_t children[SIGNERS];
    bool good[SIGNERS];

    open_library();
    signature_is_good(); /* so that children inherit what must not be used twice */
    for (int i = 0; i < SIGNERS; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            sign_many(&good[i]);
            _exit(good[i] ? 0 : 1);
        }
    }
    for (int i = 0; i < SIGNERS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, sign_many, &good[i]), 0);
    for (int i = 0; i < SIGNERS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < SIGNERS; i++) {
        int status = -1;
        cr_assert_eq(waitpid(children[i], &status, 0), children[i]);
        cr_assert(status == 0 && good[i]);
    }
    close_all();
}

Test(tls_library, threads_and_processes_at_once)
{
    for (int kind = TPM; kind <= SOFTWARE; kind++) {
        open_tls((enum kind)kind);
        all_sign_at_once();
    }
}

/* Sixteen who each load the key, and three slots in the chip. */
Test(tls_library, threads_and_processes_at_once_by_file)
{
    open_tls_with(TPM, TPM_CONF("key-storage = tss2"), false);
    all_sign_at_once();
}

/* ---- a move under a running process's feet ---- */

Test(tls_library, key_that_left_its_handle_never_signs_as_another)
{
    open_tls(TPM);
    open_library();
    SSL_CTX *client = new_ctx(false, TLS1_3_VERSION), *server = new_ctx(true, TLS1_3_VERSION);
    IDOK(idmode_use_identity(id, client));
    IDOK(idmode_use_identity(id, server));
    new_handshakes_show_what_is_in_use(client, server);
    struct pair under_way = new_pair(client, server);
    SSL_do_handshake(under_way.client);
    cr_assert_eq(RUN("factory-reset", "--yes"), 0);
    new_handshakes_show_what_is_in_use(client, server);
    cr_assert(shake(&under_way), "it chose its certificate after the reset");
    free_pair(&under_way);
    SSL_CTX_free(client);
    SSL_CTX_free(server);
}
