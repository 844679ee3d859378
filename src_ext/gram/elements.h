/* All that does not depend on how sparse rows are indexed, for REAL of KIND. */
#include "exp.h"

#include "gemm.h"

#include "value.h"

#include "dense.h"

#include "sums.h"

#include "columns.h"

#define DEFINE_ALL(function)                                                                                 \
    static void OF(OF(function, all), KIND)(const REAL *x, REAL *y, ptrdiff_t n) {                           \
        ptrdiff_t i = 0;                                                                                     \
        for (; i + OF(LANES, KIND) <= n; i += OF(LANES, KIND))                                               \
            *(OF(mem, KIND) *)(y + i) = OF(function, KIND)(*(const OF(mem, KIND) *)(x + i));                 \
        if (i < n)                                                                                           \
            OF(store_part, KIND)(y + i, OF(function, KIND)(OF(load_part, KIND)(x + i, n - i)), n - i);       \
    }
DEFINE_ALL(exp)
DEFINE_ALL(tanh)
#undef DEFINE_ALL
