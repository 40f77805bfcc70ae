/* SPDX-License-Identifier: BSD-2-Clause */
/* Bad input through the shipped programs: one clear line, the right exit code, and nothing lost.
 * Obstacles in place of files, values in the configuration, words on the command line. */
#include "tests/life/life_device.h"

LIFE(input);

/* ---- obstacles in place of files ---- */

enum obstacle {
    GARBAGE,
    TRUNCATED,
    EMPTY,
    HUGE,
    NULS,
    DIRECTORY,
    SYMLINK,
    DANGLING,
    FIFO,
    OBSTACLES
};

static const char *const obstacle_names[OBSTACLES] = {"garbage", "truncated",     "empty",
                                                      "huge",    "NUL-filled",    "directory",
                                                      "symlink", "dangling link", "FIFO"};

#define MEBIBYTE 1048576u

static void put_obstacle(enum obstacle obstacle, const struct kept *kept)
{
    static const char text[] = "\xff\xfe-----BEGIN NOTHING-----\n%s%n\x01\n\n";
    char real[IDM_DEVICE_PATH_SIZE], other[IDM_DEVICE_PATH_SIZE];
    char *big = calloc(1, MEBIBYTE);

    cr_assert_not_null(big);
    idm_device_path(&device, kept->path, real);
    idm_device_path(&device, "/elsewhere", other);
    OK(idm_device_delete(&device, kept->path));
    switch (obstacle) {
    case GARBAGE:
        OK(idm_device_write(&device, kept->path, text, sizeof(text)));
        break;
    case TRUNCATED:
        OK(idm_device_write(&device, kept->path, kept->data, kept->size / 2));
        break;
    case EMPTY:
        OK(idm_device_write(&device, kept->path, "", 0));
        break;
    case HUGE:
        memset(big, 'A', MEBIBYTE);
        OK(idm_device_write(&device, kept->path, big, MEBIBYTE));
        break;
    case NULS:
        OK(idm_device_write(&device, kept->path, big, kept->size));
        break;
    case DIRECTORY:
        cr_assert_eq(mkdir(real, 0755), 0);
        break;
    case SYMLINK:
        OK(idm_device_write(&device, "/elsewhere", kept->data, kept->size));
        cr_assert_eq(symlink(other, real), 0);
        break;
    case DANGLING:
        cr_assert_eq(symlink("/nowhere/at/all", real), 0);
        break;
    case FIFO:
        cr_assert_eq(mkfifo(real, 0644), 0);
        break;
    case OBSTACLES:
        break;
    }
    free(big);
}

static void judge_damaged(const char *where, const struct idm_run *run, const char *cert)
{
    json_t *status = json_loads(run->out, JSON_REJECT_DUPLICATES, NULL);
    int code = run->exit_code;

    cr_assert(code == 0 || code == 3 || code == 5, "%s: exit %d: %s", where, code, run->err);
    cr_assert_not_null(status, "%s: %s", where, run->out);
    if (code == 0)
        cr_assert_str_eq(status_text(status, "identity", "cert_sha256"), cert, "%s", where);
    if (code == 3)
        cr_assert_gt(json_array_size(json_object_get(status, "reasons")), 0, "%s", where);
    if (code != 0)
        cr_assert_neq(run->err[0], '\0', "%s: exit %d and not a word", where, code);
    json_decref(status);
}

static void boot_with_obstacle(enum obstacle obstacle, const struct kept *kept, const char *cert)
{
    _cleanup_run_ struct idm_run run = {0};
    _cleanup_run_ struct idm_run again = {0};
    char where[128], real[IDM_DEVICE_PATH_SIZE];
    struct stat st;

    snprintf(where, sizeof(where), "%s in place of %s", obstacle_names[obstacle], kept->path);
    put_obstacle(obstacle, kept);
    OK(idm_device_idmode(&device, &run, "boot", "--json", NULL));
    judge_damaged(where, &run, cert);
    idm_device_path(&device, kept->path, real);
    if (lstat(real, &st) == 0 && !S_ISREG(st.st_mode))
        OK(idm_device_delete(&device, kept->path));
    OK(idm_device_idmode(&device, &again, "boot", "--json", NULL));
    cr_assert_eq(again.exit_code, 0, "%s, removed: exit %d: %s", where, again.exit_code, again.err);
    judge_damaged(where, &again, cert);
}

