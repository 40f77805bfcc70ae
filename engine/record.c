/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine/record.h"

#include <stdio.h>
#include <string.h>

#define MAGIC_SIZE  9u
#define HEADER_SIZE (MAGIC_SIZE + 2u + 2u + 4u)
#define SIZE_MAX_V1 4096u

static const uint8_t magic[MAGIC_SIZE] = {'I', 'D', 'M', 'O', 'D', 'E', 'R', 'E', 'C'};

/* One walk over the fields serves both directions, so that they cannot differ. */
struct walk {
    uint8_t *at;
    bool writing;
};

static void number(struct walk *w, void *field, size_t size)
{
    uint8_t *bytes = field;
    for (size_t i = 0; i < size; i++) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        size_t j = i;
#else
        size_t j = size - 1 - i;
#endif
        if (w->writing)
            w->at[i] = bytes[j];
        else
            bytes[j] = w->at[i];
    }
    w->at += size;
}

static void raw(struct walk *w, void *field, size_t size)
{
    if (w->writing)
        memcpy(w->at, field, size);
    else
        memcpy(field, w->at, size);
    w->at += size;
}

static void text(struct walk *w, char *field, size_t size)
{
    raw(w, field, size);
    if (!w->writing)
        field[size - 1] = 0;
}

#define N(field) number(w, &(field), sizeof(field))
#define R(field) raw(w, (field), sizeof(field))
#define T(field) text(w, (field), sizeof(field))

static void walk_slot(struct walk *w, struct idm_slot *s)
{
    N(s->known);
    T(s->name);
    N(s->kind);
    N(s->outranks);
    N(s->has_fingerprint);
    R(s->fingerprint);
    N(s->format);
    T(s->version);
}

static void walk_install(struct walk *w, struct idm_install *i)
{
    N(i->open);
    N(i->kind);
    N(i->booted);
    N(i->written);
    N(i->has_before);
    R(i->before);
    R(i->boot);
    N(i->format);
    T(i->id);
    T(i->slot);
    T(i->version);
}

static void walk_identity(struct walk *w, struct idm_record *r)
{
    N(r->has_witness);
    N(r->witness_slack);
    N(r->witness);
    R(r->device_name);
    R(r->parent_name);
    R(r->srk_name);
    R(r->ek_name);
    R(r->tpm_spki);
    R(r->tpm_cert);
    R(r->software_spki);
    R(r->software_cert);
    N(r->algorithm);
    N(r->key_storage);
    N(r->legacy_key);
    N(r->device_handle);
    N(r->parent_handle);
    N(r->srk_handle);
    N(r->counter_index);
}

static void walk_sticky(struct walk *w, struct idm_record *r)
{
    N(r->has_serial);
    R(r->serial);
    T(r->manufacturer);
    T(r->firmware);
    N(r->config_is_mount);
    N(r->persist_is_mount);
    N(r->hooks_proven);
    N(r->legacy_seen);
    N(r->ever_plain);
    N(r->malfunction);
    N(r->legacy_changed);
    N(r->origin);
    N(r->owned);
    N(r->weak_parent);
    N(r->seal);
    N(r->seal_reset_count);
    N(r->reset_pending);
    N(r->reset_clears);
    N(r->reset_reset_count);
    N(r->pending);
    N(r->pending_on_trial);
    T(r->pending_slot);
    N(r->pending_has_fingerprint);
    R(r->pending_fingerprint);
}

static void walk_record(struct walk *w, struct idm_record *r)
{
    N(r->sequence);
    N(r->written_at);
    N(r->state);
    N(r->intent);
    N(r->staged);
    N(r->epoch);
    N(r->announced);
    walk_identity(w, r);
    walk_sticky(w, r);
    for (size_t i = 0; i < IDM_TOMBSTONES; i++) {
        N(r->tombstones[i].kind);
        R(r->tombstones[i].value);
    }
    for (size_t i = 0; i < IDM_SLOTS; i++)
        walk_slot(w, &r->slots[i]);
    walk_install(w, &r->install);
    T(r->change_why);
    N(r->change_at);
    R(r->change_previous);
    R(r->signed_hash);
    N(r->signature_size);
    R(r->signature);
}

