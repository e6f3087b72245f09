#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/complex.hpp"
#include "core/error.hpp"
#include "core/place.hpp"
#include "core/scan.hpp"
#include "kernels/tangents.hpp"
#include "storage/archive.hpp"
#include "storage/plan.hpp"

namespace exitwave {

enum class Noise { poisson, amplitude, gaussian, anscombe };
enum class OptimiserKind { adam, momentum, sgd };
// What can be refined that all frames have in common.
enum class Unknown { distance, defocus, map, gaps };
// What is never negative: the object's real part, its phase, or minus its phase.
enum class Positivity { none, real, phase, negative_phase };

// Of odd lengths, its middle pixel in the middle.
struct SmallImage {
  int ny;
  int nx;
  std::vector<Real> values;
};

// Values of one engine's parameters; which of them an engine reads is decided, and checked, where
// parameters are validated.
struct EngineOptions {
  std::string name;
  int probe_modes = 1;
  int object_modes = 1;
  int eigen_probes = 0;                // by which the probes of frames differ; 0: they do not
  int slices = 1;                      // of each object mode
  std::vector<Complex> slice_kernels;  // (slices - 1, ny, nx), zero frequency first
  // (slices - 1, frames, 2): pixels (y, x) that a frame's beam moves from slice to slice besides;
  // empty: none
  std::vector<Real> slice_shifts;
  double object_inertia = 0;
  double probe_inertia = 0;
  double object_step = 1;
  double probe_step = 1;
  double object_alpha = 1;
  double probe_alpha = 1;
  double beta = 1;
  double power_bound = -1;  // squared amplitude deviation per pixel; negative: off
  double momentum = 0;
  int momentum_period = 0;            // group updates; 0: no momentum
  int group_size = 1;                 // frames of a group at most
  bool intensity_refinement = false;  // each frame has a factor of its own
  Noise noise = Noise::poisson;
  // What the detector makes of a point of light, one after the other; empty: a point.
  std::vector<SmallImage> point_spread;
  bool background_refinement = false;
  std::vector<SmallImage> background_smoothing;  // of its steps, as point_spread
  int history = 0;                               // pairs that L-BFGS keeps; 0: conjugate directions
  OptimiserKind object_optimiser = OptimiserKind::adam;
  OptimiserKind probe_optimiser = OptimiserKind::adam;
  double step_memory = 0;
  double square_memory = 0;
  bool needs_tangents = false;
  bool refines_gaps = false;  // between slices
  double smoothness = 0;
  double slice_smoothness = 0;
  double object_tv = 0;
  double object_l1 = 0;
  double object_reweighted_l1 = 0;
  double object_l2 = 0;
  bool prior_of_phase = false;  // of these five, not of the whole object
  Positivity positivity = Positivity::none;
  double flat_amplitude = -1;  // the object is flat where it is at least so bright; negative: off
  bool one_material = false;
  double kappa = 0;        // log amplitude over phase, where there is one material
  double object_blur = 0;  // squared width of the Gaussian, square pixels
  // (object ny, object nx), 1 where kappa is refined; empty: it is not
  std::vector<unsigned char> kappa_region;
  double probe_smoothness = 0;
  bool hold_power = true;
  bool clip = false;
  double clip_low = 0;
  double clip_high = 0;
  bool resumed = false;  // state() restores what start() would compute
  StoragePlan storage;
  std::vector<unsigned char> object_flat;   // (object ny, object nx), 1 = flat; empty: none
  std::vector<Real> probe_support;          // (ny, nx), 0 or 1; empty: none
  std::vector<Real> probe_fourier_support;  // (ny, nx), zero frequency first; empty: none

  // Images of the object: the slices of the first mode, of the second, ...
  int object_images() const { return object_modes * slices; }

  // Whether all of a frame must be seen before any pixel of it can be changed at the detector.
  bool needs_whole_frames() const {
    return power_bound >= 0 || intensity_refinement || background_refinement ||
           !point_spread.empty() ||
           (name == "LSQML" && (noise == Noise::poisson || noise == Noise::gaussian));
  }
  // Images of sums over modes that are spread together: the search of ML has most.
  int spread_images() const { return name == "ML" ? 4 : 2; }
};

// What one iteration found out; sums over all frames.
struct IterationReport {
  double deviation = 0;      // sum of (sqrt I - sqrt model)^2 over valid pixels
  long frames_in_bound = 0;  // frames that the power bound left alone
  double loss = 0;           // of the noise model, where the engine is made to tell it
  double cut_power = 0;      // fraction of the probe's power that its supports took away
  double kappa = 0;          // ratio of one material, where it is refined
};

// Gauss-Newton on amplitudes along one number: its step is slope / curvature.
struct NormalEquation {
  double curvature;  // sum of (dA)^2
  double slope;      // sum of dA (sqrt I - A)
};

// Bytes in one memory.
struct MemoryUse {
  std::string name;
  std::size_t peak;                         // held at the same time
  std::map<std::string, std::size_t> uses;  // allocated for what
};

// A reconstruction under way on some device. All arrays are in C order, one after the other: object
// (object modes, slices, ny, nx), probe (probe modes, ny, nx).
class Engine {
  static constexpr const char* kNoGradients = "engine: only 'losses' gives gradients away";
  static constexpr const char* kNoRelaxation = "engine: only ML relaxes the probe";
  static constexpr const char* kNoBackground = "engine: only ML and gradient refine a background";
  static constexpr const char* kNoIntensities = "engine: only LSQML refines intensities";

