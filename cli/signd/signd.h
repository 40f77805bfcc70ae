/* SPDX-License-Identifier: BSD-2-Clause */
/* signd.h - idmode-signd: signs for those who may use the device's identity, and for nobody else.
 *
 *     sign.sock ──► listen.c  who is it?  ──► server.c  one message, one signature, in turn ──► key.c
 *                   root, or a member of       poll: a client that sends nothing, nonsense       │
 *                   [access] group             or too much costs nobody else anything            ▼
 *                                                                                              worker.c
 *                                                                                two threads: loop and TPM
 *
 * One process, one connection to the chip, one TPM command for a signature. In software mode it alone
 * reads the key file. What it signs it has hashed itself, and nothing that begins with idmode's label
 * (wire.h); for root it signs digests as well.
 *
 * A busy, absent or silent chip stops nobody from connecting or asking: requests wait, each for its own
 * time at most, and are tried in turn; those that need no chip are answered meanwhile.
 */
#ifndef IDM_CLI_SIGND_SIGND_H
#define IDM_CLI_SIGND_SIGND_H

#include "backends/active/wire.h"

#include <sys/types.h>

#define IDM_SIGND_CLIENTS      128u /* connections; the longest idle one makes room */
#define IDM_SIGND_CLIENTS_USER 48u  /* of one user but root */
/* Signatures a second that one user gets at most; more are put off, not refused. A chip gives fewer; a
 * software key would give a user a core. */
#define IDM_SIGND_RATE 1000u
/* A handshake that began with the software key may end with it (the device is moving to its TPM). */
#define IDM_SIGND_FORMER_MS 10000
/* Longer than any [tpm] wait is not waited: clients give up after IDM_BROKER_WAIT_MS. */
#define IDM_SIGND_WAIT_MAX_MS 10000u
/* A chip that has not answered for so long is silent: who waits for it is told so, and who comes then at
 * once, until it speaks again. The slowest command that we send takes a second on real chips; another
 * program's RSA key, made meanwhile, may take longer. */
#define IDM_SIGND_SILENT_MS 10000
/* Nor is waited longer for one's turn: before the client gives up, so that it learns why. */
#define IDM_SIGND_TURN_MS 13000
#define IDM_SIGND_STOP_MS 2000 /* what is under way may end, when the broker does */
/* A key by file stays loaded so long after the last signature: on a chip without resource manager it
 * takes one of three slots from everybody else; with one it takes nothing, and loading again costs the
 * next client up to 300 ms. */
#define IDM_SIGND_HOLD_MS         5000
#define IDM_SIGND_HOLD_MANAGED_MS 600000

int64_t idm_signd_now_ms(void);
/* One line on standard error; the same error again is said once in ten seconds. */
void idm_signd_log(const struct idm_error *err);

/* ---- listen.c ---- */

struct idm_door {
    int fd;         /* listens, non-blocking */
    int dir;        /* of the socket that was made; -1: systemd's, which stays */
    ino_t inode;    /* of that */
    bool has_group; /* [access] group exists */
    gid_t group;
};

/* systemd's socket where it passes one (sd_listen_fds(3)), else ROOT/run/idmode/sign.sock, made. A
 * stale one is replaced. LOCK: another broker serves it; STORAGE, READ_ONLY, FULL; USAGE: what systemd
 * passes is no listening SOCK_SEQPACKET socket. */
int idm_door_open(struct idm_door *ret, const char *root, const char *group,
                  struct idm_error *err) IDM_NODISCARD;
/* Removes the socket that it made, unless another one took its place. */
void idm_door_close(struct idm_door *door);
/* The next client, non-blocking, who may sign; -1: none, or one that was sent away. `ret_uid` of the
 * moment when it connected. */
int idm_door_accept(const struct idm_door *door, uid_t *ret_uid);

/* ---- key.c ---- */

struct idm_worker;

struct idm_keyring {
    struct idm_active_ctx *ctx;
    struct idm_worker *worker;     /* borrowed */
    const struct idm_page *page;   /* NULL: not there yet */
    uint64_t word;                 /* what it said when `key` was loaded */
    struct idm_active_key *key;    /* NULL: none is in use */
    struct idm_active_key *former; /* software, until former_end */
    int64_t former_end;
    int64_t let_go_at; /* what is loaded in the chip; 0: nothing is */
};

/* The key that `spki` names, if it is that of the identity in use; the ring's own, until the next call.
 * HELD: another one is in use, or none; the codes of idm_active_load. */
int idm_keyring_find(struct idm_keyring *ring, const uint8_t spki[IDM_SHA256_SIZE],
                     struct idm_active_key **ret, struct idm_error *err) IDM_NODISCARD;
/* The chip is about to be asked for a signature with it: what stays loaded has its end. */
void idm_keyring_uses_chip(struct idm_keyring *ring, const struct idm_active_key *key);
/* How long a request for the chip is worth trying, in ms. */
uint32_t idm_keyring_wait(const struct idm_keyring *ring);
/* Forgets what has gone; returns ms until there is something to forget, -1: nothing. */
int idm_keyring_tidy(struct idm_keyring *ring);
void idm_keyring_free(struct idm_keyring *ring);

