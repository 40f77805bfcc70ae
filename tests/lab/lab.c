/* SPDX-License-Identifier: BSD-2-Clause */
/* lab.c - idmode-lab: for developers; it does not ship on devices. */
#include "diagrams/lab.h"
#include "tests/lab/verbs.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *does;
} verbs[] = {
    {"replay", lab_verb_replay,
     "runs scenarios, on a simulated device or with the real programs, with power cuts"},
    {"verify", lab_verb_verify,
     "explores simulated devices with every cut and fault, against the invariants"},
    {"diagram", lab_diagram,
     "prints the state machine from its own table: dot, svg, mermaid, markdown, csv"},
};
#define VERBS (sizeof verbs / sizeof *verbs)

static int print_help(void)
{
    (void)fputs("idmode-lab - what idmode's developers use: it does not ship on devices\n\n"
                "usage: idmode-lab VERB …\n\n",
                stdout);
    for (size_t i = 0; i < VERBS; i++)
        (void)printf("  %-10s %s\n", verbs[i].name, verbs[i].does);
    (void)fputs("\nidmode-lab VERB --help says more.\n", stdout);
    return fflush(stdout) == 0 ? LAB_EXIT_DONE : LAB_EXIT_OUTPUT;
}

/* Worlds come and go: the kernel need not be asked for their pages each time. */
static void keep_memory(void)
{
    (void)mallopt(M_TRIM_THRESHOLD, 256 << 20);
    (void)mallopt(M_TOP_PAD, 1 << 20);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;
    keep_memory();
    if (name && (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0))
        return print_help();
    for (size_t i = 0; name && i < VERBS; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return verbs[i].run(argc - 1, argv + 1);
    (void)fprintf(stderr, "idmode-lab: %s: no such verb (see idmode-lab --help)\n",
                  name ? name : "usage");
    return LAB_EXIT_USAGE;
}
