/* SPDX-License-Identifier: BSD-2-Clause */
/* silence.c - a TPM that takes a command and never answers: a frozen resource manager, a dead emulator. No TCTI can
 * be trusted to keep a time limit (tcti-swtpm and tcti-mssim wait for ever whatever they are asked), so the program
 * itself gives up: a timer starts it anew with the word "silent", and then it asks the TPM nothing.
 *
 *     idmode boot ─► TPM2_… ─► no answer ─► signal ─► exec: idmode silent boot ─► held, published
 *
 * The timer has a signal of its own: SIGALRM is the caller's, whose alarm(2) lives on through an exec.
 * For whatever was being changed that is a power cut, which every plan survives. */
#include "backends/tpm/silence.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tss2/tss2_tctildr.h>
#include <unistd.h>

/* The first word within this time, or within [tpm] wait where that is more. */
#define FIRST_S 10
/* Any other: an RSA key takes a slow chip a minute. systemd gives a boot five. */
#define LATER_S 120

static char **again; /* argv of the next start; NULL: this program does not start anew */
static timer_t timer;
static bool silent;

static void start_anew(int number)
{
    static const char say[] =
        "idmode: TPM: it took a command and does not answer: going on without it\n";
    (void)number;
    (void)!write(STDERR_FILENO, say, sizeof say - 1);
    (void)execv("/proc/self/exe", again);
    _exit(5); /* an operation failed, try again */
}

static const char silent_word[] = "silent";

static bool prepare_another_start(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = start_anew};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
    if (sigaction(SIGRTMIN, &action, NULL) < 0 || timer_create(CLOCK_MONOTONIC, &event, &timer) < 0)
        return false;
    again = calloc((size_t)argc + 2, sizeof *again);
    if (!again)
        return false;
    again[0] = argv[0];
    again[1] = (char *)silent_word;
    memcpy(again + 2, argv + 1, (size_t)argc * sizeof *argv); /* with its NULL */
    return true;
}

bool idm_tpm_outwait(int *argc, char ***argv)
{
    sigset_t ours;
    (void)sigemptyset(&ours);
    (void)sigaddset(&ours, SIGRTMIN);
    /* Whoever started us may have blocked it, and so has its own handler. */
    if (sigprocmask(SIG_UNBLOCK, &ours, NULL) < 0)
        return false;
    silent = *argc > 1 && strcmp((*argv)[1], silent_word) == 0;
    if (!silent)
        return prepare_another_start(*argc, *argv);
    (*argv)[1] = (*argv)[0];
    *argc -= 1;
    *argv += 1;
    return true;
}

bool idm_tpm_is_silent(void)
{
    return silent;
}

static void arm(time_t limit_s)
{
    struct itimerspec limit = {.it_value.tv_sec = limit_s};
    if (again)
        (void)timer_settime(timer, 0, &limit, NULL);
}

/* ---- a TCTI around another ---- */

struct timed {
    TSS2_TCTI_CONTEXT_COMMON_V2 common; /* first: what the TSS sees */
    TSS2_TCTI_CONTEXT *inner;
    time_t limit_s; /* for the next answer */
};

#define MAGIC 0x69646d7469746c65u /* any that is no other TCTI's */

static struct timed *timed_of(TSS2_TCTI_CONTEXT *context)
{
    return (struct timed *)context;
}

static TSS2_RC transmit(TSS2_TCTI_CONTEXT *context, size_t size, const uint8_t *command)
{
    struct timed *t = timed_of(context);
    arm(t->limit_s);
    TSS2_RC rc = Tss2_Tcti_Transmit(t->inner, size, command);
    if (rc != TSS2_RC_SUCCESS) /* nobody will ask for an answer */
        arm(0);
    return rc;
}

static TSS2_RC receive(TSS2_TCTI_CONTEXT *context, size_t *size, uint8_t *response, int32_t timeout)
{
    struct timed *t = timed_of(context);
    TSS2_RC rc = Tss2_Tcti_Receive(t->inner, size, response, timeout);
    /* Without a buffer the size alone was asked for, and the answer is still to be taken. */
    if (response) {
        arm(0);
        t->limit_s = LATER_S;
    }
    return rc;
}

static TSS2_RC cancel(TSS2_TCTI_CONTEXT *context)
{
    return Tss2_Tcti_Cancel(timed_of(context)->inner);
}

static TSS2_RC get_poll_handles(TSS2_TCTI_CONTEXT *context, TSS2_TCTI_POLL_HANDLE *handles,
                                size_t *count)
{
    return Tss2_Tcti_GetPollHandles(timed_of(context)->inner, handles, count);
}

static TSS2_RC set_locality(TSS2_TCTI_CONTEXT *context, uint8_t locality)
{
    return Tss2_Tcti_SetLocality(timed_of(context)->inner, locality);
}

static TSS2_RC make_sticky(TSS2_TCTI_CONTEXT *context, TPM2_HANDLE *handle, uint8_t sticky)
{
    return Tss2_Tcti_MakeSticky(timed_of(context)->inner, handle, sticky);
}

TSS2_RC idm_tcti_open(const char *tcti, uint32_t wait_ms, TSS2_TCTI_CONTEXT **ret)
{
    struct timed *t = calloc(1, sizeof *t);
    if (!t)
        return TSS2_TCTI_RC_MEMORY;
    t->common.v1 = (TSS2_TCTI_CONTEXT_COMMON_V1){.magic = MAGIC,
                                                 .version = 2,
                                                 .transmit = transmit,
                                                 .receive = receive,
                                                 .cancel = cancel,
                                                 .getPollHandles = get_poll_handles,
                                                 .setLocality = set_locality};
    t->common.makeSticky = make_sticky;
    t->limit_s = wait_ms / 1000 > FIRST_S ? (time_t)(wait_ms / 1000) : FIRST_S;
    arm(t->limit_s); /* some TCTIs ask the chip's emulator something when they begin */
    TSS2_RC rc = Tss2_TctiLdr_Initialize(tcti, &t->inner);
    arm(0);
    if (rc == TSS2_RC_SUCCESS)
        *ret = (TSS2_TCTI_CONTEXT *)t;
    else
        free(t);
    return rc;
}

void idm_tcti_close(TSS2_TCTI_CONTEXT **tcti)
{
    if (!*tcti)
        return;
    Tss2_TctiLdr_Finalize(&timed_of(*tcti)->inner);
    free(*tcti);
    *tcti = NULL;
}
