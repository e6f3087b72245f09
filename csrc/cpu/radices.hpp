#pragma once

#include <vector>

namespace exitwave {

// Whether a length has only the prime factors 2, 3, 5 and 7.
inline bool is_smooth(int length) {
  for (const int prime : {2, 3, 5, 7})
    while (length > 1 && length % prime == 0) length /= prime;
  return length == 1;
}

// Radices of the passes of such a length: as few as there can be. A radix of 16 would save some,
// but its numbers do not fit the registers, and it is slower.
inline std::vector<int> radices_of(int length) {
  std::vector<int> radices;
  for (const int prime : {7, 5, 3})
    for (; length % prime == 0; length /= prime) radices.push_back(prime);
  int twos = 0;
  for (; length % 2 == 0; length /= 2) ++twos;
  for (int passes = (twos + 2) / 3; passes > 0; --passes) {
    const int share = (twos + passes - 1) / passes;
    radices.push_back(1 << share);
    twos -= share;
  }
  return radices;
}

}  // namespace exitwave
