/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine/record.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CORPUS IDM_TEST_SOURCE_DIR "/tests/corpus"

/* Where every version keeps them: after "IDMODEREC", little-endian. */
#define AT_VERSION    9u
#define AT_MIN_READER 11u
#define AT_SIZE       13u

static uint64_t seed = 0x1d3570c0ffeeu;

/* xorshift64*: the same sequence everywhere. */
static uint64_t random_number(void)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return seed * UINT64_C(0x2545f4914f6cdd1d);
}

static void random_bytes(void *field, size_t size)
{
    uint8_t *bytes = field;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)random_number();
}

static void random_text(char *text, size_t size)
{
    size_t length = (size_t)random_number() % size;
    memset(text, 0, size);
    for (size_t i = 0; i < length; i++)
        text[i] = (char)('a' + random_number() % 26);
}

static void random_parts(struct idm_record *r)
{
    random_text(r->pending_slot, sizeof r->pending_slot);
    random_text(r->manufacturer, sizeof r->manufacturer);
    random_text(r->firmware, sizeof r->firmware);
    random_text(r->change_why, sizeof r->change_why);
    for (size_t i = 0; i < IDM_SLOTS; i++) {
        random_text(r->slots[i].name, sizeof r->slots[i].name);
        random_text(r->slots[i].version, sizeof r->slots[i].version);
    }
    random_text(r->install.id, sizeof r->install.id);
    random_text(r->install.slot, sizeof r->install.slot);
    random_text(r->install.version, sizeof r->install.version);
}

/* Any value in any field, but for those of which a reader knows all values. */
static struct idm_record random_record(void)
{
    struct idm_record r;
    random_bytes(&r, sizeof r);
    r.format = 0;
    r.state = (uint8_t)(1 + random_number() % (IDM_STATE_COUNT - 1));
    r.intent = (uint8_t)(random_number() % (IDM_INTENT_reset_soft + 1));
    r.seal = (uint8_t)(random_number() % (IDM_SEAL_MATURE + 1));
    r.algorithm = (uint8_t)(random_number() % (IDM_RSA_2048 + 1));
    r.signature_size = (uint16_t)(random_number() % (IDM_RECORD_SIGNATURE_MAX + 1));
    random_parts(&r);
    return r;
}

static uint8_t *encoded(const struct idm_record *record)
{
    uint8_t *bytes = malloc(idm_record_size());
    cr_assert(bytes);
    cr_assert_eq(idm_record_encode(record, bytes), 0);
    return bytes;
}

/* The checksum of bytes that were changed on purpose. */
static void seal_again(uint8_t *bytes, size_t size)
{
    cr_assert_eq(idm_sha256(bytes, size - IDM_SHA256_SIZE, bytes + size - IDM_SHA256_SIZE), 0);
}

static int decode(const uint8_t *bytes, size_t size)
{
    struct idm_record record;
    memset(&record, 0x5a, sizeof record);
    struct idm_record untouched = record;
    int rc = idm_record_decode(bytes, size, &record);
    if (rc)
        cr_assert_eq(memcmp(&record, &untouched, sizeof record), 0, "*ret was touched");
    return rc;
}

/* ---- bytes ---- */

Test(engine_record, what_is_written_is_read)
{
    for (unsigned int i = 0; i < 2000; i++) {
        struct idm_record record = random_record();
        struct idm_record back;
        uint8_t *bytes = encoded(&record);
        cr_assert_eq(idm_record_decode(bytes, idm_record_size(), &back), 0);
        uint8_t *again = encoded(&back);
        cr_assert_eq(memcmp(bytes, again, idm_record_size()), 0);
        cr_assert(back.sequence == record.sequence && back.written_at == record.written_at &&
                  back.epoch == record.epoch && back.witness == record.witness &&
                  back.counter_index == record.counter_index &&
                  back.signature_size == record.signature_size);
        cr_assert_str_eq(back.install.version, record.install.version);
        cr_assert_eq(memcmp(back.tombstones, record.tombstones, sizeof back.tombstones), 0);
        cr_assert_eq(memcmp(back.change_previous, record.change_previous, IDM_SHA256_SIZE), 0);
        cr_assert_eq(memcmp(back.signature, record.signature, sizeof back.signature), 0);
        free(again);
        free(bytes);
    }
}

