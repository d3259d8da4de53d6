#include "worker/net/socket/kernel_tls.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "common/fd.h"

namespace pronghorn::worker {
namespace {

// Of records, from RFC 8446 section 5.1, and the only alert that is looked for.
constexpr unsigned char kAlert = 21;
constexpr unsigned char kWarning = 1;
constexpr unsigned char kCloseNotify = 0;

// What one setsockopt() passes and one getsockopt() returns; its secrets do not stay on the stack.
union CipherInfo {
  tls_crypto_info info;
  tls12_crypto_info_aes_gcm_128 aes_128;
  tls12_crypto_info_aes_gcm_256 aes_256;
  tls12_crypto_info_chacha20_poly1305 chacha20;

  CipherInfo() { std::memset(static_cast<void*>(this), 0, sizeof *this); }
  CipherInfo(const CipherInfo&) = delete;
  CipherInfo& operator=(const CipherInfo&) = delete;
  ~CipherInfo() { ::explicit_bzero(static_cast<void*>(this), sizeof *this); }
};

// The kernel numbers records in network order.
template <class Info>
void put_record(Info& info, std::uint64_t record) noexcept {
  for (std::size_t i = sizeof info.rec_seq; i > 0; --i, record >>= 8U)
    info.rec_seq[i - 1] = static_cast<unsigned char>(record);
}
template <class Info>
std::uint64_t record_of(const Info& info) noexcept {
  std::uint64_t record = 0;
  for (const unsigned char byte : info.rec_seq) record = record << 8U | byte;
  return record;
}

template <class Info>
std::size_t fill(Info& to, std::uint16_t type, const TlsKeys& keys) noexcept {
  to.info = {.version = TLS_1_3_VERSION, .cipher_type = type};
  std::memcpy(to.key, keys.key.data(), sizeof to.key);
  // The fixed beginning of the nonce, which the kernel calls salt, and the rest.
  const std::size_t salt = keys.iv.size() - sizeof to.iv;
  std::memcpy(to.salt, keys.iv.data(), salt);
  std::memcpy(to.iv, keys.iv.data() + salt, sizeof to.iv);
  put_record(to, keys.record);
  return sizeof to;
}

std::size_t fill(CipherInfo& to, TlsCipher cipher, const TlsKeys& keys) noexcept {
  switch (cipher) {
    case TlsCipher::aes_128_gcm:
      return fill(to.aes_128, TLS_CIPHER_AES_GCM_128, keys);
    case TlsCipher::aes_256_gcm:
      return fill(to.aes_256, TLS_CIPHER_AES_GCM_256, keys);
    case TlsCipher::chacha20_poly1305:
      return fill(to.chacha20, TLS_CIPHER_CHACHA20_POLY1305, keys);
    case TlsCipher::other:
      break;
  }
  return 0;
}

bool set_keys(int fd, int direction, TlsCipher cipher, const TlsKeys& keys) noexcept {
  CipherInfo info;
  const std::size_t size = fill(info, cipher, keys);
  return size != 0 && ::setsockopt(fd, SOL_TLS, direction, &info, static_cast<socklen_t>(size)) == 0;
}

template <class Info>
std::optional<KernelTls> sent_by(int fd, Info& info, TlsCipher cipher) noexcept {
  socklen_t size = sizeof info;
  if (::getsockopt(fd, SOL_TLS, TLS_TX, &info, &size) != 0 || size != sizeof info) return std::nullopt;
  return KernelTls{.cipher = cipher, .next_record = record_of(info)};
}

// One alert record: what sendmsg() sends and recvmsg() receives. The kernel passes the type of a record beside its bytes.
class AlertRecord {
 public:
  AlertRecord() noexcept {
    message_.msg_iov = &part_;
    message_.msg_iovlen = 1;
    message_.msg_control = control_.data();
    message_.msg_controllen = control_.size();
  }
  AlertRecord(const AlertRecord&) = delete;
  AlertRecord& operator=(const AlertRecord&) = delete;

