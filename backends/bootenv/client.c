/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/bootenv/bootenv.h"

#include "backends/bootenv/child.h"
#include "backends/bootenv/vars.h"
#include "backends/store/inroot.h"

#include <stdlib.h>

#define CMDLINE_MAX 4096u /* COMMAND_LINE_SIZE of Linux: 2048 on x86 and arm64, 4096 at most */

struct idm_bootenv_query {
    const char *root;
    const struct idm_settings *settings;
    unsigned int limit_ms;
    struct idm_vars vars;
    struct idm_bootenv said; /* what the environment or the command says */
    const char *what;        /* that the program is run for */
    struct idm_child *child; /* NULL: none was started */
    struct idm_child_result result;
    int rc;
    struct idm_error why;
};

/* ---- U-Boot -----------------------------------------------------------------------------------*/

/* The program that reads the environment: beside the running one, or where it is installed. */
static int find_program(char *ret_path, size_t size, struct idm_error *err)
{
    static const char what[] = "find the program bootenv";
    static const char *const places[] = {"bootenv", "../libexec/idmode/bootenv"};
    char self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self);
    if (length < 0 || length == (ssize_t)sizeof self)
        return idm_fail(err, IDM_E_BOOTENV, what, "/proc is not mounted");
    self[length] = 0;
    *strrchr(self, '/') = 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        int n = snprintf(ret_path, size, "%s/%s", self, places[i]);
        if (n > 0 && (size_t)n < size && access(ret_path, X_OK) == 0)
            return 0;
    }
    (void)idm_fail(err, IDM_E_BOOTENV, what, "it is neither in %.120s nor in libexec/idmode", self);
    (void)idm_advise(err, "install it, or set [bootenv] backend = none");
    return IDM_E_BOOTENV;
}

static int fail_exit(const struct idm_bootenv_query *query, const char *what, struct idm_error *err)
{
    if (query->result.err[0])
        return idm_fail(err, IDM_E_BOOTENV, what, "%.180s", query->result.err);
    return idm_fail(err, IDM_E_BOOTENV, what, "exit code %d", query->result.exit_code);
}

static int start(struct idm_bootenv_query *query, char *const argv[], const char *what,
                 struct idm_error *err)
{
    struct idm_error why = {0};
    query->what = what;
    int r = idm_child_begin(argv, query->limit_ms, &query->child, &why);
    return r < 0 ? idm_fail(err, IDM_E_BOOTENV, what, "%s", why.why) : 0;
}

static int answer(struct idm_bootenv_query *query, struct idm_error *err)
{
    struct idm_error why = {0};
    int r = idm_child_end(query->child, &query->result, &why);
    query->child = NULL;
    if (r < 0)
        return idm_fail(err, IDM_E_BOOTENV, query->what, "%s", why.why);
    return query->result.exit_code == 0 ? 0 : fail_exit(query, query->what, err);
}

static int ask_uboot(struct idm_bootenv_query *query, struct idm_error *err)
{
    char program[4096];
    int r = find_program(program, sizeof program, err);
    if (r < 0)
        return r;
    char *argv[8 + IDM_VARS_MAX] = {program, "get", "--config",
                                    (char *)query->settings->bootenv_config};
    size_t n = 4;
    if (*query->root) {
        argv[n++] = "--root";
        argv[n++] = (char *)query->root;
    }
    for (size_t i = 0; i < query->vars.count; i++)
        argv[n++] = query->vars.vars[i].name;
    argv[n] = NULL;
    return start(query, argv, "read the boot environment", err);
}

static void hear_uboot(struct idm_bootenv_query *query)
{
    idm_vars_parse(&query->vars, query->result.out);
    query->said.trial = idm_vars_trial(&query->vars, query->settings);
    idm_vars_slot(&query->vars, query->said.slot);
}

/* Does the configuration file exist? Anything but "no such file" is for the program to explain. */
static bool has_config(const struct idm_bootenv_query *query)
{
    _cleanup_close_ int root_fd = idm_inroot_root(query->root);
    if (root_fd < 0)
        return true;
    _cleanup_close_ int fd = idm_inroot_open(root_fd, query->settings->bootenv_config, O_PATH);
    return fd >= 0 || (errno != ENOENT && errno != ENOTDIR);
}

