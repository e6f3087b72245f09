#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/complex.hpp"
#include "core/place.hpp"
#include "core/scan.hpp"
#include "storage/archive.hpp"
#include "storage/plan.hpp"

namespace exitwave {

enum class Noise { poisson, amplitude, gaussian, anscombe };

// Values of one engine's parameters; which of them an engine reads is decided, and checked, where
// parameters are validated.
struct EngineOptions {
  std::string name;
  int probe_modes = 1;
  int object_modes = 1;
  double object_inertia = 0;
  double probe_inertia = 0;
  double object_step = 1;
  double probe_step = 1;
  double object_alpha = 1;
  double probe_alpha = 1;
  double beta = 1;
  double power_bound = -1;  // squared amplitude deviation per pixel; negative: off
  double momentum = 0;
  int momentum_period = 0;  // group updates; 0: no momentum
  Noise noise = Noise::poisson;
  double smoothness = 0;
  bool hold_power = true;
  bool clip = false;
  double clip_low = 0;
  double clip_high = 0;
  bool resumed = false;  // state() restores what start() would compute
  StoragePlan storage;
  std::vector<Real> probe_support;          // (ny, nx), 0 or 1; empty: none
  std::vector<Real> probe_fourier_support;  // (ny, nx), zero frequency first; empty: none
};

// What one iteration found out; sums over all frames.
struct IterationReport {
  double deviation = 0;      // sum of (sqrt I - sqrt model)^2 over valid pixels
  long frames_in_bound = 0;  // frames that the power bound left alone
  double cut_power = 0;      // fraction of the probe's power that its supports took away
};

// Bytes in one memory.
struct MemoryUse {
  std::string name;
  std::size_t peak;                         // held at the same time
  std::map<std::string, std::size_t> uses;  // allocated for what
};

// A reconstruction under way on some device. All arrays are in C order, one after the other: object
// (object modes, ny, nx), probe (probe modes, ny, nx).
class Engine {
 public:
  virtual ~Engine() = default;

  // Computes what follows from the start values; constructors only take memory and fill it.
  virtual void start() = 0;

  // One iteration. `groups`: frames of each update, for engines that work in groups.
  virtual IterationReport iterate(const std::vector<std::vector<int>>& groups,
                                  bool update_probe) = 0;
  // Brings object and probe into the state that they are handed on in.
  virtual void finish() = 0;
  // Sum of squared amplitude deviations of the present model.
  virtual double deviation() = 0;
  // Counts of the present model at valid pixels.
  virtual double model_power() = 0;
  // Moves probe and object by whole pixels against the windows; exit waves follow.
  virtual void move_probe(int dy, int dx) = 0;

  // Whether the next iterations find out what each frame says about its position, and what they
  // found: a_yy, a_yx, a_xx, b_y, b_x for each frame of the scan, see kernels/positions.hpp.
  virtual void watch_positions(bool on) = 0;
  virtual void get_position_sums(double* target) = 0;
  // Moves frames, within the margin of the scan; (frames) and (frames, 2). Kept waves follow.
  virtual void set_positions(const std::vector<Corner>& corner,
                             const std::vector<Real>& fraction) = 0;
  // All that an engine holds between iterations, out or back in: one that is made for the same scan
  // and parts, and gets this back, goes on as if it had never stopped.
  virtual void state(Archive& archive) = 0;

  // To the host's memory or, on GPUs, to that of any GPU.
  virtual void get_object(Complex* target) = 0;
  virtual void get_probe(Complex* target) = 0;
  // The array itself where all lanes work on one that others can see, else null.
  virtual Placed<Complex> object_in_place() = 0;
  virtual Placed<Complex> probe_in_place() = 0;
  // Of each device, then of the host where that is another.
  virtual std::vector<MemoryUse> memory() = 0;
};

}  // namespace exitwave
