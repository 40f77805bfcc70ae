/* SPDX-License-Identifier: BSD-2-Clause */
/* verify.c - the exploration; verify.h shows its shape. */
#include "tests/lab/verify.h"

#include "tests/lab/oracle_parts.h"
#include "tests/lab/sim_parts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define OUTCOMES_MAX 255u /* of one cut: six effects in every way; a store that syncs leaves four */
#define QUEUE_MAX    60000u /* places that wait: 25 KB each */

/* A place that waits for its turn. */
struct waiting {
    struct verify_place place;
    uint32_t life;
    unsigned int depth;
};

struct queue {
    struct waiting *items;
    size_t first, end, room;
};

/* The forks of a step that is going on, one after each primitive effect. */
struct shots {
    struct lab_world *world; /* that is forked */
    struct lab_world **forks;
    size_t count, room;
};

struct run {
    const struct verify_options *options;
    const struct verify_alphabet *alphabet;
    struct verify_shared *images;
    struct verify_totals *totals;
    struct verify_event *events; /* all lives, as a tree */
    size_t events_count, events_room;
    struct verify_set places;  /* entered or waiting */
    struct verify_set cuts;    /* images, with how many cuts were still to come */
    struct verify_set futures; /* see verify_place_act */
    struct verify_map came_to; /* from an image to what its boot made of it */
    unsigned long met_again;   /* images that were booted before */
    struct verify_set told;    /* violations, by what they say */
    struct queue shared;       /* reached without a fault: the same in every job */
    struct queue own;          /* reached by what only this job tries */
    unsigned long transitions;
    bool over; /* breadth first */
    struct timespec start;
};

/* ---- lives ---- */

static uint32_t live_on(struct run *r, uint32_t before, struct verify_event event)
{
    if (r->events_count == r->events_room) {
        r->events_room = r->events_room ? 2 * r->events_room : 4096;
        r->events = reallocarray(r->events, r->events_room, sizeof *r->events);
        if (!r->events)
            abort();
    }
    event.before = before;
    r->events[r->events_count] = event;
    return (uint32_t)r->events_count++;
}

static struct verify_life life_of(const struct run *r, size_t device, uint32_t last)
{
    struct verify_life life = {.device = device};
    for (uint32_t at = last; at; at = r->events[at].before)
        life.count++;
    if (life.count > VERIFY_LIFE_MAX)
        life.count = VERIFY_LIFE_MAX;
    size_t i = life.count;
    for (uint32_t at = last; i > 0; at = r->events[at].before)
        life.events[--i] = r->events[at];
    return life;
}

/* ---- violations ---- */

static uint64_t hash_text(const char *text)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *text; text++)
        if (*text < '0' || *text > '9') /* a hash in it is another one in each life */
            hash = (hash ^ (uint8_t)*text) * UINT64_C(1099511628211);
    return hash;
}

static void tell(const struct verify_alphabet *alphabet, struct verify_life *life,
                 const struct lab_violation *violation)
{
    struct lab_violation again;
    if (verify_life_run(alphabet, life, NULL, &again) == (int)violation->invariant)
        verify_life_shorten(alphabet, life, violation->invariant);
    (void)printf("\n# I%u: %s\n# again: idmode-lab verify --life '", violation->invariant,
                 violation->text);
    verify_life_print(life, stdout);
    (void)printf("'\n");
    verify_life_scenario(life, stdout);
    (void)fflush(stdout);
}

static void violated(struct run *r, size_t device, uint32_t last,
                     const struct lab_violation *violation)
{
    if (!r->totals->violations++)
        r->totals->first_invariant = violation->invariant;
    if (r->options->quick)
        return;
    /* One of a kind is told: the first, which has the fewest steps. */
    struct verify_life life = life_of(r, device, last);
    uint64_t kind = hash_text(violation->text) + violation->invariant;
    if (r->told.count < VERIFY_TOLD && verify_set_add(&r->told, kind))
        tell(r->alphabet, &life, violation);
}

/* ---- places ---- */

static bool out_of_time(struct run *r)
{
    struct timespec now;
    if (r->options->quick && r->totals->violations)
        return true;
    if (!r->options->seconds)
        return false;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    bool out = now.tv_sec - r->start.tv_sec >= (time_t)r->options->seconds;
    r->totals->stopped |= out;
    return out;
}

