include("${CMAKE_CURRENT_LIST_DIR}/Hardening.cmake")

# pronghorn_add_app(name sources...): builds name.so, an application for `pronghorn serve name.so`.
function(pronghorn_add_app name)
  add_library(${name} MODULE ${ARGN})
  target_link_libraries(${name} PRIVATE pronghorn::pronghorn)
  # Line numbers for crash reports; the generated code stays the same.
  target_compile_options(${name} PRIVATE $<$<AND:$<CXX_COMPILER_ID:GNU,Clang>,$<CONFIG:Release,MinSizeRel>>:-g1>)
  pronghorn_harden(${name})
  set_target_properties(${name} PROPERTIES PREFIX "" CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  # The server serves a private copy of a plugin, but not of one with $ORIGIN in its RUNPATH: that one is used in place.
  set_target_properties(${name} PROPERTIES BUILD_RPATH_USE_ORIGIN OFF)
endfunction()
