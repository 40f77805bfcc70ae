/* SPDX-License-Identifier: BSD-2-Clause */
/* device.h - a whole device of real parts in a scratch directory: files, a software TPM, a U-Boot
 * environment, two system slots, an updater, and the shipped idmode.
 *
 *     BASE/root            the device's disk, idmode's --root
 *          ├ config/  persist/                 kept across images
 *          ├ run/                              emptied at each boot
 *          ├ slots/a.img  b.img                what is installed; no file: empty slot
 *          ├ boot/uboot.env  uboot-redund.env
 *          ├ etc/idmode/idmode.conf  etc/fw_env.config  etc/machine-id  etc/os-release
 *          ├ proc/cmdline  proc/sys/kernel/random/boot_id
 *          └ sys/class/dmi/id/product_serial
 *     BASE/bootloader/     what the bootloader knows, and the tools' view of its environment
 *     BASE/snapshots/      copies of config and persist
 *     BASE/frozen/         copies of everything, the chip's memory included
 *
 *     power on:  TPM reset ─► run/ emptied, new boot_id ─► bootloader picks a slot
 *                  ─► aware image: idmode boot │ legacy image: its model (legacy.h)
 *
 * Every function that can fail returns 0, or -1 with device->error saying why; some say 1, as
 * noted. A program that crashed, hung or tripped a sanitizer is always -1; an exit code of idmode
 * never is, it stands in device->exit_code. All waiting is bounded. Paths are the device's
 * ("/config/x"). Nothing here knows Criterion.
 */
#ifndef IDM_TESTS_SUPPORT_DEVICE_H
#define IDM_TESTS_SUPPORT_DEVICE_H

#include "tests/support/bootloader.h"
#include "tests/support/legacy.h"
#include "tests/support/run.h"
#include "tests/support/swtpm.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IDM_DEVICE_VERSION_SIZE 64u
#define IDM_DEVICE_HEX_SIZE     65u /* SHA-256 in hex, terminated */
#define IDM_DEVICE_SLOTS        2
#define IDM_DEVICE_SAID_SIZE    512u
#define IDM_DEVICE_ACTION_SIZE  64u

struct idm_device_image {
    bool present;
    bool aware;
    char version[IDM_DEVICE_VERSION_SIZE];
};

struct idm_device_options {
    bool without_tpm;            /* --tcti none */
    bool legacy;                 /* the image in slot A; otherwise aware. Slot B is empty */
    const char *version;         /* of that image; NULL: "1.0" */
    bool rsa;                    /* RSA-2048 for legacy pairs and [identity] algorithm */
    enum idm_boot_scheme scheme; /* zero: BOOTCOUNT */
    unsigned bootlimit;          /* 0: 1000, so that only a test's word ends a trial */
    const char *conf;            /* text for etc/idmode/idmode.conf.d/50-test.conf; NULL: none */
    const char *serial; /* DMI serial number; NULL: one of its own; "": the device has none */
};

/* What happens to an installation. */
enum idm_device_install_end {
    IDM_INSTALL_ARMED, /* the other slot boots next, on trial */
    /* the updater dies and nobody tells idmode: */
    IDM_INSTALL_DIES_AFTER_PRE,
    IDM_INSTALL_DIES_AFTER_WRITE,
    IDM_INSTALL_DIES_AFTER_POST,
    IDM_INSTALL_WRITE_FAILS, /* half an image; hook install-failed; not armed */
};

struct idm_device_install {
    bool aware;            /* kind of the new image */
    const char *version;   /* NULL: "2.0" */
    const char *said;      /* --target-aware "yes", "no", "unknown"; NULL: the truth */
    const char *format;    /* --target-format; NULL: not given */
    bool skip_pre_install; /* the updater does not call this hook */
    bool skip_post_install;
    enum idm_device_install_end end;
};

/* Where idmode is killed: at a call to the kernel that changes something (tests/cuts/idm_kill.c), or at a
 * command to the chip (tests/tools/tcti_shim.c). */
enum idm_device_kill {
    IDM_KILL_NONE,
    IDM_KILL_COUNTS, /* nowhere: calls and commands are logged only */
    IDM_KILL_BEFORE_CALL,
    IDM_KILL_AFTER_CALL,
    IDM_KILL_BEFORE_COMMAND, /* the chip does not see it */
    IDM_KILL_AFTER_COMMAND,  /* the chip has carried it out, its answer never arrives */
};

/* What the file systems of config and persist do to idmode (tests/tools/disk.c). */
enum idm_device_disk { IDM_DISK_OK, IDM_DISK_FULL, IDM_DISK_READ_ONLY };

