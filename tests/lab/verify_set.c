/* SPDX-License-Identifier: BSD-2-Clause */
/* verify_set.c - sets and maps of 64-bit hashes: open addressing, linear probing, twice the room. */
#include "tests/lab/verify.h"

#include <stdlib.h>

static size_t place_of(const uint64_t *slots, size_t room, uint64_t hash)
{
    size_t at = (size_t)hash & (room - 1);
    while (slots[at] && slots[at] != hash)
        at = (at + 1) & (room - 1);
    return at;
}

static void grow(struct verify_set *set)
{
    size_t room = set->room ? 2 * set->room : 1024;
    uint64_t *slots = calloc(room, sizeof *slots);
    if (!slots)
        abort();
    for (size_t i = 0; i < set->room; i++)
        if (set->slots[i])
            slots[place_of(slots, room, set->slots[i])] = set->slots[i];
    free(set->slots);
    set->slots = slots;
    set->room = room;
}

bool verify_set_add(struct verify_set *set, uint64_t hash)
{
    if (2 * (set->count + 1) > set->room)
        grow(set);
    hash += !hash;
    uint64_t *slot = &set->slots[place_of(set->slots, set->room, hash)];
    if (*slot)
        return false;
    *slot = hash;
    set->count++;
    return true;
}

bool verify_set_has(const struct verify_set *set, uint64_t hash)
{
    hash += !hash;
    return set->room && set->slots[place_of(set->slots, set->room, hash)] == hash;
}

void verify_set_free(struct verify_set *set)
{
    free(set->slots);
    *set = (struct verify_set){0};
}

uint64_t verify_map_at(const struct verify_map *map, uint64_t key)
{
    key += !key;
    return map->room ? map->values[place_of(map->keys, map->room, key)] : 0;
}

static void grow_map(struct verify_map *map)
{
    struct verify_map old = *map;
    map->room = old.room ? 2 * old.room : 1024;
    map->keys = calloc(map->room, sizeof *map->keys);
    map->values = calloc(map->room, sizeof *map->values);
    if (!map->keys || !map->values)
        abort();
    for (size_t i = 0; i < old.room; i++) {
        if (!old.keys[i])
            continue;
        size_t at = place_of(map->keys, map->room, old.keys[i]);
        map->keys[at] = old.keys[i];
        map->values[at] = old.values[i];
    }
    free(old.keys);
    free(old.values);
}

uint64_t verify_map_keep(struct verify_map *map, uint64_t key, uint64_t value)
{
    key += !key;
    if (2 * (map->count + 1) > map->room)
        grow_map(map);
    size_t at = place_of(map->keys, map->room, key);
    if (!map->keys[at]) {
        map->keys[at] = key;
        map->values[at] = value + !value;
        map->count++;
    }
    return map->values[at];
}

void verify_map_free(struct verify_map *map)
{
    free(map->keys);
    free(map->values);
    *map = (struct verify_map){0};
}
