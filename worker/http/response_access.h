// Gives the server access to the parts of a Response that applications may not use.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "pronghorn/response.h"
#include "worker/net/open_file.h"

namespace pronghorn {

// Throws std::invalid_argument for a field that a response may not have: see pronghorn/response.h.
void check_response_field(std::string_view name, std::string_view value);

// Renders a trailer field. Throws what Writer::trailer() throws.
[[nodiscard]] std::string render_trailer(std::string_view name, std::string_view value);

class ResponseAccess {
 public:
  // A whole body. `type` is a literal, which is not copied.
  static Response literal_type(int status, std::string body, std::string_view type) {
    Response response(status);
    response.body_ = std::move(body);
    response.content_type_ = type;
    return response;
  }
  // Sends `length` bytes of `file` from `offset`. Without a content type.
  static Response from_file(std::shared_ptr<const worker::OpenFile> file, std::uint64_t offset, std::uint64_t length) {
    Response response;
    response.file_ = std::make_unique<detail::FilePart>(std::move(file), offset, length);
    return response;
  }
  // `type` is a literal, which is not copied.
  static void literal_type(Response& response, std::string_view type) noexcept { response.content_type_ = type; }
  // Replaces all fields except Content-Type with rendered ones ("Name: value\r\n"), which must be valid.
  static void fields(Response& response, std::string_view rendered) { response.fields_.assign(rendered); }
  static Response from_producer(std::string_view content_type, Response::Producer producer) {
    Response response;
    response.producer_ = std::make_unique<Response::Producer>(std::move(producer));
    if (!content_type.empty()) response.content_type(content_type);
    return response;
  }

  // Drops the body, of whatever kind, and keeps the fields.
  static void drop_content(Response& response) noexcept {
    response.body_.clear();
    response.file_.reset();
    response.producer_.reset();
    response.upgrade_.reset();
  }

  // Whether the body is held in memory: it is neither a file nor a stream.
  static bool has_whole_body(const Response& response) noexcept {
    return response.file_ == nullptr && response.producer_ == nullptr;
  }
  // All fields except Content-Type, rendered.
  static std::string_view fields(const Response& response) noexcept { return response.fields_; }
  static std::string& body(Response& response) noexcept { return response.body_; }
  static std::unique_ptr<detail::FilePart>& file(Response& response) noexcept { return response.file_; }
  static bool& ends_on_drain(Response& response) noexcept { return response.ends_on_drain_; }
  // 101, with which the connection changes its protocol. Without a content type.
  static Response from_upgrade(std::unique_ptr<detail::Upgrade> upgrade) {
    Response response(101);
    response.upgrade_ = std::move(upgrade);
    return response;
  }
  static std::unique_ptr<detail::Upgrade>& upgrade(Response& response) noexcept { return response.upgrade_; }
  static bool is_upgrade(const Response& response) noexcept { return response.upgrade_ != nullptr; }
  // Whether the connection changes its protocol when this response is sent. Not if middleware has changed the status of
  // what the handler answered: then nothing of the upgrade is left in the response.
  static bool upgrades(Response& response) {
    if (is_upgrade(response) && response.status_ != 101) withdraw_upgrade(response);
    return is_upgrade(response);
  }
  static std::unique_ptr<Response::Producer>& producer(Response& response) noexcept { return response.producer_; }

 private:
  static void withdraw_upgrade(Response& response);
};

}  // namespace pronghorn
