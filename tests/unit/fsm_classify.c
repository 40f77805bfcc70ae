/* SPDX-License-Identifier: BSD-2-Clause */
/* A million devices: facts as engine/facts.c can produce them, drawn at random from a fixed seed, and
 * what may never be answered to them. */
#include "fsm/fsm.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define DEVICES 1000000u

static uint64_t seed;

/* xorshift64*: the same sequence everywhere. */
static uint64_t draw(uint64_t below)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return (seed * UINT64_C(0x2545f4914f6cdd1d) >> 32) % below;
}

static bool coin(void)
{
    return draw(2);
}

/* Rare facts are drawn rarely, so that the common ones meet. */
static bool seldom(void)
{
    return draw(8) == 0;
}

static bool tpm_active(const struct idm_facts *f)
{
    return f->state == IDM_S_tpm_dual || f->state == IDM_S_tpm;
}

static bool key_in_chip(const struct idm_facts *f)
{
    return tpm_active(f) || f->state == IDM_S_migrating;
}

static bool believable(const struct idm_facts *f)
{
    return f->evidence == IDM_EVIDENCE_READABLE &&
           (f->state != IDM_S_none || f->record == IDM_RECORD_ABSENT);
}

/* ---- which facts go together: why is engine/facts.c, chip.c, act_record.c ---- */

static bool record_fits(const struct idm_facts *f)
{
    bool recorded = f->record == IDM_RECORD_GOOD || f->record == IDM_RECORD_COPY_LOST;
    if (recorded != (f->state != IDM_S_none))
        return false;
    if (!recorded &&
        (f->staged || f->announced || f->config_folder_gone || f->slot_stale || f->install_open ||
         f->reset_pending || f->unnamed_key || f->dead_remain || f->record_forged || f->witnessed))
        return false;
    if (recorded && (f->tpm_files || f->store_files || f->cert_of_chip))
        return false;
    if (f->config_folder_gone && f->record != IDM_RECORD_COPY_LOST)
        return false; /* the copy in it is gone with it */
    return !f->record_forged || tpm_active(f) || f->state == IDM_S_software ||
           f->state == IDM_S_migrating;
}

static bool intent_fits(const struct idm_facts *f)
{
    switch ((int)f->state) {
    case IDM_S_blank:
        return f->intent == IDM_INTENT_provision || f->intent == IDM_INTENT_provision_soft;
    case IDM_S_software:
        return f->intent == IDM_INTENT_none ? !f->staged : f->intent == IDM_INTENT_to_tpm;
    case IDM_S_migrating:
        return f->staged ? f->intent == IDM_INTENT_to_tpm : f->intent == IDM_INTENT_none;
    case IDM_S_resetting:
        return (f->intent == IDM_INTENT_reset || f->intent == IDM_INTENT_reset_soft) &&
               !(f->staged && f->dead_remain);
    default:
        return f->intent == IDM_INTENT_none && !f->staged;
    }
}

/* Is there a recorded software identity, a recorded TPM identity? */
static bool has_software(const struct idm_facts *f)
{
    if (f->state == IDM_S_blank) /* a pair that is found is kept beside a key that is used again */
        return f->staged || f->key_given;
    return f->state != IDM_S_none && (f->state != IDM_S_tpm || f->seal != IDM_SEAL_NONE);
}

static bool has_tpm(const struct idm_facts *f)
{
    return key_in_chip(f) || f->staged;
}

static bool files_fit(const struct idm_facts *f)
{
    enum idm_file_fact cert = f->config_cert;
    enum idm_file_fact key = f->config_key;
    if (key == IDM_FILE_TPM || (cert == IDM_FILE_TPM && !has_tpm(f)))
        return false;
    if ((cert == IDM_FILE_SOFTWARE || key == IDM_FILE_SOFTWARE || f->store_key == IDM_COPY_GOOD ||
         f->store_cert == IDM_COPY_GOOD) &&
        !has_software(f))
        return false;
    if (cert == IDM_FILE_DEAD && (f->state == IDM_S_none || f->state == IDM_S_blank))
        return false;
    if (key == IDM_FILE_DEAD && f->state != IDM_S_resetting)
        return false;
    bool of_record = cert == IDM_FILE_SOFTWARE && key == IDM_FILE_SOFTWARE;
    if (cert == IDM_FILE_FORMER && !has_software(f))
        return false;
    bool may_fit = of_record || (cert == IDM_FILE_FORMER && key == IDM_FILE_SOFTWARE) ||
                   (cert == IDM_FILE_OTHER && (key == IDM_FILE_SOFTWARE || key == IDM_FILE_OTHER));
    if (of_record ? !f->config_pair_fits : f->config_pair_fits && !may_fit)
        return false;
    bool store = f->store_key != IDM_COPY_ABSENT || f->store_cert != IDM_COPY_ABSENT;
    return f->state != IDM_S_none || f->store_files == store;
}

