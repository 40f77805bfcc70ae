/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/lab/oracle_parts.h"

#include <string.h>

static bool resetting(const struct lab_oracle *o, const struct lab_sight *sight)
{
    return (sight->recorded && sight->recorded_state == IDM_S_resetting) ||
           (o->reset_open && !sight->powered);
}

static bool tpm_state(const struct lab_sight *sight)
{
    return sight->recorded &&
           (sight->recorded_state == IDM_S_tpm || sight->recorded_state == IDM_S_tpm_dual);
}

static bool works(const struct lab_sight *sight)
{
    return strcmp(sight->legacy_view, "works") == 0;
}

/* I1, the legacy half: what an image that knows nothing of us finds. */
static bool legacy_view_kept(const struct lab_oracle *o, const struct lab_step *step,
                             const struct lab_sight *before, const struct lab_sight *after,
                             struct lab_violation *ret)
{
    bool present = lab_legacy_present(after);
    bool unheard = o->legacy_unannounced || o->legacy_unrecorded;
    /* A factory reset, an operator's release too, takes the pair away; with that policy it makes none. */
    bool anew = step->action == LAB_DO_hold_clear && strcmp(step->word, "new-identity") == 0;
    bool unwanted =
        o->legacy_key == IDM_LEGACY_NONE && (o->causes & LAB_CAUSE_RESET || o->reset_open || anew);
    if (!o->provisioned || !present || unheard || unwanted || resetting(o, after) ||
        !lab_idmode_ran(step, after))
        return true;
    if (works(before) && !works(after))
        return lab_violates(ret, 1, "a legacy image can boot, its pair worked, and is %s now",
                            after->legacy_view);
    return true;
}

static bool legacy_view_whole(const struct lab_oracle *o, const struct lab_step *step,
                              const struct lab_result *result, const struct lab_sight *after,
                              struct lab_violation *ret)
{
    bool unwanted = o->legacy_key == IDM_LEGACY_NONE || o->legacy_unrecorded;
    bool judged = step->action == LAB_DO_boot && after->aware && !result->was_cut &&
                  o->provisioned && lab_legacy_present(after) && !unwanted &&
                  !o->legacy_unannounced && !resetting(o, after) && after->disk == LAB_DISK_OK &&
                  !lab_excused(o, after);
    if (judged && !works(after))
        return lab_violates(ret, 1, "a legacy image can boot and would find a pair that is %s",
                            after->legacy_view);
    return true;
}

/* I1, the aware half. */
static bool aware_works(const struct lab_oracle *o, const struct lab_step *step,
                        const struct lab_result *result, const struct lab_sight *after,
                        struct lab_violation *ret)
{
    bool judged = step->action == LAB_DO_boot && after->aware && !result->was_cut &&
                  o->provisioned && !lab_excused(o, after);
    if (judged && !lab_in_use(after))
        return lab_violates(ret, 1, "nothing is wrong with the device, and its mode is %s%s",
                            after->mode, after->held ? ", held" : "");
    return true;
}

/* Is what idmode knows of trials what the bootloader does? */
static bool trial_known(const struct lab_oracle *o)
{
    return o->device->bootenv == LAB_BOOTENV_BOOTCOUNT ? !o->bootenv_harmed : !o->install_heard;
}

/* I6: a sealed key is not in the clear beside it. What a cut or a fault left of an unseal goes once the
 * image that runs is accepted: I5 comes before. */
static bool exposure(const struct lab_oracle *o, const struct lab_step *step,
                     const struct lab_result *result, const struct lab_sight *after,
                     struct lab_violation *ret)
{
    bool settled = step->action == LAB_DO_boot && after->aware && !result->was_cut &&
                   !after->held && after->disk == LAB_DISK_OK && after->config_mounted &&
                   after->persist_mounted && after->trial != IDM_YES && trial_known(o);
    if (settled && after->recorded && after->recorded_state == IDM_S_tpm &&
        strcmp(after->legacy_key, "plain") == 0)
        return lab_violates(ret, 6, "state is tpm, and the legacy key lies in a file");
    return true;
}

