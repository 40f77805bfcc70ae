/* SPDX-License-Identifier: BSD-2-Clause */
/* import, adopt and hold clear --to reuse on the shipped programs and a real TPM emulator. */
#include "tests/life/life_device.h"

LIFE(given);

#define LEGACY_B "[image]\nother-slot = legacy\n"

static bool imported(void)
{
    json_t *status;

    OK(idm_device_status(&device, &status));
    bool said = json_is_true(json_object_get(json_object_get(status, "identity"), "imported"));
    json_decref(status);
    return said;
}

/* The active certificate's public key against that of a file below the device's base. */
static void key_is(const char *file)
{
    shell(0,
          "openssl x509 -in $ROOT/run/idmode/device.cert.pem -noout -pubkey > now.pub &&"
          " openssl pkey -in %s -pubout > want.pub && cmp now.pub want.pub",
          file);
}

static void imports(const char *genpkey)
{
    open_device(&(struct idm_device_options){.conf = LEGACY_B});
    shell(0, "openssl genpkey %s -out offline.pem", genpkey);
    shell(0, "$IDMODE --root $ROOT --tcti $TCTI import --key offline.pem");
    status_is("tpm", "tpm-dual", "");
    boot(0);
    status_is("tpm", "tpm-dual", "");
    active();
    key_is("offline.pem");
    cr_assert(imported());
    legacy_pair();
    shell(0, "tpm2_readpublic -c 0x81020000 | grep -q 'raw: 0x40440'");
    shell(0, "$IDMODE --root $ROOT history | grep -q 'imported key'");
    shell(0, "$IDMODE --root $ROOT status | grep -q 'made outside of the TPM'");
    shell(0, "$IDMODE --root $ROOT --tcti $TCTI doctor | grep -q '^device key.*imported'");
    /* The file alone serves too, and tpm2-openssl reads it. */
    shell(0, "tpm2_evictcontrol -Q -C o -c 0x81020000");
    boot(0);
    active();
    shell(0, "echo data > d; openssl pkeyutl -provider tpm2 -provider default -sign"
             " -rawin -digest sha256 -inkey $ROOT/persist/idmode/tpm.key.pem -in d -out sig &&"
             " openssl pkey -in offline.pem -pubout -out pub &&"
             " openssl dgst -sha256 -verify pub -signature sig d");
    close_device();
}

Test(given, an_offline_key_becomes_the_tpms)
{
    imports("-algorithm EC -pkeyopt ec_paramgen_curve:P-256");
    imports("-algorithm EC -pkeyopt ec_paramgen_curve:P-384");
    imports("-algorithm RSA -pkeyopt rsa_keygen_bits:2048");
}

Test(given, import_is_refused_where_it_is_not_clearly_right)
{
    open_device(&(struct idm_device_options){.conf = LEGACY_B});
    shell(0, "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out p521.pem &&"
             " openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out p256.pem");
    shell(1, "$IDMODE --root $ROOT --tcti $TCTI import --key p521.pem");
    shell(5, "$IDMODE --root $ROOT --tcti $TCTI import --key missing.pem");
    shell(2, "$IDMODE --root $ROOT --tcti $TCTI import");
    cr_assert_not(idm_device_exists(&device, PERSIST_RECORD));
    boot(0);
    struct idm_device_identity before = active();
    shell(1, "$IDMODE --root $ROOT --tcti $TCTI import --key p256.pem");
    shell(1, "$IDMODE --root $ROOT --tcti $TCTI adopt 0x81020000");
    still(&before);
    boot(0);
    still(&before);
    cr_assert_not(imported());
}

Test(given, a_cut_import_is_held_until_it_is_repeated)
{
    unsigned held = 0;

    for (unsigned cut = 3; cut <= 30; cut += 3) {
        open_device(&(struct idm_device_options){.conf = LEGACY_B});
        shell(0, "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out offline.pem");
        char key[400];
        snprintf(key, sizeof key, "%s/offline.pem", device.base);
        idm_device_cut_at(&device, cut);
        (void)idm_device_idmode(&device, NULL, "import", "--key", key, NULL);
        cr_assert(device.was_cut, "cut %u", cut);
        idm_device_cut_at(&device, 0);
        OK(idm_device_boot(&device));
        if (device.exit_code == 3) {
            held++;
            held_for("blank", "key-lost");
            cr_assert_eq(RUN("import", "--key", key), 0);
            boot(0);
        }
        if (idm_device_exists(&device, PERSIST_RECORD) && cut > 6) {
            key_is("offline.pem");
            cr_assert(imported());
        }
        close_device();
    }
    cr_assert_gt(held, 0);
}

