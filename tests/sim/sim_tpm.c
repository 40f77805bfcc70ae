/* SPDX-License-Identifier: BSD-2-Clause */
/* sim_tpm.c - the chip: persistent objects that know their parent, one counter, a reset count. */
#include "tests/sim/sim_parts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define RESUBMISSIONS    5u /* as backends/tpm/connect.c: five at once, then growing pauses */
#define FIRST_PAUSE_MS   5u
#define LONGEST_PAUSE_MS 500u

/* The backend's wait, in virtual time; false: it is used up in this process. */
static bool pause_passes(struct idm_sim *sim)
{
    uint32_t wait_ms = sim->settings.wait_ms;
    uint32_t pause_ms = sim->pause_ms ? sim->pause_ms : FIRST_PAUSE_MS;
    if (sim->waited_ms >= wait_ms)
        return false;
    sim->pause_ms = pause_ms * 2 < LONGEST_PAUSE_MS ? pause_ms * 2 : LONGEST_PAUSE_MS;
    if (pause_ms > wait_ms - sim->waited_ms)
        pause_ms = wait_ms - sim->waited_ms;
    sim->waited_ms += pause_ms;
    return true;
}

/* What the chip says to any command; one that is busy is asked again. */
static int chip_says(struct idm_sim *sim)
{
    unsigned int again = 0;
    if (strcmp(sim->settings.tcti, "none") == 0)
        return IDM_E_TPM_ABSENT;
    if (sim->chip.answers)
        return sim->chip.answers;
    while (sim->chip.busy) {
        sim->chip.busy--;
        if (again++ >= RESUBMISSIONS && !pause_passes(sim))
            return IDM_E_TPM_BUSY;
    }
    sim->pause_ms = 0;
    return 0;
}

/* Numbers the call; then the chip's own answer. */
static int command(struct idm_sim *sim)
{
    int rc = idm_sim_asks(sim, IDM_E_TPM_OTHER);
    return rc ? rc : chip_says(sim);
}

/* The same for a command that changes something and needs no owner. */
static int change(struct idm_sim *sim, bool *ret_last)
{
    if (!sim->dead) {
        int says = chip_says(sim);
        if (says) {
            int rc = idm_sim_asks(sim, IDM_E_TPM_OTHER);
            return rc ? rc : says;
        }
    }
    return idm_sim_changes(sim, IDM_E_TPM_OTHER, ret_last);
}

/* The same under owner authorisation, which we have only while it is empty. */
static int change_as_owner(struct idm_sim *sim, bool *ret_last)
{
    if (sim->chip.owner_auth && !sim->dead) {
        int rc = command(sim);
        return rc ? rc : IDM_E_TPM_OWNED;
    }
    return change(sim, ret_last);
}

/* After a change: one primitive effect, which is durable. */
static int changed(struct idm_sim *sim, bool last)
{
    sim->newest = IDM_SIM_DURABLE;
    bool lives = idm_sim_effect(sim);
    int rc = idm_sim_changed(sim, IDM_E_TPM_OTHER, last);
    return lives ? rc : IDM_E_TPM_OTHER;
}

static int said(int rc, const char *what, struct idm_error *err)
{
    return rc ? idm_fail(err, rc, what, "%s", idm_error_sentence(rc)) : 0;
}

static struct idm_sim_object *at(struct idm_sim *sim, uint32_t handle)
{
    for (size_t i = 0; handle && i < IDM_SIM_OBJECTS; i++)
        if (sim->chip.objects[i].handle == handle)
            return &sim->chip.objects[i];
    return NULL;
}

const struct idm_sim_object *idm_sim_object_at(const struct idm_sim *sim, uint32_t handle)
{
    for (size_t i = 0; i < IDM_SIM_OBJECTS; i++)
        if (sim->chip.objects[i].handle == handle)
            return &sim->chip.objects[i];
    return NULL;
}

