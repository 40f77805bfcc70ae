/* SPDX-License-Identifier: BSD-2-Clause */
/* Formats outlive programs: records of every format that ever was, and of one that is not yet. */
#include "tests/sim/sim_parts.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CORPUS IDM_TEST_SOURCE_DIR "/tests/corpus"

#define AT_VERSION    9u
#define AT_MIN_READER 11u

static size_t read_file(const char *name, uint8_t *bytes, size_t room)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", CORPUS, name);
    FILE *file = fopen(path, "re");
    cr_assert_not_null(file, "%s", path);
    size_t size = fread(bytes, 1, room, file);
    cr_assert_eq(fclose(file), 0);
    return size;
}

/* "record-v1-resetting-reset-staged.bin": does the record say what its file is called? */
static void as_named(const char *file, const struct idm_record *r)
{
    static const char *const intents[] = {"",        "-provision", "-provision-soft",
                                          "-to-tpm", "-reset",     "-reset-soft"};
    char name[128];
    if (strstr(file, "golden"))
        return;
    if (strstr(file, "installing")) {
        cr_expect(r->install.open && r->install.kind == IDM_SLOT_LEGACY);
        cr_expect_str_eq(r->install.id, "bundle-7");
        return;
    }
    if (strstr(file, "tombstones-full")) {
        uint8_t value[IDM_NAME_SIZE];
        for (unsigned int i = 0; i < IDM_TOMBSTONES; i++) {
            memset(value, (int)i + 1, sizeof value);
            cr_expect(i & 1 ? idm_record_is_dead_name(r, value)
                            : idm_record_is_dead_spki(r, value));
        }
        return;
    }
    (void)snprintf(name, sizeof name, "record-v1-%s%s%s.bin",
                   idm_state_name((enum idm_state)r->state), intents[r->intent],
                   r->staged ? "-staged" : "");
    cr_expect_str_eq(file, name);
}

Test(engine_formats, every_record_that_was_ever_written_is_read_and_written_alike)
{
    unsigned int states = 0;
    unsigned int files = 0;
    DIR *dir = opendir(CORPUS);
    cr_assert_not_null(dir);
    for (struct dirent *entry = NULL; (entry = readdir(dir));) {
        uint8_t bytes[8192];
        uint8_t again[8192];
        struct idm_record record;
        if (strncmp(entry->d_name, "record-v1-", 10) != 0)
            continue;
        size_t size = read_file(entry->d_name, bytes, sizeof bytes);
        cr_assert_eq(idm_record_decode(bytes, size, &record), 0, "%s", entry->d_name);
        cr_expect_eq(record.format, 1);
        record.format = 1;
        cr_assert_eq(idm_record_encode(&record, again), 0);
        cr_expect(size == idm_record_size() && memcmp(bytes, again, size) == 0, "%s",
                  entry->d_name);
        as_named(entry->d_name, &record);
        states |= 1u << record.state;
        files++;
    }
    (void)closedir(dir);
    cr_expect_geq(files, 12);
    for (unsigned int state = IDM_S_blank; state < IDM_STATE_COUNT; state++)
        cr_expect(states >> state & 1, "no record in state %s",
                  idm_state_name((enum idm_state)state));
}

Test(engine_formats, only_formats_that_exist_are_written)
{
    uint8_t bytes[8192];
    struct idm_record record = {.state = IDM_S_blank, .format = IDM_RECORD_VERSION + 1};
    cr_expect_eq(idm_record_encode(&record, bytes), IDM_E_USAGE);
    cr_expect_eq(idm_record_format_for(0), IDM_RECORD_OLDEST);
    cr_expect_eq(idm_record_format_for(IDM_RECORD_VERSION), IDM_RECORD_VERSION);
    cr_expect_eq(idm_record_format_for(UINT16_MAX), IDM_RECORD_VERSION);
}

/* ---- newer ---- */

/* The record of a program that demands one newer than us, good in every other way. */
static void from_the_future(struct idm_sim *sim, enum idm_file file, uint8_t min_reader)
{
    const struct idm_bytes *found = idm_sim_file(sim, file);
    cr_assert_not_null(found);
    struct idm_sim_blob *blob = calloc(1, sizeof *blob);
    cr_assert(blob && idm_bytes_set(&blob->bytes, found->data, found->size) == 0);
    blob->refs = 1;
    size_t size = blob->bytes.size;
    uint8_t *bytes = blob->bytes.data;
    bytes[AT_VERSION] = IDM_RECORD_VERSION + 1;
    bytes[AT_MIN_READER] = min_reader;
    cr_assert_eq(idm_sha256(bytes, size - IDM_SHA256_SIZE, bytes + size - IDM_SHA256_SIZE), 0);
    idm_sim_blob_drop(&sim->files[file]);
    sim->files[file] = blob;
}

