/* SPDX-License-Identifier: BSD-2-Clause */
/* The language of scenarios: each word does what the contract says, each mistake is found where it
 * stands. */
#include "tests/lab/scenario.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(lab_scenario, .timeout = 30);

static int read_text(struct lab_scenario *ret, const char *text, struct lab_scenario_error *err)
{
    char path[] = "/tmp/idmode-scenario-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    cr_assert_eq(close(fd), 0);
    int r = lab_scenario_read(ret, path, err);
    cr_assert_eq(unlink(path), 0);
    return r;
}

static struct lab_scenario good(const char *text)
{
    struct lab_scenario scenario;
    struct lab_scenario_error err = {0};
    cr_assert_eq(read_text(&scenario, text, &err), 0, "%d:%d: %s\n%s", err.line, err.column,
                 err.text, text);
    return scenario;
}

/* ---- what is right ---- */

Test(lab_scenario, the_contracts_example)
{
    struct lab_scenario s =
        good("name: upgrade, then the bootloader falls back\n"
             "source: design 3.5\n"
             "device: {tpm: usable, aware: no, version: \"1.0\"}     # the image in slot A\n"
             "steps:\n"
             "  - boot:\n"
             "    expect: {mode: software, legacy-view: works}\n"
             "  - label: onboarded\n"
             "  - install: {aware: yes, version: \"2.0\"}\n"
             "  - boot:\n"
             "    expect: {image: \"2.0\", trial: yes, mode: software, identity: onboarded}\n"
             "  - fallback:\n"
             "  - boot:\n"
             "    expect: {image: \"1.0\", legacy-view: works, identity: onboarded}\n");
    cr_assert_str_eq(s.name, "upgrade, then the bootloader falls back");
    cr_assert_str_eq(s.source, "design 3.5");
    cr_assert_eq(s.world, LAB_WORLD_ANY);
    cr_assert_not(s.device.aware);
    cr_assert_eq(s.steps_count, 6);
    cr_assert_eq(s.steps[0].action, LAB_DO_boot);
    cr_assert_eq(s.steps[0].line, 5);
    cr_assert_eq(s.steps[0].column, 5);
    cr_assert_str_eq(s.steps[0].expect.legacy_view, "works");
    cr_assert_str_empty(s.steps[0].expect.trial);
    cr_assert_str_eq(s.steps[1].word, "onboarded");
    cr_assert_not(s.steps[1].expects);
    cr_assert_eq(s.steps[2].install.image, LAB_SLOT_AWARE);
    cr_assert_str_eq(s.steps[3].expect.trial, "yes");
    cr_assert_str_eq(s.steps[3].expect.identity, "onboarded");
    cr_assert_eq(s.steps[4].action, LAB_DO_fallback);
    lab_scenario_free(&s);
}

Test(lab_scenario, defaults)
{
    struct lab_scenario s =
        good("name: n\nsteps:\n- boot:\n- install:\n- commit:\n- factory-reset:\n");
    cr_assert_eq(s.device.tpm, LAB_TPM_USABLE);
    cr_assert(s.device.aware);
    cr_assert_str_eq(s.device.version, "1.0");
    cr_assert_not(s.device.provisioned);
    cr_assert_eq(s.device.filesystem, LAB_EXT4);
    cr_assert_eq(s.device.other_slot, LAB_SLOT_EMPTY);
    cr_assert_not(s.device.rsa);
    cr_assert_eq(s.device.bootenv, LAB_BOOTENV_BOOTCOUNT);
    cr_assert_eq(s.device.settings_count, 0);
    cr_assert_eq(s.steps[0].expect.held, -1);
    cr_assert_eq(s.steps[0].expect.healthy, -1);
    cr_assert_eq(s.steps[0].expect.epoch, -1);
    cr_assert_not(s.steps[0].exit_judged);
    cr_assert_eq(s.steps[0].cut, LAB_CUT_NONE);
    cr_assert_eq(s.steps[1].install.image, LAB_SLOT_AWARE);
    cr_assert(s.steps[1].install.pre_install);
    cr_assert(s.steps[1].install.post_install);
    cr_assert_str_empty(s.steps[1].install.format);
    cr_assert(s.steps[2].hooks);
    cr_assert_str_empty(s.steps[3].word);
    lab_scenario_free(&s);
}