/* ---- command ----------------------------------------------------------------------------------*/

static enum idm_tri tri_of(const char *text, size_t length)
{
    if (length == 3 && memcmp(text, "yes", 3) == 0)
        return IDM_YES;
    if (length == 2 && memcmp(text, "no", 2) == 0)
        return IDM_NO;
    return IDM_UNKNOWN;
}

static void parse_command(const char *text, struct idm_bootenv *said)
{
    bool seen = false;
    while (*text) {
        size_t line = strcspn(text, "\n");
        if (line >= 5 && memcmp(text, "slot=", 5) == 0)
            (void)idm_slot_name(text + 5, line - 5, said->slot);
        else if (line >= 6 && memcmp(text, "other=", 6) == 0)
            (void)idm_slot_name(text + 6, line - 6, said->other);
        else if (line >= 6 && memcmp(text, "trial=", 6) == 0) {
            enum idm_tri trial = tri_of(text + 6, line - 6);
            said->trial = seen && trial != said->trial ? IDM_UNKNOWN : trial;
            seen = true;
        }
        text += line + (text[line] == '\n');
    }
}

static int ask_command(struct idm_bootenv_query *query, struct idm_error *err)
{
    char path[4096];
    const char *command = query->settings->bootenv_command;
    static const char what[] = "run [bootenv] command";
    if (command[0] != '/')
        return idm_fail(err, IDM_E_BOOTENV, what, "it is no absolute path");
    _cleanup_close_ int root_fd = idm_inroot_root(query->root);
    _cleanup_close_ int fd = root_fd < 0 ? -1 : idm_inroot_open(root_fd, command, O_PATH);
    if (fd < 0)
        return idm_fail(err, IDM_E_BOOTENV, what, "%s: %s", command, strerror(errno));
    if (idm_fd_path(fd, path, sizeof path) < 0)
        return idm_fail(err, IDM_E_BOOTENV, what, "/proc is not mounted");
    return start(query, (char *[]){path, NULL}, what, err);
}

static void hear_command(struct idm_bootenv_query *query)
{
    parse_command(query->result.out, &query->said);
    (void)snprintf(query->said.said, sizeof query->said.said, "the command says: %s",
                   query->said.trial == IDM_YES  ? "an update is on trial"
                   : query->said.trial == IDM_NO ? "nothing is on trial"
                                                 : "nothing is known");
}

/* ---- slots ------------------------------------------------------------------------------------*/

static bool slot_from_cmdline(const char *root, char ret_slot[IDM_SLOT_NAME_SIZE])
{
    static const char *const keys[] = {"rauc.slot=", "idmode.slot="};
    char line[CMDLINE_MAX + 1];
    _cleanup_close_ int root_fd = idm_inroot_root(root);
    _cleanup_close_ int fd =
        root_fd < 0 ? -1 : idm_inroot_open(root_fd, "/proc/cmdline", O_RDONLY | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : read(fd, line, CMDLINE_MAX);
    if (n < 0)
        return false;
    line[n] = 0;
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        const char *word = line;
        while (*(word += strspn(word, " \t\r\n"))) {
            size_t length = strcspn(word, " \t\r\n"), key = strlen(keys[k]);
            if (length > key && memcmp(word, keys[k], key) == 0 &&
                idm_slot_name(word + key, length - key, ret_slot))
                return true;
            word += length;
        }
    }
    return false;
}

static void find_slot(const struct idm_bootenv_query *query, char ret_slot[IDM_SLOT_NAME_SIZE])
{
    const struct idm_settings *settings = query->settings;
    bool command = settings->bootenv_backend == IDM_BOOTENV_COMMAND;
    if (strcmp(settings->slot, "auto") != 0 &&
        idm_slot_name(settings->slot, strlen(settings->slot), ret_slot))
        return;
    if (command && query->said.slot[0])
        memcpy(ret_slot, query->said.slot, IDM_SLOT_NAME_SIZE);
    else if (!slot_from_cmdline(query->root, ret_slot))
        memcpy(ret_slot, query->said.slot, IDM_SLOT_NAME_SIZE);
}

