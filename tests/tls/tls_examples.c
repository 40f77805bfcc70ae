/* SPDX-License-Identifier: BSD-2-Clause */
/* examples/: clients and servers in C and Python authenticate each other, each with the device's identity,
 * certified by an authority whose root is all that they trust; with a software key, with a TPM key in a file
 * and at a handle, and across a move to the TPM while the servers run. */
#include "tests/tls/tls_device.h"

TLS(tls_examples);

#define CONF      "[identity]\ncertificate = ca\nsubject = CN=device.example\n"
#define AS_FILE   CONF "[tpm]\nkey-storage = tss2\n"
#define AT_HANDLE CONF "[tpm]\nkey-storage = persistent\n"

static void make_ca(void)
{
    shell(0, "for n in root mid; do openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 "
             "-out $n.key; done; printf 'basicConstraints=critical,CA:TRUE\\n"
             "keyUsage=critical,keyCertSign\\n' > ca.ext;"
             "openssl req -x509 -key root.key -subj /CN=root -days 3650 -out root.pem -addext "
             "basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign;"
             "openssl req -new -key mid.key -subj /CN=mid | openssl x509 -req -CA root.pem -CAkey "
             "root.key -CAcreateserial -days 3000 -extfile ca.ext -out mid.pem");
}

/* option: "" or "--prepared" */
static void certify(const char *option)
{
    shell(0,
          "$IDMODE --root $ROOT --tcti $TCTI csr %s > csr; openssl x509 -req -in csr -CA mid.pem "
          "-CAkey mid.key -CAcreateserial -days 900 -copy_extensions copy -out leaf.pem;"
          "cat leaf.pem mid.pem > chain.pem;"
          "$IDMODE --root $ROOT --tcti $TCTI cert install %s chain.pem",
          option, option);
}

/* Every client with every server: each server has seen the certificate in use now, and shown it. A client
 * goes on for ever: it is killed as soon as it was answered, mostly in the middle of its goodbye. */
#define HEARD                                                                                      \
    "heard() { i=0; until grep -q \"^$want hello\" out 2> none; do i=$((i+1));"                    \
    " kill -0 $client 2> none && [ $i -lt 1500 ] || { cat out err *.log; return 1; };"             \
    " sleep 0.02; done; kill -9 $client; wait $client 2> none || true; };"

#define CLIENT(command)                                                                            \
    "rm -f out; " command " localhost $at root.pem device.example > out 2> err & client=$!; "      \
    "heard;"

#define SHOWN                                                                                      \
    "echo x | timeout 20 openssl s_client -connect localhost:$at -cert $CERT -cert_chain $CERT "   \
    "-key $KEY -CAfile root.pem -verify_return_error > shown 2> err || { cat shown err; exit 1; "  \
    "};"                                                                                           \
    "openssl x509 -in shown -outform DER | sha256sum | grep -q $want;"

#define C_CLIENT      CLIENT("$BUILD/bin/example-client")
#define PYTHON_CLIENT CLIENT("python3 $SOURCE/examples/client.py")

#define TALK                                                                                       \
    "want=$(openssl x509 -in $CERT -outform DER | sha256sum | cut -c1-64);"                        \
    "for at in $p $q; do " C_CLIENT PYTHON_CLIENT "grep -q \"mode $MODE\" out;" SHOWN "done;"

#define SERVERS                                                                                    \
    "p=$(port); serve c $BUILD/bin/example-server $p root.pem;"                                    \
    "q=$(port); serve python python3 $SOURCE/examples/server.py $q root.pem;"                      \
    "await_port $p; await_port $q;"

static void talk(const char *mode)
{
    tls(0, "MODE=%s;" HEARD SERVERS TALK, mode);
}

Test(tls_examples, authenticate_each_other_in_either_mode)
{
    static const char *const confs[] = {AS_FILE, AT_HANDLE};
    for (size_t i = 0; i < 2; i++) {
        open_tls_with(TPM, confs[i], false);
        cr_assert_eq(idm_device_exists(&device, PERSIST_TSS2), i == 0);
        make_ca();
        certify("");
        talk("tpm");
        close_device();
    }
    open_tls_with(SOFTWARE, CONF, false);
    make_ca();
    certify("");
    talk("software");
}

Test(tls_examples, follow_a_move_to_the_tpm)
{
    open_software_device(CONF, false);
    make_ca();
    certify("");
    cr_assert_eq(RUN("migrate", "prepare"), 0);
    certify("--prepared");
    tls(0,
        "MODE=software;" HEARD SERVERS TALK
        "$IDMODE --root $ROOT --tcti %s migrate commit; MODE=tpm;" TALK,
        device.tcti);
    status_is("tpm", "tpm-dual", "");
}

/* A peer without a certificate of the authority's gets no answer, from either server. */
Test(tls_examples, a_stranger_gets_no_answer)
{
    open_tls_with(TPM, CONF, false);
    make_ca();
    certify("");
    tls(0, SERVERS "for at in $p $q; do for how in '' \"-cert $PEER_CERT -key $PEER_KEY\"; do "
                   "(echo hello; sleep 0.3) | timeout 20 openssl s_client -connect localhost:$at "
                   "$how -CAfile root.pem -quiet > out 2> err || true;"
                   "if grep -q hello out; then cat out; exit 1; fi; done; done");
}

/* Clients that end or are reset at every message of a handshake, an answer and a goodbye, within it and behind
 * it, and ones that are killed: a server answers the next one. */
Test(tls_examples, servers_outlive_clients_that_are_gone)
{
    open_tls_with(SOFTWARE, CONF, false);
    make_ca();
    certify("");
    tls(0, HEARD SERVERS
        "want=$(openssl x509 -in $CERT -outform DER | sha256sum | cut -c1-64);"
        "for at in $p $q; do"
        " python3 $SOURCE/tests/tls/gone.py $at $CERT $KEY root.pem device.example $want"
        " || { cat *.log; exit 1; };"
        " for i in 1 2 3 4 5 6 7 8; do $BUILD/bin/example-client localhost $at root.pem"
        " device.example > out 2> err & client=$!; sleep 0.00$i; kill -9 $client;"
        " wait $client 2> none || true; done; " C_CLIENT
        "done; for s in $servers; do kill -0 $s; done");
}
