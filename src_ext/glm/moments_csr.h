/* The moments of CSR rows of REAL, which are laid out densely, in the arithmetic KIND, for one VARIANT, which
   it ends. */
#include "row_csr.h"

static void OF(moments_take_csr, VARIANT)(const moments_job *job, const OF(moments_value, KIND) * shift,
                                          ptrdiff_t i, OF(moments_value, KIND) * row) {
    ROW entries = OF(row_at, VARIANT)(&job->x, i);
    for (ptrdiff_t f = 0; f < job->x.n_features; f++)
        row[f] = -shift[f];
    for (ptrdiff_t e = 0; e < entries.n; e++)
        row[entries.columns[e]] += entries.x[e];
}

static void OF(moments_csr, VARIANT)(const moments_job *job, int share) {
    OF(moments_share, KIND)(job, share, sizeof(REAL), OF(moments_take_csr, VARIANT));
}

static const moments_pass OF(moments_pass_csr, VARIANT) = {OF(moments_bytes, KIND), OF(moments_csr, VARIANT),
                                                           OF(moments_reduce, KIND)};

#undef ROW
#undef COLUMN
#undef INDEX
#undef VARIANT
