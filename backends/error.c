/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    const char *sentence;
    bool may_retry;
} errors[IDM_ERROR_COUNT] = {[IDM_OK] = {"ok", "no error", false},
#define ROW(code, name, sentence, again) [code##_POSITIVE] = {name, sentence, again},
                             IDM_ERRORS(ROW)
#undef ROW
};

static unsigned int error_index(int code)
{
    return code <= 0 && -code < IDM_ERROR_COUNT ? (unsigned int)-code
                                                : (unsigned int)IDM_E_INTERNAL_POSITIVE;
}

const char *idm_error_name(int code)
{
    return errors[error_index(code)].name;
}

const char *idm_error_sentence(int code)
{
    return errors[error_index(code)].sentence;
}

bool idm_error_may_retry(int code)
{
    return errors[error_index(code)].may_retry;
}

int idm_fail(struct idm_error *err, int code, const char *what, const char *why_format, ...)
{
    if (!err)
        return code;
    struct idm_error filled = {.code = code};
    va_list args;
    va_start(args, why_format);
    (void)vsnprintf(filled.why, sizeof filled.why, why_format, args);
    va_end(args);
    (void)snprintf(filled.what, sizeof filled.what, "%s", what);
    *err = filled;
    return code;
}

int idm_fail_errno(struct idm_error *err, int otherwise, const char *what, int errnum)
{
    int code = otherwise;
    if (errnum == ENOSPC || errnum == EDQUOT)
        code = IDM_E_FULL;
    else if (errnum == EROFS)
        code = IDM_E_READ_ONLY;
    else if (errnum == ENOENT)
        code = IDM_E_ABSENT;
    else if (errnum == EACCES || errnum == EPERM || errnum == EIO)
        code = otherwise == IDM_E_STORAGE ? IDM_E_STORAGE : IDM_E_UNREADABLE;
    else if (errnum == ENOMEM)
        code = IDM_E_MEMORY;
    (void)idm_fail(err, code, what, "%s", strerror(errnum));
    if (err)
        err->foreign = (unsigned long)errnum;
    return code;
}

int idm_advise(struct idm_error *err, const char *todo_format, ...)
{
    if (!err)
        return 0;
    va_list args;
    va_start(args, todo_format);
    (void)vsnprintf(err->todo, sizeof err->todo, todo_format, args);
    va_end(args);
    return err->code;
}

void idm_error_text(const struct idm_error *err, char *buf, unsigned long size)
{
    if (err->todo[0])
        (void)snprintf(buf, size, "%s: %s (%s)", err->what, err->why, err->todo);
    else
        (void)snprintf(buf, size, "%s: %s", err->what, err->why);
}
