/* SPDX-License-Identifier: BSD-2-Clause */
/* Many at once on one device, idmode-watch beside them: boot, hooks, requests and readers, some of them killed,
 * some stopped for a while. Nobody waits for ever, no reader sees half a document, and what is left is one whole identity.
 *
 *     IDM_TEST_CROWD=N       how many programs one after another, 16 of them at a time; 96
 *     IDM_TEST_CUTS_SEED=S   which of them do what, and what happens to them; 1
 */
#include "tests/life/life_device.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#define CROWD      16u
#define PROGRAMS   96u
#define LIMIT_MS   60000 /* of one program: twice the time that it waits for the lock */
#define STOPPED_MS 120
#define SHIM       IDM_TEST_BUILD_DIR "/tests/tcti_shim.so"
#define WATCH      IDM_TEST_BUILD_DIR "/bin/idmode-watch"

static void crowd_init(void)
{
    use_memory();
    (void)setenv("IDMODE_TCTI", "none", 1);
}

TestSuite(cuts_crowd, .timeout = 300, .init = crowd_init, .fini = close_device);

enum fate { LIVES, IS_STOPPED, IS_KILLED };

struct program {
    pid_t pid; /* 0: none */
    int err;   /* what it says */
    const char *const *args;
    enum fate fate;
    int64_t started, due; /* ms; of its fate; 0: it has met it */
    bool stopped;
};

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static uint64_t draw(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* ---- starting and ending ---- */

static void start_program(struct program *p, const char *program, const char *const args[],
                          const char *tcti)
{
    const char *argv[20] = {program, "--root", device.root, "--tcti", tcti};
    size_t n = 5;

    while (args[n - 5] != NULL && n + 1 < sizeof(argv) / sizeof(argv[0])) {
        argv[n] = args[n - 5];
        n++;
    }
    *p = (struct program){.args = args, .err = memfd_create("stderr", MFD_CLOEXEC)};
    p->started = now_ms();
    p->pid = fork();
    if (p->pid == 0) {
        int null = open("/dev/null", O_RDWR);

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (dup2(null, 0) == 0 && dup2(null, 1) == 1 && dup2(p->err, 2) == 2)
            execv(argv[0], (char *const *)argv);
        _exit(127);
    }
    cr_assert(p->pid > 0 && p->err >= 0);
}

static void start(struct program *p, const char *const args[], const char *tcti)
{
    start_program(p, IDMODE, args, tcti);
}

static void said(const struct program *p, char ret[1024])
{
    ssize_t n = pread(p->err, ret, 1023, 0);

    ret[n < 0 ? 0 : n] = '\0';
}

/* Its exit code; 137 when it was killed; -1 while it runs. */
static int ended(struct program *p)
{
    int status;
    pid_t pid = waitpid(p->pid, &status, WNOHANG);

    if (pid == 0)
        return -1;
    cr_assert_eq(pid, p->pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int wait_for(struct program *p)
{
    int code;

    while ((code = ended(p)) < 0) {
        cr_assert(now_ms() - p->started < LIMIT_MS, "idmode %s does not come to an end",
                  p->args[0]);
        poll(NULL, 0, 2);
    }
    return code;
}

/* What the others change it notices, and calls boot beside them. */
static void start_watcher(struct program *p)
{
    start_program(p, WATCH, (const char *const[]){"--retry", "1", NULL}, device.tcti);
}

static void end_watcher(struct program *p)
{
    char text[1024];
    int early = ended(p);

    said(p, text);
    cr_assert_lt(early, 0, "idmode-watch ended by itself, exit code %d: %s", early, text);
    OK(kill(p->pid, SIGTERM));
    p->started = now_ms();
    int code = wait_for(p);
    cr_assert_eq(code, 0, "idmode-watch: exit code %d: %s", code, text);
}

/* ---- readers ---- */

static unsigned documents;
static long long epoch_seen;

static bool is_one_of(const char *word, const char *const words[])
{
    for (size_t i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], word) == 0)
            return true;
    }
    return false;
}

/* What is published is whole, and agrees with itself. */
static void read_published(void)
{
    static const char *const modes[] = {"none", "software", "tpm", "unknown", NULL};
    char path[IDM_DEVICE_PATH_SIZE];
    json_error_t error;
    json_t *status;

    idm_device_path(&device, "/run/idmode/status.json", path);
    status = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    cr_assert_not_null(status, "half a document: %s", error.text);
    const char *mode = status_text(status, NULL, "mode");
    const char *state = status_text(status, NULL, "state");
    long long epoch = json_integer_value(json_object_get(status, "epoch"));
    bool held = json_is_true(json_object_get(status, "held"));
    cr_assert(is_one_of(mode, modes), "mode %s", mode);
    cr_assert_eq(strlen(status_text(status, "identity", "cert_sha256")) % 64, 0);
    cr_assert(strcmp(mode, "tpm") != 0 || strncmp(state, "tpm", 3) == 0, "%s in %s", mode, state);
    cr_assert(!held || strcmp(mode, "unknown") == 0, "held, and mode %s", mode);
    cr_assert_geq(epoch, epoch_seen, "the epoch goes back");
    cr_assert_not_null(json_object_get(status, "error"));
    epoch_seen = epoch;
    documents++;
    json_decref(status);
}

