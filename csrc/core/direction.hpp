#pragma once

namespace exitwave {

// Of a Fourier transform: forward has the kernel exp(-2 pi i u x).
enum class Direction { forward, backward };

}  // namespace exitwave
