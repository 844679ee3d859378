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

static void wait_for(atomic_ptrdiff_t *count, ptrdiff_t wanted) {
    for (int spins = 0; atomic_load_explicit(count, memory_order_acquire) < wanted; spins++) {
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

static void run_thread(void *context, int thread, int n_threads) {
    (void)n_threads;
    fastml_program *program = context;
    float_mode mode = flush_subnormals();
    void *scratch = program->scratch + (size_t)thread * program->scratch_bytes;
    for (ptrdiff_t p = 0; p < program->n_phases; p++) {
        const fastml_phase *phase = &program->phases[p];
        fastml_progress *progress = &program->progress[p];
        ptrdiff_t part;
        while ((part = atomic_fetch_add_explicit(&progress->next, 1, memory_order_relaxed)) <
               phase->n_parts) {
            phase->part(phase->job, part, scratch);
            atomic_fetch_add_explicit(&progress->done, 1, memory_order_release);
        }
        wait_for(&progress->done, phase->n_parts);
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
    for (ptrdiff_t p = 0; p < program->n_phases; p++) {
        atomic_store_explicit(&program->progress[p].next, 0, memory_order_relaxed);
        atomic_store_explicit(&program->progress[p].done, 0, memory_order_relaxed);
    }
    fastml_fork_join(run_thread, program, n_threads, n_threads);
}
