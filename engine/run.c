/* SPDX-License-Identifier: BSD-2-Clause */
/* run.c - the loop: facts → event → cell → plan. The only place that runs a plan, and, with it, the
 * only way by which the state can change. */
#include "engine/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int idm_engine_open(struct idm_engine **ret, const struct idm_backends *backends,
                    const struct idm_settings *settings, struct idm_error *err)
{
    struct idm_engine *e = calloc(1, sizeof *e);
    if (!e)
        return idm_fail(err, IDM_E_MEMORY, "start", "%s", idm_error_sentence(IDM_E_MEMORY));
    e->be = backends;
    e->settings = settings;
    e->last_event = IDM_EV_none;
    idm_free_files(e);
    int rc = backends->platform(backends->self, &e->platform, err);
    if (rc) {
        free(e);
        return rc;
    }
    *ret = e;
    return 0;
}

void idm_engine_close(struct idm_engine *e)
{
    if (!e)
        return;
    idm_free_files(e);
    idm_bytes_free(&e->fresh_tss2);
    idm_bytes_free(&e->offered);
    free(e);
}

void idm_trace(struct idm_engine *e, const char *format, ...)
{
    char line[512];
    va_list args;
    if (!e->be->trace)
        return;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    e->be->trace(e->be->self, line);
}

static void add_reason(struct idm_engine *e, enum idm_reason reason)
{
    enum idm_reason resolved = idm_reason_resolve(reason, &e->facts);
    if (resolved != IDM_R_none)
        e->reasons |= UINT64_C(1) << resolved;
}

/* ---- one step ---- */

static void trace_ignored(struct idm_engine *e, const struct idm_verdict *v)
{
    for (unsigned int i = 0; i < IDM_EVENT_COUNT; i++) {
        uint64_t bit = UINT64_C(1) << (i % 64);
        if (!(v->ignored[i / 64] & bit) || (e->ignored[i / 64] & bit))
            continue;
        e->ignored[i / 64] |= bit;
        idm_trace(e, "%s: %s ignored: %s", idm_state_name(e->facts.state),
                  idm_event_name((enum idm_event)i),
                  idm_table_cell((enum idm_event)i, e->facts.state).why);
    }
}

static void trace_step(struct idm_engine *e, const struct idm_verdict *v)
{
    const struct idm_cell *cell = &v->cell;
    const char *plan = idm_plan_info(cell->plan)->name;
    enum idm_reason reason = idm_reason_resolve(cell->reason, &e->facts);
    idm_trace(e, "%s: %s %s %s, plan %s%s%s: %s", idm_state_name(e->facts.state),
              idm_event_name(v->event), idm_cell_kind_name(cell->kind), idm_state_name(cell->next),
              plan, reason ? ", reason " : "", idm_reason_word(reason), cell->why);
}

/* What is kept for good: changes, refusals and holds. A hold that goes on is one entry. */
static void keep(struct idm_engine *e, const struct idm_verdict *v, uint32_t epoch_before)
{
    enum idm_state from = e->facts.state;
    enum idm_reason reason = idm_reason_resolve(v->cell.reason, &e->facts);
    if (v->cell.kind == IDM_CELL_HOLD)
        idm_history_add(e, "hold", v->event, from, from, reason);
    else if (v->cell.kind == IDM_CELL_REFUSE)
        idm_history_add(e, "refusal", v->event, from, from, IDM_R_none);
    else if (from != v->cell.next || e->record.epoch != epoch_before)
        idm_history_add(e, "change", v->event, from, v->cell.next, reason);
}

