# pronghorn_add_app(name sources...): builds name.so, an application for `pronghorn serve name.so`.
function(pronghorn_add_app name)
  add_library(${name} MODULE ${ARGN})
  target_link_libraries(${name} PRIVATE pronghorn::pronghorn)
  set_target_properties(${name} PROPERTIES PREFIX "" CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
endfunction()