static void meet_obstacles(const char *const paths[], size_t count)
{
    struct idm_device_identity before = active();

    for (size_t i = 0; i < count; i++) {
        bool record = strstr(paths[i], "record") != NULL;
        bool marker = strcmp(paths[i], MARKER) == 0;
        struct kept kept = keep(paths[i]);

        for (int obstacle = 0; obstacle < OBSTACLES; obstacle++) {
            boot_with_obstacle((enum obstacle)obstacle, &kept, before.cert_sha256);
            /* a record is written anew, with the same content; a marker says when */
            cr_assert(record || marker || same_bytes(&kept), "%s after a %s", paths[i],
                      obstacle_names[obstacle]);
            cr_assert(idm_device_exists(&device, paths[i]));
        }
        drop(&kept);
    }
    still(&before);
    cr_assert_eq(status_epoch(), 1);
}

Test(input, obstacles_in_software_state)
{
    static const char *const paths[] = {CONFIG_CERT,  CONFIG_KEY,     PERSIST_KEY,
                                        PERSIST_CERT, PERSIST_RECORD, CONFIG_RECORD};

    open_device(&(struct idm_device_options){.without_tpm = true});
    boot(0);
    meet_obstacles(paths, sizeof(paths) / sizeof(paths[0]));
    status_is("software", "software", "");
}

Test(input, obstacles_to_the_legacy_pair_and_records_in_dual_state)
{
    static const char *const paths[] = {CONFIG_CERT,  CONFIG_KEY,     PERSIST_KEY,
                                        PERSIST_CERT, PERSIST_RECORD, CONFIG_RECORD};

    open_device(NULL);
    boot(0);
    meet_obstacles(paths, sizeof(paths) / sizeof(paths[0]));
    status_is("tpm", "tpm-dual", "");
    legacy_pair();
}

Test(input, obstacles_to_the_tpm_identity_in_dual_state)
{
    static const char *const paths[] = {CONFIG_TSS2, PERSIST_TSS2, CONFIG_TPM, PERSIST_TPM, MARKER};

    open_device(NULL);
    boot(0);
    meet_obstacles(paths, sizeof(paths) / sizeof(paths[0]));
    status_is("tpm", "tpm-dual", "");
    legacy_pair();
}

Test(input, stray_files_of_every_kind_in_our_directories_are_left_alone)
{
    open_device(NULL);
    boot(0);
    shell(
        0,
        "cd $ROOT/persist/idmode; mkfifo pipe; mkdir dir; ln -s /dev/null link; touch .record.tmp;"
        "cd $ROOT/config/idmode; mkfifo pipe; echo x > .tpm.key.pem.tmp; cd ..; echo x > other");
    boot(0);
    status_is("tpm", "tpm-dual", "");
    shell(0, "cd $ROOT/persist/idmode; test -p pipe; test -d dir; test -L link;"
             "cd $ROOT/config; test -p idmode/pipe; test $(cat other) = x");
}

/* ---- configuration ---- */

#define CONF "/etc/idmode/idmode.conf.d/60-bad.conf"

static void settings_refused(const char *text, const char *named)
{
    static const char *const refused[][4] = {
        {"sign"}, {"migrate", "prepare"}, {"cert", "show"}, {"factory-reset", "--yes"}};
    struct idm_device_identity before = active();

    OK(idm_device_write_text(&device, CONF, text));
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        _cleanup_run_ struct idm_run run = {0};

        OK(idm_device_run(&device, &run, NULL, 0, refused[i]));
        cr_assert_eq(run.exit_code, 2, "%s with %s: exit %d", refused[i][0], text, run.exit_code);
        cr_assert_not_null(strstr(run.err, named), "%s", run.err);
        cr_assert_not_null(strstr(run.err, CONF ":2"), "%s", run.err);
        cr_assert_eq(run.out_size, 0);
    }
    cr_assert_eq(RUN("boot"), 0);
    status_is("tpm", "tpm-dual", "settings-invalid");
    cr_assert_eq(RUN("mode"), 0);
    cr_assert_eq(RUN("status"), 0);
    cr_assert_eq(RUN("hook", "rollback"), 0);
    cr_assert_eq(RUN("hook", "pre-install", "--target-aware", "yes"), 0);
    OK(idm_device_delete(&device, CONF));
    cr_assert_eq(RUN("boot"), 0);
    status_is("tpm", "tpm-dual", "");
    still(&before);
}

