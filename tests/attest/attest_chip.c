/* SPDX-License-Identifier: BSD-2-Clause */
/* What the chip's maker left in it, the keys that idmode makes, and credentials of other programs. */
#include "tests/attest/certified_device.h"

#include "backends/attest/attest.h"

ATTEST(attest_chip);

/* ---- endorsement keys ---- */

Test(attest_chip, certificates_are_read_and_compared_with_the_keys)
{
    open_certified(NULL);
    boot(0);
    attest(0,
           "A ek > ek.json; jq -e '[.keys[].template] == [\"L-1\", \"H-3\"] and "
           "([.keys[].matches] | all) and .chain == [] and .manufacturer == \"IBM\"' ek.json;"
           /* the maker's certificate, the key that tpm2-tools make, the same Name */
           "jq -r '.keys[0].certificate' ek.json | base64 -d | openssl x509 -inform DER > ek.pem;"
           "cat ca/issuercert.pem ca/swtpm-localca-rootca-cert.pem > roots.pem;"
           "openssl verify -ignore_critical -CAfile roots.pem ek.pem;"
           "tpm2_createek -Q -G rsa -c ek.ctx -u ek.pub; tpm2_readpublic -Q -c ek.ctx -n ek.name;"
           "tpm2_flushcontext -t; test $(jq -r '.keys[0].name' ek.json) = "
           "$(xxd -p -c 99 ek.name);"
           "jq -r '.keys[1].public' ek.json | base64 -d > h3.pub; tpm2_print -t TPM2B_PUBLIC "
           "h3.pub | grep -q 'value: sha384'");
    chip_is_clean();
    /* the Name is a tracking number */
    attest(0, "A ek --out ek.out; test $(stat -c %%a ek.out) = 600; cmp ek.json ek.out;"
              "for n in $(jq -r '.keys[].name' ek.json); do"
              " ! find $ROOT -type f -perm /044 -exec grep -l \"$n\" {} +; done");
}

Test(attest_chip, chip_without_a_certificate_says_so)
{
    open_device(NULL);
    boot(0);
    attest(0,
           "A ek > ek.json; jq -e '.keys | length == 1 and .[0].template == \"L-2\" and "
           ".[0].certificate == null and .[0].index == null and .[0].matches == false' ek.json;"
           "tpm2_createek -Q -G ecc -c ek.ctx -u ek.pub; tpm2_readpublic -Q -c ek.ctx -n ek.name;"
           "tpm2_flushcontext -t; test $(jq -r '.keys[0].name' ek.json) = "
           "$(xxd -p -c 99 ek.name)");
}

/* Indices larger than what is in them, larger than one read, chains across indices. */
#define PUT_NV                                                                                     \
    "put() { tpm2_nvundefine -C p $1 2>/dev/null || true; tpm2_nvdefine -Q -C p -s $(stat -c %%s " \
    "$2)"                                                                                          \
    " -a 'ppwrite|ppread|ownerread|authread|no_da|platformcreate' $1;"                             \
    " tpm2_nvwrite -Q -C p -i $2 $1; }; "

Test(attest_chip, padding_is_trimmed_and_chains_are_put_together)
{
    open_certified(NULL);
    boot(0);
    attest(0, PUT_NV "A ek > before.json; jq -r '.keys[0].certificate' before.json | base64 -d > c;"
                     "cp c zeros; truncate -s 1900 zeros; put 0x01c00002 zeros; A ek > after.json;"
                     "cmp before.json after.json;"
                     "cp c ones; head -c 700 /dev/zero | tr '\\0' '\\377' >> ones;"
                     "put 0x01c00002 ones; A ek > after.json; cmp before.json after.json;"
                     "openssl x509 -in ca/issuercert.pem -outform DER -out i;"
                     "openssl x509 -in ca/swtpm-localca-rootca-cert.pem -outform DER -out r;"
                     "cat i r > both; head -c 700 both > one; tail -c +701 both > two;"
                     "head -c 9 /dev/zero >> two; put 0x01c00100 one; put 0x01c00101 two;"
                     "A ek > chain.json; jq -e '.chain | length == 2' chain.json;"
                     "jq -r '.chain[0]' chain.json | base64 -d | cmp - i;"
                     "jq -r '.chain[1]' chain.json | base64 -d | cmp - r");
}

Test(attest_chip, certificate_for_another_key_does_not_match)
{
    open_certified(NULL);
    boot(0);
    attest(
        0, PUT_NV
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout k -subj /CN=other -outform DER -out c "
        "2>/dev/null; put 0x01c00002 c; A ek > ek.json;"
        "jq -e '.keys[0].matches == false and (.keys[0].why | test(\"another key\")) and "
        ".keys[1].matches' ek.json");
    attest(5, PUT_NV "head -c 300 /dev/zero > c; put 0x01c00002 c; A ek");
    attest(0, PUT_NV "head -c 300 /dev/urandom | tr '\\60' 1 > c; put 0x01c00002 c;"
                     "A ek 2> said || grep -q 'no certificate' said");
}

