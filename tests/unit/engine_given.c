/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys that idmode did not make: imported, adopted, used again. */
#include "tests/sim/sim.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

#define FOUND_AT 0x81020005u

static struct idm_sim sim;
static struct idm_outcome outcome;

static void new_device(void)
{
    idm_sim_init(&sim);
}

static void free_device(void)
{
    idm_sim_free(&sim);
}

TestSuite(engine_given, .init = new_device, .fini = free_device);

static enum idm_exit ask_with(struct idm_ask ask, const char *text)
{
    struct idm_bytes key = {0};
    if (text)
        cr_assert_eq(idm_bytes_set(&key, text, strlen(text)), 0);
    ask.key = text ? &key : NULL;
    enum idm_exit rc = idm_sim_run(&sim, &ask, &outcome);
    idm_bytes_free(&key);
    return rc;
}

static enum idm_exit import(const char *text)
{
    return ask_with((struct idm_ask){.kind = IDM_REQ_IMPORT}, text);
}

static enum idm_exit adopt(uint32_t handle)
{
    return ask_with((struct idm_ask){.kind = IDM_REQ_ADOPT, .handle = handle}, NULL);
}

static enum idm_exit release(enum idm_request_kind kind, enum idm_reason named)
{
    return ask_with((struct idm_ask){.kind = kind, .named = named}, NULL);
}

static void key_in_chip(uint32_t handle, uint32_t id)
{
    sim.chip.objects[0] = (struct idm_sim_object){.handle = handle, .id = id};
}

static bool said_imported(void)
{
    const struct idm_bytes *text = idm_sim_file(&sim, IDM_F_RUN_STATUS);
    cr_assert_not_null(text);
    json_t *doc = json_loadb((const char *)text->data, text->size, 0, NULL);
    bool imported = json_is_true(json_object_get(json_object_get(doc, "identity"), "imported"));
    json_decref(doc);
    return imported;
}

static bool in_history(const char *word)
{
    const struct idm_bytes *text = idm_sim_file(&sim, IDM_F_HISTORY);
    return text && memmem(text->data, text->size, word, strlen(word));
}

static void refused(const char *why)
{
    cr_assert(strstr(outcome.refused, why), "%s", outcome.refused);
}

static void boots(enum idm_exit exit)
{
    cr_assert_eq(idm_sim_boot(&sim, &outcome), exit, "%s %s: %s",
                 idm_event_name(outcome.last_event), outcome.error.what, outcome.error.why);
}

/* ---- import ---- */

Test(engine_given, an_imported_key_is_the_identity_and_says_so)
{
    cr_assert_eq(import("KEY 7\n"), IDM_EXIT_DONE);
    cr_assert_eq(outcome.mode, IDM_MODE_TPM);
    cr_assert_eq(idm_sim_cert_key_of(&sim, IDM_F_RUN_CERT), 7);
    cr_assert(said_imported());
    cr_assert(in_history("\"imported\":true"));
    boots(IDM_EXIT_DONE);
    boots(IDM_EXIT_DONE);
    cr_assert_eq(sim.writes, 0);
    cr_assert_eq(outcome.reasons, 0);
}

Test(engine_given, a_factory_reset_makes_a_key_of_its_own)
{
    cr_assert_eq(import("KEY 7\n"), IDM_EXIT_DONE);
    cr_assert_eq(ask_with((struct idm_ask){.kind = IDM_REQ_RESET}, NULL), IDM_EXIT_DONE);
    cr_assert_neq(idm_sim_cert_key_of(&sim, IDM_F_RUN_CERT), 7);
    cr_assert_not(said_imported());
    for (size_t i = 0; i < IDM_SIM_OBJECTS; i++)
        cr_assert_neq(sim.chip.objects[i].id, 7);
}

Test(engine_given, import_is_refused_where_there_is_an_identity)
{
    boots(IDM_EXIT_DONE);
    cr_assert_eq(import("KEY 7\n"), IDM_EXIT_REFUSED);
    refused("before the first boot");
    idm_sim_free(&sim);
    idm_sim_init(&sim);
    idm_sim_mint(&sim);
    cr_assert_eq(import("KEY 7\n"), IDM_EXIT_REFUSED);
    refused("another identity");
}

