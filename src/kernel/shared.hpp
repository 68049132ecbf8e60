// What of a plan is the same for every sample: evaluated once a call, in double precision.
#pragma once
#include <cmath>

#include "kernel.hpp"
#include "phases.hpp"

namespace robustq {

struct SineCosineOne {
  void operator()(double x, double& s, double& c) const { s = std::sin(x), c = std::cos(x); }
};

template <typename T>
class SharedBuilder {
 public:
  SharedBuilder(const Plan& p, const T* parameters) : plan(p), theta(parameters) {}

  Shared<T> build() {
    const size_t steps = plan.steps.size();
    made.angles.assign(plan.factors.size(), 0.0);
    for (size_t k = 0; k < plan.factors.size(); ++k)
      if (!plan.factors[k].batched) made.angles[k] = angle(plan.factors[k]);
    made.turns.resize(steps), made.table_re.resize(steps), made.table_im.resize(steps);
    made.norm.assign(steps, 1.0);
    std::vector<double> missing(steps, 1.0);  // turns: the norm left out; phases: the norm put back
    double pending = 1;
    for (size_t s = 0; s < steps; ++s) {
      if (plan.steps[s].batched) continue;
      if (plan.steps[s].code == TURNS) {
        missing[s] = turns(s);
        pending *= missing[s];
      } else {
        table(s, pending);
        missing[s] = 1 / pending;
        pending = 1;
      }
    }
    made.last = pending;
    for (size_t s = steps; s-- > 0;) {
      made.norm[s] = pending;
      pending *= missing[s];
    }
    made.opening_norm = pending;
    return std::move(made);
  }

 private:
  const Plan& plan;
  const T* theta;
  Shared<T> made;
  Array<double> re, im;

  double slot(int32_t k) const { return k == 0 ? 1.0 : double(theta[k - 1]); }

  double angle(const Factor& factor) const {
    double total = 0;
    for (int32_t m = factor.first; m < factor.first + factor.count; ++m) {
      const Monomial& part = plan.monomials[m];
      total += part.coefficient * slot(part.left) * slot(part.right);
    }
    return total;
  }

  // The turns of a step; returns the product of the norms they leave out.
  double turns(size_t s) {
    const Step& step = plan.steps[s];
    double norm = 1;
    for (int32_t k = step.first; k < step.first + step.count;) {
      double total = 0;
      const int32_t q = plan.factors[k].q0;
      for (; k < step.first + step.count && plan.factors[k].q0 == q; ++k) total += made.angles[k];
      const double sine = std::sin(total), cosine = std::cos(total);
      const bool crossed = std::fabs(sine) > std::fabs(cosine);
      const T slope = T(crossed ? cosine / sine : sine / cosine);
      made.turns[s].push_back({slope, crossed, q, T(norm * norm)});
      // The norm of what is run, which is rounded: many turns alike would drift away from the exact one.
      norm *= std::copysign(1 / std::sqrt(1 + double(slope) * double(slope)), crossed ? sine : cosine);
    }
    return norm;
  }

  void table(size_t s, double norm) {
    const Step& step = plan.steps[s];
    const size_t size = size_t(1) << plan.qubits;
    re.fit(size), im.fit(size);
    Phases<double, SineCosineOne> phases(plan.qubits);
    for (int32_t k = step.first; k < step.first + step.count; ++k)
      phases.add(plan.factors[k].q0, plan.factors[k].q1, made.angles[k]);
    phases.build(re.data(), im.data(), SineCosineOne());
    made.table_re[s].resize(size), made.table_im[s].resize(size);
    for (size_t b = 0; b < size; ++b)
      made.table_re[s][b] = T(norm * re[b]), made.table_im[s][b] = T(norm * im[b]);
  }
};

}  // namespace robustq
