#include "serve.h"

#include "blobs.h"
#include "fault.h"
#include "messages.h"
#include "net.h"
#include "outside.h"

#include <deque>
#include <fstream>
#include <memory>
#include <new>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <csignal>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#define RUNTIME_CAN_SERVE 1
#endif

namespace runtime
{

#if RUNTIME_CAN_SERVE

static constexpr size_t HEADER = 4096; // bytes of shared memory, with the Progress, before inputs and outputs
static constexpr size_t ALIGNMENT = 64;

enum class Ask : uint64_t { run, memory, times };
enum class Answer : uint64_t { done, fault };

// False where the other end is gone.
static bool receive(int socket, void* to, size_t size)
{
    for (size_t got = 0; got < size;) {
        const ssize_t more = recv(socket, (char*)to + got, size - got, 0);
        if (more == 0 || (more < 0 && errno != EINTR))
            return false;
        got += more > 0 ? (size_t)more : 0;
    }
    return true;
}

static bool receive_message(int socket, std::string& message)
{
    uint32_t size = 0;
    if (!receive(socket, &size, sizeof(size)))
        return false;
    message.resize(size);
    return receive(socket, &message[0], size);
}

static bool send_message(int socket, const std::string& message)
{
    std::string all((const char*)"\0\0\0\0", 4);
    const auto size = (uint32_t)message.size();
    memcpy(&all[0], &size, sizeof(size));
    all += message;
    for (size_t done = 0; done < all.size();) {
        const ssize_t more = send(socket, all.data() + done, all.size() - done, MSG_NOSIGNAL);
        if (more < 0 && errno != EINTR)
            return false;
        done += more > 0 ? (size_t)more : 0;
    }
    return true;
}

namespace
{

class Mapping
{
public:
    Mapping(int file, size_t size) : size(size)
    {
        void* const memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (memory == MAP_FAILED)
            throw Fault(Kind::option, "out of memory for what is shared with the net's process");
        base = (char*)memory;
    }
    ~Mapping() { munmap(base, size); }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;

