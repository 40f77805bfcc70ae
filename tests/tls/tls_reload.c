/* SPDX-License-Identifier: BSD-2-Clause */
/* share/idmode/hooks.d/50-reload: servers that cannot follow the mode by themselves are told to. nginx and
 * mosquitto themselves; systemctl, which needs systemd as init, is a script that notes what it is asked. */
#include "tests/tls/tls_device.h"

TLS(tls_reload);

#define RELOAD "$SOURCE/share/idmode/hooks.d/50-reload"

/* Both servers as root, so that they may read the scratch directory; nginx is a proxy as well, which shows its
 * identity to another server. `shown SOCKET` prints the SHA-256 of the certificate that is shown there, `proxied`
 * the SHA-1 of the one that the proxy shows. */
#define SERVERS                                                                                    \
    "mkdir -p ng mq; cat > ng/nginx.conf <<END\n"                                                  \
    "daemon off; pid $ROOT/run/nginx.pid; error_log $BASE/ng/error.log notice; user root;\n"       \
    "worker_processes 2; events { worker_connections 64; }\n"                                      \
    "http { access_log off; client_body_temp_path $BASE/ng/b; proxy_temp_path $BASE/ng/p;\n"       \
    "  fastcgi_temp_path $BASE/ng/f; uwsgi_temp_path $BASE/ng/u; scgi_temp_path $BASE/ng/s;\n"     \
    "  server { listen localhost:$p ssl; ssl_certificate $CERT; ssl_certificate_key $KEY;\n"       \
    "    location / { return 200 \"hello\\n\"; } }\n"                                              \
    "  server { listen unix:$BASE/ng/other ssl; ssl_verify_client optional_no_ca;\n"               \
    "    ssl_certificate $PEER_CERT; ssl_certificate_key $PEER_KEY;\n"                             \
    "    location / { return 200 \"\\$ssl_client_fingerprint\\n\"; } }\n"                          \
    "  server { listen unix:$BASE/ng/proxy; location / { proxy_pass "                              \
    "https://unix:$BASE/ng/other:/;\n"                                                             \
    "    proxy_ssl_certificate $CERT; proxy_ssl_certificate_key $KEY;\n"                           \
    "    proxy_ssl_session_reuse off; } } }\n"                                                     \
    "END\n"                                                                                        \
    "cat > mq/mosquitto.conf <<END\n"                                                              \
    "pid_file $ROOT/run/mosquitto.pid\nuser root\nallow_anonymous true\n"                          \
    "listener $q localhost\ncertfile $CERT\nkeyfile $KEY\n"                                        \
    "END\n"                                                                                        \
    "mkdir -p $ROOT/etc/idmode; printf '# those who load files\\n\\nunit other.service\\n"         \
    "pidfile /run/nginx.pid\\npidfile /run/mosquitto.pid\\npidfile /run/gone.pid\\n' "             \
    "> $ROOT/etc/idmode/reload;"                                                                   \
    "serve nginx nginx -p ng -c $BASE/ng/nginx.conf;"                                              \
    "serve mosquitto /usr/sbin/mosquitto -c mq/mosquitto.conf; await_port $p; await_port $q;"

#define SHOWN                                                                                      \
    "shown() { openssl s_client -connect localhost:$1 < /dev/null 2> /dev/null |"                  \
    " openssl x509 -outform DER | sha256sum; };"                                                   \
    "proxied() { curl -sS --unix-socket ng/proxy http://localhost/; };"                            \
    "sha1() { openssl x509 -in $CERT -noout -fingerprint -sha1 | tr -d : | tr A-F a-f |"           \
    " sed 's/.*=//'; };"                                                                           \
    "now() { openssl x509 -in $CERT -outform DER | sha256sum; };"                                  \
    "becomes() { i=0; until [ \"$(shown $1)\" = \"$2\" ]; do i=$((i+1)); [ $i -lt 300 ] || "       \
    "{ cat ng/error.log mosquitto.log; return 1; }; sleep 0.1; done; };"

/* What it is asked, in a file; the exit code of is-failed is that of $FAILED. */
#define SYSTEMCTL                                                                                  \
    "mkdir -p bin; printf '#!/bin/sh\\necho \"$*\" >> $BASE/asked\\n"                              \
    "[ \"$1\" != is-failed ] || exit \"${FAILED:-1}\"\\n' > bin/systemctl; chmod 755 "             \
    "bin/systemctl;"                                                                               \
    "PATH=$BASE/bin:$PATH; export BASE;"

