/* SPDX-License-Identifier: BSD-2-Clause */
/* What idmode-lab prints is the table, and the committed copies are what it prints.
 *
 * The picture is compared by the hash of the dot text that it was drawn from: Graphviz measures
 * labels with the fonts of the machine, so its coordinates differ where the drawing does not.
 */
#include "backends/bytes.h"
#include "fsm/fsm.h"
#include "tests/support/run.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAB  IDM_TEST_BUILD_DIR "/bin/idmode-lab"
#define DOCS IDM_TEST_SOURCE_DIR "/docs/"

TestSuite(fsm_diagram, .timeout = 60);

static void draw(struct idm_run *ret, const char *format)
{
    const char *const argv[] = {LAB, "diagram", "--format", format, NULL};
    cr_assert_eq(idm_run(ret, NULL, argv), 0, "%s does not start", LAB);
    cr_assert_eq(ret->exit_code, 0, "--format %s: exit %d: %s", format, ret->exit_code, ret->err);
}

static void read_doc(const char *name, struct idm_bytes *ret)
{
    char path[512];
    char buffer[8192];
    size_t size = 0;
    char *data = NULL;
    (void)snprintf(path, sizeof path, DOCS "%s", name);
    FILE *file = fopen(path, "re");
    cr_assert_not_null(file, "docs/%s is missing: run ./dev diagrams", name);
    FILE *stream = open_memstream(&data, &ret->size);
    cr_assert_not_null(stream);
    while ((size = fread(buffer, 1, sizeof buffer, file)) > 0)
        cr_assert_eq(fwrite(buffer, 1, size, stream), size);
    (void)fclose(file);
    cr_assert_eq(fclose(stream), 0);
    ret->data = (uint8_t *)data;
}

static size_t line_of_difference(const char *a, const char *b)
{
    size_t line = 1;
    for (; *a && *a == *b; a++, b++)
        line += *a == '\n';
    return line;
}

static void committed_is(const char *name, const char *format)
{
    _cleanup_run_ struct idm_run run = {0};
    _cleanup_bytes_ struct idm_bytes doc = {0};
    draw(&run, format);
    read_doc(name, &doc);
    cr_assert(run.out_size < IDM_RUN_OUTPUT_MAX, "%s is too large to compare", name);
    bool same = doc.size == run.out_size && memcmp(doc.data, run.out, doc.size) == 0;
    cr_assert(same, "docs/%s is not what the table says, from line %zu on: run ./dev diagrams",
              name, line_of_difference((const char *)doc.data, run.out));
}

Test(fsm_diagram, committed_drawing_is_that_of_the_table)
{
    committed_is("state-machine.dot", "dot");
}

Test(fsm_diagram, committed_tables_are_those_of_the_table)
{
    committed_is("table.md", "markdown");
}

/* The line that says which dot text a picture was drawn from. */
static void expect_hash(const char *svg, const struct idm_run *dot, const char *what)
{
    uint8_t hash[IDM_SHA256_SIZE];
    char hex[2 * IDM_SHA256_SIZE + 1];
    char line[160];
    cr_assert_eq(idm_sha256(dot->out, dot->out_size, hash), 0);
    idm_hex(hash, sizeof hash, hex);
    (void)snprintf(line, sizeof line, "<!-- drawn from state-machine.dot, sha256 %s -->", hex);
    cr_assert_not_null(strstr(svg, line), "%s was drawn from another table: run ./dev diagrams",
                       what);
}

Test(fsm_diagram, committed_picture_was_drawn_from_the_table)
{
    _cleanup_run_ struct idm_run dot = {0};
    _cleanup_bytes_ struct idm_bytes svg = {0};
    draw(&dot, "dot");
    read_doc("state-machine.svg", &svg);
    expect_hash((const char *)svg.data, &dot, "docs/state-machine.svg");
}

