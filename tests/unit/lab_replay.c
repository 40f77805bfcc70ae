/* SPDX-License-Identifier: BSD-2-Clause */
/* The runner of scenarios, in a world of a few lines whose faults are switched on one by one: what is
 * wrong must fail, what is asked to be cut must be cut.
 *
 * The world: a device that makes its identity at its first boot in three durable steps, and takes up
 * again after a cut where it stopped. Each later boot takes one durable step. A reset is two: the new
 * key, the new certificate. The oracle here only counts and, when told to, objects. */
#include "tests/lab/replay.h"
#include "tests/lab/report_lines.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct lab_world {
    bool powered;
    unsigned int made; /* of the identity's three steps */
    unsigned int cert, key;
    unsigned int boots, cut_boots;
    unsigned int resets;      /* begun */
    unsigned int reset_steps; /* of the last reset: 2 are all */
    char versions[2][8];
    int slot, next;
    bool deleted;
};

struct lab_oracle {
    unsigned int steps;
};

static struct {
    bool no_see, no_act, no_open, no_fork;
    unsigned int mode_after_cut_at; /* the first boot, cut there, ends in another mode */
    bool mode_after_two_cuts;
    unsigned int objects_at; /* the oracle, at its n-th step */
    bool misses_cuts;
    bool oracle_breaks;
    /* what happened */
    unsigned int opened, closed, judged, recoveries;
} fake;

TestSuite(lab_replay, .timeout = 30);

/* ---- the oracle ---- */

struct lab_oracle *lab_oracle_open(const struct lab_world_ops *ops, const struct lab_device *device)
{
    cr_assert_not_null(ops);
    cr_assert_not_null(device);
    return calloc(1, sizeof(struct lab_oracle));
}

struct lab_oracle *lab_oracle_fork(const struct lab_oracle *oracle)
{
    struct lab_oracle *fork = malloc(sizeof *fork);
    *fork = *oracle;
    return fork;
}

void lab_oracle_close(struct lab_oracle *oracle)
{
    free(oracle);
}

int lab_oracle_step(struct lab_oracle *oracle, struct lab_world *world, const struct lab_step *step,
                    const struct lab_result *result, const struct lab_sight *before,
                    const struct lab_sight *after, struct lab_violation *ret,
                    char error[LAB_SENTENCE_SIZE])
{
    (void)world;
    cr_assert(step && result && before && after && before != after);
    cr_assert_eq(result->was_cut, !after->powered, "%s", lab_action_word(step->action));
    fake.judged++;
    fake.recoveries += step->line == 0;
    if (fake.oracle_breaks) {
        strcpy(error, "the copy does not start");
        return -1;
    }
    if (++oracle->steps != fake.objects_at)
        return 1;
    *ret = (struct lab_violation){.invariant = 4, .text = "two identities under one epoch"};
    return 0;
}

/* ---- the world ---- */

static int fake_open(struct lab_world **ret, const struct lab_device *device,
                     char error[LAB_SENTENCE_SIZE])
{
    if (fake.no_open) {
        strcpy(error, "no room");
        return -1;
    }
    *ret = calloc(1, sizeof **ret);
    (*ret)->powered = true;
    strcpy((*ret)->versions[0], device->version);
    fake.opened++;
    return 0;
}

static void fake_close(struct lab_world *world)
{
    fake.closed += world != NULL;
    free(world);
}

static int fake_fork(struct lab_world **ret, struct lab_world *world, char error[LAB_SENTENCE_SIZE])
{
    if (fake.no_fork) {
        strcpy(error, "no copy");
        return -1;
    }
    *ret = malloc(sizeof **ret);
    **ret = *world;
    fake.opened++;
    return 0;
}

/* One durable step; false: the power failed right after it. */
static bool durable(struct lab_world *world, const struct lab_cut *cut, const char *name,
                    struct lab_result *ret)
{
    ret->durable++;
    bool now = (cut->kind == LAB_CUT_AT && cut->at == ret->durable) ||
               (cut->kind == LAB_CUT_AFTER_NAMED && strcmp(cut->name, name) == 0);
    if (!now || fake.misses_cuts)
        return true;
    ret->was_cut = true;
    world->powered = false;
    return false;
}