static struct idm_sim_object *free_place(struct idm_sim *sim)
{
    for (size_t i = 0; i < IDM_SIM_OBJECTS; i++)
        if (!sim->chip.objects[i].handle)
            return &sim->chip.objects[i];
    return NULL;
}

/* The primary key of the owner hierarchy is made for each use: the storage root key. */
static uint32_t parent_id(struct idm_sim *sim, uint32_t handle)
{
    const struct idm_sim_object *parent = at(sim, handle);
    if (handle == IDM_TPM_PRIMARY)
        return sim->chip.srk;
    return parent && parent->role == IDM_ROLE_PARENT ? parent->id : 0;
}

static void name_of_parent(struct idm_sim *sim, uint32_t handle, uint8_t ret[IDM_NAME_SIZE])
{
    idm_sim_name("name", parent_id(sim, handle), ret);
}

/* Is the parent that is on record there? Zeros: none is. */
static int check_parent(struct idm_sim *sim, uint32_t handle, const uint8_t wanted[IDM_NAME_SIZE])
{
    uint8_t name[IDM_NAME_SIZE] = {0};
    if (!parent_id(sim, handle))
        return IDM_E_TPM_EMPTY;
    name_of_parent(sim, handle, name);
    bool on_record = !idm_all_zero(wanted, IDM_NAME_SIZE);
    return on_record && memcmp(name, wanted, sizeof name) != 0 ? IDM_E_TPM_OTHER : 0;
}

/* Every object of this device's chip hangs under its own storage root key. */
static bool loads_under(struct idm_sim *sim, uint32_t parent_handle, uint32_t under)
{
    uint32_t parent = parent_id(sim, parent_handle);
    return parent && parent == under;
}

bool idm_sim_parent_lives(const struct idm_sim *sim, uint32_t under)
{
    for (size_t i = 0; i < IDM_SIM_OBJECTS; i++) {
        const struct idm_sim_object *object = &sim->chip.objects[i];
        if (object->handle && object->role == IDM_ROLE_PARENT && object->id == under)
            return true;
    }
    return under == sim->chip.srk;
}

int idm_sim_tpm_signer(struct idm_sim *sim, const struct idm_signer *signer, uint32_t *ret_key)
{
    uint32_t under = 0;
    int rc = chip_says(sim);
    if (rc)
        return rc;
    if (signer->kind == IDM_SIGNER_HANDLE) {
        const struct idm_sim_object *object = at(sim, signer->handle);
        if (!object)
            return IDM_E_TPM_EMPTY;
        *ret_key = object->id;
        return object->stranger || object->role != IDM_ROLE_DEVICE ? IDM_E_TPM_TAKEN : 0;
    }
    if (!idm_sim_parse_tss2(signer->key, ret_key, &under))
        return IDM_E_CORRUPT;
    return loads_under(sim, signer->handle, under) ? 0 : IDM_E_TPM_UNFIT;
}

static enum idm_tri tpm_announced(void *self)
{
    const struct idm_sim *sim = self;
    bool none = strcmp(sim->settings.tcti, "none") == 0;
    return sim->chip.announced && !none ? IDM_YES : IDM_NO;
}

static int tpm_info(void *self, struct idm_tpm_info *ret, struct idm_error *err)
{
    struct idm_sim *sim = self;
    int rc = command(sim);
    if (rc)
        return said(rc, "read the chip's properties", err);
    *ret = (struct idm_tpm_info){
        .manufacturer = "SIM", .firmware = "1.0", .reset_count = sim->chip.reset_count};
    return 0;
}

static int tpm_object(void *self, uint32_t handle, enum idm_tpm_role role,
                      struct idm_tpm_object_info *ret, struct idm_error *err)
{
    struct idm_sim *sim = self;
    const struct idm_sim_object *object = at(sim, handle);
    int rc = command(sim);
    if (rc)
        return said(rc, "look at a handle", err);
    *ret = (struct idm_tpm_object_info){.what = IDM_OBJECT_EMPTY};
    if (!object)
        return 0;
    ret->what = object->stranger || object->role != role ? IDM_OBJECT_STRANGER
                : object->imported                       ? IDM_OBJECT_IMPORTED
                                                         : IDM_OBJECT_OURS;
    idm_sim_name("name", object->id, ret->name);
    if (object->role == IDM_ROLE_DEVICE)
        ret->key = idm_sim_key_info(object->id);
    return 0;
}

