/* All templates, for REAL of KIND. */
#include "gemm.h"

#include "product.h"

#include "tiles.h"

#include "strip.h"

#include "units.h"

#include "implicit.h"

#include "depthwise.h"

#include "pooling.h"

#include "windows.h"

#include "maxima_lists.h"

#include "maxima.h"

#include "phases.h"
