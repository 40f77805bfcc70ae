/* SPDX-License-Identifier: BSD-2-Clause */
/* trace.h - what happened in this boot, one line each: ROOT/run/idmode/trace.
 *
 * Bounded: over IDM_TRACE_MAX bytes the file is replaced by the lines of its last half. Not
 * durable: /run is memory; what must outlive a boot is the history's.
 */
#ifndef IDM_BACKENDS_PLATFORM_TRACE_H
#define IDM_BACKENDS_PLATFORM_TRACE_H

#define IDM_TRACE_MAX (64u * 1024u)

enum idm_trace_level {
    IDM_TRACE_FILE,   /* the file only */
    IDM_TRACE_STDERR, /* and standard error (-v; the journal, under systemd) */
};

/* Appends `line` (without its newline; control characters become '?', cut after 1 KiB). Makes
 * ROOT/run/idmode when missing. Never fails: a trace that cannot be written is not worth an error.
 */
void idm_trace_line(const char *root, enum idm_trace_level level, const char *line);

#endif
