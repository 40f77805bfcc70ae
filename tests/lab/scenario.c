/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/lab/scenario.h"
#include "tests/lab/scenario_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (256u * 1024u)

void lab_scenario_free(struct lab_scenario *scenario)
{
    if (!scenario)
        return;
    free(scenario->steps);
    *scenario = (struct lab_scenario){0};
}

/* ---- the head ---- */

static int take_device(struct lab_reader *reader, const yaml_node_t *node,
                       const struct lab_key *key, void *ret)
{
    (void)key, (void)ret;
    return lab_take_device(reader, node);
}

static int take_steps(struct lab_reader *reader, const yaml_node_t *node, const struct lab_key *key,
                      void *ret)
{
    (void)key, (void)ret;
    return lab_take_steps(reader, node);
}

static int take_world(struct lab_reader *reader, const yaml_node_t *node, const struct lab_key *key,
                      void *ret)
{
    int choice = 0;
    if (lab_take_choice(reader, node, key, &choice) < 0)
        return -1;
    *(enum lab_world_name *)ret = choice ? LAB_WORLD_REAL : LAB_WORLD_SIM;
    return 0;
}

static int check_whole(struct lab_reader *reader, const yaml_node_t *root)
{
    const struct lab_scenario *scenario = reader->scenario;
    if (!*scenario->name)
        return lab_fail_at(reader, root, "a scenario has a name");
    if (!scenario->steps_count)
        return lab_fail_at(reader, root, "a scenario has steps");
    if ((scenario->world != LAB_WORLD_ANY) != (*scenario->why != 0))
        return lab_fail_at(reader, root, "world and why belong together");
    if (reader->bad_setting && !reader->expects_bad_setting)
        return lab_fail_at(reader, reader->bad_setting, "%s (or a step must expect the reason %s)",
                           reader->bad_setting_text, idm_reason_word(IDM_R_settings_invalid));
    return 0;
}

#define HEAD(field) LAB_FIELD(struct lab_scenario, field)
static const struct lab_key head_keys[] = {
    {"name", lab_take_text, HEAD(name), .words = {0}},
    {"source", lab_take_text, HEAD(source), .words = {0}},
    {"world", take_world, HEAD(world), .words = LAB_WORDS("sim", "real")},
    {"why", lab_take_text, HEAD(why), .words = {0}},
    {.word = "device", .take = take_device},
    {.word = "steps", .take = take_steps},
};
#undef HEAD

static int take_root(struct lab_reader *reader)
{
    const yaml_node_t *root = yaml_document_get_root_node(&reader->document);
    if (!root) {
        reader->err->line = reader->err->column = 1;
        (void)snprintf(reader->err->text, sizeof reader->err->text, "there is nothing in it");
        return -1;
    }
    if (LAB_TAKE_MAP(reader, root, "scenario", head_keys, reader->scenario) < 0)
        return -1;
    return check_whole(reader, root);
}

/* ---- the file ---- */

static int fail_file(struct lab_scenario_error *err, const char *why)
{
    *err = (struct lab_scenario_error){0};
    (void)snprintf(err->text, sizeof err->text, "%s", why);
    return -1;
}

static int fail_yaml(struct lab_scenario_error *err, const yaml_parser_t *parser)
{
    const yaml_mark_t *mark =
        parser->error == YAML_READER_ERROR ? &parser->mark : &parser->problem_mark;
    err->line = (int)mark->line + 1;
    err->column = (int)mark->column + 1;
    (void)snprintf(err->text, sizeof err->text, "not YAML: %s",
                   parser->problem ? parser->problem : "out of memory");
    return -1;
}

/* One document: a second one would be overlooked. */
static int check_alone(struct lab_scenario_error *err, yaml_parser_t *parser)
{
    yaml_document_t second;
    if (!yaml_parser_load(parser, &second))
        return fail_yaml(err, parser);
    const yaml_node_t *root = yaml_document_get_root_node(&second);
    if (root) {
        err->line = (int)root->start_mark.line + 1;
        err->column = (int)root->start_mark.column + 1;
        (void)snprintf(err->text, sizeof err->text, "a file holds one scenario");
    }
    yaml_document_delete(&second);
    return root ? -1 : 0;
}

static int read_document(struct lab_scenario *scenario, yaml_parser_t *parser,
                         struct lab_scenario_error *err)
{
    struct lab_reader reader = {.scenario = scenario, .err = err};
    if (!yaml_parser_load(parser, &reader.document))
        return fail_yaml(err, parser);
    int r = take_root(&reader);
    yaml_document_delete(&reader.document);
    return r < 0 ? r : check_alone(err, parser);
}

static int read_bytes(struct lab_scenario *scenario, const unsigned char *data, size_t size,
                      struct lab_scenario_error *err)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return fail_file(err, strerror(ENOMEM));
    yaml_parser_set_input_string(&parser, data, size);
    int r = read_document(scenario, &parser, err);
    yaml_parser_delete(&parser);
    return r;
}

static int read_file(const char *path, unsigned char **ret_data, size_t *ret_size,
                     struct lab_scenario_error *err)
{
    unsigned char *data = malloc(FILE_MAX + 1);
    FILE *file = fopen(path, "re");
    if (!file || !data) {
        int r = fail_file(err, strerror(errno));
        if (file)
            (void)fclose(file);
        free(data);
        return r;
    }
    size_t size = fread(data, 1, FILE_MAX + 1, file);
    int failed = ferror(file) ? errno : 0;
    (void)fclose(file);
    if (failed || size > FILE_MAX) {
        free(data);
        return fail_file(err, failed ? strerror(failed) : "longer than 256 KiB");
    }
    *ret_data = data;
    *ret_size = size;
    return 0;
}

int lab_scenario_read(struct lab_scenario *ret, const char *path, struct lab_scenario_error *err)
{
    struct lab_scenario scenario = {
        .device = {.tpm = LAB_TPM_USABLE, .aware = true, .version = "1.0"}};
    unsigned char *data = NULL;
    size_t size = 0;
    if (strlen(path) >= sizeof scenario.file)
        return fail_file(err, strerror(ENAMETOOLONG));
    (void)snprintf(scenario.file, sizeof scenario.file, "%s", path);
    if (read_file(path, &data, &size, err) < 0)
        return -1;
    int r = read_bytes(&scenario, data, size, err);
    free(data);
    if (r < 0) {
        lab_scenario_free(&scenario);
        return r;
    }
    *ret = scenario;
    return 0;
}
