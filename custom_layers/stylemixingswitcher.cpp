#include "stylemixingswitcher.h"

#include "lerp.h"
#include "param_ids.h"

namespace custom_layers
{

int StyleMixingSwitcher::load_param(const ncnn::ParamDict& pd)
{
    ParamReader reader(*this, pd);
    ws_i_ = reader.integer(param::StyleMixingSwitcher::ws_i, "ws_i", 0, 0);
    if (reader.status() != 0)
        return -1;
    return check_io(*this, 3, 3, 1, 1);
}

int StyleMixingSwitcher::forward(const std::vector<ncnn::Mat>& bottom_blobs,
                                 std::vector<ncnn::Mat>& top_blobs, const ncnn::Option& opt) const
{
    if (check_blobs(*this, bottom_blobs, 3, 3) != 0)
        return -1;
    const ncnn::Mat& mixing = bottom_blobs[2];
    const float* styles[2];
    bool ok = mixing.dims == 1 && ws_i_ < mixing.w && bottom_blobs[0].w == bottom_blobs[1].w;
    for (int i = 0; i < 2; i++) {
        const ncnn::Mat& ws = bottom_blobs[i];
        ok = ok && (ws.dims == 1 || (ws.dims == 2 && ws_i_ < ws.h));
        styles[i] = ok && ws.dims == 2 ? ws.row(ws_i_) : (const float*)ws;
    }
    if (!ok)
        return fail(*this,
                    "expects ws0 and ws1 of [w_dim] or [num_ws, w_dim] and mixing of [num_ws] with num_ws of "
                    "at least "
                    "%d (ws_i is %d), got %s",
                    ws_i_ + 1, ws_i_, shape_string(bottom_blobs).c_str());

    const int w_dim = bottom_blobs[0].w;
    ncnn::Mat& y = top_blobs[0];
    y.create(w_dim, 4u, opt.blob_allocator);
    if (y.empty())
        return fail(*this, "out of memory for [%d]", w_dim);
    const float m = mixing[ws_i_];
    for (int i = 0; i < w_dim; i++)
        y[i] = lerp_value(styles[0][i], styles[1][i], m);
    return 0;
}

} // namespace custom_layers
