#include "supervisor/tls/redis_files.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <exception>
#include <stdexcept>
#include <string>

#include "common/tls/client_context.h"
#include "supervisor/tls/pem_file.h"

namespace pronghorn::supervisor {
namespace {

// One of the three files: an option, and where its contents go.
struct RedisFile {
  const char* option;
  std::string Config::* path;
  std::string Config::* contents;
};
constexpr RedisFile kRedisAuthorities{"redis_ca", &Config::redis_ca, &Config::redis_ca_pem};
constexpr RedisFile kRedisCertificate{"redis_certificate", &Config::redis_certificate, &Config::redis_certificate_pem};
constexpr RedisFile kRedisKey{"redis_key", &Config::redis_key, &Config::redis_key_pem};
constexpr std::array<RedisFile, 3> kRedisFiles{kRedisAuthorities, kRedisCertificate, kRedisKey};

bool uses_tls(const Config& config) noexcept { return config.redis.starts_with("rediss"); }

bool is_named(const RedisFile& file, const Config& config) noexcept {
  const std::string& path = config.*file.path;
  return !path.empty() && path != "system";
}

const RedisFile& file_of(TlsCredentialError::Part part, const Config& config) {
  switch (part) {
    case TlsCredentialError::Part::ca:
      return kRedisAuthorities;
    case TlsCredentialError::Part::certificate:
      break;
    case TlsCredentialError::Part::key:
      if (!config.redis_key.empty()) return kRedisKey;
  }
  return kRedisCertificate;
}

void read_files_once(Config& config) {
  for (const RedisFile& file : kRedisFiles) {
    if (!is_named(file, config)) continue;
    try {
      config.*file.contents = read_pem_file(config.*file.path);
    } catch (const std::exception& error) {
      throw std::runtime_error(fmt::format("{} {}", file.option, error.what()));
    }
    if ((config.*file.contents).empty()) {
      throw std::runtime_error(fmt::format("{} {}: the file is empty", file.option, config.*file.path));
    }
  }
  const auto made = TlsClientContext::make({config.redis_ca_pem, config.redis_certificate_pem, config.redis_key_pem});
  if (made) return;
  const RedisFile& file = file_of(made.error().part, config);
  throw std::runtime_error(fmt::format("{} {}: {}", file.option, config.*file.path, made.error().why));
}

}  // namespace

void read_redis_files(Config& config) {
  for (const RedisFile& file : kRedisFiles) (config.*file.contents).clear();
  if (!uses_tls(config)) return;
  read_fitting_files([&config] { read_files_once(config); });
}

bool can_read_redis_files(const Config& config) noexcept {
  for (const RedisFile& file : kRedisFiles) {
    if (uses_tls(config) && is_named(file, config) && ::access((config.*file.path).c_str(), R_OK) != 0) return false;
  }
  return true;
}

}  // namespace pronghorn::supervisor
