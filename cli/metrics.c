/* SPDX-License-Identifier: BSD-2-Clause */
/* metrics.c - the status document in Prometheus' text format (exposition format 0.0.4). Words are label
 * values, each of them a sample of its own that is 0 or 1, so that a word that goes is seen to go. */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void heading(FILE *out, const char *name, const char *help)
{
    (void)fprintf(out, "# HELP idmode_%s %s\n# TYPE idmode_%s gauge\n", name, help, name);
}

static void put_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\n')
            (void)fputs("\\n", out);
        else if (*text == '"' || *text == '\\')
            (void)fprintf(out, "\\%c", *text);
        else
            (void)fputc(*text, out);
    }
}

static void word(FILE *out, const char *name, const char *label, const char *value, bool is)
{
    (void)fprintf(out, "idmode_%s{%s=\"", name, label);
    put_text(out, value);
    (void)fprintf(out, "\"} %d\n", is);
}

static void number(FILE *out, const char *name, const char *help, long long value)
{
    heading(out, name, help);
    (void)fprintf(out, "idmode_%s %lld\n", name, value);
}

static const char *text_of(const json_t *doc, const char *part, const char *key)
{
    const char *text =
        json_string_value(json_object_get(part ? json_object_get(doc, part) : doc, key));
    return text ? text : "";
}

/* Nothing where the document has no such time. */
static void moment(FILE *out, const char *name, const char *help, const char *text)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    if (end && *end == 0)
        number(out, name, help, (long long)timegm(&tm));
}

static bool is_among(const json_t *list, const char *wanted)
{
    size_t i = 0;
    const json_t *item = NULL;
    json_array_foreach((json_t *)list, i, item)
    {
        const char *text = json_string_value(item);
        if (text && strcmp(text, wanted) == 0)
            return true;
    }
    return false;
}

static void put_words(FILE *out, const json_t *doc)
{
    static const char *const modes[] = {"none", "software", "tpm", "unknown"};
    static const char *const trials[] = {"no", "unknown", "yes"};
    const char *mode = doc ? text_of(doc, NULL, "mode") : "unknown";
    heading(out, "mode", "What TLS uses in this boot.");
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        word(out, "mode", "mode", modes[i], strcmp(modes[i], mode) == 0);
    if (!doc)
        return;
    heading(out, "state", "What is recorded.");
    for (unsigned int s = 0; s < IDM_STATE_COUNT; s++) {
        const char *name = idm_state_name((enum idm_state)s);
        word(out, "state", "state", name, strcmp(name, text_of(doc, NULL, "state")) == 0);
    }
    heading(out, "reason", "What is wrong; each goes only by its own recovery.");
    for (unsigned int r = 1; r < IDM_REASON_COUNT; r++) {
        const char *name = idm_reason_word((enum idm_reason)r);
        word(out, "reason", "reason", name, is_among(json_object_get(doc, "reasons"), name));
    }
    heading(out, "trial", "Is the running image booted and not committed?");
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++)
        word(out, "trial", "trial", trials[i],
             strcmp(trials[i], text_of(doc, "image", "trial")) == 0);
}

static void put_info(FILE *out, const json_t *doc)
{
    static const char *const labels[][3] = {{"slot", "image", "slot"},
                                            {"version", "image", "version"},
                                            {"tpm_manufacturer", "tpm", "manufacturer"},
                                            {"tpm_firmware", "tpm", "firmware"}};
    heading(out, "info", "Image and TPM.");
    (void)fputs("idmode_info{", out);
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
        (void)fprintf(out, "%s%s=\"", i ? "," : "", labels[i][0]);
        put_text(out, text_of(doc, labels[i][1], labels[i][2]));
        (void)fputc('"', out);
    }
    (void)fputs("} 1\n", out);
}

static void put_all(FILE *out, const json_t *doc)
{
    number(out, "decided", "Did idmode boot run in this boot?", doc != NULL);
    put_words(out, doc);
    if (!doc)
        return;
    number(out, "held", "The identity cannot be proven now.",
           json_is_true(json_object_get(doc, "held")));
    number(out, "healthy", "Not held, no reasons, and the last run did not fail.",
           json_is_true(json_object_get(doc, "healthy")));
    number(out, "error", "Did the last run fail?", json_is_object(json_object_get(doc, "error")));
    number(out, "epoch", "Number of the identity.",
           (long long)json_integer_value(json_object_get(doc, "epoch")));
    moment(out, "updated_timestamp_seconds", "When idmode decided last.",
           text_of(doc, NULL, "updated_at"));
    moment(out, "last_change_timestamp_seconds", "When the identity changed last.",
           text_of(doc, "last_change", "at"));
    moment(out, "certificate_not_before_timestamp_seconds", "Of the certificate in use.",
           text_of(doc, "identity", "not_before"));
    moment(out, "certificate_not_after_timestamp_seconds", "Of the certificate in use.",
           text_of(doc, "identity", "not_after"));
    put_info(out, doc);
}

/* Beside the file and renamed over it: who reads it sees the old one or the new one. */
static int replace_file(const char *path, const char *text, size_t size, struct idm_error *err)
{
    char temp[4096];
    int length = snprintf(temp, sizeof temp, "%s.XXXXXX", path);
    if (length < 0 || (size_t)length >= sizeof temp)
        return idm_fail(err, IDM_E_USAGE, "--out", "the path is too long");
    int fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0)
        return idm_fail_errno(err, IDM_E_STORAGE, path, errno);
    bool good = write(fd, text, size) == (ssize_t)size && fchmod(fd, 0644) == 0;
    int failed = errno;
    if (close(fd) < 0 || !good || rename(temp, path) < 0) {
        failed = good ? errno : failed;
        (void)unlink(temp);
        return idm_fail_errno(err, IDM_E_STORAGE, path, failed);
    }
    return 0;
}

int idm_say_metrics(const struct idm_options *options, const json_t *doc, struct idm_error *err)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return idm_fail(err, IDM_E_MEMORY, "status", "out of memory");
    put_all(out, doc);
    int rc = 0;
    if (fclose(out) != 0)
        rc = idm_fail(err, IDM_E_MEMORY, "status", "out of memory");
    else if (options->out)
        rc = replace_file(options->out, text, size, err);
    else if (fwrite(text, 1, size, stdout) != size)
        rc = idm_fail_errno(err, IDM_E_STORAGE, "write the output", errno);
    free(text);
    return rc;
}
