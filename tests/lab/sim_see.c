/* SPDX-License-Identifier: BSD-2-Clause */
/* How a simulated device is seen, and which of its keys live. */
#include "tests/lab/keep_status.h"
#include "tests/lab/sim_parts.h"
#include "tests/lab/succession.h"
#include "tests/sim/sim_parts.h"

#include <stdlib.h>
#include <string.h>

static void say(char ret_word[LAB_WORD_SIZE], const char *word)
{
    (void)snprintf(ret_word, LAB_WORD_SIZE, "%s", word);
}

/* ---- identities ---- */

static void identity_of(uint32_t cert, uint32_t key, struct lab_identity *ret)
{
    uint8_t hash[IDM_SHA256_SIZE];
    struct idm_key_info info = idm_sim_key_info(key);
    idm_sim_cert_hash(cert, hash);
    idm_hex(hash, sizeof hash, ret->cert);
    idm_hex(info.spki, sizeof info.spki, ret->spki);
}

static bool identity_in(const struct idm_sim *sim, enum idm_file file, struct lab_identity *ret)
{
    uint32_t cert = idm_sim_cert_of(sim, file);
    if (cert)
        identity_of(cert, idm_sim_cert_key_of(sim, file), ret);
    return cert != 0;
}

/* Config is not mounted: the image stands in the directory beneath. */
static enum lab_sim_view look_beneath(const struct lab_world *w, struct lab_identity *ret)
{
    if (!w->beneath_cert)
        return LAB_SIM_ABSENT;
    identity_of(w->beneath_cert, w->beneath_key, ret);
    ret->works = true;
    return LAB_SIM_WORKS;
}

enum lab_sim_view lab_sim_look(struct lab_world *w, struct lab_identity *ret)
{
    const struct idm_sim *sim = &w->sim;
    *ret = (struct lab_identity){0};
    if (sim->state[IDM_CONFIG] != IDM_PLACE_PROVEN)
        return look_beneath(w, ret);
    (void)identity_in(sim, IDM_F_CONFIG_CERT, ret);
    if (!sim->files[IDM_F_CONFIG_CERT] || !sim->files[IDM_F_CONFIG_KEY])
        return LAB_SIM_ABSENT;
    uint32_t key = idm_sim_key_of(sim, IDM_F_CONFIG_KEY);
    ret->works = key && key == idm_sim_cert_key_of(sim, IDM_F_CONFIG_CERT);
    return ret->works ? LAB_SIM_WORKS : LAB_SIM_BROKEN;
}

/* As `idmode sign` does it: does what signs fit the published certificate? The chip is left as it was. */
static bool signs(struct lab_world *w)
{
    static const uint8_t challenge[IDM_SHA256_SIZE] = "a fresh challenge";
    struct idm_sim *sim = &w->sim;
    unsigned int busy = sim->chip.busy;
    const struct idm_backends *be = &sim->backends;
    struct idm_engine *engine = NULL;
    struct idm_signature signature = {0};
    idm_sim_begin_process(sim);
    int rc = idm_engine_open(&engine, be, &sim->settings, NULL);
    if (rc == 0)
        rc = idm_engine_look(engine, NULL);
    if (rc == 0)
        rc = idm_engine_sign(engine, IDM_SHA256, challenge, &signature, NULL);
    if (rc == 0)
        rc = be->verify(be->self, idm_sim_file(sim, IDM_F_RUN_CERT), IDM_SHA256, challenge,
                        &signature, NULL);
    idm_engine_close(engine);
    sim->chip.busy = busy;
    return rc == 0;
}

static void see_identities(struct lab_world *w, struct lab_sight *ret)
{
    static const char *const views[] = {
        [LAB_SIM_ABSENT] = "absent", [LAB_SIM_BROKEN] = "broken", [LAB_SIM_WORKS] = "works"};
    enum lab_sim_view view = lab_sim_look(w, &ret->legacy);
    say(ret->legacy_view, views[view]);
    if (!w->powered)
        return;
    if (!w->ran.aware && view != LAB_SIM_ABSENT)
        ret->active = ret->legacy;
    if (w->ran.aware && identity_in(&w->sim, IDM_F_RUN_CERT, &ret->active))
        ret->active.works = signs(w);
}

/* ---- what idmode published: as the engine concluded it, which the document says in JSON ---- */

