/* SPDX-License-Identifier: BSD-2-Clause */
#include "diagrams/lab.h"

#include <string.h>

/* RFC 4180: quoted when it must be, quotes doubled. Newlines end in \n, as Unix tools want. */
static void print_field(FILE *out, const char *text, char end)
{
    if (!strpbrk(text, ",\"\n")) {
        (void)fprintf(out, "%s%c", text, end);
        return;
    }
    (void)fputc('"', out);
    for (; *text; text++)
        (void)fprintf(out, "%s%c", *text == '"' ? "\"" : "", *text);
    (void)fprintf(out, "\"%c", end);
}

static void print_cell(FILE *out, enum idm_event event, enum idm_state state)
{
    struct idm_cell cell = idm_table_cell(event, state);
    char code[8] = "";
    if (cell.kind == IDM_CELL_REFUSE)
        (void)snprintf(code, sizeof code, "%u", cell.exit);
    print_field(out, idm_event_name(event), ',');
    print_field(out, idm_state_name(state), ',');
    print_field(out, idm_cell_kind_name(cell.kind), ',');
    print_field(out, idm_state_name(cell.next), ',');
    print_field(out, idm_plan_info(cell.plan)->name, ',');
    print_field(out, lab_reason_word(cell.reason), ',');
    print_field(out, code, ',');
    print_field(out, cell.why, '\n');
}

int lab_print_csv(FILE *out)
{
    (void)fputs("event,state,kind,next,plan,reason,exit,why\n", out);
    for (enum idm_event e = 0; e < IDM_EVENT_COUNT; e++)
        for (enum idm_state s = 0; s < IDM_STATE_COUNT; s++)
            print_cell(out, e, s);
    return 0;
}
