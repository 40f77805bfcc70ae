/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/active/page.h"
#include "backends/store/place.h"

#include <stdlib.h>

int idm_store_open(struct idm_store **ret, const char *root, const struct idm_settings *settings,
                   struct idm_error *err)
{
    char what[160];
    (void)snprintf(what, sizeof what, "open the root directory %s", *root ? root : "/");
    struct idm_store *store = calloc(1, sizeof *store);
    char *copy = strdup(root);
    if (!store || !copy) {
        free(store);
        free(copy);
        return idm_fail(err, IDM_E_MEMORY, what, "out of memory");
    }
    *store = (struct idm_store){.root = copy, .settings = settings};
    for (int place = 0; place < IDM_PLACES; place++)
        store->dirs[place] = -1;
    store->root_fd = idm_inroot_root(root);
    if (store->root_fd < 0) {
        int r = idm_fail_errno(err, IDM_E_UNREADABLE, what, errno);
        idm_store_close(store);
        return r;
    }
    *ret = store;
    return 0;
}

void idm_store_close(struct idm_store *store)
{
    if (!store)
        return;
    idm_store_let_go(store);
    idm_close_fd(&store->root_fd);
    idm_mounts_free(&store->mounts);
    free(store->root);
    free(store);
}

static bool any_leftover(int dir, enum idm_place place)
{
    bool any = false;
    for (int file = 0; file < IDM_FILE_COUNT; file++)
        if (idm_file_place((enum idm_file)file) == place)
            any = any || idm_file_leftover(dir, (enum idm_file)file);
    return any;
}

static void sweep_place(struct idm_store *store, enum idm_place place)
{
    int dir = idm_place_dir(store, place, false);
    _cleanup_remount_ struct idm_remount remount = IDM_REMOUNT_NONE;
    if (dir < 0 || !any_leftover(dir, place) || idm_remount_begin(store, place, &remount, NULL) < 0)
        return;
    for (int file = 0; file < IDM_FILE_COUNT; file++)
        if (idm_file_place((enum idm_file)file) == place)
            idm_file_sweep(dir, (enum idm_file)file);
}

/* A cut in the middle of a write leaves a temp file, which may hold a private key that nobody will
 * write again: looked for before the first change, when the caller holds the lock. What cannot be
 * removed now is in nobody's way. */
void idm_store_sweep(struct idm_store *store)
{
    if (store->swept)
        return;
    store->swept = true;
    for (int place = 0; place < IDM_PLACES; place++)
        sweep_place(store, (enum idm_place)place);
}

int idm_store_page(struct idm_store *store, unsigned int mode, uint32_t epoch,
                   struct idm_error *err)
{
    int dir = idm_place_dir(store, IDM_RUN, true);
    if (dir < 0)
        return idm_fail_errno(err, IDM_E_STORAGE, "publish the mode page", -dir);
    return idm_page_publish(dir, mode, epoch, err);
}
