// exp(-i sum_w angle_w Z_w) over all basis states, for words of one or two letters, by doubling: adding
// a qubit costs one complex product a state, however many words meet in it.
#pragma once
#include <cstddef>

#include "array.hpp"

namespace robustq {
namespace {

// N is a number or a vector of lanes; `sine_cosine(x, s, c)` its sine and cosine.
template <typename N, typename SineCosine>
struct Phases {
  int qubits;
  Array<N> single;             // (qubits,)
  Array<N> pair;               // (qubits, qubits), lower triangle
  Array<char> has_single, has_pair, paired;
  Array<N> fr, fi;             // the growing factor of one qubit

  explicit Phases(int n)
      : qubits(n), single(n), pair(size_t(n) * n), has_single(n), has_pair(size_t(n) * n), paired(n) {}

  void add(int q0, int q1, N angle) {
    if (q1 < 0) {
      single[q0] += angle, has_single[q0] = 1;
      return;
    }
    const int high = q0 > q1 ? q0 : q1, low = q0 > q1 ? q1 : q0;
    pair[size_t(high) * qubits + low] += angle;
    has_pair[size_t(high) * qubits + low] = 1, paired[high] = 1;
  }

  // Writes (2^qubits,) phases.
  void build(N* re, N* im, SineCosine sine_cosine) {
    re[0] = N{} + 1, im[0] = N{};
    for (int q = 0; q < qubits; ++q) {
      const size_t size = size_t(1) << q;
      if (!has_single[q] && !paired[q]) {
        for (size_t b = 0; b < size; ++b) re[size + b] = re[b], im[size + b] = im[b];
        continue;
      }
      N s, c;
      sine_cosine(single[q], s, c);
      if (!paired[q]) {
        for (size_t b = 0; b < size; ++b) grow(re, im, b, size + b, c, -s);
        continue;
      }
      factor(q, c, -s, sine_cosine);
      for (size_t b = 0; b < size; ++b) grow(re, im, b, size + b, fr[b], fi[b]);
    }
  }

 private:
  static void grow(N* re, N* im, size_t low, size_t high, N fr, N fi) {
    const N r = re[low], i = im[low];
    re[low] = r * fr - i * fi, im[low] = r * fi + i * fr;
    re[high] = r * fr + i * fi, im[high] = i * fr - r * fi;
  }

  void factor(int q, N c, N minus_s, SineCosine sine_cosine) {
    fr.fit(size_t(1) << q), fi.fit(size_t(1) << q);
    fr[0] = c, fi[0] = minus_s;
    for (int j = 0; j < q; ++j) {
      const size_t size = size_t(1) << j;
      if (!has_pair[size_t(q) * qubits + j]) {
        for (size_t b = 0; b < size; ++b) fr[size + b] = fr[b], fi[size + b] = fi[b];
        continue;
      }
      N ps, pc;
      sine_cosine(pair[size_t(q) * qubits + j], ps, pc);
      for (size_t b = 0; b < size; ++b) grow(fr.data(), fi.data(), b, size + b, pc, -ps);
    }
  }
};

}  // namespace
}  // namespace robustq
