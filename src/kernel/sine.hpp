// Sine and cosine of all lanes at once, to within 2 ulp: reduction to [-pi/4, pi/4] with pi/2 in three
// parts (Cody and Waite 1980), then the minimax polynomials of Cephes (Moshier 1989). Larger angles than
// the reduction is exact for go through libm, lane by lane.
#pragma once
#include <cmath>
#include <cstdint>

namespace robustq {
namespace {

template <typename T>
struct Reduction;
template <>
struct Reduction<float> {
  typedef int32_t Whole;
  static constexpr float most = 8192.0f;
  static constexpr float parts[3] = {1.5703125f, 4.837512969970703125e-4f, 7.54978995489188216e-8f};
  static constexpr float sine[3] = {-1.9515295891e-4f, 8.3321608736e-3f, -1.6666654611e-1f};
  static constexpr float cosine[3] = {2.443315711809948e-5f, -1.388731625493765e-3f, 4.166664568298827e-2f};
};
template <>
struct Reduction<double> {
  typedef int64_t Whole;
  static constexpr double most = 1e6;
  static constexpr double parts[3] = {1.57079625129699707031, 7.54978941586159635335e-8, 5.39030252995776476554e-15};
  static constexpr double sine[6] = {1.58962301576546568060e-10, -2.50507477628578072866e-8, 2.75573136213857245213e-6,
                                     -1.98412698295895385996e-4, 8.33333333332211858878e-3, -1.66666666666666307295e-1};
  static constexpr double cosine[6] = {-1.13585365213876817300e-11, 2.08757008419747316778e-9, -2.75573141792967388112e-7,
                                       2.48015872888517045348e-5, -1.38888888888730564116e-3, 4.16666666666665929218e-2};
};

// V is a vector of `width` T, I the vector of as many integers of the same size.
template <typename T, typename V, typename I, int width>
inline void sine_cosine_lanes(V x, V& s, V& c) {
  typedef Reduction<T> R;
  T largest = 0;
  for (int l = 0; l < width; ++l) largest = std::fmax(largest, std::fabs(x[l]));
  if (!(largest < R::most)) {
    for (int l = 0; l < width; ++l) s[l] = std::sin(x[l]), c[l] = std::cos(x[l]);
    return;
  }
  const V scaled = x * T(0.636619772367581343076);
  const V half = scaled < V{} ? V{} - T(0.5) : V{} + T(0.5);
  const I quarter = __builtin_convertvector(scaled + half, I);
  const V turns = __builtin_convertvector(quarter, V);
  const V r = ((x - turns * R::parts[0]) - turns * R::parts[1]) - turns * R::parts[2], z = r * r;
  V p = V{} + R::sine[0], q = V{} + R::cosine[0];
  for (size_t k = 1; k < sizeof(R::sine) / sizeof(T); ++k) p = p * z + R::sine[k], q = q * z + R::cosine[k];
  const V sine = r + r * z * p, cosine = T(1) - T(0.5) * z + z * z * q;
  const I odd = (quarter & 1) != 0;
  const V a = odd ? cosine : sine, b = odd ? sine : cosine;
  s = (quarter & 2) != 0 ? -a : a;
  c = ((quarter + 1) & 2) != 0 ? -b : b;
}

}  // namespace
}  // namespace robustq
