/* SPDX-License-Identifier: BSD-2-Clause */
/* The page of a replay: whole, well-formed, honest about what it was given, and harmless whatever a
 * scenario's author wrote. The runs are filled in by hand, so that each mark has one cause.
 */
#include "tests/lab/report.h"
#include "tests/support/run.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LIFE_MAX 24u

TestSuite(lab_html, .timeout = 60);

/* ---- a life by hand ---- */

struct life {
    struct lab_run run;
    struct lab_scenario scenario;
    struct lab_step steps[LIFE_MAX];
    struct lab_moment moments[LIFE_MAX];
};

static const char one[] = "1111111111111111111111111111111111111111111111111111111111111111";
static const char two[] = "2222222222222222222222222222222222222222222222222222222222222222";

static struct lab_identity identity(const char *hash)
{
    struct lab_identity ret = {.works = true};
    (void)snprintf(ret.cert, sizeof ret.cert, "%s", hash);
    (void)snprintf(ret.spki, sizeof ret.spki, "%s", hash + 1);
    return ret;
}

static struct lab_moment *add(struct life *life, enum lab_action action)
{
    size_t at = life->run.moments_count++;
    struct lab_moment *m = &life->moments[at];
    cr_assert_lt(at, LIFE_MAX);
    if (at)
        m->sight = m[-1].sight;
    life->steps[at] = (struct lab_step){.action = action,
                                        .line = (int)at + 4,
                                        .mount_config = -1,
                                        .mount_persist = -1,
                                        .expect = {.held = -1, .healthy = -1, .epoch = -1}};
    m->step = &life->steps[at];
    m->index = at;
    life->scenario.steps_count = at + 1;
    return m;
}

static struct lab_moment *boot(struct life *life, const char *mode, enum idm_state state,
                               const char *trace)
{
    struct lab_moment *m = add(life, LAB_DO_boot);
    struct lab_sight *s = &m->sight;
    s->powered = s->aware = s->published = s->recorded = s->healthy = true;
    s->slot = s->next_slot;
    s->recorded_state = state;
    s->recorded_epoch = s->epoch = 1;
    m->result.judged_exit = true;
    (void)snprintf(s->mode, sizeof s->mode, "%s", mode);
    (void)snprintf(s->state, sizeof s->state, "%s", idm_state_name(state));
    (void)snprintf(s->trace, sizeof s->trace, "%s", trace);
    return m;
}

static void begin(struct life *life)
{
    *life = (struct life){.run = {.world = "sim", .seconds = 12.75, .replays = 1}};
    life->run.scenario = &life->scenario;
    life->run.moments = life->moments;
    life->scenario.steps = life->steps;
    (void)snprintf(life->scenario.name, sizeof life->scenario.name, "a life by hand");
    (void)snprintf(life->scenario.file, sizeof life->scenario.file, "by-hand.yaml");
    (void)snprintf(life->scenario.device.version, LAB_WORD_SIZE, "1.0");
    struct lab_sight *first = &life->moments[0].sight;
    *first = (struct lab_sight){.own_chip = true,
                                .clock_good = true,
                                .config_mounted = true,
                                .persist_mounted = true,
                                .slots = {{true, false, "1.0"}, {false, false, ""}},
                                .legacy_view = "works",
                                .legacy_key = "plain"};
}

/* An old image, an upgrade on trial, a migration that a cut interrupts, a chip that goes. */
static void live(struct life *life)
{
    begin(life);
    struct lab_moment *m = add(life, LAB_DO_boot);
    m->sight.powered = true;
    (void)snprintf(m->sight.mode, sizeof m->sight.mode, "software");
    m->sight.active = m->sight.legacy = identity(one);
    m->result.minted = true;

    m = add(life, LAB_DO_label);
    (void)snprintf(life->steps[1].word, LAB_WORD_SIZE, "onboarded");

    m = add(life, LAB_DO_install);
    life->steps[2].install =
        (struct lab_install){.image = LAB_SLOT_AWARE, .version = "2.0", .pre_install = true};
    m->sight.slots[1] = (struct lab_slot){true, true, "2.0"};
    m->sight.next_slot = 1;
    m->sight.trial = IDM_YES;

    (void)boot(life, "software", IDM_S_software,
               "none: no_record_pair go software, plan adopt_pair: second copies first\n"
               "software: settled end software, plan settle: announced\n");

    m = add(life, LAB_DO_migrate);
    (void)snprintf(life->steps[4].word, LAB_WORD_SIZE, "commit");
    life->steps[4].cut = LAB_CUT_EVERY;
    (void)snprintf(m->sight.trace, sizeof m->sight.trace,
                   "software: switch_staged go tpm-dual, plan switch_to_tpm: only goes forward\n");
    m->result.was_cut = true;
    m->result.durable = 3;
    m->sight.powered = false;

    m = boot(life, "tpm", IDM_S_tpm_dual,
             "software: switch_staged go tpm-dual, plan switch_to_tpm: only goes forward\n");
    m->step = &life->steps[4];
    m->index = 4;
    m->recovery = true;
    m->sight.active = identity(two);
    m->sight.trial = IDM_NO;
    m->sight.marker = true;

    m = add(life, LAB_DO_tpm);
    life->steps[6].tpm = LAB_TPM_ABSENT;
    m->index = 5;
    m->sight.chip = LAB_TPM_ABSENT;

    m = boot(life, "unknown", IDM_S_tpm_dual, "tpm-dual: tpm_unavailable hold tpm-dual\n");
    m->index = 6;
    m->sight.held = true;
    m->sight.healthy = false;
    m->sight.reasons = UINT64_C(1) << IDM_R_tpm_absent;
    m->sight.active = (struct lab_identity){0};
    m->result.exit_code = 3;
}

