/* SPDX-License-Identifier: BSD-2-Clause */
/* What a newcomer reads is true; licence and version are said once, the same everywhere. */
#include "tests/packaging/package_script.h"

TestSuite(package_project, .timeout = 120);

CASE(package_project, project, each_source_says_its_licence)
CASE(package_project, project, versions_agree)
CASE(package_project, project, debian_control_makes_sense)
CASE(package_project, project, links_lead_somewhere)
CASE(package_project, project, tests_that_documents_name_exist)
CASE(package_project, project, first_change_works_as_described)
