/* SPDX-License-Identifier: BSD-2-Clause */
/* cost.c - what a program costs besides TPM commands, on the provisioned device. */
#include "tests/bench/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BARE          IDM_TEST_BUILD_DIR "/bin/idm-bare"
#define DEVICE_KEY    "0x81020000" /* the defaults of [tpm] device-handle and counter-index */
#define COUNTER_INDEX "0x01821D01"
#define ROUNDS        201 /* odd: the median is one of them */
#define SLOW_ROUNDS   11
#define SHIM          IDM_TEST_BUILD_DIR "/tests/tcti_shim.so"
#define PATH          IDM_DEVICE_PATH_SIZE
#define WORDS         24

extern char **environ;

/* A program's words: `before` them, "idmode --root … --tcti …", `after` them; ended by NULL. */
struct words {
    char idmode[PATH];
    const char *list[WORDS];
};

static void idmode_words(struct words *ret, const char *release, const char *const before[],
                         const char *word)
{
    const char *const idmode[] = {ret->idmode, "--root",          bench_device.root,
                                  "--tcti",    bench_device.tcti, word};
    size_t n = 0;

    snprintf(ret->idmode, sizeof(ret->idmode), "%s/bin/idmode", release);
    for (; before != NULL && *before != NULL; before++)
        ret->list[n++] = *before;
    for (size_t i = 0; i < sizeof(idmode) / sizeof(idmode[0]); i++)
        ret->list[n++] = idmode[i];
    ret->list[n] = NULL;
}

/* A boot that finds nothing of an earlier one under /run. */
static void forget_boot(void)
{
    if (idm_device_delete(&bench_device, "/run/idmode") != 0)
        bench_fail("%s", bench_device.error);
}

static void run_tool(struct idm_run *ret, const char *const argv[])
{
    if (idm_run(ret, NULL, argv) != 0)
        bench_fail("%s: %s", argv[0], strerror(errno));
    if (ret->exit_code != 0)
        bench_fail("%s: exit %d: %s", argv[0], ret->exit_code, ret->err);
}

/* ---- files: strace ---- */

struct traced {
    unsigned syncs, config_syncs;
    double bytes; /* under config and persist */
};

/* "PID name(3</path>, …) = result" */
static void count_line(const char *line, struct traced *ret)
{
    char config[PATH], persist[PATH];
    const char *result = strrchr(line, '=');
    bool in_config, in_persist;

    snprintf(config, sizeof(config), "<%s/config", bench_device.root);
    snprintf(persist, sizeof(persist), "<%s/persist", bench_device.root);
    in_config = strstr(line, config) != NULL;
    in_persist = strstr(line, persist) != NULL;
    if (result == NULL || strtol(result + 1, NULL, 10) < 0)
        return;
    if (strstr(line, "sync") != NULL && strstr(line, "write") == NULL) {
        ret->syncs++;
        ret->config_syncs += in_config;
    } else if (strstr(line, "write") != NULL && (in_config || in_persist)) {
        ret->bytes += strtod(result + 1, NULL);
    }
}

void bench_files(void)
{
    static const char *const strace[] = {
        "strace",
        "-f",
        "-y",
        "-s",
        "0",
        "-e",
        "trace=fsync,fdatasync,sync,syncfs,sync_file_range,write,writev,pwrite64,pwritev,pwritev2",
        "-o",
        NULL,
        NULL};
    const char *before[sizeof(strace) / sizeof(strace[0])];
    _cleanup_run_ struct idm_run run = {0};
    struct traced traced = {0};
    struct words words;
    char log[PATH], line[4096];

    snprintf(log, sizeof(log), "%s/strace", bench_device.base);
    memcpy(before, strace, sizeof(before));
    before[8] = log;
    idmode_words(&words, IDM_TEST_BUILD_DIR, before, "boot");
    forget_boot();
    run_tool(&run, words.list);
    FILE *file = fopen(log, "re");
    if (file == NULL)
        bench_fail("strace wrote nothing to %s", log);
    while (fgets(line, sizeof(line), file) != NULL)
        count_line(line, &traced);
    fclose(file);
    bench_row("fsyncs", traced.syncs, 0, "", 2);
    bench_row("fsyncs on the config file system", traced.config_syncs, 0, "", 0);
    bench_row("written to config and persist", traced.bytes, 0, "B", 4096);
}

