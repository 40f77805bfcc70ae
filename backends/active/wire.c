/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/active/wire.h"

#include <stdio.h>
#include <string.h>

static size_t put(struct idm_wire_reply *reply, size_t at, const char *text)
{
    size_t size = strlen(text) + 1;
    if (at + size > sizeof reply->data)
        return at;
    memcpy(reply->data + at, text, size);
    return at + size;
}

void idm_wire_put_error(struct idm_wire_reply *reply, const struct idm_error *err)
{
    const char *const texts[] = {idm_error_name(err->code), err->what, err->why, err->todo};
    size_t size = 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        size = put(reply, size, texts[i]);
    reply->good = 0;
    reply->size = (uint16_t)size;
}

/* The text at *at, which moves behind it; "" where there is none. */
static const char *take(const struct idm_wire_reply *reply, size_t *at)
{
    const char *text = (const char *)reply->data + *at;
    size_t left = *at < reply->size ? reply->size - *at : 0;
    size_t length = strnlen(text, left);
    if (length == left)
        return "";
    *at += length + 1;
    return text;
}

static int code_of(const char *name)
{
    for (int code = -1; code > -(int)IDM_ERROR_COUNT; code--)
        if (strcmp(idm_error_name(code), name) == 0)
            return code;
    return IDM_E_INTERNAL;
}

int idm_wire_take_error(const struct idm_wire_reply *reply, struct idm_error *err)
{
    size_t at = 0;
    const char *name = take(reply, &at);
    const char *what = take(reply, &at);
    const char *why = take(reply, &at);
    const char *todo = take(reply, &at);
    int code = idm_fail(err, code_of(name), what, "%s", why);
    if (*todo)
        (void)idm_advise(err, "%s", todo);
    return code;
}