/* The random lives come after that, as many as were asked for. */
static bool over(struct run *r)
{
    unsigned long limit = r->options->limit;
    if (!r->over && limit && r->totals->recoveries >= limit)
        r->over = r->totals->stopped = true;
    if (!r->over)
        r->over = out_of_time(r);
    return r->over;
}

/* Takes the place: it waits, unless the same one was there. */
static void enter(struct run *r, struct queue *queue, struct verify_place *place, uint32_t life,
                  unsigned int depth)
{
    bool new = depth <= r->options->depth && !over(r) &&
               verify_set_add(&r->places, verify_hash(place->world, place->oracle, place->device));
    if (new && queue->end - queue->first >= QUEUE_MAX) {
        r->totals->unvisited++;
        new = false;
    }
    if (!new) {
        verify_place_close(place);
        return;
    }
    if (queue->end == queue->room) {
        size_t count = queue->end - queue->first;
        memmove(queue->items, queue->items + queue->first, count * sizeof *queue->items);
        queue->first = 0;
        queue->end = count;
        if (2 * count >= queue->room) {
            queue->room = queue->room ? 2 * queue->room : 256;
            queue->items = reallocarray(queue->items, queue->room, sizeof *queue->items);
            if (!queue->items)
                abort();
        }
    }
    queue->items[queue->end++] = (struct waiting){.place = *place, .life = life, .depth = depth};
    *place = (struct verify_place){0};
}

/* ---- cuts ---- */

static void shoot(void *self)
{
    struct shots *shots = self;
    char error[LAB_SENTENCE_SIZE];
    if (shots->count == shots->room) {
        shots->room = shots->room ? 2 * shots->room : 64;
        shots->forks = reallocarray(shots->forks, shots->room, sizeof *shots->forks);
        if (!shots->forks)
            abort();
    }
    if (lab_sim_world.fork(&shots->forks[shots->count++], shots->world, error))
        abort();
}

static void watch(struct shots *shots, struct lab_world *world)
{
    *shots = (struct shots){.world = world};
    world->sim.watched = shoot;
    world->sim.watched_self = shots;
}

static void free_shots(struct shots *shots)
{
    for (size_t i = 0; i < shots->count; i++)
        lab_sim_world.close(shots->forks[i]);
    free(shots->forks);
}

/* A device that goes on from here: what a fault left, before its recovery. */
struct fallen {
    struct verify_place place;
    uint32_t life;
    unsigned int depth;
    unsigned int cuts; /* that may still come */
    uint64_t image;
};

static void recover(struct run *r, struct fallen *fallen);

static const struct lab_step *step_of(const struct run *r, size_t device, size_t step)
{
    return &r->alphabet->devices[device].steps[step];
}

#define AGAIN 256u

/* One of so many images that were booted before is booted all the same. Does it come where the first one
 * came? */
static void boot_again(struct run *r, const struct fallen *fallen, uint64_t image)
{
    static const struct lab_cut uncut = {.kind = LAB_UNCUT};
    uint64_t came_to = verify_map_at(&r->came_to, image);
    struct lab_violation violation = {0};
    struct lab_result result;
    struct verify_place after;
    if (!came_to)
        return;
    verify_place_fork(&after, &fallen->place);
    int rc = verify_place_act(&after, step_of(r, after.device, VERIFY_BOOT), &uncut, &r->futures,
                              &result, &violation);
    uint64_t now = rc == 1 ? verify_hash(after.world, after.oracle, after.device) : 2;
    r->totals->again++;
    if (now + !now != came_to) {
        r->totals->elsewhere++;
        if (getenv("IDM_VERIFY_ELSEWHERE")) {
            struct verify_life life = life_of(r, fallen->place.device, fallen->life);
            verify_life_print(&life, stdout);
            (void)fputc('\n', stdout);
        }
    }
    verify_place_close(&after);
}

/* Was this image recovered from before? */
static bool known_image(struct run *r, struct fallen *fallen)
{
    const struct verify_place *p = &fallen->place;
    fallen->image = verify_hash(p->world, p->oracle, p->device);
    if (verify_shared_add(r->images, fallen->image))
        r->totals->newest = r->totals->recoveries;
    if (verify_set_add(&r->cuts, fallen->image + fallen->cuts))
        return false;
    if (r->met_again % AGAIN == 0)
        boot_again(r, fallen, fallen->image);
    r->met_again++;
    return true;
}

