/* SPDX-License-Identifier: BSD-2-Clause */
/* backends.h - everything outside the engine, as one struct of functions.
 *
 *            engine  ──►  struct idm_backends  ──►  real:      files, OpenSSL, ESAPI, boot
 * environment └─►  simulated: a device in memory (tests)
 *
 * The engine does no I/O of its own: the program that ships is the program that is tested, and a
 * wrapper around this struct can count, fail or cut the power at each call.
 *
 * Conventions
 * - `self` is the first argument of every function: the state behind this set of functions.
 * - 0, or a negative code of error.h; then *err (may be NULL) says more and ret_* are untouched.
 * - A call that changes something returns after the change is durable: a power cut after it keeps
 *   it, a power cut during it leaves the old or the new, never a third. Repeating it is harmless.
 * - Single-threaded; not for use after fork in the child. Borrowed pointers are borrowed for the
 *   call only. `struct idm_bytes *ret_…` is replaced; the caller frees it.
 */
#ifndef IDM_BACKENDS_BACKENDS_H
#define IDM_BACKENDS_BACKENDS_H

#include "backends/bytes.h"
#include "backends/error.h"
#include "backends/settings.h"

/* ---- files -------------------------------------------------------------------------------------
 *
 *  CONFIG  /config            maybe FAT, maybe the only thing that a legacy image reads
 *          ├ device.cert.pem, device.key.pem            the legacy view
 *          └ idmode/          CONFIG_OURS: second copies
 *  PERSIST /persist
 *          ├ config/tpm_in_use                          the marker
 *          └ idmode/          PERSIST_OURS (0700): record, identities, history
 *  RUN     /run/idmode        this boot only (0755): no fsync there
 */
enum idm_place {
    IDM_CONFIG,
    IDM_CONFIG_OURS,
    IDM_PERSIST,
    IDM_PERSIST_OURS,
    IDM_MARKER_DIR,
    IDM_RUN,
    IDM_PLACES
};

/* file, directory, name in it, mode bits */
#define IDM_FILES(X)                                                                               \
    X(IDM_F_CONFIG_CERT, IDM_CONFIG, "device.cert.pem", 0644)                                      \
    X(IDM_F_CONFIG_KEY, IDM_CONFIG, "device.key.pem", 0600)                                        \
    X(IDM_F_CONFIG_RECORD, IDM_CONFIG_OURS, "record", 0600)                                        \
    X(IDM_F_CONFIG_TSS2, IDM_CONFIG_OURS, "tpm.key.pem", 0600)                                     \
    X(IDM_F_CONFIG_TPM_CERT, IDM_CONFIG_OURS, "tpm.cert.pem", 0644)                                \
    X(IDM_F_CONFIG_SEALED, IDM_CONFIG_OURS, "legacy.sealed", 0600)                                 \
    X(IDM_F_CONFIG_AKS, IDM_CONFIG_OURS, "attest.keys", 0600)                                      \
    X(IDM_F_PERSIST_RECORD, IDM_PERSIST_OURS, "record", 0600)                                      \
    X(IDM_F_PERSIST_TSS2, IDM_PERSIST_OURS, "tpm.key.pem", 0600)                                   \
    X(IDM_F_PERSIST_TPM_CERT, IDM_PERSIST_OURS, "tpm.cert.pem", 0644)                              \
    X(IDM_F_PERSIST_SEALED, IDM_PERSIST_OURS, "legacy.sealed", 0600)                               \
    X(IDM_F_PERSIST_AKS, IDM_PERSIST_OURS, "attest.keys", 0600)                                    \
    X(IDM_F_PERSIST_KEY, IDM_PERSIST_OURS, "legacy.key.pem", 0600)                                 \
    X(IDM_F_PERSIST_CERT, IDM_PERSIST_OURS, "legacy.cert.pem", 0644)                               \
    X(IDM_F_FORMER_SEALED, IDM_PERSIST_OURS, "former.sealed", 0600)                                \
    X(IDM_F_STATEMENT, IDM_PERSIST_OURS, "statement.json", 0644)                                   \
    X(IDM_F_HISTORY, IDM_PERSIST_OURS, "history", 0600)                                            \
    X(IDM_F_RESET_REQUESTED, IDM_PERSIST_OURS, "reset-requested", 0600)                            \
    X(IDM_F_TOLD, IDM_PERSIST_OURS, "told", 0600)                                                  \
    X(IDM_F_MARKER, IDM_MARKER_DIR, "tpm_in_use", 0644)                                            \
    X(IDM_F_RUN_MODE, IDM_RUN, "mode", 0644)                                                       \
    X(IDM_F_RUN_STATUS, IDM_RUN, "status.json", 0644)                                              \
    X(IDM_F_RUN_CERT, IDM_RUN, "device.cert.pem", 0644)                                            \
    X(IDM_F_RUN_KEY, IDM_RUN, "device.key.pem", 0644)                                              \
    X(IDM_F_RUN_SIGNER, IDM_RUN, "signer", 0600)                                                   \
    X(IDM_F_RUN_STATEMENT, IDM_RUN, "statement.json", 0644)                                        \
    X(IDM_F_RUN_HOOKS, IDM_RUN, "hooks.json", 0644)                                                \
    X(IDM_F_RUN_TRACE, IDM_RUN, "trace", 0644)

