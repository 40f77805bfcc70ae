/* SPDX-License-Identifier: BSD-2-Clause */
/* The matrix against rules that were written down beside it: each is a sentence of the
 * specification, none is derived from the table. Plans: fsm_plans.c. */
#include "tests/unit/fsm_table.h"

#include <criterion/criterion.h>

static bool tpm_active(enum idm_state state)
{
    return state == IDM_S_tpm_dual || state == IDM_S_tpm;
}

/* ---- cells ---- */

/* design 5: each cell a transition, an ignore with its reason, a refusal with its reason, or
 * unreachable, shown so. */
Test(fsm_matrix, every_cell_says_what_and_why)
{
    EACH_CELL(event, state, cell)
    {
        cr_expect_neq(cell.kind, IDM_CELL_MISSING, WHERE(event, state));
        cr_assert(cell.why && strchr(cell.why, ' '), WHERE(event, state));
        cr_expect(cell.next < IDM_STATE_COUNT, WHERE(event, state));
        cr_expect(cell.plan < IDM_PLAN_COUNT, WHERE(event, state));
        bool acts = cell.kind == IDM_CELL_GO;
        cr_expect(acts == (cell.kind == IDM_CELL_GO && cell.plan != IDM_P_nothing),
                  WHERE(event, state));
        if (!acts)
            cr_expect_eq(cell.next, state, WHERE(event, state));
    }
}

/* design 2: held is a verdict of this boot, never stored: nothing is generated. */
Test(fsm_matrix, a_hold_writes_the_marker_at_most)
{
    EACH_CELL(event, state, cell)
    {
        if (cell.kind != IDM_CELL_HOLD)
            continue;
        cr_expect(cell.plan == IDM_P_nothing || cell.plan == IDM_P_hold, WHERE(event, state));
        cr_expect_neq(cell.reason, IDM_R_none, WHERE(event, state));
    }
    cr_expect_eq(length_of(IDM_P_nothing), 0);
    cr_expect(length_of(IDM_P_hold) == 1 && has(IDM_P_hold, IDM_A_write_marker));
}

Test(fsm_matrix, what_does_not_act_has_no_plan)
{
    EACH_CELL(event, state, cell)
    {
        bool idle = cell.kind == IDM_CELL_IGNORE || cell.kind == IDM_CELL_NEVER ||
                    cell.kind == IDM_CELL_REFUSE;
        if (idle) {
            cr_expect_eq(cell.plan, IDM_P_nothing, WHERE(event, state));
            cr_expect_eq(cell.reason, IDM_R_none, WHERE(event, state));
        }
        bool refused = cell.kind == IDM_CELL_REFUSE; /* contract 2: 1 refused, 5 failed */
        cr_expect_eq(refused, cell.exit == 1 || cell.exit == 5, WHERE(event, state));
        cr_expect(refused || cell.exit == 0, WHERE(event, state));
    }
}

/* What boot sees ends in END or HOLD; what a command asks never does. */
Test(fsm_matrix, boot_rows_and_request_rows_differ)
{
    cr_assert_eq(idm_first_request_event(), IDM_EV_settled + 1);
    EACH_CELL(event, state, cell)
    {
        bool request = event >= idm_first_request_event();
        if (request)
            cr_expect(cell.kind != IDM_CELL_END && cell.kind != IDM_CELL_HOLD, WHERE(event, state));
        else
            cr_expect_neq(cell.kind, IDM_CELL_REFUSE, WHERE(event, state));
    }
}

