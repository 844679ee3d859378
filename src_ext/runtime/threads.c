#include "threads.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { MAX_SHARES = 256 };

static atomic_int threads_in_use;

/* A child of fork() has one thread, whatever its parent was running. */
static void forget_parents_threads(void) { atomic_store(&threads_in_use, 0); }

static void register_fork_handler(void) { pthread_atfork(NULL, NULL, forget_parents_threads); }

int fastml_reserve(int wanted, int limit) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_fork_handler);
    if (wanted > MAX_SHARES)
        wanted = MAX_SHARES;
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
    int share, n_shares;
};

static void *run_task(void *argument) {
    struct task *task = argument;
    task->work(task->context, task->share, task->n_shares);
    return NULL;
}

void fastml_fork_join(fastml_share work, void *context, int n_shares) {
    struct task tasks[MAX_SHARES];
    pthread_t threads[MAX_SHARES];
    bool started[MAX_SHARES];

    /* Signals stay with the threads that Python knows: a Ctrl-C must not land in a worker. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int share = 1; share < n_shares; share++) {
        tasks[share] = (struct task){work, context, share, n_shares};
        started[share] = pthread_create(&threads[share], NULL, run_task, &tasks[share]) == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);

    work(context, 0, n_shares);
    for (int share = 1; share < n_shares; share++) {
        if (started[share])
            pthread_join(threads[share], NULL);
        else
            run_task(&tasks[share]);
    }
}
