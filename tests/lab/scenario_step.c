/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/lab/scenario_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* exit, cut, expect: what any step may carry. */
static const char *const carried[] = {"expect", "exit", "cut"};

static const char *step_key_at(unsigned int index)
{
    if (index < LAB_ACTION_COUNT)
        return lab_action_word((enum lab_action)index);
    index -= LAB_ACTION_COUNT;
    return index < sizeof carried / sizeof *carried ? carried[index] : NULL;
}

static const char *durable_at(unsigned int index)
{
    return index + 1 < IDM_ACTION_COUNT ? idm_action_name((enum idm_action)(index + 1)) : NULL;
}

static const yaml_node_t *value_of(struct lab_reader *reader, const yaml_node_t *map,
                                   const char *word)
{
    const yaml_node_pair_t *pair = map->data.mapping.pairs.start;
    for (; pair < map->data.mapping.pairs.top; pair++)
        if (strcmp(lab_scalar(lab_node(reader, pair->key)), word) == 0)
            return lab_node(reader, pair->value);
    return NULL;
}

static const struct lab_words step_words = {.at = step_key_at};

/* Finds the one action, and refuses what is neither an action nor carried by one. */
static int find_action(struct lab_reader *reader, const yaml_node_t *node, struct lab_step *step)
{
    bool found = false;
    const yaml_node_pair_t *end = node->data.mapping.pairs.top;
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < end; pair++) {
        const yaml_node_t *key = lab_node(reader, pair->key);
        int index = lab_word_index(&step_words, lab_scalar(key));
        if (index < 0)
            return lab_fail_word(reader, key, "step", &step_words);
        if (index >= LAB_ACTION_COUNT)
            continue;
        if (found)
            return lab_fail_at(reader, key, "step: '%s' and '%s' are two steps",
                               lab_action_word(step->action),
                               lab_action_word((enum lab_action)index));
        found = true;
        step->action = (enum lab_action)index;
    }
    if (!found)
        return lab_fail_at(reader, node, "step: an action is missing");
    return 0;
}

static int take_exit(struct lab_reader *reader, const yaml_node_t *node, struct lab_step *step)
{
    int64_t code = 0;
    if (!lab_runs_idmode(step->action))
        return lab_fail_at(reader, node, "exit: idmode does not run in the step '%s'",
                           lab_action_word(step->action));
    if (lab_take_number(reader, node, "exit", 255, &code) < 0)
        return -1;
    step->exit_judged = true;
    step->exit_code = (int)code;
    return 0;
}

static const struct lab_words durable_words = {.at = durable_at};

static int take_cut(struct lab_reader *reader, const yaml_node_t *node, struct lab_step *step)
{
    const char *text = lab_scalar(node);
    if (!lab_runs_idmode(step->action))
        return lab_fail_at(reader, node, "cut: idmode does not run in the step '%s'",
                           lab_action_word(step->action));
    if (text && strcmp(text, "every") == 0)
        step->cut = LAB_CUT_EVERY;
    else if (text && strcmp(text, "random") == 0)
        step->cut = LAB_CUT_RANDOM;
    else if (text && lab_word_index(&durable_words, text) >= 0)
        step->cut = LAB_CUT_NAMED;
    else
        return lab_fail_word(reader, node, "cut: every, random, or a durable step", &durable_words);
    if (step->cut == LAB_CUT_NAMED)
        (void)snprintf(step->cut_name, sizeof step->cut_name, "%s", text);
    return 0;
}

static int take_step(struct lab_reader *reader, const yaml_node_t *node)
{
    struct lab_scenario *scenario = reader->scenario;
    struct lab_step *step = &scenario->steps[scenario->steps_count];
    step->line = (int)node->start_mark.line + 1;
    step->column = (int)node->start_mark.column + 1;
    step->mount_config = step->mount_persist = -1;
    step->expect.held = step->expect.healthy = -1;
    step->expect.epoch = -1;
    if (lab_check_map(reader, node, "step") < 0 || find_action(reader, node, step) < 0)
        return -1;
    const yaml_node_t *value = value_of(reader, node, lab_action_word(step->action));
    if (lab_take_action(reader, value, step) < 0)
        return -1;
    scenario->steps_count++;
    const yaml_node_t *cut = value_of(reader, node, "cut");
    const yaml_node_t *code = value_of(reader, node, "exit");
    const yaml_node_t *expect = value_of(reader, node, "expect");
    if (code && take_exit(reader, code, step) < 0)
        return -1;
    if (cut && take_cut(reader, cut, step) < 0)
        return -1;
    return expect ? lab_take_expect(reader, expect, step) : 0;
}

int lab_take_steps(struct lab_reader *reader, const yaml_node_t *node)
{
    if (node->type != YAML_SEQUENCE_NODE)
        return lab_fail_at(reader, node, "steps: a list is wanted here");
    const yaml_node_item_t *first = node->data.sequence.items.start;
    const yaml_node_item_t *end = node->data.sequence.items.top;
    if ((size_t)(end - first) > LAB_STEPS_MAX)
        return lab_fail_at(reader, node, "steps: at most %u", LAB_STEPS_MAX);
    if (first == end)
        return 0;
    reader->scenario->steps = calloc((size_t)(end - first), sizeof *reader->scenario->steps);
    if (!reader->scenario->steps)
        return lab_fail_at(reader, node, "out of memory");
    for (const yaml_node_item_t *item = first; item < end; item++)
        if (take_step(reader, lab_node(reader, *item)) < 0)
            return -1;
    return 0;
}