/* design 4 and table.md: which states follow which. Written by hand. */
Test(fsm_matrix, legal_transitions)
{
    static const enum idm_state next[IDM_STATE_COUNT][IDM_STATE_COUNT] = {
        /* 1: may follow. none has no record; only a reset leads back from an identity */
        [IDM_S_none] =
            {[IDM_S_blank] = 1, [IDM_S_software] = 1, [IDM_S_tpm] = 1, [IDM_S_resetting] = 1},
        [IDM_S_blank] =
            {[IDM_S_software] = 1, [IDM_S_tpm_dual] = 1, [IDM_S_tpm] = 1, [IDM_S_resetting] = 1},
        [IDM_S_software] = {[IDM_S_migrating] = 1, [IDM_S_tpm_dual] = 1, [IDM_S_resetting] = 1},
        [IDM_S_migrating] = {[IDM_S_software] = 1, [IDM_S_tpm_dual] = 1, [IDM_S_resetting] = 1},
        [IDM_S_tpm_dual] = {[IDM_S_software] = 1, [IDM_S_tpm] = 1, [IDM_S_resetting] = 1},
        [IDM_S_tpm] = {[IDM_S_tpm_dual] = 1, [IDM_S_resetting] = 1},
        [IDM_S_resetting] = {[IDM_S_software] = 1, [IDM_S_tpm_dual] = 1, [IDM_S_tpm] = 1},
    };
    bool seen[IDM_STATE_COUNT][IDM_STATE_COUNT] = {0};
    EACH_CELL(event, state, cell)
    {
        seen[state][cell.next] = true;
        cr_expect(cell.next == state || next[state][cell.next], "%s in %s leads to %s",
                  idm_event_name(event), idm_state_name(state), idm_state_name(cell.next));
    }
    for (enum idm_state from = 0; from < IDM_STATE_COUNT; from++)
        for (enum idm_state to = 0; to < IDM_STATE_COUNT; to++)
            cr_expect(!next[from][to] || seen[from][to], "nothing leads from %s to %s",
                      idm_state_name(from), idm_state_name(to));
}

/* rule 5, table.md: the identity in use changes to the TPM's by a staged switch alone. */
Test(fsm_matrix, software_reaches_the_tpm_by_a_switch_only)
{
    EACH_CELL(event, state, cell)
    {
        bool software = state == IDM_S_software || state == IDM_S_migrating;
        if (software && tpm_active(cell.next))
            cr_expect_eq(event, IDM_EV_switch_staged, WHERE(event, state));
    }
}

/* I4: no TPM error leads anywhere. */
Test(fsm_matrix, tpm_errors_hold)
{
    EACH_CELL(event, state, cell)
    {
        if (begins(idm_event_name(event), "tpm_") && tpm_active(state))
            cr_expect_eq(cell.kind, IDM_CELL_HOLD, WHERE(event, state));
        if (begins(idm_event_name(event), "tpm_"))
            cr_expect(!tpm_active(cell.next) || cell.next == state, WHERE(event, state));
    }
}

/* I4 once more: the TPM identity is left for the software identity by exactly these two. */
Test(fsm_matrix, only_an_unannounced_identity_or_an_operator_gives_the_tpm_up)
{
    EACH_CELL(event, state, cell)
    {
        if (tpm_active(state) && cell.next == IDM_S_software)
            cr_expect(event == IDM_EV_legacy_won || event == IDM_EV_release_to_legacy,
                      WHERE(event, state));
    }
}

/* table.md, Witness: the record with its target first, the increment, then the record of the new
 * state. Where only the record was lost the identity is in use already: w := counter. */
Test(fsm_matrix, a_tpm_identity_is_activated_by_the_counter)
{
    EACH_CELL(event, state, cell)
    {
        if (tpm_active(state) || !tpm_active(cell.next) || event == IDM_EV_no_record_tpm_proven)
            continue;
        int increment = step_of(cell.plan, IDM_A_increment_counter);
        int record = step_of(cell.plan, IDM_A_record_next);
        cr_expect(increment >= 0 && record > increment, WHERE(event, state));
    }
}

/* I2: the epoch is raised by these actions; what does not change the state or the pair has none. */
Test(fsm_matrix, only_changes_raise_the_epoch)
{
    static const enum idm_action raises[] = {IDM_A_record_next, IDM_A_record_adopted,
                                             IDM_A_record_released};
    EACH_CELL(event, state, cell)
    {
        for (size_t i = 0; i < sizeof raises / sizeof *raises; i++)
            if (has(cell.plan, raises[i]))
                cr_expect_eq(cell.kind, IDM_CELL_GO, WHERE(event, state));
    }
}

