// Layers of two or three inputs: AddNoise, Lerp, StyleMixingSwitcher, F4DOp1D.
#include "check.h"
#include "net.h"

#include <custom_layers/addnoise.h>

#include <math.h>

TEST(binary, addnoise)
{
    for (const std::vector<int>& shape :
         {std::vector<int>{1, 5, 4}, {3, 4, 4}, {4, 1, 9}, {8, 7, 3}, {16, 16, 8}, {32, 33, 31}}) {
        const int h = shape[1];
        const int w = shape[2];
        const ncnn::Mat x = random_mat(shape, 5);
        const std::vector<float> plane = values_of(random_mat({h * w}, 6));
        ncnn::Mat want = x.clone();
        for (int c = 0; c < want.c; c++) {
            for (int i = 0; i < h * w; i++)
                want.channel(c)[i] += plane[i];
        }
        for (const std::vector<int>& as :
             {std::vector<int>{h * w}, {h, w}, {1, h, w}, {1, 1, h, w}, {h, 1, w}, {h, 1, 1, w}}) {
            for (const Mode& mode : all_modes()) {
                const Outcome got = run_layer("AddNoise", "", {x, mat_of(as, plane)}, mode);
                const std::string what = text("x=[%d, %d, %d] noise dims=%zu first=%d %s", shape[0], h, w,
                                              as.size(), as[0], mode.name().c_str());
                if (check(got.status == 0, "%s: %s", what.c_str(), got.error.c_str()))
                    check_close(got.outputs[0], want, 0.0, what);
            }
        }
        for (int pack : {4, 8, 16}) {
            if (shape[0] % pack != 0)
                continue;
            custom_layers::AddNoise layer;
            ncnn::Option opt;
            std::vector<ncnn::Mat> blobs(2);
            ncnn::convert_packing(x, blobs[0], pack, opt);
            blobs[1] = mat_of({h, w}, plane);
            ncnn::Mat y;
            check(layer.forward_inplace(blobs, opt) == 0, "pack=%d failed", pack);
            ncnn::convert_packing(blobs[0], y, 1, opt);
            check_close(y, want, 0.0, text("pack=%d x=[%d, %d, %d]", pack, shape[0], h, w));
        }
    }
}

TEST(binary, lerp)
{
    for (const std::vector<int>& shape : {std::vector<int>{1},
                                          {512},
                                          {7},
                                          {3, 5},
                                          {16, 512},
                                          {3, 4, 5},
                                          {32, 5, 7},
                                          {4, 2, 3, 3},
                                          {3, 2, 1, 5}}) {
        const std::vector<float> a = values_of(random_mat(shape, 1));
        const std::vector<float> b = values_of(random_mat(shape, 2));
        for (int option = 0; option < 5; option++) {
            // option 4: a coefficient per value, exact ends among them
            std::vector<float> t = option < 4 ? std::vector<float>{option == 0   ? 0.f
                                                                   : option == 1 ? 1.f
                                                                                 : 0.7f * option}
                                              : values_of(random_mat(shape, 3, -0.5f, 1.5f));
            if (option == 4)
                t[0] = 1.f;
            std::vector<float> want(a.size());
            for (size_t i = 0; i < a.size(); i++) {
                const float ti = t[option < 4 ? 0 : i];
                want[i] = ti == 1.f ? b[i] : (float)(a[i] + (double)ti * ((double)b[i] - a[i]));
            }
            for (const Mode& mode : all_modes()) {
                const ncnn::Mat coeff = option < 4 ? mat_of({1}, t) : mat_of(shape, t);
                const Outcome got = run_layer("Lerp", "", {mat_of(shape, a), mat_of(shape, b), coeff}, mode);
                const std::string what = text("option=%d dims=%zu first=%d %s", option, shape.size(),
                                              shape[0], mode.name().c_str());
                if (check(got.status == 0, "%s: %s", what.c_str(), got.error.c_str()))
                    check_close(got.outputs[0], mat_of(shape, want), option < 2 ? 0.0 : 2e-7, what);
            }
        }
    }
}

TEST(binary, lerp_is_exact_at_the_ends)
{
    // 1e8 + 1 * (1 - 1e8) is 0 in float
    const ncnn::Mat a = mat_of({2}, {1e8f, NAN});
    const ncnn::Mat b = mat_of({2}, {1.f, 2.f});
    for (const Mode& mode : all_modes()) {
        check_close(run_layer("Lerp", "", {a, b, mat_of({1}, {1.f})}, mode).outputs.at(0), b, 0.0, "coeff 1");
        check_close(run_layer("Lerp", "", {a, b, mat_of({1}, {0.f})}, mode).outputs.at(0), a, 0.0, "coeff 0");
    }
}