static void boot(struct lab_world *world, const struct lab_cut *cut, struct lab_result *ret)
{
    static const char *const names[] = {"make_legacy_key", "make_legacy_cert", "record_next"};
    world->powered = true;
    world->slot = world->next;
    world->boots++;
    if (world->made == 3 && !durable(world, cut, "write_marker", ret))
        return;
    while (world->made < 3) {
        if (world->made++ == 0)
            world->key = world->cert = 1;
        if (!durable(world, cut, names[world->made - 1], ret)) {
            world->cut_boots |= 1u << world->made;
            return;
        }
    }
    if (world->resets && world->reset_steps < 2) {
        world->reset_steps = 2;
        world->cert++;
    }
}

static void reset(struct lab_world *world, const struct lab_cut *cut, struct lab_result *ret)
{
    world->resets++;
    world->reset_steps = 1;
    world->key++;
    if (!durable(world, cut, "record_reset", ret))
        return;
    world->reset_steps = 2;
    world->cert++;
    (void)durable(world, cut, "record_reset_final", ret);
}

static int fake_act(struct lab_world *world, const struct lab_step *step, const struct lab_cut *cut,
                    struct lab_result *ret)
{
    *ret = (struct lab_result){0};
    if (fake.no_act) {
        strcpy(ret->error, "swtpm died");
        return -1;
    }
    if (step->action == LAB_DO_boot)
        boot(world, cut, ret);
    else if (step->action == LAB_DO_factory_reset)
        reset(world, cut, ret);
    else if (step->action == LAB_DO_install && durable(world, cut, "record_install", ret)) {
        strcpy(world->versions[!world->slot], step->install.version);
        world->next = !world->slot;
    } else if (step->action == LAB_DO_delete)
        world->deleted = true;
    ret->judged_exit = !ret->was_cut && lab_runs_idmode(step->action);
    ret->exit_code = step->action == LAB_DO_command ? 2 : 0;
    return 0;
}

static int fake_see(struct lab_world *world, struct lab_sight *ret, char error[LAB_SENTENCE_SIZE])
{
    if (fake.no_see) {
        strcpy(error, "status.json is not JSON");
        return -1;
    }
    *ret = (struct lab_sight){
        .powered = world->powered,
        .aware = true,
        .slot = world->slot,
        .slots = {{.present = *world->versions[0] != 0}, {.present = *world->versions[1] != 0}},
        .trial = IDM_NO,
        .published = world->boots > 0,
        .healthy = true,
        .epoch = (int64_t)(1 + world->resets)};
    (void)snprintf(ret->slots[0].version, LAB_WORD_SIZE, "%s", world->versions[0]);
    (void)snprintf(ret->slots[1].version, LAB_WORD_SIZE, "%s", world->versions[1]);
    bool wrong = (fake.mode_after_cut_at && world->cut_boots >> fake.mode_after_cut_at & 1) ||
                 (fake.mode_after_two_cuts && world->cut_boots == (1u << 1 | 1u << 2));
    if (ret->published) {
        strcpy(ret->mode, wrong ? "tpm" : "software");
        strcpy(ret->state, "software");
        strcpy(ret->tpm, "absent");
    }
    strcpy(ret->legacy_view, world->deleted ? "absent" : "works");
    strcpy(ret->legacy_key, "plain");
    ret->reasons = world->resets ? UINT64_C(1) << IDM_R_clock : 0;
    if (world->made == 3) {
        (void)snprintf(ret->active.cert, LAB_HEX_SIZE, "cert-%u", world->cert);
        (void)snprintf(ret->active.spki, LAB_HEX_SIZE, "key-%u", world->key);
        ret->active.works = true;
        ret->legacy = ret->active;
    }
    return 0;
}

