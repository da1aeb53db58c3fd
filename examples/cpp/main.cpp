// draw NAME NUM_WS SEED.bin OUT.ppm: the picture of a seed, from a bundle that `python -m stylegan.export`
// wrote.
#include <custom_layers/register_all.h>
#include <net.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

static ncnn::Mat run(const std::string& files, const std::map<std::string, ncnn::Mat>& inputs)
{
    ncnn::Net net;
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic =
        false;                                                   // full precision
    const bool loaded = custom_layers::register_all(net) == 0 && // before load_param
                        net.load_param((files + ".param").c_str()) == 0 &&
                        net.load_model((files + ".bin").c_str()) == 0;
    if (!loaded)
        throw std::runtime_error("cannot load " + files + ".param and .bin");
    ncnn::Extractor extractor = net.create_extractor();
    for (const auto& [name, values] : inputs)
        extractor.input(name.c_str(), values);
    ncnn::Mat output;
    if (extractor.extract("output", output) != 0)
        throw std::runtime_error("cannot run " + files);
    return output.clone(); // its memory goes with the net
}

static ncnn::Mat read_seed(const std::string& path)
{
    std::ifstream stream(path, std::ios::binary);
    const std::vector<char> bytes(std::istreambuf_iterator<char>(stream), {}); // 4 of zero, then z as float32
    if (bytes.size() < 8)
        throw std::runtime_error("cannot read " + path);
    ncnn::Mat z((int)(bytes.size() - 4) / 4);
    memcpy(z.data, bytes.data() + 4, (size_t)z.w * sizeof(float));
    return z;
}

static void write_ppm(const std::string& path, ncnn::Mat picture) // [3, height, width], about -1..1
{
    const float mean[3] = {-128 / 127.5f, -128 / 127.5f, -128 / 127.5f}, norm[3] = {127.5f, 127.5f, 127.5f};
    picture.substract_mean_normalize(mean, norm); // picture * 127.5 + 128
    std::vector<unsigned char> rgb((size_t)picture.w * picture.h * 3);
    picture.to_pixels(rgb.data(), ncnn::Mat::PIXEL_RGB);
    std::ofstream stream(path, std::ios::binary);
    stream << "P6 " << picture.w << " " << picture.h << " 255\n";
    if (!stream.write((const char*)rgb.data(), (std::streamsize)rgb.size()).flush())
        throw std::runtime_error("cannot write " + path);
}

int main(int argc, char** argv)
try {
    if (argc != 5)
        throw std::runtime_error("usage: draw NAME NUM_WS SEED.bin OUT.ppm");
    const std::string name = argv[1];
    const int num_ws = std::stoi(argv[2]);
    ncnn::Mat psi(1), mixing(num_ws);
    psi.fill(0.7f);   // truncation: 1 keeps the style, 0 gives the mean one
    mixing.fill(0.f); // 1 where a layer's style is that of ws1
    const ncnn::Mat w = run(name + "_mapping", {{"z", read_seed(argv[3])}, {"coeff", psi}});
    ncnn::Mat ws(w.w, num_ws); // a style for each layer, here the same
    for (int i = 0; i < num_ws; i++)
        memcpy(ws.row(i), w, (size_t)w.w * sizeof(float));
    write_ppm(argv[4], run(name + "_synthesis", {{"ws0", ws}, {"ws1", ws}, {"mixing", mixing}}));
} catch (const std::exception& error) {
    fprintf(stderr, "%s\n", error.what());
    return 1;
}