/* The page names the file as it was given, so it is given as ./dev diagrams gives it. */
Test(fsm_diagram, committed_example_is_what_a_replay_draws)
{
    static const char command[] = "cd '" IDM_TEST_SOURCE_DIR "' && '" LAB "' replay --html "
                                  "/dev/fd/3 tests/scenarios/journey-example-life.yaml 3>&1 >&2";
    _cleanup_run_ struct idm_run run = {0};
    _cleanup_bytes_ struct idm_bytes doc = {0};
    const char *const argv[] = {"/bin/sh", "-c", command, NULL};
    cr_assert_eq(idm_run(&run, NULL, argv), 0);
    cr_assert_eq(run.exit_code, 0, "%s", run.err);
    read_doc("example-life.html", &doc);
    cr_assert_str_eq((const char *)doc.data, run.out,
                     "docs/example-life.html differs from line %zu on: run ./dev diagrams",
                     line_of_difference((const char *)doc.data, run.out));
}

/* "tpm-dual" as the drawings name it. */
static const char *id_of(enum idm_state state, char ret[32])
{
    (void)snprintf(ret, 32, "%s", idm_state_name(state));
    for (char *at = ret; *at; at++)
        if (*at == '-')
            *at = '_';
    return ret;
}

Test(fsm_diagram, picture_shows_every_state_and_every_change)
{
    _cleanup_run_ struct idm_run dot = {0};
    _cleanup_run_ struct idm_run svg = {0};
    char text[96], id[32];
    draw(&dot, "dot");
    draw(&svg, "svg");
    expect_hash(svg.out, &dot, "the picture");
    for (enum idm_state s = 0; s < IDM_STATE_COUNT; s++) {
        (void)snprintf(text, sizeof text, "<title>%s</title>", id_of(s, id));
        cr_expect_not_null(strstr(svg.out, text), "no node %s", idm_state_name(s));
        for (enum idm_event e = 0; e < IDM_EVENT_COUNT; e++) {
            struct idm_cell cell = idm_table_cell(e, s);
            if (cell.kind != IDM_CELL_GO || cell.next == s)
                continue;
            bool shown = strstr(svg.out, idm_event_name(e)) != NULL;
            cr_expect(shown, "%s does not show", idm_event_name(e));
        }
    }
}

static bool is_request(enum idm_event event)
{
    return event >= idm_first_request_event();
}

/* The events that lead from one state to another, as a Mermaid arrow; empty when there are none. */
static void expected_arrow(enum idm_state from, enum idm_state to, char *ret, size_t size)
{
    char a[32], b[32];
    size_t length = 0;
    ret[0] = 0;
    for (enum idm_event e = 0; e < IDM_EVENT_COUNT && from != to; e++) {
        struct idm_cell cell = idm_table_cell(e, from);
        if (cell.kind != IDM_CELL_GO || cell.next != to)
            continue;
        if (!length)
            length = (size_t)snprintf(ret, size, "    %s --> %s: ", id_of(from, a), id_of(to, b));
        else
            length += (size_t)snprintf(ret + length, size - length, ", ");
        length += (size_t)snprintf(ret + length, size - length, "%s%s", idm_event_name(e),
                                   is_request(e) ? " (asked)" : "");
    }
    if (length)
        (void)snprintf(ret + length, size - length, "\n");
}

Test(fsm_diagram, mermaid_has_exactly_the_changes_of_the_table)
{
    _cleanup_run_ struct idm_run run = {0};
    char arrow[2048];
    size_t arrows = 0, printed = 0;
    draw(&run, "mermaid");
    for (enum idm_state from = 0; from < IDM_STATE_COUNT; from++)
        for (enum idm_state to = 0; to < IDM_STATE_COUNT; to++) {
            expected_arrow(from, to, arrow, sizeof arrow);
            if (!arrow[0])
                continue;
            arrows++;
            cr_expect_not_null(strstr(run.out, arrow), "missing: %s", arrow);
        }
    for (const char *at = run.out; (at = strstr(at, " --> ")); at++)
        printed++;
    cr_assert_eq(printed, arrows + 1, "%zu arrows, not %zu and the first", printed, arrows);
}

/* One field of a CSV line, unquoted; the place after it. */
static const char *take_field(const char *at, char *ret, size_t size)
{
    size_t length = 0;
    bool quoted = *at == '"';
    at += quoted;
    while (*at && length + 1 < size) {
        if (quoted && at[0] == '"' && at[1] != '"')
            break;
        if (!quoted && (*at == ',' || *at == '\n'))
            break;
        at += quoted && at[0] == '"';
        ret[length++] = *at++;
    }
    ret[length] = 0;
    return at + quoted + (at[quoted] != 0);
}

