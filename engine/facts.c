/* SPDX-License-Identifier: BSD-2-Clause */
/* facts.c - evidence, folded into struct idm_facts. Reads everything anew; decides nothing. */
#include "engine/internal.h"

#include <string.h>

#define ROOM_CONFIG  (64u * 1024u)  /* all copies of an identity there, twice */
#define ROOM_PERSIST (128u * 1024u) /* the same, and the history */

/* ---- files ---- */

/* Is the file exactly the good copy? Another one has lost a part of its chain. */
static bool is_whole(const struct idm_engine *e, enum idm_file file, const struct idm_bytes *good)
{
    const struct idm_loaded *loaded = &e->files[file];
    return good && loaded->rc == 0 && idm_bytes_equal(&loaded->bytes, good);
}

static enum idm_file_fact cert_fact(const struct idm_engine *e)
{
    const struct idm_seen_cert *seen = &e->config_cert;
    const struct idm_record *r = &e->record;
    if (seen->rc == IDM_E_ABSENT)
        return IDM_FILE_ABSENT;
    if (seen->rc)
        return IDM_FILE_CORRUPT;
    if (e->recorded && idm_same(seen->info.sha256, r->software_cert, IDM_SHA256_SIZE))
        return is_whole(e, IDM_F_CONFIG_CERT, idm_good_software_cert(e)) ? IDM_FILE_SOFTWARE
                                                                         : IDM_FILE_CORRUPT;
    if (e->recorded && idm_same(seen->info.sha256, r->tpm_cert, IDM_SHA256_SIZE))
        return is_whole(e, IDM_F_CONFIG_CERT, idm_good_tpm_cert(e)) ? IDM_FILE_TPM
                                                                    : IDM_FILE_CORRUPT;
    if (idm_record_is_dead_spki(r, seen->info.spki))
        return IDM_FILE_DEAD;
    bool former = e->recorded && idm_same(seen->info.spki, r->software_spki, IDM_SHA256_SIZE) &&
                  idm_same(seen->info.sha256, r->change_previous, IDM_SHA256_SIZE);
    return former ? IDM_FILE_FORMER : IDM_FILE_OTHER;
}

static enum idm_file_fact key_fact(const struct idm_engine *e)
{
    const struct idm_seen_key *seen = &e->config_key;
    const struct idm_record *r = &e->record;
    if (seen->rc == IDM_E_ABSENT)
        return IDM_FILE_ABSENT;
    if (seen->rc)
        return IDM_FILE_CORRUPT;
    if (e->recorded && idm_same(seen->info.spki, r->software_spki, IDM_SHA256_SIZE))
        return IDM_FILE_SOFTWARE;
    return idm_record_is_dead_spki(r, seen->info.spki) ? IDM_FILE_DEAD : IDM_FILE_OTHER;
}

static bool alive(enum idm_file_fact fact)
{
    return fact == IDM_FILE_SOFTWARE || fact == IDM_FILE_TPM || fact == IDM_FILE_FORMER ||
           fact == IDM_FILE_OTHER;
}

static enum idm_copy copy_fact(int rc, const uint8_t *found, const uint8_t *recorded)
{
    if (rc == IDM_E_ABSENT)
        return IDM_COPY_ABSENT;
    return rc == 0 && idm_same(found, recorded, IDM_SHA256_SIZE) ? IDM_COPY_GOOD : IDM_COPY_BAD;
}

static bool exists(const struct idm_engine *e, enum idm_file file)
{
    return e->files[file].rc != IDM_E_ABSENT;
}

static bool no_answer(int rc)
{
    return rc == IDM_E_UNREADABLE || rc == IDM_E_MEMORY || rc == IDM_E_CRYPTO;
}

/* A file that cannot be read, or looked into, now says nothing: not that it is damaged, not that it is
 * gone. Of what is kept twice one good copy is enough. */
static void unreadable_files(const struct idm_engine *e, struct idm_facts *f)
{
    bool named = !idm_all_zero(e->record.device_name, IDM_NAME_SIZE);
    bool cert = named && !idm_good_tpm_cert(e);
    bool key = named && !idm_good_tss2(e);
    if (no_answer(e->config_cert.rc) || no_answer(e->config_key.rc) ||
        (cert && no_answer(e->tpm_cert_config.rc)) || (key && no_answer(e->tss2_config.rc)))
        f->evidence = IDM_EVIDENCE_CONFIG_UNREADABLE;
    if (no_answer(e->store_cert.rc) || no_answer(e->store_key.rc) ||
        (cert && no_answer(e->tpm_cert_persist.rc)) || (key && no_answer(e->tss2_persist.rc)))
        f->evidence = IDM_EVIDENCE_PERSIST_UNREADABLE;
}

