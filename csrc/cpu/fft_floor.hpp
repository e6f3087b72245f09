#pragma once

namespace exitwave {

// Seconds that `images` forward and backward transforms of ny x nx by the library take on so many
// threads, each on one image that stays in its cache: what engines are measured against.
double time_transforms(int ny, int nx, int images, int threads);

}  // namespace exitwave
