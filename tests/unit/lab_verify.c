/* SPDX-License-Identifier: BSD-2-Clause */
/* idmode-lab verify: does what makes two places the same (verify_state.c) cover what a boot reads and what the
 * oracle compares? Each byte of the record, of the oracle's memory and of the machine is changed: the value
 * changes, or the byte is one of the few that are named here with the reason. And are the outcomes of a cut
 * that it does not try (idm_sim_outcome_is_new) really those that it tried before? */
#include "tests/lab/oracle_parts.h"
#include "tests/lab/sim_parts.h"
#include "tests/lab/verify.h"
#include "tests/sim/sim_parts.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

TestSuite(lab_verify, .timeout = 300);

static struct verify_alphabet alphabet;

static size_t step_at(const char *line)
{
    for (size_t i = 0; i < alphabet.step_count; i++)
        if (strcmp(verify_step_line(i), line) == 0)
            return i;
    cr_assert_fail("no step %s", line);
    return 0;
}

static void act(struct verify_place *place, const char *line)
{
    static const struct lab_cut uncut = {.kind = LAB_UNCUT};
    struct lab_result result;
    struct lab_violation violation = {0};
    const struct lab_step *step = &alphabet.devices[place->device].steps[step_at(line)];
    cr_assert_eq(verify_place_act(place, step, &uncut, NULL, &result, &violation), 1, "%s: %s %s",
                 line, result.error, violation.text);
}

static uint64_t value(const struct verify_place *place)
{
    return verify_hash(place->world, place->oracle, place->device);
}

/* A device in `tpm-dual` that has been through a few things, an installation open. */
static struct verify_place eventful(size_t device)
{
    static const char *const life[] = {
        "boot:", "snapshot: kept", "factory-reset:",
        "boot:", "delete: marker", "install: {aware: no, version: \"0.9\", killed: write}"};
    struct verify_place place;
    char error[LAB_SENTENCE_SIZE] = "";
    cr_assert_eq(verify_alphabet_open(&alphabet), 0);
    cr_assert_eq(verify_place_open(&place, &alphabet, device, error), 0, "%s", error);
    for (size_t i = 0; i < sizeof life / sizeof *life; i++)
        act(&place, life[i]);
    return place;
}

static void done(struct verify_place *place)
{
    verify_place_close(place);
    verify_alphabet_close(&alphabet);
}

/* ---- bytes that may change without another value ---- */

struct span {
    size_t at, size;
};
#define MEMBER(type, name)                                                                         \
    {                                                                                              \
        offsetof(type, name), sizeof(((type *)0)->name)                                            \
    }

static bool is_in(const struct span spans[], size_t count, size_t at)
{
    for (size_t i = 0; i < count; i++)
        if (at >= spans[i].at && at - spans[i].at < spans[i].size)
            return true;
    return false;
}

/* A simulated key's Name and hashes are told by their first bytes. */
static bool is_tail(const struct span hashes[], size_t count, size_t at, size_t head, size_t told)
{
    for (size_t i = 0; i < count; i++)
        if (at >= hashes[i].at && at - hashes[i].at < hashes[i].size)
            return at - hashes[i].at < head || at - hashes[i].at >= head + told;
    return false;
}

/* ---- the record ---- */

static const struct span only_reported[] = {
    MEMBER(struct idm_record, written_at), /* a floor for a clock that only goes on */
    MEMBER(struct idm_record, change_why),
    MEMBER(struct idm_record, change_at),
    MEMBER(struct idm_record, change_previous),
    MEMBER(struct idm_record, sequence), /* counts against the other copy, which is the same */
};

static const struct span names[] = {
    MEMBER(struct idm_record, device_name), MEMBER(struct idm_record, parent_name),
    MEMBER(struct idm_record, srk_name), MEMBER(struct idm_record, ek_name)};

static const struct span hashes[] = {
    MEMBER(struct idm_record, tpm_spki), MEMBER(struct idm_record, tpm_cert),
    MEMBER(struct idm_record, software_spki), MEMBER(struct idm_record, software_cert)};

#define LENGTH(array) (sizeof(array) / sizeof *(array))