Test(input, invalid_values_stop_changes_and_never_the_boot)
{
    open_device(NULL);
    boot(0);
    settings_refused("[tpm]\nwait = a while\n", "wait");
    settings_refused("[tpm]\ndevice-handle = 0x01000000\n", "device-handle");
    settings_refused("[identity]\nalgorithm = rot13\n", "algorithm");
    settings_refused("[identity]\nlifetime-days = -1\n", "lifetime-days");
    settings_refused("[paths]\nrequire-mount = perhaps\n", "require-mount");
    settings_refused("[image]\nother-slot = maybe\n", "other-slot");
}

Test(input, configuration_that_is_no_text_stops_changes_and_never_the_boot)
{
    struct idm_device_identity before;

    open_device(NULL);
    boot(0);
    before = active();
    OK(idm_device_write(&device, CONF, "\x00\x01\xff[[[\n=\n", 9));
    cr_assert_eq(RUN("boot"), 0);
    status_is("tpm", "tpm-dual", "settings-invalid");
    cr_assert_eq(RUN("sign"), 2);
    shell(0, "rm $ROOT" CONF "; mkdir $ROOT" CONF);
    cr_assert_eq(RUN("boot"), 0);
    shell(0, "rmdir $ROOT" CONF "; mkfifo $ROOT" CONF);
    cr_assert_eq(RUN("boot"), 0);
    OK(idm_device_delete(&device, CONF));
    cr_assert_eq(RUN("boot"), 0);
    status_is("tpm", "tpm-dual", "");
    still(&before);
}

/* ---- where the directories are ---- */

#define ELSEWHERE                                                                                  \
    "[paths]\nconfig-dir = /data/config\npersist-dir = /data/persist\nrequire-mount = none\n"
#define NAMES_THEM "/etc/idmode/idmode.conf.d/50-test.conf"

/* A software device (so that no chip knows of the identity) that keeps it in directories of its own. */
static struct idm_device_identity open_elsewhere(void)
{
    open_device(&(struct idm_device_options){.without_tpm = true, .conf = ELSEWHERE});
    shell(0, "mkdir -p $ROOT/data/config $ROOT/data/persist");
    boot(0);
    status_is("software", "software", "");
    return active();
}

static void made_nothing(void)
{
    shell(0, "test -z \"$(find $ROOT/config $ROOT/persist -type f)\"");
}

Test(input, a_bad_line_does_not_lose_the_directories)
{
    struct idm_device_identity before = open_elsewhere();

    OK(idm_device_write_text(&device, CONF, "oops\n"));
    boot(0);
    status_is("software", "software", "settings-invalid");
    made_nothing();
    OK(idm_device_delete(&device, CONF));
    still(&before);
}

/* With the directories unknown "there is no record" is not known either: it may lie in the others. */
Test(input, directories_that_are_not_known_make_no_identity)
{
    static const char *const spoil[] = {
        "printf '[paths]\\nconfig-dir = ./c\\npersist-dir = p\\n' > $ROOT" CONF,
        "mv $ROOT" NAMES_THEM " $ROOT/kept; ln -s /nowhere $ROOT" NAMES_THEM,
        "mv $ROOT" NAMES_THEM " $ROOT/kept; mkdir $ROOT" NAMES_THEM,
        "rm -rf $ROOT/config $ROOT/persist; mv $ROOT" NAMES_THEM " $ROOT/kept;"
        "mkfifo $ROOT" NAMES_THEM,
    };
    struct idm_device_identity before = open_elsewhere();

    for (size_t i = 0; i < sizeof(spoil) / sizeof(*spoil); i++) {
        shell(0, "%s", spoil[i]);
        boot(3);
        status_is("unknown", "none", "persist-unmounted settings-invalid");
        cr_assert_eq(RUN("factory-reset", "--yes"), 2);
        cr_assert_eq(RUN("hook", "rollback"), 0);
        shell(0, "mkdir -p $ROOT/config $ROOT/persist");
        made_nothing();
        shell(0, "rm -rf $ROOT" CONF "; test ! -f $ROOT/kept ||"
                 "{ rm -rf $ROOT" NAMES_THEM "; mv $ROOT/kept $ROOT" NAMES_THEM "; }");
        boot(0);
        status_is("software", "software", "");
        still(&before);
    }
}