/* Nothing but the reload changes what servers show; a request that is under way then is answered. */
Test(tls_reload, servers_show_the_new_identity)
{
    open_software_device(NULL, false);
    make_peer();
    cr_assert_eq(RUN("migrate", "prepare"), 0);
    tls(0,
        SYSTEMCTL SHOWN
        "p=$(port); q=$(port);" SERVERS "old=$(now); becomes $p \"$old\"; becomes $q \"$old\";"
        "[ \"$(proxied)\" = \"$(sha1)\" ]; before=$(sha1);"
        "mkfifo say; openssl s_client -connect localhost:$p -quiet < say > heard 2> /dev/null & "
        "open=$!;"
        "exec 7> say; printf 'GET / HTTP/1.1\\r\\nHo' >&7; sleep 0.3;"
        "$IDMODE --root $ROOT --tcti %s migrate commit; new=$(now); [ \"$old\" != \"$new\" ];"
        "[ \"$(shown $p)\" = \"$old\" ]; [ \"$(shown $q)\" = \"$old\" ];"
        "[ \"$(proxied)\" = \"$before\" ];"
        /* as a hook gets it */
        "env -i PATH=$PATH BASE=$BASE IDMODE_ROOT=$ROOT IDMODE_EVENT=x IDMODE_MODE=tpm " RELOAD ";"
        "becomes $p \"$new\"; becomes $q \"$new\"; i=0;"
        "until [ \"$(proxied)\" = \"$(sha1)\" ]; do i=$((i+1)); [ $i -lt 300 ]; sleep 0.1; done;"
        "grep -q 'try-reload-or-restart other.service' asked;"
        "printf 'st: x\\r\\n\\r\\n' >&7; i=0;"
        "until grep -q hello heard; do i=$((i+1)); [ $i -lt 300 ]; sleep 0.1; done;"
        "exec 7>&-; wait $open || true; [ $(grep -c SIGHUP ng/error.log) = 1 ];"
        /* again, for another reason: nobody is troubled */
        "IDMODE_ROOT=$ROOT " RELOAD "; [ $(wc -l < asked) = 2 ];",
        device.tcti);
}

/* Nobody runs anything: idmode tells its hooks. */
Test(tls_reload, as_a_hook)
{
    open_software_device(NULL, false);
    make_peer();
    cr_assert_eq(RUN("migrate", "prepare"), 0);
    tls(0,
        SHOWN
        "p=$(port); q=$(port);" SERVERS
        "printf 'pidfile /run/nginx.pid\\npidfile /run/mosquitto.pid\\n' > $ROOT/etc/idmode/reload;"
        "install -D -m 755 -t $ROOT/etc/idmode/hooks.d " RELOAD ";"
        "old=$(now); becomes $p \"$old\"; becomes $q \"$old\";"
        "$IDMODE --root $ROOT --tcti %s migrate commit; new=$(now); [ \"$old\" != \"$new\" ];"
        "becomes $p \"$new\"; becomes $q \"$new\"",
        device.tcti);
}

Test(tls_reload, what_failed_for_want_of_an_identity_is_started)
{
    open_tls(TPM);
    tls(0, SYSTEMCTL "echo 'unit a.service' > $ROOT/etc/idmode/reload;"
                     "FAILED=0 IDMODE_ROOT=$ROOT " RELOAD "; grep -q 'restart a.service' asked");
}

Test(tls_reload, no_identity_no_reload)
{
    open_tls(TPM);
    nobody();
    cr_assert_eq(RUN("boot"), 3);
    tls(0, SYSTEMCTL "echo 'unit a.service' > $ROOT/etc/idmode/reload;"
                     "IDMODE_ROOT=$ROOT " RELOAD "; ! test -e asked");
}

/* A line that fails is said, the others are done, and all of it is tried again. */
Test(tls_reload, what_fails_is_said_and_tried_again)
{
    open_tls(TPM);
    tls(0, SYSTEMCTL
        "printf 'unit\\nunit a b\\nfile x\\npidfile /etc/idmode/reload\\npidfile /run/one\\n"
        "pidfile /run/dead\\nunit z.service' > $ROOT/etc/idmode/reload; echo 1 > $ROOT/run/one;"
        "sleep 0 & echo $! > $ROOT/run/dead; wait $!;"
        "for i in 1 2; do ! IDMODE_ROOT=$ROOT " RELOAD " 2> err;"
        "[ $(grep -c ^50-reload: err) = 5 ] || { cat err; exit 1; }; done;"
        "[ $(grep -c 'try-reload-or-restart z.service' asked) = 2 ] || { cat asked; exit 1; };"
        "! test -e $ROOT/run/idmode/reloaded");
}
