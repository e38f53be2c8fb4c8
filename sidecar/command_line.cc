#include "sidecar/command_line.h"

#include <CLI/CLI.hpp>
#include <iostream>

namespace spanwatch::app {
namespace {

constexpr const char* kExamples = R"(Examples:
  spanwatch serve                                  with ./config/spanwatch.yaml, /etc/spanwatch/spanwatch.yaml or the defaults
  spanwatch serve --set http.listen=127.0.0.1:8080
  spanwatch check config/spanwatch.yaml rules/*.yaml
  spanwatch replay spans.rec

A subcommand's own help: spanwatch serve --help. Documentation: docs/configuration.md, docs/rules.md.)";

constexpr const char* kServeFooter = R"(Order of what holds: --set, environment, --profile, file, default.
Environment: TRACING_MAX_TRACES, TRACING_TRACE_TTL, TRACING_SLOW_THRESHOLD, TRACING_MEMORY_LIMIT, LOG_LEVEL,
TRACING_LOG_LEVEL, and DISCORD_WEBHOOK_URL for the webhook.
Signals: SIGHUP loads the configuration again, SIGTERM and SIGINT stop.

Examples:
  spanwatch serve --config /etc/spanwatch/spanwatch.yaml
  spanwatch serve --profile development --set 'thresholds.slow=[200ms, 1s]'
  spanwatch serve --record spans.rec               writes every input to a file for `spanwatch replay`)";

constexpr const char* kCheckFooter = R"(Examples:
  spanwatch check                                  what `spanwatch serve` would load, with environment and webhook
  spanwatch check rules/*.yaml config/spanwatch.yaml

Exit status 0: no problem. 1: problems, one a line as file:line:column: what, what is allowed.)";

constexpr const char* kReplayFooter =
    R"(Prints one line of JSON for each alert transition and a last one with statistics
and digest: equal input gives equal output. Journals and recordings bring the rules
that were in force; for OTLP spans those of the configuration hold, and each span is
applied at the time at which it ended.

Examples:
  spanwatch replay spans.rec | tail -n 1
  spanwatch replay ~/.local/state/spanwatch/journal
  spanwatch replay traces.json --set 'thresholds.slow=[200ms, 1s]')";

void AddSources(CLI::App* command, config::Sources* sources) {
  command->add_option("--config", sources->path, "configuration file (YAML)")->type_name("FILE");
  command->add_option("--profile", sources->profile, "lays profiles/NAME.yaml, beside the file, over it")
      ->type_name("NAME");
  command->add_option("--set", sources->sets, "sets one key, as in store.ttl=1h; VALUE is YAML; may be repeated")
      ->type_name("KEY=VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

}  // namespace

std::variant<CommandLine, int> ParseCommandLine(int argc, const char* const* argv) {
  CommandLine result;
  CLI::App app("Spanwatch tells what is slow, failing, stuck or leaking: from spans to /metrics and Discord.",
               "spanwatch");
  app.set_version_flag("--version", std::string("spanwatch ") + SPANWATCH_VERSION);
  app.require_subcommand(1);
  app.footer(kExamples);

  CLI::App* serve = app.add_subcommand("serve", "Run the sidecar");
  AddSources(serve, &result.sources);
  serve->add_option("--record", result.record_path, "write every input to this new file")->type_name("FILE");
  serve->footer(kServeFooter);

  CLI::App* check = app.add_subcommand("check", "Check configuration and rule files");
  check->add_option("FILE", result.files, "files to check; none: what serve would load")->type_name("");
  AddSources(check, &result.sources);
  check->footer(kCheckFooter);

  std::string recording;
  CLI::App* replay =
      app.add_subcommand("replay", "Fold a journal, a recording or OTLP spans; print the alerts they give");
  replay
      ->add_option("PATH", recording,
                   "a journal's directory, a file of serve --record, or OTLP (JSON, JSON lines, protobuf)")
      ->required()
      ->type_name("");
  AddSources(replay, &result.sources);
  replay->footer(kReplayFooter);

  CLI::App* version = app.add_subcommand("version", "Print the version");
  if (argc < 2) {
    std::cerr << app.help();
    return kExitUsage;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  if (serve->parsed()) result.command = Command::kServe;
  if (check->parsed()) result.command = Command::kCheck;
  if (replay->parsed()) {
    result.command = Command::kReplay;
    result.files = {recording};
  }
  if (version->parsed()) result.command = Command::kVersion;
  return result;
}

}  // namespace spanwatch::app
