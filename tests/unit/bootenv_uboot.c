/* SPDX-License-Identifier: BSD-2-Clause */
/* U-Boot environments as bytes: the layout of U-Boot's env/ (CRC-32 of the data, in redundant
 * copies a flags byte, "NAME=VALUE\0" ... "\0"), read by the real program and the real libubootenv.
 */
#include "backends/bootenv/bootenv.h"
#include "tests/unit/store_scratch.h"

#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>

#define ENV_SIZE 0x2000u

static struct idm_settings settings;
static struct idm_bootenv env;
static struct idm_error err;

static void set_up(void)
{
    scratch_make();
    memset(&settings, 0, sizeof settings);
    settings.bootenv_backend = IDM_BOOTENV_UBOOT;
    settings.bootenv_scheme = IDM_SCHEME_AUTO;
    (void)snprintf(settings.bootenv_config, sizeof settings.bootenv_config, "/etc/fw_env.config");
    (void)snprintf(settings.slot, sizeof settings.slot, "auto");
}

TestSuite(bootenv_uboot, .init = set_up, .fini = scratch_remove, .timeout = 60);

static void read_limited(unsigned int limit_ms)
{
    err = (struct idm_error){0};
    int r = idm_bootenv_read(root, &settings, limit_ms, &env, &err);
    cr_expect_eq(r == 0, env.state != IDM_BOOTENV_IS_UNREADABLE);
    cr_expect(r == 0 || (r == IDM_E_BOOTENV && err.why[0]));
}

static void read_env(void)
{
    read_limited(30000);
}

static uint32_t crc32_of(const uint8_t *data, size_t size)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

/* Variables: one string, '\n' for the zero byte. flags < 0: the layout without a flags byte. */
static void put_env(const char *path, const char *variables, int flags)
{
    static uint8_t image[ENV_SIZE];
    size_t head = flags < 0 ? 4 : 5;
    memset(image, 0, sizeof image);
    cr_assert_lt(strlen(variables), sizeof image - head - 1);
    memcpy(image + head, variables, strlen(variables));
    for (size_t i = head; i < sizeof image; i++)
        if (image[i] == '\n')
            image[i] = 0;
    if (flags >= 0)
        image[4] = (uint8_t)flags;
    uint32_t crc = crc32_of(image + head, sizeof image - head);
    memcpy(image, &crc, sizeof crc);
    put_bytes(path, image, sizeof image);
}

static void one_copy(const char *variables)
{
    put("/etc/fw_env.config", "# one copy\n/boot/env 0x0 0x2000\n");
    put_env("/boot/env", variables, -1);
}

static void two_copies(const char *first, int first_flags, const char *second, int second_flags)
{
    put("/etc/fw_env.config", "/boot/env1 0x0 0x2000\n/boot/env2 0x0 0x2000\n");
    put_env("/boot/env1", first, first_flags);
    put_env("/boot/env2", second, second_flags);
}

static void damage(const char *path)
{
    int fd = open(at(path), O_WRONLY | O_CLOEXEC);
    cr_assert_eq(pwrite(fd, "\xff\xfe", 2, 100), 2);
    cr_assert_eq(close(fd), 0);
}

/* ---- one copy ---------------------------------------------------------------------------------*/

Test(bootenv_uboot, none_configured)
{
    read_env();
    cr_expect_eq(env.state, IDM_BOOTENV_IS_NONE);
    one_copy("upgrade_available=1\n");
    settings.bootenv_backend = IDM_BOOTENV_NONE;
    read_env();
    cr_expect_eq(env.state, IDM_BOOTENV_IS_NONE);
    cr_expect_eq(env.trial, IDM_UNKNOWN);
}

Test(bootenv_uboot, single_copy)
{
    one_copy("bootcount=3\nupgrade_available=1\nslot=B\n");
    (void)snprintf(settings.slots[0].name, sizeof settings.slots[0].name, "A");
    (void)snprintf(settings.slots[1].name, sizeof settings.slots[1].name, "B");
    read_env();
    cr_expect_eq(env.state, IDM_BOOTENV_IS_READABLE, "%s: %s", err.what, err.why);
    cr_expect_eq(env.trial, IDM_YES);
    cr_expect_str_eq(env.slot, "B");
    cr_expect_str_eq(env.other, "A");
}

