// One request at a time, and what its answer means for the message it was for.
#include <algorithm>
#include <tuple>
#include <utility>

#include "sidecar/notify/discord_planner.h"

namespace spanwatch::notify {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kFirstBackOff = kSecond;
constexpr std::int64_t kLongestBackOff = 60 * kSecond;
constexpr std::int64_t kLongWait = 10 * kSecond;
constexpr std::int64_t kAskGuildEvery = 600 * kSecond;
constexpr std::int64_t kTooManyEditsWait = 60 * kSecond;
constexpr int kAttemptsPerTurn = 4;  // then a message lets those behind it go first
constexpr int kMaxReposts = 3;       // a message that keeps vanishing is not posted for ever

// Half to all of the full time, the same for the same message and attempt: many receivers do not return in step.
std::int64_t Jitter(std::int64_t full_ns, std::uint64_t slot, int attempt) {
  std::uint64_t x = slot * 0x9E3779B97F4A7C15u + static_cast<std::uint64_t>(attempt);
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
  x = (x ^ x >> 27) * 0x94D049BB133111EBu;
  x ^= x >> 31;
  return full_ns / 2 + static_cast<std::int64_t>(x % static_cast<std::uint64_t>(full_ns / 2 + 1));
}

}  // namespace

std::int64_t DiscordPlanner::SendableAt(const Slot& slot) const {
  const Method method = slot.message_id.empty() ? Method::kPost : Method::kPatch;
  return std::max(
      {slot.due_ns, slot.posted ? INT64_MIN : slot.hold_ns, limiter_.ReadyAt(method), backing_off_until_ns_});
}

DiscordPlanner::SlotId DiscordPlanner::Pick(std::int64_t now_ns) const {
  using Key = std::tuple<bool, int, std::uint64_t>;
  SlotId best = 0;
  Key best_key;
  for (const auto& [id, slot] : slots_) {
    if (!slot.Waits() || SendableAt(slot) > now_ns) continue;
    const Key key{slot.posted && !slot.Urgent(), slot.attempts / kAttemptsPerTurn, slot.order};
    if (best == 0 || key < best_key) {
      best = id;
      best_key = key;
    }
  }
  return best;
}

std::int64_t DiscordPlanner::NextDue() const {
  if (!usable_ || given_up_ || in_flight_) return INT64_MAX;
  std::int64_t due = INT64_MAX;
  for (const auto& [id, slot] : slots_) {
    if (slot.Waits()) {
      due = std::min(due, SendableAt(slot));
    } else if (RepeatDue(slot, INT64_MAX)) {
      due = std::min(due, slot.posted_ns + slot.repeat_interval_ns);
    }
  }
  return due;
}

bool DiscordPlanner::NeedsGuild(const Slot& slot, std::int64_t now_ns) const {
  if (!slot.has_predecessors || slot.posted || !guild_id_.empty() || limiter_.ReadyAt(Method::kGet) > now_ns)
    return false;
  return !guild_asked_ns_ || now_ns - *guild_asked_ns_ >= kAskGuildEvery;
}

std::string DiscordPlanner::LinkTo(SlotId id) const {
  const auto it = slots_.find(id);
  if (it == slots_.end() || guild_id_.empty() || it->second.channel_id.empty() || it->second.message_id.empty())
    return "";
  return "https://discord.com/channels/" + guild_id_ + "/" + it->second.channel_id + "/" + it->second.message_id;
}

std::string DiscordPlanner::Render(const Slot& slot, const std::string& quiet, const std::string& mention) const {
  if (slot.cut) return RenderCut(slot.reason, slot.newer_link);
  const std::vector<const core::Incident*> members = MembersOf(slot);
  const core::Incident& first = *members.front();
  if (slot.fallback) return RenderFallback(first, members.size() - 1, !slot.message_id.empty(), mention);
  CardContext context;
  context.external_url = options_.external_url;
  context.reason = slot.reason;
  context.earlier_link = slot.earlier_link;
  context.quiet = quiet;
  context.mention_role = mention;
  context.unwatched = incidents_.at(first.id).unwatched;
  if (slot.is_fold) return RenderFold({slot.group_labels, members}, context);
  context.trace_stored =
      !options_.trace_stored || !first.worst_trace.IsValid() || options_.trace_stored(first.worst_trace);
  if (options_.path_of) context.path = options_.path_of(first);
  return RenderCard(first, context);
}

