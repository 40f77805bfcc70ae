/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/shown.h"

#include "tests/support/device.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FROM      "<!-- from: "
#define FENCE     "```"
#define SKIP      "…"
#define WORDS     8
#define SERIAL    "gateway-0042" /* of every device in the documents */
#define HEX_LEAST 32u            /* digits that make a hash, not a number */

struct state {
    struct idm_shown *shown;
    const char *path;
    const char *at; /* the rest of the document */
    unsigned line;  /* of `at`, from 1 */
    FILE *out;
    struct idm_device device;
    bool made;
};

__attribute__((format(printf, 2, 3))) static int fail(struct state *s, const char *format, ...)
{
    char why[900];
    va_list args;

    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    snprintf(s->shown->error, sizeof s->shown->error, "%s:%u: %s", s->path, s->line, why);
    return -1;
}

/* ---- lines ---- */

struct line {
    const char *text;
    size_t size; /* without its newline */
};

static bool next_line(const char **at, struct line *ret)
{
    if (!**at)
        return false;
    *ret = (struct line){*at, strcspn(*at, "\n")};
    *at += ret->size + ((*at)[ret->size] == '\n');
    return true;
}

static bool is(const struct line *line, const char *text)
{
    return line->size == strlen(text) && memcmp(line->text, text, line->size) == 0;
}

static bool begins(const struct line *line, const char *text)
{
    return line->size >= strlen(text) && memcmp(line->text, text, strlen(text)) == 0;
}

/* ---- what counts as equal ---- */

/* Length of a hash or a time that begins here; 0: neither. */
static size_t volatile_at(const char *at, size_t size)
{
    static const char form[] = "0000-00-00T00:00:00Z";
    size_t n = 0;

    while (n < size && isxdigit((unsigned char)at[n]))
        n++;
    if (n >= HEX_LEAST)
        return n;
    for (n = 0; n < size && form[n]; n++)
        if (form[n] == '0' ? !isdigit((unsigned char)at[n]) : at[n] != form[n])
            return 0;
    return form[n] ? 0 : n;
}

static bool same_line(const struct line *a, const struct line *b)
{
    size_t i = 0, k = 0;

    while (i < a->size && k < b->size) {
        size_t skip_a = volatile_at(a->text + i, a->size - i);
        size_t skip_b = volatile_at(b->text + k, b->size - k);
        if (!skip_a != !skip_b || (!skip_a && a->text[i] != b->text[k]))
            return false;
        i += skip_a ? skip_a : 1;
        k += skip_b ? skip_b : 1;
    }
    return i == a->size && k == b->size;
}

/* Is `printed` what `shown` says? Where not, *ret are the lines that differ; empty: there is none. */
static bool same_text(const char *shown, const char *printed, struct line ret[2])
{
    struct line a, b;

    while (next_line(&shown, &a)) {
        if (is(&a, SKIP)) {
            do
                if (same_text(shown, printed, ret))
                    return true;
            while (next_line(&printed, &b));
            return false;
        }
        if (!next_line(&printed, &b))
            b = (struct line){"", 0};
        ret[0] = a;
        ret[1] = b;
        if (!same_line(&a, &b))
            return false;
    }
    ret[0] = (struct line){"", 0};
    return !next_line(&printed, &ret[1]);
}

/* ---- devices ---- */

static int new_device(struct state *s, bool legacy, const char *version)
{
    const struct idm_device_options options = {
        .legacy = legacy, .version = version, .serial = SERIAL};

    if (s->made)
        idm_device_close(&s->device);
    s->made = idm_device_open(&s->device, &options) == 0;
    return s->made ? 0 : fail(s, "no device: %s", s->device.error);
}

static int run_command(struct state *s, const char *command, struct idm_run *ret)
{
    char root[320], tcti[320], path[1024], *line = NULL;
    const char *env[] = {root, tcti, path, NULL};
    struct idm_run_options options = {.env = env};

    snprintf(root, sizeof root, "IDMODE_ROOT=%s", s->device.root);
    snprintf(tcti, sizeof tcti, "IDMODE_TCTI=%s", s->device.tcti);
    snprintf(path, sizeof path, "PATH=%s/bin:/usr/bin:/bin", IDM_TEST_BUILD_DIR);
    if (asprintf(&line, "exec 2>&1; cd '%s' || exit 1; %s", s->device.root, command) < 0)
        return fail(s, "no memory");
    int rc = idm_run(ret, &options, (const char *const[]){"/bin/sh", "-c", line, NULL});
    free(line);
    if (rc)
        return fail(s, "sh: %s", strerror(errno));
    return ret->timed_out ? fail(s, "%s: hangs", command) : 0;
}

