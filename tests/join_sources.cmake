# Writes OUTPUT, a source that includes SOURCES, each in a namespace of its own, so that they may have the same local names.
# Whatever they include comes first, because headers do not belong in these namespaces.
# cmake -DOUTPUT=FILE "-DSOURCES=FILE;..." -P join_sources.cmake, in the folder that the sources are relative to
set(headers)
set(bodies)
foreach(source IN LISTS SOURCES)
  file(STRINGS "${source}" includes REGEX "^#include ")
  list(APPEND headers ${includes})
  string(MAKE_C_IDENTIFIER "${source}" name)
  string(APPEND bodies "namespace ${name} {\n#include \"${source}\"\n}\n")
endforeach()
list(REMOVE_DUPLICATES headers)
list(JOIN headers "\n" headers)
file(WRITE "${OUTPUT}" "${headers}\n${bodies}")
