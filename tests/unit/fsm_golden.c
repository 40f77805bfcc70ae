/* SPDX-License-Identifier: BSD-2-Clause */
/* Sentences of the specification as facts and answers, each written by hand with its source. */
#include "fsm/fsm.h"

#include <criterion/criterion.h>

/* ---- devices that want nothing ---- */

static struct idm_facts healthy(enum idm_state state)
{
    return (struct idm_facts){.state = state,
                              .record = IDM_RECORD_GOOD,
                              .announced = true,
                              .config_cert = IDM_FILE_SOFTWARE,
                              .config_key = IDM_FILE_SOFTWARE,
                              .config_pair_fits = true,
                              .store_key = IDM_COPY_GOOD,
                              .store_cert = IDM_COPY_GOOD,
                              .chip = IDM_CHIP_USABLE,
                              .counter = IDM_COUNTER_LEGAL,
                              .witnessed = true,
                              .trial = IDM_FACT_NO,
                              .legacy_may_boot = true,
                              .loss_moves_to_tpm = true,
                              .seal_allowed = true,
                              .clock_good = true};
}

static struct idm_facts software(void)
{
    return healthy(IDM_S_software);
}

static struct idm_facts migrating(void)
{
    struct idm_facts f = healthy(IDM_S_migrating);
    f.proof = IDM_PROOF_GIVEN;
    return f;
}

static struct idm_facts dual(void)
{
    struct idm_facts f = healthy(IDM_S_tpm_dual);
    f.proof = IDM_PROOF_GIVEN;
    return f;
}

static struct idm_facts tpm(void)
{
    struct idm_facts f = healthy(IDM_S_tpm);
    f.config_cert = IDM_FILE_TPM;
    f.config_key = IDM_FILE_ABSENT;
    f.config_pair_fits = false;
    f.store_key = f.store_cert = IDM_COPY_ABSENT;
    f.seal = IDM_SEAL_MATURE;
    f.proof = IDM_PROOF_GIVEN;
    f.legacy_may_boot = false;
    return f;
}

static struct idm_facts blank(void)
{
    struct idm_facts f = healthy(IDM_S_blank);
    f.intent = IDM_INTENT_provision;
    f.announced = false;
    f.config_cert = f.config_key = IDM_FILE_ABSENT;
    f.config_pair_fits = false;
    f.store_key = f.store_cert = IDM_COPY_ABSENT;
    return f;
}

static struct idm_facts resetting(void)
{
    struct idm_facts f = blank();
    f.state = IDM_S_resetting;
    f.intent = IDM_INTENT_reset;
    f.dead_remain = true;
    return f;
}

static struct idm_facts virgin(void)
{
    return (struct idm_facts){.chip = IDM_CHIP_USABLE,
                              .chip_ours = IDM_FACT_NO,
                              .trial = IDM_FACT_NO,
                              .legacy_may_boot = true,
                              .loss_moves_to_tpm = true,
                              .seal_allowed = true,
                              .clock_good = true};
}

/* ---- sentences ---- */

static void expect(const char *source, const struct idm_facts *f, struct idm_request r,
                   enum idm_event event, enum idm_cell_kind kind, enum idm_state next,
                   enum idm_reason reason, enum idm_plan plan)
{
    struct idm_verdict v = idm_classify(f, &r);
    enum idm_reason found = idm_reason_resolve(v.cell.reason, f);
    cr_expect(v.event == event && v.cell.kind == kind && v.cell.next == next && found == reason &&
                  v.cell.plan == plan,
              "%s: found %s %s %s %s %s", source, idm_event_name(v.event),
              idm_cell_kind_name(v.cell.kind), idm_state_name(v.cell.next), idm_reason_word(found),
              idm_plan_info(v.cell.plan)->name);
}

#define BOOT(source, device, change, event, kind, next, reason, plan)                              \
    ASK(source, device, change, PLAIN(BOOT), event, kind, next, reason, plan)
