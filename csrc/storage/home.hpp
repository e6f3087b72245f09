#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "core/buffer.hpp"
#include "core/scan.hpp"

namespace exitwave {

// f(first, count) for runs of frames that follow each other.
template <class F>
void for_each_run(const std::vector<int>& frames, F&& f) {
  for (std::size_t first = 0; first < frames.size();) {
    std::size_t last = first + 1;
    while (last < frames.size() && frames[last] == frames[last - 1] + 1) ++last;
    f(int(first), int(last - first));
    first = last;
  }
}

// Where frames are while no lane works on them. All have the same number of bytes.
class Home {
 public:
  virtual ~Home() = default;

  // Frames, by their numbers, to and from memory of the host, one after the other.
  virtual void read(const std::vector<int>& frames, void* target) = 0;
  virtual void write(const std::vector<int>& frames, const void* source) = 0;
  // Where a frame lies in memory of the host, frames one after the other; null where in none.
  virtual unsigned char* address(int) { return nullptr; }
};

// Frames in an array of somebody else's, which is only read. It is pinned meanwhile, where
// `memory`, the host's for lanes that come for frames, can do that.
class BorrowedHome final : public Home {
 public:
  BorrowedHome(const void* data, std::size_t frame_bytes)
      : data_(static_cast<unsigned char*>(const_cast<void*>(data))), frame_bytes_(frame_bytes) {}
  BorrowedHome(const void* data, std::size_t frame_bytes, std::size_t frames, Memory& memory)
      : BorrowedHome(data, frame_bytes) {
    if (memory.pin(data, frames * frame_bytes)) pinned_by_ = &memory;
  }
  ~BorrowedHome() override {
    if (pinned_by_ != nullptr) pinned_by_->let_go(data_);
  }
  BorrowedHome(const BorrowedHome&) = delete;
  BorrowedHome& operator=(const BorrowedHome&) = delete;

  void read(const std::vector<int>& frames, void* target) override;
  void write(const std::vector<int>& frames, const void* source) override;
  unsigned char* address(int frame) override { return data_ + std::size_t(frame) * frame_bytes_; }

 private:
  unsigned char* data_;
  std::size_t frame_bytes_;
  Memory* pinned_by_ = nullptr;
};

// Frames that a function reads, from a file for example; called on a thread of its own.
class FunctionHome final : public Home {
 public:
  explicit FunctionHome(ReadFrames read) : read_(std::move(read)) {}

  void read(const std::vector<int>& frames, void* target) override { read_(frames, target); }
  void write(const std::vector<int>& frames, const void* source) override;

 private:
  ReadFrames read_;
};

// Frames in memory of the host.
class MemoryHome final : public Home {
 public:
  MemoryHome(Memory& memory, int frames, std::size_t frame_bytes)
      : frame_bytes_(frame_bytes), buffer_(memory, std::size_t(frames) * frame_bytes) {}

  void read(const std::vector<int>& frames, void* target) override;
  void write(const std::vector<int>& frames, const void* source) override;
  unsigned char* address(int frame) override {
    return buffer_.data() + std::size_t(frame) * frame_bytes_;
  }

 private:
  std::size_t frame_bytes_;
  Buffer<unsigned char> buffer_;
};

// Frames in a scratch file, which nobody else sees and which goes with the process. Its space is
// taken at once, so that a full disk is known before the work begins.
class FileHome final : public Home {
 public:
  // Throws DeviceError naming the folder.
  FileHome(const std::string& folder, int frames, std::size_t frame_bytes);
  ~FileHome() override;
  FileHome(const FileHome&) = delete;
  FileHome& operator=(const FileHome&) = delete;

  void read(const std::vector<int>& frames, void* target) override;
  void write(const std::vector<int>& frames, const void* source) override;

 private:
  std::size_t frame_bytes_;
  std::string folder_;
  int file_;
};

}  // namespace exitwave
