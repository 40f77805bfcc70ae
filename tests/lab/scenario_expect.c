/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/lab/scenario_parts.h"

#include <string.h>

/* ---- words of the product ---- */

static const char *mode_at(unsigned int index)
{
    return index <= IDM_MODE_TPM ? idm_mode_name((enum idm_mode)index) : NULL;
}

static const char *state_at(unsigned int index)
{
    return index < IDM_STATE_COUNT ? idm_state_name((enum idm_state)index) : NULL;
}

static const char *chip_at(unsigned int index)
{
    return index < IDM_CHIP_COUNT ? idm_chip_name((enum idm_chip)index) : NULL;
}

const char *lab_reason_at(unsigned int index)
{
    return index + 1 < IDM_REASON_COUNT ? idm_reason_word((enum idm_reason)(index + 1)) : NULL;
}

static const struct lab_key reason_word = {.word = "reason", .words = {.at = lab_reason_at}};

enum idm_reason lab_take_reason(struct lab_reader *reader, const yaml_node_t *node)
{
    int index = 0;
    if (lab_take_choice(reader, node, &reason_word, &index) < 0)
        return IDM_R_none;
    return (enum idm_reason)(index + 1);
}

/* ---- takers ---- */

static int take_reason(struct lab_reader *reader, const yaml_node_t *node,
                       const struct lab_key *key, void *ret)
{
    enum idm_reason reason = lab_take_reason(reader, node);
    (void)key;
    if (reason == IDM_R_none)
        return -1;
    reader->expects_bad_setting |= reason == IDM_R_settings_invalid;
    *(enum idm_reason *)ret = reason;
    return 0;
}

static int take_reasons(struct lab_reader *reader, const yaml_node_t *node,
                        const struct lab_key *key, void *ret)
{
    uint64_t reasons = 0;
    if (node->type != YAML_SEQUENCE_NODE)
        return lab_fail_at(reader, node, "%s: a list is wanted here, like [clock] or []",
                           key->word);
    const yaml_node_item_t *end = node->data.sequence.items.top;
    for (const yaml_node_item_t *item = node->data.sequence.items.start; item < end; item++) {
        enum idm_reason reason = lab_take_reason(reader, lab_node(reader, *item));
        if (reason == IDM_R_none)
            return -1;
        if (reasons & UINT64_C(1) << reason)
            return lab_fail_at(reader, lab_node(reader, *item), "%s: '%s' stands here twice",
                               key->word, idm_reason_word(reason));
        reasons |= UINT64_C(1) << reason;
    }
    reader->expects_bad_setting |= reasons >> IDM_R_settings_invalid & 1;
    struct lab_expect *expect = ret;
    expect->reasons = reasons;
    expect->reasons_judged = true;
    return 0;
}

static int take_epoch(struct lab_reader *reader, const yaml_node_t *node, const struct lab_key *key,
                      void *ret)
{
    return lab_take_number(reader, node, key->word, UINT32_MAX, ret);
}

static int take_label(struct lab_reader *reader, const yaml_node_t *node, const struct lab_key *key,
                      void *ret)
{
    (void)key;
    return lab_take_given(reader, node, LAB_DO_label, ret);
}

#define EXPECT(field) LAB_FIELD(struct lab_expect, field)
static const struct lab_key expect_keys[] = {
    {"mode", lab_take_word, EXPECT(mode), .words = {.at = mode_at}},
    {"state", lab_take_word, EXPECT(state), .words = {.at = state_at}},
    {"held", lab_take_flag, EXPECT(held), .words = {0}},
    {"healthy", lab_take_flag, EXPECT(healthy), .words = {0}},
    {.word = "reasons", .take = take_reasons},
    {"reason", take_reason, EXPECT(reason), .words = {0}},
    {"identity", take_label, EXPECT(identity), .words = {0}},
    {"identity-not", take_label, EXPECT(identity_not), .words = {0}},
    {"key", take_label, EXPECT(key), .words = {0}},
    {"legacy-view", lab_take_word, EXPECT(legacy_view),
     .words = LAB_WORDS("works", "absent", "broken")},
    {"legacy-identity", take_label, EXPECT(legacy_identity), .words = {0}},
    {"legacy-key", lab_take_word, EXPECT(legacy_key),
     .words = LAB_WORDS("plain", "sealed", "none")},
    {"marker", lab_take_word, EXPECT(marker), .words = LAB_WORDS("present", "absent")},
    {"tpm", lab_take_word, EXPECT(tpm), .words = {.at = chip_at}},
    {"epoch", take_epoch, EXPECT(epoch), .words = {0}},
    {"image", lab_take_text, EXPECT(image), .words = {0}},
    {"trial", lab_take_tri, EXPECT(trial), .words = {0}},
    {"slot", lab_take_word, EXPECT(slot), .words = LAB_WORDS("A", "B")},
};
#undef EXPECT

int lab_take_expect(struct lab_reader *reader, const yaml_node_t *node, struct lab_step *step)
{
    step->expects = true;
    return LAB_TAKE_MAP(reader, node, "expect", expect_keys, &step->expect);
}
