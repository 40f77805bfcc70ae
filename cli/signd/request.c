/* SPDX-License-Identifier: BSD-2-Clause */
/* request.c - what a client sends, and whether that may be signed. */
#include "cli/signd/signd.h"

#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

static const char what_sign[] = "sign with the device's key";

bool idm_request_is_sane(const struct idm_wire_request *r, size_t size)
{
    return r->magic == IDM_WIRE_MAGIC && r->zero == 0 && r->pss <= 1 && r->digest <= IDM_SHA512 &&
           r->size == size && r->operation >= IDM_WIRE_SIGN_MESSAGE &&
           r->operation <= IDM_WIRE_SIGN_PURE;
}

static int refuse(const char *why, const char *todo, struct idm_error *err)
{
    (void)idm_fail(err, IDM_E_REFUSED, what_sign, "%s", why);
    return idm_advise(err, "%s", todo), IDM_E_REFUSED;
}

static int keep_message(const uint8_t *data, size_t size, struct idm_to_sign *what,
                        uint8_t **ret_message, struct idm_error *err)
{
    uint8_t *message = malloc(size ? size : 1);
    if (!message)
        return idm_fail(err, IDM_E_MEMORY, what_sign, "out of memory");
    memcpy(message, data, size);
    what->message = message;
    what->message_size = size;
    *ret_message = message;
    return 0;
}

/* Root could have the key sign anything by other ways. */
static int take_digest(uid_t uid, const uint8_t *data, size_t size, size_t hash_size,
                       struct idm_to_sign *what, struct idm_error *err)
{
    if (uid != 0)
        return refuse("of a digest nobody can tell what it is of",
                      "give the message: let OpenSSL hash and sign in one operation", err);
    if (size != hash_size)
        return refuse("the digest has another length than its algorithm", "", err);
    memcpy(what->hash, data, size);
    return 0;
}

int idm_request_take(const struct idm_wire_request *request, uid_t uid, const uint8_t *data,
                     size_t size, struct idm_to_sign *ret, uint8_t **ret_message,
                     struct idm_error *err)
{
    static const size_t label = sizeof IDM_LABEL_PREFIX - 1;
    size_t hash_size = 0;
    *ret = (struct idm_to_sign){.digest = (enum idm_digest)request->digest,
                                .pss = request->pss,
                                .pure = request->operation == IDM_WIRE_SIGN_PURE};
    const char *name = idm_active_digest_name(ret->digest);
    (void)idm_active_digest(name, &ret->digest, &hash_size);
    if (request->operation == IDM_WIRE_SIGN_DIGEST)
        return take_digest(uid, data, size, hash_size, ret, err);
    if (size >= label && memcmp(data, IDM_LABEL_PREFIX, label) == 0)
        return refuse("it begins with \"" IDM_LABEL_PREFIX "\", as idmode's own statements do",
                      "sign something else: such a signature could be taken for ours", err);
    if (ret->pure)
        return keep_message(data, size, ret, ret_message, err);
    if (EVP_Q_digest(idm_active_libctx(), name, NULL, data, size, ret->hash, NULL) == 1)
        return 0;
    return idm_fail(err, IDM_E_CRYPTO, what_sign, "the digest failed");
}
