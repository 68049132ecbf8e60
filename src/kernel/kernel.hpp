// What the instruction-set variants share with the Python binding: plain data and two entry points.
//
// Every gate has been written as turns (real rotations of one qubit), phases (diagonal gates) and
// relabellings of the basis. Relabellings move nothing: they change where an amplitude is looked up.
#pragma once
#include <cstdint>
#include <vector>

namespace robustq {

// coefficient * slot[left] * slot[right], where the slots are [1, parameters, features].
struct Monomial {
  int32_t left, right;
  double coefficient;
};

// An angle (a sum of monomials) and the qubits it acts on, as bit places from the least significant.
struct Factor {
  int32_t first, count;    // monomials
  int32_t q0, q1;          // q1 is -1 but for phases of two qubits
  bool batched;            // whether the angle differs from sample to sample
};

// TURNS: [[cos, -sin], [sin, cos]] on different qubits. PHASES: exp(-i angle Z...) for each factor.
enum Code : int32_t { TURNS = 0, PHASES = 1 };

struct Step {
  Code code;
  bool batched;            // whether any factor is
  int32_t places;          // which table of places holds when the step runs
  int32_t first, count;    // factors; those of one qubit are neighbours
};

struct Plan {
  int32_t qubits = 0, parameters = 0, features = 0;
  std::vector<Monomial> monomials;
  std::vector<Factor> factors;
  std::vector<Code> kinds;                   // of each factor
  int32_t opening = 0;                       // leading factors: one qubit each, before anything entangles
  std::vector<Step> steps;
  std::vector<int32_t> places;               // (tables, 2^qubits): basis state -> where it is kept
  int32_t last = 0;                          // the table that holds at the end
  const int32_t* table(int32_t k) const { return places.data() + (size_t(k) << qubits); }
};

// Rows to read: diagonals, and Pauli terms (P psi)[b] = phase[b] psi[index[b]] added to a row.
template <typename T>
struct Tables {
  std::vector<T> diagonal;                   // (diagonals, 2^qubits)
  std::vector<T> phase_re, phase_im;         // (terms, 2^qubits)
};
struct Reading {
  int32_t rows = 0, diagonals = 0, qubits = 0;
  std::vector<int32_t> term_row, index;      // (terms,), (terms, 2^qubits)
  Tables<float> single;
  Tables<double> twice;
  const Tables<float>& tables(float) const { return single; }
  const Tables<double>& tables(double) const { return twice; }
};

// A shared turn without its norm: [[1, -k], [k, 1]], or [[k, -1], [1, k]] where the sine is larger.
template <typename T>
struct Turn {
  T k;
  bool crossed;
  int32_t place;
  T missing;                 // the squared norm that the step's turns before it leave out
};

// What of a plan is the same for every sample, evaluated once a call. `table` holds the phases times
// the norms left out by the turns before them, `norm[s]` what is missing before step s is undone.
template <typename T>
struct Shared {
  std::vector<double> angles;                // (factors,), of the shared ones
  std::vector<std::vector<Turn<T>>> turns;   // of each step
  std::vector<std::vector<T>> table_re, table_im;
  std::vector<double> norm;
  double last = 1, opening_norm = 1;         // what is missing at the end, and once all is undone
};

template <typename T>
struct Job {
  const Plan* plan;
  const Reading* reading;
  const Shared<T>* shared;
  int64_t batch;
  int32_t amplitudes;      // leading amplitudes given by `start`; 0 starts from |0...0>
  const T* parameters;     // (parameters,)
  const T* features;       // (batch, features)
  const T* start;          // (batch, amplitudes)
  T* kept;                 // (tiles, 2, 2^qubits, lanes): final states, or null
  T* rows;                 // forward: (batch, rows)
  const T* grad_rows;      // backward: (batch, rows)
  double* grad_shared;     // backward: (tiles, factors + parameters), or null; sums in a fixed order
  T* grad_features;        // backward: (batch, features)
  T* grad_start;           // backward: (batch, amplitudes)
};

// A frozen product encoding: letters[q] = (count, letters of 1 X Y Z), coefficients as panels. Its states are
// the opening's, its images of the left half's features are kept in `Job::kept`.
template <typename T>
struct BlochJob {
  const int32_t* letters;            // (qubits, 5)
  int32_t split, classes;            // qubits of the left half; scores
  int64_t panels, panels_transposed;
  const T *table, *transposed;       // (panels, left, P), (panels_transposed, classes * right, P)
};

template <typename T>
struct TransferJob;

constexpr int lanes(size_t size) { return static_cast<int>(64 / size); }

// One tile of samples, from `tile * lanes` on. Each variant of the kernel exports these.
#define ROBUSTQ_DECLARE(NAME)                                                  \
  namespace NAME {                                                             \
  void forward(const Job<float>&, int64_t tile);                               \
  void forward(const Job<double>&, int64_t tile);                              \
  void backward(const Job<float>&, int64_t tile);                              \
  void backward(const Job<double>&, int64_t tile);                             \
  int panel();                                                                 \
  void bloch(const Job<float>&, const BlochJob<float>&, bool back, int64_t tile);    \
  void bloch(const Job<double>&, const BlochJob<double>&, bool back, int64_t tile);  \
  void transfer(const Job<float>&, const TransferJob<float>&, bool back, int64_t tile);    \
  void transfer(const Job<double>&, const TransferJob<double>&, bool back, int64_t tile);  \
  }
ROBUSTQ_DECLARE(baseline)
ROBUSTQ_DECLARE(avx2)
ROBUSTQ_DECLARE(avx512)

}  // namespace robustq
