// The matrix product of conv_kernels.inc.h in half precision, of processors that compute in it (asimdhp).
// Included into its unnamed namespace.
//
// Weights are rounded once, values as they are taken. Up to kHalfRun products are added in half precision,
// and their sums in single: long sums would lose what is small beside them.

enum { kHalfRun = 32 };

// Rows of 16 floats to rows of 16 halves, in their place: row i is read before anything of it is written.
inline void halve_weights(float* weights, int inputs)
{
    float16_t* to = (float16_t*)weights;
    for (int i = 0; i < inputs; i++, weights += kConvLanes, to += kConvLanes) {
        float16x8_t row[2];
        for (int j = 0; j < 2; j++)
            row[j] = vcombine_f16(vcvt_f16_f32(vld1q_f32(weights + 8 * j)),
                                  vcvt_f16_f32(vld1q_f32(weights + 8 * j + 4)));
        vst1q_f16(to, row[0]);
        vst1q_f16(to + 8, row[1]);
    }
}

template <int columns> struct HalfSums {
    float16x8_t sum[columns][2];

    HalfSums()
    {
        for (int t = 0; t < columns; t++)
            sum[t][0] = sum[t][1] = vdupq_n_f16(0);
    }

    // Products of 8 channels.
    void add_eight(const float16_t* weights, const float* values)
    {
        float16x8_t value[columns];
        for (int t = 0; t < columns; t++) {
            const float* from = values + t * kConvLanes;
            value[t] = vcombine_f16(vcvt_f16_f32(vld1q_f32(from)), vcvt_f16_f32(vld1q_f32(from + 4)));
        }
        const auto add = [&](auto lane) {
            for (int j = 0; j < 2; j++) {
                const float16x8_t weight = vld1q_f16(weights + lane * kConvLanes + 8 * j);
                for (int t = 0; t < columns; t++)
                    sum[t][j] = vfmaq_laneq_f16(sum[t][j], weight, value[t], lane);
            }
        };
        add(std::integral_constant<int, 0>());
        add(std::integral_constant<int, 1>());
        add(std::integral_constant<int, 2>());
        add(std::integral_constant<int, 3>());
        add(std::integral_constant<int, 4>());
        add(std::integral_constant<int, 5>());
        add(std::integral_constant<int, 6>());
        add(std::integral_constant<int, 7>());
    }

    void add_one(const float16_t* weights, const float* values)
    {
        for (int t = 0; t < columns; t++) {
            for (int j = 0; j < 2; j++)
                sum[t][j] =
                    vfmaq_n_f16(sum[t][j], vld1q_f16(weights + 8 * j), (float16_t)values[t * kConvLanes]);
        }
    }

    void add_to(float* sums) const
    {
        for (int t = 0; t < columns; t++) {
            for (int j = 0; j < 2; j++, sums += 8) {
                vst1q_f32(sums, vaddq_f32(vld1q_f32(sums), vcvt_f32_f16(vget_low_f16(sum[t][j]))));
                vst1q_f32(sums + 4, vaddq_f32(vld1q_f32(sums + 4), vcvt_f32_f16(vget_high_f16(sum[t][j]))));
            }
        }
    }
};

template <typename Weight, int groups, int columns>
void gemm_block(const Weight* weights, const float* values, ptrdiff_t value_step, int inputs, float* sums,
                ptrdiff_t, bool add)
{
    static_assert(groups == 1 && kHalfRun % kConvLanes == 0, "panels of one group");
    const float16_t* weight = (const float16_t*)weights;
    if (!add)
        memset(sums, 0, columns * kConvLanes * sizeof(float));
    for (int first = 0; first < inputs;) {
        HalfSums<columns> run;
        const int last = inputs - first < kHalfRun ? inputs : first + kHalfRun;
        for (; first < last; values += value_step) {
            const int lanes = last - first < kConvLanes ? last - first : (int)kConvLanes;
            int lane = 0;
            for (; lane + 8 <= lanes; lane += 8, weight += 8 * kConvLanes)
                run.add_eight(weight, values + lane);
            for (; lane < lanes;
                 lane++, weight += kConvLanes) // what lies behind the last channel is no number
                run.add_one(weight, values + lane);
            first += lanes;
        }
        run.add_to(sums);
    }
}
