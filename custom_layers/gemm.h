// ncnn's matrix product as a helper of our layers: it brings the instruction sets that ncnn chooses at run
// time.
#pragma once

#include "checks.h"

#include <memory>

namespace custom_layers
{

class Gemm
{
public:
    // In create_pipeline. `trans_a`: A is given as [K, M]; `trans_b`: B is given as [N, K].
    int create(bool trans_a, bool trans_b, const ncnn::Option& opt);
    void destroy(const ncnn::Option& opt);
    bool created() const { return layer_ != nullptr; }

    // [M, N] = A * B (+ C of [1, N]) as a 2-D unpacked blob from opt.blob_allocator.
    int run(const std::vector<ncnn::Mat>& abc, ncnn::Mat& result, const ncnn::Option& opt) const;

private:
    std::unique_ptr<ncnn::Layer> layer_;
};

// `rows` rows of `columns` values whose starts are `step` values apart, as an operand of Gemm; nothing is
// copied.
ncnn::Mat matrix_view(const float* values, int rows, int columns, size_t step);

} // namespace custom_layers
