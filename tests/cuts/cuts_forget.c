/* SPDX-License-Identifier: BSD-2-Clause */
/* The shipped programs are killed on file systems that forget what was not synced, in every plan; then the
 * device boots and the oracle judges. Once more the power fails, right after that boot: what it settled
 * has to last.
 *
 *     root/config ── tests/tools/forget_fs.c, as ext4 or as FAT, in turn
 *     root/persist ─ the same, as ext4
 *
 * And with the kernel's own ext4 on images behind loop devices: what it has written to its image when the
 * program is killed is what a power cut would leave, so a copy of that is mounted in its place.
 *
 *     IDM_TEST_CUTS=N        how many cuts; 70. On ext4: two sevenths of them
 *     IDM_TEST_CUTS_SEED=S   which, and what is forgotten; 1
 *     IDM_TEST_CUTS_AT=I     only the I-th of these, as a failure prints it
 *
 * Needs /dev/fuse, or loop devices, and the right to mount; skipped without. */
#include "tests/cuts/points.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define CUTS       70u
#define CUTS_MAX   20000u
#define FORGET_FS  IDM_TEST_BUILD_DIR "/bin/forget-fs"
#define POWER_OFF  "user.power-off"
#define FUSE_MAGIC 0x65735546 /* linux/fuse: fs/fuse/inode.c, FUSE_SUPER_MAGIC */
#define START_MS   10000

struct disk {
    pid_t pid; /* of forget-fs */
    bool mounted;
    char path[IDM_DEVICE_PATH_SIZE];
    char image[IDM_DEVICE_PATH_SIZE]; /* of ext4; empty: forget-fs */
};

static struct cuts cuts;
static struct disk disks[2]; /* config, persist */
static uint64_t power_seed;
static bool journalled; /* ext4 itself stands where forget-fs would */
static unsigned by_plan[IDM_PLAN_COUNT + 1], failures, missed;

static unsigned long setting(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoul(text, NULL, 10) : otherwise;
}

/* ---- disks ---- */

static bool is_mounted(const char *path)
{
    struct statfs st;

    return statfs(path, &st) == 0 && st.f_type == FUSE_MAGIC;
}

static int run_shell(const struct disk *disk, const char *command)
{
    _cleanup_run_ struct idm_run run = {0};
    const char *const argv[] = {"sh", "-ec", command, "sh", disk->path, disk->image, NULL};

    if (idm_run(&run, NULL, argv) != 0 || run.exit_code != 0)
        return cuts_fail(&cuts, "%s: %.500s", command, run.err != NULL ? run.err : "");
    return 0;
}

/* An image that holds what the directory held, mounted over it. */
static int mount_image(struct disk *disk, const struct idm_device *device, const char *place)
{
    idm_device_path(device, place, disk->path);
    snprintf(disk->image, sizeof(disk->image), "%s%s.img", device->base, place);
    if (run_shell(disk, "mkfs.ext4 -q -m 0 -d \"$1\" \"$2\" 4M; mount -o loop \"$2\" \"$1\";"
                        " rmdir \"$1/lost+found\"; sync -f \"$1\"") != 0)
        return -1;
    disk->mounted = true;
    return 0;
}

/* What the file system has written so far is what a power cut leaves: a copy of that is mounted, and
 * its journal replayed. */
static int crash_image(struct disk *disk)
{
    if (run_shell(disk, "cp \"$2\" \"$2.crash\"; umount -l \"$1\"; mv \"$2.crash\" \"$2\";"
                        " mount -o loop \"$2\" \"$1\"") == 0)
        return 0;
    errno = EIO;
    return -1;
}

static int mount_disk(struct disk *disk, const char *kind, const struct idm_device *device,
                      const char *place)
{
    pid_t parent = getpid();

    if (journalled)
        return mount_image(disk, device, place);
    idm_device_path(device, place, disk->path);
    disk->pid = fork();
    if (disk->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            execl(FORGET_FS, FORGET_FS, kind, disk->path, (char *)NULL);
        _exit(127);
    }
    for (int ms = 0; disk->pid > 0 && ms < START_MS; ms++) {
        if (is_mounted(disk->path)) {
            disk->mounted = true;
            return 0;
        }
        if (waitpid(disk->pid, NULL, WNOHANG) == disk->pid)
            break;
        poll(NULL, 0, 1);
    }
    disk->pid = 0;
    return cuts_fail(&cuts, "forget-fs does not mount on %s", disk->path);
}

static void unmount_disks(void)
{
    for (size_t i = 0; i < 2; i++) {
        if (disks[i].mounted)
            (void)umount2(disks[i].path, MNT_DETACH);
        if (disks[i].pid > 0)
            (void)waitpid(disks[i].pid, NULL, 0);
        disks[i] = (struct disk){.pid = 0};
    }
}

static int fail_power(void)
{
    for (size_t i = 0; i < 2; i++) {
        char seed[32];

        if (journalled && crash_image(&disks[i]) != 0)
            return -1;
        if (journalled)
            continue;
        snprintf(seed, sizeof(seed), "%llu", (unsigned long long)power_seed++);
        if (setxattr(disks[i].path, POWER_OFF, seed, strlen(seed), 0) != 0)
            return -1;
    }
    return 0;
}

/* The device is seen as the power left it, not as the killed program did. */
static int act(struct lab_world *world, const struct lab_step *step, const struct lab_cut *cut,
               struct lab_result *ret)
{
    int result = lab_real_world.act(world, step, cut, ret);

