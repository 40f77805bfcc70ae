/* SPDX-License-Identifier: BSD-2-Clause */
/* report_html_lanes.c - time runs down, one row per moment, one lane per thing that matters.
 *
 *     #  what happened        slot A  slot B  state      mode      TLS   old image finds  TPM  why
 *     4  Boots slot B: …      1.0     2.0 *   software   software  (1)   (1) works        ok
 *     5  Controller: migrate          ¦       migrating                                        …
 *
 * A lane shows a word where it changes and a band while it stays, so that the eye finds changes. A
 * row opens: lab_print_detail.
 */
#include "tests/lab/report_html.h"

#include <inttypes.h>
#include <string.h>

struct row {
    FILE *out;
    const struct lab_run *run;
    const struct lab_cast *cast;
    const struct lab_moment *moment;
    const struct lab_sight *now;
    const struct lab_sight *before; /* NULL in the first row */
};

static bool same_word(const struct row *row, size_t offset)
{
    return row->before &&
           strcmp((const char *)row->now + offset, (const char *)row->before + offset) == 0;
}
#define SAME_WORD(row, field) same_word(row, offsetof(struct lab_sight, field))

/* `lane` and `look` are ours and need no escaping. */
static void open_cell(FILE *out, const char *lane, const char *look, bool same)
{
    (void)fprintf(out, "<span class=\"c %s %s%s\"><span class=\"t\">", lane, look,
                  same ? " same" : "");
}

static void close_cell(FILE *out)
{
    (void)fputs("</span></span>\n", out);
}

static void print_tag(FILE *out, const char *look, const char *text)
{
    (void)fprintf(out, "<span class=\"tag %s\">", look);
    lab_print_text(out, text);
    (void)fputs("</span>", out);
}

/* ---- what happened ---- */

static void print_marks(const struct row *row, size_t moment)
{
    const struct lab_moment *m = row->moment;
    char text[LAB_WORD_SIZE + 64];
    if (m->result.was_cut && m->step->cut == LAB_CUT_NAMED)
        (void)snprintf(text, sizeof text, "⚡ power fails after %s", m->step->cut_name);
    else if (m->result.was_cut && m->result.cut_ms)
        (void)snprintf(text, sizeof text, "⚡ the plug is pulled after %lu.%lu s",
                       m->result.cut_ms / 1000, m->result.cut_ms % 1000 / 100);
    else if (m->result.was_cut)
        (void)snprintf(text, sizeof text, "⚡ power fails after durable step %lu",
                       m->result.durable);
    if (m->result.was_cut)
        print_tag(row->out, "cut", text);
    if (m->result.minted)
        print_tag(row->out, "bad", "the old image makes a new pair");
    if (m->result.judged_exit && m->result.exit_code) {
        (void)snprintf(text, sizeof text, "exit %d", m->result.exit_code);
        print_tag(row->out, "exit", text);
    }
    if (lab_fails_at(row->run, moment)) {
        (void)fputs("<span class=\"wrong\"><b>✗ ", row->out);
        lab_print_text(row->out, row->run->failure.what);
        (void)fputs("</b> expected <code>", row->out);
        lab_print_text(row->out, row->run->failure.expected);
        (void)fputs("</code> found <code>", row->out);
        lab_print_text(row->out, row->run->failure.found);
        (void)fputs("</code></span>", row->out);
    }
}

static void print_what(const struct row *row, size_t moment)
{
    (void)fputs("<span class=\"c n\">", row->out);
    lab_print_number(row->out, row->run, moment);
    (void)fputs("</span>\n<span class=\"c what\">", row->out);
    lab_print_event(row->out, row->run, moment);
    print_marks(row, moment);
    (void)fputs("</span>\n", row->out);
}

/* ---- slots ---- */

static bool slot_is_as_before(const struct row *row, int slot)
{
    const struct lab_sight *a = row->now, *b = row->before;
    return b && a->slots[slot].present == b->slots[slot].present &&
           a->slots[slot].aware == b->slots[slot].aware &&
           strcmp(a->slots[slot].version, b->slots[slot].version) == 0 &&
           (a->slot == slot && a->powered) == (b->slot == slot && b->powered) &&
           (a->next_slot == slot) == (b->next_slot == slot) && a->trial == b->trial;
}

