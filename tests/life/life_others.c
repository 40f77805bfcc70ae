/* SPDX-License-Identifier: BSD-2-Clause */
/* Other people's TPMs, each with the lines of docs/operator.md, "A TPM that others use too": a whole
 * life on it, and what was there before is there afterwards, by Name. */
#include "tests/life/life_device.h"

#include <tss2/tss2_esys.h>
#include <tss2/tss2_tctildr.h>

LIFE_IN_MEMORY(others);

#define TARGET_LEGACY "hook", "pre-install", "--target-aware", "no", "--target-slot"

/* ---- the chip, without idmode ---- */

struct chip {
    TSS2_TCTI_CONTEXT *tcti;
    ESYS_CONTEXT *esys;
};

static void chip_open(struct chip *ret)
{
    cr_assert_eq(Tss2_TctiLdr_Initialize(device.tcti, &ret->tcti), TSS2_RC_SUCCESS);
    cr_assert_eq(Esys_Initialize(&ret->esys, ret->tcti, NULL), TSS2_RC_SUCCESS);
}

static void chip_close(struct chip *chip)
{
    Esys_Finalize(&chip->esys);
    Tss2_TctiLdr_Finalize(&chip->tcti);
}

#define HANDLES_MAX 256u

static unsigned handles(struct chip *chip, uint32_t first, uint32_t ret_handles[HANDLES_MAX])
{
    unsigned count = 0;

    for (TPMI_YES_NO more = TPM2_YES; more == TPM2_YES;) {
        TPMS_CAPABILITY_DATA *data;

        cr_assert_eq(Esys_GetCapability(chip->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                        TPM2_CAP_HANDLES, first, TPM2_MAX_CAP_HANDLES, &more,
                                        &data),
                     TSS2_RC_SUCCESS);
        for (unsigned i = 0; i < data->data.handles.count; i++) {
            cr_assert_lt(count, HANDLES_MAX);
            ret_handles[count++] = data->data.handles.handle[i];
            first = data->data.handles.handle[i] + 1;
        }
        Esys_Free(data);
    }
    return count;
}

/* The Name says all that is public about an object or an index, also whether it was written. */
static void name_of(struct chip *chip, uint32_t handle, TPM2B_NAME *ret)
{
    ESYS_TR object;
    TPM2B_NAME *name;

    cr_assert_eq(Esys_TR_FromTPMPublic(chip->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                       &object),
                 TSS2_RC_SUCCESS, "0x%08x is gone", handle);
    cr_assert_eq(Esys_TR_GetName(chip->esys, object, &name), TSS2_RC_SUCCESS);
    *ret = *name;
    Esys_Free(name);
    (void)Esys_TR_Close(chip->esys, &object);
}

/* ---- what is not ours ---- */

static struct {
    uint32_t handle;
    TPM2B_NAME name;
} strangers[2 * HANDLES_MAX];
static unsigned stranger_count;

static void note_all(struct chip *chip, uint32_t first)
{
    uint32_t found[HANDLES_MAX];
    unsigned count = handles(chip, first, found);

    for (unsigned i = 0; i < count; i++) {
        strangers[stranger_count].handle = found[i];
        name_of(chip, found[i], &strangers[stranger_count++].name);
    }
}

static void note_strangers(void)
{
    struct chip chip;

    stranger_count = 0;
    chip_open(&chip);
    note_all(&chip, TPM2_PERSISTENT_FIRST);
    note_all(&chip, TPM2_NV_INDEX_FIRST);
    chip_close(&chip);
}

static void strangers_are_untouched(void)
{
    uint32_t found[HANDLES_MAX];
    struct chip chip;
    TPM2B_NAME name;

    chip_open(&chip);
    for (unsigned i = 0; i < stranger_count; i++) {
        name_of(&chip, strangers[i].handle, &name);
        cr_assert(name.size == strangers[i].name.size &&
                      memcmp(name.name, strangers[i].name.name, name.size) == 0,
                  "0x%08x is another object now", strangers[i].handle);
    }
    cr_assert_eq(handles(&chip, TPM2_TRANSIENT_FIRST, found), 0, "left behind: 0x%08x", found[0]);
    cr_assert_eq(handles(&chip, TPM2_LOADED_SESSION_FIRST, found), 0);
    chip_close(&chip);
}

/* ---- a whole life ---- */

struct wanted {
    const char *reasons; /* while all is well, in every state */
    bool weak;           /* a reset cannot make old key files useless */
};

