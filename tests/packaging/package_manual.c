/* SPDX-License-Identifier: BSD-2-Clause */
/* Manual and shell completion against the programs. */
#include "tests/packaging/package_script.h"

TestSuite(package_manual, .timeout = 120);

CASE(package_manual, manual, formatters_have_nothing_to_say)
CASE(package_manual, manual, everything_installed_has_a_page)
CASE(package_manual, manual, commands_and_options_are_those_of_the_program)
CASE(package_manual, manual, configuration_is_that_of_the_program)
CASE(package_manual, manual, reasons_are_those_of_the_program)
CASE(package_manual, manual, pages_that_are_named_exist)
CASE(package_manual, manual, bash_completes_commands_and_options)
CASE(package_manual, manual, zsh_completes_too)
