/* Rows of a CSR matrix of REAL and INDEX: a template. */
typedef struct {
    const REAL *value;
    const INDEX *column;
    ptrdiff_t n;
} OF(csr_row, VARIANT);

INLINE OF(csr_row, VARIANT) OF(csr_row_at, VARIANT)(const gram_rows *rows, ptrdiff_t i) {
    const INDEX *indptr = rows->indptr;
    return (OF(csr_row, VARIANT)){(const REAL *)rows->data + indptr[i],
                                  (const INDEX *)rows->indices + indptr[i],
                                  (ptrdiff_t)(indptr[i + 1] - indptr[i])};
}

INLINE ptrdiff_t OF(n_values_of, VARIANT)(const gram_rows *rows) {
    const INDEX *indptr = rows->indptr;
    return (ptrdiff_t)(indptr[rows->n_rows] - indptr[0]);
}

/* One chain of multiply-adds in the order of the columns, as the products are. */
INLINE REAL OF(csr_sq_norm, VARIANT)(OF(csr_row, VARIANT) row) {
    REAL sum = 0;
    for (ptrdiff_t t = 0; t < row.n; t++)
        sum = OF(multiply_add, KIND)(row.value[t], row.value[t], sum);
    return sum;
}

static void OF(sparse_norms, VARIANT)(const gram_rows *rows, void *sq_norms) {
    for (ptrdiff_t i = 0; i < rows->n_rows; i++)
        ((REAL *)sq_norms)[i] = OF(csr_sq_norm, VARIANT)(OF(csr_row_at, VARIANT)(rows, i));
}

static double OF(csr_distance, VARIANT)(const gram_job *job, ptrdiff_t i, ptrdiff_t j) {
    OF(csr_row, VARIANT) a, b;
    a = OF(csr_row_at, VARIANT)(&job->a, i);
    b = OF(csr_row_at, VARIANT)(&job->b.rows, j);
    double sum = 0.0;
    for (ptrdiff_t s = 0, t = 0; s < a.n || t < b.n;) {
        bool of_a = s < a.n && (t == b.n || a.column[s] <= b.column[t]);
        bool of_b = t < b.n && (s == a.n || b.column[t] <= a.column[s]);
        double difference = (of_a ? (double)a.value[s] : 0.0) - (of_b ? (double)b.value[t] : 0.0);
        sum += difference * difference;
        s += of_a;
        t += of_b;
    }
    return sum;
}
