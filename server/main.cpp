#include <pronghorn/run.h>

int main(int argc, char** argv) { return pronghorn::detail::run(argc, argv, nullptr); }
