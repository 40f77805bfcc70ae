/* SPDX-License-Identifier: BSD-2-Clause */
/* The simulated world (tests/lab/world_sim.c): what it does and how it is seen. That scenarios end in it
 * as they end in the real one is what the replays of the library show. */
#include "tests/lab/sim_parts.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct lab_world_ops *const ops = &lab_sim_world;

static const struct lab_device new_device = {
    .tpm = LAB_TPM_USABLE, .aware = true, .version = "1.0", .other_slot = LAB_SLOT_EMPTY};

static struct lab_world *open_device(const struct lab_device *device)
{
    char error[LAB_SENTENCE_SIZE] = "";
    struct lab_world *w = NULL;
    cr_assert_eq(ops->open(&w, device, error), 0, "%s", error);
    return w;
}

static struct lab_result act_cut(struct lab_world *w, struct lab_step step, struct lab_cut cut)
{
    struct lab_result result = {0};
    cr_assert_eq(ops->act(w, &step, &cut, &result), 0, "%s", result.error);
    return result;
}

static struct lab_result act(struct lab_world *w, struct lab_step step)
{
    return act_cut(w, step, (struct lab_cut){.kind = LAB_UNCUT});
}

static int boot(struct lab_world *w)
{
    return act(w, (struct lab_step){.action = LAB_DO_boot}).exit_code;
}

static const struct lab_sight *see(struct lab_world *w)
{
    static struct lab_sight sight;
    char error[LAB_SENTENCE_SIZE] = "";
    cr_assert_eq(ops->see(w, &sight, error), 0, "%s", error);
    return &sight;
}

static struct lab_step install(enum lab_slot_image image, const char *version)
{
    struct lab_step step = {.action = LAB_DO_install,
                            .install = {.image = image, .pre_install = true, .post_install = true}};
    (void)snprintf(step.install.version, sizeof step.install.version, "%s", version);
    return step;
}

static struct lab_step word_step(enum lab_action action, const char *word)
{
    struct lab_step step = {.action = action};
    (void)snprintf(step.word, sizeof step.word, "%s", word);
    return step;
}

TestSuite(lab_sim, .timeout = 60);

Test(lab_sim, first_boot_is_seen)
{
    struct lab_world *w = open_device(&new_device);
    cr_expect_not(see(w)->powered);
    cr_expect_eq(boot(w), 0);
    const struct lab_sight *s = see(w);
    cr_expect(s->powered && s->published && s->aware && s->recorded && s->marker);
    cr_expect_str_eq(s->mode, "tpm");
    cr_expect_str_eq(s->state, "tpm-dual");
    cr_expect_str_eq(s->legacy_view, "works");
    cr_expect_str_eq(s->legacy_key, "plain");
    cr_expect_eq(s->epoch, 1);
    cr_expect(s->active.works && s->legacy.works && s->own_chip);
    cr_expect_str_neq(s->active.spki, s->legacy.spki);
    cr_expect_not_null(strstr(s->trace, "record_begin done\n"));
    ops->close(w);
}

/* It is seen as the engine concluded it: the document says the same. */
Test(lab_sim, what_is_seen_is_what_the_document_says)
{
    static const enum lab_tpm chips[] = {LAB_TPM_USABLE, LAB_TPM_ABSENT, LAB_TPM_FAILED,
                                         LAB_TPM_LOCKED, LAB_TPM_CLEARED};
    struct lab_world *w = open_device(&new_device);
    (void)boot(w);
    for (size_t i = 0; i < sizeof chips / sizeof *chips; i++) {
        (void)act(w, (struct lab_step){.action = LAB_DO_tpm, .tpm = chips[i]});
        (void)boot(w);
        const struct lab_sight *s = see(w);
        const struct idm_bytes *text = idm_sim_file(&w->sim, IDM_F_RUN_STATUS);
        json_t *doc = json_loadb((const char *)text->data, text->size, 0, NULL);
        const char *mode = NULL, *identity_mode = NULL, *state = NULL, *event = NULL, *chip = NULL;
        int held = -1, healthy = -1;
        json_int_t epoch = -1;
        json_t *reasons = NULL;
        cr_assert_eq(json_unpack(doc, "{s:s, s:s, s:s, s:s, s:b, s:b, s:I, s:o, s:{s:s}}", "mode",
                                 &mode, "identity_mode", &identity_mode, "state", &state,
                                 "last_event", &event, "held", &held, "healthy", &healthy, "epoch",
                                 &epoch, "reasons", &reasons, "tpm", "status", &chip),
                     0);
        cr_expect_str_eq(s->mode, mode);
        cr_expect_str_eq(s->identity_mode, identity_mode);
        cr_expect_str_eq(s->state, state);
        cr_expect_str_eq(s->last_event, event);
        cr_expect_str_eq(s->tpm, chip);
        cr_expect(s->held == held && s->healthy == healthy && s->epoch == epoch);
        cr_expect_eq((size_t)__builtin_popcountll(s->reasons), json_array_size(reasons));
        json_decref(doc);
    }
    ops->close(w);
}