Test(engine_given, import_is_refused_for_a_bad_key_and_a_bad_chip)
{
    cr_assert_eq(import("no key\n"), IDM_EXIT_REFUSED);
    cr_assert_eq(sim.writes, 0, "no other key was made");
    sim.chip.answers = IDM_E_TPM_ABSENT;
    cr_assert_eq(import("KEY 7\n"), IDM_EXIT_FAILED);
    cr_assert_not(idm_sim_record(&sim, &(struct idm_record){0}));
}

/* One device, one registered key: whatever is interrupted, no other key is made in its place. */
Test(engine_given, a_cut_import_is_repeated_and_nothing_is_made_in_its_place)
{
    unsigned int held = 0;
    bool hit = true;
    for (unsigned long at = 2; hit; at++) { /* after the intent */
        idm_sim_free(&sim);
        idm_sim_init(&sim);
        idm_sim_arm(&sim, IDM_SIM_CUT_AFTER, at);
        (void)import("KEY 7\n");
        hit = sim.fault_hit;
        (void)idm_sim_boot(&sim, &outcome);
        if (outcome.held) {
            held++;
            cr_assert_eq(outcome.held_for, IDM_R_key_lost);
            cr_assert_eq(import("KEY 7\n"), IDM_EXIT_DONE, "cut %lu", at);
        }
        cr_assert_eq(idm_sim_cert_key_of(&sim, IDM_F_RUN_CERT), 7, "cut %lu", at);
        cr_assert(said_imported());
    }
    cr_assert_gt(held, 0);
}

Test(engine_given, a_chip_that_breaks_in_the_middle_does_not_make_a_software_device)
{
    idm_sim_arm(&sim, IDM_SIM_CUT_AFTER, 2);
    (void)import("KEY 7\n");
    sim.chip.answers = IDM_E_TPM_FAILED;
    boots(IDM_EXIT_HELD);
    cr_assert_eq(outcome.held_for, IDM_R_tpm_failed);
    sim.chip.answers = 0;
    boots(IDM_EXIT_HELD);
    cr_assert_eq(ask_with((struct idm_ask){.kind = IDM_REQ_RESET}, NULL), IDM_EXIT_DONE);
}

/* ---- adopt ---- */

Test(engine_given, an_adopted_key_stays_where_it_is)
{
    key_in_chip(FOUND_AT, 9);
    cr_assert_eq(adopt(FOUND_AT), IDM_EXIT_DONE);
    cr_assert_eq(idm_sim_cert_key_of(&sim, IDM_F_RUN_CERT), 9);
    cr_assert_null(idm_sim_object_at(&sim, sim.settings.device_handle));
    cr_assert_eq(outcome.reasons, UINT64_C(1) << IDM_R_reset_weak);
    cr_assert_not(said_imported());
    cr_assert(in_history("\"adopted\":true"));
    boots(IDM_EXIT_DONE);
    boots(IDM_EXIT_DONE);
    cr_assert_eq(sim.writes, 0);
}

Test(engine_given, an_adopted_key_keeps_its_certificate)
{
    key_in_chip(FOUND_AT, 9);
    idm_sim_put(&sim, IDM_F_CONFIG_CERT, "CERT 44 KEY 9 FROM 1 TO 4000000000\n");
    cr_assert_eq(adopt(FOUND_AT), IDM_EXIT_DONE);
    cr_assert_eq(idm_sim_cert_of(&sim, IDM_F_RUN_CERT), 44);
}

Test(engine_given, a_file_is_adopted_under_its_parent)
{
    key_in_chip(sim.settings.srk_handle, 50);
    sim.chip.objects[0].role = IDM_ROLE_PARENT;
    struct idm_ask ask = {.kind = IDM_REQ_ADOPT};
    cr_assert_eq(ask_with(ask, "TSS2 9 UNDER 51\n"), IDM_EXIT_REFUSED);
    refused("loads neither");
    cr_assert_eq(ask_with(ask, "TSS2 9 UNDER 50\n"), IDM_EXIT_DONE);
    cr_assert_eq(idm_sim_cert_key_of(&sim, IDM_F_RUN_CERT), 9);
    cr_assert(outcome.reasons >> IDM_R_reset_weak & 1);
    boots(IDM_EXIT_DONE);
}

