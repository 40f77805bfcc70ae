/* SPDX-License-Identifier: BSD-2-Clause */
#include "fsm/fsm.h"

#include <stddef.h>

/* ---- whys that many cells share ---- */

#define UNREAD         "without a readable, current record the state is none"
#define UNRECORDED     "it is a comparison with a record, and there is none"
#define RECORDED       "there is a record"
#define WITNESS        "from then on an old copy of the disk can be told from this one"
#define COPY           "one copy is one accident away from none"
#define DEAD           "a dead Name must not come back, from whatever copy"
#define FORGED         "somebody edited the disk: nothing that it says can be acted on"
#define CLONE          "one identity for two devices: an operator must say which one it is"
#define OLD_DISK       "an old copy of the disk may name dead keys: nothing is derived from it"
#define SLOTS          "what may boot next decides what may be given up: it is noted first"
#define NO_PAIR_YET    "no pair is recorded yet, or it is being destroyed"
#define LEFTOVER       "a plan that was cut left a copy in the store: nobody waits for it, so it goes"
#define NO_PLAIN       "no plain key is kept in this state"
#define NEW_CHIP       "no identity depends on the chip yet"
#define NO_CHIP_NEEDED "the active identity needs no chip"
#define PREPARED_GONE                                                                              \
    "the prepared key is gone; it was never active: the migration is aborted and reported"
#define NO_FALLBACK   "a chip that fails must never activate or make a software identity"
#define NO_RESET      "no factory reset is open in this state"
#define NO_PROVISION  "a first identity is made in blank or resetting only"
#define NO_SWITCH     "a switch is staged in software or migrating only"
#define NO_MAKING     "a TPM identity is made beside in software only"
#define NO_PENDING    "a deletion is pending in software only"
#define NO_CHIP_HELD  "the key in the chip cannot be destroyed without it: held below"
#define NOT_TPM       "the software identity is active in this state"
#define MAKE_FIRST    "first use, or its interruption: what is already there is kept"
#define MAKE_AGAIN    "everything old is gone: the new identity is made as at first use"
#define ACTIVATE      "all parts exist: the counter moves, then the record names them"
#define EXACT         "exact bytes come back from the second copy: damage is not a deletion"
#define INSTALLER     "the installer's word, left durably for this boot"
#define FINAL         "contexts saved before the reset are dead now: it is final"
#define CLOCK         "the identity works; what is due waits for the clock"
#define ROOM_LATER    "the identity works; what is due waits for room"
#define USE           "announced, marked, published"
#define NOTHING_HERE  "no identity is kept here that an installation could lock out"
#define NO_KEY_FOR_IT "the old image would mint an identity that the controller does not know"
#define OPEN          "from here to its commit nothing is given up that another image needs"
#define STATED        "the updater's word about the slot it wrote"
#define FAILED        "the slot may hold the old image, the new one, or neither"
#define COMMIT        "the running image stays"
#define RESET_PRE                                                                                  \
    "not on trial, under a plausible clock, with room, and with a TPM that does its part"
#define ASKED          "destruction begins with the record"
#define NO_IDENTITY    "there is no software identity to migrate"
#define ALREADY        "the TPM identity is already in use"
#define NEWEST         "the operator's word; the key in the chip is the one on record"
#define NOT_RELEASABLE "there it is release_refused"
#define HERE           "the operator's word: this disk stays here; the chip's keys may be another disk's"
#define UNPREPARED     "nothing is prepared"
#define GIVEN_LATE     "there it is given_key_refused"
#define CERT_MISFITS   "there it is cert_offered_misfits"
#define RENEWED        "the record names the renewed one: a cut came before it was copied there"

/* ---- cells ---- */

#define GO(to, does, because)                                                                      \
    {                                                                                              \
        .kind = IDM_CELL_GO, .next = IDM_S_##to, .plan = IDM_P_##does, .why = (because)            \
    }
#define SAME(does, because) GO(same, does, because)
#define SAME_R(says, does, because)                                                                \
    {                                                                                              \
        .kind = IDM_CELL_GO, .next = IDM_S_same, .plan = IDM_P_##does, .reason = IDM_R_##says,     \
        .why = (because)                                                                           \
    }
#define END(says, does, because)                                                                   \
    {                                                                                              \
        .kind = IDM_CELL_END, .next = IDM_S_same, .plan = IDM_P_##does, .reason = IDM_R_##says,    \
        .why = (because)                                                                           \
    }
