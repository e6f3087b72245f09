#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <optional>

#include "core/complex.hpp"
#include "core/direction.hpp"
#include "core/gpu_needs.hpp"
#include "core/memory.hpp"
#include "core/region.hpp"
#include "core/scan.hpp"
#include "core/stencil.hpp"
#include "core/view.hpp"
#include "cuda/fft.hpp"
#include "cuda/operations.cuh"
#include "cuda/regions.cuh"
#include "cuda/scatter.cuh"
#include "cuda/spans.hpp"
#include "cuda/stencil.cuh"

namespace exitwave {

// One stream of a device, which must be the current one. Every call queues work and returns; all
// pointers are the device's unless the argument's name says otherwise.
class CudaLane {
 public:
  template <class Body>
  using Map = cuda::Map<Body>;
  template <class Body>
  using MapRolled = cuda::MapRolled<Body>;
  template <class Body>
  using SumModes = cuda::SumModes<Body>;
  template <class T, class Body>
  using ScatterAdd = cuda::ScatterAdd<T, Body>;
  template <class Body>
  using ScatterOverlap = cuda::ScatterOverlap<Body>;

  // `deterministic`: sums over frames in the order of the frames, whatever the batch.
  CudaLane(Memory& memory, int device, cudaStream_t stream, const Scan& scan,
           const gpu::LaneNeeds& needs, bool deterministic)
      : device_(device),
        stream_(stream),
        deterministic_(deterministic),
        fft_(memory, stream, scan.ny, scan.nx, needs.transforms),
        spans_(memory, stream, needs.spans),
        staging_(stream),
        partials_(memory, stream),
        arrived_(memory, stream),
        splits_(memory, stream) {
    partials_.at_least(needs.partials);
    arrived_.at_least(needs.arrived);
    splits_.at_least(needs.splits);
  }
  CudaLane(const CudaLane&) = delete;
  CudaLane& operator=(const CudaLane&) = delete;

  cudaStream_t stream() const { return stream_; }

  // --- frames -----------------------------------------------------------------------------------

  // Runs operations over all pixels of all frames, in one launch where each stays at its pixel.
  // `n.modes` does not matter: each operation has its own number.
  template <class... Operations>
  void run(Extent n, const Operations&... operations) {
    if (n.frames == 0) return;
    if constexpr ((stays_at_pixel<Operations> && ...)) {
      run_at_pixels(n, cuda::chain(operations...));
    } else {
      (add(n, operations, deterministic_), ...);
    }
  }
  // The same for sums over many frames.
  template <class... Operations>
  void run_rows(Extent n, const Operations&... operations) {
    // What is summed here does not come in batches, so its order is always the same.
    if (n.frames > 0) (sum_frames(n, operations, gpu::splits_for(n)), ...);
  }
  // The same for one that scatters many frames.
  template <class Scatter>
  void run_canvas_rows(Extent n, const Scatter& scatter) {
    if (n.frames > 0) gather(n, scatter);
  }
  template <class Body>
  void map(Extent n, const Body& body) {
    const std::size_t blocks = cuda::blocks_for(std::size_t(n.ny) * std::size_t(n.nx));
    cuda::launch(stream_, blocks * std::size_t(n.frames) * std::size_t(n.modes), 0,
                 cuda::AtImages<Body>{n, unsigned(blocks), body});
  }

  // total[i] += sum over frames of totals[frame][i], frames in order
  void add_totals(int frames, int count, const double* totals, double* total) {
    if (frames > 0)
      cuda::launch(stream_, 1, sizeof(double) * cuda::AddTotals::kAtOnce,
                   cuda::AddTotals{frames, count, totals, total});
  }

  // Unscaled transforms of all images, in place.
  void fft2(Extent n, BatchView<Complex> wave, Direction direction) {
    fft_.execute(n, wave, direction);
  }

