/* SPDX-License-Identifier: BSD-2-Clause */
/* The provider by itself: URI, reference, signatures, errors; through openssl(1), as root. */
#include "tests/tls/tls_signd.h"

static void close_all(void)
{
    stop_broker();
    close_device();
}

TestSuite(tls_provider, .timeout = 120, .fini = close_all);

/* ---- keys and signatures ---- */

static void signs_with_every_digest(const char *options)
{
    tls(0,
        "openssl x509 -in $CERT -pubkey -noout > pub; echo message > in;"
        "for d in sha256 sha384 sha512; do for k in idmode: idmode:key $KEY; do "
        "openssl dgst -$d -sign $k %s -out sig in;"
        "OPENSSL_CONF=/dev/null openssl dgst -$d -verify pub %s -signature sig in;"
        "done; done",
        options, options);
}

Test(tls_provider, uri_and_reference_sign_in_either_mode)
{
    for (int kind = TPM; kind <= SOFTWARE; kind++) {
        open_tls((enum kind)kind);
        signs_with_every_digest("");
        tls(0, "openssl storeutl -noout idmode: > out; grep -q 'Total found: 2' out;"
               "openssl storeutl -noout -certs idmode: > out; grep -q 'Total found: 1' out;"
               "openssl storeutl -keys idmode:cert > out; grep -q 'Total found: 0' out;"
               "openssl x509 -in $CERT -pubkey -noout > a; openssl pkey -in $KEY -pubout > b;"
               "openssl pkey -in idmode:key -pubout > c; cmp a b; cmp a c;"
               "openssl pkey -in idmode:key -pubcheck -noout");
        /* a certificate request says which algorithm signed it */
        tls(0, "openssl req -new -key idmode:key -subj /CN=x -out csr;"
               "OPENSSL_CONF=/dev/null openssl req -in csr -verify -noout");
        close_device();
    }
}

Test(tls_provider, rsa_signs_with_both_paddings)
{
    for (int kind = TPM; kind <= SOFTWARE; kind++) {
        open_tls_with((enum kind)kind, "[identity]\nalgorithm = rsa-2048\n", true);
        signs_with_every_digest("");
        signs_with_every_digest("-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest");
        tls(0,
            "openssl req -new -key idmode:key -subj /CN=x -sigopt rsa_padding_mode:pss -sigopt "
            "rsa_pss_saltlen:digest -out csr; OPENSSL_CONF=/dev/null openssl req -in csr -verify "
            "-noout");
        close_device();
    }
}

/* Old images made what they liked; each kind as a server's and a client's, by file and by URI, in the
 * process itself and by the broker. */
Test(tls_provider, keys_of_other_kinds_of_old_images)
{
    static const char *const kinds[] = {"-algorithm ed25519", "-algorithm ed448",
                                        "-algorithm EC -pkeyopt ec_paramgen_curve:P-521"};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        open_old_pair(kinds[i], "[access]\ngroup = daemon\n");
        for (int way = 0; way < 2; way++) {
            if (way)
                start_broker();
            tls(0,
                "echo served > page; cmp <(openssl x509 -in $CERT -pubkey -noout) "
                "<(openssl pkey -in idmode:key -pubout); chmod 755 $BASE; as='%s';"
                "rm -rf out; mkdir -m 777 out; chmod 644 $PEER_CERT $PEER_KEY page;"
                "get() { printf 'GET /page HTTP/1.0\\r\\n\\r\\n' | timeout 60 $as openssl "
                "s_client -ign_eof -verify_return_error \"$@\" > got 2> err && grep -q served got "
                "|| "
                "{ cat got err *.log; exit 1; }; };"
                "for v in -tls1_2 -tls1_3; do rm -f s1 s2;"
                "serve plain openssl s_server -unix s1 -cert $PEER_CERT -key $PEER_KEY -Verify 1 "
                "-CAfile $CERT -verify_return_error $v -WWW;"
                "serve ours openssl s_server -unix s2 -cert idmode:cert -key idmode:key -Verify 1 "
                "-CAfile $PEER_CERT -verify_return_error $v -WWW; await s1; await s2; chmod 777 s1 "
                "s2;"
                "get -unix s1 -cert $CERT -key $KEY -CAfile $PEER_CERT $v;"
                "get -unix s2 -cert $PEER_CERT -key $PEER_KEY -CAfile $CERT $v; done;"
                "$as openssl req -new -key $KEY -subj /CN=x -out out/csr;"
                "OPENSSL_CONF=/dev/null openssl req -in out/csr -verify -noout;"
                "! openssl pkey -in idmode:key -out stolen 2> /dev/null; ! grep -q PRIVATE stolen",
                way ? "setpriv --reuid 65534 --regid 65534 --groups 1" : "");
        }
        close_all();
    }
}

Test(tls_provider, private_half_goes_nowhere)
{
    for (int kind = TPM; kind <= SOFTWARE; kind++) {
        open_tls((enum kind)kind);
        tls(0, "! openssl pkey -in idmode:key -out stolen 2> /dev/null; ! grep -q PRIVATE stolen;"
               "! openssl pkey -in $KEY -outform DER -out stolen 2> /dev/null;"
               "! grep -rl 'PRIVATE' $ROOT/run | grep -v -e device.key.pem -e signer;"
               "! grep -q 'EC PRIVATE\\|RSA PRIVATE' $ROOT/run/idmode/signer");
        close_device();
    }
}