static void dual_and_works(const struct wanted *wanted)
{
    status_is("tpm", "tpm-dual", wanted->reasons);
    active();
    legacy_pair();
    strangers_are_untouched();
}

/* An image that knows idmode comes into the other slot, and no other one is left. */
static void seals(const struct wanted *wanted, const struct idm_device_identity *tpm)
{
    OK(idm_device_install(&device, &(struct idm_device_install){.aware = true, .version = "2.0"}));
    boot(0);
    OK(idm_device_commit(&device, true));
    boot(0);
    boot(0);
    status_is("tpm", "tpm", wanted->reasons);
    cr_assert_not(idm_device_exists(&device, CONFIG_KEY));
    still(tpm);
    strangers_are_untouched();
}

static void unseals(const struct wanted *wanted, const struct idm_device_identity *tpm,
                    const struct idm_device_identity *legacy)
{
    cr_assert_eq(RUN(TARGET_LEGACY, device.slot == 0 ? "B" : "A"), 0);
    dual_and_works(wanted);
    still(tpm);
    cr_assert_str_eq(legacy_pair().cert_sha256, legacy->cert_sha256);
}

static void resets(const struct wanted *wanted, const struct idm_device_identity *before)
{
    struct kept old = {0};
    bool signs;

    if (idm_device_exists(&device, PERSIST_TSS2))
        old = keep(PERSIST_TSS2);
    cr_assert_eq(RUN("factory-reset", "--yes"), 0);
    boot(0);
    boot(0);
    status_is("tpm", "tpm", wanted->reasons); /* both slots know idmode: born sealed */
    cr_assert_str_neq(active().spki_sha256, before->spki_sha256);
    cr_assert_eq(status_epoch(), 2);
    strangers_are_untouched();
    if (old.data != NULL) {
        OK(idm_device_chip_signs(&device, old.data, old.size, &signs));
        cr_assert_eq(signs && wanted->weak, signs, "the old key file still works");
    }
    drop(&old);
}

static void lives(const struct wanted *wanted)
{
    struct idm_device_identity tpm, legacy;

    note_strangers();
    boot(0);
    dual_and_works(wanted);
    tpm = active();
    legacy = legacy_pair();
    boot(0);
    dual_and_works(wanted);
    still(&tpm);
    cr_assert_eq(status_epoch(), 1);
    seals(wanted, &tpm);
    unseals(wanted, &tpm, &legacy);
    resets(wanted, &tpm);
}

static void open_with(const char *conf)
{
    (void)setenv("TSS2_LOG", "all+none", 1); /* a full chip is asked until it says so */
    open_device(&(struct idm_device_options){.conf = conf});
}

/* ---- whose TPM ---- */

/* As TCG's template for storage root keys has it, and tpm2-tools' default has not. */
#define NODA "-a 'restricted|decrypt|fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda' "
#define PERSIST_AS(template, handle)                                                               \
    "tpm2_createprimary -Q " template " -c p.ctx; tpm2_evictcontrol -Q -C o -c p.ctx " handle ";"  \
                                      "tpm2_flushcontext -t;"

#define EVE_CONF TPM_CONF("srk-handle = 0x81000002")

static void set_up_by_eve(void)
{
    shell(0, "tpm2_createek -Q -G rsa -c 0x81000001; tpm2_flushcontext -t;" PERSIST_AS(
                 "-C o -G rsa", "0x81000002"));
    shell(0, "tpm2_createprimary -Q -C o -G ecc256:ecdsa-sha256 -c p.ctx"
             "  -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign';"
             "tpm2_evictcontrol -Q -C p -c p.ctx 0x817FFFFF 2> /dev/null ||"
             "tpm2_evictcontrol -Q -C o -c p.ctx 0x817FFFFF; tpm2_flushcontext -t;"
             "tpm2_nvdefine -Q -C o -s 800 0x1500000");
}

Test(others, eve)
{
    open_with(EVE_CONF);
    set_up_by_eve();
    lives(&(struct wanted){.reasons = ""});
}

Test(others, eve_before_anybody_said_so)
{
    open_with(NULL);
    set_up_by_eve();
    note_strangers();
    boot(3);
    held_for("blank", "tpm-owned"); /* what is at 0x81000001 is no storage root key */
    cr_assert_not(idm_device_exists(&device, CONFIG_CERT));
    strangers_are_untouched();
    OK(idm_device_write_text(&device, "/etc/idmode/idmode.conf.d/50-test.conf", EVE_CONF));
    lives(&(struct wanted){.reasons = ""});
}

