/* SPDX-License-Identifier: BSD-2-Clause */
/* An allocation fails in who signs: in a program that uses the provider or libidmode (starved.c), and in
 * idmode-signd. No crash, no signature by another key, an error with words, and the next request is good. By
 * default some places, evenly spread; under the label slow eight times as many, of the broker's 25 times. */
#include "tests/support/thorough.h"
#include "tests/tls/tls_signd.h"

#include <openssl/evp.h>
#include <openssl/pem.h>

#define STARVE IDM_TEST_BUILD_DIR "/tests/starve.so"

static void close_all(void)
{
    stop_broker();
    close_device();
}

TestSuite(tls_memory, .timeout = 1500, .fini = close_all);

/* ---- programs ---- */

static void starve_programs(size_t step)
{
    static const char *const ways[] = {"provider", "library", "handshake"};
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        _cleanup_run_ struct idm_run run = {0};
        char command[256];
        snprintf(command, sizeof(command),
                 "export CERT KEY PEER_CERT PEER_KEY; $BUILD/bin/idm-starved %s %zu %zu", ways[i],
                 1 + step / 2, step);
        tls_run(&run, command);
        cr_assert_eq(run.exit_code, 0, "%s: %d: %s%s", ways[i], run.exit_code, run.out, run.err);
        unsigned long places = 0, of = 0, errors = 0, mute = 1;
        cr_assert_eq(sscanf(run.out, "%lu of %lu allocations failed: %lu errors, %lu without words",
                            &places, &of, &errors, &mute),
                     4);
        cr_assert(places >= of / step && errors > 0 && errors < places, "%s", run.out);
        /* OpenSSL's own reader of PEM leaves a decoder out without a word. */
        cr_assert(mute * 100 <= errors, "%s: %s%s", ways[i], run.out, run.err);
    }
}

Test(tls_memory, programs_that_ask_the_chip)
{
    open_tls(TPM);
    starve_programs(60 * idm_every(8) + 1);
}

Test(tls_memory, programs_that_read_the_key)
{
    open_tls(SOFTWARE);
    starve_programs(60 * idm_every(8) + 1);
}

Test(tls_memory, programs_that_ask_the_broker)
{
    open_tls(TPM);
    start_broker();
    starve_programs(60 * idm_every(8) + 1);
}

/* ---- the broker ---- */

static EVP_PKEY *public_key(void)
{
    struct kept cert = keep("/run/idmode/device.cert.pem");
    BIO *bio = BIO_new_mem_buf(cert.data, (int)cert.size);
    X509 *x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    EVP_PKEY *key = X509_get_pubkey(x509);

    cr_assert(key != NULL);
    X509_free(x509);
    BIO_free(bio);
    drop(&cert);
    return key;
}

enum answer { GOOD, AN_ERROR, NOTHING };

/* NOTHING: the connection ended. */
static enum answer ask_hello(EVP_PKEY *key)
{
    struct idm_wire_reply reply = {0};
    struct idm_error err = {0};
    int status = 0;
    pid_t ended = waitpid(broker, &status, WNOHANG);
    cr_assert_eq(ended, 0, "the broker ended: %x", (unsigned)status);
    int fd = send_ask(IDM_WIRE_SIGN_MESSAGE, "hello", 5, false);
    ssize_t size = recv(fd, &reply, sizeof(reply), 0);

    close(fd);
    if (size < (ssize_t)IDM_WIRE_REPLY_HEAD)
        return NOTHING;
    if (!reply.good) {
        cr_expect(idm_wire_take_error(&reply, &err) < 0 && err.why[0] != '\0');
        return AN_ERROR;
    }
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    cr_assert_eq(EVP_DigestVerifyInit(md, NULL, EVP_sha256(), NULL, key), 1);
    cr_assert_eq(EVP_DigestVerify(md, reply.data, reply.size, (const unsigned char *)"hello", 5), 1,
                 "a signature by another key");
    EVP_MD_CTX_free(md);
    return GOOD;
}

