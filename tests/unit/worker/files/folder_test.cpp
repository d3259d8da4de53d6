#include "worker/files/folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "support/catch.h"
#include "unit/worker/files/site.h"

using namespace pronghorn;
using namespace pronghorn::test;
using namespace std::chrono_literals;

TEST_CASE("nothing leads out of the folder, and dotfiles are not there", "[files]") {
  const Site files;
  TestClient client(site);
  for (const char* target : {"/files/../secret.txt",
                             "/files/..%2fsecret.txt",
                             "/files/%2e%2e/secret.txt",
                             "/files/%2e%2e%2fsecret.txt",
                             "/files/sub/../../secret.txt",
                             "/files/.",
                             "/files/..",
                             "/files/a.txt%00.html",
                             "/files/%00",
                             "/files/%5c..%5csecret.txt",
                             "/files/..%5csecret.txt",
                             "/files//etc/passwd",
                             "/files/%2fetc%2fpasswd",
                             "/files/%2Fetc/passwd",
                             "/files/../public-not/secret.txt",
                             "/files/%252e%252e/secret.txt",
                             "/files/out",
                             "/files/up/secret.txt",
                             "/files/absolute",
                             "/files/proc/environ",
                             "/files/loop",
                             "/files/.env",
                             "/files/%2eenv",
                             "/files/.git/config",
                             "/files/.git/",
                             "/files/fifo",
                             "/files/a.txt/",
                             "/files/a.txt/b",
                             "/files/sub%2findex.html",
                             "/files/sub//index.html",
                             "/files/missing"}) {
    INFO(target);
    const auto response = client.get(target);
    CHECK((response.status == 404 || response.status == 400));
    CHECK(response.body.find("secret\"") == std::string::npos);
    CHECK(response.body != "secret");
  }
  CHECK(status_of(client, "/files/" + std::string(5000, 'x')) == 404);
  CHECK(status_of(client, "/files/" + std::string(300, 'x')) == 404);
}

TEST_CASE("without openat2 files are still served and no link is followed", "[files]") {
  const Site files;
  const int root = ::open(Site::folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  const auto opens = [root](const std::string& path) {
    const int fd = worker::open_step_by_step(root, path);
    if (fd >= 0) ::close(fd);
    return fd >= 0;
  };
  CHECK(opens("a.txt"));
  CHECK(opens("sub/deep/page.HTML"));
  CHECK(opens("sub"));
  for (const char* path : {"out", "up/secret.txt", "absolute", "proc/environ", "loop", "inside.html", "missing",
                           "sub/missing/x", "a.txt/b"}) {
    INFO(path);
    CHECK_FALSE(opens(path));
  }
  ::close(root);
}
