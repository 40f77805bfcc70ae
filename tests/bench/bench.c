/* SPDX-License-Identifier: BSD-2-Clause */
/* bench.c - measures a device against its goals: idm-bench RELEASE_BUILD_DIR [tls]. */
#include "tests/bench/bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHIM      IDM_TEST_BUILD_DIR "/tests/tcti_shim.so"
#define TEST_CONF "/etc/idmode/idmode.conf.d/50-test.conf"
#define COMMAND   16 /* words of one idmode command, at most */

struct idm_device bench_device;

/* ---- the table ---- */

void bench_heading(const char *text)
{
    printf("\n%-60s %12s %10s\n", text, "measured", "goal");
}

void bench_row(const char *what, double figure, int decimals, const char *unit, double goal)
{
    char measured[32], wanted[32] = "";

    snprintf(measured, sizeof(measured), "%.*f%s%s", decimals, figure, unit[0] ? " " : "", unit);
    if (goal >= 0)
        snprintf(wanted, sizeof(wanted), "<= %g", goal);
    printf("  %-58s %12s %10s  %s\n", what, measured, wanted,
           goal < 0         ? ""
           : figure <= goal ? "OK"
                            : "MISSED");
    fflush(stdout);
}

void bench_fail(const char *format, ...)
{
    va_list arguments;

    fflush(stdout);
    fprintf(stderr, "idm-bench: ");
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
    idm_device_close(&bench_device);
    exit(1);
}

/* ---- TPM commands ---- */

static void must(int result)
{
    if (result != 0)
        bench_fail("%s", bench_device.error);
}

static void open_device(const struct idm_device_options *options)
{
    idm_device_close(&bench_device);
    must(idm_device_open(&bench_device, options));
}

static void log_path(char ret_path[IDM_DEVICE_PATH_SIZE])
{
    snprintf(ret_path, IDM_DEVICE_PATH_SIZE, "%s/commands", bench_device.base);
}

static void begin_count(void)
{
    char path[IDM_DEVICE_PATH_SIZE];

    log_path(path);
    unlink(path);
    int size = snprintf(bench_device.tcti, sizeof(bench_device.tcti), SHIM ":log=%s,child=%s", path,
                        bench_device.tpm.tcti);
    if (size < 0 || (size_t)size >= sizeof(bench_device.tcti))
        bench_fail("the path %s is too long", path);
}

/* Without a log nothing was asked. */
static unsigned end_count(void)
{
    char path[IDM_DEVICE_PATH_SIZE], line[64];
    unsigned count = 0;

    snprintf(bench_device.tcti, sizeof(bench_device.tcti), "%s", bench_device.tpm.tcti);
    log_path(path);
    FILE *log = fopen(path, "re");
    if (log == NULL)
        return 0;
    while (fgets(line, sizeof(line), log) != NULL)
        count++;
    fclose(log);
    return count;
}

/* Words of `idmode …`; "boot" is a power cycle. */
static void run(const char *text)
{
    char copy[256];
    const char *words[COMMAND + 1] = {NULL};
    size_t n = 0;

    if (strcmp(text, "boot") == 0) {
        must(idm_device_boot(&bench_device));
    } else {
        snprintf(copy, sizeof(copy), "%s", text);
        for (char *word = strtok(copy, " "); word != NULL && n < COMMAND; word = strtok(NULL, " "))
            words[n++] = word;
        must(idm_device_run(&bench_device, NULL, "message", 7, words));
    }
    if (bench_device.image.aware && bench_device.exit_code != 0)
        bench_fail("idmode %s: exit %d: %s", text, bench_device.exit_code, bench_device.said);
}

static void expect(const char *state)
{
    json_t *status;

    must(idm_device_status(&bench_device, &status));
    const char *found = json_string_value(json_object_get(status, "state"));
    if (found == NULL || strcmp(found, state) != 0)
        bench_fail("the device is %s, not %s: nothing to measure", found != NULL ? found : "gone",
                   state);
    json_decref(status);
}

/* What it costs to get to `state` by this command. */
static void count(const char *what, const char *command, const char *state, double goal)
{
    begin_count();
    run(command);
    unsigned commands = end_count();
    expect(state);
    bench_row(what, commands, 0, "", goal);
}

static void software_device(void)
{
    open_device(&(struct idm_device_options){.legacy = true});
    run("boot");
    must(idm_device_put_image(&bench_device, 0, true, "2.0"));
}