  // All images of a batch; target and source are not the same.
  void correlate(Extent n, BatchView<Real> target, BatchView<const Real> source,
                 const Stencil& stencil) {
    map(n, cuda::Correlate{target, source, stencil, n.ny, n.nx});
  }

  // --- regions of a canvas ----------------------------------------------------------------------

  // body(mode, y, x)
  template <class Body>
  void map(const Region& region, int modes, const Body& body) {
    at_region(region, modes, cuda::OnCanvas<Body>{body});
  }
  // totals[i] += sum of body(mode, y, x).v[i]
  template <class Body>
  void sum(const Region& region, int modes, const Body& body, double* totals) {
    if (region.empty()) return;
    const cuda::Pieces pieces(spans_.find(region));
    constexpr int kTotals = Body::kTotals;
    const std::size_t blocks = blocks_of_sum(pieces);
    cuda::launch(
        stream_, blocks, cuda::bytes_of_totals<kTotals>(),
        cuda::SumRegion<Body>{pieces, modes, body, totals,
                              cuda::Partials::in(partials_, arrived_, 1, blocks * kTotals)});
  }
  // *most <- largest value, 0 where all are less
  void largest(const Region& region, CanvasView<const Real> canvas, double* most) {
    const cuda::Pieces pieces(spans_.find(region));
    const std::size_t blocks = blocks_of_sum(pieces);
    cuda::launch(
        stream_, blocks, cuda::bytes_of_totals<1>(),
        cuda::Largest{pieces, canvas, most, cuda::Partials::in(partials_, arrived_, 1, blocks)});
  }

  // A region, packed mode by mode into one message, and back.
  template <class T>
  void pack(const Region& region, int modes, CanvasView<const T> canvas, T* message) {
    at_region(region, modes,
              cuda::Pack<cuda::Packing::pack, const T, T>{canvas, message, region.pixels()});
  }
  template <class T>
  void unpack(const Region& region, int modes, const T* message, CanvasView<T> canvas) {
    at_region(region, modes,
              cuda::Pack<cuda::Packing::unpack, T, const T>{canvas, message, region.pixels()});
  }
  template <class T>
  void unpack_add(const Region& region, int modes, const T* message, CanvasView<T> canvas) {
    at_region(region, modes,
              cuda::Pack<cuda::Packing::unpack_add, T, const T>{canvas, message, region.pixels()});
  }

  // Between devices too: directly where they see each other's memory, else through the host.
  void copy(void* target, const void* source, std::size_t bytes) {
    if (bytes > 0)
      cuda::check(cudaMemcpyAsync(target, source, bytes, cudaMemcpyDefault, stream_),
                  "copying between devices");
  }

  // The same beside the lane's work, of what was there before for_each_part began; called before
  // frames are given to the lane, and done when for_each_part is.
  void send(void* target, const void* source, std::size_t bytes) {
    if (bytes > 0) copy_on(putting_back(), target, source, bytes, cudaMemcpyDefault);
  }

  void clear(void* target, std::size_t bytes) {
    if (bytes > 0)
      cuda::check(cudaMemsetAsync(target, 0, bytes, stream_), "setting memory to zero");
  }
  // From host memory, which may change when the call returns.
  void upload(void* target, const void* host, std::size_t bytes) {
    staging_.copy(target, host, bytes);
  }

  // --- copies between host and device ------------------------------------------------------------

  // A point in what the lane, or its copies, have done; and what was put back after it.
  class Mark {
    friend class CudaLane;
    cuda::Event done_;
    cuda::Event put_back_;
  };