static const char *expect_csv_cell(const char *at, enum idm_event event, enum idm_state state)
{
    struct idm_cell cell = idm_table_cell(event, state);
    const char *const wanted[] = {idm_event_name(event), idm_state_name(state),
                                  idm_cell_kind_name(cell.kind), idm_state_name(cell.next),
                                  idm_plan_info(cell.plan)->name};
    char field[512];
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        at = take_field(at, field, sizeof field);
        cr_assert_str_eq(field, wanted[i]);
    }
    at = take_field(at, field, sizeof field);
    if (cell.reason < IDM_REASON_COUNT)
        cr_assert_str_eq(field, idm_reason_word(cell.reason));
    else
        cr_assert(strcmp(field, "by-chip") == 0 || strcmp(field, "by-room") == 0, "%s", field);
    at = take_field(at, field, sizeof field);
    cr_assert_eq(atoi(field), cell.exit);
    at = take_field(at, field, sizeof field);
    cr_assert_str_eq(field, cell.why);
    return at;
}

Test(fsm_diagram, csv_has_each_cell_once_in_the_order_of_the_table)
{
    _cleanup_run_ struct idm_run run = {0};
    static const char head[] = "event,state,kind,next,plan,reason,exit,why\n";
    draw(&run, "csv");
    cr_assert_eq(strncmp(run.out, head, sizeof head - 1), 0, "%.60s", run.out);
    const char *at = run.out + sizeof head - 1;
    for (enum idm_event e = 0; e < IDM_EVENT_COUNT; e++)
        for (enum idm_state s = 0; s < IDM_STATE_COUNT; s++)
            at = expect_csv_cell(at, e, s);
    cr_assert_str_empty(at);
}

Test(fsm_diagram, table_for_reading_names_every_plan_step_and_reason)
{
    _cleanup_run_ struct idm_run run = {0};
    char text[96];
    draw(&run, "markdown");
    for (enum idm_event e = 0; e < IDM_EVENT_COUNT; e++) {
        (void)snprintf(text, sizeof text, "\n### %s\n", idm_event_name(e));
        cr_expect_not_null(strstr(run.out, text), "no section %s", idm_event_name(e));
        for (enum idm_state s = 0; s < IDM_STATE_COUNT; s++)
            cr_expect_not_null(strstr(run.out, idm_table_cell(e, s).why));
    }
    for (enum idm_plan p = 0; p < IDM_PLAN_COUNT; p++)
        for (size_t i = 0; idm_plan_info(p)->steps[i]; i++) {
            (void)snprintf(text, sizeof text, "%zu. `%s`\n", i + 1,
                           idm_action_name(idm_plan_info(p)->steps[i]));
            cr_expect_not_null(strstr(run.out, text), "no step %s", text);
        }
    for (enum idm_reason r = IDM_R_none + 1; r < IDM_REASON_COUNT; r++)
        cr_expect_not_null(strstr(run.out, idm_reason_sentence(r)), "%s", idm_reason_word(r));
}

Test(fsm_diagram, operators_guide_says_of_every_reason_what_the_program_says)
{
    _cleanup_bytes_ struct idm_bytes guide = {0};
    char text[512];
    read_doc("operator.md", &guide);
    for (enum idm_reason r = IDM_R_none + 1; r < IDM_REASON_COUNT; r++) {
        (void)snprintf(text, sizeof text, "\n### %s\n> %s (%s)\n\n", idm_reason_word(r),
                       idm_reason_sentence(r), idm_reason_todo(r));
        cr_expect_not_null(strstr((const char *)guide.data, text),
                           "docs/operator.md has no section that begins so:%s", text);
    }
}

/* ---- where a device is ---- */

static const char held_status[] =
    "{\"schema\": 1, \"mode\": \"unknown\", \"state\": \"tpm-dual\", \"held\": true, \"epoch\": 3,"
    " \"reasons\": [\"tpm-absent\"]}";

