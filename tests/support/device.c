/* SPDX-License-Identifier: BSD-2-Clause */
/* Making a device, switching it on, running idmode on it. */
#include "tests/support/device.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define IDMODE          IDM_TEST_BUILD_DIR "/bin/idmode"
#define CUT_LIBRARY     IDM_TEST_BUILD_DIR "/tests/cut.so"
#define CLOCK_LIBRARY   IDM_TEST_BUILD_DIR "/tests/clock.so"
#define DISK_LIBRARY    IDM_TEST_BUILD_DIR "/tests/disk.so"
#define SHIM            IDM_TEST_BUILD_DIR "/tests/tcti_shim.so"
#define KILLER          IDM_TEST_BUILD_DIR "/bin/idm-kill"
#define BOOTLIMIT       1000u
#define ARGUMENTS_MAX   32u
#define KILLED_EXIT     (128 + SIGKILL)
#define NO_PROGRAM_EXIT 126 /* and 127: what a shell says too */

static const char *const DIRECTORIES[] = {
    "/config",
    "/persist",
    "/run",
    "/slots",
    "/boot",
    "/etc/idmode/idmode.conf.d",
    "/proc/sys/kernel/random",
    "/sys/class/dmi/id",
};

int idm_device_fail(struct idm_device *device, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(device->error, sizeof(device->error), format, arguments);
    va_end(arguments);
    return -1;
}

/* ---- making it --------------------------------------------------------------------------------
 */

/* Version 4, variant 1 (RFC 9562, 5.4): what the kernel gives as boot_id. */
static int random_uuid(char ret_text[37])
{
    unsigned char u[16];

    if (getrandom(u, sizeof(u), 0) != (ssize_t)sizeof(u))
        return -1;
    u[6] = (unsigned char)((u[6] & 0x0f) | 0x40);
    u[8] = (unsigned char)((u[8] & 0x3f) | 0x80);
    snprintf(ret_text, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
             u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13],
             u[14], u[15]);
    return 0;
}

int idm_device_make_base(struct idm_device *device)
{
    const char *tmp = getenv("TMPDIR");
    int n = snprintf(device->base, sizeof(device->base), "%s/idm-device-XXXXXX",
                     tmp != NULL && tmp[0] == '/' ? tmp : "/tmp");

    if (n < 0 || (size_t)n >= sizeof(device->base) || mkdtemp(device->base) == NULL) {
        device->base[0] = '\0';
        return idm_device_fail(device, "make a scratch directory: %s", strerror(errno));
    }
    snprintf(device->root, sizeof(device->root), "%s/root", device->base);
    return 0;
}

static int make_directories(struct idm_device *device)
{
    char path[IDM_DEVICE_PATH_SIZE];

    snprintf(path, sizeof(path), "%s/bootloader", device->base);
    if (mkdir(device->root, 0755) != 0 || mkdir(path, 0755) != 0)
        return idm_device_fail(device, "make %s: %s", device->root, strerror(errno));
    for (size_t i = 0; i < sizeof(DIRECTORIES) / sizeof(DIRECTORIES[0]); i++) {
        char inside[64];

        /* A file made and removed leaves its directories. */
        snprintf(inside, sizeof(inside), "%s/.made", DIRECTORIES[i]);
        if (idm_device_write_text(device, inside, "") != 0 ||
            idm_device_delete(device, inside) != 0)
            return -1;
    }
    return 0;
}

static int write_identifiers(struct idm_device *device, const struct idm_device_options *options)
{
    char uuid[37], text[64];
    size_t n = 0;

    if (random_uuid(uuid) != 0)
        return idm_device_fail(device, "no random numbers");
    for (const char *c = uuid; *c != '\0'; c++) {
        if (*c != '-')
            text[n++] = *c;
    }
    text[n++] = '\n';
    text[n] = '\0';
    if (idm_device_write_text(device, "/etc/machine-id", text) != 0)
        return -1;
    if (options->serial != NULL)
        snprintf(text, sizeof(text), "%s\n", options->serial);
    else
        snprintf(text, sizeof(text), "SN-%.8s\n", uuid + 28);
    if (text[0] == '\n')
        return 0;
    return idm_device_write_text(device, "/sys/class/dmi/id/product_serial", text);
}

