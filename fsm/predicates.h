/* SPDX-License-Identifier: BSD-2-Clause */
/* predicates.h - what the raised_*.c share: one predicate per row of table.def, named after it, and
 * small words over facts. A row without a predicate does not link, a predicate without a row does not
 * compile. Nothing outside fsm/ includes it. */
#ifndef IDM_FSM_PREDICATES_H
#define IDM_FSM_PREDICATES_H

#include "fsm/fsm.h"

#define ROW(name, ...)                                                                             \
    bool idm_raised_##name(const struct idm_facts *f, const struct idm_request *r);
#include "fsm/table.def"
#undef ROW

#define RAISED(event)                                                                              \
    bool idm_raised_##event(const struct idm_facts *f, const struct idm_request *r)
#define REQUEST_UNUSED (void)r

static inline bool bare(const struct idm_facts *f)
{
    return f->config_cert == IDM_FILE_ABSENT && f->config_key == IDM_FILE_ABSENT && !f->tpm_files &&
           !f->store_files;
}

static inline bool unrecorded(const struct idm_facts *f)
{
    return f->state == IDM_S_none && f->record == IDM_RECORD_ABSENT && !f->reset_requested;
}

static inline bool pair_of_record(const struct idm_facts *f)
{
    return f->config_cert == IDM_FILE_SOFTWARE && f->config_key == IDM_FILE_SOFTWARE;
}

/* A complete matching pair that nobody recorded: a legacy image or a person put it there. A pair with
 * the certificate before a renewal is ours. */
static inline bool foreign_pair(const struct idm_facts *f)
{
    return f->config_pair_fits && !pair_of_record(f) && f->config_cert != IDM_FILE_FORMER;
}

static inline bool plain_key(const struct idm_facts *f)
{
    return f->store_key == IDM_COPY_GOOD || f->config_key == IDM_FILE_SOFTWARE;
}

static inline bool plain_cert(const struct idm_facts *f)
{
    return f->store_cert == IDM_COPY_GOOD || f->config_cert == IDM_FILE_SOFTWARE;
}

static inline bool plain_pair(const struct idm_facts *f)
{
    return plain_key(f) && plain_cert(f);
}

static inline bool holds_pair(enum idm_state state)
{
    return state == IDM_S_software || state == IDM_S_migrating || state == IDM_S_tpm_dual;
}

static inline bool tpm_active(const struct idm_facts *f)
{
    return f->state == IDM_S_tpm_dual || f->state == IDM_S_tpm;
}

static inline bool first_identity_open(const struct idm_facts *f)
{
    if (f->state == IDM_S_blank)
        return true;
    return f->state == IDM_S_resetting && !f->dead_remain;
}

static inline bool chip_in_play(const struct idm_facts *f)
{
    return f->chip != IDM_CHIP_NONE;
}

static inline bool chip_not_ready(const struct idm_facts *f)
{
    return f->chip == IDM_CHIP_BUSY || f->chip == IDM_CHIP_LOCKED || f->chip == IDM_CHIP_GARBLED;
}

/* The chip can be believed to hold nothing of ours: it said so, or it cannot hold anything. */
static inline bool chip_holds_nothing(const struct idm_facts *f)
{
    if (f->chip == IDM_CHIP_NONE || f->chip == IDM_CHIP_ABSENT || f->chip == IDM_CHIP_FAILED)
        return true;
    return f->chip_ours == IDM_FACT_NO;
}

/* A switch to the TPM is staged: its increment may have happened. */
static inline bool switching(const struct idm_facts *f)
{
    return f->intent == IDM_INTENT_to_tpm && f->staged;
}

/* Nothing that another image needs may be given up. */
static inline bool way_back_safe(const struct idm_facts *f)
{
    return !f->legacy_may_boot && f->trial == IDM_FACT_NO && !f->install_open;
}

#endif
