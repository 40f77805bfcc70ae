/* SPDX-License-Identifier: BSD-2-Clause */
#include "fsm/fsm.h"

static const char *const states[IDM_STATE_COUNT] = {
    [IDM_S_none] = "none",           [IDM_S_blank] = "blank",       [IDM_S_software] = "software",
    [IDM_S_migrating] = "migrating", [IDM_S_tpm_dual] = "tpm-dual", [IDM_S_tpm] = "tpm",
    [IDM_S_resetting] = "resetting",
};

static const char *const kinds[] = {
    [IDM_CELL_MISSING] = "missing", [IDM_CELL_GO] = "go",         [IDM_CELL_END] = "end",
    [IDM_CELL_HOLD] = "hold",       [IDM_CELL_IGNORE] = "ignore", [IDM_CELL_REFUSE] = "refuse",
    [IDM_CELL_NEVER] = "never",
};

static const char *const actions[IDM_ACTION_COUNT] = {[IDM_A_none] = "none",
#define ACTION_NAME(name) [IDM_A_##name] = #name,
                                                      IDM_ACTIONS(ACTION_NAME)
#undef ACTION_NAME
};

static const struct {
    const char *word;
    const char *sentence;
    const char *todo;
} reasons[IDM_REASON_COUNT] = {[IDM_R_none] = {"", "", ""},
#define REASON_WORDS(name, word, sentence, todo) [IDM_R_##name] = {word, sentence, todo},
                               IDM_REASONS(REASON_WORDS)
#undef REASON_WORDS
};

/* contract: tpm.status knows no "unasked" and no "none" */
static const char *const chips[IDM_CHIP_COUNT] = {
    [IDM_CHIP_UNASKED] = "unknown",   [IDM_CHIP_NONE] = "absent",   [IDM_CHIP_USABLE] = "usable",
    [IDM_CHIP_BUSY] = "busy",         [IDM_CHIP_LOCKED] = "locked", [IDM_CHIP_ABSENT] = "absent",
    [IDM_CHIP_FAILED] = "failed",     [IDM_CHIP_OWNED] = "owned",   [IDM_CHIP_CLEARED] = "cleared",
    [IDM_CHIP_REPLACED] = "replaced",
};

const char *idm_state_name(enum idm_state state)
{
    return state < IDM_STATE_COUNT ? states[state] : "same";
}

const char *idm_cell_kind_name(enum idm_cell_kind kind)
{
    return kinds[kind];
}

const char *idm_action_name(enum idm_action action)
{
    return actions[action];
}

const char *idm_reason_word(enum idm_reason reason)
{
    return reason < IDM_REASON_COUNT ? reasons[reason].word : "";
}

const char *idm_reason_sentence(enum idm_reason reason)
{
    return reason < IDM_REASON_COUNT ? reasons[reason].sentence : "";
}

const char *idm_reason_todo(enum idm_reason reason)
{
    return reason < IDM_REASON_COUNT ? reasons[reason].todo : "";
}

const char *idm_chip_name(enum idm_chip chip)
{
    return chips[chip];
}
