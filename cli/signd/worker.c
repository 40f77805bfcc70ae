/* SPDX-License-Identifier: BSD-2-Clause */
/* worker.c - a thread that talks to the chip, so that the loop never waits for it.
 *
 *     loop    ──ask──► FREE → ASKED          ASKED → ANSWERED ──`fd` is readable──► take → FREE
 *     thread                    └── signs with the chip ──┘
 *
 * tpm2-tss has no time limit that holds for every TCTI, and a thread in a system call cannot be ended: one
 * that waits for a silent chip is left waiting, nobody else does, and when the chip speaks again its answer
 * makes the thread free. What it had loaded it flushes itself, as ever. */
#include "cli/signd/signd.h"

#include "backends/store/inroot.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>

enum state { FREE, ASKED, ANSWERED };

struct idm_worker {
    struct idm_active_ctx *ctx; /* borrowed */
    pthread_t thread;
    int fd;
    int64_t asked_at; /* the loop's alone, like the next */
    uint64_t number;
    pthread_mutex_t mutex;
    pthread_cond_t work;
    /* under `mutex` */
    enum state state;
    bool let_go;
    bool stop;
    bool ended;
    struct idm_active_key *key; /* ASKED: a reference */
    struct idm_to_sign what;
    struct idm_worker_answer answer;
};

/* ---- the thread ---- */

static void wake_loop(const struct idm_worker *worker)
{
    static const uint64_t one = 1;
    (void)!write(worker->fd, &one, sizeof one); /* cannot fail: it counts to two */
}

static void sign(struct idm_worker *worker)
{
    struct idm_worker_answer answer = {0};
    answer.rc = idm_active_sign_direct(worker->ctx, worker->key, &worker->what, 0,
                                       &answer.signature, &answer.error);
    (void)pthread_mutex_lock(&worker->mutex);
    struct idm_active_key *key = worker->key;
    worker->key = NULL;
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
        bool let_go = worker->let_go;
        worker->let_go = false;
        if (!let_go && worker->state != ASKED) {
            (void)pthread_cond_wait(&worker->work, &worker->mutex);
            continue;
        }
        (void)pthread_mutex_unlock(&worker->mutex);
        if (let_go)
            idm_active_let_go(worker->ctx);
        else
            sign(worker);
        (void)pthread_mutex_lock(&worker->mutex);
    }
    worker->ended = true;
    (void)pthread_mutex_unlock(&worker->mutex);
    wake_loop(worker);
    return NULL;
}

/* ---- the loop's side ---- */

int idm_worker_start(struct idm_worker **ret, struct idm_active_ctx *ctx, struct idm_error *err)
{
    static const char what[] = "talk to the TPM";
    struct idm_worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return idm_fail(err, IDM_E_MEMORY, what, "out of memory");
    worker->ctx = ctx;
    worker->fd = idm_fd_above_stdio(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    (void)pthread_mutex_init(&worker->mutex, NULL);
    (void)pthread_cond_init(&worker->work, NULL);
    int failed = worker->fd < 0 ? errno : pthread_create(&worker->thread, NULL, run, worker);
    if (failed == 0) {
        *ret = worker;
        return 0;
    }
    idm_close_fd(&worker->fd);
    free(worker);
    return idm_fail_errno(err, IDM_E_MEMORY, what, failed);
}

static bool has_ended(struct idm_worker *worker)
{
    (void)pthread_mutex_lock(&worker->mutex);
    bool ended = worker->ended;
    (void)pthread_mutex_unlock(&worker->mutex);
    return ended;
}

bool idm_worker_stop(struct idm_worker *worker)
{
    int64_t end = idm_signd_now_ms() + IDM_SIGND_STOP_MS;
    uint64_t count = 0;
    if (!worker)
        return true;
    (void)pthread_mutex_lock(&worker->mutex);
    worker->stop = true;
    (void)pthread_cond_signal(&worker->work);
    (void)pthread_mutex_unlock(&worker->mutex);
    while (!has_ended(worker)) {
        struct pollfd wakes = {.fd = worker->fd, .events = POLLIN};
        int64_t left = end - idm_signd_now_ms();
        if (left <= 0)
            return false;
        if (poll(&wakes, 1, (int)left) > 0)
            (void)!read(worker->fd, &count, sizeof count);
    }
    (void)pthread_join(worker->thread, NULL);
    idm_active_key_free(worker->key);
    idm_close_fd(&worker->fd);
    (void)pthread_cond_destroy(&worker->work);
    (void)pthread_mutex_destroy(&worker->mutex);
    free(worker);
    return true;
}

int idm_worker_fd(const struct idm_worker *worker)
{
    return worker->fd;
}

int64_t idm_worker_asked_at(const struct idm_worker *worker)
{
    return worker->asked_at;
}

uint64_t idm_worker_ask(struct idm_worker *worker, struct idm_active_key *key,
                        const struct idm_to_sign *what)
{
    worker->asked_at = idm_signd_now_ms();
    worker->number++;
    (void)pthread_mutex_lock(&worker->mutex);
    worker->key = idm_active_key_up(key);
    worker->what = *what;
    worker->state = ASKED;
    (void)pthread_mutex_unlock(&worker->mutex);
    (void)pthread_cond_signal(
        &worker->work); /* without the mutex, for which it would wait at once */
    return worker->number;
}

void idm_worker_let_go(struct idm_worker *worker)
{
    (void)pthread_mutex_lock(&worker->mutex);
    worker->let_go = true;
    (void)pthread_cond_signal(&worker->work);
    (void)pthread_mutex_unlock(&worker->mutex);
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
    if (answered) {
        ret->number = worker->number;
        worker->asked_at = 0;
    }
    return answered;
}