/* I5: nothing that another image needs is given up before the image that runs was accepted. */
static bool sealed_on_trial(const struct lab_oracle *o, const struct lab_step *step,
                            const struct lab_sight *before, const struct lab_sight *after,
                            struct lab_violation *ret)
{
    bool trial = before->trial == IDM_YES && after->trial == IDM_YES && !o->reset_open &&
                 step->action != LAB_DO_factory_reset &&
                 !(step->action == LAB_DO_hold_clear && strcmp(step->word, "new-identity") == 0) &&
                 !lab_trial_is_secret(o);
    bool same_pair = before->recorded && before->recorded_epoch == after->recorded_epoch;
    if (trial && same_pair && lab_idmode_ran(step, after) && works(before) &&
        strcmp(before->legacy_key, "plain") == 0 && strcmp(after->legacy_key, "sealed") == 0 &&
        after->powered && before->powered)
        return lab_violates(ret, 5, "the legacy key was sealed on trial");
    return true;
}

/* I7 */
static bool marker_right(const struct lab_step *step, const struct lab_result *result,
                         const struct lab_sight *after, struct lab_violation *ret)
{
    bool judged = step->action == LAB_DO_boot && after->aware && !result->was_cut &&
                  after->published && after->recorded && after->disk == LAB_DISK_OK &&
                  after->config_mounted && after->persist_mounted &&
                  after->recorded_state != IDM_S_resetting &&
                  !(after->reasons >> IDM_R_record_newer & 1);
    bool wanted = tpm_state(after);
    if (judged && after->marker != wanted)
        return lab_violates(ret, 7, "state is %s and the marker is %s",
                            idm_state_name(after->recorded_state),
                            after->marker ? "present" : "absent");
    return true;
}

/* I10, both ways. */
static bool clones_told(const struct lab_oracle *o, const struct lab_step *step,
                        const struct lab_sight *after, struct lab_violation *ret)
{
    bool alarm = (after->reasons >> IDM_R_rolled_back & 1) || (after->reasons >> IDM_R_cloned & 1);
    bool reason = o->stranded || o->restored || o->moved || o->chip_changed ||
                  after->chip == LAB_TPM_VOLATILE || lab_lost(o) & LAB_KIND_RECORD;
    if (!after->aware || !after->powered || step->action != LAB_DO_boot)
        return true;
    if (after->held && alarm && !reason)
        return lab_violates(ret, 10, "held as an old copy or a clone, and it is neither");
    bool its_own = strcmp(after->active.spki, o->moved_spki) == 0;
    if (o->moved && its_own && lab_in_use(after) && tpm_state(after))
        return lab_violates(ret, 10, "the disk is in another device, and its identity is in use");
    bool old = o->restored && !o->restored_same && lab_chip_serves(after) &&
               o->restored_copy.epoch >= 0 && o->restored_copy.epoch < o->witnessed_epoch &&
               (o->restored_copy.state == IDM_S_tpm || o->restored_copy.state == IDM_S_tpm_dual);
    if (old && lab_in_use(after) && after->epoch < o->witnessed_epoch)
        return lab_violates(ret, 10, "an old disk copy of epoch %lld is in use; the newest is %lld",
                            (long long)after->epoch, (long long)o->witnessed_epoch);
    return true;
}

bool lab_judge_device(struct lab_oracle *o, const struct lab_step *step,
                      const struct lab_result *result, const struct lab_sight *before,
                      const struct lab_sight *after, struct lab_violation *ret)
{
    return legacy_view_kept(o, step, before, after, ret) &&
           legacy_view_whole(o, step, result, after, ret) &&
           aware_works(o, step, result, after, ret) && exposure(o, step, result, after, ret) &&
           sealed_on_trial(o, step, before, after, ret) && marker_right(step, result, after, ret) &&
           clones_told(o, step, after, ret);
}
