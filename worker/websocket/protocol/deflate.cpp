#include "worker/websocket/protocol/deflate.h"

#include <algorithm>
#include <limits>
#include <new>

namespace pronghorn::worker {
namespace {

constexpr int kMaxWindow = -15;  // negative: without zlib's header
// The end of a flush, which is not sent.
constexpr std::string_view kFlushEnd("\0\0\xff\xff", 4);

Bytef* input_of(std::string_view bytes) noexcept {
  return reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));  // zlib does not write there
}

Bytef* output_of(char* bytes) noexcept { return reinterpret_cast<Bytef*>(bytes); }

uInt zlib_size(std::size_t size) noexcept {
  return static_cast<uInt>(std::min<std::size_t>(size, std::numeric_limits<uInt>::max()));
}

// Whether the decompressor is between two blocks, with no bits left over: see zlib.h about data_type.
bool between_blocks(const z_stream& stream) noexcept { return (stream.data_type & (128 | 63)) == 128; }

// Grows a text by what a function writes, up to a limit.
class Output {
 public:
  Output(std::string& text, std::size_t most) : text_(text), most_(most) {}

  // Room for the next bytes; empty once `most` are written. At least doubles the text, so that the work stays linear.
  void prepare(z_stream& stream, std::size_t expected) {
    if (size_ == text_.size()) {
      const std::size_t grown = std::min(most_, std::max({expected, size_ * 2, std::size_t{512}}));
      text_.resize_and_overwrite(grown, [](char*, std::size_t size) { return size; });
    }
    stream.next_out = output_of(text_.data() + size_);
    stream.avail_out = zlib_size(text_.size() - size_);
  }
  void written(const z_stream& stream) noexcept {
    size_ = static_cast<std::size_t>(reinterpret_cast<char*>(stream.next_out) - text_.data());
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  void finish() { text_.resize(size_); }

 private:
  std::string& text_;
  std::size_t most_;
  std::size_t size_ = 0;
};

}  // namespace

void Inflater::End::operator()(z_stream* stream) const noexcept {
  inflateEnd(stream);
  delete stream;
}

Inflater::Result Inflater::inflate(std::string_view payload, std::size_t most, std::string& message) {
  if (!stream_) {
    auto stream = std::make_unique<z_stream>();
    if (inflateInit2(stream.get(), kMaxWindow) != Z_OK) throw std::bad_alloc();
    stream_.reset(stream.release());
  } else if (inflateReset(stream_.get()) != Z_OK) {
    throw std::bad_alloc();
  }
  message.clear();
  Output output(message, most + 1);  // the byte that is too many
  z_stream& stream = *stream_;
  bool ended = false;  // after a block that says that it is the last (section 7.2.3.4)
  for (std::string_view piece : {payload, kFlushEnd}) {
    stream.next_in = input_of(piece);
    stream.avail_in = zlib_size(piece.size());
    while (true) {
      output.prepare(stream, piece.size() * 3);
      if (ended && stream.avail_in != 0) {
        if (inflateReset(&stream) != Z_OK) throw std::bad_alloc();
        ended = false;
      }
      const int result = ::inflate(&stream, Z_NO_FLUSH);
      output.written(stream);
      if (output.size() > most) return Result::too_big;
      ended = result == Z_STREAM_END;
      if (!ended && result != Z_OK && result != Z_BUF_ERROR) {
        if (result == Z_MEM_ERROR) throw std::bad_alloc();
        return Result::invalid;
      }
      if (stream.avail_in == 0 && (ended || between_blocks(stream) || stream.avail_out != 0)) break;
    }
    if (ended) break;  // nothing follows the last block of the payload
  }
  output.finish();
  return ended || between_blocks(stream) ? Result::done : Result::invalid;
}

void Deflater::End::operator()(z_stream* stream) const noexcept {
  deflateEnd(stream);
  delete stream;
}

z_stream& Deflater::stream_for(int window_bits) {
  std::unique_ptr<z_stream, End>& stream = streams_[static_cast<std::size_t>(window_bits - kSmallestWindow)];
  if (!stream) {
    auto made = std::make_unique<z_stream>();
    // A hash table that is much larger than the window (zlib's default is 8) makes small windows three times as slow.
    const int memory_level = window_bits - 7;
    if (deflateInit2(made.get(), Z_DEFAULT_COMPRESSION, Z_DEFLATED, -window_bits, memory_level, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
      throw std::bad_alloc();
    }
    stream.reset(made.release());
  } else {
    deflateReset(stream.get());
  }
  return *stream;
}

void Deflater::deflate(std::string_view message, DeflateTerms terms, std::string& payload) {
  z_stream& stream = stream_for(std::clamp<int>(terms.window_bits, kSmallestWindow, kLargestWindow));
  const std::size_t start = payload.size();
  const std::size_t most = deflateBound(&stream, message.size()) + 16;  // and a flush
  payload.resize_and_overwrite(start + most, [&](char* bytes, std::size_t) {
    stream.next_in = input_of(message);
    stream.avail_in = zlib_size(message.size());
    stream.next_out = output_of(bytes + start);
    stream.avail_out = zlib_size(most);
    ::deflate(&stream, Z_SYNC_FLUSH);
    return start + most - stream.avail_out;
  });
  if (std::string_view(payload).ends_with(kFlushEnd)) payload.resize(payload.size() - kFlushEnd.size());
}

}  // namespace pronghorn::worker
