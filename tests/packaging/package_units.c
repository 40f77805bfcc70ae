/* SPDX-License-Identifier: BSD-2-Clause */
/* What systemd says about the units, and what must not stand in them; the script for other inits. */
#include "tests/packaging/package_script.h"

TestSuite(package_units, .timeout = 120);

CASE(package_units, units, installed_programs_find_each_other)
CASE(package_units, units, systemd_has_nothing_to_say)
CASE(package_units, units, systemd_would_have_said_so)
CASE(package_units, units, each_service_is_exposed_little)
CASE(package_units, units, no_sandbox_makes_a_directory_look_mounted)
CASE(package_units, units, no_boot_waits_for_what_may_be_missing)
CASE(package_units, units, no_unit_kills_hooks_as_it_ends)
CASE(package_units, units, clock_that_is_set_later_is_noticed)
CASE(package_units, units, drivers_of_allowed_devices_are_loaded_before)
CASE(package_units, units, stopped_socket_is_gone)
CASE(package_units, units, group_and_run_directory_are_made)
CASE(package_units, busybox, boots_a_device_and_starts_what_is_installed)
CASE(package_units, busybox, device_that_is_held_still_boots)
CASE(package_units, busybox, failure_is_said)
