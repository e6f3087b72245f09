#include <utility>
#include <vector>

#include "both_lanes.hpp"
#include "kernels/detector.hpp"
#include "kernels/exit_wave.hpp"
#include "kernels/noise.hpp"
#include "kernels/overlap.hpp"
#include "kernels/update.hpp"

namespace exitwave::test {

// Frames of odd sizes, one pixel, less and more than a block of threads has, several blocks.
const std::vector<Extent> kExtents{
    {3, 2, 12, 20}, {1, 1, 1, 1}, {2, 3, 7, 5}, {5, 1, 33, 31}, {2, 4, 70, 90}};
constexpr double kRounding = 2e-6;

std::size_t pixels_of(Extent n) { return std::size_t(n.ny) * std::size_t(n.nx); }
std::size_t images_of(Extent n) { return std::size_t(n.frames) * std::size_t(n.modes); }

template <class T>
BatchView<T> batch(Buffer<T>& images, Extent n) {
  const std::ptrdiff_t pixels = std::ptrdiff_t(n.ny) * n.nx;
  return {images.data(), pixels * n.modes, pixels, n.nx};
}
template <class T>
BatchView<const T> seen(Buffer<T>& images, Extent n) {
  return batch(images, n);
}
template <class T>
BatchView<const T> repeated(Buffer<T>& images, Extent n) {
  BatchView<T> view = batch(images, n);
  view.frame_stride = 0;
  return view;
}

// A canvas with a border, and frames that overlap on it.
struct Place {
  explicit Place(Extent n) : rect{-2, 3, n.ny + 9, n.nx + 14} {
    for (int frame = 0; frame < n.frames; ++frame) {
      corner.push_back({-2 + frame * 5 % 8, 3 + frame * 7 % 10});
      order.push_back(n.frames - 1 - frame);
    }
  }
  std::size_t pixels() const { return rect.pixels(); }
  template <class T>
  CanvasView<T> view(Buffer<T>& canvas) const {
    return {canvas.data(), std::ptrdiff_t(rect.pixels()), rect.nx(), rect.y0, rect.x0};
  }