Test(tls_provider, other_peoples_keys_are_left_alone)
{
    open_tls(TPM);
    tls(0, "cat $PEER_CERT $PEER_KEY > both; cat $CERT $KEY > ours;"
           "for f in both ours; do python3 -c \"import ssl,sys;"
           "ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(sys.argv[1])\" $f; done;"
           "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out k;"
           "openssl genpkey -algorithm RSA -out r 2> /dev/null; openssl pkey -in k -pubout > p;"
           "echo x | openssl dgst -sha256 -sign k -out s; echo x | openssl dgst -sha256 -verify p "
           "-signature s; openssl x509 -in $PEER_CERT -noout -subject > /dev/null");
    /* also idmode itself, whose sessions use OpenSSL */
    tls(0, "rm -r $ROOT/config/* $ROOT/persist/*; IDMODE_TCTI=%s $IDMODE factory-reset --yes",
        device.tpm.tcti);
}

/* ---- TPM commands ---- */

Test(tls_provider, one_tpm_command_per_signature_and_none_to_load)
{
    open_tls(TPM);
    boot_through(COUNT);
    tls(0, "openssl storeutl -noout idmode: > out; openssl pkey -in $KEY -pubout > out;"
           "python3 -c \"import ssl,sys;ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain("
           "sys.argv[1], sys.argv[2])\" $CERT $KEY");
    cr_assert_eq(commands(NULL), 0, "%u commands to load a key", commands(NULL));
    tls(0, "echo x | openssl dgst -sha256 -sign idmode:key -out s");
    cr_assert_eq(commands(NULL), 1, "%u commands to sign", commands(NULL));
}

Test(tls_provider, key_by_file_alone_signs)
{
    open_tls_with(TPM, TPM_CONF("key-storage = tss2"), false);
    boot_through(COUNT);
    signs_with_every_digest("");
    cr_assert_eq(commands(NULL), 27, "%u commands for nine signatures", commands(NULL));
}

Test(tls_provider, key_that_left_its_handle_signs_by_its_file)
{
    open_tls(TPM);
    shell(0, "tpm2_evictcontrol -C o -c 0x81020000 > /dev/null");
    signs_with_every_digest("");
}

Test(tls_provider, software_device_asks_no_tpm)
{
    open_software_device(NULL, false);
    make_peer();
    boot_through(COUNT);
    signs_with_every_digest("");
    cr_assert_eq(commands(NULL), 0);
}

/* ---- what cannot work says why ---- */

/* The command fails within seconds, and each of the words stands in what it says. */
static void fails_with(const char *command, const char *words)
{
    tls(0,
        "! timeout 20 %s > out 2>&1 < /dev/null || { cat out; exit 1; };"
        "grep -q -- '%s' out || { cat out; exit 1; }",
        command, words);
}

#define SIGN "openssl dgst -sha256 -sign idmode:key -out sig $PEER_CERT"

Test(tls_provider, device_that_was_never_set_up)
{
    open_tls(TPM);
    shell(0, "cp $ROOT/run/idmode/device.key.pem reference; cp $ROOT/run/idmode/device.cert.pem .;"
             "rm -r $ROOT/run/idmode");
    fails_with(SIGN, "idmode boot has not run in this boot");
    fails_with("openssl pkey -in reference -pubout", "Could not read key");
    fails_with("python3 -c 'import ssl;ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain("
               "\"device.cert.pem\", \"reference\")'",
               "ssl.SSLError");
    fails_with("openssl s_client -cert idmode:cert -key idmode:key", "idmode boot has not run");
}

Test(tls_provider, device_that_is_held)
{
    open_tls(TPM);
    nobody();
    cr_assert_eq(RUN("boot"), 3);
    fails_with(SIGN, "no identity is in use (mode unknown)");
}

Test(tls_provider, reference_of_another_identity)
{
    open_tls(TPM);
    shell(0,
          "cp $ROOT/run/idmode/device.key.pem old; cp $ROOT/run/idmode/device.cert.pem old.cert");
    cr_assert_eq(RUN("factory-reset", "--yes"), 0);
    fails_with("openssl req -new -subj /CN=x -key old", "Could not read");
    fails_with("python3 -c 'import ssl;ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain("
               "\"old.cert\", \"old\")'",
               "ssl.SSLError");
    /* key and certificate that do not belong together */
    fails_with("python3 -c 'import ssl,os;ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain("
               "\"old.cert\", os.environ[\"IDMODE_ROOT\"]+\"/run/idmode/device.key.pem\")'",
               "values mismatch");
}

Test(tls_provider, damaged_reference)
{
    open_tls(TPM);
    tls(0, "head -c 150 $KEY > cut; sed 2s/./-/ $KEY > odd; sed 3s/^..../AAAA/ $KEY > other;"
           "sed '2,$d' $KEY > head; (cat head; yes AAAA | head -n 1000; tail -n 1 $KEY) > long;"
           "(cat head; head -c 900 /dev/zero; tail -n 1 $KEY) > zeros;"
           "for f in cut odd other head long zeros; do "
           "! timeout 20 python3 -c \"import ssl,sys;ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)."
           "load_cert_chain(sys.argv[1], sys.argv[2])\" $CERT $f 2> /dev/null || exit 1; done");
}