Test(input, unknown_keys_only_warn_with_file_and_line)
{
    _cleanup_run_ struct idm_run run = {0};

    open_device(NULL);
    OK(idm_device_write_text(&device, CONF, "[tpm]\nwait = 2s\nturbo = yes\n[warp]\nfactor = 9\n"));
    boot(0);
    status_is("tpm", "tpm-dual", "");
    OK(idm_device_idmode(&device, &run, "sign", NULL));
    cr_assert_eq(run.exit_code, 0);
    cr_assert_not_null(strstr(run.err, CONF ":3"), "%s", run.err);
    cr_assert_not_null(strstr(run.err, "turbo"), "%s", run.err);
    cr_assert_not_null(strstr(run.err, CONF ":5"), "%s", run.err);
    cr_assert_not_null(strstr(run.err, "factor"), "%s", run.err);
}

Test(input, missing_configuration_file_is_fine_unless_it_was_named)
{
    open_device(NULL);
    boot(0);
    OK(idm_device_delete(&device, "/etc/idmode"));
    cr_assert_eq(RUN("boot"), 0);
    cr_assert_eq(RUN("--config", "/nowhere/idmode.conf", "sign"), 2);
    cr_assert_eq(RUN("--config", "/nowhere/idmode.conf", "boot"), 0);
    status_is("tpm", "tpm-dual", "settings-invalid");
}

/* ---- command line ---- */

static const char *const misused[][6] = {
    {"bake"},
    {"boot", "twice"},
    {"boot", "--prepared"},
    {"sign", "--strict"},
    {"sign", "--digest", "md5"},
    {"sign", "extra"},
    {"status", "--format", "yaml"},
    {"hook"},
    {"hook", "pre-lunch"},
    {"hook", "pre-install", "--target-aware", "perhaps"},
    {"hook", "pre-install", "--target-format", "-1"},
    {"hook", "pre-install", "--target-format", "70000"},
    {"hook", "pre-install", "--install-id", "a\nb"},
    {"migrate"},
    {"migrate", "sideways"},
    {"cert", "hide"},
    {"factory-reset"},
    {"factory-reset", "--yes", "--reset", "gently"},
    {"history", "-n", "many"},
    {"--lock-timeout", "-5", "boot"},
    {"--lock-timeout", "soon", "boot"},
    {"--no-such-option", "boot"},
    {"boot", "--root"},
    {"mode", "now"},
    {"mode", "--yes"},
    {"a", "b", "c", "d", "e"},
};

Test(input, misuse_is_exit_2_with_a_word_and_changes_nothing)
{
    static const struct idm_run_options options;
    struct kept record;

    open_device(NULL);
    boot(0);
    record = keep(PERSIST_RECORD);
    for (size_t i = 0; i < sizeof(misused) / sizeof(misused[0]); i++) {
        _cleanup_run_ struct idm_run run = {0};

        OK(idm_device_run(&device, &run, NULL, 0, misused[i]));
        cr_assert_eq(run.exit_code, 2, "%s %s: exit %d", misused[i][0],
                     misused[i][1] != NULL ? misused[i][1] : "", run.exit_code);
        cr_assert_neq(run.err[0], '\0', "%s: not a word", misused[i][0]);
        cr_assert_eq(run.out_size, 0, "%s", run.out);
    }
    _cleanup_run_ struct idm_run none = {0};
    cr_assert_eq(idm_run(&none, &options, (const char *const[]){IDMODE, NULL}), 0);
    cr_assert_eq(none.exit_code, 2);
    exact(&record);
    drop(&record);
    status_is("tpm", "tpm-dual", "");
}