void idm_file_facts(struct idm_engine *e, struct idm_facts *f)
{
    const struct idm_record *r = &e->record;
    f->config_cert = cert_fact(e);
    f->config_key = key_fact(e);
    f->config_pair_fits =
        alive(f->config_cert) && alive(f->config_key) &&
        idm_same(e->config_cert.info.spki, e->config_key.info.spki, IDM_SHA256_SIZE);
    f->store_key = copy_fact(e->store_key.rc, e->store_key.info.spki, r->software_spki);
    f->store_cert = copy_fact(e->store_cert.rc, e->store_cert.info.sha256, r->software_cert);
    if (e->recorded && f->store_cert == IDM_COPY_GOOD &&
        !is_whole(e, IDM_F_PERSIST_CERT, idm_good_software_cert(e)))
        f->store_cert = IDM_COPY_BAD;
    enum idm_place_state folder = e->be->place_state(e->be->self, IDM_CONFIG_OURS);
    if (folder == IDM_PLACE_UNREADABLE)
        f->evidence = IDM_EVIDENCE_CONFIG_UNREADABLE;
    f->config_folder_gone = e->recorded && folder == IDM_PLACE_MISSING;
    f->tpm_files =
        !e->recorded && (exists(e, IDM_F_CONFIG_TSS2) || exists(e, IDM_F_PERSIST_TSS2) ||
                         exists(e, IDM_F_CONFIG_TPM_CERT) || exists(e, IDM_F_PERSIST_TPM_CERT) ||
                         exists(e, IDM_F_CONFIG_SEALED) || exists(e, IDM_F_PERSIST_SEALED));
    f->store_files =
        !e->recorded && (exists(e, IDM_F_PERSIST_KEY) || exists(e, IDM_F_PERSIST_CERT));
    f->reset_requested = e->files[IDM_F_RESET_REQUESTED].rc == 0;
    unreadable_files(e, f);
}

/* ---- the TPM identity ---- */

static bool dead_file(const struct idm_engine *e)
{
    const struct idm_record *r = &e->record;
    const struct idm_seen_tss2 *keys[] = {&e->tss2_config, &e->tss2_persist};
    const struct idm_seen_cert *certs[] = {&e->tpm_cert_config, &e->tpm_cert_persist};
    for (size_t i = 0; i < 2; i++) {
        if (keys[i]->rc == 0 && idm_record_is_dead_name(r, keys[i]->info.name))
            return true;
        if (certs[i]->rc == 0 && idm_record_is_dead_spki(r, certs[i]->info.spki))
            return true;
    }
    return false;
}

static bool tss2_copy_missing(const struct idm_engine *e)
{
    const uint8_t *name = e->record.device_name;
    bool both = e->tss2_config.rc == 0 && e->tss2_persist.rc == 0 &&
                idm_same(e->tss2_config.info.name, name, IDM_NAME_SIZE) &&
                idm_same(e->tss2_persist.info.name, name, IDM_NAME_SIZE);
    return !both;
}

static bool tpm_cert_copy_missing(const struct idm_engine *e)
{
    const struct idm_bytes *good = idm_good_tpm_cert(e);
    return !is_whole(e, IDM_F_PERSIST_TPM_CERT, good) || !is_whole(e, IDM_F_CONFIG_TPM_CERT, good);
}

static bool sealed_copy_missing(const struct idm_engine *e)
{
    const struct idm_loaded *config = &e->files[IDM_F_CONFIG_SEALED];
    const struct idm_loaded *persist = &e->files[IDM_F_PERSIST_SEALED];
    if (e->record.seal == IDM_SEAL_NONE)
        return false;
    return config->rc || persist->rc || !idm_bytes_equal(&config->bytes, &persist->bytes);
}

