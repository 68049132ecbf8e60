// Frozen product encodings: scores sum_w C_k[w] prod_q r_q[w_q] of the qubits' Bloch vectors r_q, as one
// matrix product between the features of the two halves of the register.
#pragma once
#include "opening.hpp"

namespace robustq {
namespace ROBUSTQ_VARIANT {
namespace {

// out[j] = sum_i panels[j / P][i][j % P] in[i], with P sums in registers.
template <typename T>
void multiply(const T* panels, int64_t rows, int64_t count, const Vec<T>* in, Vec<T>* out) {
  constexpr int P = ROBUSTQ_PANEL;
  for (int64_t p = 0; p < count; ++p, out += P) {
    Vec<T> total[P] = {};
    for (int64_t i = 0; i < rows; ++i, panels += P) {
      const Vec<T> x = in[i];
      _Pragma("GCC unroll 32") for (int j = 0; j < P; ++j) total[j] += panels[j] * x;
    }
    _Pragma("GCC unroll 32") for (int j = 0; j < P; ++j) out[j] = total[j];
  }
}

template <typename T>
class BlochTile : public Opening<T> {
  using Base = Opening<T>;
  using Base::job, Base::plan, Base::work, Base::tile, Base::first, Base::live;

 public:
  BlochTile(const Job<T>& j, const BlochJob<T>& b, int64_t t, Workspace<T>& w)
      : Base(j, t, w), bloch(b), n(j.plan->qubits) {
    this->open_columns();
    vectors();
    sizes[0] = build(0, bloch.split, levels[0]), sizes[1] = build(bloch.split, n, levels[1]);
  }

  void forward() {
    Vec<T>* image = images();
    multiply(bloch.table, sizes[0], bloch.panels, top(0), image);
    for (int32_t k = 0; k < bloch.classes; ++k) {
      Vec<T> total{};
      for (int64_t r = 0; r < sizes[1]; ++r) total += image[k * sizes[1] + r] * top(1)[r];
      for (int l = 0; l < live; ++l) job.rows[(first + l) * bloch.classes + k] = total[l];
    }
  }

  void backward() {
    const Vec<T>* image = images();
    const int64_t right = sizes[1], scaled = bloch.classes * right;
    work.psi.fit(size_t(std::max(right, sizes[0] + ROBUSTQ_PANEL))), work.lambda.re.fit(size_t(scaled));
    Vec<T>*g_right = work.psi.re.data(), *g_left = work.psi.im.data(), *weighted = work.lambda.re.data();
    for (int64_t r = 0; r < right; ++r) g_right[r] = Vec<T>{};
    for (int32_t k = 0; k < bloch.classes; ++k) {
      Vec<T> g{};
      for (int l = 0; l < live; ++l) g[l] = job.grad_rows[(first + l) * bloch.classes + k];
      for (int64_t r = 0; r < right; ++r)
        g_right[r] += g * image[k * right + r], weighted[k * right + r] = g * top(1)[r];
    }
    multiply(bloch.transposed, scaled, bloch.panels_transposed, weighted, g_left);
    work.cotangent.zeros(4 * size_t(n));
    unbuild(0, bloch.split, levels[0], g_left), unbuild(bloch.split, n, levels[1], g_right);
    this->close(T(1));
  }

 private:
  const BlochJob<T>& bloch;
  const int n;
  int64_t sizes[2];
  Array<Vec<T>> levels[2];           // the products of ever more qubits of a half, one after the other
  Array<Vec<T>> vector;              // (qubits, 4): 1, X, Y, Z

  Vec<T>* top(int half) { return levels[half].data() + levels[half].size() - size_t(sizes[half]); }
  Vec<T>* images() {
    return reinterpret_cast<Vec<T>*>(job.kept) + tile * bloch.panels * ROBUSTQ_PANEL;
  }

  const Vec<T>* column(int qubit) const { return work.column.data() + 4 * size_t(n - 1 - qubit); }

  void vectors() {
    vector.fit(4 * size_t(n));
    for (int q = 0; q < n; ++q) {
      const Vec<T>* v = column(q);
      Vec<T>* r = vector.data() + 4 * size_t(q);
      r[0] = Vec<T>{} + 1;
      r[1] = T(2) * (v[0] * v[2] + v[1] * v[3]);
      r[2] = T(2) * (v[0] * v[3] - v[1] * v[2]);
      r[3] = v[0] * v[0] + v[1] * v[1] - v[2] * v[2] - v[3] * v[3];
    }
  }

  int letters(int q) const { return bloch.letters[5 * q]; }
  int letter(int q, int k) const { return bloch.letters[5 * q + 1 + k]; }

  int64_t build(int low, int high, Array<Vec<T>>& level) {
    int64_t total = 1, size = 1;
    for (int q = low; q < high; ++q) total += size *= letters(q);
    level.fit(size_t(total));
    Vec<T>* now = level.data();
    now[0] = Vec<T>{} + 1, size = 1;
    for (int q = low; q < high; ++q) {
      const int count = letters(q);
      Vec<T>* next = now + size;
      for (int64_t i = 0; i < size; ++i)
        for (int k = 0; k < count; ++k) next[i * count + k] = now[i] * vector[size_t(4 * q + letter(q, k))];
      now = next, size *= count;
    }
    return size;
  }

  // From the derivative of a half's features to the cotangents of its columns; `g` is used up.
  void unbuild(int low, int high, Array<Vec<T>>& level, Vec<T>* g) {
    const Vec<T>* now = level.data() + level.size();
    int64_t size = 1;
    for (int q = low; q < high; ++q) size *= letters(q);
    now -= size;
    for (int q = high; q-- > low;) {
      const int count = letters(q);
      size /= count, now -= size;
      Vec<T> slope[4] = {};
      for (int64_t i = 0; i < size; ++i) {
        Vec<T> total{};
        for (int k = 0; k < count; ++k) {
          const Vec<T> d = g[i * count + k];
          slope[letter(q, k)] += d * now[i], total += d * vector[size_t(4 * q + letter(q, k))];
        }
        g[i] = total;
      }
      const Vec<T>*v = column(q), x = T(2) * slope[1], y = T(2) * slope[2], z = T(2) * slope[3];
      Vec<T>* w = work.cotangent.data() + 4 * size_t(n - 1 - q);
      w[0] = x * v[2] + y * v[3] + z * v[0], w[1] = x * v[3] - y * v[2] + z * v[1];
      w[2] = x * v[0] - y * v[1] - z * v[2], w[3] = x * v[1] + y * v[0] - z * v[3];
    }
  }
};

}  // namespace
}  // namespace ROBUSTQ_VARIANT
}  // namespace robustq
