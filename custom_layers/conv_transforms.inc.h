// Winograd's transforms along one axis, for conv_kernels.inc.h. F(m, r) makes m pixels of a filter with r
// taps from m + r - 1 pixels d with as many products; Toom-Cook points are named beside each. The transforms
// of the weights are in conv.cpp.

// F(6, 3) at 0, 1, -1, 2, -2, 1/2, -1/2, infinity.
struct Winograd6 {
    enum { kTile = 8, kStep = 6, kValues = 8, kPixels = 6 };

    static inline void input(const Vec* d, Vec* v)
    {
        const Vec c525 = broadcast(5.25f), c425 = broadcast(4.25f), c25 = broadcast(2.5f),
                  c125 = broadcast(1.25f);
        const Vec two = broadcast(2.f), half = broadcast(0.5f), four = broadcast(4.f),
                  quarter = broadcast(0.25f);
        v[0] = multiply_add(d[4] - d[2], c525, d[0] - d[6]);
        v[7] = multiply_add(d[3] - d[5], c525, d[7] - d[1]);
        Vec even = multiply_subtract(d[4], c425, d[2] + d[6]);
        Vec odd = multiply_subtract(d[3], c425, d[1] + d[5]);
        v[1] = even + odd;
        v[2] = even - odd;
        even = multiply_subtract(d[4], c125, multiply_add(d[2], quarter, d[6]));
        odd = multiply_add(d[5], two, multiply_subtract(d[3], c25, d[1] * half));
        v[3] = even + odd;
        v[4] = even - odd;
        even = multiply_add(multiply_subtract(d[4], c125, d[2]), four, d[6]);
        odd = multiply_add(d[5], half, multiply_subtract(d[3], c25, d[1] * two));
        v[5] = even + odd;
        v[6] = even - odd;
    }

    static inline void output(const Vec* m, Vec* y)
    {
        const Vec a = m[1] + m[2], b = m[1] - m[2];
        const Vec c = m[3] + m[4], d = m[3] - m[4];
        const Vec e = m[5] + m[6], f = m[5] - m[6];
        y[0] = m[0] + a + c + e;
        y[1] = multiply_add(f, broadcast(0.5f), multiply_add(d, broadcast(2.f), b));
        y[2] = multiply_add(e, broadcast(0.25f), multiply_add(c, broadcast(4.f), a));
        y[3] = multiply_add(f, broadcast(0.125f), multiply_add(d, broadcast(8.f), b));
        y[4] = multiply_add(e, broadcast(0.0625f), multiply_add(c, broadcast(16.f), a));
        y[5] = multiply_add(f, broadcast(0.03125f), multiply_add(d, broadcast(32.f), m[7] + b));
    }
};

// F(4, 3) at 0, 1, -1, 1/2, -1/2, infinity: a third of the rounding error that 2 and -2 in place of the
// halves give.
struct Winograd4 {
    enum { kTile = 6, kStep = 4, kValues = 6, kPixels = 4 };

    static inline void input(const Vec* d, Vec* v)
    {
        const Vec c125 = broadcast(1.25f), half = broadcast(0.5f), quarter = broadcast(0.25f);
        v[0] = multiply_subtract(d[2], c125, multiply_add(d[0], quarter, d[4]));
        v[5] = multiply_subtract(d[3], c125, multiply_add(d[1], quarter, d[5]));
        Vec even = multiply_subtract(d[2], quarter, d[4]);
        Vec odd = multiply_subtract(d[1], quarter, d[3]);
        v[1] = even + odd;
        v[2] = even - odd;
        even = d[4] - d[2];
        odd = (d[3] - d[1]) * half;
        v[3] = even + odd;
        v[4] = even - odd;
    }

    static inline void output(const Vec* m, Vec* y)
    {
        const Vec a = m[1] + m[2], b = m[1] - m[2];
        const Vec c = m[3] + m[4], d = m[3] - m[4];
        y[0] = m[0] + a + c;
        y[1] = multiply_add(d, broadcast(0.5f), b);
        y[2] = multiply_add(c, broadcast(0.25f), a);
        y[3] = multiply_add(d, broadcast(0.125f), m[5] + b);
    }
};

// A transposed convolution of stride 2 with taps w0, w1, w2: pixel 2q is w2 * d[q - 1] + w0 * d[q], which is
// F(5, 2) at the points of F(4, 3), and pixel 2q + 1 is w1 * d[q], one product with the pixel as it is.
struct UpWinograd {
    enum { kTile = 6, kStep = 5, kValues = 11, kPixels = 10 };

    static inline void input(const Vec* d, Vec* v)
    {
        Winograd4::input(d, v);
        for (int i = 0; i < 5; i++)
            v[6 + i] = d[1 + i];
    }

    static inline void output(const Vec* m, Vec* y)
    {
        const Vec a = m[1] + m[2], b = m[1] - m[2];
        const Vec c = m[3] + m[4], d = m[3] - m[4];
        y[0] = m[0] + a + c;
        y[2] = multiply_add(d, broadcast(0.5f), b);
        y[4] = multiply_add(c, broadcast(0.25f), a);
        y[6] = multiply_add(d, broadcast(0.125f), b);
        y[8] = multiply_add(c, broadcast(0.0625f), m[5] + a);
        for (int i = 0; i < 5; i++)
            y[2 * i + 1] = m[6 + i];
    }
};

// The same without a transform: the four phases of a pixel and its neighbours before it.
struct UpDirect {
    enum { kTile = 2, kStep = 1, kValues = 2, kPixels = 2 };

    static inline void input(const Vec* d, Vec* v)
    {
        v[0] = d[0];
        v[1] = d[1];
    }

    static inline void output(const Vec* m, Vec* y)
    {
        y[0] = m[0];
        y[1] = m[1];
    }
};
