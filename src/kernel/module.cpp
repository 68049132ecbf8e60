// The Python side of the kernel: checked plans, the choice of instruction set, threads over tiles.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>

#include "kernel.hpp"

namespace nb = nanobind;
using namespace robustq;

namespace {

using Ints = nb::ndarray<const int32_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Line = nb::ndarray<const int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Reals = nb::ndarray<const double, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <typename T>
using In = nb::ndarray<const T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <typename T>
using Out = nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

void expect(bool good, const char* what) {
  if (!good) throw std::invalid_argument(std::string("kernel: expected ") + what);
}

Plan make_plan(int qubits, int shared, int batched, Ints instructions, Ints elements, Reals generators,
               Reals spectra, Line indices) {
  expect(1 <= qubits && qubits <= 24, "1 to 24 qubits");
  expect(instructions.shape(1) == 5 && elements.shape(1) == 3, "five and three columns");
  expect(generators.shape(0) == elements.shape(0) && generators.shape(1) == 4, "four numbers a generator");
  expect(spectra.shape(1) == 68, "68 numbers a spectrum");
  Plan plan;
  plan.qubits = qubits, plan.shared = shared, plan.batched = batched;
  const int64_t size = int64_t(1) << qubits;
  for (size_t k = 0; k < elements.shape(0); ++k) {
    Element e{elements(k, 0) != 0, elements(k, 1), {}, elements(k, 2)};
    for (int j = 0; j < 4; ++j) e.g[j] = generators(k, j);
    expect(0 <= e.column && e.column < (e.batched ? batched : shared), "angle columns in range");
    expect(e.spectrum < int64_t(spectra.shape(0)), "spectra in range");
    plan.elements.push_back(e);
  }
  for (size_t k = 0; k < spectra.shape(0); ++k) {
    Spectrum s;
    const double* p = spectra.data() + 68 * k;
    std::copy(p, p + 4, s.values);
    std::copy(p + 4, p + 20, s.v_re), std::copy(p + 20, p + 36, s.v_im);
    std::copy(p + 36, p + 52, s.g_re), std::copy(p + 52, p + 68, s.g_im);
    plan.spectra.push_back(s);
  }
  plan.indices.assign(indices.data(), indices.data() + indices.shape(0));
  for (int32_t index : plan.indices) expect(0 <= index && index < size, "basis states in range");
  for (size_t k = 0; k < instructions.shape(0); ++k) {
    Instruction s{instructions(k, 0), instructions(k, 1), instructions(k, 2), instructions(k, 3),
                  instructions(k, 4)};
    expect(s.first >= 0, "offsets >= 0");
    if (s.code == GATHER) {
      expect(s.first + size <= int64_t(plan.indices.size()), "a whole relabelling");
    } else {
      expect(s.code == RUN || s.code == BLOCK, "a known instruction");
      expect(0 <= s.q0 && s.q0 < qubits, "qubits in range");
      expect(s.count >= 1 && s.first + s.count <= int64_t(plan.elements.size()), "elements in range");
      if (s.code == BLOCK) {
        expect(0 <= s.q1 && s.q1 < qubits && s.q0 != s.q1, "two different qubits");
        expect(plan.elements[s.first].spectrum >= 0, "a spectrum for a two-qubit gate");
      }
    }
    plan.instructions.push_back(s);
  }
  return plan;
}

Reading make_reading(int rows, Reals diagonal, Line term_row, Ints index, Reals phase_re, Reals phase_im) {
  Reading reading;
  reading.rows = rows, reading.diagonals = int32_t(diagonal.shape(0));
  expect(reading.diagonals <= rows, "no more diagonals than rows");
  reading.diagonal.assign(diagonal.data(), diagonal.data() + diagonal.size());
  reading.term_row.assign(term_row.data(), term_row.data() + term_row.shape(0));
  for (int32_t row : reading.term_row) expect(0 <= row && row < rows, "rows in range");
  expect(index.shape(0) == term_row.shape(0), "an index line a term");
  expect(index.size() == phase_re.size() && index.size() == phase_im.size(), "a phase an index");
  reading.index.assign(index.data(), index.data() + index.size());
  for (int32_t value : reading.index) expect(0 <= value && value < int64_t(diagonal.shape(1)), "basis states");
  reading.phase_re.assign(phase_re.data(), phase_re.data() + phase_re.size());
  reading.phase_im.assign(phase_im.data(), phase_im.data() + phase_im.size());
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

// Threads take tiles as they come; every tile writes to places of its own.
template <typename Work>
void over_tiles(int64_t tiles, int threads, Work work) {
  nb::gil_scoped_release release;
  const int count = int(std::min<int64_t>(std::max(threads, 1), tiles));
  if (count <= 1) {
    for (int64_t tile = 0; tile < tiles; ++tile) work(tile);
    return;
  }
  std::atomic<int64_t> next{0};
  const auto loop = [&] {
    for (int64_t tile; (tile = next.fetch_add(1)) < tiles;) work(tile);
  };
  std::vector<std::thread> crew;
  for (int k = 1; k < count; ++k) crew.emplace_back(loop);
  loop();
  for (std::thread& member : crew) member.join();
}

template <typename T>
Job<T> make_job(const Plan& plan, const Reading& reading, int64_t batch, In<T> shared, In<T> batched,
                In<T> start) {
  expect(int64_t(shared.shape(0)) == 1 && int64_t(shared.shape(1)) == plan.shared, "the shared angles");
  expect(int64_t(batched.shape(0)) == batch && int64_t(batched.shape(1)) == plan.batched, "the batched angles");
  expect(int64_t(start.shape(0)) == batch && int64_t(start.shape(1)) <= int64_t(1) << plan.qubits, "amplitudes");
  expect(reading.diagonal.size() == size_t(reading.diagonals) << plan.qubits, "diagonals of this width");
  return {&plan, &reading, batch, int32_t(start.shape(1)), shared.data(), batched.data(), start.data(),
          nullptr, nullptr, nullptr, nullptr, nullptr};
}

template <typename T>
void forward(const Plan& plan, const Reading& reading, In<T> shared, In<T> batched, In<T> start,
             Out<T> rows, int threads) {
  Job<T> job = make_job<T>(plan, reading, int64_t(rows.shape(0)), shared, batched, start);
  expect(int64_t(rows.shape(1)) == reading.rows, "a column a row");
  job.rows = rows.data();
  const int64_t width = lanes(sizeof(T));
  over_tiles((job.batch + width - 1) / width, threads, [&](int64_t tile) { forward_tile(job, tile); });
}

template <typename T>
void backward(const Plan& plan, const Reading& reading, In<T> shared, In<T> batched, In<T> start,
              In<T> grad_rows, Out<double> grad_shared, Out<T> grad_batched, Out<T> grad_start, int threads) {
  Job<T> job = make_job<T>(plan, reading, int64_t(grad_rows.shape(0)), shared, batched, start);
  const int64_t width = lanes(sizeof(T)), tiles = (job.batch + width - 1) / width;
  expect(int64_t(grad_rows.shape(1)) == reading.rows, "a column a row");
  expect(int64_t(grad_shared.shape(0)) == tiles && int64_t(grad_shared.shape(1)) == plan.shared, "a line a tile");
  expect(grad_batched.size() == batched.size() && grad_start.size() == start.size(), "gradients of equal size");
  job.grad_rows = grad_rows.data(), job.grad_shared = grad_shared.data();
  job.grad_batched = grad_batched.data(), job.grad_start = grad_start.data();
  over_tiles(tiles, threads, [&](int64_t tile) { backward_tile(job, tile); });
}

}  // namespace

NB_MODULE(_robustq_kernel, m) {
  nb::class_<Plan>(m, "Plan").def(
      "__init__", [](Plan* self, int qubits, int shared, int batched, Ints instructions, Ints elements,
                     Reals generators, Reals spectra, Line indices) {
        new (self) Plan(make_plan(qubits, shared, batched, instructions, elements, generators, spectra, indices));
      });
  nb::class_<Reading>(m, "Reading").def(
      "__init__", [](Reading* self, int rows, Reals diagonal, Line term_row, Ints index, Reals phase_re,
                     Reals phase_im) {
        new (self) Reading(make_reading(rows, diagonal, term_row, index, phase_re, phase_im));
      });
  m.def("variant", &variant_name);
  m.def("forward", &forward<float>).def("forward", &forward<double>);
  m.def("backward", &backward<float>).def("backward", &backward<double>);
}
