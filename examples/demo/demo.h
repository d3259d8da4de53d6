// The demo: one route for each feature of Pronghorn, and a page at / that tries them all.
//
// Each function adds the routes of one subject; demo.cpp calls them all. Context: the setup function.
#pragma once

#include <pronghorn/pronghorn.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace demo {

// A time that the client asks for, in milliseconds, by the query parameter `name`; at most kLongestTime.
constexpr std::chrono::milliseconds kLongestTime = std::chrono::minutes(10);
std::chrono::milliseconds asked_time(const pronghorn::Request& request, std::string_view name, std::uint32_t otherwise);

// The field `user` of a form or of a JSON object; empty if it is missing.
pronghorn::Task<std::string> submitted_user(pronghorn::Request& request);

void add_basic_routes(pronghorn::App& app);    // basics.cpp: /hello /json /users/{id} /echo /echo/socket
void add_session_routes(pronghorn::App& app);  // sessions.cpp: /visits /login /me /logout
void add_limit_routes(pronghorn::App& app);    // limits.cpp: /limited, /limited/KIND
void add_order_routes(pronghorn::App& app);    // orders.cpp: /orders
void add_token_routes(pronghorn::App& app);    // tokens.cpp: /token /token/refresh /token/revoke /private
void add_live_routes(pronghorn::App& app);     // live.cpp: /live/{topic}
void add_room_routes(pronghorn::App& app);     // rooms.cpp: /rooms/{room}[/presence]
void add_job_routes(pronghorn::App& app);      // jobs.cpp: /jobs /jobs/{id}
void add_waiting_routes(pronghorn::App& app);  // waiting.cpp: /slow /block /burn[/PRIORITY]
void add_stream_routes(pronghorn::App& app);   // streams.cpp: /stream /download /upload /attachments /events
void add_file_routes(pronghorn::App& app);     // files.cpp: / /rooms.html /files/…
void add_cache_routes(pronghorn::App& app);    // caching.cpp: /cached/KEY /cached/tags/TAG
void add_crash_routes(pronghorn::App& app);    // crash.cpp: /crash

}  // namespace demo
