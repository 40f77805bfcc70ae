/* SPDX-License-Identifier: BSD-2-Clause */
/* notify.c - by hand: one datagram (sd_notify(3), "Notes": the protocol is stable), against a library that
 * brings compressors and a bus along. */
#include "cli/watch/watch.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void idm_watch_notify(const char *message)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = secure_getenv("NOTIFY_SOCKET");
    size_t length = path ? strlen(path) : 0;
    if (length < 2 || length >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(address.sun_path, path, length);
    if (path[0] == '@')
        address.sun_path[0] = 0; /* unix(7), abstract */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    /* Only the first message is worth waiting for: a manager that is busy must not keep us from looking. */
    int flags = MSG_NOSIGNAL | (strncmp(message, "READY=1", 7) == 0 ? 0 : MSG_DONTWAIT);
    ssize_t sent;
    do
        sent = sendto(fd, message, strlen(message), flags, (struct sockaddr *)&address, size);
    while (sent < 0 && errno == EINTR);
    (void)close(fd);
}

int64_t idm_watch_watchdog_ms(void)
{
    const char *usec = secure_getenv("WATCHDOG_USEC");
    const char *pid = secure_getenv("WATCHDOG_PID");
    char *end = NULL;
    if (!usec || (pid && strtol(pid, NULL, 10) != (long)getpid()))
        return -1;
    errno = 0;
    long long value = strtoll(usec, &end, 10);
    if (errno || end == usec || *end || value < 2000)
        return -1;
    return value / 2000;
}
