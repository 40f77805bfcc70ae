/* SPDX-License-Identifier: BSD-2-Clause */
/* The matrix against rules that were written down beside it: each is a sentence of the
 * specification, none is derived from the table. */
#include "fsm/fsm.h"

#include <criterion/criterion.h>
#include <string.h>

#define EACH_CELL(event, state, cell)                                                              \
    for (enum idm_event event = 0; event < IDM_EVENT_COUNT; event++)                               \
        for (enum idm_state state = 0; state < IDM_STATE_COUNT; state++)                           \
            for (struct idm_cell cell = idm_table_cell(event, state), *once = &cell; once;         \
                 once = NULL)

#define WHERE(event, state) "%s in %s", idm_event_name(event), idm_state_name(state)

static bool tpm_active(enum idm_state state)
{
    return state == IDM_S_tpm_dual || state == IDM_S_tpm;
}

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Position in the plan, or -1. */
static int step_of(enum idm_plan plan, enum idm_action action)
{
    const struct idm_plan_info *info = idm_plan_info(plan);
    for (int i = 0; i < (int)IDM_PLAN_STEPS && info->steps[i] != IDM_A_none; i++)
        if (info->steps[i] == action)
            return i;
    return -1;
}

static bool has(enum idm_plan plan, enum idm_action action)
{
    return step_of(plan, action) >= 0;
}

static int length_of(enum idm_plan plan)
{
    const struct idm_plan_info *info = idm_plan_info(plan);
    int length = 0;
    while (length < (int)IDM_PLAN_STEPS && info->steps[length] != IDM_A_none)
        length++;
    return length;
}