/* False: it ended by itself, *ret_status says how. */
static bool start_starved(unsigned long n, bool goes_on, int *ret_status)
{
    char at[32], count[300];

    snprintf(at, sizeof(at), "%lu", n);
    snprintf(count, sizeof(count), "%s/counted", device.base);
    idm_device_path(&device, "/run/idmode/sign.sock", socket_path);
    unlink(count);
    broker = fork();
    if (broker == 0) {
        unsetenv("IDMODE_TCTI");
        setenv("LD_PRELOAD", STARVE, 1);
        setenv("IDM_TEST_STARVE", at, 1);
        setenv("IDM_TEST_STARVE_COUNT", count, 1);
        if (goes_on)
            setenv("IDM_TEST_STARVE_ON", "1", 1);
        snprintf(count, sizeof(count), "%s/starved.log", device.base);
        int log = open(count, O_WRONLY | O_CREAT | O_TRUNC, 0644);
        dup2(log, 2);
        execl(IDM_TEST_BUILD_DIR "/bin/idmode-signd", "idmode-signd", "--root", device.root, NULL);
        _exit(127);
    }
    for (int i = 0; i < 6000; i++) {
        int fd = connect_to_broker();
        if (fd >= 0)
            return close(fd), true;
        if (waitpid(broker, ret_status, WNOHANG) == broker)
            return broker = 0, false;
        nap();
    }
    cr_assert_fail("the broker neither serves nor ends");
    return false;
}

static unsigned long counted(void)
{
    char path[300];
    unsigned long count = 0;

    snprintf(path, sizeof(path), "%s/counted", device.base);
    FILE *from = fopen(path, "re");
    cr_assert(from != NULL && fscanf(from, "%lu", &count) == 1);
    fclose(from);
    return count;
}

/* glibc 2.36 looks groups up without looking at its own allocations (127: its loader's way to end). */
static bool died_in_nss(void)
{
    char path[300], text[4096];

    snprintf(path, sizeof(path), "%s/starved.log", device.base);
    FILE *log = fopen(path, "re");
    cr_assert(log != NULL);
    text[fread(text, 1, sizeof(text) - 1, log)] = '\0';
    fclose(log);
    return strstr(text, "nss_") != NULL || strstr(text, "getgrnam_r") != NULL;
}

/* How many of the requests had an error. */
static unsigned serve_starved(unsigned long n, bool goes_on, EVP_PKEY *key)
{
    int status = 0;
    unsigned failed = 0;

    if (!start_starved(n, goes_on, &status)) {
        bool told = WIFEXITED(status) && WEXITSTATUS(status) > 0 && WEXITSTATUS(status) <= 127;
        cr_assert(told || died_in_nss(), "allocation %lu: status %x at its start", n,
                  (unsigned)status);
        return 1;
    }
    for (int i = 0; i < 5; i++)
        failed += ask_hello(key) != GOOD;
    cr_assert(goes_on || failed <= 1, "allocation %lu: %u failed", n, failed);
    cr_assert_eq(kill(broker, SIGTERM), 0);
    cr_assert_eq(waitpid(broker, &status, 0), broker);
    broker = 0;
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "allocation %lu: status %x", n,
              (unsigned)status);
    return failed;
}

static void starve_broker(enum kind kind, size_t places)
{
    open_tls_with(kind, "[tpm]\nwait = 100ms\nkey-storage = tss2\n", false);
    EVP_PKEY *key = public_key();
    unsigned errors = serve_starved(0, false, key);
    cr_assert_eq(errors, 0u);
    unsigned long count = counted();
    for (size_t i = 0; i < places; i++)
        errors += serve_starved(1 + i * count / places, i % 2 == 1, key) > 0;
    cr_assert(errors > places / 20, "%u errors in %zu places of %lu", errors, places, count);
    EVP_PKEY_free(key);
}

Test(tls_memory, broker_of_a_chip)
{
    starve_broker(TPM, 1000 / idm_every(25));
}

Test(tls_memory, broker_of_a_software_key)
{
    starve_broker(SOFTWARE, 1000 / idm_every(25));
}
