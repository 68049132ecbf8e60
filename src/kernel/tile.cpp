// The batch is the SIMD lane: amplitude b of 16 float (8 double) samples is one vector, so a whole
// circuit runs on one tile while its state sits in cache, and every gate vectorises whatever its qubit.
// Compiled once per instruction set, with ROBUSTQ_VARIANT naming the namespace.
#include <cmath>
#include <cstring>
#include <vector>

#include "kernel.hpp"

namespace robustq {
namespace ROBUSTQ_VARIANT {
namespace {

template <typename T>
struct Lane {
  static constexpr int width = lanes(sizeof(T));
  typedef T type __attribute__((vector_size(64)));
};
template <typename T>
using Vec = typename Lane<T>::type;

template <typename N>
struct Complex {
  N re, im;
};
template <typename N>
inline Complex<N> operator+(Complex<N> a, Complex<N> b) { return {a.re + b.re, a.im + b.im}; }
template <typename N>
inline Complex<N> operator*(Complex<N> a, Complex<N> b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
// conj(a) * b
template <typename N>
inline Complex<N> dot(Complex<N> a, Complex<N> b) {
  return {a.re * b.re + a.im * b.im, a.re * b.im - a.im * b.re};
}

template <typename N>
struct Two {  // a 2 x 2 complex matrix
  Complex<N> m[2][2];
};
template <typename N>
Two<N> operator*(const Two<N>& a, const Two<N>& b) {
  Two<N> c;
  for (int j = 0; j < 2; ++j)
    for (int k = 0; k < 2; ++k) c.m[j][k] = a.m[j][0] * b.m[0][k] + a.m[j][1] * b.m[1][k];
  return c;
}

template <typename T>
Vec<T> splat(T value) { return Vec<T>{} + value; }

template <typename T>
T lane_sum(Vec<T> v) {
  T total = 0;
  for (int l = 0; l < Lane<T>::width; ++l) total += v[l];
  return total;
}

template <typename T>
struct State {
  std::vector<Vec<T>> re, im;
  explicit State(size_t size) : re(size), im(size) {}
};

// The angle of an element, for every lane.
template <typename T>
Vec<T> angle(const Job<T>& job, const Element& e, int64_t first, int live) {
  if (!e.batched) return splat<T>(job.shared[e.column]);
  Vec<T> t{};
  for (int l = 0; l < live; ++l) t[l] = job.batched[(first + l) * job.plan->batched + e.column];
  return t;
}

template <typename T>
void sine_cosine(Vec<T> x, Vec<T>& s, Vec<T>& c, bool same) {
  if (same) {
    s = splat<T>(std::sin(x[0]));
    c = splat<T>(std::cos(x[0]));
    return;
  }
  for (int l = 0; l < Lane<T>::width; ++l) {
    s[l] = std::sin(x[l]);
    c[l] = std::cos(x[l]);
  }
}

// exp(-i t (g0 + g . sigma)) = exp(-i t g0) (cos(t |g|) - i sin(t |g|) g/|g| . sigma)
template <typename T>
Two<Vec<T>> one_qubit(const Element& e, Vec<T> t) {
  const double size = std::sqrt(e.g[1] * e.g[1] + e.g[2] * e.g[2] + e.g[3] * e.g[3]);
  const double scale = size > 0 ? 1 / size : 0;
  const T x = T(e.g[1] * scale), y = T(e.g[2] * scale), z = T(e.g[3] * scale);
  Vec<T> s, c, ps, pc;
  sine_cosine<T>(t * T(size), s, c, !e.batched);
  Two<Vec<T>> u{{{{c, -s * z}, {-s * y, -s * x}}, {{s * y, -s * x}, {c, s * z}}}};
  if (e.g[0] != 0) {
    sine_cosine<T>(t * T(e.g[0]), ps, pc, !e.batched);
    const Complex<Vec<T>> phase{pc, -ps};
    for (auto& row : u.m)
      for (auto& entry : row) entry = entry * phase;
  }
  return u;
}

// -i G as a 2 x 2 matrix, to differentiate exp(-i t G).
template <typename T>
Two<Vec<T>> minus_i_generator(const Element& e) {
  const Vec<T> a = splat<T>(T(e.g[0])), x = splat<T>(T(e.g[1])), y = splat<T>(T(e.g[2])),
               z = splat<T>(T(e.g[3])), o = splat<T>(T(0));
  return {{{{o, -(a + z)}, {-y, -x}}, {{y, -x}, {o, -(a - z)}}}};
}

template <typename T>
struct Four {  // a 4 x 4 complex matrix for every lane
  Complex<Vec<T>> m[4][4];
};

template <typename T>
Four<T> two_qubit(const Spectrum& spectrum, Vec<T> t, bool same) {
  Complex<Vec<T>> phase[4];
  for (int k = 0; k < 4; ++k) {
    Vec<T> s, c;
    sine_cosine<T>(t * T(spectrum.values[k]), s, c, same);
    phase[k] = {c, -s};
  }
  Four<T> u;
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j) {
      Complex<Vec<T>> total{Vec<T>{}, Vec<T>{}};
      for (int k = 0; k < 4; ++k) {
        const double ar = spectrum.v_re[4 * i + k], ai = spectrum.v_im[4 * i + k];
        const double br = spectrum.v_re[4 * j + k], bi = -spectrum.v_im[4 * j + k];
        const Complex<Vec<T>> weight{splat<T>(T(ar * br - ai * bi)), splat<T>(T(ar * bi + ai * br))};
        total = total + weight * phase[k];
      }
      u.m[i][j] = total;
    }
  return u;
}

template <typename N>
Two<N> adjoint(const Two<N>& u) {
  Two<N> a;
  for (int j = 0; j < 2; ++j)
    for (int k = 0; k < 2; ++k) a.m[j][k] = {u.m[k][j].re, -u.m[k][j].im};
  return a;
}

template <typename T>
void apply(State<T>& state, const Two<Vec<T>>& u, int place) {
  const size_t size = state.re.size(), stride = size_t(1) << place;
  Vec<T>*re = state.re.data(), *im = state.im.data();
  for (size_t base = 0; base < size; base += 2 * stride)
    for (size_t a = base; a < base + stride; ++a) {
      const size_t b = a + stride;
      const Complex<Vec<T>> p{re[a], im[a]}, q{re[b], im[b]};
      const Complex<Vec<T>> x = u.m[0][0] * p + u.m[0][1] * q, y = u.m[1][0] * p + u.m[1][1] * q;
      re[a] = x.re, im[a] = x.im, re[b] = y.re, im[b] = y.im;
    }
}

// psi <- U^dagger psi, E += lambda psi^dagger, lambda <- U^dagger lambda, in one pass.
template <typename T>
Two<Vec<T>> unapply(State<T>& psi, State<T>& lambda, const Two<Vec<T>>& u, int place) {
  const size_t size = psi.re.size(), stride = size_t(1) << place;
  const Two<Vec<T>> back = adjoint(u);
  Two<Vec<T>> e{};
  for (size_t base = 0; base < size; base += 2 * stride)
    for (size_t a = base; a < base + stride; ++a) {
      const size_t b = a + stride;
      const Complex<Vec<T>> p{psi.re[a], psi.im[a]}, q{psi.re[b], psi.im[b]};
      const Complex<Vec<T>> f{lambda.re[a], lambda.im[a]}, h{lambda.re[b], lambda.im[b]};
      const Complex<Vec<T>> x = back.m[0][0] * p + back.m[0][1] * q;
      const Complex<Vec<T>> y = back.m[1][0] * p + back.m[1][1] * q;
      e.m[0][0] = e.m[0][0] + dot(x, f), e.m[0][1] = e.m[0][1] + dot(y, f);
      e.m[1][0] = e.m[1][0] + dot(x, h), e.m[1][1] = e.m[1][1] + dot(y, h);
      const Complex<Vec<T>> v = back.m[0][0] * f + back.m[0][1] * h;
      const Complex<Vec<T>> w = back.m[1][0] * f + back.m[1][1] * h;
      psi.re[a] = x.re, psi.im[a] = x.im, psi.re[b] = y.re, psi.im[b] = y.im;
      lambda.re[a] = v.re, lambda.im[a] = v.im, lambda.re[b] = w.re, lambda.im[b] = w.im;
    }
  return e;
}

// Basis states of a two-qubit gate: the `k`-th group of four, bits of q0 (high) and q1 (low).
inline void quadruple(size_t k, int high, int low, size_t out[4]) {
  const int a = high < low ? high : low, b = high < low ? low : high;
  size_t base = (k >> a << (a + 1)) | (k & ((size_t(1) << a) - 1));
  base = (base >> b << (b + 1)) | (base & ((size_t(1) << b) - 1));
  out[0] = base, out[1] = base | size_t(1) << low, out[2] = base | size_t(1) << high;
  out[3] = out[1] | out[2];
}

template <typename T, typename Entry>
void apply_four(State<T>& state, int high, int low, Entry entry) {
  const size_t groups = state.re.size() / 4;
  for (size_t k = 0; k < groups; ++k) {
    size_t at[4];
    quadruple(k, high, low, at);
    Complex<Vec<T>> in[4], out[4];
    for (int j = 0; j < 4; ++j) in[j] = {state.re[at[j]], state.im[at[j]]};
    for (int i = 0; i < 4; ++i) {
      out[i] = entry(i, 0) * in[0];
      for (int j = 1; j < 4; ++j) out[i] = out[i] + entry(i, j) * in[j];
    }
    for (int j = 0; j < 4; ++j) state.re[at[j]] = out[j].re, state.im[at[j]] = out[j].im;
  }
}

// d/dt of Re<lambda|exp(-i t G) ...> is Im<lambda|G|psi> on the state after the gate.
template <typename T>
Vec<T> generator_mean(const State<T>& psi, const State<T>& lambda, const Spectrum& g, int high, int low) {
  Vec<T> total{};
  const size_t groups = psi.re.size() / 4;
  for (size_t k = 0; k < groups; ++k) {
    size_t at[4];
    quadruple(k, high, low, at);
    for (int i = 0; i < 4; ++i) {
      Complex<Vec<T>> image{Vec<T>{}, Vec<T>{}};
      for (int j = 0; j < 4; ++j) {
        const T gr = T(g.g_re[4 * i + j]), gi = T(g.g_im[4 * i + j]);
        if (gr == 0 && gi == 0) continue;
        image.re += gr * psi.re[at[j]] - gi * psi.im[at[j]];
        image.im += gr * psi.im[at[j]] + gi * psi.re[at[j]];
      }
      total += lambda.re[at[i]] * image.im - lambda.im[at[i]] * image.re;
    }
  }
  return total;
}

template <typename T>
void gather(State<T>& state, State<T>& spare, const int32_t* index) {
  for (size_t j = 0; j < state.re.size(); ++j) {
    spare.re[j] = state.re[index[j]];
    spare.im[j] = state.im[index[j]];
  }
  state.re.swap(spare.re), state.im.swap(spare.im);
}

template <typename T>
void scatter(State<T>& state, State<T>& spare, const int32_t* index) {
  for (size_t j = 0; j < state.re.size(); ++j) {
    spare.re[index[j]] = state.re[j];
    spare.im[index[j]] = state.im[j];
  }
  state.re.swap(spare.re), state.im.swap(spare.im);
}

template <typename T>
struct Tile {
  const Job<T>& job;
  const Plan& plan;
  const int64_t first;
  const int live;
  State<T> psi, spare;