static bool record_byte_is_neutral(size_t at)
{
    size_t tombstones = offsetof(struct idm_record, tombstones);
    size_t in = at - tombstones;
    bool tombstone = at >= tombstones && in < sizeof((struct idm_record *)0)->tombstones;
    size_t signature = offsetof(struct idm_record, signature);
    size_t install_id = offsetof(struct idm_record, install.id);
    return is_in(only_reported, LENGTH(only_reported), at) ||
           is_tail(names, LENGTH(names), at, 2, sizeof(uint64_t)) ||
           is_tail(hashes, LENGTH(hashes), at, 0, sizeof(uint64_t)) ||
           /* a free one, or a Name's tail */
           (tombstone &&
            (in >= sizeof(struct idm_tombstone) ? in % sizeof(struct idm_tombstone) != 0
                                                : in == 1 || in == 2 || in > 10)) ||
           /* "install-N": the number counts */
           (at >= install_id && at < install_id + sizeof "install-" - 1) ||
           /* sim_keys.c: the signer's number and the hash; nobody reads on */
           (at >= signature + sizeof(uint32_t) + IDM_SHA256_SIZE &&
            at < signature + IDM_RECORD_SIGNATURE_MAX);
}

/* Behind the end of a text nothing is read. */
static bool ends_before(const struct idm_record *r, size_t at)
{
    const struct span texts[] = {
        MEMBER(struct idm_record, manufacturer),     MEMBER(struct idm_record, firmware),
        MEMBER(struct idm_record, pending_slot),     MEMBER(struct idm_record, slots[0].name),
        MEMBER(struct idm_record, slots[0].version), MEMBER(struct idm_record, slots[1].name),
        MEMBER(struct idm_record, slots[1].version), MEMBER(struct idm_record, install.id),
        MEMBER(struct idm_record, install.slot),     MEMBER(struct idm_record, install.version)};
    for (size_t i = 0; i < LENGTH(texts); i++) {
        const char *text = (const char *)r + texts[i].at;
        if (at >= texts[i].at && at - texts[i].at < texts[i].size)
            return at - texts[i].at >= strlen(text);
    }
    return false;
}

static void put_record(struct lab_world *w, const uint8_t *bytes)
{
    struct idm_sim *sim = &w->sim;
    static const enum idm_file files[] = {IDM_F_CONFIG_RECORD, IDM_F_PERSIST_RECORD};
    for (size_t i = 0; i < LENGTH(files); i++)
        idm_sim_blob_replace(&sim->files[files[i]], idm_sim_blob_make(bytes, idm_record_size()));
}

/* The record of the place with everything in force that a record can hold: it is put there. */
static void enrich(struct verify_place *place, struct idm_record *ret, uint8_t ret_bytes[8192])
{
    const struct idm_sim_chip *chip = &place->world->sim.chip;
    cr_assert(idm_sim_record(&place->world->sim, ret));
    cr_assert(ret->install.open && idm_record_size() <= 8192);
    ret->seal = ret->reset_pending = 1;
    ret->seal_reset_count = ret->reset_reset_count = chip->reset_count + 0x01010101u;
    ret->tombstones[0].kind = IDM_TOMB_NAME;
    idm_sim_name("name", chip->srk, ret->tombstones[0].value);
    cr_assert_eq(idm_record_encode(ret, ret_bytes), 0);
    put_record(place->world, ret_bytes);
}

Test(lab_verify, each_byte_of_the_record_counts)
{
    struct verify_place place = eventful(0);
    struct idm_record record, changed;
    uint8_t before[8192], bytes[8192];
    unsigned int counted = 0;
    enrich(&place, &record, before);
    uint64_t base = value(&place);
    for (size_t at = 0; at < sizeof record; at++) {
        struct verify_place copy;
        changed = record;
        ((uint8_t *)&changed)[at] ^= 1;
        if (idm_record_encode(&changed, bytes) || memcmp(bytes, before, idm_record_size()) == 0)
            continue; /* padding, or a format that cannot be written */
        verify_place_fork(&copy, &place);
        put_record(copy.world, bytes);
        bool same = value(&copy) == base;
        counted += !same;
        cr_expect(!same || record_byte_is_neutral(at) || ends_before(&record, at),
                  "byte %zu of the record may change unseen", at);
        verify_place_close(&copy);
    }
    cr_expect_gt(counted, 300);
    done(&place);
}

/* ---- members of the oracle's memory, the chip, the machine ---- */

struct member {
    const char *name;
    size_t at, size;
    bool counts; /* else: follows from the device, or is not in force here */
};
#define COUNTS(type, name)                                                                         \
    {                                                                                              \
#name, offsetof(type, name), sizeof(((type *)0)->name), true                               \
    }
