#include "demo.h"

PRONGHORN_APP(app) {
  demo::add_basic_routes(app);
  demo::add_session_routes(app);
  demo::add_limit_routes(app);
  demo::add_order_routes(app);
  demo::add_token_routes(app);
  demo::add_cache_routes(app);
  demo::add_live_routes(app);
  demo::add_room_routes(app);
  demo::add_job_routes(app);
  demo::add_waiting_routes(app);
  demo::add_stream_routes(app);
  demo::add_file_routes(app);
  demo::add_crash_routes(app);
}
