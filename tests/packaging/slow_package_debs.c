/* SPDX-License-Identifier: BSD-2-Clause */
/* Debian packages: built twice, installed into a clean root, used and purged there. */
#include "tests/packaging/package_script.h"

#define SLOW(what)                                                                                 \
    Test(slow_package_debs, what, .timeout = 3600)                                                 \
    {                                                                                              \
        package_script("debs", #what, 3500);                                                       \
    }

SLOW(all_packages_are_built)
SLOW(two_builds_are_the_same_bytes)
SLOW(device_boots_and_serves_tls_users)
SLOW(purge_asks_before_it_takes_the_identity)
SLOW(lab_replays_in_both_worlds)
SLOW(metrics_please_prometheus)
SLOW(c_program_is_built_with_what_dev_brings)
