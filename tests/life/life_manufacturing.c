/* SPDX-License-Identifier: BSD-2-Clause */
/* docs/manufacturing.md: every command of the page, as it stands there, on a device. Paths of the device
 * stand below its root here. */
#include "tests/life/life_device.h"

LIFE(manufacturing);

#define PAGE     IDM_TEST_SOURCE_DIR "/docs/manufacturing.md"
#define CA_CONF  "[identity]\ncertificate = ca\nsubject = CN=%{serial},O=Example\n"
#define LEGACY_B "[image]\nother-slot = legacy\n" CA_CONF

/* The block that follows <!-- run: NAME -->, run by sh in the device's base directory. */
static void recipe(const char *name)
{
    shell(0,
          "export SERIAL=4711; mkdir -p bin; printf '#!/bin/sh\\nexec %s --root %s --tcti %s "
          "\"$@\"\\n' $IDMODE $ROOT $TCTI > bin/idmode; chmod +x bin/idmode; export "
          "PATH=$BASE/bin:$PATH;"
          "awk '/^<!-- run: %s -->$/ { on = 1; next } on && /^```$/ { exit } on && !/^```/' " PAGE
          " | sed \"s,/persist/,$ROOT/persist/,\" > recipe; [ -s recipe ]; sh -ex recipe",
          "%s", "%s", "%s", name);
}

static json_t *identity(json_t **ret_status)
{
    OK(idm_device_status(&device, ret_status));
    return json_object_get(*ret_status, "identity");
}

/* Marked wherever idmode speaks of it, or nowhere. */
static void imported(bool wanted)
{
    json_t *status = NULL;

    cr_assert_eq(json_is_true(json_object_get(identity(&status), "imported")), wanted);
    json_decref(status);
    shell(!wanted, "$IDMODE --root $ROOT status | grep -q imported");
    shell(!wanted, "$IDMODE --root $ROOT status --format eve | grep -q imported");
    shell(!wanted, "$IDMODE --root $ROOT history | grep -q imported");
    shell(!wanted, "$IDMODE --root $ROOT --tcti $TCTI doctor | grep -q imported");
}

/* In use after a power cycle too, and good for who trusts the root alone. */
static void certified(const char *chain)
{
    boot(0);
    status_is("tpm", "tpm-dual", "");
    active();
    shell(0,
          "C=$ROOT/run/idmode/device.cert.pem; cmp $C %s && openssl verify -CAfile root.pem "
          "-untrusted $C $C",
          chain);
}

static void open_new(void)
{
    open_device(&(struct idm_device_options){.conf = LEGACY_B});
}

Test(manufacturing, one_key_for_all)
{
    open_new();
    recipe("ca");
    recipe("fleet-factory");
    recipe("fleet-device");
    certified("fleet.chain.pem");
    imported(true);
    struct idm_device_identity first = active();
    char kept[] = "/tmp/idm-fleet-XXXXXX";
    cr_assert_not_null(mkdtemp(kept));
    shell(0, "cp *.pem fleet.key %s/", kept);
    close_device();
    open_new();
    shell(0, "mv %s/* . && rmdir %s", kept, kept);
    recipe("fleet-device");
    certified("fleet.chain.pem");
    imported(true);
    still(&first);
}

Test(manufacturing, one_key_per_device)
{
    open_new();
    recipe("ca");
    recipe("offline-factory");
    recipe("offline-device");
    shell(1, "[ -e 4711.key ]");
    certified("4711.pem");
    imported(true);
    /* A factory reset makes a key that has no copies. */
    cr_assert_eq(RUN("factory-reset", "--yes"), 0);
    boot(0);
    json_t *status = NULL;
    cr_assert(json_is_false(json_object_get(identity(&status), "imported")));
    json_decref(status);
}

Test(manufacturing, the_tpm_makes_it)
{
    open_new();
    recipe("ca");
    recipe("tpm-device");
    shell(0, "$IDMODE --root $ROOT --tcti $TCTI doctor | grep -q '^certificate.*self-signed'");
    recipe("tpm-ca");
    recipe("tpm-install");
    shell(1, "$IDMODE --root $ROOT --tcti $TCTI doctor | grep -q '^certificate.*self-signed'");
    certified("device.pem");
    imported(false);
    recipe("others");
}

static void adopts(const char *how)
{
    open_new();
    recipe("tools-key");
    recipe(how);
    boot(0);
    status_is("tpm", "tpm-dual", "reset-weak"); /* its parent is not idmode's */
    active();
    imported(false);
    shell(0, "tpm2_load -Q -C 0x81000001 -u key.pub -r key.priv -c k.ctx; tpm2_readpublic -Q -c "
             "k.ctx -f pem -o key.pub.pem; tpm2_flushcontext -t; openssl x509 -in "
             "$ROOT/run/idmode/device.cert.pem -noout -pubkey | cmp - key.pub.pem");
    close_device();
}

Test(manufacturing, a_key_that_tpm2_tools_made)
{
    adopts("adopt-handle");
    adopts("adopt-file");
}
