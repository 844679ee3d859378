# The pairwise decision functions of several classes, from sums by classes, and their votes.

cdef Py_ssize_t n_pairs_of(Py_ssize_t n_classes) noexcept nogil:
    return n_classes * (n_classes - 1) // 2


cdef void values_of_row(const double *sums, const double *intercept, double *out, Py_ssize_t n_classes) noexcept nogil:
    cdef Py_ssize_t width = n_classes - 1, start, end, i, j, before = 0
    cdef Py_ssize_t own[8]
    cdef Py_ssize_t pair[8]
    # Eight first classes at a time: of the others' sums, so many share a cache line.
    for start in range(0, n_classes, 8):
        end = min(start + 8, n_classes)
        for i in range(start, end):
            own[i - start] = i * width - 1
            pair[i - start] = before - i - 1
            before += n_classes - 1 - i
        for j in range(start + 1, n_classes):
            for i in range(min(end, j) - start):
                out[pair[i] + j] = sums[own[i] + j] + sums[j * width + start + i] + intercept[pair[i] + j]


cdef Py_ssize_t winner_of_row(const double *values, int32_t *votes, Py_ssize_t n_classes) noexcept nogil:
    cdef Py_ssize_t i, j, winner = 0
    cdef int32_t wins
    for i in range(n_classes):
        votes[i] = <int32_t> i  # one from each class before it, taken back where that one wins
    for i in range(n_classes):
        wins = 0
        for j in range(i + 1, n_classes):
            wins += values[j - i - 1] > 0
            votes[j] -= values[j - i - 1] > 0
        votes[i] += wins
        values += n_classes - 1 - i
    for i in range(1, n_classes):
        if votes[i] > votes[winner]:
            winner = i
    return winner


def pair_values(sums, intercept, out):
    """See ``fastml.kernels.reference.gram.pair_values``."""
    cdef Py_ssize_t n_rows, n_classes, row
    n_rows, n_classes, _ = sums.shape
    cdef Py_ssize_t n_sums = n_classes * (n_classes - 1), n_pairs = n_pairs_of(n_classes)
    for array, shape, name in (
        (sums, (n_rows, n_classes, n_classes - 1), "sums"), (intercept, (n_pairs,), "intercept"),
        (out, (n_rows, n_pairs), "out")
    ):
        checked(array, cnp.NPY_FLOAT64, name)
        if array.shape != shape:
            raise ValueError(f"{name} must be of shape {shape}; got {array.shape}.")
    if not cnp.PyArray_ISWRITEABLE(<cnp.ndarray> out):
        raise ValueError("out is read-only.")
    cdef const double *of_classes = <const double *> cnp.PyArray_DATA(<cnp.ndarray> sums)
    cdef const double *added = <const double *> cnp.PyArray_DATA(<cnp.ndarray> intercept)
    cdef double *values = <double *> cnp.PyArray_DATA(<cnp.ndarray> out)
    with nogil:
        for row in range(n_rows):
            values_of_row(of_classes + row * n_sums, added, values + row * n_pairs, n_classes)


def pair_votes(values, Py_ssize_t n_classes):
    """See ``fastml.kernels.reference.gram.pair_votes``."""
    cdef Py_ssize_t n_rows = len(values), n_pairs = n_pairs_of(n_classes), row
    checked(values, cnp.NPY_FLOAT64, "values")
    if values.shape != (n_rows, n_pairs):
        raise ValueError(f"values must be of shape {(n_rows, n_pairs)}; got {values.shape}.")
    cdef cnp.ndarray winners = np.empty(n_rows, np.intp), votes = np.empty(n_classes, np.int32)
    cdef const double *of_pairs = <const double *> cnp.PyArray_DATA(<cnp.ndarray> values)
    cdef Py_ssize_t *winner = <Py_ssize_t *> cnp.PyArray_DATA(winners)
    cdef int32_t *counts = <int32_t *> cnp.PyArray_DATA(votes)
    with nogil:
        for row in range(n_rows):
            winner[row] = winner_of_row(of_pairs + row * n_pairs, counts, n_classes)
    return winners