enum idm_file {
#define IDM_FILE_ENUM(file, place, name, mode) file,
    IDM_FILES(IDM_FILE_ENUM)
#undef IDM_FILE_ENUM
        IDM_FILE_COUNT
};

/* What a directory's emptiness is worth. */
enum idm_place_state {
    IDM_PLACE_PROVEN,   /* it is there and is what it should be: what is not in it does not exist */
    IDM_PLACE_MISSING,  /* it does not exist, and the directory that should hold it is proven */
    IDM_PLACE_UNPROVEN, /* it should be a mount point and is none, or its parent does not exist */
    IDM_PLACE_UNREADABLE, /* EIO, EACCES, a symbolic link or a file in its place */
};

enum idm_room { IDM_ROOM_OK, IDM_ROOM_FULL, IDM_ROOM_READ_ONLY };

/* ---- keys and certificates ---- */

struct idm_key_info {
    enum idm_algorithm algorithm;  /* IDM_ALG_NONE: usable, but none that idmode would make */
    uint8_t spki[IDM_SHA256_SIZE]; /* SHA-256 of the DER SubjectPublicKeyInfo (RFC 5280, 4.1) */
};

struct idm_cert_info {
    uint8_t spki[IDM_SHA256_SIZE];
    uint8_t sha256[IDM_SHA256_SIZE]; /* of the first certificate's DER */
    int64_t not_before;              /* seconds since 1970-01-01 UTC */
    int64_t not_after;
    unsigned int links; /* 1, and one for each certificate after it that signed the one before */
    bool self_signed;   /* by the key that is in it */
    char subject[256];  /* RFC 2253, cut with "…" when longer */
};

struct idm_tss2_info {
    struct idm_key_info key;
    uint8_t name[IDM_NAME_SIZE]; /* computed from the public area in the file: no TPM is asked */
    uint32_t parent;             /* handle named in the file */
};

enum idm_signer_kind { IDM_SIGNER_SOFTWARE, IDM_SIGNER_FILE, IDM_SIGNER_HANDLE };

struct idm_signer {
    enum idm_signer_kind kind;
    const struct idm_bytes
        *key;        /* SOFTWARE: PEM private key; FILE: TSS2 PRIVATE KEY; HANDLE: NULL */
    uint32_t handle; /* FILE: the parent's handle; HANDLE: the key's */
    enum idm_algorithm algorithm; /* of the key */
    bool pss; /* a TPM's RSA key: PSS with a salt of the digest's length; else PKCS #1 v1.5 */
};