Test(lab_sim, a_cut_by_name_falls_right_after_that_action)
{
    struct lab_world *w = open_device(&new_device);
    struct lab_result r =
        act_cut(w, (struct lab_step){.action = LAB_DO_boot},
                (struct lab_cut){.kind = LAB_CUT_AFTER_NAMED, .name = "make_parent"});
    cr_expect(r.was_cut && !r.judged_exit);
    const struct lab_sight *s = see(w);
    const char *end = strstr(s->trace, ": make_parent done\n");
    cr_assert_not_null(end);
    cr_expect_str_eq(end, ": make_parent done\n", "nothing was traced after the cut");
    cr_expect(!s->powered && !s->published);
    cr_expect_eq(s->recorded_state, IDM_S_blank);
    cr_expect_eq(boot(w), 0);
    cr_expect_str_eq(see(w)->mode, "tpm");
    ops->close(w);
}

/* Each cut of the first boot ends in one identity, and a step fewer is left to do each time. */
Test(lab_sim, every_cut_of_the_first_boot_is_recovered)
{
    unsigned long cuts = 0;
    for (unsigned long n = 1;; n++) {
        struct lab_world *w = open_device(&new_device);
        struct lab_result r = act_cut(w, (struct lab_step){.action = LAB_DO_boot},
                                      (struct lab_cut){.kind = LAB_CUT_AT, .at = n});
        if (r.was_cut) {
            cr_expect_eq(r.durable, n);
            cr_expect_eq(boot(w), 0, "after cut %lu", n);
            cr_expect_str_eq(see(w)->mode, "tpm", "after cut %lu", n);
            cr_expect_eq(see(w)->epoch, 1, "after cut %lu", n);
            cuts++;
        }
        ops->close(w);
        if (!r.was_cut)
            break;
    }
    cr_expect_gt(cuts, 10);
}

Test(lab_sim, update_with_fallback_and_commit)
{
    static const enum lab_bootenv schemes[] = {LAB_BOOTENV_BOOTCOUNT, LAB_BOOTENV_RAUC,
                                               LAB_BOOTENV_NONE};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        struct lab_device device = new_device;
        device.bootenv = schemes[i];
        struct lab_world *w = open_device(&device);
        (void)boot(w);
        cr_expect_eq(act(w, install(LAB_SLOT_AWARE, "2.0")).exit_code, 0);
        cr_expect_eq(see(w)->next_slot, 1);
        cr_expect_eq(see(w)->trial, IDM_NO, "the old image runs");
        (void)boot(w);
        cr_expect_eq(see(w)->slot, 1);
        cr_expect_eq(see(w)->trial, IDM_YES);
        (void)act(w, (struct lab_step){.action = LAB_DO_fallback});
        (void)boot(w);
        cr_expect_eq(see(w)->slot, 0);
        cr_expect_eq(see(w)->trial, IDM_NO);
        (void)act(w, install(LAB_SLOT_AWARE, "3.0"));
        (void)boot(w);
        (void)act(w, (struct lab_step){.action = LAB_DO_commit, .hooks = true});
        cr_expect_eq(see(w)->trial, IDM_NO);
        cr_expect_str_eq(see(w)->slots[see(w)->slot].version, "3.0");
        ops->close(w);
    }
}

Test(lab_sim, a_legacy_image_uses_its_pair_or_mints_one)
{
    struct lab_device device = new_device;
    device.aware = false;
    struct lab_world *w = open_device(&device);
    cr_expect(act(w, (struct lab_step){.action = LAB_DO_boot}).minted);
    struct lab_identity first = see(w)->active;
    cr_expect(first.works);
    cr_expect_str_eq(see(w)->mode, "software");
    cr_expect_not(act(w, (struct lab_step){.action = LAB_DO_boot}).minted);
    (void)act(w, (struct lab_step){.action = LAB_DO_delete, .what = LAB_KEY});
    cr_expect_str_eq(see(w)->legacy_view, "absent");
    cr_expect(act(w, (struct lab_step){.action = LAB_DO_boot}).minted);
    cr_expect_str_neq(see(w)->active.cert, first.cert);
    (void)act(w, (struct lab_step){.action = LAB_DO_tear, .what = LAB_KEY});
    cr_expect_str_eq(see(w)->legacy_view, "broken");
    cr_expect_not(act(w, (struct lab_step){.action = LAB_DO_boot}).minted, "a torn file is there");
    ops->close(w);
}

