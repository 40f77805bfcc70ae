/* SPDX-License-Identifier: BSD-2-Clause */
/* promela.c - the table and the plans as Promela, for SPIN.
 *
 * Printed: numbers for every word, the cells of each row, the order of the rows, the actions of each
 * plan. Not printed: when an event is raised, what an action does, what may happen to a device, and what
 * must hold; a model written by hand says that (tests/spin/device.pml), so that two people would have to
 * make the same mistake. A row whose `raised_…` that model does not define is never raised in it.
 */
#include "diagrams/lab.h"

/* Promela words hold no hyphens. */
static void print_word(FILE *out, const char *prefix, const char *word)
{
    (void)fputs(prefix, out);
    for (const char *c = word; *c; c++)
        (void)fputc(*c == '-' ? '_' : *c, out);
}

static void define(FILE *out, const char *prefix, const char *word, unsigned int value)
{
    (void)fputs("#define ", out);
    print_word(out, prefix, word);
    (void)fprintf(out, " %u\n", value);
}

static void print_numbers(FILE *out)
{
    static const char *const intents[] = {
        [IDM_INTENT_none] = "none",     [IDM_INTENT_provision] = "provision",
        [IDM_INTENT_to_tpm] = "to_tpm", [IDM_INTENT_provision_soft] = "provision_soft",
        [IDM_INTENT_reset] = "reset",   [IDM_INTENT_reset_soft] = "reset_soft"};
    for (unsigned int i = 0; i < IDM_STATE_COUNT; i++)
        define(out, "S_", idm_state_name((enum idm_state)i), i);
    for (unsigned int i = 0; i < IDM_EVENT_COUNT; i++)
        define(out, "E_", idm_event_name((enum idm_event)i), i);
    define(out, "E_", "none", IDM_EV_none);
    for (unsigned int i = 0; i < IDM_PLAN_COUNT; i++)
        define(out, "P_", idm_plan_info((enum idm_plan)i)->name, i);
    for (unsigned int i = 1; i < IDM_ACTION_COUNT; i++)
        define(out, "A_", idm_action_name((enum idm_action)i), i);
    define(out, "A_", "end", IDM_A_none);
    define(out, "K_", "go", IDM_CELL_GO);
    define(out, "K_", "end", IDM_CELL_END);
    define(out, "K_", "hold", IDM_CELL_HOLD);
    define(out, "K_", "ignore", IDM_CELL_IGNORE);
    define(out, "K_", "refuse", IDM_CELL_REFUSE);
    define(out, "K_", "never", IDM_CELL_NEVER);
    for (unsigned int i = 0; i < sizeof intents / sizeof *intents; i++)
        define(out, "I_", intents[i], i);
}

static void print_cell(FILE *out, enum idm_event event, enum idm_state state)
{
    struct idm_cell cell = idm_table_cell(event, state);
    (void)fprintf(out, "  :: r_state == %u -> kind = %u; next = %u; plan = %u\n",
                  (unsigned int)state, (unsigned int)cell.kind, (unsigned int)cell.next,
                  (unsigned int)cell.plan);
}

static void print_row(FILE *out, enum idm_event event)
{
    const char *name = idm_event_name(event);
    (void)fprintf(out, "\n#ifndef raised_%s\n#define raised_%s false\n#endif\n", name, name);
    (void)fprintf(out, "inline row_%s() {\n  if\n", name);
    for (unsigned int s = 0; s < IDM_STATE_COUNT; s++)
        print_cell(out, event, (enum idm_state)s);
    (void)fprintf(out,
                  "  fi;\n  if\n  :: kind == K_ignore -> skip\n"
                  "  :: else -> event = E_%s\n  fi\n}\n",
                  name);
}

/* The rows in their order; those behind the first that is raised and not ignored are passed over. */
static void print_order(FILE *out, const char *name, bool requests)
{
    (void)fprintf(out, "\ninline %s() {\n  event = E_none; kind = K_ignore; next = r_state;\n",
                  name);
    for (unsigned int i = 0; i < IDM_EVENT_COUNT; i++)
        if (lab_is_request((enum idm_event)i) == requests)
            (void)fprintf(
                out, "  d_step { if :: event == E_none && raised_%s -> row_%s() :: else fi };\n",
                idm_event_name((enum idm_event)i), idm_event_name((enum idm_event)i));
    (void)fputs("  skip\n}\n", out);
}

static void print_plans(FILE *out)
{
    (void)fputs("\n/* The action at place `at` of `plan`. */\ninline step_of_plan() {\n  if\n",
                out);
    for (unsigned int p = 0; p < IDM_PLAN_COUNT; p++) {
        const struct idm_plan_info *info = idm_plan_info((enum idm_plan)p);
        for (size_t i = 0; info->steps[i] != IDM_A_none; i++)
            (void)fprintf(out, "  :: plan == %u && at == %zu -> action = %u\n", p, i,
                          (unsigned int)info->steps[i]);
    }
    (void)fputs("  :: else -> action = A_end\n  fi\n}\n", out);
    (void)fputs("\n/* What `record_begin` and `record_staged` note as the open plan. */\n"
                "inline intent_of_plan() {\n  if\n",
                out);
    for (unsigned int p = 0; p < IDM_PLAN_COUNT; p++) {
        enum idm_intent intent = idm_plan_info((enum idm_plan)p)->intent;
        if (intent != IDM_INTENT_none)
            (void)fprintf(out, "  :: plan == %u -> r_intent = %u\n", p, (unsigned int)intent);
    }
    (void)fputs("  :: else -> skip\n  fi\n}\n", out);
}

int lab_print_promela(FILE *out)
{
    (void)fputs(
        "/* The state machine of idmode, printed by `idmode-lab diagram --format promela`. The "
        "model that\n"
        " * includes it declares r_state, r_intent, event, kind, next, plan, at, action. */\n",
        out);
    print_numbers(out);
    for (unsigned int i = 0; i < IDM_EVENT_COUNT; i++)
        print_row(out, (enum idm_event)i);
    print_order(out, "classify_boot", false);
    print_order(out, "classify_request", true);
    print_plans(out);
    return 0;
}
