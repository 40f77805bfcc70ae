/* SPDX-License-Identifier: BSD-2-Clause */
/* device.pml - a second opinion on the state machine: a device, its surroundings and what must hold,
 * written by hand and checked by SPIN. The machine itself (cells, order, plans) is machine.pml, printed
 * from the table by `idmode-lab diagram --format promela`.
 *
 *    OFF ──► the surroundings do something, or power comes on ──► legacy image: uses or mints a pair
 *     ▲                                                      └─► ROUND: facts, first event, cell
 *     │                                                              │          ▲
 *     └──── cut, between any two actions ◄───────────────────────── PLAN ───────┘
 *                                                                    │ end of the loop
 *     power off ◄─── RUN: hooks, an operator, a controller ◄─────────┘
 *
 * Abstracted: a certificate is its key, so a renewed one is the same; file contents are never torn; both copies of what exists twice
 * are one; clock and room are always good. Those are the simulated device's business. Not abstracted:
 * the order of durable steps, the counter, who may boot, what a legacy image does, cuts, the chip.
 *
 * Numbers: a software pair is 1 to PAIRS, a TPM key 1 to KEYS, its certificate in the config directory
 * TPM_CERT + key, a parent object 1 to KEYS. 0 is nothing. None is ever used twice; a life that needs
 * more of them ends there.
 */
#define PAIRS    4
#define KEYS     3
#define TPM_CERT 8

/* How much may happen in one life; with the budgets spent the device only boots. */
#ifndef FAULTS
#define FAULTS 1
#endif
#ifndef CUTS
#define CUTS 1
#endif
#ifndef DEEDS
#define DEEDS 2
#endif

/* ---- the disk ---- */
byte r_state, r_intent;
bit r_staged, r_witness, r_slack, r_announced, r_pending, r_pending_trial;
bit r_legacy_seen, r_hooks_proven, r_reset_pending;
byte r_w, r_epoch, r_pair, r_tpm, r_parent;
byte r_seal; /* 0 none, 1 fresh, 2 mature */
byte dead_pairs, dead_keys, dead_parents; /* bit sets */
byte r_kind[2], r_content[2];             /* what the record says about the slots */
bit r_known[2], r_seen[2];
bit i_open, i_written, i_booted, i_this_boot;
byte i_slot, i_kind, i_before, pending_slot;
byte c_cert, c_key, s_cert, s_key;
byte f_tss, f_tcert, f_sealed, f_sealed_parent;
bit folder_gone, marker;

/* ---- the chip ---- */
#define OK      0
#define AWAY    1
#define CLEARED 2 /* by somebody else: objects and counter are gone */
byte chip, counter, h_key, h_parent;
bit has_counter;
byte parent_of[8];
bit ripe, reset_ripe; /* the chip was reset since the seal, since the reset */

/* ---- slots and bootloader ---- */
#define EMPTY   0
#define LEGACY  1
#define AWARE   2
#define UNKNOWN 3
byte holds[2];   /* what is really there */
byte content[2]; /* changes with each write */
byte own;
bit trial, armed; /* armed: the other slot boots next, on trial */
bit other_said_none; /* configuration: other-slot = none */

/* ---- surroundings ---- */
byte faults, cuts, deeds;
byte quiet; /* boots since anything happened, at most 3 */
byte next_pair, next_key, next_parent;

/* ---- one run of idmode ---- */
#define OFF   0
#define ROUND 1
#define PLAN  2
#define RUN   3
byte phase, event, kind, next, plan, at, action, rounds;
bit failed, held, was_lost; /* was_lost: the counter, when the plan began */
#define R_BOOT       0
#define R_PRE_LEGACY 1
#define R_PRE_AWARE  2
#define R_POST       3
#define R_COMMITTED  4
#define R_RESET      5
#define R_PREPARE    6
#define R_COMMIT     7
#define R_ABORT      8
byte request; /* that is being carried out */
bit refused;
byte target; /* kind of the image that is being installed; EMPTY: none */

/* ---- what the world saw ---- */
#define NOT_SAID 0
#define NO_MODE  1
#define SOFTWARE 2
#define TPM      3
byte mode, in_use; /* in_use: a pair, or TPM_CERT + key */
byte seen, seen_epoch;
bit may_change; /* operator, controller, rule 4 or 5, a legacy image */
byte gone_pairs, gone_keys; /* that a reset destroyed */
bit excused;        /* somebody took the pair away, or no hook announced the image */
/* violations */
bit silent_change, fell_back, same_epoch, dead_in_use, unproven, minted, false_alarm, endless, never_cell;
bit restless, marker_wrong, exposed, overwritten;

#define bit_of(n) (1 << (n))
#define other     (1 - own)

/* ================================ facts, as the model sees them ================================= */

