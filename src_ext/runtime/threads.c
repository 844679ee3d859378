#if defined(__linux__)
#define _GNU_SOURCE /* processor sets */
#endif

#include "threads.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { MAX_THREADS = 256 };

static atomic_int threads_in_use;

/* A child of fork() has one thread, whatever its parent was running. */
static void forget_parents_threads(void) { atomic_store(&threads_in_use, 0); }

static void register_fork_handler(void) { pthread_atfork(NULL, NULL, forget_parents_threads); }

int fastml_reserve(int wanted, int limit) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_fork_handler);
    if (wanted > MAX_THREADS)
        wanted = MAX_THREADS;
    int used = atomic_load(&threads_in_use);
    int granted;
    do {
        granted = wanted < limit - used ? wanted : limit - used;
        if (granted < 1)
            granted = 1;
    } while (!atomic_compare_exchange_weak(&threads_in_use, &used, used + granted));
    return granted;
}

void fastml_release(int reserved) { atomic_fetch_sub(&threads_in_use, reserved); }

struct task {
    fastml_share work;
    void *context;
    int first, n_shares, n_threads;
};

static void *run_task(void *argument) {
    struct task *task = argument;
    for (int share = task->first; share < task->n_shares; share += task->n_threads)
        task->work(task->context, share, task->n_shares);
    return NULL;
}

/* Signals stay with the threads that Python knows: a Ctrl-C must not land in a worker. A fault is the
 * thread's own. */
static void block_signals(sigset_t *before) {
    sigset_t blocked;
    sigfillset(&blocked);
    sigdelset(&blocked, SIGSEGV);
    sigdelset(&blocked, SIGBUS);
    sigdelset(&blocked, SIGFPE);
    sigdelset(&blocked, SIGILL);
    pthread_sigmask(SIG_SETMASK, &blocked, before);
}

/* Keep new threads off the processor that the caller is on. The scheduler often starts them there, and takes
   some 30 ms to move them to an idle one: longer than most calls last. */
static void avoid_callers_processor(pthread_attr_t *attributes) {
#if defined(__linux__)
    cpu_set_t processors;
    int own = sched_getcpu();
    if (own < 0 || sched_getaffinity(0, sizeof processors, &processors) != 0)
        return;
    CPU_CLR(own, &processors);
    if (CPU_COUNT(&processors) > 0)
        pthread_attr_setaffinity_np(attributes, sizeof processors, &processors);
#else
    (void)attributes;
#endif
}

void fastml_fork_join(fastml_share work, void *context, int n_shares, int n_threads) {
    struct task tasks[MAX_THREADS];
    pthread_t threads[MAX_THREADS];
    bool started[MAX_THREADS];
    pthread_attr_t attributes;
    sigset_t before;

    pthread_attr_init(&attributes);
    if (n_threads > 1)
        avoid_callers_processor(&attributes);
    block_signals(&before);
    for (int t = 0; t < n_threads; t++) {
        tasks[t] = (struct task){work, context, t, n_shares, n_threads};
        started[t] = t > 0 && pthread_create(&threads[t], &attributes, run_task, &tasks[t]) == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);

    run_task(&tasks[0]);
    for (int t = 1; t < n_threads; t++) {
        if (started[t])
            pthread_join(threads[t], NULL);
        else
            run_task(&tasks[t]);
    }
}
