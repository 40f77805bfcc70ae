/* SPDX-License-Identifier: BSD-2-Clause */
/* A CA's certificate for the key in use: requested, taken or refused, and never half taken. */
#include "tests/sim/sim.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

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

TestSuite(engine_cert, .init = new_device, .fini = free_device);

static void boots(enum idm_exit exit)
{
    cr_assert_eq(idm_sim_boot(&sim, &outcome), exit, "%s %s: %s",
                 idm_event_name(outcome.last_event), outcome.error.what, outcome.error.why);
}

static enum idm_exit ask(enum idm_request_kind kind)
{
    return idm_sim_run(&sim, &(struct idm_ask){.kind = kind}, &outcome);
}

/* ---- devices, one for each state in which a certificate can be renewed ---- */

struct device {
    enum idm_state state;
    enum idm_file cert; /* where the certificate that is renewed is kept */
    bool prepared;
    bool in_config; /* the config directory shows it to legacy images */
};

static const struct device devices[] = {
    {IDM_S_software, IDM_F_PERSIST_CERT, false, true},
    {IDM_S_migrating, IDM_F_PERSIST_TPM_CERT, true, false},
    {IDM_S_tpm_dual, IDM_F_PERSIST_TPM_CERT, false, false},
    {IDM_S_tpm, IDM_F_PERSIST_TPM_CERT, false, true},
};
#define DEVICES (sizeof devices / sizeof *devices)

static void make(const struct device *d)
{
    idm_sim_free(&sim);
    idm_sim_init(&sim);
    if (d->state == IDM_S_software || d->state == IDM_S_migrating)
        idm_sim_mint(&sim);
    if (d->state == IDM_S_tpm)
        sim.settings.other_slot = IDM_OTHER_NONE;
    boots(IDM_EXIT_DONE);
    if (d->prepared)
        cr_assert_eq(ask(IDM_REQ_PREPARE), IDM_EXIT_DONE);
    cr_assert_eq(outcome.state, d->state);
}

static enum idm_exit offer(bool prepared, const char *text)
{
    struct idm_bytes cert = {0};
    cr_assert_eq(idm_bytes_set(&cert, text, strlen(text)), 0);
    struct idm_ask request = {.kind = IDM_REQ_CERT, .cert = &cert, .prepared = prepared};
    enum idm_exit rc = idm_sim_run(&sim, &request, &outcome);
    idm_bytes_free(&cert);
    return rc;
}

/* For that key, valid now. */
static enum idm_exit offer_for(bool prepared, uint32_t key)
{
    char text[96];
    (void)snprintf(text, sizeof text, "CERT 900 KEY %u FROM 1 TO 4000000000\n", key);
    return offer(prepared, text);
}

static uint32_t key_of(const struct device *d)
{
    return idm_sim_cert_key_of(&sim, d->cert);
}

static void refused(const char *why)
{
    cr_assert_eq(outcome.request_event, IDM_EV_cert_offered_misfits);
    cr_assert(strstr(outcome.refused, why), "%s", outcome.refused);
}

/* ---- taken ---- */

Test(engine_cert, a_renewal_is_a_change_of_its_own)
{
    for (size_t i = 0; i < DEVICES; i++) {
        const struct device *d = &devices[i];
        struct idm_record record = {0};
        make(d);
        uint32_t epoch = outcome.epoch;
        uint32_t key = key_of(d);
        cr_assert_eq(offer_for(d->prepared, key), IDM_EXIT_DONE, "%s", outcome.refused);
        cr_assert_eq(outcome.epoch, epoch + !d->prepared);
        cr_assert_eq(idm_sim_cert_of(&sim, d->cert), 900);
        cr_assert_eq(idm_sim_cert_of(&sim, IDM_F_RUN_CERT) == 900, !d->prepared);
        cr_assert_eq(idm_sim_cert_of(&sim, IDM_F_CONFIG_CERT) == 900, d->in_config);
        cr_assert_eq(idm_sim_cert_of(&sim, IDM_F_CONFIG_TPM_CERT) == 900,
                     d->state != IDM_S_software);
        cr_assert(idm_sim_record(&sim, &record));
        cr_assert_eq(record.announced, record.epoch);
        cr_assert_eq(outcome.reasons, 0, "%s", idm_state_name(d->state));
        /* once more the same: nothing to do */
        cr_assert_eq(offer_for(d->prepared, key), IDM_EXIT_DONE);
        cr_assert_eq(outcome.epoch, epoch + !d->prepared);
        boots(IDM_EXIT_DONE);
        boots(IDM_EXIT_DONE);
        cr_assert_eq(sim.writes, 0);
        cr_assert_eq(outcome.state, d->state);
    }
}

