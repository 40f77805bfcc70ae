/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/lab/oracle_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool lab_violates(struct lab_violation *ret, unsigned int invariant, const char *format, ...)
{
    va_list args;
    ret->invariant = invariant;
    va_start(args, format);
    (void)vsnprintf(ret->text, sizeof ret->text, format, args);
    va_end(args);
    return false;
}

/* ---- memory ---- */

static const char *setting(const struct lab_device *device, const char *section, const char *key)
{
    for (size_t i = 0; i < device->settings_count; i++)
        if (strcmp(device->settings[i].section, section) == 0 &&
            strcmp(device->settings[i].key, key) == 0)
            return device->settings[i].value;
    return "";
}

struct lab_oracle *lab_oracle_open(const struct lab_world_ops *ops, const struct lab_device *device)
{
    struct lab_oracle *o = calloc(1, sizeof *o);
    if (!o)
        return NULL;
    const char *policy = setting(device, "identity", "legacy-key");
    o->ops = ops;
    o->device = device;
    o->legacy_key = strcmp(policy, "seal") == 0   ? IDM_LEGACY_SEAL
                    : strcmp(policy, "keep") == 0 ? IDM_LEGACY_KEEP
                    : strcmp(policy, "none") == 0 ? IDM_LEGACY_NONE
                                                  : IDM_LEGACY_AUTO;
    const char *other = setting(device, "image", "other-slot");
    o->other_slot_said = other[0] && strcmp(other, "auto") != 0;
    return o;
}

/* Memory of closed ones, for the next forks. */
static struct spares {
    struct lab_oracle *oracles[64];
    size_t count;
} spares;

struct lab_oracle *lab_oracle_fork(const struct lab_oracle *oracle)
{
    struct lab_oracle *copy = spares.count ? spares.oracles[--spares.count] : malloc(sizeof *copy);
    if (copy)
        *copy = *oracle;
    return copy;
}

void lab_oracle_close(struct lab_oracle *oracle)
{
    if (oracle && spares.count < sizeof spares.oracles / sizeof *spares.oracles)
        spares.oracles[spares.count++] = oracle;
    else
        free(oracle);
}

/* ---- words about a sight ---- */

bool lab_in_use(const struct lab_sight *sight)
{
    return sight->powered && sight->aware && sight->published &&
           (strcmp(sight->mode, "software") == 0 || strcmp(sight->mode, "tpm") == 0);
}

bool lab_legacy_present(const struct lab_sight *sight)
{
    return (sight->slots[0].present && !sight->slots[0].aware) ||
           (sight->slots[1].present && !sight->slots[1].aware);
}

bool lab_chip_serves(const struct lab_sight *sight)
{
    switch (sight->chip) {
    case LAB_TPM_USABLE:
    case LAB_TPM_OWNED:
        return sight->own_chip;
    case LAB_TPM_ABSENT:
    case LAB_TPM_LATE:
    case LAB_TPM_FAILED:
    case LAB_TPM_LOCKED: /* in the worst way: it refuses every command */
    case LAB_TPM_CLEARED:
    case LAB_TPM_REPLACED:
    case LAB_TPM_VOLATILE:
    case LAB_TPM_BUSY:
        return false;
    }
    return false;
}

static bool says(const struct lab_step *step, const char *word)
{
    for (size_t i = 0; i < step->words_count; i++)
        if (strcmp(step->words[i], word) == 0)
            return true;
    return false;
}

bool lab_idmode_ran(const struct lab_step *step, const struct lab_sight *after)
{
    switch (step->action) {
    case LAB_DO_boot:
        return after->aware;
    case LAB_DO_install:
        return step->install.pre_install || step->install.post_install || step->install.write_fails;
    case LAB_DO_commit:
        return step->hooks;
    case LAB_DO_hook:
    case LAB_DO_factory_reset:
    case LAB_DO_migrate:
    case LAB_DO_hold_clear:
        return after->aware || !after->powered;
    case LAB_DO_command:
        return (after->aware || !after->powered) && !says(step, "--next-boot");
    case LAB_DO_label:
    case LAB_DO_fallback:
    case LAB_DO_delete:
    case LAB_DO_empty:
    case LAB_DO_tear:
    case LAB_DO_tpm:
    case LAB_DO_clock:
    case LAB_DO_disk:
    case LAB_DO_mount:
    case LAB_DO_snapshot:
    case LAB_DO_restore:
    case LAB_DO_move_disk:
    case LAB_DO_check:
    case LAB_DO_nothing:
    case LAB_ACTION_COUNT:
        break;
    }
    return false;
}

