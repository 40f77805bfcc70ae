/* SPDX-License-Identifier: BSD-2-Clause */
/* report_html_detail.c - what opens under a row: what was expected, what was seen, the trace. */
#include "tests/lab/report_html.h"

#include <inttypes.h>
#include <string.h>

#define HASH_SHOWN 16 /* hex digits: enough to compare by eye */

static void print_fact(FILE *out, const char *name, const char *value)
{
    if (!value[0])
        return;
    (void)fprintf(out, "<dt>%s</dt><dd>", name);
    lab_print_text(out, value);
    (void)fputs("</dd>\n", out);
}

static void print_identity(FILE *out, const char *name, const struct lab_cast *cast,
                           const struct lab_identity *identity)
{
    size_t number = lab_cast_number(cast, identity);
    if (!number)
        return;
    const char *label = cast->faces[number - 1].label;
    (void)fprintf(out, "<dt>%s</dt><dd>", name);
    lab_print_disc(out, cast, identity);
    if (label) {
        (void)fputs(" “", out);
        lab_print_text(out, label);
        (void)fputs("”", out);
    }
    (void)fputs(" certificate <code>", out);
    (void)fprintf(out, "%.*s…</code>", HASH_SHOWN, identity->cert);
    if (identity->spki[0])
        (void)fprintf(out, ", key <code>%.*s…</code>", HASH_SHOWN, identity->spki);
    (void)fprintf(out, ", %s</dd>\n", identity->works ? "signs" : "does not sign");
}

static void print_reasons(FILE *out, const char *name, uint64_t reasons)
{
    for (enum idm_reason r = IDM_R_none + 1; r < IDM_REASON_COUNT; r++)
        if (reasons >> r & 1)
            (void)fprintf(out, "<dt>%s %s</dt><dd>%s: %s</dd>\n", name, idm_reason_word(r),
                          idm_reason_sentence(r), idm_reason_todo(r));
}

/* ---- what the step expects ---- */

static void print_expected(FILE *out, const char *key, const char *value)
{
    if (!value[0])
        return;
    (void)fprintf(out, " <code>%s: ", key);
    lab_print_text(out, value);
    (void)fputs("</code>", out);
}

static void print_expected_number(FILE *out, const char *key, int64_t value)
{
    if (value >= 0)
        (void)fprintf(out, " <code>%s: %" PRId64 "</code>", key, value);
}

static void print_expected_truth(FILE *out, const char *key, int value)
{
    if (value >= 0)
        print_expected(out, key, value ? "yes" : "no");
}

static void print_expected_reasons(FILE *out, const struct lab_expect *e)
{
    const char *comma = "";
    if (e->reason != IDM_R_none)
        print_expected(out, "reason", idm_reason_word(e->reason));
    if (!e->reasons_judged)
        return;
    (void)fputs(" <code>reasons: [", out);
    for (enum idm_reason r = IDM_R_none + 1; r < IDM_REASON_COUNT; r++)
        if (e->reasons >> r & 1) {
            (void)fprintf(out, "%s%s", comma, idm_reason_word(r));
            comma = ", ";
        }
    (void)fputs("]</code>", out);
}

static void print_expect(FILE *out, const struct lab_step *step)
{
    const struct lab_expect *e = &step->expect;
    const struct {
        const char *key, *value;
    } words[] = {
        {"mode", e->mode},
        {"state", e->state},
        {"identity", e->identity},
        {"identity-not", e->identity_not},
        {"key", e->key},
        {"legacy-view", e->legacy_view},
        {"legacy-identity", e->legacy_identity},
        {"legacy-key", e->legacy_key},
        {"marker", e->marker},
        {"tpm", e->tpm},
        {"image", e->image},
        {"trial", e->trial},
        {"slot", e->slot},
    };
    if (!step->expects && !step->exit_judged)
        return;
    (void)fputs("<dt>expected</dt><dd>", out);
    for (size_t i = 0; step->expects && i < sizeof words / sizeof *words; i++)
        print_expected(out, words[i].key, words[i].value);
    if (step->expects) {
        print_expected_truth(out, "held", e->held);
        print_expected_truth(out, "healthy", e->healthy);
        print_expected_number(out, "epoch", e->epoch);
        print_expected_reasons(out, e);
    }
    if (step->exit_judged)
        print_expected_number(out, "exit", step->exit_code);
    (void)fputs("</dd>\n", out);
}

