// The batch is the SIMD lane: amplitude b of 16 float (8 double) samples is one vector, so a whole
// circuit runs on one tile while its state sits in cache, and every gate vectorises whatever its qubit.
// Compiled once per instruction set, with ROBUSTQ_VARIANT naming the namespace; ROBUSTQ_FORWARD and
// ROBUSTQ_BACKWARD say how many qubits may turn in one pass over the state, ROBUSTQ_PANEL how many sums a
// matrix product keeps in registers.
#include "bloch.hpp"
#include "opening.hpp"
#include "passes.hpp"
#include "transfer.hpp"

namespace robustq {
namespace ROBUSTQ_VARIANT {
namespace {

template <typename T>
class Tile : public Opening<T> {
  using Base = Opening<T>;
  using Base::job, Base::plan, Base::shared, Base::work, Base::tile, Base::first, Base::live, Base::line;
  using Base::add, Base::open_columns, Base::product, Base::wanted;

 public:
  Tile(const Job<T>& j, int64_t t, Workspace<T>& w) : Base(j, t, w), size(size_t(1) << j.plan->qubits) {
    work.psi.fit(size);
  }

  void evolve() {
    open();
    for (const Step& s : plan.steps) step(s);
  }

  void keep() const {
    std::memcpy(job.kept + kept_at(), work.psi.re.data(), size * 64);
    std::memcpy(job.kept + kept_at() + size * Lane<T>::width, work.psi.im.data(), size * 64);
  }

  void recall() {
    open_columns();
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
    for (int32_t r = reading.diagonals; r < reading.rows; ++r) put(r, Vec<T>{});  // it may have no term
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
    for (size_t k = plan.steps.size(); k-- > 0;) step_back(plan.steps[k], k);
    close_opening();
    if (job.amplitudes) give_start();
  }

 private:
  const size_t size;

  size_t kept_at() const { return size_t(tile) * 2 * size * Lane<T>::width; }

  void put(int32_t row, Vec<T> value) const {
    for (int l = 0; l < live; ++l) job.rows[(first + l) * job.reading->rows + row] = value[l];
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

  // The opening's derivatives: each column's cotangent is lambda contracted with all the others.
  void close_opening() {
    if (!plan.opening) return;
    work.cotangent.fit(4 * size_t(plan.qubits));
    work.scratch.fit(size_t(32) << (plan.qubits + 1) / 2);
    contract(work.lambda.re.data(), work.lambda.im.data(), 0, plan.qubits, work.scratch.data());
    this->close(T(shared.opening_norm));
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
  if (work.bytes() > size_t(1) << 26) work.clear();
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
  job.kept ? work.recall() : work.evolve();
  work.sweep_back();
  release(workspace<T>());
}

template <typename T>
void run_bloch(const Job<T>& job, const BlochJob<T>& bloch, bool back, int64_t tile) {
  BlochTile<T> work(job, bloch, tile, workspace<T>());
  back ? work.backward() : work.forward();
}

template <typename T>
void run_transfer(const Job<T>& job, const TransferJob<T>& transfer, bool back, int64_t tile) {
  TransferTile<T> work(job, transfer, tile, workspace<T>());
  back ? work.backward() : work.forward();
  release(workspace<T>());
}

}  // namespace

void transfer(const Job<float>& job, const TransferJob<float>& t, bool back, int64_t tile) {
  run_transfer(job, t, back, tile);
}
void transfer(const Job<double>& job, const TransferJob<double>& t, bool back, int64_t tile) {
  run_transfer(job, t, back, tile);
}
int panel() { return ROBUSTQ_PANEL; }
void bloch(const Job<float>& job, const BlochJob<float>& b, bool back, int64_t tile) { run_bloch(job, b, back, tile); }
void bloch(const Job<double>& job, const BlochJob<double>& b, bool back, int64_t tile) { run_bloch(job, b, back, tile); }
void forward(const Job<float>& job, int64_t tile) { run_forward(job, tile); }
void forward(const Job<double>& job, int64_t tile) { run_forward(job, tile); }
void backward(const Job<float>& job, int64_t tile) { run_backward(job, tile); }
void backward(const Job<double>& job, int64_t tile) { run_backward(job, tile); }

}  // namespace ROBUSTQ_VARIANT
}  // namespace robustq
