// Noisy circuits in the Pauli basis: real vectors over the 4^qubits words, and gates with the channels that
// follow them as small real matrices. States go forwards by R, observables backwards by its transpose.
#pragma once
#include <algorithm>
#include <cmath>

#include "opening.hpp"
#include "transfer_plan.hpp"

namespace robustq {
namespace ROBUSTQ_VARIANT {
namespace {

template <typename T>
class TransferTile : public Opening<T> {
  using Base = Opening<T>;
  using Base::job, Base::plan, Base::work, Base::first, Base::live, Base::line;

 public:
  TransferTile(const Job<T>& j, const TransferJob<T>& t, int64_t tile, Workspace<T>& w)
      : Base(j, tile, w), transfer(t), ops(t.plan->ops), count(int64_t(t.plan->ops.size())),
        size(int64_t(1) << (2 * j.plan->qubits)) {}

  void forward() {
    now.fit(size_t(size));
    load(transfer.start, now.data());
    for (int64_t k = 0; k < count; ++k) apply(at(k), now.data(), transfer.back);
    save(now.data(), transfer.out);
  }

  // Re-runs the circuit segment by segment from checkpoints, so that memory grows as the root of depth.
  void backward() {
    const int64_t bytes = size * 64, fits = std::max<int64_t>(1, (int64_t(1) << 25) / bytes);
    const int64_t length = count <= fits ? std::max<int64_t>(count, 1)
                                         : std::max<int64_t>(fits / 2, int64_t(std::ceil(std::sqrt(double(count)))));
    const int64_t segments = std::max<int64_t>(1, (count + length - 1) / length);
    checkpoints.fit(size_t(segments * size)), trail.fit(size_t(length * size)), now.fit(size_t(size));
    load(transfer.start, now.data());
    for (int64_t k = 0; k < count; ++k) {
      if (k % length == 0) copy(now.data(), checkpoints.data() + k / length * size);
      if (segments == 1) copy(now.data(), trail.data() + k * size);
      apply(at(k), now.data(), transfer.back);
    }
    load(transfer.grad_out, now.data());
    for (int64_t s = segments; s-- > 0;) {
      const int64_t low = s * length, high = std::min(count, low + length);
      if (segments > 1) retrace(checkpoints.data() + s * size, low, high);
      for (int64_t k = high; k-- > low;) {
        differentiate(at(k), trail.data() + (k - low) * size, now.data());
        apply(at(k), now.data(), !transfer.back);
      }
    }
    if (transfer.grad_start) save(now.data(), transfer.grad_start);
  }

 private:
  const TransferJob<T>& transfer;
  const std::vector<Local>& ops;
  const int64_t count, size;
  Array<Vec<T>>&now = work.now, &trail = work.trail, &checkpoints = work.checkpoints;
  Array<Vec<T>>&matrix = work.matrix, &pieces = work.pieces, &environment = work.environment;

  const Local& at(int64_t k) const { return ops[size_t(transfer.back ? count - 1 - k : k)]; }
  void copy(const Vec<T>* from, Vec<T>* to) const { std::memcpy(to, from, size_t(size) * 64); }

  void retrace(const Vec<T>* from, int64_t low, int64_t high) {
    copy(from, trail.data());
    for (int64_t k = low; k + 1 < high; ++k) {
      Vec<T>* next = trail.data() + (k + 1 - low) * size;
      copy(next - size, next);
      apply(at(k), next, transfer.back);
    }
  }

  // Without a start: |0...0>, whose words of 1 and Z alone are one.
  void load(const T* from, Vec<T>* to) const {
    for (int64_t w = 0; w < size; ++w) {
      Vec<T> v{};
      if (!from) {
        bool kept = true;
        for (int64_t rest = w; rest; rest >>= 2) kept = kept && ((rest & 3) == 0 || (rest & 3) == 3);
        v += T(kept);
      }
      for (int l = 0; from && l < live; ++l) v[l] = from[(first + l) * size + w];
      to[w] = v;
    }
  }
  void save(const Vec<T>* from, T* to) const {
    for (int l = 0; l < live; ++l)
      for (int64_t w = 0; w < size; ++w) to[(first + l) * size + w] = from[w][l];
  }