Test(engine_record, every_flipped_bit_is_seen)
{
    struct idm_record record = random_record();
    uint8_t *bytes = encoded(&record);
    for (size_t bit = 0; bit < 8 * idm_record_size(); bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_assert_eq(decode(bytes, idm_record_size()), IDM_E_CORRUPT, "bit %zu", bit);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    cr_assert_eq(decode(bytes, idm_record_size()), 0);
    free(bytes);
}

Test(engine_record, every_other_length_is_seen)
{
    static const size_t more[] = {1, 2, 3, 16, 32, 512, 4096};
    struct idm_record record = random_record();
    uint8_t *bytes = encoded(&record);
    size_t size = idm_record_size();
    for (size_t length = 0; length < size; length++) {
        /* in a buffer of exactly that size, so that a read beyond it shows under ASan */
        uint8_t *cut = malloc(length ? length : 1);
        cr_assert(cut);
        memcpy(cut, bytes, length);
        cr_assert_eq(decode(cut, length), IDM_E_CORRUPT, "%zu bytes", length);
        free(cut);
    }
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        uint8_t *longer = calloc(1, size + more[i]);
        cr_assert(longer);
        memcpy(longer, bytes, size);
        cr_assert_eq(decode(longer, size + more[i]), IDM_E_CORRUPT, "%zu more", more[i]);
        seal_again(longer, size + more[i]); /* its checksum right, its stated size not */
        cr_assert_eq(decode(longer, size + more[i]), IDM_E_CORRUPT, "%zu more, sealed", more[i]);
        free(longer);
    }
    free(bytes);
}

/* ---- versions ---- */

Test(engine_record, a_newer_program_may_forbid_reading)
{
    struct idm_record record = random_record();
    uint8_t *bytes = encoded(&record);
    size_t size = idm_record_size();
    bytes[AT_VERSION] = 9;
    bytes[AT_MIN_READER] = IDM_RECORD_VERSION + 1;
    cr_assert_eq(decode(bytes, size), IDM_E_CORRUPT, "a wrong checksum is damage, not news");
    seal_again(bytes, size);
    cr_assert_eq(decode(bytes, size), IDM_E_NEWER);
    free(bytes);
}

/* A newer record may have any size. */
Test(engine_record, a_newer_record_may_be_longer_or_shorter)
{
    uint8_t bytes[8192] = "IDMODEREC";
    for (size_t size = 64; size <= sizeof bytes; size += 1016) {
        bytes[AT_VERSION] = 7;
        bytes[AT_MIN_READER] = 7;
        for (unsigned int i = 0; i < 4; i++)
            bytes[AT_SIZE + i] = (uint8_t)(size >> (8 * i));
        seal_again(bytes, size);
        cr_assert_eq(decode(bytes, size), IDM_E_NEWER, "%zu bytes", size);
    }
}

Test(engine_record, a_newer_program_may_allow_reading)
{
    struct idm_record record = random_record();
    struct idm_record back;
    uint8_t *bytes = encoded(&record);
    size_t size = idm_record_size();
    bytes[AT_VERSION] = IDM_RECORD_VERSION + 1;
    bytes[AT_MIN_READER] = IDM_RECORD_MIN_READER;
    seal_again(bytes, size);
    cr_assert_eq(idm_record_decode(bytes, size, &back), 0);
    cr_assert_eq(back.sequence, record.sequence);
    free(bytes);
}

Test(engine_record, headers_that_make_no_sense_are_damage)
{
    struct idm_record record = random_record();
    uint8_t *bytes = encoded(&record);
    size_t size = idm_record_size();
    bytes[AT_MIN_READER] = IDM_RECORD_VERSION + 3; /* older than what it demands */
    seal_again(bytes, size);
    cr_expect_eq(decode(bytes, size), IDM_E_CORRUPT);
    bytes[AT_MIN_READER] = IDM_RECORD_MIN_READER;
    bytes[AT_SIZE]++;
    seal_again(bytes, size);
    cr_expect_eq(decode(bytes, size), IDM_E_CORRUPT);
    bytes[AT_SIZE]--;
    seal_again(bytes, size);
    cr_expect_eq(decode(bytes, size), 0);
    free(bytes);
}

