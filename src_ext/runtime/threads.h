/* Fork-join over a pool of POSIX threads.
 *
 * A thread that has done its share stays awake for some tenths of a millisecond, so that calls that follow
 * one another, as the steps of a training do, find it within a microsecond; then it sleeps. A child of fork()
 * starts threads of its own (libgomp's hangs there), and all calls of a process draw on one budget.
 */
#ifndef FASTML_THREADS_H
#define FASTML_THREADS_H

/* One share of a call: share in [0, n_shares). */
typedef void (*fastml_share)(void *context, int share, int n_shares);

/* Take up to `wanted` threads (the calling one included) out of a process-wide budget of `limit`; at least 1.
   Every reservation is given back with fastml_release. */
int fastml_reserve(int wanted, int limit);
void fastml_release(int reserved);

/* Run work(context, 0..n_shares-1) on n_threads threads, the calling one included: thread t takes the shares
   t, t + n_threads, ... What a share is does not depend on how many threads were granted, nor do results.
   What a thread was to do that the system refuses, or that has not begun in the meantime, the caller does
   afterwards. */
typedef void fastml_fork_join_function(fastml_share work, void *context, int n_shares, int n_threads);
fastml_fork_join_function fastml_fork_join;

#endif
