/* SPDX-License-Identifier: BSD-2-Clause */
/* slots.c - which images may boot, what is being installed, whether this boot is a trial.
 *
 * What the record should say about slots is one function of the record and of what is seen now
 * (settle_slots): where it would change something the fact `slot_stale` is raised, and the action
 * record_slots stores its result. So a boot that changes nothing also finds nothing to change. */
#include "engine/internal.h"

#include <stdio.h>
#include <string.h>

static bool fingerprint(const struct idm_engine *e, const char *slot, uint8_t ret[IDM_SHA256_SIZE])
{
    return slot[0] && e->be->slot_fingerprint(e->be->self, slot, ret, NULL) == 0;
}

void idm_read_images(struct idm_engine *e)
{
    struct idm_images *i = &e->images;
    if (!e->bootenv_read) /* a helper program: once is enough, and `sign` needs it not at all */
        e->be->bootenv(e->be->self, &e->bootenv);
    e->bootenv_read = true;
    memset(i, 0, sizeof *i);
    (void)snprintf(i->own, sizeof i->own, "%s", e->bootenv.slot);
    (void)snprintf(i->other, sizeof i->other, "%s", e->bootenv.other);
    i->own_has_fingerprint = fingerprint(e, i->own, i->own_fingerprint);
    i->other_has_fingerprint = fingerprint(e, i->other, i->other_fingerprint);
    if (idm_sha256(e->platform.boot_id, strlen(e->platform.boot_id), i->boot))
        memset(i->boot, 0, sizeof i->boot);
}

static bool running_in(const struct idm_engine *e, const char *slot)
{
    return slot[0] && strcmp(e->images.own, slot) == 0;
}

/* Is the running image one whose installation was never committed, also where the next one has begun? */
static bool open_trial(const struct idm_engine *e)
{
    const struct idm_install *install = &e->record.install;
    return install->open && (running_in(e, install->slot) || install->open & IDM_INSTALL_ON_TRIAL);
}

enum idm_fact_tri idm_trial(const struct idm_engine *e)
{
    if (e->bootenv.trial == IDM_YES)
        return IDM_FACT_YES;
    if (e->bootenv.trial == IDM_NO)
        return IDM_FACT_NO;
    if (e->bootenv.state == IDM_BOOTENV_IS_UNREADABLE)
        return IDM_FACT_UNKNOWN;
    return open_trial(e) ? IDM_FACT_UNKNOWN : IDM_FACT_NO;
}

/* ---- what the record should say ---- */

static void settle_own(const struct idm_engine *e, struct idm_record *r)
{
    const struct idm_images *i = &e->images;
    struct idm_slot *own = idm_record_slot_make(r, i->own, i->other);
    own->kind = IDM_SLOT_AWARE;
    own->format = IDM_RECORD_VERSION;
    own->outranks = i->own_has_fingerprint;
    own->has_fingerprint = i->own_has_fingerprint;
    memcpy(own->fingerprint, i->own_fingerprint, IDM_SHA256_SIZE);
    memset(own->version, 0, sizeof own->version);
    (void)snprintf(own->version, sizeof own->version, "%s", e->platform.image_version);
}

/* An updater that announced itself in this boot is writing: the open installation speaks for the slot
 * until it is finished, or until a later boot finds it unfinished. */
static bool being_written(const struct idm_engine *e, const struct idm_record *r)
{
    const struct idm_install *install = &r->install;
    return install->open && !install->written && strcmp(install->slot, e->images.other) == 0 &&
           idm_same(install->boot, e->images.boot, IDM_SHA256_SIZE);
}

/* Content that nobody described is unknown, whatever was said about the content before it. */
static void settle_other(const struct idm_engine *e, struct idm_record *r)
{
    const struct idm_images *i = &e->images;
    if (!i->other[0] || !i->other_has_fingerprint || being_written(e, r))
        return;
    /* What is there when the record begins is what the configuration speaks of; what appears later is
     * not. */
    bool first_seen = !idm_record_slot(r, i->other) && !e->recorded;
    struct idm_slot *other = idm_record_slot_make(r, i->other, i->own);
    bool same = other->has_fingerprint &&
                idm_same(other->fingerprint, i->other_fingerprint, IDM_SHA256_SIZE);
    if (same)
        return;
    if (!first_seen) {
        other->kind = IDM_SLOT_UNKNOWN;
        other->outranks = 1;
        other->format = 0;
        memset(other->version, 0, sizeof other->version);
    }
    other->has_fingerprint = 1;
    memcpy(other->fingerprint, i->other_fingerprint, IDM_SHA256_SIZE);
}

