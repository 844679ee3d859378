/* The pass over CSR rows, for one VARIANT, which it ends. */
#include "row_csr.h"

#include "pass_csr.h"

#undef ROW
#undef COLUMN
#undef INDEX
#undef VARIANT