static bool writes_record(enum idm_action action)
{
    return begins(idm_action_name(action), "record_") || action == IDM_A_rewrite_record_copy ||
           action == IDM_A_restore_config_folder; /* its last act is the record */
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

/* ---- plans ---- */

Test(fsm_matrix, every_plan_and_every_action_is_used)
{
    bool plan_used[IDM_PLAN_COUNT] = {0};
    bool action_used[IDM_ACTION_COUNT] = {0};
    EACH_CELL(event, state, cell)
    plan_used[cell.plan] = true;
    for (enum idm_plan plan = 0; plan < IDM_PLAN_COUNT; plan++) {
        const struct idm_plan_info *info = idm_plan_info(plan);
        cr_expect(plan_used[plan], "no cell uses the plan %s", info->name);
        cr_expect(info->why && strchr(info->why, ' '), "%s", info->name);
        cr_expect_lt(length_of(plan), (int)IDM_PLAN_STEPS, "%s does not end", info->name);
        for (int i = 0; i < length_of(plan); i++)
            action_used[info->steps[i]] = true;
    }
    for (enum idm_action action = 1; action < IDM_ACTION_COUNT; action++)
        cr_expect(action_used[action], "no plan uses the action %s", idm_action_name(action));
}

static bool issues(enum idm_action action)
{
    return action == IDM_A_make_tpm_cert || action == IDM_A_make_legacy_cert ||
           action == IDM_A_renew_legacy_pair || action == IDM_A_renew_legacy_cert ||
           action == IDM_A_make_sealed_legacy || action == IDM_A_renew_tpm_cert;
}

/* I12. A plan that only begins is flagged as well, so that what begins can be finished. */
Test(fsm_matrix, plans_that_issue_say_so)
{
    for (enum idm_plan plan = 0; plan < IDM_PLAN_COUNT; plan++) {
        const struct idm_plan_info *info = idm_plan_info(plan);
        bool does = false;
        for (int i = 0; i < length_of(plan); i++)
            does |= issues(info->steps[i]);
        bool opens = begins(info->name, "begin_");
        cr_expect_eq(info->issues_certificate, does || opens, "%s", info->name);
    }
}

static bool creates(enum idm_action action)
{
    const char *name = idm_action_name(action);
    return begins(name, "make_") || begins(name, "renew_") || begins(name, "adopt_") ||
           begins(name, "unseal_") || begins(name, "seal_");
}

/* design 5: creation ends with the record. What a legacy image reads may follow it: it is a copy. */
Test(fsm_matrix, creation_ends_with_the_record)
{
    for (enum idm_plan plan = 0; plan < IDM_PLAN_COUNT; plan++) {
        const struct idm_plan_info *info = idm_plan_info(plan);
        int created = -1;
        int recorded = -1;
        for (int i = 0; i < length_of(plan); i++) {
            if (creates(info->steps[i]))
                created = i;
            if (writes_record(info->steps[i]))
                recorded = i;
        }
        cr_expect(recorded >= created, "%s", info->name);
    }
}

static bool destroys(enum idm_action action)
{
    const char *name = idm_action_name(action);
    bool identity = action != IDM_A_remove_reset_request;
    return identity && (begins(name, "remove_") || begins(name, "bury_") ||
                        begins(name, "evict_") || begins(name, "clear_"));
}

/* design 5: destruction begins with the record. It may destroy, because: */
static bool may_destroy(enum idm_plan plan, enum idm_state state, enum idm_event event)
{
    if (state == IDM_S_resetting) /* everything is dead since the record says resetting */
        return true;
    if (event == IDM_EV_dead_key_seen) /* tombstones name what goes */
        return true;
    if (has(plan, IDM_A_compare_sealed_pair)) /* a good sealed copy was read back */
        return step_of(plan, IDM_A_compare_sealed_pair) < step_of(plan, IDM_A_remove_config_key);
    if (event == IDM_EV_legacy_gone_unwanted) /* policy: no legacy pair is kept */
        return true;
    /* no key file beside the TPM's certificate; the pair that it was, if any, is sealed */
    bool alone = plan == IDM_P_activate_alone || plan == IDM_P_restore_tpm_view;
    return alone && !has(plan, IDM_A_remove_store_key);
}

Test(fsm_matrix, destruction_begins_with_the_record)
{
    EACH_CELL(event, state, cell)
    {
        const struct idm_plan_info *info = idm_plan_info(cell.plan);
        for (int i = 0; i < length_of(cell.plan); i++)
            if (destroys(info->steps[i]))
                cr_expect(may_destroy(cell.plan, state, event), "%s in %s: %s",
                          idm_event_name(event), idm_state_name(state),
                          idm_action_name(info->steps[i]));
        if (state != IDM_S_resetting && cell.next == IDM_S_resetting)
            cr_expect_eq(info->steps[0], IDM_A_record_reset, WHERE(event, state));
    }
}

static void expect_order(enum idm_plan plan, enum idm_action first, enum idm_action second)
{
    if (has(plan, first) && has(plan, second))
        cr_expect_lt(step_of(plan, first), step_of(plan, second), "%s: %s before %s",
                     idm_plan_info(plan)->name, idm_action_name(first), idm_action_name(second));
}

/* table.md: a certificate is written after its key and removed before it. */
Test(fsm_matrix, orders_that_a_legacy_image_may_see)
{
    for (enum idm_plan plan = 0; plan < IDM_PLAN_COUNT; plan++) {
        expect_order(plan, IDM_A_restore_config_key, IDM_A_restore_config_cert);
        expect_order(plan, IDM_A_bury_config_cert, IDM_A_bury_config_key);
        expect_order(plan, IDM_A_put_tpm_cert_in_config, IDM_A_remove_config_key);
        expect_order(plan, IDM_A_restore_config_cert, IDM_A_check_config_pair);
        cr_expect_eq(has(plan, IDM_A_restore_config_key), has(plan, IDM_A_restore_config_cert));
        cr_expect(!has(plan, IDM_A_remove_config_key) || has(plan, IDM_A_put_tpm_cert_in_config));
    }
}

/* table.md, plans: the other orders that the model needs. */
Test(fsm_matrix, orders_of_making_and_destroying)
{
    for (enum idm_plan plan = 0; plan < IDM_PLAN_COUNT; plan++) {
        expect_order(plan, IDM_A_make_counter, IDM_A_record_witness);
        expect_order(plan, IDM_A_record_witness, IDM_A_make_parent);
        expect_order(plan, IDM_A_make_parent, IDM_A_make_tss2_files);
        expect_order(plan, IDM_A_make_tss2_files, IDM_A_make_handle);
        expect_order(plan, IDM_A_make_handle, IDM_A_make_tpm_cert);
        expect_order(plan, IDM_A_make_tpm_cert, IDM_A_record_staged);
        expect_order(plan, IDM_A_make_legacy_key, IDM_A_make_legacy_cert);
        expect_order(plan, IDM_A_adopt_pair_key, IDM_A_adopt_pair_cert);
        expect_order(plan, IDM_A_put_former_aside, IDM_A_adopt_pair_key);
        expect_order(plan, IDM_A_restore_store_key, IDM_A_restore_store_cert);
        expect_order(plan, IDM_A_record_pending, IDM_A_restore_config_cert);
        expect_order(plan, IDM_A_seal_legacy_pair, IDM_A_compare_sealed_pair);
        expect_order(plan, IDM_A_compare_sealed_pair, IDM_A_record_sealed);
        expect_order(plan, IDM_A_compare_sealed_pair, IDM_A_remove_store_key);
        expect_order(plan, IDM_A_record_install, IDM_A_unseal_store_key);
        expect_order(plan, IDM_A_unseal_store_key, IDM_A_unseal_store_cert);
        expect_order(plan, IDM_A_unseal_store_cert, IDM_A_restore_config_key);
        expect_order(plan, IDM_A_check_config_pair, IDM_A_record_state);
        expect_order(plan, IDM_A_record_reset, IDM_A_remove_reset_request);
        expect_order(plan, IDM_A_increment_for_reset, IDM_A_bury_config_cert);
        expect_order(plan, IDM_A_bury_tss2_files, IDM_A_evict_dead);
        expect_order(plan, IDM_A_bury_store_cert, IDM_A_record_buried);
        expect_order(plan, IDM_A_record_announced, IDM_A_write_marker);
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