static int run_plan(struct idm_engine *e, const struct idm_plan_info *plan, struct idm_error *err)
{
    for (size_t i = 0; plan->steps[i] != IDM_A_none; i++) {
        enum idm_action action = plan->steps[i];
        if (idm_action_touches_chip(action))
            e->chip.asked = false;
        int rc = idm_action(action)(e, err);
        if (rc) {
            e->chip.asked = false;
            idm_trace(e, "%s: action %s failed: %s", idm_state_name(e->facts.state),
                      idm_action_name(action), err->why);
            return rc;
        }
        /* Where a cut that is asked for by name falls: after this line, in every world. */
        idm_trace(e, "%s: %s done", idm_state_name(e->facts.state), idm_action_name(action));
    }
    return 0;
}

/* A chip may answer questions and still refuse to make the key: that is a verdict about the chip, with which
 * the next round goes on. */
static bool refused_first_key(struct idm_engine *e, int rc)
{
    bool first = e->facts.state == IDM_S_blank;
    bool moving = e->facts.state == IDM_S_software && e->facts.intent == IDM_INTENT_to_tpm;
    if ((!first && !moving) || e->facts.staged)
        return false;
    if (rc == IDM_E_TPM_FAILED)
        e->chip_refused = IDM_CHIP_FAILED;
    else if (rc == IDM_E_TPM_OWNED || rc == IDM_E_TPM_TAKEN)
        e->chip_refused = IDM_CHIP_OWNED;
    else
        return false;
    return true;
}

/* Runs the cell's plan. 0: go on. A failure that the plan tolerates becomes its reason. */
static int take_step(struct idm_engine *e, const struct idm_verdict *v, struct idm_error *err)
{
    const struct idm_plan_info *plan = idm_plan_info(v->cell.plan);
    uint32_t epoch = e->record.epoch;
    e->event = v->event;
    e->cell = v->cell;
    e->last_event = v->event;
    idm_bytes_free(&e->fresh_tss2);
    trace_step(e, v);
    if (v->cell.kind == IDM_CELL_REFUSE) {
        keep(e, v, epoch);
        return 0;
    }
    struct idm_error failure = {0};
    int rc = run_plan(e, plan, &failure);
    if (rc && refused_first_key(e, rc))
        return 0;
    if (rc && plan->tolerates != IDM_R_none) {
        add_reason(e, rc == IDM_E_READ_ONLY ? IDM_R_storage_read_only
                      : rc == IDM_E_FULL    ? IDM_R_storage_full
                                            : plan->tolerates);
        e->tried[v->event / 64] |= UINT64_C(1) << (v->event % 64);
        return 0;
    }
    if (rc) {
        if (err)
            *err = failure;
        return rc;
    }
    add_reason(e, v->cell.reason);
    keep(e, v, epoch);
    return 0;
}

/* ---- the boot loop ---- */

/* A table that reaches a cell that cannot be reached, or does not come to an end, is a bug: it is
 * said, nothing more is done, and the device keeps what it has. */
static void bug(struct idm_loop_end *end, const char *why, enum idm_event event,
                enum idm_state state)
{
    end->failed = true;
    (void)idm_fail(&end->error, IDM_E_INTERNAL, "boot", "%s: event %s in state %s", why,
                   idm_event_name(event), idm_state_name(state));
    (void)idm_advise(&end->error, "report it, with /run/idmode/trace");
}

static void boot_loop(struct idm_engine *e, struct idm_loop_end *end)
{
    static const struct idm_request boot = {.kind = IDM_REQ_BOOT};
    *end = (struct idm_loop_end){0};
    e->reasons = 0;
    e->ended_held = false;
    for (unsigned int round = 0; round < IDM_ROUNDS_MAX; round++) {
        idm_read_facts(e);
        struct idm_verdict v = idm_classify(&e->facts, &boot);
        trace_ignored(e, &v);
        if (v.event == IDM_EV_none || v.cell.kind == IDM_CELL_NEVER) {
            bug(end, "an unreachable cell was reached", v.event, e->facts.state);
            return;
        }
        if (v.clock_blocked)
            add_reason(e, IDM_R_clock);
        if (v.room_blocked)
            add_reason(e, IDM_R_by_room);
        if (take_step(e, &v, &end->error)) {
            end->failed = true;
            return;
        }
        if (v.cell.kind == IDM_CELL_HOLD) {
            end->held = true;
            end->reason = idm_reason_resolve(v.cell.reason, &e->facts);
            e->ended_held = true;
            return;
        }
        if (v.cell.kind == IDM_CELL_END)
            return;
    }
    bug(end, "it does not come to an end", e->last_event, e->facts.state);
}