/* What the oracle compares the image with, besides what it remembers. */
static uint64_t hash_before(const struct verify_place *before, const struct lab_step *step)
{
    const struct lab_sight *s = before->sight;
    uint64_t hash = (uint64_t)step->action << 8 | (uint64_t)s->trial << 4 |
                    (uint64_t)s->powered << 1 | s->aware;
    hash = hash * UINT64_C(1099511628211) ^ hash_text(s->legacy_view);
    return hash * UINT64_C(1099511628211) ^ hash_text(s->legacy_key);
}

/* `before`: as it was when the step began; the power fails in `world`, which is closed. */
static void cut_here(struct run *r, const struct verify_place *before, struct lab_world *world,
                     const struct verify_event *event, struct fallen *fallen)
{
    const struct lab_step *step = step_of(r, before->device, event->step);
    struct lab_violation violation = {0};
    struct lab_result result;
    r->totals->recoveries++;
    lab_sim_cut_here(world, event->outcome, &result);
    uint64_t image = verify_hash(world, before->oracle, before->device);
    bool judged = !verify_set_add(&r->cuts, (image ^ hash_before(before, step)) + fallen->cuts);
    if (judged && ++r->met_again % AGAIN) {
        lab_sim_world.close(world);
        return;
    }
    verify_place_fork_world(&fallen->place, before, world);
    int rc = verify_place_cut(&fallen->place, step, &result, &violation);
    if (rc == 0)
        violated(r, before->device, live_on(r, fallen->life, *event), &violation);
    if (rc == 1 && !known_image(r, fallen)) {
        fallen->life = live_on(r, fallen->life, *event);
        recover(r, fallen);
    }
    verify_place_close(&fallen->place);
}

static struct lab_world *fork_world(struct lab_world *world)
{
    char error[LAB_SENTENCE_SIZE];
    struct lab_world *fork = NULL;
    if (lab_sim_world.fork(&fork, world, error))
        abort();
    return fork;
}

static void cut_everywhere(struct run *r, const struct verify_place *before, struct shots *shots,
                           const struct fallen *how, size_t step)
{
    for (size_t i = 0; i < shots->count && !over(r); i++) {
        uint64_t outcomes = idm_sim_outcomes(&shots->forks[i]->sim);
        if (outcomes > OUTCOMES_MAX) {
            r->totals->left_out += outcomes - OUTCOMES_MAX;
            outcomes = OUTCOMES_MAX;
        }
        for (uint64_t k = 0; k < outcomes; k++) {
            struct fallen fallen = *how;
            bool last = k + 1 == outcomes;
            struct lab_world *world = last ? shots->forks[i] : fork_world(shots->forks[i]);
            struct verify_event event = {.step = (uint16_t)step,
                                         .kind = VERIFY_CUT,
                                         .at = (uint32_t)i + 1,
                                         .outcome = (uint8_t)k};
            if (last)
                shots->forks[i] = NULL;
            cut_here(r, before, world, &event, &fallen);
        }
    }
}

/* The boot after a fault; while cuts may still come, it is cut as well. */
static void recover(struct run *r, struct fallen *fallen)
{
    static const struct lab_cut uncut = {.kind = LAB_UNCUT};
    const struct lab_step *boot = step_of(r, fallen->place.device, VERIFY_BOOT);
    struct lab_violation violation = {0};
    struct lab_result result;
    struct shots shots = {0};
    struct verify_place after;
    verify_place_fork(&after, &fallen->place);
    if (fallen->cuts)
        watch(&shots, after.world);
    int rc = verify_place_act(&after, boot, &uncut, &r->futures, &result, &violation);
    after.world->sim.watched = NULL;
    r->totals->run++;
    (void)verify_map_keep(&r->came_to, fallen->image,
                          rc == 1 ? verify_hash(after.world, after.oracle, after.device) : 2);
    uint32_t life = live_on(r, fallen->life, (struct verify_event){.step = VERIFY_BOOT});
    if (rc == 0)
        violated(r, fallen->place.device, life, &violation);
    struct fallen next = {.life = fallen->life, .depth = fallen->depth, .cuts = fallen->cuts - 1};
    if (fallen->cuts)
        cut_everywhere(r, &fallen->place, &shots, &next, VERIFY_BOOT);
    free_shots(&shots);
    if (rc == 1)
        enter(r, &r->own, &after, life, fallen->depth);
    else
        verify_place_close(&after);
}

