/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/bootloader.h"

#include "tests/support/run.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENV_SIZE      0x4000 /* CONFIG_ENV_SIZE of many boards */
#define RAUC_ATTEMPTS 3      /* RAUC's own default for BOOT_x_LEFT */

static const char *const SLOT[2] = {"A", "B"};

static int write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    if (file == NULL)
        return -1;
    if (fputs(text, file) < 0) {
        fclose(file);
        return -1;
    }
    return fclose(file);
}

static int make_copy(const char *dir, const char *name)
{
    char path[PATH_MAX + 32];
    int fd, result;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return -1;
    result = ftruncate(fd, ENV_SIZE);
    close(fd);
    return result;
}

void idm_bootloader_config_text(const char *dir_seen, char *ret_text, size_t size)
{
    snprintf(ret_text, size, "%s/uboot.env 0x0 0x%x\n%s/uboot-redund.env 0x0 0x%x\n", dir_seen,
             ENV_SIZE, dir_seen, ENV_SIZE);
}

int idm_bootloader_set(const struct idm_bootloader *boot, const char *const assignments[])
{
    char script[PATH_MAX + 16], text[2048] = "";
    const char *const argv[] = {"fw_setenv",    "-c", boot->config, "-f",
                                boot->defaults, "-s", script,       NULL};
    _cleanup_run_ struct idm_run run = {0};
    size_t used = 0;
    int result;

    for (size_t i = 0; assignments[i] != NULL; i++) {
        int n = snprintf(text + used, sizeof(text) - used, "%s\n", assignments[i]);

        if (n < 0 || (size_t)n >= sizeof(text) - used)
            return -1;
        used += (size_t)n;
    }
    snprintf(script, sizeof(script), "%s.script", boot->config);
    if (write_text(script, text) != 0)
        return -1;
    result = idm_run(&run, NULL, argv);
    unlink(script);
    return result != 0 || run.exit_code != 0 ? -1 : 0;
}

static int remember(const struct idm_bootloader *boot, int slot, bool trial)
{
    const char text[] = {SLOT[slot][0], trial ? 't' : 'c', '\n', '\0'};

    return write_text(boot->own, text);
}

static int recall(const struct idm_bootloader *boot, int *ret_slot, bool *ret_trial)
{
    FILE *file = fopen(boot->own, "re");
    int slot, trial;

    if (file == NULL)
        return -1;
    slot = fgetc(file);
    trial = fgetc(file);
    fclose(file);
    if ((slot != 'A' && slot != 'B') || (trial != 't' && trial != 'c'))
        return -1;
    *ret_slot = slot - 'A';
    *ret_trial = trial == 't';
    return 0;
}

static int write_configuration(const struct idm_bootloader *boot)
{
    char text[2 * PATH_MAX + 64];

    idm_bootloader_config_text(boot->dir, text, sizeof(text));
    return write_text(boot->config, text);
}

static int make_environment(const struct idm_bootloader *boot, unsigned bootlimit)
{
    char text[256];

    if (write_configuration(boot) != 0)
        return -1;
    if (boot->scheme == IDM_BOOT_RAUC)
        snprintf(text, sizeof(text), "BOOT_ORDER=A B\nBOOT_A_LEFT=%d\nBOOT_B_LEFT=%d\n",
                 RAUC_ATTEMPTS, RAUC_ATTEMPTS);
    else
        snprintf(text, sizeof(text), "bootslot=A\nupgrade_available=0\nbootcount=0\nbootlimit=%u\n",
                 bootlimit);
    if (write_text(boot->defaults, text) != 0 || make_copy(boot->dir, "uboot.env") != 0 ||
        make_copy(boot->dir, "uboot-redund.env") != 0)
        return -1;
    return idm_bootloader_set(boot, (const char *const[]){NULL});
}

static int name_files(struct idm_bootloader *boot, const char *dir, const char *private_dir)
{
    if (strlen(dir) + 32 > PATH_MAX || strlen(private_dir) + 32 > PATH_MAX)
        return -1;
    snprintf(boot->dir, sizeof(boot->dir), "%s", dir);
    snprintf(boot->config, sizeof(boot->config), "%s/fw_env.config", private_dir);
    snprintf(boot->defaults, sizeof(boot->defaults), "%s/fw_env.defaults", private_dir);
    snprintf(boot->own, sizeof(boot->own), "%s/bootloader", private_dir);
    return 0;
}

int idm_bootloader_make(struct idm_bootloader *ret, enum idm_boot_scheme scheme, const char *dir,
                        const char *private_dir, unsigned bootlimit)
{
    struct idm_bootloader boot = {.scheme = scheme};

    if (name_files(&boot, dir, private_dir) != 0 || remember(&boot, 0, false) != 0 ||
        (scheme != IDM_BOOT_NONE && make_environment(&boot, bootlimit) != 0))
        return -1;
    *ret = boot;
    return 0;
}

