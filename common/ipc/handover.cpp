#include "common/ipc/handover.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include "common/config/record.h"
#include "common/text/json_text.h"

namespace pronghorn {
namespace {

using nlohmann::json;

std::string serialise(const Handover& handover) {
  json listeners = json::array();
  for (const InheritedListener& listener : handover.listeners) {
    listeners.push_back({{"address", text_to_record(listener.address)},
                         {"slot", listener.slot},
                         {"fd", listener.fd},
                         {"is_unix", listener.is_unix},
                         {"is_https", listener.is_https}});
  }
  const json record{{"config", parse_json(to_json(handover.config))},
                    {"slot", handover.slot},
                    {"row", handover.row},
                    {"generation", handover.generation},
                    {"supervisor_pid", handover.supervisor_pid},
                    {"admin", handover.admin},
                    {"listeners", std::move(listeners)},
                    {"tls_credentials_fd", handover.tls_credentials_fd},
                    {"ticket_keys_fd", handover.ticket_keys_fd}};
  return dump_json(record);
}

Handover parse(const std::string& text) {
  const json record = parse_json(text);
  Handover handover;
  handover.config = config_from_json(dump_json(record.at("config")));
  record.at("slot").get_to(handover.slot);
  record.at("row").get_to(handover.row);
  record.at("generation").get_to(handover.generation);
  record.at("supervisor_pid").get_to(handover.supervisor_pid);
  record.at("admin").get_to(handover.admin);
  record.at("tls_credentials_fd").get_to(handover.tls_credentials_fd);
  record.at("ticket_keys_fd").get_to(handover.ticket_keys_fd);
  for (const json& entry : record.at("listeners")) {
    handover.listeners.push_back({text_from_record(entry.at("address")), entry.at("slot").get<std::uint32_t>(),
                                  entry.at("fd").get<int>(), entry.at("is_unix").get<bool>(),
                                  entry.at("is_https").get<bool>()});
  }
  return handover;
}

bool write_all(int fd, std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return ::lseek(fd, 0, SEEK_SET) == 0;
}

// Reads from the descriptor's position to its end, and closes it.
std::string read_and_close(int fd) {
  std::string text;
  std::array<char, 16 * 1024> buffer;
  ssize_t count = 0;
  while ((count = ::read(fd, buffer.data(), buffer.size())) > 0 || (count < 0 && errno == EINTR)) {
    if (count > 0) text.append(buffer.data(), static_cast<std::size_t>(count));
  }
  const int error = errno;
  ::close(fd);
  if (count < 0) {
    throw std::runtime_error(fmt::format("cannot read the supervisor's record on descriptor {}: {}", fd,
                                         std::generic_category().message(error)));
  }
  return text;
}

}  // namespace

int write_handover(const Handover& handover) {
  const std::string text = serialise(handover);
  const int fd = ::memfd_create("pronghorn-handover", MFD_CLOEXEC);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "cannot create a worker's record");
  if (!write_all(fd, text)) {
    const int error = errno;
    ::close(fd);
    throw std::system_error(error, std::generic_category(), "cannot write a worker's record");
  }
  return fd;
}

Handover read_handover(int fd) {
  const std::string text = read_and_close(fd);
  try {
    return parse(text);
  } catch (const std::exception& error) {
    throw std::runtime_error(fmt::format("the supervisor's record is of another build: {}", error.what()));
  }
}

}  // namespace pronghorn
