#include "dispatch.h"

int fastml_processor_level(void) {
#if defined(__x86_64__) || defined(_M_X64)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return FASTML_LEVEL_V4;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return FASTML_LEVEL_V3;
    return __builtin_cpu_supports("sse4.2") ? FASTML_LEVEL_V2 : FASTML_LEVEL_NONE;
#else
    return FASTML_LEVEL_GENERIC;
#endif
}
