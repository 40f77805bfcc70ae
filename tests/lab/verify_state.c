/* SPDX-License-Identifier: BSD-2-Clause */
/* verify_state.c - when are two devices the same? What is a key's or a certificate's number counts as the
 * n-th that was met, so that a device which went the same way twice is where it was. Everything counts
 * that a boot reads or the oracle compares; tests/unit/lab_verify.c changes each part and looks. */
#include "tests/lab/oracle_parts.h"
#include "tests/lab/verify.h"
#include "tests/lab/verify_note.h"

#include "tests/sim/sim_parts.h"

#include <stdlib.h>
#include <string.h>

/* ---- one hash ---- */

#define IDS_MAX 256u

struct state {
    uint64_t hash;
    uint32_t ids[IDS_MAX]; /* in the order in which they were met */
    uint32_t count;
};

static void add(struct state *s, uint64_t value)
{
    s->hash = verify_mix(s->hash, value);
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
    if (i == s->count) {
        if (s->count == IDS_MAX)
            abort(); /* no life is so long */
        s->ids[s->count++] = id;
    }
    add(s, i + 1);
}

static void add_text(struct state *s, const char *text)
{
    s->hash = verify_mix_bytes(s->hash, text, strlen(text));
}

/* Empty: none. */
static void add_hex(struct state *s, const char *hex)
{
    uint8_t hash[IDM_SHA256_SIZE];
    uint64_t first = 0;
    if (!hex[0]) {
        add(s, 0);
        return;
    }
    if (!verify_read_hex(hex, hash))
        abort();
    uint32_t id = verify_known(hash);
    if (id) {
        add_id(s, id);
        return;
    }
    memcpy(&first, hash, sizeof first);
    add(s, first);
}

/* ---- files ---- */

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
    s->hash = verify_mix_bytes(s->hash, i->before, sizeof i->before);
    add(s, i->format);
    add_difference(s, w->target.installs, id ? strtol(id + 1, NULL, 10) : -1);
    add_text(s, i->slot);
    add_text(s, i->version);
}

/* A count in the record that the chip's may pass. */
static void add_resets(struct state *s, bool counts, uint32_t recorded, uint32_t now)
{
    if (counts && recorded >= now)
        add_difference(s, recorded, now);
    else
        add(s, counts ? UINT64_MAX : UINT64_MAX - 1);
}

static void add_record(struct state *s, const struct lab_world *w, const struct idm_record *r)
{
    const struct idm_sim_chip *chip = &w->sim.chip;
    add_difference(s, r->epoch, r->announced);
    add_difference(s, r->epoch, w->epoch_seen);
    if (r->has_witness)
        add_difference(s, (int64_t)r->witness, (int64_t)chip->counter_max);
    add_resets(s, r->seal, r->seal_reset_count, chip->reset_count);
    add_resets(s, r->reset_pending, r->reset_reset_count, chip->reset_count);
    add_install(s, w, &r->install);
}

static void add_blob(struct state *s, const struct lab_world *w, enum idm_file file,
                     struct idm_sim_blob *blob)
{
    if (!blob) {
        add(s, 0);
        return;
    }
    const struct verify_noted *n = verify_note(file, blob);
    add(s, n->words + !n->words);
    for (uint32_t i = 0; i < n->count; i++)
        add_id(s, n->ids[i]);
    if (n->is_record)
        add_record(s, w, n->record);
    if (n->highest_epoch) {
        add_difference(s, n->highest_epoch, w->epoch_seen);
        add_difference(s, n->last_epoch, w->epoch_seen);
    }
}

/* A leftover is swept unread; but a key in it lives until then. */
static void add_leftover(struct state *s, enum idm_file file, struct idm_sim_blob *blob)
{
    add(s, blob != NULL);
    if (!blob)
        return;
    const struct verify_noted *n = verify_note(file, blob);
    add_id(s, n->key);
    add_id(s, n->under);
}

/* Two good records: which one is newer? */
static void add_order(struct state *s, const struct idm_sim *disk)
{
    struct idm_sim_blob *a = disk->files[IDM_F_PERSIST_RECORD];
    struct idm_sim_blob *b = disk->files[IDM_F_CONFIG_RECORD];
    if (!a || !b || a == b)
        return;
    const struct verify_noted *one = verify_note(IDM_F_PERSIST_RECORD, a);
    const struct verify_noted *other = verify_note(IDM_F_CONFIG_RECORD, b);
    if (one->is_record && other->is_record)
        add(s, one->record->sequence > other->record->sequence   ? 2
               : one->record->sequence < other->record->sequence ? 3
                                                                 : 1);
}