/* tpm2_createek -t fills the nonce with what lies on its stack; tpm2_createprimary takes a unique part. */
#define PRIMARY                                                                                    \
    "primary() { printf '\\0\\1' > unique; cat $1 >> unique; tpm2_createprimary -Q -C e -G "       \
    "rsa2048:aes128cfb -g sha256 -L policy -u unique -c ek.ctx -a 'fixedtpm|fixedparent|"          \
    "sensitivedataorigin|adminwithpolicy|restricted|decrypt'; tpm2_readpublic -Q -c ek.ctx -n $2;" \
    " tpm2_flushcontext -t; };"                                                                    \
    "named() { test $(jq -r '.keys[0].name' $1) = \"$(xxd -p -c 99 $2)\"; };"                      \
    "area() { jq -r '.keys[0].public' $1 | base64 -d | tail -c +3; };"

Test(attest_chip, nonce_and_template_in_the_chip_count)
{
    open_certified(NULL);
    boot(0);
    attest(
        0, PUT_NV PRIMARY
        "A ek > plain.json; area plain.json | tail -c +11 | head -c 32 > policy;"
        "head -c 256 /dev/zero > zeros; primary zeros plain; named plain.json plain;"
        "head -c 64 /dev/zero | tr '\\0' n > nonce; put 0x01c00003 nonce; A ek > nonce.json;"
        "head -c 192 zeros | cat nonce - > filled; primary filled nonce; named nonce.json nonce;"
        "jq -e '.keys[0].matches == false' nonce.json;"
        /* a template that says the default is none; another one counts, and takes the nonce too */
        "area plain.json | head -c -256 > head; cat head zeros > t; put 0x01c00004 t;"
        "A ek > both.json; cmp nonce.json both.json; tpm2_nvundefine -C p 0x01c00003;"
        "A ek > t.json; cmp t.json plain.json; head -c 256 /dev/urandom > random;"
        "cat head random > t; put 0x01c00004 t; A ek > t.json; primary random other;"
        "named t.json other; head -c 40 t > torn; put 0x01c00004 torn");
    REFUSED(5, "no template", "ek");
}

/* ---- attestation keys ---- */

static void ak_is(const char *service, const char *file)
{
    attest(0, "A ak %s%s > %s; jq -e '.type == \"idmode-ak\"' %s", service[0] ? "--service " : "",
           service, file, file);
}

Test(attest_chip, one_key_for_each_service_across_reboots)
{
    open_device(NULL);
    boot(0);
    REFUSED(1, "attest ak", "quote", "--nonce", NONCE);
    ak_is("", "one");
    ak_is("billing", "two");
    shell(0, "! cmp -s one two; test $(jq -r .public one) != $(jq -r .public two);"
             "jq -r .public one | base64 -d > ak.pub; tpm2_print -t TPM2B_PUBLIC ak.pub > shown;"
             "grep -q 'raw: 0x50472' shown; grep -q 'value: ecdsa' shown");
    reboot();
    ak_is("", "again");
    shell(0, "cmp one again");
    /* each place alone is enough, and the other is written again */
    shell(0, "cp $ROOT/persist/idmode/attest.keys kept; cmp kept $ROOT/config/idmode/attest.keys;"
             "test $(stat -c %%a kept) = 600; rm $ROOT/persist/idmode/attest.keys");
    ak_is("billing", "again");
    shell(0, "cmp two again; cmp kept $ROOT/persist/idmode/attest.keys;"
             "head -c 100 kept > $ROOT/persist/idmode/attest.keys");
    ak_is("billing", "again");
    shell(0, "cmp two again; cmp kept $ROOT/persist/idmode/attest.keys;"
             "rm $ROOT/config/idmode/attest.keys");
    ak_is("", "again");
    shell(0, "cmp one again; cmp kept $ROOT/config/idmode/attest.keys;"
             /* damaged is not absent */
             "for d in persist config; do head -c 100 kept > $ROOT/$d/idmode/attest.keys; done");
    REFUSED(5, "attest.keys in both places", "ak");
    shell(0, "cp kept $ROOT/config/idmode/attest.keys");
    ak_is("", "again");
    shell(0, "cmp one again");
    REFUSED(2, "--service", "ak", "--service", "../x");
    chip_is_clean();
}

