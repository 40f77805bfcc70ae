/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/updaters/life.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define IDMODE      IDM_TEST_BUILD_DIR "/bin/idmode"
#define HOOKS_DIR   IDM_TEST_SOURCE_DIR "/hooks"
#define SYSTEM_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const struct lab_world_ops *const ops = &lab_real_world;

static const char *const END_WORDS[] = {
#define UPDATE_WORD(name, word) [UPDATE_##name] = (word),
    UPDATE_ENDS(UPDATE_WORD)
#undef UPDATE_WORD
};

const char *life_end_word(enum update_end end)
{
    return END_WORDS[end];
}

static struct idm_device *device_of(const struct life *life)
{
    return &life->world->device;
}

static void path_of(const struct life *life, const char *name, char ret_path[PATH_MAX])
{
    snprintf(ret_path, PATH_MAX, "%s/updater/%s", device_of(life)->base, name);
}

/* ---- files, programs ---- */

void life_file(struct life *life, const char *name, unsigned int mode, const char *format, ...)
{
    char path[PATH_MAX];
    va_list arguments;
    FILE *file;

    path_of(life, name, path);
    unlink(path);
    file = fopen(path, "we");
    cr_assert_not_null(file, "%s: %s", path, strerror(errno));
    va_start(arguments, format);
    int written = vfprintf(file, format, arguments);
    va_end(arguments);
    cr_assert(written >= 0 && fclose(file) == 0 && chmod(path, mode) == 0, "%s: %s", path,
              strerror(errno));
}

#define VARIABLES 12

struct surroundings {
    char text[VARIABLES][PATH_MAX + 128];
    const char *list[VARIABLES + 1];
};

static void surround(const struct life *life, const struct update *update, struct surroundings *ret)
{
    const struct idm_device *device = device_of(life);
    bool aware = device->image.aware;
    size_t n = 0;

#define SET(...) (void)snprintf(ret->text[n++], sizeof(ret->text[0]), __VA_ARGS__)
    SET("W=%s/updater", device->base);
    SET("PATH=%s/updater/tools:%s%s" SYSTEM_PATH, device->base, aware ? device->base : "",
        aware ? "/updater/aware:" : "");
    SET("HOOKS=" HOOKS_DIR);
    SET("IDMODE_ROOT=%s", device->root);
    SET("IDMODE_TCTI=%s", device->tcti);
    SET("RUNNING=%c", 'A' + device->slot);
    SET("TARGET=%c", 'B' - device->slot);
    SET("SLOT_A=%s/slots/a.img", device->root);
    SET("SLOT_B=%s/slots/b.img", device->root);
    SET("FW_CONFIG=%s", device->bootloader.config);
    SET("FAULT=%s", life_end_word(update != NULL ? update->end : UPDATE_well));
#undef SET
    for (size_t i = 0; i < n; i++)
        ret->list[i] = ret->text[i];
    ret->list[n] = NULL;
}

void life_shell(struct life *life, const struct update *update, const char *script)
{
    struct surroundings around;
    char whole[16384];
    const struct idm_run_options options = {.env = around.list};

    surround(life, update, &around);
    int n = snprintf(whole, sizeof(whole), "cd \"$W\"; %s", script);
    cr_assert(n > 0 && (size_t)n < sizeof(whole));
    idm_run_free(&life->run);
    cr_assert_eq(idm_run(&life->run, &options,
                         (const char *const[]){"unshare", "--mount", "--propagation", "private",
                                               "sh", "-ec", whole, NULL}),
                 0);
    cr_assert_not(life->run.timed_out, "no end: %s\n%s%s", script, life->run.out, life->run.err);
}

void life_must(struct life *life, const char *script)
{
    life_shell(life, NULL, script);
    cr_assert_eq(life->run.exit_code, 0, "exit %d: %s\n%s%s", life->run.exit_code, script,
                 life->run.out, life->run.err);
}

/* ---- the device ---- */