#define is_state(s)  (r_state == S_##s)
#define intends(i)   (r_intent == I_##i)
#define tpm_active   (is_state(tpm_dual) || is_state(tpm))
#define holds_pair   (is_state(software) || is_state(migrating) || is_state(tpm_dual))
#define dead_pair(p) (((p) < TPM_CERT) && (dead_pairs & bit_of(p)))
#define pair_fits    (c_cert != 0 && c_cert == c_key && !(dead_pairs & bit_of(c_key)))
#define recorded_pair (r_pair != 0 && c_cert == r_pair && c_key == r_pair)
#define foreign_pair (pair_fits && !recorded_pair)
#define plain_key    (r_pair != 0 && (s_key == r_pair || c_key == r_pair))
#define plain_cert   (r_pair != 0 && (s_cert == r_pair || c_cert == r_pair))
#define plain_pair   (plain_key && plain_cert)
#define file_signs(k) (f_tss == (k) && h_parent != 0 && parent_of[k] == h_parent)
#define proof        (chip == OK && r_tpm != 0 && (h_key == r_tpm || file_signs(r_tpm)))
#define sealed       (f_sealed != 0 && r_seal != 0)
#define seal_mature  (sealed && (r_seal == 2 || ripe))
#define seal_allowed (r_hooks_proven || !r_legacy_seen)
/* Whose chip it is matters only to those whose key is in it. */
#define usable       (chip == OK || (chip == CLEARED && (is_state(none) || is_state(blank) || is_state(software)) && !switching))
#define counter_low  (r_w + ((intends(reset) && r_staged) -> 1 : 0))
#define counter_high (r_w + (intends(reset) -> (r_staged -> 2 : 1) : (r_staged -> 1 : 0)) + r_slack)
#define counter_lost (chip != AWAY && r_witness && !has_counter)
#define counter_wrong (chip != AWAY && r_witness && has_counter && (counter < counter_low || counter > counter_high))
#define counter_goal (r_w + (intends(reset) -> (r_staged -> 2 : 1) : 1))
#define other_kind   (r_known[other] -> (holds[other] == EMPTY -> UNKNOWN : r_kind[other]) : (other_said_none -> EMPTY : UNKNOWN))
#define maybe_legacy(k) ((k) == LEGACY || (k) == UNKNOWN)
#define arriving     (i_open && i_slot != own && maybe_legacy(i_kind))
#define lv           (arriving || maybe_legacy(other_kind))
#define on_trial     (trial || armed)
#define way_back     (!lv && !on_trial && !i_open)
#define dead_at_chip (chip == OK && ((dead_keys & bit_of(h_key)) || (dead_parents & bit_of(h_parent))))
#define dead_in_file ((dead_keys & bit_of(f_tss)) || (dead_keys & bit_of(f_tcert)))
#define tombs        ((intends(reset) -> (dead_keys | dead_parents) : 0) | dead_pairs)
#define dead_remain  (is_state(resetting) -> tombs != 0 : (dead_at_chip || dead_in_file))
#define first_open   (is_state(blank) || (is_state(resetting) && !dead_remain))
#define in_software  (first_open && (intends(provision_soft) || intends(reset_soft)))
#define in_tpm       (first_open && !in_software)
#define switching    (intends(to_tpm) && r_staged)
#define switch_ready (usable && (!is_state(migrating) || proof) && !counter_lost)
#define making       (intends(to_tpm) && !r_staged)
#define recorded     (!is_state(none))

/* ---- slots ---- */
#define being_written (i_open && !i_written && i_slot == other && i_this_boot)
#define own_stale    (!(r_known[own] && r_kind[own] == AWARE && r_content[own] == content[own]))
#define other_stale  (holds[other] != EMPTY && !being_written && !(r_seen[other] && r_content[other] == content[other]))
#define written_own  (i_open && !i_this_boot && i_slot == own && content[own] != i_before)
#define install_over (i_open && !i_this_boot && ((i_slot == own && !on_trial) || (i_slot == other && \
                      ((holds[other] != EMPTY && content[other] == i_before) || (!on_trial && (i_booted || i_written))))))
#define legacy_news  (maybe_legacy(other_kind) && !r_legacy_seen)
#define slots_stale  (own_stale || other_stale || install_over || legacy_news || (written_own && !i_booted))

/* ================================ when is a row raised? ========================================= */

