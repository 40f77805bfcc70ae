/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/lab/scenario_parts.h"

#include <stdlib.h>
#include <string.h>

static const char *const actions[LAB_ACTION_COUNT] = {
#define ACTION_WORD(name, word) [LAB_DO_##name] = word,
    LAB_ACTIONS(ACTION_WORD)
#undef ACTION_WORD
};

static const char *const phases[] = {
    [LAB_PHASE_NONE] = "none",
    [LAB_PRE_INSTALL] = "pre-install",
    [LAB_WRITE] = "write",
    [LAB_POST_INSTALL] = "post-install",
    [LAB_INSTALL_FAILED] = "install-failed",
    [LAB_COMMIT] = "commit",
    [LAB_ROLLBACK] = "rollback",
    [LAB_ROLLBACK + 1] = NULL,
};

static const char *const whats[] = {
    [LAB_CERT] = "cert",
    [LAB_KEY] = "key",
    [LAB_MARKER] = "marker",
    [LAB_RECORD] = "record",
    [LAB_RECORD_A] = "record-a",
    [LAB_PERSIST] = "persist",
    [LAB_CONFIG_DIR] = "config-dir",
    [LAB_BOOTENV] = "bootenv",
    [LAB_DISK] = "disk",
    [LAB_DISK + 1] = NULL,
};

const char *lab_action_word(enum lab_action action)
{
    return actions[action];
}

const char *lab_phase_word(enum lab_phase phase)
{
    return phases[phase];
}

const char *lab_what_word(enum lab_what what)
{
    return whats[what];
}

bool lab_runs_idmode(enum lab_action action)
{
    static const bool runs[LAB_ACTION_COUNT] = {
        [LAB_DO_boot] = true,       [LAB_DO_install] = true,       [LAB_DO_commit] = true,
        [LAB_DO_hook] = true,       [LAB_DO_factory_reset] = true, [LAB_DO_migrate] = true,
        [LAB_DO_hold_clear] = true, [LAB_DO_command] = true,
    };
    return runs[action];
}

/* ---- names that steps give to each other ---- */