Test(lab_sim, a_fork_goes_its_own_way)
{
    struct lab_world *w = open_device(&new_device);
    struct lab_world *copy = NULL;
    char error[LAB_SENTENCE_SIZE] = "";
    (void)boot(w);
    struct lab_identity born = see(w)->active;
    cr_assert_eq(ops->fork(&copy, w, error), 0, "%s", error);
    cr_expect_eq(act(copy, word_step(LAB_DO_factory_reset, "rekey")).exit_code, 0);
    cr_expect_str_neq(see(copy)->active.cert, born.cert);
    cr_expect_str_eq(see(w)->active.cert, born.cert);
    cr_expect_eq(boot(w), 0);
    cr_expect_str_eq(see(w)->active.cert, born.cert);
    ops->close(copy);
    cr_expect(see(w)->active.works);
    ops->close(w);
}

Test(lab_sim, a_reset_ends_every_copy_of_the_key)
{
    struct lab_world *w = open_device(&new_device);
    char error[LAB_SENTENCE_SIZE] = "";
    bool lives = false;
    (void)boot(w);
    struct lab_identity born = see(w)->active;
    (void)act(w, word_step(LAB_DO_snapshot, "kept"));
    cr_assert_eq(ops->key_lives(w, born.spki, false, &lives, error), 0);
    cr_expect(lives);
    (void)act(w, word_step(LAB_DO_factory_reset, "rekey"));
    cr_assert_eq(ops->key_lives(w, born.spki, true, &lives, error), 0);
    cr_expect_not(lives, "also the kept copy of its file is dead");
    (void)act(w, word_step(LAB_DO_restore, "kept"));
    cr_expect_eq(boot(w), 3);
    cr_expect(see(w)->held);
    ops->close(w);
}

Test(lab_sim, an_invalid_setting_is_what_it_is_on_a_device)
{
    struct lab_device device = new_device;
    device.settings[0] = (struct lab_setting){"identity", "legacy-key", "perhaps"};
    device.settings_count = 1;
    struct lab_world *w = open_device(&device);
    cr_expect_eq(boot(w), 0);
    cr_expect(see(w)->reasons >> IDM_R_settings_invalid & 1);
    cr_expect_eq(act(w, word_step(LAB_DO_factory_reset, "rekey")).exit_code, 2);
    ops->close(w);
}

/* Five commands again at once, then after 5, 10, 20, 40, 80 and the 45 ms that are left of 200. */
Test(lab_sim, a_busy_chip_is_waited_for)
{
    static const struct {
        unsigned int commands;
        int exit_code;
    } rows[] = {{5, 0}, {11, 0}, {12, 3}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct lab_device device = new_device;
        device.tpm = LAB_TPM_BUSY;
        device.busy_commands = rows[i].commands;
        struct lab_world *w = open_device(&device);
        cr_expect_eq(boot(w), rows[i].exit_code, "busy for %u commands", rows[i].commands);
        ops->close(w);
    }
}

Test(lab_sim, commands_run_where_an_aware_image_runs)
{
    struct lab_world *w = open_device(&new_device);
    struct lab_step status = {.action = LAB_DO_command, .words = {"status"}, .words_count = 1};
    struct lab_step sign = {.action = LAB_DO_command, .words = {"sign"}, .words_count = 1};
    struct lab_step wrong = {.action = LAB_DO_command, .words = {"dance"}, .words_count = 1};
    (void)boot(w);
    cr_expect_eq(act(w, status).exit_code, 0);
    cr_expect_eq(act(w, sign).exit_code, 0);
    cr_expect_eq(act(w, wrong).exit_code, 2);
    (void)act(w, install(LAB_SLOT_LEGACY, "0.9"));
    (void)boot(w);
    cr_expect_not(see(w)->aware);
    cr_expect_not(act(w, status).judged_exit, "no idmode is there");
    ops->close(w);
}
