// Ways to make a Redis refuse writes.
#pragma once

#include <string>
#include <vector>

namespace pronghorn::test {

struct RedisRefusal {
  std::string code;                // how its errors begin
  std::vector<std::string> begin;  // the command that makes it refuse writes
  std::vector<std::string> end;    // the command that ends that
};

inline const RedisRefusal kReplica{"READONLY", {"REPLICAOF", "127.0.0.1", "1"}, {"REPLICAOF", "NO", "ONE"}};
inline const RedisRefusal kNoMemory{"OOM", {"CONFIG", "SET", "maxmemory", "1"}, {"CONFIG", "SET", "maxmemory", "0"}};
inline const RedisRefusal kNoReplicas{
    "NOREPLICAS", {"CONFIG", "SET", "min-replicas-to-write", "1"}, {"CONFIG", "SET", "min-replicas-to-write", "0"}};

}  // namespace pronghorn::test