Test(engine_given, adopt_is_refused_for_keys_that_are_not_fit)
{
    key_in_chip(FOUND_AT, 9);
    sim.chip.objects[0].stranger = true;
    cr_assert_eq(adopt(FOUND_AT), IDM_EXIT_REFUSED);
    sim.chip.objects[0] = (struct idm_sim_object){.handle = FOUND_AT, .id = 9, .imported = true};
    cr_assert_eq(adopt(FOUND_AT), IDM_EXIT_REFUSED);
    cr_assert_eq(
        ask_with((struct idm_ask){.kind = IDM_REQ_ADOPT, .handle = FOUND_AT, .imported = true},
                 NULL),
        IDM_EXIT_DONE);
    cr_assert(said_imported());
    idm_sim_free(&sim);
    idm_sim_init(&sim);
    cr_assert_eq(adopt(0x81800001), IDM_EXIT_REFUSED);
    refused("owner's");
    cr_assert_eq(sim.writes, 0);
}

Test(engine_given, adopt_does_not_lose_a_key_of_ours)
{
    key_in_chip(sim.settings.device_handle, 8);
    sim.chip.objects[1] = (struct idm_sim_object){.handle = FOUND_AT, .id = 9};
    cr_assert_eq(adopt(FOUND_AT), IDM_EXIT_REFUSED);
    refused("another key of idmode's");
    cr_assert_not_null(idm_sim_object_at(&sim, sim.settings.device_handle));
}

/* ---- reuse ---- */

static void lose_disk(void)
{
    boots(IDM_EXIT_DONE);
    idm_sim_wipe(&sim, IDM_CONFIG);
    idm_sim_wipe(&sim, IDM_PERSIST);
    boots(IDM_EXIT_HELD);
    cr_assert_eq(outcome.held_for, IDM_R_record_corrupt);
}

Test(engine_given, the_key_at_our_handle_is_used_again)
{
    lose_disk();
    uint32_t key = idm_sim_object_at(&sim, sim.settings.device_handle)->id;
    uint64_t counter = sim.chip.counter;
    cr_assert_eq(release(IDM_REQ_RELEASE_REUSE, IDM_R_record_corrupt), IDM_EXIT_DONE);
    cr_assert_eq(outcome.mode, IDM_MODE_TPM);
    cr_assert_eq(idm_sim_cert_key_of(&sim, IDM_F_RUN_CERT), key);
    cr_assert_eq(sim.chip.counter, counter + 1);
    boots(IDM_EXIT_DONE);
    cr_assert_eq(outcome.reasons, 0);
}

Test(engine_given, reuse_keeps_a_whole_pair_as_the_legacy_pair)
{
    boots(IDM_EXIT_DONE);
    idm_sim_wipe(&sim, IDM_PERSIST);
    idm_sim_delete(&sim, IDM_F_CONFIG_RECORD);
    uint32_t pair = idm_sim_cert_of(&sim, IDM_F_CONFIG_CERT);
    uint32_t cert = idm_sim_cert_of(&sim, IDM_F_CONFIG_TPM_CERT);
    sim.settings.other_slot = IDM_OTHER_NONE;
    boots(IDM_EXIT_HELD);
    cr_assert_eq(release(IDM_REQ_RELEASE_REUSE, IDM_R_record_corrupt), IDM_EXIT_DONE);
    cr_assert_eq(idm_sim_cert_of(&sim, IDM_F_RUN_CERT), cert, "a certificate that is left is kept");
    cr_assert_eq(idm_sim_cert_of(&sim, IDM_F_CONFIG_CERT), pair);
    cr_assert_eq(idm_sim_cert_of(&sim, IDM_F_PERSIST_CERT), pair);
}

Test(engine_given, reuse_is_refused_without_a_key_of_ours)
{
    lose_disk();
    for (size_t i = 0; i < IDM_SIM_OBJECTS; i++)
        if (sim.chip.objects[i].handle == sim.settings.device_handle)
            sim.chip.objects[i] = (struct idm_sim_object){0};
    cr_assert_eq(release(IDM_REQ_RELEASE_REUSE, IDM_R_record_corrupt), IDM_EXIT_REFUSED);
    cr_assert_not(idm_sim_record(&sim, &(struct idm_record){0}));
    cr_assert_eq(release(IDM_REQ_RELEASE_NEW, IDM_R_record_corrupt), IDM_EXIT_DONE);
}