Test(others, a_key_that_only_signs_where_the_storage_root_key_should_be)
{
    open_with(NULL);
    shell(0, PERSIST_AS("-C o -G ecc256:ecdsa-sha256 -a 'fixedtpm|fixedparent|sensitivedataorigin|"
                        "userwithauth|noda|sign'",
                        "0x81000001"));
    note_strangers();
    boot(3);
    held_for("blank", "tpm-owned");
    strangers_are_untouched();
    OK(idm_device_write_text(&device, "/etc/idmode/idmode.conf.d/50-test.conf", EVE_CONF));
    lives(&(struct wanted){.reasons = ""});
}

Test(others, an_rsa_storage_root_key_made_by_tpm2_tools)
{
    open_with(NULL);
    shell(0, PERSIST_AS("-C o -G rsa2048", "0x81000001"));
    lives(&(struct wanted){.reasons = ""});
}

Test(others, an_owner_who_gave_us_the_authorisation)
{
    open_with(TPM_CONF("owner-auth-file = /etc/idmode/owner-auth"));
    shell(0, "tpm2_changeauth -Q -c owner secret; umask 77;"
             "printf 'secret\\n' > $ROOT/etc/idmode/owner-auth");
    lives(&(struct wanted){.reasons = ""});
    shell(0, "! grep -rl secret $ROOT/persist $ROOT/config $ROOT/run");
}

Test(others, an_owner_who_did_not_but_left_a_storage_root_key)
{
    open_with(NULL);
    shell(0, PERSIST_AS(NODA "-C o -G ecc", "0x81000001") "tpm2_changeauth -Q -c owner secret");
    lives(&(struct wanted){.reasons = "tpm-owned reset-weak", .weak = true});
}

/* The refused attempts write nothing. */
static void same_record_after_boots(void)
{
    struct kept before = keep(PERSIST_RECORD);

    for (int i = 0; i < 2; i++)
        boot(0);
    struct kept after = keep(PERSIST_RECORD);
    cr_assert_eq(before.size, after.size);
    cr_assert_eq(memcmp(before.data, after.data, before.size), 0);
    drop(&before);
    drop(&after);
}

Test(others, an_owner_who_gives_us_the_authorisation_later)
{
    static const char *const cut_after[] = {"", "add_counter"};
    for (size_t i = 0; i < 2; i++) {
        open_with(TPM_CONF("owner-auth-file = /etc/idmode/owner-auth"));
        shell(0, PERSIST_AS(NODA "-C o -G ecc", "0x81000001") "tpm2_changeauth -Q -c owner secret;"
                                                              ": > $ROOT/etc/idmode/owner-auth");
        boot(0);
        status_is("tpm", "tpm-dual", "tpm-owned reset-weak");
        same_record_after_boots();
        shell(1, "tpm2_getcap handles-nv-index | grep -qi 1821D01");
        shell(0, "umask 77; printf 'secret\n' > $ROOT/etc/idmode/owner-auth");
        if (cut_after[i][0]) {
            idm_device_cut_begin(&device, 0, cut_after[i]);
            OK(idm_device_boot(&device));
            cr_assert(device.was_cut);
            idm_device_cut_end(&device);
        }
        boot(0);
        status_is("tpm", "tpm-dual", "reset-weak");
        cr_assert_eq(status_epoch(), 1);
        same_record_after_boots();
        /* From now on an old copy of the disk is seen. */
        shell(0, "mkdir old && cp -a $ROOT/config $ROOT/persist old");
        cr_assert_eq(RUN("factory-reset", "--yes"), 0);
        boot(0);
        shell(0, "rm -r $ROOT/config/* $ROOT/persist/*; cp -a old/config/. $ROOT/config;"
                 "cp -a old/persist/. $ROOT/persist");
        boot(3);
        held_for("tpm-dual", "reset-weak rolled-back");
        close_device();
    }
}

static void reset_is_refused(void)
{
    struct kept record = keep(PERSIST_RECORD);
    struct kept cert = keep(CONFIG_CERT);
    _cleanup_run_ struct idm_run run = {0};

    OK(idm_device_idmode(&device, &run, "factory-reset", "--yes", NULL));
    cr_assert_eq(device.exit_code, 1);
    cr_assert_not_null(strstr(run.err, "owner-auth-file"), "%s", run.err);
    exact(&record);
    exact(&cert);
    drop(&record);
    drop(&cert);
}

