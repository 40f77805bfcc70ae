/* SPDX-License-Identifier: BSD-2-Clause */
/* vars.h - the variables that were asked for, and what they mean. No I/O. */
#ifndef IDM_BACKENDS_BOOTENV_VARS_H
#define IDM_BACKENDS_BOOTENV_VARS_H

#include "backends/backends.h"

#define IDM_VARS_MAX       16u
#define IDM_VAR_NAME_SIZE  128u
#define IDM_VAR_VALUE_SIZE 513u /* what `bootenv` prints at most, with its 0 */

struct idm_var {
    char name[IDM_VAR_NAME_SIZE];
    bool exists;
    bool readable; /* its value is printable and of reasonable length */
    char value[IDM_VAR_VALUE_SIZE];
};

struct idm_vars {
    size_t count;
    struct idm_var vars[IDM_VARS_MAX];
};

/* The variables that the settings make interesting, none of them existing yet. */
void idm_vars_wanted(const struct idm_settings *settings, struct idm_vars *ret);

/* Reads "NAME=VALUE" and "NAME" lines as `bootenv` prints them; names not asked for are skipped. */
void idm_vars_parse(struct idm_vars *vars, const char *text);

/* bootenv.h has the table. */
enum idm_tri idm_vars_trial(const struct idm_vars *vars, const struct idm_settings *settings);

/* For people: the variables that speak of a trial, and what was concluded from them: `trial`, as above,
 * or why that is not believed where the other slot is `other` (idm_vars_believed). */
void idm_vars_explain(const struct idm_vars *vars, const struct idm_settings *settings,
                      enum idm_tri trial, const char *other, char *ret_text, size_t size);

/* Slot named by a variable; empty when none names one. */
void idm_vars_slot(const struct idm_vars *vars, char ret_slot[IDM_SLOT_NAME_SIZE]);

/* What that trial is worth in a system whose other slot is `other` (empty: unknown): an environment that
 * says "no trial" and names the slot that does not run speaks of another time. */
enum idm_tri idm_vars_believed(const struct idm_vars *vars, enum idm_tri trial, const char *other);

/* Copies text[0..length) as a slot name; false, *ret_slot untouched, when it cannot be one. */
bool idm_slot_name(const char *text, size_t length, char ret_slot[IDM_SLOT_NAME_SIZE]);

#endif
