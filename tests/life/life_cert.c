/* SPDX-License-Identifier: BSD-2-Clause */
/* csr and cert install on the shipped programs, with openssl as certification authority. */
#include "tests/life/life_device.h"

LIFE(cert);

#define CA_CONF  "[identity]\ncertificate = ca\nsubject = CN=%{serial},O=Example\n"
#define LEGACY_B "[image]\nother-slot = legacy\n" CA_CONF

/* A root, an intermediate, and `issue CSR OUT [DAYS]`: a device's certificate with its chain. */
static void make_ca(void)
{
    shell(0, "for n in root mid; do openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 "
             "-out $n.key; done; cat > ca.ext <<END\n"
             "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
             "END\n"
             "openssl req -x509 -key root.key -subj /CN=root -days 3650 -out root.pem -addext "
             "basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign 2>/dev/null;"
             "openssl req -new -key mid.key -subj /CN=mid | openssl x509 -req -CA root.pem -CAkey "
             "root.key -CAcreateserial -days 3000 -extfile ca.ext -out mid.pem 2>/dev/null;"
             "cat > issue <<'END'\n"
             "openssl x509 -req -in $1 -CA mid.pem -CAkey mid.key -CAcreateserial -days ${3:-900} "
             "-copy_extensions copy -out leaf.pem 2>/dev/null && cat leaf.pem mid.pem > $2\n"
             "END\n");
}

#define REQUEST "$IDMODE --root $ROOT --tcti $TCTI csr "
#define INSTALL "$IDMODE -q --root $ROOT --tcti $TCTI cert install "
#define SHOWN   "$ROOT/run/idmode/device.cert.pem"

static void renew(void)
{
    shell(0,
          REQUEST "> csr && openssl req -in csr -noout -verify 2>/dev/null &&"
                  " openssl req -in csr -noout -subject | grep -q 'O = Example, CN = '"
                  " && sh ./issue csr chain.pem && " INSTALL "chain.pem && cmp chain.pem " SHOWN
                  " && openssl verify -CAfile root.pem -untrusted " SHOWN " " SHOWN " >/dev/null");
}

static void open_as(const char *state)
{
    if (strcmp(state, "software") == 0) {
        open_software_device(CA_CONF, false);
    } else {
        bool dual = strcmp(state, "tpm-dual") == 0;
        open_device(&(struct idm_device_options){.conf = dual ? LEGACY_B : NO_OTHER_SLOT CA_CONF});
        boot(0);
        boot(0);
    }
    make_ca();
}

static void renews_in(const char *state, const char *mode)
{
    open_as(state);
    status_is(mode, state, "");
    long long epoch = status_epoch();
    struct idm_device_identity before = active();
    renew();
    struct idm_device_identity after = active();
    cr_assert_str_eq(after.spki_sha256, before.spki_sha256);
    cr_assert_str_neq(after.cert_sha256, before.cert_sha256);
    cr_assert_eq(status_epoch(), epoch + 1);
    shell(0, REQUEST "--json | grep -q 'BEGIN CERTIFICATE REQUEST'");
    shell(0, "$IDMODE --root $ROOT history | grep -q cert_offered_fits");
    shell(0, "$IDMODE --root $ROOT --tcti $TCTI doctor | grep -q '^certificate.*valid for'");
    boot(0);
    status_is(mode, state, "");
    still(&after);
    shell(0, "cmp chain.pem " SHOWN);
    if (strcmp(state, "tpm-dual") != 0)
        shell(0, "cmp chain.pem $ROOT/config/device.cert.pem");
    if (strcmp(state, "tpm") != 0)
        legacy_pair();
    /* the same once more: nothing changes */
    shell(0, INSTALL "chain.pem");
    cr_assert_eq(status_epoch(), epoch + 1);
    close_device();
}

Test(cert, a_ca_renews_the_certificate_in_every_state)
{
    renews_in("software", "software");
    renews_in("tpm-dual", "tpm");
    renews_in("tpm", "tpm");
}

Test(cert, a_legacy_image_uses_the_renewed_certificate)
{
    open_as("software");
    renew();
    OK(idm_device_put_image(&device, 0, false, "1.0"));
    boot(0);
    cr_assert_not(device.minted);
    shell(0, "cmp chain.pem $ROOT/config/device.cert.pem");
    OK(idm_device_put_image(&device, 0, true, "2.0"));
    boot(0);
    status_is("software", "software", "");
    shell(0, "cmp chain.pem " SHOWN);
}

Test(cert, the_prepared_identity_gets_its_own)
{
    open_as("software");
    struct idm_device_identity before = active();
    cr_assert_eq(RUN("cert", "show", "--prepared"), 1);
    cr_assert_eq(RUN("csr", "--prepared"), 1);
    cr_assert_eq(RUN("migrate", "prepare"), 0);
    shell(0, REQUEST "--prepared > csr && sh ./issue csr chain.pem");
    shell(1, INSTALL "chain.pem 2>/dev/null");
    shell(0, INSTALL "--prepared chain.pem");
    still(&before);
    shell(0, "$IDMODE --root $ROOT --tcti $TCTI cert show --prepared | cmp chain.pem");
    cr_assert_eq(RUN("migrate", "commit"), 0);
    status_is("tpm", "tpm-dual", "");
    shell(0, "cmp chain.pem " SHOWN "; openssl x509 -in chain.pem -outform DER | sha256sum | "
             "cut -c1-64 > want; "
             "grep -q $(cat want) $ROOT/run/idmode/statement.json");
    boot(0);
    active();
}

