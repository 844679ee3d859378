#include "stream.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pause.h"

enum {
    N_SLOTS = 16,
    MIN_ROWS = 8, /* of a block */
    MAX_ROWS = 64,
    BLOCK_BYTES = 16384,   /* of a block of rows of average length */
    CSR_SLACK = 4,         /* a sparse block may be this much larger than the average */
    LONG_ROW = 4096,       /* bytes: the hardware prefetcher keeps up with such a row alone */
    CACHE_BYTES = 1 << 20, /* below this X stays in a core's own cache */
    ROWS_AHEAD = 16,       /* the helper's own prefetch distance */
    DENSE_PERIOD = 2,      /* measured: 78 ns a step, with every block copied 100, with two of three not 90 */
    LEAD = 2,              /* blocks by which a helper that was left behind skips ahead */
    SPINS = 4096,          /* before the waiting helper offers its core to others */
    PATIENCE = 100,        /* spins, some microseconds, for a copy that is being made */
    PIECE_ROWS = 4096,     /* some tenths of a millisecond */
    PIECES_A_TRIAL = 32,   /* of so many pieces the first two try both ways */
};

typedef struct {
    _Alignas(64) atomic_llong block; /* which block's copy is complete here */
    bool direct;                     /* the block was too large to copy: read it from X */
    char *data, *indices, *indptr;
    int32_t label[MAX_ROWS];
    double value[MAX_ROWS], sample_weight[MAX_ROWS];
} slot;

enum { NONE = -1 };

typedef struct {
    const sgd_job *job;
    const sgd_layout *layout;
    ptrdiff_t rows_per_block, n_blocks, capacity; /* capacity in values */
    ptrdiff_t period;                             /* of so many blocks the first is copied */
    slot *slots;
    char *memory;
    _Alignas(64) atomic_llong stepping; /* the block that steps are taken through */
    _Alignas(64) atomic_llong filling;  /* the block that the helper copies */
} ring;

static double mean_row_values(const sgd_job *job, const sgd_layout *layout) {
    if (!layout->index_size)
        return (double)job->n_features;
    return (double)layout->n_values / (double)(layout->n_rows ? layout->n_rows : 1);
}

ptrdiff_t sgd_segment(const sgd_job *job, const sgd_layout *layout) {
    double row_bytes = mean_row_values(job, layout) * (double)(layout->real_size + layout->index_size);
    ptrdiff_t rows = (ptrdiff_t)(BLOCK_BYTES / (row_bytes + 1.0));
    return rows < MIN_ROWS ? MIN_ROWS : rows > MAX_ROWS ? MAX_ROWS : rows;
}

bool sgd_stream_pays(const sgd_job *job, const sgd_layout *layout) {
    double row_bytes = mean_row_values(job, layout) * (double)(layout->real_size + layout->index_size);
    return row_bytes <= LONG_ROW && row_bytes * (double)layout->n_rows > CACHE_BYTES &&
           job->n_steps >= 16 * MAX_ROWS;
}

static int64_t index_at(const void *indptr, size_t index_size, ptrdiff_t i) {
    return index_size == 4 ? ((const int32_t *)indptr)[i] : ((const int64_t *)indptr)[i];
}

static void put_index(void *indptr, size_t index_size, ptrdiff_t i, int64_t value) {
    if (index_size == 4)
        ((int32_t *)indptr)[i] = (int32_t)value;
    else
        ((int64_t *)indptr)[i] = value;
}

static ptrdiff_t rows_in_block(const ring *r, ptrdiff_t block) {
    ptrdiff_t left = r->job->n_steps - block * r->rows_per_block;
    return left < r->rows_per_block ? left : r->rows_per_block;
}

static void prefetch_bytes(const char *p, ptrdiff_t bytes) {
    for (ptrdiff_t b = 0; b < bytes; b += 64)
        __builtin_prefetch(p + b, 0, 2);
}

static slot *slot_at(const ring *r, ptrdiff_t block) { return &r->slots[block / r->period % N_SLOTS]; }

/* The step that the helper comes to `distance` steps after `step`: it passes over blocks that are not copied.
 */
static ptrdiff_t step_after(const ring *r, ptrdiff_t step, ptrdiff_t distance) {
    ptrdiff_t rows = r->rows_per_block, position = step % rows + distance;
    return (step / rows + position / rows * r->period) * rows + position % rows;
}

static void prefetch_row(const ring *r, ptrdiff_t step) {
    const sgd_job *job = r->job;
    const size_t real = r->layout->real_size, index = r->layout->index_size;
    const ptrdiff_t near = step_after(r, step, ROWS_AHEAD), distant = step_after(r, step, 2 * ROWS_AHEAD);
    if (distant < job->n_steps) {
        ptrdiff_t far = job->order[distant];
        __builtin_prefetch(job->label ? (const void *)(job->label + far) : (const void *)(job->value + far));
        if (index)
            __builtin_prefetch((const char *)job->indptr + far * (ptrdiff_t)index);
    }
    if (near >= job->n_steps)
        return;
    ptrdiff_t row = job->order[near], first = row * job->n_features, n = job->n_features;
    if (index) {
        first = (ptrdiff_t)index_at(job->indptr, index, row);
        n = (ptrdiff_t)index_at(job->indptr, index, row + 1) - first;
        prefetch_bytes((const char *)job->indices + first * (ptrdiff_t)index, n * (ptrdiff_t)index);
    }
    prefetch_bytes((const char *)job->data + first * (ptrdiff_t)real, n * (ptrdiff_t)real);
}

