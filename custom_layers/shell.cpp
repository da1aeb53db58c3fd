#include "shell.h"

#include "param_ids.h"

#include <string.h>

namespace custom_layers
{

int Shell::load_param(const ncnn::ParamDict& pd)
{
    ParamReader reader(*this, pd);
    w_ = reader.integer(param::Shell::w, "w", 0, 1);
    h_ = reader.integer(param::Shell::h, "h", 1, 1);
    c_ = reader.integer(param::Shell::c, "c", 1, 1);
    d_ = reader.integer(param::Shell::d, "d", 1, 1);
    dims_ = reader.integer(param::Shell::dims, "dims", 4, 1, 4);
    bias_term_ = reader.integer(param::Shell::bias_term, "bias_term", 0, 0, 1) != 0;
    weight_data_size_ = reader.integer(param::Shell::weight_data_size, "weight_data_size", 0, 1);
    if (reader.status() != 0)
        return -1;

    // Divided rather than multiplied: the product of four sizes may not fit.
    const int left = weight_data_size_ / w_ / h_ / d_;
    if (left != c_ || (int64_t)w_ * h_ * d_ * c_ != weight_data_size_)
        return fail(*this,
                    "expects weight_data_size = c * d * h * w, got weight_data_size=%d for [%d, %d, %d, %d]",
                    weight_data_size_, c_, d_, h_, w_);
    if ((dims_ < 4 && d_ != 1) || (dims_ < 3 && c_ != 1) || (dims_ < 2 && h_ != 1))
        return fail(*this, "expects sizes of 1 where dims=%d drops them, got [c=%d, d=%d, h=%d, w=%d]", dims_,
                    c_, d_, h_, w_);
    const int outputs = bias_term_ ? 2 : 1;
    return check_io(*this, 0, 1, outputs, outputs);
}

// A model in memory is handed over without a copy and without a reference counter. ncnn reads that counter
// before it runs a layer in place, so a blob of ours must have one. Not Mat::clone: that copies whole 16-byte
// groups and so reads beyond the end of memory that ncnn did not allocate.
static ncnn::Mat owned(const ncnn::Mat& m)
{
    if (m.empty() || m.refcount)
        return m;
    ncnn::Mat copy;
    copy.create_like(m);
    if (copy.empty())
        return copy;
    const size_t size = (size_t)m.w * m.h * m.d;
    for (int c = 0; c < m.c; c++)
        memcpy((float*)copy.data + copy.cstep * c, (const float*)m.data + m.cstep * c, size * sizeof(float));
    return copy;
}

int Shell::load_model(const ncnn::ModelBin& mb)
{
    const ncnn::Mat values = mb.load(weight_data_size_, 0);
    if (values.empty() || values.elembits() != 32)
        return fail(*this, "expects %d weights as float32 or float16 in the model file, got %s",
                    weight_data_size_, values.empty() ? "too few bytes" : "another type");
    if (dims_ == 4)
        weight_ = values.reshape(w_, h_, d_, c_);
    else if (dims_ == 3)
        weight_ = values.reshape(w_, h_, c_);
    else if (dims_ == 2)
        weight_ = values.reshape(w_, h_);
    else
        weight_ = values;
    if (bias_term_) {
        bias_ = mb.load(c_, 1);
        if (bias_.empty() || bias_.elembits() != 32)
            return fail(*this, "expects %d bias values as float32 in the model file, got %s", c_,
                        bias_.empty() ? "too few bytes" : "another type");
    }

    weight_ = owned(weight_);
    bias_ = owned(bias_);
    if (weight_.empty() || (bias_term_ && bias_.empty()))
        return fail(*this, "out of memory for %d weights", weight_data_size_);
    return 0;
}

int Shell::forward(const std::vector<ncnn::Mat>& bottom_blobs, std::vector<ncnn::Mat>& top_blobs,
                   const ncnn::Option&) const
{
    if (bottom_blobs.size() > 1)
        return fail(*this, "expects at most 1 input, got %s", shape_string(bottom_blobs).c_str());
    const size_t outputs = bias_term_ ? 2 : 1;
    if (top_blobs.size() != outputs)
        return fail(*this, "expects %zu outputs, got %zu", outputs, top_blobs.size());
    if (weight_.empty())
        return fail(*this, "has no weights: load_model was not called or failed");
    top_blobs[0] = weight_;
    if (bias_term_)
        top_blobs[1] = bias_;
    return 0;
}

} // namespace custom_layers
