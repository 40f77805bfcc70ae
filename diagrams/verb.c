/* SPDX-License-Identifier: BSD-2-Clause */
/* verb.c - idmode-lab diagram */
#include "diagrams/lab.h"

#include <getopt.h>
#include <string.h>

enum { DONE = 0, USAGE = 2, FAILED = 5 }; /* as idmode's exit codes */

static const struct {
    const char *name;
    int (*draw)(FILE *out, const struct lab_current *current); /* one of the two */
    int (*print)(FILE *out);
    const char *does;
} formats[] = {
    {"dot", lab_print_dot, NULL, "the changes of state, for Graphviz (default)"},
    {"svg", lab_print_svg, NULL, "the same as a picture; needs Graphviz"},
    {"mermaid", lab_print_mermaid, NULL, "the same as a Mermaid state diagram"},
    {"markdown", NULL, lab_print_markdown, "every event, state, plan and reason, for reading"},
    {"csv", NULL, lab_print_csv, "every cell, one a line"},
    {"promela", NULL, lab_print_promela, "cells, order and plans, for SPIN"},
};
#define FORMATS (sizeof formats / sizeof *formats)

static void print_help(FILE *out)
{
    (void)fputs("idmode-lab diagram - the state machine of idmode, printed from its own table\n\n"
                "usage: idmode-lab diagram [--format FORMAT] [--current STATUS.json]\n\n",
                out);
    for (size_t i = 0; i < FORMATS; i++)
        (void)fprintf(out, "  %-10s %s\n", formats[i].name, formats[i].does);
    (void)fputs("\n--current marks where a device is: the file that idmode publishes as\n"
                "/run/idmode/status.json. It fits the drawings: dot, svg, mermaid.\n",
                out);
    (void)fputs("\nexit: 0 done, 2 usage, 5 the output could not be made\n", out);
}

static int misuse(const char *what, const char *why)
{
    (void)fprintf(stderr, "idmode-lab: %s: %s (see idmode-lab diagram --help)\n", what, why);
    return USAGE;
}

static int draw(const char *format, const char *status)
{
    struct lab_current current = {0};
    for (size_t i = 0; i < FORMATS; i++) {
        if (strcmp(formats[i].name, format) != 0)
            continue;
        if (status && !formats[i].draw)
            return misuse(format, "--current marks a place in a drawing: dot, svg or mermaid");
        if (status && lab_current_read(&current, status))
            return USAGE;
        if (formats[i].draw ? formats[i].draw(stdout, status ? &current : NULL)
                            : formats[i].print(stdout))
            return FAILED;
        if (fflush(stdout) == 0 && !ferror(stdout))
            return DONE;
        perror("idmode-lab: write");
        return FAILED;
    }
    return misuse(format, "the format is dot, svg, mermaid, markdown, csv or promela");
}

int lab_diagram(int argc, char **argv)
{
    static const struct option longs[] = {{"format", required_argument, NULL, 'f'},
                                          {"current", required_argument, NULL, 'c'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    const char *format = "dot";
    const char *status = NULL;
    int option = 0;
    while ((option = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        if (option == 'h') {
            print_help(stdout);
            return fflush(stdout) == 0 ? DONE : FAILED;
        }
        if (option == 'f')
            format = optarg;
        else if (option == 'c')
            status = optarg;
        else
            return misuse("diagram", "not understood");
    }
    if (optind != argc)
        return misuse(argv[optind], "diagram takes no more words");
    return draw(format, status);
}
