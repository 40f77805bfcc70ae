/* SPDX-License-Identifier: BSD-2-Clause */
/* sim_files.c - the device's files, as a row of primitive effects on two file systems.
 *
 *     write   mkdir*, fsync above*, create temp, write, fsync, rename, fsync directory
 *     remove  unlink, fsync directory                  (* where our own directory is missing)
 *
 * in the order of backends/store/file.c, leftover temporary files swept before the first change of a
 * process. An effect is pending until the sync that makes it durable; what a power cut does with those that
 * are pending: sim_cut.c.
 */
#include "tests/sim/sim_parts.h"

#include <stdlib.h>
#include <string.h>

static const enum idm_place places[IDM_FILE_COUNT] = {
#define PLACE_OF(file, place, name, mode) [file] = place,
    IDM_FILES(PLACE_OF)
#undef PLACE_OF
};

/* ---- blobs ---- */

struct idm_sim_blob *idm_sim_blob_make(const void *data, size_t size)
{
    struct idm_sim_blob *blob = calloc(1, sizeof *blob);
    if (!blob || idm_bytes_set(&blob->bytes, data, size))
        abort();
    blob->refs = 1;
    return blob;
}

struct idm_sim_blob *idm_sim_blob_hold(struct idm_sim_blob *blob)
{
    if (blob)
        blob->refs++;
    return blob;
}

void idm_sim_blob_drop(struct idm_sim_blob **blob)
{
    if (*blob && --(*blob)->refs == 0) {
        idm_bytes_free(&(*blob)->bytes);
        free((*blob)->notes);
        free(*blob);
    }
    *blob = NULL;
}

void idm_sim_blob_replace(struct idm_sim_blob **at, struct idm_sim_blob *blob)
{
    idm_sim_blob_drop(at);
    *at = blob;
}

/* ---- places ---- */

static bool ours(enum idm_place place)
{
    return place == IDM_CONFIG_OURS || place == IDM_PERSIST_OURS || place == IDM_MARKER_DIR ||
           place == IDM_RUN;
}

enum idm_place idm_sim_above(enum idm_place place)
{
    return place == IDM_CONFIG || place == IDM_CONFIG_OURS ? IDM_CONFIG : IDM_PERSIST;
}

static enum idm_place_state state_of(const struct idm_sim *sim, enum idm_place place)
{
    if (place == IDM_RUN)
        return sim->made[place] ? IDM_PLACE_PROVEN : IDM_PLACE_MISSING;
    enum idm_place_state base = sim->state[idm_sim_above(place)];
    if (base != IDM_PLACE_PROVEN || !ours(place))
        return base;
    return sim->made[place] ? IDM_PLACE_PROVEN : IDM_PLACE_MISSING;
}

static enum idm_place_state place_state(void *self, enum idm_place place)
{
    return idm_sim_asks(self, IDM_E_UNREADABLE) ? IDM_PLACE_UNREADABLE : state_of(self, place);
}

static enum idm_room place_room(void *self, enum idm_place place, size_t size)
{
    const struct idm_sim *sim = self;
    (void)place;
    (void)size;
    return idm_sim_asks(self, IDM_E_FULL) ? IDM_ROOM_FULL : sim->room;
}

static bool place_is_volatile(void *self, enum idm_place place)
{
    const struct idm_sim *sim = self;
    return place == IDM_CONFIG && sim->config_volatile;
}

static bool place_is_mount(void *self, enum idm_place place)
{
    (void)self;
    (void)place;
    return false;
}

/* ---- effects ---- */

/* After each effect: true, go on. */
static bool alive(struct idm_sim *sim)
{
    return idm_sim_effect(sim);
}

static void pend(struct idm_sim *sim, enum idm_sim_effect_kind kind, enum idm_place place,
                 enum idm_file file, struct idm_sim_blob *before)
{
    if (sim->pending_count == IDM_SIM_PENDING)
        abort();
    sim->pending[sim->pending_count++] =
        (struct idm_sim_effect){.kind = kind, .place = place, .file = file, .before = before};
    sim->newest = IDM_SIM_UNSYNCED;
}

void idm_sim_forget(struct idm_sim *sim, size_t i)
{
    idm_sim_blob_drop(&sim->pending[i].before);
    sim->pending_count--;
    memmove(&sim->pending[i], &sim->pending[i + 1],
            (sim->pending_count - i) * sizeof sim->pending[0]);
}

static bool sync_file(struct idm_sim *sim, enum idm_file file)
{
    for (size_t i = sim->pending_count; i-- > 0;)
        if (sim->pending[i].kind == IDM_SIM_WRITE && sim->pending[i].file == file)
            idm_sim_forget(sim, i);
    sim->newest = IDM_SIM_SYNC;
    return alive(sim);
}