static const struct lab_world_ops fake_world = {.name = "sim",
                                                .open = fake_open,
                                                .close = fake_close,
                                                .act = fake_act,
                                                .see = fake_see,
                                                .fork = fake_fork};

/* ---- running ---- */

static struct lab_scenario scenario_of(const char *steps)
{
    struct lab_scenario scenario;
    struct lab_scenario_error err = {0};
    char path[] = "/tmp/idmode-replay-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_geq(dprintf(fd, "name: n\n%s", steps), 0);
    cr_assert_eq(close(fd), 0);
    int r = lab_scenario_read(&scenario, path, &err);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(r, 0, "%d:%d: %s\n%s", err.line, err.column, err.text, steps);
    strcpy(scenario.file, "x.yaml");
    return scenario;
}

/* The caller frees *ret; its `scenario` is gone. */
static void run(struct lab_run *ret, const char *steps, const char *cuts)
{
    struct lab_cuts parsed = {0};
    struct lab_scenario scenario = scenario_of(steps);
    if (cuts)
        cr_assert(lab_cuts_parse(&parsed, cuts), "%s", cuts);
    fake.opened = fake.closed = fake.judged = fake.recoveries = 0;
    lab_replay(ret, &fake_world, &scenario, &parsed, true);
    cr_assert_eq(fake.opened, fake.closed, "%u worlds were opened, %u closed", fake.opened,
                 fake.closed);
    lab_scenario_free(&scenario);
}

static void passes(const char *steps, const char *cuts, unsigned long replays,
                   unsigned long cut_count)
{
    struct lab_run ret;
    run(&ret, steps, cuts);
    cr_expect_eq(ret.verdict, LAB_PASS, "%s: %s, not %s\n%s", ret.failure.what, ret.failure.found,
                 ret.failure.expected, steps);
    cr_expect_eq(ret.replays, replays, "%lu replays\n%s", ret.replays, steps);
    cr_expect_eq(ret.cuts, cut_count, "%lu cuts\n%s", ret.cuts, steps);
    cr_expect_gt(ret.moments_count, 0);
    lab_run_free(&ret);
}

static void fails(const char *steps, const char *cuts, const char *what, const char *expected,
                  const char *found, const char *again)
{
    struct lab_run ret;
    run(&ret, steps, cuts);
    cr_expect_eq(ret.verdict, LAB_FAIL, "passed:\n%s", steps);
    cr_expect_str_eq(ret.failure.what, what);
    cr_expect_str_eq(ret.failure.expected, expected, "%s", ret.failure.expected);
    cr_expect_str_eq(ret.failure.found, found, "%s", ret.failure.found);
    cr_expect_str_eq(ret.failure.again, again, "%s", ret.failure.again);
    lab_run_free(&ret);
}

#define AGAIN           "idmode-lab replay --world sim x.yaml"
#define AGAIN_AT(place) "idmode-lab replay --world sim --cut at:" place " x.yaml"
#define LIFE            "steps:\n- boot:\n- label: a\n- factory-reset:\n- boot:\n- label: b\n- delete: cert\n"
#define CLAIM(claim)    LIFE "- boot:\n  expect: {" claim "}\n"

Test(lab_replay, what_holds_passes)
{
    passes(CLAIM("mode: software, state: software, held: no, healthy: yes, reasons: [clock], "
                 "reason: clock, identity: b, identity-not: a, key: b, legacy-view: absent, "
                 "legacy-identity: b, legacy-key: plain, marker: absent, tpm: absent, epoch: 2, "
                 "image: \"1.0\", trial: no, slot: A"),
           NULL, 1, 0);
}

