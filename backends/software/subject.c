/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/software/subject.h"
#include "backends/settings.h"
#include "backends/software/ossl.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <string.h>
#include <strings.h>

#define ATTRIBUTES_MAX 16

static const char what[] = "read the certificate's subject";

static const struct {
    const char *name;
    int nid;
} attributes[] = {
    {"CN", NID_commonName},
    {"SERIALNUMBER", NID_serialNumber},
    {"OU", NID_organizationalUnitName},
    {"O", NID_organizationName},
    {"L", NID_localityName},
    {"ST", NID_stateOrProvinceName},
    {"STREET", NID_streetAddress},
    {"C", NID_countryName},
    {"DC", NID_domainComponent},
    {"UID", NID_userId},
};

struct value {
    unsigned char text[IDM_PATH_SIZE];
    size_t size;
};

static int invalid(struct idm_error *err, const char *why, const char *at)
{
    char shown[64];
    size_t size = 0;
    /* Errors end up in JSON: no half characters. */
    for (; at[size] && size < sizeof shown - 1; size++)
        shown[size] = at[size] < 0x20 || at[size] > 0x7e ? '?' : at[size];
    shown[size] = 0;
    (void)idm_fail(err, IDM_E_SETTINGS, what, "%s: \"%s\"", why, shown);
    (void)idm_advise(err, "write [identity] subject like CN=name,O=Example\\, Inc.");
    return IDM_E_SETTINGS;
}

/* "CN=": the attribute, and *at behind the "=". */
static int read_attribute(const char **at, int *ret_nid, struct idm_error *err)
{
    const char *name = *at + strspn(*at, " ");
    size_t size = strcspn(name, "=,");
    if (name[size] != '=')
        return invalid(err, "an attribute without \"=\"", name);
    size_t trimmed = size;
    while (trimmed && name[trimmed - 1] == ' ')
        trimmed--;
    for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++) {
        if (strlen(attributes[i].name) == trimmed &&
            strncasecmp(attributes[i].name, name, trimmed) == 0) {
            *ret_nid = attributes[i].nid;
            *at = name + size + 1;
            return 0;
        }
    }
    return invalid(err, "an attribute that is not known", name);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 32) >= 'a' && (c | 32) <= 'f')
        return (c | 32) - 'a' + 10;
    return -1;
}

/* Behind a backslash (RFC 4514, 2.4): a special character itself, or two hexadecimal digits. */
static int read_escape(const char **at, unsigned char *ret, struct idm_error *err)
{
    const char *escape = *at;
    if (*escape && strchr(" \"#+,;<=>\\", *escape)) {
        *ret = (unsigned char)*escape;
        *at += 1;
        return 0;
    }
    int high = hex_digit(escape[0]);
    int low = high < 0 ? -1 : hex_digit(escape[1]);
    if (low < 0)
        return invalid(err, "a backslash that escapes nothing", escape - 1);
    *ret = (unsigned char)(high * 16 + low);
    *at += 2;
    return 0;
}

/* The value up to "," or the end, unescaped, without the blanks around it that are not escaped. */
static int read_value(const char **at, struct value *ret, struct idm_error *err)
{
    const char *start = *at + strspn(*at, " ");
    size_t kept = 0;
    *at = start;
    ret->size = 0;
    if (*start == '#')
        return invalid(err, "a value in hexadecimal is not supported", start);
    while (**at && **at != ',') {
        if (ret->size == sizeof ret->text)
            return invalid(err, "a value is too long", start);
        unsigned char c = (unsigned char)**at;
        bool escaped = c == '\\';
        if (strchr("\"+;<>", (char)c))
            return invalid(err, "a character that needs a backslash before it", *at);
        if (c == '%' && (*at)[1] == '{')
            return invalid(err, "a placeholder that is not known", *at);
        *at += 1;
        int r = escaped ? read_escape(at, &c, err) : 0;
        if (r < 0)
            return r;
        if (c < 0x20 || c == 0x7f)
            return invalid(err, "a control character", start);
        ret->text[ret->size++] = c;
        kept = escaped || c != ' ' ? ret->size : kept;
    }
    ret->size = kept;
    return ret->size ? 0 : invalid(err, "a value is empty", start);
}

static int add_first(X509_NAME *name, int nid, const struct value *value, struct idm_error *err)
{
    /* In front of what came earlier in the text: the encoded name has the opposite order. */
    if (X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, value->text, (int)value->size, 0, 0) ==
        1)
        return 0;
    int r = idm_ossl_fail(err, IDM_E_SETTINGS, what, OBJ_nid2ln(nid));
    (void)idm_advise(err, "correct [identity] subject");
    return r;
}

int idm_subject_parse(const char *text, X509_NAME **ret, struct idm_error *err)
{
    _ossl_queue_ bool queue = idm_ossl_begin();
    _cleanup_x509_name_ X509_NAME *name = X509_NAME_new();
    const char *at = text;
    if (!name)
        return idm_fail(err, IDM_E_MEMORY, what, "%s", idm_error_sentence(IDM_E_MEMORY));
    for (int count = 0;; count++) {
        struct value value;
        int nid = NID_undef;
        if (count == ATTRIBUTES_MAX)
            return invalid(err, "more than 16 attributes", text);
        int r = read_attribute(&at, &nid, err);
        if (r == 0)
            r = read_value(&at, &value, err);
        if (r == 0)
            r = add_first(name, nid, &value, err);
        if (r < 0)
            return r;
        if (*at != ',')
            break;
        at++;
    }
    *ret = name;
    name = NULL;
    return 0;
}