  Tile(const Job<T>& j, int64_t tile)
      : job(j), plan(*j.plan), first(tile * Lane<T>::width),
        live(int(std::min<int64_t>(Lane<T>::width, j.batch - tile * Lane<T>::width))),
        psi(size_t(1) << j.plan->qubits), spare(size_t(1) << j.plan->qubits) {}

  Two<Vec<T>> element(int32_t k) const {
    const Element& e = plan.elements[k];
    return one_qubit<T>(e, angle(job, e, first, live));
  }

  Two<Vec<T>> run(const Instruction& s) const {
    Two<Vec<T>> u = element(s.first);
    for (int32_t k = 1; k < s.count; ++k) u = element(s.first + k) * u;
    return u;
  }

  Four<T> block(const Instruction& s) const {
    const Element& e = plan.elements[s.first];
    return two_qubit<T>(plan.spectra[e.spectrum], angle(job, e, first, live), !e.batched);
  }

  void prepare() {
    const size_t size = psi.re.size();
    std::memset(psi.re.data(), 0, size * sizeof(Vec<T>));
    std::memset(psi.im.data(), 0, size * sizeof(Vec<T>));
    if (!job.amplitudes) psi.re[0] = splat<T>(T(1));
    for (int l = 0; l < live; ++l)
      for (int32_t b = 0; b < job.amplitudes; ++b)
        psi.re[b][l] = job.start[(first + l) * job.amplitudes + b];
  }

