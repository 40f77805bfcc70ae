/* SPDX-License-Identifier: BSD-2-Clause */
/* tpm_chip.h - what the tests of the TPM backend share: a chip, settings, an open backend; and a
 * proxy in front of the chip that logs command codes and gives false answers.
 *
 *     struct chip chip;
 *     chip_start(&chip);               swtpm, scratch root, settings with wait_ms = 0
 *     chip_proxy(&chip, "0x15d:0x922:3");   TPM2_Sign answers TPM_RC_RETRY three times
 *     chip_commands(&chip, NULL)             how many commands went out since the last call
 *     chip_stop(&chip);
 *
 * The proxy is this very test program, started again by the `cmd:` TCTI: a constructor finds
 * TPM_CHIP_PROXY in the environment and never gets as far as main.
 */
#ifndef IDM_TESTS_UNIT_TPM_CHIP_H
#define IDM_TESTS_UNIT_TPM_CHIP_H

#include "backends/tpm/tpm.h"
#include "backends/tpm/tss2file.h"
#include "tests/support/swtpm.h"

#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CHIP_DEVICE  0x81020000u
#define CHIP_PARENT  0x81020001u
#define CHIP_SRK     0x81000001u
#define CHIP_COUNTER 0x01803000u

struct chip {
    struct idm_swtpm sw;
    struct idm_settings settings;
    struct idm_tpm *tpm;
    struct idm_error err;
    char root[64];
};

/* ---- proxy ---- */

#define PROXY_ENV  "TPM_CHIP_PROXY" /* socket;log;CC:RC:TIMES,… */
#define PROXY_MAX  4096
#define PROXY_HANG 0xffffffffu /* as RC: the connection ends */
#define PROXY_FLIP                                                                                 \
    0xfffffffeu /* as RC: the true public area, but without noDA                                   \
                 */
#define PROXY_LIST                                                                                 \
    0xfffffffcu /* as RC: of another question: GetCapability lists the chip's commands */
#define PROXY_SRK 0xfffffffdu /* as RC: what is asked for at a handle is answered of the SRK */

static inline bool proxy_read(int fd, uint8_t *to, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t got = read(fd, to + at, size - at);
        if (got <= 0)
            return false;
        at += (size_t)got;
    }
    return true;
}

static inline uint32_t proxy_word(const uint8_t *from)
{
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

/* One command or response; 0 when the stream ended or makes no sense. */
static inline size_t proxy_message(int fd, uint8_t message[PROXY_MAX])
{
    if (!proxy_read(fd, message, 10))
        return 0;
    size_t size = proxy_word(message + 2);
    return size >= 10 && size <= PROXY_MAX && proxy_read(fd, message + 10, size - 10) ? size : 0;
}

static inline size_t proxy_forward(const char *path, uint8_t message[PROXY_MAX], size_t size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t answer = 0;
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
        write(fd, message, size) == (ssize_t)size)
        answer = proxy_message(fd, message);
    if (fd >= 0)
        (void)close(fd);
    return answer;
}

/* The false answer planned for this command code, 0: none. */
static inline uint32_t proxy_lie(char *plan, uint32_t cc)
{
    static unsigned int used[8];
    char *step = plan;
    for (size_t i = 0; i < 8 && *step; i++) {
        unsigned long code = strtoul(step, &step, 0);
        unsigned long rc = strtoul(step + 1, &step, 0);
        unsigned long times = strtoul(step + 1, &step, 0);
        step += *step == ',';
        if (code == cc && used[i] < times) {
            used[i]++;
            return (uint32_t)rc;
        }
    }
    return 0;
}

static inline void proxy_note(const char *path, const char *suffix, const void *data, size_t size)
{
    char full[256];
    (void)snprintf(full, sizeof full, "%s%s", path, suffix);
    FILE *log = fopen(full, "a");
    if (!log)
        return;
    (void)fwrite(data, 1, size, log);
    (void)fclose(log);
}

/* Behind the header: the handle of ReadPublic; capability, first property and count of GetCapability. */
static inline void proxy_ask_other(uint32_t lie, uint8_t message[PROXY_MAX], size_t size)
{
    static const uint8_t srk[4] = {CHIP_SRK >> 24, CHIP_SRK >> 16 & 0xff, CHIP_SRK >> 8 & 0xff,
                                   CHIP_SRK & 0xff};
    static const uint8_t commands[12] = {0, 0, 0, 2, 0, 0, 1, 0x1f, 0, 0, 1, 0};
    if (lie == PROXY_SRK && size >= 10 + sizeof srk)
        memcpy(message + 10, srk, sizeof srk);
    if (lie == PROXY_LIST && size >= 10 + sizeof commands)
        memcpy(message + 10, commands, sizeof commands);
}

