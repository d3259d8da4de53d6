// Kernel TLS: TCP sockets whose kernel encrypts what is written and decrypts what is read (Linux's
// Documentation/networking/tls.rst). The secrets are in the socket, so they outlive the process that put them there.
//
// Only TLS 1.3, whose records are all longer by the same number of bytes than what is in them.
//
// Any process that has the descriptor may call these functions; no privilege is needed, and nothing is allocated unless
// they say so.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pronghorn::worker {

enum class TlsCipher : std::uint8_t { other, aes_128_gcm, aes_256_gcm, chacha20_poly1305 };

// Of its name: "TLS_AES_128_GCM_SHA256".
[[nodiscard]] TlsCipher cipher_named(std::string_view name) noexcept;
[[nodiscard]] std::string_view name_of(TlsCipher cipher) noexcept;

// Of one direction of a connection.
struct TlsKeys {
  std::array<unsigned char, 32> key{};  // its first bytes, as many as the cipher has
  std::array<unsigned char, 12> iv{};
  std::uint64_t record = 0;  // number of the next record
};

inline constexpr std::size_t kRecordBytes = 16 * 1024;  // at most, of what is encrypted
inline constexpr std::size_t kRecordOverhead = 22;      // header, type, tag

// Why the kernel cannot do it; empty: it can, with the first of the ciphers. Tries on a connection of its own:
// allocates, and opens sockets for a moment.
[[nodiscard]] std::string why_no_kernel_tls();

// From now on the kernel encrypts and decrypts. Nothing that was read from the socket may wait to be decrypted, nothing
// may be written by anybody else meanwhile.
enum class KernelTlsStart {
  yes,
  no,     // nothing has changed
  broken  // it does half of it: the connection is of no use any more
};
[[nodiscard]] KernelTlsStart start_kernel_tls(int fd, TlsCipher cipher, const TlsKeys& sending,
                                              const TlsKeys& receiving) noexcept;

// What the kernel has encrypted so far. Empty: it does not encrypt this socket.
struct KernelTls {
  TlsCipher cipher = TlsCipher::other;
  std::uint64_t next_record = 0;  // number of the next record that is sent
};
[[nodiscard]] std::optional<KernelTls> kernel_tls_of(int fd) noexcept;

// Sends close_notify, after which nothing may be written. False: there is no room, or the connection is broken.
[[nodiscard]] bool send_close_notify(int fd) noexcept;

// When reading has failed with EIO because the next record has no data: takes it. Whether it is close_notify; anything
// else ends the connection.
[[nodiscard]] bool take_close_notify(int fd) noexcept;

}  // namespace pronghorn::worker
