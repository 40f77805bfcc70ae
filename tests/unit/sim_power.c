/* SPDX-License-Identifier: BSD-2-Clause */
/* What a power cut leaves of files (tests/sim/sim_files.c), and that the engine recovers from each of it:
 * after every primitive effect, in every state that ext4 or FAT may be in then. */
#include "tests/sim/sim.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(sim_power, .timeout = 120);

static const char old_text[] = "old";
static char new_text[1500]; /* three sectors */

/* A device whose power went after effect `at` of replacing `file`; false: there were not so many. */
static bool cut_write(struct idm_sim *sim, enum idm_sim_fs fs, enum idm_file file, unsigned long at)
{
    const struct idm_backends *be = &sim->backends;
    memset(new_text, 'n', sizeof new_text);
    idm_sim_init(sim);
    sim->config_fs = fs;
    idm_sim_put(sim, file, old_text);
    idm_sim_begin_run(sim);
    idm_sim_arm(sim, IDM_SIM_CUT_EFFECT, at);
    int rc = be->file_write(be->self, file, new_text, sizeof new_text, NULL);
    cr_assert_eq(rc != 0, sim->fault_hit);
    return sim->fault_hit;
}

enum seen { OLD, NEW, GONE, OTHER, SEEN };

static enum seen look(const struct idm_sim *sim, enum idm_file file)
{
    const struct idm_bytes *bytes = idm_sim_file(sim, file);
    if (!bytes)
        return GONE;
    if (bytes->size == sizeof old_text - 1 && memcmp(bytes->data, old_text, bytes->size) == 0)
        return OLD;
    bool new = bytes->size == sizeof new_text &&memcmp(bytes->data, new_text, bytes->size) == 0;
    return new ? NEW : OTHER;
}

/* How often which content was seen over all effects and outcomes. */
static void count_outcomes(enum idm_sim_fs fs, enum idm_file file, unsigned int ret[SEEN])
{
    struct idm_sim sim;
    memset(ret, 0, SEEN * sizeof *ret);
    for (unsigned long at = 1; cut_write(&sim, fs, file, at); at++) {
        uint64_t outcomes = idm_sim_outcomes(&sim, NULL);
        for (uint64_t k = 0; k < outcomes; k++) {
            struct idm_sim after;
            idm_sim_copy(&after, &sim);
            idm_sim_settle(&after, k);
            ret[look(&after, file)]++;
            cr_assert_eq(idm_sim_unsynced(&after), 0);
            idm_sim_free(&after);
        }
        idm_sim_free(&sim);
    }
    idm_sim_free(&sim);
}

Test(sim_power, a_cut_on_ext4_leaves_the_old_file_or_the_new_one)
{
    unsigned int seen[SEEN];
    count_outcomes(IDM_SIM_EXT4, IDM_F_CONFIG_CERT, seen);
    cr_expect(seen[OLD] > 0 && seen[NEW] > 0);
    cr_expect_eq(seen[GONE] + seen[OTHER], 0);
}

Test(sim_power, a_cut_on_fat_may_leave_neither)
{
    unsigned int seen[SEEN];
    count_outcomes(IDM_SIM_FAT, IDM_F_CONFIG_CERT, seen);
    cr_expect(seen[OLD] > 0 && seen[NEW] > 0 && seen[GONE] > 0);
    cr_expect_eq(seen[OTHER], 0, "content is synced before it gets its name");
    count_outcomes(IDM_SIM_FAT, IDM_F_PERSIST_RECORD, seen);
    cr_expect_eq(seen[GONE], 0, "persist is ext4");
}

