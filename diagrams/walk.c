/* SPDX-License-Identifier: BSD-2-Clause */
#include "diagrams/lab.h"

#define GREY  "#f1f3f5", "#868e96"
#define BLUE  "#dbeafe", "#2563a8"
#define GREEN "#d9f2e0", "#2b7a4b"
#define AMBER "#ffeccc", "#b7791f"

static const struct lab_look looks[IDM_STATE_COUNT] = {
    [IDM_S_none] = {"none", "none", "nothing is recorded", GREY},
    [IDM_S_blank] = {"blank", "none", "the first identity is being made", GREY},
    [IDM_S_software] = {"software", "software", "TLS uses the software key", BLUE},
    [IDM_S_migrating] = {"migrating", "software",
                         "TLS uses the software key; a TPM identity waits for the controller",
                         BLUE},
    [IDM_S_tpm_dual] = {"tpm_dual", "tpm",
                        "TLS uses the TPM; a legacy image may boot, so its pair is kept", GREEN},
    [IDM_S_tpm] = {"tpm", "tpm", "TLS uses the TPM; the legacy key is sealed, or there is none",
                   GREEN},
    [IDM_S_resetting] = {"resetting", "none",
                         "everything old is being destroyed; only goes forward", AMBER},
};

const struct lab_look *lab_look_of(enum idm_state state)
{
    return &looks[state];
}

bool lab_is_request(enum idm_event event)
{
    return event >= idm_first_request_event();
}

bool lab_moves(enum idm_event event, enum idm_state from, enum idm_state to)
{
    struct idm_cell cell = idm_table_cell(event, from);
    return cell.kind == IDM_CELL_GO && cell.next == to && from != to;
}

bool lab_joined(enum idm_state from, enum idm_state to, bool request)
{
    for (enum idm_event e = 0; e < IDM_EVENT_COUNT; e++)
        if (lab_is_request(e) == request && lab_moves(e, from, to))
            return true;
    return false;
}

lab_states lab_sources(enum idm_event event, enum idm_state to)
{
    lab_states states = 0;
    for (enum idm_state from = 0; from < IDM_STATE_COUNT; from++)
        if (lab_moves(event, from, to))
            states |= 1u << from;
    return states;
}

static lab_states all_but(enum idm_state state)
{
    return ((1u << IDM_STATE_COUNT) - 1) & ~(1u << state);
}

bool lab_is_hub(enum idm_state to)
{
    lab_states states = 0;
    for (enum idm_event e = 0; e < IDM_EVENT_COUNT; e++)
        states |= lab_sources(e, to);
    return states == all_but(to);
}

void lab_print_states(FILE *out, lab_states states, enum idm_state to)
{
    const char *comma = "";
    if (states == all_but(to)) {
        (void)fputs("any other state", out);
        return;
    }
    for (enum idm_state s = 0; s < IDM_STATE_COUNT; s++) {
        if (!(states >> s & 1))
            continue;
        (void)fprintf(out, "%s%s", comma, idm_state_name(s));
        comma = ", ";
    }
}

const char *lab_reason_word(enum idm_reason reason)
{
    if (reason == IDM_R_by_chip)
        return "by-chip";
    return reason == IDM_R_by_room ? "by-room" : idm_reason_word(reason);
}
