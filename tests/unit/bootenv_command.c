/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/bootenv/bootenv.h"
#include "backends/bootenv/child.h"
#include "tests/unit/store_scratch.h"

#include <signal.h>
#include <sys/wait.h>

static struct idm_settings settings;
static struct idm_bootenv env;
static struct idm_error err;

static void set_up(void)
{
    scratch_make();
    memset(&settings, 0, sizeof settings);
    settings.bootenv_backend = IDM_BOOTENV_COMMAND;
    (void)snprintf(settings.bootenv_command, sizeof settings.bootenv_command, "/lib/bootenv.sh");
    (void)snprintf(settings.slot, sizeof settings.slot, "auto");
}

TestSuite(bootenv_command, .init = set_up, .fini = scratch_remove, .timeout = 60);

static void write_script(const char *body)
{
    char text[2048];
    (void)snprintf(text, sizeof text, "#!/bin/sh\n%s\n", body);
    put("/lib/bootenv.sh", text);
    cr_assert_eq(chmod(at("/lib/bootenv.sh"), 0755), 0);
    err = (struct idm_error){0};
}

static void run_script(const char *body, unsigned int limit_ms)
{
    write_script(body);
    int r = idm_bootenv_read(root, &settings, limit_ms, &env, &err);
    cr_expect_eq(r == 0, env.state == IDM_BOOTENV_IS_READABLE, "%s", err.why);
    cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1, "a child is left");
}

Test(bootenv_command, slot_trial_and_other)
{
    put("/proc/cmdline", "rauc.slot=C");
    run_script("echo slot=A; echo other=B; echo trial=yes; echo more=x", 30000);
    cr_expect_str_eq(env.slot, "A");
    cr_expect_str_eq(env.other, "B");
    cr_expect_eq(env.trial, IDM_YES);
    run_script("printf 'trial=no'", 30000);
    cr_expect_str_eq(env.slot, "C");
    cr_expect_eq(env.trial, IDM_NO);
}

Test(bootenv_command, nothing_is_claimed_from_nonsense)
{
    static const char *const bodies[] = {
        "true",
        "echo trial=maybe",
        "echo trial=",
        "echo trial=yes; echo trial=no",
        "echo trial=no; echo trial=no; echo trial=unknown",
        "echo ' trial=yes'",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        run_script(bodies[i], 30000);
        cr_expect_eq(env.state, IDM_BOOTENV_IS_READABLE);
        cr_expect_eq(env.trial, IDM_UNKNOWN, "%s", bodies[i]);
    }
    run_script("echo 'slot=two words'; echo slot=; echo other=0123456789012345678901234567890123",
               30000);
    cr_expect_str_empty(env.slot);
    cr_expect_str_empty(env.other);
}

Test(bootenv_command, failures)
{
    run_script("echo trial=no; echo 'no bus' >&2; exit 3", 30000);
    cr_expect_eq(env.state, IDM_BOOTENV_IS_UNREADABLE);
    cr_expect_eq(env.trial, IDM_UNKNOWN);
    cr_expect_str_eq(err.why, "no bus");
    run_script("kill -9 $$", 30000);
    cr_expect_str_eq(err.why, "exit code 137");
    run_script("while :; do echo trial=yes; done", 30000);
    cr_expect_str_eq(err.why, "it printed too much");
    run_script("printf 'trial=no\\n\\000'", 30000);
    cr_expect_str_eq(err.why, "it printed a zero byte");
    cr_assert_eq(chmod(at("/lib/bootenv.sh"), 0644), 0);
    cr_expect_eq(idm_bootenv_read(root, &settings, 30000, &env, &err), IDM_E_BOOTENV);
    cr_assert_eq(unlink(at("/lib/bootenv.sh")), 0);
    cr_expect_eq(idm_bootenv_read(root, &settings, 30000, &env, &err), IDM_E_BOOTENV);
    cr_expect_eq(env.state, IDM_BOOTENV_IS_UNREADABLE);
    cr_expect_eq(idm_bootenv_end(NULL, &env, &err), IDM_E_BOOTENV);
    cr_expect_str_eq(err.why, "out of memory");
}

