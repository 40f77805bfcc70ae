/* SPDX-License-Identifier: BSD-2-Clause */
/* What happens to a simulated device's disk, chip, clock and case. */
#include "tests/lab/sim_parts.h"

#include <stdlib.h>
#include <string.h>

/* ---- files ---- */

/* Emptying makes a file that is not there, as a shell's redirection does; tearing does not. */
static void harm_file(struct idm_sim *sim, enum lab_action how, enum idm_file file)
{
    const struct idm_bytes *there = idm_sim_file(sim, file);
    if (how == LAB_DO_delete)
        idm_sim_delete(sim, file);
    else if (how == LAB_DO_empty)
        idm_sim_put(sim, file, "");
    else if (there)
        idm_sim_truncate(sim, file, there->size / 2);
}

static void harm_all(struct idm_sim *sim, enum lab_action how, enum idm_place place)
{
    static const enum idm_place above[IDM_FILE_COUNT] = {
#define BASE_OF(file, in, name, mode)                                                              \
    [file] = in == IDM_RUN                               ? IDM_RUN                                 \
             : in == IDM_CONFIG || in == IDM_CONFIG_OURS ? IDM_CONFIG                              \
                                                         : IDM_PERSIST,
        IDM_FILES(BASE_OF)
#undef BASE_OF
    };
    if (how == LAB_DO_delete) {
        idm_sim_wipe(sim, place);
        return;
    }
    for (unsigned int i = 0; i < IDM_FILE_COUNT; i++)
        if (above[i] == place && idm_sim_file(sim, (enum idm_file)i))
            harm_file(sim, how, (enum idm_file)i);
}

static void harm_environment(struct lab_world *w, enum lab_action how)
{
    if (how == LAB_DO_delete)
        idm_sim_boot_delete(&w->bootloader);
    else
        idm_sim_boot_tear(&w->bootloader);
}

static void harm(struct lab_world *w, enum lab_action how, enum lab_what what)
{
    struct idm_sim *sim = &w->sim;
    switch (what) {
    case LAB_CERT:
        harm_file(sim, how, IDM_F_CONFIG_CERT);
        break;
    case LAB_KEY:
        harm_file(sim, how, IDM_F_CONFIG_KEY);
        break;
    case LAB_MARKER:
        harm_file(sim, how, IDM_F_MARKER);
        break;
    case LAB_RECORD:
        harm_file(sim, how, IDM_F_CONFIG_RECORD);
        harm_file(sim, how, IDM_F_PERSIST_RECORD);
        break;
    case LAB_RECORD_A:
        harm_file(sim, how, IDM_F_PERSIST_RECORD);
        break;
    case LAB_PERSIST:
        harm_all(sim, how, IDM_PERSIST);
        break;
    case LAB_CONFIG_DIR:
        harm_all(sim, how, IDM_CONFIG);
        break;
    case LAB_DISK:
        harm_all(sim, how, IDM_PERSIST);
        harm_all(sim, how, IDM_CONFIG);
        break;
    case LAB_BOOTENV:
        harm_environment(w, how);
        break;
    }
}

/* ---- the chip ---- */

static int answers_of(enum lab_tpm chip)
{
    switch (chip) {
    case LAB_TPM_ABSENT:
    case LAB_TPM_LATE:
        return IDM_E_TPM_ABSENT;
    case LAB_TPM_FAILED:
        return IDM_E_TPM_FAILED;
    case LAB_TPM_LOCKED:
        return IDM_E_TPM_LOCKED;
    case LAB_TPM_USABLE:
    case LAB_TPM_OWNED:
    case LAB_TPM_CLEARED:
    case LAB_TPM_REPLACED:
    case LAB_TPM_VOLATILE:
    case LAB_TPM_BUSY:
        break;
    }
    return 0;
}

static void another_chip(struct lab_world *w)
{
    idm_sim_chip_replace(&w->sim);
    w->chips++;
}

void lab_sim_set_chip(struct lab_world *w, enum lab_tpm chip, unsigned int busy_commands)
{
    bool once = chip == LAB_TPM_CLEARED || chip == LAB_TPM_REPLACED;
    if (chip == LAB_TPM_REPLACED)
        another_chip(w);
    if (chip == LAB_TPM_CLEARED) {
        idm_sim_chip_clear(&w->sim);
        w->chips++;
    }
    struct idm_sim_chip *c = &w->sim.chip;
    c->announced = chip != LAB_TPM_ABSENT;
    c->answers = answers_of(chip);
    c->busy = chip == LAB_TPM_BUSY ? busy_commands : 0;
    c->owner_auth = chip == LAB_TPM_OWNED;
    c->forgets = chip == LAB_TPM_VOLATILE;
    w->chip = once ? LAB_TPM_USABLE : chip;
}

