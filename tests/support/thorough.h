/* SPDX-License-Identifier: BSD-2-Clause */
/* thorough.h - sweeps that take minutes: every place under the label slow, some of them by default.
 *
 *     for (size_t i = 0; i < size; i += idm_every(5))
 */
#ifndef IDM_TESTS_SUPPORT_THOROUGH_H
#define IDM_TESTS_SUPPORT_THOROUGH_H

#include <stddef.h>
#include <stdlib.h>

/* ctest sets IDM_TEST_THOROUGH for the programs that run again under the label slow. */
static inline size_t idm_every(size_t by_default)
{
    return getenv("IDM_TEST_THOROUGH") ? 1 : by_default;
}

#endif
