/* SPDX-License-Identifier: BSD-2-Clause */
/* Random lives of simulated devices, from a fixed seed: mishaps, requests, faults and boots in any
 * order. Whatever happened, the boot loop comes to an end, and two boots under good conditions settle
 * the device: a third one writes nothing (I9). */
#include "tests/sim/sim.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define LIVES  4000u
#define STEPS  12u
#define EPOCHS 64u

static uint64_t seed;

/* xorshift64*: the same sequence everywhere. */
static unsigned int draw(unsigned int below)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return (unsigned int)((seed * UINT64_C(0x2545f4914f6cdd1d) >> 32) % below);
}

struct walk {
    struct idm_sim sim;
    uint32_t cert[EPOCHS]; /* published under that epoch */
    char steps[1024];
    bool quiet; /* one violation is enough for one life */
};

static unsigned long bad;

static void said(struct walk *w, const char *word)
{
    size_t used = strlen(w->steps);
    (void)snprintf(w->steps + used, sizeof w->steps - used, " %s", word);
}

static void violates(struct walk *w, unsigned int life, const char *rule,
                     const struct idm_outcome *o)
{
    if (!w->quiet && bad++ < 10)
        cr_log_error("life %u: %s:%s: %s %s (%s: %s)", life, rule, w->steps,
                     idm_event_name(o->last_event), idm_state_name(o->state), o->error.what,
                     o->error.why);
    w->quiet = true;
}

/* What holds after every run, healthy or not. */
static void judge(struct walk *w, unsigned int life, const struct idm_outcome *o)
{
    struct idm_record record = {0};
    uint32_t cert = idm_sim_cert_of(&w->sim, IDM_F_RUN_CERT);
    bool in_use = o->mode == IDM_MODE_SOFTWARE || o->mode == IDM_MODE_TPM;
    if (o->error.code == IDM_E_INTERNAL)
        violates(w, life, "the loop has no end", o);
    if (w->sim.dead || !in_use || !idm_sim_record(&w->sim, &record) || record.epoch >= EPOCHS)
        return;
    if (o->mode == IDM_MODE_TPM && w->sim.chip.answers)
        violates(w, life, "I3: tpm without a chip", o);
    if (!w->cert[record.epoch])
        w->cert[record.epoch] = cert;
    if (cert && w->cert[record.epoch] != cert)
        violates(w, life, "I2: two certificates under one epoch", o);
}

/* ---- what happens ---- */

/* Both copies of the record are lost: epochs are counted anew. */
static void forget_epochs(struct walk *w)
{
    struct idm_record record = {0};
    if (!idm_sim_record(&w->sim, &record))
        memset(w->cert, 0, sizeof w->cert);
}

static void mishap(struct walk *w)
{
    static const enum idm_file victims[] = {
        IDM_F_CONFIG_CERT,  IDM_F_CONFIG_KEY,       IDM_F_CONFIG_RECORD,   IDM_F_CONFIG_TSS2,
        IDM_F_PERSIST_TSS2, IDM_F_PERSIST_TPM_CERT, IDM_F_CONFIG_TPM_CERT, IDM_F_PERSIST_RECORD,
        IDM_F_PERSIST_KEY,  IDM_F_PERSIST_CERT,     IDM_F_CONFIG_SEALED,   IDM_F_MARKER};
    enum idm_file victim = victims[draw(sizeof victims / sizeof *victims)];
    switch (draw(8)) {
    case 0:
    case 1:
        said(w, "delete");
        idm_sim_delete(&w->sim, victim);
        break;
    case 2:
        said(w, "empty");
        if (w->sim.files[victim])
            idm_sim_put(&w->sim, victim, "");
        break;
    case 3:
        said(w, "mint");
        idm_sim_mint(&w->sim);
        break;
    case 4:
        said(w, "wipe-config");
        idm_sim_wipe(&w->sim, IDM_CONFIG);
        break;
    case 5:
        said(w, "legacy-boot");
        idm_sim_legacy_boot(&w->sim);
        break;
    case 6:
        said(w, "other-slot-written");
        w->sim.slot_content[1]++;
        break;
    default:
        said(w, "reset-requested");
        idm_sim_put(&w->sim, IDM_F_RESET_REQUESTED, "");
    }
}