struct idm_device {
    char base[256];
    char root[272];
    char error[640]; /* of the last function that failed */

    struct idm_swtpm tpm;
    bool has_tpm;
    char tcti[256]; /* what --tcti gets; a test may put another one here */

    struct idm_bootloader bootloader;
    bool rsa;

    /* The last boot. */
    unsigned boots;                   /* 0: not yet */
    int slot;                         /* that runs: 0 is A, 1 is B */
    struct idm_device_image image;    /* that runs */
    enum idm_legacy_view legacy_view; /* of a legacy image's boot */
    bool minted;                      /* the legacy image made a new pair in it */

    /* The last run of idmode. */
    unsigned long runs; /* so far */
    int exit_code;
    bool was_cut;                    /* the power went in it */
    char said[IDM_DEVICE_SAID_SIZE]; /* what it said on stderr, as far as it fits */

    /* The last installation, for hooks. */
    unsigned installs;
    int target_slot;
    const char *target_aware; /* static string */
    char target_version[IDM_DEVICE_VERSION_SIZE];
    char target_format[16]; /* empty: not said */

    /* For the next runs; set by idm_device_cut_… and idm_device_clock; `disk` and `fat` (config is on
     * FAT) by hand. */
    bool count_steps;
    bool cut_lasts; /* over several runs, until idm_device_cut_end */
    unsigned long cut_at;
    char cut_after[IDM_DEVICE_ACTION_SIZE]; /* empty: after no action */
    enum idm_device_kill kill;
    unsigned long kill_at; /* from 1 */
    bool clock_set;
    int64_t clock;
    enum idm_device_disk disk;
    bool fat;
};

/* A device that was never switched on. options may be NULL. On failure everything made is removed
 * again; device->error still says why. */
int idm_device_open(struct idm_device *ret, const struct idm_device_options *options);

/* Kills the TPM and removes the tree. NULL and a zeroed struct are fine. */
void idm_device_close(struct idm_device *device);

/* ---- power -------------------------------------------------------------------------------------
 */

/* One power cycle and one run of whatever image the bootloader picks. */
int idm_device_boot(struct idm_device *device);

/* The power goes right after the n-th durable step (tests/tools/cut.c) of the next run of idmode,
 * that of the next boot included; 0: only counts. */
void idm_device_cut_at(struct idm_device *device, unsigned long n);

/* From now on the runs of idmode are counted as one, and the power goes right after the n-th of all
 * their durable steps (0: never), or right after the action of that name (NULL: none), which is a
 * word of enum idm_action. Until idm_device_cut_end, or the cut. */
void idm_device_cut_begin(struct idm_device *device, unsigned long n, const char *after);
void idm_device_cut_end(struct idm_device *device);

/* From now on the runs of idmode are one: they log what they do, and idmode is killed at its n-th call or
 * command. Until idm_device_cut_end or the kill, which counts as a cut. */
#define IDM_DEVICE_CALLS    "logged-calls"    /* below BASE: the log of idm-kill */
#define IDM_DEVICE_COMMANDS "logged-commands" /* below BASE: the log of tcti_shim */
void idm_device_kill_begin(struct idm_device *device, enum idm_device_kill kill, unsigned long n);

/* Durable steps that the last counted run took; with idm_device_cut_begin, all runs since then. */
unsigned long idm_device_steps(const struct idm_device *device);

/* Each run of idmode from now on starts at this wall clock time, in seconds since 1970. */
void idm_device_clock(struct idm_device *device, int64_t seconds);
void idm_device_clock_real(struct idm_device *device);

/* ---- idmode ------------------------------------------------------------------------------------
 */

/* Runs the shipped `idmode --root … --tcti … ARGS`, whatever image runs. input: stdin, NULL: empty.
 * ret_run (may be NULL) gets its output; the caller frees it. */
int idm_device_run(struct idm_device *device, struct idm_run *ret_run, const char *input,
                   size_t input_size, const char *const args[]);

/* The same without input, arguments ended by NULL. */
int idm_device_idmode(struct idm_device *device, struct idm_run *ret_run, const char *arg, ...)
    __attribute__((sentinel));

/* `idmode status --json`, parsed; the caller frees it with json_decref. */
int idm_device_status(struct idm_device *device, json_t **ret_status);

/* ---- updater -----------------------------------------------------------------------------------
 */

/* Puts an image into the slot that does not run. Hooks are called only where the running image is
 * aware. 1 when pre-install refused (any exit code but 0): nothing was written then. NULL: an aware
 * image, version 2.0. */
