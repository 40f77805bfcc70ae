/* SPDX-License-Identifier: BSD-2-Clause */
/* cert.c - csr, cert: the certificate of the identity in use, or of the one that a migration prepared. */
#include "cli/cli.h"

#include <string.h>

typedef int (*text_fn)(struct idm_engine *engine, bool prepared, struct idm_bytes *ret,
                       struct idm_error *err);

static int print_text(const struct idm_options *options, text_fn get, const char *member)
{
    _cleanup_session_ struct idm_session s = {0};
    _cleanup_bytes_ struct idm_bytes pem = {0};
    struct idm_error err = {0};
    int rc = idm_session_open(&s, options, false);
    if (rc)
        return rc;
    rc = idm_engine_look(s.engine, &err);
    if (rc == 0)
        rc = get(s.engine, options->prepared, &pem, &err);
    if (rc) {
        int code = idm_say_error(options, s.command, &err);
        if (rc != IDM_E_ABSENT)
            return code;
        return options->prepared ? IDM_EXIT_REFUSED
                                 : IDM_EXIT_HELD; /* trying again does not help */
    }
    if (options->json)
        idm_say_json(json_pack("{s:s}", member, (const char *)pem.data));
    else if (idm_write_out(options, pem.data, pem.size, &err))
        return idm_say_error(options, s.command, &err);
    return IDM_EXIT_DONE;
}

int idm_command_csr(const struct idm_options *options)
{
    return print_text(options, idm_engine_csr, "request");
}

static int install(const struct idm_options *options)
{
    _cleanup_bytes_ struct idm_bytes cert = {0};
    struct idm_error err = {0};
    if (idm_read_given(options->word[2], &cert, &err))
        return idm_say_error(options, "cert", &err);
    struct idm_ask ask = {.kind = IDM_REQ_CERT, .cert = &cert, .prepared = options->prepared};
    return idm_run_request(options, &ask, false);
}

int idm_command_cert(const struct idm_options *options)
{
    bool file = options->words == 3;
    if (strcmp(options->word[1], "show") == 0 && !file)
        return print_text(options, idm_engine_certificate, "certificate");
    if (strcmp(options->word[1], "install") == 0 && file)
        return install(options);
    return idm_misuse(options, "cert", "it is cert show, or cert install FILE");
}
