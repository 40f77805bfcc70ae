/* SPDX-License-Identifier: BSD-2-Clause */
#include "verify/text.h"

#include <openssl/evp.h>
#include <string.h>

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int idm_text_hex(const char *text, struct idm_bytes *ret)
{
    struct idm_bytes bytes = {0};
    size_t length = strlen(text);
    if (length % 2)
        return IDM_E_CORRUPT;
    int result = idm_bytes_set(&bytes, NULL, length / 2);
    for (size_t i = 0; result == 0 && i < length / 2; i++) {
        int high = digit(text[2 * i]);
        int low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            result = IDM_E_CORRUPT;
        else
            bytes.data[i] = (uint8_t)(high << 4 | low);
    }
    if (result == 0)
        idm_bytes_move(ret, &bytes);
    idm_bytes_free(&bytes);
    return result;
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* One text for the same bytes: EVP_DecodeBlock takes white space at both ends, and any unused bits. */
static bool is_canonical(const char *text, size_t length, size_t padding)
{
    if (length % 4 || strspn(text, alphabet) != length - padding)
        return false;
    if (padding == 0)
        return true;
    size_t last = (size_t)(strchr(alphabet, text[length - padding - 1]) - alphabet);
    return (last & (padding == 2 ? 15u : 3u)) == 0;
}

int idm_text_base64(const char *text, struct idm_bytes *ret)
{
    struct idm_bytes bytes = {0};
    size_t length = strlen(text);
    size_t padding = length >= 4 && text[length - 1] == '=' ? 1u + (text[length - 2] == '=') : 0;
    if (!is_canonical(text, length, padding))
        return IDM_E_CORRUPT;
    int result = idm_bytes_set(&bytes, NULL, length / 4 * 3);
    if (result < 0)
        return result;
    if (length) {
        int size = EVP_DecodeBlock(bytes.data, (const unsigned char *)text, (int)length);
        if (size < (int)padding || (size_t)size != bytes.size)
            result = IDM_E_CORRUPT;
        else
            bytes.size -= padding;
    }
    if (result == 0) {
        bytes.data[bytes.size] = 0;
        idm_bytes_move(ret, &bytes);
    }
    idm_bytes_free(&bytes);
    return result;
}
