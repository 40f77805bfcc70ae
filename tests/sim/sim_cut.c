/* SPDX-License-Identifier: BSD-2-Clause */
/* sim_cut.c - what a power cut does with effects that are pending (sim_files.c):
 *
 *              ext4                             FAT
 *     mkdir    kept, lost                       the same
 *     create   kept, lost                       the same
 *     write    all, nothing, each sector's      the same
 *              edge, all but one byte, garbage
 *     rename   done, not done                   and: both names, neither, only the temporary one
 *     unlink   done, not done                   the same
 *
 * ext4: rename over a name is atomic, and a name says nothing about unsynced data (kernel
 * documentation, ext4, "data mode"). FAT: a rename is two directory entries in two sectors; there are
 * no permissions and no atomicity between two files.
 */
#include "tests/sim/sim_parts.h"

#include <string.h>

#define SECTOR 512u

/* What may become of an effect: 0, it is kept; 1, it never was (of a write: the file is empty); and what its
 * file system does besides. */
#define UNDONE 1u

static bool is_fat(const struct idm_sim *sim, const struct idm_sim_effect *effect)
{
    return idm_sim_above(effect->place) == IDM_CONFIG && sim->config_fs == IDM_SIM_FAT;
}

/* Edges at which a write of that size tears: after each full sector that is not the end. */
static uint64_t edges(size_t size)
{
    return size ? (size - 1) / SECTOR : 0;
}

/* Where the content of that write is by now: under its own name when the rename came before a sync. */
static struct idm_sim_blob **written(struct idm_sim *sim, enum idm_file file)
{
    return sim->temps[file] ? &sim->temps[file] : &sim->files[file];
}

static uint64_t variants(struct idm_sim *sim, const struct idm_sim_effect *effect)
{
    if (effect->kind == IDM_SIM_RENAME)
        return is_fat(sim, effect) ? 5 : 2;
    if (effect->kind != IDM_SIM_WRITE)
        return 2;
    struct idm_sim_blob *content = *written(sim, effect->file);
    size_t size = content ? content->bytes.size : 0;
    return size ? 4 + edges(size) : 1; /* all, nothing, garbage, all but one byte, the edges */
}

static void garble(uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(0xe5u ^ (i * 7u)); /* what was in the cluster before */
}

static void tear_write(struct idm_sim *sim, enum idm_file file, uint64_t variant)
{
    struct idm_sim_blob **at = written(sim, file);
    if (!*at)
        return;
    const struct idm_bytes *whole = &(*at)->bytes;
    size_t size = variant == 1 ? 0 : variant == 2 ? whole->size : whole->size - 1;
    if (variant > 3)
        size = (size_t)(variant - 3) * SECTOR;
    struct idm_sim_blob *torn = idm_sim_blob_make(whole->data, size);
    if (variant == 2)
        garble(torn->bytes.data, torn->bytes.size);
    idm_sim_blob_replace(at, torn);
}

static void tear_rename(struct idm_sim *sim, struct idm_sim_effect *effect, uint64_t variant)
{
    enum { NOT_DONE = 1, BOTH, NEITHER, ONLY_TEMP };
    enum idm_file file = effect->file;
    if (variant != NEITHER)
        idm_sim_blob_replace(&sim->temps[file], idm_sim_blob_hold(sim->files[file]));
    if (variant == BOTH)
        return;
    idm_sim_blob_replace(&sim->files[file], variant == NOT_DONE ? effect->before : NULL);
    if (variant == NOT_DONE)
        effect->before = NULL;
}

static void undo(struct idm_sim *sim, struct idm_sim_effect *effect, uint64_t variant)
{
    switch (effect->kind) {
    case IDM_SIM_MKDIR:
        sim->made[effect->made] = false;
        return;
    case IDM_SIM_CREATE:
        idm_sim_blob_drop(&sim->temps[effect->file]);
        return;
    case IDM_SIM_WRITE:
        tear_write(sim, effect->file, variant);
        return;
    case IDM_SIM_RENAME:
        tear_rename(sim, effect, variant);
        return;
    case IDM_SIM_UNLINK:
        idm_sim_blob_replace(&sim->files[effect->file], effect->before);
        break;
    case IDM_SIM_UNLINK_TEMP:
        idm_sim_blob_replace(&sim->temps[effect->file], effect->before);
        break;
    }
    effect->before = NULL;
}

size_t idm_sim_unsynced(const struct idm_sim *sim)
{
    return sim->pending_count;
}

/* ---- which outcomes there are ---- */

#define COMBINED_MAX 6u /* effects that are combined in every way */