#define ASK(source, device, change, request, event, kind, next, reason, plan)                      \
    do {                                                                                           \
        struct idm_facts f = device();                                                             \
        change;                                                                                    \
        expect(source, &f, request, IDM_EV_##event, IDM_CELL_##kind, IDM_S_##next, IDM_R_##reason, \
               IDM_P_##plan);                                                                      \
    } while (0)
#define AS_IS          (void)0
#define PLAIN(what)    ((struct idm_request){.kind = IDM_REQ_##what})
#define INSTALL_LEGACY ((struct idm_request){.kind = IDM_REQ_PRE_INSTALL, .target_legacy = true})
#define RESET_WITHOUT  ((struct idm_request){.kind = IDM_REQ_RESET, .without_tpm = true})

Test(fsm_golden, first_use)
{
    BOOT("rule 3", virgin, AS_IS, no_record_empty, GO, blank, none, begin_provision);
    BOOT("rule 1", virgin, (f.chip = IDM_CHIP_NONE, f.chip_ours = IDM_FACT_UNKNOWN),
         no_record_empty_no_tpm, GO, blank, none, begin_provision_soft);
    BOOT("design 8: broken", virgin, (f.chip = IDM_CHIP_FAILED, f.chip_ours = IDM_FACT_UNKNOWN),
         no_record_empty_tpm_bad, GO, blank, none, begin_provision_soft);
    BOOT("design 8: late", virgin, (f.chip = IDM_CHIP_ABSENT, f.chip_ours = IDM_FACT_UNKNOWN),
         no_record_tpm_waiting, HOLD, none, tpm_absent, nothing);
    BOOT("design 8: busy", virgin, (f.chip = IDM_CHIP_BUSY, f.chip_ours = IDM_FACT_UNKNOWN),
         no_record_tpm_waiting, HOLD, none, tpm_busy, nothing);
    BOOT("design 8: required", virgin,
         (f.chip = IDM_CHIP_NONE, f.chip_required = true, f.chip_ours = IDM_FACT_UNKNOWN),
         no_record_tpm_waiting, HOLD, none, tpm_absent, nothing);
    BOOT("I12: nothing issued", virgin, f.clock_good = false, clock_bad, END, none, clock, nothing);
    BOOT("table: room for intent and record", virgin, f.room = IDM_ROOM_IS_FULL, storage_refuses,
         END, none, storage_full, nothing);
}

Test(fsm_golden, without_a_record)
{
    BOOT("rule 5: an upgrade alone", virgin,
         (f.config_cert = f.config_key = IDM_FILE_OTHER, f.config_pair_fits = true), no_record_pair,
         GO, software, none, adopt_pair);
    BOOT("ff10: the chip holds our key", virgin,
         (f.config_cert = f.config_key = IDM_FILE_OTHER, f.config_pair_fits = true,
          f.chip_ours = IDM_FACT_YES),
         no_record_ambiguous, HOLD, none, record_corrupt, nothing);
    BOOT("ff10: an empty disk, our keys in the chip", virgin, f.chip_ours = IDM_FACT_YES,
         no_record_ambiguous, HOLD, none, record_corrupt, nothing);
    BOOT("rule 4: never mint", virgin, f.config_key = IDM_FILE_OTHER, no_record_key_only, GO,
         software, none, adopt_key);
    BOOT("table: w := counter", virgin,
         (f.config_cert = IDM_FILE_OTHER, f.cert_of_chip = true, f.chip_ours = IDM_FACT_YES,
          f.proof = IDM_PROOF_GIVEN),
         no_record_tpm_proven, GO, tpm, none, adopt_chip);
    BOOT("I11", virgin, f.record = IDM_RECORD_CORRUPT, record_damaged, HOLD, none, record_corrupt,
         nothing);
    BOOT("ff26", virgin, f.record = IDM_RECORD_NEWER, record_newer_found, HOLD, none, record_newer,
         nothing);
}

Test(fsm_golden, evidence_comes_first)
{
    BOOT("I11, ff16", dual, f.evidence = IDM_EVIDENCE_CONFIG_UNREADABLE, config_unreadable, HOLD,
         tpm_dual, config_dir_unreadable, nothing);
    BOOT("I11, ff16", tpm, f.evidence = IDM_EVIDENCE_PERSIST_UNREADABLE, persist_unreadable, HOLD,
         tpm, persist_unmounted, nothing);
    BOOT("rule 2", software, f.record = IDM_RECORD_COPY_LOST, record_copy_lost, GO, software, none,
         repair_record);
    BOOT("I10", dual, f.counter = IDM_COUNTER_ILLEGAL, rolled_back, HOLD, tpm_dual, rolled_back,
         hold);
    BOOT("ff18", software, f.moved = IDM_FACT_YES, disk_moved, HOLD, software, cloned, hold);
    BOOT("table: before rolled_back", dual, (f.dead_remain = true, f.counter = IDM_COUNTER_ILLEGAL),
         dead_key_seen, GO, tpm_dual, none, bury);
    BOOT("I11, ff16: not a deletion", software,
         (f.config_cert = f.config_key = IDM_FILE_ABSENT, f.config_pair_fits = false,
          f.config_folder_gone = true, f.record = IDM_RECORD_COPY_LOST),
         config_wiped, GO, software, config_dir_corrupt, restore_all);
}

Test(fsm_golden, the_certificate_is_gone)
{
    BOOT("rule 5, I5: noted, then restored", software,
         (f.config_cert = IDM_FILE_ABSENT, f.config_pair_fits = false), cert_deleted, GO, software,
         none, note_deletion);
    BOOT("design 8: due", software, f.pending = IDM_PENDING_DUE, cert_loss_due, GO, software, none,
         begin_making);
    BOOT("design 8: it waits for the commit", software,
         (f.pending = IDM_PENDING_WAITING, f.trial = IDM_FACT_YES), settled, END, software, none,
         settle);
    BOOT("design 8: it dies with a fallback", software, f.pending = IDM_PENDING_EXPIRED,
         cert_loss_expired, GO, software, none, drop_pending);
    BOOT("design 8: torn is no deletion", software,
         (f.config_cert = IDM_FILE_CORRUPT, f.config_pair_fits = false), view_damaged, GO, software,
         none, restore_view);
    BOOT("design 8: controllers know it by its hash", tpm, f.config_cert = IDM_FILE_ABSENT,
         view_damaged, GO, tpm, none, restore_tpm_view);
    BOOT("I1 > held", dual,
         (f.config_cert = IDM_FILE_ABSENT, f.config_pair_fits = false, f.chip = IDM_CHIP_ABSENT,
          f.proof = IDM_PROOF_UNASKED, f.counter = IDM_COUNTER_UNASKED),
         view_damaged_legacy, GO, tpm_dual, none, restore_view);
    BOOT("a renewal that was cut, and an old image", dual, f.config_cert = IDM_FILE_FORMER,
         view_damaged_legacy, GO, tpm_dual, none, restore_view);
    BOOT("I1 > a staged switch", software,
         (f.intent = IDM_INTENT_to_tpm, f.staged = true, f.config_cert = IDM_FILE_ABSENT,
          f.config_pair_fits = false, f.chip = IDM_CHIP_ABSENT),
         view_damaged_legacy, GO, software, none, restore_view);
    BOOT("I4: nothing is generated", software,
         (f.config_key = IDM_FILE_ABSENT, f.config_pair_fits = false, f.store_key = IDM_COPY_BAD),
         software_key_lost, HOLD, software, key_lost, hold);
}

Test(fsm_golden, the_chip_is_gone)
{
    BOOT("I4", dual, (f.chip = IDM_CHIP_ABSENT, f.proof = IDM_PROOF_UNASKED), tpm_missing, HOLD,
         tpm_dual, tpm_absent, hold);
    BOOT("I4", tpm, (f.chip = IDM_CHIP_FAILED, f.proof = IDM_PROOF_UNASKED), tpm_broken, HOLD, tpm,
         tpm_failed, hold);
    BOOT("I4", tpm, (f.chip = IDM_CHIP_CLEARED, f.proof = IDM_PROOF_UNASKED), tpm_cleared, HOLD,
         tpm, tpm_cleared, hold);
    BOOT("I4", tpm, (f.chip = IDM_CHIP_REPLACED, f.proof = IDM_PROOF_UNASKED), tpm_replaced, HOLD,
         tpm, tpm_replaced, hold);
    BOOT("table: tpm_key_lost", dual, f.proof = IDM_PROOF_LOST, tpm_key_not_found, HOLD, tpm_dual,
         tpm_key_lost, hold);
    BOOT("I10: witness_lost", tpm, f.counter = IDM_COUNTER_LOST, witness_gone, HOLD, tpm,
         witness_lost, hold);
    BOOT("I10: the owner may have given way", tpm, f.witness_owed = true, witness_wanted, GO, tpm,
         none, add_witness);
    BOOT("I3: not before the proof", dual,
         (f.witness_owed = true, f.chip = IDM_CHIP_ABSENT, f.proof = IDM_PROOF_UNASKED),
         tpm_missing, HOLD, tpm_dual, tpm_absent, hold);
    BOOT("rule 1, ff13", software, (f.chip = IDM_CHIP_ABSENT, f.counter = IDM_COUNTER_UNASKED),
         settled, END, software, none, settle);
    BOOT("table: the migration is aborted", migrating,
         (f.chip = IDM_CHIP_REPLACED, f.proof = IDM_PROOF_UNASKED, f.counter = IDM_COUNTER_UNASKED),
         tpm_replaced, GO, software, none, drop_prepared);
    BOOT("I3: the increment may have happened", software,
         (f.intent = IDM_INTENT_to_tpm, f.staged = true, f.chip = IDM_CHIP_BUSY,
          f.counter = IDM_COUNTER_UNASKED),
         switch_unproven, HOLD, software, tpm_busy, hold);
    BOOT("I8", resetting, (f.chip = IDM_CHIP_ABSENT, f.counter = IDM_COUNTER_UNASKED),
         reset_blocked, HOLD, resetting, reset_incomplete, hold);
}

Test(fsm_golden, legacy_images)
{
    BOOT("rule 4: never overwrite a matching pair", software,
         f.config_cert = f.config_key = IDM_FILE_OTHER, legacy_pair_changed, GO, software,
         legacy_changed, adopt_pair);
    BOOT("rule 4: the TPM identity stays active", dual,
         f.config_cert = f.config_key = IDM_FILE_OTHER, legacy_pair_changed, GO, tpm_dual,
         legacy_changed, adopt_changed_pair);
    BOOT("I2: nobody knows T yet", dual,
         (f.config_cert = f.config_key = IDM_FILE_OTHER, f.announced = false), legacy_won, GO,
         software, none, adopt_pair);
    BOOT("table: a hookless downgrade", tpm,
         (f.config_cert = f.config_key = IDM_FILE_OTHER, f.config_pair_fits = true),
         legacy_pair_changed, GO, tpm_dual, none, adopt_changed_pair);
    BOOT("table: seal, steps 1 and 2", dual, f.legacy_may_boot = false, legacy_gone, GO, tpm_dual,
         none, seal);
    BOOT("table: after a higher resetCount", dual,
         (f.legacy_may_boot = false, f.seal = IDM_SEAL_MATURE), seal_matured, GO, tpm, none,
         give_up_plain);
    BOOT("I5: not with an installation open", dual,
         (f.legacy_may_boot = false, f.install_open = true), settled, END, tpm_dual, none, settle);
    BOOT("design 4: hooks unproven", dual, (f.legacy_may_boot = false, f.seal_allowed = false),
         settled, END, tpm_dual, none, settle);
    BOOT("I6: what a cut left in the store, of this pair or of another", tpm,
         f.store_key = IDM_COPY_BAD, seal_matured, GO, tpm, none, give_up_plain);
    BOOT("I6: the same, where no pair is wanted", tpm,
         (f.store_cert = IDM_COPY_BAD, f.seal = IDM_SEAL_NONE, f.legacy_unwanted = true),
         legacy_gone_unwanted, GO, tpm, none, give_up_unwanted);
    BOOT("I5: not on trial", tpm, (f.store_key = IDM_COPY_GOOD, f.trial = IDM_FACT_UNKNOWN),
         settled, END, tpm, none, settle);
    BOOT("design 8: unknown is legacy", tpm, f.legacy_may_boot = true, legacy_needed, GO, tpm_dual,
         none, unseal);
}

Test(fsm_golden, resets)
{
    ASK("I8", dual, AS_IS, PLAIN(RESET), reset_requested, GO, resetting, none, begin_reset);
    ASK("I5: on trial", dual, f.trial = IDM_FACT_YES, PLAIN(RESET), reset_refused, REFUSE, tpm_dual,
        none, nothing);
    ASK("design 8: under the clock", tpm, f.clock_good = false, PLAIN(RESET), reset_refused, REFUSE,
        tpm, none, nothing);
    ASK("design 6: seen before anything is destroyed", tpm, f.rekey_refused = true, PLAIN(RESET),
        reset_refused, REFUSE, tpm, none, nothing);
    ASK("design 6: an operator's word", tpm, f.rekey_refused = true, RESET_WITHOUT,
        reset_requested_chip_gone, GO, resetting, none, begin_reset_soft);
    BOOT("design 8: the same for an installer's", dual, f.reset_requested = f.rekey_refused = true,
         settled, END, tpm_dual, none, settle);
    ASK("design 8: a dead chip never makes a device unresettable", tpm,
        (f.chip = IDM_CHIP_ABSENT, f.proof = IDM_PROOF_UNASKED), RESET_WITHOUT,
        reset_requested_chip_gone, GO, resetting, none, begin_reset_soft);
    BOOT("I8", resetting, AS_IS, reset_begun_tpm, GO, resetting, none, destroy);
    BOOT("I1 + I8", resetting,
         (f.config_cert = f.config_key = IDM_FILE_OTHER, f.config_pair_fits = true),
         reset_overtaken, GO, resetting, legacy_changed, adopt_over_reset);
    BOOT("design 8: installers", software, f.reset_requested = true, reset_wanted, GO, resetting,
         none, begin_reset);
    BOOT("an installer's reset begins once", resetting, f.reset_requested = true,
         reset_request_taken, GO, resetting, none, forget_request);
}

#define WIPED                                                                                      \
    (f.config_folder_gone = true, f.config_cert = f.config_key = IDM_FILE_ABSENT,                  \
     f.config_pair_fits = false)

Test(fsm_golden, migrations_and_hooks)
{
    ASK("rule 5", software, AS_IS, PLAIN(PREPARE), prepare_requested, GO, migrating, none, prepare);
    ASK("table: idempotent", dual, AS_IS, PLAIN(PREPARE), prepare_requested, REFUSE, tpm_dual, none,
        nothing);
    ASK("design 8: one certificate", migrating, f.keeps_one = true, PLAIN(COMMIT), commit_refused,
        REFUSE, migrating, none, nothing);
    ASK("a switch that could not be carried out", migrating, f.counter = IDM_COUNTER_LOST,
        PLAIN(COMMIT), commit_refused, REFUSE, migrating, none, nothing);
    ASK("I5: on trial", migrating, f.trial = IDM_FACT_UNKNOWN, PLAIN(COMMIT), commit_refused,
        REFUSE, migrating, none, nothing);
    ASK("design 8", migrating, AS_IS, PLAIN(COMMIT), commit_accepted, GO, migrating, none,
        stage_switch);
    ASK("table: the record first", migrating, AS_IS, PLAIN(ABORT), abort_requested, GO, software,
        none, drop_prepared);
    ASK("table: intent, then UNSEAL", tpm, AS_IS, INSTALL_LEGACY, pre_install_legacy, GO, tpm_dual,
        none, install_and_unseal);
    ASK("design 8: the controller does not know it", tpm, f.seal = IDM_SEAL_NONE, INSTALL_LEGACY,
        pre_install_impossible, REFUSE, tpm, none, nothing);
    ASK("table: nothing else", tpm, AS_IS, PLAIN(PRE_INSTALL), pre_install_aware, GO, tpm, none,
        open_install);
#define MOVED f.moved = IDM_FACT_YES
#define TORN  f.config_cert = IDM_FILE_ABSENT, f.config_pair_fits = false
    ASK("I1: a disk that may not be repaired", dual, (MOVED, TORN), INSTALL_LEGACY,
        pre_install_impossible, REFUSE, tpm_dual, none, nothing);
    ASK("the same: another's record", dual, (f.record_forged = true, TORN), INSTALL_LEGACY,
        pre_install_impossible, REFUSE, tpm_dual, none, nothing);
    ASK("the same: an older disk", dual, (f.counter = IDM_COUNTER_ILLEGAL, TORN), INSTALL_LEGACY,
        pre_install_impossible, REFUSE, tpm_dual, none, nothing);
    ASK("the same: a renewal is not carried out", dual, (MOVED, f.config_cert = IDM_FILE_FORMER),
        INSTALL_LEGACY, pre_install_impossible, REFUSE, tpm_dual, none, nothing);
    ASK("I1: a whole pair that somebody made works", dual,
        (MOVED, f.config_cert = f.config_key = IDM_FILE_OTHER), INSTALL_LEGACY, pre_install_legacy,
        GO, tpm_dual, none, open_install);
    ASK("I1: so does the recorded one", dual, MOVED, INSTALL_LEGACY, pre_install_legacy, GO,
        tpm_dual, none, open_install);
    ASK("table: the unseal makes it whole", tpm, MOVED, INSTALL_LEGACY, pre_install_legacy, GO,
        tpm_dual, none, install_and_unseal);
    ASK("I1: held for its chip alone, it is restored", dual, (f.held = true, TORN), INSTALL_LEGACY,
        pre_install_legacy, GO, tpm_dual, none, open_install);
    ASK("I11: what is wiped is restored before anything is written", dual, WIPED, INSTALL_LEGACY,
        pre_install_impossible, REFUSE, tpm_dual, none, nothing);
    ASK("I11: the same", tpm, f.config_folder_gone = true, PLAIN(PREPARE), request_blind, REFUSE,
        tpm, none, nothing);
    ASK("design 8: a reset leads out of it", dual, WIPED, PLAIN(RESET), reset_requested, GO,
        resetting, none, begin_reset);
    ASK("design 8: not \"slot empty\"", dual, AS_IS, PLAIN(INSTALL_FAILED), install_failed, GO,
        tpm_dual, none, note_failed_install);
}

#define IMPORT ((struct idm_request){.kind = IDM_REQ_IMPORT})
#define ADOPT  ((struct idm_request){.kind = IDM_REQ_ADOPT})
#define UNFIT  ((struct idm_request){.kind = IDM_REQ_ADOPT, .unfit = "it lacks noDA"})
#define REUSE                                                                                      \
    ((struct idm_request){.kind = IDM_REQ_RELEASE_REUSE,                                           \
                          .held_for = IDM_R_record_corrupt,                                        \
                          .named = IDM_R_record_corrupt})
#define CERTIFIED ((struct idm_request){.kind = IDM_REQ_ADOPT, .key_certified = true})

Test(fsm_golden, keys_that_are_given)
{
    ASK("design 3.7: one offline key per device", virgin, AS_IS, IMPORT, given_key_taken, GO, blank,
        none, begin_given);
    ASK("design 3.7: an identity is never replaced by it", software, AS_IS, IMPORT,
        given_key_refused, REFUSE, software, none, nothing);
    ASK("ff10", virgin, f.chip_ours = IDM_FACT_YES, IMPORT, given_key_refused, REFUSE, none, none,
        nothing);
    ASK("contract 2: try again", virgin, (f.chip = IDM_CHIP_BUSY, f.chip_ours = IDM_FACT_UNKNOWN),
        IMPORT, given_key_chip_missing, REFUSE, none, none, nothing);
    ASK("I12", virgin, f.clock_good = false, IMPORT, given_key_taken, REFUSE, none, none, nothing);
    ASK("ff27", virgin, AS_IS, UNFIT, given_key_refused, REFUSE, none, none, nothing);
    ASK("an adopted key may have its certificate", virgin, f.config_cert = IDM_FILE_OTHER,
        CERTIFIED, given_key_taken, GO, blank, none, begin_given);
    ASK("somebody else's certificate", virgin, f.config_cert = IDM_FILE_OTHER, ADOPT,
        given_key_refused, REFUSE, none, none, nothing);
    BOOT("I2: no other key in its place", blank, f.key_given = f.key_awaited = true,
         given_key_awaited, HOLD, blank, key_lost, hold);
    BOOT("I4: no software key in its place", blank,
         (f.key_given = true, f.chip = IDM_CHIP_FAILED, f.counter = IDM_COUNTER_UNASKED),
         provisioning_waiting, HOLD, blank, tpm_failed, hold);
    ASK("it is repeated", blank, f.key_given = f.key_awaited = true, IMPORT, given_key_taken, GO,
        blank, none, begin_given);
    ASK("table: release_reuse", virgin, f.chip_ours = IDM_FACT_YES, REUSE, release_reuse, GO, blank,
        none, begin_reuse);
    ASK("table: a pair is never overwritten", virgin,
        (f.chip_ours = IDM_FACT_YES, f.config_cert = f.config_key = IDM_FILE_OTHER,
         f.config_pair_fits = true),
        REUSE, release_reuse, GO, blank, none, begin_reuse);
    ASK("half a pair", virgin, (f.chip_ours = IDM_FACT_YES, f.config_key = IDM_FILE_OTHER), REUSE,
        release_refused, REFUSE, none, none, nothing);
}

#define RENEWAL  ((struct idm_request){.kind = IDM_REQ_CERT})
#define PREPARED ((struct idm_request){.kind = IDM_REQ_CERT, .prepared = true})
#define MISFIT   ((struct idm_request){.kind = IDM_REQ_CERT, .unfit = "it has expired"})

Test(fsm_golden, renewal)
{
    ASK("table: cert_offered_fits", software, AS_IS, RENEWAL, cert_offered_fits, GO, software, none,
        renew_software);
    ASK("table: cert_offered_fits", dual, AS_IS, RENEWAL, cert_offered_fits, GO, tpm_dual, none,
        renew_tpm);
    ASK("table: config holds that identity", tpm, AS_IS, RENEWAL, cert_offered_fits, GO, tpm, none,
        renew_tpm_alone);
    ASK("table: migrating, the prepared certificate only", migrating, AS_IS, PREPARED,
        cert_offered_fits, GO, migrating, none, renew_tpm);
    ASK("the same", migrating, AS_IS, RENEWAL, cert_offered_misfits, REFUSE, migrating, none,
        nothing);
    ASK("contract 2: refused unless it fits", dual, AS_IS, MISFIT, cert_offered_misfits, REFUSE,
        tpm_dual, none, nothing);
    ASK("I12", software, f.clock_good = false, RENEWAL, cert_offered_misfits, REFUSE, software,
        none, nothing);
    ASK("I3", tpm, f.held = true, RENEWAL, cert_offered_misfits, REFUSE, tpm, none, nothing);
    BOOT("a cut before the copy that is in use", software, f.config_cert = IDM_FILE_FORMER,
         renewal_unfinished, GO, software, none, restore_view);
}

#define STAY_HERE                                                                                  \
    ((struct idm_request){                                                                         \
        .kind = IDM_REQ_RELEASE_NEW, .held_for = IDM_R_cloned, .named = IDM_R_cloned})

Test(fsm_golden, the_tpm_certificate_is_gone)
{
    BOOT("rule 4: reused, made again", dual, f.cert_lost = true, device_cert_due, GO, tpm_dual,
         none, reissue_tpm_cert);
    BOOT("rule 4", tpm, f.cert_lost = true, device_cert_due, GO, tpm, none, reissue_tpm_cert);
    BOOT("I5: not on trial", tpm, (f.cert_lost = true, f.trial = IDM_FACT_YES), device_cert_gone,
         HOLD, tpm, cert_corrupt, hold);
    BOOT("I12", dual, (f.cert_lost = true, f.clock_good = false), device_cert_gone, HOLD, tpm_dual,
         cert_corrupt, hold);
    BOOT("the chip comes first", dual,
         (f.cert_lost = true, f.chip = IDM_CHIP_ABSENT, f.proof = IDM_PROOF_UNASKED), tpm_missing,
         HOLD, tpm_dual, tpm_absent, hold);
    BOOT("I12", software,
         (f.config_cert = IDM_FILE_CORRUPT, f.config_pair_fits = false, f.store_cert = IDM_COPY_BAD,
          f.clock_good = false),
         software_cert_gone, HOLD, software, cert_corrupt, hold);
}

Test(fsm_golden, chips_that_forget_or_make_no_sense)
{
    BOOT("design 6", dual, (f.proof = IDM_PROOF_LOST, f.chip_forgot = true), tpm_forgot, HOLD,
         tpm_dual, tpm_volatile, hold);
    BOOT("design 8: not confirmed", virgin,
         (f.chip = IDM_CHIP_GARBLED, f.chip_ours = IDM_FACT_UNKNOWN), no_record_tpm_waiting, HOLD,
         none, tpm_failed, nothing);
    BOOT("design 8: not confirmed", blank,
         (f.chip = IDM_CHIP_GARBLED, f.counter = IDM_COUNTER_UNASKED), provisioning_waiting, HOLD,
         blank, tpm_failed, hold);
}

Test(fsm_golden, a_disk_that_stays_in_another_device)
{
    ASK("table: release_new_identity", dual, f.moved = IDM_FACT_YES, STAY_HERE,
        release_new_identity, GO, resetting, none, begin_reset_here);
    ASK("I5: on trial", tpm, (f.moved = IDM_FACT_YES, f.trial = IDM_FACT_YES), STAY_HERE,
        release_refused, REFUSE, tpm, none, nothing);
    ASK("I12", software, (f.moved = IDM_FACT_YES, f.clock_good = false), STAY_HERE,
        release_new_identity, REFUSE, software, none, nothing);
}
