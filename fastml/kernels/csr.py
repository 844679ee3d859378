from fastml._csr import CSR  # noqa: F401
