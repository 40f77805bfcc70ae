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
#define SHIM       IDM_TEST_BUILD_DIR "/tests/tcti_shim.so"
#define DEVICE_KEY "0x81020000" /* the default of [tpm] device-handle */
#define ROUNDS     "201"
#define RUNS       7 /* the machine has other work: the median of so many, taken in turns */
#define HANDSHAKES 10

/* Environment of programs that measure: the provider, and the chip as boot reached it. */
struct environment {
    char root[IDM_DEVICE_PATH_SIZE + 16];
    char tcti[sizeof(bench_device.tcti) + 16];
    const char *list[6];
};

static void fill_environment(struct environment *env, const char *tcti)
{
    snprintf(env->root, sizeof(env->root), "IDMODE_ROOT=%s", bench_device.root);
    snprintf(env->tcti, sizeof(env->tcti), "IDMODE_TCTI%s%s", tcti ? "=" : "", tcti ? tcti : "");
    const char *const list[] = {env->root,
                                env->tcti,
                                "OPENSSL_CONF=" IDM_TEST_SOURCE_DIR "/share/idmode/openssl.cnf",
                                "OPENSSL_MODULES=" IDM_TEST_BUILD_DIR "/ossl-modules",
                                "TSS2_LOG=all+none",
                                NULL};
    memcpy(env->list, list, sizeof(list));
}

static void run_with(struct idm_run *ret, const char *tcti, const char *const argv[])
{
    struct environment env;

    fill_environment(&env, tcti);
    const struct idm_run_options options = {.env = env.list, .timeout_s = 300};
    if (idm_run(ret, &options, argv) != 0)
        bench_fail("%s: %s", argv[0], strerror(errno));
    if (ret->exit_code != 0)
        bench_fail("%s %s: exit %d: %s", argv[0], argv[1], ret->exit_code, ret->err);
}

static void run_cost(struct idm_run *ret, const char *const argv[])
{
    run_with(ret, NULL, argv);
}

static void must(int result)
{
    if (result != 0)
        bench_fail("%s", bench_device.error);
}

/* ---- the broker ---- */

static pid_t start_broker(const char *tcti)
{
    char path[IDM_DEVICE_PATH_SIZE];
    pid_t pid = fork();

    if (pid == 0) {
        execl(SIGND, "idmode-signd", "--root", bench_device.root, "--tcti", tcti, "-q", NULL);
        _exit(127);
    }
    idm_device_path(&bench_device, "/run/idmode/sign.sock", path);
    for (int i = 0; i < 6000 && access(path, F_OK) != 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    if (pid < 0 || access(path, F_OK) != 0)
        bench_fail("idmode-signd does not start");
    return pid;
}

static void stop_broker(pid_t broker)
{
    int status = 0;

    kill(broker, SIGTERM);
    waitpid(broker, &status, 0);
}

/* ---- one after the other ---- */

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return (left > right) - (left < right);
}

static double median(double *figures)
{
    qsort(figures, RUNS, sizeof(*figures), compare);
    return figures[RUNS / 2];
}

/* What `argv` says of itself and of its yardstick, RUNS times each without and with a broker. */
static void compare_both(const char *what, const char *yardstick, const char *const argv[],
                         double goal_direct, double goal_broker)
{
    static const char *const ways[] = {"directly", "by the broker"};
    const double goals[] = {goal_direct, goal_broker};
    double ours[2][RUNS], theirs[2][RUNS], ratios[2][RUNS];
    char text[80];

    for (int i = 0; i < RUNS; i++) {
        for (int way = 0; way < 2; way++) {
            _cleanup_run_ struct idm_run run = {0};
            pid_t broker = way ? start_broker(bench_device.tpm.tcti) : 0;
            run_cost(&run, argv);
            if (broker)
                stop_broker(broker);
            if (sscanf(run.out, "%lf %lf", &ours[way][i], &theirs[way][i]) != 2 ||
                theirs[way][i] <= 0)
                bench_fail("%s %s said %s", argv[0], argv[1], run.out);
            ratios[way][i] = ours[way][i] / theirs[way][i];
        }
    }
    for (int way = 0; way < 2; way++) {
        snprintf(text, sizeof(text), "%s, %s", what, ways[way]);
        bench_row(text, median(ours[way]), 0, "us", BENCH_NO_GOAL);
        snprintf(text, sizeof(text), "%s, at that time", yardstick);
        bench_row(text, median(theirs[way]), 0, "us", BENCH_NO_GOAL);
        snprintf(text, sizeof(text), "the one / the other, %s", ways[way]);
        bench_row(text, median(ratios[way]), 2, "", goals[way]);
    }
}

