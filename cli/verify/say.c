/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/verify/verify.h"

#include "verify/pcrs.h"

#include <stdio.h>

void idm_verify_say_json(json_t *object)
{
    (void)json_dumpf(object, stdout, JSON_INDENT(2));
    (void)putchar('\n');
    json_decref(object);
}

json_t *idm_verify_hex(const void *data, size_t size)
{
    char text[2 * sizeof(TPM2B_NAME) + 1];
    if (size > sizeof(TPM2B_NAME))
        return NULL;
    idm_hex(data, size, text);
    return json_string(text);
}

int idm_verify_say_error(const struct idm_verify_options *options, const struct idm_error *err)
{
    char text[640];
    idm_error_text(err, text, sizeof text);
    if (options->json)
        idm_verify_say_json(json_pack("{s:b, s:{s:s, s:s, s:s, s:s}}", "proven", 0, "error", "code",
                                      idm_error_name(err->code), "what", err->what, "why", err->why,
                                      "do", err->todo));
    (void)fprintf(stderr, "idmode-verify: %s\n", text);
    return err->code == IDM_E_USAGE ? IDM_VERIFY_USAGE : IDM_VERIFY_FAILED;
}

int idm_verify_say_refused(const struct idm_verify_options *options,
                           const struct idm_refused *refused)
{
    const char *word = idm_refusal_word(refused->refusal);
    const char *meaning = idm_refusal_meaning(refused->refusal);
    if (options->json)
        idm_verify_say_json(json_pack("{s:b, s:s, s:s, s:s}", "proven", 0, "refused", word,
                                      "meaning", meaning, "why", refused->why));
    (void)fprintf(stderr, "idmode-verify: refused: %s: %s: %s\n", word, meaning, refused->why);
    return IDM_VERIFY_REFUSED;
}

int idm_verify_say_result(const struct idm_verify_options *options, int rc,
                          const struct idm_refused *refused)
{
    struct idm_error err = {0};
    if (rc == IDM_E_REFUSED)
        return idm_verify_say_refused(options, refused);
    (void)idm_fail(&err, rc, options->command, "%s", idm_error_sentence(rc));
    return idm_verify_say_error(options, &err);
}

json_t *idm_verify_pcrs_json(const struct idm_pcrs *pcrs)
{
    json_t *all = json_object();
    for (size_t i = 0; i < pcrs->count; i++) {
        const struct idm_pcr_bank *bank = &pcrs->bank[i];
        json_t *values = json_object();
        const char *name = idm_pcr_bank_name(bank->algorithm);
        size_t size = 0;
        (void)idm_pcr_bank_of(name, &size);
        for (unsigned int pcr = 0; pcr < IDM_PCRS; pcr++) {
            char number[12];
            (void)snprintf(number, sizeof number, "%u", pcr);
            if (bank->selected >> pcr & 1)
                (void)json_object_set_new(values, number, idm_verify_hex(bank->value[pcr], size));
        }
        (void)json_object_set_new(all, name, values);
    }
    return all;
}

void idm_verify_say_pcrs(const struct idm_pcrs *pcrs)
{
    for (size_t i = 0; i < pcrs->count; i++) {
        const struct idm_pcr_bank *bank = &pcrs->bank[i];
        const char *name = idm_pcr_bank_name(bank->algorithm);
        size_t size = 0;
        (void)idm_pcr_bank_of(name, &size);
        for (unsigned int pcr = 0; pcr < IDM_PCRS; pcr++) {
            char text[2 * TPM2_SHA512_DIGEST_SIZE + 1];
            if (!(bank->selected >> pcr & 1))
                continue;
            idm_hex(bank->value[pcr], size, text);
            (void)printf("  PCR %-2u      %s (%s)\n", pcr, text, name);
        }
    }
}
