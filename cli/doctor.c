/* SPDX-License-Identifier: BSD-2-Clause */
/* doctor.c - everything that can be read, what was concluded from it, and what a boot would do. It
 * changes nothing: the TPM is asked for one signature, as at every boot. */
#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void line(json_t *findings, const char *about, const char *found)
{
    (void)json_array_append_new(findings, json_pack("{s:s, s:s}", "about", about, "found", found));
}

static void look_at_files(json_t *findings, const struct idm_facts *f)
{
    line(findings, "file systems", idm_evidence_words(f->evidence));
    line(findings, "record", idm_record_words(f->record));
    line(findings, "config certificate", idm_file_words(f->config_cert));
    line(findings, "config key", idm_file_words(f->config_key));
    if (f->config_folder_gone)
        line(findings, "config folder", "idmode's folder in the config directory is gone");
    line(findings, "second copy of the software key", idm_copy_words(f->store_key));
    line(findings, "second copy of the software certificate", idm_copy_words(f->store_cert));
    line(findings, "legacy key", idm_seal_words(f->seal));
}

static const char *origin_words(const struct idm_record *r)
{
    if (r->origin & IDM_KEY_IMPORTED)
        return "imported: it was made outside of the TPM, and copies of it may exist";
    if (r->origin & IDM_KEY_ADOPTED)
        return "adopted: it was in the TPM before idmode was";
    return r->origin & IDM_KEY_REUSED
               ? "used again by an operator's word, after its record was lost"
               : "made in the TPM by idmode";
}

static void look_at_chip(json_t *findings, const struct idm_facts *f, const struct idm_record *r)
{
    if (r && (f->state == IDM_S_tpm_dual || f->state == IDM_S_tpm || f->key_given))
        line(findings, "device key", origin_words(r));
    line(findings, "TPM",
         f->chip == IDM_CHIP_UNASKED ? "not asked: nothing depends on it now"
                                     : idm_chip_name(f->chip));
    line(findings, "proof of possession", idm_proof_words(f->proof));
    line(findings, "counter", idm_counter_words(f->counter));
    if (f->state == IDM_S_tpm_dual || f->state == IDM_S_tpm)
        line(findings, "copies of the TPM identity",
             f->backup == IDM_BACKUP_COMPLETE ? "complete" : "one is missing");
}

/* Why a device stays tpm-dual is what operators ask first. */
static const char *why_not_sealed(const struct idm_facts *f)
{
    if (f->state != IDM_S_tpm_dual)
        return NULL;
    if (f->legacy_may_boot)
        return "a legacy image may boot: the other slot is legacy, or nobody knows what it holds";
    if (f->install_open)
        return "an installation is open";
    if (f->trial != IDM_FACT_NO)
        return "the running image is not committed";
    if (!f->seal_allowed)
        return "the policy keeps it, or no pre-install hook was seen for an image that then booted";
    return f->seal == IDM_SEAL_FRESH ? "it is sealed already; the TPM must be reset once" : NULL;
}

/* Whose word it is: an environment that says nothing leaves it to the record. */
static const char *trial_words(const struct idm_facts *f, const struct idm_bootenv *env)
{
    if (env->trial == IDM_YES)
        return "yes, by the boot environment";
    if (env->trial == IDM_NO)
        return "no, by the boot environment";
    if (env->state == IDM_BOOTENV_IS_UNREADABLE)
        return "unknown: the boot environment cannot be read";
    return f->trial == IDM_FACT_NO
               ? "no: the record knows of no installation that runs and waits for its commit"
               : "unknown: by the record what runs was installed, and waits for its commit";
}

static void look_at_bootenv(json_t *findings, const struct idm_session *s,
                            const struct idm_facts *f)
{
    struct idm_bootenv env = {0};
    char text[160];
    s->backends.bootenv(s->backends.self, &env);
    (void)snprintf(text, sizeof text, "%s, the other one %s", env.slot[0] ? env.slot : "unknown",
                   env.other[0] ? env.other : "unknown");
    line(findings, "running slot", text);
    if (env.said[0])
        line(findings, "boot environment", env.said);
    if (f->evidence == IDM_EVIDENCE_READABLE && f->record != IDM_RECORD_NEWER)
        line(findings, "trial", trial_words(f, &env));
}

static void look_at_images(json_t *findings, const struct idm_facts *f)
{
    line(findings, "may a legacy image boot", f->legacy_may_boot ? "yes" : "no");
    line(findings, "open installation", f->install_open ? "yes" : "no");
    const char *why = why_not_sealed(f);
    if (why)
        line(findings, "why the legacy key is plain", why);
    line(findings, "clock", f->clock_good ? "plausible" : "implausible");
    line(findings, "room",
         f->room == IDM_ROOM_IS_OK     ? "enough"
         : f->room == IDM_ROOM_IS_FULL ? "too little"
                                       : "a file system is read-only");
}

/* What stands beside the event: no boot of ours changes it. */
static void look_at_reasons(json_t *findings, uint64_t reasons)
{
    char text[512];
    for (unsigned int i = 1; i < IDM_REASON_COUNT; i++) {
        enum idm_reason reason = (enum idm_reason)i;
        if (!(reasons >> i & 1))
            continue;
        (void)snprintf(text, sizeof text, "%s (%s)", idm_reason_sentence(reason),
                       idm_reason_todo(reason));
        line(findings, idm_reason_word(reason), text);
    }
}

