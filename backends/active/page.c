/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/active/page.h"

#include "backends/store/inroot.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#define TEMP_NAME ".page.tmp"

static const char magic[8] = {'I', 'D', 'M', 'P', 'A', 'G', 'E', '1'};
static const char what[] = "publish the mode page";

/* A file that is shorter than the mapping would end the reader by SIGBUS. */
static struct idm_page *map_fd(int fd, int protection)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size != IDM_PAGE_SIZE)
        return NULL;
    void *map = mmap(NULL, IDM_PAGE_SIZE, protection, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return NULL;
    struct idm_page *page = map;
    if (memcmp(page->magic, magic, sizeof magic) == 0)
        return page;
    (void)munmap(map, IDM_PAGE_SIZE);
    return NULL;
}

const struct idm_page *idm_page_map(const char *root)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/run/idmode/" IDM_PAGE_NAME, root);
    if (length < 0 || (size_t)length >= sizeof path)
        return NULL;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return fd < 0 ? NULL : map_fd(fd, PROT_READ);
}

void idm_page_unmap(const struct idm_page *page)
{
    if (page)
        (void)munmap((void *)page, IDM_PAGE_SIZE);
}

/* ---- wait ---- */

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool idm_page_wait(const struct idm_page *page, uint32_t generation, int timeout_ms)
{
    int64_t end = now_ms() + timeout_ms;
    for (;;) {
        uint32_t told =
            atomic_load(&page->generation); /* first: what is stored after it wakes us */
        if (idm_page_generation(idm_page_word(page)) != generation)
            return true;
        int64_t left = timeout_ms < 0 ? 0 : end - now_ms();
        if (timeout_ms >= 0 && left <= 0)
            return false;
        struct timespec time = {.tv_sec = (time_t)(left / 1000), .tv_nsec = left % 1000 * 1000000};
        /* Shared, not private: the writer is another process. Spurious ends are looked at above. */
        (void)syscall(SYS_futex, &page->generation, FUTEX_WAIT, told, timeout_ms < 0 ? NULL : &time,
                      NULL, 0);
    }
}

/* ---- publish ---- */

static int fail(int errnum, struct idm_error *err)
{
    return idm_fail_errno(err, IDM_E_STORAGE, what, errnum);
}

static int fill(int fd)
{
    const struct idm_page page = {.magic = {'I', 'D', 'M', 'P', 'A', 'G', 'E', '1'}};
    if (fchmod(fd, 0644) < 0 || ftruncate(fd, IDM_PAGE_SIZE) < 0)
        return -1;
    return pwrite(fd, &page, sizeof page, 0) == (ssize_t)sizeof page ? 0 : -1;
}

/* Complete before it has its name. What had the name and is no page nobody has mapped. */
static int make(int run_dir, struct idm_error *err)
{
    (void)unlinkat(run_dir, TEMP_NAME, 0);
    _cleanup_close_ int fd = idm_fd_above_stdio(
        openat(run_dir, TEMP_NAME, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
    if (fd < 0)
        return fail(errno, err);
    if (fill(fd) < 0 || renameat(run_dir, TEMP_NAME, run_dir, IDM_PAGE_NAME) < 0) {
        int failed = errno;
        (void)unlinkat(run_dir, TEMP_NAME, 0);
        return fail(failed, err);
    }
    int made = fd;
    fd = -1;
    return made;
}

static int open_page(int run_dir, struct idm_page **ret_page, struct idm_error *err)
{
    int fd = idm_fd_above_stdio(
        openat(run_dir, IDM_PAGE_NAME, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    struct idm_page *page = fd < 0 ? NULL : map_fd(fd, PROT_READ | PROT_WRITE);
    if (!page) {
        idm_close_fd(&fd);
        fd = make(run_dir, err);
        page = fd < 0 ? NULL : map_fd(fd, PROT_READ | PROT_WRITE);
    }
    if (fd >= 0 && !page) {
        int failed = errno;
        idm_close_fd(&fd);
        return fail(failed, err);
    }
    if (page)
        *ret_page = page;
    return fd;
}

static uint32_t next_generation(uint32_t generation)
{
    uint32_t next = (generation + 1) & 0xffffff;
    return next ? next : 1;
}

/* Whoever was killed on the way, between the word and here too, is completed by publishing the same again: the
 * file's watchers are told before the generation says that they were, and waking costs nobody anything. */
static void tell(int fd, struct idm_page *page, uint32_t generation)
{
    if (atomic_load_explicit(&page->generation, memory_order_relaxed) != generation) {
        (void)futimens(fd, NULL);
        atomic_store_explicit(&page->generation, generation, memory_order_release);
    }
    (void)syscall(SYS_futex, &page->generation, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

int idm_page_publish(int run_dir, unsigned int mode, uint32_t epoch, struct idm_error *err)
{
    struct idm_page *page = NULL;
    _cleanup_close_ int fd = open_page(run_dir, &page, err);
    if (fd < 0)
        return fd;
    uint64_t old = idm_page_word(page);
    uint32_t generation = idm_page_generation(old);
    if (!generation || idm_page_mode(old) != mode || idm_page_epoch(old) != epoch) {
        generation = next_generation(generation);
        atomic_store_explicit(&page->word,
                              (uint64_t)epoch << 32 | (uint64_t)generation << 8 | (mode & 0xff),
                              memory_order_release);
    }
    tell(fd, page, generation);
    idm_page_unmap(page);
    return 0;
}
