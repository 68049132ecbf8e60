// The batch is the SIMD lane: amplitude b of 16 float (8 double) samples is one vector, so a whole
// circuit runs on one tile while its state sits in cache, and every gate vectorises whatever its qubit.
// Compiled once per instruction set, with ROBUSTQ_VARIANT naming the namespace and ROBUSTQ_FORWARD and
// ROBUSTQ_BACKWARD how many qubits may turn in one pass over the state (as many as registers allow).
#include <algorithm>
#include <cmath>
#include <cstring>

#include "array.hpp"
#include "kernel.hpp"
#include "phases.hpp"
#include "sine.hpp"

namespace robustq {
namespace ROBUSTQ_VARIANT {
namespace {

template <typename T>
struct Lane {
  static constexpr int width = lanes(sizeof(T));
  typedef T type __attribute__((vector_size(64)));
  typedef typename Reduction<T>::Whole whole __attribute__((vector_size(64)));
};
template <typename T>
using Vec = typename Lane<T>::type;

template <typename T>
T lane_sum(Vec<T> v) {
  T part[Lane<T>::width];
  std::memcpy(part, &v, sizeof(v));
  for (int half = Lane<T>::width / 2; half > 0; half /= 2)
    for (int l = 0; l < half; ++l) part[l] += part[l + half];
  return part[0];
}

template <typename T>
struct SineCosine {
  void operator()(Vec<T> x, Vec<T>& s, Vec<T>& c) const {
    sine_cosine_lanes<T, Vec<T>, typename Lane<T>::whole, Lane<T>::width>(x, s, c);
  }
};
template <typename T>
using LanePhases = Phases<Vec<T>, SineCosine<T>>;

template <typename T>
struct Store {
  Array<Vec<T>> re, im;
  void fit(size_t size) { re.fit(size), im.fit(size); }
  void clear() { re.clear(), im.clear(); }
};

template <typename T>
struct LaneTurn {            // a turn whose angle differs from lane to lane
  Vec<T> c, s;
  int32_t place;
  static constexpr T missing = 1;
};

// What a thread keeps between tiles and calls, so that no call waits for memory.
template <typename T>
struct Workspace {
  Store<T> psi, lambda, table;
  Array<Vec<T>> scratch, features, angles, gradients, weights;
  Array<Vec<T>> sines, cosines;     // of the opening's angles
  Array<Vec<T>> column, cotangent;  // (qubits, 4): re0, im0, re1, im1 of the opening's states
  Array<LaneTurn<T>> turns;
  void clear() { psi.clear(), lambda.clear(), table.clear(), scratch.clear(); }
};

// One pass over the cosets of up to four bit places. `visit(base, offsets)` sees every basis state
// whose bits at these places are zero.
template <int K, typename Visit>
inline void cosets(int qubits, const int32_t* places, Visit visit) {
  size_t mask = 0, offset[1 << K];
  for (int k = 0; k < K; ++k) mask |= size_t(1) << places[k];
  for (int j = 0; j < 1 << K; ++j) {
    offset[j] = 0;
    for (int k = 0; k < K; ++k) offset[j] |= size_t(j >> k & 1) << places[k];
  }
  size_t base = 0;
  for (size_t count = size_t(1) << (qubits - K); count-- > 0;) {
    visit(base, offset);
    base = ((base | mask) + 1) & ~mask;
  }
}

template <typename T>
inline void rotate(const Turn<T>& turn, Vec<T>& a, Vec<T>& b) {
  const Vec<T> x = a, y = b;
  if (turn.crossed) {
    a = turn.k * x - y, b = x + turn.k * y;
  } else {
    a = x - turn.k * y, b = y + turn.k * x;
  }
}
template <typename T>
inline void rotate_back(const Turn<T>& turn, Vec<T>& a, Vec<T>& b) {
  const Vec<T> x = a, y = b;
  if (turn.crossed) {
    a = turn.k * x + y, b = turn.k * y - x;
  } else {
    a = x + turn.k * y, b = y - turn.k * x;
  }
}
template <typename T>
inline void rotate(const LaneTurn<T>& turn, Vec<T>& a, Vec<T>& b) {
  const Vec<T> x = a, y = b;
  a = turn.c * x - turn.s * y, b = turn.s * x + turn.c * y;
}
template <typename T>
inline void rotate_back(const LaneTurn<T>& turn, Vec<T>& a, Vec<T>& b) {
  const Vec<T> x = a, y = b;
  a = turn.c * x + turn.s * y, b = turn.c * y - turn.s * x;
}

#define EACH _Pragma("GCC unroll 16") for

template <int K, typename T, typename Kind>
void turn_pass(Store<T>& psi, int qubits, const int32_t* table, const Kind* turns) {
  int32_t places[K];
  for (int k = 0; k < K; ++k) places[k] = turns[k].place;
  Vec<T>* parts[2] = {psi.re.data(), psi.im.data()};
  cosets<K>(qubits, places, [&](size_t base, const size_t* offset) {
    for (Vec<T>* part : parts) {
      Vec<T> v[1 << K];
      EACH(int j = 0; j < 1 << K; ++j) v[j] = part[table[base | offset[j]]];
      EACH(int k = 0; k < K; ++k) {
        EACH(int j = 0; j < 1 << K; ++j)
          if (!(j >> k & 1)) rotate(turns[k], v[j], v[j | 1 << k]);
      }
      EACH(int j = 0; j < 1 << K; ++j) part[table[base | offset[j]]] = v[j];
    }
  });
}

// psi and lambda before the turns, and, if wanted, the derivative of each angle: the turns commute,
// so every derivative can be read on the states after all of them.
template <int K, bool wanted, typename T, typename Kind>
void unturn_pass(Store<T>& psi, Store<T>& lambda, int qubits, const int32_t* table, const Kind* turns,
                 Vec<T>* gradients) {
  int32_t places[K];
  for (int k = 0; k < K; ++k) places[k] = turns[k].place;
  Vec<T>* parts[2][2] = {{psi.re.data(), lambda.re.data()}, {psi.im.data(), lambda.im.data()}};
  Vec<T> total[K] = {};
  cosets<K>(qubits, places, [&](size_t base, const size_t* offset) {
    for (auto& part : parts) {
      Vec<T> v[1 << K], w[1 << K];
      EACH(int j = 0; j < 1 << K; ++j) {
        const int32_t p = table[base | offset[j]];
        v[j] = part[0][p], w[j] = part[1][p];
      }
      EACH(int k = 0; k < K; ++k) {
        EACH(int j = 0; j < 1 << K; ++j)
          if (!(j >> k & 1)) {
            const int i = j | 1 << k;
            if (wanted) total[k] += w[i] * v[j], total[k] -= w[j] * v[i];
            rotate_back(turns[k], v[j], v[i]);
            rotate_back(turns[k], w[j], w[i]);
          }
      }
      EACH(int j = 0; j < 1 << K; ++j) {
        const int32_t p = table[base | offset[j]];
        part[0][p] = v[j], part[1][p] = w[j];
      }
    }
  });
  for (int k = 0; k < K; ++k) gradients[k] = total[k];
}

template <typename T, typename Kind>
void turn(Store<T>& psi, int qubits, const int32_t* table, const Kind* turns, int count) {
  constexpr int most = ROBUSTQ_FORWARD;
  for (; count > 0; turns += most, count -= most) switch (std::min(count, most)) {
      case 1: turn_pass<1>(psi, qubits, table, turns); break;
      case 2: turn_pass<std::min(2, most)>(psi, qubits, table, turns); break;
      case 3: turn_pass<std::min(3, most)>(psi, qubits, table, turns); break;
      default: turn_pass<std::min(4, most)>(psi, qubits, table, turns);
    }
}

template <bool wanted, typename T, typename Kind>
void unturn(Store<T>& psi, Store<T>& lambda, int qubits, const int32_t* table, const Kind* turns, int count,
            Vec<T>* g) {
  constexpr int most = ROBUSTQ_BACKWARD;
  for (; count > 0; turns += most, g += most, count -= most) switch (std::min(count, most)) {
      case 1: unturn_pass<1, wanted>(psi, lambda, qubits, table, turns, g); break;
      case 2: unturn_pass<std::min(2, most), wanted>(psi, lambda, qubits, table, turns, g); break;
      default: unturn_pass<std::min(3, most), wanted>(psi, lambda, qubits, table, turns, g);
    }
}

template <typename T>
class Tile {
 public:
  Tile(const Job<T>& j, int64_t t, Workspace<T>& w)
      : job(j), plan(*j.plan), shared(*j.shared), work(w), tile(t), first(t * Lane<T>::width),
        live(int(std::min<int64_t>(Lane<T>::width, j.batch - first))), size(size_t(1) << j.plan->qubits) {
    work.psi.fit(size);
    load_angles();
  }

