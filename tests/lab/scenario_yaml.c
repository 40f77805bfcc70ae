/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/lab/scenario_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- errors ---- */

int lab_fail_at(struct lab_reader *reader, const yaml_node_t *node, const char *format, ...)
{
    va_list arguments;
    reader->err->line = (int)node->start_mark.line + 1;
    reader->err->column = (int)node->start_mark.column + 1;
    va_start(arguments, format);
    (void)vsnprintf(reader->err->text, sizeof reader->err->text, format, arguments);
    va_end(arguments);
    return -1;
}

static void add(struct lab_scenario_error *err, const char *text)
{
    size_t used = strlen(err->text);
    (void)snprintf(err->text + used, sizeof err->text - used, "%s", text);
}

static bool listed_before(const struct lab_words *words, unsigned int index)
{
    return lab_word_index(words, lab_word_at(words, index)) != (int)index;
}

int lab_fail_word(struct lab_reader *reader, const yaml_node_t *node, const char *what,
                  const struct lab_words *words)
{
    const char *written = lab_scalar(node);
    if (!written)
        (void)lab_fail_at(reader, node, "%s: one word is wanted here: ", what);
    else if (!*written)
        (void)lab_fail_at(reader, node, "%s: a word is missing: ", what);
    else
        (void)lab_fail_at(reader, node, "%s: '%.64s' is not known; allowed: ", what, written);
    for (unsigned int i = 0; lab_word_at(words, i); i++) {
        if (listed_before(words, i))
            continue;
        add(reader->err, i ? ", " : "");
        add(reader->err, lab_word_at(words, i));
    }
    return -1;
}

/* ---- nodes and words ---- */

const yaml_node_t *lab_node(struct lab_reader *reader, int index)
{
    return yaml_document_get_node(&reader->document, index);
}

const char *lab_scalar(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : NULL;
}