Test(lab_scenario, device)
{
    struct lab_scenario s = good(
        "name: n\nworld: real\nwhy: real chips only\n"
        "device:\n  tpm: {busy: 3}\n  aware: on\n  version: 7\n  provisioned: true\n"
        "  filesystem: fat\n  other-slot: legacy\n  key: rsa-2048\n  bootenv: rauc\n"
        "  config: {legacy-key: keep, wait: 100ms, bootenv: {scheme: rauc}, other-slot: none}\n"
        "steps: [nothing: ]\n");
    cr_assert_eq(s.world, LAB_WORLD_REAL);
    cr_assert_str_eq(s.why, "real chips only");
    cr_assert_eq(s.device.tpm, LAB_TPM_BUSY);
    cr_assert_eq(s.device.busy_commands, 3);
    cr_assert(s.device.aware && s.device.provisioned && s.device.rsa);
    cr_assert_str_eq(s.device.version, "7");
    cr_assert_eq(s.device.filesystem, LAB_FAT);
    cr_assert_eq(s.device.other_slot, LAB_SLOT_LEGACY);
    cr_assert_eq(s.device.bootenv, LAB_BOOTENV_RAUC);
    cr_assert_eq(s.device.settings_count, 4);
    static const char *const lines[] = {"identity legacy-key keep", "tpm wait 100ms",
                                        "bootenv scheme rauc", "image other-slot none"};
    for (size_t i = 0; i < 4; i++) {
        char line[512];
        const struct lab_setting *set = &s.device.settings[i];
        (void)snprintf(line, sizeof line, "%s %s %s", set->section, set->key, set->value);
        cr_assert_str_eq(line, lines[i]);
    }
    lab_scenario_free(&s);
}

/* The reason for it is what such a scenario is about. */
Test(lab_scenario, an_invalid_setting_that_is_expected)
{
    struct lab_scenario s = good("name: n\ndevice: {config: {legacy-key: banana}}\n"
                                 "steps:\n- boot:\n  expect: {reason: settings-invalid}\n");
    cr_assert_str_eq(s.device.settings[0].value, "banana");
    lab_scenario_free(&s);
}

Test(lab_scenario, every_action)
{
    struct lab_scenario s = good("name: n\nsteps:\n"
                                 "- boot:\n"
                                 "- label: a\n"
                                 "- install: {aware: unknown, version: \"3.0\", format: 2,"
                                 " hooks: [post-install], killed: write, late: post-install}\n"
                                 "- commit: {hooks: none}\n"
                                 "- fallback: ~\n"
                                 "- hook: install-failed\n"
                                 "- factory-reset: {reset: clear}\n"
                                 "- migrate: prepare\n"
                                 "- hold-clear: {reason: witness-lost, to: accept-epoch}\n"
                                 "- delete: record-a\n"
                                 "- empty: bootenv\n"
                                 "- tear: disk\n"
                                 "- tpm: replaced\n"
                                 "- clock: bad\n"
                                 "- disk: read-only\n"
                                 "- mount: {config-dir: no}\n"
                                 "- snapshot: s\n"
                                 "- restore: s\n"
                                 "- move-disk:\n"
                                 "- command: [status, --strict, two words]\n"
                                 "- check: watch\n"
                                 "- nothing:\n");
    cr_assert_eq(s.steps_count, LAB_ACTION_COUNT);
    for (size_t i = 0; i < s.steps_count; i++)
        cr_assert_eq(s.steps[i].action, i, "%s", lab_action_word(s.steps[i].action));
    const struct lab_install *install = &s.steps[LAB_DO_install].install;
    cr_assert_eq(install->image, LAB_SLOT_AWARE);
    cr_assert(install->image_unsaid && install->post_install && !install->pre_install);
    cr_assert_str_eq(install->version, "3.0");
    cr_assert_str_eq(install->format, "2");
    cr_assert_eq(install->killed, LAB_WRITE);
    cr_assert_eq(install->late, LAB_POST_INSTALL);
    cr_assert_not(s.steps[LAB_DO_commit].hooks);
    cr_assert_eq(s.steps[LAB_DO_hook].phase, LAB_INSTALL_FAILED);
    cr_assert_str_eq(s.steps[LAB_DO_factory_reset].word, "clear");
    cr_assert_str_eq(s.steps[LAB_DO_migrate].word, "prepare");
    cr_assert_eq(s.steps[LAB_DO_hold_clear].reason, IDM_R_witness_lost);
    cr_assert_str_eq(s.steps[LAB_DO_hold_clear].word, "accept-epoch");
    cr_assert_eq(s.steps[LAB_DO_delete].what, LAB_RECORD_A);
    cr_assert_eq(s.steps[LAB_DO_empty].what, LAB_BOOTENV);
    cr_assert_eq(s.steps[LAB_DO_tear].what, LAB_DISK);
    cr_assert_eq(s.steps[LAB_DO_tpm].tpm, LAB_TPM_REPLACED);
    cr_assert_not(s.steps[LAB_DO_clock].clock_good);
    cr_assert_str_eq(s.steps[LAB_DO_check].word, "watch");
    cr_assert_eq(s.steps[LAB_DO_disk].disk, LAB_DISK_READ_ONLY);
    cr_assert_eq(s.steps[LAB_DO_mount].mount_config, 0);
    cr_assert_eq(s.steps[LAB_DO_mount].mount_persist, -1);
    cr_assert_str_eq(s.steps[LAB_DO_restore].word, "s");
    cr_assert_eq(s.steps[LAB_DO_command].words_count, 3);
    cr_assert_str_eq(s.steps[LAB_DO_command].words[2], "two words");
    lab_scenario_free(&s);
}

