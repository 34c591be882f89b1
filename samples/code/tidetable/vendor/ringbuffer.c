/* SPDX-License-Identifier: GPL-3.0-only */
/* A ring buffer for one writer and one reader. The capacity must be a power of two, so that the
 * position in the buffer is a mask away from the running count. */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
    _Atomic size_t head;
    _Atomic size_t tail;
    size_t mask;
    int32_t *items;
};

void ring_init(struct ring *ring, int32_t *items, size_t capacity)
{
    ring->items = items;
    ring->mask = capacity - 1;
    atomic_store(&ring->head, 0);
    atomic_store(&ring->tail, 0);
}

int ring_put(struct ring *ring, int32_t item)
{
    size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);

    if (head - tail > ring->mask)
        return 0;
    ring->items[head & ring->mask] = item;
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
    return 1;
}

int ring_get(struct ring *ring, int32_t *item)
{
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    size_t head = atomic_load_explicit(&ring->head, memory_order_acquire);

    if (head == tail)
        return 0;
    *item = ring->items[tail & ring->mask];
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
    return 1;
}