static inline size_t proxy_answer(const char *socket_path, uint32_t lie, uint8_t message[PROXY_MAX],
                                  size_t size)
{
    if (lie == 0 || lie >= PROXY_LIST) {
        proxy_ask_other(lie, message, size);
        size = proxy_forward(socket_path, message, size);
        /* Behind the header and a size: type, nameAlg, attributes (part 2, 12.2.4); noDA. The key
         * stays a good one, but its Name is another. */
        if (lie == PROXY_FLIP && size > 20)
            message[18] ^= 0x04;
        return size;
    }
    const uint8_t answer[6] = {0x80, 0x01, 0, 0, 0, 10};
    memcpy(message, answer, sizeof answer);
    for (int i = 0; i < 4; i++)
        message[6 + i] = (uint8_t)(lie >> (24 - 8 * i) & 0xff);
    return 10;
}

static inline void proxy_serve(const char *socket_path, const char *log_path, char *plan)
{
    uint8_t message[PROXY_MAX];
    for (size_t size; (size = proxy_message(0, message)) > 0;) {
        char line[16];
        uint32_t cc = proxy_word(message + 6);
        uint32_t lie = proxy_lie(plan, cc);
        proxy_note(log_path, "", line, (size_t)snprintf(line, sizeof line, "%x\n", cc));
        proxy_note(log_path, ".raw", message, size);
        if (lie == PROXY_HANG)
            return;
        size = proxy_answer(socket_path, lie, message, size);
        proxy_note(log_path, ".raw", message, size);
        if (size == 0 || write(1, message, size) != (ssize_t)size)
            return;
    }
}

__attribute__((constructor)) static void proxy_instead_of_tests(void)
{
    char *given = getenv(PROXY_ENV);
    if (!given)
        return;
    char *socket_path = strsep(&given, ";");
    char *log_path = strsep(&given, ";");
    if (log_path && given)
        proxy_serve(socket_path, log_path, given);
    _exit(0);
}

/* ---- chip ---- */

static inline void chip_open(struct chip *chip)
{
    cr_assert_eq(idm_tpm_open(&chip->tpm, chip->root, &chip->settings, &chip->err), 0);
}

static inline void chip_start(struct chip *chip)
{
    *chip = (struct chip){.root = "/tmp/idm-tpm-XXXXXX",
                          .settings = {.device_handle = CHIP_DEVICE,
                                       .parent_handle = CHIP_PARENT,
                                       .srk_handle = CHIP_SRK,
                                       .counter_index = CHIP_COUNTER}};
    cr_assert_eq(idm_swtpm_start(&chip->sw, NULL), 0);
    cr_assert_not_null(mkdtemp(chip->root));
    (void)snprintf(chip->settings.tcti, sizeof chip->settings.tcti, "%s", chip->sw.tcti);
    (void)setenv("TPM2TOOLS_TCTI", chip->sw.tcti, 1);
    (void)setenv("TPM2OPENSSL_TCTI", chip->sw.tcti, 1);
    (void)setenv("TSS2_LOG", "all+none", 1);
    chip_open(chip);
}

/* Runs a shell command in the scratch root; its exit code. */
__attribute__((format(printf, 2, 3))) static inline int chip_shell(struct chip *chip,
                                                                   const char *format, ...)
{
    char command[2048];
    int at = snprintf(command, sizeof command, "cd %s && { ", chip->root);
    va_list args;
    va_start(args, format);
    at += vsnprintf(command + at, sizeof command - (size_t)at, format, args);
    va_end(args);
    cr_assert_lt((size_t)at + 32, sizeof command);
    (void)strcat(command, "\n} >>shell.log 2>&1");
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline void chip_stop(struct chip *chip)
{
    idm_tpm_free(chip->tpm);
    idm_swtpm_remove(&chip->sw);
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", chip->root);
    cr_assert_eq(system(command), 0);
}

/* Opens the backend anew, through the proxy, with a plan of false answers ("" for none). */
static inline void chip_proxy(struct chip *chip, const char *plan)
{
    char self[128] = "";
    cr_assert_gt(readlink("/proc/self/exe", self, sizeof self - 1), 0);
    int size = snprintf(chip->settings.tcti, sizeof chip->settings.tcti,
                        "cmd:" PROXY_ENV "='%s/tpm;%s/commands;%s' exec %s", chip->sw.run_dir,
                        chip->root, plan, self);
    cr_assert_lt((size_t)size, sizeof chip->settings.tcti);
    idm_tpm_free(chip->tpm);
    chip_open(chip);
}

/* Commands since the last call; *ret_codes (may be NULL) gets their codes as "15d 165 ". */
static inline int chip_commands(struct chip *chip, char ret_codes[256])
{
    char path[96];
    char line[32];
    int count = 0;
    (void)snprintf(path, sizeof path, "%s/commands", chip->root);
    if (ret_codes)
        ret_codes[0] = 0;
    FILE *log = fopen(path, "r");
    if (!log)
        return 0;
    for (; fgets(line, sizeof line, log); count++) {
        line[strcspn(line, "\n")] = ' ';
        if (ret_codes && strlen(ret_codes) + strlen(line) < 256)
            (void)strcat(ret_codes, line);
    }
    (void)fclose(log);
    (void)unlink(path);
    return count;
}

static inline void chip_write(struct chip *chip, const char *name, const void *data, size_t size)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", chip->root, name);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(data, 1, size, file), size);
    (void)fclose(file);
}

