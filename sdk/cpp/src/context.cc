#include "spanwatch/context.h"

#include <new>

#include "sdk/cpp/src/context_access.h"
#include "sdk/cpp/src/runtime.h"
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

const Node* CurrentNode() noexcept {
  Node* node = t_state.current;
  while (node != nullptr && node->dead.load(std::memory_order_acquire)) {
    Unlink(&t_state, node);
    node = t_state.current;
  }
  return node;
}

}  // namespace

Context ContextAccess::Make(const Node& node) noexcept {
  Context context;
  context.trace_id_ = {node.trace_hi.load(kRelaxed), node.trace_lo.load(kRelaxed)};
  context.span_id_ = {node.span_id.load(kRelaxed)};
  context.sampling_ = node.sampling;
  context.state_ = Ref(node.state);
  return context;
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
  const Node* const node = internal::CurrentNode();
  return node != nullptr && internal::TracingOn() ? ContextAccess::Make(*node) : Context();
}

Context Context::FromTraceparent(std::string_view traceparent, std::string_view tracestate) noexcept {
  Context context;
  internal::Parent parent;
  if (!internal::ParseTraceparent(traceparent, &parent)) return context;
  context.trace_id_ = parent.trace_id;
  context.span_id_ = parent.span_id;
  context.sampling_ = internal::kRemote | ((parent.flags & 1) != 0 ? internal::kSampled : 0) |
                      ((parent.flags & 2) != 0 ? internal::kRandomTraceId : 0);
  context.state_ = TraceState::Parse(tracestate);
  if (context.state_ != nullptr) context.sampling_ |= context.state_->threshold;
  return context;
}

bool Context::IsSampled() const noexcept { return (sampling_ & internal::kSampled) != 0; }
bool Context::IsRemote() const noexcept { return (sampling_ & internal::kRemote) != 0; }

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
    if (state_ != nullptr) return std::string(state_->view());
    if (!IsSampled() || (sampling_ & internal::kThresholdMask) == 0) return {};
    char digits[14];
    const std::uint32_t size = internal::FormatThreshold(sampling_ & internal::kThresholdMask, digits);
    return "ot=th:" + std::string(digits, size);
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
  node->linked = true;
  internal::t_state.current = node;
}

ContextScope::~ContextScope() {
  Node* const node = std::launder(reinterpret_cast<Node*>(node_));
  internal::Unlink(&internal::t_state, node);
  internal::Unref(node->state);
  node->~Node();
}

}  // namespace spanwatch
