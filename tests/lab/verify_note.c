/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/lab/verify_note.h"

#include "tests/lab/succession.h"
#include "tests/lab/verify.h"
#include "tests/sim/sim_parts.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

uint64_t verify_mix_bytes(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *at = data;
    uint64_t value = 0;
    hash = verify_mix(hash, size);
    for (; size >= sizeof value; at += sizeof value, size -= sizeof value) {
        memcpy(&value, at, sizeof value);
        hash = verify_mix(hash, value);
    }
    value = 0;
    memcpy(&value, at, size);
    return verify_mix(hash, value);
}

/* ---- which number stands behind a hash ---- */

static struct verify_map known; /* by the first bytes */
static uint32_t known_below;

static uint64_t first_bytes(const uint8_t *digest)
{
    uint64_t value = 0;
    memcpy(&value, digest, sizeof value);
    return value;
}

void verify_know(uint32_t next)
{
    for (; known_below < next; known_below++) {
        static const char *const kinds[] = {"name", "ek", "srk"};
        uint8_t hash[IDM_NAME_SIZE];
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
            idm_sim_name(kinds[i], known_below, hash);
            (void)verify_map_keep(&known, first_bytes(hash + 2), known_below);
        }
        idm_sim_cert_hash(known_below, hash);
        (void)verify_map_keep(&known, first_bytes(hash), known_below);
        struct idm_key_info info = idm_sim_key_info(known_below);
        (void)verify_map_keep(&known, first_bytes(info.spki), known_below);
    }
}

uint32_t verify_known(const uint8_t *digest)
{
    return (uint32_t)verify_map_at(&known, first_bytes(digest));
}

static unsigned int nibble(char digit)
{
    return (unsigned int)(digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
}

bool verify_read_hex(const char *hex, uint8_t ret_hash[IDM_SHA256_SIZE])
{
    for (size_t i = 0; i < IDM_SHA256_SIZE; i++) {
        if (!isxdigit((unsigned char)hex[2 * i]) || !isxdigit((unsigned char)hex[2 * i + 1]))
            return false;
        ret_hash[i] = (uint8_t)(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
    }
    return true;
}

/* ---- keys in a file ---- */

static void add(struct verify_noted *n, uint64_t value)
{
    n->words = verify_mix(n->words, value);
}

/* More than there is room for counts as a word: places are then told apart that need not be. */
static void add_id(struct verify_noted *n, uint32_t id)
{
    if (n->count == VERIFY_NOTED_MAX)
        add(n, id);
    else
        n->ids[n->count++] = id;
}

static void add_digest(struct verify_noted *n, const uint8_t *digest, size_t size)
{
    uint32_t id = verify_known(digest);
    if (!id && !idm_all_zero(digest, size))
        add(n, first_bytes(digest));
    add_id(n, id);
}

/* ---- keys, certificates, TSS2 files, envelopes: words and numbers ---- */

static bool all_digits(const char *token, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!isdigit((unsigned char)token[i]))
            return false;
    return size > 0;
}

static bool is_word(const char *token, size_t size, const char *word)
{
    return size == strlen(word) && memcmp(token, word, size) == 0;
}

/* "CERT 9 KEY 7 FROM … TO …": what stands behind FROM and TO is a date, which says nothing more; a
 * number that stands alone elsewhere is a key's; the 2 of TSS2 is part of a word. */
static void note_words(struct verify_noted *n, const struct idm_bytes *bytes)
{
    const char *at = (const char *)bytes->data;
    const char *end = at + bytes->size;
    bool date = false;
    while (at < end) {
        size_t size = 0;
        while (at + size < end && at[size] != ' ' && at[size] != '\n')
            size++;
        if (!all_digits(at, size))
            n->words = verify_mix_bytes(n->words, at, size);
        else if (!date)
            add_id(n, (uint32_t)strtoul(at, NULL, 10));
        date = is_word(at, size, "FROM") || is_word(at, size, "TO");
        at += size;
        add(n, at < end ? (uint8_t)*at : 0);
        at++;
    }
}

/* The key in it, as far as it can be used: also a temporary file may hold one. */
static void note_key(struct verify_noted *n, const struct idm_bytes *bytes)
{
    static const char mark[] = "KEY ";
    const char *plain = NULL;
    n->key = idm_sim_parse_key(bytes);
    if (n->key || idm_sim_parse_tss2(bytes, &n->key, &n->under))
        return;
    n->key = n->under = 0;
    if (!idm_sim_parse_envelope(bytes, &n->under, &plain)) {
        n->under = 0;
        return;
    }
    const char *key = memmem(bytes->data, bytes->size, mark, sizeof mark - 1);
    n->key = key ? (uint32_t)strtoul(key + sizeof mark - 1, NULL, 10) : 0;
}

/* ---- what is written for people ---- */

static void copy_hex(char ret[LAB_HEX_SIZE], const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    (void)snprintf(ret, LAB_HEX_SIZE, "%s", text ? text : "");
}

/* Whose certificate follows whose, under which epoch, and who signed what: the oracle asks for it. */
static void note_statement(struct verify_noted *n, const struct idm_bytes *bytes)
{
    struct lab_identity from = {0};
    struct lab_identity to = {0};
    struct lab_succession said = {0};
    uint8_t hash[IDM_SHA256_SIZE];
    uint32_t signer = 0;
    json_t *object = json_loadb((const char *)bytes->data, bytes->size, 0, NULL);
    copy_hex(from.cert, object, "old_cert_sha256");
    copy_hex(to.cert, object, "new_cert_sha256");
    int64_t epoch = json_integer_value(json_object_get(object, "epoch"));
    json_decref(object);
    bool says = lab_succession_says(bytes->data, bytes->size, &from, &to, epoch, &said);
    add(n, says);
    if (!says)
        return;
    memcpy(&signer, said.signature.data, sizeof signer);
    add_id(n, verify_read_hex(from.cert, hash) ? verify_known(hash) : 0);
    add_id(n, verify_read_hex(to.cert, hash) ? verify_known(hash) : 0);
    add_id(n, signer);
    add(n, memcmp(said.signature.data + sizeof signer, said.hash, sizeof said.hash) == 0);
    n->last_epoch = n->highest_epoch = epoch;
}

static int64_t epoch_in(const char *line, size_t size)
{
    static const char mark[] = "\"epoch\":";
    const char *at = memmem(line, size, mark, sizeof mark - 1);
    bool whole = size > 2 && line[0] == '{' && line[size - 1] == '}';
    return at && whole ? strtoll(at + sizeof mark - 1, NULL, 10) : 0;
}

#define HISTORY_LONG 24000u /* engine/history.c drops the oldest lines beyond 32 KB */

/* What the engine reads of it: the highest epoch, and whether the newest entry, its time apart, is
 * repeated. */
static void note_history(struct verify_noted *n, const struct idm_bytes *bytes)
{
    const char *at = (const char *)bytes->data;
    const char *end = at + bytes->size;
    const char *last = at;
    size_t size = 0;
    for (; at < end; at += size + 1) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size = (size_t)((newline ? newline : end) - at);
        last = at;
        n->last_epoch = epoch_in(at, size);
        if (n->last_epoch > n->highest_epoch)
            n->highest_epoch = n->last_epoch;
    }
    for (size_t i = 0; i < size; i++)
        if (!isdigit((unsigned char)last[i]))
            add(n, (uint8_t)last[i]);
    add(n, bytes->size && end[-1] == '\n');
    if (bytes->size > HISTORY_LONG)
        add(n, bytes->size);
}

