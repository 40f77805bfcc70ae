/* SPDX-License-Identifier: BSD-2-Clause */
/* members.h - inside the documents: members of one JSON object, each named once in a table.
 *
 *     static const struct idm_member members[] = {{"nonce", IDM_M_HEX, AT(struct thing, nonce)}, …};
 *     idm_members_read(object, members, COUNT, &thing)
 */
#ifndef IDM_VERIFY_MEMBERS_H
#define IDM_VERIFY_MEMBERS_H

#include "verify/document.h"

#include <jansson.h>
#include <stddef.h>

enum idm_member_kind {
    IDM_M_CONSTANT,  /* exactly the text or number in `is` */
    IDM_M_TEXT,      /* struct idm_bytes */
    IDM_M_TEXT_NULL, /* the same, or null: empty */
    IDM_M_SERVICE,   /* char[IDM_SERVICE_SIZE] */
    IDM_M_BOOL,      /* bool */
    IDM_M_U32,       /* uint32_t */
    IDM_M_HEX,       /* struct idm_bytes */
    IDM_M_HASH,      /* uint8_t[IDM_SHA256_SIZE], hex */
    IDM_M_BASE64,    /* struct idm_bytes */
    IDM_M_BASE64_NULL,
    IDM_M_LIST, /* struct idm_list of base64 */
    IDM_M_LIST_NULL,
    IDM_M_OBJECT, /* const json_t *: borrowed, an object */
    IDM_M_OBJECT_NULL,
    IDM_M_ARRAY,   /* const json_t *: borrowed, an array */
    IDM_M_IGNORED, /* there, a text, a boolean or null: nothing is read from it */
};

struct idm_member {
    const char *name;
    enum idm_member_kind kind;
    size_t offset;
    const char *is;
};

/* Reads exactly these members into `ret`. CORRUPT, with the member's name in *err; MEMORY. What was read
 * before a failure stays in `ret`: its owner frees it. */
int idm_members_read(const json_t *object, const struct idm_member *members, size_t count,
                     void *ret, struct idm_error *err) IDM_NODISCARD;

/* A whole text that is one JSON object; the caller frees *ret with json_decref. CORRUPT; MEMORY. */
int idm_members_load(const struct idm_bytes *text, json_t **ret,
                     struct idm_error *err) IDM_NODISCARD;
static inline void idm_json_done(json_t **object)
{
    json_decref(*object);
}
#define _cleanup_json_ __attribute__((cleanup(idm_json_done)))

/* {"sha256": {"0": "hex", …}, …} */
int idm_members_pcrs(const json_t *object, struct idm_pcrs *ret,
                     struct idm_error *err) IDM_NODISCARD;

#endif
