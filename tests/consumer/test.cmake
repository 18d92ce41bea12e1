set(flags ${CMAKE_CXX_FLAGS})
if(HAWSER_SANITIZE)  # The run-time of a sanitizer must be in the program.
  string(APPEND flags " -fsanitize=${HAWSER_SANITIZE}")
endif()
add_test(NAME consumer/install COMMAND ${CMAKE_CURRENT_LIST_DIR}/run
  ${PROJECT_BINARY_DIR} ${CMAKE_CXX_COMPILER} ${flags})
set_tests_properties(consumer/install PROPERTIES TIMEOUT 300)
