/* SPDX-License-Identifier: BSD-2-Clause */
/* The engine on a simulated device: every call of a run fails once, and the power goes before and
 * after every change; then the device is healthy again. Judged after it:
 *
 *   I9   two boots settle it, a third one writes nothing but the marker
 *   I2   under one epoch one certificate; the epoch rises as often as in the run without a fault
 *   I1   the legacy pair stays whole and known, where the run does not take it away on purpose
 *   I3   `tpm` only with the chip's proof; I7 the marker as defined; I10 no false alarm
 *
 * IDM_SIM_TRACE=1 prints what the engine says. */
#include "tests/sim/sim.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#define EPOCHS 16u

enum pair {
    KEEPS, /* the legacy pair stays as it is */
    TAKES, /* it may change or go */
    HELD,  /* the same; held before the run, and after one that was lost */
};

struct life {
    const char *name;
    void (*arrange)(struct idm_sim *sim); /* from a new device to the moment before the run */
    enum idm_request_kind request;        /* of the run; IDM_REQ_BOOT: a boot */
    enum idm_slot_kind target;            /* of a hook */
    enum idm_state end;                   /* where a run without a fault leads, after a boot */
    enum idm_state or_end;                /* where an interrupted request may lead as well */
    enum pair pair;
};

struct watch {
    uint32_t cert[EPOCHS]; /* published under that epoch; 0: none yet */
    const char *life;
    char fault[64];
};

static const struct idm_target *target_of(enum idm_slot_kind kind)
{
    static struct idm_target target;
    target = (struct idm_target){.kind = kind, .slot = "B", .id = "install-1"};
    return &target;
}

static void boot_well(struct idm_sim *sim)
{
    struct idm_outcome outcome;
    enum idm_exit rc = idm_sim_boot(sim, &outcome);
    cr_assert_eq(rc, IDM_EXIT_DONE, "exit %d, event %s, error %s: %s", (int)rc,
                 idm_event_name(outcome.last_event), outcome.error.what, outcome.error.why);
}

static void ask_well(struct idm_sim *sim, enum idm_request_kind kind, enum idm_slot_kind target)
{
    struct idm_outcome outcome;
    struct idm_ask ask = {.kind = kind, .target = target_of(target)};
    enum idm_exit rc = idm_sim_run(sim, &ask, &outcome);
    cr_assert_eq(rc, IDM_EXIT_DONE, "request %d: exit %d, %s, %s: %s", (int)kind, (int)rc,
                 outcome.refused, outcome.error.what, outcome.error.why);
}

/* ---- beginnings ---- */

static void new_device(struct idm_sim *sim)
{
    idm_sim_init(sim);
}

static void new_alone(struct idm_sim *sim)
{
    idm_sim_init(sim);
    sim->settings.other_slot = IDM_OTHER_NONE;
}

static void new_bare(struct idm_sim *sim)
{
    new_alone(sim);
    sim->settings.legacy_key = IDM_LEGACY_NONE;
}

static void new_without_chip(struct idm_sim *sim)
{
    idm_sim_init(sim);
    sim->chip.announced = false;
    sim->chip.answers = IDM_E_TPM_ABSENT;
}

static void new_tss2_only(struct idm_sim *sim)
{
    idm_sim_init(sim);
    sim->settings.key_storage = IDM_STORE_TSS2;
}

static void new_handle_only(struct idm_sim *sim)
{
    idm_sim_init(sim);
    sim->settings.key_storage = IDM_STORE_PERSISTENT;
}

static void upgraded(struct idm_sim *sim)
{
    idm_sim_init(sim);
    idm_sim_mint(sim);
}

static void upgraded_key_only(struct idm_sim *sim)
{
    upgraded(sim);
    idm_sim_delete(sim, IDM_F_CONFIG_CERT);
}

static void in_dual(struct idm_sim *sim)
{
    new_device(sim);
    boot_well(sim);
}

static void in_tpm(struct idm_sim *sim)
{
    new_alone(sim);
    boot_well(sim);
}

static void in_tpm_other_unknown(struct idm_sim *sim)
{
    in_tpm(sim);
    sim->settings.other_slot = IDM_OTHER_AUTO;
}