/* ---- time ---- */

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double time_of(const char *const argv[])
{
    posix_spawn_file_actions_t actions;
    double begin = seconds();
    int status = -1;
    pid_t pid = 0;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    int failed = posix_spawn(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
    if (failed == 0 && waitpid(pid, &status, 0) != pid)
        failed = errno;
    double took = seconds() - begin;
    posix_spawn_file_actions_destroy(&actions);
    if (failed != 0 || status != 0)
        bench_fail("%s: %s, wait status 0x%x", argv[0], strerror(failed), (unsigned)status);
    return took;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return (left > right) - (left < right);
}

static double median(double *figures, size_t count)
{
    qsort(figures, count, sizeof(*figures), compare);
    return figures[count / 2];
}

/* In turns, so that whatever else the machine does slows both. */
static void compare_times(const char *release, const char *const bare[], size_t rounds,
                          const char *what)
{
    double boot_times[ROUNDS], bare_times[ROUNDS];
    struct words words;
    char text[64];

    idmode_words(&words, release, NULL, "boot");
    for (size_t i = 0; i < rounds; i++) {
        forget_boot();
        boot_times[i] = time_of(words.list);
        bare_times[i] = time_of(bare);
    }
    double boot_ms = median(boot_times, rounds) * 1e3;
    double bare_ms = median(bare_times, rounds) * 1e3;
    snprintf(text, sizeof(text), "time of boot, %s", what);
    bench_row(text, boot_ms, 1, "ms", BENCH_NO_GOAL);
    snprintf(text, sizeof(text), "connect, its commands, verify alone, %s", what);
    bench_row(text, bare_ms, 1, "ms", BENCH_NO_GOAL);
    snprintf(text, sizeof(text), "boot / these alone, %s", what);
    bench_row(text, boot_ms / bare_ms, 2, "", 1.5);
}

void bench_time_alone(const char *release, const char *what)
{
    double times[ROUNDS];
    struct words words;

    idmode_words(&words, release, NULL, "boot");
    for (size_t i = 0; i < ROUNDS; i++) {
        forget_boot();
        times[i] = time_of(words.list);
    }
    bench_row(what, median(times, ROUNDS) * 1e3, 1, "ms", BENCH_NO_GOAL);
}

/* An emulator answers in a third of a millisecond, and what is compared is two programs' start; chips
 * take 20 to 300 ms for a command. */
void bench_time(const char *release)
{
    _cleanup_run_ struct idm_run run = {0};
    char key[PATH], cert[PATH], emulator[sizeof(bench_device.tcti)];
    const char *const bare[] = {BARE, bench_device.tcti, COUNTER_INDEX, key, cert, NULL};

    snprintf(key, sizeof(key), "%s/key", bench_device.base);
    idm_device_path(&bench_device, "/persist/idmode/tpm.cert.pem", cert);
    run_tool(&run, (const char *const[]){BARE, bench_device.tcti, COUNTER_INDEX, key, "write",
                                         DEVICE_KEY, NULL});
    compare_times(release, bare, ROUNDS, "emulator");
    memcpy(emulator, bench_device.tcti, sizeof(emulator));
    int size = snprintf(bench_device.tcti, sizeof(bench_device.tcti), SHIM ":do=delay:20,child=%s",
                        emulator);
    if (size < 0 || (size_t)size >= sizeof(bench_device.tcti))
        bench_fail("the path %s is too long", SHIM);
    compare_times(release, bare, SLOW_ROUNDS, "20 ms a command");
    memcpy(bench_device.tcti, emulator, sizeof(emulator));
}

/* ---- memory ---- */

/* At its exit: a child's ru_maxrss is at least what its parent had when it forked, this is not. */
static long peak_kb_of(pid_t pid)
{
    char path[64], line[256];
    long kb = -1;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return -1;
    while (kb < 0 && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "VmHWM:", 6) == 0)
            kb = strtol(line + 6, NULL, 10);
    }
    fclose(file);
    return kb;
}

static void traced_child(const char *const argv[])
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    if (null < 0 || dup2(null, STDOUT_FILENO) < 0 || ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0 ||
        raise(SIGSTOP) != 0)
        _exit(126);
    execv(argv[0], (char *const *)argv);
    _exit(127);
}

void bench_memory(const char *release)
{
    const long options = PTRACE_O_TRACEEXIT | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    struct words words;
    int status = -1;
    long kb = -1;

    idmode_words(&words, release, NULL, "boot");
    forget_boot();
    pid_t pid = fork();
    if (pid == 0)
        traced_child(words.list);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) ||
        ptrace(PTRACE_SETOPTIONS, pid, NULL, options) != 0)
        bench_fail("idmode boot cannot be traced: %s", strerror(errno));
    while (WIFSTOPPED(status)) {
        int event = status >> 16;
        long signal = event != 0 || WSTOPSIG(status) == SIGSTOP ? 0 : WSTOPSIG(status);

        if (event == PTRACE_EVENT_EXIT)
            kb = peak_kb_of(pid);
        if (ptrace(PTRACE_CONT, pid, NULL, signal) != 0 || waitpid(pid, &status, 0) != pid)
            bench_fail("idmode boot cannot be traced: %s", strerror(errno));
    }
    if (status != 0 || kb < 0)
        bench_fail("idmode boot, traced: wait status 0x%x, %ld kB", (unsigned)status, kb);
    bench_row("peak memory of boot", (double)kb / 1024, 1, "MB", 8);
}