static void compare_signatures(void)
{
    compare_both(
        "sign through the provider", "Esys_Sign alone",
        (const char *const[]){COST, "sign", bench_device.tpm.tcti, DEVICE_KEY, ROUNDS, NULL}, 1.1,
        1.2);
}

/* ---- handshakes ---- */

struct files {
    char cert[IDM_DEVICE_PATH_SIZE], key[IDM_DEVICE_PATH_SIZE];
    char other[IDM_DEVICE_PATH_SIZE], other_key[IDM_DEVICE_PATH_SIZE];
};

/* The device's, and another party's plain pair: the legacy one is at hand. */
static void find_files(struct files *files)
{
    idm_device_path(&bench_device, "/run/idmode/device.cert.pem", files->cert);
    idm_device_path(&bench_device, "/run/idmode/device.key.pem", files->key);
    idm_device_path(&bench_device, "/config/device.cert.pem", files->other);
    idm_device_path(&bench_device, "/config/device.key.pem", files->other_key);
}

static void compare_mutual(void)
{
    struct files f;

    find_files(&f);
    compare_both("TLS 1.3 handshake, client authenticated", "with a software key, and Esys_Sign",
                 (const char *const[]){COST, "mutual", f.cert, f.key, f.other, f.other_key, ROUNDS,
                                       bench_device.tpm.tcti, DEVICE_KEY, NULL},
                 1.1, BENCH_NO_GOAL);
}

/* TPM commands of a process that makes so many handshakes; `broker`: the broker's. */
static unsigned commands_of(const char *rounds, bool broker)
{
    _cleanup_run_ struct idm_run run = {0};
    struct files f;
    char log[IDM_DEVICE_PATH_SIZE], tcti[sizeof(bench_device.tcti)], line[64];
    unsigned count = 0;

    find_files(&f);
    snprintf(log, sizeof(log), "%s/commands", bench_device.base);
    unlink(log);
    int size = snprintf(tcti, sizeof(tcti), SHIM ":log=%s,at=1,do=delay:0,child=%s", log,
                        bench_device.tpm.tcti);
    if (size < 0 || (size_t)size >= sizeof(tcti))
        bench_fail("the path %s is too long", log);
    pid_t pid = broker ? start_broker(tcti) : 0;
    run_with(
        &run, tcti,
        (const char *const[]){COST, "mutual", f.cert, f.key, f.other, f.other_key, rounds, NULL});
    /* before it ends, and gives back what it holds */
    FILE *file = fopen(log, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        count++;
    if (file != NULL)
        fclose(file);
    if (pid)
        stop_broker(pid);
    return count;
}

static void count_commands(const char *storage)
{
    char text[80];

    snprintf(text, sizeof(text), "TPM commands of a handshake, fresh process, %s", storage);
    bench_row(text, commands_of("1", false), 0, "", 4);
    snprintf(text, sizeof(text), "TPM commands of a handshake, by the broker, %s", storage);
    bench_row(text, (commands_of("11", true) - commands_of("1", true)) / 10.0, 1, "", 1);
}

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
    struct files f;

    find_files(&f);
    double ours = per_handshake(f.cert, f.key);
    double theirs = per_handshake(f.cert, f.other_key);
    bench_row("instructions of a handshake, software key by reference", ours / 1e3, 0, "k",
              BENCH_NO_GOAL);
    bench_row("instructions of a handshake, plain PEM", theirs / 1e3, 0, "k", BENCH_NO_GOAL);
    bench_row("reference / plain PEM", ours / theirs, 3, "", 1.02);
}

static unsigned opened_by(const char *handshakes)
{
    _cleanup_run_ struct idm_run run = {0};
    struct files f;
    unsigned count = 0;

    find_files(&f);
    run_cost(&run, (const char *const[]){"strace", "-f", "-e", "trace=open,openat,openat2,stat",
                                         COST, "handshake", f.cert, f.key, handshakes, NULL});
    for (const char *at = run.err; (at = strstr(at, "open")) != NULL; at++)
        count++;
    if (count == 0)
        bench_fail("strace saw no file opened");
    return count;
}

static void mode_page(void)
{
    _cleanup_run_ struct idm_run run = {0};

    run_cost(&run, (const char *const[]){COST, "mode", "10000000", NULL});
    bench_row("idmode_get_mode", strtod(run.out, NULL), 2, "ns", 5);
}

/* ---- tpm2-openssl ---- */

/* The same key through tpm2-abrmd, each time in a fresh `openssl s_client` that ends with the handshake:
 * by idmode, and by tpm2-openssl from the TSS2 file (in the one order of providers that works, and for
 * TLS 1.3 alone). "MS COMMANDS" a line: milliseconds, and commands that reached the chip. */
