#include "sidecar/http/framing.h"

#include <algorithm>
#include <charconv>

namespace spanwatch::http {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool IsName(std::string_view name, std::string_view lower) {
  return std::equal(name.begin(), name.end(), lower.begin(), lower.end(), [](char a, char b) { return Lower(a) == b; });
}

std::string_view Trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

struct BodyHeaders {
  bool bad = false;
  bool chunked = false;
  bool expects_continue = false;
  bool has_length = false;
  std::uint64_t length = 0;
};

BodyHeaders ReadBodyHeaders(std::string_view head) {
  BodyHeaders result;
  for (std::size_t at = head.find("\r\n"); at != std::string_view::npos;) {
    at += 2;
    const std::size_t end = head.find("\r\n", at);
    const std::string_view line = head.substr(at, end == std::string_view::npos ? end : end - at);
    at = end;
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    // A blank before the colon is a trick to make two readers see two things.
    const std::string_view name = line.substr(0, colon), value = Trim(line.substr(colon + 1));
    if (IsName(Trim(name), "expect")) result.expects_continue = IsName(value, "100-continue");
    if (IsName(Trim(name), "transfer-encoding")) {
      if (name != Trim(name) || result.chunked || !IsName(value, "chunked")) result.bad = true;
      result.chunked = true;
    }
    if (!IsName(Trim(name), "content-length")) continue;
    std::uint64_t length = 0;
    const auto parsed = std::from_chars(value.data(), value.data() + value.size(), length);
    if (name != Trim(name) || value.empty() || parsed.ec != std::errc() || parsed.ptr != value.data() + value.size() ||
        (result.has_length && length != result.length)) {
      result.bad = true;
    }
    result.has_length = true;
    result.length = length;
  }
  // Two ways to say where the body ends are one too many.
  if (result.chunked && result.has_length) result.bad = true;
  return result;
}

}  // namespace

Frame FindFrame(std::string_view data, std::size_t max_head, std::size_t max_body, bool allow_chunked) {
  Frame frame;
  const std::size_t end = data.substr(0, max_head).find("\r\n\r\n");
  if (end == std::string_view::npos) {
    if (data.size() >= max_head) frame.state = FrameState::kHeadTooLarge;
    return frame;
  }
  frame.head_size = end + 4;
  const std::string_view line = data.substr(0, data.find("\r\n"));
  if (const auto first = line.find(' '); first != std::string_view::npos) {
    frame.target = line.substr(first + 1, line.find(' ', first + 1) - first - 1);
  }
  const BodyHeaders body = ReadBodyHeaders(data.substr(0, end));
  frame.expects_continue = body.expects_continue;
  if (body.bad) {
    frame.state = FrameState::kBadLength;
  } else if (body.chunked) {
    frame.state = allow_chunked ? FrameState::kChunked : FrameState::kNeedsLength;
  } else if (body.length > max_body) {
    frame.state = FrameState::kBodyTooLarge;
  } else {
    frame.size = frame.head_size + static_cast<std::size_t>(body.length);
    frame.state = data.size() >= frame.size ? FrameState::kComplete : FrameState::kBody;
  }
  return frame;
}

std::string Chunk(std::string piece, bool last) {
  if (!piece.empty()) {
    char size[20];
    const auto end = std::to_chars(size, size + sizeof size, piece.size(), 16).ptr;
    piece.insert(0, std::string(size, end) + "\r\n");
    piece += "\r\n";
  }
  if (last) piece += "0\r\n\r\n";
  return piece;
}

std::string ErrorAnswer(int status, std::string_view reason_phrase, std::string_view message) {
  std::string body = "{\"error\":\"";
  body.append(message).append("\"}\n");
  std::string answer = "HTTP/1.1 " + std::to_string(status) + " ";
  answer.append(reason_phrase)
      .append("\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\nContent-Length: ");
  answer.append(std::to_string(body.size())).append("\r\nConnection: close\r\n\r\n").append(body);
  return answer;
}

}  // namespace spanwatch::http