static bool chip_asked_for(const struct idm_facts *f)
{
    return key_in_chip(f) || f->state == IDM_S_none || f->intent == IDM_INTENT_provision ||
           f->intent == IDM_INTENT_to_tpm || f->intent == IDM_INTENT_reset || f->witnessed ||
           f->pending != IDM_PENDING_NONE || f->reset_pending || f->reset_requested;
}

static bool chip_fits(const struct idm_facts *f)
{
    bool usable = f->chip == IDM_CHIP_USABLE;
    bool told = f->counter != IDM_COUNTER_UNASKED;
    if (f->chip == IDM_CHIP_UNASKED && chip_asked_for(f))
        return false;
    if ((f->chip == IDM_CHIP_UNASKED || f->chip == IDM_CHIP_NONE) &&
        (told || f->proof != IDM_PROOF_UNASKED || f->unnamed_key || f->chip_reset_since))
        return false;
    if (f->state != IDM_S_none && key_in_chip(f) && usable && f->proof == IDM_PROOF_UNASKED)
        return false;
    if (f->proof == IDM_PROOF_LOST && !usable)
        return false;
    if (f->proof == IDM_PROOF_GIVEN &&
        (f->chip == IDM_CHIP_CLEARED || f->chip == IDM_CHIP_REPLACED))
        return false; /* verdicts are computed only after a proof failed */
    if (!key_in_chip(f) && f->state != IDM_S_none && f->proof != IDM_PROOF_UNASKED)
        return false;
    bool verdict = f->chip == IDM_CHIP_CLEARED || f->chip == IDM_CHIP_REPLACED;
    if (verdict && (f->state == IDM_S_none || (!key_in_chip(f) && f->counter != IDM_COUNTER_LOST)))
        return false;
    if (verdict && !key_in_chip(f) && !f->staged && f->state != IDM_S_resetting)
        return false; /* another chip is as good as any there */
    if (told && !usable && !(f->counter == IDM_COUNTER_LOST && f->proof != IDM_PROOF_GIVEN))
        return false;
    if (f->state != IDM_S_none && usable && !told)
        return false;
    if (told && f->witnessed == (f->counter == IDM_COUNTER_UNRECORDED))
        return false;
    if (f->unnamed_key && (key_in_chip(f) || f->witnessed || f->intent != IDM_INTENT_none))
        return false;
    return !f->chip_reset_since || usable;
}

static bool virgin_chip_fits(const struct idm_facts *f)
{
    if (f->state != IDM_S_none)
        return f->chip_ours == IDM_FACT_UNKNOWN;
    if (f->counter != IDM_COUNTER_UNASKED || f->moved != IDM_FACT_UNKNOWN)
        return false;
    if ((f->chip == IDM_CHIP_USABLE) != (f->chip_ours != IDM_FACT_UNKNOWN))
        return false;
    bool good = f->config_cert == IDM_FILE_OTHER;
    if (f->cert_of_chip && (!good || f->chip_ours != IDM_FACT_YES))
        return false;
    return f->cert_of_chip == (f->proof != IDM_PROOF_UNASKED);
}

static bool policy_fits(const struct idm_facts *f)
{
    bool pendable = f->state == IDM_S_software || f->state == IDM_S_migrating;
    if (f->pending != IDM_PENDING_NONE && !pendable)
        return false;
    bool waits = f->pending == IDM_PENDING_WAITING || f->pending == IDM_PENDING_DUE;
    if (waits && (!f->loss_moves_to_tpm || f->chip == IDM_CHIP_NONE ||
                  (f->pending == IDM_PENDING_DUE) != (f->trial == IDM_FACT_NO)))
        return false;
    if (f->seal_allowed && f->legacy_unwanted)
        return false;
    if (f->seal == IDM_SEAL_FRESH && f->state != IDM_S_tpm_dual)
        return false;
    if (f->seal == IDM_SEAL_MATURE && !tpm_active(f) && !f->staged)
        return false;
    if (f->reset_pending && (f->state == IDM_S_blank || f->state == IDM_S_none))
        return false;
    if (f->dead_remain && f->state == IDM_S_blank)
        return false;
    bool first = f->state == IDM_S_blank && f->intent == IDM_INTENT_provision;
    if (f->key_given && !first && !tpm_active(f))
        return false;
    if (f->key_awaited && (!first || f->staged || !f->key_given || f->chip != IDM_CHIP_USABLE))
        return false;
    return !f->reset_clears || f->state != IDM_S_none;
}

