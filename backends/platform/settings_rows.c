/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/platform/settings_value.h"

#include <string.h>

#define WORDS(...) ((const struct idm_settings_word[]){__VA_ARGS__, {NULL, 0}})
#define FIELD(f)                                                                                   \
    .offset = offsetof(struct idm_settings, f), .size = sizeof(((struct idm_settings *)NULL)->f)

static const struct idm_settings_word algorithms[] = {{"ecdsa-p256", IDM_ECDSA_P256},
                                                      {"ecdsa-p384", IDM_ECDSA_P384},
                                                      {"rsa-2048", IDM_RSA_2048},
                                                      {NULL, 0}};

/* Handles of persistent objects that the owner may make: TPM 2.0 part 2, 7.8 and the TCG's registry
 * of reserved handles; NV indices: 0x01000000 to 0x01FFFFFF, part 2, 7.4. */
#define HANDLE_LEAST 0x81000000u
#define HANDLE_MOST  0x81FFFFFFu
#define INDEX_LEAST  0x01000000u
#define INDEX_MOST   0x01FFFFFFu
#define MINUTE_MS    60000u

#define HANDLE(k, f, d)                                                                            \
    {                                                                                              \
        .section = "tpm", .key = k, .kind = IDM_KIND_HANDLE, FIELD(f), .standard = d,              \
        .least = HANDLE_LEAST, .most = HANDLE_MOST, .allowed = "0x81000000 to 0x81FFFFFF"          \
    }
#define PATH(s, k, f, d)                                                                           \
    {                                                                                              \
        .section = s, .key = k, .kind = IDM_KIND_PATH, FIELD(f), .standard = d,                    \
        .allowed = "an absolute path without \"..\""                                               \
    }
#define WORD(s, k, f, d, a, w)                                                                     \
    {                                                                                              \
        .section = s, .key = k, .kind = IDM_KIND_WORD, FIELD(f), .standard = d, .allowed = a,      \
        .words = w                                                                                 \
    }
#define BOOL(s, k, f, d)                                                                           \
    {                                                                                              \
        .section = s, .key = k, .kind = IDM_KIND_BOOL, FIELD(f), .standard = d,                    \
        .allowed = "yes | no"                                                                      \
    }

