#include "spanwatch/context.h"

#include <new>

#include "sdk/cpp/src/context_access.h"
#include "sdk/cpp/src/coroutine_node.h"
#include "sdk/cpp/src/runtime.h"
#include "sdk/cpp/src/span_body.h"
#include "sdk/cpp/src/thread_block.h"
#include "spanwatch/span.h"

namespace spanwatch {
namespace internal {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

bool LowerHex(std::string_view text, std::uint64_t* out) noexcept {
  for (const char c : text) {
    if (c >= 'A' && c <= 'F') return false;
  }
  return ids_internal::ParseHex(text, out);
}

std::string_view TrimSpace(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

struct Parent {
  TraceId trace_id;
  SpanId span_id;
  std::uint64_t flags = 0;
};

// 00-<32 hex>-<16 hex>-<2 hex>; later versions may go on with "-...".
bool ParseTraceparent(std::string_view text, Parent* out) noexcept {
  constexpr std::size_t kSize = 55;
  text = TrimSpace(text);
  if (text.size() < kSize || text[2] != '-' || text[35] != '-' || text[52] != '-') return false;
  std::uint64_t version = 0;
  if (!LowerHex(text.substr(0, 2), &version) || version == 0xff) return false;
  if (text.size() > kSize && (version == 0 || text[kSize] != '-')) return false;
  return LowerHex(text.substr(3, 16), &out->trace_id.hi) && LowerHex(text.substr(19, 16), &out->trace_id.lo) &&
         LowerHex(text.substr(36, 16), &out->span_id.value) && LowerHex(text.substr(53, 2), &out->flags) &&
         out->trace_id.IsValid() && out->span_id.IsValid();
}

// The running span that a node is, or stands for; no slot if it is none.
SpanHandle HandleOf(Node* node) noexcept {
  const NodeState life = node->life.load(std::memory_order_acquire);
  if (node->kind == NodeKind::kSpan && life == NodeState::kLive) {
    auto* const slot = static_cast<Slot*>(node);
    return {slot, slot->generation.load(kRelaxed)};
  }
  if (node->kind == NodeKind::kCoroutine && life == NodeState::kAsk) {
    const auto* const own = static_cast<CoroutineNode*>(node);
    if (own->slot != nullptr && own->IsAlive()) return {own->slot, own->generation};
  }
  return {nullptr, 0};
}

}  // namespace

SpanHandle CurrentSpan() noexcept {
  const Node* const top = TracingOn() ? LiveTop(&t_state) : nullptr;
  if (top == nullptr) return {nullptr, 0};
  for (Node* node = t_state.current; node != nullptr; node = node->below) {
    if (node->span_id.load(kRelaxed) != top->span_id.load(kRelaxed)) continue;
    if (const SpanHandle handle = HandleOf(node); handle.slot != nullptr) return handle;
  }
  return {nullptr, 0};
}

Context ContextAccess::Make(const Node& node) noexcept {
  Context context;
  context.trace_id_ = {node.trace_hi.load(kRelaxed), node.trace_lo.load(kRelaxed)};
  context.span_id_ = {node.span_id.load(kRelaxed)};
  context.sampling_ = node.sampling;
  context.state_ = Ref(node.state);
  return context;
}

void LinkSpan(SpanHandle handle, const Context& other) noexcept {
  AddLink(handle, other.trace_id().hi, other.trace_id().lo, other.span_id().value);
}

}  // namespace internal

using internal::ContextAccess;
using internal::Node;
using internal::TraceState;

Context::Context(const Context& other) noexcept
    : trace_id_(other.trace_id_),
      span_id_(other.span_id_),
      sampling_(other.sampling_),
      state_(internal::Ref(other.state_)) {}

Context::Context(Context&& other) noexcept
    : trace_id_(other.trace_id_), span_id_(other.span_id_), sampling_(other.sampling_), state_(other.state_) {
  other.state_ = nullptr;
}

Context& Context::operator=(const Context& other) noexcept {
  if (this != &other) *this = Context(other);
  return *this;
}

Context& Context::operator=(Context&& other) noexcept {
  if (this == &other) return *this;
  internal::Unref(state_);
  trace_id_ = other.trace_id_;
  span_id_ = other.span_id_;
  sampling_ = other.sampling_;
  state_ = other.state_;
  other.state_ = nullptr;
  return *this;
}

Context::~Context() { internal::Unref(state_); }

Context Context::Current() noexcept {
  const Node* const node = internal::LiveTop(&internal::t_state);
  return node != nullptr && internal::TracingOn() ? ContextAccess::Make(*node) : Context();
}

Context Context::FromTraceparent(std::string_view traceparent, std::string_view tracestate,
                                 std::string_view baggage) noexcept {
  Context context;
  internal::Parent parent;
  if (!internal::ParseTraceparent(traceparent, &parent)) return context;
  context.trace_id_ = parent.trace_id;
  context.span_id_ = parent.span_id;
  context.sampling_ = internal::kRemote | ((parent.flags & 1) != 0 ? internal::kSampled : 0) |
                      ((parent.flags & 2) != 0 ? internal::kRandomTraceId : 0);
  context.state_ = TraceState::Parse(tracestate, baggage);
  if (context.state_ != nullptr) context.sampling_ |= context.state_->threshold;
  return context;
}

bool Context::IsSampled() const noexcept { return (sampling_ & internal::kSampled) != 0; }
bool Context::IsRemote() const noexcept { return (sampling_ & internal::kRemote) != 0; }

const Context& Context::SetTags(std::initializer_list<Tag> tags) const noexcept {
  internal::SpanHandle outermost{nullptr, 0};
  for (Node* node = internal::t_state.current; node != nullptr; node = node->below) {
    if (TraceId{node->trace_hi.load(internal::kRelaxed), node->trace_lo.load(internal::kRelaxed)} != trace_id_)
      continue;
    if (const internal::SpanHandle handle = internal::HandleOf(node); handle.slot != nullptr) outermost = handle;
  }
  if (outermost.slot != nullptr && IsValid()) internal::SetSpanTags(outermost, tags.begin(), tags.size());
  return *this;
}

const Context& Context::AddLog(LogLevel level, Text text, std::initializer_list<Tag> fields) const noexcept {
  for (Node* node = internal::t_state.current; node != nullptr && IsValid(); node = node->below) {
    if (node->span_id.load(internal::kRelaxed) != span_id_.value) continue;
    const internal::SpanHandle handle = internal::HandleOf(node);
    if (handle.slot == nullptr) continue;
    internal::AddSpanLog(handle, level, text, fields.begin(), fields.size());
    break;
  }
  return *this;
}

std::string Context::Traceparent() const noexcept {
  if (!IsValid()) return {};
  try {
    std::string text(55, '-');
    text[0] = text[1] = '0';
    ids_internal::AppendHex(trace_id_.hi, text.data() + 3);
    ids_internal::AppendHex(trace_id_.lo, text.data() + 19);
    ids_internal::AppendHex(span_id_.value, text.data() + 36);
    text[53] = '0';
    text[54] = static_cast<char>('0' + (IsSampled() ? 1 : 0) + ((sampling_ & internal::kRandomTraceId) != 0 ? 2 : 0));
    return text;
  } catch (const std::bad_alloc&) {
    return {};
  }
}

std::string Context::Tracestate() const noexcept {
  if (!IsValid()) return {};
  try {
    if (state_ != nullptr && state_->size > 0) return std::string(state_->view());
    if (state_ != nullptr && IsRemote()) return {};
    if (!IsSampled() || (sampling_ & internal::kThresholdMask) == 0) return {};
    char digits[14];
    const std::uint32_t size = internal::FormatThreshold(sampling_ & internal::kThresholdMask, digits);
    return "ot=th:" + std::string(digits, size);
  } catch (const std::bad_alloc&) {
    return {};
  }
}

std::string Context::Baggage() const noexcept {
  try {
    return state_ != nullptr && IsValid() ? std::string(state_->baggage()) : std::string();
  } catch (const std::bad_alloc&) {
    return {};
  }
}

std::string Context::BaggageValue(std::string_view key) const noexcept {
  if (state_ == nullptr || !IsValid()) return {};
  char value[internal::kMaxBaggage];
  const std::size_t size = internal::DecodeBaggage(internal::FindBaggage(state_->baggage(), key), value, sizeof(value));
  try {
    return std::string(value, size);
  } catch (const std::bad_alloc&) {
    return {};
  }
}

Context Context::WithBaggage(std::string_view key, std::string_view value) const noexcept {
  if (!IsValid()) return *this;
  char former[internal::kMaxBaggage];
  const std::size_t former_size =
      internal::CopyBaggage(state_ != nullptr ? state_->baggage() : std::string_view(), key, former);
  std::size_t wanted = former_size;
  try {
    std::string baggage(former, former_size);
    if (!value.empty()) {
      constexpr char kDigits[] = "0123456789ABCDEF";
      if (!baggage.empty()) baggage += ',';
      baggage.append(key.data(), key.size());
      baggage += '=';
      for (const char c : value) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte > 0x20 && byte < 0x7f && std::string_view("\",;\\%").find(c) == std::string_view::npos) {
          baggage += c;
        } else {
          baggage += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
        }
      }
      wanted = baggage.size();
    }
    const bool own = state_ == nullptr && IsSampled();
    TraceState* const state = TraceState::Parse(state_ != nullptr ? state_->view() : std::string_view(), baggage,
                                                own ? sampling_ & internal::kThresholdMask : 0);
    if (wanted > 0 && (state == nullptr || state->baggage_size != wanted)) {
      internal::Unref(state);
      return *this;
    }
    Context context(*this);
    internal::Unref(context.state_);
    context.state_ = state;
    return context;
  } catch (const std::bad_alloc&) {
    return *this;
  }
}

std::string Context::CorrelationId() const noexcept {
  std::string id = BaggageValue(internal::kCorrelationKey);
  if (!id.empty() || !IsValid()) return id;
  try {
    return trace_id_.ToHex();
  } catch (const std::bad_alloc&) {
    return {};
  }
}

std::string InjectTraceparent() noexcept { return Context::Current().Traceparent(); }
std::string InjectTracestate() noexcept { return Context::Current().Tracestate(); }

ContextScope::ContextScope(const Context& context) noexcept {
  static_assert(sizeof(Node) <= sizeof(node_) && alignof(Node) <= 8);
  Node* const node = new (node_) Node;
  ContextAccess::Fill(context, node);
  internal::Ref(node->state);
  node->below = internal::t_state.current;
  node->linked.store(true, internal::kRelaxed);
  internal::t_state.current = node;
}

ContextScope::~ContextScope() {
  Node* const node = std::launder(reinterpret_cast<Node*>(node_));
  if (node->kind != internal::NodeKind::kAwayScope)
    internal::Unlink(&internal::t_state, node);
  else if (node->below != nullptr)
    internal::EndScopeOfCoroutine(node);
  internal::Unref(node->state);
  node->~Node();
}

}  // namespace spanwatch