static bool consistent(const struct idm_facts *f)
{
    if (!record_fits(f) || !intent_fits(f) || !files_fit(f))
        return false;
    if (!believable(f)) /* nothing is asked of a chip, and nothing derived */
        return f->chip == IDM_CHIP_UNASKED && f->proof == IDM_PROOF_UNASKED &&
               f->counter == IDM_COUNTER_UNASKED && !f->unnamed_key && !f->dead_remain;
    return chip_fits(f) && virgin_chip_fits(f) && policy_fits(f);
}

/* ---- the generator ---- */

static enum idm_intent draw_intent(enum idm_state state)
{
    if (state == IDM_S_blank)
        return coin() ? IDM_INTENT_provision : IDM_INTENT_provision_soft;
    if (state == IDM_S_resetting)
        return coin() ? IDM_INTENT_reset : IDM_INTENT_reset_soft;
    return state == IDM_S_software && seldom() ? IDM_INTENT_to_tpm : IDM_INTENT_none;
}

static void draw_files(struct idm_facts *f)
{
    f->config_cert = (enum idm_file_fact)draw(IDM_FILE_CORRUPT + 1);
    f->config_key = (enum idm_file_fact)draw(IDM_FILE_CORRUPT + 1);
    if (coin()) {
        enum idm_file_fact both = coin() ? IDM_FILE_SOFTWARE : IDM_FILE_OTHER;
        f->config_cert = f->config_key = f->state == IDM_S_none ? IDM_FILE_OTHER : both;
    }
    bool of_record = f->config_cert == IDM_FILE_SOFTWARE && f->config_key == IDM_FILE_SOFTWARE;
    f->config_pair_fits = of_record || coin();
    f->store_key = coin() ? IDM_COPY_GOOD : (enum idm_copy)draw(IDM_COPY_BAD + 1);
    f->store_cert = coin() ? IDM_COPY_GOOD : (enum idm_copy)draw(IDM_COPY_BAD + 1);
    if (f->state == IDM_S_none && coin()) {
        f->config_cert = f->config_key = IDM_FILE_ABSENT;
        f->store_key = f->store_cert = IDM_COPY_ABSENT;
        f->config_pair_fits = false;
    }
    f->store_files = f->state == IDM_S_none && (f->store_key || f->store_cert);
    f->tpm_files = f->state == IDM_S_none && seldom();
    f->config_folder_gone = f->record == IDM_RECORD_COPY_LOST && coin();
    f->seal = seldom() || f->state == IDM_S_tpm || f->state == IDM_S_tpm_dual
                  ? (enum idm_seal)draw(IDM_SEAL_MATURE + 1)
                  : IDM_SEAL_NONE;
    f->backup = coin() ? IDM_BACKUP_COMPLETE : IDM_BACKUP_MISSING;
}

static void draw_chip(struct idm_facts *f)
{
    f->witnessed = f->state != IDM_S_none && coin();
    f->chip = coin() ? IDM_CHIP_USABLE : (enum idm_chip)draw(IDM_CHIP_COUNT);
    f->proof = (enum idm_proof)draw(IDM_PROOF_LOST + 1);
    if (f->chip == IDM_CHIP_USABLE && f->state != IDM_S_none)
        f->counter = f->witnessed ? (enum idm_counter_fact)(IDM_COUNTER_LEGAL + draw(3))
                                  : IDM_COUNTER_UNRECORDED;
    else if (f->witnessed && seldom())
        f->counter = IDM_COUNTER_LOST;
    f->chip_ours = f->state == IDM_S_none && f->chip == IDM_CHIP_USABLE
                       ? (enum idm_fact_tri)(IDM_FACT_NO + draw(2))
                       : IDM_FACT_UNKNOWN;
    f->cert_of_chip = f->chip_ours == IDM_FACT_YES && coin();
    f->unnamed_key = seldom() && seldom();
    f->dead_remain = f->state == IDM_S_resetting ? coin() : seldom();
    f->cert_lost = tpm_active(f) && seldom();
    f->witness_owed = f->proof == IDM_PROOF_GIVEN && coin();
    f->chip_forgot = f->proof == IDM_PROOF_LOST && coin();
    f->config_volatile = seldom();
    f->key_given = f->state == IDM_S_blank ? coin() : seldom();
    f->key_awaited = f->key_given && coin();
    f->reset_pending = seldom();
    f->chip_reset_since = f->reset_pending && coin();
    f->chip_required = seldom();
    f->moved = f->state != IDM_S_none && seldom() ? (enum idm_fact_tri)draw(3) : IDM_FACT_UNKNOWN;
}

