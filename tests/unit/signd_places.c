/* SPDX-License-Identifier: BSD-2-Clause */
/* The broker's places and turns: who gets one, and who gives one. */
#include "cli/signd/server.c" /* the loop's parts are its own */

#include <criterion/criterion.h>

/* In place of the program's main.c: a clock that stands, and nobody who listens. */
int64_t idm_signd_now_ms(void)
{
    return 1000;
}

void idm_signd_log(const struct idm_error *err)
{
    (void)err;
}

static struct server server;
static int others[400]; /* the clients' ends */
static size_t count;

static void set_up(void)
{
    for (size_t i = 0; i < IDM_SIGND_CLIENTS; i++)
        server.clients[i].fd = -1;
}

static void tear_down(void)
{
    for (size_t i = 0; i < IDM_SIGND_CLIENTS; i++)
        drop(&server, &server.clients[i]);
    for (size_t i = 0; i < count; i++)
        (void)close(others[i]);
}

TestSuite(signd_places, .init = set_up, .fini = tear_down, .timeout = 60);

/* Comes, and asks where it is admitted. The number of its end. */
static size_t come(uid_t uid, bool asks)
{
    int ends[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    admit(&server, ends[0], uid);
    for (size_t i = 0; i < IDM_SIGND_CLIENTS; i++)
        if (server.clients[i].fd == ends[0])
            server.clients[i].asks = asks;
    others[count] = ends[1];
    return count++;
}

static bool stays(size_t end)
{
    char byte;
    return recv(others[end], &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

/* How many of these ends stay. */
static size_t stay(size_t from, size_t to)
{
    size_t found = 0;
    for (; from < to; from++)
        found += stays(from);
    return found;
}

Test(signd_places, three_members_leave_one_for_somebody_who_has_none)
{
    static const uid_t members[] = {11, 12, 13};
    struct idm_wire_reply reply = {0};
    for (size_t i = 0; i < 144; i++)
        (void)come(members[i / 48], true);
    cr_assert_eq(stay(0, 144), IDM_SIGND_CLIENTS);
    cr_assert(stays(come(0, true)), "root");
    cr_assert(stays(come(14, true)), "another member");
    cr_assert_not(stays(come(14, true)), "who has one already");
    /* by whoever had most, and of his the last one to ask */
    cr_assert_eq(stay(0, 48) + stay(48, 96), 94);
    cr_assert_eq(stay(96, 144), 32);
    cr_assert_not(stays(47));
    cr_assert_gt(recv(others[47], &reply, sizeof reply, MSG_DONTWAIT), 0);
    cr_assert_eq(reply.good, 0);
    struct idm_error err = {0};
    cr_assert_eq(idm_wire_take_error(&reply, &err), IDM_E_TPM_BUSY);
}

Test(signd_places, idle_ones_go_first)
{
    size_t idle = 0;
    for (size_t i = 0; i < 128; i++) {
        size_t end = come((uid_t)(11 + i / 48), i != 70);
        idle = i == 70 ? end : idle;
    }
    cr_assert(stays(come(0, true)));
    cr_assert_not(stays(idle));
    cr_assert_eq(stay(0, 129), 128);
}

Test(signd_places, of_users_with_one_place_each_nobody_gives_it)
{
    for (size_t i = 0; i < 128; i++)
        (void)come((uid_t)(1000 + i), true);
    cr_assert_eq(stay(0, 128), 128);
    for (size_t i = 0; i < 8; i++)
        cr_assert_not(stays(come((uid_t)(2000 + i), true)));
    cr_assert_eq(stay(0, 128), 128);
}

/* Whom the chip works for next, if all ask all the time. */
static struct idm_user *work(const struct idm_user *const *of, size_t places)
{
    size_t next = 0;
    for (size_t i = 1; i < places; i++)
        if (idm_user_comes_before(of[i], i, of[next], next))
            next = i;
    struct idm_user *user = (struct idm_user *)of[next];
    idm_users_served(&server.users, user, next);
    return user;
}

Test(signd_places, users_come_in_turn_and_each_ones_connections_too)
{
    const struct idm_user *of[10];
    struct idm_user *many = idm_users_find(&server.users, 11);
    struct idm_user *one = idm_users_find(&server.users, 0);
    struct idm_user *two = idm_users_find(&server.users, 12);
    many->places = 7, one->places = 1, two->places = 2;
    for (size_t i = 0; i < 10; i++)
        of[i] = i == 4 ? one : i == 2 || i == 8 ? two : many;
    cr_assert_eq(idm_users_find(&server.users, 11), many);
    cr_assert_eq(idm_users_with_most(&server.users), many);
    size_t turns[10] = {0};
    for (size_t round = 0; round < 14; round++) {
        const struct idm_user *served[3];
        for (size_t i = 0; i < 3; i++) {
            served[i] = work(of, 10);
            turns[served[i]->turn]++;
        }
        cr_assert(served[0] != served[1] && served[1] != served[2] && served[0] != served[2]);
    }
    for (size_t i = 0; i < 10; i++)
        cr_assert_eq(turns[i], of[i] == one ? 14u : of[i] == two ? 7u : 2u, "%zu", i);
}
