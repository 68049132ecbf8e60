// A noisy circuit as local maps of the Pauli basis, and how each is put together from gates and channels.
#pragma once
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "array.hpp"
#include "kernel.hpp"

namespace robustq {

// A fixed matrix (factor < 0), or 1 + sin(2 angle) S + (cos(2 angle) - 1) |S| where S is its table.
struct Piece {
  int32_t table, factor;
};

// A map of one or two qubits (q1 < 0 for one): the product of its pieces, the last of them leftmost.
struct Local {
  int32_t q0, q1, first, count;
  bool batched, varies;      // whether an angle differs from sample to sample; whether there is any
  int32_t number;
};

template <typename T>
struct Sparse {
  std::vector<T> values;
  std::vector<uint8_t> columns, counts;
};

// The maps that every sample shares, with their transposes, by the number of the map.
template <typename T>
struct Maps {
  std::vector<Sparse<T>> plain, transposed;
  const Sparse<T>& of(const Local& op, bool back) const { return (back ? transposed : plain)[size_t(op.number)]; }
};

struct TransferPlan {
  Plan base;                 // qubits, slots, monomials and factors
  std::vector<Piece> pieces;
  std::vector<Local> ops;
  std::vector<double> small, large;          // tables (., 4, 4) and (., 16, 16)
  Maps<float> fixed_single;                  // of the maps without an angle, made once
  Maps<double> fixed_double;
  const Maps<float>& fixed(float) const { return fixed_single; }
  const Maps<double>& fixed(double) const { return fixed_double; }
  const double* table(const Local& op, const Piece& piece) const {
    return op.q1 < 0 ? small.data() + 16 * size_t(piece.table) : large.data() + 256 * size_t(piece.table);
  }
};

namespace {

// N is a number or a vector of lanes; `angle(factor, s, c)` gives sine and cosine of twice an angle.
template <typename N>
struct Composer {
  const TransferPlan& plan;

  template <typename Angle>
  void pieces(const Local& op, Angle angle, N* out) const {
    const int D = op.q1 < 0 ? 4 : 16;
    for (int32_t k = 0; k < op.count; ++k, out += D * D) {
      const Piece& piece = plan.pieces[size_t(op.first + k)];
      const double* table = plan.table(op, piece);
      if (piece.factor < 0) {
        for (int i = 0; i < D * D; ++i) out[i] = N{} + number(table[i]);
      } else {
        N s, c;
        angle(piece.factor, s, c);
        rotation(table, D, s, c - number(1), out);
        for (int i = 0; i < D; ++i) out[i * D + i] += number(1);
      }
    }
  }

  void product(const Local& op, const N* pieces, N* out) const {
    const int D = op.q1 < 0 ? 4 : 16;
    N held[256];
    for (int i = 0; i < D * D; ++i) out[i] = pieces[i];
    for (int32_t k = 1; k < op.count; ++k) {
      multiply(D, pieces + k * D * D, out, held);
      for (int i = 0; i < D * D; ++i) out[i] = held[i];
    }
  }

  // From dL/dR to dL/d angle of every piece; `e` is used up.
  template <typename Angle, typename Add>
  void gradients(const Local& op, Angle angle, const N* pieces, N* e, Add add) const {
    const int D = op.q1 < 0 ? 4 : 16;
    Array<N> before;                         // the products of the pieces before each
    before.fit(size_t(D * D) * size_t(op.count));
    for (int i = 0; i < D * D; ++i) before[size_t(i)] = N{} + number(i / D == i % D);
    for (int32_t k = 1; k < op.count; ++k)
      multiply(D, pieces + (k - 1) * D * D, before.data() + (k - 1) * D * D, before.data() + k * D * D);
    N slope[256], held[256];
    for (int32_t k = op.count; k-- > 0;) {
      const Piece& piece = plan.pieces[size_t(op.first + k)];
      if (piece.factor >= 0 && plan.base.factors[size_t(piece.factor)].count) {
        N s, c, total{};
        angle(piece.factor, s, c);
        rotation(plan.table(op, piece), D, number(2) * c, number(-2) * s, slope);
        multiply(D, slope, before.data() + k * D * D, held);
        for (int i = 0; i < D * D; ++i) total += e[i] * held[i];
        add(piece.factor, total);
      }
      const N* p = pieces + k * D * D;       // e <- piece^T e
      for (int i = 0; i < D; ++i)
        for (int j = 0; j < D; ++j) {
          N total{};
          for (int l = 0; l < D; ++l) total += p[l * D + i] * e[l * D + j];
          held[i * D + j] = total;
        }
      for (int i = 0; i < D * D; ++i) e[i] = held[i];
    }
  }

 private:
  static auto number(double value) {
    if constexpr (sizeof(N) == sizeof(double)) return value;
    else return static_cast<std::remove_cv_t<std::remove_reference_t<decltype(N{}[0])>>>(value);
  }

  static void rotation(const double* table, int D, N s, N c, N* out) {
    for (int i = 0; i < D; ++i) {
      bool turns = false;
      for (int j = 0; j < D; ++j) {
        out[i * D + j] = s * number(table[i * D + j]);
        turns = turns || table[i * D + j] != 0;
      }
      if (turns) out[i * D + i] += c;
    }
  }

  static void multiply(int D, const N* a, const N* b, N* out) {
    for (int i = 0; i < D; ++i)
      for (int j = 0; j < D; ++j) {
        N total{};
        for (int l = 0; l < D; ++l) total += a[i * D + l] * b[l * D + j];
        out[i * D + j] = total;
      }
  }
};

}  // namespace

struct DoubleAngle {
  const double* angles;
  void operator()(int32_t factor, double& s, double& c) const {
    s = std::sin(2 * angles[factor]), c = std::cos(2 * angles[factor]);
  }
};

// The maps with angles that every sample shares, evaluated once a call.
template <typename T>
struct TransferShared {
  const TransferPlan* plan;
  std::vector<double> angles;
  std::vector<std::vector<double>> pieces;   // of each of them
  Maps<T> maps;

  DoubleAngle angle() const { return {angles.data()}; }
  const double* pieces_of(const Local& op) const { return pieces[size_t(op.number)].data(); }
  const Sparse<T>& of(const Local& op, bool back) const {
    return op.varies ? maps.of(op, back) : plan->fixed(T{}).of(op, back);
  }
};

template <typename T>
struct TransferJob {
  const TransferPlan* plan;
  const TransferShared<T>* shared;
  bool back;                 // observables, by the transposed maps in reversed order
  const T* start;            // (rows, 4^qubits), or null for |0...0>
  T* out;                    // (rows, 4^qubits)
  const T* grad_out;
  T* grad_start;             // or null
};

}  // namespace robustq
