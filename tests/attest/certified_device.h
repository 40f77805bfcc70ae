/* SPDX-License-Identifier: BSD-2-Clause */
/* certified_device.h - a device whose chip its maker certified, and shell commands that look at what
 * `idmode attest` prints.
 *
 *     open_certified(conf)                  not booted yet
 *     attest(0, "ek > ek.json; …")          in $BASE; `A …` is `idmode attest …` on this device
 *     answers(0, "quote", "--nonce", …)     its document, parsed
 */
#ifndef IDM_TESTS_ATTEST_CERTIFIED_DEVICE_H
#define IDM_TESTS_ATTEST_CERTIFIED_DEVICE_H

#include "tests/life/life_shim.h"
#include "tests/support/certified.h"

#define ATTEST(suite) TestSuite(suite, .timeout = 120, .fini = close_device)

#define NONCE "000102030405060708090a0b0c0d0e0f"

static inline void certify_chip(const char *ca)
{
    char path[320];
    snprintf(path, sizeof path, "%s/%s", device.base, ca);
    cr_assert_eq(idm_swtpm_certify(&device.tpm, path), 0);
}

static inline void open_certified(const struct idm_device_options *options)
{
    open_device(options);
    certify_chip("ca");
}

/* Shut down as a kernel does it, so that the chip's clock stays safe. */
static inline void reboot(void)
{
    cr_assert_eq(idm_swtpm_shutdown(&device.tpm), 0);
    boot(0);
}

#define attest(exit_code, format, ...)                                                             \
    shell(exit_code, "A() { $IDMODE --root $ROOT --tcti $TCTI attest \"$@\"; }; " format,          \
          ##__VA_ARGS__)

/* What `idmode attest …` prints, parsed; json_decref. Arguments ended by NULL. */
#define ANSWER(...)                                                                                \
    ({                                                                                             \
        _cleanup_run_ struct idm_run run_ = {0};                                                   \
        OK(idm_device_idmode(&device, &run_, "attest", __VA_ARGS__, NULL));                        \
        cr_assert_eq(device.exit_code, 0, "%s", run_.err);                                         \
        json_t *answer_ = json_loads(run_.out, JSON_REJECT_DUPLICATES, NULL);                      \
        cr_assert_not_null(answer_, "no JSON: %s", run_.out);                                      \
        answer_;                                                                                   \
    })

/* Exit code, and a word that stderr must have. */
#define REFUSED(exit, word, ...)                                                                   \
    do {                                                                                           \
        _cleanup_run_ struct idm_run run_ = {0};                                                   \
        OK(idm_device_idmode(&device, &run_, "attest", __VA_ARGS__, NULL));                        \
        cr_assert_eq(device.exit_code, exit, "exit %d: %s", device.exit_code, run_.err);           \
        cr_assert_not_null(strstr(run_.err, word), "%s", run_.err);                                \
        cr_assert_str_empty(run_.out);                                                             \
    } while (0)

static inline const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    cr_assert_not_null(text, "no %s", key);
    return text;
}

/* Nothing is left in the chip, so that the next program finds its three slots. */
static inline void chip_is_clean(void)
{
    shell(0, "tpm2_getcap handles-transient > left; tpm2_getcap handles-loaded-session >> left;"
             " tpm2_getcap handles-saved-session >> left; ! grep 0x left");
}

#endif