/* The one with the lowest handle above `after`; NULL: none. */
static const struct idm_sim_object *next_object(const struct idm_sim *sim, uint32_t after)
{
    const struct idm_sim_object *next = NULL;
    for (size_t i = 0; i < IDM_SIM_OBJECTS; i++) {
        const struct idm_sim_object *object = &sim->chip.objects[i];
        if (object->handle > after && (!next || object->handle < next->handle))
            next = object;
    }
    return next;
}

static int tpm_persistent(void *self, uint32_t ret_handles[IDM_TPM_PERSISTENT_MAX],
                          size_t *ret_count, struct idm_error *err)
{
    struct idm_sim *sim = self;
    int rc = command(sim);
    const struct idm_sim_object *next = NULL;
    uint32_t after = 0;
    if (rc)
        return said(rc, "list the persistent objects", err);
    /* In ascending order: TPM 2.0 Library, Part 3, TPM2_GetCapability. */
    for (*ret_count = 0; (next = next_object(sim, after)); after = next->handle)
        ret_handles[(*ret_count)++] = next->handle;
    return 0;
}

static int tpm_srk_name(void *self, uint32_t handle, uint8_t ret_name[IDM_NAME_SIZE],
                        struct idm_error *err)
{
    struct idm_sim *sim = self;
    int rc = command(sim);
    const struct idm_sim_object *there = at(sim, handle);
    if (rc == 0 && there && (there->stranger || there->role != IDM_ROLE_PARENT))
        rc = IDM_E_TPM_TAKEN;
    if (rc == 0 && !there && sim->chip.owner_auth)
        rc = IDM_E_TPM_OWNED;
    if (rc)
        return said(rc, "read the storage root key", err);
    idm_sim_name("name", there ? there->id : sim->chip.srk, ret_name);
    return 0;
}

static int tpm_ek_name(void *self, uint8_t ret_name[IDM_NAME_SIZE], struct idm_error *err)
{
    struct idm_sim *sim = self;
    int rc = command(sim);
    if (rc)
        return said(rc, "read the endorsement key", err);
    idm_sim_name("ek", sim->chip.seed, ret_name);
    return 0;
}

static int tpm_counter_read(void *self, uint32_t index, uint64_t *ret_value, struct idm_error *err)
{
    struct idm_sim *sim = self;
    int rc = command(sim);
    (void)index;
    if (rc == 0 && !(sim->chip.has_counter && sim->chip.counter_written))
        rc = IDM_E_TPM_EMPTY;
    if (rc)
        return said(rc, "read the counter", err);
    *ret_value = sim->chip.counter;
    return 0;
}

static int tpm_counter_make(void *self, uint32_t index, struct idm_error *err)
{
    struct idm_sim *sim = self;
    bool last = false;
    bool defined = sim->chip.has_counter;
    int rc = defined ? change(sim, &last) : change_as_owner(sim, &last);
    (void)index;
    if (rc == 0 && !defined && sim->chip.nv_full)
        rc = IDM_E_TPM_FULL;
    if (rc)
        return said(rc, "make the counter", err);
    if (!sim->chip.counter_written || !defined) {
        sim->writes++;
        sim->chip.counter = ++sim->chip.counter_max;
    }
    sim->chip.has_counter = true;
    sim->chip.counter_written = true;
    return said(changed(sim, last), "make the counter", err);
}

static int tpm_counter_increment(void *self, uint32_t index, struct idm_error *err)
{
    struct idm_sim *sim = self;
    bool last = false;
    int rc = change(sim, &last);
    (void)index;
    if (rc == 0 && !sim->chip.has_counter)
        rc = IDM_E_TPM_EMPTY;
    if (rc)
        return said(rc, "increment the counter", err);
    sim->writes++;
    sim->chip.counter++;
    if (sim->chip.counter > sim->chip.counter_max)
        sim->chip.counter_max = sim->chip.counter;
    return said(changed(sim, last), "increment the counter", err);
}

