/* The loop: one step per row and model, in the order of kernels/reference/sgd.py, whose numbering the
 * comments use.
 *
 * The loss is a constant of each instance (run_ below makes ten); what else the rule says is the same for
 * every step, so its branches are predicted. With LOSS_IS_VARIABLE there is one instance for all losses:
 * these are most of what takes time to compile.
 */
enum { OF(GROUP, VARIANT) = 8 };

/* w += c x, and the norms that the objective counts. */
INLINE void OF(add_row, VARIANT)(const sgd_job *job, ROW row, REAL *w, sgd_progress *progress, REAL c) {
    if (!job->record || job->penalty == PENALTY_NONE) {
        OF(add, VARIANT)(row, w, c);
        return;
    }
    progress->sq_norm = OF(add_sq_norm, VARIANT)(row, w, c) * progress->wscale * progress->wscale;
    if (job->penalty != PENALTY_L2)
        progress->l1_norm = OF(l1_norm, VARIANT)(row, w) * progress->wscale;
}

SHARED void OF(average, VARIANT)(const sgd_job *job, ROW row, ptrdiff_t k, sgd_progress *progress,
                                 double update) {
    if (update != 0.0)
        OF(add, VARIANT)(row, (REAL *)job->average_coef + k * job->coef_stride,
                         (REAL)average_update(progress, update));
    advance_average(job, progress);
}

/* One step of model k at x . w = dot; returns the c of the w += c x that it took, and sets *folded if the
   weights were scaled before. */
INLINE REAL OF(step, VARIANT)(const sgd_job *job, ROW row, ptrdiff_t k, int loss, double y,
                              double sample_weight, double dot, double sq_norm_x, bool *folded) {
    const sgd_model *model = &job->models[k];
    sgd_progress *progress = &job->progress[k];
    REAL *w = (REAL *)job->coef + k * job->coef_stride;
    double update;
    if (!find_update(job, model, progress, loss, y, sample_weight, dot, sq_norm_x, &update))
        return 0;
    if (progress->wscale < WSCALE_FLOOR) {
        OF(fold, KIND)(job, k);
        *folded = true;
    }
    REAL c = (REAL)(update * (1.0 / progress->wscale)); /* 4; the division does not wait for the update */
    if (update != 0.0)
        OF(add_row, VARIANT)(job, row, w, progress, c);
    move_intercept(job, model, progress, update);
    if (averages(job, progress)) /* 5 */
        OF(average, VARIANT)(job, row, k, progress, update);
    if (job->applied_l1) { /* 6 */
        progress->cumulative_l1 += model->l1_ratio * progress->eta * model->alpha;
        OF(truncate, VARIANT)(row, w, (REAL *)job->applied_l1 + k * job->coef_stride, progress->wscale,
                              progress->cumulative_l1);
    }
    progress->t += 1.0;
    return c;
}

#ifdef LOOK_AHEAD
/* One model alone, whose steps are one chain of latencies: margin, loss, update, next margin. The next row's
   product with the weights is taken before the update w += c x, and corrected for it: x' . (w + c x) = x' . w
   + c (x' . x). Both products wait for nothing, so the chain is left with scalars only (measured: 62 ns a row
   of 100 floats to 40). The correction starts anew every `segment` steps, wherever the rows are read from, so
   that results do not depend on that. */