#define NEUTRAL(type, name)                                                                        \
    {                                                                                              \
#name, offsetof(type, name), sizeof(((type *)0)->name), false                              \
    }

/* Another value of the same kind: the first character of a text or a hash, the lowest byte of a number. */
static void change(uint8_t *byte)
{
    *byte = isxdigit(*byte) ? (*byte == '1' ? '2' : '1') : *byte ^ 1u;
}

/* Each member that counts changes the value. A new member is in the list, or the sizes do not fit. */
static void check_members(struct verify_place *place, uint8_t *(*part)(struct verify_place *place),
                          size_t size, const struct member *members, size_t count)
{
    uint64_t base = value(place);
    size_t listed = 0;
    for (size_t i = 0; i < count; i++) {
        struct verify_place copy;
        listed += members[i].size;
        if (!members[i].counts)
            continue;
        verify_place_fork(&copy, place);
        change(part(&copy) + members[i].at);
        cr_expect_neq(value(&copy), base, "%s may change unseen", members[i].name);
        change(part(&copy) + members[i].at); /* a count of what is owned */
        verify_place_close(&copy);
    }
    cr_expect_lt(size - listed, 64, "%zu bytes of %zu are not listed", size - listed, size);
}

static uint8_t *oracle_of(struct verify_place *place)
{
    return (uint8_t *)place->oracle;
}

Test(lab_verify, what_the_oracle_remembers_counts)
{
#define O struct lab_oracle
    static const struct member members[] = {NEUTRAL(O, ops),
                                            NEUTRAL(O, device),
                                            NEUTRAL(O, legacy_key),
                                            NEUTRAL(O, other_slot_said),
                                            COUNTS(O, provisioned),
                                            COUNTS(O, announced),
                                            COUNTS(O, announced_count),
                                            COUNTS(O, last.cert),
                                            COUNTS(O, last.spki),
                                            NEUTRAL(O, last.works),
                                            COUNTS(O, last_mode),
                                            COUNTS(O, followed.cert),
                                            COUNTS(O, followed.spki),
                                            NEUTRAL(O, followed.works),
                                            COUNTS(O, last_pair),
                                            COUNTS(O, last_epoch),
                                            COUNTS(O, causes),
                                            COUNTS(O, minted),
                                            COUNTS(O, damage),
                                            COUNTS(O, reset_open),
                                            COUNTS(O, dead),
                                            COUNTS(O, dead_count),
                                            COUNTS(O, kept),
                                            COUNTS(O, kept_count),
                                            COUNTS(O, restored),
                                            NEUTRAL(O, restored_copy),
                                            COUNTS(O, restored_same),
                                            COUNTS(O, witnessed_epoch),
                                            COUNTS(O, moved),
                                            NEUTRAL(O, moved_spki),
                                            COUNTS(O, chip_changed),
                                            COUNTS(O, legacy_unannounced),
                                            COUNTS(O, was_cut),
                                            COUNTS(O, chip_given_up),
                                            COUNTS(O, gave_up_once),
                                            COUNTS(O, legacy_unrecorded),
                                            COUNTS(O, trial_unheard),
                                            COUNTS(O, trial_ended_by_word),
                                            COUNTS(O, install_heard),
                                            COUNTS(O, bootenv_harmed),
                                            COUNTS(O, stranded)};
#undef O
    struct verify_place place = eventful(0);
    struct lab_oracle *o = place.oracle;
    cr_assert(o->announced_count && o->dead_count && o->kept_count);
    memcpy(o->minted, o->last.cert, sizeof o->minted); /* as if a legacy image had */
    o->followed = o->last;                             /* as if it were judged next */
    check_members(&place, oracle_of, sizeof *o, members, LENGTH(members));
    /* In force they count, and so does each part of an entry. */
    o->restored = o->moved = true;
    memcpy(o->moved_spki, o->last.spki, sizeof o->moved_spki);
    o->restored_copy = o->kept[0];
    uint64_t base = value(&place);
    uint8_t *const parts[] = {
        (uint8_t *)o->moved_spki,           (uint8_t *)&o->restored_copy.epoch,
        (uint8_t *)&o->restored_copy.state, (uint8_t *)&o->restored_copy.damage.persist,
        (uint8_t *)o->restored_copy.cert,   (uint8_t *)&o->kept[0].epoch,
        (uint8_t *)&o->kept[0].state,       (uint8_t *)&o->kept[0].damage.config,
        (uint8_t *)o->kept[0].cert,         (uint8_t *)&o->announced[0].epoch,
        (uint8_t *)o->announced[0].cert,    (uint8_t *)o->dead[0].spki,
        (uint8_t *)&o->dead[0].left,        (uint8_t *)&o->dead[0].in_chip};
    for (size_t i = 0; i < LENGTH(parts); i++) {
        uint8_t kept = *parts[i];
        change(parts[i]);
        cr_expect_neq(value(&place), base, "part %zu may change unseen", i);
        *parts[i] = kept;
    }
    done(&place);
}