Test(lab_replay, each_claim_that_does_not_hold_fails)
{
    static const char none_published[] = "idmode published nothing";
    static const char b[] = "certificate cert-2, key key-2";
    fails(CLAIM("mode: tpm"), NULL, "mode", "tpm", "software", AGAIN);
    fails(CLAIM("state: tpm-dual"), NULL, "state", "tpm-dual", "software", AGAIN);
    fails(CLAIM("held: yes"), NULL, "held", "yes", "no", AGAIN);
    fails(CLAIM("healthy: no"), NULL, "healthy", "no", "yes", AGAIN);
    fails(CLAIM("reasons: []"), NULL, "reasons", "none", "clock", AGAIN);
    fails(CLAIM("reasons: [clock, key-lost]"), NULL, "reasons", "key-lost, clock", "clock", AGAIN);
    fails(CLAIM("reason: key-lost"), NULL, "reason", "key-lost", "clock", AGAIN);
    fails(CLAIM("identity: a"), NULL, "identity", "a: certificate cert-1, key key-1", b, AGAIN);
    fails(CLAIM("identity-not: b"), NULL, "identity-not", "not b: certificate cert-2, key key-2", b,
          AGAIN);
    fails(CLAIM("key: a"), NULL, "key", "a: certificate cert-1, key key-1", b, AGAIN);
    fails(CLAIM("legacy-view: works"), NULL, "legacy-view", "works", "absent", AGAIN);
    fails(CLAIM("legacy-identity: a"), NULL, "legacy-identity", "a: certificate cert-1, key key-1",
          b, AGAIN);
    fails(CLAIM("legacy-key: sealed"), NULL, "legacy-key", "sealed", "plain", AGAIN);
    fails(CLAIM("marker: present"), NULL, "marker", "present", "absent", AGAIN);
    fails(CLAIM("tpm: usable"), NULL, "tpm", "usable", "absent", AGAIN);
    fails(CLAIM("epoch: 1"), NULL, "epoch", "1", "2", AGAIN);
    fails(CLAIM("image: \"2.0\""), NULL, "image", "2.0", "1.0", AGAIN);
    fails(CLAIM("trial: yes"), NULL, "trial", "yes", "no", AGAIN);
    fails(CLAIM("slot: B"), NULL, "slot", "B", "A", AGAIN);
    fails("steps:\n- nothing:\n  expect: {held: no}\n", NULL, "held", "no", none_published, AGAIN);
    fails("steps:\n- nothing:\n  expect: {mode: none}\n", NULL, "mode", "none", none_published,
          AGAIN);
    fails("steps:\n- nothing:\n  expect: {epoch: 1}\n", NULL, "epoch", "1", none_published, AGAIN);
    fails("steps:\n- nothing:\n  expect: {reasons: []}\n", NULL, "reasons", "none", none_published,
          AGAIN);
    fails("steps:\n- boot:\n- label: a\n- factory-reset:\n- label: a\n- nothing:\n"
          "  expect: {identity-not: a}\n",
          NULL, "identity-not", "not a: certificate cert-2, key key-2", b, AGAIN);
}

Test(lab_replay, exit_codes)
{
    passes("steps:\n- boot:\n  exit: 0\n- command: [status]\n  exit: 2\n", NULL, 1, 0);
    fails("steps:\n- command: [status]\n  exit: 0\n", NULL, "exit", "0", "2", AGAIN);
    /* A step that was cut has none. */
    passes("steps:\n- boot:\n  exit: 3\n  cut: make_legacy_cert\n", NULL, 1, 1);
}

Test(lab_replay, a_label_needs_an_identity)
{
    fails("steps:\n- label: a\n", NULL, "label", "an identity to remember", "no identity", AGAIN);
}

Test(lab_replay, a_failure_says_where)
{
    struct lab_run ret;
    run(&ret, "steps:\n- boot:\n- nothing:\n- boot:\n  expect: {mode: tpm}\n- nothing:\n", NULL);
    cr_assert_eq(ret.failure.step, 2);
    cr_assert_eq(ret.failure.line, 5);
    cr_assert_eq(ret.moments_count, 3, "what came after the failure is not shown");
    cr_assert_eq(ret.moments[2].index, 2);
    cr_assert_eq(ret.replays, 0);
    lab_run_free(&ret);
}

