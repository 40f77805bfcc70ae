/* SPDX-License-Identifier: BSD-2-Clause */
/* mermaid.c - the changes of state for pages that draw Mermaid; it knows no dashed arrows, so the
 * events of requests say so themselves. */
#include "diagrams/lab.h"

static void print_edge(FILE *out, enum idm_state from, enum idm_state to)
{
    const char *comma = "";
    (void)fprintf(out, "    %s --> %s: ", lab_look_of(from)->id, lab_look_of(to)->id);
    for (enum idm_event e = 0; e < IDM_EVENT_COUNT; e++) {
        if (!lab_moves(e, from, to))
            continue;
        (void)fprintf(out, "%s%s%s", comma, idm_event_name(e), lab_is_request(e) ? " (asked)" : "");
        comma = ", ";
    }
    (void)fputc('\n', out);
}

/* A second class thickens the line: the colour stays that of the mode. */
static void print_here(FILE *out, const struct lab_current *current)
{
    const char *id = lab_look_of(current->state)->id;
    (void)fprintf(out, "    note right of %s\n        this device: ", id);
    lab_print_current(out, current);
    (void)fprintf(out,
                  "\n    end note\n    classDef here stroke-width:4px,font-weight:bold\n"
                  "    class %s here\n",
                  id);
}

int lab_print_mermaid(FILE *out, const struct lab_current *current)
{
    (void)fputs("%% Printed by idmode-lab from fsm/table.def.\nstateDiagram-v2\n    [*] --> none\n",
                out);
    for (enum idm_state s = 0; s < IDM_STATE_COUNT; s++)
        (void)fprintf(out, "    state \"%s\" as %s\n", idm_state_name(s), lab_look_of(s)->id);
    for (enum idm_state from = 0; from < IDM_STATE_COUNT; from++)
        for (enum idm_state to = 0; to < IDM_STATE_COUNT; to++)
            if (lab_joined(from, to, false) || lab_joined(from, to, true))
                print_edge(out, from, to);
    for (enum idm_state s = 0; s < IDM_STATE_COUNT; s++) {
        const struct lab_look *look = lab_look_of(s);
        (void)fprintf(out, "    classDef look_%s fill:%s,stroke:%s\n    class %s look_%s\n",
                      look->id, look->fill, look->line, look->id, look->id);
    }
    if (current)
        print_here(out, current);
    return 0;
}
