/* SPDX-License-Identifier: BSD-2-Clause */
/* Both ends of the broker's protocol: a message of a client who is not root, and a reply. */
#include "cli/signd/server.c" /* the loop's parts are its own */

#include "tests/fuzz/fuzz.h"

/* In place of the program's main.c: a clock that stands, and nobody who listens. */
int64_t idm_signd_now_ms(void)
{
    return 1000;
}

void idm_signd_log(const struct idm_error *err)
{
    (void)err;
}

static void as_request(const uint8_t *data, size_t size)
{
    static struct server server;
    int ends[2];
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    server = (struct server){0};
    for (size_t i = 0; i < IDM_SIGND_CLIENTS; i++)
        server.clients[i].fd = -1;
    admit(&server, ends[0], 1000);
    struct client *client = &server.clients[0];
    if (size && send(ends[1], data, size, MSG_NOSIGNAL) == (ssize_t)size) {
        receive(&server, client);
        FUZZ_CHECK(!client->asks || client->fd >= 0);
        /* Nothing that begins with our label is ever signed for anybody. */
        size_t head = sizeof client->request;
        FUZZ_CHECK(!client->asks || client->request.operation == IDM_WIRE_SIGN_MESSAGE);
        FUZZ_CHECK(!client->asks || size < head + sizeof IDM_LABEL_PREFIX - 1 ||
                   memcmp(data + head, IDM_LABEL_PREFIX, sizeof IDM_LABEL_PREFIX - 1) != 0);
    }
    if (client->fd >= 0)
        drop(&server, client);
    (void)close(ends[1]);
}

static void as_reply(const uint8_t *data, size_t size)
{
    struct idm_wire_reply reply = {0};
    struct idm_error err = {0};
    memcpy(&reply, data, size < sizeof reply ? size : sizeof reply);
    if (reply.size > sizeof reply.data)
        return; /* backends/active/client.c: refused by its length */
    FUZZ_CHECK(idm_wire_take_error(&reply, &err) < 0 && err.code < 0);
    FUZZ_CHECK(memchr(err.what, 0, sizeof err.what) && memchr(err.why, 0, sizeof err.why));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    as_request(data, size);
    as_reply(data, size);
    return 0;
}
