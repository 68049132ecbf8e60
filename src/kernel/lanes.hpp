// Vectors of lanes (one sample a lane), and what a thread keeps to work with.
#pragma once
#include <cstring>

#include "array.hpp"
#include "kernel.hpp"
#include "phases.hpp"
#include "sine.hpp"

namespace robustq {
namespace ROBUSTQ_VARIANT {
namespace {

template <typename T>
struct Lane {
  static constexpr int width = lanes(sizeof(T));
  typedef T type __attribute__((vector_size(64)));
  typedef typename Reduction<T>::Whole whole __attribute__((vector_size(64)));
};
template <typename T>
using Vec = typename Lane<T>::type;

template <typename T>
T lane_sum(Vec<T> v) {
  T part[Lane<T>::width];
  std::memcpy(part, &v, sizeof(v));
  for (int half = Lane<T>::width / 2; half > 0; half /= 2)
    for (int l = 0; l < half; ++l) part[l] += part[l + half];
  return part[0];
}

template <typename T>
struct SineCosine {
  void operator()(Vec<T> x, Vec<T>& s, Vec<T>& c) const {
    sine_cosine_lanes<T, Vec<T>, typename Lane<T>::whole, Lane<T>::width>(x, s, c);
  }
};
template <typename T>
using LanePhases = Phases<Vec<T>, SineCosine<T>>;

template <typename T>
struct Store {
  Array<Vec<T>> re, im;
  void fit(size_t size) { re.fit(size), im.fit(size); }
  void clear() { re.clear(), im.clear(); }
};

template <typename T>
struct LaneTurn {            // a turn whose angle differs from lane to lane
  Vec<T> c, s;
  int32_t place;
  static constexpr T missing = 1;
};

// What a thread keeps between tiles and calls, so that no call waits for memory.
template <typename T>
struct Workspace {
  Store<T> psi, lambda, table;
  Array<Vec<T>> scratch, features, angles, gradients, weights;
  Array<Vec<T>> sines, cosines;     // of the opening's angles
  Array<Vec<T>> column, cotangent;  // (qubits, 4): re0, im0, re1, im1 of the opening's states
  Array<LaneTurn<T>> turns;
  Array<Vec<T>> now, trail, checkpoints, matrix, pieces, environment;  // of noisy circuits
  size_t bytes() const { return 64 * (6 * psi.re.size() + now.size() + trail.size() + checkpoints.size()); }
  void clear() {
    psi.clear(), lambda.clear(), table.clear(), scratch.clear();
    now.clear(), trail.clear(), checkpoints.clear();
  }
};

}  // namespace
}  // namespace ROBUSTQ_VARIANT
}  // namespace robustq
