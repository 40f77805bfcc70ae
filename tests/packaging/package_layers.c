/* SPDX-License-Identifier: BSD-2-Clause */
/* The Yocto layer and the Buildroot package, as far as they can be judged without either. */
#include "tests/packaging/package_script.h"

TestSuite(package_layers, .timeout = 120);

CASE(package_layers, layers, recipe_is_that_of_the_sources)
CASE(package_layers, layers, buildroot_package_is_that_of_the_sources)
CASE(package_layers, layers, make_reads_the_package)
