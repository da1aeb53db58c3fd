// OpenMP for WebAssembly, which emscripten does not bring: what clang makes of `parallel`, `for`, whatever
// its schedule, `single` and barriers, on threads that stay. A program that is linked without -pthread has
// one thread.
//
// The functions are those of LLVM's OpenMP library as far as our layers and ncnn's need them; a construct
// that needs another one fails to link. Parallel regions inside others have one thread. Source: the interface
// is described in LLVM's openmp/runtime/src/kmp.h.
#include <emscripten/threading.h>

#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>

#include <algorithm>
#include <atomic>
#include <utility>

namespace
{
const int kMostThreads = 16;
const int kMostArguments = 40;
const int kLoops =
    4; // that threads of a team may be in at the same time, where one does not wait for the others
const int kPatience = 2000; // looks at a number before a thread sleeps: some microseconds

using Body = void (*)(int32_t* thread, int32_t* number, ...);
using Number = std::atomic<int32_t>;

bool have_threads()
{
    static const bool have = emscripten_has_threading_support() != 0;
    return have;
}

// Returns when the number is no longer `old`.
void wait_while(Number& number, int32_t old)
{
    for (int i = 0; i < kPatience; i++) {
        if (number.load(std::memory_order_acquire) != old)
            return;
    }
    while (number.load(std::memory_order_acquire) == old)
        __builtin_wasm_memory_atomic_wait32((int*)&number, old, -1);
}

void change(Number& number)
{
    number.fetch_add(1, std::memory_order_acq_rel);
    __builtin_wasm_memory_atomic_notify((int*)&number, UINT32_MAX);
}

// A loop whose pieces go to whoever is free.
struct Loop {
    Number owner{0};              // the loop of the team that it is, counted from 1
    Number ready{0};              // likewise, when what follows is there
    Number left{0};               // threads that are not done
    std::atomic<int64_t> next{0}; // the first turn that nobody has
    int64_t turns = 0;
    int64_t piece = 1;
};

struct Team {
    int size = 1;
    Body body = nullptr;
    int count = 0;
    void* arguments[kMostArguments];
    Number arrived{0}; // at a barrier
    Number passed{0};  // barriers
    Number working{0}; // threads besides the first
    Number singles{0}; // that somebody has taken
    Loop loops[kLoops];
};

// Of the thread that runs.
struct Place {
    Team* team = nullptr;
    int number = 0;
    int wanted = 0;      // threads, by a clause; 0: as usual
    int usual = 0;       // 0: as many as there are
    int32_t loops = 0;   // that it has begun
    int32_t singles = 0; // that it has come to
    int64_t first = 0;   // of its loop
    int64_t step = 1;
    Loop* loop = nullptr;
};
thread_local Place place;

int size() { return place.team ? place.team->size : 1; }

template <size_t... i> void call(Body body, int32_t number, void** arguments, std::index_sequence<i...>)
{
    int32_t thread = number;
    using Exact =
        void (*)(int32_t*, int32_t*, decltype((void)i, (void*)nullptr)...); // as WebAssembly wants it
    ((Exact)body)(&thread, &number, arguments[i]...);
}

template <size_t count> void call_of(Body body, int32_t number, void** arguments)
{
    call(body, number, arguments, std::make_index_sequence<count>());
}

template <size_t... count> void call_any(const Team& team, int32_t number, std::index_sequence<count...>)
{
    static void (*const calls[])(Body, int32_t, void**) = {call_of<count>...};
    calls[team.count](team.body, number, const_cast<void**>(team.arguments));
}

void take_part(Team& team, int number)
{
    const Place before = place;
    place = Place();
    place.team = &team;
    place.number = number;
    place.usual = before.usual;
    call_any(team, number, std::make_index_sequence<kMostArguments + 1>());
    place = before;
}

// The threads besides the one that begins a region. One region at a time has them: another has one thread.
class Crew
{
public:
    // As many as there are of `wanted`.
    int gather(int wanted)
    {
        while (there_ < wanted) {
            pthread_t thread;
            Seat& seat = seats_[there_];
            seat.number = there_ + 1;
            if (pthread_create(&thread, nullptr, work, &seat) != 0)
                break;
            pthread_detach(thread);
            there_++;
        }
        return std::min(there_, wanted);
    }

