/* SPDX-License-Identifier: BSD-2-Clause */
/* plan_why.c - apart from plan.c, so that programs which never print it do not carry it. */
#include "fsm/fsm.h"

#define PLAN(plan, needs, intent, tolerates, sentence, ...) [IDM_P_##plan] = (sentence),

static const char *const whys[IDM_PLAN_COUNT] = {
#include "fsm/plans.def"
};

const char *idm_plan_why(enum idm_plan plan)
{
    return whys[plan];
}
