/* SPDX-License-Identifier: BSD-2-Clause */
/* The engine of a later program, whose newest record format 1 cannot be read by today's (built with
 * IDM_RECORD_VERSION 2): it writes what every image that may boot can read. */
#include "tests/sim/sim.h"

#include <criterion/criterion.h>
#include <string.h>

_Static_assert(IDM_RECORD_VERSION == 2 && IDM_RECORD_MIN_READER == 2, "a later program");

static struct idm_sim sim;
static struct idm_outcome outcome;

static void set_up(void)
{
    idm_sim_init(&sim);
}

static void tear_down(void)
{
    idm_sim_free(&sim);
}

TestSuite(next_format, .init = set_up, .fini = tear_down, .timeout = 60);

static void boot(void)
{
    cr_assert_eq(idm_sim_boot(&sim, &outcome), IDM_EXIT_DONE, "%s: %s", outcome.error.what,
                 outcome.error.why);
    cr_assert_eq(outcome.mode, IDM_MODE_TPM);
}

static void hook(const char *slot, enum idm_request_kind kind, enum idm_slot_kind image,
                 uint16_t format)
{
    struct idm_target target = {.kind = image, .format = format, .id = "i"};
    (void)strcpy(target.slot, slot);
    struct idm_ask ask = {.kind = kind, .target = &target};
    cr_assert_eq(idm_sim_run(&sim, &ask, &outcome), IDM_EXIT_DONE);
}

/* Both copies; min_reader is the same number, or today's programs would hold the device. */
#define is_written_as(number) is_written_as_(number, __LINE__)
static void is_written_as_(unsigned int number, int line)
{
    static const enum idm_file copies[] = {IDM_F_PERSIST_RECORD, IDM_F_CONFIG_RECORD};
    for (size_t i = 0; i < 2; i++) {
        const struct idm_bytes *record = idm_sim_file(&sim, copies[i]);
        cr_assert_not_null(record);
        cr_expect_eq(record->data[9], number, "line %d: version %u", line, record->data[9]);
        cr_expect_eq(record->data[11], number, "line %d: min_reader %u", line, record->data[11]);
    }
}

static void quiet_boot(void)
{
    boot();
    cr_expect_eq(sim.writes, 0, "a steady device is written");
}

static void put_image(uint32_t content)
{
    sim.slot_content[1] = content;
}

Test(next_format, alone_it_writes_its_own)
{
    sim.settings.other_slot = IDM_OTHER_NONE;
    sim.slot_content[1] = 0;
    boot();
    is_written_as(2);
    quiet_boot();
}

Test(next_format, what_is_unknown_may_be_an_older_program)
{
    boot(); /* the other slot holds something that nobody described */
    is_written_as(1);
    quiet_boot();
}

Test(next_format, beside_a_legacy_image_it_writes_its_own)
{
    sim.settings.other_slot = IDM_OTHER_LEGACY;
    boot();
    is_written_as(2);
}

Test(next_format, beside_an_aware_image_of_unknown_age_it_writes_the_oldest)
{
    sim.settings.other_slot = IDM_OTHER_AWARE;
    boot();
    is_written_as(1);
}

Test(next_format, an_installation_of_an_older_program_brings_the_older_format_first)
{
    sim.settings.other_slot = IDM_OTHER_LEGACY;
    boot();
    is_written_as(2);
    hook("B", IDM_REQ_PRE_INSTALL, IDM_SLOT_AWARE, 1);
    is_written_as(1);
    put_image(1001);
    hook("B", IDM_REQ_POST_INSTALL, IDM_SLOT_AWARE, 1);
    is_written_as(1);
    boot(); /* back in the newer program, whatever became of the older one */
    is_written_as(1);
}

Test(next_format, an_installation_of_an_equal_one_leaves_the_newer_format)
{
    sim.settings.other_slot = IDM_OTHER_LEGACY;
    boot();
    hook("B", IDM_REQ_PRE_INSTALL, IDM_SLOT_AWARE, 2);
    put_image(1002);
    hook("B", IDM_REQ_POST_INSTALL, IDM_SLOT_AWARE, 9);
    is_written_as(2);
}

Test(next_format, a_format_that_nobody_names_counts_as_the_oldest)
{
    sim.settings.other_slot = IDM_OTHER_LEGACY;
    boot();
    hook("B", IDM_REQ_PRE_INSTALL, IDM_SLOT_AWARE, 0);
    is_written_as(1);
}

/* The slot was written without a word: its content is not what the record describes. */
Test(next_format, an_unannounced_image_brings_the_older_format)
{
    sim.settings.other_slot = IDM_OTHER_NONE;
    sim.slot_content[1] = 0;
    boot();
    is_written_as(2);
    put_image(1003);
    boot();
    is_written_as(1);
    quiet_boot();
}

/* Upgrade: the older image in slot A, then this one in B, on trial, then committed. On trial its own word
 * that nothing is in the other slot does not count. */
Test(next_format, on_trial_it_writes_what_the_older_program_reads)
{
    sim.settings.other_slot = IDM_OTHER_AWARE;
    boot();
    is_written_as(1);
    (void)strcpy(sim.bootenv.slot, "B");
    (void)strcpy(sim.bootenv.other, "A");
    sim.bootenv.state = IDM_BOOTENV_IS_READABLE;
    sim.bootenv.trial = IDM_YES;
    sim.settings.other_slot = IDM_OTHER_NONE;
    sim.slot_content[0] = 0;
    boot();
    is_written_as(1);
    sim.bootenv.trial = IDM_UNKNOWN;
    sim.bootenv.state = IDM_BOOTENV_IS_UNREADABLE;
    boot();
    is_written_as(1);
    sim.bootenv.state = IDM_BOOTENV_IS_READABLE;
    sim.bootenv.trial = IDM_NO;
    boot();
    is_written_as(1); /* a slot that once held an image and cannot be read now may hold it still */
    hook("A", IDM_REQ_PRE_INSTALL, IDM_SLOT_AWARE, 2);
    is_written_as(1);
    sim.slot_content[0] = 1004;
    hook("A", IDM_REQ_POST_INSTALL, IDM_SLOT_AWARE, 2);
    is_written_as(2);
}
