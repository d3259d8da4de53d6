#include "worker/http2/session.h"

#include <array>
#include <limits>
#include <new>

#include "worker/http2/stream.h"

namespace pronghorn::worker {
namespace {

std::string_view view(const uint8_t* bytes, std::size_t size) noexcept {
  return {reinterpret_cast<const char*>(bytes), size};
}

struct OptionDeleter {
  void operator()(nghttp2_option* option) const noexcept { nghttp2_option_del(option); }
};
using OptionPtr = std::unique_ptr<nghttp2_option, OptionDeleter>;

OptionPtr make_options() {
  // nghttp2 has a limit of its own, which is not as one may configure it: FrameBudget counts resets.
  constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint32_t>::max();
  nghttp2_option* made = nullptr;
  if (nghttp2_option_new(&made) != 0) throw std::bad_alloc();
  OptionPtr option(made);
  nghttp2_option_set_no_auto_window_update(made, 1);
  nghttp2_option_set_builtin_recv_extension_type(made, NGHTTP2_PRIORITY_UPDATE);
  nghttp2_option_set_stream_reset_rate_limit(made, kNoLimit, kNoLimit);
  // It reports only the types of frames that it knows, or is told of: a flood of others would not be seen.
  for (int type = NGHTTP2_CONTINUATION + 1; type <= 0xff; ++type) {
    if (type == NGHTTP2_PRIORITY_UPDATE) continue;
    nghttp2_option_set_user_recv_extension_type(made, static_cast<std::uint8_t>(type));
  }
  return option;
}

}  // namespace

// Functions that nghttp2 calls.
struct Http2Session::Callbacks {
  static Http2Session& of(void* user) noexcept { return *static_cast<Http2Session*>(user); }

