/* SPDX-License-Identifier: BSD-2-Clause */
/* legacy.h - the legacy image: a system without TPM support, as old devices run it.
 *
 *     CONFIG/device.cert.pem   CONFIG/device.key.pem     it does
 *     there                    there                     uses them: works, or is broken
 *     one or both missing                                mints a new pair over what is left
 *
 * It runs none of our code: OpenSSL, and its command line tool for minting, is all it has. "Missing" is what `test -e`
 * says; an empty or torn file is there, and the image is broken.
 */
#ifndef IDM_TESTS_SUPPORT_LEGACY_H
#define IDM_TESTS_SUPPORT_LEGACY_H

#include <stdbool.h>

struct idm_legacy_image {
    const char *config_dir; /* real path */
    const char *subject;    /* "/CN=…", as `openssl req -subj` takes it; only for minting */
    bool rsa;               /* mints RSA-2048 (RSA PRIVATE KEY); otherwise P-256 (EC PARAMETERS and
                               EC PRIVATE KEY) */
};

enum idm_legacy_view {
    IDM_LEGACY_VIEW_ABSENT, /* certificate, key, or both are missing: the image would mint */
    IDM_LEGACY_VIEW_BROKEN, /* both are there, and do not work together */
    IDM_LEGACY_VIEW_WORKS,  /* the key signs, and the certificate's key verifies it */
};

/* What the image would find, without changing anything. 0 and *ret_view; -1 when a path is too long. */
int idm_legacy_look(const struct idm_legacy_image *image, enum idm_legacy_view *ret_view);

/* One boot of the image: mints when something is missing (*ret_minted), then uses the pair. 0 and
 * ABSENT never; -1 when openssl could not be run or minting failed. */
int idm_legacy_boot(const struct idm_legacy_image *image, enum idm_legacy_view *ret_view,
                    bool *ret_minted);

/* "absent", "broken", "works". */
const char *idm_legacy_view_name(enum idm_legacy_view view);

#endif