// The role that a new message pings; empty: nobody. Somebody deleted what is posted once more: they know of it.
std::string DiscordPlanner::MentionOf(const Slot& slot) const {
  const core::DiscordOptions& discord = options_.receiver.discord;
  const bool pings = slot.message_id.empty() && slot.reposts == 0 && !slot.cut;
  const core::Severity severity = FoldSeverity(MembersOf(slot));
  return pings && severity != core::Severity::kNone && severity >= discord.mention_from ? discord.role_id : "";
}

std::optional<Request> DiscordPlanner::Next(std::int64_t now_ns) {
  if (!usable_ || given_up_ || in_flight_) return std::nullopt;
  Sweep(now_ns);
  while (const SlotId id = Pick(now_ns)) {
    Slot& slot = slots_.at(id);
    // It could not be withdrawn while it, or the message before it, was on its way.
    if (!slot.posted && !slot.cut && !MayPost(slot) && !AllResolved(slot) && Retract(id, now_ns)) continue;
    if (NeedsGuild(slot, now_ns)) {
      guild_asked_ns_ = now_ns;
      in_flight_ = InFlight{id, Method::kGet, 0, 0, ""};
      return Request{Method::kGet, "", ""};
    }
    if (slot.earlier_link.empty()) slot.earlier_link = LinkTo(slot.predecessor);
    std::string quiet = slot.cut ? "" : Quiet(slot);
    std::string body = Render(slot, quiet, "");
    const std::size_t hash = std::hash<std::string>{}(body);
    if (const std::string mention = MentionOf(slot); !mention.empty()) body = Render(slot, quiet, mention);
    if (!slot.message_id.empty() && hash == slot.shown_hash) {
      slot.shown_revision = slot.revision;
      slot.quiet = quiet;
      RetireIfOver(id, now_ns);
      continue;
    }
    const Method method = slot.message_id.empty() ? Method::kPost : Method::kPatch;
    if (method == Method::kPost) slot.announced = std::max(slot.announced, FoldSeverity(MembersOf(slot)));
    in_flight_ = InFlight{id, method, slot.revision, hash, std::move(quiet)};
    return Request{method, slot.message_id, std::move(body)};
  }
  return std::nullopt;
}

void DiscordPlanner::OnReply(const Reply& reply, std::int64_t now_ns, std::int64_t wall_ns) {
  if (!in_flight_) return;
  const InFlight sent = *std::exchange(in_flight_, std::nullopt);
  const Outcome outcome = Judge(sent.method, reply);
  if (outcome.verdict != ReplyVerdict::kRateLimited) {
    limited_since_ns_.reset();
    limiter_.Accepted();
    limiter_.Observe(sent.method, reply, now_ns);
  }
  if (sent.method == Method::kGet && outcome.verdict != ReplyVerdict::kRateLimited) return OnGuild(outcome);
  // Short waits are everyday life: they are counted, but no error.
  const bool is_error = outcome.verdict != ReplyVerdict::kRateLimited || outcome.retry_after_ns >= kLongWait;
  if (is_error && !outcome.text.empty()) last_error_ = outcome.text;
  if (reply.status != 0 && outcome.verdict != ReplyVerdict::kRetry) failures_ = 0;
  switch (outcome.verdict) {
    case ReplyVerdict::kDelivered:
      last_delivered_wall_ns_ = wall_ns;
      return Delivered(sent, outcome, now_ns);
    case ReplyVerdict::kRateLimited:
      ++counters_.rate_limited;
      if (!limited_since_ns_) limited_since_ns_ = now_ns;
      limiter_.Refused(sent.method, outcome, reply, now_ns);
      if (outcome.global) global_block_ns_ = now_ns + outcome.retry_after_ns;
      return;
    case ReplyVerdict::kRetry:
      return Retry(sent, reply, now_ns);
    case ReplyVerdict::kUnknownMessage:
      return UnknownMessage(sent.slot, now_ns);
    case ReplyVerdict::kRefused:
      return Refused(sent.slot, now_ns);
    case ReplyVerdict::kTooManyEdits:
      ++counters_.retried;
      if (const auto it = slots_.find(sent.slot); it != slots_.end()) it->second.due_ns = now_ns + kTooManyEditsWait;
      return;
    case ReplyVerdict::kGiveUp:
      return GiveUp();
  }
}

// Without the guild the links are left out; that is no reason to hold a message up.
void DiscordPlanner::OnGuild(const Outcome& outcome) {
  if (outcome.verdict == ReplyVerdict::kDelivered) guild_id_ = outcome.guild_id;
}

