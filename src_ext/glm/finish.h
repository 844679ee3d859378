/* What a pass makes of a block's margins: losses, and derivatives by the margin in the place of each margin;
 * for REAL of KIND: a template. Rows lie along the lanes. Lanes beyond the block's end weigh 0, as rows do
 * that are left out.
 */
#define VEC OF(vec, KIND)
#define MEM OF(mem, KIND)
#define BITS OF(bits, KIND)
#define LANES OF(LANES, KIND)
#define SELECT OF(select, KIND)
#define MARGINS OF(glm_margins, KIND)

#ifndef FASTML_GLM_FINISH_H
#define FASTML_GLM_FINISH_H

/* A sum in float64 of vectors of either type. */
INLINE void add_wide_f64(vec_f64 *sum, vec_f64 v) { *sum += v; }
INLINE void add_wide_f32(vec_f64 *sum, vec_f32 v) {
    typedef float half __attribute__((vector_size(VEC_BYTES / 2)));
    half parts[2];
    memcpy(parts, &v, sizeof v);
    *sum += __builtin_convertvector(parts[0], vec_f64) + __builtin_convertvector(parts[1], vec_f64);
}

#endif

/* One model's part of a block. */
typedef struct {
    const glm_job *job;
    const glm_model *model;
    ptrdiff_t first_row, n_rows, stride;
    REAL *margins;            /* n_columns x stride: z without intercepts in, weighted derivatives out */
    REAL *target, *weight;    /* of each row, in X's type */
    const double *intercepts; /* the first of n_columns, `intercept_step` apart */
    ptrdiff_t intercept_step;
    REAL *prediction; /* of the first column and row, the next column n_rows of X on; or NULL */
} MARGINS;

/* Targets and weights of a block's rows, and zeros up to the next whole vector. */
INLINE void OF(load_targets, KIND)(const MARGINS *block) {
    const glm_job *job = block->job;
    const ptrdiff_t n = block->n_rows, all = job->x.n_rows, padded = glm_rounded_up(n, LANES);
    if (job->target) {
        const double *target = job->target + block->model->target * all + block->first_row;
        for (ptrdiff_t i = 0; i < n; i++)
            block->target[i] = (REAL)target[i];
    } else if (job->loss == LOSS_MULTINOMIAL) {
        for (ptrdiff_t i = 0; i < n; i++)
            block->target[i] = (REAL)job->x.label[block->first_row + i];
    } else {
        const int32_t positive = (int32_t)block->model->positive_class;
        for (ptrdiff_t i = 0; i < n; i++)
            block->target[i] = job->x.label[block->first_row + i] == positive ? (REAL)1.0 : (REAL)-1.0;
    }
    if (block->model->weighting >= 0) {
        const double *weight = job->weight + block->model->weighting * all + block->first_row;
        for (ptrdiff_t i = 0; i < n; i++)
            block->weight[i] = (REAL)weight[i];
    } else {
        for (ptrdiff_t i = 0; i < n; i++)
            block->weight[i] = (REAL)1.0;
    }
    for (ptrdiff_t i = n; i < padded; i++)
        block->target[i] = block->weight[i] = (REAL)0.0;
}

/* Derivatives into the margins' place; the sum of losses. */
INLINE double OF(evaluate_column, KIND)(const MARGINS *block, const int loss) {
    const REAL intercept = (REAL)block->intercepts[0];
    vec_f64 sum = {0};
    for (ptrdiff_t i = 0; i < block->n_rows; i += LANES) {
        VEC z = *(MEM *)(block->margins + i) + intercept, slope;
        VEC y = *(MEM *)(block->target + i), weight = *(MEM *)(block->weight + i);
        BITS counts = weight != 0;
        VEC value = OF(loss, KIND)(block->job, loss, y, z, &slope);
        OF(add_wide, KIND)(&sum, SELECT(counts, weight * value + (z - z), (VEC){0}));
        *(MEM *)(block->margins + i) = SELECT(counts, weight * slope, (VEC){0});
        if (block->prediction)
            OF(store_up_to, KIND)(block->prediction + i, z, block->n_rows - i);
    }
    return sum_f64(sum);
}

