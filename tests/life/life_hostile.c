/* SPDX-License-Identifier: BSD-2-Clause */
/* Links planted where we write, and an environment that wants other things loaded: nothing outside our
 * own files changes, nothing is loaded, and what was planted is no way in. */
#include "backends/backends.h"
#include "tests/life/life_device.h"

#include <sys/mount.h>

LIFE_IN_MEMORY(hostile);

/* ---- names that we write ---- */

static const char *const places[] = {[IDM_CONFIG] = "/config",
                                     [IDM_CONFIG_OURS] = "/config/idmode",
                                     [IDM_PERSIST_OURS] = "/persist/idmode",
                                     [IDM_MARKER_DIR] = "/persist/config",
                                     [IDM_RUN] = "/run/idmode"};

static const struct name {
    const char *dir, *leaf, *temp;
} names[] = {
#define NAME(file, place, name, mode) {.dir = NULL, .leaf = name, .temp = "." name ".tmp"},
    IDM_FILES(NAME)
#undef NAME
    /* not the store's */
    {.dir = "/run/idmode", .leaf = "lock", .temp = ".lock.tmp"},
    {.dir = "/run/idmode", .leaf = "page", .temp = ".page.tmp"},
};
#define NAMES (sizeof(names) / sizeof(names[0]))

static const char *dir_of(size_t i)
{
    static const enum idm_place place_of[] = {
#define PLACE(file, place, name, mode) place,
        IDM_FILES(PLACE)
#undef PLACE
    };

    return names[i].dir != NULL ? names[i].dir : places[place_of[i]];
}

/* ---- what must not change ---- */

enum link { SYMBOLIC, HARD, LINKS };

static const char *const link_names[LINKS] = {"symbolic link", "hard link"};

static const char precious[] = "precious\n";
static const struct timespec long_ago[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};

static void victim_path(size_t i, char ret_path[IDM_DEVICE_PATH_SIZE])
{
    snprintf(ret_path, IDM_DEVICE_PATH_SIZE, "%s/victim-%zu", device.base, i);
}

static void plant(enum link kind, size_t i, const char *leaf)
{
    char victim[IDM_DEVICE_PATH_SIZE], inside[128], real[IDM_DEVICE_PATH_SIZE];

    victim_path(i, victim);
    unlink(victim);
    FILE *file = fopen(victim, "we");
    cr_assert_not_null(file);
    fputs(precious, file);
    fclose(file);
    cr_assert_eq(chmod(victim, 0640), 0);
    cr_assert_eq(utimensat(AT_FDCWD, victim, long_ago, 0), 0);
    snprintf(inside, sizeof(inside), "%s/%s", dir_of(i), leaf);
    OK(idm_device_delete(&device, inside));
    /* writing makes the directories */
    OK(idm_device_write(&device, inside, "", 0));
    OK(idm_device_delete(&device, inside));
    idm_device_path(&device, inside, real);
    cr_assert_eq(kind == SYMBOLIC ? symlink(victim, real) : link(victim, real), 0);
}

static void intact(enum link kind, size_t i, const char *leaf)
{
    char victim[IDM_DEVICE_PATH_SIZE], text[sizeof(precious) + 8] = "";
    struct stat st;

    victim_path(i, victim);
    FILE *file = fopen(victim, "re");
    cr_assert_not_null(file, "%s at %s/%s: its target is gone", link_names[kind], dir_of(i), leaf);
    size_t n = fread(text, 1, sizeof(text) - 1, file);
    cr_assert_eq(fstat(fileno(file), &st), 0);
    fclose(file);
    cr_assert(n == sizeof(precious) - 1 && strcmp(text, precious) == 0 &&
                  (st.st_mode & 07777) == 0640 && st.st_mtime == long_ago[1].tv_sec,
              "%s at %s/%s: its target has changed: mode %o, %s", link_names[kind], dir_of(i), leaf,
              st.st_mode, text);
}