/* Whatever is cut: the old certificate under the old epoch or the new one under the next, both copies
 * and the legacy view agree after one boot, and nobody takes the pair for another image's. */
Test(engine_cert, a_cut_renewal_happened_or_did_not)
{
    static const enum idm_sim_fault faults[] = {IDM_SIM_CUT_BEFORE, IDM_SIM_CUT_AFTER,
                                                IDM_SIM_CUT_EFFECT};
    unsigned int after[2] = {0};
    for (size_t i = 0; i < DEVICES * 3; i++) {
        const struct device *d = &devices[i / 3];
        bool hit = true;
        for (unsigned long at = 1; hit; at++) {
            make(d);
            uint32_t epoch = outcome.epoch;
            uint32_t key = key_of(d);
            uint32_t old = idm_sim_cert_of(&sim, d->cert);
            idm_sim_arm(&sim, faults[i % 3], at);
            (void)offer_for(d->prepared, key);
            hit = sim.fault_hit;
            boots(IDM_EXIT_DONE);
            uint32_t now = idm_sim_cert_of(&sim, d->cert);
            bool new = now == 900;
            after[new]++;
            cr_assert(new || now == old, "%s cut %lu", idm_state_name(d->state), at);
            cr_assert_eq(outcome.state, d->state);
            cr_assert_eq(outcome.epoch, epoch + (new && !d->prepared), "%s cut %lu",
                         idm_state_name(d->state), at);
            cr_assert_eq(outcome.reasons, 0, "%s cut %lu", idm_state_name(d->state), at);
            if (d->in_config)
                cr_assert_eq(idm_sim_cert_of(&sim, IDM_F_CONFIG_CERT), now);
            if (d->state != IDM_S_software)
                cr_assert_eq(idm_sim_cert_of(&sim, IDM_F_CONFIG_TPM_CERT), now);
            cr_assert_eq(key_of(d), key);
            boots(IDM_EXIT_DONE);
            cr_assert_eq(sim.writes, 0, "%s cut %lu", idm_state_name(d->state), at);
        }
    }
    cr_assert(after[0] && after[1]);
}

/* Cut right before the certificate in use is replaced: a legacy image works with the former one, and the
 * renewal goes on after it. */
Test(engine_cert, a_legacy_image_may_boot_in_the_middle_of_a_renewal)
{
    const struct device *d = &devices[0];
    make(d);
    uint32_t old = idm_sim_cert_of(&sim, IDM_F_CONFIG_CERT);
    idm_sim_arm(&sim, IDM_SIM_CUT_NAMED, 0);
    sim.fault_name = "record_legacy";
    (void)offer_for(false, key_of(d));
    cr_assert(sim.fault_hit);
    cr_assert_eq(idm_sim_cert_of(&sim, IDM_F_CONFIG_CERT), old);
    idm_sim_legacy_boot(&sim);
    cr_assert_eq(idm_sim_cert_of(&sim, IDM_F_CONFIG_CERT), old, "nothing was minted");
    boots(IDM_EXIT_DONE);
    cr_assert_eq(idm_sim_cert_of(&sim, IDM_F_CONFIG_CERT), 900);
    cr_assert_eq(outcome.reasons, 0);
}

Test(engine_cert, a_prepared_certificate_that_was_renewed_is_what_the_old_key_speaks_of)
{
    char hex[2 * IDM_SHA256_SIZE + 1];
    struct idm_record record = {0};
    make(&devices[1]);
    cr_assert_eq(offer_for(true, key_of(&devices[1])), IDM_EXIT_DONE);
    cr_assert_eq(ask(IDM_REQ_COMMIT), IDM_EXIT_DONE);
    cr_assert_eq(outcome.mode, IDM_MODE_TPM);
    cr_assert_eq(idm_sim_cert_of(&sim, IDM_F_RUN_CERT), 900);
    cr_assert(idm_sim_record(&sim, &record));
    idm_hex(record.tpm_cert, IDM_SHA256_SIZE, hex);
    const struct idm_bytes *said = idm_sim_file(&sim, IDM_F_RUN_STATEMENT);
    cr_assert(said && memmem(said->data, said->size, hex, strlen(hex)));
}