static enum idm_backup backup_fact(const struct idm_engine *e)
{
    struct idm_tpm_layout layout = idm_layout(e);
    bool missing = (layout.storage != IDM_STORE_PERSISTENT && tss2_copy_missing(e)) ||
                   tpm_cert_copy_missing(e) || sealed_copy_missing(e) || e->chip.handle_missing;
    return missing ? IDM_BACKUP_MISSING : IDM_BACKUP_COMPLETE;
}

static bool envelope_gone(const struct idm_engine *e, enum idm_file file)
{
    return e->files[file].rc == IDM_E_ABSENT || e->files[file].rc == IDM_E_CORRUPT;
}

static enum idm_seal seal_fact(const struct idm_engine *e)
{
    const struct idm_record *r = &e->record;
    bool reset_since = e->chip.has_reset_count && e->chip.reset_count > r->seal_reset_count;
    if (envelope_gone(e, IDM_F_PERSIST_SEALED) && envelope_gone(e, IDM_F_CONFIG_SEALED))
        return IDM_SEAL_NONE;
    if (r->seal == IDM_SEAL_FRESH && reset_since)
        return IDM_SEAL_MATURE;
    return (enum idm_seal)r->seal;
}

static void chip_facts(struct idm_engine *e, struct idm_facts *f)
{
    const struct idm_record *r = &e->record;
    idm_ask_chip(e);
    f->chip = e->chip.chip;
    f->proof = e->chip.proof;
    f->counter = e->chip.counter;
    f->chip_ours = e->chip.ours;
    f->cert_of_chip = e->chip.cert_of_chip;
    f->unnamed_key = e->chip.unnamed_key;
    f->witnessed = r->has_witness;
    f->witness_owed =
        !r->has_witness && r->owned & IDM_OWNED_BY_ANOTHER && !idm_record_has_foreign(r);
    f->clear_refused = e->chip.clear_refused;
    f->rekey_refused = e->chip.rekey_refused;
    f->cert_lost = idm_tpm_cert_is_lost(e);
    f->chip_forgot = e->chip.forgot;
    f->key_given = r->origin != 0;
    f->key_awaited = idm_given_is_awaited(e);
    f->chip_required = e->settings->use == IDM_USE_REQUIRED;
    f->reset_pending = r->reset_pending;
    f->chip_reset_since = e->chip.has_reset_count && e->chip.reset_count > r->reset_reset_count;
    bool with_chip = r->intent == IDM_INTENT_reset;
    f->dead_remain = r->state == IDM_S_resetting
                         ? idm_record_has_tombstones(r, with_chip) || e->chip.increment_due
                         : e->chip.dead_at_handle || dead_file(e);
    f->backup = backup_fact(e);
    f->seal = seal_fact(e);
    if (r->state == IDM_S_resetting && r->reset_clears && f->chip == IDM_CHIP_CLEARED)
        f->chip = IDM_CHIP_USABLE; /* our own TPM2_Clear, under the intent */
}

/* ---- where, when, what policy ---- */

static enum idm_fact_tri moved_fact(const struct idm_engine *e)
{
    uint8_t hash[IDM_SHA256_SIZE];
    if (e->record.has_serial && e->platform.serial_kind == IDM_SERIAL_HARDWARE) {
        if (idm_sha256(e->platform.serial, strlen(e->platform.serial), hash))
            return IDM_FACT_UNKNOWN;
        return idm_same(hash, e->record.serial, IDM_SHA256_SIZE) ? IDM_FACT_NO : IDM_FACT_YES;
    }
    return e->chip.replaced_knows_us ? IDM_FACT_YES : IDM_FACT_UNKNOWN;
}

static enum idm_room_fact room_fact(const struct idm_engine *e)
{
    enum idm_room config = e->be->place_room(e->be->self, IDM_CONFIG, ROOM_CONFIG);
    enum idm_room persist = e->be->place_room(e->be->self, IDM_PERSIST, ROOM_PERSIST);
    if (config == IDM_ROOM_READ_ONLY || persist == IDM_ROOM_READ_ONLY)
        return IDM_ROOM_IS_READ_ONLY;
    return config == IDM_ROOM_FULL || persist == IDM_ROOM_FULL ? IDM_ROOM_IS_FULL : IDM_ROOM_IS_OK;
}

