/* SPDX-License-Identifier: BSD-2-Clause */
/* verify_state.c - when are two devices the same? Files are read as words and numbers: what is a key's
 * or a certificate's number counts as the n-th that was met, so that a device which went the same way
 * twice is where it was. */
#include "tests/lab/oracle_parts.h"
#include "tests/lab/sim_parts.h"
#include "tests/lab/verify.h"
#include "tests/sim/sim_parts.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- sets ---- */

static size_t place_of(const uint64_t *slots, size_t room, uint64_t hash)
{
    size_t at = (size_t)hash & (room - 1);
    while (slots[at] && slots[at] != hash)
        at = (at + 1) & (room - 1);
    return at;
}

static void grow(struct verify_set *set)
{
    size_t room = set->room ? 2 * set->room : 1024;
    uint64_t *slots = calloc(room, sizeof *slots);
    if (!slots)
        abort();
    for (size_t i = 0; i < set->room; i++)
        if (set->slots[i])
            slots[place_of(slots, room, set->slots[i])] = set->slots[i];
    free(set->slots);
    set->slots = slots;
    set->room = room;
}

bool verify_set_add(struct verify_set *set, uint64_t hash)
{
    if (2 * (set->count + 1) > set->room)
        grow(set);
    hash += !hash;
    uint64_t *slot = &set->slots[place_of(set->slots, set->room, hash)];
    if (*slot)
        return false;
    *slot = hash;
    set->count++;
    return true;
}

void verify_set_free(struct verify_set *set)
{
    free(set->slots);
    *set = (struct verify_set){0};
}

uint64_t verify_map_at(const struct verify_map *map, uint64_t key)
{
    key += !key;
    return map->room ? map->values[place_of(map->keys, map->room, key)] : 0;
}

static void grow_map(struct verify_map *map)
{
    struct verify_map old = *map;
    map->room = old.room ? 2 * old.room : 1024;
    map->keys = calloc(map->room, sizeof *map->keys);
    map->values = calloc(map->room, sizeof *map->values);
    if (!map->keys || !map->values)
        abort();
    for (size_t i = 0; i < old.room; i++) {
        if (!old.keys[i])
            continue;
        size_t at = place_of(map->keys, map->room, old.keys[i]);
        map->keys[at] = old.keys[i];
        map->values[at] = old.values[i];
    }
    free(old.keys);
    free(old.values);
}

uint64_t verify_map_keep(struct verify_map *map, uint64_t key, uint64_t value)
{
    key += !key;
    if (2 * (map->count + 1) > map->room)
        grow_map(map);
    size_t at = place_of(map->keys, map->room, key);
    if (!map->keys[at]) {
        map->keys[at] = key;
        map->values[at] = value + !value;
        map->count++;
    }
    return map->values[at];
}

void verify_map_free(struct verify_map *map)
{
    free(map->keys);
    free(map->values);
    *map = (struct verify_map){0};
}

/* ---- which number stands behind a hash ---- */

/* Names and hashes of all keys so far, by their first bytes. */
static struct known {
    uint64_t *keys;
    uint32_t *ids;
    size_t room, count;
    uint32_t next; /* the first number that is not in it */
} known;

static uint64_t first_bytes(const uint8_t *hash)
{
    uint64_t value = 0;
    memcpy(&value, hash, sizeof value);
    return value + !value;
}

static void know(uint64_t key, uint32_t id)
{
    if (4 * (known.count + 1) > known.room) {
        struct known old = known;
        known.room = old.room ? 2 * old.room : 4096;
        known.keys = calloc(known.room, sizeof *known.keys);
        known.ids = calloc(known.room, sizeof *known.ids);
        if (!known.keys || !known.ids)
            abort();
        for (size_t i = 0; i < old.room; i++) {
            size_t at = old.keys[i] ? place_of(known.keys, known.room, old.keys[i]) : 0;
            if (old.keys[i]) {
                known.keys[at] = old.keys[i];
                known.ids[at] = old.ids[i];
            }
        }
        free(old.keys);
        free(old.ids);
    }
    size_t at = place_of(known.keys, known.room, key);
    known.count += !known.keys[at];
    known.keys[at] = key;
    known.ids[at] = id;
}

