#include "sdk/cpp/src/trace_state.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>

namespace spanwatch::internal {
namespace {

constexpr std::uint64_t kMaxBytes = 1 << 20;
constexpr int kMaxMembers = 32;
std::atomic<std::uint64_t> g_bytes{0};

bool IsKeyChar(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '*' || c == '/' || c == '@';
}

bool IsMember(std::string_view member) noexcept {
  const std::size_t equals = member.find('=');
  if (equals == std::string_view::npos || equals == 0 || equals > 256) return false;
  const std::string_view key = member.substr(0, equals);
  const std::string_view value = member.substr(equals + 1);
  if (!((key[0] >= 'a' && key[0] <= 'z') || (key[0] >= '0' && key[0] <= '9'))) return false;
  for (const char c : key) {
    if (!IsKeyChar(c)) return false;
  }
  if (value.empty() || value.size() > 256 || value.back() == ' ') return false;
  for (const char c : value) {
    if (c < 0x20 || c > 0x7e || c == ',' || c == '=') return false;
  }
  return true;
}

std::string_view Trim(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// The members in order; -1 if one is illegal or there are too many.
int Split(std::string_view header, std::string_view (&members)[kMaxMembers]) noexcept {
  int count = 0;
  while (true) {
    const std::size_t comma = header.find(',');
    const std::string_view member = Trim(header.substr(0, comma));
    if (!member.empty()) {
      if (count == kMaxMembers || !IsMember(member)) return -1;
      members[count++] = member;
    }
    if (comma == std::string_view::npos) return count;
    header.remove_prefix(comma + 1);
  }
}

// Shortens as W3C asks: first what is longer than 128, then from the right. Our sampling entry stays if it can.
int Shorten(std::string_view (&members)[kMaxMembers], int count) noexcept {
  std::size_t total = 0;
  for (int i = 0; i < count; ++i) total += members[i].size() + 1;
  for (int i = count - 1; i >= 0 && total > TraceState::kMaxText; --i) {
    if (members[i].size() <= 128) continue;
    total -= members[i].size() + 1;
    members[i] = {};
  }
  for (int i = count - 1; i >= 0 && total > TraceState::kMaxText; --i) {
    if (members[i].empty()) continue;
    total -= members[i].size() + 1;
    members[i] = {};
  }
  int kept = 0;
  for (int i = 0; i < count; ++i) {
    if (!members[i].empty()) members[kept++] = members[i];
  }
  return kept;
}

// Finds `th:` in the value of `ot`, which starts at `at` in the text: digits of a threshold, 1 to 14 lower-case hex.
void FindThreshold(TraceState* state, std::uint32_t at, std::string_view value) noexcept {
  std::size_t begin = 0;
  while (begin <= value.size()) {
    const std::size_t end = value.find(';', begin);
    const std::string_view field = value.substr(begin, end == std::string_view::npos ? end : end - begin);
    if (field.substr(0, 3) == "th:") {
      const std::string_view digits = field.substr(3);
      if (digits.empty() || digits.size() > 14) return;
      std::uint64_t threshold = 0;
      for (const char c : digits) {
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return;
        threshold = threshold << 4 | static_cast<std::uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
      }
      state->threshold = threshold << (4 * (14 - digits.size()));
      state->threshold_at = static_cast<std::uint16_t>(at + begin + 3);
      state->threshold_size = static_cast<std::uint16_t>(digits.size());
      return;
    }
    if (end == std::string_view::npos) return;
    begin = end + 1;
  }
}

}  // namespace

std::uint64_t ThresholdOf(double probability, bool* nothing) noexcept {
  *nothing = false;
  if (!(probability > 0)) {
    *nothing = true;
    return kThresholdMask;
  }
  if (probability >= 1) return 0;
  constexpr double kAll = 72057594037927936.0;  // 2^56
  const auto exact = static_cast<std::uint64_t>(std::llround((1 - probability) * kAll));
  if (exact > kThresholdMask) {
    *nothing = true;
    return kThresholdMask;
  }
  // Four digits after the leading f's: the weight is then right to 1 part in 4096 at any probability.
  int digits = 4;
  for (int shift = 52; shift > 0 && (exact >> shift & 15) == 15; shift -= 4) ++digits;
  if (digits >= 14) return exact;
  const int drop = 4 * (14 - digits);
  const std::uint64_t rounded = (exact + (std::uint64_t{1} << (drop - 1))) >> drop << drop;
  return rounded > kThresholdMask ? exact : rounded;
}

std::uint32_t FormatThreshold(std::uint64_t threshold, char* out) noexcept {
  constexpr char kDigits[] = "0123456789abcdef";
  std::uint32_t size = 14;
  for (int i = 0; i < 14; ++i) out[i] = kDigits[threshold >> (52 - 4 * i) & 15];
  while (size > 1 && out[size - 1] == '0') --size;
  return size;
}

TraceState* TraceState::Parse(std::string_view header, std::string_view baggage, std::uint64_t threshold) noexcept {
  std::string_view members[kMaxMembers];
  char entries[kMaxBaggage];
  const std::size_t entries_size = CopyBaggage(baggage, {}, entries);
  const int count = header.size() > kMaxHeader ? 0 : Shorten(members, Split(header, members));
  if (count <= 0 && entries_size == 0) return nullptr;
  const std::uint64_t bytes = sizeof(TraceState) + entries_size;
  if (g_bytes.fetch_add(bytes, std::memory_order_relaxed) + bytes > kMaxBytes) {
    g_bytes.fetch_sub(bytes, std::memory_order_relaxed);
    return nullptr;
  }
  void* const memory = std::malloc(bytes);
  if (memory == nullptr) {
    g_bytes.fetch_sub(bytes, std::memory_order_relaxed);
    return nullptr;
  }
  auto* const state = new (memory) TraceState;
  std::uint32_t size = 0;
  for (int i = 0; i < count; ++i) {
    if (i > 0) state->text[size++] = ',';
    std::memcpy(state->text + size, members[i].data(), members[i].size());
    if (members[i].substr(0, 3) == "ot=" && state->threshold_size == 0)
      FindThreshold(state, size + 3, members[i].substr(3));
    size += static_cast<std::uint32_t>(members[i].size());
  }
  if (count <= 0 && threshold != 0) {
    std::memcpy(state->text, "ot=th:", 6);
    state->threshold = threshold;
    state->threshold_at = 6;
    state->threshold_size = static_cast<std::uint16_t>(FormatThreshold(threshold, state->text + 6));
    size = 6u + state->threshold_size;
  }
  state->size = static_cast<std::uint16_t>(size);
  std::memcpy(static_cast<void*>(state + 1), entries, entries_size);
  state->baggage_size = static_cast<std::uint16_t>(entries_size);
  if (const std::string_view id = FindBaggage(state->baggage(), kCorrelationKey); !id.empty()) {
    state->correlation_at = static_cast<std::uint16_t>(id.data() - state->baggage().data());
    state->correlation_size = static_cast<std::uint16_t>(id.size());
  }
  return state;
}

std::uint64_t TraceState::BytesHeld() noexcept { return g_bytes.load(std::memory_order_relaxed); }

void Release(TraceState* state) noexcept {
  const std::uint64_t bytes = sizeof(TraceState) + state->baggage_size;
  std::free(state);
  g_bytes.fetch_sub(bytes, std::memory_order_relaxed);
}

}  // namespace spanwatch::internal
