#include "support/clients/http2/http2_client.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace pronghorn::test {
namespace {

std::string text(const uint8_t* bytes, std::size_t size) { return {reinterpret_cast<const char*>(bytes), size}; }

std::vector<nghttp2_nv> pairs(const Http2Fields& fields) {
  std::vector<nghttp2_nv> made;
  for (const auto& [name, value] : fields) {
    made.push_back({.name = reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
                    .value = reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())),
                    .namelen = name.size(),
                    .valuelen = value.size(),
                    .flags = NGHTTP2_NV_FLAG_NONE});
  }
  return made;
}

}  // namespace

std::optional<std::string> Http2Answer::field(std::string_view name) const {
  for (const auto& [has, value] : fields) {
    if (has == name) return value;
  }
  return std::nullopt;
}

struct Http2Client::Callbacks {
  static Http2Client& of(void* user) { return *static_cast<Http2Client*>(user); }

  static int header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, std::size_t name_size,
                    const uint8_t* value, std::size_t value_size, uint8_t, void* user) {
    Http2Answer& answer = of(user).answers_[frame->hd.stream_id];
    const std::string field = text(name, name_size);
    const std::string content = text(value, value_size);
    if (field == ":status") {
      const int status = std::stoi(content);
      if (status < 200) answer.interim.push_back(status);
      answer.status = status;
    } else {
      (answer.body.empty() && answer.trailers.empty() && frame->headers.cat != NGHTTP2_HCAT_HEADERS ? answer.fields
                                                                                                    : answer.trailers)
          .emplace_back(field, content);
    }
    if (frame->headers.cat == NGHTTP2_HCAT_HEADERS && answer.body.empty() && field != ":status") {
      answer.fields.emplace_back(field, content);  // behind an interim response
    }
    return 0;
  }
  static int data(nghttp2_session*, uint8_t, int32_t stream, const uint8_t* bytes, std::size_t size, void* user) {
    of(user).answers_[stream].body += text(bytes, size);
    return 0;
  }
  static int frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Http2Client& client = of(user);
    if ((frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
      client.answers_[frame->hd.stream_id].complete = true;
    }
    if (frame->hd.type == NGHTTP2_GOAWAY) {
      client.goaways_.push_back({frame->goaway.last_stream_id, frame->goaway.error_code});
    }
    if (frame->hd.type == NGHTTP2_SETTINGS) {
      for (std::size_t i = 0; i < frame->settings.niv; ++i) {
        client.settings_[static_cast<std::uint16_t>(frame->settings.iv[i].settings_id)] = frame->settings.iv[i].value;
      }
    }
    return 0;
  }
  static int closed(nghttp2_session*, int32_t stream, uint32_t error, void* user) {
    Http2Answer& answer = of(user).answers_[stream];
    answer.closed = true;
    answer.error = error;
    return 0;
  }
  static ssize_t read(nghttp2_session* session, int32_t stream, uint8_t* buffer, std::size_t size, uint32_t* flags,
                      nghttp2_data_source*, void* user) {
    Body& body = of(user).bodies_[stream];
    const std::size_t taken = std::min(size, body.bytes.size());
    if (taken == 0 && !body.ended) return NGHTTP2_ERR_DEFERRED;
    std::memcpy(buffer, body.bytes.data(), taken);
    body.bytes.erase(0, taken);
    if (body.bytes.empty() && body.ended) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (body.trailers) *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    }
    static_cast<void>(session);
    return static_cast<ssize_t>(taken);
  }
};

Http2Client::Http2Client(const Options& options) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::data);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Callbacks::frame);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::closed);
  nghttp2_option* option = nullptr;
  nghttp2_option_new(&option);
  nghttp2_option_set_no_auto_window_update(option, options.reads_bodies ? 0 : 1);
  nghttp2_option_set_no_http_messaging(option, 1);  // tests send what is wrong, too
  nghttp2_session* session = nullptr;
  nghttp2_session_client_new2(&session, callbacks, this, option);
  session_.reset(session);
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  const nghttp2_settings_entry window{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options.window};
  nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, &window, 1);
}

std::int32_t Http2Client::request(std::string_view method, std::string_view path, const Http2Fields& more,
                                  std::optional<std::string> body, bool open) {
  Http2Fields fields{{":method", std::string(method)},
                     {":scheme", "http"},
                     {":authority", "example.com"},
                     {":path", std::string(path)}};
  fields.insert(fields.end(), more.begin(), more.end());
  return raw_request(fields, std::move(body), open);
}

std::int32_t Http2Client::raw_request(const Http2Fields& fields, std::optional<std::string> body, bool open) {
  const auto block = pairs(fields);
  nghttp2_data_provider provider{.source = {}, .read_callback = Callbacks::read};
  const bool has_body = body || open;
  const std::int32_t stream = nghttp2_submit_request(session_.get(), nullptr, block.data(), block.size(),
                                                     has_body ? &provider : nullptr, nullptr);
  if (stream < 0) throw std::runtime_error(nghttp2_strerror(stream));
  if (has_body) bodies_[stream] = {.bytes = body.value_or(""), .ended = !open};
  return stream;
}

void Http2Client::send_body(std::int32_t stream, std::string_view bytes, bool last) {
  bodies_[stream].bytes.append(bytes);
  bodies_[stream].ended = last;
  nghttp2_session_resume_data(session_.get(), stream);
}

void Http2Client::send_trailers(std::int32_t stream, const Http2Fields& fields) {
  bodies_[stream].ended = bodies_[stream].trailers = true;
  const auto block = pairs(fields);
  nghttp2_session_resume_data(session_.get(), stream);
  nghttp2_submit_trailer(session_.get(), stream, block.data(), block.size());
}

void Http2Client::reset(std::int32_t stream, std::uint32_t error) {
  nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, stream, error);
}

void Http2Client::widen(std::int32_t stream, std::int32_t bytes) {
  nghttp2_submit_window_update(session_.get(), NGHTTP2_FLAG_NONE, stream, bytes);
}

std::size_t Http2Client::unsent(std::int32_t stream) const {
  const auto body = bodies_.find(stream);
  return body == bodies_.end() ? 0 : body->second.bytes.size();
}

std::string Http2Client::output() {
  std::string out;
  while (true) {
    const uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_.get(), &bytes);
    if (size <= 0) return out;
    out += text(bytes, static_cast<std::size_t>(size));
  }
}

bool Http2Client::input(std::string_view bytes) {
  return nghttp2_session_mem_recv(session_.get(), reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()) ==
         static_cast<ssize_t>(bytes.size());
}

std::string Http2Client::frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload) {
  std::string made;
  const auto size = static_cast<std::uint32_t>(payload.size());
  for (const int shift : {16, 8, 0}) made += static_cast<char>(size >> shift);
  made += static_cast<char>(type);
  made += static_cast<char>(flags);
  for (const int shift : {24, 16, 8, 0}) made += static_cast<char>(stream >> shift);
  return made.append(payload);
}

}  // namespace pronghorn::test