    bool take() { return !taken_.exchange(true, std::memory_order_acquire); }
    void give() { taken_.store(false, std::memory_order_release); }

    void begin(Team& team)
    {
        for (int i = 0; i + 1 < team.size; i++) {
            seats_[i].team = &team;
            change(seats_[i].calls);
        }
    }

private:
    struct Seat {
        Number calls{0};
        Team* team = nullptr;
        int number = 0;
    };

    static void* work(void* given)
    {
        Seat& seat = *(Seat*)given;
        for (int32_t seen = 0;; seen++) {
            wait_while(seat.calls, seen);
            Team& team = *seat.team;
            take_part(team, seat.number);
            if (team.working.fetch_sub(1, std::memory_order_acq_rel) == 1)
                __builtin_wasm_memory_atomic_notify((int*)&team.working, 1);
        }
    }

    Seat seats_[kMostThreads - 1];
    int there_ = 0;
    std::atomic<bool> taken_{false};
};

Crew crew;

int usual_threads()
{
    if (!have_threads())
        return 1;
    const int most = std::min(emscripten_num_logical_cores(), kMostThreads);
    return std::max(1, place.usual > 0 ? std::min(place.usual, kMostThreads) : most);
}

void fork(Team& team)
{
    const int wanted = place.wanted > 0 ? std::min(place.wanted, kMostThreads) : usual_threads();
    place.wanted = 0;
    const bool several = wanted > 1 && have_threads() && size() == 1 && crew.take();
    if (several) {
        team.size = 1 + crew.gather(wanted - 1);
        team.working = team.size - 1;
        crew.begin(team);
    }
    take_part(team, 0);
    if (several) {
        for (int32_t left; (left = team.working.load(std::memory_order_acquire)) > 0;)
            wait_while(team.working, left);
        crew.give();
    }
}

void barrier(Team& team)
{
    const int32_t passed = team.passed.load(std::memory_order_acquire);
    if (team.arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == team.size) {
        team.arrived.store(0, std::memory_order_release);
        change(team.passed);
    } else {
        wait_while(team.passed, passed);
    }
}

template <typename T, typename Step> int64_t turns_of(T first, T last, Step step)
{
    if (step > 0 ? last < first : first < last)
        return 0;
    return step > 0 ? (int64_t)((uint64_t)(last - first) / (uint64_t)step) + 1
                    : (int64_t)((uint64_t)(first - last) / (uint64_t)-step) + 1;
}

// The turns of this thread, known from the beginning: one part of equal parts, or every size()th piece.
template <typename T, typename Step>
void begin_static(int32_t schedule, int32_t* is_last, T* lower, T* upper, Step* stride, Step step, Step piece)
{
    const int32_t kPieces = 33;
    const int64_t turns = turns_of(*lower, *upper, step);
    const int64_t threads = size(), number = place.number;
    int64_t first, count;
    if ((schedule & 0xff) == kPieces) {
        count = std::max<int64_t>(piece, 1);
        first = number * count;
        *is_last = turns > 0 && number == (turns - 1) / count % threads;
        *stride = (Step)(count * threads * step);
    } else {
        const int64_t more = turns % threads; // threads that have one more
        count = turns / threads + (number < more);
        first = number * (turns / threads) + std::min(number, more);
        *is_last = count > 0 && first + count == turns;
        *stride = (Step)(turns * step);
    }
    *upper = (T)(*lower + (T)((first + count - 1) * step));
    *lower = (T)(*lower + (T)(first * step));
}

template <typename T, typename Step> void begin_dynamic(T first, T last, Step step, Step piece)
{
    Team& team = *place.team;
    const int32_t mine = ++place.loops;
    Loop& loop = team.loops[mine % kLoops];
    for (int32_t old = mine > kLoops ? mine - kLoops : 0;;) {
        int32_t expected = old;
        if (loop.left.load(std::memory_order_acquire) == 0 &&
            loop.owner.compare_exchange_strong(expected, mine)) {
            loop.turns = turns_of(first, last, step);
            loop.piece = std::max<int64_t>(piece, 1);
            loop.next = 0;
            loop.left = team.size;
            loop.ready.store(mine, std::memory_order_release);
        }
        if (loop.ready.load(std::memory_order_acquire) == mine)
            break;
    }
    place.loop = &loop;
    place.first = (int64_t)first;
    place.step = step;
}

template <typename T, typename Step> int next_piece(int32_t* is_last, T* lower, T* upper, Step* stride)
{
    Loop& loop = *place.loop;
    const int64_t first = loop.next.fetch_add(loop.piece, std::memory_order_relaxed);
    if (first >= loop.turns) {
        loop.left.fetch_sub(1, std::memory_order_acq_rel);
        return 0;
    }
    const int64_t end = std::min(first + loop.piece, loop.turns);
    *lower = (T)(place.first + first * place.step);
    *upper = (T)(place.first + (end - 1) * place.step);
    *stride = (Step)place.step;
    *is_last = end == loop.turns;
    return 1;
}
} // namespace

