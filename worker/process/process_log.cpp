#include "worker/process/process_log.h"

#include <exception>

#include "common/log.h"

namespace pronghorn::worker {

void open_process_log(const Config& config, const std::string& process) {
  try {
    open_log({config.log_format, config.log_level, config.log_file, process});
  } catch (const std::exception& error) {
    open_log({config.log_format, config.log_level, "-", process});
    log_error("the log cannot be opened: logging to standard error; reload when the file can be written",
              {{"error", error.what()}});
  }
}

}  // namespace pronghorn::worker
