/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/sim/sim.h"
#include "tests/sim/sim_parts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- faults ---- */

int idm_sim_asks(struct idm_sim *sim, int code)
{
    if (sim->dead)
        return code;
    sim->calls++;
    bool once = sim->fault == IDM_SIM_FAIL && sim->calls == sim->fault_at;
    bool on = sim->fault == IDM_SIM_FAIL_ON && sim->calls >= sim->fault_at;
    if (!once && !on)
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

bool idm_sim_effect(struct idm_sim *sim)
{
    sim->effects++;
    if (sim->fault == IDM_SIM_CUT_EFFECT && sim->effects == sim->fault_at) {
        sim->fault_hit = true;
        sim->dead = true;
    }
    if (sim->watched && !sim->dead)
        sim->watched(sim->watched_self);
    return !sim->dead;
}

void idm_sim_arm(struct idm_sim *sim, enum idm_sim_fault fault, unsigned long at)
{
    sim->fault = fault;
    sim->fault_at = at;
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
    const uint32_t *content = &sim->slot_content[strcmp(slot, "A") == 0 ? 0 : 1];
    if (rc == 0 && !*content)
        rc = IDM_E_UNREADABLE;
    if (rc)
        return idm_fail(err, rc, "read a slot", "%s", idm_error_sentence(rc));
    return idm_sha256(content, sizeof *content, ret_hash);
}

/* Is it the line of a finished action with that name: "STATE: NAME done"? */
static bool says_done(const char *line, const char *name)
{
    static const char end[] = " done";
    const char *colon = strstr(line, ": ");
    size_t length = strlen(name);
    return colon && strncmp(colon + 2, name, length) == 0 && strcmp(colon + 2 + length, end) == 0;
}

/* No other process maps a page of a device in memory. */
static int page_publish(void *self, unsigned int mode, uint32_t epoch, struct idm_error *err)
{
    (void)self;
    (void)mode;
    (void)epoch;
    (void)err;
    return 0;
}

static void trace(void *self, const char *line)
{
    struct idm_sim *sim = self;
    if (sim->dead)
        return;
    if (sim->traced)
        sim->traced(sim->traced_self, line);
    if (sim->fault == IDM_SIM_CUT_NAMED && says_done(line, sim->fault_name)) {
        sim->fault_hit = true;
        sim->dead = true;
    }
}

static void trace_to_stderr(void *self, const char *line)
{
    (void)self;
    (void)fprintf(stderr, "    %s\n", line);
}

/* ---- the device ---- */

static void connect_backends(struct idm_sim *sim)
{
    sim->backends = (struct idm_backends){.self = sim,
                                          .platform = platform,
                                          .bootenv = bootenv,
                                          .slot_fingerprint = slot_fingerprint,
                                          .page_publish = page_publish,
                                          .trace = trace};
    idm_sim_files(&sim->backends);
    idm_sim_keys(&sim->backends);
    idm_sim_tpm(&sim->backends);
}

void idm_sim_init(struct idm_sim *sim)
{
    memset(sim, 0, sizeof *sim);
    connect_backends(sim);
    idm_settings_default(&sim->settings);
    sim->next_id = 100;
    if (getenv("IDM_SIM_TRACE"))
        sim->traced = trace_to_stderr;
    sim->chip = (struct idm_sim_chip){
        .announced = true, .seed = 1, .srk = 2, .counter_max = IDM_SIM_COUNTER};
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
    idm_sim_files_free(sim);
}

void idm_sim_copy(struct idm_sim *to, const struct idm_sim *from)
{
    *to = *from;
    idm_sim_files_copy(to);
    to->backends.self = to;
    to->fault = IDM_SIM_HEALTHY;
    to->watched = NULL;
    to->dead = false;
}

void idm_sim_power_cycle(struct idm_sim *sim)
{
    sim->dead = false;
    idm_sim_settle(sim, 0);
    idm_sim_wipe(sim, IDM_RUN);
    idm_sim_chip_reset(sim);
    sim->platform.now += 60;
    (void)snprintf(sim->platform.boot_id, sizeof sim->platform.boot_id, "boot-%" PRIu32,
                   ++sim->boots);
}

void idm_sim_begin_run(struct idm_sim *sim)
{
    sim->calls = 0;
    sim->changes = 0;
    sim->effects = 0;
    sim->writes = 0;
    sim->issued = 0;
    sim->fault_hit = false;
}

void idm_sim_begin_process(struct idm_sim *sim)
{
    sim->processes++;
    sim->swept = false;
    sim->waited_ms = 0;
    sim->pause_ms = 0;
}

enum idm_exit idm_sim_run(struct idm_sim *sim, const struct idm_ask *ask, struct idm_outcome *ret)
{
    struct idm_engine *engine = NULL;
    idm_sim_begin_run(sim);
    idm_sim_begin_process(sim);
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

static bool record_in(const struct idm_sim *sim, enum idm_file file, struct idm_record *ret)
{
    const struct idm_bytes *bytes = idm_sim_file(sim, file);
    return bytes && idm_record_decode(bytes->data, bytes->size, ret) == 0;
}

bool idm_sim_record(const struct idm_sim *sim, struct idm_record *ret)
{
    const struct idm_bytes *persist = idm_sim_file(sim, IDM_F_PERSIST_RECORD);
    const struct idm_bytes *config = idm_sim_file(sim, IDM_F_CONFIG_RECORD);
    struct idm_record second;
    bool first = record_in(sim, IDM_F_PERSIST_RECORD, ret);
    if (first && config && idm_bytes_equal(persist, config))
        return true;
    if (!record_in(sim, IDM_F_CONFIG_RECORD, &second))
        return first;
    if (!first || second.sequence > ret->sequence)
        *ret = second;
    return true;
}

uint32_t idm_sim_key_of(const struct idm_sim *sim, enum idm_file file)
{
    return sim->files[file] ? idm_sim_parse_key(&sim->files[file]->bytes) : 0;
}

static bool cert_in(const struct idm_sim *sim, enum idm_file file, uint32_t *ret_cert,
                    uint32_t *ret_key)
{
    int64_t from = 0;
    int64_t to = 0;
    return sim->files[file] &&
           idm_sim_parse_cert(&sim->files[file]->bytes, ret_cert, ret_key, &from, &to);
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
    if (!sim->files[IDM_F_CONFIG_CERT] || !sim->files[IDM_F_CONFIG_KEY])
        idm_sim_mint(sim);
}
