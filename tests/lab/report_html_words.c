/* SPDX-License-Identifier: BSD-2-Clause */
/* report_html_words.c - what a step says to somebody who never saw the language of scenarios. */
#include "tests/lab/report_html.h"

#include <string.h>

/* ---- escaping ---- */

/* Length of the UTF-8 sequence that begins here and stands for a character of XML; 0: none does. */
static size_t sequence(const unsigned char *at)
{
    static const struct {
        unsigned char mask, lead;
        uint32_t least; /* longer than needed is not UTF-8 (RFC 3629, 3) */
    } forms[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    size_t n = 0;
    while (n < 4 && (at[0] & forms[n].mask) != forms[n].lead)
        n++;
    if (n == 4)
        return 0;
    uint32_t c = (uint32_t)(at[0] & ~forms[n].mask);
    for (size_t i = 1; i <= n; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (at[i] & 0x3f);
    }
    bool control = c < 0x20 && c != '\t' && c != '\n';
    bool forbidden = (c >= 0xd800 && c <= 0xdfff) || c == 0xfffe || c == 0xffff || c > 0x10ffff;
    return c < forms[n].least || control || c == 0x7f || forbidden ? 0 : n + 1;
}

static const char *entity(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

void lab_print_text(FILE *out, const char *text)
{
    while (*text) {
        size_t length = sequence((const unsigned char *)text);
        const char *escaped = length ? entity(*text) : "\xef\xbf\xbd";
        if (escaped)
            (void)fputs(escaped, out);
        else
            (void)fwrite(text, 1, length, out);
        text += length ? length : 1;
    }
}

/* ---- steps ---- */

static void print_name(FILE *out, const char *before, const char *name, const char *after)
{
    (void)fputs(before, out);
    lab_print_text(out, name);
    (void)fputs(after, out);
}

static const char *kind(bool aware)
{
    return aware ? "aware" : "legacy";
}

static void print_boot(FILE *out, const struct lab_sight *sight)
{
    const struct lab_slot *slot = &sight->slots[sight->slot & 1];
    if (!sight->powered) {
        (void)fputs("Power on", out);
        return;
    }
    (void)fprintf(out, "Boots slot %c: %s ", 'A' + (sight->slot & 1), kind(sight->aware));
    lab_print_text(out, slot->version);
}

static void print_install(FILE *out, const struct lab_install *install, int slot)
{
    (void)fprintf(out, "Updater installs %s image ", kind(install->image == LAB_SLOT_AWARE));
    lab_print_text(out, install->version);
    (void)fprintf(out, " in slot %c", 'A' + slot);
    if (!install->pre_install && !install->post_install)
        (void)fputs(", tells nobody", out);
    else if (!install->pre_install || !install->post_install)
        (void)fprintf(out, ", calls only %s",
                      install->pre_install ? "pre-install" : "post-install");
    if (install->image_unsaid)
        (void)fputs(", not knowing what it is", out);
    if (install->write_fails)
        (void)fputs(", and fails to write it", out);
    if (install->killed != LAB_PHASE_NONE)
        (void)fprintf(out, ", and dies after %s", lab_phase_word(install->killed));
    if (install->late != LAB_PHASE_NONE)
        (void)fprintf(out, "; its %s comes late", lab_phase_word(install->late));
}

static const char *thing(enum lab_what what)
{
    static const char *const things[] = {
        [LAB_CERT] = "the certificate in the config directory",
        [LAB_KEY] = "the key in the config directory",
        [LAB_MARKER] = "the marker",
        [LAB_RECORD] = "both copies of the record",
        [LAB_RECORD_A] = "the first copy of the record",
        [LAB_PERSIST] = "everything under persist",
        [LAB_CONFIG_DIR] = "everything in the config directory",
        [LAB_BOOTENV] = "the boot environment",
        [LAB_DISK] = "the whole disk",
    };
    return things[what];
}

static void print_damage(FILE *out, const struct lab_step *step)
{
    const char *after = step->action == LAB_DO_delete  ? "is deleted"
                        : step->action == LAB_DO_empty ? "is left empty"
                                                       : "is torn";
    (void)fprintf(out, "Mishap: %s %s", thing(step->what), after);
}

static void print_tpm(FILE *out, const struct lab_step *step)
{
    static const char *const news[] = {
        [LAB_TPM_USABLE] = "The TPM works",
        [LAB_TPM_ABSENT] = "The TPM is gone",
        [LAB_TPM_LATE] = "The TPM appears late",
        [LAB_TPM_FAILED] = "The TPM breaks",
        [LAB_TPM_LOCKED] = "The TPM is in lockout",
        [LAB_TPM_OWNED] = "Somebody takes ownership of the TPM",
        [LAB_TPM_CLEARED] = "Somebody clears the TPM",
        [LAB_TPM_REPLACED] = "The TPM is exchanged for another one",
        [LAB_TPM_VOLATILE] = "The TPM forgets at its reset",
        [LAB_TPM_BUSY] = "The TPM is busy",
    };
    (void)fputs(news[step->tpm], out);
    if (step->tpm == LAB_TPM_BUSY)
        (void)fprintf(out, " for %u commands", step->busy_commands);
}

static void print_mount(FILE *out, const struct lab_step *step)
{
    const char *comma = "";
    if (step->mount_config >= 0) {
        (void)fprintf(out, "The config directory is %smounted", step->mount_config ? "" : "not ");
        comma = "; ";
    }
    if (step->mount_persist >= 0)
        (void)fprintf(out, "%s%s persist directory is %smounted", comma, *comma ? "the" : "The",
                      step->mount_persist ? "" : "not ");
}

static void print_command(FILE *out, const struct lab_step *step)
{
    (void)fputs("Command: idmode", out);
    for (size_t i = 0; i < step->words_count; i++)
        print_name(out, " ", step->words[i], "");
}

static void print_request(FILE *out, const struct lab_step *step)
{
    if (step->action == LAB_DO_hook)
        (void)fprintf(out, "A stray hook: %s", lab_phase_word(step->phase));
    else if (step->action == LAB_DO_factory_reset)
        print_name(out, "Factory reset", step->word[0] ? " (" : "", "");
    else if (step->action == LAB_DO_migrate)
        print_name(out, "Controller: migrate ", step->word, "");
    else
        print_name(out, "Operator releases ", idm_reason_word(step->reason), " to ");
    if (step->action == LAB_DO_hold_clear)
        lab_print_text(out, step->word);
    if (step->action == LAB_DO_factory_reset && step->word[0])
        print_name(out, "", step->word, ")");
}

static void print_around(FILE *out, const struct lab_step *step)
{
    static const char *const disks[] = {
        [LAB_DISK_OK] = "The disk is well again",
        [LAB_DISK_FULL] = "The disk is full",
        [LAB_DISK_READ_ONLY] = "The disk turns read-only",
    };
    if (step->action == LAB_DO_clock)
        (void)fputs(step->clock_good ? "The clock is right again" : "The clock is wrong", out);
    else if (step->action == LAB_DO_disk)
        (void)fputs(disks[step->disk], out);
    else if (step->action == LAB_DO_snapshot)
        print_name(out, "The disk is copied aside as “", step->word, "”");
    else if (step->action == LAB_DO_restore)
        print_name(out, "The disk copy “", step->word, "” is put back");
    else
        (void)fputs("The disk moves into another device", out);
}

static void print_image(FILE *out, const struct lab_step *step, const struct lab_sight *sight)
{
    if (step->action == LAB_DO_commit)
        (void)fprintf(out, "Updater commits the running image%s",
                      step->hooks ? "" : ", tells nobody");
    else
        (void)fprintf(out, "Bootloader goes back to slot %c", 'A' + (sight->next_slot & 1));
}

void lab_print_number(FILE *out, const struct lab_run *run, size_t moment)
{
    const struct lab_moment *m = &run->moments[moment];
    (void)fprintf(out, "%zu%s", m->index + 1, m->recovery ? "′" : "");
}

void lab_print_event(FILE *out, const struct lab_run *run, size_t moment)
{
    const struct lab_step *step = run->moments[moment].step;
    const struct lab_sight *sight = &run->moments[moment].sight;
    if (run->moments[moment].recovery) {
        print_boot(out, sight);
        (void)fputs(", after the cut", out);
        return;
    }
    switch (step->action) {
    case LAB_DO_boot:
        print_boot(out, sight);
        break;
    case LAB_DO_label:
        print_name(out, "This identity is called “", step->word, "” from here on");
        break;
    case LAB_DO_install:
        /* It writes the slot that does not run; after a cut nothing runs, but `slot` stays. */
        print_install(out, &step->install, 1 - (sight->slot & 1));
        break;
    case LAB_DO_commit:
    case LAB_DO_fallback:
        print_image(out, step, sight);
        break;
    case LAB_DO_hook:
    case LAB_DO_factory_reset:
    case LAB_DO_migrate:
    case LAB_DO_hold_clear:
        print_request(out, step);
        break;
    case LAB_DO_delete:
    case LAB_DO_empty:
    case LAB_DO_tear:
        print_damage(out, step);
        break;
    case LAB_DO_tpm:
        print_tpm(out, step);
        break;
    case LAB_DO_clock:
    case LAB_DO_disk:
    case LAB_DO_snapshot:
    case LAB_DO_restore:
    case LAB_DO_move_disk:
        print_around(out, step);
        break;
    case LAB_DO_mount:
        print_mount(out, step);
        break;
    case LAB_DO_command:
        print_command(out, step);
        break;
    case LAB_DO_check:
        print_name(out, "Checked in the machine: ", step->word, "");
        print_name(out, *run->moments[moment].result.note ? ": " : "",
                   run->moments[moment].result.note, "");
        break;
    case LAB_DO_nothing:
    case LAB_ACTION_COUNT:
        (void)fputs("Nothing happens", out);
        break;
    }
}

/* ---- the device ---- */

void lab_print_device(FILE *out, const struct lab_device *device)
{
    static const char *const chips[] = {
        [LAB_TPM_USABLE] = "a working TPM",
        [LAB_TPM_ABSENT] = "no TPM",
        [LAB_TPM_LATE] = "a TPM that appears late",
        [LAB_TPM_FAILED] = "a broken TPM",
        [LAB_TPM_LOCKED] = "a TPM in lockout",
        [LAB_TPM_OWNED] = "a TPM that somebody owns",
        [LAB_TPM_CLEARED] = "a TPM",
        [LAB_TPM_REPLACED] = "a TPM",
        [LAB_TPM_VOLATILE] = "a TPM that forgets at its reset",
        [LAB_TPM_BUSY] = "a TPM that is busy at first",
    };
    static const char *const others[] = {
        [LAB_SLOT_EMPTY] = "slot B empty",
        [LAB_SLOT_AWARE] = "an aware image in slot B",
        [LAB_SLOT_LEGACY] = "a legacy image in slot B",
    };
    (void)fprintf(out, "A device with %s, %s image ", chips[device->tpm],
                  device->aware ? "an aware" : "a legacy");
    lab_print_text(out, device->version);
    (void)fprintf(out, " in slot A and %s; ", others[device->other_slot]);
    (void)fprintf(out, "%s", device->provisioned ? "booted once before." : "never switched on.");
    if (device->filesystem == LAB_FAT)
        (void)fputs(" Its config directory is a FAT file system.", out);
    for (size_t i = 0; i < device->settings_count; i++) {
        print_name(out, i ? ", <code>" : " Configured: <code>", device->settings[i].key, " = ");
        print_name(out, "", device->settings[i].value, "</code>");
    }
    if (device->settings_count)
        (void)fputc('.', out);
}

const char *lab_verdict_word(enum lab_verdict verdict)
{
    static const char *const words[] = {
        [LAB_PASS] = "passed", [LAB_FAIL] = "failed", [LAB_SKIP] = "skipped"};
    return words[verdict];
}

/* ---- what a moment means ---- */

enum idm_state lab_state_at(const struct lab_run *run, size_t moment)
{
    const struct lab_sight *sight = &run->moments[moment].sight;
    return sight->recorded ? sight->recorded_state : IDM_S_none;
}

bool lab_has_trace(const struct lab_moment *moment)
{
    return moment->result.judged_exit || moment->result.was_cut || moment->result.durable > 0;
}

bool lab_fails_at(const struct lab_run *run, size_t moment)
{
    const struct lab_moment *m = &run->moments[moment];
    if (run->verdict != LAB_FAIL || m->index != run->failure.step)
        return false;
    /* A step's expectations are judged after the boot that follows its cut. */
    return moment + 1 == run->moments_count || m[1].index != m->index;
}