/* Copy row `row` of X to the end of the slot, which holds `filled` values; how many there are then, or -1. */
static ptrdiff_t copy_row(const ring *r, slot *s, ptrdiff_t row, ptrdiff_t filled) {
    const sgd_job *job = r->job;
    const size_t real = r->layout->real_size, index = r->layout->index_size;
    ptrdiff_t first = row * job->n_features, n = job->n_features;
    if (index) {
        first = (ptrdiff_t)index_at(job->indptr, index, row);
        n = (ptrdiff_t)index_at(job->indptr, index, row + 1) - first;
        if (filled + n > r->capacity)
            return -1;
        memcpy(s->indices + (size_t)filled * index, (const char *)job->indices + (size_t)first * index,
               (size_t)n * index);
    }
    memcpy(s->data + (size_t)filled * real, (const char *)job->data + (size_t)first * real, (size_t)n * real);
    return filled + n;
}

static void fill(const ring *r, slot *s, ptrdiff_t block) {
    const sgd_job *job = r->job;
    const size_t index = r->layout->index_size;
    ptrdiff_t first = block * r->rows_per_block, n = rows_in_block(r, block), filled = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        ptrdiff_t row = job->order[first + i];
        prefetch_row(r, first + i);
        if (index)
            put_index(s->indptr, index, i, filled);
        filled = copy_row(r, s, row, filled);
        s->direct = filled < 0;
        if (s->direct)
            return;
        if (job->label)
            s->label[i] = job->label[row];
        else
            s->value[i] = job->value[row];
        if (job->sample_weight)
            s->sample_weight[i] = job->sample_weight[row];
    }
    if (index)
        put_index(s->indptr, index, n, filled);
}

/* The helper runs ahead by up to N_SLOTS blocks: never into the slot that is being read. Left behind (its
   core was wanted elsewhere), it resumes LEAD blocks ahead; the blocks between are read from X. */
static void help(ring *r) {
    long long block = 0;
    for (unsigned spins = 1;; spins++) {
        long long stepping = atomic_load_explicit(&r->stepping, memory_order_acquire);
        if (block <= stepping)
            block = (stepping / r->period + LEAD) * r->period;
        if (block >= r->n_blocks)
            return;
        if (block >= stepping + N_SLOTS * r->period) {
            if (spins % SPINS)
                fastml_pause();
            else
                sched_yield();
            continue;
        }
        slot *s = slot_at(r, block);
        atomic_store_explicit(&r->filling, block, memory_order_relaxed);
        fill(r, s, block);
        atomic_store_explicit(&s->block, block, memory_order_release);
        block += r->period;
    }
}

/* The slot that holds the block's copy; NULL if there is none, nor one about to be complete. */
static const slot *slot_of(const ring *r, long long block) {
    const slot *s = slot_at(r, block);
    for (int spins = 0; atomic_load_explicit(&s->block, memory_order_acquire) != block; spins++) {
        if (spins == PATIENCE || atomic_load_explicit(&r->filling, memory_order_relaxed) != block)
            return NULL;
        fastml_pause();
    }
    return s->direct ? NULL : s;
}

/* The job of one block, read from the slot's copy. */
static sgd_job copied(const ring *r, const slot *s, const int32_t *identity) {
    sgd_job job = *r->job;
    job.data = s->data;
    if (r->layout->index_size) {
        job.indices = s->indices;
        job.indptr = s->indptr;
    }
    job.order = identity;
    job.label = job.label ? s->label : NULL;
    job.value = job.value ? s->value : NULL;
    job.sample_weight = job.sample_weight ? s->sample_weight : NULL;
    return job;
}

/* Dense rows of the next block are brought while the steps of this one are taken, from wherever they lie:
   where two cores share no cache, the other one's copy is as far away as memory. */
static void look_ahead(const ring *r, sgd_job *job, ptrdiff_t block, const int32_t *identity) {
    const slot *s = slot_at(r, block);
    if (block % r->period) {
        job->ahead_data = r->job->data;
        job->ahead_order = r->job->order + block * r->rows_per_block;
    } else if (atomic_load_explicit(&s->block, memory_order_acquire) == block && !s->direct) {
        job->ahead_data = s->data;
        job->ahead_order = identity;
    } else {
        return;
    }
    job->n_ahead = rows_in_block(r, block);
}

