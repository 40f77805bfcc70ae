/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/bootenv/vars.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *const slot_variables[] = {"slot", "bootslot", "mender_boot_part"};

bool idm_slot_name(const char *text, size_t length, char ret_slot[IDM_SLOT_NAME_SIZE])
{
    if (length == 0 || length >= IDM_SLOT_NAME_SIZE)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!isgraph((unsigned char)text[i]))
            return false;
    memcpy(ret_slot, text, length);
    ret_slot[length] = 0;
    return true;
}

static struct idm_var *find(struct idm_vars *vars, const char *name, size_t length)
{
    for (size_t i = 0; i < vars->count; i++)
        if (strlen(vars->vars[i].name) == length && memcmp(vars->vars[i].name, name, length) == 0)
            return &vars->vars[i];
    return NULL;
}

static const struct idm_var *existing(const struct idm_vars *vars, const char *name)
{
    for (size_t i = 0; i < vars->count; i++)
        if (vars->vars[i].exists && strcmp(vars->vars[i].name, name) == 0)
            return &vars->vars[i];
    return NULL;
}

static void want(struct idm_vars *vars, const char *name, size_t length)
{
    if (length == 0 || length >= IDM_VAR_NAME_SIZE || vars->count == IDM_VARS_MAX ||
        find(vars, name, length))
        return;
    struct idm_var *var = &vars->vars[vars->count++];
    *var = (struct idm_var){0};
    memcpy(var->name, name, length);
}

/* Length of VARIABLE in "VARIABLE=VALUE"; 0 when it is not of that form. */
static size_t custom_name_length(const struct idm_settings *settings)
{
    const char *equal = strchr(settings->bootenv_trial_when, '=');
    return equal ? (size_t)(equal - settings->bootenv_trial_when) : 0;
}

void idm_vars_wanted(const struct idm_settings *settings, struct idm_vars *ret)
{
    static const char *const always[] = {"BOOT_ORDER", "upgrade_available", "bootlimit", "ustate"};
    ret->count = 0;
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        want(ret, always[i], strlen(always[i]));
    for (size_t i = 0; i < sizeof slot_variables / sizeof *slot_variables; i++)
        want(ret, slot_variables[i], strlen(slot_variables[i]));
    /* a leading '-' would be an option to the program that is asked */
    if (settings->bootenv_scheme == IDM_SCHEME_CUSTOM && settings->bootenv_trial_when[0] != '-')
        want(ret, settings->bootenv_trial_when, custom_name_length(settings));
}

void idm_vars_parse(struct idm_vars *vars, const char *text)
{
    while (*text) {
        size_t line = strcspn(text, "\n");
        const char *equal = memchr(text, '=', line);
        size_t name = equal ? (size_t)(equal - text) : line;
        struct idm_var *var = find(vars, text, name);
        if (var) {
            size_t value = equal ? line - name - 1 : 0;
            var->exists = true;
            var->readable = equal && value < sizeof var->value;
            if (var->readable) {
                memcpy(var->value, equal + 1, value);
                var->value[value] = 0;
            }
        }
        text += line + (text[line] == '\n');
    }
}

/* ---- slot -------------------------------------------------------------------------------------*/

/* The variable that names the slot to boot; NULL, and an empty name: none does. */
static const struct idm_var *named_by(const struct idm_vars *vars,
                                      char ret_slot[IDM_SLOT_NAME_SIZE])
{
    for (size_t i = 0; i < sizeof slot_variables / sizeof *slot_variables; i++) {
        const struct idm_var *var = existing(vars, slot_variables[i]);
        if (var && var->readable && idm_slot_name(var->value, strlen(var->value), ret_slot))
            return var;
    }
    ret_slot[0] = 0;
    return NULL;
}

void idm_vars_slot(const struct idm_vars *vars, char ret_slot[IDM_SLOT_NAME_SIZE])
{
    (void)named_by(vars, ret_slot);
}

/* ---- trial ------------------------------------------------------------------------------------*/

/* A whole number, as U-Boot reads one. */
static bool number(const struct idm_var *var, unsigned long *ret_value)
{
    char *end = NULL;
    if (!var || !var->readable || !isdigit((unsigned char)var->value[0]))
        return false;
    unsigned long value = strtoul(var->value, &end, 0);
    if (*end)
        return false;
    *ret_value = value;
    return true;
}

static enum idm_tri trial_bootcount(const struct idm_vars *vars)
{
    unsigned long value = 0;
    if (!number(existing(vars, "upgrade_available"), &value))
        return IDM_UNKNOWN;
    return value ? IDM_YES : IDM_NO;
}

static enum idm_tri trial_ustate(const struct idm_vars *vars)
{
    unsigned long value = 0;
    if (!number(existing(vars, "ustate"), &value) || value > 2)
        return IDM_UNKNOWN;
    return value ? IDM_YES : IDM_NO;
}

