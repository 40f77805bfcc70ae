/* SPDX-License-Identifier: BSD-2-Clause */
/* What we write, read by others: OpenSSL, tpm2-tools, tpm2-openssl; and what a steady boot costs. */
#include "tests/life/life_proxy.h"

LIFE(compat);

/* As the chip, the key file, the certificate and the status document see it: one key. */
static void agree(const char *cert, const char *status_part, bool handle, bool file)
{
    json_t *status;

    OK(idm_device_status(&device, &status));
    const char *spki = status_text(status, status_part, "spki_sha256");
    cr_assert_eq(strlen(spki), 64);
    shell(0,
          "echo %s > said; openssl x509 -in $ROOT%s -noout -pubkey > cert.pem;"
          "openssl pkey -pubin -in cert.pem -outform DER | sha256sum | cut -c 1-64 | cmp - said",
          spki, cert);
    json_decref(status);
    if (handle)
        shell(0, "tpm2_readpublic -Q -c 0x81020000 -f pem -o chip.pem; cmp chip.pem cert.pem");
    if (file)
        shell(0, "for f in $ROOT" CONFIG_TSS2 " $ROOT" PERSIST_TSS2 "; do"
                 "  openssl pkey -provider tpm2 -provider default -in $f -pubout -out file.pem;"
                 "  cmp file.pem cert.pem; done");
}

static void well_formed(const char *cert)
{
    shell(0,
          "c=$ROOT%s; openssl x509 -in $c -noout -text > text;"
          "openssl verify -CAfile $c $c; openssl verify -check_ss_sig -x509_strict -CAfile $c $c;"
          "openssl verify -purpose sslclient -CAfile $c $c;"
          "openssl verify -purpose sslserver -CAfile $c $c;"
          "grep -q 'Version: 3' text; grep -q 'CA:FALSE' text; grep -q 'Digital Signature' text;"
          "grep -q 'Client Authentication.*Server Authentication' text;"
          "openssl x509 -in $c -noout -checkend 0; openssl asn1parse -in $c > /dev/null;"
          "test $(grep -c BEGIN $c) = 1",
          cert);
}

static void identities_agree(bool handle, bool file)
{
    agree(CONFIG_TPM, "identity", handle, file);
    agree(CONFIG_CERT, "legacy", false, false);
    well_formed(CONFIG_TPM);
    shell(0, "openssl pkey -in $ROOT" CONFIG_KEY " -check -noout;"
             "openssl pkey -in $ROOT" CONFIG_KEY " -pubout -out a;"
             "openssl x509 -in $ROOT" CONFIG_CERT " -noout -pubkey > b; cmp a b;"
             "cmp $ROOT" CONFIG_KEY " $ROOT" PERSIST_KEY);
    shell(0, "openssl x509 -in $ROOT/run/idmode/device.cert.pem -noout -subject |"
             "grep -q \"CN = $(cat $ROOT/sys/class/dmi/id/product_serial)\"");
}

/* The legacy certificate too, where it is ours. */
static void identities_are_well_formed(bool handle, bool file)
{
    identities_agree(handle, file);
    well_formed(CONFIG_CERT);
}

Test(compat, certificate_key_file_handle_and_status_agree)
{
    open_device(NULL);
    boot(0);
    identities_are_well_formed(true, true);
    cr_assert_eq(RUN("factory-reset", "--yes"), 0);
    boot(0);
    identities_are_well_formed(true, true);
}

Test(compat, key_file_has_the_fields_that_others_read)
{
    open_device(NULL);
    boot(0);
    shell(0, "sed '1d;$d' $ROOT" CONFIG_TSS2 " | base64 -d > key.der;"
             "openssl asn1parse -inform DER -in key.der > asn1;"
             "grep -q 'OBJECT *:2.23.133.10.1.3' asn1; grep -q 'BOOLEAN *:255' asn1;"
             "grep -q 'INTEGER *:81020001' asn1; test $(grep -c 'OCTET STRING' asn1) = 2;"
             "test $(wc -l < asn1) = 7");
    shell(0, "tpm2_print -t TSSPRIVKEY_OBJ $ROOT" CONFIG_TSS2 " | grep -q"
             " 'value: fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|sign'");
}

Test(compat, tpm2_openssl_signs_with_the_key_file)
{
    open_device(NULL);
    boot(0);
    shell(0, "printf message > m; openssl x509 -in $ROOT" CONFIG_TPM " -noout -pubkey > p;"
             "openssl pkeyutl -provider tpm2 -provider default -sign -rawin -digest sha256"
             "  -inkey $ROOT" CONFIG_TSS2 " -in m -out s;"
             "openssl dgst -sha256 -verify p -signature s m");
}

