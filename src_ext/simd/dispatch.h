/* Which instruction-set level runs: decided once, from CPUID and FASTML_CPU. */
#ifndef FASTML_DISPATCH_H
#define FASTML_DISPATCH_H

enum {
    FASTML_LEVEL_NONE = -1,
    FASTML_LEVEL_GENERIC = 0,
    FASTML_LEVEL_V2 = 2,
    FASTML_LEVEL_V3 = 3,
    FASTML_LEVEL_V4 = 4
};

/* The highest x86-64 level this processor has; FASTML_LEVEL_GENERIC on any other architecture. */
int fastml_processor_level(void);

/* A kernel source is compiled once per level with -DFASTML_LEVEL=v4 (v3, v2, generic): its external names
   carry the level, FASTML_AT_LEVEL(sgd_run) being sgd_run_v4. */
#define FASTML_PASTE_(name, level) name##_##level
#define FASTML_PASTE(name, level) FASTML_PASTE_(name, level)
#define FASTML_AT_LEVEL(name) FASTML_PASTE(name, FASTML_LEVEL)

/* In a header: declare `type name` at every level that this build has. In a binding: pick the running one. */
#if defined(__x86_64__) || defined(_M_X64)
#define FASTML_DECLARE(type, name) extern const type name##_v2, name##_v3, name##_v4
#define FASTML_SELECT(name, level) ((level) >= 4 ? &name##_v4 : (level) == 3 ? &name##_v3 : &name##_v2)
#else
#define FASTML_DECLARE(type, name) extern const type name##_generic
#define FASTML_SELECT(name, level) ((void)(level), &name##_generic)
#endif

#endif
