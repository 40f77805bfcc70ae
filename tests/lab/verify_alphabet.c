/* SPDX-License-Identifier: BSD-2-Clause */
/* verify_alphabet.c - the devices and steps that verify tries, read by the reader of scenarios: a
 * violation is printed in the same words. */
#include "tests/lab/verify.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Both lists only grow at their ends: lives that were found (found.lives) are numbers into them. */
static const char *const devices[] = {
    "{tpm: usable}",
    "{tpm: usable, config: {other-slot: aware}}",
    "{tpm: usable, aware: no}",
    "{tpm: absent}",
    "{tpm: usable, filesystem: fat}",
    "{tpm: usable, other-slot: legacy, config: {legacy-key: seal}}",
    "{tpm: usable, filesystem: fat, aware: no}",
    "{tpm: usable, config: {key-storage: tss2}}",
    "{tpm: usable, config: {key-storage: persistent, other-slot: none}}",
    "{tpm: usable, config: {legacy-key: none}}",
    "{tpm: usable, bootenv: rauc, filesystem: fat, config: {other-slot: aware}}",
    "{tpm: usable, bootenv: none}",
    "{tpm: usable, config: {reset: clear}}",
    "{tpm: owned}",
    "{tpm: usable, aware: no, config: {on-cert-loss: same-identity}}",
    "{tpm: usable, aware: no, config: {controller-keeps: one}}",
    "{tpm: failed}",
    "{tpm: volatile}",
};

static const char *const steps[] = {
    "boot:",
    "install: {aware: yes, version: \"2.0\"}",
    "install: {aware: no, version: \"0.9\"}",
    "commit:",
    "fallback:",
    "factory-reset:",
    "delete: cert",
    "migrate: prepare",
    "migrate: commit",
    "migrate: abort",
    "command: [factory-reset, --yes, --next-boot]",
    "factory-reset: {reset: clear}",
    "command: [factory-reset, --yes, --without-tpm, broken]",
    "install: {aware: yes, version: \"2.0\", hooks: none}",
    "install: {aware: no, version: \"0.9\", hooks: none}",
    "install: {aware: unknown, version: \"2.1\"}",
    "install: {aware: no, version: \"0.9\", killed: pre-install}",
    "install: {aware: no, version: \"0.9\", killed: write}",
    "install: {aware: yes, version: \"2.0\", killed: post-install}",
    "install: {aware: no, version: \"0.8\", fails: write}",
    "install: {aware: yes, version: \"2.0\", late: pre-install}",
    "install: {aware: no, version: \"0.9\", late: post-install}",
    "commit: {hooks: none}",
    "hook: pre-install",
    "hook: post-install",
    "hook: install-failed",
    "hook: commit",
    "hook: rollback",
    "delete: key",
    "delete: marker",
    "delete: record",
    "delete: record-a",
    "delete: persist",
    "delete: config-dir",
    "delete: disk",
    "delete: bootenv",
    "empty: cert",
    "empty: key",
    "empty: record",
    "empty: record-a",
    "empty: config-dir",
    "tear: cert",
    "tear: key",
    "tear: record-a",
    "tear: persist",
    "tear: bootenv",
    "tpm: usable",
    "tpm: absent",
    "tpm: late",
    "tpm: failed",
    "tpm: locked",
    "tpm: owned",
    "tpm: cleared",
    "tpm: replaced",
    "tpm: volatile",
    "tpm: {busy: 3}",
    "clock: bad",
    "clock: good",
    "disk: full",
    "disk: read-only",
    "disk: ok",
    "mount: {config-dir: no}",
    "mount: {config-dir: yes}",
    "mount: {persist: no}",
    "mount: {persist: yes}",
    "snapshot: kept",
    "restore: kept",
    "move-disk:",
    "hold-clear: {reason: tpm-absent, to: retry}",
    "hold-clear: {reason: tpm-absent, to: legacy}",
    "hold-clear: {reason: tpm-replaced, to: legacy}",
    "hold-clear: {reason: tpm-cleared, to: legacy}",
    "hold-clear: {reason: rolled-back, to: accept-epoch}",
    "hold-clear: {reason: witness-lost, to: accept-epoch}",
    "hold-clear: {reason: record-corrupt, to: new-identity}",
    "hold-clear: {reason: record-corrupt, to: reuse}",
    "hold-clear: {reason: cloned, to: new-identity}",
};

#define DEVICES (sizeof devices / sizeof *devices)
#define STEPS   (sizeof steps / sizeof *steps)

const char *verify_device_line(size_t device)
{
    return devices[device];
}

const char *verify_step_line(size_t step)
{
    return steps[step];
}

static int write_document(FILE *to, size_t device)
{
    (void)fprintf(to,
                  "name: all that may happen\nsource: docs/fault-model.md\ndevice: %s\nsteps:\n",
                  devices[device]);
    for (size_t i = 0; i < STEPS; i++)
        (void)fprintf(to, "  - %s\n", steps[i]);
    return fflush(to);
}

static int read_device(struct lab_scenario *ret, size_t device)
{
    struct lab_scenario_error err = {0};
    char path[64];
    int fd = memfd_create("idmode-verify", MFD_CLOEXEC);
    FILE *to = fd < 0 ? NULL : fdopen(fd, "w+");
    int rc = to && write_document(to, device) == 0 ? 0 : -1;
    if (rc == 0) {
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        rc = lab_scenario_read(ret, path, &err);
    }
    if (rc)
        (void)fprintf(stderr, "idmode-lab: verify: device %zu, line %d: %s\n", device, err.line,
                      err.text);
    if (to)
        (void)fclose(to);
    return rc;
}

int verify_alphabet_open(struct verify_alphabet *ret)
{
    struct verify_alphabet alphabet = {.step_count = STEPS};
    alphabet.devices = calloc(DEVICES, sizeof *alphabet.devices);
    if (!alphabet.devices)
        return -1;
    for (; alphabet.device_count < DEVICES; alphabet.device_count++) {
        if (read_device(&alphabet.devices[alphabet.device_count], alphabet.device_count)) {
            verify_alphabet_close(&alphabet);
            return -1;
        }
    }
    *ret = alphabet;
    return 0;
}

void verify_alphabet_close(struct verify_alphabet *alphabet)
{
    for (size_t i = 0; i < alphabet->device_count; i++)
        lab_scenario_free(&alphabet->devices[i]);
    free(alphabet->devices);
    *alphabet = (struct verify_alphabet){0};
}