Test(compat, tpm2_tools_sign_with_handle_and_key_file)
{
    open_device(NULL);
    boot(0);
    shell(0, "printf message > m; openssl x509 -in $ROOT" CONFIG_TPM " -noout -pubkey > p;"
             "tpm2_sign -c 0x81020000 -g sha256 -f plain -o s m;"
             "openssl dgst -sha256 -verify p -signature s m");
    shell(0, "tpm2_load -Q -r $ROOT" CONFIG_TSS2 " -c loaded.ctx;"
             "tpm2_sign -c loaded.ctx -g sha256 -f plain -o s2 m; tpm2_flushcontext -t;"
             "openssl dgst -sha256 -verify p -signature s2 m");
}

/* ---- the legacy pair, as an image without a line of our code uses it ---- */

static void handshakes(void)
{
    /* -www answers every request and closes; the request itself proves both directions */
    shell(0,
          "c=$ROOT" CONFIG_CERT "; k=$ROOT" CONFIG_KEY "; for v in -tls1_2 -tls1_3; do "
          "openssl s_server -unix sock -naccept 1 -Verify 1 -verify_return_error -CAfile $c"
          "  -cert $c -key $k $v -www > server 2>&1 & server=$!;"
          "for i in $(seq 250); do test -S sock && break; sleep 0.02; done;"
          "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | timeout 20 openssl s_client -unix sock -CAfile $c"
          "  -cert $c -key $k -verify_return_error -ign_eof $v > client 2>&1;"
          "wait $server; rm -f sock;"
          "grep -q 'Verify return code: 0' client || { cat client server; exit 1; };"
          "grep -q '200 ok' client || { cat client server; exit 1; };"
          "done");
}

Test(compat, legacy_pair_does_mutual_tls_in_plain_openssl)
{
    open_device(NULL);
    boot(0);
    handshakes();
}

Test(compat, rsa_devices)
{
    struct idm_device_identity before;

    open_device(&(struct idm_device_options){.rsa = true, .legacy = true});
    boot(0);
    OK(idm_device_put_image(&device, 0, true, "2.0"));
    boot(0);
    status_is("software", "software", "");
    before = active();
    shell(0, "openssl rsa -in $ROOT" CONFIG_KEY " -check -noout; cmp $ROOT" CONFIG_KEY
             " $ROOT" PERSIST_KEY);
    handshakes();
    cr_assert_eq(RUN("migrate", "prepare"), 0);
    cr_assert_eq(RUN("migrate", "commit"), 0);
    boot(0);
    status_is("tpm", "tpm-dual", "");
    identities_agree(true, true);
    struct idm_device_identity pair = legacy_pair();
    cr_assert_str_eq(pair.cert_sha256, before.cert_sha256);
}

/* ---- other settings ---- */

Test(compat, algorithms)
{
    static const struct {
        const char *conf, *words;
    } algorithms[] = {
        {"[identity]\nalgorithm = ecdsa-p384\n", "384 bit"},
        {"[identity]\nalgorithm = rsa-2048\n", "2048 bit"},
    };

    for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
        open_device(&(struct idm_device_options){.conf = algorithms[i].conf});
        boot(0);
        status_is("tpm", "tpm-dual", "");
        active();
        identities_are_well_formed(true, true);
        shell(0, "openssl x509 -in $ROOT" CONFIG_TPM " -noout -text | grep -q '%s'",
              algorithms[i].words);
        /* another image's settings do not change an identity that stands */
        OK(idm_device_write_text(&device, "/etc/idmode/idmode.conf.d/50-test.conf", ""));
        struct idm_device_identity before = active();
        boot(0);
        still(&before);
        close_device();
    }
}

Test(compat, key_storage_in_files_alone)
{
    struct kept record;

    open_device(&(struct idm_device_options){.conf = TPM_CONF("key-storage = tss2")});
    boot(0);
    status_is("tpm", "tpm-dual", "");
    identities_are_well_formed(false, true);
    shell(0, "! tpm2_readpublic -Q -c 0x81020000 2> /dev/null");
    boot(0);
    record = keep(PERSIST_RECORD);
    boot(0);
    active();
    exact(&record);
    drop(&record);
}

Test(compat, key_storage_in_the_chip_alone)
{
    struct kept record;

    open_device(&(struct idm_device_options){.conf = TPM_CONF("key-storage = persistent")});
    boot(0);
    status_is("tpm", "tpm-dual", "");
    identities_are_well_formed(true, false);
    cr_assert_not(idm_device_exists(&device, CONFIG_TSS2));
    cr_assert_not(idm_device_exists(&device, PERSIST_TSS2));
    boot(0);
    record = keep(PERSIST_RECORD);
    boot(0);
    active();
    exact(&record);
    drop(&record);
}