static void walk_header(struct walk *w, uint16_t *version, uint16_t *min_reader, uint32_t *size)
{
    number(w, version, sizeof *version);
    number(w, min_reader, sizeof *min_reader);
    number(w, size, sizeof *size);
}

size_t idm_record_size(void)
{
    uint8_t scratch[SIZE_MAX_V1];
    struct idm_record empty = {0};
    struct walk w = {.at = scratch, .writing = true};
    walk_record(&w, &empty);
    return HEADER_SIZE + (size_t)(w.at - scratch) + IDM_SHA256_SIZE;
}

uint16_t idm_record_format_for(uint16_t reads)
{
    if (reads < IDM_RECORD_OLDEST)
        return IDM_RECORD_OLDEST;
    return reads < IDM_RECORD_VERSION ? reads : IDM_RECORD_VERSION;
}

int idm_record_encode(const struct idm_record *record, uint8_t *ret_bytes)
{
    struct idm_record copy = *record;
    uint16_t version = record->format ? record->format : IDM_RECORD_VERSION;
    if (version != idm_record_format_for(version))
        return IDM_E_USAGE;
    uint16_t min_reader = version == IDM_RECORD_VERSION ? IDM_RECORD_MIN_READER : version;
    uint32_t size = (uint32_t)idm_record_size();
    memcpy(ret_bytes, magic, sizeof magic);
    struct walk w = {.at = ret_bytes + MAGIC_SIZE, .writing = true};
    walk_header(&w, &version, &min_reader, &size);
    walk_record(&w, &copy);
    return idm_sha256(ret_bytes, size - IDM_SHA256_SIZE, ret_bytes + size - IDM_SHA256_SIZE);
}

/* A value that no version 1 program writes is damage that the checksum happened to cover. */
static bool plausible(const struct idm_record *r)
{
    if (r->state <= IDM_S_none || r->state >= IDM_STATE_COUNT || r->intent > IDM_INTENT_reset_soft)
        return false;
    return r->seal <= IDM_SEAL_MATURE && r->algorithm <= IDM_RSA_2048 &&
           r->signature_size <= IDM_RECORD_SIGNATURE_MAX;
}

int idm_record_decode(const void *bytes, size_t size, struct idm_record *ret)
{
    uint8_t buffer[SIZE_MAX_V1];
    uint8_t hash[IDM_SHA256_SIZE];
    if (size < HEADER_SIZE + IDM_SHA256_SIZE || memcmp(bytes, magic, sizeof magic) != 0)
        return IDM_E_CORRUPT;
    int rc = idm_sha256(bytes, size - IDM_SHA256_SIZE, hash);
    if (rc)
        return rc;
    if (memcmp((const uint8_t *)bytes + size - IDM_SHA256_SIZE, hash, IDM_SHA256_SIZE) != 0)
        return IDM_E_CORRUPT;

    uint8_t header[HEADER_SIZE];
    memcpy(header, bytes, sizeof header);
    uint16_t version = 0;
    uint16_t min_reader = 0;
    uint32_t stated = 0;
    struct walk w = {.at = header + MAGIC_SIZE, .writing = false};
    walk_header(&w, &version, &min_reader, &stated);
    if (stated != size || version < min_reader)
        return IDM_E_CORRUPT;
    if (min_reader > IDM_RECORD_VERSION)
        return IDM_E_NEWER;
    if (size != idm_record_size())
        return IDM_E_CORRUPT;

    struct idm_record record = {.format = idm_record_format_for(version)};
    memcpy(buffer, bytes, size);
    w.at = buffer + HEADER_SIZE;
    walk_record(&w, &record);
    if (!plausible(&record))
        return IDM_E_CORRUPT;
    *ret = record;
    return 0;
}