enum idm_digest { IDM_SHA256, IDM_SHA384, IDM_SHA512 };

struct idm_signature {
    uint8_t data[IDM_SIG_MAX]; /* ECDSA: DER (RFC 3279, 2.2.3); RSA: PKCS #1 v1.5 */
    size_t size;
};

struct idm_cert_profile {
    char subject[IDM_PATH_SIZE]; /* "CN=…", placeholders already replaced; UTF-8 */
    int64_t not_before;
    int64_t not_after;
};

/* ---- TPM ---- */

/* What stands at a persistent handle or an NV index. */
enum idm_tpm_object {
    IDM_OBJECT_EMPTY,
    IDM_OBJECT_OURS,     /* exactly the attributes that idmode gives this role */
    IDM_OBJECT_IMPORTED, /* exactly those of a device key that was made outside: ours only where the
                            record or our parent beside it says so */
    IDM_OBJECT_STRANGER, /* anything else: never moved, never removed */
};

/* The role decides which attributes count as exactly ours. */
enum idm_tpm_role {
    IDM_ROLE_DEVICE, /* 0x00040472: sign, fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth,
                        noDA */
    IDM_ROLE_PARENT, /* 0x00030472: restricted, decrypt, the same otherwise */
};

struct idm_tpm_object_info {
    enum idm_tpm_object what;
    uint8_t name[IDM_NAME_SIZE]; /* zero when empty */
    struct idm_key_info key;     /* zero when empty or not a signing key */
    bool may_lock; /* without noDA: after a few power cuts in use the chip is in lockout */
};

/* TPM_RH_OWNER in place of a parent's handle: the storage root key of the ECC template, made again
 * for each use and kept nowhere. What a TSS2 file means by it, too. */
#define IDM_TPM_PRIMARY 0x40000001u

struct idm_tpm_info {
    char manufacturer[16]; /* TPM2_PT_MANUFACTURER, four characters */
    char firmware[24];     /* TPM2_PT_FIRMWARE_VERSION_1.2, "8214.6" style decimal words */
    uint32_t reset_count;  /* TPM2_ReadClock, clockInfo.resetCount: +1 per TPM Reset */
};

#define IDM_TPM_PERSISTENT_MAX 64u /* more than any chip has slots */

/* ---- boot ---- */

enum idm_tri { IDM_UNKNOWN, IDM_NO, IDM_YES }; /* zero is unknown */

enum idm_bootenv_state {
    IDM_BOOTENV_IS_NONE, /* none configured, or its configuration file does not exist */
    IDM_BOOTENV_IS_READABLE,
    IDM_BOOTENV_IS_UNREADABLE, /* damaged, locked, helper failed: evidence of nothing */
};

struct idm_bootenv {
    enum idm_bootenv_state state;
    char slot[IDM_SLOT_NAME_SIZE];  /* the slot that booted; empty: nobody says */
    char other[IDM_SLOT_NAME_SIZE]; /* the other one; empty: nobody says */
    enum idm_tri trial; /* YES: an update is provably not committed; NO: provably none is open */
    char said[256];     /* for people: what was read and what follows; empty: nobody says */
};

enum idm_serial_kind { IDM_SERIAL_NONE, IDM_SERIAL_HARDWARE, IDM_SERIAL_MACHINE_ID };

struct idm_platform {
    int64_t now;                      /* seconds since 1970 */
    int64_t not_before;               /* the clock is implausible before this: the build date */
    char boot_id[40];                 /* random UUID of this boot */
    char serial[80];                  /* empty with IDM_SERIAL_NONE */
    enum idm_serial_kind serial_kind; /* only HARDWARE (DMI, device tree) identifies the device */
    char machine_id[40];              /* empty: none */
    char image_version[IDM_VERSION_SIZE];
};

/* ---- the struct ---- */

struct idm_backends {
    void *self;

