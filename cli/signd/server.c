/* SPDX-License-Identifier: BSD-2-Clause */
/* server.c - the loop: who has sent something, who waits for the chip, who is to be answered. */
#include "cli/signd/signd.h"

#include "backends/store/inroot.h"
#include "engine/engine.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define FIRST_PAUSE_MS   5
#define LONGEST_PAUSE_MS 200
#define TURN_MS          5 /* who has used up this second's signatures is looked at again after it */

static const char what_sign[] = "sign with the device's key";

struct client {
    int fd; /* -1: a free place */
    struct idm_user *user;
    int64_t since; /* idle since, or asked at */
    bool asks;
    uint64_t number; /* asks, and the chip works on it (idm_worker_ask); 0: not yet */
    struct idm_wire_request request;
    struct idm_to_sign what;
    uint8_t *message; /* what.message: a copy, where the key signs messages; else NULL */
};

struct server {
    const struct idm_door *door;
    struct idm_keyring *ring;
    struct idm_worker *worker;
    int stop;
    int rc; /* why the loop ended, with *err */
    struct idm_error *err;
    struct client clients[IDM_SIGND_CLIENTS];
    struct idm_users users;
    int pause_ms;   /* 0: the chip answers */
    int64_t try_at; /* not before: the chip is busy */
    uint8_t buffer[sizeof(struct idm_wire_request) + IDM_MESSAGE_MAX];
};

/* ---- clients ---- */

static void forget_message(struct client *client)
{
    free(client->message);
    client->message = NULL;
    client->what.message = NULL;
}

static void drop(struct server *s, struct client *client)
{
    if (client->number)
        (void)idm_worker_forget(s->worker);
    if (client->user)
        client->user->places--;
    idm_close_fd(&client->fd);
    forget_message(client);
    *client = (struct client){.fd = -1};
}

static struct client *longest_idle(struct server *s, const struct idm_user *of)
{
    struct client *found = NULL;
    for (size_t i = 0; i < IDM_SIGND_CLIENTS; i++) {
        struct client *c = &s->clients[i];
        if (c->fd >= 0 && !c->asks && (!of || c->user == of) && (!found || c->since < found->since))
            found = c;
    }
    return found;
}

static struct client *free_place(struct server *s)
{
    for (size_t i = 0; i < IDM_SIGND_CLIENTS; i++)
        if (s->clients[i].fd < 0)
            return &s->clients[i];
    return NULL;
}

/* The last one that asked, of the user who has most places and whom the chip does not work for just now. */
static struct client *newest_of_most(struct server *s)
{
    const struct idm_user *most = idm_users_with_most(&s->users);
    struct client *found = NULL;
    for (size_t i = 0; most && i < IDM_SIGND_CLIENTS; i++) {
        struct client *c = &s->clients[i];
        if (c->fd >= 0 && c->user == most && !c->number && (!found || c->since >= found->since))
            found = c;
    }
    return found;
}

static void make_room(struct server *s, const struct idm_user *user)
{
    struct idm_error err = {0};
    struct client *idle = longest_idle(s, NULL);
    struct client *goes = idle || user->places ? idle : newest_of_most(s);
    if (!goes)
        return;
    if (!idle) {
        (void)idm_fail(&err, IDM_E_TPM_BUSY, what_sign, "too many ask, and others have no place");
        (void)idm_advise(&err, "try again, with fewer at once");
        (void)idm_signd_tell_error(goes->fd, goes->request.id, &err);
    }
    drop(s, goes);
}

/* Its own connections make room for a user who has too many, somebody's longest idle one otherwise. Where all
 * are asking, somebody who has no place yet gets one of whoever has most; another new one goes: it will try
 * again. */
static void admit(struct server *s, int fd, uid_t uid)
{
    struct idm_user *user = idm_users_find(&s->users, uid);
    if (uid != 0 && user->places >= IDM_SIGND_CLIENTS_USER) {
        struct client *own = longest_idle(s, user);
        if (own)
            drop(s, own);
    }
    bool too_many = uid != 0 && user->places >= IDM_SIGND_CLIENTS_USER;
    if (!too_many && !free_place(s))
        make_room(s, user);
    struct client *place = too_many ? NULL : free_place(s);
    if (!place) {
        (void)close(fd);
        return;
    }
    user->places++;
    *place = (struct client){.fd = fd, .user = user, .since = idm_signd_now_ms()};
}

/* ---- requests ---- */

/* It was told, or did not listen. */
static void settle(struct server *s, struct client *client, bool told)
{
    client->asks = false;
    client->number = 0;
    client->since = idm_signd_now_ms();
    forget_message(client);
    if (!told)
        drop(s, client);
}

static void reply_error(struct server *s, struct client *client, const struct idm_error *err)
{
    settle(s, client, idm_signd_tell_error(client->fd, client->request.id, err));
}

