/* SPDX-License-Identifier: BSD-2-Clause */
/* verbs.h - the verbs of idmode-lab, besides `diagram` (diagrams/lab.h).
 *
 * Each takes the words from its own name on and returns an exit code.
 */
#ifndef IDM_TESTS_LAB_VERBS_H
#define IDM_TESTS_LAB_VERBS_H

enum lab_exit {
    LAB_EXIT_DONE = 0,
    LAB_EXIT_FAILED = 1, /* a scenario failed */
    LAB_EXIT_USAGE = 2,  /* or a file that is no scenario */
    LAB_EXIT_OUTPUT = 5, /* a report could not be written */
};

int lab_verb_replay(int argc, char **argv);
int lab_verb_verify(int argc, char **argv);

#endif