static int write_configuration(struct idm_device *device, const struct idm_device_options *options)
{
    char text[512];

    snprintf(text, sizeof(text),
             "[tpm]\n"
             "wait = 1s\n"
             "[identity]\n"
             "algorithm = %s\n"
             "[image]\n"
             "slots = A:/slots/a.img B:/slots/b.img\n"
             "[bootenv]\n"
             "backend = %s\n",
             options->rsa ? "rsa-2048" : "ecdsa-p256",
             options->scheme == IDM_BOOT_NONE ? "none" : "uboot");
    if (idm_device_write_text(device, "/etc/idmode/idmode.conf", text) != 0)
        return -1;
    if (options->scheme != IDM_BOOT_NONE) {
        idm_bootloader_config_text("/boot", text, sizeof(text));
        if (idm_device_write_text(device, "/etc/fw_env.config", text) != 0)
            return -1;
    }
    if (options->conf == NULL)
        return 0;
    return idm_device_write_text(device, "/etc/idmode/idmode.conf.d/50-test.conf", options->conf);
}

static int make_hardware(struct idm_device *device, const struct idm_device_options *options)
{
    char boot[IDM_DEVICE_PATH_SIZE], private_dir[IDM_DEVICE_PATH_SIZE];
    int result;

    idm_device_path(device, "/boot", boot);
    snprintf(private_dir, sizeof(private_dir), "%s/bootloader", device->base);
    if (idm_bootloader_make(&device->bootloader, options->scheme, boot, private_dir,
                            options->bootlimit != 0 ? options->bootlimit : BOOTLIMIT) != 0)
        return idm_device_fail(device, "fw_setenv could not make the boot environment in %s", boot);
    snprintf(device->tcti, sizeof(device->tcti), "none");
    if (options->without_tpm)
        return 0;
    result = idm_swtpm_start(&device->tpm, NULL);
    if (result != 0)
        return idm_device_fail(device, "swtpm did not start: %s", strerror(-result));
    device->has_tpm = true;
    snprintf(device->tcti, sizeof(device->tcti), "%s", device->tpm.tcti);
    return 0;
}

int idm_device_open(struct idm_device *ret, const struct idm_device_options *options)
{
    static const struct idm_device_options defaults;
    char error[sizeof(ret->error)];

    if (options == NULL)
        options = &defaults;
    *ret = (struct idm_device){.rsa = options->rsa, .target_slot = 1, .target_aware = "yes"};
    if (idm_device_make_base(ret) == 0 && make_directories(ret) == 0 &&
        write_identifiers(ret, options) == 0 && write_configuration(ret, options) == 0 &&
        make_hardware(ret, options) == 0 &&
        idm_device_put_image(ret, 0, !options->legacy,
                             options->version != NULL ? options->version : "1.0") == 0)
        return 0;
    memcpy(error, ret->error, sizeof(error));
    idm_device_close(ret);
    memcpy(ret->error, error, sizeof(error));
    return -1;
}

void idm_device_close(struct idm_device *device)
{
    if (device == NULL)
        return;
    idm_swtpm_remove(&device->tpm);
    if (device->base[0] != '\0')
        idm_device_remove_tree(device->base);
    *device = (struct idm_device){0};
}

/* ---- idmode -----------------------------------------------------------------------------------
 */

void idm_device_cut_at(struct idm_device *device, unsigned long n)
{
    device->count_steps = true;
    device->cut_at = n;
}

static void count_path(const struct idm_device *device, char ret_path[IDM_DEVICE_PATH_SIZE])
{
    snprintf(ret_path, IDM_DEVICE_PATH_SIZE, "%s/steps", device->base);
}

unsigned long idm_device_steps(const struct idm_device *device)
{
    char path[IDM_DEVICE_PATH_SIZE];
    unsigned long n = 0;
    FILE *file;

    count_path(device, path);
    file = fopen(path, "re");
    if (file == NULL)
        return 0; /* nothing was counted: there was no step */
    if (fscanf(file, "%lu", &n) != 1)
        n = 0;
    fclose(file);
    return n;
}

void idm_device_clock(struct idm_device *device, int64_t seconds)
{
    device->clock_set = true;
    device->clock = seconds;
}

void idm_device_clock_real(struct idm_device *device)
{
    device->clock_set = false;
}

#define VARIABLES_MAX 10u

