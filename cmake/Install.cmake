# `cmake --install build [--component runtime|development]`, and what find_package(pronghorn) and pkg-config read.
include(CMakePackageConfigHelpers)

install(
  TARGETS pronghorn pronghorn_api
  EXPORT pronghorn-targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
          COMPONENT runtime
          NAMELINK_COMPONENT development)
install(TARGETS pronghorn_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime)
# The loader finds a library in /usr by itself.
install(
  CODE "
  set(program \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/pronghorn\")
  set(runpath \"\$ORIGIN/../${CMAKE_INSTALL_LIBDIR}\")
  if(CMAKE_INSTALL_PREFIX STREQUAL \"/usr\")
    set(runpath \"\")
  endif()
  file(RPATH_CHANGE FILE \"\${program}\" OLD_RPATH \"\$ORIGIN:\$ORIGIN/../${CMAKE_INSTALL_LIBDIR}\" NEW_RPATH \"\${runpath}\")
  "
  COMPONENT runtime)

install(DIRECTORY include/pronghorn DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/pronghorn)
install(
  EXPORT pronghorn-targets
  NAMESPACE pronghorn::
  DESTINATION ${package_dir}
  COMPONENT development)
configure_package_config_file(cmake/pronghorn-config.cmake.in "${PROJECT_BINARY_DIR}/pronghorn-config.cmake"
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file("${PROJECT_BINARY_DIR}/pronghorn-config-version.cmake" COMPATIBILITY SameMinorVersion)
install(
  FILES "${PROJECT_BINARY_DIR}/pronghorn-config.cmake" "${PROJECT_BINARY_DIR}/pronghorn-config-version.cmake"
        cmake/AddApp.cmake cmake/Hardening.cmake
  DESTINATION ${package_dir}
  COMPONENT development)
file(RELATIVE_PATH prefix_from_pkgconfig "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
string(REGEX REPLACE "/$" "" prefix_from_pkgconfig "${prefix_from_pkgconfig}")
configure_file(cmake/pronghorn.pc.in "${PROJECT_BINARY_DIR}/pronghorn.pc" @ONLY)
install(
  FILES "${PROJECT_BINARY_DIR}/pronghorn.pc"
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
  COMPONENT development)
