/* SPDX-License-Identifier: BSD-2-Clause */
/* settings.h - the configuration as values: what idmode.conf says, checked once, then only read.
 *
 * docs and contract call each key by [section] and name; a field here has the same name with
 * underscores. idm_settings_read() is the only place that knows the file format (INI).
 */
#ifndef IDM_BACKENDS_SETTINGS_H
#define IDM_BACKENDS_SETTINGS_H

#include "backends/error.h"

#include <stdint.h>
#include <stdio.h>

#define IDM_PATH_SIZE      256u /* longest configured path, with its 0 */
#define IDM_SLOT_NAME_SIZE 32u  /* "rootfs.0", "A": with its 0 */
#define IDM_SLOTS          2u   /* A and B: what every updater that we serve has */
#define IDM_VERSION_SIZE   64u

/* [paths] require-mount: which directories must be mount points before their emptiness is believed
 */
enum idm_require_mount {
    IDM_MOUNT_AUTO,
    IDM_MOUNT_NONE,
    IDM_MOUNT_CONFIG,
    IDM_MOUNT_PERSIST,
    IDM_MOUNT_BOTH, /* "config persist" */
};
enum idm_tpm_use { IDM_USE_AUTO, IDM_USE_REQUIRED, IDM_USE_NEVER };
enum idm_key_storage { IDM_STORE_BOTH, IDM_STORE_TSS2, IDM_STORE_PERSISTENT };
enum idm_reset_how { IDM_RESET_REKEY, IDM_RESET_CLEAR };
enum idm_algorithm { IDM_ALG_NONE, IDM_ECDSA_P256, IDM_ECDSA_P384, IDM_RSA_2048 };
enum idm_certificate { IDM_CERT_SELF_SIGNED, IDM_CERT_CA };
enum idm_legacy_key { IDM_LEGACY_AUTO, IDM_LEGACY_SEAL, IDM_LEGACY_KEEP, IDM_LEGACY_NONE };
enum idm_on_cert_loss { IDM_LOSS_TPM_KEY, IDM_LOSS_SAME_IDENTITY };
enum idm_controller_keeps { IDM_KEEPS_BOTH, IDM_KEEPS_ONE };
enum idm_other_slot { IDM_OTHER_AUTO, IDM_OTHER_AWARE, IDM_OTHER_LEGACY, IDM_OTHER_NONE };
enum idm_bootenv_backend { IDM_BOOTENV_UBOOT, IDM_BOOTENV_COMMAND, IDM_BOOTENV_NONE };
enum idm_bootenv_scheme {
    IDM_SCHEME_AUTO,
    IDM_SCHEME_RAUC,
    IDM_SCHEME_BOOTCOUNT,
    IDM_SCHEME_USTATE,
    IDM_SCHEME_CUSTOM
};

struct idm_settings {
    /* [paths], all relative to the root */
    char config_dir[IDM_PATH_SIZE];
    char persist_dir[IDM_PATH_SIZE];
    enum idm_require_mount require_mount;
    bool config_remount;
    /* [tpm] */
    enum idm_tpm_use use;
    uint32_t wait_ms;
    char tcti[IDM_PATH_SIZE]; /* "none": there is no TPM */
    enum idm_key_storage key_storage;
    uint32_t device_handle;
    uint32_t parent_handle;
    uint32_t srk_handle;
    uint32_t counter_index;
    char owner_auth_file[IDM_PATH_SIZE]; /* empty: empty authorisation */
    enum idm_reset_how reset;
    /* [identity] */
    enum idm_algorithm algorithm;
    enum idm_certificate certificate;
    char subject[IDM_PATH_SIZE];
    uint32_t lifetime_days;
    enum idm_legacy_key legacy_key;
    enum idm_on_cert_loss on_cert_loss;
    enum idm_controller_keeps controller_keeps;
    /* [image] */
    bool aware;
    char version[IDM_VERSION_SIZE]; /* "os-release": VERSION_ID of ROOT/etc/os-release */
    char slot[IDM_SLOT_NAME_SIZE];  /* "auto" */
    enum idm_other_slot other_slot;
    struct {
        char name[IDM_SLOT_NAME_SIZE]; /* empty: not configured */
        char path[IDM_PATH_SIZE];
    } slots[IDM_SLOTS];
    /* [bootenv] */
    enum idm_bootenv_backend bootenv_backend;
    char bootenv_config[IDM_PATH_SIZE];
    char bootenv_command[IDM_PATH_SIZE];
    enum idm_bootenv_scheme bootenv_scheme;
    char bootenv_trial_when[128];
    /* [access], [hooks] */
    char access_group[64];
    char hooks_directory[IDM_PATH_SIZE];
    uint32_t hooks_timeout_ms;
    bool verbose; /* not from a file: the trace goes to standard error as well */
    /* At least one value was invalid, or a line or file could not be read: the commands that must go on (boot,
     * mode, status, hook) do without it, say so, and report the reason settings-invalid; all others exit 2.
     */
    bool invalid;
    struct idm_error invalid_error; /* the first one, with file and line */
    /* It may have said where the directories are: where no record is found in these, it may lie in others, and
     * nothing is derived from its absence. */
    bool places_unknown;
};

/* The documented defaults. */
void idm_settings_default(struct idm_settings *ret);

/* Reads ROOT/usr/lib/idmode/idmode.conf, ROOT/etc/idmode/idmode.conf and
 * ROOT/etc/idmode/idmode.conf.d/(*.conf), later wins; or, when `config` is set, that file alone, as
 * it stands and not under root. Missing files are fine, but for an explicit `config`. Unknown keys and
 * sections are warned about on `warnings` (may be NULL), one line with file and line each. A value that is
 * invalid leaves the default in place; a line that is not INI, and a file that is unreadable or not a regular
 * file, is as if it were not there: each sets ret->invalid, and everything else counts. 0, also then;
 * IDM_E_MEMORY, for want of memory or descriptors: *ret holds the defaults, without `invalid`, and nobody may
 * go on with them. `root` without a trailing slash; "" is the machine itself. */
int idm_settings_read(struct idm_settings *ret, const char *root, const char *config,
                      FILE *warnings, struct idm_error *err) IDM_NODISCARD;

/* "ecdsa-p256" and back; names as in the configuration. NULL / IDM_ALG_NONE when unknown. */
const char *idm_algorithm_name(enum idm_algorithm algorithm);
enum idm_algorithm idm_algorithm_of(const char *name);

#endif