bool lab_is_empty(const yaml_node_t *node)
{
    const char *text = lab_scalar(node);
    return text && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (!*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

const char *lab_word_at(const struct lab_words *words, unsigned int index)
{
    return words->at ? words->at(index) : words->array[index];
}

int lab_word_index(const struct lab_words *words, const char *word)
{
    for (unsigned int i = 0; lab_word_at(words, i); i++)
        if (strcmp(lab_word_at(words, i), word) == 0)
            return (int)i;
    return -1;
}

/* ---- mappings ---- */

int lab_check_map(struct lab_reader *reader, const yaml_node_t *node, const char *what)
{
    if (node->type != YAML_MAPPING_NODE)
        return lab_fail_at(reader, node, "%s: a mapping is wanted here, like {key: value}", what);
    const yaml_node_pair_t *first = node->data.mapping.pairs.start;
    for (const yaml_node_pair_t *pair = first; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = lab_node(reader, pair->key);
        if (!lab_scalar(key))
            return lab_fail_at(reader, key, "%s: a key is one word", what);
        for (const yaml_node_pair_t *before = first; before < pair; before++) {
            const yaml_node_t *same = lab_node(reader, before->key);
            if (strcmp(lab_scalar(same), lab_scalar(key)) == 0)
                return lab_fail_at(reader, key, "%s: '%.64s' stands here twice, first at %zu:%zu",
                                   what, lab_scalar(key), same->start_mark.line + 1,
                                   same->start_mark.column + 1);
        }
    }
    return 0;
}

static int fail_key(struct lab_reader *reader, const yaml_node_t *node, const char *what,
                    const struct lab_key *keys, size_t count)
{
    (void)lab_fail_at(reader, node, "%s: '%.64s' is no key here; allowed: ", what,
                      lab_scalar(node));
    for (size_t i = 0; i < count; i++) {
        add(reader->err, i ? ", " : "");
        add(reader->err, keys[i].word);
    }
    return -1;
}

int lab_take_map(struct lab_reader *reader, const yaml_node_t *node, const char *what,
                 const struct lab_key *keys, size_t count, void *ret)
{
    if (lab_check_map(reader, node, what) < 0)
        return -1;
    const yaml_node_pair_t *end = node->data.mapping.pairs.top;
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < end; pair++) {
        const yaml_node_t *written = lab_node(reader, pair->key);
        const struct lab_key *key = keys;
        while (key < keys + count && strcmp(key->word, lab_scalar(written)) != 0)
            key++;
        if (key == keys + count)
            return fail_key(reader, written, what, keys, count);
        if (key->take(reader, lab_node(reader, pair->value), key, (char *)ret + key->offset) < 0)
            return -1;
    }
    return 0;
}

/* ---- takers ---- */

int lab_take_text(struct lab_reader *reader, const yaml_node_t *node, const struct lab_key *key,
                  void *ret)
{
    const char *text = lab_scalar(node);
    if (!text || lab_is_empty(node) || !*text)
        return lab_fail_at(reader, node, "%s: text is wanted here", key->word);
    if (strlen(text) >= key->size)
        return lab_fail_at(reader, node, "%s: at most %zu bytes", key->word, key->size - 1);
    if (strlen(text) != node->data.scalar.length || strpbrk(text, "\n\r\t"))
        return lab_fail_at(reader, node, "%s: one line of text is wanted here", key->word);
    memcpy(ret, text, strlen(text) + 1);
    return 0;
}

static int find_word(struct lab_reader *reader, const yaml_node_t *node, const struct lab_key *key)
{
    const char *text = lab_scalar(node);
    int index = text ? lab_word_index(&key->words, text) : -1;
    return index >= 0 ? index : lab_fail_word(reader, node, key->word, &key->words);
}

int lab_take_word(struct lab_reader *reader, const yaml_node_t *node, const struct lab_key *key,
                  void *ret)
{
    int index = find_word(reader, node, key);
    if (index < 0)
        return -1;
    (void)snprintf(ret, key->size, "%s", lab_word_at(&key->words, (unsigned int)index));
    return 0;
}

int lab_take_choice(struct lab_reader *reader, const yaml_node_t *node, const struct lab_key *key,
                    void *ret)
{
    int index = find_word(reader, node, key);
    if (index < 0)
        return -1;
    memcpy(ret, &index, sizeof index);
    return 0;
}

/* YAML 1.1 knows three pairs of words, and writers of YAML choose for themselves. 1, 0, or -1. */
static int truth(const yaml_node_t *node)
{
    static const char *const yes[] = {"yes", "true", "on"};
    static const char *const no[] = {"no", "false", "off"};
    for (size_t i = 0; lab_scalar(node) && i < 3; i++) {
        if (strcmp(lab_scalar(node), yes[i]) == 0)
            return 1;
        if (strcmp(lab_scalar(node), no[i]) == 0)
            return 0;
    }
    return -1;
}

static const struct lab_words yes_no = LAB_WORDS("yes", "no");

int lab_take_flag(struct lab_reader *reader, const yaml_node_t *node, const struct lab_key *key,
                  void *ret)
{
    int value = truth(node);
    if (value < 0)
        return lab_fail_word(reader, node, key->word, &yes_no);
    memcpy(ret, &value, sizeof value);
    return 0;
}

int lab_take_bool(struct lab_reader *reader, const yaml_node_t *node, const struct lab_key *key,
                  void *ret)
{
    int value = 0;
    if (lab_take_flag(reader, node, key, &value) < 0)
        return -1;
    *(bool *)ret = value;
    return 0;
}

static const struct lab_words yes_no_unknown = LAB_WORDS("yes", "no", "unknown");

int lab_take_tri(struct lab_reader *reader, const yaml_node_t *node, const struct lab_key *key,
                 void *ret)
{
    int value = truth(node);
    if (value < 0 && (!lab_scalar(node) || strcmp(lab_scalar(node), "unknown") != 0))
        return lab_fail_word(reader, node, key->word, &yes_no_unknown);
    (void)snprintf(ret, key->size, "%s", value < 0 ? "unknown" : value ? "yes" : "no");
    return 0;
}

int lab_take_number(struct lab_reader *reader, const yaml_node_t *node, const char *what,
                    int64_t most, int64_t *ret)
{
    const char *text = lab_scalar(node);
    size_t digits = text ? strspn(text, "0123456789") : 0;
    /* More than 15 digits are more than any limit here. */
    if (!digits || text[digits] || digits > 15 || strtoll(text, NULL, 10) > most)
        return lab_fail_at(reader, node, "%s: a number from 0 to %lld is wanted here", what,
                           (long long)most);
    *ret = strtoll(text, NULL, 10);
    return 0;
}
