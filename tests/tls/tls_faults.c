/* SPDX-License-Identifier: BSD-2-Clause */
/* What goes wrong under TLS, for who asks the chip itself and for who asks idmode-signd: an error that says
 * why, in time, and never a signature by another key, though the software key lies in the config directory.
 * Hostile clients are in tls_broker.c, devices without identity in tls_provider.c. */
#include "tests/tls/tls_signd.h"

static void close_all(void)
{
    stop_broker();
    close_device();
}

TestSuite(tls_faults, .timeout = 180, .fini = close_all);

enum way { DIRECT, BROKER, WAYS };
static const char *const way_names[] = {[DIRECT] = "directly", [BROKER] = "by the broker"};

#define SIGN "openssl dgst -sha256 -sign $KEY -out sig $PEER_CERT"

static char environment[1024]; /* of commands: how they reach the chip */

/* From now on those who sign meet this fault ("" none). */
static void fault(enum way way, const char *what)
{
    char tcti[512];

    stop_broker();
    snprintf(tcti, sizeof(tcti), "%s", device.tpm.tcti);
    if (what[0] != '\0')
        snprintf(tcti, sizeof(tcti), SHIM ":%s,child=%s", what, device.tpm.tcti);
    environment[0] = '\0';
    if (way == BROKER)
        start_broker_at(tcti);
    else
        snprintf(environment, sizeof(environment), "export IDMODE_TCTI=%s;", tcti);
}

/* It fails before time is up, says `words`, and there is no signature. */
static void fails_with(const char *command, const char *words)
{
    tls(0,
        "%s rm -f sig; code=0; timeout 60 %s > out 2>&1 < /dev/null || code=$?;"
        "[ $code != 0 ] && [ $code != 124 ] && ! test -s sig && grep -q -- '%s' out ||"
        "{ echo \"exit $code\"; cat out; exit 1; }",
        environment, command, words);
}

static void signs(void)
{
    tls(0,
        "%s rm -f sig; " SIGN "; openssl x509 -in $CERT -pubkey -noout > pub;"
        "openssl dgst -sha256 -verify pub -signature sig $PEER_CERT",
        environment);
}

/* ---- one command that fails ---- */

Test(tls_faults, chips_that_fail_say_so)
{
    static const struct {
        const char *what;
        const char *words;
    } rows[] = {
        {"cc=Sign,do=answer:0x921", "lockout"},
        {"cc=Sign,do=answer:0x101", "0x101"},
        {"mode=failure", "0x101"},
        {"cc=Sign,do=disconnect-before", "sign with the TPM"},
        {"cc=Sign,do=disconnect-after", "sign with the TPM"},
        {"cc=Sign,do=truncate:12", "sign with the TPM"},
        {"cc=Sign,do=garble:20", "not good under the certificate\\|sign with the TPM"},
        {"cc=Sign,do=answer:0x902", "fill the chip"},
    };

    open_tls_with(TPM, TPM_CONF("wait = 300ms"), false);
    for (int way = 0; way < WAYS; way++) {
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            fault((enum way)way, rows[i].what);
            fails_with(SIGN, rows[i].words);
        }
        fault((enum way)way, "");
        signs();
    }
}

/* ---- busy ---- */

/* Ten seconds of 0x922, as long as [tpm] wait is by default; in the quick run one. */
Test(tls_faults, busy_chip_is_waited_for_and_no_longer)
{
    bool thorough = getenv("IDM_TEST_THOROUGH") != NULL;
    unsigned wait = thorough ? 10 : 1;

    open_tls_with(TPM, thorough ? TPM_CONF("wait = 10s") : TPM_CONF("wait = 1s"), false);
    for (int way = 0; way < WAYS; way++) {
        struct timespec begin, end;
        fault((enum way)way, "cc=Sign,do=answer:0x922,times=12");
        signs();
        fault((enum way)way, "cc=Sign,do=answer:0x922");
        clock_gettime(CLOCK_MONOTONIC, &begin);
        fails_with(SIGN, "0x922");
        clock_gettime(CLOCK_MONOTONIC, &end);
        cr_assert(end.tv_sec - begin.tv_sec + 1 >= wait, "%s: after %ld s", way_names[way],
                  (long)(end.tv_sec - begin.tv_sec));
        fault((enum way)way, "");
        signs();
    }
}

/* ---- in mid-handshake ---- */

#define PEER_SERVER                                                                                \
    "rm -f s; serve plain openssl s_server -unix s -cert $PEER_CERT -key $PEER_KEY -Verify 1 "     \
    "-CAfile $CERT -verify_return_error -WWW; await s; echo hello > page;"
#define DEVICE_CLIENT                                                                              \
    "timeout 60 curl -sS --http0.9 --unix-socket s --cacert $PEER_CERT --cert $CERT --key $KEY "   \
    "https://localhost/page"

Test(tls_faults, chip_that_dies_in_mid_handshake_of_a_client)
{
    static const char *const faults[] = {"disconnect-before", "disconnect-after", "answer:0x101",
                                         "garble:0"};
    char what[64];

    open_tls_with(TPM, TPM_CONF("wait = 200ms"), false);
    for (int way = 0; way < WAYS; way++) {
        for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
            snprintf(what, sizeof(what), "cc=Sign,do=%s", faults[i]);
            fault((enum way)way, what);
            tls(0,
                "%s" PEER_SERVER "code=0; " DEVICE_CLIENT " > out 2>&1 || code=$?;"
                "test $code != 0; test $code != 124; grep -qi 'curl:' out; ! grep -q hello out",
                environment);
        }
        fault((enum way)way, "");
        tls(0, "%s" PEER_SERVER DEVICE_CLIENT " | grep -q hello", environment);
    }
}

