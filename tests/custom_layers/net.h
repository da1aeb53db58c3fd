// Runs layers through a real ncnn::Net that is loaded from memory, in every mode that changes what a layer is
// given.
#pragma once

#include <net.h>

#include <string>
#include <vector>

struct Mode {
    int threads;
    bool packing;
    bool lightmode;

    std::string name() const;
};

// threads 1 and 2, packed layout on and off, lightmode on and off
const std::vector<Mode>& all_modes();

// ncnn's option for it, in float32: on ARM ncnn computes in float16 where it is not told otherwise.
ncnn::Option option_of(const Mode& mode);

struct Outcome {
    int status = -1;   // 0, or what ncnn returned
    std::string error; // what our layer reported
    std::vector<ncnn::Mat> outputs;
};

// `param` is the text without its two header lines; blobs in0, in1 ... are fed from `inputs` and out0, out1
// ... are read. `stream` hands the weights over by reading (as from a file) instead of by reference.
Outcome run_net(const std::string& param, const std::vector<float>& weights,
                const std::vector<ncnn::Mat>& inputs, int outputs, const Mode& mode, bool stream = false);

// One layer with its inputs and outputs: `Type under_test n m in0 .. out0 .. params`.
Outcome run_layer(const std::string& type, const std::string& params, const std::vector<ncnn::Mat>& inputs,
                  const Mode& mode, int outputs = 1, const std::vector<float>& weights = {});

// The lines of a param file for such a layer.
std::string layer_text(const std::string& type, const std::string& params, int inputs, int outputs);

// A float for a param file.
std::string num(float value);

// Blobs of the given sizes, outer first (1 to 4 of them), of values between low and high; the same for the
// same seed.
ncnn::Mat random_mat(const std::vector<int>& shape, unsigned seed, float low = -2.f, float high = 2.f);
ncnn::Mat zeros(const std::vector<int>& shape);

// A blob as plain values, and back.
std::vector<float> values_of(const ncnn::Mat& m);
ncnn::Mat mat_of(const std::vector<int>& shape, const std::vector<float>& values);
std::vector<int> shape_of(const ncnn::Mat& m);
