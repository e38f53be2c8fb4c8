#include "sidecar/forward/retry.h"

#include <time.h>

#include <algorithm>
#include <charconv>

#include "sidecar/ingest/pbf.h"

namespace spanwatch::forward {
namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::int64_t kLongestWaitSeconds = 86'400;
constexpr std::size_t kMaxText = 300;

// One line of printable ASCII; other bytes become spaces.
std::string Clean(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, kMaxText)) {
    if (c >= ' ' && c < 0x7f) {
      out.push_back(c);
    } else if (!out.empty() && out.back() != ' ') {
      out.push_back(' ');
    }
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

// The string at `field` of a message; empty if there is none or these are other bytes.
std::string StringField(std::string_view bytes, protozero::pbf_tag_type field) {
  std::string found;
  try {
    protozero::pbf_reader reader(bytes);
    while (reader.next()) {
      if (reader.tag() == field && reader.wire_type() == protozero::pbf_wire_type::length_delimited) {
        found = reader.get_string();
      } else {
        reader.skip();
      }
    }
  } catch (const protozero::exception&) {
    return "";
  }
  return found;
}

// ExportTraceServiceResponse. Bytes that are not one say nothing: the request was accepted all the same.
void ReadPartialSuccess(std::string_view bytes, Judgement* out) {
  const std::string partial = StringField(bytes, 1);
  std::int64_t rejected = 0;
  try {
    protozero::pbf_reader reader(partial);
    while (reader.next()) {
      if (reader.tag() == 1 && reader.wire_type() == protozero::pbf_wire_type::varint) {
        rejected = reader.get_int64();
      } else {
        reader.skip();
      }
    }
  } catch (const protozero::exception&) {
    return;
  }
  const std::string message = Clean(StringField(partial, 2));
  out->rejected_spans = static_cast<std::uint64_t>(std::max<std::int64_t>(rejected, 0));
  if (rejected > 0) {
    out->text = "the backend rejected " + std::to_string(rejected) + " spans" + (message.empty() ? "" : ": " + message);
  } else if (!message.empty()) {
    out->text = "the backend warns: " + message;
  }
}

std::string Explain(const client::Response& response) {
  std::string said;
  if (response.Header("Content-Type").starts_with("application/x-protobuf")) {
    said = Clean(StringField(response.body, 2));  // google.rpc.Status
  } else {
    said = Clean(response.body);
  }
  return "the backend answered " + std::to_string(response.status) + (said.empty() ? "" : ": " + said);
}

}  // namespace

std::int64_t ParseRetryAfter(std::string_view text, std::int64_t wall_now_ns) {
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (!text.empty() && error == std::errc() && end == text.data() + text.size() && seconds >= 0) {
    return std::min(seconds, kLongestWaitSeconds) * kSecondNs;
  }
  tm date{};
  const std::string copy(text.substr(0, 64));
  const char* const rest = ::strptime(copy.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date);
  if (rest == nullptr || *rest != '\0') return -1;
  const std::int64_t at = ::timegm(&date);
  return std::clamp<std::int64_t>(at - wall_now_ns / kSecondNs, 0, kLongestWaitSeconds) * kSecondNs;
}

Judgement Judge(const client::Response& response, std::int64_t wall_now_ns) {
  Judgement judgement;
  if (response.status == 0) {
    judgement.text = response.transport_error;
    return judgement;
  }
  if (response.status >= 200 && response.status < 300) {
    judgement.verdict = Verdict::kAccepted;
    if (response.Header("Content-Type").starts_with("application/x-protobuf")) {
      ReadPartialSuccess(response.body, &judgement);
    }
    return judgement;
  }
  judgement.text = Explain(response);
  switch (response.status) {
    case 429:
    case 502:
    case 503:
    case 504:
      judgement.retry_after_ns =
          std::max<std::int64_t>(ParseRetryAfter(response.Header("Retry-After"), wall_now_ns), 0);
      break;
    default:
      judgement.verdict = Verdict::kRejected;
  }
  return judgement;
}

bool RetryPolicy::Failed(std::int64_t now_ns, std::int64_t retry_after_ns) {
  backoff_ns_ = backoff_ns_ == 0 ? options_.first_ns : std::min(backoff_ns_ * 2, options_.longest_ns);
  random_ = random_ * 6364136223846793005u + 1442695040888963407u;
  const auto share = static_cast<double>(random_ >> 33) / static_cast<double>(std::uint64_t{1} << 31);
  const auto jittered = static_cast<std::int64_t>(static_cast<double>(backoff_ns_) * (0.5 + 0.5 * share));
  const std::int64_t wait = std::max(jittered, std::min(retry_after_ns, options_.max_elapsed_ns));
  not_before_ns_ = now_ns + wait;
  return not_before_ns_ - began_ns_ <= options_.max_elapsed_ns;
}

void RetryPolicy::Answered() {
  backoff_ns_ = 0;
  not_before_ns_ = INT64_MIN;
}

}  // namespace spanwatch::forward