/* Said, and nothing done about it: a certificate is never replaced for its dates. */
#define SOON (30 * INT64_C(86400))

static void look_at_certificate(json_t *findings, struct idm_session *s)
{
    _cleanup_bytes_ struct idm_bytes pem = {0};
    struct idm_cert_info info = {0};
    struct idm_platform now = {0};
    const struct idm_backends *be = &s->backends;
    char text[256];
    if (idm_engine_certificate(s->engine, false, &pem, NULL) ||
        be->cert_inspect(be->self, &pem, &info, NULL) || be->platform(be->self, &now, NULL))
        return;
    int64_t days = (info.not_after - now.now) / 86400;
    if (!idm_engine_facts(s->engine)->clock_good)
        (void)snprintf(text, sizeof text, "nobody can say whether it has expired: the clock");
    else if (info.not_after < now.now)
        (void)snprintf(text, sizeof text,
                       "expired %" PRId64 " days ago (renew it: idmode csr, "
                       "idmode cert install FILE)",
                       -days);
    else if (info.self_signed && s->settings.certificate == IDM_CERT_CA)
        (void)snprintf(text, sizeof text,
                       "self-signed, until the authority's is installed (idmode csr, idmode cert "
                       "install FILE)");
    else
        (void)snprintf(text, sizeof text, "valid for %" PRId64 " days%s", days,
                       info.not_after - now.now < SOON
                           ? " only (renew it: idmode csr, idmode cert install FILE)"
                           : "");
    line(findings, "certificate", text);
}

/* Hooks that did not do what they are there for, when they were told last in this boot. */
static bool look_at_hooks(json_t *findings, const struct idm_session *s)
{
    _cleanup_bytes_ struct idm_bytes text = {0};
    const struct idm_backends *be = &s->backends;
    bool well = true;
    size_t i = 0;
    json_t *hook = NULL;
    if (be->file_read(be->self, IDM_F_RUN_HOOKS, &text, NULL) || !text.data)
        return true;
    json_t *report = json_loadb((const char *)text.data, text.size, 0, NULL);
    json_array_foreach(json_object_get(report, "hooks"), i, hook)
    {
        char about[300];
        char found[320];
        const char *name = json_string_value(json_object_get(hook, "name"));
        const char *result = json_string_value(json_object_get(hook, "result"));
        const char *why = json_string_value(json_object_get(hook, "why"));
        if (!name || !result || strcmp(result, "done") == 0)
            continue;
        (void)snprintf(about, sizeof about, "hook %s", name);
        (void)snprintf(found, sizeof found, "%s: %s", result, why ? why : "-");
        line(findings, about, found);
        well = well && strcmp(result, "skipped") == 0;
    }
    json_decref(report);
    return well;
}

static void print(const json_t *doc, const struct idm_verdict *v, enum idm_reason reason)
{
    size_t i = 0;
    json_t *finding = NULL;
    json_array_foreach(json_object_get(doc, "findings"), i, finding)(void)
        printf("%-40s %s\n", json_string_value(json_object_get(finding, "about")),
               json_string_value(json_object_get(finding, "found")));
    (void)printf("\na boot would see: %s (%s)\n", idm_event_sentence(v->event),
                 idm_event_name(v->event));
    (void)printf("  and: %s\n", v->cell.why);
    if (reason != IDM_R_none)
        (void)printf("  %s: %s\n  what to do: %s\n", idm_reason_word(reason),
                     idm_reason_sentence(reason), idm_reason_todo(reason));
}

int idm_command_doctor(const struct idm_options *options)
{
    _cleanup_session_ struct idm_session s = {0};
    int rc = idm_session_open(&s, options, true);
    if (rc)
        return rc;
    struct idm_verdict v = idm_engine_examine(s.engine);
    const struct idm_facts *f = idm_engine_facts(s.engine);
    enum idm_reason reason = idm_reason_resolve(v.cell.reason, f);
    json_t *findings = json_array();
    line(findings, "state on record", idm_state_name(f->state));
    look_at_files(findings, f);
    look_at_chip(findings, f, idm_engine_record(s.engine));
    look_at_certificate(findings, &s);
    look_at_bootenv(findings, &s, f);
    look_at_images(findings, f);
    if (s.settings.invalid)
        line(findings, "configuration", s.settings.invalid_error.why);
    uint64_t standing = idm_engine_reasons(s.engine) & ~(UINT64_C(1) << reason);
    look_at_reasons(findings, standing);
    bool told = look_at_hooks(findings, &s);
    json_t *doc = json_pack("{s:o, s:s, s:s, s:s, s:s}", "findings", findings, "event",
                            idm_event_name(v.event), "kind", idm_cell_kind_name(v.cell.kind), "why",
                            v.cell.why ? v.cell.why : "", "reason", idm_reason_word(reason));
    bool well = v.event == IDM_EV_settled && reason == IDM_R_none && !standing &&
                !s.settings.invalid && told;
    if (options->json) {
        idm_say_json(doc);
    } else {
        print(doc, &v, reason);
        json_decref(doc);
    }
    return well ? IDM_EXIT_DONE : IDM_EXIT_HELD;
}
