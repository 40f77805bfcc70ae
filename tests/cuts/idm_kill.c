/* SPDX-License-Identifier: BSD-2-Clause */
/* idm_kill.c - idm-kill: runs a program and kills it, with all that it started, at its n-th call to the
 * kernel that changes something.
 *
 *     idm-kill LOG ROOT before:N|after:N|count PROGRAM [ARGUMENT…]
 *
 *     PROGRAM ──changing call──► seccomp filter ──stop──► idm-kill ── n-th? ──► SIGKILL to the group
 *             ──any other──────► kernel                      └─ else: one line in LOG, go on
 *
 * Why ptrace behind a seccomp filter, and neither a preload nor plain ptrace: a preload sees what a
 * program calls in libc, not what libc or a library that it links calls in itself (fopen, remove, all
 * of libubootenv), and nothing can be stopped in it before a call that is inlined; plain ptrace stops at
 * every call, which is ten times slower. The filter stops at the calls below and at nothing else, in
 * every process that the program starts, across exec.
 *
 * A changing call is
 *     openat, openat2, open, creat    that may create, truncate or write
 *     write, writev, pwrite64, pwritev, pwritev2, sendfile, copy_file_range, ftruncate, fallocate
 *     fsync, fdatasync, fchmod, fchown, utimensat with a descriptor
 *     rename*, unlink*, rmdir, mkdir*, link*, symlink*, chmod, fchmodat, truncate
 *     connect, sendto, sendmsg        on a socket: what a chip or another program is told
 *     mount, umount2
 * on something below ROOT, except below ROOT/run, which no power cut leaves anything of; sockets count
 * wherever they are. Whether a call succeeded does not matter: what a program looks like at that moment
 * is what it is to survive. "before": the call never happens; "after": it did, nobody sees the result.
 *
 * LOG gets one line per changing call: its number from 1, its name, then the plan and the action after
 * which it happened, as the program's own trace (ROOT/run/idmode/trace) says, then the path or "socket".
 * The numbers go on where the file ends, so that several runs in one step of a device's life are one.
 *
 * Exit: the program's; 128 + signal when a signal ended it; 137 by SIGKILL of its own with the whole
 * group, when it killed: start it as leader of a group. 126 when it cannot do its work.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define CANNOT    126
#define TEXT_SIZE 2048u
#define WORD_SIZE 48u

enum shape { BY_FD, BY_PATH, BY_DIR_AND_PATH, BY_OPEN, BY_OPENAT, BY_OPENAT2, BY_SOCKET };

static const struct {
    int number;
    enum shape shape;
    unsigned argument; /* BY_PATH: which; BY_DIR_AND_PATH: that of the directory */
    const char *name;
} CALLS[] = {
#define CALL(name, shape, argument)                                                                \
    {                                                                                              \
        SYS_##name, shape, argument, #name                                                         \
    }
    CALL(openat, BY_OPENAT, 0),
    CALL(openat2, BY_OPENAT2, 0),
    CALL(write, BY_FD, 0),
    CALL(writev, BY_FD, 0),
    CALL(pwrite64, BY_FD, 0),
    CALL(pwritev, BY_FD, 0),
    CALL(pwritev2, BY_FD, 0),
    CALL(sendfile, BY_FD, 0),
    CALL(copy_file_range, BY_FD, 2),
    CALL(ftruncate, BY_FD, 0),
    CALL(fallocate, BY_FD, 0),
    CALL(fsync, BY_FD, 0),
    CALL(fdatasync, BY_FD, 0),
    CALL(fchmod, BY_FD, 0),
    CALL(fchown, BY_FD, 0),
    CALL(renameat, BY_DIR_AND_PATH, 2),
    CALL(renameat2, BY_DIR_AND_PATH, 2),
    CALL(unlinkat, BY_DIR_AND_PATH, 0),
    CALL(mkdirat, BY_DIR_AND_PATH, 0),
    CALL(linkat, BY_DIR_AND_PATH, 2),
    CALL(symlinkat, BY_DIR_AND_PATH, 1),
    CALL(fchmodat, BY_DIR_AND_PATH, 0),
    CALL(utimensat, BY_DIR_AND_PATH, 0),
    CALL(truncate, BY_PATH, 0),
    CALL(connect, BY_SOCKET, 0),
    CALL(sendto, BY_SOCKET, 0),
    CALL(sendmsg, BY_SOCKET, 0),
    CALL(mount, BY_PATH, 1),
    CALL(umount2, BY_PATH, 0),
#ifdef SYS_open /* architectures that came early */
    CALL(open, BY_OPEN, 0),
    CALL(creat, BY_PATH, 0),
    CALL(rename, BY_PATH, 1),
    CALL(unlink, BY_PATH, 0),
    CALL(rmdir, BY_PATH, 0),
    CALL(mkdir, BY_PATH, 0),
    CALL(link, BY_PATH, 1),
    CALL(symlink, BY_PATH, 1),
    CALL(chmod, BY_PATH, 0),
#endif
#undef CALL
};