Test(bootenv_uboot, made_by_its_own_tool)
{
    char command[512];
    if (access("/usr/bin/fw_setenv", X_OK) < 0)
        cr_skip_test("fw_setenv is not installed");
    two_copies("upgrade_available=0\n", 1, "", 0);
    (void)snprintf(command, sizeof command, "%s 0 0x2000\n%s 0 0x2000\n", at("/boot/env1"),
                   at("/boot/env2"));
    put("/cfg", command);
    (void)snprintf(command, sizeof command, "/usr/bin/fw_setenv -c %s upgrade_available 1",
                   at("/cfg"));
    cr_assert_eq(system(command), 0);
    read_env();
    cr_expect_eq(env.trial, IDM_YES, "%s", err.why);
}

Test(bootenv_uboot, empty_environment_says_nothing)
{
    one_copy("");
    read_env();
    cr_expect_eq(env.state, IDM_BOOTENV_IS_READABLE, "%s", err.why);
    cr_expect_eq(env.trial, IDM_UNKNOWN);
    cr_expect_str_empty(env.slot);
    cr_expect_str_empty(env.other);
}

Test(bootenv_uboot, damaged_single_copy)
{
    one_copy("upgrade_available=0\nslot=A\n");
    damage("/boot/env");
    read_env();
    cr_expect_eq(env.state, IDM_BOOTENV_IS_UNREADABLE);
    cr_expect_eq(env.trial, IDM_UNKNOWN);
    cr_expect_str_empty(env.slot);
    cr_expect_not_null(strstr(err.why, "/boot/env"), "%s", err.why);
    put("/boot/env", "");
    read_env();
    cr_expect_eq(env.state, IDM_BOOTENV_IS_UNREADABLE);
    cr_assert_eq(unlink(at("/boot/env")), 0);
    read_env();
    cr_expect_eq(env.state, IDM_BOOTENV_IS_UNREADABLE);
}

Test(bootenv_uboot, bad_configuration_files)
{
    static const char *const texts[] = {"", "# nothing\n", "/boot/env\n", "/boot/env 0 0\n",
                                        "boot/env 0 0x2000\n"};
    one_copy("upgrade_available=0\n");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        put("/etc/fw_env.config", texts[i]);
        read_env();
        cr_expect_eq(env.state, IDM_BOOTENV_IS_UNREADABLE, "%zu", i);
    }
    cr_assert_eq(unlink(at("/etc/fw_env.config")), 0);
    cr_assert_eq(mkfifo(at("/etc/fw_env.config"), 0600), 0);
    read_env();
    cr_expect_eq(env.state, IDM_BOOTENV_IS_UNREADABLE, "a FIFO");
}

Test(bootenv_uboot, the_machines_own_environment_is_out_of_reach)
{
    char elsewhere[64] = "/tmp/idmode-env-XXXXXX", text[256];
    one_copy("upgrade_available=1\n");
    int fd = mkstemp(elsewhere);
    cr_assert_geq(fd, 0);
    cr_assert_eq(close(fd), 0);
    cr_assert_eq(rename(at("/boot/env"), elsewhere), 0);
    (void)snprintf(text, sizeof text, "%s 0 0x2000\n", elsewhere);
    put("/etc/fw_env.config", text);
    read_env();
    cr_expect_eq(env.state, IDM_BOOTENV_IS_UNREADABLE);
    put("/etc/fw_env.config", "/boot/env 0 0x2000\n");
    cr_assert_eq(symlink(elsewhere, at("/boot/env")), 0);
    read_env();
    cr_expect_eq(env.state, IDM_BOOTENV_IS_UNREADABLE);
    cr_assert_eq(unlink(elsewhere), 0);
}