Test(sim_power, what_is_not_synced_is_torn)
{
    struct idm_sim sim;
    cr_assert(cut_write(&sim, IDM_SIM_EXT4, IDM_F_CONFIG_CERT, 2)); /* create, write */
    cr_expect_eq(idm_sim_unsynced(&sim), 2);
    /* All, nothing, garbage, all but one byte, two sector edges; each with and without its name. */
    cr_expect_eq(idm_sim_outcomes(&sim, NULL), 2 * 6);
    bool sizes[sizeof new_text + 1] = {false};
    for (uint64_t k = 0; k < idm_sim_outcomes(&sim, NULL); k++) {
        struct idm_sim after;
        idm_sim_copy(&after, &sim);
        idm_sim_settle(&after, k);
        if (after.temps[IDM_F_CONFIG_CERT])
            sizes[after.temps[IDM_F_CONFIG_CERT]->bytes.size] = true;
        idm_sim_free(&after);
    }
    cr_expect(sizes[0] && sizes[512] && sizes[1024] && sizes[1499] && sizes[1500]);
    idm_sim_free(&sim);
}

/* The model would see it: such content is torn under its own name. */
Test(sim_power, a_store_that_forgets_to_sync_content_is_seen)
{
    struct idm_sim sim;
    const struct idm_backends *be = &sim.backends;
    bool torn = false;
    memset(new_text, 'n', sizeof new_text);
    idm_sim_init(&sim);
    idm_sim_put(&sim, IDM_F_CONFIG_CERT, old_text);
    sim.forgets_fsync = true;
    cr_assert_eq(be->file_write(be->self, IDM_F_CONFIG_CERT, new_text, sizeof new_text, NULL), 0);
    for (uint64_t k = 0; k < idm_sim_outcomes(&sim, NULL); k++) {
        struct idm_sim after;
        idm_sim_copy(&after, &sim);
        idm_sim_settle(&after, k);
        torn = torn || look(&after, IDM_F_CONFIG_CERT) == OTHER;
        idm_sim_free(&after);
    }
    cr_expect(torn);
    idm_sim_free(&sim);
}

/* Of more than six unsynced effects all are kept but one or two; what that leaves out is told. */
Test(sim_power, many_unsynced_effects_are_lost_in_pairs)
{
    static const enum idm_file files[] = {
        IDM_F_CONFIG_CERT,      IDM_F_CONFIG_KEY,     IDM_F_CONFIG_TSS2,  IDM_F_CONFIG_TPM_CERT,
        IDM_F_PERSIST_TPM_CERT, IDM_F_PERSIST_SEALED, IDM_F_PERSIST_CERT, IDM_F_HISTORY};
    enum { FILES = sizeof files / sizeof *files, VARIANTS = 6 }; /* of a write of three sectors */
    struct idm_sim sim;
    const struct idm_backends *be = &sim.backends;
    unsigned int lost[FILES + 1] = {0};
    uint64_t left_out = 0, all = 1;
    memset(new_text, 'n', sizeof new_text);
    idm_sim_init(&sim);
    sim.forgets_fsync = true;
    for (size_t i = 0; i < FILES; i++) {
        all *= VARIANTS;
        cr_assert_eq(be->file_write(be->self, files[i], new_text, sizeof new_text, NULL), 0);
    }
    cr_assert_eq(idm_sim_unsynced(&sim), FILES);
    uint64_t outcomes = idm_sim_outcomes(&sim, &left_out);
    unsigned int once = VARIANTS - 1;
    cr_expect_eq(outcomes, 1 + FILES * once + FILES * (FILES - 1) / 2 * once * once);
    cr_expect_eq(left_out, all - outcomes);
    for (uint64_t k = 0; k < outcomes; k++) {
        struct idm_sim after;
        unsigned int harmed = 0;
        idm_sim_copy(&after, &sim);
        idm_sim_settle(&after, k);
        for (size_t i = 0; i < FILES; i++)
            harmed += look(&after, files[i]) != NEW;
        lost[harmed]++;
        idm_sim_free(&after);
    }
    cr_expect_eq(lost[0], 1);
    cr_expect_eq(lost[1], FILES * once);
    cr_expect_eq(lost[0] + lost[1] + lost[2], outcomes);
    idm_sim_free(&sim);
}

