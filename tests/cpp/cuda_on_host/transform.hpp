#pragma once

namespace cuda_on_host {

// Unscaled transform of an image of complex numbers, pairs of floats, in place; `sign` of the
// exponent.
void transform_image(float* image, int ny, int nx, int sign);

}  // namespace cuda_on_host