static void add_disk(struct state *s, const struct lab_world *w, const struct idm_sim *disk)
{
    struct idm_sim_blob *first = disk->files[IDM_F_PERSIST_RECORD];
    struct idm_sim_blob *second = disk->files[IDM_F_CONFIG_RECORD];
    bool twins = first && second && idm_bytes_equal(&first->bytes, &second->bytes);
    for (unsigned int i = 0; i < IDM_FILE_COUNT; i++) {
        enum idm_file file = (enum idm_file)i;
        if (idm_sim_base(file) == IDM_RUN)
            continue;
        if (twins && file == IDM_F_PERSIST_RECORD)
            add(s, 7);
        else
            add_blob(s, w, file, disk->files[i]);
        add_leftover(s, file, disk->temps[i]);
    }
    if (!twins)
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
    /* A chip that forgets begins anew there. */
    add(s, chip->forgets ? chip->counter_max : 0);
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

static void add_target(struct state *s, const struct lab_world *w, const struct lab_sim_target *t)
{
    add(s, (uint64_t)t->slot << 1 | (t->installs > 0));
    add_difference(s, w->target.installs, t->installs);
    add_text(s, t->aware);
    add_text(s, t->version);
    add_text(s, t->format);
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
    add_target(s, w, &w->target);
    if (w->late_phase != LAB_PHASE_NONE)
        add_target(s, w, &w->late);
    add_id(s, w->beneath_key);
    add_id(s, w->beneath_cert);
}

/* What is in use in this boot. Nobody judges the bytes of the status document here. */
static void add_published(struct state *s, const struct lab_world *w)
{
    const struct idm_outcome *o = &w->concluded;
    if (!w->powered || !w->ran.aware)
        return;
    add_blob(s, w, IDM_F_RUN_CERT, w->sim.files[IDM_F_RUN_CERT]);
    add_blob(s, w, IDM_F_RUN_MODE, w->sim.files[IDM_F_RUN_MODE]);
    add(s, w->sim.files[IDM_F_RUN_STATUS] != NULL);
    add(s, (uint64_t)o->mode << 40 | (uint64_t)o->identity_mode << 32 | (uint64_t)o->state << 16 |
               (uint64_t)o->held << 8 | (uint64_t)o->held_for);
    add(s, o->reasons);
    add_difference(s, o->epoch, w->epoch_seen);
}

/* ---- what the oracle remembers ---- */

static void add_kept(struct state *s, const struct lab_oracle *o, const struct lab_kept *kept)
{
    add_text(s, kept->name);
    add_difference(s, kept->epoch, o->witnessed_epoch);
    add(s, (uint64_t)kept->state << 32 | kept->damage.config << 8 | kept->damage.persist);
    add_hex(s, kept->cert);
}

static void add_flags(struct state *s, const struct lab_oracle *o)
{
    const bool flags[] = {
        o->provisioned,    o->reset_open,         o->restored,          o->moved,
        o->chip_changed,   o->legacy_unannounced, o->was_cut,           o->stranded,
        o->bootenv_harmed, o->install_heard,      o->trial_unheard,     o->chip_given_up,
        o->gave_up_once,   o->restored_same,      o->legacy_unrecorded, o->trial_ended_by_word};
    uint64_t bits = 0;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        bits |= (uint64_t)flags[i] << i;
    add(s, bits);
}

static void add_oracle(struct state *s, const struct lab_world *w, const struct lab_oracle *o)
{
    add_flags(s, o);
    add(s, (uint64_t)o->causes << 32 | o->damage.config << 8 | o->damage.persist);
    add_hex(s, o->minted);
    add_hex(s, o->last.cert);
    add_hex(s, o->last.spki);
    add_hex(s, o->followed.cert);
    add_hex(s, o->followed.spki);
    add_hex(s, o->last_pair);
    add_text(s, o->last_mode);
    add_difference(s, o->last_epoch, w->epoch_seen);
    add_difference(s, o->witnessed_epoch, w->epoch_seen);
    for (size_t i = 0; i < o->announced_count; i++) {
        add_difference(s, o->announced[i].epoch, w->epoch_seen);
        add_hex(s, o->announced[i].cert);
    }
    for (size_t i = 0; i < o->dead_count; i++) {
        add_hex(s, o->dead[i].spki);
        add(s, (uint64_t)o->dead[i].left << 1 | o->dead[i].in_chip);
    }
    for (size_t i = 0; i < o->kept_count; i++)
        add_kept(s, o, &o->kept[i]);
    if (o->restored)
        add_kept(s, o, &o->restored_copy);
    if (o->moved)
        add_hex(s, o->moved_spki);
}

uint64_t verify_hash(const struct lab_world *w, const struct lab_oracle *oracle, size_t device)
{
    struct state s;
    s.hash = device;
    s.count = 0;
    verify_know(w->sim.next_id);
    add_machine(&s, w);
    add_disk(&s, w, &w->sim);
    add_chip(&s, &w->sim.chip);
    add_published(&s, w);
    for (size_t i = 0; i < LAB_SIM_SNAPSHOTS && w->snapshots[i]; i++) {
        add_text(&s, w->snapshots[i]->name);
        add_disk(&s, w, &w->snapshots[i]->sim);
    }
    add_oracle(&s, w, oracle);
    return s.hash;
}