static int place_object(struct idm_sim *sim, struct idm_sim_object object)
{
    struct idm_sim_object *place = free_place(sim);
    if (!place)
        return IDM_E_TPM_FULL;
    sim->writes++;
    *place = object;
    return 0;
}

/* The storage root key at its handle, made persistent where nothing stands there. */
static int ensure_srk(struct idm_sim *sim, uint32_t handle)
{
    const struct idm_sim_object *there = at(sim, handle);
    if (there)
        return there->stranger ? IDM_E_TPM_TAKEN : 0;
    return place_object(sim, (struct idm_sim_object){
                                 .handle = handle, .id = sim->chip.srk, .role = IDM_ROLE_PARENT});
}

static int make_parent(struct idm_sim *sim, uint32_t srk_handle, uint32_t parent_handle)
{
    const struct idm_sim_object *there = at(sim, parent_handle);
    if (there)
        return there->stranger || there->role != IDM_ROLE_PARENT ? IDM_E_TPM_TAKEN : 0;
    int rc = ensure_srk(sim, srk_handle);
    if (rc)
        return rc;
    return place_object(sim, (struct idm_sim_object){.handle = parent_handle,
                                                     .id = idm_sim_new_id(sim),
                                                     .role = IDM_ROLE_PARENT});
}

static int tpm_parent_make(void *self, uint32_t srk_handle, uint32_t parent_handle,
                           uint8_t ret_name[IDM_NAME_SIZE], struct idm_error *err)
{
    struct idm_sim *sim = self;
    bool last = false;
    int rc = at(sim, parent_handle) ? change(sim, &last) : change_as_owner(sim, &last);
    if (rc == 0)
        rc = make_parent(sim, srk_handle, parent_handle);
    if (rc)
        return said(rc, "make the parent", err);
    idm_sim_name("name", at(sim, parent_handle)->id, ret_name);
    return said(changed(sim, last), "make the parent", err);
}

static int tpm_key_create(void *self, uint32_t parent_handle,
                          const uint8_t parent_name[IDM_NAME_SIZE], enum idm_algorithm algorithm,
                          struct idm_bytes *ret_tss2, struct idm_error *err)
{
    struct idm_sim *sim = self;
    int rc = command(sim);
    uint32_t parent = parent_id(sim, parent_handle);
    (void)algorithm;
    if (rc == 0)
        rc = check_parent(sim, parent_handle, parent_name);
    if (rc)
        return said(rc, "create the device key", err);
    return idm_sim_text(ret_tss2, "TSS2 %" PRIu32 " UNDER %" PRIu32 "\n", idm_sim_new_id(sim),
                        parent);
}

static int tpm_key_import(void *self, uint32_t parent_handle,
                          const uint8_t parent_name[IDM_NAME_SIZE], const struct idm_bytes *key_pem,
                          struct idm_bytes *ret_tss2, struct idm_error *err)
{
    struct idm_sim *sim = self;
    uint8_t name[IDM_NAME_SIZE] = {0};
    uint32_t key = idm_sim_parse_key(key_pem);
    uint32_t parent = parent_id(sim, parent_handle);
    int rc = command(sim);
    if (rc == 0 && !parent)
        rc = IDM_E_TPM_EMPTY;
    if (rc == 0)
        name_of_parent(sim, parent_handle, name);
    if (rc == 0 && memcmp(name, parent_name, sizeof name) != 0)
        rc = IDM_E_TPM_TAKEN;
    if (rc == 0 && !key)
        rc = IDM_E_CORRUPT;
    if (rc)
        return said(rc, "import a key", err);
    return idm_sim_text(ret_tss2, "TSS2 %" PRIu32 " UNDER %" PRIu32 " IMPORTED\n", key, parent);
}

