/* SPDX-License-Identifier: BSD-2-Clause */
/* users.c - what each user may have of the broker: signatures a second, and a turn at the chip whatever the others
 * ask for. */
#include "cli/signd/signd.h"

/* An entry outlives its connections, or each new one would begin with a full second's worth. */
struct idm_user *idm_users_find(struct idm_users *users, uid_t uid)
{
    struct idm_user *oldest = NULL;
    for (size_t i = 0; i < IDM_SIGND_USERS; i++) {
        struct idm_user *user = &users->all[i];
        if (user->known && user->uid == uid)
            return user;
        if (!user->places &&
            (!oldest || (oldest->known && (!user->known || user->filled_at < oldest->filled_at))))
            oldest = user;
    }
    *oldest = (struct idm_user){
        .uid = uid, .known = true, .filled_at = idm_signd_now_ms(), .left = IDM_SIGND_RATE};
    return oldest;
}

bool idm_user_may_ask(struct idm_user *user)
{
    int64_t passed = idm_signd_now_ms() - user->filled_at;
    uint64_t more = (uint64_t)passed * IDM_SIGND_RATE / 1000;
    if (more > 0) {
        user->left =
            more + user->left > IDM_SIGND_RATE ? IDM_SIGND_RATE : user->left + (uint32_t)more;
        user->filled_at += passed;
    }
    return user->left > 0;
}

const struct idm_user *idm_users_with_most(const struct idm_users *users)
{
    const struct idm_user *most = &users->all[0];
    for (size_t i = 1; i < IDM_SIGND_USERS; i++)
        if (users->all[i].places > most->places)
            most = &users->all[i];
    return most->places > 1 ? most : NULL;
}

void idm_users_served(struct idm_users *users, struct idm_user *user, size_t place)
{
    user->served = ++users->served;
    user->turn = place;
}

/* How far behind the place that was served last. */
static size_t behind(const struct idm_user *user, size_t place)
{
    return (place + IDM_SIGND_CLIENTS - user->turn - 1) % IDM_SIGND_CLIENTS;
}

bool idm_user_comes_before(const struct idm_user *a, size_t place_a, const struct idm_user *b,
                           size_t place_b)
{
    if (a != b)
        return a->served < b->served;
    return behind(a, place_a) < behind(a, place_b);
}