/* ---- refused ---- */

Test(engine_cert, what_does_not_fit_is_refused_and_changes_nothing)
{
    for (size_t i = 0; i < DEVICES; i++) {
        const struct device *d = &devices[i];
        char text[96];
        make(d);
        uint32_t key = key_of(d);
        uint32_t old = idm_sim_cert_of(&sim, d->cert);
        cr_assert_eq(offer_for(d->prepared, key + 50), IDM_EXIT_REFUSED);
        refused("not the certificate of the");
        cr_assert_eq(offer(d->prepared, "no certificate"), IDM_EXIT_REFUSED);
        (void)snprintf(text, sizeof text, "CERT 900 KEY %u FROM 1 TO 2\n", key);
        cr_assert_eq(offer(d->prepared, text), IDM_EXIT_REFUSED);
        refused("not valid now");
        cr_assert_eq(offer_for(!d->prepared, key), IDM_EXIT_REFUSED);
        refused(d->prepared ? "goes with --prepared" : "nothing is prepared");
        sim.platform.now = 1;
        cr_assert_eq(offer_for(d->prepared, key), IDM_EXIT_REFUSED);
        refused("the clock is implausible");
        cr_assert_eq(idm_sim_cert_of(&sim, d->cert), old);
    }
}

Test(engine_cert, a_held_device_and_one_without_an_identity_take_none)
{
    make(&devices[2]);
    uint32_t key = key_of(&devices[2]);
    sim.chip.answers = IDM_E_TPM_ABSENT;
    cr_assert_eq(offer_for(false, key), IDM_EXIT_REFUSED);
    refused("held");
    idm_sim_free(&sim);
    idm_sim_init(&sim);
    sim.platform.now = 1;
    cr_assert_eq(offer_for(false, key), IDM_EXIT_REFUSED);
    refused("no identity is active");
}

/* ---- requested ---- */

static int request(bool prepared, struct idm_bytes *ret, struct idm_error *err)
{
    struct idm_engine *engine = NULL;
    cr_assert_eq(idm_engine_open(&engine, &sim.backends, &sim.settings, NULL), 0);
    idm_sim_begin_run(&sim);
    int rc = idm_engine_look(engine, err);
    if (rc == 0)
        rc = idm_engine_csr(engine, prepared, ret, err);
    idm_engine_close(engine);
    return rc;
}

Test(engine_cert, a_request_is_signed_by_the_key_in_use)
{
    for (size_t i = 0; i < DEVICES; i++) {
        const struct device *d = &devices[i];
        struct idm_bytes pem = {0};
        struct idm_error err = {0};
        char text[64];
        make(d);
        cr_assert_eq(request(d->prepared, &pem, &err), 0, "%s", err.why);
        (void)snprintf(text, sizeof text, "REQUEST KEY %u FOR CN=", key_of(d));
        cr_assert_eq(strncmp((const char *)pem.data, text, strlen(text)), 0, "%s",
                     (const char *)pem.data);
        idm_bytes_free(&pem);
        cr_assert_eq(request(!d->prepared, &pem, &err) == 0, d->prepared);
        idm_bytes_free(&pem);
    }
}

/* Somebody else's key at the handle must not get our name. */
Test(engine_cert, a_request_is_signed_by_the_file_where_the_handle_holds_another_key)
{
    struct idm_bytes pem = {0};
    make(&devices[3]);
    for (size_t i = 0; i < IDM_SIM_OBJECTS; i++)
        if (sim.chip.objects[i].handle == sim.settings.device_handle)
            sim.chip.objects[i].id = 777;
    cr_assert_eq(request(false, &pem, NULL), 0);
    cr_assert_null(strstr((const char *)pem.data, "KEY 777"));
    idm_bytes_free(&pem);
}