int idm_bootloader_move(struct idm_bootloader *boot, const char *dir, const char *private_dir)
{
    if (name_files(boot, dir, private_dir) != 0)
        return -1;
    return boot->scheme == IDM_BOOT_NONE ? 0 : write_configuration(boot);
}

int idm_bootloader_get(const struct idm_bootloader *boot, const char *name,
                       char ret_value[IDM_BOOT_VALUE_SIZE])
{
    const char *const argv[] = {"fw_printenv", "-c", boot->config, "-n", name, NULL};
    _cleanup_run_ struct idm_run run = {0};

    if (idm_run(&run, NULL, argv) != 0 || run.exit_code != 0)
        return -1;
    run.out[strcspn(run.out, "\n")] = '\0';
    if (strlen(run.out) >= IDM_BOOT_VALUE_SIZE)
        return -1;
    memcpy(ret_value, run.out, strlen(run.out) + 1);
    return 0;
}

/* The whole environment, by one program: "NAME=VALUE" lines in ret->out. -1 when it cannot be read. */
static int get_all(const struct idm_bootloader *boot, struct idm_run *ret)
{
    const char *const argv[] = {"fw_printenv", "-c", boot->config, NULL};

    return idm_run(ret, NULL, argv) != 0 || ret->exit_code != 0 ? -1 : 0;
}

/* "" when it is not there, or too long for what it is. */
static void value_in(const struct idm_run *all, const char *name,
                     char ret_value[IDM_BOOT_VALUE_SIZE])
{
    size_t length = strlen(name);

    ret_value[0] = '\0';
    for (const char *line = all->out; *line != '\0'; line += strcspn(line, "\n") + 1) {
        size_t size = strcspn(line, "\n");

        if (size > length && strncmp(line, name, length) == 0 && line[length] == '=' &&
            size - length - 1 < IDM_BOOT_VALUE_SIZE) {
            memcpy(ret_value, line + length + 1, size - length - 1);
            ret_value[size - length - 1] = '\0';
        }
        if (line[size] == '\0')
            return;
    }
}

/* What is no number counts as `otherwise`. */
static int number_in(const struct idm_run *all, const char *name, int otherwise)
{
    char value[IDM_BOOT_VALUE_SIZE], *end = NULL;
    long n;

    value_in(all, name, value);
    if (value[0] == '\0')
        return otherwise;
    n = strtol(value, &end, 10);
    return *end != '\0' || n < 0 || n > 1000000 ? otherwise : (int)n;
}

static int set_number(const struct idm_bootloader *boot, const char *name, int value)
{
    char text[IDM_BOOT_VALUE_SIZE];

    snprintf(text, sizeof(text), "%s=%d", name, value);
    return idm_bootloader_set(boot, (const char *const[]){text, NULL});
}

/* BOOT_A_LEFT or BOOT_B_LEFT. */
static const char *left_of(int slot)
{
    return slot == 0 ? "BOOT_A_LEFT" : "BOOT_B_LEFT";
}

/* The pickers, when `asked` only, change nothing. */
static int pick_bootcount(const struct idm_bootloader *boot, const bool has_image[2], bool asked,
                          int *slot)
{
    _cleanup_run_ struct idm_run all = {0};
    char wanted[IDM_BOOT_VALUE_SIZE];
    int count;

    if (get_all(boot, &all) != 0)
        return 0;
    value_in(&all, "bootslot", wanted);
    if (strcmp(wanted, SLOT[0]) == 0 || strcmp(wanted, SLOT[1]) == 0)
        *slot = wanted[0] - 'A';
    if (number_in(&all, "upgrade_available", 0) != 1)
        return 0;
    count = number_in(&all, "bootcount", 0) + 1;
    if (count <= number_in(&all, "bootlimit", 0) || !has_image[!*slot])
        return asked ? 0 : set_number(boot, "bootcount", count);
    *slot = !*slot;
    return asked ? 0 : idm_bootloader_fallback(boot, !*slot);
}

static int pick_rauc(const struct idm_bootloader *boot, bool asked, int *slot)
{
    _cleanup_run_ struct idm_run all = {0};
    char order[IDM_BOOT_VALUE_SIZE];

    if (get_all(boot, &all) != 0)
        return 0;
    value_in(&all, "BOOT_ORDER", order);
    for (const char *c = order; *c != '\0'; c++) {
        int left;

        if (*c != 'A' && *c != 'B')
            continue;
        left = number_in(&all, left_of(*c - 'A'), 0);
        if (left == 0)
            continue;
        *slot = *c - 'A';
        return left > 1 && !asked ? set_number(boot, left_of(*slot), left - 1) : 0;
    }
    return 0;
}

