/* SPDX-License-Identifier: BSD-2-Clause */
/* markdown.c - docs/table.md: the whole machine for reading. */
#include "diagrams/lab.h"

#include <ctype.h>

/* ---- words ---- */

/* A bar would end the column. */
static void print_text(FILE *out, const char *text)
{
    for (; *text; text++)
        (void)fprintf(out, "%s%c", *text == '|' ? "\\" : "", *text);
}

/* A clause of the table as a sentence. */
static void print_sentence(FILE *out, const char *clause)
{
    (void)fputc(toupper((unsigned char)clause[0]), out);
    print_text(out, clause + 1);
    (void)fputs(".\n\n", out);
}

static void print_go(FILE *out, const struct idm_cell *cell, enum idm_state state)
{
    if (cell->next == state)
        (void)fputs("stays", out);
    else
        (void)fprintf(out, "→ %s", idm_state_name(cell->next));
    (void)fprintf(out, ": `%s`", idm_plan_info(cell->plan)->name);
    if (cell->reason)
        (void)fprintf(out, " (%s)", lab_reason_word(cell->reason));
}

/* What a cell does, without its why: "→ software: adopt_pair", "held: tpm-absent". */
static void print_cell(FILE *out, enum idm_event event, enum idm_state state)
{
    struct idm_cell cell = idm_table_cell(event, state);
    const char *plan = idm_plan_info(cell.plan)->name;
    const char *reason = lab_reason_word(cell.reason);
    switch (cell.kind) {
    case IDM_CELL_GO:
        print_go(out, &cell, state);
        break;
    case IDM_CELL_END:
        (void)fprintf(out, "end%s%s: `%s`", cell.reason ? " " : "", reason, plan);
        break;
    case IDM_CELL_HOLD:
        (void)fprintf(out, "**held** %s", reason);
        break;
    case IDM_CELL_IGNORE:
        (void)fputs("ignored", out);
        break;
    case IDM_CELL_REFUSE:
        (void)fprintf(out, "refused (%u)", cell.exit);
        break;
    case IDM_CELL_NEVER:
    case IDM_CELL_MISSING:
        (void)fputs("–", out);
        break;
    }
}

/* ---- parts ---- */

static void print_reasons_behind(FILE *out, enum idm_reason reason)
{
    uint64_t seen = 0;
    const char *comma = "";
    for (enum idm_chip chip = 0; chip < IDM_CHIP_COUNT; chip++)
        for (enum idm_room_fact room = 0; room <= IDM_ROOM_IS_READ_ONLY; room++) {
            struct idm_facts facts = {.chip = chip, .room = room};
            enum idm_reason found = idm_reason_resolve(reason, &facts);
            if (found == IDM_R_none || seen >> found & 1)
                continue;
            seen |= UINT64_C(1) << found;
            (void)fprintf(out, "%s`%s`", comma, idm_reason_word(found));
            comma = ", ";
        }
}

static void print_head(FILE *out)
{
    (void)fputs(
        "# The state machine\n\n"
        "Printed by `idmode-lab diagram --format markdown` from the table that the devices run\n"
        "(`fsm/table.def`, `fsm/plans.def`, `fsm/fsm.h`); `./dev diagrams` writes it again. The\n"
        "changes of state as a picture: [state-machine.svg](state-machine.svg).\n\n"
        "- [States](#states)\n- [Events and states](#events-and-states)\n"
        "- [Events](#events)\n- [Plans](#plans)\n- [Reasons](#reasons)\n\n"
        "## States\n\n| state | `idmode mode` | what it means |\n|---|---|---|\n",
        out);
    for (enum idm_state s = 0; s < IDM_STATE_COUNT; s++)
        (void)fprintf(out, "| %s | %s | %s |\n", idm_state_name(s), lab_look_of(s)->mode,
                      lab_look_of(s)->sentence);
    (void)fputs("\nWhile a device is held, its mode is `unknown` in every state.\n\n", out);
}

static void print_table_head(FILE *out)
{
    (void)fputs("\n| event |", out);
    for (enum idm_state s = 0; s < IDM_STATE_COUNT; s++)
        (void)fprintf(out, " %s |", idm_state_name(s));
    (void)fputs("\n|---|", out);
    for (enum idm_state s = 0; s < IDM_STATE_COUNT; s++)
        (void)fputs("---|", out);
    (void)fputc('\n', out);
}

