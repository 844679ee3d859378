#include "program.h"

#include <sched.h>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#include "pause.h"
#include "threads.h"

/* Numbers below the normal ones are zero while a program runs. The moments that Adam keeps of a weight
   without gradient halve every seven steps: after some 800 they would be such numbers, of which a
   multiplication takes a hundred times as long. (The third to fifth epoch of a network on MNIST took half as
   long again as the first.) How the processor is told so; what was set before is given back. */
#if defined(__SSE2__)
typedef unsigned float_mode;
static float_mode flush_subnormals(void) {
    float_mode before = _mm_getcsr();
    _mm_setcsr(before | 0x8040); /* results, and operands */
    return before;
}
static void set_float_mode(float_mode mode) { _mm_setcsr(mode); }
#elif defined(__aarch64__)
typedef unsigned long float_mode;
static float_mode flush_subnormals(void) {
    float_mode before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | 1ul << 24));
    return before;
}
static void set_float_mode(float_mode mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }
#else
typedef int float_mode;
static float_mode flush_subnormals(void) { return 0; }
static void set_float_mode(float_mode mode) { (void)mode; }
#endif

/* After some 50 us of pauses the thread that is waited for has probably lost its core, and may need this one.
 */
enum { SPINS = 2000 };

/* Where the range of parts of a thread begins; that of the thread behind the last is the end. */
static ptrdiff_t range_of(const fastml_phase *phase, int thread, int n_threads) {
    return phase->n_parts * thread / n_threads;
}

static ptrdiff_t done_by_all(fastml_progress *progress, int n_threads) {
    ptrdiff_t done = 0;
    for (int t = 0; t < n_threads; t++)
        done += atomic_load_explicit(&progress[t].done, memory_order_acquire);
    return done;
}

static void wait_for_all(const fastml_phase *phase, fastml_progress *progress, int n_threads) {
    for (int spins = 0; done_by_all(progress, n_threads) < phase->n_parts; spins++) {
        if (spins < SPINS)
            fastml_pause();
        else
            sched_yield();
    }
}

void fastml_run_joined(const void *job, ptrdiff_t part, void *scratch) {
    const fastml_joined *joined = job;
    for (ptrdiff_t i = 0; i < joined->n; i++)
        joined->phases[i].part(joined->phases[i].job, part, scratch);
}

static void run_phase(const fastml_phase *phase, fastml_progress *progress, int thread, int n_threads,
                      void *scratch) {
    ptrdiff_t done = 0;
    for (int i = 0; i < n_threads; i++) {
        int owner = (thread + i) % n_threads;
        ptrdiff_t part, end = range_of(phase, owner + 1, n_threads);
        while ((part = atomic_fetch_add_explicit(&progress[owner].next, 1, memory_order_relaxed)) < end) {
            phase->part(phase->job, part, scratch);
            done++;
        }
    }
    atomic_store_explicit(&progress[thread].done, done, memory_order_release);
}

static void run_thread(void *context, int thread, int n_threads) {
    fastml_program *program = context;
    float_mode mode = flush_subnormals();
    void *scratch = program->scratch + (size_t)thread * program->scratch_bytes;
    for (ptrdiff_t p = 0; p < program->n_phases; p++) {
        fastml_progress *progress = program->progress + p * n_threads;
        run_phase(&program->phases[p], progress, thread, n_threads, scratch);
        wait_for_all(&program->phases[p], progress, n_threads);
    }
    set_float_mode(mode);
}

void fastml_run_program(fastml_program *program, int n_threads) {
    if (n_threads == 1) {
        float_mode mode = flush_subnormals();
        for (ptrdiff_t p = 0; p < program->n_phases; p++)
            for (ptrdiff_t part = 0; part < program->phases[p].n_parts; part++)
                program->phases[p].part(program->phases[p].job, part, program->scratch);
        set_float_mode(mode);
        return;
    }
    for (ptrdiff_t p = 0; p < program->n_phases; p++)
        for (int t = 0; t < n_threads; t++) {
            fastml_progress *progress = &program->progress[p * n_threads + t];
            ptrdiff_t first = range_of(&program->phases[p], t, n_threads);
            atomic_store_explicit(&progress->next, first, memory_order_relaxed);
            atomic_store_explicit(&progress->done, 0, memory_order_relaxed);
        }
    fastml_fork_join(run_thread, program, n_threads, n_threads);
}