Test(bootenv_uboot, a_link_inside_the_root_and_a_root_with_blanks)
{
    char plain[64];
    memcpy(plain, root, sizeof plain);
    make_dir("/a b");
    strcat(root, "/a b");
    one_copy("upgrade_available=1\n");
    cr_assert_eq(rename(at("/boot/env"), at("/boot/real")), 0);
    cr_assert_eq(symlink("/boot/real", at("/boot/env")), 0);
    read_env();
    memcpy(root, plain, sizeof plain);
    cr_expect_eq(env.trial, IDM_YES, "%s", err.why);
}

/* ---- two copies -------------------------------------------------------------------------------*/

Test(bootenv_uboot, the_newer_copy_counts)
{
    two_copies("upgrade_available=0\n", 1, "upgrade_available=1\n", 2);
    read_env();
    cr_expect_eq(env.trial, IDM_YES, "%s", err.why);
    two_copies("upgrade_available=0\n", 0, "upgrade_available=1\n", 255);
    read_env();
    cr_expect_eq(env.trial, IDM_NO, "the counter wraps");
}

Test(bootenv_uboot, one_good_copy_is_enough)
{
    static const char *const bad[] = {"/boot/env1", "/boot/env2"};
    for (size_t i = 0; i < 2; i++) {
        int flags = i == 0 ? 2 : 1;
        const char *first = i == 0 ? "upgrade_available=0\n" : "upgrade_available=1\n";
        const char *second = i == 0 ? "upgrade_available=1\n" : "upgrade_available=0\n";
        two_copies(first, flags, second, 3 - flags);
        damage(bad[i]);
        read_env();
        cr_expect_eq(env.trial, IDM_YES, "%s damaged: %s", bad[i], err.why);
        cr_assert_eq(truncate(at(bad[i]), 1000), 0);
        read_env();
        cr_expect_eq(env.trial, IDM_YES, "%s truncated: %s", bad[i], err.why);
        cr_assert_eq(truncate(at(bad[i]), 0), 0);
        read_env();
        cr_expect_eq(env.trial, IDM_YES, "%s empty: %s", bad[i], err.why);
        cr_assert_eq(unlink(at(bad[i])), 0);
        read_env();
        cr_expect_eq(env.trial, IDM_YES, "%s missing: %s", bad[i], err.why);
    }
}

Test(bootenv_uboot, two_bad_copies)
{
    two_copies("upgrade_available=0\n", 1, "upgrade_available=0\n", 2);
    damage("/boot/env1");
    damage("/boot/env2");
    read_env();
    cr_expect_eq(env.state, IDM_BOOTENV_IS_UNREADABLE);
    cr_assert_eq(truncate(at("/boot/env1"), 7), 0);
    read_env();
    cr_expect_eq(env.state, IDM_BOOTENV_IS_UNREADABLE);
    cr_assert_eq(unlink(at("/boot/env2")), 0);
    read_env();
    cr_expect_eq(env.state, IDM_BOOTENV_IS_UNREADABLE);
}

Test(bootenv_uboot, copies_that_do_not_belong_together)
{
    static uint8_t image[0x1000];
    two_copies("upgrade_available=0\n", 1, "", 0);
    uint32_t crc = crc32_of(image + 5, sizeof image - 5);
    memcpy(image, &crc, sizeof crc);
    put_bytes("/boot/env2", image, sizeof image);
    put("/etc/fw_env.config", "/boot/env1 0 0x2000\n/boot/env2 0 0x1000\n");
    read_env();
    cr_expect_eq(env.state, IDM_BOOTENV_IS_UNREADABLE);
    cr_expect_not_null(strstr(err.why, "each good only alone"), "%s", err.why);
}

/* ---- what variables mean ----------------------------------------------------------------------*/