Test(engine_formats, nobody_writes_over_what_a_newer_program_wrote)
{
    struct idm_sim sim = {0};
    struct idm_sim before = {0};
    struct idm_outcome outcome;
    struct idm_target target = {.kind = IDM_SLOT_AWARE, .format = 1};
    idm_sim_init(&sim);
    (void)idm_sim_boot(&sim, &outcome);
    idm_sim_copy(&before, &sim);
    from_the_future(&sim, IDM_F_PERSIST_RECORD, IDM_RECORD_VERSION + 1);
    from_the_future(&sim, IDM_F_CONFIG_RECORD, IDM_RECORD_VERSION + 1);
    const struct idm_sim_blob *a = sim.files[IDM_F_PERSIST_RECORD];
    const struct idm_sim_blob *b = sim.files[IDM_F_CONFIG_RECORD];
    cr_expect_eq(idm_sim_boot(&sim, &outcome), IDM_EXIT_HELD);
    cr_expect_eq(outcome.held_for, IDM_R_record_newer);
    /* those that come with nothing else */
    static const enum idm_request_kind kinds[] = {
        IDM_REQ_PRE_INSTALL, IDM_REQ_POST_INSTALL,  IDM_REQ_INSTALL_FAILED, IDM_REQ_COMMITTED,
        IDM_REQ_ROLLBACK,    IDM_REQ_RESET,         IDM_REQ_PREPARE,        IDM_REQ_COMMIT,
        IDM_REQ_ABORT,       IDM_REQ_RELEASE_RETRY, IDM_REQ_RELEASE_LEGACY, IDM_REQ_RELEASE_EPOCH,
        IDM_REQ_RELEASE_NEW, IDM_REQ_RELEASE_REUSE};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        enum idm_request_kind kind = kinds[i];
        struct idm_ask ask = {.kind = kind, .target = &target, .named = IDM_R_record_newer};
        (void)idm_sim_run(&sim, &ask, &outcome);
        cr_expect(sim.files[IDM_F_PERSIST_RECORD] == a && sim.files[IDM_F_CONFIG_RECORD] == b,
                  "request %d wrote a record", (int)kind);
        cr_expect(idm_sim_file(&sim, IDM_F_MARKER), "request %d", (int)kind);
        for (enum idm_file file = 0; file <= IDM_F_PERSIST_CERT; file++)
            cr_expect(sim.files[file] == a || sim.files[file] == b ||
                          sim.files[file] == before.files[file],
                      "request %d changed file %d", (int)kind, (int)file);
    }
    idm_sim_free(&sim);
    idm_sim_free(&before);
}

/* A newer format that this program may read and replace: as what it knows of it. */
Test(engine_formats, a_newer_record_that_may_be_read_is_replaced_by_ours)
{
    struct idm_sim sim = {0};
    struct idm_outcome outcome;
    struct idm_record record;
    struct idm_target target = {.kind = IDM_SLOT_AWARE, .format = 1, .slot = "B"};
    struct idm_ask ask = {.kind = IDM_REQ_PRE_INSTALL, .target = &target};
    idm_sim_init(&sim);
    (void)idm_sim_boot(&sim, &outcome);
    from_the_future(&sim, IDM_F_PERSIST_RECORD, IDM_RECORD_MIN_READER);
    from_the_future(&sim, IDM_F_CONFIG_RECORD, IDM_RECORD_MIN_READER);
    cr_expect_eq(idm_sim_boot(&sim, &outcome), IDM_EXIT_DONE);
    cr_expect_eq(outcome.mode, IDM_MODE_TPM);
    cr_expect_eq(idm_sim_run(&sim, &ask, &outcome), IDM_EXIT_DONE);
    cr_assert(idm_sim_record(&sim, &record));
    cr_expect_eq(idm_sim_file(&sim, IDM_F_PERSIST_RECORD)->data[AT_VERSION], IDM_RECORD_VERSION);
    cr_expect(record.install.open);
    idm_sim_free(&sim);
}