/* ---- snapshots ---- */

static void drop(struct lab_sim_snapshot *snapshot)
{
    if (--snapshot->refs)
        return;
    idm_sim_free(&snapshot->sim);
    free(snapshot);
}

void lab_sim_drop_snapshots(struct lab_world *w)
{
    for (size_t i = 0; i < LAB_SIM_SNAPSHOTS && w->snapshots[i]; i++)
        drop(w->snapshots[i]);
}

static struct lab_sim_snapshot **snapshot_at(struct lab_world *w, const char *name)
{
    for (size_t i = 0; i < LAB_SIM_SNAPSHOTS; i++)
        if (!w->snapshots[i] || strcmp(w->snapshots[i]->name, name) == 0)
            return &w->snapshots[i];
    return NULL;
}

static int keep(struct lab_world *w, const char *name, char error[LAB_SENTENCE_SIZE])
{
    struct lab_sim_snapshot **at = snapshot_at(w, name);
    struct lab_sim_snapshot *snapshot = at ? calloc(1, sizeof *snapshot) : NULL;
    if (!snapshot)
        return lab_sim_broke(error, "snapshot %s: there are more than %u", name, LAB_SIM_SNAPSHOTS);
    snapshot->refs = 1;
    (void)snprintf(snapshot->name, sizeof snapshot->name, "%s", name);
    idm_sim_copy(&snapshot->sim, &w->sim);
    if (*at)
        drop(*at);
    *at = snapshot;
    return 0;
}

static int restore(struct lab_world *w, const char *name, char error[LAB_SENTENCE_SIZE])
{
    struct lab_sim_snapshot **at = snapshot_at(w, name);
    if (!at || !*at)
        return lab_sim_broke(error, "no snapshot %s", name);
    idm_sim_restore_disk(&w->sim, &(*at)->sim);
    return 0;
}

/* ---- surroundings ---- */

static void move_disk(struct lab_world *w)
{
    w->moves++;
    (void)snprintf(w->sim.platform.serial, sizeof w->sim.platform.serial, "CASE-%u", w->moves);
    another_chip(w);
    lab_sim_set_chip(w, w->chip, 0);
}

static void mount(struct idm_sim *sim, enum idm_place place, int wanted)
{
    if (wanted >= 0)
        sim->state[place] = wanted ? IDM_PLACE_PROVEN : IDM_PLACE_UNPROVEN;
}

static void set_disk(struct lab_world *w, enum lab_disk disk)
{
    w->disk = disk;
    w->sim.room = disk == LAB_DISK_FULL        ? IDM_ROOM_FULL
                  : disk == LAB_DISK_READ_ONLY ? IDM_ROOM_READ_ONLY
                                               : IDM_ROOM_OK;
}

int lab_sim_harm(struct lab_world *w, const struct lab_step *step, char error[LAB_SENTENCE_SIZE])
{
    switch ((int)step->action) {
    case LAB_DO_delete:
    case LAB_DO_empty:
    case LAB_DO_tear:
        harm(w, step->action, step->what);
        return 0;
    case LAB_DO_tpm:
        lab_sim_set_chip(w, step->tpm, step->busy_commands);
        return 0;
    case LAB_DO_clock:
        w->clock_good = step->clock_good;
        w->sim.platform.now = w->clock_good ? w->now : 1000;
        return 0;
    case LAB_DO_disk:
        set_disk(w, step->disk);
        return 0;
    case LAB_DO_mount:
        mount(&w->sim, IDM_CONFIG, step->mount_config);
        mount(&w->sim, IDM_PERSIST, step->mount_persist);
        return 0;
    case LAB_DO_snapshot:
        return keep(w, step->word, error);
    case LAB_DO_restore:
        return restore(w, step->word, error);
    case LAB_DO_move_disk:
        move_disk(w);
        return 0;
    default:
        return lab_sim_broke(error, "the simulated world does not know step %u",
                             (unsigned int)step->action);
    }
}