static const struct {
    enum idm_bootenv_scheme scheme;
    const char *variables;
    enum idm_tri trial;
} meanings[] = {
    {IDM_SCHEME_BOOTCOUNT, "upgrade_available=1\n", IDM_YES},
    {IDM_SCHEME_BOOTCOUNT, "upgrade_available=2\nbootcount=0\n", IDM_YES},
    {IDM_SCHEME_BOOTCOUNT, "upgrade_available=0\nbootcount=2\n", IDM_NO},
    {IDM_SCHEME_BOOTCOUNT, "bootcount=2\nbootlimit=3\n", IDM_UNKNOWN},
    {IDM_SCHEME_BOOTCOUNT, "upgrade_available=yes\n", IDM_UNKNOWN},
    {IDM_SCHEME_BOOTCOUNT, "upgrade_available=\n", IDM_UNKNOWN},
    {IDM_SCHEME_BOOTCOUNT, "upgrade_available=1x\n", IDM_UNKNOWN},
    {IDM_SCHEME_BOOTCOUNT, "upgrade_available=-1\n", IDM_UNKNOWN},
    {IDM_SCHEME_BOOTCOUNT, "upgrade_available=0\001\n", IDM_UNKNOWN},
    {IDM_SCHEME_USTATE, "ustate=0\n", IDM_NO},
    {IDM_SCHEME_USTATE, "ustate=1\n", IDM_YES},
    {IDM_SCHEME_USTATE, "ustate=2\n", IDM_YES},
    {IDM_SCHEME_USTATE, "ustate=3\n", IDM_UNKNOWN},
    {IDM_SCHEME_USTATE, "upgrade_available=0\n", IDM_UNKNOWN},
    {IDM_SCHEME_RAUC, "BOOT_ORDER=B A\nBOOT_B_LEFT=3\nupgrade_available=0\n", IDM_UNKNOWN},
    {IDM_SCHEME_CUSTOM, "state=trying=1\n", IDM_YES},
    {IDM_SCHEME_CUSTOM, "state=trying\n", IDM_NO},
    {IDM_SCHEME_CUSTOM, "state=trying=1\001\n", IDM_UNKNOWN},
    {IDM_SCHEME_CUSTOM, "upgrade_available=0\n", IDM_UNKNOWN},
    {IDM_SCHEME_AUTO, "upgrade_available=0\n", IDM_NO},
    {IDM_SCHEME_AUTO, "ustate=1\n", IDM_YES},
    {IDM_SCHEME_AUTO, "ustate=1\nupgrade_available=1\n", IDM_YES},
    {IDM_SCHEME_AUTO, "ustate=0\nupgrade_available=1\n", IDM_UNKNOWN},
    {IDM_SCHEME_AUTO, "ustate=0\nbootlimit=3\n", IDM_UNKNOWN},
    {IDM_SCHEME_AUTO, "BOOT_ORDER=A B\nBOOT_A_LEFT=3\n", IDM_UNKNOWN},
    {IDM_SCHEME_AUTO, "BOOT_ORDER=A B\nupgrade_available=0\n", IDM_UNKNOWN},
    {IDM_SCHEME_AUTO, "bootcount=4\n", IDM_UNKNOWN},
};

Test(bootenv_uboot, trial_by_scheme)
{
    (void)snprintf(settings.bootenv_trial_when, sizeof settings.bootenv_trial_when,
                   "state=trying=1");
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
        settings.bootenv_scheme = meanings[i].scheme;
        one_copy(meanings[i].variables);
        read_env();
        cr_expect_eq(env.state, IDM_BOOTENV_IS_READABLE, "%zu: %s", i, err.why);
        cr_expect_eq(env.trial, meanings[i].trial, "%zu: %s gives %d", i, meanings[i].variables,
                     env.trial);
    }
}

Test(bootenv_uboot, a_scheme_without_a_condition)
{
    static const char *const conditions[] = {"", "=1", "state", "-x=1"};
    settings.bootenv_scheme = IDM_SCHEME_CUSTOM;
    one_copy("state=1\n");
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
        (void)snprintf(settings.bootenv_trial_when, sizeof settings.bootenv_trial_when, "%s",
                       conditions[i]);
        read_env();
        cr_expect_eq(env.state, IDM_BOOTENV_IS_READABLE, "%zu: %s", i, err.why);
        cr_expect_eq(env.trial, IDM_UNKNOWN, "%zu", i);
    }
}