/* ---- the record ---- */

static void add_text(struct verify_noted *n, const char *text, size_t room)
{
    n->words = verify_mix_bytes(n->words, text, strnlen(text, room));
}

static void note_slots(struct verify_noted *n, const struct idm_record *r)
{
    for (size_t i = 0; i < IDM_SLOTS; i++) {
        const struct idm_slot *slot = &r->slots[i];
        add(n, (uint64_t)slot->known << 32 | (uint64_t)slot->kind << 24 |
                   (uint64_t)slot->outranks << 16 | slot->has_fingerprint);
        add(n, slot->format);
        add_text(n, slot->name, sizeof slot->name);
        add_text(n, slot->version, sizeof slot->version);
        n->words = verify_mix_bytes(n->words, slot->fingerprint, sizeof slot->fingerprint);
    }
    add(n, (uint64_t)r->pending << 16 | (uint64_t)r->pending_on_trial << 8 |
               r->pending_has_fingerprint);
    add_text(n, r->pending_slot, sizeof r->pending_slot);
    n->words = verify_mix_bytes(n->words, r->pending_fingerprint, sizeof r->pending_fingerprint);
}

static void note_identities(struct verify_noted *n, const struct idm_record *r)
{
    const uint8_t *const names[] = {r->device_name, r->parent_name, r->srk_name, r->ek_name};
    const uint8_t *const hashes[] = {r->tpm_spki, r->tpm_cert, r->software_spki, r->software_cert};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        add_digest(n, names[i] + 2, IDM_SHA256_SIZE);
    for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++)
        add_digest(n, hashes[i], IDM_SHA256_SIZE);
    for (size_t i = 0; i < IDM_TOMBSTONES; i++) {
        bool name = r->tombstones[i].kind != IDM_TOMB_SPKI;
        add(n, r->tombstones[i].kind);
        if (r->tombstones[i].kind != IDM_TOMB_FREE)
            add_digest(n, r->tombstones[i].value + (name ? 2 : 0), IDM_SHA256_SIZE);
    }
}