enum idm_active idm_record_active(const struct idm_record *record)
{
    switch ((enum idm_state)record->state) {
    case IDM_S_software:
    case IDM_S_migrating:
        return IDM_ACTIVE_SOFTWARE;
    case IDM_S_tpm_dual:
    case IDM_S_tpm:
        return IDM_ACTIVE_TPM;
    case IDM_S_none:
    case IDM_S_blank:
    case IDM_S_resetting:
    case IDM_S_same:
        break;
    }
    return IDM_ACTIVE_NONE;
}

/* `tpm-dual` and `tpm` count as one: sealing and unsealing change no identity. */
int idm_record_identity_hash(const struct idm_record *record, uint8_t ret_hash[IDM_SHA256_SIZE])
{
    char label[] = "idmode record v1";
    uint8_t message[sizeof label + 512];
    struct idm_record r = *record;
    uint8_t active = (uint8_t)idm_record_active(record);
    struct walk w = {.at = message, .writing = true};
    raw(&w, label, sizeof label);
    number(&w, &active, sizeof active);
    number(&w, &r.epoch, sizeof r.epoch);
    number(&w, &r.has_witness, sizeof r.has_witness);
    number(&w, &r.witness, sizeof r.witness);
    raw(&w, r.device_name, sizeof r.device_name);
    raw(&w, r.parent_name, sizeof r.parent_name);
    raw(&w, r.srk_name, sizeof r.srk_name);
    raw(&w, r.ek_name, sizeof r.ek_name);
    bool tpm = active == IDM_ACTIVE_TPM;
    raw(&w, tpm ? r.tpm_spki : r.software_spki, IDM_SHA256_SIZE);
    raw(&w, tpm ? r.tpm_cert : r.software_cert, IDM_SHA256_SIZE);
    return idm_sha256(message, (size_t)(w.at - message), ret_hash);
}

/* The witness protocol: no open plan {w}; staged switch {w, w+1}; reset unstaged {w, w+1}, staged
 * {w+1, w+2}. */
void idm_record_counter_range(const struct idm_record *record, uint64_t *ret_low,
                              uint64_t *ret_high)
{
    uint64_t low = record->witness;
    uint64_t high = low;
    if (record->intent == IDM_INTENT_reset) {
        low += record->staged ? 1 : 0;
        high = low + 1;
    } else if (record->staged) {
        high = low + 1;
    }
    *ret_low = low;
    *ret_high = high + record->witness_slack;
}

uint64_t idm_record_counter_target(const struct idm_record *record)
{
    if (record->intent == IDM_INTENT_reset)
        return record->witness + (record->staged ? 2 : 1);
    return record->witness + 1;
}

static bool is_tombstone_of(const struct idm_tombstone *tomb, uint8_t kind, const uint8_t *value,
                            size_t size)
{
    return tomb->kind == kind && memcmp(tomb->value, value, size) == 0;
}

static bool is_dead(const struct idm_record *record, uint8_t kind, const uint8_t *value,
                    size_t size)
{
    for (size_t i = 0; i < IDM_TOMBSTONES; i++)
        if (is_tombstone_of(&record->tombstones[i], kind, value, size))
            return true;
    return false;
}

bool idm_record_key_is_weak(const struct idm_record *r)
{
    return r->weak_parent ||
           (r->origin & IDM_KEY_ADOPTED && r->key_storage == IDM_STORE_PERSISTENT);
}

bool idm_record_is_dead_name(const struct idm_record *record, const uint8_t name[IDM_NAME_SIZE])
{
    return is_dead(record, IDM_TOMB_NAME, name, IDM_NAME_SIZE);
}

bool idm_record_is_dead_spki(const struct idm_record *record, const uint8_t spki[IDM_SHA256_SIZE])
{
    return is_dead(record, IDM_TOMB_SPKI, spki, IDM_SHA256_SIZE);
}

