/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine/internal.h"

static const idm_action_fn actions[IDM_ACTION_COUNT] = {
#define ACTION_FUNCTION(name) [IDM_A_##name] = idm_do_##name,
    IDM_ACTIONS(ACTION_FUNCTION)
#undef ACTION_FUNCTION
};

idm_action_fn idm_action(enum idm_action action)
{
    return actions[action];
}

/* After these the chip must be asked again; files and slots are read anew in every round anyway.
 * The record's Names and counter range decide what is asked, so every change of them counts too. */
bool idm_action_touches_chip(enum idm_action action)
{
    switch ((int)action) {
    case IDM_A_rewrite_record_copy:
    case IDM_A_record_slots:
    case IDM_A_record_install:
    case IDM_A_record_statement:
    case IDM_A_record_install_failed:
    case IDM_A_record_committed:
    case IDM_A_record_announced:
    case IDM_A_record_pending_off:
    case IDM_A_renew_tpm_cert: /* record_tpm_cert comes next; until then the proof stands */
    case IDM_A_restore_store_key:
    case IDM_A_restore_store_cert:
    case IDM_A_restore_config_key:
    case IDM_A_restore_config_cert:
    case IDM_A_check_config_pair:
    case IDM_A_put_tpm_cert_in_config:
    case IDM_A_write_marker:
    case IDM_A_remove_reset_request:
        return false;
    default:
        return true;
    }
}
