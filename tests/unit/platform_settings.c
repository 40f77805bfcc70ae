/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/settings.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ETC  "/etc/idmode/idmode.conf"
#define LIB  "/usr/lib/idmode/idmode.conf"
#define DROP "/etc/idmode/idmode.conf.d"

static char root[64];

static void shell(const char *command)
{
    char line[512];
    (void)snprintf(line, sizeof line, "cd %s && %s", root, command);
    cr_assert_eq(system(line), 0, "%s", line);
}

static void make_root(void)
{
    strcpy(root, "/tmp/idmode-settings-XXXXXX");
    cr_assert_not_null(mkdtemp(root));
    shell("mkdir -p usr/lib/idmode etc/idmode/idmode.conf.d");
}

static void remove_root(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", root);
    cr_assert_eq(system(command), 0);
}

static const char *below(const char *path)
{
    static char full[256];
    (void)snprintf(full, sizeof full, "%s%s", root, path);
    return full;
}

static void write_bytes(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(below(path), "we");
    cr_assert_not_null(file, "%s", path);
    cr_assert_eq(fwrite(data, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
}

static void write_file(const char *path, const char *text)
{
    write_bytes(path, text, strlen(text));
}

static char warned[65536];

/* Reads, with the warnings in `warned`. */
static int read_settings(struct idm_settings *ret, const char *config, struct idm_error *err)
{
    FILE *warnings = fmemopen(warned, sizeof warned, "w");
    cr_assert_not_null(warnings);
    memset(warned, 0, sizeof warned);
    int r = idm_settings_read(ret, root, config, warnings, err);
    fclose(warnings);
    return r;
}

static struct idm_settings read_good(const char *text)
{
    struct idm_settings settings;
    struct idm_error err = {0};
    write_file(ETC, text);
    cr_assert_eq(read_settings(&settings, NULL, &err), 0, "%s", err.why);
    cr_assert_not(settings.invalid, "%s: %s", text, settings.invalid_error.why);
    cr_assert_str_empty(warned);
    return settings;
}

/* `text` must be invalid, for a reason with `why` in it; everything else is the default. */
static void read_invalid(const char *text, const char *why)
{
    struct idm_settings settings, defaults;
    struct idm_error err = {0};
    write_file(ETC, text);
    cr_assert_eq(read_settings(&settings, NULL, &err), 0, "%s: %s", text, err.why);
    cr_assert_eq(err.code, 0);
    cr_assert(settings.invalid, "accepted: %s", text);
    cr_assert_eq(settings.invalid_error.code, IDM_E_SETTINGS);
    cr_assert(strstr(settings.invalid_error.why, why), "%s: %s", text, settings.invalid_error.why);
    cr_assert(strstr(settings.invalid_error.why, ETC ":"), "%s", settings.invalid_error.why);
    cr_assert_neq(settings.invalid_error.todo[0], 0);
    cr_assert_eq(settings.places_unknown, strstr(why, "[paths]") || strstr(text, "[paths]"), "%s",
                 text);
    idm_settings_default(&defaults);
    settings.invalid = settings.places_unknown = false;
    settings.invalid_error = (struct idm_error){0};
    cr_assert_eq(memcmp(&settings, &defaults, sizeof settings), 0, "%s", text);
}

/* The file as a whole must be as if it were not there. */
static void read_refused(const char *why)
{
    struct idm_settings settings, defaults;
    struct idm_error err = {0};
    cr_assert_eq(read_settings(&settings, NULL, &err), 0, "%s", why);
    cr_assert_eq(err.code, 0);
    cr_assert(settings.invalid, "%s", why);
    cr_assert(settings.places_unknown, "%s", why);
    err = settings.invalid_error;
    cr_assert_eq(err.code, IDM_E_SETTINGS);
    cr_assert(strstr(err.why, why), "%s", err.why);
    cr_assert(strstr(err.why, root), "%s", err.why);
    cr_assert_neq(err.todo[0], 0);
    idm_settings_default(&defaults);
    settings.invalid = settings.places_unknown = false;
    settings.invalid_error = (struct idm_error){0};
    cr_assert_eq(memcmp(&settings, &defaults, sizeof settings), 0);
}

TestSuite(platform_settings, .init = make_root, .fini = remove_root, .timeout = 60);

/* As users find it in the documentation. */
static const char sample[] =
    "[paths]\n"
    "config-dir = /config\n"
    "persist-dir = /persist\n"
    "require-mount = auto          ; auto (fstab, mount units, as recorded at provisioning) | "
    "config persist | none\n"
    "config-remount = no           ; yes: read-write for each change only\n"
    "[tpm]\n"
    "use = auto                    ; auto | required | never\n"
    "wait = 10s                    ; for the device node to appear, and for a busy chip\n"
    "tcti = device:/dev/tpmrm0\n"
    "key-storage = both            ; tss2 | persistent | both\n"
    "device-handle = 0x81020000\n"
    "parent-handle = 0x81020001\n"
    "srk-handle = 0x81000001       ; used if it is a fit storage key, made if empty\n"
    "counter-index = 0x01821D01\n"
    "owner-auth-file =\n"
    "reset = rekey                 ; rekey | clear\n"
    "[identity]\n"
    "algorithm = ecdsa-p256        ; ecdsa-p384, rsa-2048 where the chip can\n"
    "certificate = self-signed     ; self-signed | ca\n"
    "subject = CN=%{serial}        ; %{serial} %{machine-id} %{spki}\n"
    "lifetime-days = 7300\n"
    "legacy-key = auto             ; auto | seal | keep | none\n"
    "on-cert-loss = tpm-key        ; tpm-key | same-identity\n"
    "controller-keeps = both       ; both | one certificate per device\n"
    "[image]\n"
    "aware = yes\n"
    "version = os-release\n"
    "slot = auto\n"
    "other-slot = auto             ; auto | aware | legacy | none\n"
    "slots =                       ; A:PATH B:PATH, for fingerprints\n"
    "[bootenv]\n"
    "backend = uboot               ; uboot | command | none\n"
    "config = /etc/fw_env.config   ; no such file: as none, without a warning\n"
    "command =                     ; prints slot=, trial=, other=\n"
    "scheme = auto                 ; rauc | bootcount | ustate | custom\n"
    "trial-when =                  ; custom: VARIABLE=VALUE\n"
    "[access]\n"
    "group = idmode\n"
    "[hooks]\n"
    "directory = /etc/idmode/hooks.d\n"
    "timeout = 30s\n";

static void check_defaults(const struct idm_settings *s)
{
    cr_assert_str_eq(s->config_dir, "/config");
    cr_assert_str_eq(s->persist_dir, "/persist");
    cr_assert_eq(s->require_mount, IDM_MOUNT_AUTO);
    cr_assert_not(s->config_remount);
    cr_assert_eq(s->use, IDM_USE_AUTO);
    cr_assert_eq(s->wait_ms, 10000u);
    cr_assert_str_eq(s->tcti, "device:/dev/tpmrm0");
    cr_assert_eq(s->key_storage, IDM_STORE_BOTH);
    cr_assert_eq(s->device_handle, 0x81020000u);
    cr_assert_eq(s->parent_handle, 0x81020001u);
    cr_assert_eq(s->srk_handle, 0x81000001u);
    cr_assert_eq(s->counter_index, 0x01821D01u);
    cr_assert_str_empty(s->owner_auth_file);
    cr_assert_eq(s->reset, IDM_RESET_REKEY);
    cr_assert_eq(s->algorithm, IDM_ECDSA_P256);
    cr_assert_eq(s->certificate, IDM_CERT_SELF_SIGNED);
    cr_assert_str_eq(s->subject, "CN=%{serial}");
    cr_assert_eq(s->lifetime_days, 7300u);
    cr_assert_eq(s->legacy_key, IDM_LEGACY_AUTO);
    cr_assert_eq(s->on_cert_loss, IDM_LOSS_TPM_KEY);
    cr_assert_eq(s->controller_keeps, IDM_KEEPS_BOTH);
    cr_assert(s->aware);
    cr_assert_str_eq(s->version, "os-release");
    cr_assert_str_eq(s->slot, "auto");
    cr_assert_eq(s->other_slot, IDM_OTHER_AUTO);
    cr_assert_str_empty(s->slots[0].name);
    cr_assert_eq(s->bootenv_backend, IDM_BOOTENV_UBOOT);
    cr_assert_str_eq(s->bootenv_config, "/etc/fw_env.config");
    cr_assert_str_empty(s->bootenv_command);
    cr_assert_eq(s->bootenv_scheme, IDM_SCHEME_AUTO);
    cr_assert_str_empty(s->bootenv_trial_when);
    cr_assert_str_eq(s->access_group, "idmode");
    cr_assert_str_eq(s->hooks_directory, "/etc/idmode/hooks.d");
    cr_assert_eq(s->hooks_timeout_ms, 30000u);
    cr_assert_not(s->invalid);
}

Test(platform_settings, defaults_are_the_documented_ones)
{
    struct idm_settings settings, from_sample;
    idm_settings_default(&settings);
    check_defaults(&settings);
    from_sample = read_good(sample);
    check_defaults(&from_sample);
    cr_assert_eq(memcmp(&settings, &from_sample, sizeof settings), 0);
}

Test(platform_settings, nothing_at_all_is_the_default)
{
    struct idm_settings settings;
    struct idm_error err = {0};
    cr_assert_eq(read_settings(&settings, NULL, &err), 0);
    check_defaults(&settings);
    shell("rm -r etc usr");
    cr_assert_eq(read_settings(&settings, NULL, &err), 0, "%s", err.why);
    check_defaults(&settings);
    cr_assert_eq(idm_settings_read(&settings, root, NULL, NULL, NULL), 0);
    strcat(root, "/none");
    cr_assert_eq(idm_settings_read(&settings, root, NULL, NULL, NULL), 0);
    cr_assert(settings.invalid);
    cr_assert(settings.places_unknown);
    root[strlen(root) - 5] = 0;
}

Test(platform_settings, every_key_arrives)
{
    struct idm_settings s = read_good(
        "[paths]\nconfig-dir=/a/b/\npersist-dir = \"/p q\"\nrequire-mount = persist   config\n"
        "config-remount = true\n"
        "[tpm]\nuse = required\nwait = 500ms\ntcti = swtpm:host=localhost,port=2321\n"
        "key-storage = tss2\ndevice-handle = 0x81020010\nparent-handle = 2164391953\n"
        "srk-handle = 0X81000002\ncounter-index = 0x01ffffff\nowner-auth-file = /etc/owner\n"
        "reset = clear\n"
        "[identity]\nalgorithm = rsa-2048\ncertificate = ca\n"
        "subject = CN=%{spki},OU=%{machine-id}-%{serial},O=Gerät\nlifetime-days = 1\n"
        "legacy-key = seal\non-cert-loss = same-identity\ncontroller-keeps = one\n"
        "[image]\naware = no\nversion = 2.0 rc1\nslot = rootfs.1\nother-slot = legacy\n"
        "slots = rootfs.0:/dev/mmcblk0p2   B:/dev/disk/by-label/b\n"
        "[bootenv]\nbackend = command\nconfig = /etc/x\ncommand = /usr/bin/env a=b c\n"
        "scheme = custom\ntrial-when = upgrade_available=1\n"
        "[access]\ngroup = tls-users\n[hooks]\ndirectory = /opt/hooks\ntimeout = 2min\n");
    cr_assert_str_eq(s.config_dir, "/a/b");
    cr_assert_str_eq(s.persist_dir, "/p q");
    cr_assert_eq(s.require_mount, IDM_MOUNT_BOTH);
    cr_assert(s.config_remount);
    cr_assert_eq(s.use, IDM_USE_REQUIRED);
    cr_assert_eq(s.wait_ms, 500u);
    cr_assert_str_eq(s.tcti, "swtpm:host=localhost,port=2321");
    cr_assert_eq(s.key_storage, IDM_STORE_TSS2);
    cr_assert_eq(s.device_handle, 0x81020010u);
    cr_assert_eq(s.parent_handle, 2164391953u);
    cr_assert_eq(s.srk_handle, 0x81000002u);
    cr_assert_eq(s.counter_index, 0x01ffffffu);
    cr_assert_str_eq(s.owner_auth_file, "/etc/owner");
    cr_assert_eq(s.reset, IDM_RESET_CLEAR);
    cr_assert_eq(s.algorithm, IDM_RSA_2048);
    cr_assert_eq(s.certificate, IDM_CERT_CA);
    cr_assert_str_eq(s.subject, "CN=%{spki},OU=%{machine-id}-%{serial},O=Gerät");
    cr_assert_eq(s.lifetime_days, 1u);
    cr_assert_eq(s.legacy_key, IDM_LEGACY_SEAL);
    cr_assert_eq(s.on_cert_loss, IDM_LOSS_SAME_IDENTITY);
    cr_assert_eq(s.controller_keeps, IDM_KEEPS_ONE);
    cr_assert_not(s.aware);
    cr_assert_str_eq(s.version, "2.0 rc1");
    cr_assert_str_eq(s.slot, "rootfs.1");
    cr_assert_eq(s.other_slot, IDM_OTHER_LEGACY);
    cr_assert_str_eq(s.slots[0].name, "rootfs.0");
    cr_assert_str_eq(s.slots[0].path, "/dev/mmcblk0p2");
    cr_assert_str_eq(s.slots[1].name, "B");
    cr_assert_str_eq(s.slots[1].path, "/dev/disk/by-label/b");
    cr_assert_eq(s.bootenv_backend, IDM_BOOTENV_COMMAND);
    cr_assert_str_eq(s.bootenv_config, "/etc/x");
    cr_assert_str_eq(s.bootenv_command, "/usr/bin/env a=b c");
    cr_assert_eq(s.bootenv_scheme, IDM_SCHEME_CUSTOM);
    cr_assert_str_eq(s.bootenv_trial_when, "upgrade_available=1");
    cr_assert_str_eq(s.access_group, "tls-users");
    cr_assert_str_eq(s.hooks_directory, "/opt/hooks");
    cr_assert_eq(s.hooks_timeout_ms, 120000u);
}

Test(platform_settings, durations)
{
    static const struct {
        const char *text;
        uint32_t ms;
    } good[] = {{"0", 0},       {"0s", 0},       {"7", 7000},     {"7s", 7000},     {"7 s", 7000},
                {"250ms", 250}, {"1min", 60000}, {"600", 600000}, {"10min", 600000}};
    static const char *const bad[] = {"-1",           "1.5s", "s",
                                      "10 minutes",   "601",  "1h",
                                      "11min",        "0x10", "99999999999999999999",
                                      "4294967296ms", "5s5",  "1m"};
    char text[64];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        (void)snprintf(text, sizeof text, "[tpm]\nwait = %s\n", good[i].text);
        cr_assert_eq(read_good(text).wait_ms, good[i].ms, "%s", good[i].text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)snprintf(text, sizeof text, "[tpm]\nwait = %s\n", bad[i]);
        read_invalid(text, ":2: [tpm] wait = ");
    }
    read_invalid("[hooks]\ntimeout=0\n", "[hooks] timeout");
}

Test(platform_settings, invalid_values_keep_the_default)
{
    static const char *const bad[][3] = {
        {"paths", "config-dir", "config"},
        {"paths", "config-dir", "/"},
        {"paths", "config-dir", "/a/../b"},
        {"paths", "config-dir", "/.."},
        {"paths", "config-dir", "/a/.."},
        {"paths", "require-mount", "both"},
        {"paths", "config-remount", "maybe"},
        {"paths", "config-remount", "YES"},
        {"tpm", "use", "Auto"},
        {"tpm", "use", "auto required"},
        {"tpm", "device-handle", "0x80FFFFFF"},
        {"tpm", "device-handle", "0x82000000"},
        {"tpm", "device-handle", "81020000"},
        {"tpm", "device-handle", "0x"},
        {"tpm", "device-handle", "0x181020000"},
        {"tpm", "device-handle", "0x8102000g"},
        {"tpm", "counter-index", "0x81020000"},
        {"tpm", "counter-index", "0x02000000"},
        {"tpm", "owner-auth-file", "owner"},
        {"identity", "algorithm", "rsa-4096"},
        {"identity", "subject", "device"},
        {"identity", "subject", "CN=%{serail}"},
        {"identity", "subject", "CN=a;O=b"},
        {"identity", "subject", "CN=\xff"},
        {"identity", "lifetime-days", "0"},
        {"identity", "lifetime-days", "36501"},
        {"identity", "lifetime-days", "0x10"},
        {"identity", "lifetime-days", "1 2"},
        {"image", "version", "a\xc3\xa4"},
        {"image", "slot", "a b"},
        {"image", "slot", "a/b"},
        {"image", "slots", "A:/a"},
        {"image", "slots", "A:/a A:/b"},
        {"image", "slots", "A:/a B:/b C:/c"},
        {"image", "slots", "A:a B:/b"},
        {"image", "slots", "A/a B/b"},
        {"image", "slots", ":/a B:/b"},
        {"image", "slots", "A:/a/../b B:/b"},
        {"bootenv", "backend", "grub"},
        {"bootenv", "backend", "command"},
        {"bootenv", "scheme", "custom"},
        {"bootenv", "trial-when", "x"},
        {"bootenv", "trial-when", "=1"},
        {"access", "group", "a:b"},
        {"hooks", "directory", "hooks.d"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[256], why[128];
        (void)snprintf(text, sizeof text, "# x\n\n[%s]\n%s = %s\n", bad[i][0], bad[i][1],
                       bad[i][2]);
        (void)snprintf(why, sizeof why, ":4: [%s] %s = ", bad[i][0], bad[i][1]);
        read_invalid(text, why);
    }
}

Test(platform_settings, overlong_values_are_invalid)
{
    static const char *const keys[] = {
        "[paths]\nconfig-dir = /",  "[tpm]\ntcti = ",     "[image]\nslot = ",
        "[image]\nversion = ",      "[access]\ngroup = ", "[paths]\nrequire-mount = ",
        "[identity]\nsubject = CN="};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        char text[1024], run[800];
        memset(run, 'a', sizeof run - 1);
        run[sizeof run - 1] = 0;
        (void)snprintf(text, sizeof text, "%s%s\n", keys[i], run);
        read_invalid(text, ":2: ");
    }
}

Test(platform_settings, handles_must_differ)
{
    read_invalid("[tpm]\ndevice-handle = 0x81020001\n", "must differ");
    read_invalid("[tpm]\nsrk-handle = 0x81020000\n", "must differ");
    read_invalid("[tpm]\ndevice-handle=0x81020001\nparent-handle=0x81020000\n"
                 "srk-handle=0x81020000\n",
                 "must differ");
    struct idm_settings s =
        read_good("[tpm]\ndevice-handle=0x81020001\nparent-handle=0x81020000\n");
    cr_assert_eq(s.device_handle, 0x81020001u);
}

Test(platform_settings, later_files_and_later_lines_win)
{
    struct idm_settings s;
    write_file(LIB, "[tpm]\nuse = never\nwait = 1s\nreset = clear\n[image]\nslot = lib\n");
    write_file(ETC, "[tpm]\nuse = required\nwait = 2s\n");
    write_file(DROP "/20-b.conf", "[tpm]\nwait = 20s\n");
    write_file(DROP "/10-a.conf", "[tpm]\nwait = 10s\nkey-storage = tss2\n");
    write_file(DROP "/30.conf.bak", "[tpm]\nwait = 30s\n");
    write_file(DROP "/.hidden.conf", "[tpm]\nwait = 31s\n");
    write_file(DROP "/.conf", "[tpm]\nwait = 32s\n");
    cr_assert_eq(read_settings(&s, NULL, NULL), 0);
    cr_assert_str_empty(warned);
    cr_assert_eq(s.use, IDM_USE_REQUIRED);
    cr_assert_eq(s.wait_ms, 20000u);
    cr_assert_eq(s.key_storage, IDM_STORE_TSS2);
    cr_assert_eq(s.reset, IDM_RESET_CLEAR);
    cr_assert_str_eq(s.slot, "lib");
    shell("rm -r etc/idmode/idmode.conf.d usr/lib/idmode/idmode.conf");
    s = read_good("[tpm]\nuse = never\nuse = auto\nuse = required\n[image]\nslot = a\n"
                  "[tpm]\nwait = 3\n[image]\nslot = b\n[tpm]\nuse = never\n");
    cr_assert_eq(s.use, IDM_USE_NEVER);
    cr_assert_eq(s.wait_ms, 3000u);
    cr_assert_str_eq(s.slot, "b");
}

Test(platform_settings, only_what_wins_is_judged)
{
    struct idm_settings s;
    write_file(LIB, "[tpm]\nuse = nonsense\n");
    write_file(ETC, "[tpm]\nuse = required\n");
    cr_assert_eq(read_settings(&s, NULL, NULL), 0);
    cr_assert_not(s.invalid);
    /* An empty value takes back what an earlier file said. */
    write_file(ETC, "[tpm]\nuse =\n");
    cr_assert_eq(read_settings(&s, NULL, NULL), 0);
    cr_assert_not(s.invalid);
    cr_assert_eq(s.use, IDM_USE_AUTO);
    write_file(LIB, "[tpm]\nuse = bad\nwait = bad\n");
    write_file(ETC, "[tpm]\nwait = worse\n");
    cr_assert_eq(read_settings(&s, NULL, NULL), 0);
    cr_assert(s.invalid);
    cr_assert(strstr(s.invalid_error.why, LIB ":2: [tpm] use = bad"), "%s", s.invalid_error.why);
}

Test(platform_settings, a_given_file_is_the_only_one)
{
    struct idm_settings s;
    struct idm_error err = {0};
    char other[128];
    write_file(ETC, "[tpm]\nuse = never\n");
    write_file("/other.conf", "[tpm]\nwait = 3s\n");
    strcpy(other, below("/other.conf"));
    cr_assert_eq(read_settings(&s, other, &err), 0, "%s", err.why);
    cr_assert_eq(s.use, IDM_USE_AUTO);
    cr_assert_eq(s.wait_ms, 3000u);
    strcpy(other, below("/none.conf"));
    cr_assert_eq(read_settings(&s, other, &err), 0);
    cr_assert(strstr(s.invalid_error.why, "no such file"));
    cr_assert(s.invalid);
    cr_assert(s.places_unknown);
}

Test(platform_settings, unknown_keys_and_sections_are_warned_about)
{
    struct idm_settings s;
    struct idm_error err = {0};
    write_file(ETC, "early = 1\n[tpm]\nuse = never\nspeed = 11 ; x\n[future]\na = b\nc = d\n"
                    "[tpm]\nspeed2 = 1\n");
    cr_assert_eq(read_settings(&s, NULL, &err), 0, "%s", err.why);
    cr_assert_not(s.invalid);
    cr_assert_eq(s.use, IDM_USE_NEVER);
    cr_assert(strstr(warned, ETC ":1: early stands in no section"), "%s", warned);
    cr_assert(strstr(warned, ETC ":4: unknown key [tpm] speed: ignored\n"), "%s", warned);
    cr_assert(strstr(warned, ETC ":6: unknown section [future] a: ignored\n"), "%s", warned);
    cr_assert(strstr(warned, ETC ":7: unknown section [future] c: ignored\n"), "%s", warned);
    cr_assert(strstr(warned, ETC ":9: unknown key [tpm] speed2: ignored\n"), "%s", warned);
    size_t lines = 0;
    for (const char *c = warned; *c; c++)
        lines += *c == '\n';
    cr_assert_eq(lines, 5u, "%s", warned);
    cr_assert_eq(idm_settings_read(&s, root, NULL, NULL, &err), 0);
}

Test(platform_settings, warnings_are_bounded)
{
    struct idm_settings s;
    FILE *file = fopen(below(ETC), "we");
    for (int i = 0; i < 1000; i++)
        (void)fprintf(file, "[x%d]\nkey = %d\n", i, i);
    fclose(file);
    cr_assert_eq(read_settings(&s, NULL, NULL), 0);
    size_t lines = 0;
    for (const char *c = warned; *c; c++)
        lines += *c == '\n';
    cr_assert_eq(lines, 21u, "%zu", lines);
}

Test(platform_settings, layout_does_not_matter)
{
    struct idm_settings s = read_good(
        "\r\n  # comment\r\n\t; [tpm\r\n [tpm] \r\n"
        "  use\t=\trequired\t# why\r\n   \r\n    ; use = never\r\n\r\nwait=5\r\n  \n ; x\n"
        "reset = clear ;comment\ntcti = a;b#c # d\n#wait = 9\n  [image]  ; no more = of it\nslot = "
        "\"b\"");
    cr_assert_eq(s.use, IDM_USE_REQUIRED);
    cr_assert_eq(s.wait_ms, 5000u);
    cr_assert_eq(s.reset, IDM_RESET_CLEAR);
    cr_assert_str_eq(s.tcti, "a;b#c");
    cr_assert_str_eq(s.slot, "b");
}

Test(platform_settings, sections_are_not_confused)
{
    /* The same line in two sections that follow each other, and a key in the wrong one. */
    struct idm_settings s;
    write_file(ETC, "[tmp]\nuse = never\n[tpm]\nuse = never\n[image]\nreset = clear\n");
    cr_assert_eq(read_settings(&s, NULL, NULL), 0);
    cr_assert_eq(s.use, IDM_USE_NEVER);
    cr_assert_eq(s.reset, IDM_RESET_REKEY);
    cr_assert(strstr(warned, ":2: unknown section [tmp] use"), "%s", warned);
    cr_assert(strstr(warned, ":6: unknown key [image] reset"), "%s", warned);
}

/* A directory that is named elsewhere must not be lost for a word in a fragment. */
Test(platform_settings, a_bad_line_costs_itself_alone)
{
    static const char *const bad[] = {"oops", "use this = x", "[", "[tpm", "a\x01 = b", "= c"};
    struct idm_settings s;
    char text[256];
    write_file(ETC, "[paths]\nconfig-dir = /data/config\npersist-dir = /data/persist\n");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        (void)snprintf(text, sizeof text, "[tpm]\nwait = 3s\n%s\n[tpm]\nuse = never\n", bad[i]);
        write_file(DROP "/20.conf", text);
        cr_assert_eq(read_settings(&s, NULL, NULL), 0);
        cr_assert(s.invalid && s.places_unknown, "%s", bad[i]);
        cr_assert(strstr(s.invalid_error.why, "20.conf:3: "), "%s", s.invalid_error.why);
        cr_assert_str_eq(s.config_dir, "/data/config");
        cr_assert_str_eq(s.persist_dir, "/data/persist");
        cr_assert_eq(s.wait_ms, 3000u);
        cr_assert_eq(s.use, IDM_USE_NEVER);
    }
}