  void evolve() {
    open();
    for (const Step& s : plan.steps) step(s);
  }

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

  void keep() const {
    std::memcpy(job.kept + kept_at(), work.psi.re.data(), size * 64);
    std::memcpy(job.kept + kept_at() + size * Lane<T>::width, work.psi.im.data(), size * 64);
  }

  void recall() {
    std::memcpy(work.psi.re.data(), job.kept + kept_at(), size * 64);
    std::memcpy(work.psi.im.data(), job.kept + kept_at() + size * Lane<T>::width, size * 64);
  }

  void read() const {
    const Reading& reading = *job.reading;
    const Tables<T>& tables = reading.tables(T{});
    const int32_t* place = plan.table(plan.last);
    const Vec<T>*re = work.psi.re.data(), *im = work.psi.im.data();
    const T norm = T(shared.last * shared.last);
    for (int32_t r = 0; r < reading.diagonals; ++r) {
      const T* d = tables.diagonal.data() + r * size;
      Vec<T> total{};
      for (size_t b = 0; b < size; ++b) {
        const int32_t p = place[b];
        total += d[b] * (re[p] * re[p] + im[p] * im[p]);
      }
      put(r, total * norm);
    }
    Vec<T> total{};
    for (size_t k = 0; k < reading.term_row.size(); ++k) {
      for (size_t o = k * size, b = 0; b < size; ++b, ++o) {
        const int32_t p = place[b], q = place[reading.index[o]];
        const T pr = tables.phase_re[o], pi = tables.phase_im[o];
        total += re[p] * (pr * re[q] - pi * im[q]) + im[p] * (pr * im[q] + pi * re[q]);
      }
      if (k + 1 == reading.term_row.size() || reading.term_row[k + 1] != reading.term_row[k]) {
        put(reading.term_row[k], total * norm);
        total = Vec<T>{};
      }
    }
  }