  void evolve() {
    prepare();
    for (const Instruction& s : plan.instructions) {
      if (s.code == RUN) {
        apply(psi, run(s), s.q0);
      } else if (s.code == BLOCK) {
        const Four<T> u = block(s);
        apply_four(psi, s.q0, s.q1, [&](int i, int j) { return u.m[i][j]; });
      } else {
        gather(psi, spare, plan.indices.data() + s.first);
      }
    }
  }

  void read() {
    const Reading& reading = *job.reading;
    const size_t size = psi.re.size();
    std::vector<Vec<T>> rows(size_t(reading.rows), Vec<T>{});
    for (int32_t r = 0; r < reading.diagonals; ++r) {
      const double* d = reading.diagonal.data() + r * size;
      for (size_t b = 0; b < size; ++b)
        rows[r] += T(d[b]) * (psi.re[b] * psi.re[b] + psi.im[b] * psi.im[b]);
    }
    for (size_t k = 0; k < reading.term_row.size(); ++k)
      for (size_t b = 0; b < size; ++b) {
        const size_t o = k * size + b;
        const size_t c = size_t(reading.index[o]);
        const T pr = T(reading.phase_re[o]), pi = T(reading.phase_im[o]);
        rows[reading.term_row[k]] += psi.re[b] * (pr * psi.re[c] - pi * psi.im[c]) +
                                     psi.im[b] * (pr * psi.im[c] + pi * psi.re[c]);
      }
    for (int32_t r = 0; r < reading.rows; ++r)
      for (int l = 0; l < live; ++l) job.rows[(first + l) * reading.rows + r] = rows[r][l];
  }

