/* SPDX-License-Identifier: BSD-2-Clause */
/* classify.c - from facts to the first event, in the order of table.def. */
#include "fsm/predicates.h"

#include <stddef.h>

typedef bool (*raised_fn)(const struct idm_facts *, const struct idm_request *);

static const raised_fn raised[IDM_EVENT_COUNT] = {
#define ROW(name, ...) [IDM_EV_##name] = idm_raised_##name,
#include "fsm/table.def"
#undef ROW
};

enum idm_event idm_first_request_event(void)
{
    return IDM_EV_request_blind;
}

bool idm_event_raised(enum idm_event event, const struct idm_facts *facts,
                      const struct idm_request *request)
{
    return raised[event](facts, request);
}

/* What a plan needs before it may start: noted in *v when it is missing. */
static bool blocked(const struct idm_facts *facts, const struct idm_cell *cell,
                    struct idm_verdict *v)
{
    const struct idm_plan_info *plan = idm_plan_info(cell->plan);
    if (cell->kind != IDM_CELL_GO)
        return false;
    if (plan->issues_certificate && !facts->clock_good)
        v->clock_blocked = true;
    else if (plan->needs_room && facts->room != IDM_ROOM_IS_OK)
        v->room_blocked = true;
    else
        return false;
    return true;
}

static bool raised_now(enum idm_event event, const struct idm_facts *facts,
                       const struct idm_request *request, const struct idm_verdict *v)
{
    if (facts->tried[event / 64] >> (event % 64) & 1)
        return false;
    if (event == IDM_EV_clock_bad)
        return v->clock_blocked;
    if (event == IDM_EV_storage_refuses)
        return v->room_blocked;
    return raised[event](facts, request);
}

struct idm_verdict idm_classify(const struct idm_facts *facts, const struct idm_request *request)
{
    struct idm_verdict v = {.event = IDM_EV_none};
    bool boot = request->kind == IDM_REQ_BOOT;
    unsigned int first = boot ? 0 : idm_first_request_event();
    unsigned int end = boot ? (unsigned int)idm_first_request_event() : IDM_EVENT_COUNT;
    for (unsigned int i = first; i < end; i++) {
        enum idm_event event = (enum idm_event)i;
        if (!raised_now(event, facts, request, &v))
            continue;
        struct idm_cell cell = idm_table_cell(event, facts->state);
        if (cell.kind == IDM_CELL_IGNORE) {
            v.ignored[i / 64] |= UINT64_C(1) << (i % 64);
            continue;
        }
        if (blocked(facts, &cell, &v)) {
            if (boot)
                continue;
            cell = (struct idm_cell){.kind = IDM_CELL_REFUSE,
                                     .next = facts->state,
                                     .exit = 5,
                                     .why = v.clock_blocked ? "the clock is implausible"
                                                            : "there is no room for the change"};
        }
        v.event = event;
        v.cell = cell;
        break;
    }
    return v;
}

enum idm_reason idm_reason_resolve(enum idm_reason reason, const struct idm_facts *facts)
{
    static const enum idm_reason by_chip[IDM_CHIP_COUNT] = {
        [IDM_CHIP_UNASKED] = IDM_R_tpm_absent,    [IDM_CHIP_NONE] = IDM_R_tpm_absent,
        [IDM_CHIP_USABLE] = IDM_R_tpm_key_lost,   [IDM_CHIP_BUSY] = IDM_R_tpm_busy,
        [IDM_CHIP_LOCKED] = IDM_R_tpm_locked,     [IDM_CHIP_ABSENT] = IDM_R_tpm_absent,
        [IDM_CHIP_FAILED] = IDM_R_tpm_failed,     [IDM_CHIP_GARBLED] = IDM_R_tpm_failed,
        [IDM_CHIP_OWNED] = IDM_R_tpm_owned,       [IDM_CHIP_CLEARED] = IDM_R_tpm_cleared,
        [IDM_CHIP_REPLACED] = IDM_R_tpm_replaced,
    };
    if (reason == IDM_R_by_chip && facts->chip == IDM_CHIP_USABLE &&
        facts->counter == IDM_COUNTER_LOST)
        return IDM_R_witness_lost;
    if (reason == IDM_R_by_chip)
        return by_chip[facts->chip];
    if (reason == IDM_R_by_room)
        return facts->room == IDM_ROOM_IS_READ_ONLY ? IDM_R_storage_read_only : IDM_R_storage_full;
    return reason;
}
