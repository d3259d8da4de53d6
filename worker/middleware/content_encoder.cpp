#include "worker/middleware/content_encoder.h"

#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <new>

namespace pronghorn::worker {

namespace {

// At these levels a core compresses about 50 to 100 MB of text per second.
constexpr int kGzipLevel = 5;
constexpr std::uint32_t kBrotliQuality = 4;
constexpr int kZstdLevel = 3;

constexpr int kStreamWindowBits = 17;  // 128 KiB
constexpr int kLargestWindowBits = 21;
constexpr int kSmallestWindowBits = 10;  // that all three support

// No larger than the body needs.
int window_bits(std::optional<std::uint64_t> size) noexcept {
  if (!size) return kStreamWindowBits;
  return std::clamp(static_cast<int>(std::bit_width(*size)), kSmallestWindowBits, kLargestWindowBits);
}

class Gzip final : public ContentEncoder {
 public:
  Gzip() {
    constexpr int kWindowBits = 15 + 16;  // 16: the gzip format
    constexpr int kMemoryLevel = 8;
    if (deflateInit2(&stream_, kGzipLevel, Z_DEFLATED, kWindowBits, kMemoryLevel, Z_DEFAULT_STRATEGY) != Z_OK) {
      throw std::bad_alloc();
    }
  }
  ~Gzip() override { deflateEnd(&stream_); }

  void add(std::string_view bytes, Then then, std::string& out) override {
    const int flush = then == Then::go_on ? Z_NO_FLUSH : then == Then::flush ? Z_SYNC_FLUSH : Z_FINISH;
    std::array<unsigned char, 16 * 1024> block;  // NOLINT(cppcoreguidelines-pro-type-member-init): zlib fills it
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(bytes.size());
    do {
      stream_.next_out = block.data();
      stream_.avail_out = block.size();
      deflate(&stream_, flush);
      out.append(reinterpret_cast<const char*>(block.data()), block.size() - stream_.avail_out);
    } while (stream_.avail_out == 0);
  }

 private:
  z_stream stream_{};
};

class Brotli final : public ContentEncoder {
 public:
  explicit Brotli(std::optional<std::uint64_t> size)
      : state_(BrotliEncoderCreateInstance(nullptr, nullptr, nullptr), BrotliEncoderDestroyInstance) {
    if (!state_) throw std::bad_alloc();
    BrotliEncoderSetParameter(state_.get(), BROTLI_PARAM_QUALITY, kBrotliQuality);
    BrotliEncoderSetParameter(state_.get(), BROTLI_PARAM_LGWIN, static_cast<std::uint32_t>(window_bits(size)));
    if (size && *size <= UINT32_MAX) {
      BrotliEncoderSetParameter(state_.get(), BROTLI_PARAM_SIZE_HINT, static_cast<std::uint32_t>(*size));
    }
  }

  void add(std::string_view bytes, Then then, std::string& out) override {
    const auto operation = then == Then::go_on   ? BROTLI_OPERATION_PROCESS
                           : then == Then::flush ? BROTLI_OPERATION_FLUSH
                                                 : BROTLI_OPERATION_FINISH;
    std::size_t left = bytes.size();
    const auto* next = reinterpret_cast<const std::uint8_t*>(bytes.data());
    do {
      std::size_t no_room = 0;  // the encoder keeps its output until BrotliEncoderTakeOutput
      if (BrotliEncoderCompressStream(state_.get(), operation, &left, &next, &no_room, nullptr, nullptr) !=
          BROTLI_TRUE) {
        throw std::bad_alloc();
      }
      std::size_t size = 0;
      const std::uint8_t* const made = BrotliEncoderTakeOutput(state_.get(), &size);
      out.append(reinterpret_cast<const char*>(made), size);
    } while (left > 0 || BrotliEncoderHasMoreOutput(state_.get()) == BROTLI_TRUE);
  }

 private:
  std::unique_ptr<BrotliEncoderState, void (*)(BrotliEncoderState*)> state_;
};

class Zstd final : public ContentEncoder {
 public:
  explicit Zstd(std::optional<std::uint64_t> size) : context_(ZSTD_createCCtx(), ZSTD_freeCCtx) {
    if (!context_) throw std::bad_alloc();
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, kZstdLevel);
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_windowLog, window_bits(size));
    if (size) ZSTD_CCtx_setPledgedSrcSize(context_.get(), *size);
  }

  void add(std::string_view bytes, Then then, std::string& out) override {
    const auto operation = then == Then::go_on ? ZSTD_e_continue : then == Then::flush ? ZSTD_e_flush : ZSTD_e_end;
    std::array<char, 16 * 1024> block;  // NOLINT(cppcoreguidelines-pro-type-member-init): zstd fills it
    ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
    std::size_t left = 0;  // output that the operation still has to write; only a hint for ZSTD_e_continue
    do {
      ZSTD_outBuffer output{block.data(), block.size(), 0};
      left = ZSTD_compressStream2(context_.get(), &output, &input, operation);
      if (ZSTD_isError(left) != 0) throw std::bad_alloc();
      out.append(block.data(), output.pos);
    } while (input.pos < input.size || (then != Then::go_on && left > 0));
  }

 private:
  std::unique_ptr<ZSTD_CCtx, std::size_t (*)(ZSTD_CCtx*)> context_;
};

}  // namespace

std::unique_ptr<ContentEncoder> make_content_encoder(ContentCoding coding, std::optional<std::uint64_t> size) {
  if (coding == ContentCoding::br) return std::make_unique<Brotli>(size);
  if (coding == ContentCoding::zstd) return std::make_unique<Zstd>(size);
  return std::make_unique<Gzip>();
}

}  // namespace pronghorn::worker
