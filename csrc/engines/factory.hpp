#pragma once

#include <memory>

#include "core/error.hpp"
#include "engines/conjugate_gradient.hpp"
#include "engines/gradient.hpp"
#include "engines/least_squares.hpp"
#include "engines/losses.hpp"
#include "engines/pie.hpp"
#include "engines/projections.hpp"

namespace exitwave {

// make.operator()<N>() with the noise model that has a name
template <class F>
std::unique_ptr<Engine> with_noise(Noise noise, const F& make) {
  switch (noise) {
    case Noise::poisson:
      return make.template operator()<kernels::Poisson>();
    case Noise::amplitude:
      return make.template operator()<kernels::Amplitude>();
    case Noise::gaussian:
      return make.template operator()<kernels::Gaussian>();
    case Noise::anscombe:
      return make.template operator()<kernels::Anscombe>();
  }
  throw InvalidArgument("engine: unknown noise model");
}

// The engine that the options name, on one backend. `object` (object modes, ny, nx) and `probe`
// (probe modes, ny, nx) are start values, the host's or, on GPUs, those of any GPU; `scan` must
// outlive the engine.
template <class Backend>
std::unique_ptr<Engine> make_engine_on(const typename Backend::Settings& settings, const Scan& scan,
                                       const EngineOptions& options, const Complex* object,
                                       const Complex* probe) {
  const auto make = [&]<class E>() -> std::unique_ptr<Engine> {
    auto engine = std::make_unique<E>(settings, scan, options, object, probe);
    if (!settings.planning && !options.resumed) engine->start();
    return engine;
  };
  const std::string& name = options.name;
  if (name == "AP" || name == "DM" || name == "RAAR") {
    if (options.slices > 1) throw InvalidArgument("slices: " + name + " takes one");
    return make.template operator()<Projections<Backend>>();
  }
  if (name == "ePIE" || name == "rPIE" || name == "mPIE")
    return make.template operator()<Pie<Backend>>();
  if (name == "LSQML") return make.template operator()<LeastSquares<Backend>>();
  if (name == "ML")
    return with_noise(options.noise, [&]<class NoiseModel>() {
      return make.template operator()<ConjugateGradient<Backend, NoiseModel>>();
    });
  if (name == "gradient")
    return with_noise(options.noise, [&]<class NoiseModel>() {
      return make.template operator()<GradientDescent<Backend, NoiseModel>>();
    });
  if (name == "losses")
    return with_noise(options.noise, [&]<class NoiseModel>() {
      return make.template operator()<Losses<Backend, NoiseModel>>();
    });
  throw InvalidArgument("engine: unknown name " + name);
}

}  // namespace exitwave