static void draw_current(struct idm_run *ret, const char *format, const char *status)
{
    const char *const argv[] = {LAB,         "diagram",    "--format", format,
                                "--current", "/dev/stdin", NULL};
    struct idm_run_options options = {.input = status, .input_size = strlen(status)};
    cr_assert_eq(idm_run(ret, &options, argv), 0, "%s does not start", LAB);
}

Test(fsm_diagram, current_state_is_marked_once_in_each_drawing)
{
    static const struct {
        const char *format, *mark;
    } drawings[] = {
        {"dot", "▶ this device: mode unknown, held: tpm-absent"},
        {"svg", "▶ this device: mode unknown, held: tpm&#45;absent"},
        {"mermaid",
         "note right of tpm_dual\n        this device: mode unknown, held: tpm-absent\n"},
    };
    for (size_t i = 0; i < sizeof drawings / sizeof *drawings; i++) {
        _cleanup_run_ struct idm_run run = {0};
        draw_current(&run, drawings[i].format, held_status);
        cr_assert_eq(run.exit_code, 0, "%s: %s", drawings[i].format, run.err);
        const char *mark = strstr(run.out, drawings[i].mark);
        cr_assert_not_null(mark, "%s: not marked", drawings[i].format);
        cr_expect_null(strstr(mark + strlen(drawings[i].mark), "this device"), "%s: marked twice",
                       drawings[i].format);
    }
}

Test(fsm_diagram, current_state_sits_in_its_own_box)
{
    _cleanup_run_ struct idm_run run = {0};
    draw_current(&run, "dot", held_status);
    const char *node = strstr(run.out, "\n  tpm_dual [");
    cr_assert_not_null(node);
    const char *mark = strstr(node, "penwidth=4");
    cr_expect(mark && mark < strchr(node + 1, '\n'));
}

Test(fsm_diagram, status_that_is_none_is_refused)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{\"mode\": \"tpm\"}",
        "{\"mode\": \"tpm\", \"state\": \"<b>\", \"held\": false, \"reasons\": []}",
        "{\"mode\": \"<b>\", \"state\": \"tpm\", \"held\": false, \"reasons\": []}",
        "{\"mode\": \"tpm\", \"state\": \"tpm\", \"held\": false, \"reasons\": [\"<b>\"]}",
        "{\"mode\": \"tpm\", \"state\": \"tpm\", \"held\": false, \"reasons\": [7]}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        _cleanup_run_ struct idm_run run = {0};
        draw_current(&run, "dot", bad[i]);
        cr_expect_eq(run.exit_code, 2, "%s: exit %d", bad[i], run.exit_code);
        cr_expect_eq(run.out_size, 0, "%s: %s", bad[i], run.out);
        cr_expect_not_null(strstr(run.err, "idmode status --json"), "%s: %s", bad[i], run.err);
    }
}

Test(fsm_diagram, misuse_exits_2_and_says_how_to_go_on)
{
    static const char *const calls[][5] = {{LAB, "diagram", "--format=pdf"},
                                           {LAB, "diagram", "--format=csv", "--current=/dev/null"},
                                           {LAB, "diagram", "--current=/nowhere"},
                                           {LAB, "diagram", "--colour"},
                                           {LAB, "paint"},
                                           {LAB, "diagram", "twice"},
                                           {LAB}};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        _cleanup_run_ struct idm_run run = {0};
        cr_assert_eq(idm_run(&run, NULL, calls[i]), 0);
        cr_expect_eq(run.exit_code, 2, "call %zu: exit %d", i, run.exit_code);
        cr_expect_eq(run.out_size, 0, "call %zu: %s", i, run.out);
        cr_expect_not_null(strstr(run.err, "idmode-lab"), "call %zu: %s", i, run.err);
    }
}

Test(fsm_diagram, help_names_every_format)
{
    static const char *const formats[] = {"dot", "svg", "mermaid", "markdown", "csv"};
    _cleanup_run_ struct idm_run run = {0};
    const char *const argv[] = {LAB, "--help", NULL};
    cr_assert_eq(idm_run(&run, NULL, argv), 0);
    cr_assert_eq(run.exit_code, 0);
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        cr_expect_not_null(strstr(run.out, formats[i]), "%s", formats[i]);
}