enum idm_exit idm_engine_boot(struct idm_engine *e, struct idm_outcome *ret)
{
    struct idm_loop_end end;
    e->request = IDM_REQ_BOOT;
    e->ask = NULL;
    boot_loop(e, &end);
    idm_finish(e, &end);
    idm_conclude(e, &end, ret);
    idm_publish(e, ret);
    return ret->exit;
}

/* ---- requests ---- */

static bool is_hook(enum idm_request_kind kind)
{
    return kind == IDM_REQ_PRE_INSTALL || kind == IDM_REQ_POST_INSTALL ||
           kind == IDM_REQ_INSTALL_FAILED || kind == IDM_REQ_COMMITTED || kind == IDM_REQ_ROLLBACK;
}

static struct idm_request fold_request(const struct idm_engine *e, const struct idm_ask *ask,
                                       const struct idm_loop_end *before)
{
    struct idm_request request = {.kind = ask->kind,
                                  .without_tpm = ask->without_tpm,
                                  .clears = ask->clears,
                                  .named = ask->named,
                                  .held_for = before->reason};
    if (ask->kind == IDM_REQ_IMPORT || ask->kind == IDM_REQ_ADOPT ||
        ask->kind == IDM_REQ_RELEASE_REUSE) {
        request.unfit = e->given.unfit[0] ? e->given.unfit : NULL;
        request.key_certified =
            e->config_cert.rc == 0 &&
            idm_same(e->config_cert.info.spki, e->given.key.spki, IDM_SHA256_SIZE);
    }
    if (ask->kind == IDM_REQ_CERT) {
        request.unfit = e->offered_unfit[0] ? e->offered_unfit : NULL;
        request.prepared = ask->prepared;
    }
    if (is_hook(ask->kind)) {
        request.target_legacy =
            ask->target->kind == IDM_SLOT_LEGACY || ask->target->kind == IDM_SLOT_UNKNOWN;
        request.late = idm_hook_is_late(e, ask->kind, ask->target);
    }
    return request;
}

static const char *why_refused(const struct idm_engine *e, const struct idm_request *request,
                               const struct idm_verdict *v)
{
    const char *why = NULL;
    if (v->event == IDM_EV_reset_refused)
        why = idm_reset_obstacle(&e->facts, request);
    if (v->event == IDM_EV_given_key_refused ||
        (v->event == IDM_EV_release_refused && request->kind == IDM_REQ_RELEASE_REUSE))
        why = idm_key_obstacle(&e->facts, request);
    if (v->event == IDM_EV_cert_offered_misfits)
        why = idm_cert_obstacle(&e->facts, request);
    return why ? why : v->cell.why;
}

/* Carries the request out; what it gives back is the request's part of the outcome. */
static void carry_out(struct idm_engine *e, const struct idm_request *request,
                      struct idm_outcome *ret)
{
    struct idm_verdict v = idm_classify(&e->facts, request);
    trace_ignored(e, &v);
    ret->request_event = v.event;
    if (v.event == IDM_EV_none)
        return;
    if (take_step(e, &v, &ret->error)) {
        ret->exit = IDM_EXIT_FAILED;
    } else if (v.cell.kind == IDM_CELL_REFUSE) {
        ret->exit = v.cell.exit == 1 ? IDM_EXIT_REFUSED : IDM_EXIT_FAILED;
        (void)snprintf(ret->refused, sizeof ret->refused, "%s", why_refused(e, request, &v));
    }
}