 public:
  virtual ~Engine() = default;

  // Computes what follows from the start values; constructors only take memory and fill it.
  virtual void start() = 0;

  // One iteration. `groups`: frames of each update, for engines that work in groups.
  virtual IterationReport iterate(const std::vector<std::vector<int>>& groups,
                                  bool update_probe) = 0;
  // Factors on the steps of the next iterations, for engines that have a schedule; an object with 0
  // is left alone.
  virtual void set_schedule(double /*object*/, double /*probe*/) {}
  // Whether the next iterations end with what object and probe are held to, and whether the ratio
  // of one material is refined then.
  virtual void set_constraints(bool due, bool refine_kappa) = 0;
  // Brings object and probe into the state that they are handed on in.
  virtual void finish() = 0;
  // Sum of squared amplitude deviations of the present model.
  virtual double deviation() = 0;
  // Counts of the present model at valid pixels.
  virtual double model_power() = 0;
  // Moves probe and object by whole pixels against the windows; exit waves follow.
  virtual void move_probe(int dy, int dx) = 0;

  // What all frames say about something that they have in common, see kernels/tangents.hpp.
  virtual NormalEquation look_along(Unknown unknown, const kernels::Along& along) = 0;
  // The same of the gaps between slices: factors on the spectra of the waves that meet the slices
  // from the second on, (slices - 1, ny, nx), zero frequency first, are what a small change of the
  // gaps does to them.
  virtual NormalEquation look_between_slices(const Complex* factors) = 0;
  // Other transfer functions between slices, as in the options.
  virtual void set_slice_kernels(const Complex* kernels) = 0;
  // Another propagator of the near field, (ny, nx), zero frequency first. Kept waves stay.
  virtual void set_kernel(const Complex* kernel) = 0;
  // Whether the next iterations find out what each frame says about its position, and what they
  // found: a_yy, a_yx, a_xx, b_y, b_x for each frame of the scan, see kernels/positions.hpp.
  virtual void watch_positions(bool on) = 0;
  virtual void get_position_sums(double* target) = 0;
  // Sum of squared amplitude deviations of each frame of the scan if it were there, (frames); the
  // frames stay where they are.
  virtual void get_deviations_at(const std::vector<Corner>& corner,
                                 const std::vector<Real>& fraction, double* target) = 0;
  // Moves frames, within the margin of the scan; (frames) and (frames, 2). Kept waves follow.
  virtual void set_positions(const std::vector<Corner>& corner,
                             const std::vector<Real>& fraction) = 0;
  // Other values of object and probe; what engines keep beside them stays.
  virtual void set_fields(const Complex* object, const Complex* probe) = 0;
  // Of the engine "losses", from its last iteration: g with dL = 2 Re <g, dO> + 2 Re <h, dP>, and
  // dL along positions, (frames, 2), added to the target.
  virtual void get_gradients(Complex*, Complex*) { throw InvalidArgument(kNoGradients); }
  virtual void get_position_slopes(double*) { throw InvalidArgument(kNoGradients); }
  // Whether the next iterations refine the factor on the waves of each frame; factors of the scan's
  // frames, where this process holds them.
  virtual void refine_intensities(bool) { throw InvalidArgument(kNoIntensities); }
  virtual void get_intensity_factors(double*) { throw InvalidArgument(kNoIntensities); }
  virtual void set_intensity_factors(const double*) { throw InvalidArgument(kNoIntensities); }
  // Whether the next iterations, where they update the probe, also update eigen-probes (count,
  // probe modes, ny, nx) and weights (frames of the scan, count), those of frames that this process
  // holds.
  virtual void relax_probe(bool) { throw InvalidArgument(kNoRelaxation); }
  virtual void get_eigen_probes(Complex*, Complex*) { throw InvalidArgument(kNoRelaxation); }
  virtual void set_eigen_probes(const Complex*, const Complex*) {
    throw InvalidArgument(kNoRelaxation);
  }
  // Whether the next iterations refine the background that all frames have; counts (ny, nx), first
  // pixel as the waves have it.
  virtual void refine_background(bool) { throw InvalidArgument(kNoBackground); }
  virtual void get_background(Real*) { throw InvalidArgument(kNoBackground); }
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
