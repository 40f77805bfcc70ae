/* SPDX-License-Identifier: BSD-2-Clause */
/* text.h - hex and base64, read strictly: one text for each run of bytes. Pure; any thread. */
#ifndef IDM_VERIFY_TEXT_H
#define IDM_VERIFY_TEXT_H

#include "backends/bytes.h"

/* Lower-case hex, an even number of digits; "" is empty. *ret is replaced. CORRUPT, MEMORY; USAGE when
 * larger than IDM_BYTES_MAX. */
int idm_text_hex(const char *text, struct idm_bytes *ret) IDM_NODISCARD;
/* RFC 4648, section 4: padded, no line breaks, unused bits zero. Errors as above. */
int idm_text_base64(const char *text, struct idm_bytes *ret) IDM_NODISCARD;

#endif