    /* Files. read: ABSENT; UNREADABLE (EIO, EACCES, a link, a directory or a device in its place,
     * its directory not there); CORRUPT when larger than IDM_BYTES_MAX. write: in this order temp
     * file in the same directory (O_EXCL, O_NOFOLLOW, mode before content), write, fsync, rename,
     * fsync directory, read back and compare; makes IDM_*_OURS, IDM_MARKER_DIR and IDM_RUN when
     * they are missing; under IDM_RUN without fsync. FULL, READ_ONLY, STORAGE; nothing half-written
     * and no temp file stays. remove: durable, an absent file is success; the bytes of a key file are
     * overwritten once its name is gone (best effort: flash may remember). */
    int (*file_read)(void *self, enum idm_file file, struct idm_bytes *ret, struct idm_error *err);
    int (*file_write)(void *self, enum idm_file file, const void *data, size_t size,
                      struct idm_error *err);
    int (*file_remove)(void *self, enum idm_file file, struct idm_error *err);
    enum idm_place_state (*place_state)(void *self, enum idm_place place);
    /* Can `size` more bytes be written to the file system of `place`? Found without writing. */
    enum idm_room (*place_room)(void *self, enum idm_place place, size_t size);
    /* Does the directory lie in memory, so that a reboot empties it? False also where nobody can say. */
    bool (*place_is_volatile)(void *self, enum idm_place place);
    /* Is the directory a mount point now? Recorded at provisioning, for require-mount = auto. */
    bool (*place_is_mount)(void *self, enum idm_place place);

    /* Keys and certificates. inspect: CORRUPT when it is not one good PEM object of its kind.
     * key_inspect accepts EC (P-256, P-384) and RSA in PKCS #8, SEC 1 (with or without a leading EC
     * PARAMETERS block) and PKCS #1, unencrypted. */
    int (*key_inspect)(void *self, const struct idm_bytes *pem, struct idm_key_info *ret,
                       struct idm_error *err);
    int (*cert_inspect)(void *self, const struct idm_bytes *pem, struct idm_cert_info *ret,
                        struct idm_error *err);
    /* SHA-256 of the certificates that are recorded (zeros: none): they were good when they were, and their
     * own signatures need not be verified again. May be NULL. */
    void (*certs_known)(void *self, const uint8_t software[IDM_SHA256_SIZE],
                        const uint8_t tpm[IDM_SHA256_SIZE]);
    int (*tss2_inspect)(void *self, const struct idm_bytes *pem, struct idm_tss2_info *ret,
                        struct idm_error *err);
    /* A new software key, PEM as old images wrote it (EC PARAMETERS and EC PRIVATE KEY; RSA PRIVATE
     * KEY). */
    int (*key_generate)(void *self, enum idm_algorithm algorithm, struct idm_bytes *ret_pem,
                        struct idm_error *err);
    /* Self-signed v3, CA:FALSE, digitalSignature, clientAuth and serverAuth, random positive
     * 16-byte serial number, SHA-256. The result is verified under its own key before it is
     * returned. */
    int (*cert_issue)(void *self, const struct idm_cert_profile *profile,
                      const struct idm_signer *signer, struct idm_bytes *ret_pem,
                      struct idm_error *err);
    /* PKCS #10 (RFC 2986) with that subject, for the key of `cert_pem`. MISMATCH: another key signs. */
    int (*cert_request)(void *self, const char *subject, const struct idm_bytes *cert_pem,
                        const struct idm_signer *signer, struct idm_bytes *ret_pem,
                        struct idm_error *err);
    /* May a CA's certificate, with its chain, be what this device shows its TLS peers at `now`? REFUSED,
     * with the reason; CORRUPT. Whose key is in it the caller compares. *ret_pem: its PEM blocks alone,
     * without the text that CAs write around them. */
    int (*cert_check)(void *self, const struct idm_bytes *pem, int64_t now,
                      struct idm_cert_info *ret, struct idm_bytes *ret_pem, struct idm_error *err);
    /* Signs a digest of the size that `digest` has. The TPM_* codes for TPM keys: TPM_EMPTY nothing
     * at the handle, TPM_UNFIT the file does not load under what is at the parent's handle. */
    int (*sign)(void *self, const struct idm_signer *signer, enum idm_digest digest,
                const uint8_t *hash, struct idm_signature *ret, struct idm_error *err);
    /* 0 when `signature` over that digest is good under the certificate's key, else MISMATCH. */
    int (*verify)(void *self, const struct idm_bytes *cert_pem, enum idm_digest digest,
                  const uint8_t *hash, const struct idm_signature *signature,
                  struct idm_error *err);