static void find_other(const struct idm_bootenv_query *query, const char *slot,
                       char ret_other[IDM_SLOT_NAME_SIZE])
{
    const char *candidate = NULL;
    size_t candidates = 0;
    ret_other[0] = 0;
    if (query->said.other[0]) {
        memcpy(ret_other, query->said.other, IDM_SLOT_NAME_SIZE);
        return;
    }
    for (size_t i = 0; slot[0] && i < IDM_SLOTS; i++) {
        const char *name = query->settings->slots[i].name;
        if (name[0] && strcmp(name, slot) != 0) {
            candidate = name;
            candidates++;
        }
    }
    if (candidates == 1)
        (void)idm_slot_name(candidate, strlen(candidate), ret_other);
}

/* ---- all --------------------------------------------------------------------------------------*/

static int ask(struct idm_bootenv_query *query, struct idm_error *err)
{
    switch (query->settings->bootenv_backend) {
    case IDM_BOOTENV_UBOOT:
        if (!has_config(query))
            break;
        query->said.state = IDM_BOOTENV_IS_READABLE;
        return ask_uboot(query, err);
    case IDM_BOOTENV_COMMAND:
        query->said.state = IDM_BOOTENV_IS_READABLE;
        return ask_command(query, err);
    case IDM_BOOTENV_NONE:
        break;
    }
    query->said.state = IDM_BOOTENV_IS_NONE;
    (void)snprintf(query->said.said, sizeof query->said.said,
                   "there is none: hooks and the record alone say what is on trial");
    return 0;
}

struct idm_bootenv_query *idm_bootenv_begin(const char *root, const struct idm_settings *settings,
                                            unsigned int limit_ms)
{
    struct idm_bootenv_query *query = calloc(1, sizeof *query);
    if (!query)
        return NULL;
    *query = (struct idm_bootenv_query){.root = root, .settings = settings, .limit_ms = limit_ms};
    idm_vars_wanted(settings, &query->vars);
    query->rc = ask(query, &query->why);
    return query;
}

/* Of what was started. */
static void hear(struct idm_bootenv_query *query)
{
    if (!query->child)
        return;
    query->rc = answer(query, &query->why);
    if (query->rc < 0)
        return;
    if (query->settings->bootenv_backend == IDM_BOOTENV_COMMAND)
        hear_command(query);
    else
        hear_uboot(query);
}

int idm_bootenv_end(struct idm_bootenv_query *query, struct idm_bootenv *ret, struct idm_error *err)
{
    *ret = (struct idm_bootenv){.state = IDM_BOOTENV_IS_UNREADABLE};
    if (!query)
        return idm_fail(err, IDM_E_BOOTENV, "read the boot environment", "out of memory");
    hear(query);
    bool heard = query->rc >= 0;
    if (!heard && err)
        *err = query->why;
    if (heard) {
        ret->state = query->said.state;
        ret->trial = query->said.trial;
        memcpy(ret->said, query->said.said, sizeof ret->said);
    } else {
        (void)snprintf(ret->said, sizeof ret->said, "unreadable: %s: nothing is known",
                       query->why.why);
        /* nothing of a half answer counts */
        query->said = (struct idm_bootenv){0};
    }
    find_slot(query, ret->slot);
    find_other(query, ret->slot, ret->other);
    if (heard && query->settings->bootenv_backend == IDM_BOOTENV_UBOOT && !ret->said[0])
        idm_vars_explain(&query->vars, query->settings, ret->trial, ret->other, ret->said,
                         sizeof ret->said);
    ret->trial = idm_vars_believed(&query->vars, ret->trial, ret->other);
    free(query);
    return heard ? 0 : IDM_E_BOOTENV;
}

void idm_bootenv_drop(struct idm_bootenv_query *query)
{
    if (query)
        idm_child_drop(query->child);
    free(query);
}

int idm_bootenv_read(const char *root, const struct idm_settings *settings, unsigned int limit_ms,
                     struct idm_bootenv *ret, struct idm_error *err)
{
    return idm_bootenv_end(idm_bootenv_begin(root, settings, limit_ms), ret, err);
}