/* " /run/…" of the device is " ROOT/run/…" here; the caller frees. */
static char *on_device(const struct state *s, const char *command, size_t size)
{
    static const char *const places[] = {"/run/", "/config", "/persist", "/etc/"};
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);

    for (size_t i = 0; out && i < size; i++) {
        for (size_t p = 0; p < sizeof places / sizeof *places; p++)
            if (i && command[i - 1] == ' ' && size - i >= strlen(places[p]) &&
                memcmp(command + i, places[p], strlen(places[p])) == 0)
                fputs(s->device.root, out);
        fputc(command[i], out);
    }
    return out && fclose(out) == 0 ? text : NULL;
}

/* The scratch root is nobody's business. */
static void cut_out(char *text, const char *what)
{
    size_t size = strlen(what);

    for (char *at = text; (at = strstr(at, what));)
        memmove(at, at + size, strlen(at + size) + 1);
}

static int run_hidden(struct state *s, const char *command)
{
    _cleanup_run_ struct idm_run run = {0};
    char *line = on_device(s, command, strlen(command));
    int rc = line ? run_command(s, line, &run) : fail(s, "no memory");

    free(line);
    return rc;
}

static int device_step(struct state *s, const char *words[WORDS], size_t count)
{
    struct idm_device *d = &s->device;
    bool legacy = count > 1 && strcmp(words[1], "legacy") == 0;
    bool kind = count == 3 && (legacy || strcmp(words[1], "aware") == 0);

    if (strcmp(words[0], "boot") == 0)
        return idm_device_boot(d);
    if (strcmp(words[0], "install") == 0 && kind) {
        struct idm_device_install install = {.aware = !legacy, .version = words[2]};
        return idm_device_install(d, &install);
    }
    if (strcmp(words[0], "commit") == 0)
        return idm_device_commit(d, true);
    if (strcmp(words[0], "fallback") == 0)
        return idm_device_fallback(d);
    if (strcmp(words[0], "clear") == 0)
        return idm_device_chip_clear(d);
    if (strcmp(words[0], "delete") == 0 && count == 2)
        return idm_device_delete(d, words[1]);
    if (strcmp(words[0], "unplug") == 0) {
        idm_swtpm_stop(&d->tpm);
        return 0;
    }
    return idm_device_fail(d, "no such step: %s", words[0]);
}

static int one_step(struct state *s, char *step)
{
    const char *words[WORDS] = {0};
    size_t count = 0;
    char *rest = NULL;

    step += strspn(step, " ");
    if (strncmp(step, "run ", 4) == 0)
        return s->made ? run_hidden(s, step + 4) : fail(s, "no device to run on");
    for (char *word = strtok_r(step, " ", &rest); word && count < WORDS;
         word = strtok_r(NULL, " ", &rest))
        words[count++] = word;
    if (count == 3 && strcmp(words[0], "new") == 0)
        return new_device(s, strcmp(words[1], "legacy") == 0, words[2]);
    if (!s->made || !count)
        return fail(s, "a block begins with a device: new legacy|aware VERSION");
    if (strcmp(words[0], "again") == 0)
        return 0;
    return device_step(s, words, count) == 0 ? 0 : fail(s, "%s: %s", words[0], s->device.error);
}

static int make_ready(struct state *s, const struct line *line)
{
    const char *end = memmem(line->text, line->size, " -->", 4);
    char *rest = NULL;
    int rc = 0;

    if (!end)
        return fail(s, "the comment does not end in its line");
    const char *begin = line->text + strlen(FROM);
    char *steps = strndup(begin, (size_t)(end - begin));
    if (!steps)
        return fail(s, "no memory");
    for (char *step = strtok_r(steps, ";", &rest); rc == 0 && step;
         step = strtok_r(NULL, ";", &rest))
        rc = one_step(s, step);
    free(steps);
    return rc;
}

