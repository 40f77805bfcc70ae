/* SPDX-License-Identifier: BSD-2-Clause */
/* The power goes at a TPM command: before the chip sees it, or between its commit and its answer. Then
 * a boot settles the identity as the old or the new one, never a third, without a false alarm, and the
 * boot after that has nothing left to do. */
#include "backends/tpm/tpm.h"
#include "tests/life/life_shim.h"

LIFE(power);

#define KILLED_EXIT  137 /* 128 + SIGKILL */
#define COMMANDS_MAX 160u

/* What an uncut run asks the chip, by name, from 1; the shim logged it. */
static unsigned asked(char ret_names[COMMANDS_MAX][32])
{
    char path[300], line[64];
    unsigned n = 0;

    log_path(path);
    FILE *log = fopen(path, "re");
    cr_assert_not_null(log);
    while (fgets(line, sizeof(line), log) != NULL) {
        cr_assert_lt(++n, COMMANDS_MAX);
        cr_assert_eq(sscanf(line, "%*u %31s", ret_names[n]), 1);
    }
    fclose(log);
    return n;
}

static bool changes_chip(const char *name)
{
    static const char *const names[] = {"EvictControl", "NV_DefineSpace", "NV_UndefineSpace",
                                        "NV_Increment", "Clear"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

static unsigned persistent_objects(void)
{
    uint32_t handles[IDM_TPM_PERSISTENT_MAX];
    struct idm_settings settings;
    struct idm_tpm *tpm = NULL;
    struct idm_error error = {0};
    size_t count = 0;

    idm_settings_default(&settings);
    snprintf(settings.tcti, sizeof(settings.tcti), "%s", device.tpm.tcti);
    cr_assert_eq(idm_tpm_open(&tpm, "", &settings, &error), 0);
    cr_assert_eq(idm_tpm_persistent(tpm, handles, &count, &error), 0, "%s", error.why);
    idm_tpm_free(tpm);
    return (unsigned)count;
}

struct scene {
    int (*act)(void);                          /* in which the power goes */
    void (*judge)(const char *at, void *more); /* after the first boot that follows */
    void *more;
    unsigned steady; /* commands of the boot after that, at most */
};

/* The power goes at the n-th command of the act, on the frozen device. Two boots settle it: the second
 * has nothing to do, and no interrupted attempt left a key in the chip. */
static void cut(const struct scene *scene, const char *how, unsigned n)
{
    char at[64], last[64];

    snprintf(at, sizeof(at), "%s %u", how, n);
    OK(idm_device_thaw(&device, "frozen"));
    spoil_at(how, n);
    cr_assert_neq(scene->act(), 0, "%s: it was not killed", at);
    commands(last);
    cr_assert(device.exit_code == KILLED_EXIT && strstr(last, "killed-") != NULL, "%s: %s", at,
              device.error);
    honest();
    boot(0);
    scene->judge(at, scene->more);
    struct kept cert = keep("/run/idmode/device.cert.pem");
    spoil(COUNT);
    boot(0);
    cr_assert_leq(commands(NULL), scene->steady, "%s: the second boot makes something", at);
    status_is("tpm", "tpm-dual", "");
    exact(&cert);
    drop(&cert);
    cr_assert_eq(persistent_objects(), 3u, "%s: SRK, parent, device key", at);
}

/* Before and after each command that changes the chip; of the others, which a cut cannot tell from
 * their neighbours but by the files written in between, every `every`-th. */
static void cut_everywhere(const struct scene *scene, unsigned every)
{
    char names[COMMANDS_MAX][32];
    unsigned cuts = 0;

    OK(idm_device_freeze(&device, "frozen"));
    spoil(COUNT);
    OK(scene->act());
    unsigned count = asked(names);
    for (unsigned n = 1; n <= count; n++) {
        bool changes = changes_chip(names[n]);

        cuts += changes;
        if (changes)
            cut(scene, "kill-after", n);
        if (changes || n % every == 1)
            cut(scene, "kill-before", n);
    }
    cr_assert_geq(cuts, 4u, "the act changes the chip: %u", cuts);
}

static int act_boot(void)
{
    return idm_device_boot(&device);
}

static void judge_provisioning(const char *at, void *more)
{
    (void)more;
    status_is("tpm", "tpm-dual", "");
    cr_assert_eq(status_epoch(), 1, "%s: epoch %lld", at, status_epoch());
    active();
    legacy_pair();
}

Test(power, cut_at_commands_of_first_provisioning)
{
    open_device(NULL);
    cut_everywhere(&(struct scene){.act = act_boot, .judge = judge_provisioning, .steady = 3}, 10);
}

/* The deletion was noted and the exact bytes were back before the switch began. */
static void judge_switch(const char *at, void *more)
{
    const struct idm_device_identity *before = more;

    status_is("tpm", "tpm-dual", "");
    cr_assert_eq(status_epoch(), 2, "%s: epoch %lld", at, status_epoch());
    cr_assert_str_neq(active().spki_sha256, before->spki_sha256);
    cr_assert_str_eq(legacy_pair().cert_sha256, before->cert_sha256, "%s", at);
}

Test(power, cut_at_commands_of_the_switch)
{
    struct idm_device_identity before;

    open_software_device(NULL, false);
    before = active();
    OK(idm_device_delete(&device, CONFIG_CERT));
    cut_everywhere(
        &(struct scene){.act = act_boot, .judge = judge_switch, .more = &before, .steady = 3}, 10);
}

static int act_reset(void)
{
    return idm_device_idmode(&device, NULL, "factory-reset", "--yes", NULL);
}

struct reset_story {
    struct idm_device_identity before;
    struct kept file;
};

/* Either it had not begun, or it came to its end and the old key is dead. */
static void judge_reset(const char *at, void *more)
{
    const struct reset_story *story = more;
    struct idm_device_identity after = active();
    bool begun = strcmp(after.spki_sha256, story->before.spki_sha256) != 0, signs;

    cr_assert_eq(status_epoch(), begun ? 2 : 1, "%s: epoch %lld", at, status_epoch());
    OK(idm_device_chip_signs(&device, story->file.data, story->file.size, &signs));
    cr_assert_eq(signs, !begun, "%s: the old key file", at);
}

/* The boot after notes that the TPM was reset since, which makes the reset final, and looks again. */
static void cut_reset(int (*act)(void), unsigned every)
{
    struct reset_story story;

    open_device(NULL);
    boot(0);
    story.before = active();
    story.file = keep(PERSIST_TSS2);
    cut_everywhere(&(struct scene){.act = act, .judge = judge_reset, .more = &story, .steady = 10},
                   every);
    drop(&story.file);
}

Test(power, cut_at_commands_of_a_factory_reset)
{
    cut_reset(act_reset, 12);
}

static int act_clear(void)
{
    return idm_device_idmode(&device, NULL, "factory-reset", "--yes", "--reset", "clear", NULL);
}

Test(power, cut_at_commands_of_a_factory_reset_by_clear)
{
    cut_reset(act_clear, 40);
}