#define HOLD(says, does, because)                                                                  \
    {                                                                                              \
        .kind = IDM_CELL_HOLD, .next = IDM_S_same, .plan = IDM_P_##does, .reason = IDM_R_##says,   \
        .why = (because)                                                                           \
    }
#define IGNORE(because)                                                                            \
    {                                                                                              \
        .kind = IDM_CELL_IGNORE, .next = IDM_S_same, .why = (because)                              \
    }
#define REFUSE(code, because)                                                                      \
    {                                                                                              \
        .kind = IDM_CELL_REFUSE, .next = IDM_S_same, .exit = (code), .why = (because)              \
    }
#define NEVER(because)                                                                             \
    {                                                                                              \
        .kind = IDM_CELL_NEVER, .next = IDM_S_same, .why = (because)                               \
    }

/* ---- the matrix ---- */

#define NONE(...)      [IDM_S_none] = __VA_ARGS__,
#define BLANK(...)     [IDM_S_blank] = __VA_ARGS__,
#define SOFTWARE(...)  [IDM_S_software] = __VA_ARGS__,
#define MIGRATING(...) [IDM_S_migrating] = __VA_ARGS__,
#define DUAL(...)      [IDM_S_tpm_dual] = __VA_ARGS__,
#define TPM(...)       [IDM_S_tpm] = __VA_ARGS__,
#define RESETTING(...) [IDM_S_resetting] = __VA_ARGS__,
#define REST_NEVER(why)                                                                            \
    BLANK(NEVER(why))                                                                              \
    SOFTWARE(NEVER(why))                                                                           \
    MIGRATING(NEVER(why)) DUAL(NEVER(why)) TPM(NEVER(why)) RESETTING(NEVER(why))
#define ALL(...)                                                                                   \
    NONE(__VA_ARGS__)                                                                              \
    BLANK(__VA_ARGS__)                                                                             \
    SOFTWARE(__VA_ARGS__)                                                                          \
    MIGRATING(__VA_ARGS__) DUAL(__VA_ARGS__) TPM(__VA_ARGS__) RESETTING(__VA_ARGS__)

static const struct idm_cell matrix[IDM_EVENT_COUNT][IDM_STATE_COUNT] = {
#define ROW(name, sentence, ...) [IDM_EV_##name] = {__VA_ARGS__},
#include "fsm/table.def"
#undef ROW
};

static const char *const event_names[IDM_EVENT_COUNT] = {
#define ROW(name, sentence, ...) [IDM_EV_##name] = #name,
#include "fsm/table.def"
#undef ROW
};

static const char *const event_sentences[IDM_EVENT_COUNT] = {
#define ROW(name, sentence, ...) [IDM_EV_##name] = (sentence),
#include "fsm/table.def"
#undef ROW
};

/* The same rows once more, counted: one hexadecimal digit per column, each exactly 1. */
#undef NONE
#undef BLANK
#undef SOFTWARE
#undef MIGRATING
#undef DUAL
#undef TPM
#undef RESETTING
#define NONE(...)      +(1u << 4 * IDM_S_none)
#define BLANK(...)     +(1u << 4 * IDM_S_blank)
#define SOFTWARE(...)  +(1u << 4 * IDM_S_software)
#define MIGRATING(...) +(1u << 4 * IDM_S_migrating)
#define DUAL(...)      +(1u << 4 * IDM_S_tpm_dual)
#define TPM(...)       +(1u << 4 * IDM_S_tpm)
#define RESETTING(...) +(1u << 4 * IDM_S_resetting)
#define ROW(name, sentence, ...)                                                                   \
    _Static_assert((0u __VA_ARGS__) == 0x1111111u, #name " needs exactly one cell for every "      \
                                                         "state");
#include "fsm/table.def"
#undef ROW

struct idm_cell idm_table_cell(enum idm_event event, enum idm_state state)
{
    struct idm_cell cell = matrix[event][state];
    if (cell.next == IDM_S_same)
        cell.next = state;
    return cell;
}

const char *idm_event_name(enum idm_event event)
{
    return event < IDM_EVENT_COUNT ? event_names[event] : "none";
}

const char *idm_event_sentence(enum idm_event event)
{
    return event < IDM_EVENT_COUNT ? event_sentences[event] : "nothing";
}
