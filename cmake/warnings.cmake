# Warnings and sanitizers of every target of ours: `spanwatch_target(name)`.
add_library(spanwatch-flags INTERFACE)
target_compile_options(spanwatch-flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wcast-align
                       -Woverloaded-virtual -Wold-style-cast -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(spanwatch-flags INTERFACE -Wthread-safety)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports false positives of these two in std::string and std::variant at -O2 (GCC bugs 105329, 105562).
  target_compile_options(spanwatch-flags INTERFACE -Wno-restrict -Wno-maybe-uninitialized)
endif()
if(SPANWATCH_SANITIZE)
  target_compile_options(spanwatch-flags INTERFACE -fsanitize=${SPANWATCH_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(spanwatch-flags INTERFACE -fsanitize=${SPANWATCH_SANITIZE})
endif()

function(spanwatch_target name)
  target_link_libraries(${name} PRIVATE $<BUILD_INTERFACE:spanwatch-flags>)
endfunction()