Test(platform_settings, a_file_that_cannot_be_read_costs_itself_alone)
{
    struct idm_settings s;
    write_file(ETC, "[paths]\nconfig-dir = /data/config\n");
    write_file(DROP "/30.conf", "[tpm]\nuse = never\n");
    shell("ln -s /dev/zero etc/idmode/idmode.conf.d/20.conf");
    cr_assert_eq(read_settings(&s, NULL, NULL), 0);
    cr_assert(s.invalid && s.places_unknown);
    cr_assert(strstr(s.invalid_error.why, "20.conf: a symbolic link"), "%s", s.invalid_error.why);
    cr_assert_str_eq(s.config_dir, "/data/config");
    cr_assert_eq(s.use, IDM_USE_NEVER);
    shell("rm etc/idmode/idmode.conf.d/20.conf; mv etc/idmode/idmode.conf.d/30.conf x;"
          "for i in $(seq 65); do cp x etc/idmode/idmode.conf.d/$i.conf; done");
    cr_assert_eq(read_settings(&s, NULL, NULL), 0);
    cr_assert(s.invalid && s.places_unknown);
    cr_assert_str_eq(s.config_dir, "/data/config");
    cr_assert_eq(s.use, IDM_USE_AUTO, "none of too many counts");
}

/* Whose keys follow a heading that cannot be read? Not the section's before it. */
Test(platform_settings, what_follows_a_bad_heading_belongs_to_nobody)
{
    struct idm_settings s;
    write_file(ETC, "[tpm]\nuse = required\n[hooks\nuse = never\n");
    cr_assert_eq(read_settings(&s, NULL, NULL), 0);
    cr_assert_eq(s.use, IDM_USE_REQUIRED);
    cr_assert(strstr(warned, ETC ":4: use stands in no section"), "%s", warned);
}

