// The silences: checked, changed, kept for five days after their end, at most core::kMaxSilences. No I/O, no clock, no
// threads: its owner guards it and writes to disk what it is told was changed (Encode).
#ifndef SPANWATCH_SIDECAR_NOTIFY_SILENCES_H_
#define SPANWATCH_SIDECAR_NOTIFY_SILENCES_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "sidecar/core/routing.h"

namespace spanwatch::notify {

inline constexpr std::int64_t kKeepSilencesNs = 5 * 86'400'000'000'000;

// A pattern for a whole text; the error says what is wrong with it. Any thread.
using CompilePattern =
    std::function<tl::expected<std::shared_ptr<const core::StringMatcher>, std::string>(const std::string& pattern)>;

class SilenceBook {
 public:
  explicit SilenceBook(CompilePattern compile) : compile_(std::move(compile)) {}

  struct Changed {
    std::string id;                    // of the silence that was asked for
    std::vector<std::string> written;  // ids of those that are new or other than before
    std::vector<std::string> removed;
  };
  // Without id it is new; it begins now at the earliest. With one:
  // - pending: all of it is changed;
  // - active: its end, author and comment are; other matchers, or a start in the future, end it and begin a new one;
  // - expired: a new one begins.
  // Error: what is wrong, what is allowed; begins with the JSON name of the field, "endsAt: ...".
  tl::expected<Changed, std::string> Set(core::Silence silence, std::int64_t wall_ns);
  // Ends it now. Null: there is no such silence. One that is over stays as it is (nothing is changed).
  bool Expire(const std::string& id, std::int64_t wall_ns, Changed* changed);
  // Those whose time is over.
  std::vector<std::string> Purge(std::int64_t wall_ns);

  const core::Silence* Find(const std::string& id) const;
  const std::map<std::string, core::Silence>& all() const { return silences_; }

  // The bytes on disk. Add: false if they are none, or of no use (a pattern that does not compile).
  static std::string Encode(const core::Silence& silence);
  bool Add(std::string_view bytes);

 private:
  std::string Problem(core::Silence* silence, std::int64_t wall_ns) const;
  std::string Compile(core::Matcher* matcher) const;
  std::string MakeRoom(std::int64_t wall_ns, Changed* changed);
  std::size_t CountPatterns() const;

  const CompilePattern compile_;  // may be null: no patterns
  std::map<std::string, core::Silence> silences_;
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_SILENCES_H_
