/* SPDX-License-Identifier: BSD-2-Clause */
/* client.c - the broker's client: one request, one reply, bounded in time. */
#include "backends/active/wire.h"

#include "backends/active/context.h"
#include "backends/store/inroot.h"

#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

static const char what_ask[] = "have idmode-signd sign";

/* A broker that was just started anew takes a moment until it listens again. */
#define RESTART_PAUSE_MS 20u
#define RESTART_WAIT_MS  1000u

/* Nobody serves the socket: no broker, as if the socket were not there, for whoever can do without. */
#define GONE IDM_E_ABSENT

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool idm_broker_is_there(const struct idm_active_ctx *ctx)
{
    char path[PATH_MAX];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s" IDM_WIRE_SOCKET, ctx->root);
    return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* ---- connect ---- */

/* A socket's address has room for 108 characters: a longer path goes through its directory. */
static int address_of(const struct idm_active_ctx *ctx, struct sockaddr_un *ret, int *ret_dir)
{
    char path[PATH_MAX];
    char *name = NULL;
    int length = snprintf(path, sizeof path, "%s" IDM_WIRE_SOCKET, ctx->root);
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (length < (int)sizeof ret->sun_path) {
        memcpy(ret->sun_path, path, (size_t)length + 1);
        return 0;
    }
    name = strrchr(path, '/');
    *name++ = 0;
    *ret_dir = idm_fd_above_stdio(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (*ret_dir < 0)
        return -1;
    (void)snprintf(ret->sun_path, sizeof ret->sun_path, "/proc/self/fd/%d/%s", *ret_dir, name);
    return 0;
}

/* The descriptor, or -1 and errno. A full queue of connections is waited for, so long as a reply. */
static int connect_once(const struct idm_active_ctx *ctx)
{
    struct sockaddr_un address;
    _cleanup_close_ int dir = -1;
    if (address_of(ctx, &address, &dir) < 0)
        return -1;
    _cleanup_close_ int fd = idm_fd_above_stdio(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    const struct timeval limit = {.tv_sec = IDM_BROKER_WAIT_MS / 1000};
    const int room = 2 * (int)IDM_MESSAGE_MAX;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room) < 0)
        return -1;
    int rc = 0;
    do
        rc = connect(fd, (const struct sockaddr *)&address, sizeof address);
    while (rc < 0 && errno == EINTR);
    if (rc < 0)
        return -1;
    int connected = fd;
    fd = -1;
    return connected;
}

static int explain_connect(int errnum, struct idm_error *err)
{
    int code = errnum == EAGAIN ? IDM_E_TPM_BUSY : IDM_E_UNREADABLE;
    if (errnum != EACCES && errnum != EPERM)
        return idm_fail(err, code, what_ask, "its socket: %s", strerror(errnum));
    (void)idm_fail(err, IDM_E_REFUSED, what_ask, "this user may not use its socket");
    return idm_advise(err, "add the user to the group idmode ([access] group)"), IDM_E_REFUSED;
}

static int connect_link(const struct idm_active_ctx *ctx, struct idm_link *link, bool lost,
                        struct idm_error *err)
{
    const struct timespec pause = {.tv_nsec = RESTART_PAUSE_MS * 1000000L};
    int64_t end = now_ms() + RESTART_WAIT_MS;
    link->used = false;
    for (;;) {
        link->fd = connect_once(ctx);
        if (link->fd >= 0)
            return 0;
        int errnum = errno;
        bool coming = errnum == ECONNREFUSED || (lost && errnum == ENOENT);
        if (!coming || now_ms() >= end) {
            if (errnum == ENOENT || errnum == ENOTDIR || errnum == ECONNREFUSED)
                return idm_fail(err, GONE, what_ask, "nobody serves its socket");
            return explain_connect(errnum, err);
        }
        (void)nanosleep(&pause, NULL);
    }
}

/* ---- one exchange ---- */

static bool send_request(int fd, const struct idm_wire_request *request, const uint8_t *data)
{
    struct iovec parts[] = {{.iov_base = (void *)request, .iov_len = sizeof *request},
                            {.iov_base = (void *)data, .iov_len = request->size}};
    const struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t sent = 0;
    do
        sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)(sizeof *request + request->size);
}

enum got { GOT_REPLY, GOT_END, GOT_NOTHING, GOT_NONSENSE };