#define CALLS_COUNT (sizeof(CALLS) / sizeof(CALLS[0]))
#define CHANGES     (O_CREAT | O_TRUNC | O_WRONLY | O_RDWR)

static FILE *log_file;
static const char *root;
static unsigned long counted, kill_at; /* kill_at 0: never */
static bool after;
static char plan[WORD_SIZE] = "-", action[WORD_SIZE] = "-";

_Noreturn static void die(const char *what)
{
    fprintf(stderr, "idm-kill: %s: %s\n", what, strerror(errno));
    _exit(CANNOT);
}

/* ---- what a call is about ---- */

static bool read_memory(pid_t pid, unsigned long long from, void *ret, size_t size)
{
    struct iovec here = {ret, size}, there = {(void *)(uintptr_t)from, size};

    return process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)size;
}

/* Up to the end of the string or of what can be read. */
static void read_string(pid_t pid, unsigned long long from, char ret[PATH_MAX])
{
    size_t n = 0;

    while (n + 1 < PATH_MAX && read_memory(pid, from + n, ret + n, 1) && ret[n] != '\0')
        n++;
    ret[n] = '\0';
}

static void link_of(pid_t pid, const char *what, int fd, char ret[PATH_MAX])
{
    char link[64];
    ssize_t n;

    if (fd == AT_FDCWD)
        snprintf(link, sizeof(link), "/proc/%d/cwd", (int)pid);
    else
        snprintf(link, sizeof(link), "/proc/%d/%s/%d", (int)pid, what, fd);
    n = readlink(link, ret, PATH_MAX - 1);
    ret[n < 0 ? 0 : n] = '\0';
}

static void path_of(pid_t pid, int dir, unsigned long long name, char ret[2 * PATH_MAX])
{
    char text[PATH_MAX], start[PATH_MAX];

    text[0] = '\0';
    if (name != 0)
        read_string(pid, name, text);
    if (text[0] == '/') {
        snprintf(ret, 2 * PATH_MAX, "%s", text);
        return;
    }
    link_of(pid, "fd", dir, start);
    snprintf(ret, 2 * PATH_MAX, "%s%s%s", start, text[0] != '\0' ? "/" : "", text);
}

/* False: the call changes nothing. */
static bool target_of(pid_t pid, enum shape shape, unsigned argument,
                      const struct __ptrace_syscall_info *info, char ret[2 * PATH_MAX])
{
    const __uint64_t *args = info->seccomp.args;
    struct open_how how = {0};

    switch (shape) {
    case BY_SOCKET:
        snprintf(ret, 2 * PATH_MAX, "socket");
        return true;
    case BY_FD:
        link_of(pid, "fd", (int)args[argument], ret);
        if (strncmp(ret, "socket:", 7) == 0)
            snprintf(ret, 2 * PATH_MAX, "socket");
        return true;
    case BY_PATH:
        path_of(pid, AT_FDCWD, args[argument], ret);
        return true;
    case BY_DIR_AND_PATH:
        path_of(pid, (int)args[argument], args[argument + 1], ret);
        return true;
    case BY_OPEN:
        path_of(pid, AT_FDCWD, args[0], ret);
        return (args[1] & CHANGES) != 0;
    case BY_OPENAT:
        path_of(pid, (int)args[0], args[1], ret);
        return (args[2] & CHANGES) != 0;
    case BY_OPENAT2:
        path_of(pid, (int)args[0], args[1], ret);
        return read_memory(pid, args[2], &how, sizeof(how)) && (how.flags & CHANGES) != 0;
    }
    return false;
}

