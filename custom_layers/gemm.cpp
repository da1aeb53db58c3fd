#include "gemm.h"

#include <layer_type.h>

namespace custom_layers
{

int Gemm::create(bool trans_a, bool trans_b, const ncnn::Option& opt)
{
    layer_.reset(ncnn::create_layer_cpu(ncnn::LayerType::Gemm));
    if (!layer_)
        return -1;
    ncnn::ParamDict pd;
    pd.set(2, trans_a ? 1 : 0);
    pd.set(3, trans_b ? 1 : 0);
    pd.set(12, 1); // elempack of the result
    const int ret = layer_->load_param(pd);
    return ret != 0 ? ret : layer_->create_pipeline(helper_option(opt));
}

void Gemm::destroy(const ncnn::Option& opt)
{
    if (layer_)
        layer_->destroy_pipeline(helper_option(opt));
    layer_.reset();
}

int Gemm::run(const std::vector<ncnn::Mat>& abc, ncnn::Mat& result, const ncnn::Option& opt) const
{
    ncnn::Option helper = helper_option(opt);
    helper.blob_allocator = opt.blob_allocator;
    std::vector<ncnn::Mat> results(1);
    const int ret = layer_->forward(abc, results, helper);
    result = results[0];
    return ret != 0 || result.empty() ? -1 : 0;
}

ncnn::Mat matrix_view(const float* values, int rows, int columns, size_t step)
{
    // ncnn's Gemm takes the channels of a 3-D blob as rows, cstep apart.
    ncnn::Mat view(columns, 1, rows, const_cast<float*>(values));
    view.cstep = step;
    return view;
}

} // namespace custom_layers