static void step_through(ring *r, sgd_run run, const int32_t *active, ptrdiff_t n_active) {
    int32_t identity[MAX_ROWS];
    for (int32_t i = 0; i < MAX_ROWS; i++)
        identity[i] = i;
    for (ptrdiff_t block = 0; block < r->n_blocks; block++) {
        atomic_store_explicit(&r->stepping, block, memory_order_release);
        const slot *s = block % r->period ? NULL : slot_of(r, block);
        sgd_job job = s ? copied(r, s, identity) : *r->job;
        if (!s)
            job.order += block * r->rows_per_block;
        job.n_steps = rows_in_block(r, block);
        if (block + 1 < r->n_blocks)
            look_ahead(r, &job, block + 1, identity);
        run(&job, active, n_active);
    }
    atomic_store_explicit(&r->stepping, r->n_blocks, memory_order_release);
}

static bool make_ring(ring *r, const sgd_job *job, const sgd_layout *layout) {
    const size_t real = layout->real_size, index = layout->index_size;
    ptrdiff_t rows = job->segment;
    ptrdiff_t capacity =
        (ptrdiff_t)((double)rows * mean_row_values(job, layout) + 1.0) * (index ? CSR_SLACK : 1);
    /* One allocation; every part begins on a cache line. */
    size_t data_bytes = ((size_t)capacity * real + 63) / 64 * 64,
           index_bytes = ((size_t)capacity * index + 63) / 64 * 64;
    size_t indptr_bytes = (((size_t)rows + 1) * index + 63) / 64 * 64;
    size_t slot_bytes = data_bytes + index_bytes + indptr_bytes;
    r->layout = layout;
    r->rows_per_block = rows;
    r->capacity = capacity;
    r->period = index ? 1 : DENSE_PERIOD;
    r->slots = aligned_alloc(64, N_SLOTS * sizeof(slot));
    r->memory = aligned_alloc(64, N_SLOTS * slot_bytes);
    if (!r->slots || !r->memory)
        return false;
    for (int i = 0; i < N_SLOTS; i++) {
        char *memory = r->memory + (size_t)i * slot_bytes;
        r->slots[i].data = memory;
        r->slots[i].indices = memory + data_bytes;
        r->slots[i].indptr = memory + data_bytes + index_bytes;
    }
    return true;
}

/* An empty ring, for the rows of `job`. */
static void begin(ring *r, const sgd_job *job) {
    r->job = job;
    r->n_blocks = (job->n_steps + r->rows_per_block - 1) / r->rows_per_block;
    atomic_init(&r->stepping, 0);
    atomic_init(&r->filling, NONE);
    for (int i = 0; i < N_SLOTS; i++)
        atomic_init(&r->slots[i].block, NONE);
}

typedef struct {
    ring *ring;
    sgd_run run;
    const int32_t *active;
    ptrdiff_t n_active;
} stream;

enum { STEPPER, HELPER, N_ROLES };

/* A helper that could not have a thread of its own comes after the stepper, and finds nothing left to do. */
static void play_role(void *context, int role, int n_roles) {
    (void)n_roles;
    stream *s = context;
    if (role == STEPPER)
        step_through(s->ring, s->run, s->active, s->n_active);
    else
        help(s->ring);
}

static double now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e9 * (double)now.tv_sec + (double)now.tv_nsec;
}

/* With a helper and without, what each took being measured as it goes: which is faster depends on how far
   away memory is, and the other core. (400-byte rows of a dense X, ns each: alone 43, with a helper 62 where
   the cores share a cache; on another day 107 and 78. Rows of sgd-csr: 70 and 35.) */
void sgd_run_streamed(sgd_run run, const sgd_job *job, const sgd_layout *layout, const int32_t *active,
                      ptrdiff_t n_active, fastml_fork_join_function *fork_join) {
    enum { HELPED, ALONE, N_WAYS };
    ring r;
    const bool has_ring = make_ring(&r, job, layout);
    const ptrdiff_t rows = PIECE_ROWS / job->segment * job->segment;
    double ns_a_row[N_WAYS] = {0};
    sgd_job piece = *job;
    stream s = {&r, run, active, n_active};
    for (ptrdiff_t first = 0, number = 0; first < job->n_steps; first += rows, number++) {
        const ptrdiff_t trial = number % PIECES_A_TRIAL, left = job->n_steps - first;
        const int faster = ns_a_row[HELPED] <= ns_a_row[ALONE] ? HELPED : ALONE;
        const int way = !has_ring ? ALONE : trial < N_WAYS ? (int)trial : faster;
        piece.order = job->order + first;
        piece.n_steps = left < rows ? left : rows;
        const double start = now_ns();
        if (way == HELPED) {
            begin(&r, &piece);
            fork_join(play_role, &s, N_ROLES, N_ROLES);
        } else {
            run(&piece, active, n_active);
        }
        if (trial < N_WAYS)
            ns_a_row[way] = (now_ns() - start) / (double)piece.n_steps;
    }
    free(r.slots);
    free(r.memory);
}
