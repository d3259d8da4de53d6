#include "server/program.h"

int main(int argc, char** argv) { return pronghorn::server::run_program(argc, argv, nullptr); }