  void sweep_back() {
    seed();
    line = job.grad_shared ? job.grad_shared + tile * (plan.factors.size() + plan.parameters) : nullptr;
    for (size_t k = plan.steps.size(); k-- > 0;) step_back(plan.steps[k], k);
    close();
    if (job.amplitudes) give_start();
  }

 private:
  const Job<T>& job;
  const Plan& plan;
  const Shared<T>& shared;
  Workspace<T>& work;
  const int64_t tile, first;
  const int live;
  const size_t size;
  double* line = nullptr;

  size_t kept_at() const { return size_t(tile) * 2 * size * Lane<T>::width; }

  void put(int32_t row, Vec<T> value) const {
    for (int l = 0; l < live; ++l) job.rows[(first + l) * job.reading->rows + row] = value[l];
  }

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

  // The opening: every qubit on its own, then their product; amplitudes are loaded instead.
  void open() {
    open_columns();
    Vec<T>*re = work.psi.re.data(), *im = work.psi.im.data();
    if (job.amplitudes) {
      std::memset(re, 0, size * 64), std::memset(im, 0, size * 64);
      for (int l = 0; l < live; ++l)
        for (int32_t b = 0; b < job.amplitudes; ++b) re[b][l] = job.start[(first + l) * job.amplitudes + b];
    } else {
      product(re, im, 0, plan.qubits);
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

  // One factor of the opening, done or undone, on a column (re0, im0, re1, im1).
  void act(Code kind, Vec<T> s, Vec<T> c, Vec<T>* v) const {
    const Vec<T> a = v[0], b = v[1], x = v[2], y = v[3];
    if (kind == TURNS) {
      v[0] = c * a - s * x, v[1] = c * b - s * y, v[2] = s * a + c * x, v[3] = s * b + c * y;
    } else {
      v[0] = c * a + s * b, v[1] = c * b - s * a, v[2] = c * x - s * y, v[3] = c * y + s * x;
    }
  }

  void step(const Step& s) {
    const int32_t* table = plan.table(s.places);
    if (s.code == TURNS) {
      if (s.batched) {
        turn(work.psi, plan.qubits, table, work.turns.data(), lane_turns(s));
      } else {
        const auto& known = shared.turns[&s - plan.steps.data()];
        turn(work.psi, plan.qubits, table, known.data(), int(known.size()));
      }
    } else if (s.batched) {
      lane_phases(s);
      multiply(work.table.re.data(), work.table.im.data(), table);
    } else {
      const size_t k = &s - plan.steps.data();
      multiply(shared.table_re[k].data(), shared.table_im[k].data(), table);
    }
  }

  // One turn a qubit: factors of the same qubit add up.
  int lane_turns(const Step& s) {
    work.turns.fit(size_t(s.count));
    int made = 0;
    for (int32_t k = s.first; k < s.first + s.count;) {
      Vec<T> total{};
      const int32_t q = plan.factors[k].q0;
      for (; k < s.first + s.count && plan.factors[k].q0 == q; ++k) total += work.angles[k];
      LaneTurn<T>& turn = work.turns[size_t(made++)];
      SineCosine<T>()(total, turn.s, turn.c);
      turn.place = q;
    }
    return made;
  }

  void lane_phases(const Step& s) {
    work.table.fit(size);
    LanePhases<T> phases(plan.qubits);
    for (int32_t k = s.first; k < s.first + s.count; ++k)
      phases.add(plan.factors[k].q0, plan.factors[k].q1, work.angles[k]);
    phases.build(work.table.re.data(), work.table.im.data(), SineCosine<T>());
  }

  template <typename Phase>
  void multiply(const Phase* pr, const Phase* pi, const int32_t* table) {
    Vec<T>*re = work.psi.re.data(), *im = work.psi.im.data();
    for (size_t b = 0; b < size; ++b) {
      const int32_t p = table[b];
      const Vec<T> r = re[p], i = im[p];
      re[p] = r * pr[b] - i * pi[b], im[p] = r * pi[b] + i * pr[b];
    }
  }

  // The gradient of the rows' weighted sum with respect to the state: 2 sum_r g_r M_r psi.
  void seed() {
    const Reading& reading = *job.reading;
    const Tables<T>& tables = reading.tables(T{});
    const int32_t* place = plan.table(plan.last);
    work.lambda.fit(size);
    work.weights.zeros(size_t(reading.rows));
    Vec<T>* weight = work.weights.data();
    for (int32_t r = 0; r < reading.rows; ++r)
      for (int l = 0; l < live; ++l) weight[r][l] = 2 * job.grad_rows[(first + l) * reading.rows + r];
    const Vec<T>*re = work.psi.re.data(), *im = work.psi.im.data();
    Vec<T>*lr = work.lambda.re.data(), *li = work.lambda.im.data();
    for (size_t b = 0; b < size; ++b) {
      Vec<T> w{};
      for (int32_t r = 0; r < reading.diagonals; ++r) w += tables.diagonal[r * size + b] * weight[r];
      const int32_t p = place[b];
      lr[p] = w * re[p], li[p] = w * im[p];
    }
    for (size_t k = 0; k < reading.term_row.size(); ++k) {
      const Vec<T> w = weight[reading.term_row[k]];
      for (size_t o = k * size, b = 0; b < size; ++b, ++o) {
        const int32_t p = place[b], q = place[reading.index[o]];
        const T pr = tables.phase_re[o], pi = tables.phase_im[o];
        lr[p] += w * (pr * re[q] - pi * im[q]), li[p] += w * (pr * im[q] + pi * re[q]);
      }
    }
  }

  bool wanted(const Factor& factor) const { return factor.count && (factor.batched || line); }

  void step_back(const Step& s, size_t number) {
    const T norm = T(shared.norm[number] * shared.norm[number]);
    if (s.code == TURNS) {
      if (s.batched) {
        const int count = lane_turns(s);
        turns_back(s, work.turns.data(), size_t(count), norm, true);
      } else {
        const auto& known = shared.turns[number];
        turns_back(s, known.data(), known.size(), norm, line != nullptr);
      }
    } else if (s.batched) {
      lane_phases(s);
      phases_back(s, work.table.re.data(), work.table.im.data(), norm);
    } else {
      phases_back(s, shared.table_re[number].data(), shared.table_im[number].data(), norm);
    }
  }

  template <typename Kind>
  void turns_back(const Step& s, const Kind* made, size_t count, T norm, bool with_gradients) {
    const int32_t* table = plan.table(s.places);
    work.gradients.fit(count);
    if (with_gradients) {
      unturn<true>(work.psi, work.lambda, plan.qubits, table, made, int(count), work.gradients.data());
    } else {
      unturn<false>(work.psi, work.lambda, plan.qubits, table, made, int(count), work.gradients.data());
      return;
    }
    int32_t k = s.first;
    for (size_t t = 0; t < count; ++t)
      for (; k < s.first + s.count && plan.factors[k].q0 == made[t].place; ++k)
        add(k, work.gradients[t] * (norm * made[t].missing));
  }

  // d/d angle_w of Re<lambda|phases psi> = sum_b sign_w(b) Im(conj(lambda_b) psi_b), read before undoing.
  template <typename Phase>
  void phases_back(const Step& s, const Phase* pr, const Phase* pi, T norm) {
    bool any = false;
    for (int32_t k = s.first; k < s.first + s.count; ++k) any = any || wanted(plan.factors[k]);
    const int32_t* table = plan.table(s.places);
    Vec<T>*re = work.psi.re.data(), *im = work.psi.im.data();
    Vec<T>*lr = work.lambda.re.data(), *li = work.lambda.im.data();
    work.scratch.fit(size);
    Vec<T>* g = work.scratch.data();
    for (size_t b = 0; b < size; ++b) {
      const int32_t p = table[b];
      const Vec<T> r = re[p], i = im[p], u = lr[p], v = li[p];
      if (any) g[b] = u * i - v * r;
      re[p] = r * pr[b] + i * pi[b], im[p] = i * pr[b] - r * pi[b];
      lr[p] = u * pr[b] + v * pi[b], li[p] = v * pr[b] - u * pi[b];
    }
    if (any) phase_gradients(s, g, norm);
  }

  void phase_gradients(const Step& s, Vec<T>* g, T norm) {
    for (int32_t k = s.first; k < s.first + s.count; ++k) {
      const Factor& factor = plan.factors[k];
      if (factor.q1 < 0 || !wanted(factor)) continue;
      Vec<T> total{};
      for (size_t b = 0; b < size; ++b)
        if ((b >> factor.q0 ^ b >> factor.q1) & 1) total -= g[b]; else total += g[b];
      add(k, total * norm);
    }
    int32_t lowest = plan.qubits;  // words of one letter: fold the places away from the highest on
    for (int32_t k = s.first; k < s.first + s.count; ++k)
      if (plan.factors[k].q1 < 0 && wanted(plan.factors[k])) lowest = std::min(lowest, plan.factors[k].q0);
    for (int32_t q = plan.qubits - 1; q >= lowest; --q) {
      const size_t half = size_t(1) << q;
      Vec<T> zero{}, one{};
      for (size_t b = 0; b < half; ++b) {
        zero += g[b], one += g[half + b];
        g[b] += g[half + b];
      }
      for (int32_t k = s.first; k < s.first + s.count; ++k)
        if (plan.factors[k].q1 < 0 && plan.factors[k].q0 == q && wanted(plan.factors[k]))
          add(k, (zero - one) * norm);
    }
  }

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

  // The opening's derivatives: each column's cotangent is lambda contracted with all the others.
  void close() {
    if (!plan.opening) return;
    work.cotangent.fit(4 * size_t(plan.qubits));
    work.scratch.fit(size_t(32) << (plan.qubits + 1) / 2);
    contract(work.lambda.re.data(), work.lambda.im.data(), 0, plan.qubits, work.scratch.data());
    const T norm = T(shared.opening_norm);
    for (int32_t k = plan.opening; k-- > 0;) {
      const Factor& factor = plan.factors[k];
      Vec<T>* v = work.column.data() + 4 * size_t(factor.q0);
      Vec<T>* w = work.cotangent.data() + 4 * size_t(factor.q0);
      const Vec<T> g = plan.kinds[k] == TURNS
                           ? w[2] * v[0] + w[3] * v[1] - w[0] * v[2] - w[1] * v[3]
                           : (w[0] * v[1] - w[1] * v[0]) - (w[2] * v[3] - w[3] * v[2]);
      if (wanted(factor)) add(k, g * norm);
      const Vec<T> s = work.sines[size_t(k)], c = work.cosines[size_t(k)];
      act(plan.kinds[k], -s, c, v), act(plan.kinds[k], -s, c, w);
    }
  }

  // Cotangents of places [low, high), given that of their product: halve, contract, recurse. `room` is
  // for at least 32 sqrt(2^(high - low + 1)) vectors.
  void contract(const Vec<T>* re, const Vec<T>* im, int low, int high, Vec<T>* room) {
    if (high - low == 1) {
      Vec<T>* w = work.cotangent.data() + 4 * size_t(low);
      w[0] = re[0], w[1] = im[0], w[2] = re[1], w[3] = im[1];
      return;
    }
    const int middle = (low + high) / 2;
    const size_t inner = size_t(1) << (middle - low), outer = size_t(1) << (high - middle);
    Vec<T>*l_re = room, *l_im = l_re + inner, *wl_re = l_im + inner, *wl_im = wl_re + inner;
    Vec<T>*u_re = wl_im + inner, *u_im = u_re + outer, *wu_re = u_im + outer, *wu_im = wu_re + outer;
    product(l_re, l_im, low, middle);
    product(u_re, u_im, middle, high);
    for (size_t i = 0; i < inner; ++i) wl_re[i] = wl_im[i] = Vec<T>{};
    for (size_t o = 0; o < outer; ++o) {
      Vec<T> sr{}, si{};
      for (size_t i = 0; i < inner; ++i) {
        const Vec<T> x = re[o * inner + i], y = im[o * inner + i];
        sr += x * l_re[i] + y * l_im[i], si += y * l_re[i] - x * l_im[i];
        wl_re[i] += x * u_re[o] + y * u_im[o], wl_im[i] += y * u_re[o] - x * u_im[o];
      }
      wu_re[o] = sr, wu_im[o] = si;
    }
    contract(wl_re, wl_im, low, middle, wu_im + outer);
    contract(wu_re, wu_im, middle, high, wu_im + outer);
  }

  void give_start() {
    const T norm = T(shared.opening_norm);
    for (int l = 0; l < live; ++l)
      for (int32_t b = 0; b < job.amplitudes; ++b)
        job.grad_start[(first + l) * job.amplitudes + b] = norm * work.lambda.re[b][l];
  }
};

template <typename T>
Workspace<T>& workspace() {
  static thread_local Workspace<T> kept;
  return kept;
}

// What is kept for the next call is bounded; a wide register's states go back at once.
template <typename T>
void release(Workspace<T>& work) {
  if (work.psi.re.size() > size_t(1) << 16) work.clear();
}

template <typename T>
void run_forward(const Job<T>& job, int64_t tile) {
  Tile<T> work(job, tile, workspace<T>());
  work.evolve();
  if (job.kept) work.keep();
  work.read();
  release(workspace<T>());
}

template <typename T>
void run_backward(const Job<T>& job, int64_t tile) {
  Tile<T> work(job, tile, workspace<T>());
  if (job.kept) {
    work.recall();
    work.open_columns();
  } else {
    work.evolve();
  }
  work.sweep_back();
  release(workspace<T>());
}

}  // namespace

void forward(const Job<float>& job, int64_t tile) { run_forward(job, tile); }
void forward(const Job<double>& job, int64_t tile) { run_forward(job, tile); }
void backward(const Job<float>& job, int64_t tile) { run_backward(job, tile); }
void backward(const Job<double>& job, int64_t tile) { run_backward(job, tile); }

}  // namespace ROBUSTQ_VARIANT
}  // namespace robustq
