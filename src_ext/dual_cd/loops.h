/* Everything that one element type and storage of X needs. */
#include "crammer_singer.h"
#include "l1.h"
#include "logistic_dual.h"
#include "logistic_l1.h"
#include "svc.h"
#include "svr.h"

static void OF(sq_norms, VARIANT)(const linear_data *data, double *sq_norm) {
    for (ptrdiff_t i = 0; i < data->n_rows; i++) {
        ROW row = OF(row_at, VARIANT)(data, i);
        double sum = data->bias * data->bias;
        for (ptrdiff_t e = 0; e < row.n; e++)
            sum += (double)row.x[e] * (double)row.x[e];
        sq_norm[i] = sum;
    }
}

static const cd_variant OF(variant, VARIANT) = {
    {OF(svc_hinge, VARIANT), OF(svc_squared, VARIANT), OF(svr_linear, VARIANT), OF(svr_squared, VARIANT),
     OF(crammer_singer, VARIANT), OF(l1, VARIANT), OF(logistic_dual, VARIANT), OF(logistic_l1, VARIANT)},
    OF(sq_norms, VARIANT),
};