TEST(binary, stylemixingswitcher)
{
    const int num_ws = 6;
    for (int w_dim : {1, 5, 512}) {
        const ncnn::Mat rows0 = random_mat({num_ws, w_dim}, 1);
        const ncnn::Mat rows1 = random_mat({num_ws, w_dim}, 2);
        const ncnn::Mat mixing = mat_of({num_ws}, {0.f, 1.f, 0.3f, 1.f, 0.f, -0.5f});
        for (int ws_i = 0; ws_i < num_ws; ws_i++) {
            for (int form = 0; form < 4; form++) {
                const ncnn::Mat ws0 = form % 2 ? rows0 : mat_of({w_dim}, values_of(rows0.row_range(3, 1)));
                const ncnn::Mat ws1 = form / 2 ? rows1 : mat_of({w_dim}, values_of(rows1.row_range(2, 1)));
                const float m = mixing[ws_i];
                std::vector<float> want(w_dim);
                for (int i = 0; i < w_dim; i++) {
                    const float a = rows0.row(form % 2 ? ws_i : 3)[i];
                    const float b = rows1.row(form / 2 ? ws_i : 2)[i];
                    want[i] = m == 1.f ? b : (float)(a + (double)m * ((double)b - a));
                }
                for (const Mode& mode : all_modes()) {
                    const Outcome got =
                        run_layer("StyleMixingSwitcher", text("0=%d", ws_i), {ws0, ws1, mixing}, mode);
                    const std::string what =
                        text("ws_i=%d w_dim=%d form=%d %s", ws_i, w_dim, form, mode.name().c_str());
                    if (check(got.status == 0, "%s: %s", what.c_str(), got.error.c_str()))
                        check_close(got.outputs[0], mat_of({w_dim}, want), m == 0.f || m == 1.f ? 0.0 : 2e-7,
                                    what);
                }
            }
        }
    }
}

// The numbers of v lie in whatever shape; in [N, 1, 1, 1] they are not contiguous.
TEST(binary, f4dop1d_shape_of_v)
{
    const ncnn::Mat x = random_mat({6, 3, 2, 5}, 7);
    const std::vector<float> numbers = values_of(random_mat({6}, 8));
    const ncnn::Mat v = mat_of({6}, numbers);
    for (const std::vector<int>& shape :
         {std::vector<int>{1, 1, 1, 6}, {6, 1, 1, 1}, {1, 6}, {6, 1}, {2, 3}, {3, 1, 2}, {1, 6, 1, 1}})
        for (const Mode& mode : all_modes()) {
            const Outcome want = run_layer("F4DOp1D", "0=0 1=0", {x, v}, mode);
            const Outcome got = run_layer("F4DOp1D", "0=0 1=0", {x, mat_of(shape, numbers)}, mode);
            if (check(got.status == 0 && want.status == 0, "%s", got.error.c_str()))
                check_close(got.outputs[0], want.outputs[0], 0, "shape of v");
        }
}

TEST(binary, f4dop1d)
{
    for (const std::vector<int>& shape : {std::vector<int>{1, 1, 1, 1},
                                          {5, 3, 3, 3},
                                          {4, 1, 2, 7},
                                          {16, 8, 1, 1},
                                          {3, 6, 5, 1},
                                          {32, 16, 3, 3}}) {
        const ncnn::Mat x = random_mat(shape, 7);
        for (int dim = 0; dim < 4; dim++) {
            const ncnn::Mat v = random_mat({shape[dim]}, 8, 0.5f, 2.f);
            for (int op = 0; op < 4; op++) {
                std::vector<float> want = values_of(x);
                size_t n = 0;
                int at[4];
                for (at[0] = 0; at[0] < shape[0]; at[0]++)
                    for (at[1] = 0; at[1] < shape[1]; at[1]++)
                        for (at[2] = 0; at[2] < shape[2]; at[2]++)
                            for (at[3] = 0; at[3] < shape[3]; at[3]++, n++) {
                                const float b = v[at[dim]];
                                want[n] = op == 0   ? want[n] * b
                                          : op == 1 ? want[n] / b
                                          : op == 2 ? want[n] + b
                                                    : want[n] - b;
                            }
                for (const Mode& mode : all_modes()) {
                    const Outcome got = run_layer("F4DOp1D", text("0=%d 1=%d", dim, op), {x, v}, mode);
                    const std::string what = text("dim=%d op=%d x=[%d, %d, %d, %d] %s", dim, op, shape[0],
                                                  shape[1], shape[2], shape[3], mode.name().c_str());
                    if (check(got.status == 0, "%s: %s", what.c_str(), got.error.c_str()))
                        check_close(got.outputs[0], mat_of(shape, want), 1e-7, what);
                }
            }
        }
    }
}