struct environment {
    char text[VARIABLES_MAX][2 * IDM_DEVICE_PATH_SIZE + 64];
    const char *list[VARIABLES_MAX + 1];
    size_t count;
};

__attribute__((format(printf, 2, 3))) static void put(struct environment *e, const char *format,
                                                      ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(e->text[e->count], sizeof(e->text[e->count]), format, arguments);
    va_end(arguments);
    e->list[e->count] = e->text[e->count];
    e->count++;
}

/* In the order in which they see a call: what the disk refuses is no step. */
static void put_preloads(const struct idm_device *device, struct environment *e)
{
    const char *const libraries[] = {
        device->count_steps ? CUT_LIBRARY : NULL,
        device->clock_set ? CLOCK_LIBRARY : NULL,
        device->disk != IDM_DISK_OK || device->fat ? DISK_LIBRARY : NULL,
    };
    char list[3 * sizeof(CLOCK_LIBRARY) + 16] = "";
    size_t used = 0;

    for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++) {
        if (libraries[i] != NULL)
            used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", used != 0 ? ":" : "",
                                     libraries[i]);
    }
    if (used != 0)
        put(e, "LD_PRELOAD=%s", list);
}

static void put_cut(const struct idm_device *device, struct environment *e)
{
    char path[IDM_DEVICE_PATH_SIZE];

    count_path(device, path);
    if (!device->cut_lasts)
        unlink(path);
    put(e, "IDM_TEST_CUT_COUNT_FILE=%s", path);
    put(e, "IDM_TEST_CUT_MEMORY=%s/run", device->root);
    if (device->cut_at != 0)
        put(e, "IDM_TEST_CUT=%lu", device->cut_at);
    if (device->cut_after[0] != '\0')
        put(e, "IDM_TEST_CUT_NAME=%s", device->cut_after);
}

static void put_disk(const struct idm_device *device, struct environment *e)
{
    if (device->disk != IDM_DISK_OK)
        put(e, "IDM_TEST_DISK_%s=%s/config:%s/persist",
            device->disk == IDM_DISK_FULL ? "FULL" : "READ_ONLY", device->root, device->root);
    if (device->fat)
        put(e, "IDM_TEST_DISK_FAT=%s/config", device->root);
}

static void prepare(const struct idm_device *device, struct environment *ret)
{
    put_preloads(device, ret);
    put_disk(device, ret);
    if (device->clock_set)
        put(ret, "IDM_TEST_CLOCK=%" PRId64, device->clock);
    if (device->count_steps)
        put_cut(device, ret);
}

/* An armed cut is for one run, unless it lasts. */
static void disarm(struct idm_device *device)
{
    if (device->cut_lasts)
        return;
    device->count_steps = false;
    device->cut_at = 0;
    device->cut_after[0] = '\0';
    device->kill = IDM_KILL_NONE;
}

