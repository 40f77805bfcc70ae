/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/sim/sim.h"
#include "tests/sim/sim_parts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const enum idm_place places[IDM_FILE_COUNT] = {
#define PLACE_OF(file, place, name, mode) [file] = place,
    IDM_FILES(PLACE_OF)
#undef PLACE_OF
};

/* ---- faults ---- */

int idm_sim_asks(struct idm_sim *sim, int code)
{
    if (sim->dead)
        return code;
    sim->calls++;
    if (sim->fault != IDM_SIM_FAIL || sim->calls != sim->fault_at)
        return 0;
    sim->fault_hit = true;
    return code;
}

int idm_sim_changes(struct idm_sim *sim, int code, bool *ret_last)
{
    int rc = idm_sim_asks(sim, code);
    if (rc)
        return rc;
    sim->changes++;
    bool cut = sim->fault == IDM_SIM_CUT_BEFORE || sim->fault == IDM_SIM_CUT_AFTER;
    if (!cut || sim->changes != sim->fault_at)
        return 0;
    sim->fault_hit = true;
    *ret_last = sim->fault == IDM_SIM_CUT_AFTER;
    sim->dead = !*ret_last;
    return sim->dead ? code : 0;
}

int idm_sim_changed(struct idm_sim *sim, int code, bool last)
{
    sim->dead |= last;
    return last ? code : 0;
}

void idm_sim_arm(struct idm_sim *sim, enum idm_sim_fault fault, unsigned long at)
{
    sim->fault = fault;
    sim->fault_at = at;
}

/* ---- files ---- */

static bool ours(enum idm_place place)
{
    return place == IDM_CONFIG_OURS || place == IDM_PERSIST_OURS || place == IDM_MARKER_DIR ||
           place == IDM_RUN;
}

static enum idm_place above(enum idm_place place)
{
    return place == IDM_CONFIG || place == IDM_CONFIG_OURS ? IDM_CONFIG : IDM_PERSIST;
}

