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
#include "transfer_plan.hpp"

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

Plan make_angles(int qubits, int parameters, int features, Ints monomials, Numbers coefficients, Ints factors) {
  expect(1 <= qubits && qubits <= 24, "1 to 24 qubits");
  expect(0 <= std::min(parameters, features) && std::max(parameters, features) < 1 << 30, "numbers of slots");
  expect(monomials.shape(1) == 2 && factors.shape(1) == 6, "two and six columns");
  expect(monomials.shape(0) == coefficients.shape(0), "a coefficient a monomial");
  Plan plan;
  plan.qubits = qubits, plan.parameters = parameters, plan.features = features;
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
  return plan;
}

Plan make_plan(int qubits, int parameters, int features, Ints monomials, Numbers coefficients, Ints factors,
               int opening, Ints steps, Ints places, int last) {
  Plan plan = make_angles(qubits, parameters, features, monomials, coefficients, factors);
  const int64_t size = int64_t(1) << qubits;
  expect(int64_t(places.shape(1)) == size && steps.shape(1) == 5, "tables of this width, five columns");
  plan.opening = opening;
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

template <typename T>
void transfer_tile(const Job<T>& job, const TransferJob<T>& t, bool back, int64_t tile) {
#if defined(ROBUSTQ_X86)
  if (chosen == Variant::avx512) return avx512::transfer(job, t, back, tile);
  if (chosen == Variant::avx2) return avx2::transfer(job, t, back, tile);
#endif
  baseline::transfer(job, t, back, tile);
}

// A second thread that is awake pays from about this much arithmetic on, one that sleeps from fifty times it.
constexpr double WORTH_A_THREAD = 2e4;

template <typename Work>
void over_tiles(int64_t tiles, int threads, double work_of_a_tile, Work work) {
  const double worth = double(tiles) * work_of_a_tile / WORTH_A_THREAD;
  Threads::get().run(tiles, int(std::min(double(threads), std::max(1.0, worth))), worth > 50, work);
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

template <typename T>
Sparse<T> make_sparse(const double* m, int D, bool transposed) {
  Sparse<T> made;
  for (int i = 0; i < D; ++i) {
    made.counts.push_back(0);
    for (int j = 0; j < D; ++j) {
      const double value = m[transposed ? j * D + i : i * D + j];
      if (value == 0) continue;
      made.values.push_back(T(value)), made.columns.push_back(uint8_t(j)), ++made.counts.back();
    }
  }
  return made;
}

template <typename T>
void put_map(Maps<T>& maps, const Local& op, const double* product) {
  const int D = op.q1 < 0 ? 4 : 16;
  maps.plain[op.number] = make_sparse<T>(product, D, false);
  maps.transposed[op.number] = make_sparse<T>(product, D, true);
}

// Evaluates the maps that vary (or those that do not) and hands them on.
template <typename Put>
void compose(const TransferPlan& plan, const double* angles, bool varies, Put put) {
  for (const Local& op : plan.ops) {
    if (op.batched || op.varies != varies) continue;
    std::vector<double> pieces(size_t(op.q1 < 0 ? 16 : 256) * op.count);
    double product[256];
    Composer<double>{plan}.pieces(op, DoubleAngle{angles}, pieces.data());
    Composer<double>{plan}.product(op, pieces.data(), product);
    put(op, std::move(pieces), product);
  }
}

template <typename T>
TransferShared<T> share(const TransferPlan& plan, const std::vector<double>& angles) {
  TransferShared<T> made{&plan, angles, {}, {}};
  const size_t count = plan.ops.size();
  made.pieces.resize(count), made.maps.plain.resize(count), made.maps.transposed.resize(count);
  compose(plan, angles.data(), true, [&](const Local& op, std::vector<double>&& pieces, const double* product) {
    made.pieces[op.number] = std::move(pieces);
    put_map(made.maps, op, product);
  });
  return made;
}

TransferPlan make_transfer(int qubits, int parameters, int features, Ints monomials, Numbers coefficients,
                           Ints factors, Ints pieces, Ints ops, Reals small, Reals large) {
  TransferPlan plan{make_angles(qubits, parameters, features, monomials, coefficients, factors), {}, {}, {}, {}, {}, {}};
  expect(qubits <= 12 && pieces.shape(1) == 2 && ops.shape(1) == 4, "12 qubits, two and four columns");
  expect(small.shape(1) == 16 && large.shape(1) == 256, "tables of one and of two qubits");
  plan.small.assign(small.data(), small.data() + small.size());
  plan.large.assign(large.data(), large.data() + large.size());
  for (size_t k = 0; k < pieces.shape(0); ++k) {
    expect(-1 <= pieces(k, 1) && pieces(k, 1) < int64_t(plan.base.factors.size()), "factors in range");
    plan.pieces.push_back({pieces(k, 0), pieces(k, 1)});
  }
  for (size_t k = 0; k < ops.shape(0); ++k) {
    Local op{ops(k, 0), ops(k, 1), ops(k, 2), ops(k, 3), false, false, int32_t(k)};
    expect(0 <= op.q0 && op.q0 < qubits && -1 <= op.q1 && op.q1 < qubits && op.q0 != op.q1, "qubits in range");
    expect(op.first >= 0 && op.count >= 1 && size_t(op.first) + op.count <= plan.pieces.size(), "pieces in range");
    for (int32_t p = op.first; p < op.first + op.count; ++p) {
      const Piece& piece = plan.pieces[p];
      expect(0 <= piece.table && piece.table < int64_t((op.q1 < 0 ? small : large).shape(0)), "tables in range");
      if (piece.factor < 0) continue;
      const Factor& factor = plan.base.factors[piece.factor];
      op.varies = op.varies || factor.count, op.batched = op.batched || factor.batched;
    }
    plan.ops.push_back(op);
  }
  for (auto* maps : {&plan.fixed_single.plain, &plan.fixed_single.transposed}) maps->resize(plan.ops.size());
  for (auto* maps : {&plan.fixed_double.plain, &plan.fixed_double.transposed}) maps->resize(plan.ops.size());
  const std::vector<double> zero(plan.base.factors.size(), 0.0);  // an angle without monomials
  compose(plan, zero.data(), false, [&](const Local& op, std::vector<double>&&, const double* product) {
    put_map(plan.fixed_single, op, product), put_map(plan.fixed_double, op, product);
  });
  return plan;
}

// Rows of Pauli vectors through the circuit (or back through it); with `grad_out` their derivatives instead.
template <typename T>
void transfer(const TransferPlan& plan, bool back, In<T> parameters, In<T> features, In<T> start, Out<T> out,
              Out<T> grad_parameters, Out<T> grad_features, Out<T> grad_start, bool derive, int threads) {
  const int64_t rows = int64_t(out.shape(0)), size = int64_t(1) << (2 * plan.base.qubits);
  expect(int64_t(parameters.size()) == plan.base.parameters, "the parameters");
  expect(int64_t(features.shape(0)) == rows && int64_t(features.shape(1)) == plan.base.features, "the features");
  expect(int64_t(out.shape(1)) == size && (start.size() == 0 || start.size() == out.size()), "Pauli vectors");
  expect(grad_parameters.size() == 0 || grad_parameters.size() == parameters.size(), "parameter gradients");
  expect(!derive || grad_features.size() == features.size(), "feature gradients");
  expect(grad_start.size() == 0 || grad_start.size() == start.size(), "start gradients");
  const Shared<T> shared = SharedBuilder<T>(plan.base, parameters.data()).build();
  const TransferShared<T> maps = share<T>(plan, shared.angles);
  const int64_t width = lanes(sizeof(T)), tiles = (rows + width - 1) / width;
  const bool wanted = derive && grad_parameters.size() > 0;
  std::vector<double> lines(wanted ? size_t(tiles) * (plan.base.factors.size() + plan.base.parameters) : 0, 0.0);
  Job<T> job{&plan.base, nullptr, &shared, rows, 0, parameters.data(), features.data(), nullptr, nullptr, nullptr,
             nullptr, wanted ? lines.data() : nullptr, derive ? grad_features.data() : nullptr, nullptr};
  const TransferJob<T> sent{&plan, &maps, back, start.size() ? start.data() : nullptr, out.data(), out.data(),
                            derive && grad_start.size() ? grad_start.data() : nullptr};
  const double work = double(plan.ops.size() + 1) * double(size) * 8;
  nb::gil_scoped_release release;
  over_tiles(tiles, threads, work, [&](int64_t tile) { transfer_tile(job, sent, derive, tile); });
  if (wanted) collect(plan.base, lines, tiles, parameters.data(), grad_parameters.data());
}

}  // namespace

NB_MODULE(_robustq_kernel, m) {
  nb::set_leak_warnings(false);  // plans live in caches until the process ends
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
  m.def("adopt_threads", [](const std::string& path) { return Threads::get().adopt(path.c_str()); });
  m.def("variant", &variant_name).def("panel", &panel);
  m.def("forward", &forward<float>).def("forward", &forward<double>);
  m.def("backward", &backward<float>).def("backward", &backward<double>);
  nb::class_<TransferPlan>(m, "TransferPlan").def(
      "__init__", [](TransferPlan* self, int qubits, int parameters, int features, Ints monomials,
                     Numbers coefficients, Ints factors, Ints pieces, Ints ops, Reals small, Reals large) {
        new (self) TransferPlan(make_transfer(qubits, parameters, features, monomials, coefficients, factors,
                                              pieces, ops, small, large));
      }).def_prop_ro("words", [](const TransferPlan& plan) { return int64_t(1) << (2 * plan.base.qubits); });
  m.def("transfer", &transfer<float>).def("transfer", &transfer<double>);
  m.def("bloch", &bloch<float>).def("bloch", &bloch<double>);
}
