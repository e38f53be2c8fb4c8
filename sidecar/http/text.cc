#include "sidecar/http/text.h"

#include <chrono>
#include <cstdio>

namespace spanwatch::http {

std::string TimeText(std::int64_t ns) {
  using std::chrono::nanoseconds;
  const std::chrono::sys_time<nanoseconds> time{nanoseconds(ns)};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::int64_t ms = std::chrono::floor<std::chrono::milliseconds>(time - day).count();
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(ms / 3'600'000), static_cast<int>(ms / 60'000 % 60), static_cast<int>(ms / 1000 % 60),
                static_cast<int>(ms % 1000));
  return buffer;
}

std::string DurationText(std::int64_t ns) {
  char buffer[64];
  const double value = static_cast<double>(ns);
  if (ns < 1'000) {
    std::snprintf(buffer, sizeof buffer, "%lld ns", static_cast<long long>(ns));
  } else if (ns < 1'000'000) {
    std::snprintf(buffer, sizeof buffer, "%.3g us", value / 1e3);
  } else if (ns < 999'500'000) {
    std::snprintf(buffer, sizeof buffer, "%.3g ms", value / 1e6);
  } else if (ns < 60'000'000'000) {
    std::snprintf(buffer, sizeof buffer, "%.3g s", value / 1e9);
  } else if (ns < 3'600'000'000'000) {
    std::snprintf(buffer, sizeof buffer, "%lld min %lld s", static_cast<long long>(ns / 60'000'000'000),
                  static_cast<long long>(ns / 1'000'000'000 % 60));
  } else {
    std::snprintf(buffer, sizeof buffer, "%lld h %lld min", static_cast<long long>(ns / 3'600'000'000'000),
                  static_cast<long long>(ns / 60'000'000'000 % 60));
  }
  return buffer;
}

std::string Plural(std::uint64_t count, std::string_view noun) {
  std::string text = std::to_string(count) + " ";
  text.append(noun);
  return count == 1 ? text : text + "s";
}

std::string EscapeHtml(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '\t':
      case '\n':
        out += c;
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
          out += "\xEF\xBF\xBD";
        } else {
          out += c;
        }
    }
  }
  return out;
}

std::string Base64(std::string_view bytes) {
  constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += i + k > bytes.size() ? '=' : kAlphabet[group >> (18 - 6 * k) & 63];
    }
  }
  return out;
}

const char* KindText(core::SpanKind kind) {
  switch (kind) {
    case core::SpanKind::kInternal:
      return "internal";
    case core::SpanKind::kServer:
      return "server";
    case core::SpanKind::kClient:
      return "client";
    case core::SpanKind::kProducer:
      return "producer";
    case core::SpanKind::kConsumer:
      return "consumer";
    case core::SpanKind::kUnspecified:
      break;
  }
  return "unspecified";
}

}  // namespace spanwatch::http