#define raised_no_record_empty   (is_state(none) && c_cert == 0 && c_key == 0 && s_key == 0 && f_tss == 0 && usable && h_key == 0 && h_parent == 0 && !has_counter)
#define raised_no_record_tpm_waiting (is_state(none) && c_cert == 0 && c_key == 0 && s_key == 0 && f_tss == 0 && chip == AWAY)
#define raised_no_record_pair    (is_state(none) && pair_fits && f_tss == 0 && (chip == AWAY || (h_key == 0 && h_parent == 0 && !has_counter)))
#define raised_no_record_ambiguous (is_state(none))
#define raised_config_wiped      (recorded && folder_gone && !foreign_pair && (plain_pair || !holds_pair) && !(is_state(tpm) && lv && recorded_pair))
#define raised_config_wiped_sealed (folder_gone && is_state(tpm_dual) && !foreign_pair && !plain_pair)
#define raised_dead_key_seen     (recorded && dead_remain)
#define raised_rolled_back       (recorded && counter_wrong)
#define raised_slot_changed      (recorded && slots_stale)
#define raised_view_damaged_legacy (holds_pair && (is_state(tpm_dual) || switching) && lv && !recorded_pair && !foreign_pair && !folder_gone && plain_pair)
#define raised_tpm_cleared       (recorded && !switching && chip == CLEARED)
#define raised_reset_blocked     (is_state(resetting) && intends(reset) && chip == AWAY)
#define raised_reset_overtaken   (is_state(resetting) && foreign_pair)
#define raised_reset_begun_tpm   (is_state(resetting) && dead_remain && intends(reset))
#define raised_reset_begun_soft  (is_state(resetting) && dead_remain && intends(reset_soft))
#define raised_provisioning_overtaken (is_state(blank) && foreign_pair)
#define raised_provisioning_waiting (is_state(blank) && !usable && !in_software)
#define raised_provisioning_begun_soft in_software
#define raised_provisioning_begun_sealed (in_tpm && !r_staged && !lv && seal_allowed)
#define raised_provisioning_begun_tpm (in_tpm && !r_staged && !(!lv && seal_allowed))
#define raised_provisioning_staged_alone (in_tpm && r_staged && (!counter_lost || is_state(resetting)) && !plain_pair)
#define raised_provisioning_staged (in_tpm && r_staged && (!counter_lost || is_state(resetting)) && plain_pair)
#define raised_switch_unproven   (switching && !switch_ready)
#define raised_switch_staged     (switching && switch_ready)
#define raised_making_abandoned  (making && !usable)
#define raised_making_begun      (making && usable && !on_trial)
#define raised_legacy_won        (tpm_active && !r_announced && foreign_pair)
#define raised_legacy_pair_changed ((holds_pair || is_state(tpm)) && foreign_pair)
#define raised_software_key_lost (holds_pair && !plain_key)
#define raised_software_cert_lost (holds_pair && plain_key && !plain_cert)
#define raised_store_copy_missing (holds_pair && plain_pair && (s_key != r_pair || s_cert != r_pair))
#define raised_cert_deleted      (((holds_pair && plain_pair) || is_state(tpm)) && c_cert == 0 && !r_pending)
#define raised_view_damaged      (!(is_state(tpm) && lv && recorded_pair) && !foreign_pair && \
        ((is_state(tpm) && (c_cert != TPM_CERT + r_tpm || c_key != 0)) || (holds_pair && !recorded_pair && plain_pair)))
#define raised_tpm_missing       (recorded && !proof && !is_state(resetting) && chip == AWAY)
#define raised_tpm_key_not_found ((tpm_active || is_state(migrating)) && chip == OK && !proof)
#define raised_witness_gone      (recorded && counter_lost && !(is_state(blank) && !r_staged))
#define raised_backup_missing    ((tpm_active || is_state(migrating)) && proof && (h_key != r_tpm || f_tcert != r_tpm))
#define raised_legacy_needed     ((is_state(tpm) || (is_state(tpm_dual) && !plain_pair)) && lv && sealed && proof)
#define raised_legacy_pair_lost  (tpm_active && lv && !plain_key && !sealed && proof)
#define raised_legacy_gone       (is_state(tpm_dual) && way_back && seal_allowed && !sealed && plain_pair && proof)
#define raised_seal_matured      (((is_state(tpm_dual) && seal_allowed && seal_mature) || \
        (is_state(tpm) && sealed && (s_key != 0 || s_cert != 0))) && way_back && proof)
#define pending_due              (r_pending && !(r_pending_trial && pending_slot != own) && !on_trial)
#define pending_expired          (r_pending && r_pending_trial && pending_slot != own)
#define raised_cert_loss_due     (is_state(software) && pending_due && r_intent == I_none && usable)
#define raised_cert_loss_expired (pending_expired || (is_state(migrating) && r_pending))
#define raised_chip_reset_seen   (r_reset_pending && reset_ripe && chip == OK)
#define raised_settled           true

/* ---- requests ---- */
#define raised_pre_install_impossible (request == R_PRE_LEGACY && !is_state(blank) && \
        ((is_state(none) && !pair_fits) || is_state(resetting) || (counter_wrong && holds_pair && !recorded_pair && !foreign_pair) || \
         (recorded && !plain_pair && !(sealed && proof))))
