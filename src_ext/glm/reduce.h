/* Sums of the shares, in their order, into the caller's arrays. */
#ifndef FASTML_GLM_REDUCE_H
#define FASTML_GLM_REDUCE_H

#include "layout.h"

/* The gradient of an active model's column, by its place among all of them. */
INLINE double *glm_gradient(const glm_job *job, ptrdiff_t place) {
    ptrdiff_t column = job->active[place / job->n_columns] * job->n_columns + place % job->n_columns;
    return job->gradient + column * (job->x.n_features + 1);
}

/* Values, and the gradients' intercepts. */
INLINE void glm_reduce_values(const glm_job *job, const glm_layout *layout, size_t real_size) {
    for (ptrdiff_t m = 0; job->pass == PASS_EVALUATE && m < job->n_active; m++) {
        double sum = 0.0;
        for (int s = 0; s < job->n_shares; s++)
            sum += glm_share_at(job, layout, s, real_size).values[m];
        job->value[job->active[m]] = sum;
    }
    for (ptrdiff_t c = 0; job->gradient && c < layout->n_columns; c++) {
        double sum = 0.0;
        for (int s = 0; s < job->n_shares; s++)
            sum += glm_share_at(job, layout, s, real_size).intercepts[c];
        glm_gradient(job, c)[job->x.n_features] = sum;
    }
}

#endif
