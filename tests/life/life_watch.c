/* SPDX-License-Identifier: BSD-2-Clause */
/* idmode-watch: what changes behind idmode's back is healed by a boot, soon, and not for ever. */
#include "tests/life/life_device.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#define WATCH   IDM_TEST_BUILD_DIR "/bin/idmode-watch"
#define WAIT_MS 60000

static pid_t watcher;
static int notified = -1;

static void end_watch(void)
{
    if (watcher > 0) {
        (void)kill(watcher, SIGKILL);
        (void)waitpid(watcher, NULL, 0);
    }
    watcher = 0;
    close_device();
}

TestSuite(watch, .timeout = 240, .fini = end_watch);

/* ---- the program ---- */

/* Waits until a message has the words; the message. Others are dropped. */
static const char *await_message(const char *words)
{
    static char message[512];
    for (;;) {
        struct pollfd fd = {.fd = notified, .events = POLLIN};
        cr_assert_gt(poll(&fd, 1, WAIT_MS), 0, "never said %s", words);
        ssize_t size = recv(notified, message, sizeof(message) - 1, 0);
        cr_assert_gt(size, 0);
        message[size] = '\0';
        if (strstr(message, words) != NULL)
            return message;
    }
}

/* What was said so far says nothing about what is done next. */
static void forget_messages(void)
{
    char message[512];
    while (recv(notified, message, sizeof(message), MSG_DONTWAIT) > 0)
        continue;
}

/* What is said of a boot that ended; the number of boots so far stands in the trace. */
static void start_watch_fed(const char *retry, const char *watchdog_usec)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char socket_path[64 + sizeof(device.base)];

    snprintf(socket_path, sizeof(socket_path), "%s/notify", device.base);
    cr_assert_lt(strlen(socket_path), sizeof(address.sun_path));
    memcpy(address.sun_path, socket_path, strlen(socket_path));
    notified = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(notified, 0);
    cr_assert_eq(bind(notified, (struct sockaddr *)&address, sizeof(address)), 0);
    watcher = fork();
    if (watcher == 0) {
        char log[64 + sizeof(device.base)];
        snprintf(log, sizeof(log), "%s/watch.log", device.base);
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
        (void)dup2(fd, STDERR_FILENO);
        (void)setenv("NOTIFY_SOCKET", socket_path, 1);
        if (watchdog_usec != NULL)
            (void)setenv("WATCHDOG_USEC", watchdog_usec, 1);
        (void)signal(SIGCHLD, SIG_IGN); /* what outlives exec must not count */
        (void)execl(WATCH, WATCH, "--root", device.root, "--tcti", device.tcti, "--retry", retry,
                    (char *)NULL);
        _exit(127);
    }
    cr_assert_gt(watcher, 0);
    (void)await_message("READY=1");
}

static void start_watch(const char *retry)
{
    start_watch_fed(retry, NULL);
}