static void make_tools(struct life *life)
{
    const struct idm_device *device = device_of(life);

    life_must(life, "mkdir -p tools aware");
    /* A limit on the size of files is the updater's own: see UPDATE_killed_writing. */
    life_file(life, "aware/idmode", 0755,
              "#!/bin/sh\n"
              "ulimit -S -f unlimited; late=\n"
              "[ ! -x \"$W/before-idmode\" ] || \"$W/before-idmode\" \"$@\" || late=yes\n"
              "" IDMODE " \"$@\"; code=$?\n"
              "echo \"$* -> $code\" >>%s/updater/heard\n"
              "[ -z \"$late\" ] || echo $code >\"$W/ended\"\n"
              "exit $code\n",
              device->base);
    life_file(life, "tools/fw_printenv", 0755,
              "#!/bin/sh\nexec /usr/bin/fw_printenv -c '%s' \"$@\"\n", device->bootloader.config);
    life_file(life, "tools/fw_setenv", 0755,
              "#!/bin/sh\nulimit -S -f unlimited\n"
              "[ ! -x \"$W/before-setenv\" ] || \"$W/before-setenv\" $PPID \"$@\" || exit\n"
              "exec /usr/bin/fw_setenv -c '%s' -f '%s' \"$@\"\n",
              device->bootloader.config, device->bootloader.defaults);
}

static void look(struct life *life)
{
    char error[LAB_SENTENCE_SIZE];

    life->world->seen_valid = false;
    cr_assert_eq(ops->see(life->world, &life->sight, error), 0, "%s", error);
}

void life_open(struct life *life, const struct updater *updater, const struct lab_device *about)
{
    char error[LAB_SENTENCE_SIZE];
    const char *why = updater->missing();

    if (why != NULL)
        cr_skip_test("%s", why);
    *life = (struct life){.about = *about};
    life->about.bootenv = updater->bootenv;
    if (life->about.version[0] == '\0')
        snprintf(life->about.version, sizeof(life->about.version), "1.0");
    cr_assert_eq(ops->open(&life->world, &life->about, error), 0, "%s", error);
    life->oracle = lab_oracle_open(ops, &life->about);
    cr_assert_not_null(life->oracle);
    char path[PATH_MAX];
    path_of(life, "", path);
    cr_assert_eq(mkdir(path, 0755), 0);
    make_tools(life);
    /* An updater takes no slot that is not there. */
    life_must(life, "for slot in \"$SLOT_A\" \"$SLOT_B\"; do"
                    "  [ -e \"$slot\" ] || head -c 8192 /dev/zero >\"$slot\"; done");
    updater->prepare(life);
    look(life);
}

void life_close(struct life *life)
{
    idm_run_free(&life->run);
    lab_oracle_close(life->oracle);
    ops->close(life->world);
    *life = (struct life){0};
}

/* ---- steps ---- */

static void judge(struct life *life, const struct lab_step *step, const struct lab_result *result,
                  const struct lab_sight *before)
{
    struct lab_violation violation;
    char error[LAB_SENTENCE_SIZE];

    look(life);
    int verdict = lab_oracle_step(life->oracle, life->world, step, result, before, &life->sight,
                                  &violation, error);
    cr_assert_neq(verdict, -1, "%s", error);
    if (verdict == 0) /* what idmode itself says, before all of it is gone */
        life_shell(life, NULL, "idmode doctor; idmode -v sign </dev/null >/dev/null");
    cr_assert_eq(verdict, 1, "I%u does not hold after %s: %s\n%s%s", violation.invariant,
                 lab_action_word(step->action), violation.text,
                 life->run.out != NULL ? life->run.out : "",
                 life->run.err != NULL ? life->run.err : "");
}

void life_act(struct life *life, struct lab_step step)
{
    const struct lab_sight before = life->sight;
    struct lab_result result;

    cr_assert_eq(ops->act(life->world, &step, NULL, &result), 0, "%s", result.error);
    judge(life, &step, &result, &before);
}

void life_boot(struct life *life)
{
    LIFE_ACT(life, boot);
}

/* A step in which idmode is the updater's child: the world does not see it run. What it traces from
 * here on is the step's. */
static struct lab_sight begin(struct life *life)
{
    char path[IDM_DEVICE_PATH_SIZE];
    struct stat st;

    idm_device_path(device_of(life), "/run/idmode/trace", path);
    life->world->trace_start = stat(path, &st) == 0 ? (size_t)st.st_size : 0;
    return life->sight;
}

static void end(struct life *life, const struct lab_step *step, const struct lab_sight *before)
{
    const struct lab_result result = {0};

    judge(life, step, &result, before);
}

/* The updater armed a slot, or gave the running one up. */
static void note_armed(struct life *life)
{
    struct idm_device *device = device_of(life);
    bool has_image[2];
    int next, trial;

    for (int i = 0; i < 2; i++)
        has_image[i] = idm_device_slot(device, i).present;
    cr_assert_eq(idm_bootloader_next(&device->bootloader, has_image, &next, &trial), 0);
    if (next != device->slot && device->bootloader.scheme != IDM_BOOT_NONE)
        cr_assert_eq(idm_bootloader_noted(&device->bootloader, next, true), 0);
}

