/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/software/pem.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEGIN    "-----BEGIN "
#define END      "-----END "
#define DASHES   "-----"
#define ALPHABET "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

struct line {
    const char *text;
    size_t size; /* without its end and without blanks before it */
};

static bool next_line(struct idm_pem_cursor *cursor, struct line *ret)
{
    if (!cursor->left)
        return false;
    const char *end = memchr(cursor->at, '\n', cursor->left);
    size_t taken = end ? (size_t)(end - cursor->at) + 1 : cursor->left;
    size_t size = end ? taken - 1 : taken;
    while (size && strchr(" \t\r", cursor->at[size - 1]) && cursor->at[size - 1])
        size--;
    *ret = (struct line){.text = cursor->at, .size = size};
    cursor->at += taken;
    cursor->left -= taken;
    return true;
}

static bool line_starts(const struct line *line, const char *prefix)
{
    size_t size = strlen(prefix);
    return line->size >= size && memcmp(line->text, prefix, size) == 0;
}

static bool line_is_binary(const struct line *line)
{
    for (size_t i = 0; i < line->size; i++) {
        unsigned char c = (unsigned char)line->text[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return true;
    }
    return false;
}

/* "-----BEGIN LABEL-----" with this prefix; false when it is anything else. */
static bool boundary_label(const struct line *line, const char *prefix, char ret_label[64])
{
    size_t before = strlen(prefix);
    size_t after = strlen(DASHES);
    if (!line_starts(line, prefix) || line->size < before + after + 1 ||
        memcmp(line->text + line->size - after, DASHES, after) != 0)
        return false;
    size_t size = line->size - before - after;
    if (size >= 64 || memchr(line->text + before, '-', size))
        return false;
    memcpy(ret_label, line->text + before, size);
    ret_label[size] = 0;
    return true;
}

/* Only the bits of the last group can be written in several ways. */
static bool base64_is_canonical(const char *text, size_t size, const uint8_t *data, size_t decoded)
{
    char again[5] = {0};
    size_t whole = (size / 4 - 1) * 3;
    (void)EVP_EncodeBlock((unsigned char *)again, data + whole, (int)(decoded - whole));
    bool same = memcmp(again, text + size - 4, 4) == 0;
    OPENSSL_cleanse(again, sizeof again);
    return same;
}

static int base64_decode(const char *text, size_t size, struct idm_bytes *ret)
{
    size_t padding = 0;
    while (padding < 2 && padding < size && text[size - 1 - padding] == '=')
        padding++;
    if (!size || size % 4 || memchr(text, '=', size - padding))
        return IDM_E_CORRUPT;
    _cleanup_bytes_ struct idm_bytes der = {.data = malloc(size + 1), .size = size};
    if (!der.data)
        return IDM_E_MEMORY;
    int decoded = EVP_DecodeBlock(der.data, (const unsigned char *)text, (int)size);
    if (decoded < 0 || (size_t)decoded != size / 4 * 3)
        return IDM_E_CORRUPT;
    size_t wanted = (size_t)decoded - padding;
    if (!base64_is_canonical(text, size, der.data, wanted))
        return IDM_E_CORRUPT;
    return idm_bytes_set(ret, der.data, wanted);
}

static int corrupt(struct idm_error *err, const char *what, const char *why)
{
    return idm_fail(err, IDM_E_CORRUPT, what, "%s", why);
}

/* The lines up to the END boundary; *text collects their base64 without line ends. */
static int read_body(struct idm_pem_cursor *cursor, const char *what, const char *label,
                     struct idm_bytes *text, bool *ret_encrypted, struct idm_error *err)
{
    bool encrypted = false;
    bool header = false;
    struct line line;
    while (next_line(cursor, &line)) {
        char end_label[64];
        if (line_is_binary(&line))
            return corrupt(err, what, "binary data inside a PEM block");
        if (boundary_label(&line, END, end_label)) {
            if (strcmp(label, end_label) != 0)
                return corrupt(err, what, "a PEM block ends under another label than it began");
            *ret_encrypted = encrypted;
            return 0;
        }
        if (memchr(line.text, ':', line.size)) {
            encrypted |= line_starts(&line, "Proc-Type: 4,ENCRYPTED");
            header = true;
            continue;
        }
        size_t base64 = 0;
        while (base64 < line.size && strchr(ALPHABET "=", line.text[base64]))
            base64++;
        if (base64 != line.size || (header && !encrypted))
            return corrupt(err, what, "a PEM block holds something else than base64");
        memcpy(text->data + text->size, line.text, line.size);
        text->size += line.size;
    }
    return corrupt(err, what, "a PEM block without its END line: the file is cut short");
}

static int read_block(struct idm_pem_cursor *cursor, const char *what, struct idm_pem_block *block,
                      struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes text = {.data = malloc(cursor->left + 1)};
    if (!text.data)
        return idm_fail(err, IDM_E_MEMORY, what, "%s", idm_error_sentence(IDM_E_MEMORY));
    int r = read_body(cursor, what, block->label, &text, &block->encrypted, err);
    if (r < 0 || block->encrypted)
        return r;
    r = base64_decode((const char *)text.data, text.size, &block->der);
    if (r == IDM_E_CORRUPT)
        return corrupt(err, what, "the base64 of a PEM block is damaged");
    return r < 0 ? idm_fail(err, r, what, "%s", idm_error_sentence(r)) : 0;
}

int idm_pem_next(struct idm_pem_cursor *cursor, const char *what, struct idm_pem_block *ret,
                 struct idm_error *err)
{
    _cleanup_pem_block_ struct idm_pem_block block = {0};
    struct line line;
    while (next_line(cursor, &line)) {
        if (line_is_binary(&line))
            return corrupt(err, what, "binary data: the file is damaged or no PEM");
        if (!line_starts(&line, DASHES))
            continue;
        if (!boundary_label(&line, BEGIN, block.label))
            return corrupt(err, what, "a PEM boundary line is damaged or without its partner");
        int r = read_block(cursor, what, &block, err);
        if (r < 0)
            return r;
        break;
    }
    idm_pem_block_free(ret);
    *ret = block;
    block = (struct idm_pem_block){0};
    return 0;
}

void idm_pem_block_free(struct idm_pem_block *block)
{
    if (!block)
        return;
    idm_bytes_free(&block->der);
    *block = (struct idm_pem_block){0};
}

int idm_pem_append(struct idm_bytes *text, const char *label, const void *der, size_t size)
{
    enum { LINE_BYTES = 48 }; /* RFC 7468, 2: 64 characters */
    if (size > IDM_BYTES_MAX)
        return IDM_E_USAGE;
    size_t room = text->size + size / LINE_BYTES * 65 + 66 + 2 * (strlen(label) + 20);
    _cleanup_bytes_ struct idm_bytes all = {.data = malloc(room + 1), .size = room};
    if (!all.data)
        return IDM_E_MEMORY;
    if (text->size)
        memcpy(all.data, text->data, text->size);
    char *at = (char *)all.data + text->size;
    at += sprintf(at, BEGIN "%s" DASHES "\n", label);
    const unsigned char *bytes = der;
    for (size_t done = 0; done < size; done += LINE_BYTES) {
        size_t part = size - done < LINE_BYTES ? size - done : LINE_BYTES;
        at += EVP_EncodeBlock((unsigned char *)at, bytes + done, (int)part);
        *at++ = '\n';
    }
    at += sprintf(at, END "%s" DASHES "\n", label);
    return idm_bytes_set(text, all.data, (size_t)(at - (char *)all.data));
}