/* A stranger's key is one that lacks something. */
static int tpm_key_check(void *self, const struct idm_signer *signer, bool imported,
                         struct idm_tpm_object_info *ret, struct idm_error *err)
{
    struct idm_sim *sim = self;
    uint32_t key = 0;
    int rc = command(sim);
    if (rc == 0)
        rc = idm_sim_tpm_signer(sim, signer, &key);
    const struct idm_sim_object *object =
        signer->kind == IDM_SIGNER_HANDLE ? at(sim, signer->handle) : NULL;
    bool outside = object ? object->imported : rc == 0 && idm_sim_is_imported(signer->key);
    if (rc == IDM_E_TPM_TAKEN || (rc == 0 && outside && !imported))
        rc = IDM_E_REFUSED;
    if (rc)
        return said(rc, "look at a key", err);
    *ret = (struct idm_tpm_object_info){.what = outside ? IDM_OBJECT_IMPORTED : IDM_OBJECT_OURS,
                                        .key = idm_sim_key_info(key)};
    idm_sim_name("name", key, ret->name);
    return 0;
}

static int tpm_key_persist(void *self, const struct idm_bytes *tss2, uint32_t parent_handle,
                           uint32_t handle, struct idm_error *err)
{
    struct idm_sim *sim = self;
    bool last = false;
    uint32_t key = 0;
    uint32_t under = 0;
    int rc = change_as_owner(sim, &last);
    const struct idm_sim_object *there = at(sim, handle);
    if (rc == 0 && !idm_sim_parse_tss2(tss2, &key, &under))
        rc = IDM_E_CORRUPT;
    if (rc == 0 && !loads_under(sim, parent_handle, under))
        rc = IDM_E_TPM_UNFIT;
    if (rc == 0 && there && there->id != key)
        rc = IDM_E_TPM_TAKEN;
    if (rc == 0 && !there)
        rc = place_object(sim, (struct idm_sim_object){.handle = handle,
                                                       .id = key,
                                                       .under = under,
                                                       .imported = idm_sim_is_imported(tss2)});
    if (rc)
        return said(rc, "make the device key persistent", err);
    return said(changed(sim, last), "make the device key persistent", err);
}

static int tpm_evict(void *self, uint32_t handle, const uint8_t name[IDM_NAME_SIZE],
                     struct idm_error *err)
{
    struct idm_sim *sim = self;
    bool last = false;
    uint8_t found[IDM_NAME_SIZE];
    int rc = change_as_owner(sim, &last);
    struct idm_sim_object *object = at(sim, handle);
    if (rc == 0 && object) {
        idm_sim_name("name", object->id, found);
        if (memcmp(found, name, sizeof found) != 0)
            rc = IDM_E_TPM_TAKEN;
    }
    if (rc)
        return said(rc, "evict an object", err);
    if (object) {
        sim->writes++;
        *object = (struct idm_sim_object){0};
    }
    return said(changed(sim, last), "evict an object", err);
}

/* An envelope names the parent that it needs; what is in it stands behind that, in the clear. */
static int tpm_seal(void *self, uint32_t parent_handle, const uint8_t parent_name[IDM_NAME_SIZE],
                    const struct idm_bytes *plain, struct idm_bytes *ret_envelope,
                    struct idm_error *err)
{
    struct idm_sim *sim = self;
    int rc = command(sim);
    uint32_t parent = parent_id(sim, parent_handle);
    char head[64];
    if (rc == 0)
        rc = check_parent(sim, parent_handle, parent_name);
    if (rc)
        return said(rc, "seal", err);
    int length = snprintf(head, sizeof head, "SEALED %" PRIu32 " UNDER %" PRIu32 "\n",
                          idm_sim_new_id(sim), parent);
    size_t size = (size_t)length + plain->size + sizeof IDM_SIM_SEAL - 1;
    uint8_t *whole = malloc(size);
    if (!whole)
        return said(IDM_E_MEMORY, "seal", err);
    memcpy(whole, head, (size_t)length);
    memcpy(whole + length, plain->data, plain->size);
    memcpy(whole + length + plain->size, IDM_SIM_SEAL, sizeof IDM_SIM_SEAL - 1);
    rc = idm_bytes_set(ret_envelope, whole, size);
    free(whole);
    return said(rc, "seal", err);
}