    /* TPM. Each opens the connection when it needs it and keeps it until tpm_close. A chip that is
     * late or busy is waited for, at most settings.wait_ms in this process, with growing pauses;
     * then TPM_BUSY (TPM_ABSENT where nothing ever answered). Every call may give TPM_ABSENT,
     * TPM_BUSY, TPM_FAILED (0x101, confirmed by GetTestResult), TPM_LOCKED, TPM_OWNED, TPM_FULL,
     * TPM_OTHER. */
    enum idm_tri (*tpm_announced)(
        void *self); /* does the firmware announce a TPM? No TPM traffic */
    int (*tpm_info)(void *self, struct idm_tpm_info *ret, struct idm_error *err);
    int (*tpm_object)(void *self, uint32_t handle, enum idm_tpm_role role,
                      struct idm_tpm_object_info *ret, struct idm_error *err);
    int (*tpm_persistent)(void *self, uint32_t ret_handles[IDM_TPM_PERSISTENT_MAX],
                          size_t *ret_count, struct idm_error *err);
    /* Name of the storage root key at `handle`; where there is none: computed by CreatePrimary with
     * the ECC template, not persisted. STRANGER at the handle (no storage key): TPM_TAKEN. */
    int (*tpm_srk_name)(void *self, uint32_t handle, uint8_t ret_name[IDM_NAME_SIZE],
                        struct idm_error *err);
    /* Name of the endorsement key from the ECC P-256 template (TCG EK Credential Profile, L-2). */
    int (*tpm_ek_name)(void *self, uint8_t ret_name[IDM_NAME_SIZE], struct idm_error *err);
    /* Counter: TPM_EMPTY no index, TPM_TAKEN an index with other attributes (checked at each read).
     */
    int (*tpm_counter_read)(void *self, uint32_t index, uint64_t *ret_value, struct idm_error *err);
    /* Defines it if it is not there, increments it once if it was never written. TPM_OWNED without
     * owner authorisation. */
    int (*tpm_counter_make)(void *self, uint32_t index, struct idm_error *err);
    int (*tpm_counter_increment)(void *self, uint32_t index, struct idm_error *err);
    /* Epoch parent: a storage key made under the SRK (which is made and persisted at srk_handle
     * when that is empty), kept only in its persistent slot, the private blob never written. An
     * object of ours that is already there is kept. TPM_TAKEN when a stranger's is there. */
    int (*tpm_parent_make)(void *self, uint32_t srk_handle, uint32_t parent_handle,
                           uint8_t ret_name[IDM_NAME_SIZE], struct idm_error *err);
    /* A new device key under the parent, as TSS2 PRIVATE KEY file; not persisted. Secrets travel encrypted
     * to the parent: here, with tpm_seal and tpm_unseal, another one than that of `parent_name` is given
     * none, TPM_OTHER. Zeros: no parent is on record yet, this is its first use. */
    int (*tpm_key_create)(void *self, uint32_t parent_handle,
                          const uint8_t parent_name[IDM_NAME_SIZE], enum idm_algorithm algorithm,
                          struct idm_bytes *ret_tss2, struct idm_error *err);
    /* A software key from outside, wrapped in software for the parent of that Name, becomes its child,
     * as TSS2 PRIVATE KEY file; not persisted. USAGE: no algorithm that idmode uses; TPM_TAKEN: another
     * object is at the parent's handle; CORRUPT: not one good key. */
    int (*tpm_key_import)(void *self, uint32_t parent_handle,
                          const uint8_t parent_name[IDM_NAME_SIZE], const struct idm_bytes *key_pem,
                          struct idm_bytes *ret_tss2, struct idm_error *err);
    /* May a key that idmode did not make be a device key? By its attributes (sign, not restricted,
     * userWithAuth, noDA; fixedTPM and sensitiveDataOrigin unless `imported`), its algorithm and
     * scheme, and a signature that is good under it. REFUSED, with the reason; TPM_EMPTY, TPM_UNFIT,
     * CORRUPT as with sign. ret->what: OURS or IMPORTED for exactly our attributes, else STRANGER. */
    int (*tpm_key_check)(void *self, const struct idm_signer *signer, bool imported,
                         struct idm_tpm_object_info *ret, struct idm_error *err);
    /* The file's key at `handle`; there already: success. TPM_TAKEN when another object is there.
     */
    int (*tpm_key_persist)(void *self, const struct idm_bytes *tss2, uint32_t parent_handle,
                           uint32_t handle, struct idm_error *err);
    /* Removes the object at `handle` if its Name is `name`, and looks again. Empty: success;
     * another Name: TPM_TAKEN. */
    int (*tpm_evict)(void *self, uint32_t handle, const uint8_t name[IDM_NAME_SIZE],
                     struct idm_error *err);
    /* Envelope: AES-256-GCM over `plain`, its key sealed under the parent (TPM, no PCR policy). */
    int (*tpm_seal)(void *self, uint32_t parent_handle, const uint8_t parent_name[IDM_NAME_SIZE],
                    const struct idm_bytes *plain, struct idm_bytes *ret_envelope,
                    struct idm_error *err);
    int (*tpm_unseal)(void *self, uint32_t parent_handle, const uint8_t parent_name[IDM_NAME_SIZE],
                      const struct idm_bytes *envelope, struct idm_bytes *ret_plain,
                      struct idm_error *err);
    /* TPM2_Clear under the lockout hierarchy's authorisation (empty), then read back. */
    int (*tpm_clear)(void *self, struct idm_error *err);
    /* Would it be allowed? TPM_OWNED: Clear is disabled, or the lockout authorisation is set. */
    int (*tpm_may_clear)(void *self, struct idm_error *err);
    void (*tpm_close)(void *self);

