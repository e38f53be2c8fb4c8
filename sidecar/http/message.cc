#include "sidecar/http/message.h"

#include <algorithm>

namespace spanwatch::http {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(), [](char a, char b) { return Lower(a) == b; });
}

std::string_view Trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// "/path?query", or "http://host/path" as a proxy asks.
std::string_view PathOf(std::string_view target) {
  target = target.substr(0, target.find_first_of("?#"));
  if (const auto scheme = target.find("://"); scheme != std::string_view::npos && target.front() != '/') {
    const auto slash = target.find('/', scheme + 3);
    return slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
  }
  return target;
}

bool ParseRequestLine(std::string_view line, RequestHead* out) {
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || first == 0 || last == first) return false;
  const std::string_view version = line.substr(last + 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return false;
  const std::string_view target = line.substr(first + 1, last - first - 1);
  if (target.empty() || target.find(' ') != std::string_view::npos) return false;
  out->method = line.substr(0, first);
  out->path = PathOf(target);
  out->keep_alive = version == "HTTP/1.1";
  return true;
}

}  // namespace

std::optional<std::string_view> RequestHead::Find(std::string_view lower_name) const {
  for (const auto& [name, value] : headers) {
    if (EqualsIgnoringCase(name, lower_name)) return value;
  }
  return std::nullopt;
}

bool ParseRequestHead(std::string_view head, RequestHead* out) {
  *out = {};
  std::size_t end = std::min(head.find("\r\n"), head.size());
  if (!ParseRequestLine(head.substr(0, end), out)) return false;
  while (end + 2 <= head.size()) {
    const std::size_t begin = end + 2;
    end = std::min(head.find("\r\n", begin), head.size());
    const std::string_view line = head.substr(begin, end - begin);
    if (line.empty()) break;
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) return false;
    out->headers.emplace_back(line.substr(0, colon), Trim(line.substr(colon + 1)));
  }
  if (const auto connection = out->Find("connection")) {
    if (EqualsIgnoringCase(*connection, "close")) out->keep_alive = false;
    if (EqualsIgnoringCase(*connection, "keep-alive")) out->keep_alive = true;
  }
  return true;
}

const char* ReasonPhrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 411:
      return "Length Required";
    case 413:
      return "Payload Too Large";
    case 415:
      return "Unsupported Media Type";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    default:
      return status < 400 ? "OK" : "Error";
  }
}

std::string AnswerBytes(const AnswerParts& parts) {
  std::string out = "HTTP/1.1 " + std::to_string(parts.status) + " " + ReasonPhrase(parts.status) + "\r\n";
  const auto add = [&](std::string_view name, std::string_view value) {
    out.append(name).append(": ").append(value).append("\r\n");
  };
  if (!parts.content_type.empty()) add("Content-Type", parts.content_type);
  for (const auto& [name, value] : parts.headers) add(name, value);
  if (parts.chunked) add("Transfer-Encoding", "chunked");
  if (!parts.streamed && parts.status != 204 && parts.status != 304)
    add("Content-Length", std::to_string(parts.body.size()));
  if (parts.close) add("Connection", "close");
  out += "\r\n";
  if (!parts.without_body && !parts.streamed) out += parts.body;
  return out;
}

}  // namespace spanwatch::http
