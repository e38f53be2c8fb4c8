// A pull reader of JSON text: the caller asks for what it expects, and nothing is kept that it does not ask for. Strict
// RFC 8259 but for what real exporters send: a \u escape of half a character (a text cut by length) and bytes that are
// no UTF-8 are text too; the first becomes U+FFFD, the second pass through. After the first error every function says
// false. Not thread-safe.
#ifndef SPANWATCH_SIDECAR_INGEST_OTLP_JSON_READER_H_
#define SPANWATCH_SIDECAR_INGEST_OTLP_JSON_READER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace spanwatch::ingest {

class JsonReader {
 public:
  enum class Kind : std::uint8_t { kObject, kArray, kString, kNumber, kTrue, kFalse, kNull, kNothing };

  JsonReader(std::string_view text, int max_depth) : text_(text), max_depth_(max_depth) {}

  // What comes next; kNothing: no value begins here.
  Kind Peek();

  // `first` starts as true for each object or array. False: it has ended, or an error (see ok()).
  bool Enter(Kind kind);
  bool NextMember(bool* first, std::string_view* name);  // the name is valid until the next call of any function
  bool NextElement(bool* first);

  bool String(std::string_view* text);  // valid until the next String() or NextMember()
  bool Number(std::string_view* digits);
  bool Literal();  // true, false, null
  bool Skip();     // any value
  bool End();      // nothing but white space is left

  bool Fail(std::string message);  // says false
  bool ok() const { return error_.empty(); }
  const std::string& error() const { return error_; }
  std::size_t offset() const { return at_; }

 private:
  char At() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void SkipSpace();
  bool Unescape(std::size_t begin, std::string_view* text);
  bool Escape();
  bool CodeUnit(std::uint32_t* unit);
  bool Digits();

  const std::string_view text_;
  const int max_depth_;
  std::size_t at_ = 0;
  int depth_ = 0;
  std::string scratch_;
  std::string error_;
};

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_OTLP_JSON_READER_H_