/* Has the slot's content changed since the installation began? */
static enum idm_fact_tri changed_since(const struct idm_engine *e,
                                       const struct idm_install *install)
{
    const struct idm_images *i = &e->images;
    bool own = running_in(e, install->slot);
    bool other = strcmp(i->other, install->slot) == 0;
    const uint8_t *now = own ? i->own_fingerprint : i->other_fingerprint;
    bool readable = own ? i->own_has_fingerprint : (other && i->other_has_fingerprint);
    if (!readable)
        return IDM_FACT_UNKNOWN;
    if (!install->has_before) /* the slot was empty, or could not be read: now it can */
        return IDM_FACT_YES;
    return idm_same(now, install->before, IDM_SHA256_SIZE) ? IDM_FACT_NO : IDM_FACT_YES;
}

/* What is over. Where it began beside a trial that nobody else remembers, that trial goes on. */
static void end_install(const struct idm_engine *e, struct idm_install *install)
{
    struct idm_install trial = {
        .open = IDM_INSTALL_OPEN, .kind = IDM_SLOT_AWARE, .booted = 1, .written = 1};
    bool goes_on = install->open & IDM_INSTALL_ON_TRIAL && !running_in(e, install->slot);
    trial.format = IDM_RECORD_VERSION;
    (void)snprintf(trial.slot, sizeof trial.slot, "%s", e->images.own);
    memcpy(trial.boot, install->boot, sizeof trial.boot);
    install->open = 0;
    if (goes_on && e->bootenv.trial != IDM_NO)
        *install = trial;
}

static bool maybe_legacy(enum idm_slot_kind kind)
{
    return kind == IDM_SLOT_LEGACY || kind == IDM_SLOT_UNKNOWN;
}

static void settle_install(const struct idm_engine *e, struct idm_record *r)
{
    struct idm_install *install = &r->install;
    if (!install->open)
        return;
    bool later_boot = !idm_same(install->boot, e->images.boot, IDM_SHA256_SIZE);
    enum idm_fact_tri changed = changed_since(e, install);
    if (!later_boot)
        return;
    if (running_in(e, install->slot)) {
        if (changed == IDM_FACT_YES) {
            install->open = IDM_INSTALL_OPEN; /* an earlier trial is what this one falls back to */
            install->booted = 1;
            r->hooks_proven = 1;
        }
        if (e->bootenv.trial == IDM_NO) { /* committed, with or without its hook */
            install->open = 0;
            r->legacy_changed = 0;
        }
        return;
    }
    /* A boot alone proves nothing: the updater may go on. It is over when nothing was written, or
     * when the bootloader has nothing on trial although the slot was finished. */
    bool over = changed == IDM_FACT_NO ||
                (e->bootenv.trial == IDM_NO && (install->booted || install->written));
    /* Which slots there are nobody says, so no slot can keep the updater's word that an old image is there:
     * the installation does, until the next one. */
    bool homeless = !e->images.other[0] && install->kind == IDM_SLOT_LEGACY && install->written;
    if (over && !homeless)
        end_install(e, install);
}

static enum idm_slot_kind other_kind(const struct idm_engine *e, const struct idm_record *r)
{
    const struct idm_images *i = &e->images;
    const struct idm_slot *other = i->other[0] ? idm_record_slot(r, i->other) : NULL;
    if (other && other->outranks)
        return i->other_has_fingerprint ? (enum idm_slot_kind)other->kind : IDM_SLOT_UNKNOWN;
    switch (e->settings->other_slot) {
    case IDM_OTHER_AWARE:
        return IDM_SLOT_AWARE;
    case IDM_OTHER_LEGACY:
        return IDM_SLOT_LEGACY;
    case IDM_OTHER_NONE:
        return IDM_SLOT_EMPTY;
    case IDM_OTHER_AUTO:
        break;
    }
    return IDM_SLOT_UNKNOWN;
}

