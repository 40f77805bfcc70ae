/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_signd.h - idmode-signd beside the device. Whoever starts one stops it, also in .fini.
 *
 *     start_broker();                      as boot reached the chip; serves as soon as this returns
 *     start_broker_at(SHIM ":…");          by another way
 *     stop_broker();
 *     ask(IDM_WIRE_SIGN_MESSAGE, "hello", 5)   the reply to one request of ours, by hand
 *     loaded()                             transient objects in the chip
 */
#ifndef IDM_TESTS_TLS_TLS_SIGND_H
#define IDM_TESTS_TLS_TLS_SIGND_H

#include "tests/tls/tls_device.h"

#include "backends/active/reference.h"
#include "backends/active/wire.h"

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

/* ---- the protocol, by hand ---- */

/* A connection with a request on its way: for the identity in use, or with `foreign` for another one. */
static inline int send_ask(unsigned operation, const void *data, size_t size, bool foreign)
{
    struct {
        struct idm_wire_request head;
        uint8_t data[256];
    } request = {.head = {.magic = IDM_WIRE_MAGIC,
                          .id = 7,
                          .operation = (uint8_t)operation,
                          .digest = IDM_SHA256,
                          .size = (uint32_t)size}};
    struct idm_reference reference;
    struct kept key = keep("/run/idmode/device.key.pem");

    cr_assert_eq(idm_reference_read(key.data, key.size, &reference, NULL), 0);
    drop(&key);
    memcpy(request.head.spki, reference.spki, sizeof(reference.spki));
    request.head.spki[0] ^= (uint8_t)foreign;
    memcpy(request.data, data, size);
    int fd = connect_to_broker();
    cr_assert(fd >= 0);
    cr_assert_eq(send(fd, &request, sizeof(request.head) + size, 0),
                 (ssize_t)(sizeof(request.head) + size));
    return fd;
}

static inline struct idm_wire_reply take_reply(int fd)
{
    struct idm_wire_reply reply = {0};

    cr_assert(recv(fd, &reply, sizeof(reply), 0) >= (ssize_t)IDM_WIRE_REPLY_HEAD);
    close(fd);
    return reply;
}

static inline struct idm_wire_reply ask(unsigned operation, const void *data, size_t size)
{
    return take_reply(send_ask(operation, data, size, false));
}

/* ---- the chip ---- */

static inline unsigned loaded(void)
{
    _cleanup_run_ struct idm_run run = {0};
    cr_assert_eq(tls_run(&run, "tpm2_getcap handles-transient"), 0, "%s", run.err);
    unsigned count = 0;
    for (const char *at = run.out; (at = strstr(at, "0x8")) != NULL; at++)
        count++;
    return count;
}

#endif
