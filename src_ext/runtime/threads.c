#if defined(__linux__)
#define _GNU_SOURCE /* processor sets */
#endif

#include "threads.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "pause.h"

enum { MAX_THREADS = 256 };

struct task {
    fastml_share work;
    void *context;
    int first, n_shares, n_threads;
};

/* An idle worker is given a task by a caller, runs it, and is idle again. What it has not begun to run the
   caller takes back. */
enum { IDLE, GIVEN, RUNNING };

/* A thread of the pool. */
struct worker {
    atomic_int state, n_asleep;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct task task;
    pthread_t thread;
#if defined(__linux__)
    cpu_set_t processors; /* where it may run */
#endif
    struct worker *next;
};

static atomic_int threads_in_use;

/* The pool: workers without a caller, the last one used first, which may still be awake. */
static struct worker *idle_workers;
static pthread_mutex_t pool = PTHREAD_MUTEX_INITIALIZER;

/* A child of fork() has one thread, whatever its parent was running: it starts workers of its own. The lock
   is taken over the fork, so that the child's copy of it is never one that somebody else holds. */
static void before_fork(void) { pthread_mutex_lock(&pool); }
static void after_fork_in_parent(void) { pthread_mutex_unlock(&pool); }
static void after_fork_in_child(void) {
    idle_workers = NULL;
    atomic_store(&threads_in_use, 0);
    pthread_mutex_unlock(&pool);
}

static void register_fork_handlers(void) {
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

static void handle_forks(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_fork_handlers);
}

int fastml_reserve(int wanted, int limit) {
    handle_forks();
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

static void run_task(const struct task *task) {
    for (int share = task->first; share < task->n_shares; share += task->n_threads)
        task->work(task->context, share, task->n_shares);
}

static bool comes_soon(const atomic_int *state, int wanted) {
    enum { PAUSES = 32, PATIENCE_NS = 200000 };
    struct timespec now;
    int64_t end = 0;
    do {
        for (int i = 0; i < PAUSES; i++) {
            if (atomic_load_explicit(state, memory_order_acquire) == wanted)
                return true;
            fastml_pause();
        }
        clock_gettime(CLOCK_MONOTONIC, &now);
        int64_t ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
        end = end ? end : ns + PATIENCE_NS;
        if (ns > end)
            return false;
    } while (true);
}

/* Awake for a while: to wake a thread takes some 10 us, and on a virtual machine whose processor has gone to
   sleep with it up to 300 (measured: two threads trained a perceptron more slowly than one did, by steps of
   0.4 ms, when each step started a thread). */
static void wait_until(struct worker *worker, int wanted) {
    if (comes_soon(&worker->state, wanted))
        return;
    pthread_mutex_lock(&worker->mutex);
    atomic_fetch_add(&worker->n_asleep, 1);
    while (atomic_load(&worker->state) != wanted)
        pthread_cond_wait(&worker->changed, &worker->mutex);
    atomic_fetch_sub(&worker->n_asleep, 1);
    pthread_mutex_unlock(&worker->mutex);
}

/* Who goes to sleep counts itself first and then looks at the state: one of both sees the other. */
static void become(struct worker *worker, int state) {
    atomic_store(&worker->state, state);
    if (atomic_load(&worker->n_asleep) > 0) {
        pthread_mutex_lock(&worker->mutex);
        pthread_cond_broadcast(&worker->changed);
        pthread_mutex_unlock(&worker->mutex);
    }
}

static bool changes(struct worker *worker, int from, int to) {
    return atomic_compare_exchange_strong(&worker->state, &from, to);
}

static void *work(void *argument) {
    struct worker *worker = argument;
    while (true) {
        wait_until(worker, GIVEN);
        if (!changes(worker, GIVEN, RUNNING))
            continue;
        run_task(&worker->task);
        become(worker, IDLE);
    }
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

#if defined(__linux__)
/* Where a caller's workers may run: wherever it may itself, but off the processor that it is on. The
   scheduler often leaves two threads that wake each other on one processor for some 30 ms: longer than most
   calls last. On a single processor, there. False where the system does not say. */
static bool beside_caller(cpu_set_t *processors) {
    int own = sched_getcpu();
    if (own < 0 || sched_getaffinity(0, sizeof *processors, processors) != 0)
        return false;
    if (CPU_COUNT(processors) > 1)
        CPU_CLR(own, processors);
    return true;
}

static void place(struct worker *worker, const cpu_set_t *processors) {
    if (CPU_EQUAL(&worker->processors, processors))
        return;
    worker->processors = *processors;
    pthread_setaffinity_np(worker->thread, sizeof *processors, processors);
}
#endif

/* NULL where the system refuses a thread, or memory. */
static struct worker *new_worker(void) {
    struct worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return NULL;
    pthread_mutex_init(&worker->mutex, NULL);
    pthread_cond_init(&worker->changed, NULL);
    sigset_t before;
    block_signals(&before);
    bool started = pthread_create(&worker->thread, NULL, work, worker) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started) {
        pthread_detach(worker->thread);
        return worker;
    }
    pthread_cond_destroy(&worker->changed);
    pthread_mutex_destroy(&worker->mutex);
    free(worker);
    return NULL;
}

static struct worker *take_worker(void) {
    pthread_mutex_lock(&pool);
    struct worker *worker = idle_workers;
    if (worker)
        idle_workers = worker->next;
    pthread_mutex_unlock(&pool);
    return worker ? worker : new_worker();
}

static void give_back(struct worker *worker) {
    pthread_mutex_lock(&pool);
    worker->next = idle_workers;
    idle_workers = worker;
    pthread_mutex_unlock(&pool);
}

void fastml_fork_join(fastml_share share, void *context, int n_shares, int n_threads) {
    struct worker *workers[MAX_THREADS];
    if (n_threads > 1)
        handle_forks();
#if defined(__linux__)
    cpu_set_t processors;
    bool places = n_threads > 1 && beside_caller(&processors);
#endif
    for (int t = 1; t < n_threads; t++) {
        workers[t] = take_worker();
        if (!workers[t])
            continue;
#if defined(__linux__)
        if (places)
            place(workers[t], &processors);
#endif
        workers[t]->task = (struct task){share, context, t, n_shares, n_threads};
        become(workers[t], GIVEN);
    }
    run_task(&(struct task){share, context, 0, n_shares, n_threads});
    for (int t = 1; t < n_threads; t++) {
        /* A worker that has no processor yet keeps nobody waiting. */
        if (!workers[t] || changes(workers[t], GIVEN, IDLE))
            run_task(&(struct task){share, context, t, n_shares, n_threads});
        else
            wait_until(workers[t], IDLE);
        if (workers[t])
            give_back(workers[t]);
    }
}