/* Waits until the process whose number is in ROOT/pid is gone, or only its number is left. */
static bool is_gone(void)
{
    long pid = 0;
    FILE *stream = fopen(at("/pid"), "re");
    cr_assert_not_null(stream);
    cr_assert_eq(fscanf(stream, "%ld", &pid), 1);
    (void)fclose(stream);
    for (int i = 0; i < 1000; i++) {
        char path[64], state = 'X';
        (void)snprintf(path, sizeof path, "/proc/%ld/stat", pid);
        stream = fopen(path, "re");
        if (stream && fscanf(stream, "%*d %*s %c", &state) != 1)
            state = 'X';
        if (stream)
            (void)fclose(stream);
        if (state == 'X' || state == 'Z')
            return true;
        (void)usleep(10000);
    }
    return false;
}

Test(bootenv_command, the_limit_ends_it_with_all_that_it_started)
{
    char script[256];
    (void)snprintf(script, sizeof script, "sleep 1000 & echo $! >%s; sleep 1000", at("/pid"));
    run_script(script, 300);
    cr_expect_str_eq(err.why, "it took too long");
    cr_expect(is_gone());
    /* a program that ends, but leaves one behind that holds our pipe */
    (void)snprintf(script, sizeof script, "sleep 1000 & echo $! >%s; echo trial=no", at("/pid"));
    run_script(script, 30000);
    cr_expect_eq(env.trial, IDM_NO, "%s", err.why);
    cr_expect(is_gone());
}

/* What it had to say counts, however late it is listened to; and who is not listened to is ended. */
Test(bootenv_command, it_runs_while_the_caller_does_something_else)
{
    char script[256];
    siginfo_t ended;
    write_script("echo trial=no");
    struct idm_bootenv_query *query = idm_bootenv_begin(root, &settings, 1);
    cr_assert_eq(waitid(P_ALL, 0, &ended, WEXITED | WNOWAIT), 0);
    (void)usleep(5000);
    cr_assert_eq(idm_bootenv_end(query, &env, &err), 0, "%s", err.why);
    cr_expect_eq(env.trial, IDM_NO);
    (void)snprintf(script, sizeof script, "echo $$ >%s; mv %s %s; sleep 1000", at("/p"), at("/p"),
                   at("/pid"));
    write_script(script);
    query = idm_bootenv_begin(root, &settings, 30000);
    for (int i = 0; i < 3000 && access(at("/pid"), F_OK) != 0; i++)
        (void)usleep(10000);
    idm_bootenv_drop(query);
    cr_expect(is_gone());
    idm_bootenv_drop(NULL);
}

Test(bootenv_command, a_clean_environment)
{
    struct idm_child_result result;
    cr_assert_eq(setenv("IDMODE_SECRET", "x", 1), 0);
    (void)umask(0);
    int open_fd = open("/dev/null", O_RDONLY);
    cr_assert_geq(open_fd, 0);
    (void)signal(SIGPIPE, SIG_IGN);
    char *const argv[] = {"/bin/sh", "-c",
                          "env | grep -v ^PWD= | sort; umask;"
                          " grep SigIgn /proc/$$/status; readlink /proc/$$/fd/0",
                          NULL};
    cr_assert_eq(idm_child_run(argv, 30000, &result, &err), 0, "%s", err.why);
    cr_expect_eq(result.exit_code, 0);
    cr_expect_str_eq(result.out, "LC_ALL=C\nPATH=/usr/bin:/bin\n0022\n"
                                 "SigIgn:\t0000000000000000\n/dev/null\n");
    /* 3 is the directory that ls itself reads */
    char *const list[] = {"/bin/ls", "/proc/self/fd", NULL};
    cr_assert_eq(idm_child_run(list, 30000, &result, &err), 0, "%s", err.why);
    cr_expect_str_eq(result.out, "0\n1\n2\n3\n");
    cr_assert_eq(close(open_fd), 0);
}

Test(bootenv_command, closed_standard_descriptors)
{
    pid_t child = fork();
    if (child == 0) {
        static struct idm_child_result result;
        char *const argv[] = {"/bin/sh", "-c", "cat; echo out; echo err >&2", NULL};
        for (int fd = 0; fd <= 2; fd++)
            (void)close(fd);
        int r = idm_child_run(argv, 30000, &result, NULL);
        _exit(r < 0 || strcmp(result.out, "out\n") != 0 || strcmp(result.err, "err") != 0);
    }
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
}