Test(cert, what_does_not_fit_is_refused_with_the_reason)
{
    open_as("tpm-dual");
    struct idm_device_identity before = active();
    shell(0, REQUEST "> csr; sh ./issue csr chain.pem; cp leaf.pem ours.pem;"
                     " openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "
                     "k -subj /CN=x -out other.csr 2>/dev/null; sh ./issue other.csr other.pem;"
                     " sh ./issue csr old.pem -1; cat ours.pem root.pem > gap.pem;"
                     " head -c 300 chain.pem > torn.pem; : > empty.pem");
    static const char *const refusals[][2] = {{"other.pem", "not the certificate of the TPM key"},
                                              {"old.pem", "expired"},
                                              {"gap.pem", "was not issued by"},
                                              {"torn.pem", "cut short"},
                                              {"empty.pem", "empty"},
                                              {"mid.pem", "a CA's"},
                                              {"--prepared chain.pem", "nothing is prepared"}};
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        shell(0,
              "$IDMODE --root $ROOT --tcti $TCTI cert install %s 2> said && exit 9; [ $? = 1 ] && "
              "grep -q \"%s\" said || { cat said; exit 8; }",
              refusals[i][0], refusals[i][1]);
    still(&before);
    shell(5, INSTALL "missing.pem 2>/dev/null");
    shell(2, INSTALL "2>/dev/null");
    shell(2, "$IDMODE --root $ROOT cert show chain.pem 2>/dev/null");
    boot(0);
    status_is("tpm", "tpm-dual", "");
    still(&before);
}

/* A record names the certificate; its chain is restored from the copy that still has it. */
Test(cert, a_chain_that_was_damaged_comes_back)
{
    static const char *const copies[][3] = {
        {"software", "config/device.cert.pem", "persist/idmode/legacy.cert.pem"},
        {"tpm", "config/device.cert.pem", "persist/idmode/tpm.cert.pem"},
        {"tpm", "config/idmode/tpm.cert.pem", "persist/idmode/tpm.cert.pem"}};
    for (size_t i = 0; i < sizeof copies / sizeof *copies; i++) {
        open_as(copies[i][0]);
        renew();
        for (size_t side = 1; side <= 2; side++) {
            shell(0, "cp leaf.pem $ROOT/%s", copies[i][side]);
            boot(0);
            shell(0, "cmp chain.pem $ROOT/%s && cmp chain.pem $ROOT/%s && cmp chain.pem " SHOWN,
                  copies[i][1], copies[i][2]);
        }
        close_device();
    }
}

/* Reported, and nothing more. */
Test(cert, an_expired_certificate_is_said_and_kept)
{
    open_as("tpm-dual");
    renew();
    struct idm_device_identity before = active();
    idm_device_clock(&device, 1900000000 + 86400 * 365ll);
    boot(0);
    status_is("tpm", "tpm-dual", "");
    still(&before);
    _cleanup_run_ struct idm_run run = {0};
    OK(idm_device_idmode(&device, &run, "doctor", NULL));
    cr_assert_not_null(strstr(run.out, "expired"), "%s", run.out);
    renew();
}

/* Every durable step of a renewal cut once: afterwards it has happened or not, and a pair of ours is never
 * taken for another image's. */
static void cut_renewals(const char *state, const char *mode)
{
    unsigned long steps = 0;
    unsigned taken = 0, kept = 0;

    open_as(state);
    shell(0, REQUEST "> csr");
    char chain[400];
    snprintf(chain, sizeof chain, "%s/chain.pem", device.base);
    shell(0, "sh ./issue csr chain.pem");
    device.count_steps = true;
    cr_assert_eq(RUN("cert", "install", chain), 0);
    steps = idm_device_steps(&device);
    cr_assert_gt(steps, 8);
    for (unsigned long cut = 1; cut <= steps; cut++) {
        struct idm_device_identity before = active();
        long long epoch = status_epoch();
        shell(0, "sh ./issue csr chain.pem");
        idm_device_cut_at(&device, cut);
        (void)idm_device_idmode(&device, NULL, "cert", "install", chain, NULL);
        idm_device_cut_at(&device, 0);
        boot(0);
        status_is(mode, state, "");
        struct idm_device_identity now = active();
        bool new = strcmp(now.cert_sha256, before.cert_sha256) != 0;
        cr_assert_str_eq(now.spki_sha256, before.spki_sha256);
        cr_assert_eq(status_epoch(), epoch + new, "cut %lu", cut);
        taken += new;
        kept += !new;
    }
    cr_assert(taken && kept, "%u taken, %u kept", taken, kept);
    close_device();
}

Test(cert, a_cut_renewal_happened_or_did_not)
{
    cut_renewals("software", "software");
    cut_renewals("tpm", "tpm");
}
