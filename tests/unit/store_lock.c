/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/store/lock.h"
#include "tests/unit/store_scratch.h"

#include <signal.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

static struct idm_error err;

/* The lock's own calls to flock come here: somebody removes the file between open and flock. */
static bool remove_before_flock;

int flock(int fd, int operation)
{
    if (remove_before_flock) {
        remove_before_flock = false;
        (void)unlink(at("/run/idmode/lock"));
    }
    return (int)syscall(SYS_flock, fd, operation);
}

static void set_up(void)
{
    scratch_make();
}

TestSuite(store_lock, .init = set_up, .fini = scratch_remove, .timeout = 60);

static int take(struct idm_lock *lock, unsigned int timeout_ms)
{
    err = (struct idm_error){0};
    return idm_lock_take(lock, root, timeout_ms, "idmode test", &err);
}

static long elapsed_ms(const struct timespec *since)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

/* A process that holds the lock until it is killed or *ret_go is closed. */
static pid_t holder(const char *who, int *ret_go)
{
    int ready[2], go[2];
    char byte = 0;
    cr_assert_eq(pipe(ready), 0);
    cr_assert_eq(pipe(go), 0);
    pid_t child = fork();
    if (child == 0) {
        struct idm_lock lock = {0};
        (void)close(go[1]);
        if (idm_lock_take(&lock, root, 0, who, NULL) < 0 || write(ready[1], "x", 1) != 1)
            _exit(1);
        while (read(go[0], &byte, 1) > 0)
            continue;
        idm_lock_release(&lock);
        _exit(0);
    }
    (void)close(go[0]);
    (void)close(ready[1]);
    cr_assert_eq(read(ready[0], &byte, 1), 1, "the holder did not get the lock");
    (void)close(ready[0]);
    *ret_go = go[1];
    return child;
}

static void reap(pid_t child)
{
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
}

Test(store_lock, free_lock_is_taken_and_given_back)
{
    struct idm_lock lock = {0};
    mode_t before = umask(0);
    cr_assert_eq(take(&lock, 0), 0, "%s", err.why);
    (void)umask(before);
    cr_expect(lock.held);
    cr_expect_eq(mode_of("/run/idmode/lock"), 0600);
    cr_expect_eq(mode_of("/run/idmode"), 0755);
    cr_expect(fcntl(lock.fd, F_GETFD) & FD_CLOEXEC);
    char content[128];
    (void)snprintf(content, sizeof content, "%ld idmode test\n", (long)getpid());
    cr_expect(holds("/run/idmode/lock", content));
    idm_lock_release(&lock);
    cr_expect_not(lock.held);
    cr_expect(holds("/run/idmode/lock", ""));
    idm_lock_release(&lock);
    idm_lock_release(NULL);
}

Test(store_lock, a_busy_lock_names_its_holder)
{
    struct idm_lock lock = {0};
    struct timespec start;
    char why[200];
    int go = -1;
    pid_t child = holder("idmode boot", &go);
    (void)clock_gettime(CLOCK_MONOTONIC, &start);
    cr_expect_eq(take(&lock, 100), IDM_E_LOCK);
    cr_expect_geq(elapsed_ms(&start), 100);
    cr_expect_not(lock.held);
    (void)snprintf(why, sizeof why, "held by idmode boot, pid %ld", (long)child);
    cr_expect_str_eq(err.why, why);
    (void)close(go);
    reap(child);
    cr_expect_eq(take(&lock, 0), 0, "%s", err.why);
    idm_lock_release(&lock);
}

Test(store_lock, waiting_ends_when_the_holder_ends)
{
    struct idm_lock lock = {0};
    int go = -1;
    pid_t child = holder("idmode hook", &go);
    pid_t closer = fork();
    if (closer == 0) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        _exit(0);
    }
    (void)close(go);
    cr_expect_eq(take(&lock, 20000), 0, "%s", err.why);
    idm_lock_release(&lock);
    reap(closer);
    reap(child);
}

Test(store_lock, a_killed_holder_gives_it_back)
{
    struct idm_lock lock = {0};
    int go = -1;
    pid_t child = holder("idmode boot", &go);
    cr_assert_eq(kill(child, SIGKILL), 0);
    reap(child);
    cr_expect_eq(take(&lock, 0), 0, "%s", err.why);
    idm_lock_release(&lock);
    (void)close(go);
}

Test(store_lock, what_the_holder_says_is_only_text)
{
    struct idm_lock lock = {0};
    int go = -1;
    pid_t child = holder("\033[31mevil", &go);
    cr_expect_eq(take(&lock, 0), IDM_E_LOCK);
    cr_expect_not_null(strstr(err.why, "?[31mevil"));
    put("/run/idmode/lock", "nonsense");
    cr_expect_eq(take(&lock, 0), IDM_E_LOCK);
    cr_expect_str_eq(err.why, "held by another process");
    (void)close(go);
    reap(child);
}

Test(store_lock, a_lock_on_a_removed_file_does_not_count)
{
    struct idm_lock lock = {0};
    remove_before_flock = true;
    cr_expect_eq(take(&lock, 0), IDM_E_LOCK);
    remove_before_flock = true;
    cr_assert_eq(take(&lock, 20000), 0, "%s", err.why);
    struct stat held, current;
    cr_assert_eq(fstat(lock.fd, &held), 0);
    cr_assert_eq(stat(at("/run/idmode/lock"), &current), 0);
    cr_expect_eq(held.st_ino, current.st_ino);
    idm_lock_release(&lock);
}

Test(store_lock, nothing_planted_is_followed_or_waited_for)
{
    struct idm_lock lock = {0};
    make_dir("/run/idmode");
    put("/elsewhere", "stranger");
    cr_assert_eq(symlink("/elsewhere", at("/run/idmode/lock")), 0);
    cr_expect_eq(take(&lock, 0), IDM_E_STORAGE);
    cr_assert_eq(unlink(at("/run/idmode/lock")), 0);
    cr_assert_eq(mkfifo(at("/run/idmode/lock"), 0666), 0);
    cr_expect_eq(take(&lock, 0), IDM_E_STORAGE);
    cr_expect_str_eq(err.why, "it is no regular file");
    cr_assert_eq(unlink(at("/run/idmode/lock")), 0);
    put("/run/idmode/lock", "");
    cr_assert_eq(chmod(at("/run/idmode/lock"), 0666), 0);
    cr_expect_eq(take(&lock, 0), 0);
    cr_expect_eq(mode_of("/run/idmode/lock"), 0600, "anybody could block us");
    idm_lock_release(&lock);
    cr_expect(holds("/elsewhere", "stranger"));
}

Test(store_lock, no_root)
{
    struct idm_lock lock = {0};
    cr_expect_eq(idm_lock_take(&lock, "/nowhere/at/all", 0, "x", &err), IDM_E_ABSENT);
    cr_expect_not(lock.held);
}