static uint8_t *chip_of(struct verify_place *place)
{
    return (uint8_t *)&place->world->sim.chip;
}

Test(lab_verify, what_the_chip_holds_counts)
{
#define C struct idm_sim_chip
    static const struct member members[] = {
        COUNTS(C, answers),     COUNTS(C, announced),       COUNTS(C, busy),
        COUNTS(C, owner_auth),  COUNTS(C, forgets),         COUNTS(C, seed),
        COUNTS(C, srk),         NEUTRAL(C, reset_count), /* against a record that waits for one; see below */
        COUNTS(C, has_counter), COUNTS(C, counter_written), COUNTS(C, counter),
        COUNTS(C, counter_max), COUNTS(C, objects)};
#undef C
    struct verify_place place = eventful(0);
    struct idm_sim_chip *chip = &place.world->sim.chip;
    check_members(&place, chip_of, sizeof *chip, members, LENGTH(members));
    uint64_t base = value(&place);
    struct idm_sim_object *o = &chip->objects[0];
    cr_assert(o->handle && o->id);
    uint8_t *const parts[] = {(uint8_t *)&o->handle,   (uint8_t *)&o->id,
                              (uint8_t *)&o->under,    (uint8_t *)&o->role,
                              (uint8_t *)&o->stranger, (uint8_t *)&o->imported};
    for (size_t i = 0; i < LENGTH(parts); i++) {
        *parts[i] ^= 1;
        cr_expect_neq(value(&place), base, "part %zu of an object may change unseen", i);
        *parts[i] ^= 1;
    }
    struct idm_record record;
    uint8_t bytes[8192];
    enrich(&place, &record, bytes); /* a reset waits for the chip's next one */
    base = value(&place);
    chip->reset_count++;
    cr_expect_neq(value(&place), base);
    done(&place);
}

static uint8_t *world_of(struct verify_place *place)
{
    return (uint8_t *)place->world;
}

Test(lab_verify, what_the_machine_is_like_counts)
{
#define W struct lab_world
    static const struct member members[] = {COUNTS(W, bootloader.scheme),
                                            COUNTS(W, bootloader.slot),
                                            COUNTS(W, bootloader.trial),
                                            COUNTS(W, bootloader.env[0].state),
                                            COUNTS(W, bootloader.env[0].upgrade_available),
                                            COUNTS(W, bootloader.env[1].bootcount),
                                            COUNTS(W, bootloader.env[1].left),
                                            COUNTS(W, bootloader.env[1].order),
                                            COUNTS(W, bootloader.env[1].bootslot),
                                            COUNTS(W, bootloader.harms),
                                            COUNTS(W, slots[0].present),
                                            COUNTS(W, slots[1].aware),
                                            COUNTS(W, slots[0].version),
                                            COUNTS(W, powered),
                                            COUNTS(W, slot),
                                            COUNTS(W, ran.aware),
                                            COUNTS(W, ran.version),
                                            COUNTS(W, target.slot),
                                            COUNTS(W, target.version),
                                            COUNTS(W, target.installs),
                                            COUNTS(W, late_phase),
                                            COUNTS(W, chip),
                                            COUNTS(W, chips),
                                            COUNTS(W, made_in),
                                            COUNTS(W, epoch_seen),
                                            COUNTS(W, clock_good),
                                            COUNTS(W, disk),
                                            COUNTS(W, beneath_key),
                                            COUNTS(W, beneath_cert),
                                            COUNTS(W, concluded.mode),
                                            COUNTS(W, concluded.identity_mode),
                                            COUNTS(W, concluded.state),
                                            COUNTS(W, concluded.epoch),
                                            COUNTS(W, concluded.held),
                                            COUNTS(W, concluded.held_for),
                                            COUNTS(W, concluded.reasons),
                                            COUNTS(W, sim.made),
                                            COUNTS(W, sim.state),
                                            COUNTS(W, sim.config_fs),
                                            COUNTS(W, sim.room),
                                            COUNTS(W, sim.platform.serial),
                                            COUNTS(W, sim.slot_content),
                                            COUNTS(W, sim.platform.boot_id)};
#undef W
    struct verify_place place = eventful(0);
    uint64_t base = value(&place);
    place.world->late.aware = "yes";
    for (size_t i = 0; i < LENGTH(members); i++) {
        struct verify_place copy;
        verify_place_fork(&copy, &place);
        change(world_of(&copy) + members[i].at);
        cr_expect_neq(value(&copy), base, "%s may change unseen", members[i].name);
        verify_place_close(&copy);
    }
    done(&place);
}

