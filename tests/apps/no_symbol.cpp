// A shared library that is not an application.
extern "C" __attribute__((visibility("default"))) int something_else();
extern "C" int something_else() { return 1; }