/* Curvature times margins, into the margins' place. */
INLINE void OF(curve_column, KIND)(const MARGINS *block, const int loss) {
    const REAL intercept = (REAL)block->intercepts[0];
    for (ptrdiff_t i = 0; i < block->n_rows; i += LANES) {
        VEC change = *(MEM *)(block->margins + i) + intercept, z = {0};
        VEC y = *(MEM *)(block->target + i), weight = *(MEM *)(block->weight + i);
        if (loss != LOSS_SQUARED_ERROR)
            z = OF(load_up_to, KIND)(block->prediction + i, block->n_rows - i);
        change *= weight * OF(curvature, KIND)(block->job, loss, y, z);
        *(MEM *)(block->margins + i) = SELECT(weight != 0, change, (VEC){0});
    }
}

/* log sum exp(z) - z_y, by the largest margin against overflow; the derivatives are softmax(z) - e_y. */
SHARED double OF(evaluate_multinomial, KIND)(const MARGINS *block) {
    const int n_columns = block->job->n_columns;
    const ptrdiff_t all = block->job->x.n_rows, stride = block->stride;
    vec_f64 sum = {0};
    for (ptrdiff_t i = 0; i < block->n_rows; i += LANES) {
        const VEC y = *(MEM *)(block->target + i), weight = *(MEM *)(block->weight + i), zero = {0};
        const BITS counts = weight != 0;
        REAL *margins = block->margins + i;
        VEC highest = *(MEM *)margins + (REAL)block->intercepts[0], own = zero, total = zero, nan = zero;
        for (int k = 0; k < n_columns; k++) {
            VEC z = *(MEM *)(margins + k * stride) + (REAL)block->intercepts[k * block->intercept_step];
            *(MEM *)(margins + k * stride) = z;
            highest = OF(at_least, KIND)(highest, z);
            own = SELECT(y == (REAL)k, z, own);
            nan += z - z;
        }
        for (int k = 0; k < n_columns; k++) {
            VEC e = OF(exp, KIND)(*(MEM *)(margins + k * stride) - highest);
            *(MEM *)(margins + k * stride) = e;
            total += e;
        }
        VEC value = OF(log, KIND)(total) + (highest - own) + nan;
        OF(add_wide, KIND)(&sum, SELECT(counts, weight * value, zero));
        const VEC inverse = (REAL)1.0 / total;
        for (int k = 0; k < n_columns; k++) {
            VEC p = *(MEM *)(margins + k * stride) * inverse;
            if (block->prediction)
                OF(store_up_to, KIND)(block->prediction + k * all + i, p, block->n_rows - i);
            VEC slope = weight * (p - SELECT(y == (REAL)k, zero + (REAL)1.0, zero));
            *(MEM *)(margins + k * stride) = SELECT(counts, slope, zero);
        }
    }
    return sum_f64(sum);
}

/* (diag(p) - p p') times margins. */
SHARED void OF(curve_multinomial, KIND)(const MARGINS *block) {
    const int n_columns = block->job->n_columns;
    const ptrdiff_t all = block->job->x.n_rows, stride = block->stride;
    for (ptrdiff_t i = 0; i < block->n_rows; i += LANES) {
        const VEC weight = *(MEM *)(block->weight + i), zero = {0};
        REAL *margins = block->margins + i;
        VEC mean = zero;
        for (int k = 0; k < n_columns; k++) {
            VEC p = OF(load_up_to, KIND)(block->prediction + k * all + i, block->n_rows - i);
            VEC change = *(MEM *)(margins + k * stride) + (REAL)block->intercepts[k * block->intercept_step];
            *(MEM *)(margins + k * stride) = change;
            mean += p * change;
        }
        for (int k = 0; k < n_columns; k++) {
            VEC p = OF(load_up_to, KIND)(block->prediction + k * all + i, block->n_rows - i);
            VEC change = weight * (p * (*(MEM *)(margins + k * stride) - mean));
            *(MEM *)(margins + k * stride) = SELECT(weight != 0, change, zero);
        }
    }
}

/* Margins with their intercepts, to the caller's array; `column`: of its columns. */
SHARED void OF(write_margins, KIND)(const MARGINS *block, ptrdiff_t column) {
    const ptrdiff_t n = block->job->n_active * block->job->n_columns;
    for (ptrdiff_t i = 0; i < block->n_rows; i++)
        for (int k = 0; k < block->job->n_columns; k++)
            ((REAL *)block->job->margins)[(block->first_row + i) * n + column + k] =
                block->margins[k * block->stride + i] + (REAL)block->intercepts[k * block->intercept_step];
}

