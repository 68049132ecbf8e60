// The opening of a circuit, and the angles of all of it: every qubit on its own, before anything entangles.
#pragma once
#include "lanes.hpp"

namespace robustq {
namespace ROBUSTQ_VARIANT {
namespace {

template <typename T>
class Opening {
 protected:
  const Job<T>& job;
  const Plan& plan;
  const Shared<T>& shared;
  Workspace<T>& work;
  const int64_t tile, first;
  const int live;
  double* line;              // of this tile, for the derivatives of shared angles and parameters; or null

  Opening(const Job<T>& j, int64_t t, Workspace<T>& w)
      : job(j), plan(*j.plan), shared(*j.shared), work(w), tile(t), first(t * Lane<T>::width),
        live(int(std::min<int64_t>(Lane<T>::width, j.batch - first))),
        line(j.grad_shared ? j.grad_shared + t * int64_t(j.plan->factors.size() + size_t(j.plan->parameters)) : nullptr) {
    load_angles();
  }

  // The states of the opening's qubits, one column (re0, im0, re1, im1) each.
  void open_columns() {
    const size_t n = size_t(plan.qubits);
    work.column.zeros(4 * n);
    for (size_t q = 0; q < n; ++q) work.column[4 * q] = Vec<T>{} + 1;
    work.sines.fit(size_t(plan.opening)), work.cosines.fit(size_t(plan.opening));
    for (int32_t k = 0; k < plan.opening; ++k) {
      Vec<T>&s = work.sines[size_t(k)], &c = work.cosines[size_t(k)];
      SineCosine<T>()(work.angles[size_t(k)], s, c);
      act(plan.kinds[size_t(k)], s, c, work.column.data() + 4 * size_t(plan.factors[size_t(k)].q0));
    }
  }

  // Derivatives of the opening's angles, once every column has its cotangent.
  void close(T norm) {
    for (int32_t k = plan.opening; k-- > 0;) {
      const Factor& factor = plan.factors[size_t(k)];
      Vec<T>* v = work.column.data() + 4 * size_t(factor.q0);
      Vec<T>* w = work.cotangent.data() + 4 * size_t(factor.q0);
      const Vec<T> g = plan.kinds[size_t(k)] == TURNS
                           ? w[2] * v[0] + w[3] * v[1] - w[0] * v[2] - w[1] * v[3]
                           : (w[0] * v[1] - w[1] * v[0]) - (w[2] * v[3] - w[3] * v[2]);
      if (wanted(factor)) add(k, g * norm);
      const Vec<T> s = work.sines[size_t(k)], c = work.cosines[size_t(k)];
      act(plan.kinds[size_t(k)], -s, c, v), act(plan.kinds[size_t(k)], -s, c, w);
    }
  }

  // The product of the columns of places [low, high), the lowest place varying fastest.
  void product(Vec<T>* re, Vec<T>* im, int low, int high) const {
    re[0] = Vec<T>{} + 1, im[0] = Vec<T>{};
    for (int q = low; q < high; ++q) {
      const Vec<T>* v = work.column.data() + 4 * size_t(q);
      const size_t half = size_t(1) << (q - low);
      for (size_t b = 0; b < half; ++b) {
        const Vec<T> r = re[b], i = im[b];
        re[half + b] = r * v[2] - i * v[3], im[half + b] = r * v[3] + i * v[2];
        re[b] = r * v[0] - i * v[1], im[b] = r * v[1] + i * v[0];
      }
    }
  }

  bool wanted(const Factor& factor) const { return factor.count && (factor.batched || line); }

  // Hand the derivative of an angle on to the slots it is made of.
  void add(int32_t k, Vec<T> gradient) {
    const Factor& factor = plan.factors[k];
    if (!factor.batched) {
      if (line) line[k] += lane_sum<T>(gradient);
      return;
    }
    for (int32_t m = factor.first; m < factor.first + factor.count; ++m) {
      const Monomial& part = plan.monomials[m];
      give(part.left, gradient * T(part.coefficient) * slot(part.right));
      give(part.right, gradient * T(part.coefficient) * slot(part.left));
    }
  }

  void give(int32_t k, Vec<T> gradient) {
    if (k == 0) return;
    if (k <= plan.parameters) {
      if (line) line[plan.factors.size() + k - 1] += lane_sum<T>(gradient);
      return;
    }
    const int64_t feature = k - 1 - plan.parameters;
    for (int l = 0; l < live; ++l) job.grad_features[(first + l) * plan.features + feature] += gradient[l];
  }

 private:
  Vec<T> slot(int32_t k) const {
    if (k == 0) return Vec<T>{} + 1;
    if (k <= plan.parameters) return Vec<T>{} + job.parameters[k - 1];
    return work.features[k - 1 - plan.parameters];
  }

  void load_angles() {
    work.features.fit(plan.features);
    for (int32_t f = 0; f < plan.features; ++f) {
      Vec<T> x{};
      for (int l = 0; l < live; ++l) x[l] = job.features[(first + l) * plan.features + f];
      work.features[f] = x;
    }
    work.angles.fit(plan.factors.size());
    for (size_t k = 0; k < plan.factors.size(); ++k) {
      const Factor& factor = plan.factors[k];
      Vec<T> total{};
      if (!factor.batched) {
        total += T(shared.angles[k]);
      } else {
        for (int32_t m = factor.first; m < factor.first + factor.count; ++m) {
          const Monomial& part = plan.monomials[m];
          total += T(part.coefficient) * slot(part.left) * slot(part.right);
        }
      }
      work.angles[k] = total;
    }
  }

  // One factor of the opening, done or undone, on a column (re0, im0, re1, im1).
  void act(Code kind, Vec<T> s, Vec<T> c, Vec<T>* v) const {
    const Vec<T> a = v[0], b = v[1], x = v[2], y = v[3];
    if (kind == TURNS) {
      v[0] = c * a - s * x, v[1] = c * b - s * y, v[2] = s * a + c * x, v[3] = s * b + c * y;
    } else {
      v[0] = c * a + s * b, v[1] = c * b - s * a, v[2] = c * x - s * y, v[3] = c * y + s * x;
    }
  }
};

}  // namespace
}  // namespace ROBUSTQ_VARIANT
}  // namespace robustq