Test(sim_power, a_leftover_is_swept_before_the_next_change)
{
    struct idm_sim sim;
    struct idm_outcome outcome;
    cr_assert(cut_write(&sim, IDM_SIM_EXT4, IDM_F_CONFIG_KEY, 3));
    idm_sim_power_cycle(&sim);
    cr_expect_not_null(sim.temps[IDM_F_CONFIG_KEY]);
    idm_sim_delete(&sim, IDM_F_CONFIG_KEY);
    (void)idm_sim_run(&sim, NULL, &outcome);
    cr_expect_null(sim.temps[IDM_F_CONFIG_KEY]);
    idm_sim_free(&sim);
}

/* ---- the engine -------------------------------------------------------------------------------*/

static void prepare_new(struct idm_sim *sim)
{
    (void)sim;
}

static void prepare_reset(struct idm_sim *sim)
{
    struct idm_outcome outcome;
    (void)idm_sim_boot(sim, &outcome);
    idm_sim_put(sim, IDM_F_RESET_REQUESTED, "factory reset requested\n");
}

static void prepare_legacy(struct idm_sim *sim)
{
    idm_sim_legacy_boot(sim);
}

/* Onboarded with software keys, then the certificate was deleted: rule 5. */
static void prepare_switch(struct idm_sim *sim)
{
    struct idm_outcome outcome;
    idm_sim_legacy_boot(sim);
    (void)idm_sim_boot(sim, &outcome);
    idm_sim_delete(sim, IDM_F_CONFIG_CERT);
}

static const struct life {
    const char *name;
    void (*prepare)(struct idm_sim *sim);
} lives[] = {{"first boot", prepare_new},
             {"factory reset", prepare_reset},
             {"adoption", prepare_legacy},
             {"switch to the TPM", prepare_switch}};

/* I9, I1: at most two boots settle it, and there is an identity, with a legacy view that works. */
static void recovers(const struct idm_sim *cut, const struct life *life, unsigned long at,
                     uint64_t k)
{
    struct idm_sim sim;
    struct idm_outcome outcome;
    idm_sim_copy(&sim, cut);
    idm_sim_settle(&sim, k);
    (void)idm_sim_boot(&sim, &outcome);
    (void)idm_sim_boot(&sim, &outcome);
    cr_expect_eq(outcome.exit, IDM_EXIT_DONE, "%s, effect %lu, outcome %lu: exit %d, %s",
                 life->name, at, (unsigned long)k, outcome.exit, idm_reason_word(outcome.held_for));
    uint32_t key = idm_sim_key_of(&sim, IDM_F_CONFIG_KEY);
    cr_expect(key && key == idm_sim_cert_key_of(&sim, IDM_F_CONFIG_CERT),
              "%s, effect %lu, outcome %lu: no legacy view", life->name, at, (unsigned long)k);
    (void)idm_sim_boot(&sim, &outcome);
    cr_expect_eq(sim.writes, 0, "%s, effect %lu, outcome %lu: a third boot writes", life->name, at,
                 (unsigned long)k);
    idm_sim_free(&sim);
}

static unsigned long cut_everywhere(const struct life *life, enum idm_sim_fs fs)
{
    unsigned long states = 0;
    for (unsigned long at = 1;; at++) {
        struct idm_sim sim;
        struct idm_outcome outcome;
        idm_sim_init(&sim);
        sim.config_fs = fs;
        life->prepare(&sim);
        idm_sim_arm(&sim, IDM_SIM_CUT_EFFECT, at);
        (void)idm_sim_boot(&sim, &outcome);
        bool cut = sim.fault_hit;
        uint64_t outcomes = cut ? idm_sim_outcomes(&sim, NULL) : 0;
        for (uint64_t k = 0; k < outcomes; k++)
            recovers(&sim, life, at, k);
        states += outcomes;
        idm_sim_free(&sim);
        if (!cut)
            return states;
    }
}

Test(sim_power, every_state_of_the_disks_is_recovered)
{
    for (size_t i = 0; i < sizeof lives / sizeof *lives; i++) {
        unsigned long ext4 = cut_everywhere(&lives[i], IDM_SIM_EXT4);
        unsigned long fat = cut_everywhere(&lives[i], IDM_SIM_FAT);
        cr_expect_gt(ext4, 50, "%s", lives[i].name);
        cr_expect_gt(fat, ext4, "%s", lives[i].name);
    }
}