/* ---- reply.c ---- */

/* The reply to request `id` of the client behind fd. False: it does not take it, or is gone. */
bool idm_signd_tell_signature(int fd, uint32_t id, const struct idm_signature *signature);
bool idm_signd_tell_error(int fd, uint32_t id, const struct idm_error *err);

/* ---- users.c ---- */

struct idm_user {
    uid_t uid;
    bool known;
    size_t places; /* connections */
    /* signatures that he has left in this second: a bucket that fills by itself */
    int64_t filled_at;
    uint32_t left;
    uint64_t served; /* the chip worked for him last: the higher the later; 0: never */
    size_t turn;     /* for the connection at this place: the one behind is next */
};
#define IDM_SIGND_USERS                                                                            \
    (IDM_SIGND_CLIENTS + 1) /* one is without places whenever a new user comes */
struct idm_users {
    struct idm_user all[IDM_SIGND_USERS];
    uint64_t served;
};

/* His entry, which stays while he has places. */
struct idm_user *idm_users_find(struct idm_users *users, uid_t uid);
/* Has he signatures left? */
bool idm_user_may_ask(struct idm_user *user);
/* Who has most places; NULL: nobody has two. */
const struct idm_user *idm_users_with_most(const struct idm_users *users);
/* The chip is asked for the connection at `place`. */
void idm_users_served(struct idm_users *users, struct idm_user *user, size_t place);
/* Whose turn is it? That of the user for whom the chip worked least recently, however many ask for the other
 * one; of one user's connections, that of the next one. */
bool idm_user_comes_before(const struct idm_user *a, size_t place_a, const struct idm_user *b,
                           size_t place_b);

/* ---- request.c ---- */

/* Is it a request, with `size` bytes behind its head? */
bool idm_request_is_sane(const struct idm_wire_request *r, size_t size);
/* Hashes the message, keeps it where the key signs messages (*ret_message, the caller's to free, in *ret too), or
 * takes root's digest. REFUSED, with the reason; MEMORY, CRYPTO. */
int idm_request_take(const struct idm_wire_request *request, uid_t uid, const uint8_t *data,
                     size_t size, struct idm_to_sign *ret, uint8_t **ret_message,
                     struct idm_error *err) IDM_NODISCARD;

/* ---- worker.c ---- */

enum idm_told { IDM_TOLD_NOTHING, IDM_TOLD, IDM_TOLD_IN_VAIN };

struct idm_worker_answer {
    uint64_t number;    /* what idm_worker_ask returned */
    enum idm_told told; /* the client has the signature; or it did not take it */
    int rc;             /* TPM_BUSY and TPM_ABSENT may go away */
    struct idm_signature signature;
    struct idm_error error;
};

/* MEMORY. `ctx` is borrowed. */
int idm_worker_open(struct idm_worker **ret, struct idm_active_ctx *ctx,
                    struct idm_error *err) IDM_NODISCARD;
/* Runs loop(self) in one of two threads, never in both. It returns true when it has asked the chip
 * (idm_worker_ask, idm_worker_lets_go), and is called again in the other thread at once; false when it is to end:
 * then this returns too, after IDM_SIGND_STOP_MS at most. MEMORY: no threads, and loop was not called. */
int idm_worker_run(struct idm_worker *worker, bool (*loop)(void *self), void *self,
                   struct idm_error *err) IDM_NODISCARD;
/* False: the chip is silent, its thread and what it uses stay until the process ends, which is to be by
 * _exit(2). NULL is fine. */
bool idm_worker_close(struct idm_worker *worker) IDM_NODISCARD;

/* The rest is for the loop. */
/* Readable when there is an answer. */
int idm_worker_fd(const struct idm_worker *worker);
/* Since when it works on a signature; 0: it is free. */
int64_t idm_worker_asked_at(const struct idm_worker *worker);
/* Only where it is free. A number for the request, never 0; key and what are copied. A good signature goes to
 * the client behind fd as the reply to its request `id` at once, so that it need not wait until the loop runs:
 * fd stays open, and is told nothing else, until the answer was taken or idm_worker_forget said true. */
uint64_t idm_worker_ask(struct idm_worker *worker, struct idm_active_key *key,
                        const struct idm_to_sign *what, int fd, uint32_t id);
/* The client of what it works on is not told any more. False: it has been already, or nothing is worked on. */
bool idm_worker_forget(struct idm_worker *worker);
bool idm_worker_take(struct idm_worker *worker, struct idm_worker_answer *ret);
/* What is loaded in the chip is to be flushed before the next signature. */
void idm_worker_let_go(struct idm_worker *worker);
/* Is that to be done, and the chip free for it? True: it is asked. */
bool idm_worker_lets_go(struct idm_worker *worker);

/* ---- server.c ---- */

/* Serves until `stop`, a descriptor, becomes readable. MEMORY, STORAGE when poll fails. */
int idm_signd_serve(const struct idm_door *door, struct idm_keyring *ring,
                    struct idm_worker *worker, int stop, struct idm_error *err) IDM_NODISCARD;

#endif