Test(compat, other_handles)
{
    open_device(&(struct idm_device_options){
        .conf = TPM_CONF("device-handle = 0x817FFFFF\nparent-handle = 0x81000005\n"
                         "srk-handle = 0x81000002\ncounter-index = 0x01800042")});
    boot(0);
    status_is("tpm", "tpm-dual", "");
    shell(0, "tpm2_getcap handles-persistent | sort | tr -d '\\n' | grep -qx"
             " -e '- 0x81000002- 0x81000005- 0x817FFFFF';"
             "test \"$(tpm2_getcap handles-nv-index)\" = '- 0x1800042'");
    active();
}

Test(compat, foreign_primary_and_keys_of_others_stay)
{
    open_device(NULL);
    shell(0, "tpm2_createprimary -Q -C o -g sha256 -G ecc -c srk.ctx;"
             "tpm2_evictcontrol -Q -C o -c srk.ctx 0x81000042; tpm2_flushcontext -t;"
             "tpm2_nvdefine -Q -C o -s 8 0x01500020; tpm2_getcap handles-persistent > before");
    boot(0);
    cr_assert_eq(RUN("factory-reset", "--yes"), 0);
    boot(0);
    status_is("tpm", "tpm-dual", "");
    shell(0, "tpm2_getcap handles-persistent | grep -q 0x81000042;"
             "tpm2_getcap handles-nv-index | grep -q 0x1500020");
}

/* ---- what a steady boot costs ---- */

static int commands_of_steady_boot(const char *conf)
{
    char codes[512];

    open_device(&(struct idm_device_options){.conf = conf});
    boot(0);
    boot(0);
    chip_lies("");
    boot(0);
    status_is("tpm", "tpm-dual", "");
    int count = chip_commands_since(codes);
    cr_assert_gt(count, 0, "the proxy saw nothing");
    cr_assert_not_null(strstr(codes, "15d "), "no TPM2_Sign: no proof (%s)", codes);
    cr_log_info("%d commands: %s", count, codes);
    close_device();
    return count;
}

Test(compat, steady_boot_costs_few_tpm_commands)
{
    cr_expect_leq(commands_of_steady_boot(NULL), 3);
    cr_expect_leq(commands_of_steady_boot(TPM_CONF("key-storage = persistent")), 3);
    cr_expect_leq(commands_of_steady_boot(TPM_CONF("key-storage = tss2")), 5);
}

/* What an old image made with a library of its own taste. Ed25519 signs messages, no digests. */
Test(compat, a_legacy_key_that_signs_no_digests_goes_every_way)
{
    open_device(NULL);
    shell(0, "openssl req -x509 -newkey ed25519 -nodes -subj /CN=old -days 999"
             " -keyout $ROOT" CONFIG_KEY " -out $ROOT" CONFIG_CERT " 2>/dev/null;"
             "cp $ROOT" CONFIG_CERT " old.pem");
    boot(0);
    status_is("software", "software", "");
    OK(idm_device_delete(&device, CONFIG_CERT));
    boot(0);
    status_is("tpm", "tpm-dual", "");
    shell(0, "cmp $ROOT" CONFIG_CERT " old.pem; test ! -e $ROOT/persist/idmode/statement.json;"
             "for h in $(tpm2_getcap handles-persistent | sed 's/^- //'); do"
             " tpm2_evictcontrol -Q -C o -c $h; done; tpm2_nvundefine -C o 0x01821D01");
    boot(3);
    cr_assert_eq(RUN("hold", "clear", "--reason", "tpm-volatile", "--to", "legacy", "--yes"), 0);
    status_is("software", "software", "");
    shell(0, "cmp $ROOT/run/idmode/device.cert.pem old.pem");
}

Test(compat, software_boot_asks_no_tpm)
{
    char codes[512];

    open_software_device(NULL, false);
    chip_lies("");
    boot(0);
    cr_assert_eq(chip_commands_since(codes), 0, "%s", codes);
    status_is("software", "software", "");
}

static void steady_boot_syncs(unsigned most, const char *mode)
{
    shell(0,
          "rm -rf $ROOT/run/idmode; ls -lR --time-style=full-iso $ROOT/config > before;"
          "strace -y -e trace=fsync,fdatasync,sync,syncfs -o strace $IDMODE --root $ROOT"
          "  --tcti $TCTI boot; ls -lR --time-style=full-iso $ROOT/config | cmp - before;"
          "test $(grep -c 'sync' strace) -le %u; ! grep 'sync.*/config/[^t]' strace |"
          "grep -v persist/config; $IDMODE --root $ROOT mode | grep -qx %s",
          most, mode);
}

Test(compat, steady_boot_writes_nothing_but_the_marker)
{
    struct kept record, history;

    open_device(NULL);
    boot(0);
    boot(0);
    record = keep(PERSIST_RECORD);
    history = keep("/persist/idmode/history");
    steady_boot_syncs(2, "tpm");
    exact(&record);
    exact(&history);
    drop(&record);
    drop(&history);
    close_device();

    open_software_device(NULL, true);
    boot(0);
    steady_boot_syncs(0, "software");
}
