/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_device.h - a device whose identity other programs use through OpenSSL.
 *
 *     TLS(tls_x)                          a suite whose tests close their device
 *     open_tls(TPM)                       or SOFTWARE: booted, $CERT and $KEY stand in /run/idmode
 *     tls(0, "curl …")                    a shell command with the provider; its exit code
 *
 * Variables for commands: $ROOT, $BASE (a scratch directory, where they run), $CERT, $KEY, $PEER_CERT
 * and $PEER_KEY (another party's plain files, for localhost). `serve NAME COMMAND…` starts a server in
 * the background, which is killed when the command ends (other programs in the background end by kill -9:
 * one that gets SIGTERM before it has become its program is still the shell, and bash then runs the shell's
 * EXIT trap in it, which ends the servers); `await FILE` waits until it is there; `port`
 * prints a free TCP port. IDMODE_TCTI is not set: what boot used counts; tpm2-tools find the chip itself.
 */
#ifndef IDM_TESTS_TLS_TLS_DEVICE_H
#define IDM_TESTS_TLS_TLS_DEVICE_H

#include "tests/life/life_shim.h"

#define TLS(suite) TestSuite(suite, .timeout = 120, .fini = close_device)

enum kind { TPM, SOFTWARE };
static const char *const kind_names[] = {[TPM] = "tpm", [SOFTWARE] = "software"};

/* A password prompt or a server that hangs ends a command by time. */
static const char tls_prelude[] =
    "cd $BASE; CERT=$ROOT/run/idmode/device.cert.pem; KEY=$ROOT/run/idmode/device.key.pem;"
    "PEER_CERT=$BASE/peer.cert.pem; PEER_KEY=$BASE/peer.key.pem; servers='';"
    "trap 'for p in $servers; do kill $p 2>/dev/null || true; done; wait' EXIT;"
    "serve() { name=$1; shift; \"$@\" > $name.log 2>&1 < /dev/null & servers=\"$servers $!\"; };"
    "await() { i=0; while ! [ -e \"$1\" ]; do i=$((i+1)); [ $i -lt 500 ] || "
    "{ cat *.log; return 1; }; sleep 0.01; done; };"
    "await_port() { i=0; while ! python3 -c \"import socket;socket.create_connection(('localhost',"
    "$1)).close()\" 2>/dev/null; do i=$((i+1)); [ $i -lt 100 ] || { cat *.log; return 1; }; "
    "sleep 0.02; done; };"
    "port() { python3 $SOURCE/tests/tls/port.py $BUILD/tests/last-port; };";

static inline int tls_run(struct idm_run *ret, const char *command)
{
    char text[8192], root[320], base[320];

    snprintf(root, sizeof(root), "ROOT=%s", device.root);
    snprintf(base, sizeof(base), "BASE=%s", device.base);
    char idmode_root[320];
    snprintf(idmode_root, sizeof(idmode_root), "IDMODE_ROOT=%s", device.root);
    int size = snprintf(text, sizeof(text), "%s%s", tls_prelude, command);
    cr_assert(size > 0 && (size_t)size < sizeof(text));
    char tools[320];
    snprintf(tools, sizeof(tools), "TPM2TOOLS_TCTI=%s", device.tpm.tcti);
    const char *const env[] = {root,
                               tools,
                               base,
                               idmode_root,
                               "IDMODE_TCTI",
                               "IDMODE=" IDMODE,
                               "BUILD=" IDM_TEST_BUILD_DIR,
                               "SOURCE=" IDM_TEST_SOURCE_DIR,
                               "TSS2_LOG=all+none",
                               "OPENSSL_CONF=" IDM_TEST_SOURCE_DIR "/share/idmode/openssl.cnf",
                               "OPENSSL_MODULES=" IDM_TEST_BUILD_DIR "/ossl-modules",
                               NULL};
    const struct idm_run_options options = {.env = env};
    cr_assert_eq(idm_run(ret, &options, (const char *const[]){"bash", "-ec", text, NULL}), 0);
    return ret->exit_code;
}

__attribute__((format(printf, 2, 3))) static inline void tls(int exit_code, const char *format, ...)
{
    _cleanup_run_ struct idm_run run = {0};
    char command[6144];
    va_list arguments;

    va_start(arguments, format);
    int size = vsnprintf(command, sizeof(command), format, arguments);
    va_end(arguments);
    cr_assert(size > 0 && (size_t)size < sizeof(command));
    tls_run(&run, command);
    cr_assert_eq(run.exit_code, exit_code, "exit %d, not %d: %s\n%s%s", run.exit_code, exit_code,
                 command, run.out, run.err);
}

/* The same where ASan is not linked into the program that loads the provider: openssl, curl, nginx. */
static inline bool sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__)
    return true;
#else
    return false;
#endif
}

static inline void make_peer(void)
{
    shell(0, "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "
             "/CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -days 30 "
             "-keyout peer.key.pem -out peer.cert.pem 2> /dev/null");
}

static inline void open_tls_with(enum kind kind, const char *conf, bool rsa)
{
    if (kind == TPM) {
        open_device(&(struct idm_device_options){.conf = conf, .rsa = rsa});
        boot(0);
    } else {
        open_device(&(struct idm_device_options){
            .legacy = true, .conf = conf, .rsa = rsa, .without_tpm = true});
        boot(0);
        OK(idm_device_put_image(&device, 0, true, "2.0"));
        boot(0);
    }
    make_peer();
}

/* A software device whose old image made a pair of this kind; `genpkey`: openssl genpkey's options. */
static inline void open_old_pair(const char *genpkey, const char *conf)
{
    open_device(&(struct idm_device_options){.legacy = true, .conf = conf, .without_tpm = true});
    boot(0);
    shell(
        0,
        "openssl genpkey %s -out k; openssl req -new -x509 -key k -subj /CN=old -days 3650 -out c;"
        "cat k > $ROOT/config/device.key.pem; cat c > $ROOT/config/device.cert.pem",
        genpkey);
    OK(idm_device_put_image(&device, 0, true, "2.0"));
    boot(0);
    status_is("software", "software", "");
    make_peer();
}

static inline void open_tls(enum kind kind)
{
    open_tls_with(kind, NULL, false);
}

/* `idmode boot` through the shim, so that what it publishes leads through it as well. */
static inline void boot_through(const char *what)
{
    spoil(what);
    cr_assert_eq(RUN("boot"), 0);
    char path[300];
    log_path(path);
    unlink(path);
}

#endif
