/* SPDX-License-Identifier: BSD-2-Clause */
/* life_device.h - what the tests through the shipped programs share: one device per test, and words
 * to judge it by.
 *
 *     LIFE(row_5)                              a suite whose tests close their device
 *     Test(row_5, …)
 *     {
 *         open_device(NULL);
 *         boot(0);                             power cycle, `idmode boot`, its exit code
 *         status_is("tpm", "tpm-dual", "");    mode, state, reasons (exactly, in any order)
 *     }
 *
 * Criterion gives each test a process of its own, so the device may be a static.
 */
#ifndef IDM_TESTS_LIFE_LIFE_DEVICE_H
#define IDM_TESTS_LIFE_LIFE_DEVICE_H

#include "tests/support/device.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define IDMODE IDM_TEST_BUILD_DIR "/bin/idmode"

#define CONFIG_CERT    "/config/device.cert.pem"
#define CONFIG_KEY     "/config/device.key.pem"
#define CONFIG_RECORD  "/config/idmode/record"
#define CONFIG_TSS2    "/config/idmode/tpm.key.pem"
#define CONFIG_TPM     "/config/idmode/tpm.cert.pem"
#define PERSIST_RECORD "/persist/idmode/record"
#define PERSIST_TSS2   "/persist/idmode/tpm.key.pem"
#define PERSIST_TPM    "/persist/idmode/tpm.cert.pem"
#define PERSIST_KEY    "/persist/idmode/legacy.key.pem"
#define PERSIST_CERT   "/persist/idmode/legacy.cert.pem"
#define MARKER         "/persist/config/tpm_in_use"
#define TRACE          "/run/idmode/trace"

#define TPM_CONF(text)   "[tpm]\n" text "\n"
#define NO_OTHER_SLOT    "[image]\nother-slot = none\n"
#define OTHER_SLOT_AWARE "[image]\nother-slot = aware\n"

static struct idm_device device;

#define OK(call) cr_assert_eq((call), 0, "%s: %s", #call, device.error)

static inline void close_device(void)
{
    idm_device_close(&device);
}

#define LIFE(suite) TestSuite(suite, .timeout = 120, .fini = close_device)

/* A process that is killed loses nothing on a disk either: memory serves as well where a test syncs a
 * thousand times, and faster. */
