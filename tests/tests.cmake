# How CTest runs the tests. A unit test file is one entry: starting a process for each of hundreds of cases would take
# longer than the cases. An integration test case is one entry, found when ctest starts, with its own time limit.
get_target_property(unit_sources unit_tests SOURCES)
list(FILTER unit_sources INCLUDE REGEX "_test\\.cpp$")
foreach(source IN LISTS unit_sources)
  string(REGEX REPLACE "_test\\.cpp$" "" name "${source}")
  get_filename_component(tag "${source}" NAME_WE)
  if(tag IN_LIST unit_tags)
    message(FATAL_ERROR "${source}: another unit test file has that name; each would run the cases of both")
  endif()
  list(APPEND unit_tags "${tag}")
  add_test(NAME "${name}" COMMAND unit_tests --filenames-as-tags "[#${tag}]")
  # A filter that matches nothing exits with status 0.
  set_tests_properties("${name}" PROPERTIES TIMEOUT 300 LABELS unit FAIL_REGULAR_EXPRESSION "No test cases matched")
endforeach()

# They start clusters of real servers, whose own timeouts count: each alone, and for longer.
foreach(name cache/local/cluster_copies on_cluster redis/cluster/cluster_router redis/health/circuit_breaker
             redis/node/failures redis/sentinel/sentinel)
  set_tests_properties("unit/worker/state/${name}" PROPERTIES RUN_SERIAL ON TIMEOUT 300)
endforeach()

# Tests that use threads, for ./scripts/test --threads.
foreach(name server/commands/control_client common/ipc/scoreboard common/line_writer common/log common/tls/ticket_keys
             worker/forms/multipart worker/forms/temporary_file worker/runtime/concurrent worker/runtime/offload worker/runtime/task
             worker/state/redis/link/redis_link)
  set_property(TEST "unit/${name}" APPEND PROPERTY LABELS threads)
endforeach()

# Cases tagged [load] measure what clients see under load, so they run alone. Those tagged [slow] compile something.
set(list_script "${CMAKE_CURRENT_BINARY_DIR}/integration_tests_list.cmake")
if(Catch2_VERSION VERSION_LESS 3)
  set(list_option "--list-test-names-only")
else()
  set(list_option "--list-tests;--verbosity;quiet")
endif()
set(integration_tests "${PRONGHORN_INTEGRATION_TESTS}")
if(NOT integration_tests)
  set(integration_tests "$<TARGET_FILE:integration_tests>")
endif()
set(left_out)
if(PRONGHORN_SANITIZE)
  list(TRANSFORM not_sanitized REPLACE ".*/(.+)" "~[#\\1_test]" OUTPUT_VARIABLE left_out)
  string(JOIN "" left_out ${left_out})
endif()
set(sanitized $<BOOL:${PRONGHORN_SANITIZE}>)
configure_file(list_tests.cmake.in "${list_script}.in" @ONLY)
file(GENERATE OUTPUT "${list_script}" INPUT "${list_script}.in")
set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${list_script}")
