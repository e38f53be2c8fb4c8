// What an anonymised export does to ids and names. Pure but for the key, which is random for each object: within one
// export the same id always reads the same, and no two exports can be joined by ids. One thread at a time.
#ifndef SPANWATCH_SIDECAR_HTTP_ANONYMISE_H_
#define SPANWATCH_SIDECAR_HTTP_ANONYMISE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "sdk/cpp/redact/siphash.h"
#include "spanwatch/ids.h"

namespace spanwatch::http {

// Ids are hashed by SipHash-2-4: who does not know the key cannot tell which id a hash came from, nor compute one.
class Anonymiser {
 public:
  Anonymiser();  // a key from the system's source of randomness
  explicit Anonymiser(const redact::HashKey& key) : key_(key) {}

  std::string Id(const TraceId& id) const;  // 32 hexadecimal digits
  std::string Id(const SpanId& id) const;   // 16
  // An operation: code, so it stays; but words with three digits or more become "{id}", mail addresses "{address}".
  static std::string Operation(std::string_view name);
  // JSON of another answer: ids and operations in it as above, whatever else stays. "null" if it is no JSON.
  std::string Json(std::string_view json) const;

 private:
  redact::HashKey key_;
};

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_ANONYMISE_H_
