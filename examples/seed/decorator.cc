// spanwatch-seed-decorator: traces a service whose callers cannot change, between them and it.
#include <cstdio>
#include <string>

#include "spanwatch/instrument.h"
#include "spanwatch/spanwatch.h"

namespace {

class Translator {
 public:
  virtual ~Translator() = default;
  virtual std::string Translate(const std::string& text, const std::string& language) = 0;
  virtual int Characters() const = 0;
};

class RealTranslator final : public Translator {
 public:
  std::string Translate(const std::string& text, const std::string& language) override {
    characters_ += static_cast<int>(text.size());
    return text + " (" + language + ")";
  }
  int Characters() const override { return characters_; }

 private:
  int characters_ = 0;
};

class TracedTranslator final : public Translator {
 public:
  explicit TracedTranslator(Translator* next) : next_(next) {}

  std::string Translate(const std::string& text, const std::string& language) override {
    return next_.Call<&Translator::Translate>(text, language);
  }
  int Characters() const override { return next_.Call<&Translator::Characters>(); }

 private:
  spanwatch::Instrumented<Translator, spanwatch::LlmProfile> next_;
};

// Somebody else's code.
void Greet(Translator* translator) { std::printf("%s\n", translator->Translate("hello", "fr").c_str()); }

}  // namespace

int main() {
  spanwatch::Start();
  RealTranslator real;
  TracedTranslator traced(&real);
  Greet(&traced);  // a span Translator.Translate
  spanwatch::Shutdown();
}