  static int begin_frame(nghttp2_session*, const nghttp2_frame_hd* frame, void* user) noexcept {
    return of(user).events_.frame_begins(*frame) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
  }
  static int begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) noexcept {
    of(user).events_.block_begins(frame->hd.stream_id, frame->headers.cat == NGHTTP2_HCAT_REQUEST);
    return 0;
  }
  static int header(nghttp2_session*, const nghttp2_frame*, const uint8_t* name, std::size_t name_size,
                    const uint8_t* value, std::size_t value_size, uint8_t, void* user) noexcept {
    const bool fits = of(user).events_.field(view(name, name_size), view(value, value_size));
    return fits ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
  }
  // Without this, nghttp2 would only drop the field.
  static int invalid_header(nghttp2_session*, const nghttp2_frame*, const uint8_t*, std::size_t, const uint8_t*,
                            std::size_t, uint8_t, void*) noexcept {
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  static int frame_received(nghttp2_session*, const nghttp2_frame* frame, void* user) noexcept {
    Http2Events& events = of(user).events_;
    const bool last = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (frame->hd.type == NGHTTP2_HEADERS) {
      events.block_ends(frame->hd.stream_id, frame->headers.cat == NGHTTP2_HCAT_REQUEST, last);
    } else if (frame->hd.type == NGHTTP2_DATA && last) {
      events.body_ends(frame->hd.stream_id);
    } else if (frame->hd.type == NGHTTP2_DATA && frame->hd.length != 0 && frame->hd.length == frame->data.padlen) {
      return events.padding() ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
    } else if (frame->hd.type == NGHTTP2_PRIORITY_UPDATE) {
      const auto& update = *static_cast<const nghttp2_ext_priority_update*>(frame->ext.payload);
      events.priority_updated(update.stream_id, view(update.field_value, update.field_value_len));
    } else if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) {
      events.ping_acknowledged();
    }
    return 0;
  }
  static int data_received(nghttp2_session*, uint8_t, int32_t stream, const uint8_t* bytes, std::size_t size,
                           void* user) noexcept {
    of(user).events_.data(stream, view(bytes, size));
    return 0;
  }
  // Of a frame whose type is unknown: it is ignored.
  static int unpack_extension(nghttp2_session*, void** payload, const nghttp2_frame_hd*, void*) noexcept {
    *payload = nullptr;
    return NGHTTP2_ERR_CANCEL;
  }
  static int frame_refused(nghttp2_session*, const nghttp2_frame* frame, int error, void* user) noexcept {
    return of(user).events_.frame_refused(*frame, error) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
  }
  static int frame_sent(nghttp2_session*, const nghttp2_frame* frame, void* user) noexcept {
    of(user).events_.frame_sent(*frame);
    return 0;
  }
  static int frame_not_sent(nghttp2_session*, const nghttp2_frame* frame, int error, void* user) noexcept {
    const bool too_large = error == NGHTTP2_ERR_FRAME_SIZE_ERROR;
    if (frame->hd.type == NGHTTP2_HEADERS && too_large) of(user).events_.block_not_sent(frame->hd.stream_id);
    return 0;
  }
  static int stream_closed(nghttp2_session*, int32_t stream, uint32_t, void* user) noexcept {
    of(user).events_.stream_closed(stream);
    return 0;
  }
  static ssize_t read_body(nghttp2_session*, int32_t, uint8_t*, std::size_t size, uint32_t* flags,
                           nghttp2_data_source* source, void*) noexcept {
    return static_cast<Http2Stream*>(source->ptr)->offer(size, *flags);
  }
  // Writes a DATA frame into the output, where nghttp2 would copy it twice.
  static int send_data(nghttp2_session*, nghttp2_frame*, const uint8_t* head, std::size_t size,
                       nghttp2_data_source* source, void* user) noexcept {
    constexpr std::size_t kFrameHead = 9;
    Http2Session& session = of(user);
    std::string& out = *session.output_;
    const std::size_t before = out.size();
    out.append(view(head, kFrameHead));
    if (!static_cast<Http2Stream*>(source->ptr)->write(out, size)) {
      out.resize(before);
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    if (out.size() < session.enough_) return 0;
    session.paused_ = true;
    return NGHTTP2_ERR_PAUSE;
  }

  static nghttp2_session_callbacks* make() {
    nghttp2_session_callbacks* made = nullptr;
    if (nghttp2_session_callbacks_new(&made) != 0) throw std::bad_alloc();
    nghttp2_session_callbacks_set_on_begin_frame_callback(made, begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(made, begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(made, header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(made, invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(made, frame_received);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, data_received);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(made, frame_refused);
    nghttp2_session_callbacks_set_on_frame_send_callback(made, frame_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(made, frame_not_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(made, stream_closed);
    nghttp2_session_callbacks_set_send_data_callback(made, send_data);
    nghttp2_session_callbacks_set_unpack_extension_callback(made, unpack_extension);
    return made;
  }
};

Http2Session::Http2Session(Http2Events& events, const HttpLimits& limits) : events_(events) {
  // Both are read only, and live as long as the process.
  static const nghttp2_session_callbacks* const callbacks = Callbacks::make();
  static const OptionPtr option = make_options();
  nghttp2_session* made = nullptr;
  if (nghttp2_session_server_new2(&made, callbacks, this, option.get()) != 0) throw std::bad_alloc();
  session_.reset(made);
  std::array<nghttp2_settings_entry, 5> settings{{{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kUnreadWindow},
                                                  {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
                                                  {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1}}};
  std::size_t count = 3;
  if (limits.max_streams != 0) settings[count++] = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits.max_streams};
  if (limits.max_header_bytes != 0)
    settings[count++] = {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits.max_header_bytes};
  if (nghttp2_submit_settings(made, NGHTTP2_FLAG_NONE, settings.data(), count) != 0 ||
      nghttp2_session_set_local_window_size(made, NGHTTP2_FLAG_NONE, 0, kConnectionWindow) != 0) {
    throw std::bad_alloc();
  }
}

int Http2Session::receive(std::string_view bytes) {
  const ssize_t taken =
      nghttp2_session_mem_recv(session_.get(), reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  return taken < 0 ? static_cast<int>(taken) : 0;
}

Http2Session::Sent Http2Session::send(std::string& out, std::size_t enough) {
  output_ = &out;
  enough_ = enough;
  while (out.size() < enough) {
    const uint8_t* bytes = nullptr;
    paused_ = false;
    const ssize_t size = nghttp2_session_mem_send(session_.get(), &bytes);
    if (size < 0) return Sent::failed;
    if (size > 0) {
      out.append(view(bytes, static_cast<std::size_t>(size)));
    } else if (!paused_) {
      return Sent::all;
    }
  }
  return Sent::more;
}

Http2Stream* Http2Session::find(std::int32_t stream) const noexcept {
  return static_cast<Http2Stream*>(nghttp2_session_get_stream_user_data(session_.get(), stream));
}

void Http2Session::set(std::int32_t id, Http2Stream* stream) noexcept {
  nghttp2_session_set_stream_user_data(session_.get(), id, stream);
}

bool Http2Session::respond(std::int32_t id, std::span<const nghttp2_nv> fields, Http2Stream* source) {
  nghttp2_data_provider provider{.source = {.ptr = source}, .read_callback = Callbacks::read_body};
  return nghttp2_submit_response(session_.get(), id, fields.data(), fields.size(),
                                 source != nullptr ? &provider : nullptr) == 0;
}

void Http2Session::send_interim(std::int32_t id, std::span<const nghttp2_nv> fields) {
  nghttp2_submit_headers(session_.get(), NGHTTP2_FLAG_NONE, id, nullptr, fields.data(), fields.size(), nullptr);
}

void Http2Session::send_trailers(std::int32_t id, std::span<const nghttp2_nv> fields) {
  nghttp2_submit_trailer(session_.get(), id, fields.data(), fields.size());
}

void Http2Session::prioritise(std::int32_t id, const nghttp2_extpri& priority) noexcept {
  nghttp2_session_change_extpri_stream_priority(session_.get(), id, &priority, 1);
}

void Http2Session::resume(std::int32_t id) noexcept { nghttp2_session_resume_data(session_.get(), id); }

void Http2Session::reset(std::int32_t id, std::uint32_t error) noexcept {
  nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, id, error);
}

void Http2Session::consume(std::int32_t id, std::size_t bytes) noexcept {
  if (bytes != 0) nghttp2_session_consume(session_.get(), id, bytes);
}

void Http2Session::consume_unread(std::size_t bytes) noexcept {
  if (bytes != 0) nghttp2_session_consume_connection(session_.get(), bytes);
}

void Http2Session::widen(std::int32_t id) noexcept {
  nghttp2_session_set_local_window_size(session_.get(), NGHTTP2_FLAG_NONE, id, kReadWindow);
}

bool Http2Session::blocked(std::int32_t id) const noexcept {
  return (id == 0 ? nghttp2_session_get_remote_window_size(session_.get())
                  : nghttp2_session_get_stream_remote_window_size(session_.get(), id)) <= 0;
}

bool Http2Session::holds_back() const noexcept { return nghttp2_session_get_local_window_size(session_.get()) <= 0; }

void Http2Session::announce_end() noexcept {
  nghttp2_submit_shutdown_notice(session_.get());
  nghttp2_submit_ping(session_.get(), NGHTTP2_FLAG_NONE, nullptr);
}

void Http2Session::refuse_new() noexcept {
  nghttp2_submit_goaway(session_.get(), NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_.get()),
                        NGHTTP2_NO_ERROR, nullptr, 0);
}

void Http2Session::terminate(std::uint32_t error) noexcept { nghttp2_session_terminate_session(session_.get(), error); }

bool Http2Session::finished() const noexcept {
  return nghttp2_session_want_read(session_.get()) == 0 && nghttp2_session_want_write(session_.get()) == 0;
}

}  // namespace pronghorn::worker
