# hawser::hawser: the layers as one shared library that exports the public classes and functions
# (HAWSER_API) and hides the rest, so that its users need none of the libraries that it stands on.
include(CMakePackageConfigHelpers)

add_library(hawser SHARED)
add_library(hawser::hawser ALIAS hawser)
foreach(layer base os model wire sysfs scsi iscsid netlink udev dm multipathd portal
    journal host engine facade)
  target_sources(hawser PRIVATE $<TARGET_OBJECTS:hawser_${layer}>)
endforeach()
target_link_libraries(hawser
  PUBLIC Threads::Threads  # std::stop_token, in the public headers.
  PRIVATE $<BUILD_INTERFACE:hawser_flags>
    PkgConfig::DEVMAPPER PkgConfig::UDEV PkgConfig::NL PkgConfig::ISCSI)
target_link_options(hawser PRIVATE -Wl,-z,relro,-z,now)
target_compile_features(hawser PUBLIC cxx_std_20)
set_target_properties(hawser PROPERTIES
  LINKER_LANGUAGE CXX
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})

file(GLOB_RECURSE hawser_headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/include/hawser/*.h)
target_sources(hawser PUBLIC
  FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}/include FILES ${hawser_headers})

# find_package(hawser 0.1) gives hawser::hawser; pkg-config knows it as hawser. Both find the rest
# from where they are themselves, so that the installed tree may be moved.
set(hawser_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/hawser)
install(TARGETS hawser EXPORT hawser-targets FILE_SET HEADERS)
install(EXPORT hawser-targets NAMESPACE hawser:: DESTINATION ${hawser_package_dir})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/hawser-config.cmake.in
  ${CMAKE_CURRENT_BINARY_DIR}/hawser-config.cmake INSTALL_DESTINATION ${hawser_package_dir})
# Before 1.0 a minor release may break its users.
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/hawser-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/hawser-config.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/hawser-config-version.cmake DESTINATION ${hawser_package_dir})

file(RELATIVE_PATH hawser_pc_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(${PROJECT_SOURCE_DIR}/cmake/hawser.pc.in ${CMAKE_CURRENT_BINARY_DIR}/hawser.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/hawser.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
