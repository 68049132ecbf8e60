// What the instruction-set variants share with the Python binding: plain data and two entry points.
#pragma once
#include <cstdint>
#include <vector>

namespace robustq {

// An elementary one- or two-qubit gate exp(-i t G). `column` is where its angle t is found, among
// the angles shared by the batch or among those of each sample.
struct Element {
  bool batched;
  int32_t column;
  double g[4];             // one qubit: G = g0 + g1 X + g2 Y + g3 Z
  int32_t spectrum;        // two qubits: index into Plan::spectra
};

struct Spectrum {          // two qubits: G = V diag(values) V^dagger, all row-major
  double values[4];
  double v_re[16], v_im[16];
  double g_re[16], g_im[16];
};

enum Code : int32_t { RUN = 0, BLOCK = 1, GATHER = 2 };

struct Instruction {
  int32_t code;
  int32_t q0, q1;          // bit places counted from the least significant bit
  int32_t first, count;    // RUN: elements; BLOCK: one element; GATHER: offset into Plan::indices
};

struct Plan {
  int32_t qubits = 0, shared = 0, batched = 0;
  std::vector<Instruction> instructions;
  std::vector<Element> elements;
  std::vector<Spectrum> spectra;
  std::vector<int32_t> indices;
};

// Rows to read: diagonals, and Pauli terms (P psi)[b] = phase[b] psi[index[b]] added to a row.
struct Reading {
  int32_t rows = 0, diagonals = 0;
  std::vector<double> diagonal;              // (diagonals, 2^qubits)
  std::vector<int32_t> term_row, index;      // (terms,), (terms, 2^qubits)
  std::vector<double> phase_re, phase_im;    // (terms, 2^qubits)
};

template <typename T>
struct Job {
  const Plan* plan;
  const Reading* reading;
  int64_t batch;
  int32_t amplitudes;      // leading amplitudes given by `start`; 0 starts from |0...0>
  const T* shared;         // (shared,)
  const T* batched;        // (batch, batched)
  const T* start;          // (batch, amplitudes)
  T* rows;                 // forward: (batch, rows)
  const T* grad_rows;      // backward: (batch, rows)
  double* grad_shared;     // backward: (tiles, shared), one line a tile: sums do not depend on threads
  T* grad_batched;         // backward: (batch, batched)
  T* grad_start;           // backward: (batch, amplitudes)
};

constexpr int lanes(size_t size) { return static_cast<int>(64 / size); }

// One tile of samples, from `tile * lanes` on. Each variant of the kernel exports this pair.
#define ROBUSTQ_DECLARE(NAME)                                                  \
  namespace NAME {                                                             \
  void forward(const Job<float>&, int64_t tile);                               \
  void forward(const Job<double>&, int64_t tile);                              \
  void backward(const Job<float>&, int64_t tile);                              \
  void backward(const Job<double>&, int64_t tile);                             \
  }
ROBUSTQ_DECLARE(baseline)
ROBUSTQ_DECLARE(avx2)
ROBUSTQ_DECLARE(avx512)

}  // namespace robustq
