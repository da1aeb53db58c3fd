#include "fmatmul.h"

#include "param_ids.h"

#include <algorithm>

namespace custom_layers
{

// Below this many rows of x, dot products beat ncnn's Gemm, which first has to repack all of w.
static const int kGemmRows = 4;

int Fmatmul::load_param(const ncnn::ParamDict& pd)
{
    ParamReader reader(*this, pd);
    num_output_ = reader.integer(param::Fmatmul::num_output, "num_output", 0, 1);
    bias_term_ = reader.integer(param::Fmatmul::bias_term, "bias_term", 0, 0, 1) != 0;
    weight_data_size_ = reader.integer(param::Fmatmul::weight_data_size, "weight_data_size", 0, 1);
    const int int8 = reader.integer(param::Fmatmul::int8_scale_term, "int8_scale_term", 0, INT_MIN);
    if (reader.status() != 0)
        return -1;
    if (int8 != 0)
        return fail(*this, "int8 weights are not supported: expects int8_scale_term=0, got %d", int8);
    if (weight_data_size_ % num_output_ != 0)
        return fail(*this, "expects weight_data_size = num_output * inputs, got %d for num_output=%d",
                    weight_data_size_, num_output_);
    if (activation_.load(*this, reader, param::Fmatmul::activation_type, param::Fmatmul::activation_params) !=
        0)
        return -1;
    const int inputs = bias_term_ ? 3 : 2;
    return check_io(*this, inputs, inputs, 1, 1);
}

int Fmatmul::create_pipeline(const ncnn::Option& opt)
{
    if (gemm_.create(false, true, opt) != 0)
        return fail(*this, "needs ncnn's Gemm, which this ncnn was built without");
    return 0;
}

int Fmatmul::destroy_pipeline(const ncnn::Option& opt)
{
    gemm_.destroy(opt);
    return 0;
}

// Sixteen sums side by side: vector registers to fill, and less rounding error than one running sum.
static float dot(const float* a, const float* b, int count)
{
    float sums[16] = {};
    int i = 0;
    for (; i + 16 <= count; i += 16) {
        for (int k = 0; k < 16; k++)
            sums[k] += a[i + k] * b[i + k];
    }
    for (int k = 0; i < count; i++, k++)
        sums[k] += a[i] * b[i];
    for (int width = 8; width > 0; width /= 2) {
        for (int k = 0; k < width; k++)
            sums[k] += sums[k + width];
    }
    return sums[0];
}

int Fmatmul::forward(const std::vector<ncnn::Mat>& bottom_blobs, std::vector<ncnn::Mat>& top_blobs,
                     const ncnn::Option& opt) const
{
    const int inputs = bias_term_ ? 3 : 2;
    if (check_blobs(*this, bottom_blobs, inputs, inputs) != 0)
        return -1;
    const ncnn::Mat& x = bottom_blobs[0];
    const ncnn::Mat& w = bottom_blobs[1];
    const int in = weight_data_size_ / num_output_;
    if (x.dims > 2 || x.w != in || value_count(w) != (size_t)weight_data_size_)
        return fail(*this, "expects x of [%d] or [rows, %d] and w of %d * %d values, got %s", in, in,
                    num_output_, in, shape_string(bottom_blobs).c_str());
    if (bias_term_ && (bottom_blobs[2].dims != 1 || bottom_blobs[2].w != num_output_))
        return fail(*this, "expects b of [%d], got %s", num_output_, shape_string(bottom_blobs).c_str());
    if (!gemm_.created())
        return fail(*this, "create_pipeline was not called");

    // Rows of w that are channels have gaps between them; any other gap takes a copy to get rid of.
    ncnn::Mat flat;
    const float* weight = w;
    size_t step = in;
    if (w.dims > 2 && w.c == num_output_) {
        step = w.cstep;
    } else if (w.dims > 2) {
        flat = flatten(w, opt);
        if (flat.empty())
            return fail(*this, "out of memory for w of %s", shape_string(w).c_str());
        weight = flat;
    }
    const float* bias = bias_term_ ? (const float*)bottom_blobs[2] : nullptr;

    ncnn::Mat& y = top_blobs[0];
    const int rows = x.dims == 2 ? x.h : 1;
    if (rows >= kGemmRows) {
        std::vector<ncnn::Mat> operands = {x, matrix_view(weight, num_output_, in, step)};
        if (bias)
            operands.push_back(ncnn::Mat(num_output_, 1, const_cast<float*>(bias)));
        if (gemm_.run(operands, y, opt) != 0)
            return fail(*this, "ncnn's Gemm failed for %s", shape_string(bottom_blobs).c_str());
    } else {
        if (x.dims == 2)
            y.create(num_output_, rows, 4u, opt.blob_allocator);
        else
            y.create(num_output_, 4u, opt.blob_allocator);
        if (y.empty())
            return fail(*this, "out of memory for [%d, %d]", rows, num_output_);
        for (int r = 0; r < rows; r++) {
            const float* from = x.row(r);
            float* to = y.row(r);
            const int threads = weight_data_size_ < 16384 ? 1 : std::max(opt.num_threads, 1);
#pragma omp parallel for num_threads(threads)
            for (int o = 0; o < num_output_; o++)
                to[o] = dot(from, weight + step * o, in) + (bias ? bias[o] : 0.f);
        }
    }
    activation_.apply(y, opt);
    return 0;
}

} // namespace custom_layers