/* A run whose own writing failed leaves nothing published, or what an earlier one did. */
static bool says_so(const struct idm_sim *sim, const struct idm_outcome *o)
{
    const struct idm_bytes *mode = idm_sim_file(sim, IDM_F_RUN_MODE);
    const char *word = idm_mode_name(o->mode);
    bool in_use = o->mode == IDM_MODE_SOFTWARE || o->mode == IDM_MODE_TPM;
    size_t length = strlen(word);
    return mode && mode->size == length + 1 && memcmp(mode->data, word, length) == 0 &&
           idm_sim_file(sim, IDM_F_RUN_STATUS) && (!in_use || idm_sim_cert_of(sim, IDM_F_RUN_CERT));
}

static void see_published(const struct lab_world *w, struct lab_sight *ret)
{
    const struct idm_outcome *o = &w->concluded;
    if (!w->powered || !w->ran.aware || !says_so(&w->sim, o))
        return;
    const struct idm_bytes *document = idm_sim_file(&w->sim, IDM_F_RUN_STATUS);
    lab_keep_status_text(document->data, document->size);
    ret->published = true;
    say(ret->mode, idm_mode_name(o->mode));
    say(ret->identity_mode, idm_mode_name(o->identity_mode));
    say(ret->state, idm_state_name(o->state));
    say(ret->last_event, idm_event_name(o->last_event));
    say(ret->tpm, idm_chip_name(o->chip));
    ret->held = o->held;
    ret->healthy = idm_outcome_is_healthy(o);
    ret->epoch = o->epoch;
    ret->reasons = o->reasons;
}

/* ---- the record: decoded once for the same files ---- */

void lab_sim_forget_record(struct lab_world *w)
{
    for (size_t i = 0; i < 2; i++)
        idm_sim_blob_drop(&w->record_from[i]);
}

const struct idm_record *lab_sim_record(struct lab_world *w)
{
    struct idm_sim_blob *const now[] = {w->sim.files[IDM_F_PERSIST_RECORD],
                                        w->sim.files[IDM_F_CONFIG_RECORD]};
    if (!now[0] && !now[1])
        return NULL;
    if (now[0] != w->record_from[0] || now[1] != w->record_from[1]) {
        lab_sim_forget_record(w);
        for (size_t i = 0; i < 2; i++)
            w->record_from[i] = idm_sim_blob_hold(now[i]);
        w->recorded = idm_sim_record(&w->sim, &w->record);
    }
    return w->recorded ? &w->record : NULL;
}

/* ---- the device ---- */

static void see_images(const struct lab_world *w, struct lab_sight *ret)
{
    const bool has_image[IDM_SLOTS] = {w->slots[0].present, w->slots[1].present};
    struct idm_sim_bootloader asked = w->bootloader;
    ret->powered = w->powered;
    ret->aware = w->ran.aware;
    ret->slot = w->slot;
    memcpy(ret->slots, w->slots, sizeof ret->slots);
    if (idm_sim_boot_pick(&asked, has_image, &ret->next_slot))
        ret->next_slot = w->slot;
    ret->trial = w->bootloader.trial && w->bootloader.slot == w->slot ? IDM_YES : IDM_NO;
}

static void see_files(struct lab_world *w, struct lab_sight *ret)
{
    const struct idm_sim *sim = &w->sim;
    const struct idm_record *record = lab_sim_record(w);
    bool plain = idm_sim_key_of(sim, IDM_F_CONFIG_KEY) || idm_sim_key_of(sim, IDM_F_PERSIST_KEY);
    bool sealed = sim->files[IDM_F_CONFIG_SEALED] || sim->files[IDM_F_PERSIST_SEALED];
    say(ret->legacy_key, plain ? "plain" : sealed ? "sealed" : "none");
    ret->marker = sim->files[IDM_F_MARKER] && sim->state[IDM_PERSIST] == IDM_PLACE_PROVEN;
    ret->recorded = record != NULL;
    ret->reset_requested = sim->files[IDM_F_RESET_REQUESTED] != NULL;
    if (!record)
        return;
    ret->staged = record->staged;
    ret->recorded_state = (enum idm_state)record->state;
    ret->recorded_epoch = record->epoch;
}

