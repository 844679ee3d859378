/* Programs: operations one after the other, for which threads are woken once.
 *
 * A step of training a small network is some ten operations of some ten microseconds each: a fork-join for
 * each of them would cost as much as the arithmetic. An operation is a few phases, a phase is some parts that
 * may run at the same time. Each thread has a range of a phase's parts, the same in every run, so that what
 * it writes stays in its own cache, as an optimizer's moments do; whoever is done with its range takes over
 * from the others'. All go on to the next phase once all parts of this one are done, whoever did them: a
 * thread that has lost its core between two parts keeps nobody waiting, and one that comes late finds its
 * work done.
 */
#ifndef FASTML_PROGRAM_H
#define FASTML_PROGRAM_H

#include <stdatomic.h>
#include <stddef.h>

/* One part of a phase. scratch: of this thread, 64-byte aligned; what a part leaves there may be overwritten.
 */
typedef void fastml_part(const void *job, ptrdiff_t part, void *scratch);

typedef struct {
    fastml_part *part;
    const void *job;
    ptrdiff_t n_parts;
} fastml_phase;

/* Phases of as many parts, part after part: n of them. */
typedef struct {
    const fastml_phase *phases;
    ptrdiff_t n;
} fastml_joined;

/* A part of each of them, a fastml_part. */
void fastml_run_joined(const void *job, ptrdiff_t part, void *scratch);

/* One thread's part in a phase, on a cache line of its own: the next part of its range that nobody has taken,
   and how many parts it has done, of whichever ranges. */
typedef struct {
    _Alignas(64) atomic_ptrdiff_t next;
    atomic_ptrdiff_t done;
} fastml_progress;

typedef struct {
    const fastml_phase *phases;
    fastml_progress *progress; /* of every phase, of every thread */
    ptrdiff_t n_phases;
    char *scratch; /* of every thread, scratch_bytes each */
    size_t scratch_bytes;
} fastml_program;

/* All phases in order, on n_threads threads, the calling one included. */
void fastml_run_program(fastml_program *program, int n_threads);

#endif
