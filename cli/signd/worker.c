/* SPDX-License-Identifier: BSD-2-Clause */
/* worker.c - two threads, of which one runs the loop, so that the loop never waits for the chip.
 *
 *     runs the loop ──the chip has to sign──► signs, tells the client ──► waits until the loop is free
 *         ▲                    │ the other one goes on with the loop              │
 *         └────────────────────┴───────────────────────◄──────────────────────────┘
 *
 * Who finds that the chip has to sign does it at once: nobody else has to wake up first.
 *
 * tpm2-tss has no time limit that holds for every TCTI, and a thread in a system call cannot be ended: one
 * that waits for a silent chip is left waiting while the other one runs the loop, and when the chip speaks
 * again it is free for it. What it had loaded it flushes itself, as ever. */
#include "cli/signd/signd.h"

#include "backends/store/inroot.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>

#define THREADS 2

enum state { FREE, ASKED, ANSWERED };

struct idm_worker {
    struct idm_active_ctx *ctx; /* borrowed */
    int fd;
    bool (*loop)(void *self);
    void *self;
    pthread_t threads[THREADS];
    /* whose the loop is */
    int64_t asked_at;
    uint64_t number;
    bool let_go;     /* wanted, when the chip is free */
    bool letting_go; /* ASKED: that first */
    struct idm_active_key
        *key; /* ASKED: to sign with, a reference; NULL: nothing is to be signed */
    struct idm_to_sign what;
    pthread_mutex_t mutex;
    pthread_cond_t loop_free; /* or `stop` */
    pthread_cond_t ended;     /* `stop`, `running` */
    /* under `mutex` */
    bool looping; /* somebody runs the loop */
    bool stop;
    unsigned int running; /* threads */
    enum state state;
    int client; /* told of a good signature; -1: nobody is */
    uint32_t id;
    struct idm_worker_answer answer;
};

/* ---- a thread ---- */

static void wake_loop(const struct idm_worker *worker)
{
    static const uint64_t one = 1;
    (void)!write(worker->fd, &one, sizeof one); /* cannot fail: it counts to two */
}

/* What the loop asked of the chip. */
static void work(struct idm_worker *worker)
{
    struct idm_worker_answer answer = {.number = worker->number};
    struct idm_active_key *key = worker->key;
    worker->key = NULL;
    if (worker->letting_go)
        idm_active_let_go(worker->ctx);
    if (key)
        answer.rc = idm_active_sign_direct(worker->ctx, key, &worker->what, 0, &answer.signature,
                                           &answer.error);
    (void)pthread_mutex_lock(&worker->mutex);
    if (answer.rc == 0 && worker->client >= 0)
        answer.told = idm_signd_tell_signature(worker->client, worker->id, &answer.signature)
                          ? IDM_TOLD
                          : IDM_TOLD_IN_VAIN;
    worker->client = -1;
    worker->answer = answer;
    worker->state = ANSWERED;
    (void)pthread_mutex_unlock(&worker->mutex);
    wake_loop(worker);
    idm_active_key_free(key);
}

static void *run(void *arg)
{
    struct idm_worker *worker = arg;
    (void)pthread_mutex_lock(&worker->mutex);
    while (!worker->stop) {
        if (worker->looping) {
            (void)pthread_cond_wait(&worker->loop_free, &worker->mutex);
            continue;
        }
        worker->looping = true;
        (void)pthread_mutex_unlock(&worker->mutex);
        bool asks = worker->loop(worker->self);
        (void)pthread_mutex_lock(&worker->mutex);
        worker->looping = false;
        worker->stop = !asks;
        (void)pthread_mutex_unlock(&worker->mutex);
        (void)pthread_cond_signal(
            &worker->loop_free); /* without the mutex, for which it would wait */
        if (asks)
            work(worker);
        (void)pthread_mutex_lock(&worker->mutex);
    }
    worker->running--;
    (void)pthread_cond_signal(&worker->ended);
    (void)pthread_mutex_unlock(&worker->mutex);
    return NULL;
}

/* ---- who starts and ends them ---- */

