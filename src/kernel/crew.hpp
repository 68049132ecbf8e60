// Who does the work: torch's own OpenMP threads where they can be had, because two crews on the same cores
// stand in each other's way; otherwise threads of ours that wait between calls.
#pragma once
#include <dlfcn.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace robustq {

// Threads of ours. A call of a few dozen microseconds cannot afford to start any.
class Crew {
 public:
  // Runs `work(0) ... work(tiles - 1)` on up to `threads` threads, the caller's among them. Members that
  // sleep are woken if `wake`: that takes a fraction of a millisecond, which small jobs cannot afford.
  void run(int64_t tiles, int threads, bool wake, const std::function<void(int64_t)>& work) {
    std::unique_lock<std::mutex> one_call(entrance, std::try_to_lock);
    if (!one_call.owns_lock() || threads <= 1 || tiles <= 1) {  // busy with another call: do it alone
      for (int64_t tile = 0; tile < tiles; ++tile) work(tile);
      return;
    }
    const int helpers = int(std::min<int64_t>({threads, tiles, 1024})) - 1;
    while (int(members.size()) < helpers) {
      const int number = int(members.size());
      try {
        members.emplace_back([this, number] { serve(number); });
      } catch (const std::system_error&) {
        break;  // no more threads to be had: those there are do it all
      }
      members.back().detach();
    }
    failure = nullptr, task = &work, count = tiles, next = 0;
    {
      std::lock_guard<std::mutex> hold(gate);
      round.store(((round.load() >> 16) + 1) << 16 | uint64_t(helpers));
      open.store(round.load());
    }
    if (wake && asleep.load() > 0) bell.notify_all();
    take();
    open.store(0);  // whoever has not come by now need not come: only those at work are waited for
    for (int spins = 0; inside.load() > 0; ++spins) spins < 2000 ? pause() : std::this_thread::yield();
    if (failure) std::rethrow_exception(failure);
  }

 private:
  static constexpr auto patience = std::chrono::microseconds(50);
  std::mutex entrance, gate, blame;
  std::condition_variable bell;
  std::vector<std::thread> members;
  std::atomic<uint64_t> round{0};  // its number, and in the low 16 bits how many members it wants
  std::atomic<int64_t> next{0};
  std::atomic<uint64_t> open{0};   // the round that members may still join
  std::atomic<int> inside{0}, asleep{0};
  const std::function<void(int64_t)>* task = nullptr;
  int64_t count = 0;
  std::exception_ptr failure;

  static void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    std::this_thread::yield();
#endif
  }

  void take() {
    try {
      for (int64_t tile; (tile = next.fetch_add(1)) < count;) (*task)(tile);
    } catch (...) {
      std::lock_guard<std::mutex> hold(blame);
      failure = std::current_exception();
    }
  }

  void serve(int number) {
    for (uint64_t seen = 0;;) {
      seen = await(seen);
      if (number >= int(seen & 0xffff)) continue;
      inside.fetch_add(1);
      if (open.load() == seen) take();
      inside.fetch_sub(1);
    }
  }

  // Waits for a round after `seen`: awake for a moment, then asleep.
  uint64_t await(uint64_t seen) {
    const auto start = std::chrono::steady_clock::now();
    for (;;) {
      for (int k = 0; k < 64; ++k, pause())
        if (round.load(std::memory_order_acquire) != seen) return round.load(std::memory_order_acquire);
      if (std::chrono::steady_clock::now() - start > patience) break;
    }
    std::unique_lock<std::mutex> hold(gate);
    asleep.fetch_add(1);
    bell.wait(hold, [&] { return round.load() != seen; });
    asleep.fetch_sub(1);
    return round.load();
  }
};

// The threads of this process. A forked child has none of its parent's, neither ours nor OpenMP's, so it
// gets a new crew; the old one, like the last at exit, is left alone: its members may be asleep in it.
class Threads {
 public:
  static Threads& get() {
    static Threads* only = [] {
      pthread_atfork(nullptr, nullptr, [] { get().crew = new Crew, get().parallel = nullptr; });
      return new Threads;
    }();
    return *only;
  }

  // Takes the OpenMP runtime at `path` if the process has loaded it already.
  bool adopt(const char* path) {
    void* library = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    void* found = library ? dlsym(library, "GOMP_parallel") : nullptr;
    if (found) parallel = reinterpret_cast<Parallel>(found);
    return found != nullptr;
  }

  void run(int64_t tiles, int threads, bool wake, const std::function<void(int64_t)>& work) {
    if (!parallel || threads <= 1 || tiles <= 1) return crew->run(tiles, threads, wake, work);
    Shift shift{work, tiles};
    parallel(&Shift::take, &shift, unsigned(std::min<int64_t>(threads, tiles)), 0);
    if (shift.failure) std::rethrow_exception(shift.failure);
  }

 private:
  using Parallel = void (*)(void (*)(void*), void*, unsigned, unsigned);
  struct Shift {
    const std::function<void(int64_t)>& work;
    int64_t tiles;
    std::atomic<int64_t> next{0};
    std::mutex blame{};
    std::exception_ptr failure{};

    static void take(void* data) {
      Shift& shift = *static_cast<Shift*>(data);
      try {
        for (int64_t tile; (tile = shift.next.fetch_add(1)) < shift.tiles;) shift.work(tile);
      } catch (...) {
        std::lock_guard<std::mutex> hold(shift.blame);
        shift.failure = std::current_exception();
      }
    }
  };
  Crew* crew = new Crew;
  Parallel parallel = nullptr;
};

}  // namespace robustq