#define raised_pre_install_legacy (request == R_PRE_LEGACY)
#define raised_pre_install_aware (request == R_PRE_AWARE)
#define raised_hook_late         ((request == R_POST || request == R_COMMITTED) && !i_open)
#define raised_post_install      (request == R_POST && i_open)
#define raised_committed         (request == R_COMMITTED && i_open)
#define raised_reset_refused     (request == R_RESET && !is_state(resetting) && (on_trial || chip == AWAY))
#define raised_reset_requested   (request == R_RESET)
#define raised_prepare_refused   (request == R_PREPARE && (held || !usable || r_intent != I_none))
#define raised_prepare_requested (request == R_PREPARE)
#define raised_commit_refused    (request == R_COMMIT && (held || on_trial || !proof || counter_lost))
#define raised_commit_accepted   (request == R_COMMIT)
#define raised_abort_requested   (request == R_ABORT)

#include "machine.pml"

/* ================================ what an action does =========================================== */

inline bury_tpm() {
  dead_keys = dead_keys | (r_tpm -> bit_of(r_tpm) : 0); r_tpm = 0
}

inline rebaseline() {
  if
  :: r_witness && chip != AWAY && has_counter -> r_w = counter; r_slack = 0
  :: r_witness && !(chip != AWAY && has_counter) && r_staged -> r_slack = 1
  :: else -> skip
  fi
}

inline close_plan() { r_intent = I_none; r_staged = 0 }
inline new_epoch() { r_epoch++; r_announced = 0 }

inline settle_slots() {
  if :: written_own -> i_booted = 1; r_hooks_proven = 1 :: else -> skip fi;
  if :: install_over -> i_open = 0; i_booted = 0; i_written = 0; i_kind = 0; i_before = 0; i_slot = 0 :: else -> skip fi;
  r_known[own] = 1; r_kind[own] = AWARE; r_content[own] = content[own]; r_seen[own] = 1;
  if
  :: holds[other] != EMPTY && !being_written && !(r_seen[other] && r_content[other] == content[other]) ->
     if
     :: r_seen[other] || r_witness || r_pair != 0 -> r_known[other] = 1; r_kind[other] = UNKNOWN
     :: else -> skip
     fi;
     r_seen[other] = 1; r_content[other] = content[other]
  :: else -> skip
  fi;
  if :: maybe_legacy(other_kind) -> r_legacy_seen = 1 :: else -> skip fi
}

inline need_chip() { if :: chip == AWAY -> failed = 1 :: else -> skip fi }