void idm_device_kill_begin(struct idm_device *device, enum idm_device_kill kill, unsigned long n)
{
    static const char *const logs[] = {IDM_DEVICE_CALLS, IDM_DEVICE_COMMANDS};
    char path[IDM_DEVICE_PATH_SIZE];

    for (size_t i = 0; i < sizeof(logs) / sizeof(logs[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", device->base, logs[i]);
        unlink(path);
    }
    device->cut_lasts = true;
    device->kill = kill;
    device->kill_at = n;
}

void idm_device_cut_begin(struct idm_device *device, unsigned long n, const char *after)
{
    char path[IDM_DEVICE_PATH_SIZE];

    count_path(device, path);
    unlink(path);
    device->count_steps = true;
    device->cut_lasts = true;
    device->cut_at = n;
    snprintf(device->cut_after, sizeof(device->cut_after), "%s", after != NULL ? after : "");
}

void idm_device_cut_end(struct idm_device *device)
{
    device->cut_lasts = false;
    disarm(device);
}

/* Was that an end that a program may have? */
static int judge(struct idm_device *device, const struct idm_run *run, const char *command,
                 bool cut_armed)
{
    device->exit_code = run->exit_code;
    snprintf(device->said, sizeof(device->said), "%s", run->err);
    device->was_cut = cut_armed && run->exit_code == KILLED_EXIT && !run->timed_out;
    if (device->was_cut)
        return 0;
    if (run->timed_out)
        return idm_device_fail(device, "idmode %s did not end within %u s: %s", command,
                               IDM_RUN_TIMEOUT_S, run->err);
    if (run->exit_code >= NO_PROGRAM_EXIT || run->exit_code == IDM_RUN_SANITIZER_EXIT)
        return idm_device_fail(device, "idmode %s ended with %d, no exit code of its own: %s",
                               command, run->exit_code, run->err);
    return 0;
}

#define TCTI_SIZE (3 * IDM_DEVICE_PATH_SIZE)

struct way {
    char log[IDM_DEVICE_PATH_SIZE], when[64], tcti[TCTI_SIZE];
};

/* The program and the way to the chip, with what kills in between. Returns how many words. */
static size_t begin_command(const struct idm_device *device, struct way *way, const char *argv[])
{
    static const char *const words[] = {[IDM_KILL_NONE] = "",
                                        [IDM_KILL_COUNTS] = "",
                                        [IDM_KILL_BEFORE_CALL] = "before",
                                        [IDM_KILL_AFTER_CALL] = "after",
                                        [IDM_KILL_BEFORE_COMMAND] = "kill-before",
                                        [IDM_KILL_AFTER_COMMAND] = "kill-after"};
    bool at_call = device->kill == IDM_KILL_BEFORE_CALL || device->kill == IDM_KILL_AFTER_CALL;
    bool at_command = device->kill > IDM_KILL_AFTER_CALL;
    size_t n = 0;

    snprintf(way->log, sizeof(way->log), "%s/" IDM_DEVICE_CALLS, device->base);
    snprintf(way->when, sizeof(way->when), "count");
    if (at_call)
        snprintf(way->when, sizeof(way->when), "%s:%lu", words[device->kill], device->kill_at);
    snprintf(way->tcti, sizeof(way->tcti), "%s", device->tcti);
    if (at_command)
        snprintf(way->tcti, sizeof(way->tcti),
                 SHIM ":log=%s/" IDM_DEVICE_COMMANDS ",at=%lu,do=%s,child=%s", device->base,
                 device->kill_at, words[device->kill], device->tcti);
    else if (device->kill == IDM_KILL_COUNTS && strcmp(device->tcti, "none") != 0)
        snprintf(way->tcti, sizeof(way->tcti), SHIM ":log=%s/" IDM_DEVICE_COMMANDS ",child=%s",
                 device->base, device->tcti);
    if (at_call || device->kill == IDM_KILL_COUNTS) {
        argv[n++] = KILLER;
        argv[n++] = way->log;
        argv[n++] = device->root;
        argv[n++] = way->when;
    }
    argv[n++] = IDMODE;
    argv[n++] = "--root";
    argv[n++] = device->root;
    argv[n++] = "--tcti";
    argv[n++] = way->tcti;
    return n;
}

int idm_device_run(struct idm_device *device, struct idm_run *ret_run, const char *input,
                   size_t input_size, const char *const args[])
{
    const char *argv[ARGUMENTS_MAX] = {NULL};
    struct environment environment = {0};
    struct way way;
    struct idm_run_options options = {
        .env = environment.list, .input = input, .input_size = input_size};
    bool cut_armed =
        device->cut_at != 0 || device->cut_after[0] != '\0' || device->kill > IDM_KILL_COUNTS;
    struct idm_run run = {0};
    size_t n = begin_command(device, &way, argv);

    for (size_t i = 0; args[i] != NULL; i++) {
        if (n + 1 >= ARGUMENTS_MAX)
            return idm_device_fail(device, "more arguments than idmode ever takes");
        argv[n++] = args[i];
    }
    device->runs++;
    prepare(device, &environment);
    disarm(device);
    if (idm_run(&run, &options, argv) != 0)
        return idm_device_fail(device, "run %s: %s", IDMODE, strerror(errno));
    if (judge(device, &run, args[0] != NULL ? args[0] : "", cut_armed) != 0) {
        idm_run_free(&run);
        return -1;
    }
    if (ret_run != NULL)
        *ret_run = run;
    else
        idm_run_free(&run);
    return 0;
}

int idm_device_idmode(struct idm_device *device, struct idm_run *ret_run, const char *arg, ...)
{
    const char *args[ARGUMENTS_MAX] = {arg};
    va_list list;
    size_t n = 1;

    va_start(list, arg);
    while (n + 1 < ARGUMENTS_MAX && (args[n] = va_arg(list, const char *)) != NULL)
        n++;
    va_end(list);
    args[ARGUMENTS_MAX - 1] = NULL;
    return idm_device_run(device, ret_run, NULL, 0, args);
}

/* ---- power ------------------------------------------------------------------------------------
 */

/* Is this process one that tells hooks of this device? Nobody waits for it, so it may outlive its command. */
static bool tells_hooks(const struct idm_device *device, const char *pid)
{
    static const char word[] = "hooks\0--root";
    char path[300], line[IDM_DEVICE_PATH_SIZE + 64];

    snprintf(path, sizeof(path), "/proc/%s/cmdline", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    size_t size = fread(line, 1, sizeof(line) - 1, file);
    fclose(file);
    line[size] = '\0';
    const char *at = memmem(line, size, word, sizeof(word));
    return at != NULL && strcmp(at + sizeof(word), device->root) == 0;
}

/* Without power nothing runs. */
static void power_off(const struct idm_device *device)
{
    DIR *processes = opendir("/proc");
    const struct dirent *entry;

    while (processes != NULL && (entry = readdir(processes)) != NULL) {
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
            tells_hooks(device, entry->d_name))
            kill((pid_t)strtol(entry->d_name, NULL, 10), SIGKILL);
    }
    if (processes != NULL)
        closedir(processes);
}

static int power_on(struct idm_device *device)
{
    bool has_image[IDM_DEVICE_SLOTS];
    char text[128], uuid[37];
    power_off(device);
    int result = device->has_tpm ? idm_swtpm_power_cycle(&device->tpm) : 0;

    if (result != 0)
        return idm_device_fail(device, "the TPM did not come back: %s", strerror(-result));
    if (idm_device_delete(device, "/run") != 0 || random_uuid(uuid) != 0)
        return -1;
    snprintf(text, sizeof(text), "%s\n", uuid);
    if (idm_device_write_text(device, "/proc/sys/kernel/random/boot_id", text) != 0)
        return -1;
    for (int slot = 0; slot < IDM_DEVICE_SLOTS; slot++)
        has_image[slot] = idm_device_slot(device, slot).present;
    if (idm_bootloader_pick(&device->bootloader, has_image, &device->slot) != 0)
        return idm_device_fail(device, "the bootloader finds nothing to boot");
    device->image = idm_device_slot(device, device->slot);
    return 0;
}

/* What the kernel and the image bring along. */
static int bring_up(struct idm_device *device)
{
    char text[128];

    snprintf(text, sizeof(text), "console=ttyS0 idmode.slot=%c\n", "AB"[device->slot]);
    if (idm_device_write_text(device, "/proc/cmdline", text) != 0)
        return -1;
    snprintf(text, sizeof(text), "ID=test\nVERSION_ID=\"%s\"\n", device->image.version);
    if (idm_device_write_text(device, "/etc/os-release", text) != 0 ||
        idm_device_write_text(device, "/run/.made", "") != 0)
        return -1;
    return idm_device_delete(device, "/run/.made");
}

static int boot_legacy(struct idm_device *device)
{
    char config[IDM_DEVICE_PATH_SIZE], subject[64];
    struct idm_legacy_image image = {.config_dir = config, .subject = subject, .rsa = device->rsa};

    idm_device_path(device, "/config", config);
    snprintf(subject, sizeof(subject), "/CN=legacy-%u", device->boots);
    if (idm_legacy_boot(&image, &device->legacy_view, &device->minted) != 0)
        return idm_device_fail(device, "the legacy image could not mint a pair in %s", config);
    return 0;
}

int idm_device_boot(struct idm_device *device)
{
    device->minted = false;
    device->exit_code = 0;
    device->was_cut = false;
    if (power_on(device) != 0 || bring_up(device) != 0)
        return -1;
    device->boots++;
    if (device->image.aware) {
        if (idm_device_idmode(device, NULL, "boot", NULL) != 0)
            return -1;
        if (device->was_cut)
            return 0;
    } else if (boot_legacy(device) != 0) {
        return -1;
    }
    if (idm_bootloader_up(&device->bootloader, device->slot) != 0)
        return idm_device_fail(device, "the boot environment could not be written");
    return 0;
}