static void in_software(struct idm_sim *sim)
{
    upgraded(sim);
    boot_well(sim);
}

static void in_migrating(struct idm_sim *sim)
{
    in_software(sim);
    ask_well(sim, IDM_REQ_PREPARE, IDM_SLOT_UNKNOWN);
}

static void software_cert_deleted(struct idm_sim *sim)
{
    in_software(sim);
    idm_sim_delete(sim, IDM_F_CONFIG_CERT);
}

static void dual_cert_deleted(struct idm_sim *sim)
{
    in_dual(sim);
    idm_sim_delete(sim, IDM_F_CONFIG_CERT);
}

static void tpm_cert_deleted(struct idm_sim *sim)
{
    in_tpm(sim);
    idm_sim_delete(sim, IDM_F_CONFIG_CERT);
}

static void dual_to_be_sealed(struct idm_sim *sim)
{
    idm_sim_init(sim);
    sim->settings.legacy_key = IDM_LEGACY_SEAL;
    boot_well(sim);
    sim->settings.other_slot = IDM_OTHER_NONE;
}

static void dual_sealed(struct idm_sim *sim)
{
    dual_to_be_sealed(sim);
    boot_well(sim);
}

static void software_minted(struct idm_sim *sim)
{
    in_software(sim);
    idm_sim_mint(sim);
}

static void dual_minted(struct idm_sim *sim)
{
    in_dual(sim);
    idm_sim_mint(sim);
}

static void tpm_minted(struct idm_sim *sim)
{
    in_tpm(sim);
    idm_sim_mint(sim);
}

static void migrating_minted(struct idm_sim *sim)
{
    in_migrating(sim);
    idm_sim_mint(sim);
}

static void software_wiped(struct idm_sim *sim)
{
    in_software(sim);
    idm_sim_wipe(sim, IDM_CONFIG);
}

static void dual_wiped(struct idm_sim *sim)
{
    in_dual(sim);
    idm_sim_wipe(sim, IDM_CONFIG);
}

static void tpm_wiped(struct idm_sim *sim)
{
    in_tpm(sim);
    idm_sim_wipe(sim, IDM_CONFIG);
}

static void dual_persist_wiped(struct idm_sim *sim)
{
    in_dual(sim);
    idm_sim_wipe(sim, IDM_PERSIST);
}

static void tpm_persist_wiped(struct idm_sim *sim)
{
    in_tpm(sim);
    idm_sim_wipe(sim, IDM_PERSIST);
}

static void dual_reset_wanted(struct idm_sim *sim)
{
    in_dual(sim);
    idm_sim_put(sim, IDM_F_RESET_REQUESTED, "");
}

static void dual_to_clear(struct idm_sim *sim)
{
    in_dual(sim);
    sim->settings.reset = IDM_RESET_CLEAR;
}

static void dual_without_counter(struct idm_sim *sim)
{
    in_dual(sim);
    sim->chip.has_counter = false;
    sim->chip.counter_max += 5; /* somebody else's counter */
}

/* A key of somebody's that is fit, at a handle that is not idmode's. */
#define FOUND_AT 0x81020005u

static void new_with_key(struct idm_sim *sim)
{
    new_device(sim);
    sim->chip.objects[0] = (struct idm_sim_object){.handle = FOUND_AT, .id = 9};
}

static void disk_lost(struct idm_sim *sim)
{
    in_tpm(sim);
    idm_sim_wipe(sim, IDM_CONFIG);
    idm_sim_wipe(sim, IDM_PERSIST);
}

static void records_lost_in_dual(struct idm_sim *sim)
{
    in_dual(sim);
    idm_sim_delete(sim, IDM_F_CONFIG_RECORD);
    idm_sim_delete(sim, IDM_F_PERSIST_RECORD);
}

#define DUAL      IDM_S_tpm_dual
#define TPM       IDM_S_tpm
#define SOFTWARE  IDM_S_software
#define MIGRATING IDM_S_migrating
#define RESETTING IDM_S_resetting

