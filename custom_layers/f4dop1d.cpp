#include "f4dop1d.h"

#include "param_ids.h"

namespace custom_layers
{

int F4DOp1D::load_param(const ncnn::ParamDict& pd)
{
    ParamReader reader(*this, pd);
    dim_ = reader.integer(param::F4DOp1D::dim, "dim", 0, 0, 3);
    op_ = reader.integer(param::F4DOp1D::op, "op", 0, 0, 3);
    if (reader.status() != 0)
        return -1;
    return check_io(*this, 2, 2, 1, 1);
}

// A channel is seen as [outer][axis][inner], axis being the one that v runs along.
template <typename F>
static void apply(const ncnn::Mat& x, const float* v, int dim, ncnn::Mat& y, const ncnn::Option& opt,
                  const F& f)
{
    const int outer = dim == 3 ? x.d * x.h : dim == 2 ? x.d : 1;
    const int axis = dim == 3 ? x.w : dim == 2 ? x.h : dim == 1 ? x.d : 1;
    const int inner = dim == 3 ? 1 : dim == 2 ? x.w : dim == 1 ? x.h * x.w : x.d * x.h * x.w;

#pragma omp parallel for num_threads(opt.num_threads)
    for (int c = 0; c < x.c; c++) {
        const float* from = (const float*)x.data + x.cstep * c;
        float* to = (float*)y.data + y.cstep * c;
        for (int o = 0; o < outer; o++) {
            if (inner == 1) {
                const float* values = dim == 0 ? v + c : v;
                for (int a = 0; a < axis; a++)
                    to[a] = f(from[a], values[a]);
                from += axis;
                to += axis;
                continue;
            }
            for (int a = 0; a < axis; a++) {
                const float value = v[dim == 0 ? c : a];
                for (int i = 0; i < inner; i++)
                    to[i] = f(from[i], value);
                from += inner;
                to += inner;
            }
        }
    }
}

int F4DOp1D::forward(const std::vector<ncnn::Mat>& bottom_blobs, std::vector<ncnn::Mat>& top_blobs,
                     const ncnn::Option& opt) const
{
    if (check_blobs(*this, bottom_blobs, 2, 2) != 0)
        return -1;
    const ncnn::Mat& x = bottom_blobs[0];
    const ncnn::Mat& given = bottom_blobs[1];
    const int axes[4] = {x.c, x.d, x.h, x.w};
    if (x.dims != 4 || value_count(given) != (size_t)axes[dim_])
        return fail(*this, "expects x of [C, D, H, W] and v with as many numbers as its axis %d, got %s",
                    dim_, shape_string(bottom_blobs).c_str());
    const ncnn::Mat v = flatten(given, opt); // [N, 1, 1, 1] has gaps
    if (v.empty())
        return fail(*this, "out of memory for %s", shape_string(bottom_blobs).c_str());

    ncnn::Mat& y = top_blobs[0];
    y.create(x.w, x.h, x.d, x.c, 4u, opt.blob_allocator);
    if (y.empty())
        return fail(*this, "out of memory for %s", shape_string(x).c_str());
    switch (op_) {
    case 0:
        apply(x, v, dim_, y, opt, [](float a, float b) { return a * b; });
        break;
    case 1:
        apply(x, v, dim_, y, opt, [](float a, float b) { return a / b; });
        break;
    case 2:
        apply(x, v, dim_, y, opt, [](float a, float b) { return a + b; });
        break;
    default:
        apply(x, v, dim_, y, opt, [](float a, float b) { return a - b; });
        break;
    }
    return 0;
}

} // namespace custom_layers