/* Newest format that an image of that kind reads; legacy images read none, and whoever comes after
 * them reads what is there. */
static uint16_t reads(enum idm_slot_kind kind, uint16_t stated)
{
    if (kind == IDM_SLOT_LEGACY || kind == IDM_SLOT_EMPTY)
        return IDM_RECORD_VERSION;
    return kind == IDM_SLOT_AWARE ? stated : 0;
}

/* Nobody says which slot this is: nothing can be learnt about either. */
static bool slots_unknown(const struct idm_engine *e)
{
    return e->bootenv.state == IDM_BOOTENV_IS_UNREADABLE && !e->images.own[0];
}

uint16_t idm_wanted_format(const struct idm_engine *e, const struct idm_record *r)
{
    const struct idm_install *install = &r->install;
    const char *name = e->images.other;
    const struct idm_slot *other = name[0] ? idm_record_slot(r, name) : NULL;
    enum idm_slot_kind kind = slots_unknown(e) ? IDM_SLOT_UNKNOWN : other_kind(e, r);
    /* What is on trial can fall back to something: then nobody's word that nothing is there counts. */
    if (kind == IDM_SLOT_EMPTY && idm_trial(e) != IDM_FACT_NO)
        kind = IDM_SLOT_UNKNOWN;
    uint16_t format = idm_record_format_for(reads(kind, other ? other->format : 0));
    if (!install->open || running_in(e, install->slot))
        return format;
    uint16_t arriving =
        idm_record_format_for(reads((enum idm_slot_kind)install->kind, install->format));
    return arriving < format ? arriving : format;
}

static void settle_slots(const struct idm_engine *e, struct idm_record *r)
{
    if (slots_unknown(e))
        return;
    settle_own(e, r);
    settle_other(e, r);
    settle_install(e, r);
    if (maybe_legacy(other_kind(e, r)))
        r->legacy_seen = 1;
}

static bool same_slot(const struct idm_slot *a, const struct idm_slot *b)
{
    return a->known == b->known && strcmp(a->name, b->name) == 0 && a->kind == b->kind &&
           a->outranks == b->outranks && a->has_fingerprint == b->has_fingerprint &&
           idm_same(a->fingerprint, b->fingerprint, IDM_SHA256_SIZE) && a->format == b->format &&
           strcmp(a->version, b->version) == 0;
}

static bool slots_stale(const struct idm_engine *e)
{
    struct idm_record wanted = e->record;
    settle_slots(e, &wanted);
    const struct idm_record *r = &e->record;
    for (size_t i = 0; i < IDM_SLOTS; i++)
        if (!same_slot(&wanted.slots[i], &r->slots[i]))
            return true;
    return wanted.install.open != r->install.open ||
           strcmp(wanted.install.slot, r->install.slot) != 0 ||
           wanted.install.booted != r->install.booted || wanted.hooks_proven != r->hooks_proven ||
           wanted.legacy_seen != r->legacy_seen || r->format > idm_wanted_format(e, &wanted);
}

enum idm_slot_kind idm_other_kind(const struct idm_engine *e)
{
    return slots_unknown(e) ? IDM_SLOT_UNKNOWN : other_kind(e, &e->record);
}

void idm_image_facts(struct idm_engine *e, struct idm_facts *f)
{
    const struct idm_install *install = &e->record.install;
    f->trial = idm_trial(e);
    f->install_open = install->open;
    bool arriving = install->open && !running_in(e, install->slot) &&
                    maybe_legacy((enum idm_slot_kind)install->kind);
    f->legacy_may_boot = arriving || maybe_legacy(idm_other_kind(e));
    f->slot_stale = e->recorded && slots_stale(e);
}

/* ---- hooks ---- */

bool idm_hook_is_late(const struct idm_engine *e, enum idm_request_kind kind,
                      const struct idm_target *target)
{
    const struct idm_install *install = &e->record.install;
    bool same_id = strcmp(install->id, target->id) == 0;
    if (kind == IDM_REQ_PRE_INSTALL) /* a repetition of the one that is open */
        return install->open && target->id[0] && same_id && install->kind == target->kind;
    /* that of the running image, whose id the record no longer holds */
    if (kind == IDM_REQ_COMMITTED && install->open & IDM_INSTALL_ON_TRIAL)
        return false;
    if (kind == IDM_REQ_POST_INSTALL || kind == IDM_REQ_INSTALL_FAILED || kind == IDM_REQ_COMMITTED)
        return !install->open || (target->id[0] && install->id[0] && !same_id);
    return false;
}