bool lab_trial_is_secret(const struct lab_oracle *o)
{
    bool told = o->device->bootenv == LAB_BOOTENV_BOOTCOUNT && !o->bootenv_harmed;
    return !told && (o->trial_unheard || o->trial_ended_by_word);
}

unsigned int lab_lost(const struct lab_oracle *o)
{
    return o->damage.config & o->damage.persist;
}

bool lab_excused(const struct lab_oracle *o, const struct lab_sight *sight)
{
    bool software = sight->recorded && sight->recorded_state == IDM_S_software && !sight->staged;
    bool resetting = sight->recorded && sight->recorded_state == IDM_S_resetting;
    if (!software && !lab_chip_serves(sight))
        return true;
    if (resetting &&
        (!sight->clock_good || sight->disk != LAB_DISK_OK || sight->chip != LAB_TPM_USABLE))
        return true;
    /* What was never announced is announced before it is used, and that takes a record. */
    if (sight->disk != LAB_DISK_OK && sight->recorded && sight->recorded_epoch > o->last_epoch)
        return true;
    if (!sight->config_mounted || !sight->persist_mounted || o->restored || o->moved || o->stranded)
        return true;
    return (!software && o->chip_changed) || lab_lost(o);
}

/* ---- what the step allows ---- */

static void remember_dead(struct lab_oracle *o, const char *spki, bool in_chip)
{
    if (!spki[0] || o->dead_count == LAB_DEAD_MAX)
        return;
    for (size_t i = 0; i < o->dead_count; i++)
        if (strcmp(o->dead[i].spki, spki) == 0)
            return;
    struct lab_dead *dead = &o->dead[o->dead_count++];
    memcpy(dead->spki, spki, sizeof dead->spki);
    dead->in_chip = in_chip;
    dead->left = in_chip && o->gave_up_once;
}

static void forget_epochs(struct lab_oracle *o)
{
    o->announced_count = 0;
    o->last_epoch = -1;
}

static struct lab_damage damage_of(const struct lab_step *step)
{
    switch (step->what) {
    case LAB_CERT:
        return (struct lab_damage){.config = LAB_KIND_CERT};
    case LAB_KEY:
        return (struct lab_damage){.config = LAB_KIND_KEY};
    case LAB_CONFIG_DIR:
        return (struct lab_damage){.config = LAB_KINDS};
    case LAB_PERSIST:
        return (struct lab_damage){.persist = LAB_KINDS};
    case LAB_RECORD_A:
        return (struct lab_damage){.persist = LAB_KIND_RECORD};
    case LAB_RECORD:
        return (struct lab_damage){.config = LAB_KIND_RECORD, .persist = LAB_KIND_RECORD};
    case LAB_DISK:
        return (struct lab_damage){.config = LAB_KINDS, .persist = LAB_KINDS};
    case LAB_BOOTENV:
    case LAB_MARKER:
        break;
    }
    return (struct lab_damage){0};
}

static void note_damage(struct lab_oracle *o, const struct lab_step *step,
                        const struct lab_sight *before)
{
    struct lab_damage damage = damage_of(step);
    o->bootenv_harmed |= step->what == LAB_BOOTENV;
    if (!before->recorded) /* then no second copies were made */
        damage.config = damage.persist = damage.config | damage.persist;
    o->damage.config |= damage.config;
    o->damage.persist |= damage.persist;
    if (step->what == LAB_CERT && step->action == LAB_DO_delete)
        o->causes |= LAB_CAUSE_CERT_DELETED;
    unsigned int lost = lab_lost(o);
    if (lost & (LAB_KIND_CERT | LAB_KIND_TPM))
        o->causes |= LAB_CAUSE_CERT_LOST;
    if (!(lost & LAB_KIND_RECORD))
        return;
    o->trial_unheard = true; /* what was heard of it stood in the record */
    if (before->recorded && before->recorded_state != IDM_S_software)
        o->stranded = true;
    /* Without a record a second copy is nobody's: what the config directory lost is lost. */
    bool resetting = before->recorded && before->recorded_state == IDM_S_resetting;
    if (o->damage.config & (LAB_KIND_CERT | LAB_KIND_KEY) || resetting)
        o->causes |= LAB_CAUSE_WIPED;
    /* So is what a reset was about: an operator says what goes on. */
    o->causes &= ~(unsigned int)LAB_CAUSE_RESET;
    if (o->reset_open)
        o->dead_count = 0;
    o->reset_open = false;
    if (o->other_slot_said && lab_legacy_present(before))
        o->legacy_unrecorded = true; /* the settings deny what was noted */
    forget_epochs(o);
}

