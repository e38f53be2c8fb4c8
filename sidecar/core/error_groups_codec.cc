// The groups as a checkpoint keeps them.
#include <cmath>

#include "sidecar/core/error_groups.h"
#include "sidecar/core/error_text.h"

namespace spanwatch::core {
namespace {

constexpr std::int64_t kMinuteNs = 60'000'000'000;

bool IsAmount(double value) { return std::isfinite(value) && value >= 0; }

}  // namespace

void ErrorGroups::Save(CodecWriter* out) const {
  out->F64(total_).F64(forgotten_errors_).U64(forgotten_groups_).U64(groups_.size());
  for (std::size_t slot = 0; slot < groups_.size(); ++slot) SaveGroup(groups_[slot], out);
  for (std::uint32_t slot = oldest_; slot != kNone; slot = groups_[slot].newer) out->U64(slot);
  for (const std::uint32_t slot : free_) out->U64(slot);
}

void ErrorGroups::SaveGroup(const Group& group, CodecWriter* out) const {
  out->U64(group.generation).Bool(group.number != 0);
  if (group.number == 0) return;
  out->U64(group.operation).Text(group.type).Text(group.message).Text(group.example).Bool(group.example_whole);
  out->U64(group.spans).U64(group.traces_seen).F64(group.count).F64(group.judged).F64(group.root_causes);
  out->I64(group.first_seen_ns).I64(group.last_seen_ns).I64(group.minute);
  std::uint64_t used = 0;  // a bit a minute
  for (std::size_t i = 0; i < kErrorMinutes; ++i) used |= std::uint64_t{group.minutes[i] != 0} << i;
  out->U64(used);
  for (const double minute : group.minutes) {
    if (minute != 0) out->F64(minute);
  }
  for (const TraceId& id : group.traces) out->Id(id);
  out->Id(group.first_trace);
  for (const Partner& partner : group.partners) out->U64(partner.group).U64(partner.traces);
}

bool ErrorGroups::LoadGroup(CodecReader* in, std::size_t operations, Group* group) {
  group->operation = static_cast<std::uint32_t>(in->Below(operations));
  group->type = in->Text();
  group->message = in->Text();
  group->example = in->Text();
  group->example_whole = in->Bool();
  group->spans = in->U64();
  group->traces_seen = in->U64();
  group->count = in->F64();
  group->judged = in->F64();
  group->root_causes = in->F64();
  group->first_seen_ns = in->I64();
  group->last_seen_ns = in->I64();
  group->minute = in->I64();
  const std::uint64_t used = in->Below(std::uint64_t{1} << kErrorMinutes);
  bool good = true;
  for (std::size_t i = 0; i < kErrorMinutes; ++i) {
    if ((used >> i & 1) != 0) good = IsAmount(group->minutes[i] = in->F64()) && good;
  }
  for (TraceId& id : group->traces) id = in->TraceIdValue();
  group->first_trace = in->TraceIdValue();
  for (Partner& partner : group->partners) {
    partner.group = in->U32();
    partner.traces = in->U32();
  }
  return in->ok() && good && group->type.size() <= kMaxErrorType && group->message.size() <= kMaxNormalised &&
         group->example.size() <= kMaxErrorExample && group->spans > 0 && IsAmount(group->count) &&
         IsAmount(group->judged) && IsAmount(group->root_causes) && group->first_seen_ns >= 0 &&
         group->last_seen_ns >= group->first_seen_ns && group->minute == group->last_seen_ns / kMinuteNs;
}

bool ErrorGroups::Load(CodecReader* in, std::size_t operations) {
  total_ = in->F64();
  forgotten_errors_ = in->F64();
  forgotten_groups_ = in->U64();
  const std::uint64_t slots = in->Below(kMaxErrorGroups + 1);
  if (!in->ok() || !IsAmount(total_) || !IsAmount(forgotten_errors_)) return false;
  for (std::uint32_t slot = 0; slot < slots; ++slot) {
    Group& group = groups_.Append();
    operations_.push_back(kNoOperation);
    group.generation = static_cast<std::uint32_t>(in->Below((UINT32_MAX >> kSlotBits) + 1));
    if (!in->Bool()) continue;
    if (!LoadGroup(in, operations, &group) || group.generation == 0) return false;
    group.number = group.generation << kSlotBits | slot;
    operations_[slot] = group.operation;
    if (!index_.insert({Key{group.operation, group.type, group.message}, slot}).second) return false;
    bytes_ += BytesOf(group);
  }
  return LoadOrder(in);
}

// First the slots in use, by age, then the free ones: each slot once.
bool ErrorGroups::LoadOrder(CodecReader* in) {
  std::vector<bool> seen(groups_.size(), false);
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    const auto slot = static_cast<std::uint32_t>(in->Below(groups_.size()));
    if (!in->ok() || seen[slot] || (groups_[slot].number != 0) != (i < index_.size())) return false;
    seen[slot] = true;
    if (groups_[slot].number != 0) {
      LinkNewest(slot);
    } else {
      free_.push_back(slot);
    }
  }
  return in->ok();
}

}  // namespace spanwatch::core