/* What would stop it half-way is seen before anything is destroyed: the parent that cannot be evicted... */
Test(others, an_owner_who_would_not_let_the_old_key_go)
{
    open_with(NULL);
    boot(0);
    struct idm_device_identity born = active();
    shell(0, "tpm2_changeauth -Q -c owner secret");
    reset_is_refused();
    boot(0);
    status_is("tpm", "tpm-dual", "");
    cr_assert_str_eq(active().cert_sha256, born.cert_sha256);
    shell(0, "tpm2_changeauth -Q -c owner -p secret");
    cr_assert_eq(RUN("factory-reset", "--yes"), 0);
    cr_assert_str_neq(active().cert_sha256, born.cert_sha256);
}

/* ... and the root key that a new one would need, and that cannot be made. */
Test(others, an_owner_who_took_the_storage_root_key_away)
{
    open_with(NULL);
    shell(0, PERSIST_AS(NODA "-C o -G ecc", "0x81000001") "tpm2_changeauth -Q -c owner secret");
    boot(0);
    struct idm_device_identity born = active();
    shell(0, "tpm2_evictcontrol -Q -C o -P secret -c 0x81000001");
    reset_is_refused();
    shell(0, "tpm2_changeauth -Q -c owner -p secret;" PERSIST_AS(
                 NODA "-C o -G ecc", "0x81000001") "tpm2_changeauth -Q -c owner secret");
    boot(0);
    cr_assert_str_eq(active().cert_sha256, born.cert_sha256);
    cr_assert_eq(RUN("factory-reset", "--yes"),
                 0); /* a file under it can be replaced: reset-weak */
    status_is("tpm", "tpm-dual", "tpm-owned reset-weak reset-incomplete");
    cr_assert_str_neq(active().cert_sha256, born.cert_sha256);
}

/* Used at each boot it would put the chip into lockout after three power cuts. */
Test(others, an_owner_who_left_a_storage_root_key_that_power_cuts_lock)
{
    open_with(NULL);
    shell(0, PERSIST_AS("-C o -G ecc", "0x81000001") "tpm2_changeauth -Q -c owner secret");
    note_strangers();
    for (int i = 0; i < 5; i++) {
        boot(3);
        held_for("blank", "tpm-owned");
        cr_assert_not(idm_device_exists(&device, CONFIG_CERT));
    }
    strangers_are_untouched();
    shell(0, "tpm2_changeauth -Q -c owner -p secret");
    lives(&(struct wanted){.reasons = ""});
}

Test(others, an_owner_who_left_nothing)
{
    open_with(NULL);
    shell(0, "tpm2_changeauth -Q -c owner secret");
    note_strangers();
    for (int i = 0; i < 2; i++) {
        boot(3);
        held_for("blank", "tpm-owned");
        cr_assert_not(idm_device_exists(&device, CONFIG_CERT));
        strangers_are_untouched();
    }
}

/* ---- a chip that is full ---- */

static TSS2_RC define(struct chip *chip, uint32_t index, uint16_t size, TPMA_NV kind)
{
    const TPM2B_AUTH empty = {0};
    const TPM2B_NV_PUBLIC area = {
        .nvPublic = {.nvIndex = index,
                     .nameAlg = TPM2_ALG_SHA256,
                     .attributes = TPMA_NV_OWNERREAD | TPMA_NV_OWNERWRITE | kind,
                     .dataSize = size}};
    ESYS_TR made = ESYS_TR_NONE;
    TSS2_RC rc = Esys_NV_DefineSpace(chip->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                     ESYS_TR_NONE, &empty, &area, &made);

    if (rc == TSS2_RC_SUCCESS)
        (void)Esys_TR_Close(chip->esys, &made);
    return rc;
}

#define STRANGERS_FIRST_INDEX 0x01500000u
#define INDEX_SIZE_MAX        2048u /* libtpms: MAX_NV_INDEX_SIZE */

#define COUNTER ((TPMA_NV)TPM2_NT_COUNTER << TPMA_NV_TPM2_NT_SHIFT)

/* Indices of others until there is no room for the smallest one. libtpms keeps places for a few
 * counters, which are taken too, and for a few persistent objects. */
