/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_signd.h - idmode-signd beside the device. Whoever starts one stops it, also in .fini.
 *
 *     start_broker();                      as boot reached the chip; serves as soon as this returns
 *     start_broker_at(SHIM ":…");          by another way
 *     stop_broker();
 */
#ifndef IDM_TESTS_TLS_TLS_SIGND_H
#define IDM_TESTS_TLS_TLS_SIGND_H

#include "tests/tls/tls_device.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

static pid_t broker;
static char socket_path[IDM_DEVICE_PATH_SIZE];

static inline void stop_broker(void)
{
    if (broker > 0) {
        kill(broker, SIGTERM);
        int status = 0;
        waitpid(broker, &status, 0);
        broker = 0;
    }
}

static inline void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

static inline int connect_to_broker(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    size_t length = strlen(socket_path);
    cr_assert(length < sizeof(address.sun_path));
    memcpy(address.sun_path, socket_path, length);
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Serves as soon as this returns. tcti NULL: as boot reached the chip. */
static inline void start_broker_at(const char *tcti)
{
    char path[IDM_DEVICE_PATH_SIZE];
    int fd = -1;

    snprintf(path, sizeof(path), "%s/signd.log", device.base);
    idm_device_path(&device, "/run/idmode/sign.sock", socket_path);
    broker = fork();
    if (broker == 0) {
        unsetenv("IDMODE_TCTI");
        int log = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
        dup2(log, 2);
        execl(IDM_TEST_BUILD_DIR "/bin/idmode-signd", "idmode-signd", "--root", device.root,
              tcti != NULL ? "--tcti" : NULL, tcti, NULL);
        _exit(127);
    }
    for (int i = 0; i < 6000 && fd < 0; i++) {
        fd = connect_to_broker();
        if (fd < 0)
            nap();
    }
    cr_assert(fd >= 0, "the broker does not serve");
    close(fd);
}

static inline void start_broker(void)
{
    start_broker_at(NULL);
}

#endif