/* Names in the directory, not what the files hold. */
static bool sync_directory(struct idm_sim *sim, enum idm_place place)
{
    for (size_t i = sim->pending_count; i-- > 0;)
        if (sim->pending[i].kind != IDM_SIM_WRITE && sim->pending[i].place == place)
            idm_sim_forget(sim, i);
    sim->newest = IDM_SIM_SYNC;
    return alive(sim);
}

static bool unlink_temp(struct idm_sim *sim, enum idm_file file)
{
    pend(sim, IDM_SIM_UNLINK_TEMP, places[file], file, sim->temps[file]);
    sim->temps[file] = NULL;
    return alive(sim) && sync_directory(sim, places[file]);
}

static bool sweep(struct idm_sim *sim)
{
    if (sim->swept)
        return true;
    sim->swept = true;
    for (unsigned int i = 0; i < IDM_FILE_COUNT; i++)
        if (sim->temps[i] && sim->room != IDM_ROOM_READ_ONLY &&
            state_of(sim, places[i]) == IDM_PLACE_PROVEN && !unlink_temp(sim, (enum idm_file)i))
            return false;
    return true;
}

static bool make_directory(struct idm_sim *sim, enum idm_place place)
{
    if (sim->made[place] || !ours(place))
        return true;
    sim->made[place] = true;
    pend(sim, IDM_SIM_MKDIR, idm_sim_above(place), IDM_FILE_COUNT, NULL);
    sim->pending[sim->pending_count - 1].made = place;
    return alive(sim) && sync_directory(sim, idm_sim_above(place));
}

static bool write_temp(struct idm_sim *sim, enum idm_file file, const void *data, size_t size)
{
    if (sim->temps[file] && !unlink_temp(sim, file))
        return false;
    sim->temps[file] = idm_sim_blob_make("", 0);
    pend(sim, IDM_SIM_CREATE, places[file], file, NULL);
    if (!alive(sim))
        return false;
    pend(sim, IDM_SIM_WRITE, places[file], file, sim->temps[file]);
    sim->temps[file] = idm_sim_blob_make(data, size);
    return alive(sim) && (sim->forgets_fsync || sync_file(sim, file));
}

static bool rename_temp(struct idm_sim *sim, enum idm_file file)
{
    pend(sim, IDM_SIM_RENAME, places[file], file, sim->files[file]);
    sim->files[file] = sim->temps[file];
    sim->temps[file] = NULL;
    return alive(sim) && sync_directory(sim, places[file]);
}

static bool unlink_file(struct idm_sim *sim, enum idm_file file)
{
    if (sim->files[file]) {
        pend(sim, IDM_SIM_UNLINK, places[file], file, sim->files[file]);
        sim->files[file] = NULL;
        if (!alive(sim))
            return false;
    }
    return sync_directory(sim, places[file]);
}

/* ---- backends ---- */

static int fail(struct idm_error *err, int rc, const char *what)
{
    return rc ? idm_fail(err, rc, what, "%s", idm_error_sentence(rc)) : 0;
}

static int file_read(void *self, enum idm_file file, struct idm_bytes *ret, struct idm_error *err)
{
    struct idm_sim *sim = self;
    int rc = idm_sim_asks(sim, IDM_E_UNREADABLE);
    if (rc == 0 && state_of(sim, places[file]) != IDM_PLACE_PROVEN)
        rc = IDM_E_UNREADABLE;
    if (rc == 0 && !sim->files[file])
        rc = IDM_E_ABSENT;
    if (rc)
        return fail(err, rc, "read a file");
    return idm_bytes_set(ret, sim->files[file]->bytes.data, sim->files[file]->bytes.size);
}

static bool counts(enum idm_file file)
{
    return places[file] != IDM_RUN && places[file] != IDM_MARKER_DIR;
}

static int refuses(const struct idm_sim *sim, enum idm_file file)
{
    if (places[file] == IDM_RUN)
        return 0;
    if (sim->state[idm_sim_above(places[file])] != IDM_PLACE_PROVEN)
        return IDM_E_UNREADABLE;
    if (sim->room == IDM_ROOM_READ_ONLY)
        return IDM_E_READ_ONLY;
    return 0;
}

static void store_in_run(struct idm_sim *sim, enum idm_file file, const void *data, size_t size)
{
    sim->made[IDM_RUN] = true;
    idm_sim_blob_replace(&sim->files[file], idm_sim_blob_make(data, size));
}

/* /run is memory: it may refuse once, but it does not go away with the disks and the chip. */
static int asks_run(struct idm_sim *sim)
{
    bool spared = sim->fault == IDM_SIM_FAIL_ON && !sim->dead;
    return spared ? 0 : idm_sim_asks(sim, IDM_E_STORAGE);
}