/* A server does not go down with its chip, and serves again with it. */
Test(tls_faults, chip_that_dies_under_a_server)
{
    open_tls_with(TPM, TPM_CONF("wait = 200ms"), false);
    for (int way = 0; way < WAYS; way++) {
        fault((enum way)way, "");
        tls(0,
            "%srm -rf ng s; mkdir ng; cat > ng/nginx.conf <<END\n"
            "daemon off; pid $BASE/ng/pid; error_log $BASE/ng/error.log; user root;\n"
            "worker_processes 2; events { worker_connections 64; }\n"
            "http { access_log off; client_body_temp_path $BASE/ng/b; proxy_temp_path $BASE/ng/p;\n"
            "  fastcgi_temp_path $BASE/ng/f; uwsgi_temp_path $BASE/ng/u; scgi_temp_path "
            "$BASE/ng/s;\n"
            "  server { listen unix:$BASE/s ssl; ssl_certificate $CERT; ssl_certificate_key $KEY;\n"
            "    location / { return 200 \"hello\\n\"; } } }\n"
            "END\n"
            "serve nginx nginx -p ng -c $BASE/ng/nginx.conf; await s;"
            "get() { timeout 60 curl -sS --insecure --unix-socket s https://localhost/; };"
            "get | grep -q hello; mv %s/tpm %s/away; code=0; get > out 2>&1 || code=$?;"
            "mv %s/away %s/tpm; test $code != 0; test $code != 124; ! grep -q hello out;"
            "get | grep -q hello; grep -q idmode ng/error.log || { cat ng/error.log; exit 1; }",
            environment, device.tpm.run_dir, device.tpm.run_dir, device.tpm.run_dir,
            device.tpm.run_dir);
    }
}

/* Root goes on by itself, a member of the group learns it in time; nobody hangs. */
Test(tls_faults, broker_killed_in_mid_handshake)
{
    open_tls_with(TPM, "[access]\ngroup = daemon\n[tpm]\nwait = 200ms\n", false);
    tls(0, "chmod 755 $BASE; chmod 644 $PEER_CERT");
    for (int i = 0; i < 2; i++) {
        int status = 0;
        fault(BROKER, i ? "cc=Sign,do=kill-after" : "cc=Sign,do=kill-before");
        tls(0, PEER_SERVER DEVICE_CLIENT " | grep -q hello");
        cr_assert_eq(waitpid(broker, &status, 0), broker);
        cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        broker = 0;
        fault(BROKER, "cc=Sign,do=kill-after");
        tls(0, PEER_SERVER "chmod 777 s; code=0;"
                           "setpriv --reuid 65534 --regid 65534 --groups 1 " DEVICE_CLIENT
                           " > out 2>&1 || code=$?; test $code != 0; test $code != 124;"
                           "grep -qi curl: out; ! grep -q hello out");
        cr_assert_eq(waitpid(broker, &status, 0), broker);
        broker = 0;
    }
}

/* ---- keys and certificates that do not fit ---- */

Test(tls_faults, key_of_another_chip_never_signs_in_software)
{
    static const char *const storages[] = {"", "[tpm]\nkey-storage = tss2\n",
                                           "[tpm]\nkey-storage = persistent\n"};

    for (size_t i = 0; i < sizeof(storages) / sizeof(storages[0]); i++) {
        open_tls_with(TPM, storages[i], false);
        cr_assert(idm_device_exists(&device, "/config/device.key.pem"), "a plain key is at hand");
        fault(DIRECT, "");
        signs();
        OK(idm_device_chip_swap(&device));
        for (int way = 0; way < WAYS; way++) {
            fault((enum way)way, "");
            fails_with(SIGN, "0x18b\\|0x1df\\|nothing");
        }
        OK(idm_device_chip_swap(&device));
        for (int way = 0; way < WAYS; way++) {
            fault((enum way)way, "");
            signs();
        }
        close_all();
    }
}

/* Somebody's file over ours in /run: no program starts with it, each says why. */
Test(tls_faults, certificate_that_does_not_fit)
{
    for (int kind = TPM; kind <= SOFTWARE; kind++) {
        open_tls((enum kind)kind);
        environment[0] = '\0';
        tls(0,
            "rm $CERT; cp $PEER_CERT $CERT; printf 'events {} http { server { listen unix:$BASE/s "
            "ssl;\\n' > n; printf \"ssl_certificate $CERT; ssl_certificate_key $KEY; } }\" >> n;"
            "printf \"user root\\nlistener $(port) localhost\\ncertfile $CERT\\nkeyfile $KEY\\n\" "
            "> m");
        fails_with(SIGN, "Could not read\\|is not that of the key");
        fails_with("openssl dgst -sha256 -sign idmode:key -out sig $PEER_CERT",
                   "the certificate in /run/idmode is not that of the key");
        tls(0, PEER_SERVER "code=0; " DEVICE_CLIENT " > out 2>&1 || code=$?; test $code = 58;"
                           "grep -q 'set private key file' out || { cat out; exit 1; }");
        fails_with("nginx -t -c $BASE/n", "is not that of the key");
        fails_with("/usr/sbin/mosquitto -c m", "Unable to load server key file");
        fails_with("python3 -c \"import ssl,sys;ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)."
                   "load_cert_chain('$CERT', '$KEY')\"",
                   "ssl.SSLError");
        close_all();
    }
}

/* ---- slots ---- */

Test(tls_faults, killed_clients_leave_nothing_in_the_chip)
{
    open_tls_with(TPM, TPM_CONF("key-storage = tss2"), false);
    fault(DIRECT, "cc=Sign,do=kill-before");
    for (int i = 0; i < 6; i++) /* a chip has three slots */
        tls(0, "%s " SIGN " 2> /dev/null && exit 1 || true", environment);
    fault(DIRECT, "");
    signs();
}
