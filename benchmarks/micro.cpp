// Time of each pixel body on one CPU lane, in ns per pixel of a 256 x 256 frame: a body far above
// its neighbours has lost its vectorisation. Usage: micro FFT_LIBRARY [WISDOM]; without wisdom its
// plans are estimates.
#include <algorithm>
#include <chrono>
#include <cstdio>

#include "core/host_memory.hpp"
#include "core/images.hpp"
#include "cpu/fast_rows.hpp"
#include "cpu/lane.hpp"
#include "kernels/detector.hpp"
#include "kernels/exit_wave.hpp"
#include "kernels/noise.hpp"
#include "kernels/overlap.hpp"
#include "kernels/update.hpp"

using namespace exitwave;

namespace {

constexpr int kSize = 256;
constexpr int kRounds = 200;

template <class F>
void time_body(const char* name, F&& f) {
  double best = 1e9;
  for (int repeat = 0; repeat < 7; ++repeat) {
    const auto began = std::chrono::steady_clock::now();
    for (int i = 0; i < kRounds; ++i) f();
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    best = std::min(best, seconds);
  }
  std::printf("%-22s %.3f ns/pixel\n", name, 1e9 * best / kRounds / (kSize * kSize));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "usage: micro FFT_LIBRARY [WISDOM]\n"), 2;
  load_fft_library(argv[1], argc > 2 ? argv[2] : "");
  HostMemory memory("host memory", true, 0);
  const Extent n{1, 1, kSize, kSize};
  CpuLane lane(kSize, kSize);
  Images<Complex> wave(memory, n), probe(memory, n), stored(memory, n), sum(memory, n);
  Images<Real> measured(memory, n), intensity(memory, n);
  const Rect whole{0, 0, 2 * kSize, 2 * kSize};
  Buffer<Complex> object(memory, whole.pixels()), canvas(memory, whole.pixels());
  Buffer<Real> weight(memory, whole.pixels());
  Buffer<unsigned char> valid(memory, std::vector<unsigned char>(kSize * kSize, 1));
  Buffer<std::uint16_t> counts(memory, std::vector<std::uint16_t>(kSize * kSize, 3));
  const CanvasView<Complex> o{object.data(), 0, 2 * kSize};
  const CanvasView<Complex> c{canvas.data(), 0, 2 * kSize};
  const CanvasView<Real> w{weight.data(), 0, 2 * kSize};
  const CanvasView<Complex> s{sum.view().data, 0, kSize};
  const CanvasView<Real> sw{intensity.view().data, 0, kSize};
  const int frame[1] = {0};
  const Corner corner[1] = {{37, 41}};
  const Real keep[1] = {0};
  const double largest[1] = {1};
  double totals[4] = {};
  for (int i = 0; i < kSize * kSize; ++i) {
    wave.view().data[i] = stored.view().data[i] = {1, Real(i % 7)};
    measured.view().data[i] = Real(i % 5);
  }
  const kernels::ProbeMode p{probe.repeated(), 1};
  const kernels::ObjectWindow window{o, corner, frame, 1};
  const BatchView<const std::uint16_t> counts_view{counts.data(), 0, 0, kSize};

  time_body("fft2", [&] { lane.fft2(n, wave.view(), Direction::forward); });
  const auto library = fft_plan(kSize, kSize, FftMaker::library);
  time_body("fft2, library", [&] { library->execute(wave.view().data, Direction::forward); });
  const BatchView<Real> row{measured.view().data, 0, 0, 0};
  using Widen = kernels::Widen<std::uint16_t>;
  const CpuLane::MapRolled<Widen> load{
      kSize, kSize / 2, kSize / 2, {row, counts_view, {valid.data(), 0, 0, kSize}, frame}};
  using Plain = kernels::PlainSensor;
  const CpuLane::SumModes<kernels::ModulusResidual<Plain>> modulus{
      1, {row, wave.view(), 1, {}}, totals};
  const kernels::KeptWaves<Complex> kept{stored.view(), frame, 1};
  const CpuLane::SumModes<kernels::ReflectedModulus<Complex, Plain>> reflected{
      1, {row, wave.view(), kept, 1, {}}, totals};
  const CpuLane::SumModes<kernels::LossResidual<kernels::Poisson, Plain>> loss{
      1, {row, wave.view(), 1, {}}, totals};
  const CpuLane::SumModes<kernels::LineSearch<kernels::Poisson, Plain>> search{
      1, {row, wave.view(), stored.view(), probe.view(), 1, {}}, totals};
  const CpuLane::Map<kernels::ScaleWave> scale{1, {wave.view(), row, keep, 1}};
  const CpuLane::Map<kernels::ReflectWave<Complex>> reflect{
      1, {wave.view(), kept, row, keep, -1, 1, 1}};
  const CpuLane::ScatterOverlap<kernels::OverlapTerms> overlap{
      1, 1, c, s, {wave.view(), p, window}, frame, corner};
  const CpuLane::ScatterAdd<Real, kernels::ProbeIntensity> weights{
      1, w, {intensity.repeated()}, frame, corner};
  const CpuLane::ScatterAdd<Real, kernels::ObjectWeight> object_weights{1, sw, {window}};

  time_body("load", [&] { lane.run(n, load); });
  time_body("ExitWave", [&] { lane.map(n, kernels::ExitWave{wave.view(), p, window}); });
  time_body("ModulusResidual", [&] { lane.run(n, modulus); });
  time_body("ReflectedModulus", [&] { lane.run(n, reflected); });
  time_body("LossResidual", [&] { lane.run(n, loss); });
  time_body("LineSearch", [&] { lane.run(n, search); });
  time_body("ScaleWave", [&] { lane.run(n, scale); });
  time_body("ReflectWave", [&] { lane.run(n, reflect); });
  time_body("OverlapTerms", [&] { lane.run(n, overlap); });
  time_body("ProbeIntensity", [&] { lane.run(n, weights); });
  time_body("ObjectWeight", [&] { lane.run(n, object_weights); });
  const Region region{Rect{0, 0, kSize, kSize}};
  time_body("QuotientStep", [&] {
    lane.map(region, 1,
             kernels::QuotientStep{s, kernels::Quotient{c, w, 1, {{largest, 1, 1}, 1}}, 1});
  });
  return 0;
}