void DiscordPlanner::Delivered(const InFlight& sent, const Outcome& outcome, std::int64_t now_ns) {
  const bool is_post = sent.method == Method::kPost;
  ++(is_post ? counters_.posted : counters_.edited);
  const auto it = slots_.find(sent.slot);
  if (it == slots_.end()) return;
  Slot& slot = it->second;
  if (!slot.fallback) last_error_.clear();
  if (slot.cut) return Retire(sent.slot);
  slot.attempts = 0;
  slot.sent_ns = now_ns;
  slot.shown_revision = sent.revision;
  slot.shown_hash = sent.hash;
  slot.quiet = sent.quiet;
  if (!is_post) ++slot.edits;
  if (is_post) {
    slot.message_id = outcome.message_id;
    slot.channel_id = outcome.channel_id;
    slot.posted = true;
    slot.blind = outcome.message_id.empty();
    slot.posted_ns = now_ns;
  }
  CutPredecessors(sent.slot, now_ns);
  if (slot.successor != 0 || (slot.blind && !slot.Urgent())) slot.shown_revision = slot.revision;
  if (slot.Dirty()) {
    slot.waiting_since_ns = now_ns;
    slot.due_ns = slot.Urgent() ? now_ns : now_ns + options_.receiver.growth_interval_ns;
  }
  // The muting may have ended while the message that tells of it was under way.
  if (!slot.quiet.empty()) Review(sent.slot, now_ns);
  RetireIfOver(sent.slot, now_ns);
}

void DiscordPlanner::CutPredecessors(SlotId id, std::int64_t now_ns) {
  if (!slots_.at(id).has_predecessors) return;
  slots_.at(id).has_predecessors = false;
  std::vector<SlotId> unsent;
  for (auto& [old_id, slot] : slots_) {
    if (slot.successor != id || slot.cut) continue;
    if (slot.message_id.empty() || slots_.size() > 2 * options_.max_incidents) {
      unsent.push_back(old_id);
      continue;
    }
    slot.cut = true;
    slot.newer_link = LinkTo(id);
    ++slot.revision;
    slot.order = ++last_order_;
    slot.due_ns = now_ns;
    slot.waiting_since_ns = now_ns;
    slot.attempts = 0;
  }
  for (const SlotId old_id : unsent) Retire(old_id);
}

void DiscordPlanner::Retry(const InFlight& sent, const Reply& reply, std::int64_t now_ns) {
  ++counters_.retried;
  if (sent.method == Method::kPost && reply.maybe_sent) ++counters_.possible_duplicates;
  ++failures_;
  const auto it = slots_.find(sent.slot);
  const int attempts = it == slots_.end() ? failures_ : ++it->second.attempts;
  const std::int64_t full = std::min(kLongestBackOff, kFirstBackOff << std::min(failures_ - 1, 6));
  backing_off_until_ns_ = now_ns + Jitter(full, sent.slot, attempts);
  // Replaced before it was ever there: the new message says it all.
  if (it != slots_.end() && it->second.successor != 0 && !it->second.posted) Retire(sent.slot);
}

void DiscordPlanner::UnknownMessage(SlotId id, std::int64_t now_ns) {
  const auto it = slots_.find(id);
  if (it == slots_.end()) return;
  Slot& slot = it->second;
  if (slot.cut || slot.successor != 0) return Retire(id);
  slot.message_id.clear();
  slot.posted = false;
  if (++slot.reposts > kMaxReposts) {
    slot.posted = slot.blind = true;
    return Fail(id, now_ns);
  }
  Touch(&slot, true, now_ns);
}

void DiscordPlanner::Refused(SlotId id, std::int64_t now_ns) {
  const auto it = slots_.find(id);
  if (it == slots_.end()) return;
  Slot& slot = it->second;
  if (slot.cut || slot.successor != 0 || slot.fallback) return Fail(id, now_ns);
  slot.fallback = true;
  slot.due_ns = now_ns;
  ++counters_.fallbacks;
}

// The message cannot be brought out as it should be. An earlier message of the same incident, if there is one, goes on
// in its place; else the next change tries again.
void DiscordPlanner::Fail(SlotId id, std::int64_t now_ns) {
  ++counters_.failed;
  Slot& slot = slots_.at(id);
  if (slot.cut || slot.successor != 0) return Retire(id);
  if (!slot.posted && GoBack(id, now_ns)) return;
  if (AllResolved(slot)) return Retire(id);
  slot.shown_revision = slot.revision;
  slot.attempts = 0;
}

void DiscordPlanner::GiveUp() {
  given_up_ = true;
  std::vector<SlotId> over;
  for (const auto& [id, slot] : slots_) {
    if (slot.cut || (slot.Dirty() && AllResolved(slot))) over.push_back(id);
  }
  counters_.failed += over.size();
  for (const SlotId id : over) Retire(id);
}

}  // namespace spanwatch::notify
