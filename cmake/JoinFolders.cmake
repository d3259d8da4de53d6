# With PRONGHORN_UNITY: which folders are compiled together, as one source. Most of the time of a source goes into what
# it includes, so this takes half the time of one source per folder. Folders of one group have the same compiler
# options (REQUEST_PATH, or the processes in pronghorn_library()) and different local names (tests/local_names.py).

# join_folders(host folders...): the sources of `folders` are compiled in the target of `host`. Every target stays: one
# that links a folder gets its headers and, by way of the host, its code. Sources that are APART stay in their own.
function(join_folders host)
  string(REPLACE "/" "_" host "pronghorn_${host}")
  set_target_properties(${host} PROPERTIES UNITY_BUILD_BATCH_SIZE 0)  # no limit
  foreach(folder IN LISTS ARGN)
    string(REPLACE "/" "_" part "pronghorn_${folder}")
    get_target_property(sources ${part} SOURCES)
    get_target_property(libraries ${part} LINK_LIBRARIES)
    get_target_property(folder ${part} SOURCE_DIR)
    foreach(source IN LISTS sources)
      get_source_file_property(apart "${folder}/${source}" TARGET_DIRECTORY ${part} SKIP_UNITY_BUILD_INCLUSION)
      if(source MATCHES "\\.cpp$" AND NOT apart)
        list(REMOVE_ITEM sources "${source}")
        target_sources(${host} PRIVATE "${folder}/${source}")
      endif()
    endforeach()
    set_target_properties(${part} PROPERTIES SOURCES "${sources}")
    list(REMOVE_ITEM libraries ${host})
    target_link_libraries(${host} PRIVATE ${libraries})
    target_link_libraries(${part} PUBLIC ${host})
    set_target_properties(${part} ${host} PROPERTIES LINK_INTERFACE_MULTIPLICITY 4)  # hosts need each other
  endforeach()
endfunction()

join_folders(common common/config common/ipc common/ipc/status common/text)

join_folders(supervisor supervisor/control supervisor/covers supervisor/launch supervisor/listen supervisor/load
             supervisor/recycling supervisor/system)
join_folders(supervisor/workers supervisor/redis supervisor/rollout supervisor/slots supervisor/tls supervisor/upgrade)
join_folders(supervisor/crash supervisor/crash/stack)
join_folders(server server/commands server/commands/drill server/commands/project server/commands/status server/options
             server/options/values)

join_folders(worker/http worker/http/head worker/exchange worker/exchange/logging worker/fields worker/fields/content)
join_folders(worker/http1 worker/http1/parser worker/connection worker/net/accept worker/runtime worker/server
             worker/websocket/protocol)
join_folders(worker/http2 worker/http2/protocol worker/routing)
join_folders(worker/net worker/net/ledger worker/net/socket worker/tls worker/tls/kernel)
join_folders(worker/websocket worker/websocket/handshake worker/websocket/route)

join_folders(worker worker/control worker/tls/client)
join_folders(worker/process worker/process/crash)
join_folders(worker/admin worker/files worker/forms worker/guardian worker/guardian/handoff worker/middleware
             worker/state/quarantine worker/testing worker/testing/client)
join_folders(worker/tokens worker/crypto worker/crypto/jwt)
join_folders(worker/state worker/state/cached_responses worker/state/keys worker/state/limits
             worker/state/limits/permits worker/state/presence worker/state/sessions worker/state/tokens)
join_folders(worker/state/cache worker/state/cache/local worker/state/cache/store worker/state/events
             worker/state/events/messages worker/state/events/topics)
join_folders(worker/state/jobs worker/state/jobs/queue worker/state/jobs/times worker/state/idempotency)
join_folders(worker/state/redis worker/state/redis/cluster worker/state/redis/commands worker/state/redis/health
             worker/state/redis/link worker/state/redis/node worker/state/redis/protocol worker/state/redis/sentinel
             worker/state/redis/slots worker/state/redis/subscriptions worker/state/relay)
