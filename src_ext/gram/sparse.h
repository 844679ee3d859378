/* Sparse rows, indexed by INDEX, of REAL of KIND: a template; VARIANT is both. */
#include "rows.h"

#include "table.h"

#include "postings.h"
