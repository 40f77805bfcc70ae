/* SPDX-License-Identifier: BSD-2-Clause */
/* TLS with keys that idmode did not make: offline ones, imported into the TPM and marked so, and other
 * programs', adopted at a handle or as a file; by who asks the chip and by who asks idmode-signd. */
#include "tests/tls/tls_signd.h"

static void close_all(void)
{
    stop_broker();
    close_device();
}

TestSuite(tls_given, .timeout = 180, .fini = close_all);

#define SHORT_WAIT "[tpm]\nwait = 1s\n"

/* The device at both ends, openssl(1) and Python, TLS 1.2 and 1.3; the certificate is that of `key` (a public
 * key in PEM). */
static void shakes_hands(const char *key)
{
    tls(0,
        "openssl x509 -in $CERT -noout -pubkey | cmp - %s; echo served > page;"
        "for v in -tls1_2 -tls1_3; do rm -f s; serve ours openssl s_server -unix s -cert $CERT "
        "-key $KEY -Verify 1 -CAfile $CERT -verify_return_error $v -WWW -naccept 1; await s;"
        "printf 'GET /page HTTP/1.0\\r\\n\\r\\n' | timeout 60 openssl s_client -unix s -ign_eof "
        "-verify_return_error -cert idmode:cert -key idmode:key -CAfile $CERT $v > got 2> err &&"
        "grep -q served got || { cat got err ours.log; exit 1; }; done",
        key);
    tls(0, "export CERT KEY PEER_CERT PEER_KEY; timeout 60 python3 - <<'END'\n"
           "import os, socket, ssl, threading\n"
           "pair = os.environ['CERT'], os.environ['KEY']\n"
           "a, b = socket.socketpair()\n"
           "s = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); s.load_cert_chain(*pair)\n"
           "s.verify_mode = ssl.CERT_REQUIRED; s.load_verify_locations(pair[0])\n"
           "c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT); c.check_hostname = False\n"
           "c.load_verify_locations(pair[0]); c.load_cert_chain(*pair)\n"
           "t = threading.Thread(target=lambda: s.wrap_socket(a, server_side=True).sendall(b'x'))\n"
           "t.start()\n"
           "assert c.wrap_socket(b).recv(1) == b'x'\n"
           "t.join()\n"
           "END");
}

static void both_ways(const char *key, bool imported)
{
    json_t *status = NULL;

    boot(0);
    OK(idm_device_status(&device, &status));
    cr_assert_str_eq(json_string_value(json_object_get(status, "mode")), "tpm");
    cr_assert_eq(json_is_true(json_object_get(json_object_get(status, "identity"), "imported")),
                 imported);
    json_decref(status);
    shell(!imported, "$IDMODE --root $ROOT status | grep -q 'made outside of the TPM'");
    shakes_hands(key);
    start_broker();
    shakes_hands(key);
    close_all();
}

/* ---- imported ---- */

static void import(const char *genpkey, const char *conf)
{
    open_device(&(struct idm_device_options){.conf = conf});
    shell(0,
          "openssl genpkey %s -out offline.pem && openssl pkey -in offline.pem -pubout -out pub &&"
          " $IDMODE --root $ROOT --tcti $TCTI import --key offline.pem && rm offline.pem",
          genpkey);
    both_ways("pub", true);
}

Test(tls_given, imported_keys)
{
    import("-algorithm EC -pkeyopt ec_paramgen_curve:P-256", SHORT_WAIT);
    import("-algorithm EC -pkeyopt ec_paramgen_curve:P-384", SHORT_WAIT "key-storage = tss2\n");
    import("-algorithm RSA -pkeyopt rsa_keygen_bits:2048", SHORT_WAIT "key-storage = persistent\n");
}

/* ---- adopted ---- */

#define ATTRIBUTES "'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign|noda'"
#define SRK                                                                                        \
    "tpm2_createprimary -Q -C o -G ecc -c p.ctx -a 'fixedtpm|fixedparent|userwithauth|"            \
    "sensitivedataorigin|noda|restricted|decrypt' && tpm2_evictcontrol -Q -C o -c p.ctx "          \
    "0x81000001 && tpm2_flushcontext -t && "

/* `make` leaves the public key in pub. */
static void adopt(const char *make, const char *what, bool imported)
{
    open_device(&(struct idm_device_options){.conf = SHORT_WAIT});
    shell(0, "%s", make);
    shell(0, "$IDMODE --root $ROOT --tcti $TCTI adopt %s %s", imported ? "--imported" : "", what);
    both_ways("pub", imported);
}

/* EVE's: a primary key, bound to ECDSA with SHA-256. A peer that prefers SHA-384 gets its signature too. */
Test(tls_given, adopted_at_a_handle)
{
    adopt("tpm2_createprimary -Q -C o -G ecc256:ecdsa-sha256 -c k.ctx -a " ATTRIBUTES
          " && tpm2_evictcontrol -Q -C o -c k.ctx 0x817FFFFF && tpm2_flushcontext -t &&"
          " tpm2_readpublic -Q -c 0x817FFFFF -f pem -o pub",
          "0x817FFFFF", false);
    adopt("tpm2_createprimary -Q -C o -G rsa2048 -c k.ctx -a " ATTRIBUTES
          " && tpm2_evictcontrol -Q -C o -c k.ctx 0x81020005 && tpm2_flushcontext -t &&"
          " tpm2_readpublic -Q -c 0x81020005 -f pem -o pub",
          "0x81020005", false);
}

Test(tls_given, adopted_as_a_file)
{
    adopt(SRK
          "tpm2_create -Q -C 0x81000001 -G ecc256 -u k.pub -r k.priv -a " ATTRIBUTES
          " && tpm2_flushcontext -t && tpm2_encodeobject -Q -p -C 0x81000001 -u k.pub -r k.priv "
          "-o k.pem && tpm2_load -Q -C 0x81000001 -u k.pub -r k.priv -c k.ctx &&"
          " tpm2_readpublic -Q -c k.ctx -f pem -o pub && tpm2_flushcontext -t",
          "k.pem", false);
}

/* Loaded from outside by another program: by the operator's word, and it is said. */
Test(tls_given, adopted_though_it_was_imported)
{
    adopt(SRK
          "openssl ecparam -name prime256v1 -genkey -noout -out out.pem &&"
          " openssl pkey -in out.pem -pubout -out pub && tpm2_import -Q -C 0x81000001 -G ecc"
          " -i out.pem -u o.pub -r o.priv -a 'userwithauth|sign|noda' && tpm2_flushcontext -t &&"
          " tpm2_load -Q -C 0x81000001 -u o.pub -r o.priv -c o.ctx && tpm2_flushcontext -t &&"
          " tpm2_evictcontrol -Q -C o -c o.ctx 0x81020005 && tpm2_flushcontext -t",
          "0x81020005", true);
}
