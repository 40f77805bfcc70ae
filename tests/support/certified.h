/* SPDX-License-Identifier: BSD-2-Clause */
/* certified.h - software TPMs with the endorsement certificates of a maker of our own.
 *
 *     idm_swtpm_certify(&chip, ca_dir)      another chip in place of this one, as its maker sells it: EK
 *                                           certificates for RSA-2048 (0x01C00002) and P-384 (0x01C00016)
 *     ca_dir/swtpm-localca-rootca-cert.pem  the maker's root, made at the first call
 *     ca_dir/issuercert.pem                 the CA below it that signs
 *
 * Two directories are two makers. swtpm_setup does the work: 1 s, the CA 1 s more. 0 or -errno; nothing
 * here knows Criterion.
 */
#ifndef IDM_TESTS_SUPPORT_CERTIFIED_H
#define IDM_TESTS_SUPPORT_CERTIFIED_H

#include "tests/support/swtpm.h"

int idm_swtpm_certify(struct idm_swtpm *chip, const char *ca_dir);

#endif