static void print_slot(const struct row *row, int slot)
{
    const struct lab_sight *s = row->now;
    const struct lab_slot *image = &s->slots[slot];
    bool runs = s->powered && s->slot == slot;
    bool next = s->next_slot == slot;
    open_cell(row->out, "slot", runs ? "runs" : "waits", slot_is_as_before(row, slot));
    if (image->present) {
        (void)fprintf(row->out, "<span class=\"image %s\"><b>", image->aware ? "aware" : "legacy");
        lab_print_text(row->out, image->version);
        (void)fprintf(row->out, "</b> %s</span>", image->aware ? "aware" : "legacy");
    } else {
        (void)fputs("<span class=\"none\">empty</span>", row->out);
    }
    if (s->trial == IDM_YES && (s->powered ? runs : next))
        print_tag(row->out, "trial", "on trial");
    if (next && !runs)
        print_tag(row->out, "next", "▸ next");
    close_cell(row->out);
}

/* ---- state, mode, identity ---- */

static void print_state(const struct row *row)
{
    const struct lab_sight *s = row->now;
    enum idm_state state = s->recorded ? s->recorded_state : IDM_S_none;
    enum idm_state before =
        row->before && row->before->recorded ? row->before->recorded_state : IDM_S_none;
    char look[64];
    (void)snprintf(look, sizeof look, "s-%s%s%s", lab_look_of(state)->id, s->held ? " striped" : "",
                   s->powered && !s->aware ? " asleep" : "");
    bool same = row->before && state == before && s->held == row->before->held;
    open_cell(row->out, "state", look, same);
    (void)fputs(idm_state_name(state), row->out);
    if (s->held)
        (void)fputs(" <em>held</em>", row->out);
    close_cell(row->out);
}

static void print_mode(const struct row *row)
{
    const struct lab_sight *s = row->now;
    bool published = s->powered && s->mode[0];
    bool same = SAME_WORD(row, mode) && row->now->epoch == row->before->epoch &&
                row->now->aware == row->before->aware && row->now->powered == row->before->powered;
    open_cell(row->out, "mode", s->held ? "held" : "", same);
    if (published)
        lab_print_text(row->out, s->mode);
    else
        (void)fputs(s->powered ? "–" : "off", row->out);
    if (published && s->aware)
        (void)fprintf(row->out, " <small>epoch %" PRId64 "</small>", s->epoch);
    close_cell(row->out);
}

static void print_identity(const struct row *row)
{
    const struct lab_identity *identity = &row->now->active;
    size_t number = lab_cast_number(row->cast, identity);
    size_t before = row->before ? lab_cast_number(row->cast, &row->before->active) : 0;
    char look[16] = "nobody";
    if (number)
        (void)snprintf(look, sizeof look, "i%zu", (number - 1) % LAB_COLOURS);
    bool same = row->before && number == before && identity->works == row->before->active.works;
    open_cell(row->out, "identity", look, same);
    lab_print_disc(row->out, row->cast, identity);
    if (!number)
        (void)fputs("none in use", row->out);
    else if (!identity->works)
        (void)fputs(" does not sign", row->out);
    else if (row->cast->faces[number - 1].label) {
        (void)fputs("<small>", row->out);
        lab_print_text(row->out, row->cast->faces[number - 1].label);
        (void)fputs("</small>", row->out);
    }
    close_cell(row->out);
}

static void print_legacy(const struct row *row)
{
    const struct lab_sight *s = row->now;
    bool works = strcmp(s->legacy_view, "works") == 0;
    bool same = SAME_WORD(row, legacy_view) && SAME_WORD(row, legacy_key) &&
                strcmp(s->legacy.cert, row->before->legacy.cert) == 0;
    open_cell(row->out, "legacy-view", works ? "" : "off", same);
    if (works)
        lab_print_disc(row->out, row->cast, &s->legacy);
    (void)fputc(' ', row->out);
    lab_print_text(row->out, works ? "" : s->legacy_view);
    if (s->legacy_key[0] && strcmp(s->legacy_key, "none") != 0) {
        (void)fputs("<small>key ", row->out);
        lab_print_text(row->out, s->legacy_key);
        (void)fputs("</small>", row->out);
    }
    close_cell(row->out);
}