static const char others_script[] =
    "cd $BASE; log=$BASE/commands; : > $log;"
    "tpm2-abrmd --session --allow-root --tcti=$SHIM:log=$log,at=1,do=delay:0,child=$CHIP "
    "> abrmd.log 2>&1 & abrmd=$!;"
    "openssl s_server -accept 0 -cert $OTHER -key $OTHERKEY -Verify 1 -CAfile $CERT "
    "-verify_return_error -WWW > server.out 2> server.err < /dev/null & server=$!;"
    "trap 'kill $abrmd $server' EXIT;"
    "port() { sed -n 's/^ACCEPT.*://p' server.out; };"
    "for i in $(seq 300); do [ -z \"$(port)\" ] || break; sleep 0.1; done; port=$(port);"
    "client() { openssl s_client -tls1_3 -connect localhost:$port -cert $CERT -CAfile $OTHER "
    "\"$@\" < /dev/null > client.out 2> client.err; };"
    "ours() { IDMODE_TCTI=tabrmd:bus_type=session client -key $KEY; };"
    "theirs() { ( unset OPENSSL_CONF OPENSSL_MODULES; TPM2OPENSSL_TCTI=tabrmd:bus_type=session "
    "client "
    "-provider tpm2 -provider default -key $TSS2 ); };"
    "for i in $(seq 100); do ours && break; sleep 0.1; done;"
    "measure() { before=$(wc -l < $log); begin=$(date +%s%N); $1 || { cat client.*; exit 1; };"
    "end=$(date +%s%N); echo $(((end - begin) / 10000)) $(($(wc -l < $log) - before)); };"
    "for i in 1 2 3 4 5 6 7; do measure ours; measure theirs; done";

static void compare_with_others(void)
{
    _cleanup_run_ struct idm_run run = {0};
    struct files f;
    struct environment env;
    char tss2[IDM_DEVICE_PATH_SIZE], script[4096];
    double ms[2][RUNS];
    unsigned commands[2] = {0, 0};
    int at = 0, used = 0;

    find_files(&f);
    idm_device_path(&bench_device, "/persist/idmode/tpm.key.pem", tss2);
    int size =
        snprintf(script, sizeof(script),
                 "BASE=%s CHIP=%s SHIM=" SHIM " CERT=%s KEY=%s OTHER=%s OTHERKEY=%s TSS2=%s; %s",
                 bench_device.base, bench_device.tpm.tcti, f.cert, f.key, f.other, f.other_key,
                 tss2, others_script);
    if (size < 0 || (size_t)size >= sizeof(script))
        bench_fail("the path %s is too long", bench_device.base);
    fill_environment(&env, NULL);
    const struct idm_run_options options = {.env = env.list, .timeout_s = 300};
    if (idm_run(&run, &options,
                (const char *const[]){"dbus-run-session", "--", "sh", "-ec", script, NULL}) != 0)
        bench_fail("dbus-run-session: %s", strerror(errno));
    for (int i = 0; run.exit_code == 0 && i < 2 * RUNS; i++, at += used) {
        if (sscanf(run.out + at, "%lf %u%n", &ms[i % 2][i / 2], &commands[i % 2], &used) != 2)
            bench_fail("through tpm2-abrmd: %s", run.out);
    }
    if (run.exit_code != 0)
        bench_fail("through tpm2-abrmd: exit %d: %s%s", run.exit_code, run.out, run.err);
    double ours = median(ms[0]) / 100, theirs = median(ms[1]) / 100;
    bench_row("s_client through tpm2-abrmd, idmode", ours, 0, "ms", BENCH_NO_GOAL);
    bench_row("s_client through tpm2-abrmd, tpm2-openssl", theirs, 0, "ms", BENCH_NO_GOAL);
    bench_row("idmode / tpm2-openssl", ours / theirs, 2, "", 1);
    bench_row("TPM commands behind tpm2-abrmd, idmode", commands[0], 0, "", BENCH_NO_GOAL);
    bench_row("TPM commands behind tpm2-abrmd, tpm2-openssl", commands[1], 0, "", BENCH_NO_GOAL);
}

static void by_file_alone(void)
{
    idm_device_close(&bench_device);
    must(idm_device_open(&bench_device,
                         &(struct idm_device_options){.conf = "[tpm]\nkey-storage = tss2\n"}));
    must(idm_device_boot(&bench_device));
    count_commands("key by file");
}

void bench_tls_tpm(void)
{
    bench_heading("TLS, TPM key");
    compare_signatures();
    compare_mutual();
    mode_page();
    count_commands("key by handle");
    compare_with_others();
    by_file_alone();
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
    bench_row("files opened by ten handshakes, after loading", opened_by("12") - opened_by("2"), 0,
              "", 0);
}
