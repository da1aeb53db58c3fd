#include "median.h"

#include <algorithm>
#include <vector>

Median::Median()
{
    one_blob_only = true;
    support_inplace = false;
}

int Median::load_param(const ncnn::ParamDict& pd)
{
    radius = pd.get(0, 1);
    if (radius < 1 || radius > 16) {
        NCNN_LOGE("Median: radius is %d, and has to be 1 to 16", radius);
        return -1;
    }
    return 0;
}

// [C, H, W] -> the same: beyond the border the nearest number counts.
int Median::forward(const ncnn::Mat& bottom_blob, ncnn::Mat& top_blob, const ncnn::Option& opt) const
{
    const int w = bottom_blob.w, h = bottom_blob.h, channels = bottom_blob.c;
    if (bottom_blob.dims != 3) {
        NCNN_LOGE("Median: the input has %d dimensions, and has to have 3", bottom_blob.dims);
        return -1;
    }
    top_blob.create(w, h, channels, sizeof(float), opt.blob_allocator);
    if (top_blob.empty())
        return -100;

#pragma omp parallel for num_threads(opt.num_threads)
    for (int c = 0; c < channels; c++) {
        const ncnn::Mat from = bottom_blob.channel(c);
        ncnn::Mat to = top_blob.channel(c);
        std::vector<float> window;
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++) {
                window.clear();
                for (int i = y - radius; i <= y + radius; i++)
                    for (int j = x - radius; j <= x + radius; j++)
                        window.push_back(from.row(std::clamp(i, 0, h - 1))[std::clamp(j, 0, w - 1)]);
                const auto middle = window.begin() + (std::ptrdiff_t)(window.size() / 2);
                std::nth_element(window.begin(), middle, window.end());
                to.row(y)[x] = *middle;
            }
    }
    return 0;
}