  // The gradient of the rows' weighted sum with respect to the state: 2 sum_r g_r M_r psi.
  State<T> seed() const {
    const Reading& reading = *job.reading;
    const size_t size = psi.re.size();
    State<T> lambda(size);
    std::vector<Vec<T>> weight(size_t(reading.rows), Vec<T>{});
    for (int32_t r = 0; r < reading.rows; ++r)
      for (int l = 0; l < live; ++l) weight[r][l] = 2 * job.grad_rows[(first + l) * reading.rows + r];
    for (size_t b = 0; b < size; ++b) {
      Vec<T> w{};
      for (int32_t r = 0; r < reading.diagonals; ++r)
        w += T(reading.diagonal[r * size + b]) * weight[r];
      lambda.re[b] = w * psi.re[b], lambda.im[b] = w * psi.im[b];
    }
    for (size_t k = 0; k < reading.term_row.size(); ++k)
      for (size_t b = 0; b < size; ++b) {
        const size_t o = k * size + b, c = size_t(reading.index[o]);
        const T pr = T(reading.phase_re[o]), pi = T(reading.phase_im[o]);
        const Vec<T> w = weight[reading.term_row[k]];
        lambda.re[b] += w * (pr * psi.re[c] - pi * psi.im[c]);
        lambda.im[b] += w * (pr * psi.im[c] + pi * psi.re[c]);
      }
    return lambda;
  }