    /* The machine. */
    int (*platform)(void *self, struct idm_platform *ret, struct idm_error *err);
    /* Says that `bootenv` will be asked: a program that has to be started for it runs meanwhile. May be NULL. */
    void (*bootenv_begin)(void *self);
    void (*bootenv)(void *self, struct idm_bootenv *ret);
    /* SHA-256 over size, first MiB and last 64 KiB of what `slots =` names for that slot;
     * UNREADABLE when no path is known or it cannot be read. */
    int (*slot_fingerprint)(void *self, const char *slot, uint8_t ret_hash[IDM_SHA256_SIZE],
                            struct idm_error *err);
    /* The mode page (active/page.h), by the value of enum idm_mode; written after all files of RUN. */
    int (*page_publish)(void *self, unsigned int mode, uint32_t epoch, struct idm_error *err);
    /* One line of the trace, without its newline: to RUN_TRACE (bounded) and to the log. Never
     * fails. */
    void (*trace)(void *self, const char *line);
};

/* The real device under `root` ("" or an absolute path without trailing slash). The settings are
 * borrowed until idm_backends_close. */
int idm_backends_open(struct idm_backends *ret, const char *root,
                      const struct idm_settings *settings, struct idm_error *err) IDM_NODISCARD;
void idm_backends_close(struct idm_backends *backends);

#endif
