// An ncnn net that was checked while it was loaded, and that is checked again, layer by layer, while it runs.
#pragma once

#include "checks.h"
#include "param_text.h"
#include "pool.h"

#include <net.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace runtime
{

// Everything that changes the numbers or the speed. The defaults are full float32: the half-precision storage
// that ncnn itself switches on costs 0.02 of error on a generated picture, and bf16 is slower on most CPUs.
struct Options {
    int threads = 1;
    bool fp16_storage = false, fp16_packed = false, fp16_arithmetic = false, bf16_storage = false;
    bool bf16_arithmetic = false;
    bool winograd = true, sgemm = true, packing = true, lightmode = true, vulkan = false;
    size_t memory_limit = SIZE_MAX; // bytes, for all blobs together
    bool guard = false;     // each blob between pages that nobody may touch: for nets that nobody trusts
    bool any_shape = false; // inputs of other shapes than the file states, which ncnn does not look at
};

// What a run says of itself while it goes on, and what it is told. Also across processes.
struct Progress {
    std::atomic<int> layer{-1};    // the number of the layer that runs
    std::atomic<bool> stop{false}; // set by others: the run ends before its next layer
};

class Net
{
public:
    Net(const std::filesystem::path& param, const std::filesystem::path& bin, const Options& options);

    struct Input {
        std::string name;
        std::optional<std::vector<int>> shape; // outer first; none where the file declares none
        bool index; // whole numbers, not floats: read by an Embed, Dequantize or Requantize
    };

    ~Net();
    const std::vector<LayerLine>& layers() const { return lines; }
    const std::vector<Input>& inputs() const { return input_list; }
    const std::vector<std::string>& outputs() const { return output_list; } // blobs without a consumer
    const std::vector<std::string>& blobs() const { return blob_names; }
    const Options& options() const { return settings; }
    const std::shared_ptr<Pool>& pool() const { return memory; }

    // Raises a Fault (input) when there is no input of that name.
    const Input& input(const std::string& name) const;

    // Number of a blob; raises a Fault (blob) with near matches when there is none of that name.
    int blob(const std::string& name) const;

    // Computes the wanted blobs. `given` are (number of an input blob, values); `wanted` may name any blob.
    // The results own their memory or share the net's pool. `seconds` is what each layer took, 0 of those
    // that did not run; `shapes` those of all blobs, as far as it came, dims 0 where there is none. Safe to
    // call from several threads at once.
    std::vector<ncnn::Mat> run(const std::vector<std::pair<int, ncnn::Mat>>& given,
                               const std::vector<int>& wanted, Progress* progress = nullptr,
                               std::vector<double>* seconds = nullptr,
                               std::vector<Shape>* shapes = nullptr) const;

    // Tells all who wait for a run, and look at stops(), to wait no longer.
    void stop() { stop_count++; }
    unsigned stops() const { return stop_count; }

private:
    void load_param(const std::string& text);
    void load_weights();
    bool load_text(ncnn::Net& into, const std::string& text, size_t* offset) const;
    Fault refused_line(const std::string& text, size_t offset, const std::string& reason) const;
    void describe();
    bool read_as_whole(const std::string& name) const; // by an Embed or its like, behind Splits too
    std::vector<ncnn::Mat> run_whole(ncnn::Extractor& extractor, const std::vector<int>& wanted) const;
    std::vector<char> needed_layers(const std::vector<int>& wanted) const;
    void run_layer(ncnn::Extractor& extractor, size_t number, const std::vector<char>& is_wanted,
                   std::vector<Shape>& shapes, std::unordered_map<int, ncnn::Mat>& results) const;
    void check_written(const ncnn::Mat& blob) const;

    std::string param_name, bin_name;
    std::filesystem::path bin_path;
    Options settings;
    std::shared_ptr<Pool> memory; // before `net`: its blobs go back to it
    std::vector<LayerLine> lines;
    std::vector<Check> checks; // of each line
    std::vector<Input> input_list;
    std::vector<std::string> output_list, blob_names;
    std::unordered_map<std::string, int> blob_numbers;
    std::unique_ptr<ncnn::Net> net;
    std::atomic<unsigned> stop_count{0};
};

// An empty net with these options and our layers registered.
std::unique_ptr<ncnn::Net> make_net(const Options& options);

} // namespace runtime