static void know_all_below(uint32_t next)
{
    for (uint32_t id = known.next; id < next; id++) {
        uint8_t hash[IDM_NAME_SIZE];
        idm_sim_name("name", id, hash);
        know(first_bytes(hash + 2), id);
        idm_sim_name("ek", id, hash);
        know(first_bytes(hash + 2), id);
        idm_sim_name("srk", id, hash);
        know(first_bytes(hash + 2), id);
        idm_sim_cert_hash(id, hash);
        know(first_bytes(hash), id);
        struct idm_key_info info = idm_sim_key_info(id);
        know(first_bytes(info.spki), id);
    }
    if (next > known.next)
        known.next = next;
}

/* ---- one hash ---- */

#define IDS_MAX 256u

struct state {
    uint64_t hash;
    uint32_t ids[IDS_MAX]; /* in the order in which they were met */
    uint32_t count;
};

/* Of splitmix64. */
static void add(struct state *s, uint64_t value)
{
    uint64_t z = (s->hash ^ value) + UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    s->hash = z ^ (z >> 31);
}

static void add_difference(struct state *s, int64_t a, int64_t b)
{
    add(s, (uint64_t)(a - b));
}

static void add_id(struct state *s, uint32_t id)
{
    uint32_t i = 0;
    if (!id) {
        add(s, 0);
        return;
    }
    while (i < s->count && s->ids[i] != id)
        i++;
    if (i == s->count && s->count < IDS_MAX)
        s->ids[s->count++] = id;
    add(s, i + 1);
}

static void add_bytes(struct state *s, const void *data, size_t size)
{
    const uint8_t *at = data;
    for (; size >= sizeof(uint64_t); at += sizeof(uint64_t), size -= sizeof(uint64_t))
        add(s, first_bytes(at));
    uint64_t last = size;
    while (size-- > 0)
        last = last << 8 | *at++;
    add(s, last);
}

static void add_text(struct state *s, const char *text)
{
    add_bytes(s, text, strlen(text));
}

static void add_first(struct state *s, uint64_t first)
{
    size_t at = place_of(known.keys, known.room, first);
    if (known.keys[at])
        add_id(s, known.ids[at]);
    else
        add(s, first);
}

/* A hash or a Name of a key or certificate. */
static void add_hash(struct state *s, const uint8_t *hash, bool is_name)
{
    if (idm_all_zero(hash, is_name ? IDM_NAME_SIZE : IDM_SHA256_SIZE))
        add(s, 0);
    else
        add_first(s, first_bytes(is_name ? hash + 2 : hash));
}

