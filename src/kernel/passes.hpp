// Turns of several qubits in one pass over the state.
#pragma once
#include <algorithm>

#include "lanes.hpp"

namespace robustq {
namespace ROBUSTQ_VARIANT {
namespace {

// A part of the basis: the states whose places from `width` on spell out `number`. Turns of lower places
// are done part by part, each while it sits in cache.
struct Part {
  size_t number;
  int width;
};

// One pass over the cosets of up to four bit places. `visit(base, offsets)` sees every basis state of the
// part whose bits at these places are zero.
template <int K, typename Visit>
inline void cosets(Part part, const int32_t* places, Visit visit) {
  size_t mask = 0, offset[1 << K];
  for (int k = 0; k < K; ++k) mask |= size_t(1) << places[k];
  for (int j = 0; j < 1 << K; ++j) {
    offset[j] = 0;
    for (int k = 0; k < K; ++k) offset[j] |= size_t(j >> k & 1) << places[k];
  }
  size_t base = part.number << part.width;
  for (size_t count = size_t(1) << (part.width - K); count-- > 0;) {
    visit(base, offset);
    base = ((base | mask) + 1) & ~mask;
  }
}

template <typename T>
inline void rotate(const Turn<T>& turn, Vec<T>& a, Vec<T>& b) {
  const Vec<T> x = a, y = b;
  if (turn.crossed) {
    a = turn.k * x - y, b = x + turn.k * y;
  } else {
    a = x - turn.k * y, b = y + turn.k * x;
  }
}
template <typename T>
inline void rotate_back(const Turn<T>& turn, Vec<T>& a, Vec<T>& b) {
  const Vec<T> x = a, y = b;
  if (turn.crossed) {
    a = turn.k * x + y, b = turn.k * y - x;
  } else {
    a = x + turn.k * y, b = y - turn.k * x;
  }
}
template <typename T>
inline void rotate(const LaneTurn<T>& turn, Vec<T>& a, Vec<T>& b) {
  const Vec<T> x = a, y = b;
  a = turn.c * x - turn.s * y, b = turn.s * x + turn.c * y;
}
template <typename T>
inline void rotate_back(const LaneTurn<T>& turn, Vec<T>& a, Vec<T>& b) {
  const Vec<T> x = a, y = b;
  a = turn.c * x + turn.s * y, b = turn.c * y - turn.s * x;
}

#define EACH _Pragma("GCC unroll 16") for

template <int K, typename T, typename Kind>
void turn_pass(Store<T>& psi, Part part, const int32_t* table, const Kind* turns) {
  int32_t places[K];
  for (int k = 0; k < K; ++k) places[k] = turns[k].place;
  Vec<T>* halves[2] = {psi.re.data(), psi.im.data()};
  cosets<K>(part, places, [&](size_t base, const size_t* offset) {
    for (Vec<T>* half : halves) {
      Vec<T> v[1 << K];
      EACH(int j = 0; j < 1 << K; ++j) v[j] = half[table[base | offset[j]]];
      EACH(int k = 0; k < K; ++k) {
        EACH(int j = 0; j < 1 << K; ++j)
          if (!(j >> k & 1)) rotate(turns[k], v[j], v[j | 1 << k]);
      }
      EACH(int j = 0; j < 1 << K; ++j) half[table[base | offset[j]]] = v[j];
    }
  });
}

// psi and lambda before the turns, and, if wanted, the derivative of each angle added to `gradients`. The
// turns commute, so a derivative may be read after turns that came before it have been undone.
template <int K, bool wanted, typename T, typename Kind>
void unturn_pass(Store<T>& psi, Store<T>& lambda, Part part, const int32_t* table, const Kind* turns,
                 Vec<T>* gradients) {
  int32_t places[K];
  for (int k = 0; k < K; ++k) places[k] = turns[k].place;
  Vec<T>* halves[2][2] = {{psi.re.data(), lambda.re.data()}, {psi.im.data(), lambda.im.data()}};
  Vec<T> total[K] = {};
  cosets<K>(part, places, [&](size_t base, const size_t* offset) {
    for (auto& half : halves) {
      Vec<T> v[1 << K], w[1 << K];
      EACH(int j = 0; j < 1 << K; ++j) {
        const int32_t p = table[base | offset[j]];
        v[j] = half[0][p], w[j] = half[1][p];
      }
      EACH(int k = 0; k < K; ++k) {
        EACH(int j = 0; j < 1 << K; ++j)
          if (!(j >> k & 1)) {
            const int i = j | 1 << k;
            if (wanted) total[k] += w[i] * v[j], total[k] -= w[j] * v[i];
            rotate_back(turns[k], v[j], v[i]);
            rotate_back(turns[k], w[j], w[i]);
          }
      }
      EACH(int j = 0; j < 1 << K; ++j) {
        const int32_t p = table[base | offset[j]];
        half[0][p] = v[j], half[1][p] = w[j];
      }
    }
  });
  for (int k = 0; k < K; ++k) gradients[k] += total[k];
}

template <typename T, typename Kind>
void turn_part(Store<T>& psi, Part part, const int32_t* table, const Kind* turns, int count) {
  constexpr int most = ROBUSTQ_FORWARD;
  for (; count > 0; turns += most, count -= most) switch (std::min(count, most)) {
      case 1: turn_pass<1>(psi, part, table, turns); break;
      case 2: turn_pass<std::min(2, most)>(psi, part, table, turns); break;
      case 3: turn_pass<std::min(3, most)>(psi, part, table, turns); break;
      default: turn_pass<std::min(4, most)>(psi, part, table, turns);
    }
}

template <bool wanted, typename T, typename Kind>
void unturn_part(Store<T>& psi, Store<T>& lambda, Part part, const int32_t* table, const Kind* turns, int count,
                 Vec<T>* g) {
  constexpr int most = ROBUSTQ_BACKWARD;
  for (; count > 0; turns += most, g += most, count -= most) switch (std::min(count, most)) {
      case 1: unturn_pass<1, wanted>(psi, lambda, part, table, turns, g); break;
      case 2: unturn_pass<std::min(2, most), wanted>(psi, lambda, part, table, turns, g); break;
      default: unturn_pass<std::min(3, most), wanted>(psi, lambda, part, table, turns, g);
    }
}

constexpr int IN_CACHE = 10;  // places of a part: 128 KiB of a state in single precision

// How many of the turns, which come with falling places, are too high to be done part by part.
template <typename Kind>
int too_high(int qubits, const Kind* turns, int count) {
  int high = 0;
  while (qubits > IN_CACHE && high < count && turns[high].place >= IN_CACHE) ++high;
  return high;
}

template <typename T, typename Kind>
void turn(Store<T>& psi, int qubits, const int32_t* table, const Kind* turns, int count) {
  const int high = too_high(qubits, turns, count), width = std::min(qubits, IN_CACHE);
  turn_part(psi, Part{0, qubits}, table, turns, high);
  for (size_t k = 0; k < size_t(1) << (qubits - width) && high < count; ++k)
    turn_part(psi, Part{k, width}, table, turns + high, count - high);
}

template <bool wanted, typename T, typename Kind>
void unturn(Store<T>& psi, Store<T>& lambda, int qubits, const int32_t* table, const Kind* turns, int count,
            Vec<T>* g) {
  const int high = too_high(qubits, turns, count), width = std::min(qubits, IN_CACHE);
  for (int k = 0; k < count; ++k) g[k] = Vec<T>{};
  unturn_part<wanted>(psi, lambda, Part{0, qubits}, table, turns, high, g);
  for (size_t k = 0; k < size_t(1) << (qubits - width) && high < count; ++k)
    unturn_part<wanted>(psi, lambda, Part{k, width}, table, turns + high, count - high, g + high);
}

}  // namespace
}  // namespace ROBUSTQ_VARIANT
}  // namespace robustq