static void pause_a_little(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

/* How often boot ran since the trace was emptied. */
static unsigned boots(void)
{
    unsigned count = 0;
    char *trace;

    if (!idm_device_exists(&device, TRACE))
        return 0;
    OK(idm_device_read(&device, TRACE, &trace, NULL));
    for (const char *at = trace; (at = strstr(at, ": settled end")) != NULL; at++)
        count++;
    free(trace);
    return count;
}

static void forget_boots(void)
{
    OK(idm_device_delete(&device, TRACE));
}

static void await_boots(unsigned least)
{
    for (int left = WAIT_MS / 10; left > 0 && boots() < least; left--)
        pause_a_little();
    cr_assert_geq(boots(), least, "idmode boot was not called");
}

static void await_bytes(const struct kept *kept)
{
    for (int left = WAIT_MS / 10; left > 0; left--) {
        if (same_bytes(kept))
            return;
        pause_a_little();
    }
    cr_assert_fail("%s was not healed", kept->path);
}

static void await_exists(const char *path)
{
    for (int left = WAIT_MS / 10; left > 0 && !idm_device_exists(&device, path); left--)
        pause_a_little();
    cr_assert(idm_device_exists(&device, path), "%s was not made again", path);
}

static void await_mode(const char *mode)
{
    char *text = NULL;

    for (int left = WAIT_MS / 10; left > 0; left--) {
        bool there = idm_device_exists(&device, "/run/idmode/mode") &&
                     idm_device_read(&device, "/run/idmode/mode", &text, NULL) == 0 &&
                     strncmp(text, mode, strlen(mode)) == 0;
        free(text);
        text = NULL;
        if (there)
            return;
        pause_a_little();
    }
    cr_assert_fail("the mode never was %s", mode);
}

/* The watch has looked once since it started, and is idle. */
static void open_watched(const char *retry)
{
    open_device(NULL);
    boot(0);
    forget_boots();
    start_watch(retry);
    await_boots(1);
}

/* Something that needs one look; when its end is seen, all that came before it has been looked at. */
static void settle(void)
{
    forget_messages();
    OK(idm_device_delete(&device, MARKER));
    (void)await_message("STATUS=watching");
    await_exists(MARKER);
}

/* ---- healing ---- */

Test(watch, heals_certificate_key_marker_and_record)
{
    open_watched("5");
    struct kept files[] = {keep(CONFIG_CERT), keep(CONFIG_KEY),   keep(CONFIG_TSS2),
                           keep(PERSIST_KEY), keep(PERSIST_CERT), keep(MARKER)};
    const size_t count = sizeof(files) / sizeof(files[0]);

    for (size_t i = 0; i < count; i++) {
        /* deleted, and written over in place */
        OK(idm_device_delete(&device, files[i].path));
        await_bytes(&files[i]);
        OK(idm_device_tear(&device, files[i].path));
        await_bytes(&files[i]);
        drop(&files[i]);
        /* each costs two looks, and ten are given at once */
        if (i % 2) {
            cr_assert_eq(kill(watcher, SIGKILL), 0);
            cr_assert_eq(waitpid(watcher, NULL, 0), watcher);
            shell(0, "rm -f notify");
            close(notified);
            start_watch("5");
        }
    }
    /* a copy of the record is written anew from the other one, with a number of its own */
    OK(idm_device_delete(&device, PERSIST_RECORD));
    await_exists(PERSIST_RECORD);
    settle();
    shell(0, "cmp $ROOT" PERSIST_RECORD " $ROOT" CONFIG_RECORD);
    status_is("tpm", "tpm-dual", "");
}

/* Its own boots, and other people's idmode, are no reason for another one. */
Test(watch, is_quiet_once_all_is_well)
{
    open_watched("5");
    settle();
    forget_boots();
    for (int i = 0; i < 3; i++)
        cr_assert_eq(RUN("boot"), 0);
    settle();
    /* time in which a boot that feeds itself would go on; one that does not is right however slow it is */
    nanosleep(&(struct timespec){.tv_sec = 2}, NULL);
    /* three of ours, the one that made the marker, and none for what these wrote */
    cr_assert_eq(boots(), 4, "%u boots", boots());
    cr_assert_eq(kill(watcher, 0), 0);
}

Test(watch, makes_one_look_of_a_burst_and_spares_the_flash)
{
    open_watched("5");
    settle();
    forget_boots();
    for (int i = 0; i < 300; i++)
        OK(idm_device_write_text(&device, "/etc/idmode/idmode.conf.d/90-burst.conf",
                                 "[identity]\nlifetime-days = 100\n"));
    await_boots(1);
    settle();
    cr_assert_leq(boots(), 5, "%u boots for one burst", boots());
    /* what never ends: no more looks than are given at once, and one every half minute */
    forget_boots();
    const time_t end = time(NULL) + 6;
    while (time(NULL) < end) {
        OK(idm_device_write_text(&device, CONFIG_KEY, "not a key\n"));
        pause_a_little();
    }
    cr_assert_leq(boots(), 12, "%u boots in six seconds", boots());
}

/* ---- directories ---- */

Test(watch, follows_directories_that_are_replaced_or_come_later)
{
    open_watched("5");
    struct kept cert = keep(CONFIG_CERT);
    struct kept copy = keep(CONFIG_TSS2);

    settle();
    shell(0, "mv $ROOT/config $ROOT/config.old; cp -a $ROOT/config.old $ROOT/config");
    (void)await_message("STATUS=watching");
    OK(idm_device_delete(&device, CONFIG_CERT));
    await_bytes(&cert);
    /* the old one is nobody's: what happens there is not seen, what happens here is */
    shell(0, "rm -r $ROOT/config.old");

    shell(0, "mv $ROOT/config/idmode $BASE/folder");
    await_bytes(&copy);
    OK(idm_device_delete(&device, CONFIG_TSS2));
    await_bytes(&copy);

    /* by rename: what heals must not meet a tree that is half removed */
    shell(0, "mv $ROOT/persist/config $BASE/marker");
    await_exists(MARKER);
    drop(&cert);
    drop(&copy);
}

Test(watch, follows_mounts)
{
    open_device(NULL);
    boot(0);
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        cr_skip_test("no mount namespaces here");
    start_watch("5");
    (void)await_message("STATUS=watching");
    struct kept cert = keep(CONFIG_CERT);
    forget_messages();
    shell(0, "cp -a $ROOT/config $BASE/other; mount --bind $BASE/other $ROOT/config");
    (void)await_message("STATUS=watching");
    OK(idm_device_delete(&device, CONFIG_CERT));
    await_bytes(&cert);
    /* And what was below is ours again. A boot that looks keeps it busy for a moment. */
    settle();
    shell(0, "for i in $(seq 300); do umount $ROOT/config && exit; sleep 0.1; done; exit 1");
    (void)await_message("STATUS=watching");
    OK(idm_device_delete(&device, CONFIG_CERT));
    await_bytes(&cert);
    drop(&cert);
}

/* Stopped until the kernel drops events: what it dropped is found by looking at everything. */
Test(watch, survives_being_stopped_and_an_overflow)
{
    char path[IDM_DEVICE_PATH_SIZE], size[32] = "";
    FILE *limit = fopen("/proc/sys/fs/inotify/max_queued_events", "re");

    open_watched("5");
    settle();
    struct kept cert = keep(CONFIG_CERT);
    cr_assert_not_null(limit);
    cr_assert_not_null(fgets(size, sizeof(size), limit));
    fclose(limit);
    cr_assert_eq(kill(watcher, SIGSTOP), 0);
    idm_device_path(&device, "/config/other", path);
    for (long i = strtol(size, NULL, 10) / 2 + 10; i > 0; i--) {
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        cr_assert_geq(fd, 0);
        close(fd);
        cr_assert_eq(unlink(path), 0);
    }
    OK(idm_device_delete(&device, CONFIG_CERT));
    cr_assert_eq(kill(watcher, SIGCONT), 0);
    await_bytes(&cert);
    drop(&cert);
    OK(idm_device_delete(&device, MARKER));
    await_exists(MARKER);
}

/* ---- a device that is held ---- */

Test(watch, looks_again_until_the_chip_is_back)
{
    open_device(NULL);
    boot(0);
    idm_swtpm_stop(&device.tpm);
    start_watch("1");
    await_mode("unknown");
    (void)await_message("exit code 3; again in 1 s");
    (void)await_message("exit code 3; again in 2 s");
    cr_assert_eq(idm_swtpm_resume(&device.tpm), 0);
    await_mode("tpm");
    (void)await_message("STATUS=watching");
    status_is("tpm", "tpm-dual", "");
}

/* ---- as a service ---- */

Test(watch, is_a_service_that_ends_when_asked)
{
    int status = 0;

    open_device(NULL);
    boot(0);
    forget_boots();
    start_watch_fed("5", "400000");
    for (int i = 0; i < 3; i++)
        (void)await_message("WATCHDOG=1");
    await_boots(1);
    forget_messages();
    cr_assert_eq(kill(watcher, SIGHUP), 0);
    (void)await_message("STATUS=watching");
    await_boots(2);
    cr_assert_eq(kill(watcher, SIGTERM), 0);
    (void)await_message("STOPPING=1");
    cr_assert_eq(waitpid(watcher, &status, 0), watcher);
    watcher = 0;
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
    /* GPL-2-only code of others, and none of OpenSSL, TSS or idmode's library */
    shell(0, "readelf -d " WATCH " >needs; grep -q 'NEEDED.*libinotifytools' needs; "
             "! grep -E 'NEEDED.*(libcrypto|libssl|tss2|libidmode)' needs");
    shell(0, WATCH " --version | grep -q '^idmode-watch '; " WATCH " --help | grep -q -e --retry");
    shell(2, WATCH " boot");
    shell(2, WATCH " --strict");
}
