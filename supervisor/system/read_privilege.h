// The right to read files whatever their permissions are (CAP_DAC_READ_SEARCH), for private keys that only root can
// read: a supervisor that is not root, but was started by it, reads them again at each reload.
//
// The supervisor keeps it only if it needs it (ReadPrivilege::give_up()), uses it only while it reads those files, and
// passes it to its own next image, never to a child.
//
// Context: supervisor, main thread: capabilities belong to a thread.
#pragma once

namespace pronghorn::supervisor {

// While it lives, files can be read. Does nothing in a process that is not allowed to, or is root anyway.
class ReadPrivilege {
 public:
  ReadPrivilege() noexcept;
  ReadPrivilege(const ReadPrivilege&) = delete;
  ReadPrivilege& operator=(const ReadPrivilege&) = delete;
  ~ReadPrivilege();

  // Whether this process may use it and is not root.
  [[nodiscard]] static bool available() noexcept;
  // For good.
  static void give_up() noexcept;
  // Whether a program that this process executes has it, too. Set it only around the execution of our own next image.
  static void pass_on(bool pass) noexcept;
  // At the start of an image that has got it from the last one, or from systemd (AmbientCapabilities=): from now on it
  // has it without using it or passing it on.
  static void settle() noexcept;

 private:
  bool raised_;
};

}  // namespace pronghorn::supervisor