static void fill_nv(void)
{
    uint32_t index = STRANGERS_FIRST_INDEX;
    struct chip chip;

    chip_open(&chip);
    for (uint16_t size = INDEX_SIZE_MAX; size > 0; size /= 2) {
        TSS2_RC rc;

        while ((rc = define(&chip, index, size, size == 8 ? COUNTER : 0)) == TSS2_RC_SUCCESS)
            index++;
        cr_assert_eq(rc, TPM2_RC_NV_SPACE, "0x%x", rc);
    }
    chip_close(&chip);
}

#define STRANGERS_FIRST_HANDLE 0x81010000u

/* Keys of others in all persistent slots but `left`; how many the chip has. */
static unsigned fill_slots(unsigned left)
{
    const TPM2B_SENSITIVE_CREATE nothing = {0};
    const TPM2B_PUBLIC template = {
        .publicArea = {.type = TPM2_ALG_KEYEDHASH,
                       .nameAlg = TPM2_ALG_SHA256,
                       .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                           TPMA_OBJECT_SENSITIVEDATAORIGIN |
                                           TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_SIGN_ENCRYPT,
                       .parameters.keyedHashDetail.scheme = {
                           .scheme = TPM2_ALG_HMAC, .details.hmac.hashAlg = TPM2_ALG_SHA256}}};
    const TPM2B_DATA outside = {0};
    const TPML_PCR_SELECTION no_pcr = {0};
    ESYS_TR key = ESYS_TR_NONE, kept[64];
    unsigned count = 0;
    struct chip chip;

    chip_open(&chip);
    cr_assert_eq(Esys_CreatePrimary(chip.esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                    ESYS_TR_NONE, &nothing, &template, &outside, &no_pcr, &key,
                                    NULL, NULL, NULL, NULL),
                 TSS2_RC_SUCCESS);
    TSS2_RC rc;
    while ((rc = Esys_EvictControl(chip.esys, ESYS_TR_RH_OWNER, key, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                   ESYS_TR_NONE, STRANGERS_FIRST_HANDLE + count, &kept[count])) ==
           TSS2_RC_SUCCESS) {
        count++;
        cr_assert_lt(count, sizeof(kept) / sizeof(kept[0]));
    }
    cr_assert_eq(rc, TPM2_RC_NV_SPACE, "0x%x", rc);
    for (unsigned i = 0; i < left; i++) {
        ESYS_TR gone;

        cr_assert_eq(Esys_EvictControl(chip.esys, ESYS_TR_RH_OWNER, kept[count - 1 - i],
                                       ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                                       STRANGERS_FIRST_HANDLE + count - 1 - i, &gone),
                     TSS2_RC_SUCCESS);
    }
    cr_assert_eq(Esys_FlushContext(chip.esys, key), TSS2_RC_SUCCESS);
    chip_close(&chip);
    return count;
}

static void persistent_are(const char *words)
{
    shell(0,
          "test \"$(tpm2_getcap handles-persistent | sed 's/^- //' | grep -v 0x8101 | sort |"
          " tr '\\n' ' ')\" = '%s'",
          words);
}

Test(others, no_room_for_a_counter)
{
    open_with(NULL);
    fill_nv();
    lives(&(struct wanted){.reasons = ""});
    shell(0, "! tpm2_nvreadpublic 0x01821D01 2> /dev/null");
    persistent_are("0x81000001 0x81020000 0x81020001 ");
}

static void open_with_slots(unsigned left)
{
    open_with(NULL);
    fill_nv();
    cr_assert_geq(fill_slots(left), 5u);
}

Test(others, two_slots_left)
{
    open_with_slots(2);
    lives(&(struct wanted){.reasons = ""});
    persistent_are("0x81000001 0x81020001 ");
}

Test(others, one_slot_left)
{
    open_with_slots(1);
    lives(&(struct wanted){.reasons = "reset-weak", .weak = true});
    persistent_are("0x81000001 ");
}

Test(others, no_slot_left)
{
    open_with_slots(0);
    lives(&(struct wanted){.reasons = "reset-weak", .weak = true});
    persistent_are("");
    /* The storage root key that everyone can make again: other programs sign with the file too. */
    shell(0, "echo x > x; openssl pkeyutl -provider tpm2 -provider default -sign -rawin"
             "  -digest sha256 -inkey $ROOT" PERSIST_TSS2 " -in x -out s;"
             "openssl x509 -in $ROOT" PERSIST_TPM " -noout -pubkey > k;"
             "openssl dgst -sha256 -verify k -signature s x");
}