inline do_action() {
  if
  :: action == A_record_begin -> r_state = next; intent_of_plan(); r_staged = 0; settle_slots()
  :: action == A_make_counter -> need_chip();
     if :: !failed && !has_counter -> has_counter = 1; counter++ :: else -> skip fi
  :: action == A_record_witness ->
     if
     :: (r_witness && !was_lost) || !has_counter -> skip
     :: else -> r_witness = 1; r_w = counter - (intends(reset) -> 1 : 0); r_slack = 0
     fi
  :: action == A_make_parent -> need_chip();
     if :: !failed && h_parent == 0 -> h_parent = next_parent; next_parent++ :: else -> skip fi;
     if :: !failed -> r_parent = h_parent :: else -> skip fi
  :: action == A_make_tss2_files -> need_chip();
     if
     :: !failed && !(f_tss != 0 && parent_of[f_tss] == h_parent && !(dead_keys & bit_of(f_tss))) ->
        f_tss = next_key; parent_of[next_key] = h_parent; next_key++
     :: else -> skip
     fi
  :: action == A_make_handle -> need_chip();
     if
     :: !failed && h_key == 0 -> h_key = f_tss
     :: !failed && h_key != 0 && h_key != f_tss -> failed = 1
     :: else -> skip
     fi
  :: action == A_make_tpm_cert -> need_chip(); if :: !failed -> f_tcert = f_tss :: else -> skip fi
  :: action == A_make_legacy_key ->
     if :: s_key == 0 || (dead_pairs & bit_of(s_key)) -> s_key = next_pair; next_pair++ :: else -> skip fi
  :: action == A_make_legacy_cert -> s_cert = s_key; r_pair = s_key
  :: action == A_make_sealed_legacy -> need_chip();
     if
     :: !failed -> f_sealed = next_pair; next_pair++; f_sealed_parent = h_parent; r_seal = 2; r_pair = f_sealed
     :: else -> skip
     fi
  :: action == A_record_staged ->
     if
     :: plan == P_provision_soft -> bury_tpm(); dead_keys = dead_keys | (f_tss -> bit_of(f_tss) : 0); r_witness = 0
     :: else -> need_chip(); r_tpm = (failed -> r_tpm : f_tss); chip = (failed -> chip : OK)
     fi;
     if :: !failed -> intent_of_plan(); r_staged = 1 :: else -> skip fi
  :: action == A_increment_counter || action == A_increment_for_reset ->
     if
     :: r_witness && was_lost && action == A_increment_for_reset -> skip /* nothing to be older than */
     :: r_witness && was_lost && action == A_increment_counter && is_state(resetting) && r_staged ->
        has_counter = 1; counter++; r_w = counter - 2; r_slack = 0 /* made anew, where the reset ends */
     :: r_witness && (chip == AWAY || (!has_counter && !(was_lost && is_state(resetting)))) -> failed = 1
     :: r_witness && chip != AWAY && has_counter && counter < counter_goal -> counter++
     :: else -> skip
     fi
  :: action == A_record_next ->
     if :: r_witness -> r_w = counter_goal :: else -> skip fi;
     if :: intends(reset) && plan != P_provision_soft -> r_reset_pending = 1; reset_ripe = 0 :: else -> skip fi;
     r_slack = 0; r_pending = 0; r_state = next; close_plan(); new_epoch()
  :: action == A_record_state ->
     r_state = next; close_plan();
     if :: next == S_tpm_dual && r_seal != 0 -> need_chip(); r_seal = 1; ripe = 0 :: else -> skip fi;
     if :: next == S_tpm && r_seal == 1 -> r_seal = 2 :: else -> skip fi;
     if :: next == S_tpm && r_seal == 0 -> r_pair = 0 :: else -> skip fi
  :: action == A_record_dropped -> rebaseline(); close_plan()
  :: action == A_adopt_pair_key -> s_key = c_key
  :: action == A_adopt_pair_cert -> s_cert = c_cert
  :: action == A_record_adopted ->
     rebaseline();
     if :: next != S_migrating -> bury_tpm() :: else -> skip fi;
     r_state = next; close_plan(); r_pair = c_key; r_seal = 0; r_pending = 0; r_legacy_seen = 1;
     new_epoch(); settle_slots()
  :: action == A_record_legacy ->
     r_pair = s_key; r_seal = 0; r_legacy_seen = 1;
     if :: is_state(tpm) -> r_known[other] = 1; r_kind[other] = UNKNOWN :: else -> skip fi;
     r_state = next;
     if :: next == S_software || next == S_migrating -> new_epoch() :: else -> skip fi
  :: action == A_record_tpm_identity -> need_chip();
     if :: !failed -> r_tpm = f_tss; chip = OK; r_state = next; close_plan(); settle_slots() :: else -> skip fi
  :: action == A_record_tombstone ->
     bury_tpm();
     if :: chip == CLEARED || counter_lost -> r_witness = 0 :: else -> skip fi;
     r_state = next; close_plan()
  :: action == A_record_reset ->
     gone_pairs = gone_pairs | (r_pair -> bit_of(r_pair) : 0); gone_keys = gone_keys | (r_tpm -> bit_of(r_tpm) : 0);
     bury_tpm();
     dead_parents = dead_parents | (r_parent -> bit_of(r_parent) : 0); r_parent = 0;
     dead_pairs = dead_pairs | (r_pair -> bit_of(r_pair) : 0) | (c_key -> bit_of(c_key) : 0) | (s_key -> bit_of(s_key) : 0);
     dead_keys = dead_keys | (f_tss -> bit_of(f_tss) : 0) | (f_tcert -> bit_of(f_tcert) : 0);
     r_pair = 0;
     if
     :: plan == P_begin_reset && chip != AWAY ->
        dead_keys = dead_keys | (h_key -> bit_of(h_key) : 0); dead_parents = dead_parents | (h_parent -> bit_of(h_parent) : 0);
        r_witness = has_counter; r_w = (has_counter -> counter : 0); r_slack = 0
     :: else -> skip
     fi;
     r_seal = 0; r_pending = 0; r_state = next; intent_of_plan(); r_staged = 0; settle_slots()
  :: action == A_bury_config_cert -> c_cert = ((c_cert >= TPM_CERT || (dead_pairs & bit_of(c_cert))) -> 0 : c_cert)
  :: action == A_bury_config_key -> c_key = ((dead_pairs & bit_of(c_key)) -> 0 : c_key)
  :: action == A_bury_store_key -> s_key = ((dead_pairs & bit_of(s_key)) -> 0 : s_key)
  :: action == A_bury_store_cert -> s_cert = ((dead_pairs & bit_of(s_cert)) -> 0 : s_cert)
  :: action == A_bury_tss2_files -> f_tss = ((dead_keys & bit_of(f_tss)) -> 0 : f_tss)
  :: action == A_bury_tpm_certs -> f_tcert = ((dead_keys & bit_of(f_tcert)) -> 0 : f_tcert)
  :: action == A_evict_dead -> 
     if
     :: is_state(resetting) && chip == AWAY -> failed = 1
     :: else ->
        h_parent = ((chip != AWAY && (dead_parents & bit_of(h_parent))) -> 0 : h_parent);
        h_key = ((chip != AWAY && (dead_keys & bit_of(h_key))) -> 0 : h_key)
     fi
  :: action == A_remove_sealed -> f_sealed = 0; f_sealed_parent = 0
  :: action == A_record_buried ->
     if :: !intends(reset_soft) && (is_state(resetting) || chip != AWAY) -> dead_keys = 0; dead_parents = 0 :: else -> skip fi;
     dead_pairs = 0
  :: action == A_record_pending -> r_pending = 1; r_pending_trial = on_trial; pending_slot = own
  :: action == A_record_pending_off -> r_pending = 0; r_pending_trial = 0; pending_slot = 0
  :: action == A_record_slots -> settle_slots()
  :: action == A_record_install ->
     i_open = 1; i_written = 0; i_booted = 0; i_this_boot = 1; i_slot = other;
     i_kind = (request == R_PRE_LEGACY -> LEGACY : AWARE); i_before = content[other]
  :: action == A_record_statement ->
     i_written = 1; r_known[other] = 1; r_seen[other] = 1; r_kind[other] = i_kind; r_content[other] = content[other]
  :: action == A_record_committed ->
     if
     :: i_slot == own ->
        if :: content[own] != i_before -> r_hooks_proven = 1 :: else -> skip fi;
        i_open = 0; i_booted = 0; i_written = 0; i_kind = 0; i_before = 0; i_slot = 0
     :: else -> skip
     fi
  :: action == A_record_sealed -> need_chip(); if :: !failed -> r_seal = 1; ripe = 0 :: else -> skip fi
  :: action == A_record_announced -> r_announced = 1
  :: action == A_record_reset_final -> r_reset_pending = 0
  :: action == A_renew_legacy_cert -> s_cert = s_key /* the same key: here the same identity */
  :: action == A_renew_legacy_pair -> s_key = next_pair; s_cert = next_pair; next_pair++
  :: action == A_restore_store_key -> s_key = ((r_pair != 0 && (s_key == r_pair || c_key == r_pair)) -> r_pair : s_key)
  :: action == A_restore_store_cert -> s_cert = ((r_pair != 0 && (s_cert == r_pair || c_cert == r_pair)) -> r_pair : s_cert)
  :: action == A_restore_config_key -> if :: plain_key -> c_key = r_pair :: else -> failed = 1 fi
  :: action == A_restore_config_cert -> if :: plain_cert -> c_cert = r_pair :: else -> failed = 1 fi
  :: action == A_check_config_pair -> if :: recorded_pair -> skip :: else -> failed = 1 fi
  :: action == A_put_tpm_cert_in_config -> c_cert = TPM_CERT + r_tpm
  :: action == A_restore_tpm_copies -> f_tcert = r_tpm; h_key = (h_key == 0 -> r_tpm : h_key)
  :: action == A_restore_config_folder -> folder_gone = 0
  :: action == A_seal_legacy_pair -> need_chip();
     if :: !failed -> f_sealed = r_pair; f_sealed_parent = h_parent :: else -> skip fi
  :: action == A_compare_sealed_pair -> need_chip();
     if :: f_sealed_parent != h_parent -> failed = 1 :: else -> skip fi
  :: action == A_unseal_store_key -> need_chip();
     if :: !failed && f_sealed_parent == h_parent -> s_key = f_sealed :: else -> failed = 1 fi
  :: action == A_unseal_store_cert -> need_chip();
     if :: !failed && f_sealed_parent == h_parent -> s_cert = f_sealed :: else -> failed = 1 fi
  :: action == A_remove_config_key -> c_key = 0
  :: action == A_remove_store_key -> s_key = 0
  :: action == A_remove_store_cert -> s_cert = 0
  :: action == A_write_marker -> marker = tpm_active
  :: action == A_sign_statement || action == A_put_former_aside || action == A_remove_reset_request ||
     action == A_rewrite_record_copy -> skip
  fi;
  skip
}

