/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/store/lock.h"
#include "backends/tpm/internal.h"
#include "backends/tpm/silence.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FIRST_PAUSE_MS   5u /* a quarter of the quickest command on a real chip */
#define LONGEST_PAUSE_MS 500u
/* As many as ESAPI sends. A chip that has to note the first use of a key with dictionary attack
 * protection after a reset answers RETRY once and is ready at once (part 1, 19.8.5). */
#define RESUBMISSIONS 5u
#define DEVICE_PREFIX "device:"

static const char todo_tcti[] = "set tcti in [tpm], or use = never";

int idm_tpm_open(struct idm_tpm **ret, const char *root, const struct idm_settings *settings,
                 struct idm_error *err)
{
    struct idm_tpm *tpm = calloc(1, sizeof *tpm);
    char *copy = strdup(root);
    if (!tpm || !copy) {
        free(tpm);
        free(copy);
        return idm_fail(err, IDM_E_MEMORY, "open the TPM", "out of memory");
    }
    tpm->root = copy;
    tpm->settings = settings;
    *ret = tpm;
    return 0;
}

void idm_tpm_close(struct idm_tpm *tpm)
{
    Esys_Finalize(&tpm->esys);
    idm_tcti_close(&tpm->tcti);
    tpm->sys = NULL;
    tpm->broken = false;
    memset(tpm->held, 0, sizeof tpm->held);
}

void idm_tpm_wait_anew(struct idm_tpm *tpm)
{
    tpm->waited_ms = 0;
    tpm->pause_ms = 0;
}

void idm_tpm_free(struct idm_tpm *tpm)
{
    if (!tpm)
        return;
    idm_tpm_close(tpm);
    free(tpm->root);
    free(tpm);
}

bool idm_tpm_pause(struct idm_tpm *tpm)
{
    uint32_t wait_ms = tpm->settings->wait_ms;
    if (tpm->waited_ms >= wait_ms)
        return false;
    uint32_t pause_ms = tpm->pause_ms ? tpm->pause_ms : FIRST_PAUSE_MS;
    tpm->pause_ms = pause_ms * 2 < LONGEST_PAUSE_MS ? pause_ms * 2 : LONGEST_PAUSE_MS;
    if (pause_ms > wait_ms - tpm->waited_ms)
        pause_ms = wait_ms - tpm->waited_ms;
    tpm->waited_ms += pause_ms;
    struct timespec left = {.tv_sec = pause_ms / 1000, .tv_nsec = (pause_ms % 1000) * 1000000L};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
    return true;
}

/* The TCTI says the same for a node that is not there, one that is in use and one that may not be
 * opened; and says it on stderr each time. 0, or the errno. */
