/* SPDX-License-Identifier: BSD-2-Clause */
/* The mode page: what is mapped is whole, and publishing heals whatever lies there. */
#include "tests/fuzz/fuzz.h"

#include "backends/active/page.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char dir[4096];
    struct idm_error err = {0};
    (void)fuzz_file("run/idmode/" IDM_PAGE_NAME, data, size);
    (void)snprintf(dir, sizeof dir, "%s/run/idmode", fuzz_dir());
    const struct idm_page *page = idm_page_map(fuzz_dir());
    FUZZ_CHECK(!page || size == IDM_PAGE_SIZE);
    if (page)
        (void)idm_page_word(page);
    idm_page_unmap(page);
    int run = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    FUZZ_CHECK(run >= 0);
    FUZZ_CHECK(idm_page_publish(run, 3, 7, &err) == 0);
    (void)close(run);
    page = idm_page_map(fuzz_dir());
    FUZZ_CHECK(page && idm_page_mode(idm_page_word(page)) == 3);
    FUZZ_CHECK(idm_page_epoch(idm_page_word(page)) == 7);
    FUZZ_CHECK(idm_page_generation(idm_page_word(page)) != 0);
    idm_page_unmap(page);
    return 0;
}
