// The matrix product of conv_kernels.inc.h in bfloat16, of processors that add products of pairs of them to
// floats (AVX-512-BF16): twice as many as floats' in the same time. Included into its unnamed namespace.
//
// Weights are rounded once, values as they are taken; products are exact and their sums are floats. Pairs are
// of two input channels, side by side: weights [inputs / 2][channels of the panel][2].

#if defined(__AVX512BF16__)
typedef __m512bh Pairs; // kWidth pairs

inline Pairs load_pairs(const uint16_t* from) { return (Pairs)_mm512_loadu_si512(from); }

inline Pairs broadcast_pair(const uint16_t* from)
{
    int pair;
    memcpy(&pair, from, sizeof(pair));
    return (Pairs)_mm512_set1_epi32(pair);
}

inline Vec add_products(Vec sum, Pairs a, Pairs b) { return (Vec)_mm512_dpbf16_ps((__m512)sum, a, b); }

// 16 floats, of which all but the first `count` are taken for zeros.
inline void round_lanes(const float* from, int count, uint16_t* to)
{
    const __m512 lanes = _mm512_maskz_loadu_ps((__mmask16)((1 << count) - 1), from);
    _mm256_storeu_si256((__m256i*)to, (__m256i)_mm512_cvtneps_pbh(lanes));
}
#else
// The same number for number, for tests on processors that have no such instructions: ties are rounded to
// even, and what is smaller than the smallest normal number is zero, whatever the processor's mode says.
struct Pairs {
    uint16_t v[2 * kWidth];
};

inline float flushed(float v) { return v < 1.17549435e-38f && v > -1.17549435e-38f ? v * 0.f : v; }

inline float widened(uint16_t v)
{
    const uint32_t bits = (uint32_t)v << 16;
    float wide;
    memcpy(&wide, &bits, sizeof(wide));
    return flushed(wide);
}

inline uint16_t rounded(float v)
{
    v = flushed(v);
    uint32_t bits;
    memcpy(&bits, &v, sizeof(bits));
    if (v != v)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

inline Pairs load_pairs(const uint16_t* from)
{
    Pairs pairs;
    memcpy(&pairs, from, sizeof(pairs));
    return pairs;
}

inline Pairs broadcast_pair(const uint16_t* from)
{
    Pairs pairs;
    for (int i = 0; i < 2 * kWidth; i++)
        pairs.v[i] = from[i % 2];
    return pairs;
}

inline Vec add_products(const Vec& sum, const Pairs& a, const Pairs& b)
{
    float sums[kWidth];
    store(sums, sum);
    for (int i = 0; i < kWidth; i++) {
        for (int k = 1; k >= 0; k--)
            sums[i] = flushed(sums[i] + widened(a.v[2 * i + k]) * widened(b.v[2 * i + k]));
    }
    return load(sums);
}

inline void round_lanes(const float* from, int count, uint16_t* to)
{
    for (int i = 0; i < kConvLanes; i++)
        to[i] = i < count ? rounded(from[i]) : 0;
}
#endif

// Weights of 16 outputs [inputs, 16] into pairs; `step` channels from one pair to the next. The last one of
// an odd number of inputs has a zero.
void narrow(const float* from, int inputs, uint16_t* to, int step)
{
    const uint16_t zeros[kConvLanes] = {};
    for (int i = 0; i < inputs; i += 2, from += 2 * kConvLanes, to += 2 * step) {
        uint16_t rows[2][kConvLanes];
        round_lanes(from, kConvLanes, rows[0]);
        if (i + 1 < inputs)
            round_lanes(from + kConvLanes, kConvLanes, rows[1]);
        else
            memcpy(rows[1], zeros, sizeof(zeros));
        for (int lane = 0; lane < kConvLanes; lane++) {
            to[2 * lane] = rows[0][lane];
            to[2 * lane + 1] = rows[1][lane];
        }
    }
}

template <typename Weight, int groups, int columns>
void gemm_block(const Weight* weights, const float* values, ptrdiff_t value_step, int inputs, float* sums,
                ptrdiff_t sum_step, bool add)
{
    const int vectors = groups * kParts;
    Vec total[columns][vectors];
    for (int t = 0; t < columns; t++) {
        for (int j = 0; j < vectors; j++) {
            const float* from = sums + j / kParts * sum_step + t * kConvLanes + j % kParts * kWidth;
            total[t][j] = add ? load(from) : broadcast(0.f);
        }
    }
    const uint16_t* weight = (const uint16_t*)weights;
    for (int first = 0; first < inputs; first += kConvLanes, values += value_step) {
        const int lanes = inputs - first < kConvLanes ? inputs - first : (int)kConvLanes;
        uint16_t rounded_values[columns][kConvLanes];
        for (int t = 0; t < columns; t++)
            round_lanes(values + t * kConvLanes, lanes, rounded_values[t]);
        for (int lane = 0; lane < lanes; lane += 2) {
            Pairs pairs[vectors];
            for (int j = 0; j < vectors; j++)
                pairs[j] = load_pairs(weight + j * 2 * kWidth);
            weight += vectors * 2 * kWidth;
            for (int t = 0; t < columns; t++) {
                const Pairs value = broadcast_pair(rounded_values[t] + lane);
                for (int j = 0; j < vectors; j++)
                    total[t][j] = add_products(total[t][j], value, pairs[j]);
            }
        }
    }
    for (int t = 0; t < columns; t++) {
        for (int j = 0; j < vectors; j++)
            store(sums + j / kParts * sum_step + t * kConvLanes + j % kParts * kWidth, total[t][j]);
    }
}