/* Does the key of that file load in the chip? */
static int load(const struct kept *file)
{
    struct idm_settings settings;
    struct idm_bytes bytes = {.data = (uint8_t *)file->data, .size = file->size};
    _cleanup_ak_file_ struct idm_ak_file keys = {0};
    struct idm_tpm *tpm = NULL;
    uint32_t handle = 0;

    idm_settings_default(&settings);
    snprintf(settings.tcti, sizeof settings.tcti, "%s", device.tpm.tcti);
    cr_assert_eq(idm_ak_file_decode(&bytes, &keys, NULL), 0);
    cr_assert_eq(idm_tpm_open(&tpm, "", &settings, NULL), 0);
    const struct idm_ak_parent parent = {.handle = settings.parent_handle,
                                         .srk_handle = settings.srk_handle};
    int rc = idm_ak_load(tpm, &parent, idm_ak_file_find(&keys, ""), &handle, NULL);
    idm_ak_unload(tpm, handle);
    idm_tpm_free(tpm);
    return rc;
}

Test(attest_chip, factory_reset_kills_the_keys)
{
    open_device(NULL);
    boot(0);
    ak_is("", "one");
    struct kept file = keep("/persist/idmode/attest.keys");
    cr_assert_eq(load(&file), 0);
    cr_assert_eq(RUN("factory-reset", "--yes"), 0);
    cr_assert(!idm_device_exists(&device, "/persist/idmode/attest.keys"));
    cr_assert(!idm_device_exists(&device, "/config/idmode/attest.keys"));
    cr_assert_eq(load(&file), IDM_E_TPM_UNFIT);
    /* somebody kept the file */
    OK(idm_device_write(&device, "/persist/idmode/attest.keys", file.data, file.size));
    REFUSED(1, "attest ak", "quote", "--nonce", NONCE);
    ak_is("", "two");
    shell(0, "test $(jq -r .name one) != $(jq -r .name two)");
    drop(&file);
}

Test(attest_chip, software_device_has_no_keys_before_a_migration_is_prepared)
{
    open_software_device(NULL, false);
    REFUSED(1, "migrate prepare", "ak");
    attest(0, "A ek | jq -e '.keys | length == 1'");
    cr_assert_eq(RUN("migrate", "prepare"), 0);
    ak_is("", "one");
    REFUSED(1, "not the TPM's", "evidence", "--nonce", NONCE);
    cr_assert_eq(RUN("migrate", "commit"), 0);
    ak_is("", "two");
    shell(0, "cmp one two");
}

Test(attest_chip, devices_need_not_carry_the_program)
{
    open_device(NULL);
    boot(0);
    shell(0, "mkdir -p x/bin x/libexec/idmode; cp $IDMODE x/bin/;"
             "cp $(dirname $IDMODE)/../libexec/idmode/core x/libexec/idmode/");
    shell(5, "x/bin/idmode --root $ROOT attest ek");
    shell(0, "x/bin/idmode --root $ROOT attest ek 2>&1 | grep -q 'attest.*install it';"
             "x/bin/idmode --root $ROOT --tcti $TCTI status > status;"
             "test $(x/bin/idmode --root $ROOT mode) = tpm");
}

/* ---- credentials ---- */

#define MAKE                                                                                       \
    "name=$(A ak | jq -r .name); printf 'a secret of 32 bytes, as it goes' > secret;"              \
    " make() { tpm2_makecredential -Q -u $1 -s secret -n ${3-$name} -o $2; tpm2_flushcontext -t; " \
    "}; "

Test(attest_chip, credentials_of_tpm2_tools_are_activated)
{
    open_certified(NULL);
    boot(0);
    attest(0,
           MAKE "A ek > ek.json; for i in 0 1; do"
                " jq -r \".keys[$i].public\" ek.json | base64 -d > ek$i.pub; make ek$i.pub c$i;"
                " A activate --credential c$i | cmp - secret; A activate --credential c$i --json |"
                " jq -r .secret | xxd -r -p | cmp - secret; done;"
                "umask 000; A activate --credential c0 --out s0; test $(stat -c %%a s0) = 600;"
                "cmp s0 secret;"
                /* a secret of one byte */
                "cp secret s; printf x > secret; make ek1.pub c1; A activate --credential c1 | cmp "
                "- secret;"
                "cp s secret;"
                /* tpm2-tools open the same credential with the key from our file */
                "jq -r '.keys[0].key' $ROOT/persist/idmode/attest.keys | openssl asn1parse |"
                " sed -n 's/.*OCTET STRING.*DUMP]://p' > parts;"
                "sed -n 1p parts | xxd -r -p > ak.pub; sed -n 2p parts | xxd -r -p > ak.priv;"
                "tpm2_load -Q -C 0x81020001 -u ak.pub -r ak.priv -c ak.ctx; tpm2_flushcontext -t;"
                "tpm2_createek -Q -G rsa -c ek.ctx -u ek.pub; tpm2_flushcontext -t;"
                "tpm2_startauthsession --policy-session -S s.ctx;"
                "tpm2_policysecret -Q -S s.ctx -c e; tpm2_activatecredential -Q -c ak.ctx "
                "-C ek.ctx -i c0 -o got -P session:s.ctx; cmp got secret;"
                "tpm2_flushcontext -t; tpm2_flushcontext s.ctx");
    chip_is_clean();
}

