/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/swtpm.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_LIMIT_MS 10000
#define POLL_MS        1

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
                 "--server", server, "--flags", "not-need-init,startup-clear", (char *)NULL);
    _exit(127);
}

static int try_connect(const struct idm_swtpm *chip)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/tpm", chip->run_dir);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int result = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 ? 0 : -errno;
    (void)close(fd);
    return result;
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
    return wait_until_it_listens(chip);
}

int idm_swtpm_start(struct idm_swtpm *ret, const char *state_dir)
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
    int result = idm_swtpm_resume(&chip);
    if (result == 0)
        *ret = chip;
    else
        idm_swtpm_remove(&chip);
    return result;
}

void idm_swtpm_stop(struct idm_swtpm *chip)
{
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

int idm_swtpm_power_cycle(struct idm_swtpm *chip)
{
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
