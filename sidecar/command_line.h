// The command line of `spanwatch` and its subcommands. CLI11 lives in command_line.cc alone.
#ifndef SPANWATCH_SIDECAR_COMMAND_LINE_H_
#define SPANWATCH_SIDECAR_COMMAND_LINE_H_

#include <string>
#include <variant>
#include <vector>

#include "sidecar/config/config.h"

namespace spanwatch::app {

enum class Command { kServe, kCheck, kTest, kReplay, kDoctor, kVersion };
enum class Output { kAuto, kJson, kText };  // kAuto: text on a terminal, else JSON

struct CommandLine {
  Command command = Command::kVersion;
  config::Sources sources;              // serve, check, replay, doctor
  std::string record_path;              // serve
  std::vector<std::string> files;       // check, test: what to look at; replay: the one journal, recording or OTLP file
  std::string only;                     // test: run those whose name contains this
  bool show = false;                    // test: tell what happened in each
  std::vector<std::string> rule_files;  // replay: instead of the rules that were in force
  Output output = Output::kAuto;        // replay
  std::size_t max_messages = 10;        // replay: shown as Discord would show them
  bool send_test = false;               // doctor
};

// Exit statuses: 0 done, 1 failed (a message on stderr says what to do), 2 the command line is wrong.
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;

// The parsed command line, or the exit status when there is nothing more to do (--help, --version, a mistake); it has
// been printed then.
std::variant<CommandLine, int> ParseCommandLine(int argc, const char* const* argv);

// Each runs one subcommand and returns the exit status.
int RunServe(const CommandLine& command_line);
int RunCheck(const CommandLine& command_line);
int RunTest(const CommandLine& command_line);
int RunReplay(const CommandLine& command_line);
int RunDoctor(const CommandLine& command_line);

// One line a problem on stderr, the place in bold on a terminal.
void PrintProblems(const std::vector<config::Problem>& problems);

}  // namespace spanwatch::app

#endif  // SPANWATCH_SIDECAR_COMMAND_LINE_H_