/* table.md: the loop ends settled or held; clock and room end it in place of settled. What waits is
 * reported, and who has an identity is marked (I7). */
Test(fsm_matrix, the_loop_ends_in_three_ways_or_held)
{
    EACH_CELL(event, state, cell)
    {
        bool last =
            event == IDM_EV_settled || event == IDM_EV_clock_bad || event == IDM_EV_storage_refuses;
        bool never = event == IDM_EV_settled && cell.kind == IDM_CELL_NEVER;
        cr_expect_eq(cell.kind == IDM_CELL_END, last && !never, WHERE(event, state));
        if (cell.kind != IDM_CELL_END)
            continue;
        enum idm_reason waits = event == IDM_EV_clock_bad         ? IDM_R_clock
                                : event == IDM_EV_storage_refuses ? IDM_R_by_room
                                                                  : IDM_R_none;
        cr_expect_eq(cell.reason, waits, WHERE(event, state));
        bool identity = state == IDM_S_software || state == IDM_S_migrating || tpm_active(state);
        bool marks = false;
        for (size_t i = 0; idm_plan_info(cell.plan)->steps[i] != IDM_A_none; i++)
            marks |= idm_plan_info(cell.plan)->steps[i] == IDM_A_write_marker;
        cr_expect_eq(marks, identity, WHERE(event, state));
    }
}

/* I11, I2: what was restored or replaced is reported. In tpm, which is left for it, the record says so. */
Test(fsm_matrix, what_was_replaced_is_reported)
{
    EACH_CELL(event, state, cell)
    {
        if (cell.kind != IDM_CELL_GO)
            continue;
        bool wiped = event == IDM_EV_config_wiped || event == IDM_EV_config_wiped_sealed;
        bool pair = event == IDM_EV_legacy_pair_changed || event == IDM_EV_legacy_pair_lost ||
                    event == IDM_EV_reset_overtaken ||
                    (event == IDM_EV_software_cert_lost && state == IDM_S_tpm_dual);
        enum idm_reason says = wiped                        ? IDM_R_config_dir_corrupt
                               : pair && cell.next == state ? IDM_R_legacy_changed
                                                            : IDM_R_none;
        cr_expect_eq(cell.reason, says, WHERE(event, state));
    }
}

/* contract 2: 5 where the same call may succeed later, 1 where it will not. */
Test(fsm_matrix, refusals_that_may_pass)
{
    EACH_CELL(event, state, cell)
    {
        bool passes = event == IDM_EV_request_blind || event == IDM_EV_given_key_chip_missing ||
                      (event == IDM_EV_prepare_refused && state == IDM_S_software);
        if (cell.kind == IDM_CELL_REFUSE)
            cr_expect_eq(cell.exit, passes ? 5u : 1u, WHERE(event, state));
    }
}

/* ---- who leads where ---- */

/* act_record.c: the only actions that write a state, and which. */
static bool may_lead(enum idm_action action, enum idm_state from, enum idm_state to)
{
    switch ((int)action) {
    case IDM_A_record_begin: /* a first identity, or one beside the software identity */
        return from == IDM_S_none ? to == IDM_S_blank : to == from && to == IDM_S_software;
    case IDM_A_record_given_key:
        return to == IDM_S_blank;
    case IDM_A_record_next:
        return to == IDM_S_software || tpm_active(to);
    case IDM_A_record_state:
        return tpm_active(to);
    case IDM_A_record_adopted: /* a prepared identity stays beside the pair */
        return to == (from == IDM_S_migrating ? IDM_S_migrating : IDM_S_software);
    case IDM_A_record_legacy: /* in tpm there is a legacy pair again */
        return to == (from == IDM_S_tpm ? IDM_S_tpm_dual : from);
    case IDM_A_record_tpm_identity:
        return to == (from == IDM_S_none ? IDM_S_tpm : IDM_S_migrating);
    case IDM_A_record_tombstone:
    case IDM_A_record_released:
        return to == IDM_S_software;
    case IDM_A_record_reset:
        return to == IDM_S_resetting;
    default:
        return false;
    }
}

