#include "generator.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <random>
#include <sstream>

namespace faces
{

std::vector<float> latent(uint32_t seed, int count)
{
    std::mt19937 bits(seed);
    const auto uniform = [&] {
        const double high = bits() >> 5, low = bits() >> 6;
        return (high * 67108864.0 + low) / 9007199254740992.0;
    };
    std::vector<float> z;
    while ((int)z.size() < count) { // Marsaglia's polar method: two numbers at a time, the second one first
        double x, y, square;
        do {
            x = 2 * uniform() - 1;
            y = 2 * uniform() - 1;
            square = x * x + y * y;
        } while (square >= 1 || square == 0);
        const double factor = std::sqrt(-2 * std::log(square) / square);
        z.push_back((float)(factor * y));
        z.push_back((float)(factor * x));
    }
    z.resize((size_t)count);
    return z;
}

/// The inputs of a net by name, with their widths and heights as its file says them.
static std::map<std::string, std::pair<int, int>> inputs_of(const std::string& path)
{
    std::map<std::string, std::pair<int, int>> found;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string type, name, word;
        words >> type >> name;
        if (type != "Input")
            continue;
        auto& size = found[name];
        while (words >> word) {
            if (word.rfind("0=", 0) == 0)
                size.first = atoi(word.c_str() + 2);
            if (word.rfind("1=", 0) == 0)
                size.second = atoi(word.c_str() + 2);
        }
    }
    return found;
}

static std::string load_net(ncnn::Net& net, const std::string& prefix, int threads)
{
    net.clear();
    net.opt.num_threads = threads;
    // Full precision, the picture of every other machine; on ARM ncnn's default is half.
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = false;
    if (net.load_param((prefix + ".param").c_str()))
        return prefix + ".param cannot be read, or has layers that ncnn does not: export with --target stock";
    if (net.load_model((prefix + ".bin").c_str()))
        return prefix + ".bin cannot be read, or is not the one of its .param";
    return "";
}

std::string Generator::load(const std::string& prefix, int threads)
{
    std::string fault = load_net(mapping_, prefix + "_mapping", threads);
    if (fault.empty())
        fault = load_net(synthesis_, prefix + "_synthesis", threads);
    if (!fault.empty())
        return fault;
    const auto mapping = inputs_of(prefix + "_mapping.param"),
               synthesis = inputs_of(prefix + "_synthesis.param");
    for (const auto& input : mapping)
        if (input.first != "z" && input.first != "coeff")
            return prefix + ": this app gives z and coeff, and the mapping wants " + input.first + " too";
    for (const auto& input : synthesis)
        if (input.first != "ws0" && input.first != "ws1" && input.first != "mixing")
            return prefix + ": this app gives ws0, ws1 and mixing, and the synthesis wants " + input.first +
                   " too";
    if (!mapping.count("z") || synthesis.size() != 3)
        return prefix + ": expected a bundle with the inputs z, ws0, ws1 and mixing";
    truncates_ = mapping.count("coeff") > 0;
    z_dim_ = mapping.at("z").first;
    w_dim_ = synthesis.at("ws0").first;
    num_ws_ = synthesis.at("ws0").second;
    return z_dim_ > 0 && w_dim_ > 0 && num_ws_ > 0 ? "" : prefix + ": its inputs have no sizes";
}

std::string Generator::style(uint32_t seed, float psi, ncnn::Mat& w)
{
    const std::vector<float> numbers = latent(seed, z_dim_);
    ncnn::Mat z(z_dim_), coeff(1);
    memcpy(z, numbers.data(), numbers.size() * sizeof(float));
    coeff.fill(psi);
    ncnn::Extractor run = mapping_.create_extractor();
    if (run.input("z", z) || (truncates_ && run.input("coeff", coeff)) || run.extract("output", w))
        return "the mapping failed: is memory short?";
    return w.w == w_dim_ && w.total() == (size_t)w_dim_ ? "" : "the mapping gave a style of a wrong size";
}

std::string Generator::picture(uint32_t seed, uint32_t other, int first, float psi,
                               std::vector<uint32_t>& argb)
{
    if (num_ws_ == 0)
        return "nothing is loaded";
    ncnn::Mat w[2], ws[2], mixing(num_ws_), image;
    for (int i = 0; i < 2; i++) {
        const std::string fault = style(i ? other : seed, psi, w[i]);
        if (!fault.empty())
            return fault;
        ws[i].create(w_dim_, num_ws_);
        for (int k = 0; k < num_ws_; k++)
            memcpy(ws[i].row(k), w[i], w_dim_ * sizeof(float));
    }
    for (int k = 0; k < num_ws_; k++)
        mixing[k] = k >= first ? 1.f : 0.f;
    ncnn::Extractor run = synthesis_.create_extractor();
    if (run.input("ws0", ws[0]) || run.input("ws1", ws[1]) || run.input("mixing", mixing) ||
        run.extract("output", image))
        return "the synthesis failed: is memory short?";
    if (image.dims != 3 || image.w != image.h || (image.c != 1 && image.c != 3))
        return "the synthesis gave no square picture of 1 or 3 channels";

    const int count = image.w * image.h;
    argb.assign((size_t)count, 0xff);
    for (int c = 0; c < 3; c++) {
        const float* values = image.channel(image.c == 3 ? c : 0);
        for (int i = 0; i < count; i++) {
            const float level = values[i] * 127.5f + 128;
            if (!std::isfinite(level))
                return "the picture is not finite: these weights need full precision, or are damaged";
            argb[i] = argb[i] << 8 | (uint32_t)(level < 0 ? 0 : level > 255 ? 255 : level);
        }
    }
    return "";
}

} // namespace faces