/* ---- calls that fail ---- */

static void fail_at(struct run *r, const struct waiting *from, size_t step, unsigned int depth,
                    enum verify_kind kind, unsigned long call)
{
    struct fallen fallen = {.depth = depth};
    struct lab_violation violation = {0};
    struct lab_result result;
    const struct lab_cut cut = {.kind = kind == VERIFY_FAILS ? LAB_CALL_FAILS : LAB_CALLS_FAIL_ON,
                                .at = call};
    struct verify_event event = {
        .step = (uint16_t)step, .kind = (uint8_t)kind, .at = (uint32_t)call};
    verify_place_fork(&fallen.place, &from->place);
    int rc = verify_place_act(&fallen.place, step_of(r, from->place.device, step), &cut, NULL,
                              &result, &violation);
    r->totals->recoveries++;
    if (rc == 0)
        violated(r, from->place.device, live_on(r, from->life, event), &violation);
    if (rc == 1 && !known_image(r, &fallen)) {
        fallen.life = live_on(r, from->life, event);
        recover(r, &fallen);
    }
    verify_place_close(&fallen.place);
}

/* ---- one step from one place ---- */

static unsigned int depth_after(const struct waiting *from, size_t step)
{
    return from->depth + (step != VERIFY_BOOT);
}

/* Everything that may go wrong in it. */
static void spoil(struct run *r, const struct waiting *from, size_t step, struct shots *shots,
                  unsigned long calls)
{
    unsigned int depth = depth_after(from, step);
    struct fallen how = {.life = from->life, .depth = depth, .cuts = r->options->cuts - 1};
    cut_everywhere(r, &from->place, shots, &how, step);
    unsigned int stride = r->options->stride;
    unsigned long first = 1 + (r->totals->places + step) % stride;
    for (unsigned long call = first; call <= calls && !over(r); call += stride) {
        fail_at(r, from, step, depth, VERIFY_FAILS, call);
        fail_at(r, from, step, depth, VERIFY_FAILS_ON, call);
    }
}

static void take_step(struct run *r, const struct waiting *from, struct queue *queue, size_t step,
                      bool mine)
{
    static const struct lab_cut uncut = {.kind = LAB_UNCUT};
    struct lab_violation violation = {0};
    struct lab_result result;
    struct shots shots = {0};
    struct verify_place after;
    verify_place_fork(&after, &from->place);
    if (mine)
        watch(&shots, after.world);
    int rc = verify_place_act(&after, step_of(r, from->place.device, step), &uncut, &r->futures,
                              &result, &violation);
    after.world->sim.watched = NULL;
    r->totals->runs++;
    uint32_t life = live_on(r, from->life, (struct verify_event){.step = (uint16_t)step});
    if (rc == 0 && mine)
        violated(r, from->place.device, life, &violation);
    if (rc == 1)
        enter(r, queue, &after, life, depth_after(from, step));
    else
        verify_place_close(&after);
    if (mine && rc >= 0)
        spoil(r, from, step, &shots, result.calls);
    free_shots(&shots);
}

/* ---- random lives ---- */

#define LIFE_STEPS  12u
#define EFFECTS_MAX 60u /* drawn; a step with fewer stays whole */
#define CALLS_MAX   250u

/* splitmix64 (Steele, Lea, Flood 2014, figure 16): the same draws everywhere. */
static uint32_t draw(uint64_t *seed, size_t below)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ (z >> 31)) % below);
}

static struct verify_event draw_event(uint64_t *seed, size_t steps)
{
    struct verify_event event = {.step = draw(seed, 3) ? (uint16_t)draw(seed, steps) : VERIFY_BOOT,
                                 .kind = VERIFY_WHOLE};
    if (draw(seed, 2))
        return event;
    event.kind = (uint8_t)(VERIFY_CUT + draw(seed, 3));
    event.at = 1 + draw(seed, event.kind == VERIFY_CUT ? EFFECTS_MAX : CALLS_MAX);
    event.outcome = event.kind == VERIFY_CUT ? (uint8_t)draw(seed, 8) : 0;
    return event;
}