static void note_snapshot(struct lab_oracle *o, const struct lab_step *step,
                          const struct lab_sight *sight)
{
    if (o->kept_count == LAB_SNAPSHOTS_MAX)
        return;
    struct lab_kept *kept = &o->kept[o->kept_count++];
    memcpy(kept->name, step->word, sizeof kept->name);
    kept->damage = o->damage;
    memcpy(kept->cert, o->last.cert, sizeof kept->cert);
    kept->epoch = sight->recorded ? sight->recorded_epoch : -1;
    kept->state = sight->recorded ? sight->recorded_state : IDM_S_none;
}

/* A copy that is as new as what it replaces is no older copy. */
static void note_restore(struct lab_oracle *o, const struct lab_step *step,
                         const struct lab_sight *before)
{
    for (size_t i = 0; i < o->kept_count; i++)
        if (strcmp(o->kept[i].name, step->word) == 0)
            o->restored_copy = o->kept[i];
    const struct lab_kept *copy = &o->restored_copy;
    o->restored_same = strcmp(copy->cert, o->last.cert) == 0;
    bool as_new = o->restored_same && before->recorded && copy->epoch == before->recorded_epoch &&
                  copy->state == before->recorded_state && !o->restored;
    o->restored = !as_new;
    o->damage = copy->damage;
    if (!as_new)
        forget_epochs(o);
}

static bool names(const struct lab_step *step, const char *first, const char *second)
{
    return step->words_count > 1 && strcmp(step->words[0], first) == 0 &&
           strcmp(step->words[1], second) == 0;
}

static void note_command(struct lab_oracle *o, const struct lab_step *step)
{
    if (step->words_count && strcmp(step->words[0], "factory-reset") == 0) {
        o->chip_given_up = says(step, "--without-tpm");
        o->gave_up_once |= o->chip_given_up;
        o->stranded |= o->chip_given_up;
        for (size_t i = 0; i < o->dead_count; i++)
            o->dead[i].left |= o->dead[i].in_chip && o->chip_given_up;
    }
    if (names(step, "migrate", "commit"))
        o->causes |= LAB_CAUSE_MIGRATED;
    if ((names(step, "hold", "clear") && !says(step, "retry")) || names(step, "cert", "install") ||
        (step->words_count &&
         (strcmp(step->words[0], "import") == 0 || strcmp(step->words[0], "adopt") == 0)))
        o->causes |= LAB_CAUSE_OPERATOR;
}

static void note_request(struct lab_oracle *o, const struct lab_step *step)
{
    if (step->action == LAB_DO_factory_reset)
        o->chip_given_up = false;
    if (step->action == LAB_DO_migrate && strcmp(step->word, "commit") == 0)
        o->causes |= LAB_CAUSE_MIGRATED;
    if (step->action == LAB_DO_hold_clear && strcmp(step->word, "retry") != 0)
        o->causes |= LAB_CAUSE_OPERATOR;
    if (step->action == LAB_DO_command)
        note_command(o, step);
}

/* A legacy image that nobody announced to idmode: no hook, or no aware image to hear it. */
static void note_install(struct lab_oracle *o, const struct lab_step *step,
                         const struct lab_sight *before, const struct lab_sight *after)
{
    bool heard = before->aware && before->powered && step->install.pre_install;
    bool legacy = lab_legacy_present(after) && step->install.image == LAB_SLOT_LEGACY;
    if (!lab_legacy_present(after))
        o->legacy_unrecorded = o->legacy_unannounced = false;
    if (legacy && !before->recorded && o->other_slot_said)
        o->legacy_unrecorded = true;
    if (legacy && !heard)
        o->legacy_unannounced = true;
}