Test(platform_settings, what_is_no_ini_is_noted_with_its_line)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"[tpm]\nuse\n", ETC ":2: neither a [section]"},
        {"[tpm]\nuse = auto\ncontinued\n", ":3: neither"},
        {"[tpm]\nuse = auto\n  continued ; a = b\n", ":3: neither"},
        {"[tpm]\n= auto\n", ":2: neither"},
        {"[tpm]\nuse this = auto\n", ":2: neither"},
        {"[tpm\nuse = auto\n", ":1: a section is written [name]"},
        {"[]\n", ":1: a section"},
        {"[tpm] x\n", ":1: a section"},
        {"[[tpm]]\n", ":1: a section"},
        {"[", ":1: a section"},
        {"\n\n-----BEGIN CERTIFICATE-----\n", ":3: neither"},
        {"[tpm]\ntcti = a\x01z\n", ":2: binary data"},
        {"[tpm]\nuse = au\rto\n", ":2: binary data"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_file(ETC, cases[i].text);
        read_refused(cases[i].why);
    }
}

Test(platform_settings, damage_never_hangs_or_crashes)
{
    static char big[(1u << 20) + 1];
    write_bytes(ETC, big, 4096);
    read_refused("binary data");
    write_bytes(ETC, "[tpm]\nuse = auto\0required\n", 26);
    read_refused(":2: binary data");
    memset(big, 'a', sizeof big);
    write_bytes(ETC, big, sizeof big);
    read_refused("larger than 1 MiB");
    write_bytes(ETC, big, sizeof big - 1);
    read_refused(":1: a line of more than 1023 characters");
    memset(big, '\n', sizeof big);
    write_bytes(ETC, big, sizeof big - 1);
    struct idm_settings s;
    cr_assert_eq(read_settings(&s, NULL, NULL), 0);
    for (size_t i = 0; i + 8 <= sizeof big - 1; i += 8)
        memcpy(big + i, "k12345=\n", 8);
    write_bytes(ETC, big, sizeof big - 1);
    cr_assert_eq(read_settings(&s, NULL, NULL), 0);
    for (unsigned i = 0; i < (sizeof big - 1) / 8; i++)
        (void)snprintf(big + (size_t)i * 8, 9, "k%05x=\n", i);
    write_bytes(ETC, big, sizeof big - 1);
    cr_assert_eq(read_settings(&s, NULL, NULL), 0);
    cr_assert(strstr(warned, "no more warnings for this file"));
    srand(1);
    for (int round = 0; round < 300; round++) {
        size_t size = (size_t)rand() % 400;
        for (size_t i = 0; i < size; i++)
            big[i] = "[]=;#\" \t\n\n\r[tpm]use=auto\\\xc3"[rand() % 25];
        write_bytes(ETC, big, size);
        cr_assert_eq(read_settings(&s, NULL, NULL), 0);
    }
}