static const struct life lives[] = {
    {"provisioning, the other slot unknown", new_device, IDM_REQ_BOOT, 0, DUAL, DUAL, KEEPS},
    {"provisioning, no other slot", new_alone, IDM_REQ_BOOT, 0, TPM, DUAL, KEEPS},
    {"provisioning, no legacy pair", new_bare, IDM_REQ_BOOT, 0, TPM, TPM, KEEPS},
    {"provisioning, no chip", new_without_chip, IDM_REQ_BOOT, 0, SOFTWARE, SOFTWARE, KEEPS},
    {"provisioning, TSS2 file only", new_tss2_only, IDM_REQ_BOOT, 0, DUAL, DUAL, KEEPS},
    {"provisioning, handle only", new_handle_only, IDM_REQ_BOOT, 0, DUAL, DUAL, KEEPS},
    {"first boot after an upgrade", upgraded, IDM_REQ_BOOT, 0, SOFTWARE, SOFTWARE, KEEPS},
    {"the same, key without certificate", upgraded_key_only, IDM_REQ_BOOT, 0, DUAL, SOFTWARE,
     TAKES},
    {"boot in tpm-dual", in_dual, IDM_REQ_BOOT, 0, DUAL, DUAL, KEEPS},
    {"boot in tpm", in_tpm, IDM_REQ_BOOT, 0, TPM, TPM, KEEPS},
    {"boot in software", in_software, IDM_REQ_BOOT, 0, SOFTWARE, SOFTWARE, KEEPS},
    {"boot in migrating", in_migrating, IDM_REQ_BOOT, 0, MIGRATING, MIGRATING, KEEPS},
    {"certificate deleted in software", software_cert_deleted, IDM_REQ_BOOT, 0, DUAL, SOFTWARE,
     KEEPS},
    {"certificate deleted in tpm-dual", dual_cert_deleted, IDM_REQ_BOOT, 0, DUAL, DUAL, KEEPS},
    {"certificate deleted in tpm", tpm_cert_deleted, IDM_REQ_BOOT, 0, TPM, TPM, KEEPS},
    {"no legacy image any more", dual_to_be_sealed, IDM_REQ_BOOT, 0, DUAL, TPM, TAKES},
    {"the seal has matured", dual_sealed, IDM_REQ_BOOT, 0, TPM, TPM, TAKES},
    {"a legacy image may boot again", in_tpm_other_unknown, IDM_REQ_BOOT, 0, DUAL, DUAL, KEEPS},
    {"minted in software", software_minted, IDM_REQ_BOOT, 0, SOFTWARE, SOFTWARE, KEEPS},
    {"minted in tpm-dual", dual_minted, IDM_REQ_BOOT, 0, DUAL, DUAL, KEEPS},
    {"minted in tpm", tpm_minted, IDM_REQ_BOOT, 0, DUAL, DUAL, KEEPS},
    {"minted in migrating", migrating_minted, IDM_REQ_BOOT, 0, MIGRATING, MIGRATING, KEEPS},
    {"config wiped in software", software_wiped, IDM_REQ_BOOT, 0, SOFTWARE, SOFTWARE, KEEPS},
    {"config wiped in tpm-dual", dual_wiped, IDM_REQ_BOOT, 0, DUAL, DUAL, KEEPS},
    {"config wiped in tpm", tpm_wiped, IDM_REQ_BOOT, 0, TPM, TPM, KEEPS},
    {"persist wiped in tpm-dual", dual_persist_wiped, IDM_REQ_BOOT, 0, DUAL, DUAL, KEEPS},
    {"persist wiped in tpm", tpm_persist_wiped, IDM_REQ_BOOT, 0, TPM, TPM, KEEPS},
    {"an installer's reset", dual_reset_wanted, IDM_REQ_BOOT, 0, DUAL, DUAL, TAKES},
    {"factory reset in tpm-dual", in_dual, IDM_REQ_RESET, 0, DUAL, DUAL, TAKES},
    {"factory reset in tpm", in_tpm, IDM_REQ_RESET, 0, TPM, TPM, TAKES},
    {"factory reset in software", in_software, IDM_REQ_RESET, 0, DUAL, SOFTWARE, TAKES},
    {"factory reset in migrating", in_migrating, IDM_REQ_RESET, 0, DUAL, MIGRATING, TAKES},
    {"factory reset of a new device", new_device, IDM_REQ_RESET, 0, DUAL, DUAL, TAKES},
    {"factory reset by clear", dual_to_clear, IDM_REQ_RESET, 0, DUAL, DUAL, TAKES},
    {"factory reset, the counter is gone", dual_without_counter, IDM_REQ_RESET, 0, DUAL, DUAL,
     HELD},
    {"pre-install of a legacy image in tpm", in_tpm, IDM_REQ_PRE_INSTALL, IDM_SLOT_LEGACY, DUAL,
     TPM, KEEPS},
    {"pre-install of an aware image in tpm", in_tpm, IDM_REQ_PRE_INSTALL, IDM_SLOT_AWARE, TPM, TPM,
     KEEPS},
    {"pre-install in tpm-dual", in_dual, IDM_REQ_PRE_INSTALL, IDM_SLOT_LEGACY, DUAL, DUAL, KEEPS},
    {"prepare", in_software, IDM_REQ_PREPARE, 0, MIGRATING, SOFTWARE, KEEPS},
    {"commit", in_migrating, IDM_REQ_COMMIT, 0, DUAL, MIGRATING, KEEPS},
    {"import", new_device, IDM_REQ_IMPORT, 0, DUAL, DUAL, HELD},
    {"import, no other slot", new_alone, IDM_REQ_IMPORT, 0, TPM, DUAL, HELD},
    {"import, handle only", new_handle_only, IDM_REQ_IMPORT, 0, DUAL, DUAL, HELD},
    {"adopt", new_with_key, IDM_REQ_ADOPT, 0, DUAL, DUAL, TAKES},
    {"reuse, the disk is empty", disk_lost, IDM_REQ_RELEASE_REUSE, 0, TPM, DUAL, HELD},
    {"reuse, only the records are lost", records_lost_in_dual, IDM_REQ_RELEASE_REUSE, 0, DUAL, DUAL,
     HELD},
    {"abort", in_migrating, IDM_REQ_ABORT, 0, SOFTWARE, MIGRATING, KEEPS},
};
#define LIVES (sizeof lives / sizeof *lives)