static int file_write(void *self, enum idm_file file, const void *data, size_t size,
                      struct idm_error *err)
{
    struct idm_sim *sim = self;
    bool last = false;
    bool run = places[file] == IDM_RUN;
    int rc = run ? asks_run(sim) : idm_sim_changes(sim, IDM_E_STORAGE, &last);
    if (rc == 0)
        rc = refuses(sim, file);
    if (rc == 0 && sim->room == IDM_ROOM_FULL && !run)
        rc = IDM_E_FULL;
    if (rc)
        return fail(err, rc, "write a file");
    if (counts(file))
        sim->writes++;
    if (run)
        store_in_run(sim, file, data, size);
    else if (!sweep(sim) || !make_directory(sim, places[file]) ||
             !write_temp(sim, file, data, size) || !rename_temp(sim, file))
        return fail(err, IDM_E_STORAGE, "write a file");
    return fail(err, idm_sim_changed(sim, IDM_E_STORAGE, last), "write a file");
}

static int file_remove(void *self, enum idm_file file, struct idm_error *err)
{
    struct idm_sim *sim = self;
    bool last = false;
    bool run = places[file] == IDM_RUN;
    int rc = run ? asks_run(sim) : idm_sim_changes(sim, IDM_E_STORAGE, &last);
    if (rc == 0)
        rc = refuses(sim, file);
    if (rc)
        return fail(err, rc, "remove a file");
    if (counts(file) && sim->files[file])
        sim->writes++;
    if (run)
        idm_sim_blob_drop(&sim->files[file]);
    else if (!sweep(sim) ||
             (state_of(sim, places[file]) == IDM_PLACE_PROVEN && !unlink_file(sim, file)))
        return fail(err, IDM_E_STORAGE, "remove a file");
    return fail(err, idm_sim_changed(sim, IDM_E_STORAGE, last), "remove a file");
}

void idm_sim_files(struct idm_backends *backends)
{
    backends->file_read = file_read;
    backends->file_write = file_write;
    backends->file_remove = file_remove;
    backends->place_state = place_state;
    backends->place_room = place_room;
    backends->place_is_mount = place_is_mount;
    backends->place_is_volatile = place_is_volatile;
}

/* ---- from outside ---- */

const struct idm_bytes *idm_sim_file(const struct idm_sim *sim, enum idm_file file)
{
    return sim->files[file] ? &sim->files[file]->bytes : NULL;
}

void idm_sim_delete(struct idm_sim *sim, enum idm_file file)
{
    idm_sim_blob_drop(&sim->files[file]);
}

void idm_sim_put(struct idm_sim *sim, enum idm_file file, const char *text)
{
    sim->made[places[file]] = true;
    idm_sim_blob_replace(&sim->files[file], idm_sim_blob_make(text, strlen(text)));
}

void idm_sim_truncate(struct idm_sim *sim, enum idm_file file, size_t size)
{
    struct idm_sim_blob *blob = sim->files[file];
    if (blob && size < blob->bytes.size)
        idm_sim_blob_replace(&sim->files[file], idm_sim_blob_make(blob->bytes.data, size));
}

enum idm_place idm_sim_base(enum idm_file file)
{
    return places[file] == IDM_RUN ? IDM_RUN : idm_sim_above(places[file]);
}

void idm_sim_wipe(struct idm_sim *sim, enum idm_place place)
{
    for (unsigned int i = 0; i < IDM_FILE_COUNT; i++) {
        if (idm_sim_base((enum idm_file)i) != place)
            continue;
        idm_sim_blob_drop(&sim->files[i]);
        idm_sim_blob_drop(&sim->temps[i]);
    }
    for (unsigned int i = 0; i < IDM_PLACES; i++)
        if (ours((enum idm_place)i) &&
            (i == IDM_RUN ? IDM_RUN : idm_sim_above((enum idm_place)i)) == place)
            sim->made[i] = false;
}

void idm_sim_files_copy(struct idm_sim *to)
{
    for (size_t i = 0; i < IDM_FILE_COUNT; i++) {
        (void)idm_sim_blob_hold(to->files[i]);
        (void)idm_sim_blob_hold(to->temps[i]);
    }
    for (size_t i = 0; i < to->pending_count; i++)
        (void)idm_sim_blob_hold(to->pending[i].before);
}

void idm_sim_files_free(struct idm_sim *sim)
{
    for (size_t i = 0; i < IDM_FILE_COUNT; i++) {
        idm_sim_blob_drop(&sim->files[i]);
        idm_sim_blob_drop(&sim->temps[i]);
    }
    while (sim->pending_count)
        idm_sim_forget(sim, sim->pending_count - 1);
}

void idm_sim_restore_disk(struct idm_sim *sim, const struct idm_sim *from)
{
    for (unsigned int i = 0; i < IDM_FILE_COUNT; i++) {
        if (places[i] == IDM_RUN)
            continue;
        idm_sim_blob_replace(&sim->files[i], idm_sim_blob_hold(from->files[i]));
        idm_sim_blob_replace(&sim->temps[i], idm_sim_blob_hold(from->temps[i]));
    }
    for (unsigned int i = 0; i < IDM_PLACES; i++)
        if (i != IDM_RUN)
            sim->made[i] = from->made[i];
}
