# `cpack -G DEB` in the build folder: pronghorn (program, library, systemd unit, configuration) and pronghorn-dev.
# Installed by the package alone: `cmake --install` leaves /etc and systemd alone.
install(
  FILES deploy/systemd/pronghorn.service deploy/systemd/pronghorn.socket
  DESTINATION lib/systemd/system
  COMPONENT service
  EXCLUDE_FROM_ALL)
install(
  FILES deploy/systemd/pronghorn.env deploy/systemd/pronghorn.toml
  DESTINATION /etc/pronghorn
  COMPONENT service
  EXCLUDE_FROM_ALL)
install(
  FILES deploy/logrotate/pronghorn
  DESTINATION /etc/logrotate.d
  COMPONENT service
  EXCLUDE_FROM_ALL)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME pronghorn)
set(CPACK_PACKAGE_CONTACT "Pronghorn maintainers <maintainers@pronghorn.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Prefork HTTP application server for C++ handlers")
set(CPACK_PACKAGE_DIRECTORY "${PROJECT_BINARY_DIR}/package")
set(CPACK_STRIP_FILES ON)
set(CPACK_SET_DESTDIR ON)  # for /etc, which is outside the prefix
set(CPACK_INSTALL_PREFIX /usr)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL runtime service development)
set(CPACK_COMPONENT_RUNTIME_GROUP server)
set(CPACK_COMPONENT_SERVICE_GROUP server)
set(CPACK_COMPONENT_DEVELOPMENT_GROUP development)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION httpd)
set(CPACK_DEBIAN_SERVER_PACKAGE_NAME pronghorn)
set(CPACK_DEBIAN_SERVER_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_SERVER_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_SERVER_PACKAGE_RECOMMENDS redis-server)  # unless `redis` names a server elsewhere
set(CPACK_DEBIAN_SERVER_PACKAGE_CONTROL_EXTRA
    "${PROJECT_SOURCE_DIR}/deploy/debian/postinst;${PROJECT_SOURCE_DIR}/deploy/debian/prerm"
    "${PROJECT_SOURCE_DIR}/deploy/debian/postrm;${PROJECT_SOURCE_DIR}/deploy/debian/conffiles")
set(CPACK_DEBIAN_SERVER_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME pronghorn-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "pronghorn (= ${PROJECT_VERSION}), nlohmann-json3-dev")
include(CPack)