static void print_rows(FILE *out, bool request)
{
    print_table_head(out);
    for (enum idm_event e = 0; e < IDM_EVENT_COUNT; e++) {
        if (lab_is_request(e) != request)
            continue;
        (void)fprintf(out, "| [%s](#%s) |", idm_event_name(e), idm_event_name(e));
        for (enum idm_state s = 0; s < IDM_STATE_COUNT; s++) {
            (void)fputc(' ', out);
            print_cell(out, e, s);
            (void)fputs(" |", out);
        }
        (void)fputc('\n', out);
    }
}

static void print_matrix(FILE *out)
{
    (void)fputs("## Events and states\n\n"
                "The first event from the top that is raised and not ignored decides.\n\n"
                "| in a cell | means |\n|---|---|\n"
                "| → tpm: `plan` | run the plan, be in that state, look again |\n"
                "| stays: `plan` | run the plan, stay, look again; a word in brackets is a reason "
                "that this boot reports |\n"
                "| end: `plan` | run the plan; the loop ends and the identity, if there is one, is "
                "in use |\n"
                "| **held** reason | the loop ends; the identity cannot be proven now, and nothing "
                "is generated |\n"
                "| ignored | raised, and rightly without effect here |\n"
                "| refused (1) | the request is refused with this exit code; nothing changes |\n"
                "| – | cannot happen; the event's section says why |\n"
                "| by-chip | the reason that fits what the TPM answers: ",
                out);
    print_reasons_behind(out, IDM_R_by_chip);
    (void)fputs(" |\n| by-room | the reason that fits the storage: ", out);
    print_reasons_behind(out, IDM_R_by_room);
    (void)fputs(" |\n\n### Found at boot\n", out);
    print_rows(out, false);
    (void)fputs("\n### Asked for by a command or a hook\n", out);
    print_rows(out, true);
}

static void print_event(FILE *out, enum idm_event event)
{
    (void)fprintf(out, "\n### %s\n\n", idm_event_name(event));
    print_sentence(out, idm_event_sentence(event));
    (void)fputs("| state | what is done | why |\n|---|---|---|\n", out);
    for (enum idm_state s = 0; s < IDM_STATE_COUNT; s++) {
        (void)fprintf(out, "| %s | ", idm_state_name(s));
        print_cell(out, event, s);
        (void)fputs(" | ", out);
        print_text(out, idm_table_cell(event, s).why);
        (void)fputs(" |\n", out);
    }
}

static void print_plan(FILE *out, enum idm_plan plan)
{
    const struct idm_plan_info *info = idm_plan_info(plan);
    (void)fprintf(out, "\n### %s\n\n", info->name);
    print_sentence(out, idm_plan_why(plan));
    for (size_t i = 0; info->steps[i]; i++)
        (void)fprintf(out, "%zu. `%s`\n", i + 1, idm_action_name(info->steps[i]));
    if (info->steps[0])
        (void)fputc('\n', out);
    if (info->issues_certificate)
        (void)fputs("- only under a plausible clock: it issues a certificate\n", out);
    if (info->needs_room)
        (void)fputs("- only with room for what it writes\n", out);
    (void)fprintf(out, "- a step that fails %s%s%s\n",
                  info->tolerates ? "becomes the reason `" : "ends the boot with an error",
                  idm_reason_word(info->tolerates),
                  info->tolerates ? "`, and the boot goes on" : "");
}

static void print_reasons(FILE *out)
{
    (void)fputs("\n## Reasons\n\nWhy a device is held, or works but is not healthy.\n\n"
                "| reason | what it means | what to do |\n|---|---|---|\n",
                out);
    for (enum idm_reason r = IDM_R_none + 1; r < IDM_REASON_COUNT; r++) {
        (void)fprintf(out, "| `%s` | ", idm_reason_word(r));
        print_text(out, idm_reason_sentence(r));
        (void)fputs(" | ", out);
        print_text(out, idm_reason_todo(r));
        (void)fputs(" |\n", out);
    }
}

int lab_print_markdown(FILE *out)
{
    print_head(out);
    print_matrix(out);
    (void)fputs("\n## Events\n", out);
    for (enum idm_event e = 0; e < IDM_EVENT_COUNT; e++)
        print_event(out, e);
    (void)fputs("\n## Plans\n\nPower may fail after each step; repeating a plan from its start is "
                "always right, because\nevery step looks first at what is already there.\n",
                out);
    for (enum idm_plan p = 0; p < IDM_PLAN_COUNT; p++)
        print_plan(out, p);
    print_reasons(out);
    return 0;
}
