// spanwatch: the sidecar and its subcommands.
#include <cstdio>
#include <exception>

#include "sidecar/command_line.h"

namespace spanwatch::app {
namespace {

int Run(int argc, const char* const* argv) {
  const auto parsed = ParseCommandLine(argc, argv);
  if (const int* status = std::get_if<int>(&parsed)) return *status;
  const CommandLine& command_line = std::get<CommandLine>(parsed);
  switch (command_line.command) {
    case Command::kServe:
      return RunServe(command_line);
    case Command::kCheck:
      return RunCheck(command_line);
    case Command::kTest:
      return RunTest(command_line);
    case Command::kReplay:
      return RunReplay(command_line);
    case Command::kDoctor:
      return RunDoctor(command_line);
    case Command::kVersion:
      break;
  }
  std::printf("spanwatch %s\n", SPANWATCH_VERSION);
  return 0;
}

}  // namespace
}  // namespace spanwatch::app

int main(int argc, char** argv) {
  try {
    return spanwatch::app::Run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "spanwatch: stopped by an unexpected error: %s\n", error.what());
    return spanwatch::app::kExitFailed;
  }
}
