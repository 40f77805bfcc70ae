/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c - idmode-signd. */
#include "cli/signd/signd.h"

#include "backends/store/inroot.h"
#include "cli/options.h"
#include "engine/engine.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>

#define SAY_AGAIN_MS 10000

int64_t idm_signd_now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void idm_signd_log(const struct idm_error *err)
{
    static int64_t
        again_at[IDM_ERROR_COUNT]; /* by code: of two that alternate neither is said more often */
    char text[640];
    int64_t now = idm_signd_now_ms();
    size_t code = (size_t)-err->code;
    if (code < IDM_ERROR_COUNT && now < again_at[code])
        return;
    if (code < IDM_ERROR_COUNT)
        again_at[code] = now + SAY_AGAIN_MS;
    idm_error_text(err, text, sizeof text);
    (void)fprintf(stderr, "idmode-signd: %s\n", text);
}

static int say(const struct idm_error *err, int code)
{
    char text[640];
    idm_error_text(err, text, sizeof text);
    (void)fprintf(stderr, "idmode-signd: %s\n", text);
    switch (code) {
    case IDM_E_USAGE:
    case IDM_E_SETTINGS:
        return IDM_EXIT_USAGE;
    case IDM_E_LOCK:
        return IDM_EXIT_LOCKED;
    default:
        return IDM_EXIT_FAILED;
    }
}

static void print_help(void)
{
    (void)puts(
        "idmode-signd - signs with the device's identity for those who may\n\n"
        "usage: idmode-signd [OPTIONS]\n\n"
        "  --root DIR     every path lies below DIR\n"
        "  --config FILE  this configuration, as it stands\n"
        "  --tcti STRING  how to reach the TPM; otherwise as idmode boot reached it\n"
        "  -q, --help, --version\n\n"
        "Serves /run/idmode/sign.sock, or the socket that systemd passes, to root and to the\n"
        "members of [access] group. Ends at SIGTERM with 0; 2 usage or configuration, 4 another\n"
        "one serves the socket, 5 failed.");
}

/* It may hold a private key: no core dump, no debugger. */
static void harden(void)
{
    const struct rlimit none = {0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)umask(077);
}

static int stop_signals(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -1;
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Until SIGTERM. */
static int serve(const struct idm_door *door, struct idm_keyring *ring, int stop,
                 struct idm_error *err)
{
    int rc = idm_worker_open(&ring->worker, ring->ctx, err);
    if (rc)
        return rc;
    return idm_signd_serve(door, ring, ring->worker, stop, err);
}

static int run(const struct idm_options *options, struct idm_error *err)
{
    static struct idm_settings settings; /* large */
    struct idm_door door;
    struct idm_keyring ring = {0};
    int rc = idm_settings_read(&settings, options->root, options->config,
                               options->quiet ? NULL : stderr, err);
    if (rc)
        return rc;
    /* An invalid value does not take TLS away: of the group the default counts, which lets nobody in whom the
     * packages did not let in. */
    if (settings.invalid && !options->quiet) {
        char text[640];
        idm_error_text(&settings.invalid_error, text, sizeof text);
        (void)fprintf(stderr, "idmode-signd: %s\n", text);
    }
    uint8_t hash[IDM_SHA256_SIZE];
    /* What OpenSSL looks up in vain for want of memory it never finds again: better a new process. */
    if (!idm_active_libctx() || idm_sha256("", 0, hash))
        return idm_fail(err, IDM_E_MEMORY, "start", "OpenSSL has no memory");
    rc = idm_active_open(&ring.ctx, options->root, options->tcti, err);
    if (rc)
        return rc;
    idm_active_is_alone(ring.ctx);
    _cleanup_close_ int stop = stop_signals();
    if (stop < 0)
        rc = idm_fail_errno(err, IDM_E_STORAGE, "watch for signals", errno);
    if (rc == 0)
        rc = idm_door_open(&door, options->root, settings.access_group, err);
    if (rc == 0) {
        rc = serve(&door, &ring, stop, err);
        idm_door_close(&door);
    }
    if (!idm_worker_close(ring.worker))
        _exit(rc ? say(err, rc) : 0); /* what its thread still holds must not be taken away */
    idm_keyring_free(&ring);
    return rc;
}

int main(int argc, char **argv)
{
    struct idm_options options;
    struct idm_error err = {0};
    if (!idm_options_open_standard())
        return IDM_EXIT_FAILED;
    (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL); /* it needs no other providers */
    harden();
    (void)signal(SIGPIPE, SIG_IGN);
    /* What a chip answers is told in our words; who wants the library's says so (TSS2_LOG). */
    (void)setenv("TSS2_LOG", "all+none", 0);
    if (!idm_options_parse(&options, argc, argv))
        return idm_options_misused(argv);
    if (options.version)
        return printf("idmode-signd %s\n", IDM_VERSION) < 0 ? IDM_EXIT_FAILED : 0;
    if (options.help)
        return print_help(), 0;
    if (options.words || !idm_options_fit(&options, "signd")) {
        (void)fprintf(stderr, "idmode-signd: usage: it takes no command (see --help)\n");
        return IDM_EXIT_USAGE;
    }
    int rc = run(&options, &err);
    return rc ? say(&err, rc) : 0;
}