Test(lab_replay, another_worlds_scenario_is_skipped)
{
    struct lab_run ret;
    run(&ret, "world: real\nwhy: needs files\nsteps:\n- boot:\n  expect: {mode: tpm}\n", NULL);
    cr_assert_eq(ret.verdict, LAB_SKIP);
    cr_assert_str_eq(ret.skipped, "needs files");
    cr_assert_eq(fake.opened, 0);
    lab_run_free(&ret);
    passes("world: sim\nwhy: in memory\nsteps:\n- boot:\n", NULL, 1, 0);
}

/* ---- what breaks ---- */

Test(lab_replay, an_objection_of_the_oracle_fails)
{
    passes(LIFE, NULL, 1, 0);
    cr_assert_eq(fake.judged, 4, "each step but the labels");
    fake.objects_at = 3;
    fails(LIFE, NULL, "I4", "invariant I4 holds", "two identities under one epoch", AGAIN);
    fake.objects_at = 2;
    fails("steps:\n- boot:\n  cut: make_legacy_key\n", NULL, "I4", "invariant I4 holds",
          "two identities under one epoch", AGAIN);
    cr_assert_eq(fake.recoveries, 1, "the boot after a cut is judged as a boot");
}

Test(lab_replay, a_broken_world_fails)
{
    fake.no_see = true;
    fails(LIFE, NULL, "world", "the world works", "status.json is not JSON", AGAIN);
    fake.no_see = false;
    fake.no_act = true;
    fails(LIFE, NULL, "world", "the world works", "swtpm died", AGAIN);
    fake.no_act = false;
    fake.no_open = true;
    fails(LIFE, NULL, "world", "the world works", "no room", AGAIN);
    fake.no_open = false;
    fake.no_fork = true;
    passes(LIFE, NULL, 1, 0);
    fails(LIFE, "every", "world", "the world works", "no copy", AGAIN);
    fake.no_fork = false;
    fake.oracle_breaks = true;
    fails(LIFE, NULL, "world", "the world works", "the copy does not start", AGAIN);
}

/* ---- cuts that the scenario has ---- */

Test(lab_replay, a_named_cut)
{
    fake.mode_after_cut_at = 2;
    passes("steps:\n- boot:\n  cut: make_legacy_key\n  expect: {mode: software}\n", NULL, 1, 1);
    fails("steps:\n- boot:\n  cut: make_legacy_cert\n  expect: {mode: software}\n", NULL, "mode",
          "software", "tpm", AGAIN);
    fails("steps:\n- boot:\n  cut: make_parent\n", NULL, "cut", "make_parent",
          "idmode took no such durable step", AGAIN);
}

Test(lab_replay, cut_every)
{
    passes("steps:\n- boot:\n  cut: every\n  expect: {mode: software}\n- nothing:\n", NULL, 3, 3);
    /* One at a time, the others uncut; none of them uncut. */
    passes("steps:\n- boot:\n  cut: every\n- factory-reset:\n  cut: every\n- boot:\n", NULL, 5, 5);
    fake.mode_after_cut_at = 2;
    fails("steps:\n- boot:\n  cut: every\n- boot:\n  expect: {mode: software}\n", NULL, "mode",
          "software", "tpm", AGAIN_AT("1:2"));
    fails("steps:\n- boot:\n  cut: every\n- boot:\n  expect: {mode: software}\n", "at:1:2", "mode",
          "software", "tpm", AGAIN_AT("1:2"));
    passes("steps:\n- boot:\n  cut: every\n- boot:\n  expect: {mode: software}\n", "at:1:3", 1, 1);
}

/* Its expectations are those of the boot after it, not of the uncut step. */
Test(lab_replay, an_expectation_of_a_cut_step_is_judged_after_the_boot)
{
    static const char steps[] = "steps:\n- boot:\n- install: {version: \"2.0\"}\n  cut: every\n"
                                "  expect: {image: \"1.0\", mode: software}\n";
    static const char wrong[] = "steps:\n- boot:\n- install: {version: \"2.0\"}\n  cut: every\n"
                                "  expect: {image: \"2.0\"}\n";
    passes(steps, NULL, 1, 1);
    fails(wrong, NULL, "image", "2.0", "1.0", AGAIN_AT("2:1"));
}

