/* Fork-join over POSIX threads.
 *
 * Threads live for one call. Starting one costs some 15 us, paid only by calls that last milliseconds, and in
 * return there is no pool whose locks a fork() could copy in a locked state (libgomp's hangs there), none to
 * oversubscribe the cores from several Python threads, and nothing to shut down.
 */
#ifndef FASTML_THREADS_H
#define FASTML_THREADS_H

/* One share of a call: share in [0, n_shares). */
typedef void (*fastml_share)(void *context, int share, int n_shares);

/* Take up to `wanted` threads (the calling one included) out of a process-wide budget of `limit`; at least 1.
   Every reservation is given back with fastml_release. */
int fastml_reserve(int wanted, int limit);
void fastml_release(int reserved);

/* Run work(context, 0..n_shares-1), each share in a thread of its own, share 0 in the caller's. A thread that
   the system refuses is no error: the caller runs that share itself, afterwards. */
void fastml_fork_join(fastml_share work, void *context, int n_shares);

#endif
