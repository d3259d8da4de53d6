// Static files, and the page that shows everything.
#include <dlfcn.h>

#include <filesystem>

#include "demo.h"

namespace demo {

using namespace pronghorn;

namespace {

// The folder `public` beside this plugin, where the build puts it.
std::filesystem::path own_folder() {
  Dl_info where{};
  if (::dladdr(reinterpret_cast<const void*>(&own_folder), &where) == 0) return "public";
  return std::filesystem::path(where.dli_fname).parent_path() / "public";
}

}  // namespace

void add_file_routes(App& app) {
  const std::string page = own_folder() / "index.html";
  app.get("/", [page](Request&) { return file(page, "text/html; charset=utf-8"); });
  app.serve_files("/files", app.settings().get("files").value_or(own_folder()));
}

}  // namespace demo