/* What is planted goes away as a careful operator would take it away. */
static void unplant(size_t i, const char *leaf)
{
    char inside[128], real[IDM_DEVICE_PATH_SIZE], victim[IDM_DEVICE_PATH_SIZE];
    struct stat st, target;

    snprintf(inside, sizeof(inside), "%s/%s", dir_of(i), leaf);
    idm_device_path(&device, inside, real);
    victim_path(i, victim);
    if (lstat(real, &st) == 0 && stat(victim, &target) == 0 &&
        (S_ISLNK(st.st_mode) || st.st_ino == target.st_ino))
        cr_assert_eq(unlink(real), 0);
    cr_assert_eq(unlink(victim), 0);
}

/* ---- files ---- */

static void power_on_without_a_step(void)
{
    idm_device_cut_at(&device, 1);
    OK(idm_device_boot(&device));
    cr_assert(device.was_cut);
}

Test(hostile, links_at_temporary_names_do_no_harm)
{
    for (int kind = 0; kind < LINKS; kind++) {
        open_device(NULL);
        power_on_without_a_step();
        for (size_t i = 0; i < NAMES; i++)
            plant((enum link)kind, i, names[i].temp);
        cr_assert_eq(RUN("boot"), 0);
        status_is("tpm", "tpm-dual", "");
        struct idm_device_identity first = active();
        for (size_t i = 0; i < NAMES; i++)
            plant((enum link)kind, i, names[i].temp);
        cr_assert_eq(RUN("factory-reset", "--yes"), 0);
        cr_assert_str_neq(active().spki_sha256, first.spki_sha256);
        for (size_t i = 0; i < NAMES; i++)
            intact((enum link)kind, i, names[i].temp);
        close_device();
    }
}

static void ends_well(void)
{
    cr_assert(device.exit_code == 0 || device.exit_code == 3 || device.exit_code == 5,
              "exit %d: %s", device.exit_code, device.said);
}

Test(hostile, links_at_names_of_a_new_device_are_not_followed)
{
    open_device(&(struct idm_device_options){.without_tpm = true});
    power_on_without_a_step();
    for (int kind = 0; kind < LINKS; kind++) {
        for (size_t i = 0; i < NAMES; i++) {
            shell(0, "rm -rf $ROOT/config $ROOT/persist $ROOT/run/idmode;"
                     "mkdir $ROOT/config $ROOT/persist");
            plant((enum link)kind, i, names[i].leaf);
            (void)RUN("boot");
            ends_well();
            intact((enum link)kind, i, names[i].leaf);
            unplant(i, names[i].leaf);
            cr_assert_eq(RUN("boot"), 0, "%s at %s/%s, removed: %s", link_names[kind], dir_of(i),
                         names[i].leaf, device.said);
        }
    }
}

Test(hostile, links_at_names_of_a_tpm_device_are_not_followed)
{
    open_device(NULL);
    boot(0);
    struct idm_device_identity before = active();
    for (int kind = 0; kind < LINKS; kind++) {
        for (size_t i = 0; i < NAMES; i++) {
            /* a file there is a request, whatever is in it and whoever has another name for it */
            if (kind == HARD && strcmp(names[i].leaf, "reset-requested") == 0)
                continue;
            plant((enum link)kind, i, names[i].leaf);
            (void)RUN("boot");
            ends_well();
            intact((enum link)kind, i, names[i].leaf);
            unplant(i, names[i].leaf);
            cr_assert_eq(RUN("boot"), 0, "%s at %s/%s, removed: %s", link_names[kind], dir_of(i),
                         names[i].leaf, device.said);
        }
    }
    status_is("tpm", "tpm-dual", "");
    still(&before);
    legacy_pair();
}

/* Destruction overwrites what it removes. */
Test(hostile, a_factory_reset_destroys_nothing_through_a_link)
{
    for (int kind = 0; kind < LINKS; kind++) {
        open_device(NULL);
        boot(0);
        struct idm_device_identity before = active();
        for (size_t i = 0; i < NAMES; i++) {
            if (strcmp(names[i].leaf, "record") != 0 && strcmp(names[i].leaf, "lock") != 0)
                plant((enum link)kind, i, names[i].leaf);
        }
        (void)RUN("factory-reset", "--yes");
        for (size_t i = 0; i < NAMES; i++) {
            if (strcmp(names[i].leaf, "record") == 0 || strcmp(names[i].leaf, "lock") == 0)
                continue;
            intact((enum link)kind, i, names[i].leaf);
            unplant(i, names[i].leaf);
        }
        (void)RUN("factory-reset", "--yes");
        boot(0);
        status_is("tpm", "tpm-dual", "");
        cr_assert_str_neq(active().spki_sha256, before.spki_sha256);
        close_device();
    }
}