/* ================================ judgement ===================================================== */

/* What an aware image reports when its boot loop has ended. */
inline publish() {
  mode = NOT_SAID; in_use = 0;
  if
  :: held || failed || !r_announced || switching -> skip
  :: else ->
     if
     :: is_state(software) || is_state(migrating) -> mode = SOFTWARE; in_use = r_pair
     :: tpm_active && proof -> mode = TPM; in_use = TPM_CERT + r_tpm
     :: else -> mode = NO_MODE
     fi
  fi;
  if
  :: in_use != 0 ->
     /* I8 */
     if :: (in_use >= TPM_CERT && (gone_keys & bit_of(in_use - TPM_CERT))) || (in_use < TPM_CERT && (gone_pairs & bit_of(in_use))) -> dead_in_use = 1
        :: else -> skip fi;
     /* I3 */
     if :: mode == TPM && !(h_key == r_tpm || file_signs(r_tpm)) -> unproven = 1 :: else -> skip fi;
     /* I2, I4 */
     if
     :: seen != 0 && seen != in_use ->
        if :: !may_change -> silent_change = 1 :: else -> skip fi;
        if :: !may_change && seen >= TPM_CERT && in_use < TPM_CERT -> fell_back = 1 :: else -> skip fi;
        if :: r_epoch == seen_epoch -> same_epoch = 1 :: else -> skip fi;
        may_change = 0
     :: else -> skip
     fi;
     seen = in_use; seen_epoch = r_epoch
  :: else -> skip
  fi;
  /* I7, I6 */
  if :: !failed && recorded && !is_state(resetting) && marker != tpm_active -> marker_wrong = 1 :: else -> skip fi;
  if :: !failed && !held && is_state(tpm) && way_back && r_pair != 0 && (c_key == r_pair || s_key == r_pair) -> exposed = 1 :: else -> skip fi;
  /* I10: no cut makes a disk look old */
  if :: held && event == E_rolled_back -> false_alarm = 1 :: else -> skip fi
}