INLINE void OF(run_ahead, VARIANT)(const sgd_job *job, ptrdiff_t k, const int loss) {
    const REAL *w = (const REAL *)job->coef + k * job->coef_stride;
    ROW row = OF(row_at, VARIANT)(job, job->order[0]);
    double dot = 0.0, with_w = 0.0, with_row = 0.0;
    for (ptrdiff_t s = 0; s < job->n_steps; s++) {
        ptrdiff_t i = job->order[s];
        bool ends = (s + 1) % job->segment == 0 || s + 1 == job->n_steps;
        const REAL *ahead = OF(row_ahead, VARIANT)(job, s);
        if (s % job->segment == 0)
            dot = OF(dot_once, VARIANT)(row, ahead, w);
        ROW next = OF(row_at, VARIANT)(job, job->order[s + 1 < job->n_steps ? s + 1 : s]);
        prefetch_target(job, s);
        if (!ends)
            OF(pair_dots, VARIANT)(row, next, ahead, w, &with_w, &with_row);
        double weight = job->sample_weight ? job->sample_weight[i] : 1.0;
        double sq_norm_x = job->schedule >= SCHEDULE_PA1 ? OF(sq_norm, VARIANT)(row) : 0.0;
        bool folded = false;
        double y = target_of(job, k, i);
        REAL c = OF(step, VARIANT)(job, row, k, loss, y, weight, dot, sq_norm_x, &folded);
        dot = with_w + (double)c * with_row;
        row = next;
        /* Folded weights have another scale than with_w; and with_row may overflow where x' . w does not. */
        if ((folded || !isfinite(dot)) && !ends)
            dot = OF(dot_once, VARIANT)(row, ahead, w);
    }
}
#endif

INLINE void OF(run_loss, VARIANT)(const sgd_job *job, const int32_t *active, ptrdiff_t n_active,
                                  const int loss) {
#ifdef LOOK_AHEAD
    if (n_active == 1 && !job->applied_l1 && job->n_steps > 0) {
        OF(run_ahead, VARIANT)(job, active[0], loss);
        return;
    }
#endif
    const REAL *w[OF(GROUP, VARIANT)];
    double dots[OF(GROUP, VARIANT)];
    for (ptrdiff_t s = 0; s < job->n_steps; s++) {
        ptrdiff_t i = job->order[s];
        prefetch_target(job, s);
        ROW row = OF(row_at, VARIANT)(job, i);
        double weight = job->sample_weight ? job->sample_weight[i] : 1.0;
        double sq_norm_x = job->schedule >= SCHEDULE_PA1 ? OF(sq_norm, VARIANT)(row) : 0.0;
        bool folded;
        for (ptrdiff_t g = 0; g < n_active; g += OF(GROUP, VARIANT)) {
            ptrdiff_t count = n_active - g < OF(GROUP, VARIANT) ? n_active - g : OF(GROUP, VARIANT);
            for (ptrdiff_t m = 0; m < count; m++)
                w[m] = (const REAL *)job->coef + active[g + m] * job->coef_stride;
            OF(dots, VARIANT)(job, s, row, w, dots, count);
            for (ptrdiff_t m = 0; m < count; m++) {
                ptrdiff_t k = active[g + m];
                double y = target_of(job, k, i);
                OF(step, VARIANT)(job, row, k, loss, y, weight, dots[m], sq_norm_x, &folded);
            }
        }
    }
}

static void OF(run, VARIANT)(const sgd_job *job, const int32_t *active, ptrdiff_t n_active) {
#ifdef LOSS_IS_VARIABLE
    OF(run_loss, VARIANT)(job, active, n_active, job->loss);
#else
    switch (job->loss) {
#define INSTANCE(loss)                                                                                       \
    case loss:                                                                                               \
        OF(run_loss, VARIANT)(job, active, n_active, loss);                                                  \
        break;
        INSTANCE(LOSS_HINGE)
        INSTANCE(LOSS_SQUARED_HINGE)
        INSTANCE(LOSS_PERCEPTRON)
        INSTANCE(LOSS_LOG)
        INSTANCE(LOSS_MODIFIED_HUBER)
        INSTANCE(LOSS_SQUARED_ERROR)
        INSTANCE(LOSS_HUBER)
        INSTANCE(LOSS_EPSILON_INSENSITIVE)
        INSTANCE(LOSS_SQUARED_EPSILON_INSENSITIVE)
        INSTANCE(LOSS_CUSTOM)
#undef INSTANCE
    }
#endif
}

#undef ROW