Test(bootenv_uboot, huge_values)
{
    static char text[ENV_SIZE - 200];
    size_t used = (size_t)snprintf(text, sizeof text, "slot=");
    memset(text + used, 'A', 3000);
    (void)snprintf(text + used + 3000, sizeof text - used - 3000, "\nustate=1\nbootslot=C\n");
    one_copy(text);
    read_env();
    cr_expect_eq(env.state, IDM_BOOTENV_IS_READABLE, "%s", err.why);
    cr_expect_eq(env.trial, IDM_YES);
    cr_expect_str_eq(env.slot, "C");
}

/* ---- slots ------------------------------------------------------------------------------------*/

Test(bootenv_uboot, who_names_the_slot)
{
    (void)snprintf(settings.slots[0].name, sizeof settings.slots[0].name, "rootfs.0");
    (void)snprintf(settings.slots[1].name, sizeof settings.slots[1].name, "rootfs.1");
    one_copy("mender_boot_part=m\nbootslot=b\n");
    read_env();
    cr_expect_str_eq(env.slot, "b");
    cr_expect_str_empty(env.other, "two candidates are none");
    put("/proc/cmdline", "quiet xrauc.slot=x idmode.slot=rootfs.1 rauc.slot= ro\n");
    read_env();
    cr_expect_str_eq(env.slot, "rootfs.1");
    cr_expect_str_eq(env.other, "rootfs.0");
    put("/proc/cmdline", "idmode.slot=rootfs.1 rauc.slot=rootfs.0\n");
    read_env();
    cr_expect_str_eq(env.slot, "rootfs.0");
    (void)snprintf(settings.slot, sizeof settings.slot, "mine");
    read_env();
    cr_expect_str_eq(env.slot, "mine");
    settings.bootenv_backend = IDM_BOOTENV_NONE;
    (void)snprintf(settings.slot, sizeof settings.slot, "auto");
    read_env();
    cr_expect_str_eq(env.slot, "rootfs.0");
    put("/proc/cmdline", "rauc.slot=a-name-that-is-much-too-long-for-a-slot\n");
    read_env();
    cr_expect_str_empty(env.slot);
    cr_expect_str_empty(env.other);
}

/* ---- lock -------------------------------------------------------------------------------------*/

Test(bootenv_uboot, a_held_lock_ends_at_the_limit)
{
    struct timespec start, end;
    one_copy("upgrade_available=0\n");
    own_mounts();
    /* the library's lock is the machine's: a directory of this test's own in its place */
    if (mount("tmpfs", "/run/lock", "tmpfs", 0, NULL) < 0)
        cr_skip_test("/run/lock cannot be mounted over: %s", strerror(errno));
    int fd = open("/var/lock/fw_printenv.lock", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(flock(fd, LOCK_EX), 0);
    (void)clock_gettime(CLOCK_MONOTONIC, &start);
    read_limited(200);
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    cr_expect_eq(env.state, IDM_BOOTENV_IS_UNREADABLE);
    cr_expect_str_eq(err.why, "it took too long");
    cr_expect_lt(end.tv_sec - start.tv_sec, 10);
    cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1, "a child is left");
    cr_assert_eq(flock(fd, LOCK_UN), 0);
    read_env();
    cr_expect_eq(env.trial, IDM_NO, "%s", err.why);
    cr_assert_eq(close(fd), 0);
    (void)umount2("/run/lock", MNT_DETACH);
}

/* ---- the table in docs/bootenv.md -------------------------------------------------------------*/

static char cells[4][512];

/* A row of a scheme: "| `scheme` | … | … | … |". */
static bool take_row(const char *line)
{
    const char *at = line;
    for (size_t i = 0; i < 4; i++) {
        const char *end = *at == '|' ? strstr(at + 1, " |") : NULL;
        if (!end || (size_t)(end - at) >= sizeof cells[i])
            return false;
        at += 1 + strspn(at + 1, " ");
        size_t length = end > at ? (size_t)(end - at) : 0;
        memcpy(cells[i], at, length);
        cells[i][length] = 0;
        at = end + 1;
    }
    return true;
}