static void condition(struct walk *w)
{
    static const int answers[] = {0, IDM_E_TPM_ABSENT, IDM_E_TPM_BUSY, IDM_E_TPM_FAILED,
                                  IDM_E_TPM_LOCKED};
    static const enum idm_room rooms[] = {IDM_ROOM_OK, IDM_ROOM_FULL, IDM_ROOM_READ_ONLY};
    static const enum idm_tri trials[] = {IDM_NO, IDM_YES, IDM_UNKNOWN};
    switch (draw(4)) {
    case 0:
        w->sim.chip.answers = answers[draw(5)];
        said(w, w->sim.chip.answers ? idm_error_name(w->sim.chip.answers) : "tpm-usable");
        break;
    case 1:
        w->sim.room = rooms[draw(3)];
        said(w, w->sim.room == IDM_ROOM_OK ? "room" : "no-room");
        break;
    case 2:
        w->sim.bootenv.trial = trials[draw(3)];
        said(w, "trial-changes");
        break;
    default:
        w->sim.settings.other_slot = draw(2) ? IDM_OTHER_NONE : IDM_OTHER_AUTO;
        said(w, w->sim.settings.other_slot == IDM_OTHER_NONE ? "other-none" : "other-auto");
    }
}

static void request(struct walk *w, unsigned int life)
{
    static const enum idm_request_kind kinds[] = {
        IDM_REQ_PRE_INSTALL, IDM_REQ_POST_INSTALL, IDM_REQ_INSTALL_FAILED, IDM_REQ_COMMITTED,
        IDM_REQ_RESET,       IDM_REQ_PREPARE,      IDM_REQ_COMMIT,         IDM_REQ_ABORT};
    static const char *const words[] = {"pre-install", "post-install", "install-failed",
                                        "committed",   "reset",        "prepare",
                                        "commit",      "abort"};
    unsigned int which = draw(sizeof kinds / sizeof *kinds);
    struct idm_target target = {.kind = draw(2) ? IDM_SLOT_LEGACY : IDM_SLOT_AWARE, .slot = "B"};
    struct idm_ask ask = {.kind = kinds[which], .target = &target};
    struct idm_outcome outcome;
    said(w, words[which]);
    forget_epochs(w);
    (void)idm_sim_run(&w->sim, &ask, &outcome);
    judge(w, life, &outcome);
}

static void boot(struct walk *w, unsigned int life)
{
    struct idm_outcome outcome;
    said(w, "boot");
    forget_epochs(w);
    (void)idm_sim_boot(&w->sim, &outcome);
    judge(w, life, &outcome);
}

static void fault(struct walk *w)
{
    static const char *const words[] = {[IDM_SIM_FAIL] = "fail",
                                        [IDM_SIM_CUT_BEFORE] = "cut-before",
                                        [IDM_SIM_CUT_AFTER] = "cut-after"};
    enum idm_sim_fault kind = (enum idm_sim_fault)(IDM_SIM_FAIL + draw(3));
    said(w, words[kind]);
    idm_sim_arm(&w->sim, kind, 1 + draw(kind == IDM_SIM_FAIL ? 120 : 25));
}

/* ---- a life ---- */

static void recover(struct walk *w, unsigned int life)
{
    struct idm_outcome outcome;
    w->sim.chip.answers = 0;
    w->sim.room = IDM_ROOM_OK;
    w->sim.bootenv.trial = IDM_NO;
    said(w, "| all well");
    for (unsigned int i = 0; i < 3; i++) {
        idm_sim_arm(&w->sim, IDM_SIM_HEALTHY, 0);
        boot(w, life);
    }
    unsigned long writes = w->sim.writes;
    outcome = (struct idm_outcome){.last_event = IDM_EV_none};
    if (writes)
        violates(w, life, "I9: a third boot writes", &outcome);
}

static void live(unsigned int life)
{
    struct walk w = {.steps = ""};
    idm_sim_init(&w.sim);
    w.sim.settings.legacy_key = (enum idm_legacy_key)draw(IDM_LEGACY_NONE + 1);
    w.sim.settings.key_storage = (enum idm_key_storage)draw(IDM_STORE_PERSISTENT + 1);
    w.sim.settings.other_slot = draw(2) ? IDM_OTHER_NONE : IDM_OTHER_AUTO;
    if (draw(3) == 0)
        idm_sim_mint(&w.sim);
    boot(&w, life);
    for (unsigned int i = 0; i < STEPS; i++) {
        switch (draw(6)) {
        case 0:
            mishap(&w);
            break;
        case 1:
            condition(&w);
            break;
        case 2:
            fault(&w);
            boot(&w, life);
            break;
        case 3:
            if (draw(3) == 0)
                fault(&w);
            request(&w, life);
            w.sim.dead = false; /* the power comes back with the next boot */
            boot(&w, life);
            break;
        default:
            boot(&w, life);
        }
    }
    recover(&w, life);
    idm_sim_free(&w.sim);
}

Test(engine_walk, whatever_happens_two_boots_settle_it)
{
    const char *only = getenv("IDM_SIM_LIFE");
    for (unsigned int life = 0; life < LIVES; life++) {
        seed = UINT64_C(0x1d3570c0ffee) + life * UINT64_C(0x9e3779b97f4a7c15);
        if (!only || (unsigned int)atoi(only) == life)
            live(life);
    }
    cr_assert_eq(bad, 0, "%lu of %u lives", bad, LIVES);
}
