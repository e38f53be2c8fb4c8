#include "sidecar/core/error_groups.h"

#include <algorithm>
#include <utility>

#include "sidecar/core/error_text.h"

namespace spanwatch::core {
namespace {

constexpr std::int64_t kMinuteNs = 60'000'000'000;
// The formula of bytes: a group with its share of the tables, then its three texts.
constexpr std::uint64_t kShareBytes = 80, kTextBytes = 16;
constexpr std::uint8_t kPassesOn = 1, kPassedOnBefore = 2;  // of a failure: to its parent

}  // namespace

std::uint64_t ErrorGroups::BytesOf(const Group& group) {
  constexpr std::uint64_t kFixed = sizeof(Group) + kShareBytes + 3 * kTextBytes;
  static_assert(kMaxErrorGroups * (kFixed + kMaxErrorType + kMaxNormalised + kMaxErrorExample) <= kMaxErrorBytes);
  return kFixed + group.type.size() + group.message.size() + group.example.size();
}

ErrorGroups::Group* ErrorGroups::Find(std::uint32_t number) {
  const std::uint32_t slot = number & kSlotMask;
  return number != 0 && slot < groups_.size() && groups_[slot].number == number ? &groups_[slot] : nullptr;
}

void ErrorGroups::Unlink(std::uint32_t slot) {
  const Group& group = groups_[slot];
  (group.older == kNone ? oldest_ : groups_[group.older].newer) = group.newer;
  (group.newer == kNone ? newest_ : groups_[group.newer].older) = group.older;
}

void ErrorGroups::LinkNewest(std::uint32_t slot) {
  Group& group = groups_[slot];
  group.older = newest_;
  group.newer = kNone;
  (newest_ == kNone ? oldest_ : groups_[newest_].newer) = slot;
  newest_ = slot;
}

void ErrorGroups::Forget(std::uint32_t slot) {
  Group& group = groups_[slot];
  index_.erase(Key{group.operation, group.type, group.message});
  Unlink(slot);
  bytes_ -= BytesOf(group);
  ++forgotten_groups_;
  forgotten_errors_ += group.count;
  const std::uint32_t generation = group.generation;
  group = Group();
  group.generation = generation;
  operations_[slot] = kNoOperation;
  free_.push_back(slot);
}

std::uint32_t ErrorGroups::TakeSlot() {
  if (index_.size() == kMaxErrorGroups) Forget(oldest_);
  if (free_.empty()) {
    groups_.Append();
    operations_.push_back(kNoOperation);
    return static_cast<std::uint32_t>(groups_.size() - 1);
  }
  const std::uint32_t slot = free_.back();
  free_.pop_back();
  return slot;
}

ErrorGroups::Group& ErrorGroups::Obtain(std::int64_t now_ns, std::uint32_t operation, std::string_view type,
                                        std::string_view message) {
  if (const auto it = index_.find(Key{operation, type, message}); it != index_.end()) return groups_[it->second];
  const std::uint32_t slot = TakeSlot();
  Group& group = groups_[slot];
  group.generation = group.generation == UINT32_MAX >> kSlotBits ? 1 : group.generation + 1;
  group.number = group.generation << kSlotBits | slot;
  group.operation = operation;
  group.type = type;
  group.message = message;
  group.first_seen_ns = now_ns;
  group.minute = now_ns / kMinuteNs;
  operations_[slot] = operation;
  index_[Key{operation, group.type, group.message}] = slot;
  bytes_ += BytesOf(group);
  LinkNewest(slot);
  return group;
}

void ErrorGroups::Roll(Group* group, std::int64_t minute) {
  const std::int64_t first = std::max(group->minute + 1, minute - static_cast<std::int64_t>(kErrorMinutes) + 1);
  for (std::int64_t each = first; each <= minute; ++each)
    group->minutes[static_cast<std::size_t>(each) % kErrorMinutes] = 0;
  group->minute = std::max(group->minute, minute);
}

void ErrorGroups::NoteTrace(Group* group, const TraceId& id) {
  if (!group->first_trace.IsValid()) group->first_trace = id;
  const auto begin = group->traces.begin();
  const auto known = std::find(begin, group->traces.end() - 1, id);  // else the last one gives way
  std::rotate(begin, known, known + 1);
  *begin = id;
}

std::uint32_t ErrorGroups::OnSpan(std::int64_t now_ns, std::uint32_t operation, const SpanView& span) {
  const std::string_view type = CutText(span.error_type, kMaxErrorType);
  std::uint32_t& recent = recent_[operation % kRecent];
  // A flood mostly says the same again: then the group's newest message need not be normalised once more.
  Group* group = Find(recent);
  if (group == nullptr || group->operation != operation || group->type != type || !group->example_whole ||
      group->example != span.error_message) {
    NormaliseError(span.error_message, &message_);
    group = &Obtain(now_ns, operation, type, message_);
    recent = group->number;
    bytes_ -= group->example.size();
    group->example = CutText(span.error_message, kMaxErrorExample);
    group->example_whole = group->example.size() == span.error_message.size();
    bytes_ += group->example.size();
  }
  const std::uint32_t slot = group->number & kSlotMask;
  if (newest_ != slot) {
    Unlink(slot);
    LinkNewest(slot);
  }
  total_ += span.weight;
  group->count += span.weight;
  ++group->spans;
  group->last_seen_ns = now_ns;
  Roll(group, now_ns / kMinuteNs);
  group->minutes[static_cast<std::size_t>(group->minute) % kErrorMinutes] += span.weight;
  if (group->traces[0] != span.trace_id) NoteTrace(group, span.trace_id);
  return group->number;
}

bool ErrorGroups::OnTrace(Trace* trace, std::size_t limit) {
  const std::size_t size = trace->failures.size();
  if (trace->judged_failures == size) return false;
  if (progress_.marked == 0) flags_.assign(size, 0);
  if (progress_.marked < size) MarkCauses(*trace, limit);
  if (progress_.marked < size) return true;
  CountCauses(*trace, limit);
  if (progress_.counted < size) return true;
  CountTogether();
  trace->judged_failures = static_cast<std::uint32_t>(size);
  progress_ = Progress();
  return false;
}

// A failed span is a cause if none of its children failed. Spans are only ever added, so what was said before about the
// first ones can be worked out again, and is taken back where a child came late.
void ErrorGroups::MarkCauses(const Trace& trace, std::size_t limit) {
  const FlatBuffer<FailedSpan>& failures = trace.failures;
  const std::uint32_t before = trace.judged_failures;
  const std::size_t end = std::min(failures.size(), progress_.marked + limit);
  for (std::size_t i = progress_.marked; i < end; ++i) {
    progress_.NoteGroup(failures[i].group, i < before);
    const StoredSpan& span = trace.spans[failures[i].span];
    std::uint32_t parent = span.parent;
    if (parent == kNone && span.parent_id.IsValid()) parent = TraceStore::FindSpan(trace, span.parent_id);
    if (parent == kNone || parent == failures[i].span || trace.spans[parent].status != StatusCode::kError) continue;
    const FailedSpan* found =
        std::lower_bound(failures.begin(), failures.end(), parent,
                         [](const FailedSpan& each, std::uint32_t wanted) { return each.span < wanted; });
    if (found == failures.end() || found->span != parent) continue;
    const auto at = static_cast<std::size_t>(found - failures.begin());
    flags_[at] |= i < before && at < before ? kPassesOn | kPassedOnBefore : kPassesOn;
  }
  progress_.marked = end;
}

void ErrorGroups::CountCauses(const Trace& trace, std::size_t limit) {
  const std::uint32_t before = trace.judged_failures;
  const std::size_t end = std::min(trace.failures.size(), progress_.counted + limit);
  for (std::size_t i = std::exchange(progress_.counted, end); i < end; ++i) {
    Group* group = Find(trace.failures[i].group);
    if (group == nullptr) continue;
    const double weight = trace.spans[trace.failures[i].span].weight;
    const bool is_cause = (flags_[i] & kPassesOn) == 0, was_cause = i < before && (flags_[i] & kPassedOnBefore) == 0;
    if (i >= before) group->judged += weight;
    if (is_cause && i >= before) group->root_causes += weight;
    if (was_cause && !is_cause) group->root_causes = std::max(0.0, group->root_causes - weight);
  }
}

void ErrorGroups::Progress::NoteGroup(std::uint32_t group, bool was_known) {
  if (count == groups.size() || group == latest) return;
  latest = group;
  const auto end = groups.begin() + static_cast<std::ptrdiff_t>(count);
  if (std::find(groups.begin(), end, group) != end) return;
  groups[count++] = group;
  if (was_known) known = count;
}

// Each pair of groups is counted once a trace, whenever the second of them came.
void ErrorGroups::CountTogether() {
  const std::size_t count = progress_.count, known = progress_.known;
  const auto& groups = progress_.groups;
  for (std::size_t a = 0; a < count; ++a) {
    Group* group = Find(groups[a]);
    if (group == nullptr) continue;
    if (a >= known) ++group->traces_seen;
    for (std::size_t b = a >= known ? 0 : known; b < count; ++b) {
      if (b != a && Find(groups[b]) != nullptr) NotePartner(group, groups[b]);
    }
  }
}

void ErrorGroups::NotePartner(Group* group, std::uint32_t partner) {
  Partner* weakest = nullptr;
  for (Partner& each : group->partners) {
    if (each.group == partner) {
      ++each.traces;
      return;
    }
    if (Find(each.group) == nullptr) each = {};
    if (weakest == nullptr || each.traces < weakest->traces) weakest = &each;
  }
  *weakest = {partner, 1};
}

void ErrorGroups::ForgetOperation(std::uint32_t operation) {
  for (std::uint32_t slot = 0; slot < operations_.size(); ++slot) {
    if (operations_[slot] == operation) Forget(slot);
  }
}

}  // namespace spanwatch::core
