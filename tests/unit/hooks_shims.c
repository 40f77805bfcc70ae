/* SPDX-License-Identifier: BSD-2-Clause */
/* The shims of hooks/, by what they tell an idmode that only repeats it: what real updaters of today do
 * not say, or not here. With real updaters, and the real idmode: tests/updaters. */
#include "tests/support/run.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOOKS IDM_TEST_SOURCE_DIR "/hooks"

static char dir[64];
static struct idm_run run;

static void make(const char *name, const char *text)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *file = fopen(path, "we");
    cr_assert(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0 &&
              chmod(path, 0755) == 0);
}

static void begin(void)
{
    snprintf(dir, sizeof(dir), "/tmp/idm-shims-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/bin", dir);
    cr_assert_eq(mkdir(path, 0755), 0);
    make("bin/idmode", "#!/bin/sh\necho \"$@\"\nexit ${ANSWER:-0}\n");
    /* EVE's, with the states in its environment. */
    make("bin/zboot", "#!/bin/sh\n"
                      "case $1 in\n"
                      "curpart) echo $CURRENT ;;\n"
                      "partstate) eval echo \\$$2 ;;\n"
                      "esac\n");
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static void end(void)
{
    idm_run_free(&run);
    (void)nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

TestSuite(hooks_shims, .timeout = 120, .init = begin, .fini = end);

/* A shell command in the scratch directory, H being hooks/; its exit code, output and errors. */
static void says(const char *command, int exit_code, const char *output)
{
    char path[PATH_MAX], whole[4096];
    const struct idm_run_options options = {
        .env = (const char *const[]){path, "H=" HOOKS, "ANSWER", "TMPDIR", NULL}};

    snprintf(path, sizeof(path), "PATH=%s/bin:/usr/bin:/bin", dir);
    snprintf(whole, sizeof(whole),
             "cd %s; { %s; } 2>&1 | sed \"s/$(cut -c 1-8 /proc/sys/kernel/random/boot_id)/BOOT/\"; "
             "exit 0",
             dir, command);
    idm_run_free(&run);
    /* pipefail is not POSIX: the exit code is asked for apart */
    cr_assert_eq(idm_run(&run, &options, (const char *const[]){"sh", "-c", whole, NULL}), 0);
    cr_assert_str_eq(run.out, output, "%s says\n%s not\n%s", command, run.out, output);
    snprintf(whole, sizeof(whole), "cd %s; { %s; } >/dev/null 2>&1", dir, command);
    idm_run_free(&run);
    cr_assert_eq(idm_run(&run, &options, (const char *const[]){"sh", "-c", whole, NULL}), 0);
    cr_assert_eq(run.exit_code, exit_code, "%s exits with %d, not %d", command, run.exit_code,
                 exit_code);
}

/* ---- all ---- */

static void each_shim(void (*judge)(const char *path))
{
    _cleanup_run_ struct idm_run list = {0};
    unsigned int count = 0;
    char *rest = NULL;

    cr_assert_eq(idm_run(&list, NULL,
                         (const char *const[]){"find", HOOKS, "-type", "f", "-perm", "-100", NULL}),
                 0);
    for (char *path = strtok_r(list.out, "\n", &rest); path != NULL;
         path = strtok_r(NULL, "\n", &rest), count++)
        judge(path);
    cr_assert_geq(count, 14);
}

static void is_small(const char *path)
{
    char line[512];
    unsigned int lines = 0;
    FILE *file = fopen(path, "re");

    cr_assert_not_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        const char *call = strstr(line, "idmode -q");

        lines++;
        cr_assert(call == NULL || strncmp(call, "idmode -q hook ", 15) == 0, "%s: %s", path, line);
    }
    fclose(file);
    cr_assert_lt(lines, 40, "%s has %u lines", path, lines);
}

Test(hooks_shims, are_small_and_call_hook_only)
{
    each_shim(is_small);
}

static void does_nothing(const char *path)
{
    char command[PATH_MAX + 64];

    if (strstr(path, "eve/bootenv") != NULL) /* speaks of zboot, not to idmode */
        return;
    snprintf(command, sizeof(command), "rm -f bin/idmode; %s pre-install updating", path);
    says(command, 0, "");
}

Test(hooks_shims, where_idmode_is_absent_they_do_nothing)
{
    each_shim(does_nothing);
}

/* ---- RAUC ---- */

#define RAUC                                                                                       \
    "mkdir -p b; RAUC_BUNDLE_MOUNT_POINT=b RAUC_TARGET_SLOTS='1 2' RAUC_SLOT_BOOTNAME_1= "         \
    "RAUC_SLOT_BOOTNAME_2=B RAUC_IMAGE_DIGEST_2=0123456789abcdef0123 "
#define RAUC_SYSTEM RAUC "RAUC_IMAGE_CLASS_2=system "

Test(hooks_shims, rauc_reads_the_bundle)
{
    says(RAUC_SYSTEM "$H/rauc/pre-install", 0,
         "-q hook pre-install --target-aware unknown --target-format unknown "
         "--install-id BOOT-0123456789abcdef-B --target-slot B\n");
    says("mkdir -p b; printf '[update]\\ncompatible=x\\nversion=7\\n' "
         ">b/manifest.raucm; " RAUC_SYSTEM "$H/rauc/post-install",
         0,
         "-q hook post-install --target-aware unknown --target-format unknown "
         "--install-id BOOT-0123456789abcdef-B --target-slot B --target-version 7\n");
    says(
        "printf 'aware=yes\\r\\nformat=1 \\nversion=8\\naware=no\\n' >b/idmode.target; " RAUC_SYSTEM
        "$H/rauc/pre-install",
        0,
        "-q hook pre-install --target-aware yes --target-format 1 "
        "--install-id BOOT-0123456789abcdef-B --target-slot B --target-version 8\n");
    says("printf 'aware=maybe\\nformat=-1\\nversion=8 9\\n' >b/idmode.target; rm "
         "b/manifest.raucm; " RAUC_SYSTEM "$H/rauc/pre-install",
         0,
         "-q hook pre-install --target-aware unknown --target-format unknown "
         "--install-id BOOT-0123456789abcdef-B --target-slot B\n");
}

Test(hooks_shims, rauc_of_later_years_says_it_in_the_environment)
{
    says("mkdir -p b; echo aware=no >b/idmode.target; export RAUC_META_IDMODE_AWARE=yes "
         "RAUC_META_IDMODE_FORMAT=2 RAUC_META_IDMODE_VERSION=9 "
         "RAUC_TRANSACTION_ID=5e2f3cbb-3d65-4ca4-9e68-9ec1c45b2e12; " RAUC_SYSTEM
         "$H/rauc/pre-install",
         0,
         "-q hook pre-install --target-aware yes --target-format 2 "
         "--install-id 5e2f3cbb-3d65-4ca4-9e68-9ec1c45b2e12-B --target-slot B "
         "--target-version 9\n");
}

Test(hooks_shims, rauc_data_is_no_system)
{
    says(RAUC "RAUC_IMAGE_CLASS_1=data $H/rauc/pre-install", 0, "");
    /* a full custom handler shows no images, and may write anything */
    says(RAUC "$H/rauc/pre-install", 0,
         "-q hook pre-install --target-aware unknown --target-format unknown "
         "--install-id BOOT--B --target-slot B\n");
}

Test(hooks_shims, rauc_exit_codes)
{
    static const char *const refused = "-q hook pre-install --target-aware unknown --target-format "
                                       "unknown --install-id BOOT-0123456789abcdef-B "
                                       "--target-slot B\n";
    says("export ANSWER=1; " RAUC_SYSTEM "$H/rauc/pre-install", 1, refused);
    says("export ANSWER=4; " RAUC_SYSTEM "$H/rauc/pre-install", 4, refused);
    says("export ANSWER=5; RAUC_TARGET_SLOTS= $H/rauc/post-install", 0,
         "-q hook post-install --target-aware unknown --target-format unknown --install-id BOOT--\n"
         "idmode: post-install failed (5); the next boot looks for itself\n");
    says("export ANSWER=4; $H/rauc/mark-good", 0,
         "-q hook commit\nidmode: commit failed (4); say it again, or reboot\n");
}

/* ---- SWUpdate ---- */

#define SWU "TMPDIR=$PWD $H/swupdate/"

static void describes(const char *description)
{
    static const char *const calls[] = {
        SWU "pre-update",
        "$H/swupdate/idmode-target preinst idmode aware=no format=none version=1.9"};
    char expected[512];
    _cleanup_run_ struct idm_run sum = {0};

    make("sw-description", description);
    cr_assert_eq(
        idm_run(&sum, NULL,
                (const char *const[]){
                    "sh", "-c",
                    "printf 'idmode aware=no format=none version=1.9' | cksum | cut -d ' ' "
                    "-f 1 | tr -d '\\n'",
                    NULL}),
        0);
    snprintf(expected, sizeof(expected),
             "-q hook pre-install --target-aware no --target-format none --install-id BOOT-%s "
             "--target-version 1.9\n",
             sum.out);
    for (size_t i = 0; i < 2; i++)
        says(calls[i], 0, expected);
}

Test(hooks_shims, swupdate_reads_the_description)
{
    describes("software = { scripts: ({ filename = \"idmode-target\"; type = \"shellscript\"; "
              "data = \"idmode aware=no format=none version=1.9\"; sha256 = \"00\"; }); }\n");
    describes("{ \"software\": { \"scripts\": [ { \"filename\": \"idmode-target\",\n"
              "\"data\": \"idmode  aware=no   format=none version=1.9\", \"x\": \"y\" } ] } }\n");
    says("rm -f sw-description; ANSWER=1 " SWU "pre-update 2>/dev/null", 1,
         "-q hook pre-install --target-aware unknown --target-format unknown --install-id "
         "BOOT-3038889325\n");
}

Test(hooks_shims, swupdate_exit_codes)
{
    says("ANSWER=5 $H/swupdate/idmode-target preinst idmode aware=* >out; echo $?; sed 's/ "
         "--ins.*//' "
         "out",
         0, "5\n-q hook pre-install --target-aware unknown --target-format unknown\n");
    says("ANSWER=4 $H/swupdate/idmode-target postinst idmode aware=yes | sed 's/ --ins.*//'", 0,
         "-q hook post-install --target-aware yes --target-format unknown\n"
         "idmode: post-install failed (4); the next boot looks for itself\n");
    says("$H/swupdate/idmode-target postfailure idmode aware=yes | sed 's/ --ins.*//'", 0,
         "-q hook install-failed --target-aware yes --target-format unknown\n");
    says("$H/swupdate/idmode-target later idmode aware=yes", 0, "");
}

/* ---- Mender ---- */

#define ENTER                                                                                      \
    "mkdir -p etc/scripts; cp $H/mender/rootfs/* etc/scripts; "                                    \
    "etc/scripts/Download_Enter_00_idmode "

Test(hooks_shims, mender_knows_what_the_product_says)
{
    says(ENTER "| sed 's/-mender-.*/-mender/'", 0,
         "-q hook pre-install --target-aware unknown --target-format unknown --install-id "
         "BOOT-mender\n");
    says("printf 'aware=yes\\nformat=1\\n' >etc/idmode.target; " ENTER
         "| sed 's/-mender-.*/-mender/'",
         0, "-q hook pre-install --target-aware yes --target-format 1 --install-id BOOT-mender\n");
}

Test(hooks_shims, mender_exit_codes)
{
    says("export ANSWER=1; " ENTER ">/dev/null", 1, "");
    says("export ANSWER=4; " ENTER ">/dev/null", 21, "");
    says("export ANSWER=5; " ENTER ">/dev/null", 21, "");
    says("export ANSWER=1; for i in $H/mender/artifact/* $H/mender/rootfs/Download_Error*; do "
         "$i >/dev/null 2>&1 || echo $i; done",
         0, "");
}

/* ---- EVE ---- */

#define STATES(current, a, b) "export CURRENT=" current " IMGA=" a " IMGB=" b "; "

Test(hooks_shims, eve_states_are_hooks)
{
    says("echo aware=yes >t; " STATES(
             "IMGA", "active", "unused") "$H/eve/partstate IMGB writing t | sed 's/ --inst.*//'",
         0, "-q hook pre-install --target-aware yes --target-format unknown\n");
    says("export ANSWER=1; " STATES("IMGA", "active",
                                    "unused") "$H/eve/partstate IMGB writing >/dev/null",
         1, "");
    says(STATES("IMGA", "active",
                "updating") "$H/eve/partstate IMGB updating t | sed 's/ --inst.*//'",
         0, "-q hook post-install --target-aware yes --target-format unknown\n");
    says(STATES("IMGA", "active", "unused") "$H/eve/partstate IMGB unused t | sed 's/ --inst.*//'",
         0, "-q hook install-failed --target-aware yes --target-format unknown\n");
    says(STATES("IMGB", "active", "active") "$H/eve/partstate IMGB active", 0, "-q hook commit\n");
    says(STATES("IMGB", "inprogress", "inprogress") "$H/eve/partstate IMGA unused", 0, "");
    says(STATES("IMGA", "active", "unused") "$H/eve/partstate IMGB active", 0, "");
    says(STATES("IMGA", "active", "unused") "$H/eve/partstate IMGA updating", 0, "");
}

Test(hooks_shims, eve_states_are_a_boot_environment)
{
    says(STATES("IMGB", "active", "inprogress") "$H/eve/bootenv", 0,
         "slot=IMGB\nother=IMGA\ntrial=yes\n");
    says(STATES("IMGA", "active", "unused") "$H/eve/bootenv", 0,
         "slot=IMGA\nother=IMGB\ntrial=no\n");
    says(STATES("IMGA", "unused", "unused") "$H/eve/bootenv", 0,
         "slot=IMGA\nother=IMGB\ntrial=unknown\n");
    says(STATES("IMGX", "", "") "$H/eve/bootenv", 1, "");
}

/* ---- shell ---- */

Test(hooks_shims, shell_file)
{
    says("printf 'aware=yes\\nformat=1\\nversion=3\\nslot=C\\nid=i-7\\n' >t; "
         "$H/shell/idmode-hook pre-install t",
         0,
         "-q hook pre-install --target-aware yes --target-format 1 --install-id i-7 "
         "--target-slot C --target-version 3\n");
    says("$H/shell/idmode-hook pre-install", 0,
         "-q hook pre-install --target-aware unknown --target-format unknown\n");
    says("ANSWER=4 $H/shell/idmode-hook commit", 0, "-q hook commit\nidmode: commit failed (4)\n");
    says("ANSWER=5 $H/shell/idmode-hook pre-install >/dev/null", 5, "");
}