static enum idm_pending pending_fact(const struct idm_engine *e, enum idm_fact_tri trial)
{
    const struct idm_record *r = &e->record;
    if (!r->pending)
        return IDM_PENDING_NONE;
    if (e->settings->on_cert_loss == IDM_LOSS_SAME_IDENTITY || e->chip.chip == IDM_CHIP_NONE)
        return IDM_PENDING_EXPIRED;
    if (r->pending_on_trial) {
        const struct idm_images *i = &e->images;
        bool same_slot = !r->pending_slot[0] || !i->own[0] || strcmp(r->pending_slot, i->own) == 0;
        bool same_image = !r->pending_has_fingerprint || !i->own_has_fingerprint ||
                          idm_same(r->pending_fingerprint, i->own_fingerprint, IDM_SHA256_SIZE);
        if (!same_slot || !same_image)
            return IDM_PENDING_EXPIRED;
    }
    return trial == IDM_FACT_NO ? IDM_PENDING_DUE : IDM_PENDING_WAITING;
}

static void policy_facts(const struct idm_engine *e, struct idm_facts *f)
{
    enum idm_legacy_key legacy = idm_layout(e).legacy;
    bool hooks_seen = e->record.hooks_proven || !e->record.legacy_seen;
    f->pending = pending_fact(e, f->trial);
    f->loss_moves_to_tpm = e->settings->on_cert_loss == IDM_LOSS_TPM_KEY;
    f->seal_allowed = legacy == IDM_LEGACY_SEAL || (legacy == IDM_LEGACY_AUTO && hooks_seen);
    f->legacy_unwanted = legacy == IDM_LEGACY_NONE;
    f->keeps_one = e->settings->controller_keeps == IDM_KEEPS_ONE;
    f->reset_clears = e->record.reset_clears;
}

/* A factory reset destroys what was dated: a clock that once stood in the future, and stands right again, keeps
 * it neither from its begin nor from its end. */
static bool starts_over(const struct idm_engine *e)
{
    return e->record.state == IDM_S_resetting || e->request == IDM_REQ_RESET ||
           e->request == IDM_REQ_RELEASE_NEW || e->files[IDM_F_RESET_REQUESTED].rc == 0;
}

bool idm_clock_is_plausible(const struct idm_engine *e)
{
    int64_t floor = e->platform.not_before;
    if (e->record.written_at > floor && !starts_over(e))
        floor = e->record.written_at;
    return e->platform.now >= floor && e->platform.now < e->platform.not_before + IDM_CLOCK_HORIZON;
}

/* Does anybody know the active key? A renewal gives the same key another epoch. */
static bool key_was_announced(const struct idm_engine *e)
{
    const struct idm_record *r = &e->record;
    bool renewed = strcmp(r->change_why, idm_event_name(IDM_EV_cert_offered_fits)) == 0 ||
                   strcmp(r->change_why, idm_event_name(IDM_EV_device_cert_due)) == 0;
    return e->recorded && (r->announced == r->epoch || (renewed && r->announced + 1 == r->epoch));
}

void idm_read_facts(struct idm_engine *e)
{
    struct idm_facts f = {0};
    if (!e->bootenv_read && e->be->bootenv_begin)
        e->be->bootenv_begin(e->be->self); /* read while files are, and while the chip works */
    idm_load_record(e, &f);
    f.state = e->recorded ? (enum idm_state)e->record.state : IDM_S_none;
    f.intent = (enum idm_intent)e->record.intent;
    f.staged = e->record.staged;
    f.announced = key_was_announced(e);
    f.held = e->ended_held;
    memcpy(f.tried, e->tried, sizeof f.tried);
    idm_load_files(e);
    idm_file_facts(e, &f);
    f.config_volatile = e->be->place_is_volatile(e->be->self, IDM_CONFIG) &&
                        !e->be->place_is_volatile(e->be->self, IDM_PERSIST);
    f.clock_good = idm_clock_is_plausible(e);
    f.room = room_fact(e);
    /* Nothing is asked of a chip, and nothing derived, from evidence that cannot be believed. */
    bool believable = f.evidence == IDM_EVIDENCE_READABLE && f.record != IDM_RECORD_NEWER;
    if (believable) {
        chip_facts(e, &f);
        idm_read_images(e);
        idm_image_facts(e, &f);
        policy_facts(e, &f);
        f.record_forged = idm_record_is_forged(e);
        f.moved = e->recorded ? moved_fact(e) : IDM_FACT_UNKNOWN;
    }
    e->facts = f;
}
