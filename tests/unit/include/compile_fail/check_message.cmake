# Compiles SOURCE, which must fail, and compares the compiler's first error with what the file says on its first line:
# "// error: TEXT". What the compiler prints besides must not hide it. Called with
# cmake -DCOMPILER=COMMAND;OPTIONS... -DAPI=HEADER -DSOURCE=... -P. HEADER, which may be precompiled, includes the API.
file(STRINGS "${SOURCE}" wanted LIMIT_COUNT 1)
if(NOT wanted MATCHES "^// error: (.+)$")
  message(FATAL_ERROR "${SOURCE}: the first line has to be \"// error: TEXT\"")
endif()
set(wanted "${CMAKE_MATCH_1}")
execute_process(COMMAND ${COMPILER} -fsyntax-only -include "${API}" "${SOURCE}"
                RESULT_VARIABLE result ERROR_VARIABLE messages OUTPUT_QUIET)
if(result EQUAL 0)
  message(FATAL_ERROR "${SOURCE} compiles, but must not")
endif()
string(REGEX MATCH "error: [^\n]*" first "${messages}")
string(FIND "${first}" "${wanted}" position)
if(position EQUAL -1)
  message(FATAL_ERROR "the first error is\n  ${first}\nand should contain\n  ${wanted}\n${messages}")
endif()
string(LENGTH "${first}" length)
if(length GREATER 240)
  message(FATAL_ERROR "the first error is too long to read (${length} characters):\n  ${first}")
endif()
# Fifty lines about std::function followed one good line.
string(REGEX MATCHALL "\n" line_ends "${messages}")
list(LENGTH line_ends lines)
if(lines GREATER 20)
  message(FATAL_ERROR "the compiler prints ${lines} lines for this mistake, of which few are about it:\n${messages}")
endif()
