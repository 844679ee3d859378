# What comes from Python, checked before C trusts it.

cdef fused integer:
    int32_t
    int64_t


cdef cnp.ndarray checked(array, int type_number, str name):
    """The array, if it is C-contiguous and of the type that the C code will read it as."""
    cdef cnp.ndarray checked_array = array
    if (
        not cnp.PyArray_EquivTypenums(cnp.PyArray_TYPE(checked_array), type_number)
        or not cnp.PyArray_IS_C_CONTIGUOUS(checked_array)
    ):
        expected = np.dtype(cnp.PyArray_TypeObjectFromType(type_number))
        raise TypeError(f"{name} must be C-contiguous of {expected}; got {checked_array.dtype}.")
    return checked_array


cdef int real_type(rows, str name) except -1:
    cdef int real = cnp.PyArray_TYPE(<cnp.ndarray> (rows.data if isinstance(rows, CSR) else rows))
    if real != cnp.NPY_FLOAT32 and real != cnp.NPY_FLOAT64:
        raise TypeError(f"{name} must be of float32 or float64; got {rows.dtype}.")
    return real


cdef int index_type(X) except -1:
    cdef int index = cnp.PyArray_TYPE(<cnp.ndarray> X.indices)
    if cnp.PyArray_EquivTypenums(index, cnp.NPY_INT32):
        return cnp.NPY_INT32
    if cnp.PyArray_EquivTypenums(index, cnp.NPY_INT64):
        return cnp.NPY_INT64
    raise TypeError(f"Indices must be int32 or int64; got {X.indices.dtype}.")


cdef gram_rows rows_of(X, int real, int index, str name) except *:
    """The rows of a matrix of this type; index: that of a sparse one's indices, -1 for a dense one."""
    cdef gram_rows rows
    if isinstance(X, CSR) != (index >= 0):
        raise TypeError(f"{name} must be {'sparse' if index >= 0 else 'dense'}, as B is.")
    rows.n_rows, rows.n_features = X.shape
    rows.indices = rows.indptr = NULL
    if index < 0:
        rows.data = cnp.PyArray_DATA(checked(X, real, name))
        return rows
    rows.data = cnp.PyArray_DATA(checked(X.data, real, f"{name}.data"))
    rows.indices = cnp.PyArray_DATA(checked(X.indices, index, f"{name}.indices"))
    rows.indptr = cnp.PyArray_DATA(checked(X.indptr, index, f"{name}.indptr"))
    return rows


cdef int set_out(gram_job *job, out, int real) except -1:
    """A block's place: rows of contiguous elements, at any distance from each other."""
    cdef cnp.ndarray block = out
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(block)
    if cnp.PyArray_TYPE(block) != real or block.ndim != 2 or not cnp.PyArray_ISWRITEABLE(block):
        raise TypeError(f"out must be a writeable matrix of B's dtype; got {block.dtype}, {block.ndim}-d.")
    if block.shape[0] != job.a.n_rows or block.shape[1] != job.b.rows.n_rows:
        raise ValueError(f"out must be of shape {(job.a.n_rows, job.b.rows.n_rows)}; got {out.shape}.")
    if block.size and ((block.shape[1] > 1 and block.strides[1] != size) or block.strides[0] % size):
        raise TypeError(f"out must have contiguous rows; its strides are {out.strides}.")
    job.out = cnp.PyArray_DATA(block)
    job.out_stride = block.strides[0] // size