static enum idm_place_state state_of(const struct idm_sim *sim, enum idm_place place)
{
    if (place == IDM_RUN)
        return sim->made[place] ? IDM_PLACE_PROVEN : IDM_PLACE_MISSING;
    enum idm_place_state base = sim->state[above(place)];
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

static bool place_is_mount(void *self, enum idm_place place)
{
    (void)self;
    (void)place;
    return false;
}

static int file_read(void *self, enum idm_file file, struct idm_bytes *ret, struct idm_error *err)
{
    struct idm_sim *sim = self;
    int rc = idm_sim_asks(sim, IDM_E_UNREADABLE);
    if (rc == 0 && state_of(sim, places[file]) != IDM_PLACE_PROVEN)
        rc = IDM_E_UNREADABLE;
    if (rc == 0 && !sim->present[file])
        rc = IDM_E_ABSENT;
    if (rc)
        return idm_fail(err, rc, "read a file", "%s", idm_error_sentence(rc));
    return idm_bytes_set(ret, sim->content[file].data, sim->content[file].size);
}

static bool counts(enum idm_file file)
{
    return places[file] != IDM_RUN && places[file] != IDM_MARKER_DIR;
}

static void store(struct idm_sim *sim, enum idm_file file, const void *data, size_t size)
{
    if (idm_bytes_set(&sim->content[file], data, size))
        abort();
    sim->present[file] = true;
    sim->made[places[file]] = true;
}

static int refuses(const struct idm_sim *sim, enum idm_file file)
{
    if (places[file] == IDM_RUN)
        return 0;
    if (sim->state[above(places[file])] != IDM_PLACE_PROVEN)
        return IDM_E_UNREADABLE;
    if (sim->room == IDM_ROOM_READ_ONLY)
        return IDM_E_READ_ONLY;
    return 0;
}

static int file_write(void *self, enum idm_file file, const void *data, size_t size,
                      struct idm_error *err)
{
    struct idm_sim *sim = self;
    bool last = false;
    int rc = places[file] == IDM_RUN ? idm_sim_asks(sim, IDM_E_STORAGE)
                                     : idm_sim_changes(sim, IDM_E_STORAGE, &last);
    if (rc == 0)
        rc = refuses(sim, file);
    if (rc == 0 && sim->room == IDM_ROOM_FULL && counts(file))
        rc = IDM_E_FULL;
    if (rc)
        return idm_fail(err, rc, "write a file", "%s", idm_error_sentence(rc));
    if (counts(file))
        sim->writes++;
    store(sim, file, data, size);
    rc = idm_sim_changed(sim, IDM_E_STORAGE, last);
    return rc ? idm_fail(err, rc, "write a file", "%s", idm_error_sentence(rc)) : 0;
}

static int file_remove(void *self, enum idm_file file, struct idm_error *err)
{
    struct idm_sim *sim = self;
    bool last = false;
    int rc = places[file] == IDM_RUN ? idm_sim_asks(sim, IDM_E_STORAGE)
                                     : idm_sim_changes(sim, IDM_E_STORAGE, &last);
    if (rc == 0)
        rc = refuses(sim, file);
    if (rc)
        return idm_fail(err, rc, "remove a file", "%s", idm_error_sentence(rc));
    if (counts(file) && sim->present[file])
        sim->writes++;
    sim->present[file] = false;
    idm_bytes_free(&sim->content[file]);
    rc = idm_sim_changed(sim, IDM_E_STORAGE, last);
    return rc ? idm_fail(err, rc, "remove a file", "%s", idm_error_sentence(rc)) : 0;
}

/* ---- the machine ---- */

static int platform(void *self, struct idm_platform *ret, struct idm_error *err)
{
    const struct idm_sim *sim = self;
    (void)err;
    *ret = sim->platform;
    return 0;
}

static void bootenv(void *self, struct idm_bootenv *ret)
{
    const struct idm_sim *sim = self;
    *ret = sim->bootenv;
    if (idm_sim_asks(self, IDM_E_BOOTENV)) {
        *ret = (struct idm_bootenv){.state = IDM_BOOTENV_IS_UNREADABLE};
    }
}

static int slot_fingerprint(void *self, const char *slot, uint8_t ret_hash[IDM_SHA256_SIZE],
                            struct idm_error *err)
{
    struct idm_sim *sim = self;
    int rc = idm_sim_asks(sim, IDM_E_UNREADABLE);
    const uint8_t *content = &sim->slot_content[strcmp(slot, "A") == 0 ? 0 : 1];
    if (rc == 0 && !*content)
        rc = IDM_E_UNREADABLE;
    if (rc)
        return idm_fail(err, rc, "read a slot", "%s", idm_error_sentence(rc));
    return idm_sha256(content, 1, ret_hash);
}

static void trace(void *self, const char *line)
{
    (void)self;
    if (getenv("IDM_SIM_TRACE"))
        (void)fprintf(stderr, "    %s\n", line);
}

/* ---- the device ---- */

static void connect_backends(struct idm_sim *sim)
{
    sim->backends = (struct idm_backends){.self = sim,
                                          .file_read = file_read,
                                          .file_write = file_write,
                                          .file_remove = file_remove,
                                          .place_state = place_state,
                                          .place_room = place_room,
                                          .place_is_mount = place_is_mount,
                                          .platform = platform,
                                          .bootenv = bootenv,
                                          .slot_fingerprint = slot_fingerprint,
                                          .trace = trace};
    idm_sim_keys(&sim->backends);
    idm_sim_tpm(&sim->backends);
}

void idm_sim_init(struct idm_sim *sim)
{
    memset(sim, 0, sizeof *sim);
    connect_backends(sim);
    idm_settings_default(&sim->settings);
    sim->next_id = 100;
    sim->chip = (struct idm_sim_chip){.announced = true, .seed = 1, .srk = 2, .counter_max = 40};
    sim->platform = (struct idm_platform){.now = IDM_SIM_NOW,
                                          .not_before = IDM_SIM_NOW - 1000,
                                          .serial = "SN-1",
                                          .serial_kind = IDM_SERIAL_HARDWARE,
                                          .machine_id = "0123456789abcdef0123456789abcdef",
                                          .image_version = "2.0"};
    sim->bootenv = (struct idm_bootenv){
        .state = IDM_BOOTENV_IS_READABLE, .slot = "A", .other = "B", .trial = IDM_NO};
    sim->slot_content[0] = 'a';
    sim->slot_content[1] = 'b';
    idm_sim_power_cycle(sim);
}

void idm_sim_free(struct idm_sim *sim)
{
    for (size_t i = 0; i < IDM_FILE_COUNT; i++)
        idm_bytes_free(&sim->content[i]);
}

void idm_sim_copy(struct idm_sim *to, const struct idm_sim *from)
{
    *to = *from;
    memset(to->content, 0, sizeof to->content);
    for (size_t i = 0; i < IDM_FILE_COUNT; i++)
        if (from->present[i] &&
            idm_bytes_set(&to->content[i], from->content[i].data, from->content[i].size))
            abort();
    connect_backends(to);
    to->fault = IDM_SIM_HEALTHY;
    to->dead = false;
}

void idm_sim_power_cycle(struct idm_sim *sim)
{
    sim->dead = false;
    sim->made[IDM_RUN] = false;
    for (unsigned int i = 0; i < IDM_FILE_COUNT; i++)
        if (places[i] == IDM_RUN)
            idm_sim_delete(sim, (enum idm_file)i);
    sim->chip.reset_count++;
    sim->platform.now += 60;
    (void)snprintf(sim->platform.boot_id, sizeof sim->platform.boot_id, "boot-%" PRIu32,
                   sim->chip.reset_count);
}

enum idm_exit idm_sim_run(struct idm_sim *sim, const struct idm_ask *ask, struct idm_outcome *ret)
{
    struct idm_engine *engine = NULL;
    sim->calls = 0;
    sim->changes = 0;
    sim->writes = 0;
    sim->fault_hit = false;
    *ret = (struct idm_outcome){.exit = IDM_EXIT_FAILED};
    if (idm_engine_open(&engine, &sim->backends, &sim->settings, &ret->error) == 0) {
        if (ask)
            (void)idm_engine_request(engine, ask, ret);
        else
            (void)idm_engine_boot(engine, ret);
    }
    idm_engine_close(engine);
    sim->fault = IDM_SIM_HEALTHY;
    return ret->exit;
}

enum idm_exit idm_sim_boot(struct idm_sim *sim, struct idm_outcome *ret)
{
    idm_sim_power_cycle(sim);
    return idm_sim_run(sim, NULL, ret);
}

/* ---- what is there ---- */

bool idm_sim_record(const struct idm_sim *sim, struct idm_record *ret)
{
    static const enum idm_file copies[] = {IDM_F_PERSIST_RECORD, IDM_F_CONFIG_RECORD};
    for (size_t i = 0; i < 2; i++) {
        const struct idm_bytes *bytes = &sim->content[copies[i]];
        if (sim->present[copies[i]] && idm_record_decode(bytes->data, bytes->size, ret) == 0)
            return true;
    }
    return false;
}

uint32_t idm_sim_key_of(const struct idm_sim *sim, enum idm_file file)
{
    return sim->present[file] ? idm_sim_parse_key(&sim->content[file]) : 0;
}

static bool cert_in(const struct idm_sim *sim, enum idm_file file, uint32_t *ret_cert,
                    uint32_t *ret_key)
{
    int64_t from = 0;
    int64_t to = 0;
    return sim->present[file] &&
           idm_sim_parse_cert(&sim->content[file], ret_cert, ret_key, &from, &to);
}

uint32_t idm_sim_cert_of(const struct idm_sim *sim, enum idm_file file)
{
    uint32_t cert = 0;
    uint32_t key = 0;
    return cert_in(sim, file, &cert, &key) ? cert : 0;
}

uint32_t idm_sim_cert_key_of(const struct idm_sim *sim, enum idm_file file)
{
    uint32_t cert = 0;
    uint32_t key = 0;
    return cert_in(sim, file, &cert, &key) ? key : 0;
}

/* ---- what happens to it ---- */

void idm_sim_delete(struct idm_sim *sim, enum idm_file file)
{
    sim->present[file] = false;
    idm_bytes_free(&sim->content[file]);
}

void idm_sim_put(struct idm_sim *sim, enum idm_file file, const char *text)
{
    store(sim, file, text, strlen(text));
}

void idm_sim_mint(struct idm_sim *sim)
{
    char text[128];
    uint32_t key = idm_sim_new_id(sim);
    (void)snprintf(text, sizeof text, "KEY %" PRIu32 "\n", key);
    idm_sim_put(sim, IDM_F_CONFIG_KEY, text);
    (void)snprintf(text, sizeof text, "CERT %" PRIu32 " KEY %" PRIu32 " FROM %d TO %d\n",
                   idm_sim_new_id(sim), key, IDM_SIM_NOW, IDM_SIM_NOW + 1000000);
    idm_sim_put(sim, IDM_F_CONFIG_CERT, text);
}

void idm_sim_legacy_boot(struct idm_sim *sim)
{
    idm_sim_power_cycle(sim);
    if (!sim->present[IDM_F_CONFIG_CERT] || !sim->present[IDM_F_CONFIG_KEY])
        idm_sim_mint(sim);
}

void idm_sim_wipe(struct idm_sim *sim, enum idm_place place)
{
    for (unsigned int i = 0; i < IDM_FILE_COUNT; i++)
        if (places[i] != IDM_RUN && above(places[i]) == place)
            idm_sim_delete(sim, (enum idm_file)i);
    for (unsigned int i = 0; i < IDM_PLACES; i++)
        if (ours((enum idm_place)i) && i != IDM_RUN && above((enum idm_place)i) == place)
            sim->made[i] = false;
}
