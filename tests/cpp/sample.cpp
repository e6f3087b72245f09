#include "sample.hpp"

#include <cmath>
#include <numbers>
#include <random>

namespace exitwave::test {

namespace {

constexpr int kFrames = 13;
constexpr int kRows = 12;
constexpr int kColumns = 20;
constexpr int kObjectRows = 31;
constexpr int kObjectColumns = 45;
constexpr double kCountsPerFrame = 1e5;

std::complex<double> unit(double angle) { return std::polar(1.0, angle); }

int frequency(int i, int n) { return i < (n + 1) / 2 ? i : i - n; }

// Moves the image whose spectrum this is.
void shift_spectrum(Wave& spectrum, int ny, int nx, double dy, double dx) {
  for (int y = 0; y < ny; ++y)
    for (int x = 0; x < nx; ++x)
      spectrum[std::size_t(y * nx + x)] *=
          unit(-2 * std::numbers::pi * (dy * frequency(y, ny) / ny + dx * frequency(x, nx) / nx));
}

std::vector<Complex> make_object(int modes) {
  std::vector<Complex> object;
  for (int mode = 0; mode < modes; ++mode)
    for (int y = 0; y < kObjectRows; ++y)
      for (int x = 0; x < kObjectColumns; ++x) {
        const double amplitude = 0.8 + 0.15 * std::sin(0.9 * y + 0.4 * x + mode);
        const double phase = 0.5 * std::cos(0.5 * y - (0.7 + 0.3 * mode) * x);
        const double share = mode == 0 ? 1.0 : 0.4;
        object.push_back(
            {Real(share * amplitude * std::cos(phase)), Real(share * amplitude * std::sin(phase))});
      }
  return object;
}

std::vector<Complex> make_probe(int modes) {
  std::vector<Complex> probe;
  for (int mode = 0; mode < modes; ++mode)
    for (int y = 0; y < kRows; ++y)
      for (int x = 0; x < kColumns; ++x) {
        const double v = (y - kRows / 2) / 3.0;
        const double u = (x - kColumns / 2) / 5.0;
        const double amplitude = std::exp(-(u * u + v * v) / 2) * (mode == 0 ? 1.0 : 0.4 * (u + v));
        const double phase = 0.8 * (u * u + 0.5 * v * v);
        probe.push_back({Real(amplitude * std::cos(phase)), Real(amplitude * std::sin(phase))});
      }
  return probe;
}

}  // namespace

Wave slow_transform(const Wave& wave, int ny, int nx, int sign) {
  const double turn = sign * 2 * std::numbers::pi;
  Wave rows(wave.size());
  for (int y = 0; y < ny; ++y)
    for (int u = 0; u < nx; ++u)
      for (int x = 0; x < nx; ++x)
        rows[std::size_t(y * nx + u)] += wave[std::size_t(y * nx + x)] * unit(turn * u * x / nx);
  Wave result(wave.size());
  const double scale = 1 / std::sqrt(double(ny) * nx);
  for (int v = 0; v < ny; ++v)
    for (int u = 0; u < nx; ++u)
      for (int y = 0; y < ny; ++y)
        result[std::size_t(v * nx + u)] +=
            scale * rows[std::size_t(y * nx + u)] * unit(turn * v * y / ny);
  return result;
}

Sample::Sample(const SampleKind& wanted)
    : kind(wanted),
      object(make_object(wanted.object_modes)),
      probe(make_probe(wanted.probe_modes)),
      ones(object.size(), Complex{1, 0}) {
  scan.frames = kFrames;
  scan.ny = kRows;
  scan.nx = kColumns;
  scan.object_ny = kObjectRows;
  scan.object_nx = kObjectColumns;
  scan.valid.assign(kRows * kColumns, 1);
  scan.near_field = kind.near_field;
  std::mt19937 random(7);
  const auto below = [&](int n) { return int(random() % unsigned(n)); };
  for (int frame = 0; frame < kFrames; ++frame) {
    scan.corner.push_back({below(kObjectRows - kRows), below(kObjectColumns - kColumns)});
    for (int axis = 0; axis < 2; ++axis)
      scan.fraction.push_back(kind.fractional ? Real(below(100)) / 100 - Real(0.5) : Real(0));
  }
  for (int y = 0; y < kRows && kind.near_field; ++y)
    for (int x = 0; x < kColumns; ++x) {
      const double q =
          0.04 * (std::pow(frequency(y, kRows), 2) + std::pow(frequency(x, kColumns), 2));
      scan.kernel.push_back({Real(std::cos(q)), Real(-std::sin(q))});
    }

  double power = 0;
  for (const double value : intensity(0)) power += value;
  for (Complex& value : probe) value = Real(std::sqrt(kCountsPerFrame / power)) * value;
  for (int frame = 0; frame < kFrames; ++frame)
    for (const double value : intensity(frame)) counts.push_back(float(value));
  for (const float value : counts) total_counts += double(value);
  scan.counts = {counts.data(), CountType::float32};
  cut_in_parts(1);
}

void Sample::cut_in_parts(int parts) {
  scan.parts.assign(std::size_t(parts), {});
  for (int frame = 0; frame < kFrames; ++frame)
    scan.parts[std::size_t(frame % parts)].push_back(frame);
}

// Zero frequency in the middle in far field, the beam where it stands in near field.
std::vector<double> Sample::intensity(int frame) const {
  const Corner c = scan.corner[std::size_t(frame)];
  const double dy = double(scan.fraction[2 * std::size_t(frame)]);
  const double dx = double(scan.fraction[2 * std::size_t(frame) + 1]);
  std::vector<double> sum(kRows * kColumns, 0.0);
  for (int m = 0; m < kind.probe_modes; ++m) {
    Wave moved(kRows * kColumns);
    for (std::size_t i = 0; i < moved.size(); ++i) {
      const Complex p = probe[std::size_t(m) * moved.size() + i];
      moved[i] = {double(p.re), double(p.im)};
    }
    moved = slow_transform(moved, kRows, kColumns, -1);
    shift_spectrum(moved, kRows, kColumns, dy, dx);
    moved = slow_transform(moved, kRows, kColumns, 1);
    for (int k = 0; k < kind.object_modes; ++k) {
      Wave wave = moved;
      for (int y = 0; y < kRows; ++y)
        for (int x = 0; x < kColumns; ++x) {
          const Complex o =
              object[std::size_t((k * kObjectRows + c.y + y) * kObjectColumns + c.x + x)];
          wave[std::size_t(y * kColumns + x)] *= std::complex<double>(double(o.re), double(o.im));
        }
      wave = slow_transform(wave, kRows, kColumns, -1);
      if (kind.near_field) {
        for (std::size_t i = 0; i < wave.size(); ++i)
          wave[i] *= std::complex<double>(double(scan.kernel[i].re), double(scan.kernel[i].im));
        shift_spectrum(wave, kRows, kColumns, -dy, -dx);
        wave = slow_transform(wave, kRows, kColumns, 1);
      }
      for (int y = 0; y < kRows; ++y)
        for (int x = 0; x < kColumns; ++x) {
          const int v = kind.near_field ? y : (y + kRows / 2) % kRows;
          const int u = kind.near_field ? x : (x + kColumns / 2) % kColumns;
          sum[std::size_t(v * kColumns + u)] += std::norm(wave[std::size_t(y * kColumns + x)]);
        }
    }
  }
  return sum;
}

double relative(const std::vector<Complex>& a, const std::vector<Complex>& b) {
  double difference = 0;
  double whole = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += double(norm(a[i] - b[i]));
    whole += double(norm(b[i]));
  }
  return a.size() == b.size() ? std::sqrt(difference / whole) : INFINITY;
}

}  // namespace exitwave::test