static int device_errno(const char *tcti)
{
    if (strncmp(tcti, DEVICE_PREFIX, sizeof DEVICE_PREFIX - 1) != 0)
        return 0;
    int fd = open(tcti + sizeof DEVICE_PREFIX - 1, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return errno;
    (void)close(fd);
    return 0;
}

/* 0; or why there is no connection, with *ret_rc where a library said it. */
static int connect_once(struct idm_tpm *tpm, TSS2_RC *ret_rc, int *ret_errno)
{
    *ret_rc = TSS2_RC_SUCCESS;
    *ret_errno = device_errno(tpm->settings->tcti);
    if (*ret_errno)
        return *ret_errno == EBUSY ? IDM_E_TPM_BUSY : IDM_E_TPM_ABSENT;
    *ret_rc = idm_tcti_open(tpm->settings->tcti, tpm->settings->wait_ms, &tpm->tcti);
    if (*ret_rc != TSS2_RC_SUCCESS)
        return IDM_E_TPM_ABSENT;
    *ret_rc = Esys_Initialize(&tpm->esys, tpm->tcti, NULL);
    if (*ret_rc == TSS2_RC_SUCCESS)
        *ret_rc = Esys_GetSysContext(tpm->esys, &tpm->sys);
    if (*ret_rc == TSS2_RC_SUCCESS) {
        tpm->connections++;
        return 0;
    }
    idm_tpm_close(tpm);
    return IDM_E_TPM_OTHER;
}

static int explain(struct idm_tpm *tpm, int code, TSS2_RC rc, int errnum, const char *what,
                   struct idm_error *err)
{
    const char *tcti = tpm->settings->tcti;
    if (errnum)
        (void)idm_fail(err, code, what, "%s: %s", tcti, strerror(errnum));
    else if (rc == TSS2_TCTI_RC_NOT_SUPPORTED)
        (void)idm_fail(err, code, what, "no library for the TCTI %s", tcti);
    else
        (void)idm_fail(err, code, what, "nothing answers at %s (0x%x)", tcti, rc);
    if (err)
        err->foreign = errnum ? (unsigned long)errnum : rc;
    if (errnum == EACCES || errnum == EPERM)
        return idm_advise(err, "run as root, or in the group that owns the TPM"), code;
    if (errnum == EBUSY)
        return idm_advise(err, "use /dev/tpmrm0: it serves many programs"), code;
    return idm_advise(err, "%s", todo_tcti), code;
}

/* Late is worth waiting for; a missing library, missing permission or a chip that nobody announces
 * will not come. */
static bool may_come(struct idm_tpm *tpm, TSS2_RC rc, int errnum)
{
    if (rc == TSS2_TCTI_RC_NOT_SUPPORTED || errnum == EACCES || errnum == EPERM)
        return false;
    return idm_tpm_announced_by_firmware(tpm);
}

int idm_tpm_ready(struct idm_tpm *tpm, const char *what, struct idm_error *err)
{
    tpm->started = false;
    tpm->flushed = false;
    tpm->resubmitted = 0;
    if (tpm->broken)
        idm_tpm_close(tpm);
    if (tpm->esys)
        return 0;
    const char *tcti = tpm->settings->tcti;
    if (!tcti[0] || strcmp(tcti, "none") == 0) {
        (void)idm_fail(err, IDM_E_TPM_ABSENT, what, "the configuration says that there is no TPM");
        return idm_advise(err, "%s", todo_tcti), IDM_E_TPM_ABSENT;
    }
    if (idm_tpm_is_silent()) {
        (void)idm_fail(err, IDM_E_TPM_BUSY, what, "it took a command and did not answer");
        return idm_advise(err, "look at what serves %s, or restart the machine", tcti),
               IDM_E_TPM_BUSY;
    }
    for (;;) {
        TSS2_RC rc;
        int errnum;
        int result = connect_once(tpm, &rc, &errnum);
        if (result == 0)
            return 0;
        if (!may_come(tpm, rc, errnum) || !idm_tpm_pause(tpm))
            return explain(tpm, result, rc, errnum, what, err);
    }
}

static bool start(struct idm_tpm *tpm)
{
    if (tpm->started)
        return false;
    tpm->started = true;
    TSS2_RC rc = Esys_Startup(tpm->esys, TPM2_SU_CLEAR);
    return rc == TSS2_RC_SUCCESS || idm_rc_code(rc) == TPM2_RC_INITIALIZE;
}

bool idm_tpm_is_managed(const char *tcti)
{
    return strstr(tcti, "/dev/tpmrm") || strstr(tcti, "tabrmd") || strcmp(tcti, "device") == 0;
}

void idm_tpm_is_outside(struct idm_tpm *tpm, bool outside)
{
    tpm->outside = outside;
}

/* True: the command may go again. A lock that cannot be taken for another reason than its holder (a
 * sandbox, say) is none: a slot that a killed program left must not be lost for ever. */
static bool make_room(struct idm_tpm *tpm, uint32_t code)
{
    struct idm_lock lock = {0};
    if (tpm->flushed || idm_tpm_is_managed(tpm->settings->tcti))
        return false;
    if (tpm->outside && idm_lock_take(&lock, tpm->root, 0, "a signature", NULL) == IDM_E_LOCK)
        return idm_tpm_pause(tpm);
    tpm->flushed = true;
    idm_tpm_flush_leftovers(tpm, code != TPM2_RC_OBJECT_MEMORY);
    idm_lock_release(&lock);
    return true;
}

bool idm_tpm_again(struct idm_tpm *tpm, TSS2_RC rc)
{
    uint32_t code = idm_rc_code(rc);
    if (code > 0xffff) {
        /* Not the TPM's word: the two ends may disagree by now on which answer belongs to which
         * question, and ESAPI refuses further commands. */
        tpm->broken = true;
        return false;
    }
    if (code == TPM2_RC_SUCCESS)
        tpm->pause_ms = 0;
    if (code == TPM2_RC_INITIALIZE)
        return start(tpm);
    if (code == TPM2_RC_OBJECT_MEMORY || code == TPM2_RC_SESSION_MEMORY ||
        code == TPM2_RC_SESSION_HANDLES)
        return make_room(tpm, code);
    if (!idm_rc_busy(code))
        return false;
    return tpm->resubmitted++ < RESUBMISSIONS || idm_tpm_pause(tpm);
}
