/* SPDX-License-Identifier: BSD-2-Clause */
/* allocator.h - glibc's allocator for every library of a process, which may refuse. For one file of a program or of a
 * preloaded library, behind its own
 *
 *     static bool fails(void);     is this the allocation that fails? It allocates nothing itself.
 *
 * What stands here comes before libc's in the order in which symbols are looked up. */
#ifndef IDM_TESTS_SUPPORT_ALLOCATOR_H
#define IDM_TESTS_SUPPORT_ALLOCATOR_H

#include <errno.h>
#include <stdlib.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *at, size_t size);

static void *refuse(void)
{
    errno = ENOMEM;
    return NULL;
}

void *malloc(size_t size)
{
    return fails() ? refuse() : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails() ? refuse() : __libc_calloc(count, size);
}

void *realloc(void *at, size_t size)
{
    return fails() ? refuse() : __libc_realloc(at, size);
}

#endif