/* ---- the crowd ---- */

#define ARGS(...)                                                                                  \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static const char *const *const commands[] = {
    ARGS("boot"),
    ARGS("hook", "pre-install", "--target-aware", "yes", "--target-slot", "B", "--install-id",
         "i1"),
    ARGS("hook", "post-install", "--install-id", "i1"),
    ARGS("hook", "install-failed", "--install-id", "i1"),
    ARGS("hook", "commit"),
    ARGS("hook", "rollback"),
    ARGS("migrate", "prepare"),
    ARGS("migrate", "abort"),
    ARGS("status", "--json"),
    ARGS("mode"),
    ARGS("doctor"),
    ARGS("history"),
    ARGS("factory-reset", "--yes"),
};

#define COMMANDS_COUNT (sizeof(commands) / sizeof(commands[0]))

static void meet_fate(struct program *p)
{
    if (p->due == 0 || now_ms() < p->due)
        return;
    if (p->fate == IS_KILLED)
        kill(p->pid, SIGKILL);
    if (p->fate == IS_STOPPED)
        kill(p->pid, p->stopped ? SIGCONT : SIGSTOP);
    p->due = p->fate == IS_STOPPED && !p->stopped ? now_ms() + STOPPED_MS : 0;
    p->stopped = p->fate == IS_STOPPED && !p->stopped;
}

/* 0 done, 1 refused, 3 held, 5 try again: all of them are answers. 4 is none: the lock's holder came to
 * its end long before the time was over. */
static void judge_end(struct program *p, int code)
{
    char text[1024];

    said(p, text);
    cr_assert(code == 0 || code == 1 || code == 3 || (code == 137 && p->fate == IS_KILLED),
              "idmode %s %s: exit %d: %s", p->args[0], p->args[1] != NULL ? p->args[1] : "", code,
              text);
    close(p->err);
    p->pid = 0;
}

static void start_one(struct program *p, uint64_t *seed, bool with_fates)
{
    uint64_t kind = draw(seed), fate = draw(seed) % 8, when = draw(seed) % 60;

    start(p, commands[kind % COMMANDS_COUNT], device.tcti);
    p->fate = !with_fates || fate > 3 ? LIVES : fate > 1 ? IS_STOPPED : IS_KILLED;
    p->due = p->fate == LIVES ? 0 : p->started + (int64_t)when + 1;
}

static void let_them_run(size_t count, bool with_fates)
{
    struct program crowd[CROWD] = {{.pid = 0}};
    const char *text = getenv("IDM_TEST_CUTS_SEED");
    uint64_t seed = text != NULL ? strtoul(text, NULL, 10) : 1;
    size_t started = 0, running = 0;

    epoch_seen = 0;
    while (started < count || running != 0) {
        running = 0;
        for (size_t i = 0; i < CROWD; i++) {
            struct program *p = &crowd[i];

            if (p->pid == 0 && started < count) {
                start_one(p, &seed, with_fates);
                started++;
            }
            if (p->pid == 0)
                continue;
            running++;
            meet_fate(p);
            int code = ended(p);
            cr_assert(code >= 0 || now_ms() - p->started < LIMIT_MS,
                      "idmode %s does not come to an end", p->args[0]);
            if (code >= 0)
                judge_end(p, code);
        }
        read_published();
        poll(NULL, 0, 2);
    }
}

static void chip_is_clean(void)
{
    shell(0, "test -z \"$(tpm2_getcap handles-transient)\"");
    shell(0, "test -z \"$(tpm2_getcap handles-loaded-session)\"");
}

static size_t programs(void)
{
    const char *text = getenv("IDM_TEST_CROWD");

    return text != NULL ? strtoul(text, NULL, 10) : PROGRAMS;
}

static void ends_well(void)
{
    cr_assert_eq(RUN("boot"), 0, "in the same power cycle: %s", device.said);
    active();
    read_published();
    boot(0);
    active();
    legacy_pair();
    boot(0);
    json_t *status;
    OK(idm_device_status(&device, &status));
    cr_assert_str_eq(status_text(status, NULL, "state"), "tpm-dual");
    cr_assert_eq(json_array_size(json_object_get(status, "reasons")), 0);
    json_decref(status);
}

