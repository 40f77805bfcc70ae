/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/signd/signd.h"

#include "backends/store/place.h"

#include <grp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define FIRST_PASSED 3 /* sd_listen_fds(3): SD_LISTEN_FDS_START */
#define SOCKET_NAME  "sign.sock"
#define TEMP_NAME    ".sign.sock.tmp"
#define BACKLOG      64
#define GROUPS_MAX   256 /* of one peer; Linux allows 65536, nobody has that many */

static const char what_listen[] = "listen on /run/idmode/sign.sock";

/* ---- systemd's ---- */

static bool is_ours_to_use(int fd)
{
    int type = 0;
    int listens = 0;
    socklen_t size = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
        return false;
    size = sizeof listens;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens &&
           type == SOCK_SEQPACKET;
}

/* The passed descriptor, -1 where none is passed. Four lines in place of a library. */
static int passed_socket(struct idm_error *err, int *ret)
{
    const char *pid = secure_getenv("LISTEN_PID");
    const char *count = secure_getenv("LISTEN_FDS");
    bool ours = pid && count && strtol(pid, NULL, 10) == (long)getpid();
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    if (!ours)
        return 0;
    if (strcmp(count, "1") != 0 || !is_ours_to_use(FIRST_PASSED)) {
        (void)idm_fail(err, IDM_E_USAGE, what_listen,
                       "systemd passes something else than one listening SOCK_SEQPACKET socket");
        return idm_advise(err, "ListenSequentialPacket=/run/idmode/sign.sock"), IDM_E_USAGE;
    }
    if (fcntl(FIRST_PASSED, F_SETFD, FD_CLOEXEC) < 0 ||
        fcntl(FIRST_PASSED, F_SETFL, O_NONBLOCK) < 0)
        return idm_fail_errno(err, IDM_E_STORAGE, what_listen, errno);
    *ret = FIRST_PASSED;
    return 0;
}

/* ---- our own ---- */

static struct sockaddr_un address(int dir, const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    (void)snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/%s", dir, name);
    return a;
}

static bool is_served(int dir)
{
    const struct sockaddr_un a = address(dir, SOCKET_NAME);
    _cleanup_close_ int fd =
        idm_fd_above_stdio(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    return fd >= 0 && (connect(fd, (const struct sockaddr *)&a, sizeof a) == 0 || errno == EAGAIN);
}

/* Never wider than it ends up, and complete before it has its name. */
static int bind_new(int dir, const struct idm_door *door)
{
    const struct sockaddr_un a = address(dir, TEMP_NAME);
    _cleanup_close_ int fd =
        idm_fd_above_stdio(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    (void)unlinkat(dir, TEMP_NAME, 0);
    mode_t mask = umask(0777);
    int rc = fd < 0 ? -1 : bind(fd, (const struct sockaddr *)&a, sizeof a);
    int failed = errno;
    (void)umask(mask);
    errno = failed;
    if (rc < 0 || (door->has_group && fchownat(dir, TEMP_NAME, (uid_t)-1, door->group, 0) < 0) ||
        fchmodat(dir, TEMP_NAME, door->has_group ? 0660 : 0600, 0) < 0 || listen(fd, BACKLOG) < 0 ||
        renameat(dir, TEMP_NAME, dir, SOCKET_NAME) < 0)
        return -1;
    int bound = fd;
    fd = -1;
    return bound;
}

static int make_socket(struct idm_door *door, const char *root, struct idm_error *err)
{
    struct stat st;
    _cleanup_close_ int root_fd = idm_inroot_root(root);
    _cleanup_close_ int dir = root_fd < 0 ? -errno : idm_place_open_run(root_fd, true);
    if (dir < 0)
        return idm_fail_errno(err, IDM_E_STORAGE, what_listen, -dir);
    if (is_served(dir))
        return idm_fail(err, IDM_E_LOCK, what_listen, "another idmode-signd serves it");
    door->fd = bind_new(dir, door);
    if (door->fd < 0 || fstatat(dir, SOCKET_NAME, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return idm_fail_errno(err, IDM_E_STORAGE, what_listen, errno);
    door->inode = st.st_ino;
    door->dir = dir;
    dir = -1;
    return 0;
}

static void find_group(struct idm_door *door, const char *name)
{
    char buffer[16384];
    struct group group;
    struct group *found = NULL;
    if (getgrnam_r(name, &group, buffer, sizeof buffer, &found) == 0 && found) {
        door->has_group = true;
        door->group = found->gr_gid;
        return;
    }
    (void)fprintf(stderr, "idmode-signd: no group %s: root alone is served ([access] group)\n",
                  name);
}

int idm_door_open(struct idm_door *ret, const char *root, const char *group, struct idm_error *err)
{
    struct idm_door door = {.fd = -1, .dir = -1};
    int rc = passed_socket(err, &door.fd);
    if (rc)
        return rc;
    find_group(&door, group);
    if (door.fd < 0)
        rc = make_socket(&door, root, err);
    if (rc == 0)
        *ret = door;
    else
        idm_door_close(&door);
    return rc;
}

void idm_door_close(struct idm_door *door)
{
    struct stat st;
    if (door->dir >= 0 && door->fd >= 0 &&
        fstatat(door->dir, SOCKET_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == door->inode)
        (void)unlinkat(door->dir, SOCKET_NAME, 0);
    idm_close_fd(&door->dir);
    idm_close_fd(&door->fd);
}

/* ---- who is it? ---- */

/* Groups as they were when it connected: the kernel's word, not the user database's. */
static bool is_member(int fd, gid_t group)
{
    gid_t groups[GROUPS_MAX];
    socklen_t size = sizeof groups;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
        return false;
    for (size_t i = 0; i < size / sizeof *groups; i++)
        if (groups[i] == group)
            return true;
    return false;
}

int idm_door_accept(const struct idm_door *door, uid_t *ret_uid)
{
    struct ucred peer;
    struct sockaddr_un from; /* unnamed: clients do not bind */
    socklen_t from_size = sizeof from;
    socklen_t size = sizeof peer;
    _cleanup_close_ int fd =
        accept4(door->fd, (struct sockaddr *)&from, &from_size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return -1;
    bool may = peer.uid == 0 ||
               (door->has_group && (peer.gid == door->group || is_member(fd, door->group)));
    if (!may)
        return -1;
    *ret_uid = peer.uid;
    int accepted = fd;
    fd = -1;
    return accepted;
}