  bool send(int fd, unsigned char level, unsigned char description) noexcept {
    alert_ = {level, description};
    cmsghdr* const type = CMSG_FIRSTHDR(&message_);
    type->cmsg_level = SOL_TLS;
    type->cmsg_type = TLS_SET_RECORD_TYPE;
    type->cmsg_len = CMSG_LEN(1);
    *CMSG_DATA(type) = kAlert;
    return ::sendmsg(fd, &message_, MSG_NOSIGNAL | MSG_DONTWAIT) == static_cast<ssize_t>(alert_.size());
  }
  // The description of the alert that is the next record; none if that is anything else.
  std::optional<unsigned char> receive(int fd) noexcept {
    if (::recvmsg(fd, &message_, MSG_DONTWAIT) != static_cast<ssize_t>(alert_.size())) return std::nullopt;
    const cmsghdr* const type = CMSG_FIRSTHDR(&message_);
    const bool is_alert = type != nullptr && type->cmsg_level == SOL_TLS && type->cmsg_type == TLS_GET_RECORD_TYPE &&
                          *CMSG_DATA(type) == kAlert;
    return is_alert ? std::optional(alert_[1]) : std::nullopt;
  }

 private:
  std::array<unsigned char, 2> alert_{};
  iovec part_{alert_.data(), alert_.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(1)> control_{};
  msghdr message_{};
};

std::string failed(const char* call) { return std::string(call) + ": " + std::strerror(errno); }

}  // namespace

TlsCipher cipher_named(std::string_view name) noexcept {
  for (const TlsCipher each : {TlsCipher::aes_128_gcm, TlsCipher::aes_256_gcm, TlsCipher::chacha20_poly1305}) {
    if (name == name_of(each)) return each;
  }
  return TlsCipher::other;
}

std::string_view name_of(TlsCipher cipher) noexcept {
  switch (cipher) {
    case TlsCipher::aes_128_gcm:
      return "TLS_AES_128_GCM_SHA256";
    case TlsCipher::aes_256_gcm:
      return "TLS_AES_256_GCM_SHA384";
    case TlsCipher::chacha20_poly1305:
      return "TLS_CHACHA20_POLY1305_SHA256";
    case TlsCipher::other:
      break;
  }
  return "";
}

std::string why_no_kernel_tls() {
  const Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const name = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener.get(), name, size) != 0 || ::listen(listener.get(), 1) != 0 ||
      ::getsockname(listener.get(), name, &size) != 0 || ::connect(client.get(), name, size) != 0) {
    return failed("a connection to try it on");
  }
  if (::setsockopt(client.get(), IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls") != 0) {
    return failed("TCP_ULP") + (errno == ENOENT ? " (modprobe tls)" : "");
  }
  if (!set_keys(client.get(), TLS_TX, TlsCipher::aes_128_gcm, {}) ||
      !set_keys(client.get(), TLS_RX, TlsCipher::aes_128_gcm, {})) {
    return failed("TLS_TX");
  }
  return kernel_tls_of(client.get()) ? std::string() : failed("getsockopt");
}

KernelTlsStart start_kernel_tls(int fd, TlsCipher cipher, const TlsKeys& sending, const TlsKeys& receiving) noexcept {
  if (cipher == TlsCipher::other) return KernelTlsStart::no;
  if (::setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls") != 0) return KernelTlsStart::no;
  if (!set_keys(fd, TLS_TX, cipher, sending)) return KernelTlsStart::no;
  return set_keys(fd, TLS_RX, cipher, receiving) ? KernelTlsStart::yes : KernelTlsStart::broken;
}

std::optional<KernelTls> kernel_tls_of(int fd) noexcept {
  CipherInfo all;
  socklen_t size = sizeof all.info;
  if (::getsockopt(fd, SOL_TLS, TLS_TX, &all.info, &size) != 0 || all.info.version != TLS_1_3_VERSION) {
    return std::nullopt;
  }
  switch (all.info.cipher_type) {
    case TLS_CIPHER_AES_GCM_128:
      return sent_by(fd, all.aes_128, TlsCipher::aes_128_gcm);
    case TLS_CIPHER_AES_GCM_256:
      return sent_by(fd, all.aes_256, TlsCipher::aes_256_gcm);
    case TLS_CIPHER_CHACHA20_POLY1305:
      return sent_by(fd, all.chacha20, TlsCipher::chacha20_poly1305);
    default:
      return std::nullopt;
  }
}

bool send_close_notify(int fd) noexcept { return AlertRecord().send(fd, kWarning, kCloseNotify); }

bool take_close_notify(int fd) noexcept { return AlertRecord().receive(fd) == kCloseNotify; }

}  // namespace pronghorn::worker