int idm_device_install(struct idm_device *device, const struct idm_device_install *install);

/* The updater accepts the running image; with_hook: and says so to an aware one, afterwards. */
int idm_device_commit(struct idm_device *device, bool with_hook);

/* The bootloader gives up on the running slot; the next boot shows it. */
int idm_device_fallback(struct idm_device *device);

/* One hook call with the last installation's slot, version and id: spurious, late or repeated ones.
 */
int idm_device_hook(struct idm_device *device, const char *phase);

/* What stands in a slot now; an unreadable or half-written image is not present. */
struct idm_device_image idm_device_slot(const struct idm_device *device, int slot);

/* Writes an image into a slot behind the updater's back. */
int idm_device_put_image(struct idm_device *device, int slot, bool aware, const char *version);

/* ---- files -------------------------------------------------------------------------------------
 */

bool idm_device_exists(const struct idm_device *device, const char *path);

/* The whole file, terminated; owned by the caller. ret_size may be NULL. */
int idm_device_read(struct idm_device *device, const char *path, char **ret_data, size_t *ret_size);

/* Replaces a file, making its directories. */
int idm_device_write(struct idm_device *device, const char *path, const void *data, size_t size);
int idm_device_write_text(struct idm_device *device, const char *path, const char *text);

/* Cuts a file to half its size, as a torn write leaves it. */
int idm_device_tear(struct idm_device *device, const char *path);

/* Removes a file or a tree; absent is success. */
int idm_device_delete(struct idm_device *device, const char *path);

/* Copies config and persist aside; puts that copy back in place of what is there now. */
int idm_device_snapshot(struct idm_device *device, const char *name);
int idm_device_restore(struct idm_device *device, const char *name);

/* ---- the chip, and all of it -------------------------------------------------------------------
 */

/* Another chip takes the place of the device's own one; once more, and its own one is back. */
int idm_device_chip_swap(struct idm_device *device);

/* Somebody else's TPM2_Clear. */
int idm_device_chip_clear(struct idm_device *device);

/* Does this TSS2 file, wherever it was kept, sign in the chip? */
int idm_device_chip_signs(struct idm_device *device, const char *tss2, size_t size,
                          bool *ret_signs);

/* Keeps the device as it stands, its chip's memory included; puts it back. The chip is reset then,
 * as it is by every boot. */
int idm_device_freeze(struct idm_device *device, const char *name);
int idm_device_thaw(struct idm_device *device, const char *name);

/* A second device in the same state, its chip's volatile memory included; independent from then on.
 * Its chip starts when idm_swtpm_resume, or the next boot, starts it. On failure nothing is left and
 * ret->error says why. What was frozen is not copied. */
int idm_device_copy(struct idm_device *ret, struct idm_device *device);

/* ---- who is it? --------------------------------------------------------------------------------
 */

struct idm_device_identity {
    char cert_sha256[IDM_DEVICE_HEX_SIZE]; /* of the first certificate's DER */
    char spki_sha256[IDM_DEVICE_HEX_SIZE]; /* of its SubjectPublicKeyInfo */
    bool works;                            /* the key signed a fresh challenge that this certificate
                                              verifies */
};

/* The identity that TLS would use in this boot: under an aware image /run/idmode/device.cert.pem
 * and `idmode sign`, under a legacy one the pair in /config. 1 when there is none. */
int idm_device_active(struct idm_device *device, struct idm_device_identity *ret);

/* The pair in /config, as a legacy image would find it. ret (may be NULL) is written where the
 * certificate can be read, else zeroed. */
int idm_device_legacy(struct idm_device *device, enum idm_legacy_view *ret_view,
                      struct idm_device_identity *ret);

/* For device_*.c: sets device->error, returns -1. */
int idm_device_fail(struct idm_device *device, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* For device_*.c: an empty scratch directory; fills base and root. */
int idm_device_make_base(struct idm_device *device);

/* For device_*.c: "ROOT" and a device path. */
#define IDM_DEVICE_PATH_SIZE 1024u
void idm_device_path(const struct idm_device *device, const char *path,
                     char ret_path[IDM_DEVICE_PATH_SIZE]);

/* For device_*.c: copies a tree of real paths over whatever stands there. */
int idm_device_replace_tree(struct idm_device *device, const char *from, const char *to);

/* For device_*.c: removes a real path, whatever it is; absent is success. -1 with errno. */
int idm_device_remove_tree(const char *real_path);

#endif
