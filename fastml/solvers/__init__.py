"""Floor 2: the loops - step, convergence test, progress, early stop - written once for every device."""