/* ---- files ---- */

Test(lab_verify, each_file_counts)
{
    struct verify_place place = eventful(0);
    uint64_t base = value(&place);
    unsigned int counted = 0;
    for (unsigned int i = 0; i < IDM_FILE_COUNT; i++) {
        enum idm_file file = (enum idm_file)i;
        bool read = file != IDM_F_RUN_KEY && file != IDM_F_RUN_SIGNER &&
                    file != IDM_F_RUN_STATEMENT && file != IDM_F_RUN_HOOKS &&
                    file != IDM_F_RUN_TRACE; /* written and never read in this world */
        struct idm_sim_blob *there = place.world->sim.files[file];
        struct verify_place copy;
        if (!read)
            continue;
        verify_place_fork(&copy, &place);
        if (there)
            idm_sim_delete(&copy.world->sim, file);
        else
            idm_sim_put(&copy.world->sim, file, "something\n");
        bool published = file == IDM_F_RUN_STATUS || there || file < IDM_F_RUN_MODE;
        cr_expect(!published || value(&copy) != base, "file %u comes and goes unseen", i);
        counted += value(&copy) != base;
        if (there && file != IDM_F_RUN_STATUS) {
            idm_sim_put(&copy.world->sim, file, "");
            cr_expect_neq(value(&copy), base, "file %u is emptied unseen", i);
            struct idm_bytes *bytes = &there->bytes;
            char *text = calloc(1, bytes->size + 1);
            cr_assert(text);
            memcpy(text, bytes->data, bytes->size - 1);
            idm_sim_put(&copy.world->sim, file, text);
            cr_expect_neq(value(&copy), base, "file %u loses its last byte unseen", i);
            free(text);
        }
        verify_place_close(&copy);
    }
    cr_expect_gt(counted, 15);
    done(&place);
}

/* A history is read when both copies of the record are lost. */
Test(lab_verify, epochs_in_the_history_count)
{
    struct verify_place place = eventful(0), copy;
    const struct idm_bytes *history = idm_sim_file(&place.world->sim, IDM_F_HISTORY);
    cr_assert(history);
    char *text = calloc(1, history->size + 1);
    cr_assert(text);
    memcpy(text, history->data, history->size);
    for (char *at = text; (at = strstr(at, "\"epoch\":")); at += 8) {
        verify_place_fork(&copy, &place);
        char digit = at[8];
        at[8] = '9';
        idm_sim_put(&copy.world->sim, IDM_F_HISTORY, text);
        cr_expect_neq(value(&copy), value(&place), "an epoch of the history changes unseen");
        at[8] = digit;
        verify_place_close(&copy);
    }
    free(text);
    done(&place);
}

/* Also a key in a temporary file that nobody swept can sign. */
Test(lab_verify, a_key_in_a_leftover_counts)
{
    struct verify_place place = eventful(0);
    struct idm_sim *sim = &place.world->sim;
    struct idm_sim_blob *key = sim->files[IDM_F_PERSIST_KEY];
    cr_assert(key);
    sim->temps[IDM_F_PERSIST_KEY] = idm_sim_blob_make("", 0);
    uint64_t without = value(&place);
    idm_sim_blob_replace(&sim->temps[IDM_F_PERSIST_KEY], idm_sim_blob_hold(key));
    cr_expect_neq(value(&place), without);
    done(&place);
}

/* ---- what does not count ---- */

