#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "sidecar/app.h"
#include "sidecar/command_line.h"

namespace spanwatch::app {
namespace {

int Fail(const std::vector<config::Problem>& problems) {
  PrintProblems(problems);
  std::fprintf(stderr, "%zu problem%s; keys and ranges: docs/configuration.md, docs/rules.md, docs/llm.md\n",
               problems.size(), problems.size() == 1 ? "" : "s");
  return kExitFailed;
}

int CheckWhatServeLoads(const config::Sources& sources) {
  const auto config = LoadConfig(sources);
  if (!config) return Fail(config.error());
  std::printf(
      "OK: %s (%zu rules)\n",
      config->source_path.empty() ? "built-in defaults, no configuration file found" : config->source_path.c_str(),
      config->rules->rules.size());
  const std::string why = WhyNothingIsPosted(*config);
  if (!why.empty()) std::printf("note: %s\n", why.c_str());
  return 0;
}

}  // namespace

void PrintProblems(const std::vector<config::Problem>& problems) {
  const bool bold = ::isatty(STDERR_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
  for (const config::Problem& problem : problems) {
    const std::string text = problem.ToString();
    const std::string prefix = text.substr(0, text.size() - problem.message.size());
    std::fprintf(stderr, bold ? "\033[1m%s\033[0m%s\n" : "%s%s\n", prefix.c_str(), problem.message.c_str());
  }
}

int RunCheck(const CommandLine& command_line) {
  if (command_line.files.empty()) return CheckWhatServeLoads(command_line.sources);
  const config::Sources& sources = command_line.sources;
  if (!sources.path.empty() || !sources.profile.empty() || !sources.sets.empty()) {
    std::fprintf(stderr, "spanwatch check: give either files or --config, --profile and --set\n");
    return kExitUsage;
  }
  const std::vector<config::Problem> problems = config::CheckFiles(command_line.files);
  if (!problems.empty()) return Fail(problems);
  for (const std::string& file : command_line.files) std::printf("OK: %s\n", file.c_str());
  return 0;
}

}  // namespace spanwatch::app
