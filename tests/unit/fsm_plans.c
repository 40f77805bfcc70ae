/* SPDX-License-Identifier: BSD-2-Clause */
/* The plans against rules that were written down beside them: each is a sentence of the specification,
 * none is derived from plans.def. */
#include "tests/unit/fsm_table.h"

#include <criterion/criterion.h>

Test(fsm_plans, every_plan_and_every_action_is_used)
{
    bool plan_used[IDM_PLAN_COUNT] = {0};
    bool action_used[IDM_ACTION_COUNT] = {0};
    EACH_CELL(event, state, cell)
    plan_used[cell.plan] = true;
    for (enum idm_plan plan = 0; plan < IDM_PLAN_COUNT; plan++) {
        const struct idm_plan_info *info = idm_plan_info(plan);
        cr_expect(plan_used[plan], "no cell uses the plan %s", info->name);
        cr_expect(idm_plan_why(plan) && strchr(idm_plan_why(plan), ' '), "%s", info->name);
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
Test(fsm_plans, plans_that_issue_say_so)
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

/* design 5: creation ends with the record. What a legacy image reads may follow it: it is a copy. */
Test(fsm_plans, creation_ends_with_the_record)
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

Test(fsm_plans, destruction_begins_with_the_record)
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
Test(fsm_plans, orders_that_a_legacy_image_may_see)
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

/* table.md, plans: the other orders that the model needs, and what each is for. */
Test(fsm_plans, orders_of_making_and_destroying)
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

/* design 8: the statement names the new certificate and comes with it. */
Test(fsm_plans, a_switch_is_signed_for_by_the_old_key)
{
    EACH_CELL(event, state, cell)
    {
        bool stages = state == IDM_S_software && has(cell.plan, IDM_A_record_staged);
        bool prepares = cell.next == IDM_S_migrating && state != IDM_S_migrating;
        bool commits = state == IDM_S_migrating && has(cell.plan, IDM_A_record_staged);
        if (stages || prepares || commits)
            cr_expect(has(cell.plan, IDM_A_sign_statement), WHERE(event, state));
    }
    EACH_PLAN(plan)
    {
        expect_order(plan, IDM_A_make_tpm_cert, IDM_A_sign_statement);
        expect_order(plan, IDM_A_sign_statement, IDM_A_record_staged);
        expect_order(plan, IDM_A_sign_statement, IDM_A_record_tpm_identity);
    }
}

/* table.md, Witness and PROVISION: old copies of the disk are dead before anything shows the new identity;
 * at first use the record comes before the legacy view, after a reset behind it. */
Test(fsm_plans, an_identity_is_shown_when_it_stands)
{
    EACH_PLAN(plan)
    {
        expect_order(plan, IDM_A_increment_counter, IDM_A_restore_config_key);
        expect_order(plan, IDM_A_increment_counter, IDM_A_put_tpm_cert_in_config);
        expect_order(plan, IDM_A_make_legacy_cert, IDM_A_record_staged);
        expect_order(plan, IDM_A_record_staged, IDM_A_restore_config_key);
        expect_order(plan, IDM_A_renew_legacy_pair, IDM_A_record_legacy);
        expect_order(plan, IDM_A_record_legacy, IDM_A_restore_config_key);
        expect_order(plan, IDM_A_record_tpm_cert, IDM_A_copy_tpm_cert);
        expect_order(plan, IDM_A_record_pending, IDM_A_restore_config_key);
        if (has(plan, IDM_A_make_legacy_key) && has(plan, IDM_A_restore_config_key))
            cr_expect(has(plan, IDM_A_record_staged), "%s", idm_plan_info(plan)->name);
        if (has(plan, IDM_A_renew_legacy_pair) && has(plan, IDM_A_restore_config_key))
            cr_expect(has(plan, IDM_A_record_legacy), "%s", idm_plan_info(plan)->name);
        if (has(plan, IDM_A_adopt_tpm_cert)) /* kept twice, design 6 */
            cr_expect(has(plan, IDM_A_copy_tpm_cert), "%s", idm_plan_info(plan)->name);
    }
    EACH_CELL(event, state, cell)
    {
        if (!has(cell.plan, IDM_A_increment_counter))
            continue;
        if (state == IDM_S_blank)
            expect_order(cell.plan, IDM_A_record_next, IDM_A_restore_config_key);
        if (state == IDM_S_resetting)
            expect_order(cell.plan, IDM_A_restore_config_cert, IDM_A_record_next);
    }
}

/* Neither half of a pair is of use without the other; adopt_key and reissue_cert make the certificate
 * of the key that they have just secured. */
Test(fsm_plans, pairs_come_and_go_together)
{
    static const enum idm_action halves[][2] = {
        {IDM_A_restore_config_key, IDM_A_restore_config_cert},
        {IDM_A_unseal_store_key, IDM_A_unseal_store_cert},
        {IDM_A_remove_store_key, IDM_A_remove_store_cert},
        {IDM_A_bury_config_key, IDM_A_bury_config_cert},
        {IDM_A_bury_store_key, IDM_A_bury_store_cert},
    };
    EACH_PLAN(plan)
    {
        const char *name = idm_plan_info(plan)->name;
        for (size_t i = 0; i < sizeof halves / sizeof *halves; i++)
            cr_expect_eq(has(plan, halves[i][0]), has(plan, halves[i][1]), "%s", name);
        bool renews = has(plan, IDM_A_renew_legacy_cert);
        cr_expect_eq(has(plan, IDM_A_adopt_pair_key),
                     has(plan, IDM_A_adopt_pair_cert) ||
                         (renews && !has(plan, IDM_A_restore_store_key)),
                     "%s", name);
        cr_expect_eq(has(plan, IDM_A_restore_store_key),
                     has(plan, IDM_A_restore_store_cert) ||
                         (renews && !has(plan, IDM_A_adopt_pair_key)),
                     "%s", name);
        expect_order(plan, IDM_A_adopt_pair_key, IDM_A_renew_legacy_cert);
        expect_order(plan, IDM_A_restore_store_key, IDM_A_renew_legacy_cert);
    }
}

/* I10: a key in the chip has a counter that guards it, on record before there is anything to guard. */
Test(fsm_plans, no_key_without_a_witness)
{
    EACH_PLAN(plan)
    {
        const char *name = idm_plan_info(plan)->name;
        bool makes = has(plan, IDM_A_make_parent);
        cr_expect_eq(makes, has(plan, IDM_A_make_counter) && has(plan, IDM_A_record_witness), "%s",
                     name);
        cr_expect_eq(makes, has(plan, IDM_A_make_tpm_cert), "%s", name);
        if (has(plan, IDM_A_record_rebaselined)) /* the counter may be what was lost */
            cr_expect(has(plan, IDM_A_make_counter) || has(plan, IDM_A_add_counter), "%s", name);
        expect_order(plan, IDM_A_make_counter, IDM_A_record_rebaselined);
        expect_order(plan, IDM_A_add_counter, IDM_A_record_rebaselined);
    }
}

/* table.md, SEAL and UNSEAL: nothing is given up, nothing relied on, that was not read back. */
Test(fsm_plans, what_is_sealed_or_unsealed_is_tried)
{
    EACH_PLAN(plan)
    {
        const char *name = idm_plan_info(plan)->name;
        bool seals = has(plan, IDM_A_seal_legacy_pair);
        cr_expect(!seals || has(plan, IDM_A_compare_sealed_pair), "%s", name);
        bool returns = has(plan, IDM_A_unseal_store_key) || has(plan, IDM_A_renew_legacy_pair) ||
                       has(plan, IDM_A_record_released);
        cr_expect(!returns || has(plan, IDM_A_check_config_pair), "%s", name);
        expect_order(plan, IDM_A_compare_sealed_pair, IDM_A_put_tpm_cert_in_config);
        expect_order(plan, IDM_A_check_config_pair, IDM_A_record_released);
        /* The record says "no plain key" only when there is none: I6. */
        expect_order(plan, IDM_A_remove_config_key, IDM_A_record_state);
        expect_order(plan, IDM_A_remove_config_key, IDM_A_record_next);
        expect_order(plan, IDM_A_remove_store_key, IDM_A_record_state);
        expect_order(plan, IDM_A_remove_store_cert, IDM_A_record_state);
    }
}

/* design 2 and 4, tpm: the TPM's certificate in the config directory, and no key file. Where only the
 * record was lost that is what was found. */
Test(fsm_plans, in_tpm_no_key_lies_in_the_config_directory)
{
    EACH_CELL(event, state, cell)
    {
        if (cell.next != IDM_S_tpm || state == IDM_S_tpm || event == IDM_EV_no_record_tpm_proven)
            continue;
        cr_expect(has(cell.plan, IDM_A_put_tpm_cert_in_config) &&
                      has(cell.plan, IDM_A_remove_config_key),
                  WHERE(event, state));
    }
    EACH_CELL(event, state, cell)
    {
        if (state != IDM_S_tpm)
            continue;
        if (has(cell.plan, IDM_A_restore_config_folder) || has(cell.plan, IDM_A_record_tpm_cert))
            cr_expect(has(cell.plan, IDM_A_put_tpm_cert_in_config) ||
                          event == IDM_EV_device_cert_due,
                      WHERE(event, state));
    }
    EACH_PLAN(plan)
    {
        expect_order(plan, IDM_A_put_tpm_cert_in_config, IDM_A_restore_config_folder);
        expect_order(plan, IDM_A_restore_config_cert, IDM_A_restore_config_folder);
    }
}

/* I8: a reset empties every place where an old identity may lie. */
Test(fsm_plans, a_reset_empties_every_place)
{
    static const enum idm_action places[] = {
        IDM_A_bury_config_cert, IDM_A_bury_config_key, IDM_A_bury_store_key, IDM_A_bury_store_cert,
        IDM_A_bury_tss2_files,  IDM_A_bury_tpm_certs,  IDM_A_remove_sealed,
    };
    EACH_CELL(event, state, cell)
    {
        enum idm_plan plan = cell.plan;
        if (!begins(idm_event_name(event), "reset_begun_") || state != IDM_S_resetting)
            continue;
        for (size_t i = 0; i < sizeof places / sizeof *places; i++)
            cr_expect(has(plan, places[i]), "%s: %s", idm_plan_info(plan)->name,
                      idm_action_name(places[i]));
        bool in_chip = has(plan, IDM_A_evict_dead) || has(plan, IDM_A_clear_chip);
        cr_expect_eq(in_chip, event != IDM_EV_reset_begun_soft, WHERE(event, state));
        cr_expect_eq(has(plan, IDM_A_increment_for_reset), in_chip, WHERE(event, state));
        expect_order(plan, IDM_A_increment_for_reset, IDM_A_evict_dead);
        expect_order(plan, IDM_A_increment_for_reset, IDM_A_clear_chip);
        expect_order(plan, IDM_A_bury_tss2_files, IDM_A_clear_chip);
        expect_order(plan, IDM_A_bury_store_cert, IDM_A_record_cleared);
    }
}

/* The same for a dead Name that was seen. */
Test(fsm_plans, a_dead_name_goes_everywhere)
{
    cr_expect(has(IDM_P_bury, IDM_A_bury_tss2_files) && has(IDM_P_bury, IDM_A_bury_tpm_certs));
    cr_expect(has(IDM_P_bury, IDM_A_evict_dead) && has(IDM_P_bury, IDM_A_record_buried));
    expect_order(IDM_P_bury, IDM_A_evict_dead, IDM_A_record_buried);
    expect_order(IDM_P_bury, IDM_A_bury_tpm_certs, IDM_A_record_buried);
}

/* Two things that follow from a record must not outlive it. */
Test(fsm_plans, a_request_and_an_installation_are_on_record_first)
{
    EACH_CELL(event, state, cell)
    {
        bool acts = cell.kind == IDM_CELL_GO;
        /* An installer's request that is left lying begins the reset again when it is done. */
        if (acts && has(cell.plan, IDM_A_record_reset))
            cr_expect(has(cell.plan, IDM_A_remove_reset_request), WHERE(event, state));
        if (acts && event == IDM_EV_reset_request_taken)
            cr_expect(has(cell.plan, IDM_A_remove_reset_request), WHERE(event, state));
        /* I5: without it a boot before the updater's next hook seals again. */
        if (acts && begins(idm_event_name(event), "pre_install_"))
            cr_expect_eq(idm_plan_info(cell.plan)->steps[0], IDM_A_record_install,
                         WHERE(event, state));
    }
}

/* An action is repeatable so that a plan can be, not so that a plan does it twice: each costs writes to
 * flash, or commands of the chip. */
Test(fsm_plans, nothing_is_done_twice)
{
    EACH_PLAN(plan)
    {
        const struct idm_plan_info *info = idm_plan_info(plan);
        for (int i = 0; i < length_of(plan); i++)
            cr_expect_eq(step_of(plan, info->steps[i]), i, "%s: %s", info->name,
                         idm_action_name(info->steps[i]));
    }
}

/* ---- what plans need ---- */

/* Does it take room that could wait? The legacy view, the marker and the end of a dead key do not wait; a
 * removal takes none. */
static bool takes_room(enum idm_action action)
{
    if (action == IDM_A_record_announced)
        return false;
    return writes_record(action) || creates(action) || action == IDM_A_restore_store_key ||
           action == IDM_A_restore_tpm_copies;
}

/* ff 30: without room nothing is begun that cannot be finished, and what must be done is done. */
Test(fsm_plans, plans_that_take_room_say_so)
{
    EACH_PLAN(plan)
    {
        const struct idm_plan_info *info = idm_plan_info(plan);
        bool takes = false;
        for (int i = 0; i < length_of(plan); i++)
            takes |= takes_room(info->steps[i]);
        cr_expect_eq(info->needs_room, takes && plan != IDM_P_bury, "%s", info->name);
    }
}

/* design 5: a failed action is an event of its own. These fail, and the identity works all the same. */
Test(fsm_plans, what_may_fail)
{
    static const enum idm_reason tolerated[IDM_PLAN_COUNT] = {
        [IDM_P_mark] = IDM_R_storage_full,
        [IDM_P_restore_view] = IDM_R_storage_full,
        [IDM_P_restore_tpm_view] = IDM_R_storage_full,
        [IDM_P_bury] = IDM_R_backup_degraded,
        [IDM_P_restore_copies] = IDM_R_backup_degraded,
        [IDM_P_add_witness] = IDM_R_tpm_owned,
    };
    EACH_PLAN(plan)
    cr_expect_eq(idm_plan_info(plan)->tolerates, tolerated[plan], "%s", idm_plan_info(plan)->name);
}

/* design 8 and table.md: which way is begun, by hand. */
static enum idm_intent way_of(enum idm_event event, enum idm_state state)
{
    switch ((int)event) {
    case IDM_EV_no_record_empty:
    case IDM_EV_given_key_taken:
    case IDM_EV_release_reuse:
        return IDM_INTENT_provision;
    case IDM_EV_no_record_empty_no_tpm:
    case IDM_EV_no_record_empty_tpm_bad:
        return IDM_INTENT_provision_soft;
    case IDM_EV_cert_loss_due:
    case IDM_EV_commit_accepted:
        return IDM_INTENT_to_tpm;
    case IDM_EV_no_record_reset:
    case IDM_EV_reset_wanted:
    case IDM_EV_reset_requested:
        return IDM_INTENT_reset;
    case IDM_EV_no_record_reset_soft:
    case IDM_EV_reset_wanted_soft:
    case IDM_EV_reset_requested_chip_gone:
        return IDM_INTENT_reset_soft;
    case IDM_EV_release_new_identity: /* with a record the chip's keys may be another disk's */
        return state == IDM_S_none ? IDM_INTENT_reset : IDM_INTENT_reset_soft;
    default:
        return IDM_INTENT_none;
    }
}

Test(fsm_plans, each_way_is_begun_as_what_it_is)
{
    EACH_CELL(event, state, cell)
    {
        if (cell.kind == IDM_CELL_GO)
            cr_expect_eq(idm_plan_info(cell.plan)->intent, way_of(event, state),
                         WHERE(event, state));
    }
}