/* ---- surroundings and reasons ---- */

/* A device without a record has no chip of its own yet. */
static bool is_astray(const struct lab_sight *sight)
{
    return sight->recorded && !sight->own_chip;
}

static void print_surroundings(const struct row *row)
{
    const struct lab_sight *s = row->now, *b = row->before;
    bool same = b && s->chip == b->chip && is_astray(s) == is_astray(b) &&
                s->clock_good == b->clock_good && s->disk == b->disk &&
                s->config_mounted == b->config_mounted && s->persist_mounted == b->persist_mounted;
    open_cell(row->out, "chip", s->chip == LAB_TPM_USABLE ? "" : "out", same);
    (void)fputs(s->chip == LAB_TPM_USABLE ? "works" : lab_tpm_word(s->chip), row->out);
    if (is_astray(s))
        print_tag(row->out, "bad", "without our keys");
    if (!s->clock_good)
        print_tag(row->out, "bad", "clock wrong");
    if (s->disk != LAB_DISK_OK)
        print_tag(row->out, "bad", s->disk == LAB_DISK_FULL ? "disk full" : "disk read-only");
    if (!s->config_mounted)
        print_tag(row->out, "bad", "config not mounted");
    if (!s->persist_mounted)
        print_tag(row->out, "bad", "persist not mounted");
    close_cell(row->out);
}

static void print_reasons(const struct row *row)
{
    const struct lab_sight *s = row->now;
    uint64_t reasons = s->powered && s->published ? s->reasons : 0;
    uint64_t before = row->before && row->before->published ? row->before->reasons : 0;
    open_cell(row->out, "why", "", row->before && reasons == before);
    for (enum idm_reason r = IDM_R_none + 1; r < IDM_REASON_COUNT; r++)
        if (reasons >> r & 1)
            (void)fprintf(row->out, "<span class=\"tag %s\" title=\"%s\">%s</span>",
                          s->held ? "bad" : "reason", idm_reason_sentence(r), idm_reason_word(r));
    close_cell(row->out);
}

/* ---- rows ---- */

static void print_row(FILE *out, const struct lab_run *run, const struct lab_cast *cast,
                      size_t moment)
{
    const struct lab_moment *m = &run->moments[moment];
    struct row row = {out, run, cast, m, &m->sight, moment ? &m[-1].sight : NULL};
    bool fails = lab_fails_at(run, moment);
    (void)fprintf(out, "<details class=\"row%s%s%s\" data-state=\"%s\"><summary>\n",
                  fails ? " fails" : "", m->sight.powered ? "" : " dark",
                  m->recovery || m->step->action == LAB_DO_boot ? " boots" : "",
                  lab_look_of(lab_state_at(run, moment))->id);
    print_what(&row, moment);
    print_slot(&row, 0);
    print_slot(&row, 1);
    print_state(&row);
    print_mode(&row);
    print_identity(&row);
    print_legacy(&row);
    print_surroundings(&row);
    print_reasons(&row);
    (void)fputs("</summary>\n", out);
    lab_print_detail(out, run, cast, moment);
    (void)fputs("</details>\n", out);
}

void lab_print_lanes(FILE *out, const struct lab_run *run, const struct lab_cast *cast)
{
    static const char *const heads[][2] = {
        {"", ""},
        {"what happens", "from top to bottom"},
        {"slot A", "filled: runs now"},
        {"slot B", ""},
        {"state", "recorded"},
        {"mode", "idmode says"},
        {"identity", "TLS uses it"},
        {"legacy view", "an old image finds"},
        {"TPM", "and surroundings"},
        {"reasons", "idmode reports"},
    };
    (void)fputs("<div class=\"lanes\"><div class=\"heads\">\n", out);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        (void)fprintf(out, "<span>%s<small>%s</small></span>\n", heads[i][0], heads[i][1]);
    (void)fputs("</div>\n", out);
    for (size_t i = 0; i < run->moments_count; i++)
        print_row(out, run, cast, i);
    (void)fputs("</div>\n", out);
}
