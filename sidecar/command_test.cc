// `spanwatch test`: rule tests in virtual time.
#include <algorithm>
#include <cstdio>

#include "sidecar/command_line.h"
#include "sidecar/rule_test_run.h"
#include "sidecar/terminal.h"

namespace spanwatch::app {
namespace {

struct Count {
  std::size_t passed = 0, failed = 0, skipped = 0;
};

// Text of other programs on a terminal: no escape sequences but our own.
std::string Printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' && c != '\n') c = ' ';
  }
  return text;
}

void PrintLines(char sign, const std::string& text, const Paint& paint) {
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = std::string("      ") + sign + " " + Printable(text.substr(at, end - at));
    const std::string shown = sign == '-' ? paint.Red(line) : sign == '+' ? paint.Green(line) : line;
    std::printf("%s\n", shown.c_str());
    at = end + 1;
  }
}

void PrintFailure(const TestFailure& failure, const Paint& paint) {
  std::string place = failure.position.source == nullptr ? "" : failure.position.source->name;
  place += ":" + std::to_string(failure.position.line) + ":" + std::to_string(failure.position.column);
  std::printf("    %s: %s\n", paint.Bold(place).c_str(), failure.what.c_str());
  const bool diff =
      std::any_of(failure.lines.begin(), failure.lines.end(), [](const auto& l) { return l.sign != ' '; });
  if (diff) std::printf("      %s\n", paint.Dim("(- expected, + got)").c_str());
  for (const TestFailure::Line& line : failure.lines) PrintLines(line.sign, line.text, paint);
}

void PrintStory(const TestOutcome& outcome, const Paint& paint) {
  for (const core::Transition& transition : outcome.transitions) {
    const std::string text =
        TestTime(transition.at_ns) + " " + core::ToString(transition.kind) + " " + IncidentText(transition.incident);
    std::printf("    %s\n", Printable(text).c_str());
  }
  for (const PreviewMessage& message : outcome.messages) {
    const std::string edits =
        message.edits == 0 ? ""
                           : ", edited " + std::to_string(message.edits) + (message.edits == 1 ? " time" : " times");
    const std::string headline = "posted at " + TestTime(message.posted.at_ns) + edits;
    std::printf("%s", MessageText(message.posted, headline, paint.on()).c_str());
    if (message.edits > 0) {
      const std::string last = "as it stood from " + TestTime(message.last.at_ns) + " on";
      std::printf("%s", MessageText(message.last, last, paint.on()).c_str());
    }
  }
}

void RunFile(const RuleTestFile& file, const CommandLine& command_line, const Paint& paint, Count* count) {
  for (const RuleTest& test : file.tests) {
    if (test.name.find(command_line.only) == std::string::npos) {
      ++count->skipped;
      continue;
    }
    const TestOutcome outcome = RunRuleTest(test, file.limits);
    const bool passed = outcome.failures.empty();
    ++(passed ? count->passed : count->failed);
    std::printf("  %s  %s\n", (passed ? paint.Green("ok    ") : paint.Red("FAILED")).c_str(),
                Printable(test.name).c_str());
    for (const TestFailure& failure : outcome.failures) PrintFailure(failure, paint);
    if (command_line.show) PrintStory(outcome, paint);
  }
}

}  // namespace

int RunTest(const CommandLine& command_line) {
  const Paint paint(STDOUT_FILENO);
  Count count;
  bool mistakes = false;
  for (const std::string& path : command_line.files) {
    const auto file = ReadRuleTests(path);
    if (!file) {
      std::fflush(stdout);
      PrintProblems(file.error());
      mistakes = true;
      continue;
    }
    std::printf("%s\n", paint.Bold(path).c_str());
    RunFile(*file, command_line, paint, &count);
  }
  const std::size_t all = count.passed + count.failed;
  std::printf("%zu test%s: %zu passed, %zu failed%s\n", all, all == 1 ? "" : "s", count.passed, count.failed,
              mistakes ? "; files with mistakes were not run" : "");
  if (all == 0 && !mistakes) std::fprintf(stderr, "spanwatch test: no test was run\n");
  return count.failed == 0 && !mistakes && all > 0 ? 0 : kExitFailed;
}

}  // namespace spanwatch::app