Test(attest_chip, ecc_key_of_the_low_range_is_activated)
{
    open_device(NULL);
    boot(0);
    attest(0, MAKE "A ek > ek.json; jq -r '.keys[0].public' ek.json | base64 -d > ek.pub;"
                   "make ek.pub c; A activate --credential c | cmp - secret");
}

Test(attest_chip, rsa_key_in_its_slot_is_not_made_again)
{
    char path[320];

    open_certified(NULL);
    boot(0);
    attest(0, MAKE "tpm2_readpublic -Q -c 0x81010001 -o ek.pub;" /* swtpm_setup left it there */
                   "make ek.pub c");
    snprintf(path, sizeof path, "%s/c", device.base);
    spoil("cc=CreatePrimary,do=answer:0x101");
    OK(idm_device_idmode(&device, NULL, "attest", "activate", "--credential", path, NULL));
    cr_assert_eq(device.exit_code, 0, "%s", device.said);
    honest();
    /* somebody else's key of the same kind there: the chip's own is made again */
    attest(
        0,
        "tpm2_evictcontrol -Q -C o -c 0x81010001; head -c 256 /dev/urandom > r;"
        "printf '\\0\\1' | cat - r > unique; tail -c +11 ek.pub | tail -c +3 | head -c 32 > policy;"
        "tpm2_createprimary -Q -C e -G rsa2048:aes128cfb -g sha256 -L policy -u unique -c o.ctx"
        " -a 'fixedtpm|fixedparent|sensitivedataorigin|adminwithpolicy|restricted|decrypt';"
        "tpm2_evictcontrol -Q -C o -c o.ctx 0x81010001; tpm2_flushcontext -t;"
        "A activate --credential c | cmp - secret");
    chip_is_clean();
}

Test(attest_chip, credential_for_another_key_or_chip_is_refused)
{
    open_certified(NULL);
    boot(0);
    attest(0,
           MAKE "A ek > ek.json; jq -r '.keys[1].public' ek.json | base64 -d > ek.pub;"
                "A ak --service other > other.json; make ek.pub theirs $(jq -r .name other.json);"
                "make ek.pub ours;"
                "tpm2_createek -Q -G ecc -c low.ctx -u low.pub; tpm2_flushcontext -t;"
                "make low.pub low");
    REFUSED(2, "nonce", "evidence", "--credential", "x");
    char path[2][320];
    snprintf(path[0], sizeof path[0], "%s/theirs", device.base);
    snprintf(path[1], sizeof path[1], "%s/low", device.base);
    REFUSED(1, "not made for this chip", "activate", "--credential", path[0]);
    attest(0, "A activate --credential theirs --service other | cmp - secret");
    attest(0, "A activate --credential low | cmp - secret"); /* a chip may lack its certificate */
    certify_chip("ca");
    boot(3);
}

/* Each byte that is changed, each length: refused, exit 1, never something else. */
Test(attest_chip, damaged_credentials_are_refused)
{
    open_certified(NULL);
    boot(0);
    attest(0, MAKE "A ek > ek.json; jq -r '.keys[1].public' ek.json | base64 -d > ek.pub;"
                   "make ek.pub $ROOT/c; A activate --credential $ROOT/c | cmp - secret");
    struct kept good = keep("/c");
    char path[320];
    snprintf(path, sizeof path, "%s/c", device.root);
    for (size_t i = 0; i < good.size; i += i < 24 ? 1 : 13) {
        char *bad = malloc(good.size);
        memcpy(bad, good.data, good.size);
        bad[i] ^= 1;
        OK(idm_device_write(&device, "/c", bad, good.size));
        free(bad);
        REFUSED(1, "redential", "activate", "--credential", path);
    }
    for (size_t size = 0; size < good.size; size += 19) {
        OK(idm_device_write(&device, "/c", good.data, size));
        REFUSED(1, "credential", "activate", "--credential", path);
    }
    drop(&good);
    attest(0, MAKE "jq -r '.keys[0].public' ek.json | base64 -d > ek.pub; make ek.pub $ROOT/c");
    good = keep("/c");
    for (size_t i = 12; i < good.size; i += i < 100 ? 43 : 197) { /* both parts of it */
        good.data[i] ^= 1;
        OK(idm_device_write(&device, "/c", good.data, good.size));
        REFUSED(1, "redential", "activate", "--credential", path);
        good.data[i] ^= 1;
    }
    drop(&good);
    REFUSED(2, "no regular file", "activate", "--credential", "/dev/zero");
    chip_is_clean();
}
