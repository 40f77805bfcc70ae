/* SPDX-License-Identifier: BSD-2-Clause */
/* Unpatched programs with the device's identity: openssl(1), curl, nginx, Python, mosquitto; each with a
 * TPM key and with a software key, and across a move from one to the other. */
#include "tests/tls/tls_device.h"

TLS(tls_programs);

/* ---- each journey, once a device is up ---- */

static void openssl_tool(void)
{
    /* the device as client and as server, by file and by URI; what comes back was served only after the
     * server had seen the client's certificate */
    tls(0,
        "echo served > page; get() { printf 'GET /page HTTP/1.0\\r\\n\\r\\n' | timeout 20 openssl "
        "s_client -ign_eof -verify_return_error \"$@\" > got 2> err && grep -q served got || "
        "{ cat got err *.log; exit 1; }; };"
        "for v in -tls1_2 -tls1_3; do rm -f s1 s2;"
        "serve plain openssl s_server -unix s1 -cert $PEER_CERT -key $PEER_KEY -Verify 1 -CAfile "
        "$CERT -verify_return_error $v -WWW;"
        "serve ours openssl s_server -unix s2 -cert idmode:cert -key idmode:key -Verify 1 -CAfile "
        "$PEER_CERT -verify_return_error $v -WWW; await s1; await s2;"
        "get -unix s1 -cert $CERT -key $KEY -CAfile $PEER_CERT $v;"
        "get -unix s1 -cert idmode:cert -key idmode:key -CAfile $PEER_CERT $v;"
        "get -unix s2 -cert $PEER_CERT -key $PEER_KEY -CAfile $CERT $v; done");
}

static void curl_and_nginx(void)
{
    tls(0,
        "mkdir -p ng/client_body ng/proxy; cat > ng/nginx.conf <<END\n"
        "daemon off; pid $BASE/ng/pid; error_log $BASE/ng/error.log; worker_processes 2;\n"
        "user root;\n" /* may read the scratch directory */
        "events { worker_connections 64; }\n"
        "http { access_log off; ssl_protocols TLSv1.2 TLSv1.3; proxy_ssl_protocols TLSv1.2 "
        "TLSv1.3;\n"
        "  client_body_temp_path $BASE/ng/client_body;\n"
        "  proxy_temp_path $BASE/ng/proxy; fastcgi_temp_path $BASE/ng/f; uwsgi_temp_path "
        "$BASE/ng/u;\n"
        "  scgi_temp_path $BASE/ng/s;\n"
        /* the device as a server that asks for certificates */
        "  server { listen unix:$BASE/ng/device ssl; ssl_certificate $CERT;\n"
        "    ssl_certificate_key $KEY; ssl_verify_client on; ssl_client_certificate $PEER_CERT;\n"
        "    location / { return 200 \"saw \\$ssl_client_s_dn over \\$ssl_protocol\\n\"; } }\n"
        /* somebody else's, who wants the device's certificate */
        "  server { listen unix:$BASE/ng/other ssl; ssl_certificate $PEER_CERT;\n"
        "    ssl_certificate_key $PEER_KEY; ssl_verify_client on; ssl_client_certificate $CERT;\n"
        "    location / { return 200 \"upstream saw \\$ssl_client_fingerprint\\n\"; } }\n"
        /* a proxy on the device, which shows its identity upstream */
        "  server { listen unix:$BASE/ng/proxy.sock; location / {\n"
        "    proxy_pass https://unix:$BASE/ng/other:/; proxy_ssl_certificate $CERT;\n"
        "    proxy_ssl_certificate_key $KEY; proxy_ssl_name localhost; proxy_ssl_verify on;\n"
        "    proxy_ssl_trusted_certificate $PEER_CERT; proxy_ssl_session_reuse off; } } }\n"
        "END\n"
        "rm -f ng/device ng/other ng/proxy.sock; serve nginx nginx -p ng -c $BASE/ng/nginx.conf;"
        "await ng/proxy.sock; await ng/other; await ng/device;"
        "want=$(openssl x509 -in $CERT -noout -fingerprint -sha1 | tr -d : | tr A-F a-f | "
        "sed 's/.*=//');"
        "for v in --tlsv1.3 '--tlsv1.2 --tls-max 1.2'; do for i in 1 2 3; do "
        "curl -sS $v --unix-socket ng/device --insecure --cert $PEER_CERT --key $PEER_KEY "
        "https://localhost/ > out; grep -q 'saw CN=localhost' out;"
        "curl -sS $v --unix-socket ng/other --cacert $PEER_CERT --cert $CERT --key $KEY "
        "https://localhost/ > out; grep -q \"upstream saw $want\" out;"
        "curl -sS --unix-socket ng/proxy.sock http://localhost/ > out;"
        "grep -q \"upstream saw $want\" out || { cat out ng/error.log; exit 1; }; done; done;"
        "! curl -sS --unix-socket ng/other --cacert $PEER_CERT https://localhost/ -o out --fail");
}

