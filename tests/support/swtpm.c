/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/swtpm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_LIMIT_MS 10000
#define POLL_MS        1

/* swtpm_ioctls(3) */
#define CMD_GET_CAPABILITY 0x01u
#define CMD_INIT           0x02u
#define CMD_STORE_VOLATILE 0x0au

static int delete_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void delete_tree(const char *path)
{
    (void)nftw(path, delete_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void exec_swtpm(const struct idm_swtpm *chip, pid_t parent)
{
    char state[600];
    char control[128];
    char server[128];
    (void)snprintf(state, sizeof state, "dir=%s", chip->state_dir);
    (void)snprintf(control, sizeof control, "type=unixio,path=%s/tpm.ctrl", chip->run_dir);
    (void)snprintf(server, sizeof server, "type=unixio,path=%s/tpm", chip->run_dir);

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        _exit(127);
    /* swtpm tells stderr of every client that leaves; inherited pipes would also keep a test runner
     * waiting for their end. */
    int null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
        _exit(127);
    if (close_range(3, ~0U, 0) != 0)
        _exit(127);
    (void)execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", state, "--ctrl", control,
                 "--server", server, "--flags",
                 chip->resumes ? "not-need-init" : "not-need-init,startup-clear", (char *)NULL);
    _exit(127);
}

/* A descriptor, or -errno. */
static int connect_to(const struct idm_swtpm *chip, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", chip->run_dir, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int result = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 ? 0 : -errno;
    if (result == 0)
        return fd;
    (void)close(fd);
    return result;
}

static int try_connect(const struct idm_swtpm *chip)
{
    int fd = connect_to(chip, "tpm");
    if (fd < 0)
        return fd;
    (void)close(fd);
    return 0;
}

/* swtpm's control channel (swtpm_ioctls(3)): commands and results are big-endian words; the first
 * word of an answer is 0 for success. It answers once the TPM has started. */
static int control(const struct idm_swtpm *chip, uint32_t command, const uint32_t *argument)
{
    uint32_t words[] = {htonl(command), argument ? htonl(*argument) : 0};
    size_t size = argument ? sizeof words : sizeof words[0];
    uint32_t word;
    int fd = connect_to(chip, "tpm.ctrl");
    if (fd < 0)
        return fd;
    bool good = write(fd, words, size) == (ssize_t)size &&
                read(fd, &word, sizeof word) == (ssize_t)sizeof word && word == 0;
    (void)close(fd);
    return good ? 0 : -EIO;
}

static void volatile_path(const struct idm_swtpm *chip, char ret_path[600])
{
    (void)snprintf(ret_path, 600, "%s/tpm2-00.volatilestate", chip->state_dir);
}

static void forget_volatile(struct idm_swtpm *chip)
{
    char path[600];
    volatile_path(chip, path);
    if (chip->resumes)
        (void)unlink(path);
    chip->resumes = false;
}

/* The socket takes connections as soon as it listens; the command that a client then sends waits
 * there until the TPM has started, so no further handshake is needed. */
static int wait_until_it_listens(struct idm_swtpm *chip)
{
    for (int waited_ms = 0; waited_ms < START_LIMIT_MS; waited_ms += POLL_MS) {
        if (try_connect(chip) == 0)
            return 0;
        if (waitpid(chip->pid, NULL, WNOHANG) == chip->pid) {
            chip->pid = 0;
            return -ECHILD;
        }
        const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
        (void)nanosleep(&pause, NULL);
    }
    idm_swtpm_stop(chip);
    return -ETIMEDOUT;
}

int idm_swtpm_resume(struct idm_swtpm *chip)
{
    if (chip->pid > 0)
        return 0;
    if (mkdir(chip->state_dir, 0700) != 0 && errno != EEXIST)
        return -errno;
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0)
        exec_swtpm(chip, parent);
    chip->pid = pid;
    int result = wait_until_it_listens(chip);
    /* It is read by now; left there, it would stand for every later power-on. */
    if (result == 0 && chip->resumes)
        result = control(chip, CMD_GET_CAPABILITY, NULL);
    if (result == 0)
        forget_volatile(chip);
    return result;
}

static int make_chip(struct idm_swtpm *ret, const char *state_dir)
{
    struct idm_swtpm chip = {.run_dir = "/tmp/idm-swtpm-XXXXXX"};
    if (state_dir && strlen(state_dir) >= sizeof chip.state_dir)
        return -ENAMETOOLONG;
    if (!mkdtemp(chip.run_dir))
        return -errno;
    if (state_dir)
        (void)snprintf(chip.state_dir, sizeof chip.state_dir, "%s", state_dir);
    else
        (void)snprintf(chip.state_dir, sizeof chip.state_dir, "%s/state", chip.run_dir);
    (void)snprintf(chip.tcti, sizeof chip.tcti, "swtpm:path=%s/tpm", chip.run_dir);
    *ret = chip;
    return 0;
}

