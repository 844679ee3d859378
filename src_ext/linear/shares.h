/* Models shared out among threads: a thread that is free takes the next one. Models do not know of each
   other, so that who advances which does not change results. */
#ifndef FASTML_SHARES_H
#define FASTML_SHARES_H

#include <stdatomic.h>
#include <stddef.h>

typedef struct {
    atomic_long next;
    ptrdiff_t n;
} linear_queue;

static inline void linear_queue_fill(linear_queue *queue, ptrdiff_t n) {
    atomic_init(&queue->next, 0);
    queue->n = n;
}

/* The next model, or -1. */
static inline ptrdiff_t linear_queue_take(linear_queue *queue) {
    ptrdiff_t taken = atomic_fetch_add(&queue->next, 1);
    return taken < queue->n ? taken : -1;
}

#endif