/* ---- blocks ---- */

static void note_difference(struct state *s, const struct line lines[2])
{
    if (!s->shown->first[0])
        snprintf(s->shown->first, sizeof s->shown->first,
                 "%s:%u: shown: \"%.*s\", printed: \"%.*s\"", s->path, s->line, (int)lines[0].size,
                 lines[0].text, (int)lines[1].size, lines[1].text);
}

/* One command and what it is shown to print; `shown` is terminated. */
static int one_command(struct state *s, const struct line *prompt, const char *shown, bool *differs)
{
    _cleanup_run_ struct idm_run run = {0};
    struct line lines[2];
    char *command = on_device(s, prompt->text + 2, prompt->size - 2);
    int rc = command ? run_command(s, command, &run) : fail(s, "no memory");

    free(command);
    if (rc)
        return rc;
    cut_out(run.out, s->device.root);
    bool same = same_text(shown, run.out, lines);
    fprintf(s->out, "%.*s\n%s", (int)prompt->size, prompt->text, same ? shown : run.out);
    if (!same && run.out_size && run.out[strlen(run.out) - 1] != '\n')
        fputc('\n', s->out);
    if (!same)
        note_difference(s, lines);
    *differs = *differs || !same;
    return 0;
}

static int one_block(struct state *s)
{
    struct line line, prompt;
    bool differs = false;
    int rc = 0;

    if (!next_line(&s->at, &line) || !begins(&line, FENCE))
        return fail(s, "a block must follow");
    fprintf(s->out, "%.*s\n", (int)line.size, line.text);
    s->line++;
    if (!next_line(&s->at, &prompt) || !begins(&prompt, "$ "))
        return fail(s, "the block must begin with a command: $ …");
    while (rc == 0) {
        const char *begin = s->at;
        bool more = true;
        while ((more = next_line(&s->at, &line)) && !begins(&line, "$ ") && !is(&line, FENCE))
            ;
        if (!more)
            return fail(s, "the block does not end");
        char *shown = strndup(begin, (size_t)(line.text - begin));
        rc = shown ? one_command(s, &prompt, shown, &differs) : fail(s, "no memory");
        for (const char *c = prompt.text; c < line.text; c++)
            s->line += *c == '\n';
        free(shown);
        prompt = line;
        if (is(&line, FENCE))
            break;
    }
    fprintf(s->out, "%s\n", FENCE);
    s->line++;
    s->shown->blocks++;
    s->shown->differ += differs;
    return rc;
}

static int all_blocks(struct state *s)
{
    struct line line;

    for (s->line = 1; next_line(&s->at, &line); s->line++) {
        fprintf(s->out, "%.*s\n", (int)line.size, line.text);
        if (!begins(&line, FROM))
            continue;
        if (make_ready(s, &line))
            return -1;
        s->line++;
        if (one_block(s))
            return -1;
        s->line--;
    }
    return 0;
}

/* The caller frees. */
static char *read_document(const char *path)
{
    char *text = NULL, buffer[4096];
    size_t size = 0, n = 0;
    FILE *in = fopen(path, "re");
    FILE *out = in ? open_memstream(&text, &size) : NULL;

    while (out && (n = fread(buffer, 1, sizeof buffer, in)) > 0)
        fwrite(buffer, 1, n, out);
    bool whole = out && !ferror(in);
    if (in)
        fclose(in);
    if (out && fclose(out) == 0 && whole)
        return text;
    free(text);
    return NULL;
}

int idm_shown_run(struct idm_shown *ret, const char *path)
{
    struct state s = {.shown = ret, .path = path};
    char *document = read_document(path);

    *ret = (struct idm_shown){0};
    if (!document)
        return fail(&s, "%s", strerror(errno));
    s.at = document;
    s.out = open_memstream(&ret->text, &ret->size);
    int rc = s.out ? all_blocks(&s) : fail(&s, "no memory");
    if (s.out && fclose(s.out) != 0)
        rc = fail(&s, "no memory");
    if (s.made)
        idm_device_close(&s.device);
    free(document);
    return rc;
}

void idm_shown_free(struct idm_shown *shown)
{
    if (!shown)
        return;
    free(shown->text);
    shown->text = NULL;
}