int life_install(struct life *life, const struct updater *updater, const struct update *update)
{
    const struct lab_sight before = begin(life);
    unsigned int pre = life_heard(life, "-q hook pre-install");
    unsigned int post = life_heard(life, "-q hook post-install");
    struct lab_step step = {.action = LAB_DO_install,
                            .install = {.image = update->legacy ? LAB_SLOT_LEGACY : LAB_SLOT_AWARE,
                                        .image_unsaid = update->unsaid}};

    life_file(life, "image", 0644, "idmode test image\nkind=%s\nversion=%s\n",
              update->legacy ? "legacy" : "aware",
              update->version != NULL ? update->version : "2.0");
    life_must(life, "truncate -s 8188 image; echo end >>image");
    updater->install(life, update);
    note_armed(life);
    step.install.pre_install = life_heard(life, "-q hook pre-install") > pre;
    step.install.post_install = life_heard(life, "-q hook post-install") > post;
    end(life, &step, &before);
    return life->run.exit_code;
}

void life_commit(struct life *life, const struct updater *updater, bool hook)
{
    const struct lab_sight before = begin(life);
    const struct lab_step step = {.action = LAB_DO_commit, .hooks = hook};
    struct idm_device *device = device_of(life);

    updater->commit(life, hook);
    cr_assert_eq(life->run.exit_code, 0, "%s%s", life->run.out, life->run.err);
    cr_assert_eq(idm_bootloader_noted(&device->bootloader, device->slot, false), 0);
    end(life, &step, &before);
}

void life_spurious(struct life *life, const struct updater *updater)
{
    const struct lab_sight before = begin(life);
    const struct lab_step step = {.action = LAB_DO_hook, .phase = LAB_POST_INSTALL};

    updater->spurious(life);
    end(life, &step, &before);
}

void life_condemn(struct life *life, const struct updater *updater)
{
    const struct lab_sight before = begin(life);
    const struct lab_step step = {.action = LAB_DO_nothing};

    updater->condemn(life);
    end(life, &step, &before);
}

bool life_waits(const struct life *life)
{
    char path[PATH_MAX];

    path_of(life, "waiting", path);
    return access(path, F_OK) == 0;
}

void life_release(struct life *life)
{
    const struct lab_sight before = begin(life);
    const struct lab_step step = {.action = LAB_DO_hook, .phase = LAB_POST_INSTALL};

    life_must(life, "timeout 60 sh -c 'echo go >go'\n"
                    "for i in $(seq 600); do [ ! -e ended ] || break; sleep 0.1; done\n"
                    "rm ended waiting");
    end(life, &step, &before);
}

/* ---- looking ---- */

unsigned int life_heard(const struct life *life, const char *beginning)
{
    char path[PATH_MAX], line[1024];
    unsigned int count = 0;

    path_of(life, "heard", path);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof(line), file) != NULL)
        count += strncmp(line, beginning, strlen(beginning)) == 0;
    fclose(file);
    return count;
}

void life_is(const struct life *life, const char *mode, const char *state)
{
    cr_assert_str_eq(life->sight.mode, mode, "mode is %s, state %s%s\n%s", life->sight.mode,
                     life->sight.state, life->sight.held ? ", held" : "", life->sight.trace);
    cr_assert_str_eq(life->sight.state, state, "mode is %s, state %s\n%s", life->sight.mode,
                     life->sight.state, life->sight.trace);
}

bool life_has(const struct life *life, enum idm_reason reason)
{
    return (life->sight.reasons >> reason & 1) != 0;
}

void life_runs(const struct life *life, int slot, const char *version)
{
    const struct lab_slot *image = &life->sight.slots[life->sight.slot];

    cr_assert_eq(life->sight.slot, slot, "slot %c runs", 'A' + life->sight.slot);
    cr_assert_str_eq(image->version, version);
}

void life_env(const struct life *life, const char *name, const char *value)
{
    char found[IDM_BOOT_VALUE_SIZE];

    cr_assert_eq(idm_bootloader_get(&device_of(life)->bootloader, name, found), 0, "%s", name);
    cr_assert_str_eq(found, value, "%s is %s", name, found);
}
