/* SPDX-License-Identifier: BSD-2-Clause */
/* wire.h - what goes over ROOT/run/idmode/sign.sock: one SOCK_SEQPACKET message each way.
 *
 *     client ──► struct idm_wire_request, then `size` bytes: the message to sign, or its digest
 *     client ◄── struct idm_wire_reply: a signature, or four texts: name of the error, what, why, todo
 *
 * The broker hashes messages itself and refuses those that begin with idmode's own label (engine.h,
 * IDM_LABEL_PREFIX): over a bare digest nobody can tell what it is of, and a client could have idmode's
 * own statements signed. So bare digests are root's alone.
 *
 * A connection carries one request at a time. Both ends are of one package, on one machine.
 */
#ifndef IDM_BACKENDS_ACTIVE_WIRE_H
#define IDM_BACKENDS_ACTIVE_WIRE_H

#include "backends/active/active.h"

#define IDM_WIRE_SOCKET "/run/idmode/sign.sock"
#define IDM_WIRE_MAGIC  0x32534449u /* "IDS2" */
#define IDM_WIRE_TEXT   640u        /* four texts with their ends: struct idm_error's, and a name */

enum idm_wire_operation {
    IDM_WIRE_SIGN_MESSAGE = 1,
    IDM_WIRE_SIGN_DIGEST = 2,
    IDM_WIRE_SIGN_PURE = 3 /* the message itself, by a key that signs no digests */
};

struct idm_wire_request {
    uint32_t magic;
    uint32_t id;                   /* the reply repeats it */
    uint8_t operation;             /* enum idm_wire_operation */
    uint8_t digest;                /* enum idm_digest */
    uint8_t pss;                   /* 0, 1 */
    uint8_t zero;                  /* 0 */
    uint32_t size;                 /* of what follows */
    uint8_t spki[IDM_SHA256_SIZE]; /* of the key that is to sign */
};

struct idm_wire_reply {
    uint32_t magic;
    uint32_t id;
    uint16_t good; /* 1: a signature; 0: texts */
    uint16_t size; /* of data */
    uint8_t data[IDM_WIRE_TEXT];
};
_Static_assert(IDM_SIG_MAX <= IDM_WIRE_TEXT, "a signature fits");

#define IDM_WIRE_REPLY_HEAD offsetof(struct idm_wire_reply, data)

/* Fills reply->data and size from the error. */
void idm_wire_put_error(struct idm_wire_reply *reply, const struct idm_error *err);
/* The other way; returns the code. */
int idm_wire_take_error(const struct idm_wire_reply *reply, struct idm_error *err);

#endif