static void commands_in_use(void)
{
    bench_heading("TPM commands, in use");
    open_device(NULL);
    run("boot");
    count("steady boot, key by handle", "boot", "tpm-dual", 3);
    count("sign, key by handle", "sign", "tpm-dual", 1);
    open_device(&(struct idm_device_options){.conf = "[tpm]\nkey-storage = tss2\n"});
    run("boot");
    count("steady boot, key by file alone", "boot", "tpm-dual", 5);
    count("sign, key by file alone", "sign", "tpm-dual", BENCH_NO_GOAL);
    software_device();
    run("boot");
    count("steady boot, software", "boot", "software", 0);
    count("sign, software", "sign", "software", 0);
}

static void commands_of_first_use(void)
{
    bench_heading("TPM commands, first use");
    open_device(NULL);
    count("provisioning", "boot", "tpm-dual", BENCH_NO_GOAL);
    open_device(&(struct idm_device_options){.conf = "[image]\nother-slot = aware\n"});
    count("provisioning, no old image can boot", "boot", "tpm", BENCH_NO_GOAL);
    software_device();
    count("adoption of a software pair", "boot", "software", BENCH_NO_GOAL);
}

static void commands_of_moves(void)
{
    bench_heading("TPM commands, moves to the TPM");
    software_device();
    run("boot");
    must(idm_device_delete(&bench_device, "/config/device.cert.pem"));
    count("certificate deleted, boot", "boot", "tpm-dual", BENCH_NO_GOAL);
    software_device();
    run("boot");
    count("migrate prepare", "migrate prepare", "migrating", BENCH_NO_GOAL);
    count("migrate abort", "migrate abort", "software", BENCH_NO_GOAL);
    run("migrate prepare");
    count("migrate commit", "migrate commit", "tpm-dual", BENCH_NO_GOAL);
}

static void commands_of_seals(void)
{
    static const char sealing[] = "[identity]\nlegacy-key = seal\n";

    bench_heading("TPM commands, the legacy key");
    open_device(&(struct idm_device_options){.conf = sealing});
    run("boot");
    must(idm_device_write_text(&bench_device, TEST_CONF,
                               "[identity]\nlegacy-key = seal\n[image]\nother-slot = aware\n"));
    count("sealed (boot)", "boot", "tpm-dual", BENCH_NO_GOAL);
    count("plain copies given up (boot)", "boot", "tpm", BENCH_NO_GOAL);
    count("steady boot, sealed", "boot", "tpm", 3);
    count("unsealed (hook pre-install)",
          "hook pre-install --target-aware no --target-slot B --install-id 1", "tpm-dual",
          BENCH_NO_GOAL);
}

static void commands_of_resets(void)
{
    bench_heading("TPM commands, factory reset");
    open_device(NULL);
    run("boot");
    count("factory-reset", "factory-reset --yes", "tpm-dual", BENCH_NO_GOAL);
    count("the boot after it", "boot", "tpm-dual", BENCH_NO_GOAL);
    count("factory-reset --reset clear", "factory-reset --yes --reset clear", "tpm-dual",
          BENCH_NO_GOAL);
}

/* A file of the device's base directory that holds what a program prints. */
static void tool(const char *out, const char *const argv[])
{
    _cleanup_run_ struct idm_run run_ = {0};
    char path[IDM_DEVICE_PATH_SIZE];

    if (idm_run(&run_, NULL, argv) != 0 || run_.exit_code != 0)
        bench_fail("%s %s: %s", argv[0], argv[1], run_.err != NULL ? run_.err : "not started");
    snprintf(path, sizeof(path), "%s/%s", bench_device.base, out);
    FILE *file = fopen(path, "we");
    if (file == NULL || fwrite(run_.out, 1, run_.out_size, file) != run_.out_size ||
        fclose(file) != 0)
        bench_fail("%s cannot be written", path);
}

/* The controller's word for this chip and this attestation key. */
static void make_credential(char ret_path[IDM_DEVICE_PATH_SIZE])
{
    const char *const idmode = IDM_TEST_BUILD_DIR "/bin/idmode";
    const char *const verify = IDM_TEST_BUILD_DIR "/bin/idmode-verify";
    char ek[IDM_DEVICE_PATH_SIZE], ak[IDM_DEVICE_PATH_SIZE], secret[IDM_DEVICE_PATH_SIZE];

    snprintf(ek, sizeof(ek), "%s/ek", bench_device.base);
    snprintf(ak, sizeof(ak), "%s/ak", bench_device.base);
    snprintf(secret, sizeof(secret), "%s/secret", bench_device.base);
    snprintf(ret_path, IDM_DEVICE_PATH_SIZE, "%s/credential", bench_device.base);
    tool("ek", (const char *const[]){idmode, "--root", bench_device.root, "--tcti",
                                     bench_device.tpm.tcti, "attest", "ek", NULL});
    tool("ak", (const char *const[]){idmode, "--root", bench_device.root, "--tcti",
                                     bench_device.tpm.tcti, "attest", "ak", NULL});
    tool("nonce", (const char *const[]){verify, "challenge", "--ek", ek, "--ak", ak, "--credential",
                                        ret_path, "--secret", secret, NULL});
}

