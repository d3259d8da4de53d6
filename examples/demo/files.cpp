// Static files, the page that tries everything, and that of the rooms.
#include <string>

#include "demo.h"

namespace demo {

using namespace pronghorn;

void add_file_routes(App& app) {
  const std::string folder = app.folder() + "/public";  // the build puts it beside this plugin
  const auto page = [&folder](const char* name, const char* type) {
    return [path = folder + name, type](Request&) { return file(path, type); };
  };
  app.get("/", page("/index.html", "text/html; charset=utf-8"));
  app.get("/rooms.html", page("/rooms.html", "text/html; charset=utf-8"));
  app.get("/demo.css", page("/demo.css", "text/css; charset=utf-8"));
  app.serve_files("/files", app.settings().get("files").value_or(folder));
}

}  // namespace demo
