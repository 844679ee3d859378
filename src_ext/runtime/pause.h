/* What a thread does between two looks at what another one is to change: some 40 to 140 cycles of nothing. */
#ifndef FASTML_PAUSE_H
#define FASTML_PAUSE_H

static inline void fastml_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