static void fail_at(struct life *life, size_t step)
{
    struct lab_failure *f = &life->run.failure;
    life->run.verdict = LAB_FAIL;
    f->step = step;
    f->line = 77;
    (void)snprintf(f->what, sizeof f->what, "identity");
    (void)snprintf(f->expected, sizeof f->expected, "onboarded");
    (void)snprintf(f->found, sizeof f->found, "another one");
    (void)snprintf(f->again, sizeof f->again, "idmode-lab replay by-hand.yaml");
}

/* ---- the page ---- */

static char *print(const struct lab_run *runs, size_t count)
{
    char *page = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&page, &size);
    cr_assert_not_null(out);
    cr_assert_eq(lab_report_html(out, runs, count), 0);
    cr_assert_eq(fclose(out), 0);
    cr_assert_eq(strlen(page), size, "a zero byte in the page");
    return page;
}

static size_t count_of(const char *page, const char *text)
{
    size_t count = 0;
    for (; (page = strstr(page, text)); page += strlen(text))
        count++;
    return count;
}

static void is_well_formed(const char *page)
{
    _cleanup_run_ struct idm_run run = {0};
    const char *const argv[] = {"xmllint", "--noout", "--nonet", "-", NULL};
    struct idm_run_options options = {.input = page, .input_size = strlen(page)};
    cr_assert_eq(idm_run(&run, &options, argv), 0);
    cr_assert_neq(run.exit_code, 127, "xmllint is missing: apt-get install libxml2-utils");
    cr_expect_eq(run.exit_code, 0, "%.600s", run.err);
}

Test(lab_html, page_is_well_formed)
{
    struct life life, failed;
    live(&life);
    live(&failed);
    fail_at(&failed, 4);
    struct lab_run runs[] = {life.run, failed.run, {.scenario = &life.scenario, .world = "real"}};
    runs[2].verdict = LAB_SKIP;
    for (size_t count = 0; count <= 3; count++) {
        char *page = print(runs, count);
        is_well_formed(page);
        free(page);
    }
}

static void spoil(char *text, size_t size)
{
    (void)snprintf(text, size,
                   "</pre><script>alert(1)</script>&\"'>]]>-->\x01\x1b[31m\xff\xc3 \xed\xa0\x80"
                   "\xf5\xef\xbf\xbf");
}
#define SPOIL(array) spoil(array, sizeof(array))

Test(lab_html, hostile_words_stay_words)
{
    struct life life;
    live(&life);
    fail_at(&life, 3);
    life.run.verdict = LAB_FAIL;
    SPOIL(life.scenario.name);
    SPOIL(life.scenario.file);
    SPOIL(life.scenario.source);
    SPOIL(life.scenario.device.version);
    life.scenario.device.settings_count = 1;
    SPOIL(life.scenario.device.settings[0].key);
    SPOIL(life.scenario.device.settings[0].value);
    SPOIL(life.run.failure.what);
    SPOIL(life.run.failure.expected);
    SPOIL(life.run.failure.found);
    SPOIL(life.run.failure.again);
    SPOIL(life.steps[1].word);
    SPOIL(life.steps[2].install.version);
    life.steps[3].expects = true;
    SPOIL(life.steps[3].expect.mode);
    SPOIL(life.steps[4].word);
    life.steps[4].cut = LAB_CUT_NAMED;
    SPOIL(life.steps[4].cut_name);
    for (size_t i = 0; i < life.run.moments_count; i++) {
        struct lab_sight *s = &life.moments[i].sight;
        SPOIL(s->trace);
        SPOIL(s->mode);
        SPOIL(s->last_event);
        SPOIL(s->legacy_key);
        SPOIL(s->slots[0].version);
    }
    struct lab_run runs[] = {life.run, life.run};
    runs[1].verdict = LAB_SKIP;
    SPOIL(runs[1].skipped);
    char *page = print(runs, 2);
    is_well_formed(page);
    cr_expect_null(strstr(page, "alert(1)</script>"));
    cr_expect_null(strchr(page, '\x1b'));
    cr_expect_not_null(strstr(page, "&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;&#39;&gt;]]"));
    free(page);
}