/* ---- what is judged ---- */

#define JUDGE(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            violations++;                                                                          \
            if (violations <= 400)                                                                 \
                cr_log_error("%s, %s: " #condition " " __VA_ARGS__);                               \
        }                                                                                          \
    } while (0)

static unsigned long violations;
static unsigned long runs;

static void judge_publication(struct watch *w, const struct idm_sim *sim,
                              const struct idm_outcome *o)
{
    struct idm_record record = {0};
    uint32_t cert = idm_sim_cert_of(sim, IDM_F_RUN_CERT);
    bool in_use = o->mode == IDM_MODE_SOFTWARE || o->mode == IDM_MODE_TPM;
    if (!in_use || !cert || !idm_sim_record(sim, &record) || record.epoch >= EPOCHS)
        return;
    if (!w->cert[record.epoch])
        w->cert[record.epoch] = cert;
    JUDGE(w->cert[record.epoch] == cert, "(I2: epoch %u is %u, was %u)", w->life, w->fault,
          record.epoch, cert, w->cert[record.epoch]);
    const struct idm_sim_object *object = idm_sim_object_at(sim, record.device_handle);
    if (o->mode == IDM_MODE_TPM && record.key_storage != IDM_STORE_TSS2)
        JUDGE(object && object->id == idm_sim_cert_key_of(sim, IDM_F_RUN_CERT), "(I3)", w->life,
              w->fault);
}

static bool whole_pair(const struct idm_sim *sim)
{
    uint32_t key = idm_sim_key_of(sim, IDM_F_CONFIG_KEY);
    return key && idm_sim_cert_key_of(sim, IDM_F_CONFIG_CERT) == key;
}

