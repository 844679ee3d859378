/* Copies and conversions; compiled once per instruction-set level. */
#include "gather.h"

#include <string.h>

static ptrdiff_t end_of(const gather_job *job, ptrdiff_t part) {
    ptrdiff_t last = (part + 1) * job->rows_per_part;
    return last < job->n ? last : job->n;
}

static void copy(const void *context, ptrdiff_t part, void *scratch) {
    const gather_job *job = context;
    (void)scratch;
    for (ptrdiff_t i = part * job->rows_per_part; i < end_of(job, part); i++)
        memcpy((char *)job->out + i * job->width, (const char *)job->x + job->rows[i] * job->width,
               job->width);
}

#define CONVERT(from, to)                                                                                    \
    static void convert_##from##_##to(const void *context, ptrdiff_t part, void *scratch) {                  \
        const gather_job *job = context;                                                                     \
        to scale = (to)job->scale, offset = (to)job->offset;                                                 \
        (void)scratch;                                                                                       \
        for (ptrdiff_t i = part * job->rows_per_part; i < end_of(job, part); i++) {                          \
            const from *restrict x = (const from *)job->x + job->rows[i] * job->width;                       \
            to *restrict out = (to *)job->out + i * job->width;                                              \
            for (ptrdiff_t j = 0; j < job->width; j++)                                                       \
                out[j] = (to)x[j] * scale + offset;                                                          \
        }                                                                                                    \
    }

CONVERT(uint8_t, float)
CONVERT(uint8_t, double)
CONVERT(float, float)
CONVERT(float, double)
CONVERT(double, float)
CONVERT(double, double)

const gather_kernels FASTML_AT_LEVEL(gather_kernels) = {
    copy,
    {{convert_uint8_t_float, convert_uint8_t_double},
     {convert_float_float, convert_float_double},
     {convert_double_float, convert_double_double}},
};