/* On a device without an identity a boot loop would make a key where one is to be given. */
static bool comes_first(struct idm_engine *e, const struct idm_ask *ask)
{
    if (ask->kind != IDM_REQ_IMPORT && ask->kind != IDM_REQ_ADOPT)
        return false;
    idm_read_facts(e);
    bool again = e->facts.state == IDM_S_blank && e->facts.key_given && !e->facts.staged;
    return e->facts.state == IDM_S_none || again;
}

/* Nothing was changed and nothing is published: another key must not be made instead. */
static enum idm_exit nothing_given(struct idm_engine *e, const struct idm_outcome *asked,
                                   struct idm_outcome *ret)
{
    static const struct idm_loop_end end = {0};
    e->given_key = NULL;
    idm_conclude(e, &end, ret);
    ret->exit = asked->exit;
    ret->request_event = asked->request_event;
    memcpy(ret->refused, asked->refused, sizeof ret->refused);
    ret->error = asked->error;
    return ret->exit;
}

/* These are done when an identity is in use; everything else when it was carried out. */
static bool ends_in_use(enum idm_request_kind kind)
{
    return kind == IDM_REQ_RESET || kind == IDM_REQ_COMMIT || kind == IDM_REQ_RELEASE_RETRY ||
           kind == IDM_REQ_RELEASE_LEGACY || kind == IDM_REQ_RELEASE_EPOCH ||
           kind == IDM_REQ_RELEASE_NEW || kind == IDM_REQ_RELEASE_REUSE;
}

enum idm_exit idm_engine_request(struct idm_engine *e, const struct idm_ask *ask,
                                 struct idm_outcome *ret)
{
    struct idm_loop_end end;
    struct idm_outcome asked = {.exit = IDM_EXIT_DONE, .request_event = IDM_EV_none};
    e->request = ask->kind;
    e->target = ask->target;
    e->ask = ask;
    e->given_key = ask->key;
    bool given = comes_first(e, ask);
    if (given)
        end = (struct idm_loop_end){0};
    else
        boot_loop(e, &end);
    /* A reset is also the way out where boot fails. */
    bool done = ask->kind == IDM_REQ_RESET && e->reset_done; /* an installer asked for it already */
    bool may = !end.failed || ask->kind == IDM_REQ_RESET || is_hook(ask->kind);
    if (may && !done) {
        idm_read_facts(e);
        idm_look_at_given(e, ask);
        idm_look_at_offered(e, ask);
        struct idm_request request = fold_request(e, ask, &end);
        carry_out(e, &request, &asked);
        e->request = IDM_REQ_BOOT;
        e->ask = NULL;
        if (given && asked.exit != IDM_EXIT_DONE)
            return nothing_given(e, &asked, ret);
        boot_loop(e, &end);
    }
    e->given_key = NULL;
    idm_finish(e, &end);
    idm_conclude(e, &end, ret);
    ret->request_event = asked.request_event;
    memcpy(ret->refused, asked.refused, sizeof ret->refused);
    if (asked.error.code)
        ret->error = asked.error;
    bool carried_out = asked.exit == IDM_EXIT_DONE;
    enum idm_exit after = ret->exit;
    ret->exit = asked.exit;
    /* What an aware image needs is the record of its installation; it may be what mends this device. */
    bool aware = ask->kind == IDM_REQ_PRE_INSTALL && ask->target->kind == IDM_SLOT_AWARE;
    if (carried_out && ((end.failed && !aware) || given || ends_in_use(ask->kind)))
        ret->exit = after;
    /* Of the hooks only pre-install vetoes: nothing else may stop an updater in its middle. */
    if (is_hook(ask->kind) && ask->kind != IDM_REQ_PRE_INSTALL && ret->exit == IDM_EXIT_REFUSED)
        ret->exit = IDM_EXIT_DONE;
    idm_publish(e, ret);
    return ret->exit;
}