/* Every prefix of the sample and every byte of it replaced: read or noted, never worse. */
Test(platform_settings, every_cut_and_edit_of_the_sample_ends_well)
{
    struct idm_settings s;
    char text[sizeof sample];
    static const char with[] = {0, '\n', '"', ';', '[', '=', ' ', (char)0xff};
    for (size_t i = 0; i < sizeof sample - 1; i += 3) {
        write_bytes(ETC, sample, i);
        cr_assert_eq(read_settings(&s, NULL, NULL), 0);
        memcpy(text, sample, sizeof sample);
        text[i] = with[(i / 3) % sizeof with];
        write_bytes(ETC, text, sizeof sample - 1);
        cr_assert_eq(read_settings(&s, NULL, NULL), 0);
    }
}

Test(platform_settings, only_regular_files_are_read)
{
    static const char *const makes[][2] = {
        {"mkdir etc/idmode/idmode.conf", "not a regular file"},
        {"mkfifo etc/idmode/idmode.conf", "not a regular file"},
        {"echo > x; ln -s ../../x etc/idmode/idmode.conf", "a symbolic link"},
        {"ln -s /nowhere etc/idmode/idmode.conf", "a symbolic link"},
        {"ln -s /dev/zero etc/idmode/idmode.conf.d/a.conf", "a symbolic link"},
        {"mkdir etc/idmode/idmode.conf.d/a.conf", "not a regular file"},
        {"rmdir etc/idmode/idmode.conf.d; mkfifo etc/idmode/idmode.conf.d", "Not a directory"},
        {"for i in $(seq 65); do echo > etc/idmode/idmode.conf.d/$i.conf; done",
         "more than 64 files"},
    };
    for (size_t i = 0; i < sizeof makes / sizeof makes[0]; i++) {
        shell(makes[i][0]);
        read_refused(makes[i][1]);
        shell("rm -rf etc/idmode; mkdir -p etc/idmode/idmode.conf.d");
    }
    struct idm_settings s;
    struct idm_error err = {0};
    cr_assert_eq(read_settings(&s, "/dev/zero", &err), 0);
    cr_assert(strstr(s.invalid_error.why, "/dev/zero: not a regular file"), "%s",
              s.invalid_error.why);
}