static void note_trial(struct lab_oracle *o, const struct lab_step *step,
                       const struct lab_result *result, const struct lab_sight *before,
                       const struct lab_sight *after)
{
    /* Without a record that it can see idmode notes nothing. */
    bool called = before->aware && before->powered && before->recorded && before->config_mounted &&
                  before->persist_mounted && step->install.pre_install &&
                  step->install.late != LAB_PRE_INSTALL;
    bool heard = called && !result->was_cut;
    /* Until it is finished the trial is the earlier one, that goes on or that the next boot begins, and
     * nobody wrote the environment. */
    bool armed = after->powered && !step->install.write_fails &&
                 step->install.killed == LAB_PHASE_NONE && result->exit_code == IDM_EXIT_DONE;
    bool earlier = before->trial == IDM_YES || before->next_slot != before->slot;
    o->install_heard |= called; /* a fault in it may come too late */
    o->bootenv_harmed = o->bootenv_harmed && !armed;
    if (!armed && earlier)
        return;
    o->trial_ended_by_word = false;
    o->trial_unheard = !heard || (o->trial_unheard && before->trial == IDM_YES);
}

static bool is_reset(const struct lab_step *step)
{
    return step->action == LAB_DO_factory_reset ||
           (step->action == LAB_DO_command && step->words_count &&
            strcmp(step->words[0], "factory-reset") == 0);
}

/* It has begun when there is something durable of it: the request, the intent, or what came out. */
static void note_reset_begun(struct lab_oracle *o, const struct lab_step *step,
                             const struct lab_result *result, const struct lab_sight *before,
                             const struct lab_sight *after)
{
    bool heard = before->aware || !before->powered;
    bool moved =
        !(before->recorded && after->recorded && before->recorded_epoch == after->recorded_epoch);
    /* What changed may also be an earlier cause's, and the reset have failed before it began. */
    bool ran_through = is_reset(step) && heard &&
                       (result->resetting == IDM_UNKNOWN ? moved : result->resetting == IDM_YES);
    bool taken = before->reset_requested && !after->reset_requested && lab_idmode_ran(step, after);
    if (after->reset_requested || taken || ran_through ||
        (after->recorded && after->recorded_state == IDM_S_resetting))
        o->causes |= LAB_CAUSE_RESET;
}

/* A cut left the intent in one copy of the record, and somebody destroyed that copy: what it said is gone. */
static bool unbegun(const struct lab_step *step, const struct lab_sight *before,
                    const struct lab_sight *after)
{
    return before->recorded && before->recorded_state == IDM_S_resetting && after->recorded &&
           after->recorded_state != IDM_S_resetting && !lab_idmode_ran(step, after);
}

static void note_step(struct lab_oracle *o, const struct lab_step *step,
                      const struct lab_result *result, const struct lab_sight *before,
                      const struct lab_sight *after)
{
    bool refused = result->judged_exit && result->exit_code == IDM_EXIT_REFUSED;
    /* A request for a reset that somebody destroyed with its file system, before it was read. */
    if (before->reset_requested && !after->reset_requested && !lab_idmode_ran(step, after))
        o->causes &= ~(unsigned int)LAB_CAUSE_RESET;
    if (unbegun(step, before, after)) {
        o->causes &= ~(unsigned int)LAB_CAUSE_RESET;
        o->reset_open = false;
        o->dead_count = 0;
    }
    if (result->minted) {
        o->causes |= LAB_CAUSE_MINTED;
        memcpy(o->minted, after->legacy.cert, sizeof o->minted);
    }
    if (step->action == LAB_DO_delete || step->action == LAB_DO_empty ||
        step->action == LAB_DO_tear)
        note_damage(o, step, before);
    if (!refused) {
        note_request(o, step);
        note_reset_begun(o, step, result, before, after);
    }
    if (step->action == LAB_DO_install) {
        note_trial(o, step, result, before, after);
        note_install(o, step, before, after);
    }
    if (step->action == LAB_DO_hook &&
        (step->phase == LAB_COMMIT || step->phase == LAB_INSTALL_FAILED))
        o->trial_ended_by_word = true;
    if (step->action == LAB_DO_hook && step->phase == LAB_PRE_INSTALL)
        o->install_heard = true;
    if (step->action == LAB_DO_commit && step->hooks && !result->was_cut)
        o->install_heard = false;
    if (step->action == LAB_DO_snapshot)
        note_snapshot(o, step, before);
    if (step->action == LAB_DO_restore)
        note_restore(o, step, before);
    if (step->action == LAB_DO_move_disk) {
        o->moved = true;
        memcpy(o->moved_spki, o->last.spki, sizeof o->moved_spki);
    }
    /* One that forgets has forgotten, also when it is another one from here on. */
    if (before->chip == LAB_TPM_VOLATILE && before->recorded)
        o->chip_changed = true;
    if (step->action == LAB_DO_tpm &&
        (step->tpm == LAB_TPM_CLEARED || step->tpm == LAB_TPM_REPLACED ||
         step->tpm == LAB_TPM_VOLATILE))
        o->chip_changed = true;
}

