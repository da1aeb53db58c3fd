#pragma once

#include <net.h>

#include <cstdint>
#include <string>
#include <vector>

namespace faces
{

/// z of a seed, as numpy.random.RandomState(seed).randn(count) has it.
std::vector<float> latent(uint32_t seed, int count);

/// A StyleGAN of two nets, exported with `--target stock`: unmodified ncnn runs them. Without exceptions, as
/// ncnn is built for Android.
class Generator
{
public:
    /// prefix: of PREFIX_mapping.param and the three others. Returns what is wrong, or nothing.
    std::string load(const std::string& prefix, int threads);

    int num_ws() const { return num_ws_; }

    /// argb: side x side pixels, 0xAARRGGBB. Styles from `first` on are those of the seed `other`. Returns as
    /// load().
    std::string picture(uint32_t seed, uint32_t other, int first, float psi, std::vector<uint32_t>& argb);

private:
    std::string style(uint32_t seed, float psi, ncnn::Mat& w);

    ncnn::Net mapping_, synthesis_;
    bool truncates_ = false;
    int z_dim_ = 0, w_dim_ = 0, num_ws_ = 0;
};

} // namespace faces
