/* SPDX-License-Identifier: BSD-2-Clause */
#include "verify/document.h"

#include "verify/members.h"

#include <string.h>

#define AT(type, field) offsetof(struct type, field)
#define COUNT(members)  (sizeof(members) / sizeof *(members))

void idm_list_free(struct idm_list *list)
{
    for (size_t i = 0; i < IDM_LIST_MAX; i++)
        idm_bytes_free(&list->item[i]);
    list->count = 0;
}

/* ---- idmode-ek ---- */

void idm_ek_document_free(struct idm_ek_document *document)
{
    for (size_t i = 0; i < document->count; i++) {
        idm_bytes_free(&document->key[i].public);
        idm_bytes_free(&document->key[i].certificate);
    }
    idm_list_free(&document->chain);
    document->count = 0;
}

struct ek_entry {
    struct idm_bytes template;
    struct idm_ek_entry entry;
};

static int read_ek(const json_t *object, struct idm_ek_entry *ret, struct idm_error *err)
{
    static const struct idm_member members[] = {
        {"template", IDM_M_TEXT, AT(ek_entry, template), NULL},
        {"name", IDM_M_IGNORED, 0, NULL},
        {"public", IDM_M_BASE64_NULL, AT(ek_entry, entry.public), NULL},
        {"index", IDM_M_IGNORED, 0, NULL},
        {"certificate", IDM_M_BASE64_NULL, AT(ek_entry, entry.certificate), NULL},
        {"matches", IDM_M_IGNORED, 0, NULL}, /* compared again here */
        {"why", IDM_M_IGNORED, 0, NULL},
    };
    struct ek_entry read = {0};
    int result = idm_members_read(object, members, COUNT(members), &read, err);
    if (result == 0 && read.template.size < sizeof read.entry.template)
        memcpy(read.entry.template, read.template.data, read.template.size);
    else if (result == 0)
        result = idm_fail(err, IDM_E_CORRUPT, "read the document", "\"template\": it is too long");
    idm_bytes_free(&read.template);
    *ret = read.entry;
    return result;
}

static int read_eks(const json_t *keys, struct idm_ek_document *ret, struct idm_error *err)
{
    size_t count = json_array_size(keys);
    if (count == 0 || count > IDM_LIST_MAX)
        return idm_fail(err, IDM_E_CORRUPT, "read the document", "\"keys\": none, or too many");
    while (ret->count < count) {
        const json_t *object = json_array_get(keys, ret->count);
        int result = read_ek(object, &ret->key[ret->count++], err);
        if (result < 0)
            return result;
    }
    return 0;
}

int idm_ek_document_read(const struct idm_bytes *text, struct idm_ek_document *ret,
                         struct idm_error *err)
{
    struct read {
        struct idm_ek_document document;
        const json_t *keys;
    } read = {0};
    static const struct idm_member members[] = {
        {"type", IDM_M_CONSTANT, 0, "idmode-ek"},
        {"version", IDM_M_CONSTANT, 0, "1"},
        {"manufacturer", IDM_M_IGNORED, 0, NULL},
        {"firmware", IDM_M_IGNORED, 0, NULL},
        {"keys", IDM_M_ARRAY, AT(read, keys), NULL},
        {"chain", IDM_M_LIST, AT(read, document.chain), NULL},
    };
    _cleanup_json_ json_t *object = NULL;
    int result = idm_members_load(text, &object, err);
    if (result == 0)
        result = idm_members_read(object, members, COUNT(members), &read, err);
    if (result == 0)
        result = read_eks(read.keys, &read.document, err);
    if (result < 0)
        idm_ek_document_free(&read.document);
    else
        *ret = read.document;
    return result;
}

/* ---- idmode-ak ---- */

void idm_ak_document_free(struct idm_ak_document *document)
{
    idm_bytes_free(&document->public);
    idm_list_free(&document->parents);
}

int idm_ak_document_read(const struct idm_bytes *text, struct idm_ak_document *ret,
                         struct idm_error *err)
{
    static const struct idm_member members[] = {
        {"type", IDM_M_CONSTANT, 0, "idmode-ak"},
        {"version", IDM_M_CONSTANT, 0, "1"},
        {"service", IDM_M_SERVICE, AT(idm_ak_document, service), NULL},
        {"name", IDM_M_IGNORED, 0, NULL}, /* computed again here */
        {"public", IDM_M_BASE64, AT(idm_ak_document, public), NULL},
        {"parents", IDM_M_LIST, AT(idm_ak_document, parents), NULL},
    };
    struct idm_ak_document read = {0};
    _cleanup_json_ json_t *object = NULL;
    int result = idm_members_load(text, &object, err);
    if (result == 0)
        result = idm_members_read(object, members, COUNT(members), &read, err);
    if (result < 0)
        idm_ak_document_free(&read);
    else
        *ret = read;
    return result;
}

/* ---- statement.json ---- */

void idm_statement_free(struct idm_statement *statement)
{
    idm_bytes_free(&statement->signature);
}

int idm_statement_read(const struct idm_bytes *text, struct idm_statement *ret,
                       struct idm_error *err)
{
    static const struct idm_member members[] = {
        {"schema", IDM_M_CONSTANT, 0, "1"},
        {"label", IDM_M_CONSTANT, 0, "idmode succession v1"},
        {"old_cert_sha256", IDM_M_HASH, AT(idm_statement, old_cert), NULL},
        {"new_cert_sha256", IDM_M_HASH, AT(idm_statement, new_cert), NULL},
        {"epoch", IDM_M_U32, AT(idm_statement, epoch), NULL},
        {"signature", IDM_M_HEX, AT(idm_statement, signature), NULL},
    };
    struct idm_statement read = {0};
    _cleanup_json_ json_t *object = NULL;
    int result = idm_members_load(text, &object, err);
    if (result == 0)
        result = idm_members_read(object, members, COUNT(members), &read, err);
    if (result < 0)
        idm_statement_free(&read);
    else
        *ret = read;
    return result;
}