Test(lab_replay, without_a_durable_step_nothing_is_cut)
{
    passes("steps:\n- command: [status]\n  cut: every\n  exit: 2\n- boot:\n", NULL, 1, 0);
    fails("steps:\n- command: [status]\n  cut: every\n  exit: 0\n", NULL, "exit", "0", "2", AGAIN);
    passes("steps:\n- command: [status]\n  cut: random\n", NULL, 1, 0);
}

Test(lab_replay, cut_random)
{
    passes("steps:\n- boot:\n  cut: random\n  expect: {mode: software}\n", NULL, 1, 1);
}

Test(lab_replay, a_cut_that_does_not_happen_fails)
{
    fake.misses_cuts = true;
    fails("steps:\n- boot:\n  cut: every\n", NULL, "cut", "the power fails after durable step 1",
          "idmode took 3", AGAIN_AT("1:1"));
}

/* ---- cuts that the command line asks for ---- */

#define UPDATE                                                                                     \
    "steps:\n- boot:\n  expect: {mode: software}\n- label: a\n- install: {version: \"2.0\"}\n"     \
    "- boot:\n  expect: {image: \"2.0\", mode: software, identity: a}\n"

Test(lab_replay, every_step_is_cut_at_each_durable_step)
{
    /* 1 uncut; steps 1, 3, 4 with 3, 1, 1 cuts, measured by two lives each, the installation by five. */
    passes(UPDATE, "every", 1 + 3 + 1 + 1 + 2 + 5 + 2, 5);
    fake.mode_after_cut_at = 3;
    fails(UPDATE, "every", "mode", "software", "tpm", AGAIN_AT("1:3"));
    fails(UPDATE, "at:1:3", "mode", "software", "tpm", AGAIN_AT("1:3"));
    passes(UPDATE, "at:1:2", 1 + 2, 1);
}

/* The image was not written: that is no fault of idmode's. A lost identity would be. */
Test(lab_replay, what_the_cut_legitimately_changes_is_taken_back)
{
    passes(UPDATE, "at:3:1", 1 + 5, 1);
    passes(UPDATE, "at:3:write", 5, 0);
    fails("steps:\n- boot:\n- label: a\n- factory-reset:\n  expect: {identity: a}\n", "every",
          "identity", "a: certificate cert-1, key key-1", "certificate cert-2, key key-2", AGAIN);
}

Test(lab_replay, the_oracle_judges_around_a_cut)
{
    passes("steps:\n- boot:\n", "at:1:before", 2, 0);
    passes("steps:\n- boot:\n", "at:1:after", 2, 0);
    fake.objects_at = 2;
    fails("steps:\n- boot:\n", "every", "I4", "invariant I4 holds",
          "two identities under one epoch", AGAIN_AT("1:after"));
    fails("steps:\n- boot:\n", "at:1:after", "I4", "invariant I4 holds",
          "two identities under one epoch", AGAIN_AT("1:after"));
}

Test(lab_replay, pairs)
{
    static const char steps[] = "steps:\n- boot:\n  expect: {mode: software}\n";
    /* Cut at 1: two steps are left; at 2: one; at 3: the marker. Measured by four. */
    passes(steps, "pairs", 1 + 3 + (2 + 1 + 1) + 4, 3 + (2 + 1 + 1));
    fake.mode_after_two_cuts = true;
    passes(steps, "every", 1 + 3 + 2, 3);
    fails(steps, "pairs", "mode", "software", "tpm", AGAIN_AT("1:1:1"));
    fails(steps, "at:1:1:1", "mode", "software", "tpm", AGAIN_AT("1:1:1"));
    passes(steps, "at:1:1:2", 1 + 4, 2);
}