static void draw_rest(struct idm_facts *f)
{
    f->slot_stale = f->state != IDM_S_none && seldom();
    f->legacy_may_boot = coin();
    f->trial = coin() ? IDM_FACT_NO : (enum idm_fact_tri)draw(3);
    f->install_open = f->state != IDM_S_none && seldom();
    f->pending = seldom() ? (enum idm_pending)draw(IDM_PENDING_EXPIRED + 1) : IDM_PENDING_NONE;
    f->loss_moves_to_tpm = coin();
    f->seal_allowed = coin();
    f->legacy_unwanted = !f->seal_allowed && coin();
    f->keeps_one = coin();
    f->reset_clears = f->state != IDM_S_none && seldom();
    f->reset_requested = seldom();
    f->clock_good = !seldom();
    f->room = seldom() ? (enum idm_room_fact)draw(3) : IDM_ROOM_IS_OK;
    f->held = seldom();
}

static struct idm_facts draw_once(void)
{
    struct idm_facts f = {.state = (enum idm_state)draw(IDM_STATE_COUNT)};
    if (f.state == IDM_S_none)
        f.record = seldom() ? (enum idm_record_fact[]){IDM_RECORD_CORRUPT, IDM_RECORD_NEWER}[coin()]
                            : IDM_RECORD_ABSENT;
    else
        f.record = seldom() ? IDM_RECORD_COPY_LOST : IDM_RECORD_GOOD;
    f.intent = draw_intent(f.state);
    f.staged = f.intent != IDM_INTENT_none && coin();
    if (f.state == IDM_S_migrating && seldom()) {
        f.intent = IDM_INTENT_to_tpm;
        f.staged = true;
    }
    f.announced = f.state != IDM_S_none && coin();
    f.record_forged = seldom() && seldom();
    draw_files(&f);
    f.evidence = seldom() ? (enum idm_evidence)draw(3) : IDM_EVIDENCE_READABLE;
    if (believable(&f)) {
        draw_chip(&f);
        draw_rest(&f);
    } else {
        f.clock_good = coin();
        f.reset_requested = seldom();
        f.witnessed = f.state != IDM_S_none && coin();
        f.held = true;
    }
    return f;
}

static struct idm_facts draw_facts(void)
{
    struct idm_facts f = draw_once();
    while (!consistent(&f))
        f = draw_once();
    return f;
}

/* ---- what is told about a violation ---- */

static const char *told(const struct idm_facts *f, const struct idm_verdict *v)
{
    static char text[512];
    (void)snprintf(
        text, sizeof text,
        "%s in %s: record %d intent %d staged %d cert %d key %d fits %d store %d/%d seal %d "
        "chip %d proof %d counter %d legacy %d trial %d install %d",
        idm_event_name(v->event), idm_state_name(f->state), (int)f->record, (int)f->intent,
        f->staged, (int)f->config_cert, (int)f->config_key, f->config_pair_fits, (int)f->store_key,
        (int)f->store_cert, (int)f->seal, (int)f->chip, (int)f->proof, (int)f->counter,
        f->legacy_may_boot, (int)f->trial, f->install_open);
    return text;
}

static bool does(const struct idm_cell *cell, enum idm_action action)
{
    const struct idm_plan_info *plan = idm_plan_info(cell->plan);
    for (size_t i = 0; plan->steps[i] != IDM_A_none; i++)
        if (plan->steps[i] == action)
            return true;
    return false;
}

