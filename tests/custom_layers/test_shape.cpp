// Layers that move pixels or make coordinates: Down2, Up2, Up4, CoordConcat, Transforms.
#include "check.h"
#include "net.h"

static const std::vector<std::vector<int>> kShapes = {{1, 1, 1}, {1, 4, 4}, {3, 5, 7},  {4, 1, 6},
                                                      {8, 6, 1}, {6, 9, 2}, {16, 8, 8}, {32, 17, 13}};

static void sweep(const char* type, const std::vector<int>& shape, const ncnn::Mat& x, const ncnn::Mat& want)
{
    for (const Mode& mode : all_modes()) {
        const Outcome got = run_layer(type, "", {x}, mode);
        const std::string what =
            text("%s x=[%d, %d, %d] %s", type, shape[0], shape[1], shape[2], mode.name().c_str());
        if (check(got.status == 0, "%s: %s", what.c_str(), got.error.c_str()))
            check_close(got.outputs[0], want, 0.0, what);
    }
}

TEST(shape, down2)
{
    for (const std::vector<int>& shape : kShapes) {
        const ncnn::Mat x = random_mat(shape, 1);
        ncnn::Mat want = zeros({shape[0], (shape[1] + 1) / 2, (shape[2] + 1) / 2});
        for (int c = 0; c < want.c; c++)
            for (int i = 0; i < want.h; i++)
                for (int j = 0; j < want.w; j++)
                    want.channel(c).row(i)[j] = x.channel(c).row(2 * i)[2 * j];
        sweep("Down2", shape, x, want);
    }
}

static void up(const char* type, int factor)
{
    for (const std::vector<int>& shape : kShapes) {
        const ncnn::Mat x = random_mat(shape, 1);
        ncnn::Mat want = zeros({shape[0], shape[1] * factor, shape[2] * factor});
        for (int c = 0; c < x.c; c++)
            for (int i = 0; i < x.h; i++)
                for (int j = 0; j < x.w; j++)
                    want.channel(c).row(factor * i)[factor * j] = x.channel(c).row(i)[j];
        sweep(type, shape, x, want);
    }
}

TEST(shape, up2) { up("Up2", 2); }

TEST(shape, up4) { up("Up4", 4); }

TEST(shape, coordconcat)
{
    for (const std::vector<int>& shape : kShapes) {
        const ncnn::Mat x = random_mat(shape, 1);
        std::vector<float> want = values_of(x);
        const int h = shape[1];
        const int w = shape[2];
        for (int i = 0; i < h * w; i++)
            want.push_back(w == 1 ? -1.f : (float)(-1.0 + 2.0 * (i % w) / (w - 1)));
        for (int i = 0; i < h * w; i++)
            want.push_back(h == 1 ? -1.f : (float)(-1.0 + 2.0 * (i / w) / (h - 1)));
        for (const Mode& mode : all_modes()) {
            const Outcome got = run_layer("CoordConcat", "0=0", {x}, mode);
            const std::string what = text("x=[%d, %d, %d] %s", shape[0], h, w, mode.name().c_str());
            if (check(got.status == 0, "%s: %s", what.c_str(), got.error.c_str()))
                check_close(got.outputs[0], mat_of({shape[0] + 2, h, w}, want), 1.2e-7, what);
        }
    }
}

TEST(shape, transforms)
{
    for (unsigned seed = 1; seed < 6; seed++) {
        const ncnn::Mat t = random_mat({4}, seed);
        const double r[2][3] = {{t[0], -t[1], 0}, {t[1], t[0], 0}};
        const double m[3][3] = {{1, 0, -t[2]}, {0, 1, -t[3]}, {0, 0, 1}};
        std::vector<float> want;
        for (int i = 0; i < 2; i++)
            for (int j = 0; j < 3; j++)
                want.push_back((float)(r[i][0] * m[0][j] + r[i][1] * m[1][j] + r[i][2] * m[2][j]));
        for (const Mode& mode : all_modes()) {
            const Outcome got = run_layer("Transforms", "", {t}, mode);
            if (check(got.status == 0, "seed=%u: %s", seed, got.error.c_str()))
                check_close(got.outputs[0], mat_of({2, 3}, want), 2e-7, text("seed=%u", seed));
        }
    }
}