/* ---- directories ---- */

Test(hostile, a_link_in_place_of_our_directories_is_not_followed)
{
    static const char *const dirs[] = {"/config/idmode", "/persist/idmode", "/persist/config",
                                       "/run/idmode"};

    for (size_t i = 0; i < 2 * sizeof(dirs) / sizeof(dirs[0]); i++) {
        const char *dir = dirs[i / 2];
        bool new = i % 2 == 0;

        open_device(&(struct idm_device_options){.without_tpm = new});
        if (new)
            power_on_without_a_step();
        else
            boot(0);
        shell(0, "mkdir outside; for f in record tpm.key.pem mode legacy.key.pem tpm_in_use lock;"
                 "do echo precious > outside/$f; done; ls -l --time-style=full-iso outside > was");
        shell(0, "mkdir -p $ROOT%s; mv $ROOT%s aside; ln -s $BASE/outside $ROOT%s", dir, dir, dir);
        (void)RUN("boot");
        ends_well();
        (void)RUN("factory-reset", "--yes");
        ends_well();
        shell(0,
              "ls -l --time-style=full-iso outside | cmp - was; ! grep -rv precious outside;"
              "rm $ROOT%s; mv aside $ROOT%s",
              dir, dir);
        cr_assert_eq(RUN("boot"), 0, "%s is back: %s", dir, device.said);
        active();
        close_device();
    }
}

/* ---- environment ---- */

static void clean_environment_is(const char *trace)
{
    shell(0,
          "grep -q 'execve(.*bootenv' %s;"
          "! grep 'execve(.*bootenv' %s | grep -E 'LD_|IDMODE_|TSS2|TPM2|OPENSSL|IFS|evil|HOME='",
          trace, trace);
}

Test(hostile, environment_of_the_caller_loads_nothing_and_reaches_no_helper)
{
    open_device(NULL);
    boot(0);
    struct idm_device_identity before = active();
    shell(0,
          "mkdir evil; printf 'openssl_conf = o\\n[o]\\nproviders = p\\nalg_section = a\\n"
          "[a]\\ndefault_properties = fips=yes\\n[p]\\nevil = e\\n[e]\\nactivate = 1\\n"
          "module = %s/evil/evil.so\\n' > evil/openssl.cnf; echo x > evil/evil.so;"
          "printf '[tpm]\\nuse = never\\n' > evil/idmode.conf; echo precious > evil/log",
          device.base);
    shell(0,
          "for command in boot sign 'cert show' 'hook rollback' 'migrate show' doctor boot; do"
          "  env PATH=$BASE/evil:$PATH IFS=/ IDMODE_ROOT=$BASE/evil IDMODE_TCTI=none"
          "  LD_LIBRARY_PATH=$BASE/evil LD_BIND_NOW=1 LD_ORIGIN_PATH=$BASE/evil"
          "  OPENSSL_CONF=$BASE/evil/openssl.cnf OPENSSL_MODULES=$BASE/evil"
          "  OPENSSL_CONF_INCLUDE=$BASE/evil OPENSSL_ia32cap=0 SSL_CERT_DIR=$BASE/evil"
          "  TPM2TOOLS_TCTI=none TPM2OPENSSL_TCTI=none TPM2_PKCS11_STORE=$BASE/evil"
          "  TSS2_TCTI=none TSS2_FAPICONF=$BASE/evil/log MALLOC_PERTURB_=85"
          "  strace -f -v -s 4096 -e trace=execve,openat -o trace $IDMODE --root $ROOT --tcti $TCTI"
          "  $command < /dev/null > out || test $? = 1;"
          "  ! grep 'openat.*evil/.*= [0-9]' trace; cat trace >> traces; done; cat evil/log");
    clean_environment_is("traces");
    cr_assert_eq(RUN("boot"), 0);
    status_is("tpm", "tpm-dual", "");
    still(&before);
}