static bool issues(const struct idm_cell *cell)
{
    return does(cell, IDM_A_make_tpm_cert) || does(cell, IDM_A_make_legacy_cert) ||
           does(cell, IDM_A_renew_legacy_pair) || does(cell, IDM_A_renew_legacy_cert) ||
           does(cell, IDM_A_make_sealed_legacy) || does(cell, IDM_A_renew_tpm_cert);
}

#define EXPECT(condition, what)                                                                    \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            if (bad++ < 20)                                                                        \
                cr_log_error("%s: %s", what, told(f, v));                                          \
        }                                                                                          \
    } while (0)

static unsigned long bad;

/* ---- oracles ---- */

/* The first that is raised, is not ignored here, has not been tried, and has what its plan needs. */
static void judge_priority(const struct idm_facts *f, const struct idm_verdict *v)
{
    static const struct idm_request boot = {.kind = IDM_REQ_BOOT};
    for (enum idm_event i = 0; i < v->event; i++) {
        struct idm_cell cell = idm_table_cell(i, f->state);
        if (!idm_event_raised(i, f, &boot) || cell.kind == IDM_CELL_IGNORE)
            continue;
        const struct idm_plan_info *plan = idm_plan_info(cell.plan);
        bool waits = cell.kind == IDM_CELL_GO && ((plan->issues_certificate && !f->clock_good) ||
                                                  (plan->needs_room && f->room != IDM_ROOM_IS_OK));
        EXPECT(waits, "passed over");
    }
}

static void judge_boot(const struct idm_facts *f, const struct idm_verdict *v)
{
    EXPECT(v->event < idm_first_request_event(), "boot always has an event of its own");
    EXPECT(v->cell.kind == IDM_CELL_GO || v->cell.kind == IDM_CELL_END ||
               v->cell.kind == IDM_CELL_HOLD,
           "boot acts, ends or holds");
    if (f->evidence != IDM_EVIDENCE_READABLE) /* I11 */
        EXPECT(v->cell.kind == IDM_CELL_HOLD && v->cell.plan == IDM_P_nothing, "I11 unreadable");
    if (f->record == IDM_RECORD_NEWER)
        EXPECT(v->cell.plan == IDM_P_nothing, "nobody writes over a newer record");
}

/* I4. A pair that a legacy image minted before anybody knew the TPM identity is that image's doing,
 * not the chip's: legacy_won. */
static void judge_fallback(const struct idm_facts *f, const struct idm_verdict *v)
{
    bool without = f->proof != IDM_PROOF_GIVEN;
    if (tpm_active(f) && without && v->event != IDM_EV_legacy_won)
        EXPECT(v->cell.next != IDM_S_software, "I4 fell back");
    if (tpm_active(f) && without && v->cell.kind == IDM_CELL_END)
        EXPECT(v->event == IDM_EV_clock_bad || v->event == IDM_EV_storage_refuses, "I3 unproven");
    if (f->state == IDM_S_none && f->tpm_files && !f->reset_requested)
        EXPECT(v->cell.next == IDM_S_none || v->cell.next == IDM_S_tpm, "I4 record lost");
}

/* I5, I1: nothing that another image needs goes away. */
static void judge_one_way(const struct idm_facts *f, const struct idm_verdict *v)
{
    bool open = f->trial != IDM_FACT_NO || f->install_open || f->legacy_may_boot;
    bool gives_up = does(&v->cell, IDM_A_remove_store_key) || v->cell.plan == IDM_P_seal;
    EXPECT(!(open && gives_up), "I5 given up");
    if (f->trial != IDM_FACT_NO)
        EXPECT(v->cell.plan != IDM_P_begin_making && v->cell.plan != IDM_P_stage_switch,
               "I5 changed on trial");
    bool pair = f->config_cert == IDM_FILE_SOFTWARE && f->config_key == IDM_FILE_SOFTWARE;
    bool kept = f->state != IDM_S_resetting && f->state != IDM_S_blank;
    if (f->legacy_may_boot && pair && kept)
        EXPECT(!does(&v->cell, IDM_A_put_tpm_cert_in_config) &&
                   !does(&v->cell, IDM_A_remove_config_key),
               "I1 the view was taken");
    bool former = f->config_cert == IDM_FILE_FORMER; /* ours, before its renewal */
    if (f->config_pair_fits && !pair && !former && f->state != IDM_S_none)
        EXPECT(!does(&v->cell, IDM_A_restore_config_key) &&
                   !does(&v->cell, IDM_A_put_tpm_cert_in_config) &&
                   v->cell.plan != IDM_P_make_legacy_pair,
               "I2 a complete pair was overwritten");
}