extern "C" {

int omp_get_max_threads() { return usual_threads(); }
void omp_set_num_threads(int threads) { place.usual = threads; }
int omp_get_num_threads() { return size(); }
int omp_get_thread_num() { return place.number; }
int omp_get_dynamic() { return 0; }
void omp_set_dynamic(int) {}
int kmp_get_blocktime() { return 0; }
void kmp_set_blocktime(int) {}

int32_t __kmpc_global_thread_num(void*) { return place.number; }
void __kmpc_push_num_threads(void*, int32_t, int32_t threads) { place.wanted = threads; }

void __kmpc_fork_call(void*, int32_t count, Body body, ...)
{
    if (count > kMostArguments)
        __builtin_trap();
    Team team;
    team.body = body;
    team.count = count;
    va_list arguments;
    va_start(arguments, body);
    for (int i = 0; i < count; i++)
        team.arguments[i] = va_arg(arguments, void*);
    va_end(arguments);
    fork(team);
}

void __kmpc_barrier(void*, int32_t)
{
    if (size() > 1)
        barrier(*place.team);
}

// Whether the calling thread is the one that does it: the first that comes.
int32_t __kmpc_single(void*, int32_t)
{
    if (!place.team)
        return 1;
    int32_t before = place.singles++;
    return place.team->singles.compare_exchange_strong(before, before + 1, std::memory_order_acq_rel);
}
void __kmpc_end_single(void*, int32_t) {}

void __kmpc_for_static_fini(void*, int32_t) {}

#define OPENMP_LOOPS(name, T, Step)                                                                          \
    void __kmpc_for_static_init_##name(void*, int32_t, int32_t schedule, int32_t* last, T* lower, T* upper,  \
                                       Step* stride, Step step, Step piece)                                  \
    {                                                                                                        \
        begin_static(schedule, last, lower, upper, stride, step, piece);                                     \
    }                                                                                                        \
    void __kmpc_dispatch_init_##name(void*, int32_t, int32_t, T first, T last, Step step, Step piece)        \
    {                                                                                                        \
        begin_dynamic(first, last, step, piece);                                                             \
    }                                                                                                        \
    int __kmpc_dispatch_next_##name(void*, int32_t, int32_t* last, T* lower, T* upper, Step* stride)         \
    {                                                                                                        \
        return next_piece(last, lower, upper, stride);                                                       \
    }

OPENMP_LOOPS(4, int32_t, int32_t)
OPENMP_LOOPS(4u, uint32_t, int32_t)
OPENMP_LOOPS(8, int64_t, int64_t)
OPENMP_LOOPS(8u, uint64_t, int64_t)
}