static void one_object(const char *const args[], int exit_code)
{
    _cleanup_run_ struct idm_run run = {0};
    json_error_t error;
    char words[256] = "";

    for (size_t i = 0; args[i] != NULL; i++)
        snprintf(words + strlen(words), sizeof(words) - strlen(words), " %s", args[i]);
    OK(idm_device_run(&device, &run, "x", 1, args));
    if (exit_code >= 0)
        cr_assert_eq(run.exit_code, exit_code, "%s: exit %d: %s%s", words, run.exit_code, run.out,
                     run.err);
    json_t *object = json_loadb(run.out, run.out_size, JSON_REJECT_DUPLICATES, &error);
    cr_assert(json_is_object(object), "%s: exit %d, stdout is not one object: \"%s\", stderr %s",
              words, run.exit_code, run.out, run.err);
    json_decref(object);
}

Test(input, json_is_one_object_for_every_command_and_every_error)
{
    static const char *const good[][6] = {
        {"--json", "boot"},
        {"--json", "mode"},
        {"--json", "status"},
        {"--json", "status", "--strict"},
        {"--json", "sign"},
        {"--json", "sign", "--out", "/dev/null"},
        {"--json", "cert", "show"},
        {"--json", "history"},
        {"--json", "history", "-n", "0"},
        {"--json", "hook", "rollback"},
        {"--json", "migrate", "show"},
        {"--json", "--version"},
        {"--json", "--help"},
    };
    static const char *const refused[][6] = {
        {"--json", "migrate", "prepare"},
        {"--json", "migrate", "commit"},
        {"--json", "migrate", "abort"},
    };

    open_device(NULL);
    one_object((const char *const[]){"--json", "sign", NULL}, 3);
    one_object((const char *const[]){"--json", "status", NULL}, 3);
    one_object((const char *const[]){"--json", "mode", NULL}, 0);
    boot(0);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        one_object(good[i], 0);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        one_object(refused[i], 1);
    for (size_t i = 0; i < sizeof(misused) / sizeof(misused[0]); i++) {
        const char *args[8] = {"--json"};

        memcpy(args + 1, misused[i], sizeof(misused[i]));
        one_object(args, 2);
    }
    one_object((const char *const[]){"--json", "sign", "--in", "/nowhere", NULL}, 5);
    one_object((const char *const[]){"--json", "--config", "/nowhere", "sign", NULL}, 2);
    one_object((const char *const[]){"--json", "factory-reset", "--yes", NULL}, 0);
}

/* ---- mode ---- */

Test(input, mode_never_fails_and_says_unknown_for_anything_else)
{
    static const char *const garbage[] = {"",
                                          "tpm",
                                          "TPM\n",
                                          "tpm\n\n",
                                          "tpm \n",
                                          "xx\n",
                                          "softwar\n",
                                          "software!",
                                          "\0\0\0\n",
                                          "unknown\n",
                                          "software\nsoftware\n"};
    struct idm_run run = {0};

    open_device(NULL);
    boot(0);
    OK(idm_device_idmode(&device, &run, "mode", NULL));
    cr_assert_str_eq(run.out, "tpm\n");
    idm_run_free(&run);
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        OK(idm_device_write_text(&device, "/run/idmode/mode", garbage[i]));
        OK(idm_device_idmode(&device, &run, "mode", NULL));
        cr_assert_eq(run.exit_code, 0);
        cr_assert_str_eq(run.out, "unknown\n", "\"%s\"", garbage[i]);
        idm_run_free(&run);
    }
    static const char *const makers[] = {"mkdir mode",
                                         "mkfifo mode",
                                         "ln -s ../../config mode",
                                         "printf 'tpm\\n' > x; ln -s x mode",
                                         "head -c 1048576 /dev/zero > mode",
                                         "rm -r ../idmode"};
    for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
        shell(0, "cd $ROOT/run/idmode; rm -rf mode; %s", makers[i]);
        OK(idm_device_idmode(&device, &run, "mode", NULL));
        cr_assert_eq(run.exit_code, 0, "%s", makers[i]);
        cr_assert_str_eq(run.out, "unknown\n", "%s", makers[i]);
        idm_run_free(&run);
    }
}
