#include "background.h"

#include "fork_mutex.h"

#include <chrono>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

namespace runtime
{

namespace
{

struct Worker {
    std::mutex lock;
    std::condition_variable changed;
    std::function<void()> work;
    std::exception_ptr error;
    bool busy = false, ended = false;

    static void loop(const std::shared_ptr<Worker>& self)
    {
        std::unique_lock<std::mutex> guard(self->lock);
        for (;;) {
            self->changed.wait(guard, [&] { return self->busy || self->ended; });
            if (!self->busy)
                return;
            std::function<void()> work = std::move(self->work);
            guard.unlock();
            std::exception_ptr error;
            try {
                work();
            } catch (...) {
                error = std::current_exception();
            }
            work = nullptr; // what it held goes before the caller goes on
            guard.lock();
            self->error = std::move(error);
            self->busy = false;
            self->changed.notify_all();
        }
    }
};

// The calling thread's worker; none while it works.
struct Own {
    std::shared_ptr<Worker> worker;
    unsigned born = 0; // forks() then

    std::shared_ptr<Worker> take()
    {
        if (worker && born != forks()) // its mutex is in the state of a thread that is not here
            new std::shared_ptr<Worker>(std::move(worker));
        return std::move(worker);
    }
    void keep(std::shared_ptr<Worker> idle)
    {
        if (const std::shared_ptr<Worker> old = take()) {
            std::lock_guard<std::mutex> guard(old->lock);
            old->ended = true;
            old->changed.notify_all();
        }
        worker = std::move(idle);
        born = forks();
    }
    ~Own() { keep(nullptr); }
};

} // namespace

static thread_local Own own;

void in_background(std::function<void()> work, const std::function<void()>& wake)
{
    std::shared_ptr<Worker> worker = own.take();
    if (!worker) {
        worker = std::make_shared<Worker>();
        try {
            std::thread([worker] { Worker::loop(worker); }).detach();
        } catch (const std::system_error&) { // no more threads: a signal has to wait, then
            return work();
        }
    }
    std::exception_ptr error;
    {
        std::unique_lock<std::mutex> guard(worker->lock);
        worker->work = std::move(work);
        worker->busy = true;
        worker->changed.notify_all();
        while (
            !worker->changed.wait_for(guard, std::chrono::milliseconds(50), [&] { return !worker->busy; })) {
            guard.unlock();
            try {
                wake(); // may come back here, on a worker of its own
            } catch (...) {
                guard.lock();
                worker->ended = true;
                worker->changed.notify_all();
                throw;
            }
            guard.lock();
        }
        error = std::move(worker->error);
        worker->error = nullptr;
    }
    own.keep(std::move(worker));
    if (error)
        std::rethrow_exception(error);
}

} // namespace runtime
