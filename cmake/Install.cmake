# `cmake --install` and what find_package(pronghorn) needs.
include(CMakePackageConfigHelpers)

install(TARGETS pronghorn pronghorn_api EXPORT pronghorn-targets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS pronghorn_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY include/pronghorn DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/pronghorn)
install(EXPORT pronghorn-targets NAMESPACE pronghorn:: DESTINATION ${package_dir})
configure_package_config_file(cmake/pronghorn-config.cmake.in "${PROJECT_BINARY_DIR}/pronghorn-config.cmake"
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file("${PROJECT_BINARY_DIR}/pronghorn-config-version.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/pronghorn-config.cmake" "${PROJECT_BINARY_DIR}/pronghorn-config-version.cmake"
              cmake/AddApp.cmake DESTINATION ${package_dir})
