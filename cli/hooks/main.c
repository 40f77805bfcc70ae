/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c - `idmode hooks`, started by idmode when it has published. */
#include "cli/hooks/hooks.h"

#include "backends/store/place.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

/* One after the other, none left out: who comes while another tells waits for it, and looks then; who
 * comes while one waits may go, since that one has not looked yet.
 *
 *     hooks.lock   byte 0: tells      byte 1: waits to tell
 */
enum { TELLS = 0, WAITS = 1 };

static int lock_byte(int fd, short type, off_t byte, bool wait)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    int r;
    do
        r = fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock);
    while (r < 0 && errno == EINTR);
    return r;
}

/* The turn, until the descriptor is closed; -1: somebody else will look after us, or it cannot be had. */
static int take_turn(const struct idm_hooks *hooks)
{
    _cleanup_close_ int root = idm_inroot_root(hooks->options->root);
    _cleanup_close_ int dir = root < 0 ? -1 : idm_place_open_run(root, true);
    int fd = -1;
    if (dir >= 0)
        fd = idm_fd_above_stdio(openat(
            dir, "hooks.lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
    if (fd < 0) {
        idm_hooks_say(hooks, true, "run/idmode/hooks.lock: %s", strerror(errno));
        return -1;
    }
    bool turn = lock_byte(fd, F_WRLCK, WAITS, false) == 0 &&
                lock_byte(fd, F_WRLCK, TELLS, true) == 0 &&
                lock_byte(fd, F_UNLCK, WAITS, false) == 0;
    if (!turn)
        idm_close_fd(&fd);
    return fd;
}

static void work(struct idm_hooks *hooks, bool here)
{
    static struct idm_change change;
    if (!idm_hooks_any(hooks) || !idm_hooks_look(hooks, &change))
        return;
    if (!here && idm_hooks_move_out(hooks))
        return;
    _cleanup_close_ int turn = take_turn(hooks);
    if (turn >= 0 && idm_hooks_look(hooks, &change))
        idm_hooks_tell(hooks, &change);
}

static int usage(void)
{
    (void)fputs("usage: idmode hooks [--root DIR] [--config FILE] [--tcti STRING] [here]\n"
                "Tells the programs of [hooks] directory what changed since they were told last.\n"
                "idmode starts it; \"here\": not as a unit of systemd of its own.\n",
                stderr);
    return 2;
}

int idm_hooks_main(int argc, char **argv)
{
    static struct idm_hooks hooks; /* large */
    struct idm_options options;
    struct idm_error err = {0};
    (void)umask(022);
    if (!idm_options_parse(&options, argc, argv))
        return 2;
    bool here = options.words == 1 && strcmp(options.word[0], "here") == 0;
    if (options.help || options.words > here || !idm_options_fit(&options, "hooks"))
        return usage();
    openlog("idmode-hooks", LOG_PID, LOG_DAEMON);
    hooks.options = &options;
    int rc = idm_settings_read(&hooks.settings, options.root, options.config, NULL, &err);
    /* An invalid value elsewhere keeps nobody from being told. */
    if (rc)
        idm_hooks_say(&hooks, true, "%s: %s", err.what, err.why);
    else if (idm_store_open(&hooks.store, options.root, &hooks.settings, &err))
        idm_hooks_say(&hooks, true, "%s: %s", err.what, err.why);
    else
        work(&hooks, here);
    idm_store_close(hooks.store);
    return err.code ? 5 : 0;
}