/* By whom it is signed, and whether that is a signature of what it says. */
static void note_signature(struct verify_noted *n, const struct idm_record *r)
{
    uint8_t hash[IDM_SHA256_SIZE];
    uint32_t signer = 0;
    memcpy(&signer, r->signature, sizeof signer);
    if (idm_record_identity_hash(r, hash))
        abort();
    add_id(n, r->signature_size ? signer : 0);
    add(n, (uint64_t)r->signature_size << 2 |
               (uint64_t)(memcmp(r->signature + sizeof signer, hash, sizeof hash) == 0) << 1 |
               (uint64_t)(memcmp(r->signed_hash, hash, sizeof hash) == 0));
}

/* Not what is only reported: the last change's event, time and former certificate. What counts against
 * the world as it is by then (epochs, counters, the installation) is added in verify_state.c. */
static void note_record(struct verify_noted *n, const struct idm_record *r)
{
    const uint8_t flags[] = {
        r->state,        r->intent,      r->staged,          r->has_witness, r->witness_slack,
        r->algorithm,    r->key_storage, r->legacy_key,      r->has_serial,  r->config_is_mount,
        r->hooks_proven, r->legacy_seen, r->ever_plain,      r->malfunction, r->legacy_changed,
        r->origin,       r->owned,       r->weak_parent,     r->seal,        r->reset_pending,
        r->reset_clears, r->epoch == 0,  r->persist_is_mount};
    const uint32_t handles[] = {r->device_handle, r->parent_handle, r->srk_handle,
                                r->counter_index};
    n->words = verify_mix_bytes(n->words, flags, sizeof flags);
    n->words = verify_mix_bytes(n->words, handles, sizeof handles);
    n->words = verify_mix_bytes(n->words, r->serial, sizeof r->serial);
    add_text(n, r->manufacturer, sizeof r->manufacturer);
    add_text(n, r->firmware, sizeof r->firmware);
    add(n, r->format);
    note_identities(n, r);
    note_signature(n, r);
    note_slots(n, r);
}

/* ---- any of them ---- */

enum language { WORDS, STATEMENT, HISTORY, RECORD, RAW };

static enum language language_of(enum idm_file file)
{
    switch ((unsigned int)file) {
    case IDM_F_CONFIG_RECORD:
    case IDM_F_PERSIST_RECORD:
        return RECORD;
    case IDM_F_STATEMENT:
        return STATEMENT;
    case IDM_F_HISTORY:
        return HISTORY;
    case IDM_F_CONFIG_CERT:
    case IDM_F_CONFIG_KEY:
    case IDM_F_CONFIG_TSS2:
    case IDM_F_CONFIG_TPM_CERT:
    case IDM_F_CONFIG_SEALED:
    case IDM_F_PERSIST_TSS2:
    case IDM_F_PERSIST_TPM_CERT:
    case IDM_F_PERSIST_SEALED:
    case IDM_F_PERSIST_KEY:
    case IDM_F_PERSIST_CERT:
    case IDM_F_FORMER_SEALED:
    case IDM_F_RUN_CERT:
        return WORDS;
    default:
        return RAW;
    }
}

static struct verify_noted *make(enum idm_file file, const struct idm_bytes *bytes)
{
    enum language language = language_of(file);
    size_t room = language == RECORD ? sizeof(struct idm_record) : 0;
    struct verify_noted *n = calloc(1, sizeof *n + room);
    if (!n)
        abort();
    add(n, (uint64_t)language << 1 | (bytes->size == 0));
    if (language == WORDS) {
        note_words(n, bytes);
        note_key(n, bytes);
    } else if (language == STATEMENT)
        note_statement(n, bytes);
    else if (language == HISTORY)
        note_history(n, bytes);
    else if (language == RAW)
        n->words = verify_mix_bytes(n->words, bytes->data, bytes->size);
    else {
        int rc = idm_record_decode(bytes->data, bytes->size, n->record);
        add(n, (uint64_t)rc);
        n->is_record = rc == 0;
        if (rc == 0)
            note_record(n, n->record);
    }
    return n;
}

const struct verify_noted *verify_note(enum idm_file file, struct idm_sim_blob *blob)
{
    if (!blob->notes)
        blob->notes = make(file, &blob->bytes);
    return blob->notes;
}
