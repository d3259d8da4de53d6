// What a client gets when a handler threw, or when no handler answers at all.
#pragma once

#include <exception>
#include <string_view>

#include "common/ipc/scoreboard.h"
#include "pronghorn/app.h"
#include "worker/http/exchange.h"

namespace pronghorn::worker {

// The answer to what escaped a handler or its middleware. The application's on_error hook is asked first. Without one,
// HttpError and RedisUnavailable say what they are; anything else is logged with the request, counted in
// Count::handler_errors, and 500 without details. Never throws.
[[nodiscard]] Response response_to_error(Exchange& exchange, const ErrorHandler& on_error,
                                         const std::exception_ptr& thrown, WorkerRow& row) noexcept;

// The answer of the server itself (404, 405, 413, 504). The hook sees it as an HttpError.
[[nodiscard]] Response server_answer(Exchange& exchange, const ErrorHandler& on_error, int status,
                                     std::string_view detail, WorkerRow& row) noexcept;

// Adds "request_id" to the members of a problem+json body that has none.
void add_request_id(Exchange& exchange, Response& response);

// An exception that is a mistake of the application: logged with the request, and counted.
void report_error(Exchange& exchange, std::string_view what, const std::exception_ptr& error, WorkerRow& row) noexcept;

}  // namespace pronghorn::worker