/* a · b, or as much as fits. */
static uint64_t times(uint64_t a, uint64_t b)
{
    uint64_t product = 0;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static uint64_t combinations(const uint64_t count[], size_t effects)
{
    uint64_t product = 1;
    for (size_t i = 0; i < effects; i++)
        product = times(product, count[i]);
    return product;
}

/* All kept; one effect not kept; two. */
static uint64_t at_most_two(const uint64_t count[], size_t effects)
{
    uint64_t sum = 1;
    for (size_t i = 0; i < effects; i++) {
        sum += count[i] - 1;
        for (size_t j = 0; j < i; j++)
            sum += (count[i] - 1) * (count[j] - 1);
    }
    return sum;
}

static void count_variants(const struct idm_sim *sim, uint64_t ret_count[IDM_SIM_PENDING])
{
    struct idm_sim *asked = (struct idm_sim *)sim; /* which is not changed */
    for (size_t i = 0; i < sim->pending_count; i++)
        ret_count[i] = variants(asked, &sim->pending[i]);
}

uint64_t idm_sim_outcomes(const struct idm_sim *sim, uint64_t *ret_left_out)
{
    uint64_t count[IDM_SIM_PENDING];
    count_variants(sim, count);
    uint64_t all = combinations(count, sim->pending_count);
    uint64_t taken =
        sim->pending_count > COMBINED_MAX ? at_most_two(count, sim->pending_count) : all;
    if (ret_left_out)
        *ret_left_out = all - taken;
    return taken;
}

/* Outcome k of at_most_two, in its order. */
static void choose_two(const uint64_t count[], size_t effects, uint64_t k, uint64_t ret[])
{
    if (k-- == 0)
        return;
    for (size_t i = 0; i < effects; i++) {
        if (k < count[i] - 1) {
            ret[i] = k + 1;
            return;
        }
        k -= count[i] - 1;
        for (size_t j = 0; j < i; j++) {
            uint64_t pairs = (count[i] - 1) * (count[j] - 1);
            if (k < pairs) {
                ret[i] = 1 + k / (count[j] - 1);
                ret[j] = 1 + k % (count[j] - 1);
                return;
            }
            k -= pairs;
        }
    }
}

/* ret[i]: what becomes of pending effect i; 0: it is kept. */
static void choose(const struct idm_sim *sim, uint64_t k, uint64_t ret[IDM_SIM_PENDING])
{
    uint64_t count[IDM_SIM_PENDING];
    count_variants(sim, count);
    memset(ret, 0, IDM_SIM_PENDING * sizeof *ret);
    if (sim->pending_count > COMBINED_MAX)
        choose_two(count, sim->pending_count, k, ret);
    else
        for (size_t i = sim->pending_count; i-- > 0; k /= count[i])
            ret[i] = k % count[i];
}

/* Is the name of temporary file `file` renamed, in whatever way, by an effect after i? */
static bool renamed_after(const struct idm_sim *sim, const uint64_t chosen[], size_t i)
{
    for (size_t j = i + 1; j < sim->pending_count; j++)
        if (sim->pending[j].kind == IDM_SIM_RENAME && sim->pending[j].file == sim->pending[i].file)
            return chosen[j] != UNDONE;
    return false;
}

/* Would it leave the same if effect i were kept, or if it left nothing? */
static bool makes_no_difference(const struct idm_sim *sim, const uint64_t chosen[], size_t i)
{
    const struct idm_sim_effect *effect = &sim->pending[i];
    if (effect->kind == IDM_SIM_CREATE)
        return chosen[i] == UNDONE && renamed_after(sim, chosen, i);
    if (effect->kind != IDM_SIM_WRITE || !sim->temps[effect->file] || !chosen[i])
        return false;
    bool nameless = i > 0 && sim->pending[i - 1].kind == IDM_SIM_CREATE &&
                    sim->pending[i - 1].file == effect->file && chosen[i - 1] == UNDONE;
    return nameless || chosen[i] != UNDONE;
}

bool idm_sim_outcome_is_new(const struct idm_sim *sim, uint64_t k)
{
    uint64_t chosen[IDM_SIM_PENDING];
    size_t count = sim->pending_count;
    if (sim->newest == IDM_SIM_SYNC)
        return false;
    choose(sim, k, chosen);
    if (sim->newest == IDM_SIM_UNSYNCED && chosen[count - 1] == UNDONE)
        return false;
    for (size_t i = 0; i < count; i++)
        if (makes_no_difference(sim, chosen, i))
            return false;
    return true;
}

void idm_sim_settle(struct idm_sim *sim, uint64_t k)
{
    uint64_t chosen[IDM_SIM_PENDING];
    choose(sim, k, chosen);
    /* The newest first: what an older effect left is only seen once the newer one is undone. */
    for (size_t i = sim->pending_count; i-- > 0;)
        if (chosen[i])
            undo(sim, &sim->pending[i], chosen[i]);
    while (sim->pending_count)
        idm_sim_forget(sim, sim->pending_count - 1);
}
