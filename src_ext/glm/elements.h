/* All that does not depend on how sparse rows are indexed, for REAL of KIND. */
#include "exp.h"
#include "gemm.h"
#include "log.h"

#include "losses.h"

#include "finish.h"

#include "dense.h"

#include "hessian.h"

#include "pass_dense.h"