/* A legacy image: design, section 2. */
inline legacy_boot() {
  if
  :: c_cert == 0 || c_key == 0 ->
     if :: seen != 0 && !excused && !is_state(resetting) && !is_state(blank) -> minted = 1 :: else -> skip fi;
     c_cert = next_pair; c_key = next_pair; next_pair++; may_change = 1
  :: else -> skip
  fi
}

inline power_off() {
  printf("off: config %d/%d store %d/%d, pair %d key %d, chip %d, counter %d of %d, slots %d %d own %d trial %d armed %d\n", c_cert, c_key, s_cert, s_key, r_pair, r_tpm, chip, counter, r_w, holds[0], holds[1], own, trial, armed);
  phase = OFF; event = 0; kind = 0; next = 0; plan = 0; at = 0; action = 0; rounds = 0;
  failed = 0; held = 0; was_lost = 0; request = 0; refused = 0; target = 0; mode = NOT_SAID; in_use = 0
}

/* The bootloader picks, the chip was reset, a boot has another id. */
inline power_on() {
  if :: armed -> own = other; trial = 1; armed = 0 :: else -> skip fi;
  ripe = (r_seal == 1 -> 1 : ripe); reset_ripe = (r_reset_pending -> 1 : 0); i_this_boot = 0
}

#define ids_left (next_pair <= PAIRS && next_key <= KEYS && next_parent <= KEYS)

/* ================================ the device and its surroundings =============================== */