Test(lab_replay, random_cuts_are_drawn_from_the_seed)
{
    struct lab_run one, other;
    run(&one, UPDATE, "random:7:2");
    run(&other, UPDATE, "random:7:2");
    cr_assert_eq(one.verdict, LAB_PASS, "%s", one.failure.found);
    cr_assert_eq(one.replays, other.replays);
    cr_assert_eq(one.cuts, other.cuts);
    cr_assert(one.cuts >= 1 && one.cuts <= 2);
    lab_run_free(&one);
    lab_run_free(&other);
    fake.mode_after_cut_at = 3;
    fails(UPDATE, "random:1:50", "mode", "software", "tpm", AGAIN_AT("1:3"));
    passes("steps:\n- command: [status]\n", "random:1:50", 1, 0);
}

Test(lab_replay, a_place_that_is_none_fails)
{
    fails(UPDATE, "at:2:1", "cut", "a step that runs idmode and has no cut of its own",
          "there is none at that place", AGAIN);
    fails(UPDATE, "at:9:1", "cut", "a step that runs idmode and has no cut of its own",
          "there is none at that place", AGAIN);
}

Test(lab_replay, words_of_cut)
{
    static const char *const wrong[] = {"",
                                        "all",
                                        "every ",
                                        "random",
                                        "random:1",
                                        "random:1:0",
                                        "random:x:1",
                                        "at:",
                                        "at:0:1",
                                        "at:1",
                                        "at:1:0",
                                        "at:1:2:0",
                                        "at:1:2:3:4:5",
                                        "at:1:2:3:",
                                        "at:1:beside",
                                        "at:1:-1",
                                        "random:1:1000001"};
    struct lab_cuts cuts;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_expect_not(lab_cuts_parse(&cuts, wrong[i]), "%s", wrong[i]);
    cr_assert(lab_cuts_parse(&cuts, "at:12:3:4"));
    cr_assert(cuts.kind == LAB_CUTS_AT && cuts.step == 12 && cuts.at[0] == 3 && cuts.at[1] == 4);
    cr_expect_eq(lab_cuts_nested(&cuts), 2);
    cr_assert(lab_cuts_parse(&cuts, "at:1:2:3:4") && lab_cuts_nested(&cuts) == 3);
    cr_assert(lab_cuts_parse(&cuts, "triples") && lab_cuts_nested(&cuts) == 3);
    cr_assert(lab_cuts_parse(&cuts, "random:5:6"));
    cr_assert(cuts.kind == LAB_CUTS_RANDOM && cuts.seed == 5 && cuts.count == 6);
}

/* ---- the life while it happens ---- */

Test(lab_replay, each_moment_is_a_line_as_soon_as_it_is_over)
{
    struct lab_run ret;
    char path[] = "/tmp/idmode-lines-XXXXXX", text[4096];
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(lab_lines_in(path), 0);
    run(&ret, LIFE "- boot:\n  expect: {mode: tpm}\n- boot:\n", NULL);
    cr_assert_eq(ret.verdict, LAB_FAIL);
    ssize_t size = read(fd, text, sizeof text - 1); /* before it is closed */
    cr_assert_gt(size, 0);
    text[size] = 0;
    cr_assert_eq(lab_lines_end(), 0);
    cr_expect_eq(strncmp(text, "x.yaml (sim): n\n", 16), 0, "%s", text);
    cr_expect_not_null(
        strstr(text, "   2     0:00  -          software      -        1  This identity is"));
    cr_expect_not_null(
        strstr(text, "   5     0:00  -          software      -        2  This identity is"), "%s",
        text);
    cr_expect_not_null(strstr(text, "Mishap: the certificate in the config directory is deleted"));
    cr_expect_not_null(strstr(text, "- clock\n"));
    cr_expect_null(strstr(text, "\n   8 "), "the step after the failure");
    cr_expect_not_null(strstr(text, "expected: tpm\n"));
    cr_expect_not_null(strstr(text, "failed after 0:00: 8 steps, 0 cuts\n"));
    lab_run_free(&ret);
    (void)close(fd);
    (void)unlink(path);
}