Test(lab_scenario, every_word_of_an_action)
{
    static const struct {
        const char *action;
        const char *words[12];
    } rows[] = {
        {"hook", {"pre-install", "post-install", "install-failed", "commit", "rollback"}},
        {"migrate", {"prepare", "commit", "abort"}},
        {"delete",
         {"cert", "key", "marker", "record", "record-a", "persist", "config-dir", "bootenv",
          "disk"}},
        {"tpm",
         {"usable", "absent", "late", "failed", "locked", "owned", "cleared", "replaced",
          "volatile", "{busy: 12}"}},
        {"clock", {"good", "bad"}},
        {"disk", {"ok", "full", "read-only"}},
        {"factory-reset", {"{reset: rekey}", "{reset: clear}", "{}"}},
        {"install",
         {"{aware: no}", "{hooks: none}", "{hooks: []}", "{hooks: [pre-install]}", "{fails: write}",
          "{killed: pre-install}", "{killed: post-install}", "{late: pre-install}",
          "{fails: write, late: install-failed}", "{format: none}", "{format: unknown}"}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (const char *const *word = rows[i].words; *word; word++) {
            char text[256];
            (void)snprintf(text, sizeof text, "name: n\nsteps:\n- %s: %s\n", rows[i].action, *word);
            struct lab_scenario s = good(text);
            cr_assert_str_eq(lab_action_word(s.steps[0].action), rows[i].action);
            lab_scenario_free(&s);
        }
}

Test(lab_scenario, every_expectation)
{
    struct lab_scenario s =
        good("name: n\nsteps:\n- label: a\n- boot:\n  exit: 3\n  cut: make_parent\n  expect:\n"
             "    mode: unknown\n    state: tpm-dual\n    held: yes\n    healthy: no\n"
             "    reasons: [tpm-absent, clock]\n    reason: clock\n    identity: a\n"
             "    identity-not: a\n    key: a\n    legacy-view: broken\n    legacy-identity: a\n"
             "    legacy-key: sealed\n    marker: present\n    tpm: cleared\n    epoch: 4\n"
             "    image: \"2.0\"\n    trial: unknown\n    slot: B\n"
             "- boot:\n  cut: every\n  expect: {reasons: []}\n- boot:\n  cut: random\n");
    const struct lab_step *step = &s.steps[1];
    const struct lab_expect *e = &step->expect;
    cr_assert(step->exit_judged && step->exit_code == 3);
    cr_assert_eq(step->cut, LAB_CUT_NAMED);
    cr_assert_str_eq(step->cut_name, "make_parent");
    cr_assert_str_eq(e->mode, "unknown");
    cr_assert_str_eq(e->state, "tpm-dual");
    cr_assert(e->held == 1 && e->healthy == 0 && e->epoch == 4 && e->reasons_judged);
    cr_assert_eq(e->reasons, UINT64_C(1) << IDM_R_tpm_absent | UINT64_C(1) << IDM_R_clock);
    cr_assert_eq(e->reason, IDM_R_clock);
    cr_assert_str_eq(e->identity, "a");
    cr_assert_str_eq(e->identity_not, "a");
    cr_assert_str_eq(e->key, "a");
    cr_assert_str_eq(e->legacy_view, "broken");
    cr_assert_str_eq(e->legacy_identity, "a");
    cr_assert_str_eq(e->legacy_key, "sealed");
    cr_assert_str_eq(e->marker, "present");
    cr_assert_str_eq(e->tpm, "cleared");
    cr_assert_str_eq(e->image, "2.0");
    cr_assert_str_eq(e->trial, "unknown");
    cr_assert_str_eq(e->slot, "B");
    cr_assert(s.steps[2].expect.reasons_judged && s.steps[2].expect.reasons == 0);
    cr_assert_eq(s.steps[2].cut, LAB_CUT_EVERY);
    cr_assert_eq(s.steps[3].cut, LAB_CUT_RANDOM);
    lab_scenario_free(&s);
}

/* ---- what is wrong ---- */

#define STEPS "name: n\nsteps:\n"

static const struct {
    const char *text;
    int line, column;
    const char *says[3];
} mistakes[] = {
    {"", 1, 1, {"nothing in it"}},
    {"name: [\n", 2, 1, {"not YAML"}},
    {"name: \"\x01\"\n", 1, 1, {"not YAML", "control"}},
    {"- boot:\n", 1, 1, {"scenario", "mapping"}},
    {"steps: [boot: ]\n", 1, 1, {"has a name"}},
    {"name: n\n", 1, 1, {"has steps"}},
    {"name: n\nsteps: []\n", 1, 1, {"has steps"}},
    {"name: n\nstep: []\n", 2, 1, {"'step' is no key", "name, source, world, why, device, steps"}},
    {"name: n\nname: m\n", 2, 1, {"'name' stands here twice", "1:1"}},
    {"name:\n", 1, 6, {"name: text"}},
    {"? [a]\n: b\n", 1, 3, {"a key is one word"}},
    {"name: n\nworld: sim\nsteps: [boot: ]\n", 1, 1, {"world and why"}},
    {"name: n\nworld: moon\n", 2, 8, {"'moon'", "sim, real"}},
    {"name: n\nsteps: [boot: ]\n---\nname: m\n", 4, 1, {"one scenario"}},
    {"name: n\ndevice: {tmp: usable}\n", 2, 10, {"'tmp'", "tpm, aware, version"}},
    {"name: n\ndevice: {tpm: usble}\n", 2, 15, {"'usble'", "usable, absent, late"}},
    {"name: n\ndevice: {tpm: cleared}\n", 2, 15, {"first chip"}},
    {"name: n\ndevice: {tpm: {busy: many}}\n", 2, 22, {"busy: a number"}},
    {"name: n\ndevice: {tpm: {}}\n", 2, 15, {"{busy: N}"}},
    {"name: n\ndevice: {aware: maybe}\n", 2, 17, {"'maybe'", "yes, no"}},
    {"name: n\ndevice: {filesystem: xfs}\n", 2, 22, {"ext4, fat"}},
    {"name: n\ndevice: {key: dsa}\n", 2, 15, {"ec, rsa-2048"}},
    {"name: n\ndevice: {other-slot: full}\n", 2, 22, {"none, aware, legacy"}},
    {"name: n\ndevice: {bootenv: grub}\n", 2, 19, {"bootcount, rauc, none"}},
    {"name: n\ndevice: {config: {legacy-kye: keep}}\n", 2, 19, {"'legacy-kye'", "legacy-key"}},
    {"name: n\ndevice: {config: {tpm: {legacy-key: keep}}}\n", 2, 25, {"'legacy-key'"}},
    {"name: n\ndevice: {config: {legacy-key: kep}}\nsteps: [boot: ]\n",
     2,
     31,
     {"'kep' is not valid", "auto | seal | keep | none", "settings-invalid"}},
    {"name: n\ndevice: {config: {wait: 1s, tpm: {wait: 2s}}}\n", 2, 41, {"wait is set twice"}},
    {STEPS "- bot:\n", 3, 3, {"'bot'", "boot, label, install", "expect, exit, cut"}},
    {STEPS "- boot\n", 3, 3, {"step: a mapping"}},
    {STEPS "- {}\n", 3, 3, {"an action is missing"}},
    {STEPS "- expect: {mode: tpm}\n", 3, 3, {"an action is missing"}},
    {STEPS "- boot:\n  commit:\n", 4, 3, {"two steps"}},
    {STEPS "- boot:\n  boot:\n", 4, 3, {"'boot' stands here twice"}},
    {STEPS "- boot: now\n", 3, 9, {"boot: nothing stands behind it"}},
    {STEPS "- label: a b\n", 3, 10, {"label: a name"}},
    {STEPS "- install: {aware: no, colour: red}\n", 3, 24, {"'colour'", "aware, version"}},
    {STEPS "- install: {hooks: [pre]}\n", 3, 21, {"'pre'", "pre-install, post-install"}},
    {STEPS "- install: {hooks: some}\n", 3, 20, {"hooks: none, or a list"}},
    {STEPS "- install: {fails: read}\n", 3, 20, {"'read'", "write"}},
    {STEPS "- install: {killed: commit}\n", 3, 21, {"pre-install, write, post-install"}},
    {STEPS "- install: {hooks: none, late: pre-install}\n", 3, 12, {"cannot be late"}},
    {STEPS "- install: {late: install-failed}\n", 3, 12, {"fails: write"}},
    {STEPS "- install: {fails: write, killed: post-install}\n", 3, 12, {"not finished"}},
    {STEPS "- install: {format: new}\n", 3, 21, {"a number, none or unknown"}},
    {STEPS "- commit: {hooks: all}\n", 3, 19, {"'all'", "none"}},
    {STEPS "- hook: write\n", 3, 9, {"'write'", "pre-install, post-install, install-failed"}},
    {STEPS "- factory-reset: {reset: all}\n", 3, 26, {"rekey, clear"}},
    {STEPS "- migrate: now\n", 3, 12, {"prepare, commit, abort"}},
    {STEPS "- hold-clear: {to: retry}\n", 3, 15, {"reason and to"}},
    {STEPS "- hold-clear: {reason: bad, to: retry}\n", 3, 24, {"'bad'", "tpm-absent, tpm-busy"}},
    {STEPS "- delete: home\n", 3, 11, {"delete: 'home'", "cert, key, marker"}},
    {STEPS "- tear:\n", 3, 8, {"tear: a word is missing"}},
    {STEPS "- clock: late\n", 3, 10, {"bad, good"}},
    {STEPS "- disk: lost\n", 3, 9, {"ok, full, read-only"}},
    {STEPS "- mount: {}\n", 3, 10, {"names config-dir or persist"}},
    {STEPS "- mount: {root: no}\n", 3, 11, {"config-dir, persist"}},
    {STEPS "- restore: s\n", 3, 12, {"no step before has snapshot: s"}},
    {STEPS "- command: status\n", 3, 12, {"a list"}},
    {STEPS "- command: []\n", 3, 12, {"a list"}},
    {STEPS "- boot:\n  exit: -1\n", 4, 9, {"exit: a number from 0 to 255"}},
    {STEPS "- clock: bad\n  exit: 0\n", 4, 9, {"idmode does not run in the step 'clock'"}},
    {STEPS "- label: a\n  cut: every\n", 4, 8, {"idmode does not run in the step 'label'"}},
    {STEPS "- boot:\n  cut: make_coffee\n", 4, 8, {"'make_coffee'", "write_marker"}},
    {STEPS "- boot:\n  expect: tpm\n", 4, 11, {"expect: a mapping"}},
    {STEPS "- boot:\n  expect: {mod: tpm}\n", 4, 12, {"'mod'", "mode, state, held", "slot"}},
    {STEPS "- boot:\n  expect: {mode: hardware}\n", 4, 18, {"unknown, none, software, tpm"}},
    {STEPS "- boot:\n  expect: {state: dual}\n", 4, 19, {"blank, software, migrating, tpm-dual"}},
    {STEPS "- boot:\n  expect: {held: 1}\n", 4, 18, {"held: '1'", "yes, no"}},
    {STEPS "- boot:\n  expect: {reasons: clock}\n", 4, 21, {"reasons: a list"}},
    {STEPS "- boot:\n  expect: {reasons: [clok]}\n", 4, 22, {"'clok'", "clock"}},
    {STEPS "- boot:\n  expect: {reasons: [clock, clock]}\n", 4, 29, {"twice"}},
    {STEPS "- boot:\n  expect: {identity: a}\n", 4, 22, {"no step before has label: a"}},
    {STEPS "- label: a\n- boot:\n  expect: {key: b}\n", 5, 17, {"label: 'b'", "allowed: a"}},
    {STEPS "- boot:\n  expect: {legacy-view: ok}\n", 4, 25, {"works, absent, broken"}},
    {STEPS "- boot:\n  expect: {legacy-key: gone}\n", 4, 24, {"plain, sealed, none"}},
    {STEPS "- boot:\n  expect: {marker: yes}\n", 4, 20, {"present, absent"}},
    {STEPS "- boot:\n  expect: {tpm: fine}\n", 4, 17, {"unknown, absent, usable"}},
    {STEPS "- boot:\n  expect: {epoch: one}\n", 4, 19, {"epoch: a number"}},
    {STEPS "- boot:\n  expect: {image: }\n", 4, 19, {"image: text"}},
    {STEPS "- boot:\n  expect: {trial: 1}\n", 4, 19, {"yes, no, unknown"}},
    {STEPS "- boot:\n  expect: {slot: C}\n", 4, 18, {"A, B"}},
};

Test(lab_scenario, each_mistake_is_found_where_it_stands)
{
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        struct lab_scenario untouched = {.name = "untouched"};
        struct lab_scenario_error err = {0};
        cr_assert_eq(read_text(&untouched, mistakes[i].text, &err), -1, "taken:\n%s",
                     mistakes[i].text);
        cr_expect_str_eq(untouched.name, "untouched");
        cr_expect(err.line == mistakes[i].line && err.column == mistakes[i].column,
                  "%d:%d: %s\nnot %d:%d of:\n%s", err.line, err.column, err.text, mistakes[i].line,
                  mistakes[i].column, mistakes[i].text);
        for (size_t j = 0; j < 3 && mistakes[i].says[j]; j++)
            cr_expect(strstr(err.text, mistakes[i].says[j]), "\"%s\" does not say \"%s\"", err.text,
                      mistakes[i].says[j]);
    }
}

static char *repeated(const char *head, const char *part, size_t times)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    cr_assert_not_null(stream);
    (void)fputs(head, stream);
    while (times-- > 0)
        (void)fputs(part, stream);
    cr_assert_eq(fclose(stream), 0);
    return text;
}

