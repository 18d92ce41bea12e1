# Flags of our own code. An interface target, so that a parent project's flags stay as they are.
add_library(hawser_flags INTERFACE)
target_compile_features(hawser_flags INTERFACE cxx_std_20 c_std_99)
target_compile_options(hawser_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -fvisibility=hidden
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor -Woverloaded-virtual -Wold-style-cast
    -fvisibility-inlines-hidden>
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>)

# g++ 12 sees overlapping copies in "text" + std::string (GCC bug 105651, mended in 13).
target_compile_options(hawser_flags INTERFACE
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>)

# Sanitizers go to compiler and linker alike, and exclude --no-undefined: their run-time is in the
# program, not in our shared library.
set(HAWSER_SANITIZE "" CACHE STRING "Sanitizers, comma-separated: address,undefined or thread")
if(HAWSER_SANITIZE)
  target_compile_options(hawser_flags INTERFACE
    -fsanitize=${HAWSER_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(hawser_flags INTERFACE -fsanitize=${HAWSER_SANITIZE})
  # Under a sanitizer g++ 12 takes members of an empty std::optional for used (GCC bug 105562 and its
  # kin). Other builds keep the warning.
  target_compile_options(hawser_flags INTERFACE
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
else()
  target_link_options(hawser_flags INTERFACE -Wl,--no-undefined)
endif()
target_compile_definitions(hawser_flags INTERFACE $<$<CONFIG:Debug>:_GLIBCXX_ASSERTIONS>)

# hawser_layer(<name> SOURCES <file>... [USES <layer>...] [LIBS <target>...])
#
# One folder of lib/. USES says which layers below it may be included; tests/lint/layers.py checks
# the #include lines against the same lists.
function(hawser_layer name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;USES;LIBS")
  list(TRANSFORM arg_SOURCES PREPEND "${name}/")
  list(TRANSFORM arg_USES PREPEND "hawser_")
  add_library(hawser_${name} STATIC ${arg_SOURCES})
  set_target_properties(hawser_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_include_directories(hawser_${name} PUBLIC
    ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/lib)
  target_link_libraries(hawser_${name} PRIVATE hawser_flags PUBLIC ${arg_USES} Threads::Threads
    PRIVATE ${arg_LIBS})
endfunction()
