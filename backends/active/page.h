/* SPDX-License-Identifier: BSD-2-Clause */
/* page.h - the mode page: ROOT/run/idmode/page, which anybody may map and read for ever.
 *
 *     offset 0   "IDMPAGE1"
 *            8   64 bits, one aligned store, one aligned load:
 *                  0-7   mode: enum idm_mode, 0 unknown, 1 none, 2 software, 3 tpm
 *                  8-31  generation: +1 with each change of mode or epoch, never 0
 *                  32-63 epoch
 *           16   32 bits: the generation again, for futex(2)
 *
 * Made once per boot and never replaced, so that a mapping stays good: a reader makes no system call and
 * takes no lock. It is written last, after the files in /run that go with it: who sees a new generation
 * finds the new certificate. Whatever wakes on a change of the file (inotify: IN_ATTRIB) or of the
 * futex wakes after it.
 *
 * The only writer holds the lock (backends/store/lock.h). Native byte order: it never leaves the machine.
 */
#ifndef IDM_BACKENDS_ACTIVE_PAGE_H
#define IDM_BACKENDS_ACTIVE_PAGE_H

#include "backends/error.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define IDM_PAGE_NAME "page"
#define IDM_PAGE_SIZE 4096u /* a whole one, whatever the machine's: mmap rounds up */

struct idm_page {
    char magic[8];
    _Atomic uint64_t word;
    _Atomic uint32_t generation;
};
_Static_assert(sizeof(_Atomic uint64_t) == 8 && offsetof(struct idm_page, word) == 8, "as drawn");

static inline unsigned int idm_page_mode(uint64_t word)
{
    return (unsigned int)(word & 0xff);
}
static inline uint32_t idm_page_generation(uint64_t word)
{
    return (uint32_t)(word >> 8 & 0xffffff);
}
static inline uint32_t idm_page_epoch(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

/* Maps ROOT/run/idmode/page for reading; `root` as in struct idm_options. NULL: there is none yet, or
 * it is not one. Any thread; a mapping survives fork. */
const struct idm_page *idm_page_map(const char *root);
/* NULL is fine. */
void idm_page_unmap(const struct idm_page *page);

/* What it says now; acquires, so files read after it are at least as new. */
static inline uint64_t idm_page_word(const struct idm_page *page)
{
    return atomic_load_explicit(&page->word, memory_order_acquire);
}

/* Sleeps until the generation is not `generation` any more, at most timeout_ms (below 0: without a
 * limit). True: it is another one. A signal handler that runs does not end it. */
bool idm_page_wait(const struct idm_page *page, uint32_t generation, int timeout_ms);

/* Publishes, making the page where it is missing: under run_dir, a descriptor of ROOT/run/idmode.
 * Nothing changes when it says so already, but who was not told yet, because a publisher was killed, is. READ_ONLY, FULL, STORAGE. */
int idm_page_publish(int run_dir, unsigned int mode, uint32_t epoch,
                     struct idm_error *err) IDM_NODISCARD;

#endif
