/* SPDX-License-Identifier: BSD-2-Clause */
/* subject.h - a distinguished name from its text.
 *
 *     CN=device 4711,O=Example\, Inc.,C=DE
 *
 * RFC 4514 with these limits: attributes CN, SERIALNUMBER, OU, O, L, ST, STREET, C, DC, UID in any
 * case, at most 16, no multi-valued ones ("+"), no "#" hexadecimal values; UTF-8 without control
 * characters; the lengths of RFC 5280, appendix A (CN: 64 characters). As in RFC 4514 the most
 * specific attribute comes first in the text and last in the encoded name.
 */
#ifndef IDM_BACKENDS_SOFTWARE_SUBJECT_H
#define IDM_BACKENDS_SOFTWARE_SUBJECT_H

#include "backends/error.h"

#include <openssl/x509.h>

/* IDM_E_SETTINGS with the offending part in err->why; IDM_E_MEMORY. The caller frees *ret with
 * X509_NAME_free. */
int idm_subject_parse(const char *text, X509_NAME **ret, struct idm_error *err) IDM_NODISCARD;

#endif
