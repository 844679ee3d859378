/* A second thread that brings the rows.
 *
 * A model alone is one chain of steps, which one thread walks. Rows in random order reach that thread no
 * faster than its core's line buffers allow (10 to 16 lines in flight: measured 40 to 66 ns for a row of 400
 * bytes, against 32 ns of arithmetic that prefetching overlaps badly, as the buffers are also what misses in
 * the weights wait for). So a helper thread, with line buffers of its own, copies rows to come into a small
 * ring, from which they are read in order. Reading another core's copy takes line buffers too: of dense rows
 * every second block is left to the stepping thread, which asks for those rows while it steps through a
 * copied block. Where memory is near, a helper is no help: both ways are tried as it goes. The steps and
 * their results are the same to the last bit.
 */
#ifndef FASTML_SGD_STREAM_H
#define FASTML_SGD_STREAM_H

#include <stdbool.h>

#include "sgd.h"
#include "threads.h"

/* Sizes of X's elements and indices, in bytes; index_size is 0 for a dense X. */
typedef struct {
    size_t real_size, index_size;
    ptrdiff_t n_rows, n_values;
} sgd_layout;

/* Rows of a block: what job->segment is, streamed or not. */
ptrdiff_t sgd_segment(const sgd_job *job, const sgd_layout *layout);

/* Whether copying pays: rows short enough to be latency-bound, X larger than a core's own cache. */
bool sgd_stream_pays(const sgd_job *job, const sgd_layout *layout);

/* As run(job, active, n_active), with a helper thread, which fork_join wakes, where that is faster. Where the
 * ring cannot be had, without. */
void sgd_run_streamed(sgd_run run, const sgd_job *job, const sgd_layout *layout, const int32_t *active,
                      ptrdiff_t n_active, fastml_fork_join_function *fork_join);

#endif
