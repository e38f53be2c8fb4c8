// What Decide (routing.h) says of every incident that fires, kept up to date and found quickly: silences by what they
// name literally, sources of inhibition by their `equal` labels. After each change it knows which receivers are to look
// again, because something else holds for an incident that did not change itself.
//
// No I/O, no clock, not thread-safe. Bounded: kMaxFiring incidents (the oldest go first; of them nothing changes any
// more until they come again) and kMaxOver that are over.
#ifndef SPANWATCH_SIDECAR_NOTIFY_DISPATCH_INDEX_H_
#define SPANWATCH_SIDECAR_NOTIFY_DISPATCH_INDEX_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sidecar/notify/routing.h"

namespace spanwatch::notify {

class DispatchIndex {
 public:
  static constexpr std::size_t kMaxFiring = 100'000, kMaxOver = 1000;

  explicit DispatchIndex(std::shared_ptr<const core::Routing> routing) { SetRouting(std::move(routing)); }

  void SetRouting(std::shared_ptr<const core::Routing> routing);
  void PutSilence(const core::Silence& silence);  // as it stands now
  void DropSilence(const std::string& id);
  // Brings silences into force and out of it. What follows goes by `wall_ns` too.
  void Advance(std::int64_t wall_ns);
  // When Advance has something to do; INT64_MAX: not before something changes.
  std::int64_t NextChange() const;
  // As it stands after a change: one that fires or is over. Others are not known here.
  void Put(const core::Incident& incident);
  // These are all that there are: what else fired is over.
  void Reset(const std::vector<core::Incident>& living);

  Direction DirectionFor(const std::string& receiver, const core::Incident& incident) const;
  Verdict Judge(const core::Incident& incident) const;
  // Firing ones first, then those that are over, newest first.
  std::vector<const core::Incident*> WithFingerprint(const std::string& fingerprint) const;

  // Of firing incidents, which are muted: by id.
  struct Muted {
    std::vector<std::string> silenced_by, inhibited_by;
  };
  const std::map<std::string, Muted>& muted() const { return muted_; }
  // How often an incident that fires became muted.
  std::uint64_t silenced_total() const { return silenced_total_; }
  std::uint64_t inhibited_total() const { return inhibited_total_; }

  // The receivers that are to look again since the last call.
  std::vector<std::string> TakeChanged();

 private:
  using SourceKey = std::pair<std::int64_t, std::string>;  // fired at, id: the order in which sources count
  // The incidents with the same values of a rule's `equal` labels.
  struct Peers {
    std::map<SourceKey, const core::Incident*> sources;    // all
    std::map<SourceKey, const core::Incident*> one_sided;  // of these, those that are no targets
    std::set<std::string> targets;
  };
  struct RuleState {
    std::unordered_map<std::string, Peers> peers;
  };
  struct Firing {
    core::Incident incident;
    LabelSet labels;
    std::vector<Direction> directions;  // by receiver
    std::uint64_t order = 0;
  };
  using Map = std::unordered_map<std::string, std::unique_ptr<Firing>>;

  Verdict JudgeLabels(const LabelSet& labels) const;
  std::vector<const core::Silence*> ActiveFor(const LabelSet& labels) const;
  std::optional<Inhibition> InhibitionOf(const LabelSet& labels) const;
  void Link(Firing* firing, bool add);
  void LinkRule(std::size_t number, Firing* firing, bool add);
  void Remove(const std::string& id);
  void AddOver(const core::Incident& incident);
  void RemoveSilence(const std::string& id);
  void MarkMatching(const core::Silence& silence);
  void Activate(const core::Silence& silence, bool active);
  void Settle();
  void Settle(Firing* firing, bool changed_itself);
  void Rebuild();

  std::shared_ptr<const core::Routing> routing_;
  std::int64_t wall_ns_ = 0;
  std::map<std::string, core::Silence> silences_;
  // Of the active ones: by a label and the value that it must have, and the rest.
  std::map<std::pair<std::string, std::string>, std::set<std::string>> by_literal_;
  std::set<std::string> by_other_;
  std::set<std::string> active_;
  Map firing_;
  std::map<std::uint64_t, std::string> by_order_;
  std::uint64_t last_order_ = 0;
  std::vector<RuleState> rules_;
  std::deque<core::Incident> over_;
  std::map<std::string, Muted> muted_;
  std::uint64_t silenced_total_ = 0, inhibited_total_ = 0;
  std::set<std::string> to_settle_;  // ids of incidents
  std::set<std::string> changed_;    // names of receivers
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_DISPATCH_INDEX_H_