Test(lab_scenario, limits)
{
    struct lab_scenario s;
    struct lab_scenario_error err = {0};
    char *text = repeated(STEPS, "- boot:\n", LAB_STEPS_MAX);
    s = good(text);
    cr_assert_eq(s.steps_count, LAB_STEPS_MAX);
    lab_scenario_free(&s);
    free(text);
    text = repeated(STEPS, "- boot:\n", LAB_STEPS_MAX + 1);
    cr_assert_eq(read_text(&s, text, &err), -1);
    cr_assert(strstr(err.text, "at most 256"), "%s", err.text);
    free(text);
    text = repeated("name: ", "x", LAB_SENTENCE_SIZE);
    cr_assert_eq(read_text(&s, text, &err), -1);
    cr_assert(strstr(err.text, "at most 255 bytes"), "%s", err.text);
    free(text);
    text = repeated("name: n\n", "# filler\n", 40000);
    cr_assert_eq(read_text(&s, text, &err), -1);
    cr_assert(strstr(err.text, "256 KiB"), "%s", err.text);
    cr_assert_eq(err.line, 0);
    free(text);
}

Test(lab_scenario, no_such_file)
{
    struct lab_scenario s;
    struct lab_scenario_error err = {0};
    cr_assert_eq(lab_scenario_read(&s, "/nonexistent/x.yaml", &err), -1);
    cr_assert_eq(err.line, 0);
    cr_assert(strstr(err.text, "No such file"), "%s", err.text);
}

Test(lab_scenario, freeing_nothing)
{
    struct lab_scenario s = {0};
    lab_scenario_free(NULL);
    lab_scenario_free(&s);
}