int idm_swtpm_start(struct idm_swtpm *ret, const char *state_dir)
{
    struct idm_swtpm chip;
    int result = make_chip(&chip, state_dir);
    if (result)
        return result;
    result = idm_swtpm_resume(&chip);
    if (result == 0)
        *ret = chip;
    else
        idm_swtpm_remove(&chip);
    return result;
}

static int copy_one(const char *from, const char *to)
{
    struct stat st;
    int source = open(from, O_RDONLY | O_CLOEXEC);
    int target = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool good = source >= 0 && target >= 0 && fstat(source, &st) == 0 &&
                sendfile(target, source, NULL, (size_t)st.st_size) == st.st_size;
    int result = good ? 0 : errno ? -errno : -EIO;
    if (source >= 0)
        (void)close(source);
    if (target >= 0)
        (void)close(target);
    return result;
}

/* swtpm has written what it answered for: between two commands its files are whole. */
static int copy_state(const struct idm_swtpm *to, const struct idm_swtpm *from)
{
    static const char *const names[] = {"tpm2-00.permall", "tpm2-00.volatilestate"};
    int result = mkdir(to->state_dir, 0700) != 0 ? -errno : 0;
    for (size_t i = 0; result == 0 && i < sizeof names / sizeof names[0]; i++) {
        char source[640];
        char target[640];
        (void)snprintf(source, sizeof source, "%s/%s", from->state_dir, names[i]);
        (void)snprintf(target, sizeof target, "%s/%s", to->state_dir, names[i]);
        result = access(source, F_OK) == 0 ? copy_one(source, target) : 0;
    }
    return result;
}

int idm_swtpm_copy(struct idm_swtpm *ret, const struct idm_swtpm *chip)
{
    struct idm_swtpm copy;
    char path[600];
    int result = chip->pid > 0 ? control(chip, CMD_STORE_VOLATILE, NULL) : 0;
    if (result == 0)
        result = make_chip(&copy, NULL);
    if (result)
        return result;
    copy.resumes = chip->pid > 0 || chip->resumes;
    result = copy_state(&copy, chip);
    volatile_path(chip, path);
    if (chip->pid > 0)
        (void)unlink(path);
    if (result == 0)
        *ret = copy;
    else
        idm_swtpm_remove(&copy);
    return result;
}

void idm_swtpm_stop(struct idm_swtpm *chip)
{
    forget_volatile(chip);
    if (chip->pid <= 0)
        return;
    (void)kill(chip->pid, SIGKILL);
    while (waitpid(chip->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    chip->pid = 0;
    /* A killed swtpm leaves its sockets; a connect to them would fail until the next one listens,
     * but swtpm will not bind over them. */
    char path[96];
    (void)snprintf(path, sizeof path, "%s/tpm", chip->run_dir);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/tpm.ctrl", chip->run_dir);
    (void)unlink(path);
}

int idm_swtpm_settle(const struct idm_swtpm *chip)
{
    return chip->pid > 0 ? control(chip, CMD_GET_CAPABILITY, NULL) : 0;
}

/* One command with a 16-bit parameter of zero, TPM_SU_CLEAR; an answer is a tag, a size and a code. */
static int su_clear(const struct idm_swtpm *chip, uint8_t code)
{
    const uint8_t command[] = {0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, code, 0, 0};
    static const uint8_t success[] = {0x80, 0x01, 0, 0, 0, 10, 0, 0, 0, 0};
    uint8_t answer[sizeof success];
    int fd = connect_to(chip, "tpm");
    if (fd < 0)
        return fd;
    bool good = write(fd, command, sizeof command) == (ssize_t)sizeof command &&
                read(fd, answer, sizeof answer) == (ssize_t)sizeof answer &&
                memcmp(answer, success, sizeof success) == 0;
    (void)close(fd);
    return good ? 0 : -EIO;
}

/* part 3, 9.3 and 9.4 */
static int startup(const struct idm_swtpm *chip)
{
    return su_clear(chip, 0x44);
}

int idm_swtpm_shutdown(const struct idm_swtpm *chip)
{
    return su_clear(chip, 0x45);
}

/* swtpm's own _TPM_Init, which takes a fifth of the time that a new process takes. */
int idm_swtpm_power_cycle(struct idm_swtpm *chip)
{
    if (chip->pid > 0 && control(chip, CMD_INIT, &(uint32_t){0}) == 0 && startup(chip) == 0)
        return 0;
    idm_swtpm_stop(chip);
    return idm_swtpm_resume(chip);
}

int idm_swtpm_replace(struct idm_swtpm *chip)
{
    idm_swtpm_stop(chip);
    delete_tree(chip->state_dir);
    return idm_swtpm_resume(chip);
}

void idm_swtpm_remove(struct idm_swtpm *chip)
{
    idm_swtpm_stop(chip);
    if (chip->run_dir[0])
        delete_tree(chip->run_dir);
    *chip = (struct idm_swtpm){0};
}