/* ---- idmode mode ---- */

static double instructions(const char *const program[])
{
    const char *argv[WORDS] = {"valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"};
    _cleanup_run_ struct idm_run run = {0};

    for (size_t i = 0; program[i] != NULL; i++)
        argv[3 + i] = program[i];
    run_tool(&run, argv);
    const char *collected = strstr(run.err, "Collected :");
    double count = collected != NULL ? strtod(collected + 11, NULL) : 0;
    if (count <= 0)
        bench_fail("callgrind counted nothing: %s", run.err);
    return count;
}

static unsigned forbidden_libraries(const struct words *words)
{
    const char *argv[WORDS] = {"strace", "-f", "-e", "trace=openat,open"};
    static const char *const forbidden[] = {"libcrypto", "libssl", "libtss2"};
    _cleanup_run_ struct idm_run run = {0};
    unsigned count = 0;

    for (size_t i = 0; words->list[i] != NULL; i++)
        argv[4 + i] = words->list[i];
    run_tool(&run, argv);
    if (strstr(run.err, "libc.so") == NULL)
        bench_fail("strace saw no library at all: %s", run.err);
    for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
        count += strstr(run.err, forbidden[i]) != NULL;
    return count;
}

void bench_mode(const char *release)
{
    char path[PATH];
    struct words words;

    idm_device_path(&bench_device, "/run/idmode/mode", path);
    idmode_words(&words, release, NULL, "mode");
    double mode = instructions(words.list);
    double cat = instructions((const char *const[]){"cat", path, NULL});
    bench_row("instructions of idmode mode", mode / 1e3, 0, "k", BENCH_NO_GOAL);
    bench_row("instructions of cat /run/idmode/mode", cat / 1e3, 0, "k", BENCH_NO_GOAL);
    bench_row("idmode mode / cat", mode / cat, 2, "", 1.3);
    bench_row("libcrypto, libssl, libtss2 loaded by idmode mode", forbidden_libraries(&words), 0,
              "", 0);
}

/* ---- size ---- */

static double size_of(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        bench_fail("%s: %s", path, strerror(errno));
    return (double)st.st_size;
}

static double stripped_size(const char *release, const char *program)
{
    _cleanup_run_ struct idm_run run = {0};
    char from[PATH], to[PATH];

    snprintf(from, sizeof(from), "%s/%s", release, program);
    snprintf(to, sizeof(to), "%s/stripped", bench_device.base);
    run_tool(&run, (const char *const[]){"strip", "-s", "-o", to, from, NULL});
    double size = size_of(to);
    bench_row(program, size / 1000, 1, "kB", BENCH_NO_GOAL);
    return size;
}

/* "\tlibjansson.so.4 => /lib/…/libjansson.so.4 (0x…)" */
static double library_size(const char *release, const char *program, const char *library)
{
    _cleanup_run_ struct idm_run run = {0};
    char path[PATH], what[PATH];

    snprintf(path, sizeof(path), "%s/%s", release, program);
    run_tool(&run, (const char *const[]){"ldd", path, NULL});
    const char *line = strstr(run.out, library);
    const char *arrow = line != NULL ? strstr(line, "=> ") : NULL;
    if (arrow == NULL || sscanf(arrow, "=> %511s", what) != 1)
        bench_fail("%s does not use %s", path, library);
    double size = size_of(what);
    bench_row(library, size / 1000, 1, "kB", BENCH_NO_GOAL);
    return size;
}

void bench_size(const char *release)
{
    static const char *const programs[] = {"bin/idmode", "libexec/idmode/core",
                                           "libexec/idmode/bootenv"};
    static const char *const libraries[][2] = {{"libexec/idmode/core", "libjansson"},
                                               {"libexec/idmode/bootenv", "libubootenv"}};
    static const char *const tls[] = {"bin/idmode-signd", "ossl-modules/idmode.so",
                                      "lib/libidmode.so.0"};
    double sum = 0;

    bench_heading("Shipped files, stripped");
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
        sum += stripped_size(release, programs[i]);
    for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++)
        sum += library_size(release, libraries[i][0], libraries[i][1]);
    bench_row("all beyond libc, libz, libcrypto and tss2", sum / 1000, 1, "kB", 400);
    bench_row("with attestation, where it is installed",
              (sum + stripped_size(release, "libexec/idmode/attest")) / 1000, 1, "kB",
              BENCH_NO_GOAL);
    for (size_t i = 0; i < sizeof(tls) / sizeof(tls[0]); i++)
        sum += stripped_size(release, tls[i]);
    bench_row("all, with what TLS users load", sum / 1000, 1, "kB", BENCH_NO_GOAL);
}