/* What may go wrong with it did not happen: it has not so many effects, or calls. */
static struct verify_event whole(struct verify_event event)
{
    return (struct verify_event){.step = event.step, .kind = VERIFY_WHOLE};
}

/* One event, and the boot after it when it went wrong. 1: the life goes on. */
static int live(struct run *r, struct verify_place *place, struct verify_event event,
                uint32_t *life)
{
    struct lab_violation violation = {0};
    struct lab_result result = {0};
    struct lab_cut cut = verify_cut_of(&event);
    int rc = verify_place_act(place, step_of(r, place->device, event.step), &cut, &r->futures,
                              &result, &violation);
    *life = live_on(r, *life, result.was_cut ? event : whole(event));
    if (rc == 0)
        violated(r, place->device, *life, &violation);
    if (rc != 1 || !result.was_cut)
        return rc;
    if (verify_shared_add(r->images, verify_hash(place->world, place->oracle, place->device)))
        r->totals->newest = r->totals->recoveries;
    r->totals->recoveries++;
    r->totals->run++;
    return live(r, place, (struct verify_event){.step = VERIFY_BOOT}, life);
}

static void live_random(struct run *r, uint64_t number)
{
    uint64_t seed = r->options->seed * UINT64_C(0x2545f4914f6cdd1d) + number;
    struct verify_place place;
    uint32_t life = 0;
    char error[LAB_SENTENCE_SIZE];
    if (verify_place_open(&place, r->alphabet, draw(&seed, r->alphabet->device_count), error))
        abort();
    int rc = live(r, &place, (struct verify_event){.step = VERIFY_BOOT}, &life);
    for (unsigned int i = 0; rc == 1 && i < LIFE_STEPS; i++)
        rc = live(r, &place, draw_event(&seed, r->alphabet->step_count), &life);
    r->totals->lives++;
    verify_place_close(&place);
}

/* ---- breadth first ---- */

static void open_devices(struct run *r)
{
    for (size_t i = 0; i < r->alphabet->device_count; i++) {
        struct verify_place place;
        char error[LAB_SENTENCE_SIZE];
        if (verify_place_open(&place, r->alphabet, i, error)) {
            (void)fprintf(stderr, "idmode-lab: verify: %s\n", error);
            abort();
        }
        enter(r, &r->shared, &place, 0, 0);
    }
}

/* The next place of a queue, with all its steps. The jobs share the work by the number of the step. */
static bool visit(struct run *r, struct queue *queue, bool shared)
{
    if (queue->first == queue->end || over(r))
        return false;
    struct waiting from = queue->items[queue->first++];
    r->totals->places++;
    for (size_t step = 0; step < r->alphabet->step_count && !over(r); step++) {
        bool mine = !shared || r->transitions++ % r->options->jobs == r->options->job;
        take_step(r, &from, queue, step, mine);
    }
    verify_place_close(&from.place);
    return true;
}

static void free_queue(struct queue *queue)
{
    for (size_t i = queue->first; i < queue->end; i++)
        verify_place_close(&queue->items[i].place);
    free(queue->items);
}

static double user_seconds(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6;
}

void verify_explore(const struct verify_options *options, const struct verify_alphabet *alphabet,
                    struct verify_shared *images, struct verify_totals *ret)
{
    struct run r = {.options = options, .alphabet = alphabet, .images = images, .totals = ret};
    double before = user_seconds();
    (void)clock_gettime(CLOCK_MONOTONIC, &r.start);
    (void)live_on(&r, 0, (struct verify_event){0}); /* index 0 is none */
    open_devices(&r);
    for (bool more = true; more;) {
        more = visit(&r, &r.shared, true);
        more = visit(&r, &r.own, false) || more;
    }
    for (unsigned long i = options->job; i < options->lives && !out_of_time(&r); i += options->jobs)
        live_random(&r, i);
    r.totals->unvisited += r.shared.end - r.shared.first + r.own.end - r.own.first;
    r.totals->user_seconds = user_seconds() - before;
    free_queue(&r.shared);
    free_queue(&r.own);
    verify_set_free(&r.places);
    verify_set_free(&r.cuts);
    verify_set_free(&r.futures);
    verify_set_free(&r.told);
    verify_map_free(&r.came_to);
    free(r.events);
}