static enum got receive(int fd, const struct idm_wire_request *request, struct idm_wire_reply *ret)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    int64_t end = now_ms() + IDM_BROKER_WAIT_MS;
    for (;;) {
        int64_t left = end - now_ms();
        int ready = left > 0 ? poll(&poll_fd, 1, (int)left) : 0;
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return GOT_NOTHING;
        ssize_t size = recv(fd, ret, sizeof *ret, MSG_DONTWAIT);
        if (size < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (size <= 0)
            return GOT_END;
        bool good = (size_t)size >= IDM_WIRE_REPLY_HEAD && ret->magic == IDM_WIRE_MAGIC &&
                    ret->id == request->id && (size_t)size == IDM_WIRE_REPLY_HEAD + ret->size;
        return good && (!ret->good || ret->size <= IDM_SIG_MAX) ? GOT_REPLY : GOT_NONSENSE;
    }
}

static size_t hash_size(enum idm_digest digest)
{
    return digest == IDM_SHA256 ? 32u : digest == IDM_SHA384 ? 48u : 64u;
}

static enum idm_wire_operation operation_of(const struct idm_to_sign *what)
{
    if (what->pure)
        return IDM_WIRE_SIGN_PURE;
    return what->message ? IDM_WIRE_SIGN_MESSAGE : IDM_WIRE_SIGN_DIGEST;
}

static enum got exchange(int fd, const struct idm_active_key *key, const struct idm_to_sign *what,
                         struct idm_wire_reply *ret)
{
    static _Atomic uint32_t last_id;
    struct idm_wire_request request = {
        .magic = IDM_WIRE_MAGIC,
        .id = atomic_fetch_add_explicit(&last_id, 1, memory_order_relaxed) + 1,
        .operation = (uint8_t)operation_of(what),
        .digest = (uint8_t)what->digest,
        .pss = what->pss,
        .size = (uint32_t)(what->message ? what->message_size : hash_size(what->digest))};
    memcpy(request.spki, key->reference.spki, IDM_SHA256_SIZE);
    if (!send_request(fd, &request, what->message ? what->message : what->hash))
        return GOT_END;
    return receive(fd, &request, ret);
}

static int take_reply(const struct idm_wire_reply *reply, struct idm_signature *ret,
                      struct idm_error *err)
{
    if (!reply->good)
        return idm_wire_take_error(reply, err);
    *ret = (struct idm_signature){.size = reply->size};
    memcpy(ret->data, reply->data, reply->size);
    return 0;
}

/* A broker may end or drop an idle connection at any time; signing twice harms nobody. */
static int ask(struct idm_active_ctx *ctx, struct idm_link *link, const struct idm_active_key *key,
               const struct idm_to_sign *what, struct idm_signature *ret, struct idm_error *err)
{
    struct idm_wire_reply reply;
    enum got got = GOT_END;
    for (int attempt = 0; attempt < 3 && got == GOT_END; attempt++) {
        int rc = link->fd >= 0 ? 0 : connect_link(ctx, link, attempt > 0, err);
        if (rc)
            return rc;
        got = exchange(link->fd, key, what, &reply);
        if (got != GOT_REPLY)
            idm_close_fd(&link->fd);
    }
    if (got == GOT_REPLY)
        return take_reply(&reply, ret, err);
    if (got == GOT_NOTHING)
        return idm_fail(err, IDM_E_TPM_BUSY, what_ask, "it did not answer within %u s",
                        IDM_BROKER_WAIT_MS / 1000);
    return idm_fail(err, IDM_E_UNREADABLE, what_ask,
                    got == GOT_END ? "it closes the connection" : "its answer makes no sense");
}

int idm_broker_sign(struct idm_active_ctx *ctx, const struct idm_active_key *key,
                    const struct idm_to_sign *what, struct idm_signature *ret,
                    struct idm_error *err)
{
    struct idm_link *link = idm_link_take(ctx, IDM_LINK_BROKER);
    if (!link)
        return idm_fail(err, IDM_E_MEMORY, what_ask, "out of memory");
    if (link->fd < 0 && !idm_broker_is_there(ctx)) { /* one system call in place of five */
        idm_link_drop(link);
        return idm_fail(err, GONE, what_ask, "it has no socket");
    }
    int rc = ask(ctx, link, key, what, ret, err);
    if (link->fd >= 0)
        idm_link_put(ctx, IDM_LINK_BROKER, link);
    else
        idm_link_drop(link);
    return rc;
}
