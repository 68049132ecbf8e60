// Turns of several qubits in one pass over the state.
#pragma once
#include <algorithm>

#include "lanes.hpp"

namespace robustq {
namespace ROBUSTQ_VARIANT {
namespace {

// One pass over the cosets of up to four bit places. `visit(base, offsets)` sees every basis state
// whose bits at these places are zero.
template <int K, typename Visit>
inline void cosets(int qubits, const int32_t* places, Visit visit) {
  size_t mask = 0, offset[1 << K];
  for (int k = 0; k < K; ++k) mask |= size_t(1) << places[k];
  for (int j = 0; j < 1 << K; ++j) {
    offset[j] = 0;
    for (int k = 0; k < K; ++k) offset[j] |= size_t(j >> k & 1) << places[k];
  }
  size_t base = 0;
  for (size_t count = size_t(1) << (qubits - K); count-- > 0;) {
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
void turn_pass(Store<T>& psi, int qubits, const int32_t* table, const Kind* turns) {
  int32_t places[K];
  for (int k = 0; k < K; ++k) places[k] = turns[k].place;
  Vec<T>* parts[2] = {psi.re.data(), psi.im.data()};
  cosets<K>(qubits, places, [&](size_t base, const size_t* offset) {
    for (Vec<T>* part : parts) {
      Vec<T> v[1 << K];
      EACH(int j = 0; j < 1 << K; ++j) v[j] = part[table[base | offset[j]]];
      EACH(int k = 0; k < K; ++k) {
        EACH(int j = 0; j < 1 << K; ++j)
          if (!(j >> k & 1)) rotate(turns[k], v[j], v[j | 1 << k]);
      }
      EACH(int j = 0; j < 1 << K; ++j) part[table[base | offset[j]]] = v[j];
    }
  });
}

// psi and lambda before the turns, and, if wanted, the derivative of each angle: the turns commute,
// so every derivative can be read on the states after all of them.
template <int K, bool wanted, typename T, typename Kind>
void unturn_pass(Store<T>& psi, Store<T>& lambda, int qubits, const int32_t* table, const Kind* turns,
                 Vec<T>* gradients) {
  int32_t places[K];
  for (int k = 0; k < K; ++k) places[k] = turns[k].place;
  Vec<T>* parts[2][2] = {{psi.re.data(), lambda.re.data()}, {psi.im.data(), lambda.im.data()}};
  Vec<T> total[K] = {};
  cosets<K>(qubits, places, [&](size_t base, const size_t* offset) {
    for (auto& part : parts) {
      Vec<T> v[1 << K], w[1 << K];
      EACH(int j = 0; j < 1 << K; ++j) {
        const int32_t p = table[base | offset[j]];
        v[j] = part[0][p], w[j] = part[1][p];
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
        part[0][p] = v[j], part[1][p] = w[j];
      }
    }
  });
  for (int k = 0; k < K; ++k) gradients[k] = total[k];
}

template <typename T, typename Kind>
void turn(Store<T>& psi, int qubits, const int32_t* table, const Kind* turns, int count) {
  constexpr int most = ROBUSTQ_FORWARD;
  for (; count > 0; turns += most, count -= most) switch (std::min(count, most)) {
      case 1: turn_pass<1>(psi, qubits, table, turns); break;
      case 2: turn_pass<std::min(2, most)>(psi, qubits, table, turns); break;
      case 3: turn_pass<std::min(3, most)>(psi, qubits, table, turns); break;
      default: turn_pass<std::min(4, most)>(psi, qubits, table, turns);
    }
}

template <bool wanted, typename T, typename Kind>
void unturn(Store<T>& psi, Store<T>& lambda, int qubits, const int32_t* table, const Kind* turns, int count,
            Vec<T>* g) {
  constexpr int most = ROBUSTQ_BACKWARD;
  for (; count > 0; turns += most, g += most, count -= most) switch (std::min(count, most)) {
      case 1: unturn_pass<1, wanted>(psi, lambda, qubits, table, turns, g); break;
      case 2: unturn_pass<std::min(2, most), wanted>(psi, lambda, qubits, table, turns, g); break;
      default: unturn_pass<std::min(3, most), wanted>(psi, lambda, qubits, table, turns, g);
    }
}

}  // namespace
}  // namespace ROBUSTQ_VARIANT
}  // namespace robustq