static unsigned int nibble(char digit)
{
    return (unsigned int)(digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
}

static bool read_hex(const char *hex, uint8_t ret_hash[IDM_SHA256_SIZE])
{
    for (size_t i = 0; i < IDM_SHA256_SIZE; i++) {
        if (!isxdigit((unsigned char)hex[2 * i]) || !isxdigit((unsigned char)hex[2 * i + 1]))
            return false;
        ret_hash[i] = (uint8_t)(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
    }
    return true;
}

/* Empty: none. */
static void add_hex(struct state *s, const char *hex)
{
    uint8_t hash[IDM_SHA256_SIZE] = {0};
    if (hex[0] && !read_hex(hex, hash))
        abort();
    add_hash(s, hash, false);
}

/* ---- files ---- */

/* What a file says, but for which key is which: the hash of its words, and its keys in order. Read
 * once for each blob. */
#define NOTED_MAX 8u
struct noted {
    uint64_t words;
    uint32_t count;
    struct {
        uint32_t id;
        bool is_hash; /* then `first` of a certificate's hash */
        uint64_t first;
    } keys[NOTED_MAX];
};

/* More than there is room for is taken as it stands: places are then told apart that need not be. */
static void note_key(struct noted *n, uint32_t id, const uint8_t *hash)
{
    if (n->count == NOTED_MAX) {
        n->words = n->words * 31 + (hash ? first_bytes(hash) : id);
        return;
    }
    n->keys[n->count].id = id;
    n->keys[n->count].is_hash = hash != NULL;
    n->keys[n->count++].first = hash ? first_bytes(hash) : 0;
}

/* "CERT 9 KEY 7 FROM … TO …": dates say nothing more, other numbers are keys'. */
static void note_words(struct noted *n, struct state *s, const struct idm_bytes *bytes)
{
    const char *at = (const char *)bytes->data;
    const char *end = at + bytes->size;
    bool date = false;
    while (at < end) {
        if (isdigit((unsigned char)*at)) {
            uint32_t id = 0;
            for (; at < end && isdigit((unsigned char)*at); at++)
                id = id * 10 + (uint32_t)(*at - '0');
            if (!date)
                note_key(n, id, NULL);
            add(s, '0');
            continue;
        }
        date = *at == 'M' || *at == 'O' || (date && *at == ' ');
        add(s, (uint8_t)*at++);
    }
}

/* What the old key says names the new certificate; the rest is for people. */
static void note_statement(struct noted *n, const struct idm_bytes *bytes)
{
    uint8_t hash[IDM_SHA256_SIZE];
    const char *at = (const char *)bytes->data;
    size_t run = 0;
    for (size_t i = 0; i <= bytes->size; i++) {
        run = isxdigit((unsigned char)at[i]) ? run + 1 : 0;
        if (run == 2 * IDM_SHA256_SIZE && read_hex(at + i + 1 - run, hash))
            note_key(n, 0, hash);
    }
}

/* The newest entry: one that repeats it is not written again. */
static void note_history(struct state *s, const struct idm_bytes *bytes)
{
    const char *text = (const char *)bytes->data;
    size_t at = bytes->size > 1 ? bytes->size - 1 : 0;
    while (at > 0 && text[at - 1] != '\n')
        at--;
    for (; at < bytes->size; at++)
        if (!isdigit((unsigned char)text[at]))
            add(s, (uint8_t)text[at]);
}

static const struct noted *noted_in(enum idm_file file, struct idm_sim_blob *blob)
{
    if (blob->notes)
        return blob->notes;
    struct state words = {0};
    struct noted *n = calloc(1, sizeof *n);
    if (!n)
        abort();
    if (file == IDM_F_STATEMENT)
        note_statement(n, &blob->bytes);
    else if (file == IDM_F_HISTORY)
        note_history(&words, &blob->bytes);
    else
        note_words(n, &words, &blob->bytes);
    n->words ^= words.hash;
    blob->notes = n;
    return n;
}

static void add_words(struct state *s, enum idm_file file, struct idm_sim_blob *blob)
{
    const struct noted *n = noted_in(file, blob);
    add(s, n->words);
    for (uint32_t i = 0; i < n->count; i++) {
        if (n->keys[i].is_hash)
            add_first(s, n->keys[i].first);
        else
            add_id(s, n->keys[i].id);
    }
}

static void add_install(struct state *s, const struct lab_world *w, const struct idm_install *i)
{
    uint8_t boot[IDM_SHA256_SIZE] = {0};
    const char *id = strrchr(i->id, '-');
    const char *running = w->sim.platform.boot_id;
    add(s, i->open);
    if (!i->open)
        return;
    if (idm_sha256(running, strlen(running), boot))
        abort();
    add(s, (uint64_t)i->kind << 24 | (uint64_t)i->booted << 16 | (uint64_t)i->written << 8 |
               i->has_before);
    add(s, w->powered && memcmp(boot, i->boot, sizeof boot) == 0);
    add_bytes(s, i->before, sizeof i->before);
    add(s, i->format);
    add_difference(s, w->target.installs, id ? strtol(id + 1, NULL, 10) : -1);
    add_text(s, i->slot);
    add_text(s, i->version);
}

static void add_slots(struct state *s, const struct idm_record *r)
{
    for (size_t i = 0; i < IDM_SLOTS; i++) {
        const struct idm_slot *slot = &r->slots[i];
        add(s, (uint64_t)slot->known << 32 | (uint64_t)slot->kind << 24 |
                   (uint64_t)slot->outranks << 16 | slot->has_fingerprint);
        add(s, slot->format);
        add_text(s, slot->name);
        add_bytes(s, slot->fingerprint, sizeof slot->fingerprint);
        add_text(s, slot->version);
    }
    add(s, (uint64_t)r->pending << 16 | (uint64_t)r->pending_on_trial << 8 |
               r->pending_has_fingerprint);
    add_text(s, r->pending_slot);
    add_bytes(s, r->pending_fingerprint, sizeof r->pending_fingerprint);
}

static void add_identities(struct state *s, const struct idm_record *r)
{
    uint32_t signer = 0;
    memcpy(&signer, r->signature, sizeof signer);
    add_hash(s, r->device_name, true);
    add_hash(s, r->parent_name, true);
    add_hash(s, r->srk_name, true);
    add_hash(s, r->ek_name, true);
    add_hash(s, r->tpm_spki, false);
    add_hash(s, r->tpm_cert, false);
    add_hash(s, r->software_spki, false);
    add_hash(s, r->software_cert, false);
    add_id(s, r->signature_size ? signer : 0);
    for (size_t i = 0; i < IDM_TOMBSTONES; i++) {
        add(s, r->tombstones[i].kind);
        add_hash(s, r->tombstones[i].value, r->tombstones[i].kind == IDM_TOMB_NAME);
    }
}

static void add_record(struct state *s, const struct lab_world *w, const struct idm_record *r)
{
    const struct idm_sim_chip *chip = &w->sim.chip;
    const uint8_t flags[] = {r->state,
                             r->intent,
                             r->staged,
                             r->has_witness,
                             r->witness_slack,
                             r->algorithm,
                             r->key_storage,
                             r->legacy_key,
                             r->has_serial,
                             r->config_is_mount,
                             r->hooks_proven,
                             r->legacy_seen,
                             r->ever_plain,
                             r->malfunction,
                             r->legacy_changed,
                             r->origin,
                             r->owned,
                             r->weak_parent,
                             r->seal,
                             r->reset_pending,
                             r->reset_clears,
                             r->epoch == 0,
                             r->manufacturer[0] != 0,
                             r->persist_is_mount};
    add_bytes(s, flags, sizeof flags);
    add_difference(s, r->epoch, r->announced);
    add_difference(s, r->epoch, w->epoch_seen);
    add_difference(s, (int64_t)r->witness, (int64_t)(r->has_witness ? chip->counter : r->witness));
    add(s, r->seal && r->seal_reset_count == chip->reset_count);
    add(s, r->reset_pending && r->reset_reset_count == chip->reset_count);
    add_bytes(s, r->serial, sizeof r->serial);
    add_identities(s, r);
    add_install(s, w, &r->install);
    add_slots(s, r);
}

/* What a record's bytes say, decoded once for each blob. */
struct decoded {
    int rc;
    struct idm_record record;
};

static const struct decoded *decode(struct idm_sim_blob *blob)
{
    if (blob->notes)
        return blob->notes;
    struct decoded *d = malloc(sizeof *d);
    if (!d)
        abort();
    d->rc = idm_record_decode(blob->bytes.data, blob->bytes.size, &d->record);
    blob->notes = d;
    return d;
}

static bool is_record(enum idm_file file)
{
    return file == IDM_F_CONFIG_RECORD || file == IDM_F_PERSIST_RECORD;
}

static void add_blob(struct state *s, const struct lab_world *w, enum idm_file file,
                     struct idm_sim_blob *blob)
{
    add(s, blob ? 1 + (blob->bytes.size == 0) : 0);
    if (!blob || !blob->bytes.size)
        return;
    if (!is_record(file)) {
        add_words(s, file, blob);
        return;
    }
    const struct decoded *d = decode(blob);
    add(s, (uint64_t)d->rc);
    if (d->rc == 0)
        add_record(s, w, &d->record);
}

/* Two good records: which one is newer? */
static void add_order(struct state *s, const struct idm_sim *disk)
{
    struct idm_sim_blob *a = disk->files[IDM_F_PERSIST_RECORD];
    struct idm_sim_blob *b = disk->files[IDM_F_CONFIG_RECORD];
    if (!a || !b || idm_bytes_equal(&a->bytes, &b->bytes))
        return;
    const struct decoded *one = decode(a);
    const struct decoded *other = decode(b);
    if (one->rc == 0 && other->rc == 0)
        add(s, one->record.sequence > other->record.sequence   ? 2
               : one->record.sequence < other->record.sequence ? 3
                                                               : 1);
}

static bool in_run(enum idm_file file)
{
    return idm_sim_base(file) == IDM_RUN;
}

static void add_disk(struct state *s, const struct lab_world *w, const struct idm_sim *disk)
{
    const struct idm_sim_blob *first = disk->files[IDM_F_PERSIST_RECORD];
    const struct idm_sim_blob *second = disk->files[IDM_F_CONFIG_RECORD];
    bool twins = first && second && idm_bytes_equal(&first->bytes, &second->bytes);
    for (unsigned int i = 0; i < IDM_FILE_COUNT; i++) {
        enum idm_file file = (enum idm_file)i;
        if (in_run(file))
            continue;
        if (twins && file == IDM_F_PERSIST_RECORD)
            add(s, 7);
        else
            add_blob(s, w, file, disk->files[i]);
        /* A leftover is swept unread. */
        add(s, disk->temps[i] != NULL);
    }
    add_order(s, disk);
    for (size_t i = 0; i < IDM_PLACES; i++)
        add(s, i != IDM_RUN && disk->made[i]);
}

/* ---- the chip, the machine ---- */

static void add_chip(struct state *s, const struct idm_sim_chip *chip)
{
    const struct idm_sim_object *next = NULL;
    uint32_t after = 0;
    add(s, (uint64_t)(uint32_t)chip->answers << 32 | chip->busy);
    add(s, (uint64_t)chip->announced << 32 | (uint64_t)chip->owner_auth << 24 |
               (uint64_t)chip->forgets << 16 | (uint64_t)chip->has_counter << 8 |
               chip->counter_written);
    add_id(s, chip->seed);
    add_id(s, chip->srk);
    add_difference(s, (int64_t)chip->counter_max,
                   (int64_t)(chip->has_counter ? chip->counter : chip->counter_max));
    for (;; after = next->handle) {
        next = NULL;
        for (size_t i = 0; i < IDM_SIM_OBJECTS; i++) {
            const struct idm_sim_object *o = &chip->objects[i];
            if (o->handle > after && (!next || o->handle < next->handle))
                next = o;
        }
        if (!next)
            return;
        add(s, next->handle);
        add_id(s, next->id);
        add_id(s, next->under);
        add(s, (uint64_t)next->role << 8 | (uint64_t)next->stranger << 1 | next->imported);
    }
}

static void add_image(struct state *s, const struct lab_slot *slot)
{
    add(s, (uint64_t)slot->present << 1 | slot->aware);
    add_text(s, slot->version);
}

static void add_bootloader(struct state *s, const struct idm_sim_bootloader *b)
{
    add(s, (uint64_t)b->scheme << 16 | (uint64_t)b->slot << 8 | b->trial);
    add(s, b->env[0].sequence > b->env[1].sequence);
    for (size_t i = 0; i < 2; i++) {
        const struct idm_sim_env *e = &b->env[i];
        add(s, (uint64_t)e->state << 32 | (uint64_t)(uint32_t)e->bootslot);
        add(s, (uint64_t)e->upgrade_available << 32 | (uint64_t)(uint32_t)e->bootcount);
        add(s, (uint64_t)(uint32_t)e->left[0] << 32 | (uint64_t)(uint32_t)e->left[1]);
        add_text(s, e->order);
    }
    add(s, b->harms & 1);
}

static void add_machine(struct state *s, const struct lab_world *w)
{
    const struct idm_sim *sim = &w->sim;
    add(s, (uint64_t)w->powered << 3 | (uint64_t)w->slot << 2 | (uint64_t)(w->boots > 0) << 1 |
               w->clock_good);
    add(s, (uint64_t)w->disk << 32 | (uint64_t)w->chip << 16 | (uint64_t)w->late_phase << 8 |
               (w->made_in == 0));
    add(s, w->chips == w->made_in);
    add(s, (uint64_t)sim->state[IDM_CONFIG] << 32 | (uint64_t)sim->state[IDM_PERSIST] << 16 |
               (uint64_t)sim->room << 8 | (uint64_t)sim->config_fs);
    add_text(s, sim->platform.serial);
    for (size_t i = 0; i < IDM_SLOTS; i++) {
        add_image(s, &w->slots[i]);
        add(s, sim->slot_content[i]);
    }
    add_image(s, &w->ran);
    add_bootloader(s, &w->bootloader);
    add(s, (uint64_t)w->target.slot << 1 | (w->target.installs > 0));
    add_text(s, w->target.aware);
    add_text(s, w->target.version);
    add_difference(s, w->target.installs, w->late_phase ? w->late.installs : w->target.installs);
    add_id(s, w->beneath_key);
    add_id(s, w->beneath_cert);
}

/* What is in use in this boot. */
static void add_published(struct state *s, const struct lab_world *w)
{
    const struct idm_outcome *o = &w->concluded;
    if (!w->powered || !w->ran.aware)
        return;
    add_blob(s, w, IDM_F_RUN_CERT, w->sim.files[IDM_F_RUN_CERT]);
    add(s, w->sim.files[IDM_F_RUN_STATUS] != NULL);
    add(s, (uint64_t)o->mode << 32 | (uint64_t)o->state << 16 | (uint64_t)o->held << 8 |
               (uint64_t)o->held_for);
    add(s, o->reasons);
}

/* ---- what the oracle remembers ---- */

static void add_oracle(struct state *s, const struct lab_world *w, const struct lab_oracle *o)
{
    add(s, (uint64_t)o->provisioned << 7 | (uint64_t)o->reset_open << 6 |
               (uint64_t)o->restored << 5 | (uint64_t)o->moved << 4 |
               (uint64_t)o->chip_changed << 3 | (uint64_t)o->legacy_unannounced << 2 |
               (uint64_t)o->was_cut << 1);
    add(s, (uint64_t)o->causes << 32 | o->damage.config << 8 | o->damage.persist);
    add(s, (uint64_t)o->stranded << 8 | (uint64_t)o->bootenv_harmed << 7 |
               (uint64_t)o->install_heard << 6 | (uint64_t)o->trial_unheard << 5);
    add(s, (uint64_t)o->chip_given_up << 3 | (uint64_t)o->gave_up_once << 2 |
               (uint64_t)o->legacy_unrecorded << 1 | o->trial_ended_by_word);
    add_hex(s, o->minted);
    add_hex(s, o->last.cert);
    add_hex(s, o->last.spki);
    add_hex(s, o->last_pair);
    add_text(s, o->last_mode);
    add_difference(s, o->last_epoch, w->epoch_seen);
    add_difference(s, o->witnessed_epoch, w->epoch_seen);
    for (size_t i = 0; i < o->dead_count; i++) {
        add_hex(s, o->dead[i].spki);
        add(s, o->dead[i].in_chip);
    }
    for (size_t i = 0; i < o->kept_count; i++)
        add_difference(s, o->kept[i].epoch, o->witnessed_epoch);
    if (o->restored)
        add_difference(s, o->restored_copy.epoch, o->witnessed_epoch);
}

uint64_t verify_hash(const struct lab_world *w, const struct lab_oracle *oracle, size_t device)
{
    struct state s = {.hash = device};
    know_all_below(w->sim.next_id);
    add_machine(&s, w);
    add_disk(&s, w, &w->sim);
    add_chip(&s, &w->sim.chip);
    add_published(&s, w);
    for (size_t i = 0; i < LAB_SIM_SNAPSHOTS && w->snapshots[i]; i++)
        add_disk(&s, w, &w->snapshots[i]->sim);
    add_oracle(&s, w, oracle);
    return s.hash;
}
