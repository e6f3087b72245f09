#include "storage/home.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "core/error.hpp"

namespace exitwave {

namespace {

[[noreturn]] void failed(const char* what, const std::string& folder, int error) {
  throw DeviceError(std::string("scratch file in ") + folder + ": cannot " + what + " (" +
                    std::strerror(error) + "); name another folder in scratch_folder");
}

}  // namespace

void BorrowedHome::read(const std::vector<int>& frames, void* target) {
  auto* to = static_cast<unsigned char*>(target);
  for_each_run(frames, [&](int first, int run) {
    std::memcpy(to + std::size_t(first) * frame_bytes_,
                data_ + std::size_t(frames[std::size_t(first)]) * frame_bytes_,
                std::size_t(run) * frame_bytes_);
  });
}

void BorrowedHome::write(const std::vector<int>&, const void*) {
  throw std::logic_error("frames that were lent are only read");
}

void FunctionHome::write(const std::vector<int>&, const void*) {
  throw std::logic_error("frames that a function reads are only read");
}

void MemoryHome::read(const std::vector<int>& frames, void* target) {
  BorrowedHome(buffer_.data(), frame_bytes_).read(frames, target);
}

void MemoryHome::write(const std::vector<int>& frames, const void* source) {
  const auto* from = static_cast<const unsigned char*>(source);
  for_each_run(frames, [&](int first, int run) {
    std::memcpy(buffer_.data() + std::size_t(frames[std::size_t(first)]) * frame_bytes_,
                from + std::size_t(first) * frame_bytes_, std::size_t(run) * frame_bytes_);
  });
}

FileHome::FileHome(const std::string& folder, int frames, std::size_t frame_bytes)
    : frame_bytes_(frame_bytes), folder_(folder) {
  std::string path = folder + "/exitwave-XXXXXX";
  file_ = mkostemp(path.data(), O_CLOEXEC);
  if (file_ < 0) failed("be made", folder_, errno);
  unlink(path.c_str());
  const off_t bytes = off_t(std::size_t(frames) * frame_bytes);
  const int error = bytes > 0 ? posix_fallocate(file_, 0, bytes) : 0;
  if (error == 0) return;
  close(file_);
  failed(("hold " + std::to_string(bytes) + " bytes").c_str(), folder_, error);
}

FileHome::~FileHome() { close(file_); }

void FileHome::read(const std::vector<int>& frames, void* target) {
  auto* to = static_cast<unsigned char*>(target);
  for_each_run(frames, [&](int first, int run) {
    std::size_t done = 0;
    const std::size_t bytes = std::size_t(run) * frame_bytes_;
    while (done < bytes) {
      const ssize_t now =
          pread(file_, to + std::size_t(first) * frame_bytes_ + done, bytes - done,
                off_t(std::size_t(frames[std::size_t(first)]) * frame_bytes_ + done));
      if (now < 0 && errno == EINTR) continue;
      if (now <= 0) failed("be read", folder_, errno);
      done += std::size_t(now);
    }
  });
}

void FileHome::write(const std::vector<int>& frames, const void* source) {
  const auto* from = static_cast<const unsigned char*>(source);
  for_each_run(frames, [&](int first, int run) {
    std::size_t done = 0;
    const std::size_t bytes = std::size_t(run) * frame_bytes_;
    while (done < bytes) {
      const ssize_t now =
          pwrite(file_, from + std::size_t(first) * frame_bytes_ + done, bytes - done,
                 off_t(std::size_t(frames[std::size_t(first)]) * frame_bytes_ + done));
      if (now < 0 && errno == EINTR) continue;
      if (now < 0) failed("be written", folder_, errno);
      done += std::size_t(now);
    }
  });
}

}  // namespace exitwave
