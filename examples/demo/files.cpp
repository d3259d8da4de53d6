// Static files, and the page that tries everything.
#include <string>

#include "demo.h"

namespace demo {

using namespace pronghorn;

void add_file_routes(App& app) {
  const std::string folder = app.folder() + "/public";  // the build puts it beside this plugin
  const std::string page = folder + "/index.html";
  app.get("/", [page](Request&) { return file(page, "text/html; charset=utf-8"); });
  app.serve_files("/files", app.settings().get("files").value_or(folder));
}

}  // namespace demo
