// The Python side of the kernel: checked plans, the choice of instruction set, threads over tiles.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include "crew.hpp"
#include "kernel.hpp"
#include "shared.hpp"

namespace nb = nanobind;
using namespace robustq;

namespace {

using Ints = nb::ndarray<const int32_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Line = nb::ndarray<const int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Numbers = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Reals = nb::ndarray<const double, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <typename T>
using In = nb::ndarray<const T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <typename T>
using Out = nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

void expect(bool good, const char* what) {
  if (!good) throw std::invalid_argument(std::string("kernel: expected ") + what);
}

Plan make_plan(int qubits, int parameters, int features, Ints monomials, Numbers coefficients, Ints factors,
               int opening, Ints steps, Ints places, int last) {
  expect(1 <= qubits && qubits <= 24, "1 to 24 qubits");
  expect(monomials.shape(1) == 2 && factors.shape(1) == 6 && steps.shape(1) == 5, "two, six and five columns");
  expect(monomials.shape(0) == coefficients.shape(0), "a coefficient a monomial");
  const int64_t size = int64_t(1) << qubits;
  expect(int64_t(places.shape(1)) == size, "tables of this width");
  Plan plan;
  plan.qubits = qubits, plan.parameters = parameters, plan.features = features, plan.opening = opening;
  for (size_t k = 0; k < monomials.shape(0); ++k) {
    Monomial m{monomials(k, 0), monomials(k, 1), coefficients(k)};
    for (int32_t slot : {m.left, m.right}) expect(0 <= slot && slot <= parameters + features, "slots in range");
    plan.monomials.push_back(m);
  }
  for (size_t k = 0; k < factors.shape(0); ++k) {
    Factor f{factors(k, 0), factors(k, 1), factors(k, 2), factors(k, 3), factors(k, 4) != 0};
    expect(f.first >= 0 && f.count >= 0 && size_t(f.first) + f.count <= plan.monomials.size(), "monomials in range");
    expect(0 <= f.q0 && f.q0 < qubits && -1 <= f.q1 && f.q1 < qubits && f.q0 != f.q1, "qubits in range");
    for (int32_t m = f.first; m < f.first + f.count && !f.batched; ++m)
      expect(std::max(plan.monomials[m].left, plan.monomials[m].right) <= parameters, "shared angles without features");
    plan.factors.push_back(f);
    plan.kinds.push_back(factors(k, 5) == TURNS ? TURNS : PHASES);
  }
  expect(0 <= opening && size_t(opening) <= plan.factors.size(), "an opening in range");
  for (int32_t k = 0; k < opening; ++k) expect(plan.factors[k].q1 < 0, "an opening of one-qubit factors");
  plan.places.assign(places.data(), places.data() + places.size());
  for (int32_t place : plan.places) expect(0 <= place && place < size, "basis states in range");
  for (size_t k = 0; k < steps.shape(0); ++k) {
    Step s{steps(k, 0) == TURNS ? TURNS : PHASES, steps(k, 1) != 0, steps(k, 2), steps(k, 3), steps(k, 4)};
    expect(0 <= s.places && size_t(s.places) < places.shape(0), "a known table");
    expect(s.first >= 0 && s.count >= 0 && size_t(s.first) + s.count <= plan.factors.size(), "factors in range");
    std::vector<bool> seen(qubits, false);
    for (int32_t f = s.first, before = -1; f < s.first + s.count; before = plan.factors[f].q0, ++f) {
      expect(s.batched || !plan.factors[f].batched, "shared factors in a shared step");
      if (s.code == PHASES) continue;
      const int32_t q = plan.factors[f].q0;
      expect(plan.factors[f].q1 < 0 && (q == before || !seen[q]), "turns of one qubit side by side");
      seen[q] = true;
    }
    plan.steps.push_back(s);
  }
  expect(0 <= last && size_t(last) < places.shape(0), "a known last table");
  plan.last = last;
  return plan;
}

template <typename T>
Tables<T> make_tables(const Reals& diagonal, const Reals& phase_re, const Reals& phase_im) {
  return {{diagonal.data(), diagonal.data() + diagonal.size()},
          {phase_re.data(), phase_re.data() + phase_re.size()},
          {phase_im.data(), phase_im.data() + phase_im.size()}};
}

Reading make_reading(int rows, Reals diagonal, Line term_row, Ints index, Reals phase_re, Reals phase_im) {
  Reading reading;
  reading.rows = rows, reading.diagonals = int32_t(diagonal.shape(0));
  while ((size_t(1) << reading.qubits) < diagonal.shape(1)) ++reading.qubits;
  expect(size_t(1) << reading.qubits == diagonal.shape(1), "diagonals over all basis states");
  expect(reading.diagonals <= rows, "no more diagonals than rows");
  reading.term_row.assign(term_row.data(), term_row.data() + term_row.shape(0));
  for (size_t k = 0; k < reading.term_row.size(); ++k)
    expect(0 <= reading.term_row[k] && reading.term_row[k] < rows &&
               (k == 0 || reading.term_row[k - 1] <= reading.term_row[k]), "rising rows in range");
  expect(index.shape(0) == term_row.shape(0) && index.shape(1) == diagonal.shape(1), "an index line a term");
  expect(index.size() == phase_re.size() && index.size() == phase_im.size(), "a phase an index");
  reading.index.assign(index.data(), index.data() + index.size());
  for (int32_t value : reading.index) expect(0 <= value && value < int64_t(diagonal.shape(1)), "basis states");
  reading.single = make_tables<float>(diagonal, phase_re, phase_im);
  reading.twice = make_tables<double>(diagonal, phase_re, phase_im);
  return reading;
}

enum class Variant { baseline, avx2, avx512 };

Variant best_variant() {
#if defined(ROBUSTQ_X86)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) return Variant::avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Variant::avx2;
#endif
  return Variant::baseline;
}

const Variant chosen = best_variant();

std::string variant_name() {
  return chosen == Variant::avx512 ? "avx512" : chosen == Variant::avx2 ? "avx2" : "baseline";
}

template <typename T>
void forward_tile(const Job<T>& job, int64_t tile) {
#if defined(ROBUSTQ_X86)
  if (chosen == Variant::avx512) return avx512::forward(job, tile);
  if (chosen == Variant::avx2) return avx2::forward(job, tile);
#endif
  baseline::forward(job, tile);
}

template <typename T>
void backward_tile(const Job<T>& job, int64_t tile) {
#if defined(ROBUSTQ_X86)
  if (chosen == Variant::avx512) return avx512::backward(job, tile);
  if (chosen == Variant::avx2) return avx2::backward(job, tile);
#endif
  baseline::backward(job, tile);
}

int panel() {
#if defined(ROBUSTQ_X86)
  if (chosen == Variant::avx512) return avx512::panel();
  if (chosen == Variant::avx2) return avx2::panel();
#endif
  return baseline::panel();
}

template <typename T>
void bloch_tile(const Job<T>& job, const BlochJob<T>& b, bool back, int64_t tile) {
#if defined(ROBUSTQ_X86)
  if (chosen == Variant::avx512) return avx512::bloch(job, b, back, tile);
  if (chosen == Variant::avx2) return avx2::bloch(job, b, back, tile);
#endif
  baseline::bloch(job, b, back, tile);
}

// A second thread that is awake pays from about this much arithmetic on, one that sleeps from fifty times it.
constexpr double WORTH_A_THREAD = 2e4;

template <typename Work>
void over_tiles(int64_t tiles, int threads, double work_of_a_tile, Work work) {
  const double worth = double(tiles) * work_of_a_tile / WORTH_A_THREAD;
  crew()->run(tiles, int(std::min(double(threads), std::max(1.0, worth))), worth > 50, work);
}

template <typename T>
Job<T> make_job(const Plan& plan, const Reading& reading, const Shared<T>& shared, int64_t batch,
                In<T> parameters, In<T> features, In<T> start, Out<T> kept) {
  expect(int64_t(parameters.size()) == plan.parameters, "the parameters");
  expect(int64_t(features.shape(0)) == batch && int64_t(features.shape(1)) == plan.features, "the features");
  expect(int64_t(start.shape(0)) == batch && int64_t(start.shape(1)) <= int64_t(1) << plan.qubits, "amplitudes");
  expect(start.shape(1) == 0 || plan.opening == 0, "no opening where amplitudes are loaded");
  expect(reading.qubits == plan.qubits, "a reading of this width");
  const int64_t width = lanes(sizeof(T)), tiles = (batch + width - 1) / width;
  expect(kept.size() == 0 || int64_t(kept.size()) == (tiles * 2 * width) << plan.qubits, "room for the states");
  return {&plan, &reading, &shared, batch, int32_t(start.shape(1)), parameters.data(), features.data(),
          start.data(), kept.size() ? kept.data() : nullptr, nullptr, nullptr, nullptr, nullptr, nullptr};
}

// A guess at the arithmetic of one tile, to decide whether a second thread is worth waking.
double work_of(const Plan& plan) {
  return double(plan.steps.size() + 2) * double(plan.qubits + 4) * double(int64_t(1) << plan.qubits);
}

template <typename T>
void forward(const Plan& plan, const Reading& reading, In<T> parameters, In<T> features, In<T> start,
             Out<T> kept, Out<T> rows, int threads) {
  expect(int64_t(parameters.size()) == plan.parameters, "the parameters");
  const Shared<T> shared = SharedBuilder<T>(plan, parameters.data()).build();
  Job<T> job = make_job<T>(plan, reading, shared, int64_t(rows.shape(0)), parameters, features, start, kept);
  expect(int64_t(rows.shape(1)) == reading.rows, "a column a row");
  job.rows = rows.data();
  const int64_t width = lanes(sizeof(T)), tiles = (job.batch + width - 1) / width;
  nb::gil_scoped_release release;
  over_tiles(tiles, threads, work_of(plan), [&](int64_t tile) { forward_tile(job, tile); });
}

// Sums over tiles in their order, so that the number of threads changes no bit.
template <typename T>
void collect(const Plan& plan, const std::vector<double>& lines, int64_t tiles, const T* theta, T* gradient) {
  const size_t factors = plan.factors.size(), width = factors + size_t(plan.parameters);
  std::vector<double> total(width, 0.0), slots(size_t(plan.parameters) + 1, 0.0);
  for (int64_t tile = 0; tile < tiles; ++tile)
    for (size_t k = 0; k < width; ++k) total[k] += lines[size_t(tile) * width + k];
  for (int32_t p = 0; p < plan.parameters; ++p) slots[size_t(p) + 1] = total[factors + size_t(p)];
  const auto value = [&](int32_t k) { return k == 0 ? 1.0 : double(theta[k - 1]); };
  for (size_t k = 0; k < factors; ++k) {
    const Factor& f = plan.factors[k];
    for (int32_t m = f.first; !f.batched && m < f.first + f.count; ++m) {
      const Monomial& part = plan.monomials[m];
      slots[part.left] += total[k] * part.coefficient * value(part.right);
      slots[part.right] += total[k] * part.coefficient * value(part.left);
    }
  }
  for (int32_t p = 0; p < plan.parameters; ++p) gradient[p] = T(slots[size_t(p) + 1]);
}

template <typename T>
void backward(const Plan& plan, const Reading& reading, In<T> parameters, In<T> features, In<T> start,
              Out<T> kept, In<T> grad_rows, Out<T> grad_parameters, Out<T> grad_features, Out<T> grad_start,
              int threads) {
  expect(int64_t(parameters.size()) == plan.parameters, "the parameters");
  const Shared<T> shared = SharedBuilder<T>(plan, parameters.data()).build();
  Job<T> job = make_job<T>(plan, reading, shared, int64_t(grad_rows.shape(0)), parameters, features, start, kept);
  const int64_t width = lanes(sizeof(T)), tiles = (job.batch + width - 1) / width;
  expect(int64_t(grad_rows.shape(1)) == reading.rows, "a column a row");
  const bool wanted = grad_parameters.size() > 0;
  expect(!wanted || grad_parameters.size() == parameters.size(), "parameter gradients of equal size");
  expect(grad_features.size() == features.size() && grad_start.size() == start.size(), "gradients of equal size");
  std::vector<double> lines(wanted ? size_t(tiles) * (plan.factors.size() + plan.parameters) : 0, 0.0);
  job.grad_rows = grad_rows.data(), job.grad_shared = wanted ? lines.data() : nullptr;
  job.grad_features = grad_features.data(), job.grad_start = grad_start.data();
  nb::gil_scoped_release release;
  over_tiles(tiles, threads, 4 * work_of(plan), [&](int64_t tile) { backward_tile(job, tile); });
  if (wanted) collect(plan, lines, tiles, parameters.data(), grad_parameters.data());
}

template <typename T>
BlochJob<T> make_bloch(const Plan& plan, Ints letters, int split, int classes, In<T> table, In<T> transposed) {
  expect(letters.shape(0) == size_t(plan.qubits) && letters.shape(1) == 5, "five letters a qubit");
  expect(0 < split && split <= plan.qubits && classes > 0, "a split of the register");
  expect(size_t(plan.opening) == plan.factors.size(), "a circuit of single qubits");
  int64_t sizes[2] = {1, 1};
  for (int q = 0; q < plan.qubits; ++q) {
    expect(1 <= letters(q, 0) && letters(q, 0) <= 4, "one to four letters");
    for (int k = 0; k < letters(q, 0); ++k) expect(0 <= letters(q, 1 + k) && letters(q, 1 + k) < 4, "letters");
    sizes[q >= split] *= letters(q, 0);
  }
  const int64_t wide = panel(), right = classes * sizes[1];
  const int64_t panels = (right + wide - 1) / wide, back = (sizes[0] + wide - 1) / wide;
  expect(int64_t(table.size()) == panels * sizes[0] * wide, "coefficients as panels");
  expect(int64_t(transposed.size()) == back * right * wide, "transposed coefficients as panels");
  return {letters.data(), split, classes, panels, back, table.data(), transposed.data()};
}

// Scores (batch, classes), or, with `back`, the derivative of the features from that of the scores.
template <typename T>
void bloch(const Plan& plan, Ints letters, int split, In<T> table, In<T> transposed, In<T> parameters,
           In<T> features, Out<T> kept, Out<T> scores, Out<T> grad_features, bool back, int threads) {
  const BlochJob<T> frozen = make_bloch<T>(plan, letters, split, int(scores.shape(1)), table, transposed);
  expect(int64_t(parameters.size()) == plan.parameters, "the parameters");
  const int64_t batch = int64_t(scores.shape(0)), width = lanes(sizeof(T)), tiles = (batch + width - 1) / width;
  expect(int64_t(features.shape(0)) == batch && int64_t(features.shape(1)) == plan.features, "the features");
  expect(int64_t(kept.size()) == tiles * frozen.panels * panel() * width, "room for the images");
  expect(reinterpret_cast<uintptr_t>(kept.data()) % 64 == 0, "aligned room");
  expect(!back || grad_features.size() == features.size(), "gradients of equal size");
  const Shared<T> shared = SharedBuilder<T>(plan, parameters.data()).build();
  Job<T> job{&plan, nullptr, &shared, batch, 0, parameters.data(), features.data(), nullptr, kept.data(),
             scores.data(), scores.data(), nullptr, grad_features.data(), nullptr};
  const double work = double(table.size() + transposed.size());
  nb::gil_scoped_release release;
  over_tiles(tiles, threads, work, [&](int64_t tile) { bloch_tile(job, frozen, back, tile); });
}

}  // namespace

NB_MODULE(_robustq_kernel, m) {
  nb::class_<Plan>(m, "Plan").def(
      "__init__", [](Plan* self, int qubits, int parameters, int features, Ints monomials, Numbers coefficients,
                     Ints factors, int opening, Ints steps, Ints places, int last) {
        new (self) Plan(make_plan(qubits, parameters, features, monomials, coefficients, factors, opening,
                                  steps, places, last));
      });
  nb::class_<Reading>(m, "Reading").def(
      "__init__", [](Reading* self, int rows, Reals diagonal, Line term_row, Ints index, Reals phase_re,
                     Reals phase_im) {
        new (self) Reading(make_reading(rows, diagonal, term_row, index, phase_re, phase_im));
      });
  m.def("variant", &variant_name).def("panel", &panel);
  m.def("forward", &forward<float>).def("forward", &forward<double>);
  m.def("backward", &backward<float>).def("backward", &backward<double>);
  m.def("bloch", &bloch<float>).def("bloch", &bloch<double>);
}
