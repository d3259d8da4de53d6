# Makes one source of all C++ blocks of a page, so that the build proves that they compile. Each block gets a namespace of
# its own, also among all pages (-v page=NAME), its #include lines go to the top, and PRONGHORN_APP loses the exported
# symbol, which a plugin may have only once.
/^```cpp$/ { inside = 1; ++block; space = "page_" page "_" block; body = body "namespace " space " {  // line " FNR " of the page\n"; next }
inside && /^```$/ { inside = 0; body = body "\n}  // namespace " space "\n"; next }
inside && /^#include/ { if (!($0 in included)) includes = includes $0 "\n"; included[$0] = 1; body = body "\n"; next }
inside { body = body $0 "\n" }
END { printf "%s#undef PRONGHORN_APP\n#define PRONGHORN_APP(app) void plugin_setup(pronghorn::App& app)\n%s", includes, body }