Test(engine_record, values_that_no_program_writes_are_damage)
{
    for (unsigned int value = 0; value < 256; value++) {
        struct idm_record record = random_record();
        record.state = (uint8_t)value;
        uint8_t *bytes = encoded(&record);
        bool good = value >= IDM_S_blank && value <= IDM_S_resetting;
        cr_expect_eq(decode(bytes, idm_record_size()), good ? 0 : IDM_E_CORRUPT, "state %u", value);
        free(bytes);
        record = random_record();
        record.intent = (uint8_t)value;
        bytes = encoded(&record);
        good = value <= IDM_INTENT_reset_soft;
        cr_expect_eq(decode(bytes, idm_record_size()), good ? 0 : IDM_E_CORRUPT, "intent %u",
                     value);
        free(bytes);
    }
}

/* ---- the frozen format ---- */

/* Every field has a value of its own, so that two that changed places show. */
static struct idm_record golden(void)
{
    struct idm_record r = {.sequence = 0x0102030405060708,
                           .written_at = 1800000000,
                           .state = IDM_S_tpm_dual,
                           .intent = IDM_INTENT_reset,
                           .staged = 1,
                           .epoch = 0x11121314,
                           .announced = 0x15161718,
                           .has_witness = 1,
                           .witness_slack = 2,
                           .witness = 0x2122232425262728,
                           .algorithm = IDM_ECDSA_P384,
                           .key_storage = IDM_STORE_PERSISTENT,
                           .legacy_key = IDM_LEGACY_KEEP,
                           .device_handle = 0x81020000,
                           .parent_handle = 0x81020001,
                           .srk_handle = 0x81000001,
                           .counter_index = 0x01821D01,
                           .manufacturer = "IBM",
                           .firmware = "8214.6",
                           .seal = IDM_SEAL_FRESH,
                           .seal_reset_count = 0x31323334,
                           .reset_reset_count = 0x35363738,
                           .pending = 1,
                           .pending_slot = "rootfs.1",
                           .change_why = "switch_staged",
                           .change_at = 1799999999,
                           .signature_size = 71};
    memset(r.device_name, 0xd1, sizeof r.device_name);
    memset(r.parent_name, 0xd2, sizeof r.parent_name);
    memset(r.srk_name, 0xd3, sizeof r.srk_name);
    memset(r.ek_name, 0xd4, sizeof r.ek_name);
    memset(r.tpm_spki, 0xe1, sizeof r.tpm_spki);
    memset(r.tpm_cert, 0xe2, sizeof r.tpm_cert);
    memset(r.software_spki, 0xe3, sizeof r.software_spki);
    memset(r.software_cert, 0xe4, sizeof r.software_cert);
    memset(r.signature, 0xf1, r.signature_size);
    idm_record_bury_name(&r, r.ek_name);
    r.slots[0] = (struct idm_slot){
        .known = 1, .name = "rootfs.0", .kind = IDM_SLOT_AWARE, .format = 1, .version = "2.0"};
    r.slots[1] = (struct idm_slot){
        .known = 1, .name = "rootfs.1", .kind = IDM_SLOT_LEGACY, .outranks = 1, .version = "1.0"};
    r.install = (struct idm_install){
        .open = 1, .kind = IDM_SLOT_LEGACY, .id = "bundle-7", .slot = "rootfs.1", .version = "1.1"};
    return r;
}

static size_t read_corpus(const char *name, uint8_t *bytes, size_t room)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", CORPUS, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert_geq(fd, 0, "%s: %s", path, strerror(errno));
    ssize_t size = read(fd, bytes, room);
    cr_assert_gt(size, 0);
    cr_assert_eq(close(fd), 0);
    return (size_t)size;
}

/* What is written now, beside the test's other results: only a format that never left the house may be
 * replaced by it. */
static void keep_for_a_look(const uint8_t *bytes)
{
    int fd = open(IDM_TEST_BUILD_DIR "/tests/record-v1-golden.bin",
                  O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, bytes, idm_record_size()) < 0)
        cr_log_warn("the record as it is written now was not kept");
    if (fd >= 0)
        (void)close(fd);
}

/* The bytes on the disks of devices in the field: they never change. A new field is a new version
 * with a new file beside this one. */
Test(engine_record, version_1_stays_readable)
{
    uint8_t bytes[8192];
    struct idm_record found;
    struct idm_record known = golden();
    size_t size = read_corpus("record-v1-golden.bin", bytes, sizeof bytes);
    uint8_t *now = encoded(&known);
    keep_for_a_look(now);
    cr_assert_eq(idm_record_decode(bytes, size, &found), 0);
    uint8_t *then = encoded(&found);
    cr_expect_eq(size, idm_record_size());
    cr_expect_eq(memcmp(now, then, idm_record_size()), 0, "it is read as something else");
    cr_expect_eq(memcmp(now, bytes, size), 0, "it is written as something else");
    cr_expect_eq(found.witness, UINT64_C(0x2122232425262728));
    cr_expect_str_eq(found.slots[1].version, "1.0");
    cr_expect_str_eq(found.change_why, "switch_staged");
    cr_expect(idm_record_is_dead_name(&found, known.ek_name));
    free(now);
    free(then);
}