Test(platform_settings, links_on_the_way_stay_below_the_root)
{
    struct idm_settings s;
    struct idm_error err = {0};
    char outside[128], command[512];
    shell("mkdir inside outside; echo '[tpm]\nuse = never' > outside/idmode.conf;"
          "echo '[tpm]\nuse = required' > inside/idmode.conf; rm -r etc/idmode;"
          "ln -s /inside etc/idmode");
    cr_assert_eq(read_settings(&s, NULL, &err), 0, "%s", err.why);
    cr_assert_eq(s.use, IDM_USE_REQUIRED);
    strcpy(outside, below("/outside"));
    (void)snprintf(command, sizeof command, "ln -sfn %s etc/idmode", outside);
    shell(command);
    cr_assert_eq(read_settings(&s, NULL, &err), 0, "%s", err.why);
    cr_assert_eq(s.use, IDM_USE_AUTO);
}

Test(platform_settings, messages_are_ascii)
{
    struct idm_settings s;
    write_file(ETC, "[tpm]\nuse = g\xc3\xa4hn\xff\n");
    cr_assert_eq(read_settings(&s, NULL, NULL), 0);
    cr_assert(s.invalid);
    cr_assert(strstr(s.invalid_error.why, "= g??hn?: "), "%s", s.invalid_error.why);
    cr_assert(strstr(s.invalid_error.todo, "auto | required | never"));
}

Test(platform_settings, algorithm_names)
{
    for (int a = IDM_ECDSA_P256; a <= IDM_RSA_2048; a++)
        cr_assert_eq((int)idm_algorithm_of(idm_algorithm_name((enum idm_algorithm)a)), a);
    cr_assert_str_eq(idm_algorithm_name(IDM_ECDSA_P384), "ecdsa-p384");
    cr_assert_null(idm_algorithm_name(IDM_ALG_NONE));
    cr_assert_eq(idm_algorithm_of("rsa-4096"), IDM_ALG_NONE);
    cr_assert_eq(idm_algorithm_of(NULL), IDM_ALG_NONE);
}
