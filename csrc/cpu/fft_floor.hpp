#pragma once

namespace exitwave {

// Seconds that `images` forward and backward transforms of ny x nx take on so many threads, each on
// one image that stays in its cache: the least that any engine can need for them.
double time_transforms(int ny, int nx, int images, int threads);

}  // namespace exitwave
