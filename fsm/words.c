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
    [IDM_CHIP_UNASKED] = "unknown",   [IDM_CHIP_NONE] = "absent",    [IDM_CHIP_USABLE] = "usable",
    [IDM_CHIP_BUSY] = "busy",         [IDM_CHIP_LOCKED] = "locked",  [IDM_CHIP_ABSENT] = "absent",
    [IDM_CHIP_FAILED] = "failed",     [IDM_CHIP_OWNED] = "owned",    [IDM_CHIP_CLEARED] = "cleared",
    [IDM_CHIP_REPLACED] = "replaced", [IDM_CHIP_GARBLED] = "failed",
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

/* ---- facts in words ---- */

const char *idm_evidence_words(enum idm_evidence fact)
{
    static const char *const words[] = {
        [IDM_EVIDENCE_READABLE] = "both directories can be believed",
        [IDM_EVIDENCE_CONFIG_UNREADABLE] = "the config directory is unreadable or not mounted",
        [IDM_EVIDENCE_PERSIST_UNREADABLE] = "the persist directory is unreadable or not mounted",
    };
    return words[fact];
}

const char *idm_record_words(enum idm_record_fact fact)
{
    static const char *const words[] = {
        [IDM_RECORD_ABSENT] = "there is none",
        [IDM_RECORD_GOOD] = "two equal copies",
        [IDM_RECORD_COPY_LOST] = "one good copy; the other is missing, damaged or older",
        [IDM_RECORD_CORRUPT] = "damaged, or two copies that contradict each other",
        [IDM_RECORD_NEWER] = "written by a newer idmode",
    };
    return words[fact];
}

const char *idm_file_words(enum idm_file_fact fact)
{
    static const char *const words[] = {
        [IDM_FILE_ABSENT] = "not there",
        [IDM_FILE_SOFTWARE] = "the recorded software identity's",
        [IDM_FILE_TPM] = "the recorded TPM identity's",
        [IDM_FILE_DEAD] = "of an identity that was given up",
        [IDM_FILE_FORMER] = "the software identity's before its renewal",
        [IDM_FILE_OTHER] = "good, but not on record",
        [IDM_FILE_CORRUPT] = "damaged",
    };
    return words[fact];
}

const char *idm_copy_words(enum idm_copy fact)
{
    static const char *const words[] = {
        [IDM_COPY_ABSENT] = "not there", [IDM_COPY_GOOD] = "good", [IDM_COPY_BAD] = "damaged"};
    return words[fact];
}

const char *idm_proof_words(enum idm_proof fact)
{
    static const char *const words[] = {
        [IDM_PROOF_UNASKED] = "not asked for",
        [IDM_PROOF_GIVEN] = "given: the recorded key signed in this boot",
        [IDM_PROOF_LOST] = "failed: no copy of the recorded key works",
    };
    return words[fact];
}

const char *idm_counter_words(enum idm_counter_fact fact)
{
    static const char *const words[] = {
        [IDM_COUNTER_UNASKED] = "not asked for",
        [IDM_COUNTER_UNRECORDED] = "none is on record",
        [IDM_COUNTER_LEGAL] = "as the record allows",
        [IDM_COUNTER_ILLEGAL] = "not what the record allows: an old copy of the disk",
        [IDM_COUNTER_LOST] = "on record, but gone or not ours",
    };
    return words[fact];
}

const char *idm_seal_words(enum idm_seal fact)
{
    static const char *const words[] = {
        [IDM_SEAL_NONE] = "not sealed",
        [IDM_SEAL_FRESH] = "sealed; the plain copies stay until the TPM was reset once",
        [IDM_SEAL_MATURE] = "sealed, and proven after a TPM reset",
    };
    return words[fact];
}

const char *idm_tri_word(enum idm_fact_tri fact)
{
    static const char *const words[] = {
        [IDM_FACT_UNKNOWN] = "unknown", [IDM_FACT_NO] = "no", [IDM_FACT_YES] = "yes"};
    return words[fact];
}