active proctype device() {
  r_state = S_none; next_pair = 1; next_key = 1; next_parent = 1;
  d_step { own = 0; content[0] = 1; content[1] = 1; seen_epoch = 0 };
  /* Who was there before us, and what stands in the other slot? */
  if
  :: holds[0] = AWARE
  :: holds[0] = LEGACY
  fi;
  if
  :: holds[1] = EMPTY; other_said_none = 1
  :: holds[1] = EMPTY
  :: holds[1] = AWARE
  :: holds[1] = LEGACY
  fi;
end_of_life:
  do
  /* ---- power is off ---- */
  :: phase == OFF && faults < FAULTS && seen != 0 && c_cert != 0 -> /* the certificate is deleted */
     atomic { faults++; quiet = 0; may_change = (may_change || is_state(software)); excused = 1; c_cert = 0 }
  :: phase == OFF && faults < FAULTS && seen != 0 && (c_cert != 0 || c_key != 0) -> /* the partition comes back empty */
     atomic { faults++; quiet = 0; excused = 1; c_cert = 0; c_key = 0; folder_gone = recorded }
  :: phase == OFF && faults < FAULTS && (s_key != 0 || s_cert != 0) -> /* the store loses the pair */
     atomic { faults++; quiet = 0; s_key = 0; s_cert = 0 }
  :: phase == OFF && faults < FAULTS && chip == OK && h_key != 0 -> /* the handle is lost */
     atomic { faults++; quiet = 0; h_key = 0 }
  :: phase == OFF && faults < FAULTS && chip == OK -> atomic { faults++; quiet = 0; chip = AWAY }
  :: phase == OFF && chip == AWAY -> atomic { chip = OK; quiet = 0 }
  :: phase == OFF && faults < FAULTS && chip == OK && has_counter ->
     atomic { faults++; quiet = 0; chip = CLEARED; h_key = 0; h_parent = 0; has_counter = 0; may_change = 1 }
  :: phase == OFF && holds[other] != EMPTY && !armed && (trial || deeds < DEEDS) -> /* the bootloader falls back */
     atomic { deeds = deeds + (trial -> 0 : 1); quiet = 0; own = other; trial = 0 }
  :: phase == OFF && holds[(armed -> other : own)] == LEGACY && ids_left ->
     atomic { power_on(); legacy_boot();
       if
       :: deeds < DEEDS -> /* it installs an aware image; nobody hears a hook */
          deeds++; quiet = 0; content[other] = (content[other] % 3) + 1; holds[other] = AWARE; armed = 1
       :: trial -> trial = 0; quiet = 0 /* its updater accepts it */
       :: skip
       fi;
       power_off() }
  :: phase == OFF && holds[(armed -> other : own)] == AWARE && ids_left ->
     atomic { power_on(); quiet = (quiet < 3 -> quiet + 1 : 3); request = R_BOOT; phase = ROUND }

  /* ---- one round of the boot loop, or the request ---- */
  :: phase == ROUND ->
     atomic {
       if :: request == R_BOOT -> classify_boot() :: else -> classify_request() fi;
       at = 0; rounds++; was_lost = counter_lost;
       printf("state %d, request %d: event %d, plan %d\n", r_state, request, event, plan);
       if
       :: event == E_none -> request = R_BOOT; rounds = 0; kind = K_ignore /* asks nothing of this state */
       :: kind == K_never -> never_cell = 1; phase = RUN
       :: kind == K_refuse -> refused = 1; request = R_BOOT; rounds = 0
       :: kind == K_go || kind == K_end || kind == K_hold -> phase = PLAN
       fi;
       if :: rounds > 14 -> endless = 1 :: else -> skip fi
     }
  :: phase == PLAN ->
     atomic {
       step_of_plan();
       if
       :: action != A_end ->
          d_step {
            /* I9; the two actions of `settle` find nothing to do */
            if :: quiet == 3 && plan != P_settle && plan != P_hold -> restless = 1 :: else -> skip fi;
            if
            :: foreign_pair && (action == A_restore_config_key || action == A_restore_config_cert ||
                                action == A_put_tpm_cert_in_config || action == A_remove_config_key) -> overwritten = 1
            :: else -> skip
            fi;
            do_action(); at++;
            printf("   action %d%d\n", action, failed)
          };
          if
          :: failed -> event = 0; phase = RUN; publish()
          :: !failed && cuts < CUTS -> 
             if
             :: cuts++; quiet = 0; power_off()
             :: skip
             fi
          :: else -> skip
          fi
       :: else ->
          if
          :: kind == K_go -> phase = ROUND; rounds = (request == R_BOOT -> rounds : 0); request = R_BOOT
          :: kind == K_hold -> held = 1; phase = RUN; publish()
          :: kind == K_end -> phase = RUN; excused = 0; publish()
          fi
       fi
     }

  /* ---- the image runs ---- */
  :: phase == RUN && deeds < DEEDS && target == EMPTY -> /* an updater, with its hook */
     atomic { deeds++; quiet = 0; refused = 0; rounds = 0;
       if :: target = LEGACY; request = R_PRE_LEGACY :: target = AWARE; request = R_PRE_AWARE fi;
       phase = ROUND; held = 0; failed = 0 }
  :: phase == RUN && target != EMPTY && !refused && !failed -> /* it writes, and arms */
     atomic { content[other] = (content[other] % 3) + 1; holds[other] = target; target = EMPTY; armed = 1;
       if
       :: request = R_POST; rounds = 0; phase = ROUND; held = 0; failed = 0 /* and says so */
       :: power_off()                                                       /* or dies */
       fi }
  :: phase == RUN && target != EMPTY && (refused || failed) -> target = EMPTY
  :: phase == RUN && trial && i_open && i_slot == own && target == EMPTY -> /* the updater accepts what runs */
     atomic { trial = 0; quiet = 0;
       if :: request = R_COMMITTED; rounds = 0; phase = ROUND; held = 0; failed = 0 :: skip fi }
  :: phase == RUN && trial && !i_open -> atomic { trial = 0; quiet = 0 }
  :: phase == RUN && deeds < DEEDS && target == EMPTY ->
     atomic { deeds++; quiet = 0; rounds = 0; refused = 0;
       if
       :: request = R_RESET; may_change = 1
       :: request = R_PREPARE
       :: is_state(migrating) -> request = R_COMMIT; may_change = 1
       :: is_state(migrating) -> request = R_ABORT
       fi;
       phase = ROUND; held = 0; failed = 0 }
  :: phase == RUN -> power_off()
  od
}

/* ================================ what must hold ================================================ */

#define resetting is_state(resetting)

/* I1: no legacy image ever finds the pair missing that was its own, unless somebody took it away. */
ltl i1_view      { [] !minted }
/* I2, I4: the identity changes with a cause, and under a new epoch; never from the chip to a file. */
ltl i2_cause     { [] !silent_change }
ltl i2_epoch     { [] !same_epoch }
ltl i2_minted    { [] !overwritten }
ltl i4_fallback  { [] !fell_back }
ltl i3_proof     { [] !unproven }
ltl i6_exposure  { [] !exposed }
ltl i7_marker    { [] !marker_wrong }
ltl i8_dead      { [] !dead_in_use }
ltl i9_settles   { [] !restless }
ltl i10_alarm    { [] !false_alarm }
/* The table itself. */
ltl table_ends   { [] !endless }
ltl table_never  { [] !never_cell }
/* All of the above in one run; the single ones tell which. */
ltl safety { [] !(minted || silent_change || same_epoch || fell_back || unproven || exposed || marker_wrong ||
                  overwritten || dead_in_use || restless || false_alarm || endless || never_cell) }
/* I8: a reset that has begun ends wherever our image boots and the chip lets it (a life that needs more
 * numbers than there are stops); what it destroyed stays dead. */
#define hindered (chip == AWAY || holds[own] == LEGACY || !ids_left)
ltl i8_ends      { [] (resetting -> <> (!resetting || hindered)) }