Test(engine_record, version_1_begins_as_said)
{
    uint8_t bytes[8192];
    size_t size = read_corpus("record-v1-golden.bin", bytes, sizeof bytes);
    cr_assert_eq(memcmp(bytes, "IDMODEREC", 9), 0);
    cr_expect(bytes[AT_VERSION] == 1 && bytes[AT_VERSION + 1] == 0);
    cr_expect(bytes[AT_MIN_READER] == 1 && bytes[AT_MIN_READER + 1] == 0);
    cr_expect_eq((size_t)bytes[AT_SIZE] | (size_t)bytes[AT_SIZE + 1] << 8, size);
    cr_expect_eq(bytes[AT_SIZE + 4], 0x08, "the sequence follows, little-endian");
}

/* ---- witness ---- */

/* table.md, Witness, by hand. */
Test(engine_record, counter_ranges_and_targets)
{
    static const struct {
        enum idm_intent intent;
        bool staged;
        uint64_t low, high, target; /* above the witness */
    } rows[] = {
        {IDM_INTENT_none, false, 0, 0, 1},     {IDM_INTENT_provision, false, 0, 0, 1},
        {IDM_INTENT_provision, true, 0, 1, 1}, {IDM_INTENT_to_tpm, false, 0, 0, 1},
        {IDM_INTENT_to_tpm, true, 0, 1, 1},    {IDM_INTENT_reset, false, 0, 1, 1},
        {IDM_INTENT_reset, true, 1, 2, 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (uint8_t slack = 0; slack < 2; slack++) {
            struct idm_record r = {.intent = (uint8_t)rows[i].intent,
                                   .staged = rows[i].staged,
                                   .has_witness = 1,
                                   .witness_slack = slack,
                                   .witness = 1000};
            uint64_t low = 0;
            uint64_t high = 0;
            idm_record_counter_range(&r, &low, &high);
            cr_expect(low == 1000 + rows[i].low && high == 1000 + rows[i].high + slack, "row %zu",
                      i);
            cr_expect_eq(idm_record_counter_target(&r), 1000 + rows[i].target, "row %zu", i);
            cr_expect(idm_record_counter_target(&r) <= high + 1, "row %zu", i);
        }
    }
}

/* ---- tombstones ---- */

static void name_of(unsigned int number, uint8_t ret[IDM_NAME_SIZE])
{
    memset(ret, 0, IDM_NAME_SIZE);
    ret[0] = (uint8_t)number;
    ret[IDM_NAME_SIZE - 1] = 1;
}

static unsigned int tombs(const struct idm_record *r)
{
    unsigned int count = 0;
    for (size_t i = 0; i < IDM_TOMBSTONES; i++)
        count += r->tombstones[i].kind != IDM_TOMB_FREE;
    return count;
}

Test(engine_record, tombstones_are_added_once_and_the_oldest_goes)
{
    struct idm_record r = {0};
    uint8_t name[IDM_NAME_SIZE] = {0};
    idm_record_bury_name(&r, name);
    idm_record_bury_spki(&r, name);
    cr_assert_eq(tombs(&r), 0, "a zero value stands for nothing");
    cr_assert(!idm_record_is_dead_name(&r, name) && !idm_record_is_dead_spki(&r, name));
    for (unsigned int i = 1; i <= IDM_TOMBSTONES; i++) {
        name_of(i, name);
        idm_record_bury_name(&r, name);
        idm_record_bury_name(&r, name);
        cr_assert_eq(tombs(&r), i);
        cr_assert(idm_record_is_dead_name(&r, name));
        cr_assert(!idm_record_is_dead_spki(&r, name), "a Name is no public key");
    }
    name_of(99, name);
    idm_record_bury_name(&r, name);
    cr_assert(idm_record_is_dead_name(&r, name));
    name_of(1, name);
    cr_assert(!idm_record_is_dead_name(&r, name), "the oldest goes");
    name_of(2, name);
    cr_assert(idm_record_is_dead_name(&r, name));
}

/* A plan that is run again buries the same values again: none of them may push another out. */
Test(engine_record, what_is_buried_again_is_not_the_next_to_go)
{
    struct idm_record r = {0};
    uint8_t name[IDM_NAME_SIZE];
    uint8_t other[IDM_NAME_SIZE];
    for (unsigned int i = 1; i <= IDM_TOMBSTONES; i++) {
        name_of(i, name);
        idm_record_bury_name(&r, name);
    }
    name_of(1, name);
    name_of(99, other);
    idm_record_bury_name(&r, name);
    idm_record_bury_spki(&r, other);
    cr_expect(idm_record_is_dead_name(&r, name), "what was just buried");
    cr_expect(idm_record_is_dead_spki(&r, other));
    cr_expect_eq(tombs(&r), IDM_TOMBSTONES);
    name_of(2, name);
    cr_expect(!idm_record_is_dead_name(&r, name), "the oldest goes");
}

Test(engine_record, names_may_stay_dead_when_keys_are_buried)
{
    struct idm_record r = {0};
    uint8_t name[IDM_NAME_SIZE];
    uint8_t spki[IDM_NAME_SIZE];
    name_of(1, name);
    name_of(2, spki);
    idm_record_bury_spki(&r, spki);
    idm_record_bury_name(&r, name);
    cr_expect(idm_record_has_tombstones(&r, false) && idm_record_has_tombstones(&r, true));
    idm_record_clear_tombstones(&r, false);
    cr_expect(!idm_record_has_tombstones(&r, false) && idm_record_has_tombstones(&r, true));
    cr_expect(idm_record_is_dead_name(&r, name) && !idm_record_is_dead_spki(&r, spki));
    idm_record_clear_tombstones(&r, true);
    cr_expect(!idm_record_has_tombstones(&r, true));
}

/* ---- slots ---- */

Test(engine_record, slots_are_made_kept_and_replaced)
{
    struct idm_record r = {0};
    cr_assert_null(idm_record_slot(&r, "A"));
    cr_assert_null(idm_record_slot(&r, ""), "a free entry is not the nameless slot");
    struct idm_slot *a = idm_record_slot_make(&r, "A", NULL);
    a->kind = IDM_SLOT_AWARE;
    struct idm_slot *b = idm_record_slot_make(&r, "B", "A");
    cr_assert_neq(a, b);
    cr_assert_eq(idm_record_slot_make(&r, "A", "B"), a);
    cr_assert_eq(a->kind, IDM_SLOT_AWARE, "what is there is kept");
    struct idm_slot *c = idm_record_slot_make(&r, "C", "A");
    cr_assert_eq(c, b, "the one that is not to be kept makes room");
    cr_assert_str_eq(c->name, "C");
    cr_assert_eq(c->kind, IDM_SLOT_UNKNOWN, "nothing of the former stays");
    cr_assert_not_null(idm_record_slot(&r, "A"));
    cr_assert_null(idm_record_slot(&r, "B"));
    struct idm_record nameless = {0};
    cr_assert_not_null(idm_record_slot_make(&nameless, "", NULL));
    cr_assert_not_null(idm_record_slot(&nameless, ""));
}

/* ---- signature ---- */

/* design 6: slots, installations, pending and announced stay outside of what is signed. */
Test(engine_record, the_identity_hash_covers_the_identity_alone)
{
    struct idm_record r = golden();
    uint8_t before[IDM_SHA256_SIZE];
    uint8_t after[IDM_SHA256_SIZE];
    cr_assert_eq(idm_record_identity_hash(&r, before), 0);
    r.sequence++;
    r.announced++;
    r.pending = 0;
    r.install.open = 0;
    r.slots[1].kind = IDM_SLOT_AWARE;
    r.written_at++;
    cr_assert_eq(idm_record_identity_hash(&r, after), 0);
    cr_expect_eq(memcmp(before, after, sizeof before), 0);
    for (unsigned int i = 0; i < 5; i++) {
        struct idm_record edited = golden();
        if (i == 0)
            edited.epoch++;
        else if (i == 1)
            edited.witness++;
        else if (i == 2)
            edited.device_name[5] ^= 1;
        else if (i == 3)
            edited.tpm_cert[31] ^= 1;
        else
            edited.tpm_spki[0] ^= 1;
        cr_assert_eq(idm_record_identity_hash(&edited, after), 0);
        cr_expect_neq(memcmp(before, after, sizeof before), 0, "edit %u does not show", i);
    }
}
