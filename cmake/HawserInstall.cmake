# libhawser.so: all layers, of which only what HAWSER_API marks can be seen; its headers; and what
# find_package() and pkg-config need to find it, wherever the tree is moved to.
set(layers base os model wire sysfs scsi iscsid netlink udev dm multipathd portal journal host
  engine facade)
add_library(hawser SHARED)
foreach(layer IN LISTS layers)
  target_sources(hawser PRIVATE $<TARGET_OBJECTS:hawser_${layer}>)
endforeach()
target_link_libraries(hawser PRIVATE $<BUILD_INTERFACE:hawser_flags> Threads::Threads
  PkgConfig::NL PkgConfig::UDEV PkgConfig::DEVMAPPER PkgConfig::ISCSI)
target_compile_features(hawser PUBLIC cxx_std_20)
set_target_properties(hawser PROPERTIES
  LINKER_LANGUAGE CXX VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
target_link_options(hawser PRIVATE -Wl,-z,relro,-z,now)
add_library(hawser::hawser ALIAS hawser)

file(GLOB_RECURSE headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/include/hawser/*.h)
target_sources(hawser PUBLIC
  FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}/include FILES ${headers})

include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/hawser)
install(TARGETS hawser EXPORT hawser-targets FILE_SET HEADERS)
install(EXPORT hawser-targets NAMESPACE hawser:: DESTINATION ${package_dir})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/hawser-config.cmake.in
  ${PROJECT_BINARY_DIR}/hawser-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/hawser-config-version.cmake
  COMPATIBILITY SameMinorVersion)  # Before 1.0 a minor version may change the API.
install(FILES ${PROJECT_BINARY_DIR}/hawser-config.cmake
  ${PROJECT_BINARY_DIR}/hawser-config-version.cmake DESTINATION ${package_dir})

file(RELATIVE_PATH hawser_pc_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(${PROJECT_SOURCE_DIR}/cmake/hawser.pc.in ${PROJECT_BINARY_DIR}/hawser.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/hawser.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
