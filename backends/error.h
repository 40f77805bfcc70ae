/* SPDX-License-Identifier: BSD-2-Clause */
/* error.h - the one list of errors.
 *
 * Every function that can fail returns 0 or one negative code of this list and, where the caller
 * passes a `struct idm_error`, says in it what failed, why, and what to do:
 *
 *     idmode: <what>: <why> (<what to do>)
 *
 * The struct is the caller's, may be NULL, and is written only on failure. Codes of other libraries
 * (TSS2_RC, errno) travel in `foreign`, never as our own return value. No function here allocates,
 * logs or keeps state; all are safe in any thread and after fork.
 */
#ifndef IDM_BACKENDS_ERROR_H
#define IDM_BACKENDS_ERROR_H

#include <stdbool.h>

/* code, name as it stands in JSON, sentence, may the same call succeed later without a change? */
#define IDM_ERRORS(X)                                                                              \
    X(IDM_E_USAGE, "usage", "the request makes no sense", false)                                   \
    X(IDM_E_MEMORY, "memory", "out of memory", true)                                               \
    X(IDM_E_ABSENT, "absent", "it does not exist", false)                                          \
    X(IDM_E_UNREADABLE, "unreadable", "it cannot be read now", true)                               \
    X(IDM_E_CORRUPT, "corrupt", "it exists, but its content is damaged", false)                    \
    X(IDM_E_NEWER, "newer", "it was written by a newer program", false)                            \
    X(IDM_E_FULL, "storage-full", "no room on the file system", true)                              \
    X(IDM_E_READ_ONLY, "storage-read-only", "the file system is read-only", true)                  \
    X(IDM_E_STORAGE, "storage", "a file could not be written durably", true)                       \
    X(IDM_E_CRYPTO, "crypto", "the cryptographic library failed", false)                           \
    X(IDM_E_MISMATCH, "mismatch", "two things that belong together do not match", false)           \
    X(IDM_E_TPM_ABSENT, "tpm-absent", "no TPM answers", true)                                      \
    X(IDM_E_TPM_BUSY, "tpm-busy", "the TPM is busy", true)                                         \
    X(IDM_E_TPM_FAILED, "tpm-failed", "the TPM reports a failure", false)                          \
    X(IDM_E_TPM_LOCKED, "tpm-locked", "the TPM is in lockout", true)                               \
    X(IDM_E_TPM_OWNED, "tpm-owned", "the TPM's owner is somebody else", false)                     \
    X(IDM_E_TPM_EMPTY, "tpm-empty", "nothing at that handle or index", false)                      \
    X(IDM_E_TPM_TAKEN, "tpm-taken", "somebody else's object is at that handle or index", false)    \
    X(IDM_E_TPM_UNFIT, "tpm-unfit", "this TPM cannot load that object", false)                     \
    X(IDM_E_TPM_FULL, "tpm-full", "the TPM has no room left", false)                               \
    X(IDM_E_TPM_OTHER, "tpm", "a TPM command failed", true)                                        \
    X(IDM_E_BOOTENV, "bootenv", "the boot environment cannot be read", true)                       \
    X(IDM_E_CLOCK, "clock", "the clock is implausible", true)                                      \
    X(IDM_E_LOCK, "lock-busy", "another idmode holds the lock", true)                              \
    X(IDM_E_SETTINGS, "settings-invalid", "a value in the configuration is invalid", false)        \
    X(IDM_E_REFUSED, "refused", "refused; nothing was changed", false)                             \
    X(IDM_E_HELD, "held", "the identity cannot be proven now", true)                               \
    X(IDM_E_INTERNAL, "internal", "a bug in idmode", false)

enum idm_error_code {
    IDM_OK = 0,
#define IDM_ERROR_ENUM(code, name, sentence, again) code##_POSITIVE,
    IDM_ERRORS(IDM_ERROR_ENUM)
#undef IDM_ERROR_ENUM
        IDM_ERROR_COUNT
};

/* The codes as functions return them: negative. */
enum {
#define IDM_ERROR_NEGATIVE(code, name, sentence, again) code = -(int)code##_POSITIVE,
    IDM_ERRORS(IDM_ERROR_NEGATIVE)
#undef IDM_ERROR_NEGATIVE
};

struct idm_error {
    int code;              /* one of the negative codes above; 0: no error */
    unsigned long foreign; /* TSS2_RC or errno behind it; 0: none */
    char what[160];        /* what failed: "write /persist/idmode/record" */
    char why[200];         /* why: "No space left on device" */
    char todo[200];        /* what to do; empty: nothing sensible can be said */
};

#define IDM_NODISCARD    __attribute__((warn_unused_result))
#define IDM_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Name as in JSON ("storage-full"), sentence, and whether trying again may help. `code` negative or
 * 0; an unknown code gives the texts of IDM_E_INTERNAL. Static strings. */
const char *idm_error_name(int code);
const char *idm_error_sentence(int code);
bool idm_error_may_retry(int code);

/* Fills *err (if not NULL) and returns `code`, so that a function can `return idm_fail(...)`.
 * `what` is kept as given; `why_format` is printf's. `todo` is left empty. */
int idm_fail(struct idm_error *err, int code, const char *what, const char *why_format, ...)
    IDM_PRINTF(4, 5);

/* The same for a failed system call: picks FULL, READ_ONLY, ABSENT, UNREADABLE or `otherwise` from
 * `errnum`, and keeps errnum in err->foreign. */
int idm_fail_errno(struct idm_error *err, int otherwise, const char *what, int errnum);

/* Sets what to do; returns err->code (0 if err is NULL). */
int idm_advise(struct idm_error *err, const char *todo_format, ...) IDM_PRINTF(2, 3);

/* Writes "what: why (what to do)" into buf, always terminated. */
void idm_error_text(const struct idm_error *err, char *buf, unsigned long size);

#endif