    if (result == 0 && ret->was_cut && fail_power() != 0) {
        snprintf(ret->error, sizeof(ret->error), "the power does not fail: %s %.200s",
                 strerror(errno), cuts.error);
        return -1;
    }
    return result;
}

/* ---- one cut ---- */

static int cut_at(struct lab_timeline *t, const struct cuts_point *point, struct lab_stop *stop)
{
    static struct lab_world_ops forgetful;
    const struct cuts_stand *stand = &cuts.stands[point->stand];
    const struct lab_step *step = &cuts.lives[stand->life].scenario.steps[stand->step];

    forgetful = lab_real_world;
    forgetful.act = act;
    t->ops = &forgetful;
    idm_device_kill_begin(&t->world->device, point->kill, point->n);
    if (lab_timeline_act(t, step, stand->step, NULL, NULL, stop) != 0)
        return -1;
    missed += !t->now->moment.result.was_cut;
    if (lab_timeline_act(t, step, stand->step, &lab_recovery, NULL, stop) != 0)
        return -1;
    /* A legacy image promises nothing. */
    if (!t->now->moment.sight.aware)
        return 0;
    if (fail_power() != 0) {
        *stop = (struct lab_stop){.what = "world", .found = "the power does not fail"};
        return -1;
    }
    t->world->seen_valid = false;
    return lab_timeline_act(t, step, stand->step, &lab_recovery, NULL, stop);
}

static int cut_mounted(struct lab_timeline *t, const struct cuts_point *point, size_t nth,
                       struct lab_stop *stop)
{
    const struct idm_device *device = &t->world->device;

    if (mount_disk(&disks[0], nth % 2 != 0 ? "fat" : "ext4", device, "/config") == 0 &&
        mount_disk(&disks[1], "ext4", device, "/persist") == 0)
        return cut_at(t, point, stop);
    *stop = (struct lab_stop){.what = "world"};
    snprintf(stop->found, sizeof(stop->found), "%.*s", 500, cuts.error);
    return -1;
}

static void cut_once(const struct cuts_point *point, size_t nth)
{
    const struct cuts_stand *stand = &cuts.stands[point->stand];
    const struct lab_scenario *scenario = &cuts.lives[stand->life].scenario;
    struct lab_timeline t;
    struct lab_stop stop;
    int result = lab_timeline_fork(&t, &stand->before, &stop);

    power_seed = nth * 1000;
    if (result == 0)
        result = cut_mounted(&t, point, nth, &stop);
    if (result != 0)
        fprintf(stderr,
                "cut %zu: %s:%d (%s), config on %s, killed at %lu, %s %s, plan %s\n    %s: %s\n%s",
                nth, strrchr(scenario->file, '/') + 1, scenario->steps[stand->step].line,
                lab_action_word(scenario->steps[stand->step].action), nth % 2 != 0 ? "fat" : "ext4",
                point->n, point->what, point->path,
                point->plan < IDM_PLAN_COUNT ? idm_plan_info((enum idm_plan)point->plan)->name
                                             : "-",
                stop.what, stop.found, t.now != NULL ? t.now->moment.sight.trace : "");
    failures += result != 0;
    by_plan[point->plan]++;
    unmount_disks();
    lab_timeline_close(&t);
}

/* ---- all of them ---- */

static void begin(void)
{
    if (access("/dev/shm", W_OK | X_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 0);
}

static void end(void)
{
    unmount_disks();
    cuts_free(&cuts);
}

TestSuite(cuts_forget, .timeout = 3000, .init = begin, .fini = end);

/* Mounts of our own: they go with this process, whatever becomes of it. NULL: all is there. */
static const char *missing(void)
{
    if (!journalled && access(FORGET_FS, X_OK) != 0)
        return "libfuse3-dev was not there when this was built";
    if (!journalled && access("/dev/fuse", R_OK | W_OK) != 0)
        return "there is no /dev/fuse";
    if (journalled && access("/dev/loop-control", R_OK | W_OK) != 0)
        return "there are no loop devices";
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return "nothing may be mounted here";
    return NULL;
}

static void cut_all(size_t wanted)
{
    size_t only = setting("IDM_TEST_CUTS_AT", 0);
    uint64_t seed = setting("IDM_TEST_CUTS_SEED", 1);
    const char *why = missing();
    size_t *drawn, count, plans = 0;

    if (why != NULL)
        cr_skip_test("%s", why);
    cr_assert_leq(wanted, CUTS_MAX);
    drawn = calloc(wanted + 1, sizeof(*drawn));
    cr_assert_not_null(drawn);
    cr_assert_eq(cuts_choose(&cuts), 0, "%s", cuts.error);
    cr_assert_eq(cuts_record(&cuts), 0, "%s", cuts.error);
    count = cuts_draw(&cuts, seed, wanted, drawn);
    for (size_t i = 0; i < count; i++) {
        if (only == 0 || only == i + 1)
            cut_once(&cuts.points[drawn[i]], i + 1);
    }
    free(drawn);
    for (unsigned p = 0; p < IDM_PLAN_COUNT; p++)
        plans += by_plan[p] != 0;
    printf("%s: %zu cuts in %zu plans (seed %llu), %u came too late, %u failed\n",
           journalled ? "ext4's journal" : "forgetful", count, plans, (unsigned long long)seed,
           missed, failures);
    fflush(stdout);
    cr_assert_eq(failures, 0);
}

Test(cuts_forget, in_every_plan)
{
    cut_all(setting("IDM_TEST_CUTS", CUTS));
}

Test(cuts_forget, what_the_journal_of_ext4_leaves)
{
    journalled = true;
    cut_all(setting("IDM_TEST_CUTS", CUTS) * 2 / 7);
}