static const char *take_scheme(void)
{
    static const struct {
        const char *word;
        enum idm_bootenv_scheme scheme;
    } schemes[] = {{"`auto`", IDM_SCHEME_AUTO},
                   {"`rauc`", IDM_SCHEME_RAUC},
                   {"`bootcount`", IDM_SCHEME_BOOTCOUNT},
                   {"`ustate`", IDM_SCHEME_USTATE},
                   {"`custom`", IDM_SCHEME_CUSTOM}};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        if (strcmp(cells[0], schemes[i].word) != 0)
            continue;
        settings.bootenv_scheme = schemes[i].scheme;
        return schemes[i].word;
    }
    return NULL;
}

/* "`A=1` `B=2`", or words for what befell the files. */
static void make_environment(const char *said, int *ret_lock)
{
    static const char some[] = "upgrade_available=1\n";
    char variables[512] = "";
    if (strcmp(said, "no configuration file") == 0) {
        (void)unlink(at("/etc/fw_env.config"));
    } else if (strcmp(said, "one copy, torn") == 0) {
        one_copy(some);
        damage("/boot/env");
    } else if (strncmp(said, "two copies", 10) == 0) {
        two_copies(some, 1, some, 2);
        damage("/boot/env2");
        if (strstr(said, "both"))
            damage("/boot/env1");
    } else if (strcmp(said, "locked") == 0) {
        one_copy(some);
        *ret_lock = open("/var/lock/fw_printenv.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        cr_assert(*ret_lock >= 0 && flock(*ret_lock, LOCK_EX) == 0);
    } else {
        cr_assert(said[0] == '`' || strcmp(said, "empty") == 0, "what is \"%s\"?", said);
        for (const char *c = said; said[0] == '`' && (c = strchr(c, '`')) != NULL;) {
            size_t length = strcspn(c + 1, "`");
            (void)strncat(variables, c + 1, length);
            (void)strcat(variables, "\n");
            c += length + 2;
        }
        one_copy(variables);
    }
}

static bool same_words(const char *shown, const char *said)
{
    static const char any[] = "…";
    const char *gap = strstr(shown, any);
    if (!gap)
        return strcmp(shown, said) == 0;
    size_t tail = strlen(gap + strlen(any));
    return strncmp(shown, said, (size_t)(gap - shown)) == 0 &&
           strlen(said) > (size_t)(gap - shown) + tail &&
           strcmp(said + strlen(said) - tail, gap + strlen(any)) == 0;
}

Test(bootenv_uboot, documented_conclusions_are_those_of_the_program)
{
    char line[2048];
    unsigned rows = 0, yes = 0, no = 0;
    FILE *page = fopen(IDM_TEST_SOURCE_DIR "/docs/bootenv.md", "re");
    cr_assert_not_null(page);
    own_mounts();
    /* the library's lock is the machine's: a directory of this test's own in its place */
    if (mount("tmpfs", "/run/lock", "tmpfs", 0, NULL) < 0)
        cr_skip_test("/run/lock cannot be mounted over: %s", strerror(errno));
    (void)snprintf(settings.bootenv_trial_when, sizeof settings.bootenv_trial_when, "trial=on");
    (void)snprintf(settings.slot, sizeof settings.slot, "A");
    (void)snprintf(settings.slots[0].name, sizeof settings.slots[0].name, "A");
    (void)snprintf(settings.slots[1].name, sizeof settings.slots[1].name, "B");
    while (fgets(line, sizeof line, page)) {
        int lock = -1;
        if (!take_row(line) || !take_scheme())
            continue;
        rows++;
        make_environment(cells[1], &lock);
        read_limited(lock >= 0 ? 500 : 30000);
        if (lock >= 0)
            (void)close(lock);
        cr_expect(same_words(cells[2], env.said), "%s, %s: \"%s\", not \"%s\"", cells[0], cells[1],
                  env.said, cells[2]);
        yes += env.trial == IDM_YES;
        no += env.trial == IDM_NO;
        cr_expect_eq(env.trial == IDM_YES, strstr(cells[2], "an update is on trial") != NULL);
        cr_expect_eq(env.trial == IDM_NO, strstr(cells[2], "nothing is on trial") != NULL);
    }
    (void)fclose(page);
    (void)umount2("/run/lock", MNT_DETACH);
    cr_expect_geq(rows, 30);
    cr_expect(yes >= 6 && no >= 4);
}