    char* base = nullptr;
    const size_t size;
};

} // namespace

static std::shared_ptr<Net> load(Reader& message)
{
    const std::filesystem::path param = message.text(), bin = message.text();
    Options options;
    options.threads = (int)message.number();
    for (bool* flag :
         {&options.fp16_storage, &options.fp16_packed, &options.fp16_arithmetic, &options.bf16_storage,
          &options.bf16_arithmetic, &options.winograd, &options.sgemm, &options.packing, &options.lightmode,
          &options.vulkan, &options.guard, &options.any_shape})
        *flag = message.number() != 0;
    options.memory_limit = (size_t)message.number();
    for (uint64_t left = message.number(); left > 0; left--)
        add_layers(message.text());
#if defined(__linux__)
    // As much again as the blobs may take, whose addresses are reserved, is for all else that ncnn asks for.
    rlimit addresses = {};
    getrlimit(RLIMIT_AS, &addresses);
    const rlim_t most = (rlim_t)options.memory_limit * 2 + ((rlim_t)4 << 30);
    if (options.memory_limit < ((size_t)1 << 46) && most < addresses.rlim_cur) {
        addresses.rlim_cur = most;
        setrlimit(RLIMIT_AS, &addresses);
    }
#endif
    return std::make_shared<Net>(param, bin, options);
}

static Writer description(const Net& net)
{
    Writer answer;
    answer.number((uint64_t)Answer::done).number(net.layers().size());
    for (const LayerLine& line : net.layers())
        answer.number((uint64_t)line.line)
            .text(line.type)
            .text(line.name)
            .texts(line.bottoms)
            .texts(line.tops);
    answer.number(net.inputs().size());
    for (const Net::Input& input : net.inputs()) {
        const std::vector<int> shape = input.shape.value_or(std::vector<int>{});
        answer.text(input.name).number(input.index).number(shape.size());
        for (int size : shape)
            answer.number((uint64_t)size);
    }
    answer.texts(net.outputs()).texts(net.blobs());
    return answer;
}

static size_t aligned(size_t size) { return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

// One run, whose inputs lie in the shared memory; its outputs go behind them. timed: nanoseconds of each
// layer instead.
static Writer run(const Net& net, Reader& message, int file, std::unique_ptr<Mapping>& memory,
                  Progress& progress, bool timed)
{
    const auto size = (size_t)message.number(), free_from = (size_t)message.number();
    if (!memory || memory->size < size)
        memory = std::make_unique<Mapping>(file, size);
    std::deque<Borrowed> borrowed;
    std::vector<std::pair<int, ncnn::Mat>> given;
    for (uint64_t left = message.number(); left > 0; left--) {
        const std::string name = message.text();
        const char* const values = memory->base + message.number();
        std::vector<long long> shape((size_t)message.number());
        for (long long& length : shape)
            length = (long long)message.number();
        const Net::Input& input = net.input(name);
        borrowed.emplace_back(name, values, shape, input.shape, input.index, *net.pool());
        given.emplace_back(net.blob(name), borrowed.back().blob());
    }
    std::vector<std::string> names((size_t)message.number());
    std::vector<int> wanted;
    for (std::string& name : names) {
        name = message.text();
        wanted.push_back(net.blob(name));
    }

    std::vector<double> seconds;
    const std::vector<ncnn::Mat> values = net.run(given, wanted, &progress, &seconds);
    if (timed) {
        Writer answer;
        answer.number((uint64_t)Answer::done).number(memory->size).number(seconds.size());
        for (double time : seconds)
            answer.number((uint64_t)(time * 1e9));
        return answer;
    }
    size_t end = free_from;
    std::vector<std::vector<int>> sizes;
    std::vector<size_t> places;
    for (size_t i = 0; i < values.size(); i++) {
        sizes.push_back(plain_sizes(names[i], values[i]));
        size_t bytes = sizeof(float);
        for (int length : sizes.back())
            bytes *= (size_t)length;
        places.push_back(end);
        end += aligned(bytes);
    }
    std::unique_ptr<Mapping> larger; // beside the old one, in which values may be
    if (end > memory->size) {
        if (ftruncate(file, (off_t)end) != 0)
            throw Fault(Kind::option, "out of memory for what is shared with the net's process");
        larger = std::make_unique<Mapping>(file, end);
    }
    Writer answer;
    answer.number((uint64_t)Answer::done).number(std::max(end, memory->size));
    for (size_t i = 0; i < values.size(); i++) {
        if (!values[i].empty())
            copy_values(values[i], (float*)((larger ? *larger : *memory).base + places[i]));
        answer.number(places[i]).number(sizes[i].size());
        for (int length : sizes[i])
            answer.number((uint64_t)length);
    }
    borrowed.clear();
    if (larger)
        memory = std::move(larger);
    return answer;
}

static void serve_caller(const std::shared_ptr<Net>& net, int socket, int file)
{
    const Mapping header(file, HEADER);
    Progress* const progress = new (header.base) Progress;
    std::unique_ptr<Mapping> memory;
    for (std::string message; receive_message(socket, message);) {
        Writer answer;
        try {
            Reader reader(std::move(message));
            const auto asked = (Ask)reader.number();
            if (asked == Ask::memory) {
                const auto [held, lent] = net->pool()->usage();
                answer.number((uint64_t)Answer::done).number(held).number(lent);
            } else {
                answer = run(*net, reader, file, memory, *progress, asked == Ask::times);
            }
        } catch (const Fault& fault) {
            answer = Writer();
            answer.number((uint64_t)Answer::fault).fault(fault);
        }
        if (!send_message(socket, answer.bytes))
            break;
    }
    close(socket);
    close(file);
}

// The descriptors that come with a byte; false where the other end is gone.
static bool receive_descriptors(int control, int (&descriptors)[2])
{
    char byte = 0;
    iovec part = {&byte, 1};
    alignas(cmsghdr) char space[CMSG_SPACE(sizeof(descriptors))] = {};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = space;
    message.msg_controllen = sizeof(space);
    ssize_t got = 0;
    do
        got = recvmsg(control, &message, 0);
    while (got < 0 && errno == EINTR);
    const cmsghdr* const rights = got > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
    if (!rights || rights->cmsg_type != SCM_RIGHTS || rights->cmsg_len != CMSG_LEN(sizeof(descriptors)))
        return false;
    memcpy(descriptors, CMSG_DATA(rights), sizeof(descriptors));
    return true;
}

void serve(int control)
{
    std::signal(SIGINT, SIG_IGN); // of a terminal: it is the caller who decides
    const rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    std::ofstream("/proc/self/oom_score_adj") << 1000; // rather this process than its caller

    std::string message;
    if (!receive_message(control, message))
        _exit(0);
    std::shared_ptr<Net> net; // callers come when it was said that it is there
    std::thread([&] {
        Writer answer;
        try {
            Reader reader(std::move(message));
            net = load(reader);
            answer = description(*net);
        } catch (const Fault& fault) {
            answer.number((uint64_t)Answer::fault).fault(fault);
        }
        send_message(control, answer.bytes);
    }).detach();
    for (int descriptors[2]; receive_descriptors(control, descriptors);)
        std::thread(serve_caller, net, descriptors[0], descriptors[1]).detach();
    _exit(0);
}

#else

void serve(int) { throw Fault(Kind::option, "isolate=True, but this system has no such processes"); }

#endif

} // namespace runtime