  void add(const Element& e, Vec<T> gradient, double* shared) {
    if (!e.batched) {
      shared[e.column] += lane_sum<T>(gradient);
      return;
    }
    for (int l = 0; l < live; ++l)
      job.grad_batched[(first + l) * plan.batched + e.column] += gradient[l];
  }

  // Re sum_jk conj(E_jk) (dU/dt)_jk for each element of the run.
  void run_gradients(const Instruction& s, const Two<Vec<T>>& e, double* shared) {
    std::vector<Two<Vec<T>>> up(size_t(s.count));  // up[k] = U_k ... U_0
    for (int32_t k = 0; k < s.count; ++k)
      up[k] = k ? element(s.first + k) * up[k - 1] : element(s.first);
    Two<Vec<T>> left{};
    left.m[0][0].re = left.m[1][1].re = splat<T>(T(1));
    for (int32_t k = s.count - 1; k >= 0; --k) {
      const Element& part = plan.elements[s.first + k];
      const Two<Vec<T>> d = left * (minus_i_generator<T>(part) * up[k]);
      Vec<T> total{};
      for (int i = 0; i < 2; ++i)
        for (int j = 0; j < 2; ++j)
          total += e.m[i][j].re * d.m[i][j].re + e.m[i][j].im * d.m[i][j].im;
      add(part, total, shared);
      if (k) left = left * element(s.first + k);
    }
  }

  void sweep_back(double* shared) {
    State<T> lambda = seed();
    for (size_t k = plan.instructions.size(); k-- > 0;) {
      const Instruction& s = plan.instructions[k];
      if (s.code == RUN) {
        run_gradients(s, unapply(psi, lambda, run(s), s.q0), shared);
      } else if (s.code == BLOCK) {
        const Element& e = plan.elements[s.first];
        add(e, generator_mean(psi, lambda, plan.spectra[e.spectrum], s.q0, s.q1), shared);
        const Four<T> u = block(s);
        const auto back = [&](int i, int j) { return Complex<Vec<T>>{u.m[j][i].re, -u.m[j][i].im}; };
        apply_four(psi, s.q0, s.q1, back);
        apply_four(lambda, s.q0, s.q1, back);
      } else {
        scatter(psi, spare, plan.indices.data() + s.first);
        scatter(lambda, spare, plan.indices.data() + s.first);
      }
    }
    for (int l = 0; l < live; ++l)
      for (int32_t b = 0; b < job.amplitudes; ++b)
        job.grad_start[(first + l) * job.amplitudes + b] = lambda.re[b][l];
  }
};

template <typename T>
void run_forward(const Job<T>& job, int64_t tile) {
  Tile<T> work(job, tile);
  work.evolve();
  work.read();
}

template <typename T>
void run_backward(const Job<T>& job, int64_t tile) {
  Tile<T> work(job, tile);
  work.evolve();
  work.sweep_back(job.grad_shared + tile * job.plan->shared);
}

}  // namespace

void forward(const Job<float>& job, int64_t tile) { run_forward(job, tile); }
void forward(const Job<double>& job, int64_t tile) { run_forward(job, tile); }
void backward(const Job<float>& job, int64_t tile) { run_backward(job, tile); }
void backward(const Job<double>& job, int64_t tile) { run_backward(job, tile); }

}  // namespace ROBUSTQ_VARIANT
}  // namespace robustq
