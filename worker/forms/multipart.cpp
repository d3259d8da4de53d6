#include "pronghorn/multipart.h"

#include <stdexcept>
#include <utility>

#include "pronghorn/error.h"
#include "pronghorn/request.h"
#include "worker/exchange/exchange.h"
#include "worker/fields/text.h"
#include "worker/forms/multipart_parser.h"

namespace pronghorn {
namespace detail {

using worker::MultipartParser;
using worker::PartHead;

// Feeds the request's body to the parser.
class MultipartReader {
 public:
  MultipartReader(Request& request, std::string_view boundary, const MultipartLimits& limits)
      : request_(request), parser_(boundary, limits) {}

  Task<std::optional<Part>> next() {
    for (;;) {
      const auto step = co_await advance();
      if (!step) co_return std::nullopt;
      if (step->state == MultipartParser::State::part) {
        PartHead head = parser_.take_part();
        co_return Part(*this, std::move(head.name), std::move(head.filename), std::move(head.content_type),
                       ++part_number_);
      }
    }
  }

  Task<std::optional<std::string_view>> read(std::uint32_t part) {
    if (part != part_number_) throw std::logic_error("Part::read() was called after Multipart::next()");
    if (part_ended_) co_return std::nullopt;
    const auto step = co_await advance();
    if (step && step->state == MultipartParser::State::data) co_return step->data;
    co_return std::nullopt;
  }

 private:
  // The parser's next event; nullopt at the end of the body.
  Task<std::optional<MultipartParser::Step>> advance() {
    using State = MultipartParser::State;
    for (;;) {
      const MultipartParser::Step step = parser_.next(unparsed_);
      unparsed_.remove_prefix(step.consumed);
      if (step.state == State::malformed) throw HttpError(400, parser_.reason());
      if (step.state == State::too_large) throw HttpError(413, parser_.reason());
      if (step.state != State::needs_more) {
        part_ended_ = step.state == State::part_end;
        co_return step;
      }
      const auto piece = co_await request_.read();
      if (!piece) break;
      unparsed_ = *piece;
    }
    if (!parser_.complete()) throw bad_request("the form ends before its closing boundary");
    co_return std::nullopt;
  }

  Request& request_;
  MultipartParser parser_;
  std::string_view unparsed_;  // the rest of the last piece of the body
  std::uint32_t part_number_ = 0;
  bool part_ended_ = false;
};

}  // namespace detail

Multipart::Multipart(std::unique_ptr<detail::MultipartReader> reader) noexcept : reader_(std::move(reader)) {}
Multipart::Multipart(Multipart&& other) noexcept = default;
Multipart& Multipart::operator=(Multipart&& other) noexcept = default;
Multipart::~Multipart() = default;

Task<std::optional<Part>> Multipart::next() { return reader_->next(); }

Part::Part(detail::MultipartReader& reader, std::string name, std::optional<std::string> filename,
           std::string content_type, std::uint32_t number) noexcept
    : reader_(&reader),
      name_(std::move(name)),
      filename_(std::move(filename)),
      content_type_(std::move(content_type)),
      number_(number) {}

Task<std::optional<std::string_view>> Part::read() { return reader_->read(number_); }

Task<std::string> Part::body(std::uint64_t max_bytes) {
  std::string content;
  while (const auto piece = co_await read()) {
    if (piece->size() > max_bytes - content.size()) {
      throw HttpError(413, "a part of the form is too large");
    }
    content.append(*piece);
  }
  co_return content;
}

Task<TemporaryFile> Part::save(std::string directory) {
  TemporaryFile file(directory);
  while (const auto piece = co_await read()) co_await file.write(std::string(*piece));
  co_return file;
}

Task<Multipart> Request::multipart() { return multipart(MultipartLimits{}); }

Task<Multipart> Request::multipart(MultipartLimits limits) {
  const std::string_view type = exchange_.head.value(worker::KnownHeader::content_type);
  if (!worker::equal_ignoring_case(worker::trim_blanks(type.substr(0, type.find(';'))), "multipart/form-data")) {
    throw HttpError(415, "the body must be multipart/form-data");
  }
  refuse_content_coding();
  const auto boundary = worker::boundary_of(type);
  if (!boundary) throw bad_request("the Content-Type has no valid boundary");
  co_return Multipart(std::make_unique<detail::MultipartReader>(*this, *boundary, limits));
}

}  // namespace pronghorn
