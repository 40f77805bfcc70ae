/* SPDX-License-Identifier: BSD-2-Clause */
/* tls.c - what TLS with the device's identity costs. */
#include "tests/bench/bench.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COST       IDM_TEST_BUILD_DIR "/bin/idm-tls-cost"
#define SIGND      IDM_TEST_BUILD_DIR "/bin/idmode-signd"
#define DEVICE_KEY "0x81020000" /* the default of [tpm] device-handle */
#define ROUNDS     "401"
#define HANDSHAKES 10

static void run_cost(struct idm_run *ret, const char *const argv[])
{
    char root[IDM_DEVICE_PATH_SIZE];

    snprintf(root, sizeof(root), "IDMODE_ROOT=%s", bench_device.root);
    const char *const env[] = {root, "IDMODE_TCTI",
                               "OPENSSL_CONF=" IDM_TEST_SOURCE_DIR "/share/idmode/openssl.cnf",
                               "OPENSSL_MODULES=" IDM_TEST_BUILD_DIR "/ossl-modules", NULL};
    const struct idm_run_options options = {.env = env, .timeout_s = 300};
    if (idm_run(ret, &options, argv) != 0)
        bench_fail("%s: %s", argv[0], strerror(errno));
    if (ret->exit_code != 0)
        bench_fail("%s %s: exit %d: %s", argv[0], argv[1], ret->exit_code, ret->err);
}

/* ---- signatures ---- */

static void compare_signatures(const char *what, double goal)
{
    _cleanup_run_ struct idm_run run = {0};
    double ours = 0, theirs = 0;
    char text[80];

    run_cost(&run,
             (const char *const[]){COST, "sign", bench_device.tpm.tcti, DEVICE_KEY, ROUNDS, NULL});
    if (sscanf(run.out, "%lf %lf", &ours, &theirs) != 2 || theirs <= 0)
        bench_fail("tls-cost sign said %s", run.out);
    snprintf(text, sizeof(text), "sign through the provider, %s", what);
    bench_row(text, ours, 0, "us", BENCH_NO_GOAL);
    bench_row("Esys_Sign alone", theirs, 0, "us", BENCH_NO_GOAL);
    snprintf(text, sizeof(text), "provider / Esys_Sign, %s", what);
    bench_row(text, ours / theirs, 2, "", goal);
}

static pid_t start_broker(void)
{
    char path[IDM_DEVICE_PATH_SIZE];
    pid_t pid = fork();

    if (pid == 0) {
        execl(SIGND, "idmode-signd", "--root", bench_device.root, "--tcti", bench_device.tpm.tcti,
              "-q", NULL);
        _exit(127);
    }
    idm_device_path(&bench_device, "/run/idmode/sign.sock", path);
    for (int i = 0; i < 1000 && access(path, F_OK) != 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    if (pid < 0 || access(path, F_OK) != 0)
        bench_fail("idmode-signd does not start");
    return pid;
}

/* ---- handshakes ---- */

static double instructions_of(const char *cert, const char *key, const char *handshakes)
{
    _cleanup_run_ struct idm_run run = {0};

    run_cost(&run,
             (const char *const[]){"valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                                   COST, "handshake", cert, key, handshakes, NULL});
    const char *collected = strstr(run.err, "Collected :");
    double count = collected != NULL ? strtod(collected + 11, NULL) : 0;
    if (count <= 0)
        bench_fail("callgrind counted nothing: %s", run.err);
    return count;
}

/* Of one handshake: what ten more take. */
static double per_handshake(const char *cert, const char *key)
{
    double one = instructions_of(cert, key, "2");
    double many = instructions_of(cert, key, "12");
    return (many - one) / HANDSHAKES;
}

static void compare_handshakes(void)
{
    char cert[IDM_DEVICE_PATH_SIZE], key[IDM_DEVICE_PATH_SIZE], plain[IDM_DEVICE_PATH_SIZE];

    idm_device_path(&bench_device, "/run/idmode/device.cert.pem", cert);
    idm_device_path(&bench_device, "/run/idmode/device.key.pem", key);
    idm_device_path(&bench_device, "/config/device.key.pem", plain);
    double ours = per_handshake(cert, key);
    double theirs = per_handshake(cert, plain);
    bench_row("instructions of a handshake, software key by reference", ours / 1e3, 0, "k",
              BENCH_NO_GOAL);
    bench_row("instructions of a handshake, plain PEM", theirs / 1e3, 0, "k", BENCH_NO_GOAL);
    bench_row("reference / plain PEM", ours / theirs, 3, "", 1.02);
}

static void mode_page(void)
{
    _cleanup_run_ struct idm_run run = {0};

    run_cost(&run, (const char *const[]){COST, "mode", "10000000", NULL});
    bench_row("idmode_get_mode", strtod(run.out, NULL), 2, "ns", 5);
}

static void must(int result)
{
    if (result != 0)
        bench_fail("%s", bench_device.error);
}

void bench_tls_tpm(void)
{
    int status = 0;

    bench_heading("TLS, TPM key");
    compare_signatures("directly", 1.1);
    pid_t broker = start_broker();
    compare_signatures("by the broker", 1.2);
    kill(broker, SIGTERM);
    waitpid(broker, &status, 0);
    mode_page();
}

void bench_tls_software(void)
{
    bench_heading("TLS, software key");
    idm_device_close(&bench_device);
    must(idm_device_open(&bench_device,
                         &(struct idm_device_options){.legacy = true, .without_tpm = true}));
    must(idm_device_boot(&bench_device));
    must(idm_device_put_image(&bench_device, 0, true, "2.0"));
    must(idm_device_boot(&bench_device));
    compare_handshakes();
}
