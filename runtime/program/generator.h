// A StyleGAN generator from a bundle's four files: mapping from latent to style, synthesis from style to
// picture.
#pragma once

#include "pictures.h"

#include <runtime/src/net.h>

#include <string>
#include <vector>

namespace stylegan
{

// w, [w_dim], or [rows, w_dim] with one for each style of the network.
struct Style {
    std::vector<float> values;
    int rows = 1;
};

struct Files {
    std::string mapping_param, mapping_bin, synthesis_param, synthesis_bin;
};

class Generator
{
public:
    // Raises a Fault that says which file, and which layer of it, where one cannot be loaded, is another net
    // than its place asks for, has inputs that nobody fills (labels, open noise), or is of another z_dim or
    // num_ws. transform: [3, 3] for a network that was exported with --transform-input, which all others are
    // without. fp16: products of convolutions in half precision; bf16: in bfloat16.
    Generator(const Files& files, int z_dim, int num_ws, std::vector<float> transform, bool fp16, bool bf16);

    int styles() const { return num_ws; }

    // What the affine layers, by which the others read their styles, make of them: by the names of their
    // blobs. Raises a Fault (input) where there are none, as in nets that are not of our export.
    std::vector<std::vector<float>> affine_outputs(const Style& ws) const;

    // The style of a latent z [z_dim], truncated by psi: 1 keeps it, 0 gives the mean one. Raises a Fault for
    // a style that is not finite, and for psi other than 1 where the network keeps no mean style.
    Style style(const std::vector<float>& z, float psi) const;

    // The picture of w0, with the style of w1 in the layers where mixing [num_ws] is 1. Raises a Fault for a
    // picture that is not finite.
    Picture picture(const Style& w0, const Style& w1, const std::vector<float>& mixing) const;
    Picture picture(const Style& w) const;

private:
    ncnn::Mat rows(const char* input, const Style& w) const;
    std::vector<std::pair<const char*, ncnn::Mat>> inputs(const Style& w0, const Style& w1,
                                                          const std::vector<float>& mixing) const;

    int num_ws;
    std::vector<float> transform;
    std::string mapping_file, synthesis_file; // for messages
    runtime::Net mapping, synthesis;
};

} // namespace stylegan