/* One message. Whoever sends anything else than a request is not talking our language. */
static void receive(struct server *s, struct client *client)
{
    const size_t head = sizeof client->request;
    ssize_t size = recv(client->fd, s->buffer, sizeof s->buffer, MSG_DONTWAIT | MSG_TRUNC);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size < (ssize_t)head || (size_t)size > sizeof s->buffer) {
        drop(s, client);
        return;
    }
    memcpy(&client->request, s->buffer, head);
    if (!idm_request_is_sane(&client->request, (size_t)size - head)) {
        drop(s, client);
        return;
    }
    struct idm_error err = {0};
    if (client->user->left)
        client->user->left--;
    client->since = idm_signd_now_ms();
    int rc = idm_request_take(&client->request, client->user->uid, s->buffer + head,
                              (size_t)size - head, &client->what, &client->message, &err);
    client->asks = rc == 0;
    if (rc)
        reply_error(s, client, &err);
}

/* ---- the chip ---- */

static bool may_pass(int rc)
{
    return rc == IDM_E_TPM_BUSY || rc == IDM_E_TPM_ABSENT;
}

static void finish(struct server *s, struct client *client, int rc,
                   const struct idm_signature *signature, const struct idm_error *err)
{
    if (rc) {
        idm_signd_log(err);
        reply_error(s, client, err);
    } else {
        settle(s, client, idm_signd_tell_signature(client->fd, client->request.id, signature));
    }
}

static bool chip_is_free(const struct server *s)
{
    return !idm_worker_asked_at(s->worker) && (!s->pause_ms || idm_signd_now_ms() >= s->try_at);
}

/* Answered at once, unless the chip has to sign (true); then that is asked, if it is this client's `turn`. */
static bool waits_for_chip(struct server *s, struct client *client, bool turn)
{
    struct idm_error err = {0};
    struct idm_signature signature;
    struct idm_active_key *key = NULL;
    int rc = idm_keyring_find(s->ring, client->request.spki, &key, &err);
    if (rc == 0 && !key->private_key && !client->what.pure) {
        if (turn) {
            idm_keyring_uses_chip(s->ring, key);
            client->number =
                idm_worker_ask(s->worker, key, &client->what, client->fd, client->request.id);
        }
        return true;
    }
    if (rc == 0)
        rc = idm_active_sign_direct(s->ring->ctx, key, &client->what, 0, &signature, &err);
    finish(s, client, rc, &signature, &err);
    return false;
}

static size_t place_of(const struct server *s, const struct client *client)
{
    return (size_t)(client - s->clients);
}

/* Those who need the chip come in turn. True: it was asked. */
static bool serve_all(struct server *s)
{
    struct client *next = NULL;
    for (size_t i = 0; i < IDM_SIGND_CLIENTS; i++) {
        struct client *c = &s->clients[i];
        if (c->asks && !c->number && waits_for_chip(s, c, false) &&
            (!next || idm_user_comes_before(c->user, i, next->user, place_of(s, next))))
            next = c;
    }
    if (!next || !chip_is_free(s) || !waits_for_chip(s, next, true))
        return false;
    idm_users_served(&s->users, next->user, place_of(s, next));
    return true;
}

/* A busy chip is asked again after a pause, by the next in turn. Who asked may be gone, or was told that the
 * chip is silent: then nobody wants the answer. */
static void take_answer(struct server *s)
{
    struct idm_worker_answer answer;
    if (!idm_worker_take(s->worker, &answer))
        return;
    bool passes = may_pass(answer.rc);
    s->pause_ms = !passes ? 0 : s->pause_ms ? s->pause_ms * 2 : FIRST_PAUSE_MS;
    if (s->pause_ms > LONGEST_PAUSE_MS)
        s->pause_ms = LONGEST_PAUSE_MS;
    s->try_at = idm_signd_now_ms() + s->pause_ms;
    for (size_t i = 0; i < IDM_SIGND_CLIENTS; i++) {
        struct client *client = &s->clients[i];
        if (!client->asks || client->number != answer.number)
            continue;
        int64_t waited = idm_signd_now_ms() - client->since;
        client->number = 0;
        if (answer.told)
            settle(s, client, answer.told == IDM_TOLD);
        else if (!passes || waited >= (int64_t)idm_keyring_wait(s->ring))
            finish(s, client, answer.rc, &answer.signature, &answer.error);
    }
}

/* Who asks and was not answered waits for the chip: until its time is up. Returns ms until the next one's
 * is; -1: nobody waits. */