  // Copies are queued by a thread beside the lane, on streams beside the lane's: host memory must
  // be pinned for them to be made beside its work. They come after all that was done before
  // for_each_part began, and after what copies_after names. Both directions go at once: a fetch
  // waits only for what was put back after the same mark as it comes after itself.
  void fetch(void* device, const void* host, std::size_t bytes) {
    copy_on(fetching(), device, host, bytes, cudaMemcpyHostToDevice);
  }
  void put_back(void* host, const void* device, std::size_t bytes) {
    copy_on(putting_back(), host, device, bytes, cudaMemcpyDeviceToHost);
    if (copies_.after == nullptr) return;
    const cuda::OnDevice on(device_);
    copies_.after->put_back_.record(putting_back());
  }
  void mark(Mark& mark) { mark.done_.record(stream_); }
  void mark_copies(Mark& mark) {
    const cuda::OnDevice on(device_);
    mark.done_.record(fetching());
  }
  void after_copies(const Mark& mark) { mark.done_.wait_in(stream_); }
  void copies_after(const Mark& mark) {
    const cuda::OnDevice on(device_);
    mark.done_.wait_in(fetching());
    mark.put_back_.wait_in(fetching());
    mark.done_.wait_in(putting_back());
    copies_.after = &mark;
  }
  void finish_copies() {
    const cuda::OnDevice on(device_);
    cuda::wait_on_host(fetching());
    cuda::wait_on_host(putting_back());
  }

  // --- for the backend --------------------------------------------------------------------------

  // Work from here on begins after `start`.
  void begin(const cuda::Event& start, bool same_stream) {
    start_ = &start;
    if (!same_stream) start.wait_in(stream_);
    copies_.follow_start = false;
    copies_.after = nullptr;
  }
  // Copies become part of what the stream has done.
  void end() {
    if (!copies_.follow_start) return;
    for (const auto& stream : {&copies_.to_device, &copies_.to_host}) {
      copies_.done->record(**stream);
      copies_.done->wait_in(stream_);
    }
  }

 private:
  // Made when the first copy is.
  struct Copies {
    std::optional<cuda::Stream> to_device;
    std::optional<cuda::Stream> to_host;
    std::optional<cuda::Event> done;
    const Mark* after = nullptr;  // of the last call of copies_after
    bool follow_start = false;
  };

  template <class Operation>
  static constexpr bool stays_at_pixel = requires { Operation::kTotals; };

  template <class Operations>
  void run_at_pixels(Extent n, const Operations& operations) {
    using Task = cuda::AtPixels<Operations>;
    static_assert(std::size_t(Task::kTotals) <= gpu::kMostTotals);
    const unsigned blocks = Task::blocks_for(n);
    const auto frames = std::size_t(n.frames);
    Task task{n, blocks, operations, {}};
    if constexpr (Task::kTotals > 0)
      task.partials =
          cuda::Partials::in(partials_, arrived_, frames, frames * blocks * Task::kTotals);
    cuda::launch(stream_, blocks * frames,
                 Task::kTotals > 0 ? cuda::bytes_of_totals<Task::kTotals>() : 0, task);
  }

  template <class Operation>
    requires stays_at_pixel<Operation>
  void add(Extent n, const Operation& operation, bool) {
    run_at_pixels(n, cuda::chain(operation));
  }
  template <class T, class Body>
  void add(Extent n, const ScatterAdd<T, Body>& operation, bool in_order) {
    if (operation.corner == nullptr)
      sum_frames(n, operation, in_order ? 1 : gpu::splits_for(n));
    else if (in_order)
      gather(n, operation);
    else
      scatter(n, operation);
  }
  template <class Body>
  void add(Extent n, const ScatterOverlap<Body>& o, bool in_order) {
    const int modes = o.probe_modes * o.object_modes;
    if (modes == 1 && !in_order) return add_single_mode(n, o);
    using Object = cuda::ToObject<Body>;
    using Probe = cuda::ToProbe<Body>;
    add(n,
        ScatterAdd<Complex, Object>{
            modes, o.object, {o.body, o.object_modes}, o.frame_of, o.corner},
        in_order);
    add(n, ScatterAdd<Complex, Probe>{modes, o.probe, {o.body, o.object_modes}}, in_order);
  }

