/* SPDX-License-Identifier: BSD-2-Clause */
/* verify.c - places, breadth first; verify.h shows the shape of it. */
#include "tests/lab/verify_note.h"
#include "tests/lab/verify_run.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define QUEUE_MAX 60000u /* places that wait: 25 KB each */

/* ---- lives ---- */

uint32_t verify_live_on(struct verify_run *r, uint32_t before, struct verify_event event)
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

struct verify_life verify_life_of(const struct verify_run *r, size_t device, uint32_t last)
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

/* Without its digits: a hash in it is another one in each life. FNV-1a. */
static uint64_t kind_of(const struct lab_violation *violation)
{
    uint64_t hash = UINT64_C(14695981039346656037) + violation->invariant;
    for (const char *c = violation->text; *c; c++)
        if (*c < '0' || *c > '9')
            hash = (hash ^ (uint8_t)*c) * UINT64_C(1099511628211);
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

void verify_violated(struct verify_run *r, size_t device, uint32_t last,
                     const struct lab_violation *violation)
{
    r->totals->violations++;
    /* One of a kind is told: the first, which has the fewest steps. */
    struct verify_life life = verify_life_of(r, device, last);
    if (r->told.count < VERIFY_TOLD && verify_set_add(&r->told, kind_of(violation)))
        tell(r->alphabet, &life, violation);
}

/* ---- the end ---- */

bool verify_out_of_time(struct verify_run *r)
{
    struct timespec now;
    if (!r->options->seconds)
        return false;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    bool out = now.tv_sec - r->start.tv_sec >= (time_t)r->options->seconds;
    r->totals->stopped |= out;
    return out;
}

bool verify_over(struct verify_run *r)
{
    unsigned long limit = r->options->limit / r->options->jobs;
    if (r->random)
        return verify_out_of_time(r);
    if (!r->over && limit && r->totals->recoveries >= limit)
        r->over = r->totals->stopped = true;
    if (!r->over)
        r->over = verify_out_of_time(r);
    return r->over;
}

/* ---- places ---- */

static void make_room(struct verify_queue *queue)
{
    size_t count = queue->end - queue->first;
    if (queue->end < queue->room)
        return;
    if (count)
        memmove(queue->items, queue->items + queue->first, count * sizeof *queue->items);
    queue->first = 0;
    queue->end = count;
    if (2 * count < queue->room)
        return;
    queue->room = queue->room ? 2 * queue->room : 256;
    queue->items = reallocarray(queue->items, queue->room, sizeof *queue->items);
    if (!queue->items)
        abort();
}

/* Was it met at this depth or above it? One that was met below it is met again: it counts where it belongs. */
static bool is_new(struct verify_run *r, const struct verify_place *place, unsigned int depth)
{
    uint64_t hash = verify_hash(place->world, place->oracle, place->device);
    for (unsigned int above = 0; above < depth; above++)
        if (verify_set_has(&r->places, verify_mix(hash, above)))
            return false;
    return verify_set_add(&r->places, verify_mix(hash, depth));
}

void verify_enter(struct verify_run *r, struct verify_place *place, uint32_t life,
                  unsigned int depth)
{
    bool new = depth <= r->options->depth &&is_new(r, place, depth);
    if (new && (verify_over(r) || r->waiting == QUEUE_MAX)) {
        r->totals->depths[depth].left++;
        r->totals->stopped = true;
        new = false;
    }
    if (!new) {
        verify_place_close(place);
        return;
    }
    struct verify_queue *queue = &r->queues[depth];
    make_room(queue);
    queue->items[queue->end++] =
        (struct verify_waiting){.place = *place, .life = life, .depth = depth};
    r->waiting++;
    *place = (struct verify_place){0};
}

static void open_devices(struct verify_run *r)
{
    for (size_t i = r->options->job; i < r->alphabet->device_count; i += r->options->jobs) {
        struct verify_place place;
        char error[LAB_SENTENCE_SIZE];
        if (verify_place_open(&place, r->alphabet, i, error)) {
            (void)fprintf(stderr, "idmode-lab: verify: %s\n", error);
            abort();
        }
        verify_enter(r, &place, 0, 0);
    }
}

/* The next place of the lowest depth that has one, with all its steps. */
static bool visit(struct verify_run *r)
{
    unsigned int depth = 0;
    while (depth <= r->options->depth && r->queues[depth].first == r->queues[depth].end)
        depth++;
    if (depth > r->options->depth || verify_over(r))
        return false;
    struct verify_waiting from = r->queues[depth].items[r->queues[depth].first++];
    r->waiting--;
    for (size_t step = 0; step < r->alphabet->step_count && !verify_over(r); step++)
        verify_take_step(r, &from, step);
    if (verify_over(r))
        r->totals->depths[depth].left++;
    else
        r->totals->depths[depth].entered++;
    verify_place_close(&from.place);
    return true;
}

static void free_queues(struct verify_run *r)
{
    for (unsigned int depth = 0; depth <= r->options->depth; depth++) {
        struct verify_queue *queue = &r->queues[depth];
        r->totals->depths[depth].left += queue->end - queue->first;
        for (size_t i = queue->first; i < queue->end; i++)
            verify_place_close(&queue->items[i].place);
        free(queue->items);
    }
}

static double user_seconds(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6;
}

void verify_explore(const struct verify_options *options, const struct verify_alphabet *alphabet,
                    struct verify_totals *ret)
{
    struct verify_run *r = calloc(1, sizeof *r);
    double before = user_seconds();
    if (!r)
        abort();
    r->options = options;
    r->alphabet = alphabet;
    r->totals = ret;
    (void)clock_gettime(CLOCK_MONOTONIC, &r->start);
    (void)verify_live_on(r, 0, (struct verify_event){0}); /* index 0 is none */
    open_devices(r);
    while (visit(r))
        ;
    r->random = true;
    for (unsigned long i = 0; i < options->lives && !verify_out_of_time(r); i++)
        verify_live_random(r, i);
    ret->images = r->images.count;
    ret->user_seconds = user_seconds() - before;
    verify_trail_end(r);
    free_queues(r);
    verify_set_free(&r->places);
    verify_set_free(&r->judged);
    verify_set_free(&r->opened);
    verify_set_free(&r->images);
    verify_set_free(&r->futures);
    verify_set_free(&r->told);
    verify_map_free(&r->came_to);
    verify_map_free(&r->first);
    free(r->events);
    free(r);
}