bool idm_record_has_tombstones(const struct idm_record *record, bool names_too)
{
    for (size_t i = 0; i < IDM_TOMBSTONES; i++) {
        uint8_t kind = record->tombstones[i].kind;
        if (kind == IDM_TOMB_SPKI || (names_too && kind == IDM_TOMB_NAME))
            return true;
    }
    return false;
}

/* What is buried again becomes the youngest: it must outlive what is buried with it. */
static void bury(struct idm_record *record, uint8_t kind, const uint8_t *value, size_t size)
{
    struct idm_tombstone kept[IDM_TOMBSTONES + 1] = {0};
    size_t count = 0;
    if (idm_all_zero(value, size))
        return;
    for (size_t i = 0; i < IDM_TOMBSTONES; i++) {
        const struct idm_tombstone *tomb = &record->tombstones[i];
        if (tomb->kind != IDM_TOMB_FREE && !is_tombstone_of(tomb, kind, value, size))
            kept[count++] = *tomb;
    }
    kept[count].kind = kind;
    memcpy(kept[count].value, value, size);
    memcpy(record->tombstones, kept + (count == IDM_TOMBSTONES), sizeof record->tombstones);
}

void idm_record_bury_name(struct idm_record *record, const uint8_t name[IDM_NAME_SIZE])
{
    bury(record, IDM_TOMB_NAME, name, IDM_NAME_SIZE);
}

void idm_record_bury_spki(struct idm_record *record, const uint8_t spki[IDM_SHA256_SIZE])
{
    bury(record, IDM_TOMB_SPKI, spki, IDM_SHA256_SIZE);
}

void idm_record_clear_tombstones(struct idm_record *record, bool names_too)
{
    struct idm_tombstone kept[IDM_TOMBSTONES] = {0};
    size_t count = 0;
    for (size_t i = 0; i < IDM_TOMBSTONES; i++) {
        uint8_t kind = record->tombstones[i].kind;
        if (kind == IDM_TOMB_FOREIGN || (kind == IDM_TOMB_NAME && !names_too))
            kept[count++] = record->tombstones[i];
    }
    memcpy(record->tombstones, kept, sizeof kept);
}

void idm_record_note_foreign(struct idm_record *record, const uint8_t name[IDM_NAME_SIZE])
{
    if (!idm_record_is_dead_name(record, name))
        bury(record, IDM_TOMB_FOREIGN, name, IDM_NAME_SIZE);
}

bool idm_record_is_foreign(const struct idm_record *record, const uint8_t name[IDM_NAME_SIZE])
{
    return is_dead(record, IDM_TOMB_FOREIGN, name, IDM_NAME_SIZE);
}

bool idm_record_has_foreign(const struct idm_record *record)
{
    for (size_t i = 0; i < IDM_TOMBSTONES; i++)
        if (record->tombstones[i].kind == IDM_TOMB_FOREIGN)
            return true;
    return false;
}

void idm_record_forget_foreign(struct idm_record *record)
{
    for (size_t i = 0; i < IDM_TOMBSTONES; i++)
        if (record->tombstones[i].kind == IDM_TOMB_FOREIGN)
            record->tombstones[i] = (struct idm_tombstone){0};
}

const struct idm_slot *idm_record_slot(const struct idm_record *record, const char *name)
{
    for (size_t i = 0; i < IDM_SLOTS; i++)
        if (record->slots[i].known && strcmp(record->slots[i].name, name) == 0)
            return &record->slots[i];
    return NULL;
}

struct idm_slot *idm_record_slot_make(struct idm_record *record, const char *name, const char *keep)
{
    struct idm_slot *place = &record->slots[0];
    for (size_t i = 0; i < IDM_SLOTS; i++) {
        struct idm_slot *slot = &record->slots[i];
        if (slot->known && strcmp(slot->name, name) == 0)
            return slot;
        bool kept = place->known && keep && strcmp(place->name, keep) == 0;
        if (place->known && (kept || !slot->known))
            place = slot;
    }
    *place = (struct idm_slot){.known = 1};
    (void)snprintf(place->name, sizeof place->name, "%s", name);
    return place;
}