/* slot: that of the bootloader's own memory, to the one that it picks. */
static int pick(const struct idm_bootloader *boot, const bool has_image[2], bool asked, int *slot)
{
    int result = 0;

    if (boot->scheme == IDM_BOOT_BOOTCOUNT)
        result = pick_bootcount(boot, has_image, asked, slot);
    else if (boot->scheme == IDM_BOOT_RAUC)
        result = pick_rauc(boot, asked, slot);
    if (!has_image[*slot])
        *slot = !*slot;
    return result != 0 || !has_image[*slot] ? -1 : 0;
}

int idm_bootloader_pick(const struct idm_bootloader *boot, const bool has_image[2], int *ret_slot)
{
    int slot = 0, before;
    bool trial = false;

    if (recall(boot, &slot, &trial) != 0)
        return -1;
    before = slot;
    if (pick(boot, has_image, false, &slot) != 0 ||
        remember(boot, slot, trial && slot == before) != 0)
        return -1;
    *ret_slot = slot;
    return 0;
}

int idm_bootloader_next(const struct idm_bootloader *boot, const bool has_image[2], int *ret_slot,
                        int *ret_on_trial)
{
    int slot = 0, before;
    bool trial = false;

    if (recall(boot, &slot, &trial) != 0)
        return -1;
    before = slot;
    if (pick(boot, has_image, true, &slot) != 0)
        return -1;
    *ret_slot = slot;
    *ret_on_trial = trial ? before : -1;
    return 0;
}

int idm_bootloader_up(const struct idm_bootloader *boot, int slot)
{
    _cleanup_run_ struct idm_run all = {0};
    int last;
    bool trial;

    if (boot->scheme != IDM_BOOT_RAUC)
        return 0;
    if (recall(boot, &last, &trial) != 0)
        return -1;
    /* An environment that cannot be read is none that a mark-good could repair. */
    if (trial || get_all(boot, &all) != 0 ||
        number_in(&all, left_of(slot), RAUC_ATTEMPTS) == RAUC_ATTEMPTS)
        return 0;
    return set_number(boot, left_of(slot), RAUC_ATTEMPTS);
}

int idm_bootloader_begin(const struct idm_bootloader *boot, int slot)
{
    char order[IDM_BOOT_VALUE_SIZE];

    if (boot->scheme != IDM_BOOT_RAUC)
        return 0;
    snprintf(order, sizeof(order), "BOOT_ORDER=%s", SLOT[!slot]);
    if (idm_bootloader_set(boot, (const char *const[]){order, NULL}) != 0)
        return -1;
    return set_number(boot, left_of(slot), 0);
}

int idm_bootloader_arm(const struct idm_bootloader *boot, int slot)
{
    char text[IDM_BOOT_VALUE_SIZE];
    int result = 0;

    if (boot->scheme == IDM_BOOT_BOOTCOUNT) {
        snprintf(text, sizeof(text), "bootslot=%s", SLOT[slot]);
        result = idm_bootloader_set(
            boot, (const char *const[]){text, "upgrade_available=1", "bootcount=0", NULL});
    } else if (boot->scheme == IDM_BOOT_RAUC) {
        snprintf(text, sizeof(text), "BOOT_ORDER=%s %s", SLOT[slot], SLOT[!slot]);
        result = set_number(boot, left_of(slot), RAUC_ATTEMPTS);
        if (result == 0)
            result = idm_bootloader_set(boot, (const char *const[]){text, NULL});
    }
    return result != 0 ? result : remember(boot, slot, true);
}

int idm_bootloader_commit(const struct idm_bootloader *boot, int slot)
{
    int result = 0;

    if (boot->scheme == IDM_BOOT_BOOTCOUNT)
        result = idm_bootloader_set(
            boot, (const char *const[]){"upgrade_available=0", "bootcount=0", NULL});
    else if (boot->scheme == IDM_BOOT_RAUC)
        result = set_number(boot, left_of(slot), RAUC_ATTEMPTS);
    return result != 0 ? result : remember(boot, slot, false);
}

int idm_bootloader_noted(const struct idm_bootloader *boot, int slot, bool on_trial)
{
    return remember(boot, slot, on_trial);
}

int idm_bootloader_fallback(const struct idm_bootloader *boot, int from)
{
    char text[IDM_BOOT_VALUE_SIZE];
    int result = 0;

    if (boot->scheme == IDM_BOOT_BOOTCOUNT) {
        snprintf(text, sizeof(text), "bootslot=%s", SLOT[!from]);
        result = idm_bootloader_set(
            boot, (const char *const[]){text, "upgrade_available=0", "bootcount=0", NULL});
    } else if (boot->scheme == IDM_BOOT_RAUC) {
        result = set_number(boot, left_of(from), 0);
    }
    return result != 0 ? result : remember(boot, !from, false);
}
