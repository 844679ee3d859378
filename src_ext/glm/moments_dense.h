/* The moments of dense rows of REAL, named VARIANT, in the arithmetic KIND. It ends VARIANT. */
static void OF(moments_take_dense, VARIANT)(const moments_job *job, const OF(moments_value, KIND) * shift,
                                            ptrdiff_t i, OF(moments_value, KIND) * row) {
    const REAL *x = (const REAL *)job->x.data + i * job->x.n_features;
    for (ptrdiff_t f = 0; f < job->x.n_features; f++)
        row[f] = x[f] - shift[f];
}

static void OF(moments_dense, VARIANT)(const moments_job *job, int share) {
    OF(moments_share, KIND)(job, share, sizeof(REAL), OF(moments_take_dense, VARIANT));
}

static const moments_pass OF(moments_pass_dense, VARIANT) = {
    OF(moments_bytes, KIND), OF(moments_dense, VARIANT), OF(moments_reduce, KIND)};

#undef VARIANT