  Rect rect;
  std::vector<Corner> corner;
  std::vector<int> order;
};

TEST("a map does on a GPU what it does on a CPU") {
  for (const Extent n : kExtents)
    check_lanes_agree(n.ny, n.nx, kRounding, "exit wave", [&](auto& lane, Arrays& arrays) {
      const Place place(n);
      auto probe = arrays.complexes(pixels_of(n) * std::size_t(n.modes), 1);
      auto object = arrays.complexes(place.pixels(), 2);
      auto corner = arrays.of(place.corner);
      auto order = arrays.of(place.order);
      auto exit = arrays.complexes(images_of(n) * pixels_of(n), 3);
      lane.map(n, kernels::ExitWave{batch(exit, n),
                                    {repeated(probe, n), 1},
                                    {place.view(object), corner.data(), order.data(), 1}});
      return numbers_of(exit);
    });
}

TEST("a correlation on a GPU is that of a CPU, also where it is wider than the frame") {
  for (const Extent n : kExtents)
    for (const int width : {3, 9})
      check_lanes_agree(n.ny, n.nx, kRounding, "correlation", [&](auto& lane, Arrays& arrays) {
        auto source = arrays.reals(images_of(n) * pixels_of(n), 1);
        auto target = arrays.reals(images_of(n) * pixels_of(n), 2);
        auto weights = arrays.reals(std::size_t(5 * width), 3);
        lane.correlate(n, batch(target, n), seen(source, n),
                       {weights.data(), 5, width, {n.ny / 2, n.nx / 2}});
        return numbers_of(target);
      });
}

// Counts, the modulus constraint and the change of the wave, as engines run them: all in one.
template <class Count, class Lane>
Numbers detect(Lane& lane, Arrays& arrays, Extent n, bool together) {
  const Extent frames{n.frames, 1, n.ny, n.nx};
  std::vector<Count> values;
  for (std::size_t i = 0; i < pixels_of(n) * std::size_t(n.frames); ++i)
    values.push_back(Count(i * 7 % 51));
  std::vector<unsigned char> mask(pixels_of(n), 1);
  mask[mask.size() / 2] = 0;
  std::vector<int> at;
  for (int frame = 0; frame < n.frames; ++frame) at.push_back(n.frames - 1 - frame);
  auto counts = arrays.of(values);
  auto valid = arrays.of(mask);
  auto counts_at = arrays.of(at);
  auto measured = arrays.reals(values.size(), 4);
  auto wave = arrays.complexes(images_of(n) * pixels_of(n), 5);
  auto keep = arrays.reals(std::size_t(n.frames), 6);
  auto totals = arrays.of(std::vector<double>(std::size_t(n.frames), -1.0));
  auto total = arrays.of(std::vector<double>{0.5});
  const typename Lane::template MapRolled<kernels::Widen<Count>> load{
      n.ny,
      n.ny / 2,
      n.nx / 2,
      {batch(measured, frames), seen(counts, frames), repeated(valid, frames), counts_at.data()}};
  const typename Lane::template SumModes<kernels::ModulusResidual<kernels::PlainSensor>> modulus{
      n.modes, {batch(measured, frames), seen(wave, n), Real(1.5), {}}, totals.data()};
  const typename Lane::template Map<kernels::ScaleWave> change{
      n.modes, {batch(wave, n), seen(measured, frames), keep.data(), Real(0.7)}};
  if (together) {
    lane.run(frames, load, modulus, change);
  } else {
    lane.run(frames, load);
    lane.run(frames, modulus);
    lane.run(frames, change);
  }
  lane.add_totals(n.frames, 1, totals.data(), total.data());
  return numbers_of(measured, wave, totals, total);
}

TEST("operations at the detector agree, together and one by one, for every type of counts") {
  for (const Extent n : kExtents) {
    for (const bool together : {true, false})
      check_lanes_agree(n.ny, n.nx, kRounding, "uint16", [&](auto& lane, Arrays& arrays) {
        return detect<std::uint16_t>(lane, arrays, n, together);
      });
    check_lanes_agree(n.ny, n.nx, kRounding, "uint8", [&](auto& lane, Arrays& arrays) {
      return detect<std::uint8_t>(lane, arrays, n, true);
    });
    check_lanes_agree(n.ny, n.nx, kRounding, "float", [&](auto& lane, Arrays& arrays) {
      return detect<float>(lane, arrays, n, true);
    });
  }
}

TEST("totals of many frames are added in their order") {
  for (const int frames : {1, 170, 1300})
    for (const int count : {1, 3})
      check_lanes_agree(4, 4, 1e-15, "totals", [&](auto& lane, Arrays& arrays) {
        std::vector<double> values;
        for (int i = 0; i < frames * count; ++i) values.push_back(1.0 / (i + 1));
        auto totals = arrays.of(values);
        auto total = arrays.of(std::vector<double>{1, 2, 3, 4});
        lane.add_totals(frames, count, totals.data(), total.data());
        return numbers_of(total);
      });
}

TEST("totals are the same in every run") {
  const Extent n{4, 2, 120, 90};
  const auto work = [&](auto& lane, Arrays& arrays) {
    return detect<std::uint16_t>(lane, arrays, n, true);
  };
  const Numbers first = on_gpu(n.ny, n.nx, false, work);
  for (int again = 0; again < 3; ++again) CHECK(on_gpu(n.ny, n.nx, false, work) == first);
}

TEST("frames are added to the canvas, by atomics and in order") {
  for (const Extent n : kExtents)
    check_lanes_agree(n.ny, n.nx, kRounding, "scatter", [&](auto& lane, Arrays& arrays) {
      using Lane = std::remove_reference_t<decltype(lane)>;
      const Place place(n);
      const int object_modes = n.modes % 2 == 0 ? 2 : 1;
      auto corner = arrays.of(place.corner);
      auto order = arrays.of(place.order);
      auto wave = arrays.complexes(images_of(n) * pixels_of(n), 1);
      auto probe = arrays.complexes(pixels_of(n) * std::size_t(n.modes), 2);
      auto sum = arrays.complexes(place.pixels() * std::size_t(object_modes), 3);
      auto weight = arrays.reals(place.pixels(), 4);
      using Sum = typename Lane::template ScatterAdd<Complex, kernels::ObjectTerm>;
      using Weight = typename Lane::template ScatterAdd<Real, kernels::ProbeWeight>;
      lane.run(n, Sum{n.modes,
                      place.view(sum),
                      {seen(wave, n), {repeated(probe, n), object_modes}},
                      order.data(),
                      corner.data()});
      lane.run(
          n,
          Weight{n.modes, place.view(weight), {repeated(probe, n)}, order.data(), corner.data()});
      lane.run_canvas_rows(
          n,
          Weight{n.modes, place.view(weight), {repeated(probe, n)}, order.data(), corner.data()});
      return numbers_of(sum, weight);
    });
}

template <class Lane>
Numbers overlap(Lane& lane, Arrays& arrays, Extent n, int object_modes, int batch_size) {
  const Place place(n);
  const int probe_modes = n.modes / object_modes;
  auto corner = arrays.of(place.corner);
  auto order = arrays.of(place.order);
  auto wave = arrays.complexes(images_of(n) * pixels_of(n), 1);
  auto probe = arrays.complexes(pixels_of(n) * std::size_t(probe_modes), 2);
  auto object = arrays.complexes(place.pixels() * std::size_t(object_modes), 3);
  auto object_sum = arrays.complexes(place.pixels() * std::size_t(object_modes), 4);
  auto probe_sum = arrays.complexes(pixels_of(n) * std::size_t(probe_modes), 5);
  const Extent probes{1, probe_modes, n.ny, n.nx};
  const CanvasView<Complex> to_probe{probe_sum.data(), std::ptrdiff_t(pixels_of(n)), n.nx};
  for (int first = 0; first < n.frames; first += batch_size) {
    const Extent some{std::min(batch_size, n.frames - first), n.modes, n.ny, n.nx};
    BatchView<Complex> residual = batch(wave, n);
    residual.data += first * residual.frame_stride;
    using Overlap = typename Lane::template ScatterOverlap<kernels::OverlapTerms>;
    lane.run(some,
             Overlap{probe_modes,
                     object_modes,
                     place.view(object_sum),
                     to_probe,
                     {residual,
                      {repeated(probe, probes), object_modes},
                      {place.view(object), corner.data(), order.data() + first, object_modes}},
                     order.data() + first,
                     corner.data()});
  }
  return numbers_of(object_sum, probe_sum);
}

TEST("both sums of the overlap agree") {
  for (const Extent n : kExtents)
    for (const int object_modes : {1, 2}) {
      if (n.modes % object_modes != 0) continue;
      check_lanes_agree(n.ny, n.nx, kRounding, "overlap", [&](auto& lane, Arrays& arrays) {
        return overlap(lane, arrays, n, object_modes, n.frames);
      });
    }
}

TEST("a deterministic lane gives the same bits in every batch") {
  const Extent n{7, 4, 12, 20};
  const auto in_batches_of = [&](int size) {
    return on_gpu(n.ny, n.nx, true,
                  [&](auto& lane, Arrays& arrays) { return overlap(lane, arrays, n, 2, size); });
  };
  const Numbers at_once = in_batches_of(7);
  for (const int size : {1, 2, 3, 5}) CHECK(in_batches_of(size) == at_once);
}

TEST("sums over many frames into one window agree, split or not") {
  for (const Extent n : {Extent{1, 1, 12, 20}, Extent{40, 2, 12, 20}, Extent{3, 2, 70, 90}})
    check_lanes_agree(n.ny, n.nx, kRounding, "rows", [&](auto& lane, Arrays& arrays) {
      using Lane = std::remove_reference_t<decltype(lane)>;
      const Place place(n);
      auto corner = arrays.of(place.corner);
      auto order = arrays.of(place.order);
      auto object = arrays.complexes(place.pixels() * std::size_t(n.modes), 1);
      auto image = arrays.complexes(place.pixels(), 2);
      auto weight = arrays.reals(pixels_of(n), 3);
      auto sum = arrays.complexes(pixels_of(n), 4);
      using Weight = typename Lane::template ScatterAdd<Real, kernels::ObjectWeight>;
      using Sum = typename Lane::template ScatterAdd<Complex, kernels::Window<Complex>>;
      const CanvasView<Real> weights{weight.data(), std::ptrdiff_t(pixels_of(n)), n.nx};
      const CanvasView<Complex> sums{sum.data(), std::ptrdiff_t(pixels_of(n)), n.nx};
      lane.run_rows(
          n, Weight{n.modes, weights, {{place.view(object), corner.data(), order.data(), n.modes}}},
          Sum{1, sums, {place.view(image), corner.data(), order.data()}});
      return numbers_of(weight, sum);
    });
}

TEST("transforms agree, of images that are aligned and of those that are not") {
  for (const Extent n : kExtents)
    for (const Direction direction : {Direction::forward, Direction::backward})
      check_lanes_agree(n.ny, n.nx, kRounding, "transform", [&](auto& lane, Arrays& arrays) {
        Images<Complex> images(arrays.memory(), n);
        const BatchView<Complex> view = images.view();
        const std::size_t all = std::size_t(n.frames) * std::size_t(view.frame_stride);
        auto values = arrays.complexes(all, 1);
        lane.copy(view.data, values.data(), values.bytes());
        lane.fft2(n, view, direction);
        lane.copy(values.data(), view.data, values.bytes());
        return numbers_of(values);
      });
}

TEST("no frames are no work") {
  check_lanes_agree(12, 20, 0, "nothing", [&](auto& lane, Arrays& arrays) {
    using Lane = std::remove_reference_t<decltype(lane)>;
    auto image = arrays.complexes(240, 1);
    auto order = arrays.of(std::vector<int>{0});
    const Extent none{0, 1, 12, 20};
    const CanvasView<Complex> view{image.data(), 240, 20};
    using Sum = typename Lane::template ScatterAdd<Complex, kernels::Window<Complex>>;
    lane.run_rows(none, Sum{1, view, {view, nullptr, order.data()}});
    lane.fft2(none, {image.data(), 240, 240, 20}, Direction::forward);
    lane.map(none, kernels::ExitWave{});
    return numbers_of(image);
  });
}

}  // namespace exitwave::test