/* What each command is for stands in docs/attestation.md. */
static void commands_of_attestation(void)
{
    static const char nonce[] = "000102030405060708090a0b0c0d0e0f";
    char credential[IDM_DEVICE_PATH_SIZE], text[IDM_DEVICE_PATH_SIZE + 128];

    bench_heading("TPM commands, attestation");
    open_device(NULL);
    run("boot");
    count("attest ek, no certificate (three for the maker's name)", "attest ek", "tpm-dual", 7);
    count("attest ak, the first time", "attest ak", "tpm-dual", 5);
    count("attest ak, there already", "attest ak", "tpm-dual", 0);
    snprintf(text, sizeof(text), "attest quote --nonce %s", nonce);
    count("attest quote", text, "tpm-dual", 4);
    snprintf(text, sizeof(text), "attest certify --nonce %s", nonce);
    count("attest certify", text, "tpm-dual", 3);
    snprintf(text, sizeof(text), "attest evidence --nonce %s", nonce);
    count("attest evidence, AK known to the controller", text, "tpm-dual", 6);
    make_credential(credential);
    snprintf(text, sizeof(text), "attest evidence --nonce %s --credential %s", nonce, credential);
    count("attest evidence with a credential", text, "tpm-dual", 13);
    open_device(&(struct idm_device_options){.conf = "[tpm]\nkey-storage = tss2\n"});
    run("boot");
    run("attest ak");
    snprintf(text, sizeof(text), "attest evidence --nonce %s", nonce);
    count("attest evidence, device key by file alone", text, "tpm-dual", 8);
}

static void bench_judging(const char *release)
{
    (void)release;
    open_device(NULL);
    /* A new chip, shut down as a kernel does it: after a power cut its clock is not safe, which is refused. */
    must(idm_swtpm_replace(&bench_device.tpm));
    must(idm_swtpm_shutdown(&bench_device.tpm));
    run("boot");
    run("attest ak");
    bench_verify();
}

static void bench_device_alone(const char *release)
{
    commands_in_use();
    commands_of_first_use();
    commands_of_moves();
    commands_of_seals();
    commands_of_resets();
    commands_of_attestation();

    bench_heading("Everything else, steady boot with handle");
    open_device(NULL);
    run("boot");
    bench_files();
    bench_memory(release);
    bench_mode(release);
    bench_size(release);
}

static void open_device_in_memory(enum idm_boot_scheme scheme)
{
    const char *before = getenv("TMPDIR");
    char kept[IDM_DEVICE_PATH_SIZE] = "";

    snprintf(kept, sizeof(kept), "%s", before != NULL ? before : "/tmp");
    setenv("TMPDIR", "/dev/shm", 1);
    open_device(&(struct idm_device_options){.scheme = scheme});
    setenv("TMPDIR", kept, 1);
    run("boot");
}

/* Against the same TPM commands alone. What a disk takes for the two fsyncs is the disk's, and counted above: the
 * files are in memory. U-Boot's environment is read too, by a process of its own. */
static void bench_times(const char *release)
{
    bench_heading("Time of a steady boot with handle, files in memory");
    open_device_in_memory(IDM_BOOT_BOOTCOUNT);
    bench_time(release);
    open_device_in_memory(IDM_BOOT_NONE);
    bench_time_alone(release, "boot without a bootloader's environment, emulator");
}

static void bench_tls(const char *release)
{
    (void)release;
    open_device(NULL);
    run("boot");
    bench_tls_tpm();
    bench_tls_software();
}

int main(int argc, char *argv[])
{
    static const struct {
        const char *name;
        void (*run)(const char *release);
    } parts[] = {{"device", bench_device_alone},
                 {"time", bench_times},
                 {"evidence", bench_judging},
                 {"tls", bench_tls}};
    bool any = false;

    for (size_t i = 0; argc >= 2 && argc <= 3 && i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (argc == 3 && strcmp(argv[2], parts[i].name) != 0)
            continue;
        parts[i].run(argv[1]);
        any = true;
    }
    if (!any) {
        fprintf(stderr, "usage: idm-bench RELEASE_BUILD_DIR [device|time|evidence|tls]\n");
        return 2;
    }
    idm_device_close(&bench_device);
    return 0;
}
