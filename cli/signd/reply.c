/* SPDX-License-Identifier: BSD-2-Clause */
/* reply.c - what a client is told. Who does not read what it asked for is not waited for. */
#include "cli/signd/signd.h"

#include <string.h>
#include <sys/socket.h>

static bool tell(int fd, const struct idm_wire_reply *reply)
{
    size_t size = IDM_WIRE_REPLY_HEAD + reply->size;
    return send(fd, reply, size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size;
}

bool idm_signd_tell_signature(int fd, uint32_t id, const struct idm_signature *signature)
{
    struct idm_wire_reply reply = {
        .magic = IDM_WIRE_MAGIC, .id = id, .good = 1, .size = (uint16_t)signature->size};
    memcpy(reply.data, signature->data, signature->size);
    return tell(fd, &reply);
}

bool idm_signd_tell_error(int fd, uint32_t id, const struct idm_error *err)
{
    struct idm_wire_reply reply = {.magic = IDM_WIRE_MAGIC, .id = id};
    idm_wire_put_error(&reply, err);
    return tell(fd, &reply);
}