static void python(void)
{
    tls(0, "cat > p.py <<'END'\n"
           "import os, ssl, socket, threading\n"
           "cert, key = os.environ['CERT'], os.environ['KEY']\n"
           "peer, peer_key = os.environ['PEER_CERT'], os.environ['PEER_KEY']\n"
           "def talk(server_pair, client_pair, server_ca, client_ca):\n"
           "    a, b = socket.socketpair()\n"
           "    s = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); s.load_cert_chain(*server_pair)\n"
           "    s.verify_mode = ssl.CERT_REQUIRED; s.load_verify_locations(server_ca)\n"
           "    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT); c.check_hostname = False\n"
           "    c.load_verify_locations(client_ca); c.load_cert_chain(*client_pair)\n"
           "    seen = []\n"
           "    def serve():\n"
           "        with s.wrap_socket(a, server_side=True) as t:\n"
           "            seen.append(t.getpeercert(True)); t.sendall(b'x')\n"
           "    t = threading.Thread(target=serve); t.start()\n"
           "    with c.wrap_socket(b) as w:\n"
           "        assert w.recv(1) == b'x'; seen.append(w.getpeercert(True))\n"
           "    t.join(); return seen\n"
           "der = ssl.PEM_cert_to_DER_cert(open(cert).read())\n"
           "for i in range(2):\n"
           "    assert talk((peer, peer_key), (cert, key), cert, peer)[0] == der\n"
           "    assert talk((cert, key), (peer, peer_key), peer, cert)[1] == der\n"
           "END\n"
           "export CERT KEY PEER_CERT PEER_KEY; timeout 30 python3 p.py");
}

static void mosquitto(void)
{
    tls(0,
        "p=$(port); q=$(port); mkdir -p mq;"
        /* the device's own broker, and somebody else's that wants the device's certificate */
        "cat > mq/ours.conf <<END\n"
        "listener $p localhost\ncertfile $CERT\nkeyfile $KEY\ncafile $PEER_CERT\n"
        "require_certificate true\nuse_identity_as_username true\nuser root\n"
        "END\n"
        "cat > mq/other.conf <<END\n"
        "listener $q localhost\ncertfile $PEER_CERT\nkeyfile $PEER_KEY\ncafile $CERT\n"
        "require_certificate true\nuse_identity_as_username true\nuser root\n"
        "END\n"
        "serve ours /usr/sbin/mosquitto -c mq/ours.conf; "
        "serve other /usr/sbin/mosquitto -c mq/other.conf; await_port $p; await_port $q;"
        "timeout 30 mosquitto_pub -h localhost -p $q --cafile $PEER_CERT --cert $CERT --key $KEY "
        "-t t "
        "-m hello -q 1 -r;"
        "timeout 30 mosquitto_sub -h localhost -p $q --cafile $PEER_CERT --cert $CERT --key $KEY "
        "-t t "
        "-C 1 -W 20 | grep -q hello;"
        "timeout 30 mosquitto_pub -h localhost -p $p --insecure --cafile $CERT --cert $PEER_CERT "
        "--key $PEER_KEY -t t -m hello -q 1");
}

#define EITHER(name)                                                                               \
    Test(tls_programs, name##_in_either_mode)                                                      \
    {                                                                                              \
        for (int kind = TPM; kind <= SOFTWARE; kind++) {                                           \
            open_tls((enum kind)kind);                                                             \
            name();                                                                                \
            close_device();                                                                        \
        }                                                                                          \
    }
EITHER(openssl_tool)
EITHER(curl_and_nginx)
EITHER(python)
EITHER(mosquitto)

/* ---- our examples ---- */

Test(tls_programs, examples_do_what_they_say)
{
    for (int kind = TPM; kind <= SOFTWARE; kind++) {
        open_tls((enum kind)kind);
        tls(0,
            "p=$(port); serve plain openssl s_server -accept $p -cert $PEER_CERT -key $PEER_KEY "
            "-Verify 1 -CAfile $CERT -verify_return_error -rev; await_port $p;"
            "$BUILD/bin/example-client localhost $p $PEER_CERT > out 2> err & client=$!; i=0;"
            "until grep -q olleh out && grep -q 'mode %s' out; do i=$((i+1));"
            "[ $i -lt 1500 ] || { cat out err plain.log; exit 1; }; sleep 0.02; done;"
            "kill -9 $client;"
            "q=$(port); serve python python3 $SOURCE/examples/server.py $q $PEER_CERT;"
            "await_port $q; echo hello | timeout 60 openssl s_client -connect localhost:$q -cert "
            "$PEER_CERT -key $PEER_KEY -CAfile $CERT "
            "-verify_return_error -quiet > out 2> err || true;"
            "grep -q hello out || { cat out err python.log; exit 1; }",
            kind_names[kind]);
        close_device();
    }
}

/* ---- across a move ---- */

/* Each program in either mode of one and the same device; servers that go on running are in tls_reload.c. */
Test(tls_programs, the_next_start_uses_the_new_identity)
{
    open_software_device(NULL, false);
    make_peer();
    python();
    cr_assert_eq(RUN("migrate", "prepare"), 0);
    cr_assert_eq(RUN("migrate", "commit"), 0);
    status_is("tpm", "tpm-dual", "");
    openssl_tool();
    curl_and_nginx();
    python();
    mosquitto();
}

/* ---- cost ---- */

Test(tls_programs, fresh_process_and_handshake_take_one_command)
{
    open_tls(TPM);
    boot_through(COUNT);
    tls(0, "serve plain openssl s_server -unix s -cert $PEER_CERT -key $PEER_KEY -Verify 1 -CAfile "
           "$CERT -verify_return_error -naccept 1 -WWW; await s; echo hello > page;"
           "curl -sS --http0.9 --unix-socket s --cacert $PEER_CERT --cert $CERT --key $KEY "
           "https://localhost/page | grep -q hello");
    cr_assert_eq(commands(NULL), 1, "%u commands", commands(NULL));
}