static int take_name(struct lab_reader *reader, const yaml_node_t *node, const char *what,
                     char ret[LAB_WORD_SIZE])
{
    const struct lab_key key = {.word = what, .size = LAB_WORD_SIZE};
    if (lab_take_text(reader, node, &key, ret) < 0)
        return -1;
    if (strspn(ret, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") !=
        strlen(ret))
        return lab_fail_at(reader, node, "%s: a name is made of letters, digits, '-', '_' and '.'",
                           what);
    return 0;
}

int lab_take_given(struct lab_reader *reader, const yaml_node_t *node, enum lab_action giver,
                   char ret[LAB_WORD_SIZE])
{
    const struct lab_scenario *scenario = reader->scenario;
    const char *given[LAB_STEPS_MAX + 1] = {NULL};
    size_t count = 0;
    if (take_name(reader, node, actions[giver], ret) < 0)
        return -1;
    for (size_t i = 0; i < scenario->steps_count; i++) {
        if (scenario->steps[i].action != giver)
            continue;
        if (strcmp(scenario->steps[i].word, ret) == 0)
            return 0;
        given[count++] = scenario->steps[i].word;
    }
    if (!count)
        return lab_fail_at(reader, node, "no step before has %s: %s", actions[giver], ret);
    return lab_fail_word(reader, node, actions[giver], &(struct lab_words){.array = given});
}

/* ---- actions ---- */

typedef int take_action_fn(struct lab_reader *reader, const yaml_node_t *node,
                           struct lab_step *step);

static int take_nothing(struct lab_reader *reader, const yaml_node_t *node, struct lab_step *step)
{
    if (lab_is_empty(node))
        return 0;
    return lab_fail_at(reader, node, "%s: nothing stands behind it", actions[step->action]);
}

static int take_new_name(struct lab_reader *reader, const yaml_node_t *node, struct lab_step *step)
{
    return take_name(reader, node, actions[step->action], step->word);
}

static int take_restore(struct lab_reader *reader, const yaml_node_t *node, struct lab_step *step)
{
    return lab_take_given(reader, node, LAB_DO_snapshot, step->word);
}

static int take_aware(struct lab_reader *reader, const yaml_node_t *node, const struct lab_key *key,
                      void *ret)
{
    struct lab_install *install = ret;
    char word[LAB_WORD_SIZE];
    const struct lab_key tri = {.word = key->word, .size = sizeof word};
    if (lab_take_tri(reader, node, &tri, word) < 0)
        return -1;
    install->image = strcmp(word, "no") == 0 ? LAB_SLOT_LEGACY : LAB_SLOT_AWARE;
    install->image_unsaid = strcmp(word, "unknown") == 0;
    return 0;
}

/* The hook takes a number, `none` or `unknown`: others are for the tests of its options. */
static int take_format(struct lab_reader *reader, const yaml_node_t *node,
                       const struct lab_key *key, void *ret)
{
    if (lab_take_text(reader, node, key, ret) < 0)
        return -1;
    const char *text = ret;
    bool number = strlen(text) < 6 && strspn(text, "0123456789") == strlen(text);
    if (!number && strcmp(text, "none") != 0 && strcmp(text, "unknown") != 0)
        return lab_fail_at(reader, node, "%s: a number, none or unknown", key->word);
    return 0;
}

static const struct lab_words hook_words = LAB_WORDS("pre-install", "post-install");

static int take_hooks(struct lab_reader *reader, const yaml_node_t *node, const struct lab_key *key,
                      void *ret)
{
    struct lab_install *install = ret;
    const struct lab_key one = {.word = key->word, .words = hook_words};
    bool called[2] = {false, false};
    bool list = node->type == YAML_SEQUENCE_NODE;
    if (!list && (!lab_scalar(node) || strcmp(lab_scalar(node), "none") != 0))
        return lab_fail_at(reader, node, "hooks: none, or a list of pre-install and post-install");
    const yaml_node_item_t *item = list ? node->data.sequence.items.start : NULL;
    for (; item && item < node->data.sequence.items.top; item++) {
        int index = 0;
        if (lab_take_choice(reader, lab_node(reader, *item), &one, &index) < 0)
            return -1;
        called[index] = true;
    }
    install->pre_install = called[0];
    install->post_install = called[1];
    return 0;
}

static int take_fails(struct lab_reader *reader, const yaml_node_t *node, const struct lab_key *key,
                      void *ret)
{
    int index = 0;
    if (lab_take_choice(reader, node, key, &index) < 0)
        return -1;
    *(bool *)ret = true;
    return 0;
}

static int take_phase_among(struct lab_reader *reader, const yaml_node_t *node,
                            const struct lab_key *key, void *ret)
{
    char word[LAB_WORD_SIZE];
    const struct lab_words all = {.array = phases};
    const struct lab_key named = {.word = key->word, .size = sizeof word, .words = key->words};
    if (lab_take_word(reader, node, &named, word) < 0)
        return -1;
    *(enum lab_phase *)ret = (enum lab_phase)lab_word_index(&all, word);
    return 0;
}

/* What cannot happen together, or would never show. */
static int check_install(struct lab_reader *reader, const yaml_node_t *node,
                         const struct lab_install *install)
{
    if (install->late == LAB_PRE_INSTALL && !install->pre_install)
        return lab_fail_at(reader, node, "install: a hook that is not called cannot be late");
    if (install->late == LAB_POST_INSTALL && !install->post_install)
        return lab_fail_at(reader, node, "install: a hook that is not called cannot be late");
    if (install->late == LAB_INSTALL_FAILED && !install->write_fails)
        return lab_fail_at(reader, node, "install: install-failed is called where fails: write");
    if (install->write_fails &&
        (install->late == LAB_POST_INSTALL || install->killed == LAB_WRITE ||
         install->killed == LAB_POST_INSTALL))
        return lab_fail_at(reader, node, "install: a write that fails is not finished");
    return 0;
}

#define INSTALL(field) LAB_FIELD(struct lab_install, field)
static const struct lab_key install_keys[] = {
    {.word = "aware", .take = take_aware},
    {"version", lab_take_text, INSTALL(version), .words = {0}},
    {"format", take_format, INSTALL(format), .words = {0}},
    {.word = "hooks", .take = take_hooks},
    {"fails", take_fails, INSTALL(write_fails), .words = LAB_WORDS("write")},
    {"killed", take_phase_among, INSTALL(killed),
     .words = LAB_WORDS("pre-install", "write", "post-install")},
    {"late", take_phase_among, INSTALL(late),
     .words = LAB_WORDS("pre-install", "post-install", "install-failed")},
};
#undef INSTALL

static int take_install(struct lab_reader *reader, const yaml_node_t *node, struct lab_step *step)
{
    step->install = (struct lab_install){
        .image = LAB_SLOT_AWARE, .version = "2.0", .pre_install = true, .post_install = true};
    if (lab_is_empty(node))
        return 0;
    if (LAB_TAKE_MAP(reader, node, "install", install_keys, &step->install) < 0)
        return -1;
    return check_install(reader, node, &step->install);
}

static int take_no_hooks(struct lab_reader *reader, const yaml_node_t *node,
                         const struct lab_key *key, void *ret)
{
    int index = 0;
    if (lab_take_choice(reader, node, key, &index) < 0)
        return -1;
    *(bool *)ret = false;
    return 0;
}

static const struct lab_key commit_keys[] = {
    {"hooks", take_no_hooks, LAB_FIELD(struct lab_step, hooks), .words = LAB_WORDS("none")}};

static int take_commit(struct lab_reader *reader, const yaml_node_t *node, struct lab_step *step)
{
    step->hooks = true;
    return lab_is_empty(node) ? 0 : LAB_TAKE_MAP(reader, node, "commit", commit_keys, step);
}

static const struct lab_key hook_word = {
    .word = "hook",
    .words = LAB_WORDS("pre-install", "post-install", "install-failed", "commit", "rollback")};

static int take_hook(struct lab_reader *reader, const yaml_node_t *node, struct lab_step *step)
{
    return take_phase_among(reader, node, &hook_word, &step->phase);
}

static const struct lab_key reset_keys[] = {{"reset", lab_take_word,
                                             LAB_FIELD(struct lab_step, word),
                                             .words = LAB_WORDS("rekey", "clear")}};

static int take_reset(struct lab_reader *reader, const yaml_node_t *node, struct lab_step *step)
{
    return lab_is_empty(node) ? 0 : LAB_TAKE_MAP(reader, node, "factory-reset", reset_keys, step);
}

static const struct lab_key migrate_word = {.word = "migrate",
                                            LAB_FIELD(struct lab_step, word),
                                            .words = LAB_WORDS("prepare", "commit", "abort")};

static int take_migrate(struct lab_reader *reader, const yaml_node_t *node, struct lab_step *step)
{
    return lab_take_word(reader, node, &migrate_word, step->word);
}

static int take_held_reason(struct lab_reader *reader, const yaml_node_t *node,
                            const struct lab_key *key, void *ret)
{
    enum idm_reason reason = lab_take_reason(reader, node);
    (void)key;
    *(enum idm_reason *)ret = reason;
    return reason == IDM_R_none ? -1 : 0;
}

static const struct lab_key hold_keys[] = {
    {"reason", take_held_reason, LAB_FIELD(struct lab_step, reason), .words = {0}},
    {"to", lab_take_word, LAB_FIELD(struct lab_step, word),
     .words = LAB_WORDS("retry", "reuse", "legacy", "new-identity", "accept-epoch")},
};

static int take_hold_clear(struct lab_reader *reader, const yaml_node_t *node,
                           struct lab_step *step)
{
    if (LAB_TAKE_MAP(reader, node, "hold-clear", hold_keys, step) < 0)
        return -1;
    if (step->reason == IDM_R_none || !*step->word)
        return lab_fail_at(reader, node, "hold-clear: it needs reason and to");
    return 0;
}

static int take_what(struct lab_reader *reader, const yaml_node_t *node, struct lab_step *step)
{
    const struct lab_key key = {.word = actions[step->action], .words = {.array = whats}};
    return lab_take_choice(reader, node, &key, &step->what);
}

static int take_tpm(struct lab_reader *reader, const yaml_node_t *node, struct lab_step *step)
{
    return lab_take_tpm(reader, node, &step->tpm, &step->busy_commands);
}

static const struct lab_key clock_word = {.word = "clock", .words = LAB_WORDS("bad", "good")};

static int take_clock(struct lab_reader *reader, const yaml_node_t *node, struct lab_step *step)
{
    int index = 0;
    if (lab_take_choice(reader, node, &clock_word, &index) < 0)
        return -1;
    step->clock_good = index == 1;
    return 0;
}

static const struct lab_key disk_word = {.word = "disk",
                                         .words = LAB_WORDS("ok", "full", "read-only")};

static int take_disk(struct lab_reader *reader, const yaml_node_t *node, struct lab_step *step)
{
    return lab_take_choice(reader, node, &disk_word, &step->disk);
}

static const struct lab_key mount_keys[] = {
    {"config-dir", lab_take_flag, LAB_FIELD(struct lab_step, mount_config), .words = {0}},
    {"persist", lab_take_flag, LAB_FIELD(struct lab_step, mount_persist), .words = {0}},
};

static int take_mount(struct lab_reader *reader, const yaml_node_t *node, struct lab_step *step)
{
    if (LAB_TAKE_MAP(reader, node, "mount", mount_keys, step) < 0)
        return -1;
    if (step->mount_config < 0 && step->mount_persist < 0)
        return lab_fail_at(reader, node, "mount: it names config-dir or persist");
    return 0;
}

static int take_command(struct lab_reader *reader, const yaml_node_t *node, struct lab_step *step)
{
    const struct lab_key key = {.word = "command", .size = sizeof step->words[0]};
    if (node->type != YAML_SEQUENCE_NODE ||
        node->data.sequence.items.start == node->data.sequence.items.top)
        return lab_fail_at(reader, node, "command: a list is wanted here, like [status, --strict]");
    const yaml_node_item_t *end = node->data.sequence.items.top;
    for (const yaml_node_item_t *item = node->data.sequence.items.start; item < end; item++) {
        const yaml_node_t *word = lab_node(reader, *item);
        if (step->words_count == LAB_WORDS_MAX)
            return lab_fail_at(reader, word, "command: at most %u words", LAB_WORDS_MAX);
        if (lab_take_text(reader, word, &key, step->words[step->words_count]) < 0)
            return -1;
        step->words_count++;
    }
    return 0;
}

static take_action_fn *const take_action[LAB_ACTION_COUNT] = {
    [LAB_DO_boot] = take_nothing,
    [LAB_DO_label] = take_new_name,
    [LAB_DO_install] = take_install,
    [LAB_DO_commit] = take_commit,
    [LAB_DO_fallback] = take_nothing,
    [LAB_DO_hook] = take_hook,
    [LAB_DO_factory_reset] = take_reset,
    [LAB_DO_migrate] = take_migrate,
    [LAB_DO_hold_clear] = take_hold_clear,
    [LAB_DO_delete] = take_what,
    [LAB_DO_empty] = take_what,
    [LAB_DO_tear] = take_what,
    [LAB_DO_tpm] = take_tpm,
    [LAB_DO_clock] = take_clock,
    [LAB_DO_disk] = take_disk,
    [LAB_DO_mount] = take_mount,
    [LAB_DO_snapshot] = take_new_name,
    [LAB_DO_restore] = take_restore,
    [LAB_DO_move_disk] = take_nothing,
    [LAB_DO_command] = take_command,
    [LAB_DO_check] = take_new_name,
    [LAB_DO_nothing] = take_nothing,
};

int lab_take_action(struct lab_reader *reader, const yaml_node_t *node, struct lab_step *step)
{
    return take_action[step->action](reader, node, step);
}
