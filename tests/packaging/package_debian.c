/* SPDX-License-Identifier: BSD-2-Clause */
/* What the maintainer scripts of the Debian packages do. */
#include "tests/packaging/package_script.h"

#include <stdlib.h>

static void need_a_root(void)
{
    if (system("unshare --mount sh -ec 'mount -t tmpfs none /mnt; mkdir /mnt/u /mnt/w /mnt/r;"
               " mount -t overlay none -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt/r'"
               " 2>/dev/null") != 0)
        cr_skip_test("the scripts run in a root of their own: no overlay can be mounted here");
}

TestSuite(package_debian, .timeout = 120, .init = need_a_root);

CASE(package_debian, debian, purge_takes_what_the_configuration_names)
CASE(package_debian, debian, purge_takes_the_usual_places_where_nothing_is_said)
CASE(package_debian, debian, purge_says_what_it_left)
CASE(package_debian, debian, purge_takes_nothing_by_a_path_that_idmode_refuses)
CASE(package_debian, debian, removal_ends_what_the_package_started)
CASE(package_debian, debian, installation_tells_systemd_of_units)