  template <class Body>
  void add_single_mode(Extent n, const ScatterOverlap<Body>& o) {
    const std::size_t blocks = cuda::blocks_for(std::size_t(n.ny) * std::size_t(n.nx));
    const int splits = gpu::splits_for(n);
    cuda::launch(stream_, blocks * std::size_t(splits), 0,
                 cuda::OverlapOfOneMode<Body>{n, splits, unsigned(blocks), o});
  }
  template <class T, class Body>
  void scatter(Extent n, const ScatterAdd<T, Body>& operation) {
    const std::size_t blocks = cuda::blocks_for(std::size_t(n.ny) * std::size_t(n.nx));
    cuda::launch(stream_, blocks * std::size_t(n.frames), 0,
                 cuda::Scatter<T, Body>{n, unsigned(blocks), operation});
  }
  template <class T, class Body>
  void gather(Extent n, const ScatterAdd<T, Body>& operation) {
    using Task = cuda::Gather<T, Body>;
    const unsigned strips = Task::strips_of(operation.canvas);
    const unsigned rows = Task::rows_of(operation.canvas);
    // Shared memory because the threads of a warp ask each other.
    cuda::launch(stream_, cuda::blocks_for(std::size_t(strips) * rows * Task::kWarp),
                 sizeof(unsigned), Task{n, strips, rows, operation});
  }
  template <class T, class Body>
  void sum_frames(Extent n, const ScatterAdd<T, Body>& operation, int splits) {
    const std::size_t pixels = std::size_t(n.ny) * std::size_t(n.nx);
    const std::size_t blocks = cuda::blocks_for(pixels);
    T* partials = nullptr;
    if (splits > 1)
      partials = static_cast<T*>(splits_.at_least(
          std::size_t(splits) * std::size_t(operation.modes) * pixels * sizeof(T)));
    cuda::launch(stream_, blocks * std::size_t(splits), 0,
                 cuda::SumFrames<T, Body>{n, splits, unsigned(blocks), operation, partials});
    if (splits > 1)
      cuda::launch(stream_, blocks, 0, cuda::AddSplits<T, Body>{n, splits, operation, partials});
  }
  template <class Body>
  void at_region(const Region& region, int modes, const Body& body) {
    if (region.empty()) return;
    const cuda::Pieces pieces(spans_.find(region));
    cuda::launch(stream_, pieces.count() * std::size_t(modes), 0,
                 cuda::AtRegion<Body>{pieces, body});
  }
  // At least one, which also answers for an empty region.
  static std::size_t blocks_of_sum(const cuda::Pieces& pieces) {
    return std::clamp<std::size_t>(pieces.count(), 1, gpu::kBlocksOfSum);
  }

  void start_copies() {
    if (!copies_.to_device) {
      copies_.to_device.emplace();
      copies_.to_host.emplace();
      copies_.done.emplace();
    }
    if (copies_.follow_start) return;
    copies_.follow_start = true;
    if (start_ == nullptr) return;
    start_->wait_in(*copies_.to_device);
    start_->wait_in(*copies_.to_host);
  }
  cudaStream_t fetching() {
    start_copies();
    return *copies_.to_device;
  }
  cudaStream_t putting_back() {
    start_copies();
    return *copies_.to_host;
  }
  void copy_on(cudaStream_t stream, void* target, const void* source, std::size_t bytes,
               cudaMemcpyKind kind) {
    const cuda::OnDevice on(device_);
    cuda::check(cudaMemcpyAsync(target, source, bytes, kind, stream), "copying a block");
  }

  int device_;
  cudaStream_t stream_;
  bool deterministic_;
  cuda::FftPlans fft_;
  cuda::SpanCache spans_;
  cuda::StagingRing staging_;
  cuda::Scratch partials_;  // of totals
  cuda::Scratch arrived_;
  cuda::Scratch splits_;  // of sums over frames
  const cuda::Event* start_ = nullptr;
  Copies copies_;
};

}  // namespace exitwave
