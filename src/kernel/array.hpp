// A growing array of numbers or lane vectors, aligned for the widest vector.
//
// Everything here is local to the file that includes it: the same template compiled for several
// instruction sets must not be merged by the linker, or an old processor would meet new instructions.
#pragma once
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>

namespace robustq {
namespace {

template <typename N>  // plain data only
class Array {
 public:
  Array() = default;
  explicit Array(size_t size) { zeros(size); }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  ~Array() { std::free(start); }

  N* data() { return start; }
  const N* data() const { return start; }
  size_t size() const { return used; }
  N& operator[](size_t k) { return start[k]; }
  const N& operator[](size_t k) const { return start[k]; }

  // The contents are lost where it has to grow.
  void fit(size_t size) {
    if (size > room) {
      std::free(start);
      start = nullptr, room = 0;
      start = static_cast<N*>(std::aligned_alloc(64, (size * sizeof(N) + 63) / 64 * 64));
      if (!start) throw std::bad_alloc();
      room = size;
    }
    used = size;
  }
  void zeros(size_t size) {
    fit(size);
    if (size) std::memset(static_cast<void*>(start), 0, size * sizeof(N));
  }
  void clear() {
    std::free(start);
    start = nullptr, used = room = 0;
  }

 private:
  N* start = nullptr;
  size_t used = 0, room = 0;
};

}  // namespace
}  // namespace robustq
