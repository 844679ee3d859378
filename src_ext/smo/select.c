/* The working set: the variables that violate the optimality conditions most. */
#include "smo.h"

#include <math.h>
#include <string.h>

/* Candidates of one side (may grow, or may shrink) and one group: the best so far, worst on top (a binary
 * heap). */
typedef struct {
    double *key; /* greater is better */
    int32_t *variable;
    ptrdiff_t n;
} heap;

/* Those that may grow, then those that may shrink, of either group. */
enum { N_HEAPS = 4 };

static void swap_entries(heap *h, ptrdiff_t a, ptrdiff_t b) {
    double key = h->key[a];
    int32_t variable = h->variable[a];
    h->key[a] = h->key[b];
    h->variable[a] = h->variable[b];
    h->key[b] = key;
    h->variable[b] = variable;
}

static void sift_down(heap *h, ptrdiff_t at, ptrdiff_t n) {
    for (;;) {
        ptrdiff_t child = 2 * at + 1;
        if (child >= n)
            return;
        if (child + 1 < n && h->key[child + 1] < h->key[child])
            child++;
        if (h->key[at] <= h->key[child])
            return;
        swap_entries(h, at, child);
        at = child;
    }
}

static void sift_up(heap *h, ptrdiff_t at) {
    for (; at > 0 && h->key[at] < h->key[(at - 1) / 2]; at = (at - 1) / 2)
        swap_entries(h, at, (at - 1) / 2);
}

static void offer(heap *h, ptrdiff_t limit, double key, ptrdiff_t variable) {
    if (h->n < limit) {
        h->key[h->n] = key;
        h->variable[h->n] = (int32_t)variable;
        sift_up(h, h->n++);
    } else if (key > h->key[0]) {
        h->key[0] = key;
        h->variable[0] = (int32_t)variable;
        sift_down(h, 0, h->n);
    }
}

/* Heap sort: the best first. */
static void best_first(heap *h) {
    for (ptrdiff_t n = h->n - 1; n > 0; n--) {
        swap_entries(h, 0, n);
        sift_down(h, 0, n);
    }
}

static double slope(const smo_variables *of, ptrdiff_t k) {
    return of->decision[of->index ? of->index[k] : k] + of->y[k] * of->p[k];
}

static bool may_grow(const smo_variables *of, ptrdiff_t k) {
    return of->y[k] > 0 ? of->alpha[k] < of->C[k] : of->alpha[k] > 0;
}

static bool may_shrink(const smo_variables *of, ptrdiff_t k) {
    return of->y[k] > 0 ? of->alpha[k] > 0 : of->alpha[k] < of->C[k];
}

/* The variables that pair with the best one of the other side, each into its heap; those in use are passed
 * over. */
static void collect(const smo_variables *of, const bool *in_use, const double least[2],
                    const double greatest[2], heap heaps[N_HEAPS], ptrdiff_t limit) {
    for (ptrdiff_t k = 0; k < of->n; k++) {
        int group = of->nu && of->y[k] < 0;
        double g = slope(of, k);
        if (in_use[k])
            continue;
        if (g < greatest[group] && may_grow(of, k))
            offer(&heaps[group], limit, -g, k);
        if (g > least[group] && may_shrink(of, k))
            offer(&heaps[2 + group], limit, g, k);
    }
}

static ptrdiff_t take_turns(heap heaps[N_HEAPS], bool *in_use, int32_t *working_set, ptrdiff_t n,
                            ptrdiff_t size) {
    ptrdiff_t next[N_HEAPS] = {0};
    for (int exhausted = 0; n < size && exhausted < N_HEAPS;) {
        exhausted = 0;
        for (int h = 0; h < N_HEAPS && n < size; h++) {
            while (next[h] < heaps[h].n && in_use[heaps[h].variable[next[h]]])
                next[h]++;
            if (next[h] == heaps[h].n) {
                exhausted++;
                continue;
            }
            int32_t variable = heaps[h].variable[next[h]];
            in_use[variable] = true;
            working_set[n++] = variable;
        }
    }
    return n;
}

static double largest_violation(const smo_variables *of, double least[2], double greatest[2]) {
    least[0] = least[1] = INFINITY;
    greatest[0] = greatest[1] = -INFINITY;
    for (ptrdiff_t k = 0; k < of->n; k++) {
        int group = of->nu && of->y[k] < 0;
        double g = slope(of, k);
        if (g < least[group] && may_grow(of, k))
            least[group] = g;
        if (g > greatest[group] && may_shrink(of, k))
            greatest[group] = g;
    }
    return fmax(greatest[0] - least[0], greatest[1] - least[1]);
}

size_t smo_select_scratch(ptrdiff_t n_variables, ptrdiff_t n_kept, ptrdiff_t size) {
    /* All heaps could give the same variables. */
    size_t limit = size > n_kept ? (size_t)(size - n_kept) : 0;
    return N_HEAPS * limit * (sizeof(double) + sizeof(int32_t)) + (size_t)n_variables * sizeof(bool);
}

ptrdiff_t smo_select(const smo_variables *variables, int32_t *working_set, ptrdiff_t n_kept, ptrdiff_t size,
                     void *scratch, double *violation) {
    double least[2], greatest[2];
    *violation = largest_violation(variables, least, greatest);
    ptrdiff_t limit = size - n_kept;
    if (limit <= 0 || !(*violation > 0))
        return n_kept;
    double *keys = scratch;
    int32_t *entries = (int32_t *)(keys + N_HEAPS * limit);
    bool *in_use = (bool *)(entries + N_HEAPS * limit);
    memset(in_use, 0, (size_t)variables->n * sizeof *in_use);
    heap heaps[N_HEAPS];
    for (int h = 0; h < N_HEAPS; h++)
        heaps[h] = (heap){keys + h * limit, entries + h * limit, 0};
    for (ptrdiff_t k = 0; k < n_kept; k++)
        in_use[working_set[k]] = true;
    collect(variables, in_use, least, greatest, heaps, limit);
    for (int h = 0; h < N_HEAPS; h++)
        best_first(&heaps[h]);
    return take_turns(heaps, in_use, working_set, n_kept, size);
}