static void see_surroundings(const struct lab_world *w, struct lab_sight *ret)
{
    ret->chip = w->chip;
    ret->own_chip = w->made_in == 0 || w->made_in == w->chips;
    ret->clock_good = w->clock_good;
    ret->disk = w->disk;
    ret->config_mounted = w->sim.state[IDM_CONFIG] == IDM_PLACE_PROVEN;
    ret->persist_mounted = w->sim.state[IDM_PERSIST] == IDM_PLACE_PROVEN;
}

int lab_sim_see(struct lab_world *w, struct lab_sight *ret, char error[LAB_SENTENCE_SIZE])
{
    memset(ret, 0, offsetof(struct lab_sight, trace));
    (void)error;
    see_published(w, ret);
    if (!w->ran.aware)
        say(ret->mode, "software");
    see_images(w, ret);
    see_identities(w, ret);
    see_files(w, ret);
    see_surroundings(w, ret);
    memcpy(ret->trace, w->trace, w->trace_size);
    ret->trace[w->trace_size] = 0;
    return 0;
}

/* ---- which keys live ---- */

static bool key_is(uint32_t key, const char *spki)
{
    char text[LAB_HEX_SIZE];
    struct idm_key_info info = idm_sim_key_info(key);
    if (!key)
        return false;
    idm_hex(info.spki, sizeof info.spki, text);
    return strcmp(text, spki) == 0;
}

/* An envelope holds the key file in the clear behind its header. */
static bool envelope_lives(const struct idm_sim *sim, const struct idm_bytes *bytes,
                           const char *spki)
{
    static const char mark[] = "KEY ";
    const char *plain = NULL;
    uint32_t under = 0;
    if (!idm_sim_parse_envelope(bytes, &under, &plain) || !idm_sim_parent_lives(sim, under))
        return false;
    const char *at = memmem(bytes->data, bytes->size, mark, sizeof mark - 1);
    return at && key_is((uint32_t)strtoul(at + sizeof mark - 1, NULL, 10), spki);
}

static bool bytes_live(const struct idm_sim *sim, const struct idm_sim_blob *blob, const char *spki)
{
    uint32_t key = 0;
    uint32_t under = 0;
    if (!blob || !blob->bytes.size)
        return false;
    if (key_is(idm_sim_parse_key(&blob->bytes), spki))
        return true;
    if (idm_sim_parse_tss2(&blob->bytes, &key, &under))
        return idm_sim_parent_lives(sim, under) && key_is(key, spki);
    return envelope_lives(sim, &blob->bytes, spki);
}

static bool files_live(const struct idm_sim *sim, const struct idm_sim *disk, const char *spki)
{
    for (size_t i = 0; i < IDM_FILE_COUNT; i++)
        if (bytes_live(sim, disk->files[i], spki) || bytes_live(sim, disk->temps[i], spki))
            return true;
    return false;
}

static bool persistent(const struct idm_sim *sim, const char *spki)
{
    for (size_t i = 0; i < IDM_SIM_OBJECTS; i++)
        if (sim->chip.objects[i].handle && key_is(sim->chip.objects[i].id, spki))
            return true;
    return false;
}

int lab_sim_key_lives(struct lab_world *w, const char *spki, bool snapshots, bool *ret,
                      char error[LAB_SENTENCE_SIZE])
{
    (void)error;
    bool lives = persistent(&w->sim, spki) || files_live(&w->sim, &w->sim, spki);
    for (size_t i = 0; snapshots && i < LAB_SIM_SNAPSHOTS && w->snapshots[i]; i++)
        lives = lives || files_live(&w->sim, &w->snapshots[i]->sim, spki);
    *ret = lives;
    return 0;
}

/* ---- succession ---- */

/* A signature here is the key's number and what it signed. */
int lab_sim_succession(struct lab_world *w, const struct lab_identity *from,
                       const struct lab_identity *to, int64_t epoch, bool *ret,
                       char error[LAB_SENTENCE_SIZE])
{
    struct lab_succession said;
    uint32_t key = 0;
    const struct idm_bytes *text = idm_sim_file(&w->sim, IDM_F_RUN_STATEMENT);
    (void)error;
    *ret = text && lab_succession_says(text->data, text->size, from, to, epoch, &said);
    if (!*ret)
        return 0;
    memcpy(&key, said.signature.data, sizeof key);
    *ret = key_is(key, from->spki) &&
           memcmp(said.signature.data + sizeof key, said.hash, sizeof said.hash) == 0;
    return 0;
}