static enum idm_tri trial_custom(const struct idm_vars *vars, const struct idm_settings *settings)
{
    char name[IDM_VAR_NAME_SIZE];
    size_t length = custom_name_length(settings);
    if (length == 0 || length >= sizeof name)
        return IDM_UNKNOWN;
    memcpy(name, settings->bootenv_trial_when, length);
    name[length] = 0;
    const struct idm_var *var = existing(vars, name);
    if (!var || !var->readable)
        return IDM_UNKNOWN;
    return strcmp(var->value, settings->bootenv_trial_when + length + 1) == 0 ? IDM_YES : IDM_NO;
}

static enum idm_tri trial_auto(const struct idm_vars *vars)
{
    enum idm_tri said[3];
    size_t count = 0;
    if (existing(vars, "BOOT_ORDER"))
        said[count++] = IDM_UNKNOWN; /* RAUC has no trial marker */
    if (existing(vars, "upgrade_available") || existing(vars, "bootlimit"))
        said[count++] = trial_bootcount(vars);
    if (existing(vars, "ustate"))
        said[count++] = trial_ustate(vars);
    for (size_t i = 1; i < count; i++)
        if (said[i] != said[0])
            return IDM_UNKNOWN;
    return count ? said[0] : IDM_UNKNOWN;
}

enum idm_tri idm_vars_trial(const struct idm_vars *vars, const struct idm_settings *settings)
{
    switch (settings->bootenv_scheme) {
    case IDM_SCHEME_AUTO:
        return trial_auto(vars);
    case IDM_SCHEME_BOOTCOUNT:
        return trial_bootcount(vars);
    case IDM_SCHEME_USTATE:
        return trial_ustate(vars);
    case IDM_SCHEME_CUSTOM:
        return trial_custom(vars, settings);
    case IDM_SCHEME_RAUC:
        break;
    }
    return IDM_UNKNOWN;
}

enum idm_tri idm_vars_believed(const struct idm_vars *vars, enum idm_tri trial, const char *other)
{
    char named[IDM_SLOT_NAME_SIZE];
    idm_vars_slot(vars, named);
    return trial == IDM_NO && named[0] && strcmp(named, other) == 0 ? IDM_UNKNOWN : trial;
}

/* ---- in words ---------------------------------------------------------------------------------*/

static void append(char *text, size_t size, const char *more)
{
    size_t used = strlen(text);
    for (; *more && used + 1 < size; more++)
        text[used++] = isprint((unsigned char)*more) ? *more : '?';
    text[used] = 0;
}

/* The slots' variables say nothing of a trial. */
static bool is_slot_variable(const char *name)
{
    for (size_t i = 0; i < sizeof slot_variables / sizeof *slot_variables; i++)
        if (strcmp(name, slot_variables[i]) == 0)
            return true;
    return false;
}

static const char *why_unknown(const struct idm_vars *vars, const struct idm_settings *settings,
                               size_t read)
{
    bool by_rauc = settings->bootenv_scheme == IDM_SCHEME_RAUC ||
                   (settings->bootenv_scheme == IDM_SCHEME_AUTO && existing(vars, "BOOT_ORDER"));
    if (!read)
        return "no variable speaks of a trial: nothing is known";
    if (by_rauc && read == 1 && existing(vars, "BOOT_ORDER"))
        return "RAUC marks no trial: nothing is known";
    if (settings->bootenv_scheme == IDM_SCHEME_AUTO && read > 1)
        return "the schemes do not agree: nothing is known";
    return "no value that means anything in this scheme: nothing is known";
}

/* ", bootslot=A names the slot that does not run, so all of it is of another time: nothing is known" */
static void explain_other_time(const struct idm_vars *vars, char *text, size_t size)
{
    char named[IDM_SLOT_NAME_SIZE];
    const struct idm_var *by = named_by(vars, named);
    append(text, size, ", ");
    append(text, size, by ? by->name : "");
    append(text, size, "=");
    append(text, size, named);
    append(text, size,
           " names the slot that does not run, so all of it is of another time: nothing is known");
}

void idm_vars_explain(const struct idm_vars *vars, const struct idm_settings *settings,
                      enum idm_tri trial, const char *other, char *ret_text, size_t size)
{
    size_t read = 0;
    ret_text[0] = 0;
    for (size_t i = 0; i < vars->count; i++) {
        const struct idm_var *var = &vars->vars[i];
        if (!var->exists || is_slot_variable(var->name))
            continue;
        append(ret_text, size, read++ ? ", " : "");
        append(ret_text, size, var->name);
        append(ret_text, size, "=");
        append(ret_text, size, var->readable ? var->value : "(too long)");
    }
    if (idm_vars_believed(vars, trial, other) != trial) {
        explain_other_time(vars, ret_text, size);
        return;
    }
    append(ret_text, size, read ? ": " : "");
    append(ret_text, size,
           trial == IDM_YES  ? "an update is on trial"
           : trial == IDM_NO ? "nothing is on trial"
                             : why_unknown(vars, settings, read));
}