/* A reset has begun when the record says so, or when it went through in one step. */
static void note_reset(struct lab_oracle *o, const struct lab_sight *before,
                       const struct lab_sight *after)
{
    bool open = after->recorded && after->recorded_state == IDM_S_resetting;
    /* A reset that a cut prevented may be followed by an operator's release. */
    bool asked = (o->causes & LAB_CAUSE_RESET) && !(o->causes & LAB_CAUSE_OPERATOR);
    bool through = asked && lab_in_use(after) && o->last.spki[0] && !after->reset_requested &&
                   strcmp(after->active.spki, o->last.spki) != 0;
    if (o->reset_open || (!open && !through))
        return;
    o->reset_open = true;
    remember_dead(o, o->last.spki, strcmp(o->last_mode, "tpm") == 0);
    /* A cut may have hidden all of it: then the config directory holds the new pair already. */
    bool hidden = o->was_cut || (before->recorded && before->recorded_epoch > o->last_epoch);
    if (hidden)
        remember_dead(o, o->last_pair, false);
    else if (strcmp(before->legacy_view, "works") == 0)
        remember_dead(o, before->legacy.spki, false);
}

/* ---- afterwards ---- */

/* The device is in use: what has not changed its identity by now, and does not wait, will not. */
static void end_causes(struct lab_oracle *o, const struct lab_step *step,
                       const struct lab_sight *after)
{
    unsigned int wait = LAB_CAUSE_CERT_DELETED | LAB_CAUSE_MINTED;
    bool resetting = after->recorded && after->recorded_state == IDM_S_resetting;
    if (!lab_idmode_ran(step, after))
        return;
    if (after->reset_requested || resetting || o->reset_open)
        wait |= LAB_CAUSE_RESET;
    if (after->staged || resetting)
        wait |= LAB_CAUSE_OPERATOR | LAB_CAUSE_MIGRATED;
    if (lab_lost(o))
        wait |= LAB_CAUSE_CERT_LOST | LAB_CAUSE_WIPED;
    o->causes &= wait;
}

static void note_healthy(struct lab_oracle *o, const struct lab_step *step,
                         const struct lab_sight *after)
{
    if (!lab_in_use(after))
        return;
    if (!o->provisioned) /* what was asked for before there was anything is forgotten */
        o->causes &= ~(unsigned int)LAB_CAUSE_RESET;
    o->provisioned = true;
    memcpy(o->last_pair, after->legacy.spki, sizeof o->last_pair);
    if (step->action == LAB_DO_boot) {
        o->legacy_unannounced = false;
        if (after->disk == LAB_DISK_OK && after->clock_good)
            o->damage = (struct lab_damage){0};
    }
    bool lead_out = o->causes & (LAB_CAUSE_RESET | LAB_CAUSE_OPERATOR);
    if (lead_out && lab_idmode_ran(step, after)) {
        /* An operator's way out: from here on the device is judged as it stands. */
        o->restored = o->moved = o->chip_changed = false;
    }
    end_causes(o, step, after);
    if (lab_idmode_ran(step, after) && lab_chip_serves(after) &&
        (after->recorded_state == IDM_S_tpm || after->recorded_state == IDM_S_tpm_dual) &&
        after->epoch > o->witnessed_epoch)
        o->witnessed_epoch = after->epoch;
}

/* With `cut` the device has no power: what it shows is judged once it has booted. */
static bool judge_now(struct lab_oracle *o, const struct lab_step *step,
                      const struct lab_result *result, const struct lab_sight *before,
                      const struct lab_sight *after, struct lab_violation *ret)
{
    return lab_judge_identity(o, step, result, before, after, ret) &&
           lab_judge_device(o, step, result, before, after, ret);
}

int lab_oracle_step(struct lab_oracle *o, struct lab_world *world, const struct lab_step *step,
                    const struct lab_result *result, const struct lab_sight *before,
                    const struct lab_sight *after, struct lab_violation *ret,
                    char error[LAB_SENTENCE_SIZE])
{
    *ret = (struct lab_violation){0};
    note_step(o, step, result, before, after);
    note_reset(o, before, after);
    if (!judge_now(o, step, result, before, after, ret))
        return 0;
    int rc = lab_judge_future(o, world, step, result, after, ret, error);
    if (rc != 1)
        return rc;
    note_healthy(o, step, after);
    o->was_cut = result->was_cut;
    return 1;
}