static int tpm_unseal(void *self, uint32_t parent_handle, const uint8_t parent_name[IDM_NAME_SIZE],
                      const struct idm_bytes *envelope, struct idm_bytes *ret_plain,
                      struct idm_error *err)
{
    struct idm_sim *sim = self;
    const char *plain = NULL;
    uint32_t under = 0;
    int rc = command(sim);
    if (rc == 0 && !idm_sim_parse_envelope(envelope, &under, &plain))
        rc = IDM_E_CORRUPT;
    if (rc == 0)
        rc = check_parent(sim, parent_handle, parent_name);
    if (rc == 0 && !loads_under(sim, parent_handle, under))
        rc = IDM_E_TPM_UNFIT;
    if (rc)
        return said(rc, "unseal", err);
    size_t around = (size_t)(plain - (const char *)envelope->data) + sizeof IDM_SIM_SEAL - 1;
    return said(idm_bytes_set(ret_plain, plain, envelope->size - around), "unseal", err);
}

void idm_sim_chip_clear(struct idm_sim *sim)
{
    memset(sim->chip.objects, 0, sizeof sim->chip.objects);
    sim->chip.has_counter = false;
    sim->chip.counter_written = false;
    sim->chip.owner_auth = false;
    sim->chip.srk = idm_sim_new_id(sim);
}

void idm_sim_chip_replace(struct idm_sim *sim)
{
    sim->chip = (struct idm_sim_chip){.announced = true,
                                      .seed = idm_sim_new_id(sim),
                                      .srk = idm_sim_new_id(sim),
                                      .counter_max = IDM_SIM_COUNTER};
}

void idm_sim_chip_reset(struct idm_sim *sim)
{
    sim->chip.reset_count++;
    if (!sim->chip.forgets)
        return;
    memset(sim->chip.objects, 0, sizeof sim->chip.objects);
    sim->chip.has_counter = false;
    sim->chip.counter_written = false;
    sim->chip.owner_auth = false;
    sim->chip.counter_max = IDM_SIM_COUNTER;
}

static int tpm_clear(void *self, struct idm_error *err)
{
    struct idm_sim *sim = self;
    bool last = false;
    int rc = change(sim, &last);
    if (rc)
        return said(rc, "clear the TPM", err);
    sim->writes++;
    idm_sim_chip_clear(sim);
    return said(changed(sim, last), "clear the TPM", err);
}

static int tpm_may_clear(void *self, struct idm_error *err)
{
    return said(command(self), "ask whether the TPM may be cleared", err);
}

static void tpm_close(void *self)
{
    (void)self;
}

void idm_sim_tpm(struct idm_backends *backends)
{
    backends->tpm_announced = tpm_announced;
    backends->tpm_info = tpm_info;
    backends->tpm_object = tpm_object;
    backends->tpm_persistent = tpm_persistent;
    backends->tpm_srk_name = tpm_srk_name;
    backends->tpm_ek_name = tpm_ek_name;
    backends->tpm_counter_read = tpm_counter_read;
    backends->tpm_counter_make = tpm_counter_make;
    backends->tpm_counter_increment = tpm_counter_increment;
    backends->tpm_parent_make = tpm_parent_make;
    backends->tpm_key_create = tpm_key_create;
    backends->tpm_key_import = tpm_key_import;
    backends->tpm_key_check = tpm_key_check;
    backends->tpm_key_persist = tpm_key_persist;
    backends->tpm_evict = tpm_evict;
    backends->tpm_seal = tpm_seal;
    backends->tpm_unseal = tpm_unseal;
    backends->tpm_clear = tpm_clear;
    backends->tpm_may_clear = tpm_may_clear;
    backends->tpm_close = tpm_close;
}