/* An action finds what it needs: a plan that must fail would fail at every boot. */
static void judge_feasible(const struct idm_facts *f, const struct idm_verdict *v)
{
    const struct idm_cell *c = &v->cell;
    bool key = f->store_key == IDM_COPY_GOOD || f->config_key == IDM_FILE_SOFTWARE;
    bool cert = f->store_cert == IDM_COPY_GOOD || f->config_cert == IDM_FILE_SOFTWARE;
    bool makes = does(c, IDM_A_make_legacy_key) || does(c, IDM_A_renew_legacy_pair) ||
                 does(c, IDM_A_unseal_store_key);
    if (!makes && (does(c, IDM_A_restore_config_key) || does(c, IDM_A_restore_store_key) ||
                   does(c, IDM_A_seal_legacy_pair)))
        EXPECT(key, "no key to restore");
    if (!makes && (does(c, IDM_A_restore_config_cert) || does(c, IDM_A_restore_store_cert)))
        EXPECT(cert, "no certificate to restore");
    bool asks_chip = does(c, IDM_A_make_parent) || does(c, IDM_A_seal_legacy_pair) ||
                     does(c, IDM_A_unseal_store_key) || does(c, IDM_A_increment_counter) ||
                     does(c, IDM_A_compare_sealed_pair) || does(c, IDM_A_clear_chip);
    if (asks_chip)
        EXPECT(f->chip == IDM_CHIP_USABLE || f->chip == IDM_CHIP_CLEARED ||
                   f->proof == IDM_PROOF_GIVEN,
               "no chip to ask");
    if (does(c, IDM_A_unseal_store_key) || does(c, IDM_A_compare_sealed_pair))
        EXPECT(f->seal != IDM_SEAL_NONE || does(c, IDM_A_seal_legacy_pair), "nothing is sealed");
    if (does(c, IDM_A_adopt_pair_cert))
        EXPECT(f->config_pair_fits, "no pair to adopt");
}

static void judge_needs(const struct idm_facts *f, const struct idm_verdict *v)
{
    if (!f->clock_good)
        EXPECT(!issues(&v->cell), "I12 issued under a bad clock");
    bool acts = v->cell.kind == IDM_CELL_GO;
    if (acts && f->room != IDM_ROOM_IS_OK)
        EXPECT(!idm_plan_info(v->cell.plan)->needs_room, "began without room");
    /* I10: nothing is derived from a disk that is older than its chip, or another device's. A dead
     * key goes first, a wiped file system comes back first: neither needs the answer. */
    bool foreign = f->moved == IDM_FACT_YES || f->counter == IDM_COUNTER_ILLEGAL;
    bool before = v->event == IDM_EV_dead_key_seen || v->event == IDM_EV_record_copy_lost ||
                  v->event == IDM_EV_config_wiped || v->event == IDM_EV_config_wiped_sealed;
    if (foreign && f->state != IDM_S_none && !before)
        EXPECT(v->cell.kind == IDM_CELL_HOLD, "I10 went on");
}

Test(fsm_classify, a_million_boots)
{
    static const struct idm_request boot = {.kind = IDM_REQ_BOOT};
    unsigned long reached[IDM_EVENT_COUNT] = {0};
    seed = 0x1d3570c0ffee;
    bad = 0;
    for (unsigned int i = 0; i < DEVICES; i++) {
        struct idm_facts facts = draw_facts();
        struct idm_verdict verdict = idm_classify(&facts, &boot);
        const struct idm_facts *f = &facts;
        const struct idm_verdict *v = &verdict;
        cr_assert_lt(v->event, IDM_EVENT_COUNT);
        reached[v->event]++;
        judge_boot(f, v);
        judge_priority(f, v);
        judge_fallback(f, v);
        judge_one_way(f, v);
        judge_feasible(f, v);
        judge_needs(f, v);
    }
    cr_expect_eq(bad, 0, "%lu violations", bad);
    for (enum idm_event event = 0; event < idm_first_request_event(); event++)
        cr_expect(reached[event], "no device ever met %s", idm_event_name(event));
}

/* ---- requests ---- */