static bool below(const char *path, const char *above)
{
    size_t n = strlen(above);

    return strncmp(path, above, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static bool counts(const char *target)
{
    char memory[PATH_MAX];

    if (strcmp(target, "socket") == 0)
        return true;
    snprintf(memory, sizeof(memory), "%s/run", root);
    return below(target, root) && !below(target, memory);
}

/* ---- where in the engine ---- */

static void take_word(const char *from, size_t length, char ret[WORD_SIZE])
{
    snprintf(ret, WORD_SIZE, "%.*s", (int)length, from);
}

/* engine/run.c: "STATE: EVENT … NEXT, plan PLAN…", "STATE: ACTION done". */
static void hear_trace(pid_t pid, const struct __ptrace_syscall_info *info)
{
    char text[TEXT_SIZE], *found;
    size_t size = info->seccomp.args[2] < TEXT_SIZE ? (size_t)info->seccomp.args[2] : TEXT_SIZE - 1;

    if (size == 0 || !read_memory(pid, info->seccomp.args[1], text, size))
        return;
    text[size] = '\0';
    found = strstr(text, ", plan ");
    if (found != NULL) {
        found += strlen(", plan ");
        take_word(found, strcspn(found, ",: \n"), plan);
        take_word("-", 1, action);
    }
    found = strstr(text, " done\n");
    if (found != NULL) {
        char *start = found;

        while (start > text && start[-1] != ' ')
            start--;
        take_word(start, (size_t)(found - start), action);
    }
}

/* ---- the n-th ---- */

_Noreturn static void kill_all(void)
{
    fflush(log_file);
    kill(0, SIGKILL); /* this process too; PTRACE_O_EXITKILL ends those in groups of their own */
    for (;;)
        pause();
}

static void count(const char *name, const char *target)
{
    counted++;
    fprintf(log_file, "%lu %s %s %s %s\n", counted, name, plan, action,
            below(target, root) ? target + strlen(root) : target);
    fflush(log_file);
}

/* The process stands before a call of CALLS. True: it is to stop again at the call's end. */
static bool judge(pid_t pid)
{
    struct __ptrace_syscall_info info;
    char target[2 * PATH_MAX];
    size_t i = 0;

    if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0 ||
        info.op != PTRACE_SYSCALL_INFO_SECCOMP)
        return false;
    while (i < CALLS_COUNT && CALLS[i].number != (int)info.seccomp.nr)
        i++;
    if (i == CALLS_COUNT || !target_of(pid, CALLS[i].shape, CALLS[i].argument, &info, target))
        return false;
    if (info.seccomp.nr == SYS_write && strstr(target, "/run/idmode/trace") != NULL)
        hear_trace(pid, &info);
    if (!counts(target))
        return false;
    count(CALLS[i].name, target);
    if (counted == kill_at && !after)
        kill_all();
    return counted == kill_at;
}

/* ---- running it ---- */

static int go_on(pid_t pid, enum __ptrace_request how, int signal_number)
{
    return (int)ptrace(how, pid, NULL, (void *)(intptr_t)signal_number);
}

static void stopped(pid_t pid, int status)
{
    int number = WSTOPSIG(status), event = status >> 16;

    if (event == PTRACE_EVENT_SECCOMP) {
        (void)go_on(pid, judge(pid) ? PTRACE_SYSCALL : PTRACE_CONT, 0);
        return;
    }
    if (number == (SIGTRAP | 0x80)) /* the end of the call after which all ends */
        kill_all();
    /* The stop with which a new process begins is ptrace's own. */
    (void)go_on(pid, PTRACE_CONT,
                event != 0 || number == SIGSTOP || number == SIGTRAP ? 0 : number);
}

static int follow(pid_t program)
{
    int status, exit_code = CANNOT;
    pid_t pid;

    while ((pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
        if (pid <= 0)
            continue;
        if (WIFSTOPPED(status)) {
            stopped(pid, status);
            continue;
        }
        if (pid == program)
            exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    return exit_code;
}

static void install_filter(void)
{
    struct sock_filter code[2 * CALLS_COUNT + 3];
    struct sock_fprog program = {.filter = code};
    unsigned short n = 0;

    code[n++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < CALLS_COUNT; i++) {
        code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
                                                 (unsigned)CALLS[i].number, 0, 1);
        code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
    }
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    program.len = n;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        die("seccomp");
}

_Noreturn static void become(char *argv[])
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        die("ptrace");
    raise(SIGSTOP);
    install_filter();
    execvp(argv[0], argv);
    die(argv[0]);
}

static pid_t start(char *argv[])
{
    const long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL |
                         PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
                         PTRACE_O_TRACEEXEC;
    int status;
    pid_t pid = fork();

    if (pid == 0)
        become(argv);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) ||
        ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)options) != 0 ||
        go_on(pid, PTRACE_CONT, 0) != 0)
        die("start the program");
    return pid;
}

static bool read_when(const char *text)
{
    char *end = NULL;

    if (strcmp(text, "count") == 0)
        return true;
    after = strncmp(text, "after:", 6) == 0;
    if (!after && strncmp(text, "before:", 7) != 0)
        return false;
    kill_at = strtoul(strchr(text, ':') + 1, &end, 10);
    return kill_at != 0 && *end == '\0';
}

static void count_lines(const char *path)
{
    FILE *file = fopen(path, "re");
    int c;

    while (file != NULL && (c = getc(file)) != EOF)
        counted += c == '\n';
    if (file != NULL)
        fclose(file);
}

int main(int argc, char *argv[])
{
    if (argc < 5 || !read_when(argv[3])) {
        fputs("usage: idm-kill LOG ROOT before:N|after:N|count PROGRAM [ARGUMENT...]\n", stderr);
        return CANNOT;
    }
    root = argv[2];
    count_lines(argv[1]);
    log_file = fopen(argv[1], "ae");
    if (log_file == NULL)
        die(argv[1]);
    return follow(start(argv + 4));
}