static bool writes_state(enum idm_action action)
{
    for (enum idm_state from = 0; from < IDM_STATE_COUNT; from++)
        for (enum idm_state to = 0; to < IDM_STATE_COUNT; to++)
            if (may_lead(action, from, to))
                return true;
    return false;
}

/* design 5: the cell holds the truth, so a plan writes the state that its cell says, or none. */
Test(fsm_matrix, a_cell_leads_where_its_plan_can)
{
    EACH_CELL(event, state, cell)
    {
        const struct idm_plan_info *plan = idm_plan_info(cell.plan);
        bool written = false;
        for (size_t i = 0; cell.kind == IDM_CELL_GO && plan->steps[i] != IDM_A_none; i++) {
            if (!writes_state(plan->steps[i]))
                continue;
            written = true;
            cr_expect(may_lead(plan->steps[i], state, cell.next), WHERE(event, state));
        }
        cr_expect(written || cell.next == state, WHERE(event, state));
    }
}

/* design 4: which state a plan with these parts can end in. */
Test(fsm_matrix, a_state_is_what_was_made)
{
    EACH_CELL(event, state, cell)
    {
        bool gone = false;
        bool plain = false;
        bool chip = false;
        const struct idm_plan_info *plan = idm_plan_info(cell.plan);
        bool ends = false;
        for (size_t i = 0; plan->steps[i] != IDM_A_none; i++) {
            gone |= plan->steps[i] == IDM_A_remove_config_key;
            plain |= plan->steps[i] == IDM_A_restore_config_cert;
            chip |= plan->steps[i] == IDM_A_increment_counter;
            ends |= plan->steps[i] == IDM_A_record_next || plan->steps[i] == IDM_A_record_state;
        }
        if (!ends || cell.kind != IDM_CELL_GO)
            continue;
        bool software = plain && !chip && (state == IDM_S_blank || state == IDM_S_resetting);
        enum idm_state end = gone ? IDM_S_tpm : software ? IDM_S_software : IDM_S_tpm_dual;
        cr_expect_eq(cell.next, end, WHERE(event, state));
    }
}

/* ---- reasons ---- */

/* contract 5, by hand. */
static const char *const contract_reasons[] = {"tpm-absent",
                                               "tpm-busy",
                                               "tpm-failed",
                                               "tpm-locked",
                                               "tpm-owned",
                                               "tpm-cleared",
                                               "tpm-replaced",
                                               "tpm-key-lost",
                                               "tpm-malfunction",
                                               "tpm-volatile",
                                               "witness-lost",
                                               "config-dir-unreadable",
                                               "config-dir-corrupt",
                                               "config-dir-volatile",
                                               "persist-unmounted",
                                               "key-lost",
                                               "cert-corrupt",
                                               "record-corrupt",
                                               "record-newer",
                                               "rolled-back",
                                               "cloned",
                                               "clock",
                                               "storage-full",
                                               "storage-read-only",
                                               "bootenv-unreadable",
                                               "legacy-changed",
                                               "backup-degraded",
                                               "reset-incomplete",
                                               "reset-weak",
                                               "settings-invalid"};
#define CONTRACT_REASONS (sizeof contract_reasons / sizeof *contract_reasons)

Test(fsm_matrix, reasons_are_those_of_the_contract)
{
    cr_expect_eq(CONTRACT_REASONS, IDM_REASON_COUNT - 1u);
    for (enum idm_reason reason = 1; reason < IDM_REASON_COUNT; reason++) {
        bool found = false;
        for (size_t i = 0; i < CONTRACT_REASONS; i++)
            found |= strcmp(idm_reason_word(reason), contract_reasons[i]) == 0;
        cr_expect(found, "%s is not in the contract", idm_reason_word(reason));
        cr_expect(strchr(idm_reason_sentence(reason), ' '), "%s", idm_reason_word(reason));
        cr_expect(strchr(idm_reason_todo(reason), ' '), "%s", idm_reason_word(reason));
    }
}