static struct idm_request draw_request(void)
{
    struct idm_request r = {.kind = (enum idm_request_kind)(1 + draw(IDM_REQ_RELEASE_REUSE))};
    bool hook = r.kind <= IDM_REQ_ROLLBACK;
    r.target_legacy = r.kind == IDM_REQ_PRE_INSTALL && coin();
    r.late = hook && seldom();
    r.without_tpm = r.kind == IDM_REQ_RESET && seldom();
    r.clears = r.kind == IDM_REQ_RESET && seldom();
    bool given =
        r.kind == IDM_REQ_IMPORT || r.kind == IDM_REQ_ADOPT || r.kind == IDM_REQ_RELEASE_REUSE;
    r.unfit = (given || r.kind == IDM_REQ_CERT) && seldom() ? "unfit" : NULL;
    r.prepared = r.kind == IDM_REQ_CERT && coin();
    r.key_certified = given && seldom();
    r.held_for = coin() ? (enum idm_reason)draw(IDM_REASON_COUNT) : IDM_R_record_corrupt;
    r.named = coin() ? r.held_for : (enum idm_reason)draw(IDM_REASON_COUNT);
    return r;
}

static void judge_request(const struct idm_facts *f, const struct idm_request *r,
                          const struct idm_verdict *v)
{
    if (v->event == IDM_EV_none) /* it asks nothing of this state */
        return;
    EXPECT(v->event >= idm_first_request_event(), "a request sees request rows alone");
    EXPECT(v->cell.kind == IDM_CELL_GO || v->cell.kind == IDM_CELL_REFUSE,
           "neither done nor refused");
    if (v->cell.kind == IDM_CELL_REFUSE)
        return;
    EXPECT(f->clock_good || !issues(&v->cell), "I12 issued under a bad clock");
    if (r->kind == IDM_REQ_IMPORT || r->kind == IDM_REQ_ADOPT || r->kind == IDM_REQ_RELEASE_REUSE)
        EXPECT(!r->unfit && (f->state == IDM_S_none || f->key_given) &&
                   (f->config_key == IDM_FILE_ABSENT || r->kind == IDM_REQ_RELEASE_REUSE ||
                    f->state == IDM_S_blank),
               "I2 a key over an identity");
    if (r->kind == IDM_REQ_CERT) /* contract 2: refused unless it fits */
        EXPECT(!r->unfit && f->clock_good && !f->held && v->cell.next == f->state &&
                   r->prepared == (f->state == IDM_S_migrating) &&
                   (!tpm_active(f) || f->proof == IDM_PROOF_GIVEN),
               "I2 a certificate that does not fit");
    if (r->kind == IDM_REQ_COMMIT)
        EXPECT(f->trial == IDM_FACT_NO && f->proof == IDM_PROOF_GIVEN && !f->held, "I5 commit");
    if (r->kind == IDM_REQ_RESET && f->state != IDM_S_resetting) /* I8 > I5: it only goes on */
        EXPECT(f->trial != IDM_FACT_YES && f->clock_good && f->room == IDM_ROOM_IS_OK,
               "reset without its preconditions");
    if (tpm_active(f) && v->cell.next == IDM_S_software)
        EXPECT(r->kind == IDM_REQ_RELEASE_LEGACY && r->named == r->held_for &&
                   f->config_pair_fits && r->named != IDM_R_none,
               "I4 only by an operator's word");
    if (v->event == IDM_EV_pre_install_legacy && f->state == IDM_S_tpm)
        EXPECT(f->seal != IDM_SEAL_NONE || f->store_key == IDM_COPY_GOOD, "I1 no pair for it");
    if (r->late && v->event != IDM_EV_pre_install_legacy)
        EXPECT(false, "a late hook acted");
}

Test(fsm_classify, a_million_requests)
{
    unsigned long reached[IDM_EVENT_COUNT + 1] = {0};
    seed = 0x1d3570decaf;
    bad = 0;
    for (unsigned int i = 0; i < DEVICES; i++) {
        struct idm_facts facts = draw_facts();
        struct idm_request request = draw_request();
        struct idm_verdict verdict = idm_classify(&facts, &request);
        reached[verdict.event]++;
        for (unsigned int e = 0; e < IDM_EVENT_COUNT; e++)
            if (verdict.ignored[e / 64] >> (e % 64) & 1)
                reached[e]++;
        judge_request(&facts, &request, &verdict);
    }
    cr_expect_eq(bad, 0, "%lu violations", bad);
    for (enum idm_event event = idm_first_request_event(); event < IDM_EVENT_COUNT; event++)
        cr_expect(reached[event], "no request ever met %s", idm_event_name(event));
}