static inline void use_memory(void)
{
    if (access("/dev/shm", W_OK | X_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 0);
}

#define LIFE_IN_MEMORY(suite)                                                                      \
    TestSuite(suite, .timeout = 120, .init = use_memory, .fini = close_device)

static inline void open_device(const struct idm_device_options *options)
{
    OK(idm_device_open(&device, options));
}

/* ---- power ---- */

static inline void boot(int exit_code)
{
    OK(idm_device_boot(&device));
    cr_assert_eq(device.exit_code, exit_code, "boot %u exits with %d, not %d", device.boots,
                 device.exit_code, exit_code);
}

/* A device whose first image was a legacy one and which now runs idmode: a software identity. */
static inline void open_software_device(const char *conf, bool without_tpm)
{
    open_device(
        &(struct idm_device_options){.legacy = true, .conf = conf, .without_tpm = without_tpm});
    boot(0);
    cr_assert(device.minted);
    OK(idm_device_put_image(&device, 0, true, "2.0"));
    boot(0);
}

/* Runs idmode without a power cycle; exit code. Arguments ended by NULL. */
#define RUN(...)                                                                                   \
    ({                                                                                             \
        OK(idm_device_idmode(&device, NULL, __VA_ARGS__, NULL));                                   \
        device.exit_code;                                                                          \
    })

/* ---- status ---- */

static inline bool has_reason(const json_t *status, const char *word, size_t length)
{
    const json_t *reasons = json_object_get(status, "reasons");

    for (size_t i = 0; i < json_array_size(reasons); i++) {
        const char *reason = json_string_value(json_array_get(reasons, i));

        if (strlen(reason) == length && memcmp(reason, word, length) == 0)
            return true;
    }
    return false;
}

/* reasons: words with single spaces between them; "": none. */
static inline bool reasons_are(const json_t *status, const char *reasons)
{
    size_t wanted = 0;

    for (const char *at = reasons; *at != '\0'; wanted++) {
        size_t length = strcspn(at, " ");

        if (!has_reason(status, at, length))
            return false;
        at += length + (at[length] == ' ');
    }
    return json_array_size(json_object_get(status, "reasons")) == wanted;
}

static inline const char *status_text(const json_t *status, const char *part, const char *key)
{
    const char *text = json_string_value(
        json_object_get(part != NULL ? json_object_get(status, part) : status, key));

    return text != NULL ? text : "";
}

/* mode NULL: any. A held device has the mode "unknown". */
static inline void status_is(const char *mode, const char *state, const char *reasons)
{
    json_t *status;
    char *text;

    OK(idm_device_status(&device, &status));
    text = json_dumps(status, JSON_INDENT(1));
    bool good = (mode == NULL || strcmp(status_text(status, NULL, "mode"), mode) == 0) &&
                strcmp(status_text(status, NULL, "state"), state) == 0 &&
                reasons_are(status, reasons);
    cr_assert(good, "not mode %s, state %s, reasons \"%s\" but %s", mode != NULL ? mode : "any",
              state, reasons, text);
    free(text);
    json_decref(status);
}

static inline long long status_epoch(void)
{
    json_t *status;

    OK(idm_device_status(&device, &status));
    long long epoch = json_integer_value(json_object_get(status, "epoch"));
    json_decref(status);
    return epoch;
}

static inline void held_for(const char *state, const char *reasons)
{
    json_t *status;

    status_is("unknown", state, reasons);
    OK(idm_device_status(&device, &status));
    cr_assert(json_is_true(json_object_get(status, "held")));
    json_decref(status);
}

static inline void traced(const char *words, bool wanted)
{
    char *trace;

    OK(idm_device_read(&device, TRACE, &trace, NULL));
    cr_assert_eq(strstr(trace, words) != NULL, wanted, "\"%s\" in %s", words, trace);
    free(trace);
}

/* ---- identity ---- */

static inline struct idm_device_identity active(void)
{
    struct idm_device_identity identity = {0};

    OK(idm_device_active(&device, &identity));
    cr_assert(identity.works, "the active key does not sign under the active certificate");
    return identity;
}

static inline void still(const struct idm_device_identity *before)
{
    struct idm_device_identity now = active();

    cr_assert_str_eq(now.cert_sha256, before->cert_sha256);
    cr_assert_str_eq(now.spki_sha256, before->spki_sha256);
}

static inline struct idm_device_identity legacy_pair(void)
{
    struct idm_device_identity identity = {0};
    enum idm_legacy_view view;

    OK(idm_device_legacy(&device, &view, &identity));
    cr_assert_eq(view, IDM_LEGACY_VIEW_WORKS, "the legacy view is %s", idm_legacy_view_name(view));
    return identity;
}

/* ---- exact bytes ---- */

struct kept {
    const char *path;
    char *data;
    size_t size;
};

static inline struct kept keep(const char *path)
{
    struct kept kept = {.path = path};

    OK(idm_device_read(&device, path, &kept.data, &kept.size));
    return kept;
}

static inline bool same_bytes(const struct kept *kept)
{
    char *data;
    size_t size;

    if (idm_device_read(&device, kept->path, &data, &size) != 0)
        return false;
    bool same = size == kept->size && memcmp(data, kept->data, size) == 0;
    free(data);
    return same;
}

static inline void drop(struct kept *kept)
{
    free(kept->data);
    *kept = (struct kept){0};
}

static inline void exact(struct kept *kept)
{
    cr_assert(same_bytes(kept), "%s has other bytes than before", kept->path);
}

/* ---- other programs ---- */

/* A shell command in the device's base directory: $ROOT its disk, $IDMODE and $TCTI to reach it.
 * Its exit code; the output is shown when it is not `exit_code`. */
__attribute__((format(printf, 2, 3))) static inline void shell(int exit_code, const char *format,
                                                               ...)
{
    _cleanup_run_ struct idm_run run = {0};
    char command[4096] = "cd $BASE; ", root[320], base[320], tools[320], openssl[320], tcti[320];
    va_list arguments;

    va_start(arguments, format);
    size_t start = strlen(command);
    int size = vsnprintf(command + start, sizeof(command) - start, format, arguments);
    va_end(arguments);
    cr_assert(size > 0 && (size_t)size < sizeof(command) - start);
    snprintf(root, sizeof(root), "ROOT=%s", device.root);
    snprintf(base, sizeof(base), "BASE=%s", device.base);
    snprintf(tcti, sizeof(tcti), "TCTI=%s", device.tcti);
    snprintf(tools, sizeof(tools), "TPM2TOOLS_TCTI=%s", device.tcti);
    snprintf(openssl, sizeof(openssl), "TPM2OPENSSL_TCTI=%s", device.tcti);
    const char *const env[] = {root, base, tcti, tools, openssl, "IDMODE=" IDMODE,
                               /* a sanitizer cannot look for leaks under strace */
                               "ASAN_OPTIONS=exitcode=99:detect_leaks=0", "TSS2_LOG=all+none",
                               NULL};
    const struct idm_run_options options = {.env = env};
    cr_assert_eq(idm_run(&run, &options, (const char *const[]){"sh", "-ec", command, NULL}), 0);
    cr_assert_eq(run.exit_code, exit_code, "exit %d, not %d: %s\n%s%s", run.exit_code, exit_code,
                 command, run.out, run.err);
}

#endif