static inline void chip_read(struct chip *chip, const char *name, struct idm_bytes *ret)
{
    char path[128];
    char buffer[65536];
    (void)snprintf(path, sizeof path, "%s/%s", chip->root, name);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    size_t size = fread(buffer, 1, sizeof buffer, file);
    (void)fclose(file);
    cr_assert_eq(idm_bytes_set(ret, buffer, size), 0);
}

/* ---- what most tests do ---- */

#define CHIP_OK(chip, call)                                                                        \
    do {                                                                                           \
        int chip_result = (call);                                                                  \
        cr_assert_eq(chip_result, 0, "%s: %s: %s: %s", #call, idm_error_name(chip_result),         \
                     (chip)->err.what, (chip)->err.why);                                           \
    } while (0)
#define CHIP_FAILS(chip, call, wanted)                                                             \
    do {                                                                                           \
        int chip_result = (call);                                                                  \
        cr_assert_eq(chip_result, (wanted), "%s gave %s, not %s: %s: %s", #call,                   \
                     idm_error_name(chip_result), idm_error_name(wanted), (chip)->err.what,        \
                     (chip)->err.why);                                                             \
        cr_assert_eq((chip)->err.code, (wanted));                                                  \
    } while (0)

static inline void chip_parent(struct chip *chip)
{
    uint8_t name[IDM_NAME_SIZE];
    CHIP_OK(chip, idm_tpm_parent_make(chip->tpm, CHIP_SRK, CHIP_PARENT, name, &chip->err));
}

static inline struct idm_signer chip_file_signer(const struct idm_bytes *tss2,
                                                 enum idm_algorithm algorithm)
{
    return (struct idm_signer){
        .kind = IDM_SIGNER_FILE, .key = tss2, .handle = CHIP_PARENT, .algorithm = algorithm};
}

static inline struct idm_signer chip_handle_signer(enum idm_algorithm algorithm)
{
    return (struct idm_signer){
        .kind = IDM_SIGNER_HANDLE, .handle = CHIP_DEVICE, .algorithm = algorithm};
}

static inline const EVP_MD *chip_md(enum idm_digest digest)
{
    return digest == IDM_SHA256 ? EVP_sha256() : digest == IDM_SHA384 ? EVP_sha384() : EVP_sha512();
}

/* Does OpenSSL find the signature good under the key? */
static inline bool chip_verifies(EVP_PKEY *key, enum idm_digest digest, const uint8_t *hash,
                                 const struct idm_signature *signature)
{
    const EVP_MD *md = chip_md(digest);
    EVP_PKEY_CTX *check = EVP_PKEY_CTX_new(key, NULL);
    bool good = EVP_PKEY_verify_init(check) == 1 && EVP_PKEY_CTX_set_signature_md(check, md) == 1 &&
                EVP_PKEY_verify(check, signature->data, signature->size, hash,
                                (size_t)EVP_MD_get_size(md)) == 1;
    EVP_PKEY_CTX_free(check);
    return good;
}

/* Signs and verifies once with each digest. */
static inline void chip_signs(struct chip *chip, const struct idm_signer *signer)
{
    uint8_t hash[64];
    EVP_PKEY *key = NULL;
    memset(hash, 0xa5, sizeof hash);
    CHIP_OK(chip, idm_tpm_public_key(chip->tpm, signer, &key, &chip->err));
    for (int digest = IDM_SHA256; digest <= IDM_SHA512; digest++) {
        struct idm_signature signature = {0};
        CHIP_OK(chip, idm_tpm_sign(chip->tpm, signer, (enum idm_digest)digest, hash, &signature,
                                   &chip->err));
        cr_assert(chip_verifies(key, (enum idm_digest)digest, hash, &signature));
        hash[3] ^= 1;
        cr_assert_not(chip_verifies(key, (enum idm_digest)digest, hash, &signature));
    }
    EVP_PKEY_free(key);
}

#endif
