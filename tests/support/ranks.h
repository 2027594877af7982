#pragma once
// A tool in several processes, as a launcher starts them.

#include <catch2/catch.hpp>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <future>
#include <map>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace fettle::test {

inline std::string free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), length) == 0);
  REQUIRE(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  close(fd);
  return std::to_string(ntohs(address.sin_port));
}

// By rank. `command_of` gives each rank's command line.
inline std::vector<ProcessResult> run_ranks(int world, const std::function<std::vector<std::string>(int)>& command_of) {
  const std::string port = free_port();
  std::vector<std::future<ProcessResult>> started;
  for (int rank = 0; rank < world; ++rank) {
    const std::map<std::string, std::string> environment = {{"RANK", std::to_string(rank)}, {"WORLD_SIZE", std::to_string(world)}, {"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", port}};
    const std::vector<std::string> line = command_of(rank);
    started.push_back(std::async(std::launch::async, [line, environment] { return run_process(line, environment); }));
  }
  std::vector<ProcessResult> results;
  for (auto& one : started) results.push_back(one.get());
  return results;
}

}  // namespace fettle::test