/* Right after the fault, before anybody of us runs again: what a legacy image would find. */
static void judge_view(struct watch *w, const struct life *life, const struct idm_sim *before,
                       const struct idm_sim *after)
{
    bool both = after->files[IDM_F_CONFIG_KEY] && after->files[IDM_F_CONFIG_CERT];
    struct idm_record record = {0};
    bool recorded = idm_sim_record(before, &record);
    bool returns =
        recorded && record.state == IDM_S_tpm; /* its pair comes: no image waits for it */
    if (!returns && life->pair == KEEPS && both)
        JUDGE(whole_pair(after), "(I1: a pair that does not fit)", w->life, w->fault);
    if (whole_pair(before) && life->pair == KEEPS)
        JUDGE(whole_pair(after) && idm_sim_cert_of(after, IDM_F_CONFIG_CERT) ==
                                       idm_sim_cert_of(before, IDM_F_CONFIG_CERT),
              "(I1: the pair changed)", w->life, w->fault);
}

static void judge_end(struct watch *w, const struct life *life, const struct idm_sim *sim,
                      const struct idm_outcome *o, uint32_t epoch_before, uint32_t epoch_well)
{
    struct idm_record record = {0};
    bool recorded = idm_sim_record(sim, &record);
    bool as_before = life->pair == HELD && record.epoch == epoch_before && o->held;
    if (as_before) /* the request was lost; what it should lead out of goes on */
        return;
    JUDGE(o->exit == IDM_EXIT_DONE, "(exit %d, %s, reasons %" PRIx64 ", %s: %s)", w->life, w->fault,
          (int)o->exit, idm_event_name(o->last_event), o->reasons, o->error.what, o->error.why);
    JUDGE(recorded, "", w->life, w->fault);
    bool led = record.state == (uint8_t)life->end || record.state == (uint8_t)life->or_end;
    JUDGE(led, "(state %s)", w->life, w->fault, idm_state_name((enum idm_state)record.state));
    /* Where a fault may lead to another end it may also leave a change out, never add one. */
    bool fewer = (life->or_end != life->end || life->request) && record.epoch + 1 == epoch_well;
    JUDGE(record.epoch == epoch_well || fewer, "(I2: epoch %u, before %u, without a fault %u)",
          w->life, w->fault, record.epoch, epoch_before, epoch_well);
    bool tpm = record.state == IDM_S_tpm_dual || record.state == IDM_S_tpm;
    JUDGE((sim->files[IDM_F_MARKER] != NULL) == tpm, "(I7)", w->life, w->fault);
    if (record.state == IDM_S_tpm_dual || record.state == IDM_S_software)
        JUDGE(whole_pair(sim), "(I1)", w->life, w->fault);
    if (record.state == IDM_S_tpm)
        JUDGE(!sim->files[IDM_F_CONFIG_KEY] && !sim->files[IDM_F_PERSIST_KEY], "(I6)", w->life,
              w->fault);
}

static void run_life(const struct life *life, struct idm_sim *sim, struct idm_outcome *ret)
{
    char text[] = "KEY 7\n";
    struct idm_bytes key = {.data = (uint8_t *)text, .size = sizeof text - 1};
    struct idm_ask ask = {.kind = life->request,
                          .key = life->request == IDM_REQ_IMPORT ? &key : NULL,
                          .handle = life->request == IDM_REQ_ADOPT ? FOUND_AT : 0,
                          .named = IDM_R_record_corrupt,
                          .target = target_of(life->target),
                          .clears = sim->settings.reset == IDM_RESET_CLEAR};
    if (life->request == IDM_REQ_BOOT)
        (void)idm_sim_boot(sim, ret);
    else
        (void)idm_sim_run(sim, &ask, ret);
}