int idm_do_record_slots(struct idm_engine *e, struct idm_error *err)
{
    settle_slots(e, &e->record);
    return idm_write_record(e, err);
}

int idm_do_record_install(struct idm_engine *e, struct idm_error *err)
{
    const struct idm_target *t = e->target;
    struct idm_record *r = &e->record;
    const char *slot = t->slot[0] ? t->slot : e->images.other;
    /* What runs may be what the open installation wrote, while nobody can say which slot this is. */
    bool may_run = slots_unknown(e) && r->install.open;
    bool on_trial = e->bootenv.trial != IDM_NO && (open_trial(e) || may_run);
    uint8_t open = IDM_INSTALL_OPEN | (on_trial ? IDM_INSTALL_ON_TRIAL : 0);
    r->install = (struct idm_install){.open = open, .kind = (uint8_t)t->kind, .format = t->format};
    (void)snprintf(r->install.slot, sizeof r->install.slot, "%s", slot);
    (void)snprintf(r->install.id, sizeof r->install.id, "%s", t->id);
    (void)snprintf(r->install.version, sizeof r->install.version, "%s", t->version);
    memcpy(r->install.boot, e->images.boot, IDM_SHA256_SIZE);
    r->install.has_before = fingerprint(e, slot, r->install.before);
    return idm_write_record(e, err);
}

/* What the slot holds now, by the updater's word or by nobody's. */
static void state_slot(struct idm_engine *e, enum idm_slot_kind kind)
{
    struct idm_record *r = &e->record;
    const struct idm_install *install = &r->install;
    if (!install->slot[0] || running_in(e, install->slot))
        return;
    struct idm_slot *slot = idm_record_slot_make(r, install->slot, e->images.own);
    slot->kind = (uint8_t)kind;
    slot->format = install->format;
    memcpy(slot->version, install->version, sizeof slot->version);
    slot->has_fingerprint = fingerprint(e, install->slot, slot->fingerprint);
    slot->outranks = 1;
}

int idm_do_record_statement(struct idm_engine *e, struct idm_error *err)
{
    struct idm_install *install = &e->record.install;
    if (e->target->kind != IDM_SLOT_UNKNOWN) {
        install->kind = (uint8_t)e->target->kind;
        install->format = e->target->format;
    }
    install->written = 1;
    /* Nothing was written: what is there is what was there, and no word makes that a better image. An
     * updater that died before it wrote, and a post-install out of the blue, would. */
    if (install->kind != IDM_SLOT_AWARE || changed_since(e, install) != IDM_FACT_NO)
        state_slot(e, (enum idm_slot_kind)install->kind);
    return idm_write_record(e, err);
}

int idm_do_record_install_failed(struct idm_engine *e, struct idm_error *err)
{
    struct idm_install *install = &e->record.install;
    if (running_in(e, install->slot))
        return 0; /* it did not fail so that it would not boot: the trial goes on */
    bool changed = changed_since(e, install) != IDM_FACT_NO;
    if (changed)
        state_slot(e, IDM_SLOT_UNKNOWN);
    /* It may boot all the same, on a trial that only the open installation tells of. */
    if (!changed || e->bootenv.trial != IDM_UNKNOWN)
        end_install(e, install);
    return idm_write_record(e, err);
}

int idm_do_record_committed(struct idm_engine *e, struct idm_error *err)
{
    struct idm_record *r = &e->record;
    if (!running_in(e, r->install.slot)) {
        /* The image that runs was committed; another one is still being installed. */
        if (!(r->install.open & IDM_INSTALL_ON_TRIAL))
            return 0;
        r->install.open = IDM_INSTALL_OPEN;
        r->legacy_changed = 0;
        return idm_write_record(e, err);
    }
    if (changed_since(e, &r->install) == IDM_FACT_YES)
        r->hooks_proven = 1;
    r->install.open = 0;
    r->legacy_changed = 0;
    return idm_write_record(e, err);
}