#define EACH_LOSS(loss)                                                                                      \
    SHARED double OF(OF(evaluate, loss), KIND)(const MARGINS *block) {                                       \
        return OF(evaluate_column, KIND)(block, loss);                                                       \
    }                                                                                                        \
    SHARED void OF(OF(curve, loss), KIND)(const MARGINS *block) { OF(curve_column, KIND)(block, loss); }
EACH_LOSS(LOSS_SQUARED_ERROR)
EACH_LOSS(LOSS_HUBER)
EACH_LOSS(LOSS_SQUARED_EPSILON_INSENSITIVE)
EACH_LOSS(LOSS_POISSON)
EACH_LOSS(LOSS_LOG)
EACH_LOSS(LOSS_SQUARED_HINGE)
EACH_LOSS(LOSS_MODIFIED_HUBER)
EACH_LOSS(LOSS_CUSTOM)
#undef EACH_LOSS

/* In the order of enum glm_loss. */
static double (*const OF(evaluate_block, KIND)[])(const MARGINS *) = {
    OF(OF(evaluate, LOSS_SQUARED_ERROR), KIND),
    OF(OF(evaluate, LOSS_HUBER), KIND),
    OF(OF(evaluate, LOSS_SQUARED_EPSILON_INSENSITIVE), KIND),
    OF(OF(evaluate, LOSS_POISSON), KIND),
    OF(OF(evaluate, LOSS_LOG), KIND),
    OF(OF(evaluate, LOSS_SQUARED_HINGE), KIND),
    OF(OF(evaluate, LOSS_MODIFIED_HUBER), KIND),
    OF(evaluate_multinomial, KIND),
    OF(OF(evaluate, LOSS_CUSTOM), KIND),
};
static void (*const OF(curve_block, KIND)[])(const MARGINS *) = {
    OF(OF(curve, LOSS_SQUARED_ERROR), KIND),
    OF(OF(curve, LOSS_HUBER), KIND),
    OF(OF(curve, LOSS_SQUARED_EPSILON_INSENSITIVE), KIND),
    OF(OF(curve, LOSS_POISSON), KIND),
    OF(OF(curve, LOSS_LOG), KIND),
    OF(OF(curve, LOSS_SQUARED_HINGE), KIND),
    OF(OF(curve, LOSS_MODIFIED_HUBER), KIND),
    OF(curve_multinomial, KIND),
    OF(OF(curve, LOSS_CUSTOM), KIND),
};

/* All models of a chunk: `first` is the first's place among the active ones. */
static void OF(finish_chunk, KIND)(const glm_job *job, const glm_layout *layout, const glm_share *share,
                                   ptrdiff_t first, ptrdiff_t n_models, ptrdiff_t first_row,
                                   ptrdiff_t n_rows) {
    const ptrdiff_t step = job->x.n_features + 1, all = job->x.n_rows, n = job->n_columns;
    for (ptrdiff_t m = 0; m < n_models; m++) {
        const ptrdiff_t k = job->active[first + m];
        MARGINS block = {
            .job = job,
            .model = job->models ? job->models + k : NULL,
            .first_row = first_row,
            .n_rows = n_rows,
            .stride = layout->stride,
            .margins = (REAL *)share->margins + m * n * layout->stride,
            .target = share->targets,
            .weight = share->weights,
            .intercepts = job->weights + k * n * step + job->x.n_features,
            .intercept_step = step,
            .prediction = job->prediction ? (REAL *)job->prediction + k * n * all + first_row : NULL,
        };
        if (job->pass == PASS_MARGINS) {
            OF(write_margins, KIND)(&block, (first + m) * n);
            continue;
        }
        OF(load_targets, KIND)(&block);
        if (job->pass == PASS_EVALUATE)
            share->values[first + m] += OF(evaluate_block, KIND)[job->loss](&block);
        else
            OF(curve_block, KIND)[job->loss](&block);
        for (ptrdiff_t c = 0; c < n && job->gradient; c++) {
            vec_f64 sum = {0};
            for (ptrdiff_t i = 0; i < n_rows; i += LANES)
                OF(add_wide, KIND)(&sum, *(MEM *)(block.margins + c * layout->stride + i));
            share->intercepts[(first + m) * n + c] += sum_f64(sum);
        }
    }
}

#undef VEC
#undef MEM
#undef BITS
#undef LANES
#undef SELECT
#undef MARGINS