/* One faulty run and three healthy boots. False: the fault was not reached. */
static bool try_fault(const struct life *life, const struct idm_sim *start, struct watch *w,
                      enum idm_sim_fault fault, unsigned long at, uint32_t epochs[2])
{
    struct idm_sim sim;
    struct idm_outcome outcome;
    idm_sim_copy(&sim, start);
    idm_sim_arm(&sim, fault, at);
    run_life(life, &sim, &outcome);
    bool hit = sim.fault_hit;
    if (hit) {
        runs++;
        judge_view(w, life, start, &sim);
        if (fault == IDM_SIM_FAIL)
            judge_publication(w, &sim, &outcome);
        for (unsigned int i = 0; i < 3; i++) {
            (void)idm_sim_boot(&sim, &outcome);
            judge_publication(w, &sim, &outcome);
        }
        JUDGE(sim.writes == 0, "(I9: a third boot wrote %lu times)", w->life, w->fault, sim.writes);
        judge_end(w, life, &sim, &outcome, epochs[0], epochs[1]);
    }
    idm_sim_free(&sim);
    return hit;
}

static void watch_start(struct watch *w, const struct life *life, const struct idm_sim *start)
{
    struct idm_record record = {0};
    *w = (struct watch){.life = life->name};
    if (idm_sim_record(start, &record) && record.epoch && record.epoch < EPOCHS)
        w->cert[record.epoch] = idm_sim_cert_of(start, IDM_F_RUN_CERT);
}

static void live(const struct life *life)
{
    static const char *const names[] = {[IDM_SIM_FAIL] = "fails: call",
                                        [IDM_SIM_CUT_BEFORE] = "cut before change",
                                        [IDM_SIM_CUT_AFTER] = "cut after change"};
    struct idm_sim start;
    struct idm_sim well;
    struct idm_outcome outcome;
    struct idm_record record = {0};
    struct watch w;
    uint32_t epochs[2];
    life->arrange(&start);
    epochs[0] = idm_sim_record(&start, &record) ? record.epoch : 0;
    idm_sim_copy(&well, &start);
    watch_start(&w, life, &start);
    (void)snprintf(w.fault, sizeof w.fault, "no fault");
    run_life(life, &well, &outcome);
    judge_publication(&w, &well, &outcome);
    for (unsigned int i = 0; i < 3; i++)
        (void)idm_sim_boot(&well, &outcome);
    JUDGE(well.writes == 0, "(I9: a third boot wrote %lu times)", w.life, w.fault, well.writes);
    epochs[1] = idm_sim_record(&well, &record) ? record.epoch : 0;
    judge_end(&w, life, &well, &outcome, epochs[0], epochs[1]);
    idm_sim_free(&well);
    for (unsigned int kind = IDM_SIM_FAIL; kind <= IDM_SIM_CUT_AFTER; kind++) {
        bool hit = true;
        for (unsigned long at = 1; hit; at++) {
            watch_start(&w, life, &start);
            (void)snprintf(w.fault, sizeof w.fault, "%s %lu", names[kind], at);
            hit = try_fault(life, &start, &w, (enum idm_sim_fault)kind, at, epochs);
        }
    }
    idm_sim_free(&start);
}

Test(engine_loop, every_fault_of_every_run_heals)
{
    const char *only = getenv("IDM_SIM_ONLY");
    for (size_t i = 0; i < LIVES; i++)
        if (!only || strstr(lives[i].name, only))
            live(&lives[i]);
    cr_log_info("%lu interrupted runs", runs);
    cr_assert_eq(violations, 0, "%lu violations in %lu interrupted runs", violations, runs);
    cr_assert_gt(runs, only ? 0 : 1000);
}

/* The first record is also the first file in our folder: a cut in its middle must not look like a config
 * directory that lost everything. */
Test(engine_loop, no_cut_at_first_use_looks_like_a_wiped_config_directory)
{
    void (*const first[])(struct idm_sim *) = {new_device, new_without_chip, upgraded};
    for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
        bool hit = true;
        for (unsigned long at = 1; hit; at++) {
            struct idm_sim sim;
            struct idm_outcome outcome;
            first[i](&sim);
            idm_sim_arm(&sim, IDM_SIM_CUT_EFFECT, at);
            (void)idm_sim_boot(&sim, &outcome);
            hit = sim.fault_hit;
            (void)idm_sim_boot(&sim, &outcome);
            cr_assert_eq(outcome.reasons, 0, "beginning %zu, cut after effect %lu: %" PRIx64, i, at,
                         outcome.reasons);
            idm_sim_free(&sim);
        }
    }
}