/* The same life under other numbers: equal, or nothing is ever met again. */
Test(lab_verify, names_of_keys_do_not_count)
{
    struct verify_place one, other;
    char error[LAB_SENTENCE_SIZE] = "";
    cr_assert_eq(verify_alphabet_open(&alphabet), 0);
    cr_assert_eq(verify_place_open(&one, &alphabet, 0, error), 0, "%s", error);
    cr_assert_eq(verify_place_open(&other, &alphabet, 0, error), 0, "%s", error);
    other.world->sim.next_id += 7;
    static const char *const life[] = {"boot:", "factory-reset:", "boot:", "delete: cert", "boot:"};
    for (size_t i = 0; i < sizeof life / sizeof *life; i++) {
        act(&one, life[i]);
        act(&other, life[i]);
        cr_expect_eq(value(&one), value(&other), "after %s", life[i]);
    }
    verify_place_close(&other);
    done(&one);
}

/* ---- which outcomes of a cut are not tried ---- */

struct watcher {
    const struct verify_place *place; /* before the step */
    struct lab_world *world;
    struct verify_set tried; /* what the outcomes left that are tried */
    unsigned long effects, processes, skipped, outcomes;
    unsigned long missed; /* left something else, and are not tried */
};

static uint64_t left_by(const struct watcher *watcher, uint64_t k)
{
    char error[LAB_SENTENCE_SIZE] = "";
    struct lab_world *fork = NULL;
    struct lab_result result;
    cr_assert_eq(lab_sim_world.fork(&fork, watcher->world, error), 0, "%s", error);
    lab_sim_cut_here(fork, k, &result);
    uint64_t hash = verify_hash(fork, watcher->place->oracle, watcher->place->device);
    lab_sim_world.close(fork);
    return hash;
}

static void look_at_effect(void *self)
{
    struct watcher *w = self;
    const struct idm_sim *sim = &w->world->sim;
    bool first = w->effects++ == 0 || sim->processes != w->processes;
    uint64_t outcomes = idm_sim_outcomes(sim, NULL);
    w->processes = sim->processes;
    for (uint64_t k = 0; k < outcomes; k++) {
        bool tried = first || idm_sim_outcome_is_new(sim, k);
        bool new = verify_set_add(&w->tried, left_by(w, k));
        w->outcomes++;
        w->skipped += !tried;
        w->missed += new && !tried;
    }
}

static void check_outcomes(size_t device)
{
    static const char *const life[] = {"boot:",          "install: {aware: no, version: \"0.9\"}",
                                       "factory-reset:", "boot:",
                                       "delete: cert",   "boot:"};
    struct verify_place place, before;
    char error[LAB_SENTENCE_SIZE] = "";
    unsigned long skipped = 0;
    cr_assert_eq(verify_alphabet_open(&alphabet), 0);
    cr_assert_eq(verify_place_open(&place, &alphabet, device, error), 0, "%s", error);
    for (size_t i = 0; i < sizeof life / sizeof *life; i++) {
        verify_place_fork(&before, &place);
        struct watcher watcher = {.place = &before, .world = place.world};
        place.world->sim.watched = look_at_effect;
        place.world->sim.watched_self = &watcher;
        act(&place, life[i]);
        place.world->sim.watched = NULL;
        cr_expect_eq(watcher.missed, 0, "%s: %lu of %lu outcomes are missed", life[i],
                     watcher.missed, watcher.outcomes);
        skipped += watcher.skipped;
        verify_set_free(&watcher.tried);
        verify_place_close(&before);
    }
    cr_expect_gt(skipped, 100);
    done(&place);
}

Test(lab_verify, outcomes_that_are_not_tried_were_tried_before)
{
    check_outcomes(0);
    check_outcomes(4); /* FAT */
    check_outcomes(5); /* with envelopes */
}

/* ---- the whole of it ---- */

Test(lab_verify, equal_images_come_to_equal_places)
{
    static struct verify_totals totals;
    const struct verify_options options = {.depth = 0,
                                           .cuts = 2,
                                           .stride = 1,
                                           .again = 1, /* each is booted */
                                           .jobs = 1,
                                           .seed = 1,
                                           .lives = 50,
                                           .limit = 20000};
    cr_assert_eq(verify_alphabet_open(&alphabet), 0);
    verify_explore(&options, &alphabet, &totals);
    verify_alphabet_close(&alphabet);
    cr_expect_geq(totals.recoveries, 20000);
    cr_expect_eq(totals.equal, 0);
    cr_expect_gt(totals.again, totals.images);
    cr_expect_eq(totals.elsewhere, 0);
    cr_expect_eq(totals.violations, 0);
}