const struct idm_settings_row idm_settings_rows[] = {
    PATH("paths", "config-dir", config_dir, "/config"),
    PATH("paths", "persist-dir", persist_dir, "/persist"),
    WORD("paths", "require-mount", require_mount, "auto",
         "auto | none | config | persist | config persist",
         WORDS({"auto", IDM_MOUNT_AUTO}, {"none", IDM_MOUNT_NONE}, {"config", IDM_MOUNT_CONFIG},
               {"persist", IDM_MOUNT_PERSIST}, {"config persist", IDM_MOUNT_BOTH},
               {"persist config", IDM_MOUNT_BOTH})),
    BOOL("paths", "config-remount", config_remount, "no"),

    WORD("tpm", "use", use, "auto", "auto | required | never",
         WORDS({"auto", IDM_USE_AUTO}, {"required", IDM_USE_REQUIRED}, {"never", IDM_USE_NEVER})),
    {.section = "tpm",
     .key = "wait",
     .kind = IDM_KIND_DURATION,
     FIELD(wait_ms),
     .standard = "10s",
     .most = 10 * MINUTE_MS,
     .allowed = "0 to 10min"},
    {.section = "tpm",
     .key = "tcti",
     .kind = IDM_KIND_TEXT,
     FIELD(tcti),
     .standard = "device:/dev/tpmrm0",
     .allowed = "a TCTI like device:/dev/tpmrm0, or none"},
    WORD("tpm", "key-storage", key_storage, "both", "tss2 | persistent | both",
         WORDS({"both", IDM_STORE_BOTH}, {"tss2", IDM_STORE_TSS2},
               {"persistent", IDM_STORE_PERSISTENT})),
    HANDLE("device-handle", device_handle, "0x81020000"),
    HANDLE("parent-handle", parent_handle, "0x81020001"),
    HANDLE("srk-handle", srk_handle, "0x81000001"),
    {.section = "tpm",
     .key = "counter-index",
     .kind = IDM_KIND_HANDLE,
     FIELD(counter_index),
     .standard = "0x01821D01",
     .least = INDEX_LEAST,
     .most = INDEX_MOST,
     .allowed = "0x01000000 to 0x01FFFFFF"},
    PATH("tpm", "owner-auth-file", owner_auth_file, ""),
    WORD("tpm", "reset", reset, "rekey", "rekey | clear",
         WORDS({"rekey", IDM_RESET_REKEY}, {"clear", IDM_RESET_CLEAR})),

    WORD("identity", "algorithm", algorithm, "ecdsa-p256", "ecdsa-p256 | ecdsa-p384 | rsa-2048",
         algorithms),
    WORD("identity", "certificate", certificate, "self-signed", "self-signed | ca",
         WORDS({"self-signed", IDM_CERT_SELF_SIGNED}, {"ca", IDM_CERT_CA})),
    {.section = "identity",
     .key = "subject",
     .kind = IDM_KIND_SUBJECT,
     FIELD(subject),
     .standard = "CN=%{serial}",
     .allowed = "a name like CN=%{serial},O=Example"},
    {.section = "identity",
     .key = "lifetime-days",
     .kind = IDM_KIND_NUMBER,
     FIELD(lifetime_days),
     .standard = "7300",
     .least = 1,
     .most = 36500,
     .allowed = "1 to 36500"},
    WORD("identity", "legacy-key", legacy_key, "auto", "auto | seal | keep | none",
         WORDS({"auto", IDM_LEGACY_AUTO}, {"seal", IDM_LEGACY_SEAL}, {"keep", IDM_LEGACY_KEEP},
               {"none", IDM_LEGACY_NONE})),
    WORD("identity", "on-cert-loss", on_cert_loss, "tpm-key", "tpm-key | same-identity",
         WORDS({"tpm-key", IDM_LOSS_TPM_KEY}, {"same-identity", IDM_LOSS_SAME_IDENTITY})),
    WORD("identity", "controller-keeps", controller_keeps, "both", "both | one",
         WORDS({"both", IDM_KEEPS_BOTH}, {"one", IDM_KEEPS_ONE})),

    BOOL("image", "aware", aware, "yes"),
    {.section = "image",
     .key = "version",
     .kind = IDM_KIND_TEXT,
     FIELD(version),
     .standard = "os-release",
     .allowed = "os-release, or at most 63 characters"},
    {.section = "image",
     .key = "slot",
     .kind = IDM_KIND_NAME,
     FIELD(slot),
     .standard = "auto",
     .allowed = "auto, or a slot's name of at most 31 characters"},
    WORD("image", "other-slot", other_slot, "auto", "auto | aware | legacy | none",
         WORDS({"auto", IDM_OTHER_AUTO}, {"aware", IDM_OTHER_AWARE}, {"legacy", IDM_OTHER_LEGACY},
               {"none", IDM_OTHER_NONE})),
    {.section = "image",
     .key = "slots",
     .kind = IDM_KIND_SLOTS,
     FIELD(slots),
     .standard = "",
     .allowed = "A:PATH B:PATH, both absolute"},

    WORD("bootenv", "backend", bootenv_backend, "uboot", "uboot | command | none",
         WORDS({"uboot", IDM_BOOTENV_UBOOT}, {"command", IDM_BOOTENV_COMMAND},
               {"none", IDM_BOOTENV_NONE})),
    PATH("bootenv", "config", bootenv_config, "/etc/fw_env.config"),
    {.section = "bootenv",
     .key = "command",
     .kind = IDM_KIND_TEXT,
     FIELD(bootenv_command),
     .standard = "",
     .allowed = "a command of at most 255 characters"},
    WORD("bootenv", "scheme", bootenv_scheme, "auto", "rauc | bootcount | ustate | custom | auto",
         WORDS({"auto", IDM_SCHEME_AUTO}, {"rauc", IDM_SCHEME_RAUC},
               {"bootcount", IDM_SCHEME_BOOTCOUNT}, {"ustate", IDM_SCHEME_USTATE},
               {"custom", IDM_SCHEME_CUSTOM})),
    {.section = "bootenv",
     .key = "trial-when",
     .kind = IDM_KIND_CONDITION,
     FIELD(bootenv_trial_when),
     .standard = "",
     .allowed = "VARIABLE=VALUE"},

    {.section = "access",
     .key = "group",
     .kind = IDM_KIND_NAME,
     FIELD(access_group),
     .standard = "idmode",
     .allowed = "a group's name"},
    PATH("hooks", "directory", hooks_directory, "/etc/idmode/hooks.d"),
    {.section = "hooks",
     .key = "timeout",
     .kind = IDM_KIND_DURATION,
     FIELD(hooks_timeout_ms),
     .standard = "30s",
     .least = 100,
     .most = 60 * MINUTE_MS,
     .allowed = "100ms to 1h"},
};

const size_t idm_settings_row_count = sizeof idm_settings_rows / sizeof idm_settings_rows[0];

_Static_assert(sizeof idm_settings_rows / sizeof idm_settings_rows[0] <= IDM_SETTINGS_ROWS_MAX,
               "raise IDM_SETTINGS_ROWS_MAX");

const char *idm_algorithm_name(enum idm_algorithm algorithm)
{
    for (const struct idm_settings_word *word = algorithms; word->word; word++) {
        if (word->value == (int)algorithm)
            return word->word;
    }
    return NULL;
}

enum idm_algorithm idm_algorithm_of(const char *name)
{
    for (const struct idm_settings_word *word = algorithms; name && word->word; word++) {
        if (strcmp(word->word, name) == 0)
            return (enum idm_algorithm)word->value;
    }
    return IDM_ALG_NONE;
}