int idm_worker_open(struct idm_worker **ret, struct idm_active_ctx *ctx, struct idm_error *err)
{
    static const char what[] = "talk to the TPM";
    pthread_condattr_t monotonic;
    struct idm_worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return idm_fail(err, IDM_E_MEMORY, what, "out of memory");
    worker->ctx = ctx;
    worker->client = -1;
    worker->fd = idm_fd_above_stdio(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (worker->fd < 0) {
        int failed = errno;
        free(worker);
        return idm_fail_errno(err, IDM_E_MEMORY, what, failed);
    }
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&worker->mutex, NULL);
    (void)pthread_cond_init(&worker->loop_free, NULL);
    (void)pthread_cond_init(&worker->ended, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    *ret = worker;
    return 0;
}

/* With the mutex, which keeps them from running before both are there. */
static int start_threads(struct idm_worker *worker)
{
    for (int failed = 0; worker->running < THREADS; worker->running++) {
        failed = pthread_create(&worker->threads[worker->running], NULL, run, worker);
        if (failed)
            return failed;
    }
    return 0;
}

int idm_worker_run(struct idm_worker *worker, bool (*loop)(void *self), void *self,
                   struct idm_error *err)
{
    worker->loop = loop;
    worker->self = self;
    (void)pthread_mutex_lock(&worker->mutex);
    int failed = start_threads(worker);
    unsigned int started = worker->running;
    worker->stop = failed != 0;
    while (!worker->stop)
        (void)pthread_cond_wait(&worker->ended, &worker->mutex);
    struct timespec end;
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += IDM_SIGND_STOP_MS / 1000;
    int waited = 0;
    while (worker->running && waited == 0)
        waited = pthread_cond_timedwait(&worker->ended, &worker->mutex, &end);
    bool all = worker->running == 0;
    (void)pthread_mutex_unlock(&worker->mutex);
    for (unsigned int i = 0; i < started; i++)
        (void)(all ? pthread_join(worker->threads[i], NULL) : pthread_detach(worker->threads[i]));
    return failed ? idm_fail_errno(err, IDM_E_MEMORY, "start a thread", failed) : 0;
}

bool idm_worker_close(struct idm_worker *worker)
{
    if (!worker)
        return true;
    (void)pthread_mutex_lock(&worker->mutex);
    bool runs = worker->running > 0;
    (void)pthread_mutex_unlock(&worker->mutex);
    if (runs)
        return false;
    idm_active_key_free(worker->key);
    idm_close_fd(&worker->fd);
    (void)pthread_cond_destroy(&worker->loop_free);
    (void)pthread_cond_destroy(&worker->ended);
    (void)pthread_mutex_destroy(&worker->mutex);
    free(worker);
    return true;
}

/* ---- the loop's side ---- */

int idm_worker_fd(const struct idm_worker *worker)
{
    return worker->fd;
}

int64_t idm_worker_asked_at(const struct idm_worker *worker)
{
    return worker->asked_at;
}

static uint64_t ask(struct idm_worker *worker, struct idm_active_key *key, int fd, uint32_t id)
{
    worker->asked_at = idm_signd_now_ms();
    worker->key = key;
    worker->letting_go = worker->let_go;
    worker->let_go = false;
    (void)pthread_mutex_lock(&worker->mutex);
    worker->client = fd;
    worker->id = id;
    worker->state = ASKED;
    (void)pthread_mutex_unlock(&worker->mutex);
    return ++worker->number;
}

uint64_t idm_worker_ask(struct idm_worker *worker, struct idm_active_key *key,
                        const struct idm_to_sign *what, int fd, uint32_t id)
{
    worker->what = *what;
    return ask(worker, idm_active_key_up(key), fd, id);
}

void idm_worker_let_go(struct idm_worker *worker)
{
    worker->let_go = true;
}

bool idm_worker_lets_go(struct idm_worker *worker)
{
    if (!worker->let_go || worker->asked_at)
        return false;
    (void)ask(worker, NULL, -1, 0);
    return true;
}

bool idm_worker_forget(struct idm_worker *worker)
{
    (void)pthread_mutex_lock(&worker->mutex);
    bool waits = worker->client >= 0;
    worker->client = -1;
    (void)pthread_mutex_unlock(&worker->mutex);
    return waits;
}

bool idm_worker_take(struct idm_worker *worker, struct idm_worker_answer *ret)
{
    uint64_t count = 0;
    (void)!read(worker->fd, &count, sizeof count); /* or nothing is there yet: the state tells */
    (void)pthread_mutex_lock(&worker->mutex);
    bool answered = worker->state == ANSWERED;
    if (answered) {
        *ret = worker->answer;
        worker->state = FREE;
    }
    (void)pthread_mutex_unlock(&worker->mutex);
    if (answered)
        worker->asked_at = 0;
    return answered;
}