/* ---- the trace ---- */

/* What was decided stands out; the steps that carried it out stand back. */
static const char *look_of_line(const char *line, size_t size)
{
    const char *comma = memchr(line, ',', size); /* the sentence behind it may say anything */
    size_t head = comma ? (size_t)(comma - line) : 0;
    if (memmem(line, head, " go ", 4))
        return "go";
    if (memmem(line, head, " hold ", 6))
        return "held";
    return size > 5 && memcmp(line + size - 5, " done", 5) == 0 ? "done" : "plain";
}

static void print_trace(FILE *out, const char *trace)
{
    char line[1024];
    (void)fputs("<pre class=\"trace\">", out);
    while (*trace) {
        size_t size = strcspn(trace, "\n");
        (void)snprintf(line, sizeof line, "%.*s", (int)size, trace);
        (void)fprintf(out, "<span class=\"%s\">", look_of_line(trace, size));
        lab_print_text(out, line);
        (void)fputs("</span>\n", out);
        trace += size + (trace[size] != 0);
    }
    (void)fputs("</pre>", out);
}

/* ---- all of it ---- */

static void print_sight(FILE *out, const struct lab_moment *m, const struct lab_cast *cast)
{
    const struct lab_sight *s = &m->sight;
    char epoch[32];
    (void)snprintf(epoch, sizeof epoch, "%" PRId64, s->recorded_epoch);
    print_fact(out, "recorded state", s->recorded ? idm_state_name(s->recorded_state) : "nothing");
    print_fact(out, "epoch", s->recorded ? epoch : "");
    print_fact(out, "last event", lab_has_trace(m) ? s->last_event : "");
    print_identity(out, "TLS uses", cast, &s->active);
    print_identity(out, "config directory", cast, &s->legacy);
    print_fact(out, "legacy view", s->legacy_view);
    print_fact(out, "legacy key", s->legacy_key);
    print_fact(out, "marker", s->marker ? "there" : "not there");
    print_reasons(out, s->held ? "held for" : "reason", s->published ? s->reasons : 0);
    if (m->result.judged_exit) {
        char code[16];
        (void)snprintf(code, sizeof code, "%d", m->result.exit_code);
        print_fact(out, "exit code", code);
    }
}

void lab_print_detail(FILE *out, const struct lab_run *run, const struct lab_cast *cast,
                      size_t moment)
{
    const struct lab_moment *m = &run->moments[moment];
    (void)fputs("<div class=\"detail\"><dl>\n", out);
    (void)fprintf(out, "<dt>in the file</dt><dd>line %d, step %zu: <code>%s</code></dd>\n",
                  m->step->line, m->index + 1, lab_action_word(m->step->action));
    print_expect(out, m->step);
    print_sight(out, m, cast);
    (void)fputs("</dl>", out);
    if (lab_has_trace(m) && m->sight.trace[0])
        print_trace(out, m->sight.trace);
    (void)fputs("</div>", out);
}

void lab_print_failure(FILE *out, const struct lab_run *run)
{
    const struct lab_failure *f = &run->failure;
    const struct {
        const char *name, *value;
    } lines[] = {{"judged", f->what}, {"expected", f->expected}, {"found", f->found}};
    (void)fputs("<div class=\"failure\"><dl>\n", out);
    (void)fprintf(out, "<dt>failed at</dt><dd>step %zu, ", f->step + 1);
    lab_print_text(out, run->scenario->file);
    (void)fprintf(out, ":%d</dd>\n", f->line);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        print_fact(out, lines[i].name, lines[i].value);
    (void)fputs("<dt>again</dt><dd><code>", out);
    lab_print_text(out, f->again);
    (void)fputs("</code></dd></dl></div>\n", out);
}