  // Visits the 4 or 16 words that differ on the qubits of `op` only, as offsets from their base.
  template <int D, typename Visit>
  void cosets(const Local& op, Visit visit) const {
    int64_t offset[D];
    const int64_t a = int64_t(1) << (2 * op.q0), b = D == 16 ? int64_t(1) << (2 * op.q1) : 0;
    for (int j = 0; j < D; ++j) offset[j] = D == 16 ? (j >> 2) * a + (j & 3) * b : j * a;
    const int64_t mask = 3 * a | 3 * b;
    for (int64_t base = 0, left = size / D; left-- > 0; base = ((base | mask) + 1) & ~mask) visit(base, offset);
  }

  void apply(const Local& op, Vec<T>* v, bool transposed) {
    if (op.batched) {
      compose(op);
      op.q1 < 0 ? dense<4>(op, v, transposed) : dense<16>(op, v, transposed);
    } else {
      const Sparse<T>& r = transfer.shared->of(op, transposed);
      op.q1 < 0 ? sparse<4>(op, r, v) : sparse<16>(op, r, v);
    }
  }

  template <int D>
  void sparse(const Local& op, const Sparse<T>& r, Vec<T>* v) const {
    cosets<D>(op, [&](int64_t base, const int64_t* offset) {
      Vec<T> in[D];
      for (int j = 0; j < D; ++j) in[j] = v[base + offset[j]];
      const T* value = r.values.data();
      const uint8_t* column = r.columns.data();
      for (int i = 0; i < D; ++i) {
        Vec<T> total{};
        for (int n = r.counts[size_t(i)]; n > 0; --n) total += *value++ * in[*column++];
        v[base + offset[i]] = total;
      }
    });
  }

  template <int D>
  void dense(const Local& op, Vec<T>* v, bool transposed) const {
    const Vec<T>* m = matrix.data();
    cosets<D>(op, [&](int64_t base, const int64_t* offset) {
      Vec<T> in[D];
      for (int j = 0; j < D; ++j) in[j] = v[base + offset[j]];
      for (int i = 0; i < D; ++i) {
        Vec<T> total{};
        for (int j = 0; j < D; ++j) total += m[transposed ? j * D + i : i * D + j] * in[j];
        v[base + offset[i]] = total;
      }
    });
  }

  struct LaneAngle {
    const Workspace<T>& work;
    void operator()(int32_t factor, Vec<T>& s, Vec<T>& c) const {
      SineCosine<T>()(T(2) * work.angles[size_t(factor)], s, c);
    }
  };

  void compose(const Local& op) {
    const size_t square = op.q1 < 0 ? 16 : 256;
    pieces.fit(square * size_t(op.count)), matrix.fit(square);
    Composer<Vec<T>>{*transfer.plan}.pieces(op, LaneAngle{work}, pieces.data());
    Composer<Vec<T>>{*transfer.plan}.product(op, pieces.data(), matrix.data());
  }

  // The derivative of every angle of `op` from the states on its two sides: with forward states these are
  // the state before and the cotangent after it, with observables the other way round.
  void differentiate(const Local& op, const Vec<T>* before, const Vec<T>* after) {
    if (!op.varies || (!op.batched && !line)) return;
    const Vec<T>*row = transfer.back ? before : after, *column = transfer.back ? after : before;
    op.q1 < 0 ? environments<4>(op, row, column) : environments<16>(op, row, column);
    const size_t square = op.q1 < 0 ? 16 : 256;
    if (op.batched) {
      compose(op);
      Composer<Vec<T>>{*transfer.plan}.gradients(op, LaneAngle{work}, pieces.data(), environment.data(),
                                                 [&](int32_t factor, Vec<T> g) { this->add(factor, g); });
      return;
    }
    double sums[256];
    for (size_t k = 0; k < square; ++k) sums[k] = double(lane_sum<T>(environment[k]));
    const TransferShared<T>& known = *transfer.shared;
    Composer<double>{*transfer.plan}.gradients(op, known.angle(), known.pieces_of(op), sums,
                                               [&](int32_t factor, double g) { line[factor] += g; });
  }

  template <int D>
  void environments(const Local& op, const Vec<T>* row, const Vec<T>* column) {
    environment.zeros(D * D);
    Vec<T>* e = environment.data();
    cosets<D>(op, [&](int64_t base, const int64_t* offset) {
      for (int i = 0; i < D; ++i) {
        const Vec<T> x = row[base + offset[i]];
        for (int j = 0; j < D; ++j) e[i * D + j] += x * column[base + offset[j]];
      }
    });
  }
};

}  // namespace
}  // namespace ROBUSTQ_VARIANT
}  // namespace robustq