Test(lab_html, each_lane_shows_what_happened)
{
    static const char *const shown[] = {
        "Boots slot A: legacy 1.0",
        "the old image makes a new pair",
        "This identity is called “onboarded”",
        "Updater installs aware image 2.0 in slot B, calls only pre-install",
        "<b>2.0</b> aware",
        "<b>1.0</b> legacy",
        "on trial",
        "▸ next",
        "c state s-software",
        "c state s-tpm_dual striped",
        "<em>held</em>",
        "c mode held",
        "c identity i0",
        "c identity i1",
        "<b class=\"disc i0\">1</b>",
        "key plain",
        "The TPM is gone",
        "c chip out",
        "c why",
        ">tpm-absent</span>",
        "⚡ power fails after durable step 3",
        ", after the cut",
        "exit 3",
        "software: switch_staged go tpm-dual, plan switch_to_tpm: only goes forward",
    };
    struct life life;
    live(&life);
    char *page = print(&life.run, 1);
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        cr_expect_not_null(strstr(page, shown[i]), "not shown: %s", shown[i]);
    cr_expect_eq(count_of(page, "class=\"row"), life.run.moments_count);
    cr_expect_eq(count_of(page, "class=\"row dark"), 1, "one moment without power");
    free(page);
}

Test(lab_html, machine_shows_the_path_with_its_steps)
{
    struct life life;
    live(&life);
    char *page = print(&life.run, 1);
    cr_expect_eq(count_of(page, "<path class=\"did\""), 2,
                 "none to software, software to tpm-dual");
    cr_expect_not_null(strstr(page, ">4</text>"), "adopted in step 4");
    cr_expect_not_null(strstr(page, ">5′</text>"), "switched after the cut of step 5, not before");
    cr_expect_not_null(strstr(page, "class=\"s-tpm_dual end\" data-state=\"tpm_dual\""));
    cr_expect_not_null(strstr(page, "class=\"s-resetting never\""));
    free(page);
}

Test(lab_html, failure_is_marked_where_it_happened)
{
    struct life life;
    live(&life);
    fail_at(&life, 4);
    char *page = print(&life.run, 1);
    const char *row = strstr(page, "class=\"row fails");
    cr_assert_not_null(row);
    cr_expect_null(strstr(row + 1, "class=\"row fails"), "marked twice");
    const char *number = strstr(row, "5′</span>");
    cr_expect(number && number < strstr(row, "</summary>"), "judged after the boot that follows");
    cr_expect_not_null(strstr(row, "<b>✗ identity</b> expected <code>onboarded</code> found "
                                   "<code>another one</code>"));
    cr_expect_not_null(strstr(page, "by-hand.yaml:77"));
    cr_expect_not_null(strstr(page, "<code>idmode-lab replay by-hand.yaml</code>"));
    free(page);
}

Test(lab_html, several_runs_have_an_index_and_filters)
{
    struct life life, failed;
    live(&life);
    live(&failed);
    fail_at(&failed, 3);
    struct lab_run runs[] = {life.run, failed.run};
    char *page = print(runs, 2);
    cr_expect_not_null(strstr(page, "<a href=\"#run2\">"));
    cr_expect_not_null(strstr(page, "id=\"run2\""));
    cr_expect_not_null(strstr(page, "id=\"show-failed\"/> 1 failed"));
    cr_expect_not_null(strstr(page, "id=\"show-passed\"/> 1 passed"));
    free(page);
    page = print(runs, 1);
    cr_expect_null(strstr(page, "<a href="));
    free(page);
}

Test(lab_html, page_stands_alone_and_is_the_same_each_time)
{
    struct life life;
    live(&life);
    char *page = print(&life.run, 1);
    cr_expect_eq(count_of(page, "http"), 1, "the name space alone");
    cr_expect_null(strstr(page, " src="));
    cr_expect_null(strstr(page, "@import"));
    cr_expect_null(strstr(page, "12.75"), "a duration differs each time");
    life.run.seconds = 1;
    char *again = print(&life.run, 1);
    cr_expect_str_eq(page, again);
    free(page);
    free(again);
}

Test(lab_html, full_disk_is_said)
{
    struct life life;
    live(&life);
    FILE *out = fopen("/dev/full", "we");
    cr_assert_not_null(out);
    cr_expect_eq(lab_report_html(out, &life.run, 1), -1);
    cr_expect_eq(errno, ENOSPC);
    (void)fclose(out);
}
