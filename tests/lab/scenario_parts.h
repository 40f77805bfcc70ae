/* SPDX-License-Identifier: BSD-2-Clause */
/* scenario_parts.h - what the files of the scenario's reader share.
 *
 *     scenario.c          the file and its head
 *     scenario_device.c   `device:`
 *     scenario_step.c     `steps:`: exit and cut of each
 *     scenario_action.c   and its action
 *     scenario_expect.c   `expect:`
 *     scenario_yaml.c     mappings by a table of keys, scalars by a list of words
 *
 * A mapping is read by a table: each key with the function that takes its value and the place where
 * it goes. Takers return 0, or -1 after lab_fail_at.
 */
#ifndef IDM_TESTS_LAB_SCENARIO_PARTS_H
#define IDM_TESTS_LAB_SCENARIO_PARTS_H

#include "tests/lab/scenario.h"

#include <yaml.h>

struct lab_reader {
    yaml_document_t document;
    struct lab_scenario *scenario;
    struct lab_scenario_error *err;
    const yaml_node_t *bad_setting; /* an invalid value of `config`; borrowed from the document */
    char bad_setting_text[LAB_SENTENCE_SIZE];
    bool expects_bad_setting; /* and somebody expects what follows from it */
};

/* The words that are allowed: an array that NULL ends, or a function that ends so. */
struct lab_words {
    const char *const *array;
    const char *(*at)(unsigned int index);
};
#define LAB_WORDS(...)                                                                             \
    {                                                                                              \
        .array = (const char *const[])                                                             \
        {                                                                                          \
            __VA_ARGS__, NULL                                                                      \
        }                                                                                          \
    }

struct lab_key;
typedef int lab_take_fn(struct lab_reader *reader, const yaml_node_t *node,
                        const struct lab_key *key, void *ret);

struct lab_key {
    const char *word;
    lab_take_fn *take;
    size_t offset, size; /* of the field */
    struct lab_words words;
};
#define LAB_FIELD(type, field)                                                                     \
    .offset = offsetof(type, field), .size = sizeof(((type *)NULL)->field)

/* Always -1. */
int lab_fail_at(struct lab_reader *reader, const yaml_node_t *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same, for a word that is not among those allowed: with their list. */
int lab_fail_word(struct lab_reader *reader, const yaml_node_t *node, const char *what,
                  const struct lab_words *words);

const yaml_node_t *lab_node(struct lab_reader *reader, int index);
/* Text of a scalar; NULL for sequences and mappings. */
const char *lab_scalar(const yaml_node_t *node);
/* Nothing written, or `~`. */
bool lab_is_empty(const yaml_node_t *node);
/* NULL behind the last. */
const char *lab_word_at(const struct lab_words *words, unsigned int index);
/* Index in the words, or -1. */
int lab_word_index(const struct lab_words *words, const char *word);

/* Each pair of the mapping through its row; keys unknown or given twice are errors. `what` names the
 * mapping in errors. ret is where the fields' offsets begin. */
int lab_take_map(struct lab_reader *reader, const yaml_node_t *node, const char *what,
                 const struct lab_key *keys, size_t count, void *ret);
#define LAB_TAKE_MAP(reader, node, what, keys, ret)                                                \
    lab_take_map(reader, node, what, keys, sizeof(keys) / sizeof *(keys), ret)
/* Only a mapping, and each key at most once: for those that read it themselves. */
int lab_check_map(struct lab_reader *reader, const yaml_node_t *node, const char *what);

/* Takers by the kind of the field. */
lab_take_fn lab_take_text;   /* char[]: any line of text */
lab_take_fn lab_take_word;   /* char[]: one of key->words */
lab_take_fn lab_take_choice; /* an enum: the index in key->words */
lab_take_fn lab_take_bool;   /* bool: yes, no */
lab_take_fn lab_take_flag;   /* int: 1, 0 */
lab_take_fn lab_take_tri;    /* char[]: yes, no, unknown */

/* Decimal, at most `most`. */
int lab_take_number(struct lab_reader *reader, const yaml_node_t *node, const char *what,
                    int64_t most, int64_t *ret);

int lab_take_device(struct lab_reader *reader, const yaml_node_t *node);
/* `usable`, …, or {busy: N}. */
int lab_take_tpm(struct lab_reader *reader, const yaml_node_t *node, enum lab_tpm *ret_tpm,
                 unsigned int *ret_busy);
int lab_take_steps(struct lab_reader *reader, const yaml_node_t *node);
/* What stands behind the action's word; step->action is set. */
int lab_take_action(struct lab_reader *reader, const yaml_node_t *node, struct lab_step *step);
/* `step` is the scenario's last one: names must have been given by it or before it. */
int lab_take_expect(struct lab_reader *reader, const yaml_node_t *node, struct lab_step *step);
/* A NAME that an earlier step gave with the action. */
int lab_take_given(struct lab_reader *reader, const yaml_node_t *node, enum lab_action giver,
                   char ret[LAB_WORD_SIZE]);

const char *lab_reason_at(unsigned int index); /* from 0; NULL behind the last */
/* IDM_R_none after an error. */
enum idm_reason lab_take_reason(struct lab_reader *reader, const yaml_node_t *node);

#endif