static int give_up(struct server *s)
{
    int64_t now = idm_signd_now_ms();
    int64_t asked_at = idm_worker_asked_at(s->worker);
    int64_t silent = asked_at ? now - asked_at : 0;
    int64_t next = -1;
    for (size_t i = 0; i < IDM_SIGND_CLIENTS; i++) {
        struct client *client = &s->clients[i];
        if (!client->asks)
            continue;
        int64_t left = client->since + IDM_SIGND_TURN_MS - now;
        if (asked_at && IDM_SIGND_SILENT_MS - silent < left)
            left = IDM_SIGND_SILENT_MS - silent;
        if (left > 0) {
            next = next < 0 || left < next ? left : next;
            continue;
        }
        if (client->number && !idm_worker_forget(s->worker)) {
            next = 0; /* it was answered just now: that is taken first */
            continue;
        }
        struct idm_error err = {0};
        if (silent >= IDM_SIGND_SILENT_MS)
            (void)idm_fail(&err, IDM_E_TPM_BUSY, what_sign, "the TPM has not answered for %lld s",
                           (long long)(silent / 1000));
        else
            (void)idm_fail(&err, IDM_E_TPM_BUSY, what_sign, "too many ask, the turn did not come");
        (void)idm_advise(&err, "try again; a TPM that stays silent needs its power cut");
        finish(s, client, IDM_E_TPM_BUSY, NULL, &err);
    }
    return (int)next;
}

/* ---- the loop ---- */

static int sooner(int a, int b)
{
    if (a < 0 || b < 0)
        return a < 0 ? b : a;
    return a < b ? a : b;
}

static int timeout_of(struct server *s, bool put_off)
{
    int waits = give_up(s);
    int timeout = sooner(idm_keyring_tidy(s->ring), waits);
    if (waits >= 0 && !idm_worker_asked_at(s->worker)) { /* it is to be asked after its pause */
        int64_t left = s->try_at - idm_signd_now_ms();
        timeout = sooner(timeout, left > 0 ? (int)left : 0);
    }
    return put_off ? sooner(timeout, TURN_MS) : timeout;
}

/* Those who wait for an answer are watched for their end alone. */
static bool watch(struct server *s, struct pollfd *fds)
{
    bool put_off = false;
    for (size_t i = 0; i < IDM_SIGND_CLIENTS; i++) {
        struct client *c = &s->clients[i];
        fds[i] = (struct pollfd){.fd = c->fd, .events = 0};
        if (c->fd < 0 || c->asks)
            continue;
        if (idm_user_may_ask(c->user))
            fds[i].events = POLLIN;
        else
            put_off = true;
    }
    return put_off;
}

static void attend(struct server *s, const struct pollfd *fds)
{
    for (size_t i = 0; i < IDM_SIGND_CLIENTS; i++) {
        struct client *c = &s->clients[i];
        if (c->fd < 0 || c->fd != fds[i].fd)
            continue;
        if (fds[i].revents & POLLIN)
            receive(s, c);
        else if (fds[i].revents & (POLLHUP | POLLERR | POLLNVAL))
            drop(s, c);
    }
}

static void open_door(struct server *s)
{
    uid_t uid = 0;
    int fd = idm_door_accept(s->door, &uid);
    if (fd >= 0) {
        admit(s, fd, uid);
        return;
    }
    if (errno != EMFILE && errno != ENFILE && errno != ENOMEM)
        return;
    struct client *idle = longest_idle(s, NULL);
    if (idle)
        drop(s, idle);
}

/* Until the chip has to do something (true), or all is to end. */
static bool loop(void *self)
{
    struct server *s = self;
    struct pollfd fds[IDM_SIGND_CLIENTS + 3];
    fds[IDM_SIGND_CLIENTS] = (struct pollfd){.fd = s->door->fd, .events = POLLIN};
    fds[IDM_SIGND_CLIENTS + 1] = (struct pollfd){.fd = s->stop, .events = POLLIN};
    fds[IDM_SIGND_CLIENTS + 2] = (struct pollfd){.fd = idm_worker_fd(s->worker), .events = POLLIN};
    for (;;) {
        take_answer(s);
        if (serve_all(s))
            return true;
        int timeout = timeout_of(s, watch(s, fds));
        if (idm_worker_lets_go(s->worker))
            return true;
        int ready = poll(fds, IDM_SIGND_CLIENTS + 3, timeout);
        if (ready < 0 && errno != EINTR) {
            s->rc = idm_fail_errno(s->err, IDM_E_STORAGE, "serve", errno);
            return false;
        }
        if (ready <= 0)
            continue;
        if (fds[IDM_SIGND_CLIENTS + 1].revents)
            return false;
        attend(s, fds);
        if (fds[IDM_SIGND_CLIENTS].revents)
            open_door(s);
    }
}

int idm_signd_serve(const struct idm_door *door, struct idm_keyring *ring,
                    struct idm_worker *worker, int stop, struct idm_error *err)
{
    struct server *s = calloc(1, sizeof *s);
    if (!s)
        return idm_fail(err, IDM_E_MEMORY, "serve", "out of memory");
    *s = (struct server){.door = door, .ring = ring, .worker = worker, .stop = stop, .err = err};
    for (size_t i = 0; i < IDM_SIGND_CLIENTS; i++)
        s->clients[i].fd = -1;
    int rc = idm_worker_run(worker, loop, s, err);
    if (rc == 0)
        rc = s->rc;
    for (size_t i = 0; i < IDM_SIGND_CLIENTS; i++)
        drop(s, &s->clients[i]);
    free(s);
    return rc;
}