Test(given, a_key_at_a_handle_is_adopted_where_it_stands)
{
    open_device(&(struct idm_device_options){.conf = LEGACY_B});
    /* EVE's way: a primary key, bound to ECDSA with SHA-256. */
    shell(0, "tpm2_createprimary -Q -C o -G ecc256:ecdsa-sha256 -c k.ctx -a 'fixedtpm|fixedparent|"
             "sensitivedataorigin|userwithauth|sign|noda' && tpm2_evictcontrol -Q -C o -c k.ctx"
             " 0x817FFFFF && tpm2_flushcontext -t && tpm2_readpublic -Q -c 0x817FFFFF -f pem"
             " -o found.pem");
    shell(0, "$IDMODE --root $ROOT --tcti $TCTI adopt 0x817FFFFF");
    boot(0);
    status_is("tpm", "tpm-dual", "reset-weak");
    active();
    cr_assert_not(imported());
    shell(0, "openssl x509 -in $ROOT/run/idmode/device.cert.pem -noout -pubkey | cmp - found.pem");
    shell(1, "tpm2_readpublic -Q -c 0x81020000 2>/dev/null");
    /* A factory reset evicts it like any key of the device's. */
    cr_assert_eq(RUN("factory-reset", "--yes"), 0);
    boot(0);
    shell(1, "tpm2_readpublic -Q -c 0x817FFFFF 2>/dev/null");
    active();
    /* It was another program's primary key: that program can make it again, whatever idmode did. */
    boot(0);
    status_is("tpm", "tpm-dual", "reset-weak");
    shell(0, "tpm2_createprimary -Q -C o -G ecc256:ecdsa-sha256 -c k.ctx -a 'fixedtpm|fixedparent|"
             "sensitivedataorigin|userwithauth|sign|noda' && tpm2_readpublic -Q -c k.ctx -f pem"
             " -o again.pem && tpm2_flushcontext -t && cmp found.pem again.pem");
    cr_assert_eq(RUN("factory-reset", "--yes", "--reset", "clear"), 0);
    boot(0);
    status_is("tpm", "tpm-dual", "");
}

Test(given, a_file_is_adopted_under_the_storage_root_key)
{
    open_device(&(struct idm_device_options){.conf = LEGACY_B});
    shell(0, "tpm2_createprimary -Q -C o -G ecc -c p.ctx -a 'fixedtpm|fixedparent|userwithauth|"
             "sensitivedataorigin|noda|restricted|decrypt' &&"
             " tpm2_evictcontrol -Q -C o -c p.ctx 0x81000001 && tpm2_flushcontext -t");
    shell(0, "openssl genpkey -provider tpm2 -provider default -algorithm EC -pkeyopt"
             " group:P-256 -pkeyopt parent:0x81000001 -out lacks-noda.pem");
    shell(1, "$IDMODE --root $ROOT --tcti $TCTI adopt lacks-noda.pem 2>said; rc=$?;"
             " grep -q noDA said || exit 9; exit $rc");
    cr_assert_not(idm_device_exists(&device, PERSIST_RECORD));
}

Test(given, what_is_not_fit_is_refused)
{
    open_device(&(struct idm_device_options){.conf = LEGACY_B});
    shell(1, "$IDMODE --root $ROOT --tcti $TCTI adopt 0x81020005");
    shell(1, "$IDMODE --root $ROOT --tcti $TCTI adopt 0x81810000");
    /* A key that was loaded from outside: only by the operator's word, and it says so. */
    shell(0, "openssl ecparam -name prime256v1 -genkey -noout -out out.pem &&"
             " tpm2_createprimary -Q -C o -G ecc -c p.ctx && tpm2_flushcontext -t && tpm2_import "
             "-Q -C p.ctx -G ecc -i"
             " out.pem -u o.pub -r o.priv -a 'userwithauth|sign|noda' && tpm2_flushcontext -t && "
             "tpm2_load -Q -C p.ctx -u"
             " o.pub -r o.priv -c o.ctx && tpm2_flushcontext -t && tpm2_evictcontrol -Q -C o -c "
             "o.ctx 0x81020005 &&"
             " tpm2_flushcontext -t");
    shell(1, "$IDMODE --root $ROOT --tcti $TCTI adopt 0x81020005");
    shell(0, "$IDMODE --root $ROOT --tcti $TCTI adopt --imported 0x81020005");
    boot(0);
    cr_assert(imported());
    key_is("out.pem");
}

Test(given, the_key_at_our_handle_is_used_again)
{
    open_device(&(struct idm_device_options){.conf = LEGACY_B});
    boot(0);
    struct idm_device_identity before = active();
    shell(0, "rm -r $ROOT/config/* $ROOT/persist/*");
    boot(3);
    held_for("none", "record-corrupt");
    shell(0, "$IDMODE --root $ROOT --tcti $TCTI hold show | grep -q reuse");
    cr_assert_eq(RUN("hold", "clear", "--reason", "record-corrupt", "--to", "reuse", "--yes"), 0);
    boot(0);
    status_is("tpm", "tpm-dual", "");
    struct idm_device_identity now = active();
    cr_assert_str_eq(now.spki_sha256, before.spki_sha256);
    cr_assert_str_neq(now.cert_sha256, before.cert_sha256);
    legacy_pair();
}
