/* SPDX-License-Identifier: BSD-2-Clause */
/* lock.h - one idmode at a time: ROOT/run/idmode/lock.
 *
 * flock(2), tried again every IDM_LOCK_PAUSE_MS until the time is over: a blocking flock or
 * F_OFD_SETLKW cannot be given a limit without signals or a second thread. flock and not F_OFD,
 * because both belong to the open file and end with it, also when its holder is killed, and flock
 * shows up with the holder's pid in /proc/locks. The file is 0600: whoever may open it may block
 * us. It is never removed, and a lock on a file that somebody else removed does not count.
 *
 *     content: "<pid> <who>\n" of the holder; a message, never the lock itself
 */
#ifndef IDM_BACKENDS_STORE_LOCK_H
#define IDM_BACKENDS_STORE_LOCK_H

#include "backends/error.h"

#define IDM_LOCK_PAUSE_MS 20u

struct idm_lock {
    bool held; /* false: nothing to release; a zeroed struct is fine */
    int fd;    /* close-on-exec: a program that we start does not inherit the lock */
};

/* Takes the lock below `root` ("" or absolute), makes ROOT/run/idmode when missing, waits at most
 * timeout_ms (0: tries once). `who` is what others are told while we hold it ("idmode boot"; cut
 * after 64 characters). LOCK with the holder's name and pid when the time is over; READ_ONLY, FULL,
 * STORAGE when the file cannot be made (ABSENT: root is not there). *ret is written only on
 * success. */
int idm_lock_take(struct idm_lock *ret, const char *root, unsigned int timeout_ms, const char *who,
                  struct idm_error *err) IDM_NODISCARD;

/* NULL and a lock that is not held are fine. */
void idm_lock_release(struct idm_lock *lock);

#endif
