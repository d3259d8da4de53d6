#include "worker/websocket/protocol/frame_reader.h"

#include <utility>

namespace pronghorn::worker {
namespace {

constexpr std::size_t kMostSpare = 8;

}  // namespace

std::unique_ptr<FrameAssembly> FrameMemory::take() {
  if (spare_.empty()) return std::make_unique<FrameAssembly>();
  std::unique_ptr<FrameAssembly> assembly = std::move(spare_.back());
  spare_.pop_back();
  return assembly;
}

void FrameMemory::give_back(std::unique_ptr<FrameAssembly> assembly) {
  if (spare_.size() < kMostSpare) spare_.push_back(std::move(assembly));
}

FrameStep FrameReader::next(std::string_view bytes) {
  if (ended_) {
    assembly_.reset();
    return {.consumed = bytes.size()};
  }
  if (!assembly_) {
    if (bytes.empty()) return {};
    assembly_ = memory_->take();
  }
  const FrameStep step = assembly_->read(bytes, rules_, memory_->inflater());
  ended_ = step.item == FrameItem::close || step.item == FrameItem::failure;
  if (step.item == FrameItem::none && !assembly_->begun()) memory_->give_back(std::move(assembly_));
  return step;
}

}  // namespace pronghorn::worker
