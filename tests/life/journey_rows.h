/* SPDX-License-Identifier: BSD-2-Clause */
/* journey_rows.h - short forms for the tables of journeys. */
#ifndef IDM_TESTS_LIFE_JOURNEY_ROWS_H
#define IDM_TESTS_LIFE_JOURNEY_ROWS_H

#include "tests/life/journey.h"

#define CERT         "/config/device.cert.pem"
#define MARKER_DIR   "/persist/config"
#define UNHOOKED     .skip_pre_install = true, .skip_post_install = true
#define LIVES(array) .steps = (array), .count = sizeof(array) / sizeof((array)[0])

/* What must be seen: the state, the mode, who is active, whose pair an old image finds. */
#define OLD_IMAGE(pair) .state = "-", .mode = "software", .active = (pair), .legacy = (pair)
#define SOFTWARE(pair)  .state = "software", .mode = "software", .active = (pair), .legacy = (pair)
#define DUAL(key, pair)                                                                            \
    .state = "tpm-dual", .mode = "tpm", .active = (key), .legacy = (pair), .marker = true
#define TPM(key) .state = "tpm", .mode = "tpm", .active = (key), .legacy = '-', .marker = true
#define HELD(why)                                                                                  \
    .state = "tpm", .mode = "unknown", .reasons = (why), .active = '-', .legacy = '-',             \
    .marker = true, .exit = 3

#endif