Test(cuts_crowd, sixteen_at_once)
{
    struct program watcher;

    open_device(NULL);
    boot(0);
    start_watcher(&watcher);
    let_them_run(programs(), false);
    end_watcher(&watcher);
    chip_is_clean();
    ends_well();
    printf("%zu programs, %u documents read, epoch %lld\n", programs(), documents, epoch_seen);
}

Test(cuts_crowd, some_are_killed_and_some_stopped)
{
    struct program watcher;

    open_device(NULL);
    boot(0);
    start_watcher(&watcher);
    let_them_run(programs(), true);
    end_watcher(&watcher);
    ends_well();
    chip_is_clean();
    printf("%zu programs, %u documents read, epoch %lld\n", programs(), documents, epoch_seen);
}

/* ---- the lock's holder ---- */

static void slow_chip(char ret[1024])
{
    shell(0, "rm -f $BASE/slow");
    snprintf(ret, 1024, SHIM ":log=%s/slow,at=2,do=delay:2500,child=%s", device.base, device.tcti);
}

static void wait_for_holder(const char *word)
{
    char *content;

    for (int64_t until = now_ms() + LIMIT_MS; now_ms() < until; poll(NULL, 0, 2)) {
        if (!idm_device_exists(&device, "/run/idmode/lock"))
            continue;
        OK(idm_device_read(&device, "/run/idmode/lock", &content, NULL));
        bool there = strstr(content, word) != NULL;
        free(content);
        if (there)
            return;
    }
    cr_assert_fail("nobody holds the lock as %s", word);
}

Test(cuts_crowd, the_holder_of_the_lock_is_named)
{
    struct program holder;
    char tcti[1024], pid[32];

    open_device(NULL);
    boot(0);
    slow_chip(tcti);
    start(&holder, ARGS("factory-reset", "--yes"), tcti);
    wait_for_holder("factory-reset");
    OK(kill(holder.pid, SIGSTOP));
    OK(idm_device_idmode(&device, NULL, "--lock-timeout", "1", "hook", "commit", NULL));
    cr_assert_eq(device.exit_code, 4);
    snprintf(pid, sizeof(pid), "%d", (int)holder.pid);
    cr_assert_not_null(strstr(device.said, "factory-reset"), "%s", device.said);
    cr_assert_not_null(strstr(device.said, pid), "%s", device.said);
    /* Readers need no lock. */
    cr_assert_eq(RUN("mode"), 0);
    cr_assert_eq(RUN("status"), 0);
    OK(kill(holder.pid, SIGCONT));
    cr_assert_eq(wait_for(&holder), 0);
    cr_assert_eq(RUN("hook", "commit"), 0);
}

Test(cuts_crowd, a_killed_holder_holds_nothing)
{
    struct program holder;
    char tcti[1024];

    open_device(NULL);
    boot(0);
    slow_chip(tcti);
    start(&holder, ARGS("boot"), tcti);
    wait_for_holder("boot");
    OK(kill(holder.pid, SIGKILL));
    cr_assert_eq(wait_for(&holder), 137);
    OK(idm_device_idmode(&device, NULL, "--lock-timeout", "0", "boot", NULL));
    cr_assert_eq(device.exit_code, 0, "%s", device.said);
}

/* ---- a handler that outlives its updater ---- */

Test(cuts_crowd, a_handler_outlives_its_updater)
{
    char tcti[1024];

    open_device(NULL);
    boot(0);
    OK(idm_device_put_image(&device, 1, true, "2.0"));
    slow_chip(tcti);
    shell(0,
          "(trap '' HUP; $IDMODE --root $ROOT --tcti '%s' hook pre-install --target-aware no"
          " --target-slot B --install-id late > late.out 2>&1; echo $? > late.code) & exit 0",
          tcti);
    wait_for_holder("hook");
    /* The updater is dead and starts again, while its first handler goes on. */
    cr_assert_eq(RUN("hook", "pre-install", "--target-aware", "yes", "--target-slot", "B",
                     "--install-id", "again"),
                 0);
    for (int64_t until = now_ms() + LIMIT_MS; now_ms() < until; poll(NULL, 0, 5)) {
        char path[IDM_DEVICE_PATH_SIZE];

        snprintf(path, sizeof(path), "%s/late.code", device.base);
        if (access(path, F_OK) == 0)
            break;
    }
    shell(0, "grep -q '^0$' late.code || { cat late.out; false; }");
    boot(0);
    active();
    legacy_pair();
    status_is("tpm", "tpm-dual", "");
}
