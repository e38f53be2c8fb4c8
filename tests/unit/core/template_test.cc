#include "sidecar/core/template.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "sidecar/core/utf8.h"

namespace spanwatch::core {
namespace {

std::string Render(std::string_view text) {
  const TemplateValue values[] = {{"value", "12.3 s", 12.3456e9}, {"size", "120 MB", 120.0 * (1 << 20)},
                                  {"share", "20 %", 0.2},         {"count", "1234567", 1234567.25},
                                  {"money", "$ 5.00", 5},         {"service", "my bot/é"},
                                  {"sneaky", "{{ value }}"},      {"value", "second"}};
  return RenderTemplate(text, values);
}

TEST(TemplateTest, NamesAndTheirFormats) {
  EXPECT_EQ(Render("{{ value }} {{value}} {{  service  }}"), "12.3 s 12.3 s my bot/é");
  EXPECT_EQ(Render("{{ value | duration }}, {{ value|humanizeDuration }}"), "12.3 s, 12.3 s");
  EXPECT_EQ(Render("{{ value | seconds }} {{ value | milliseconds }}"), "12.3456 12345.6");
  EXPECT_EQ(Render("{{ size | bytes }} {{ size | humanize1024 }} {{ size | number }}"), "120 MB 120 MB 125829120");
  EXPECT_EQ(Render("{{ share | percent }} {{ share | humanizePercentage }} {{ share | number }}"), "20 % 20 % 0.2");
  EXPECT_EQ(Render("{{ count | humanize }} {{ count | number }}"), "1.23 M 1234567.25");
  EXPECT_EQ(RenderTemplate("{{ n | humanize }}", std::vector<TemplateValue>{{"n", "1234", 1234}}), "1.23 k");
  EXPECT_EQ(Render("{{ money | dollars }} {{ money | humanize }}"), "$ 5.00 5");
  EXPECT_EQ(Render("{{ service | upper }} {{ service | title }} {{ service | urlquery }}"),
            "MY BOT/é My Bot/é my%20bot%2F%C3%A9");
}

TEST(TemplateTest, WhatIsUnknownStays) {
  EXPECT_EQ(Render("{{ nothing }} {{ value | nothing }} {{ value | }} {{}}"),
            "{{ nothing }} {{ value | nothing }} 12.3 s {{}}");
  EXPECT_EQ(Render("a {{ value"), "a {{ value");
  EXPECT_EQ(Render("a }} b {{ value }}"), "a }} b 12.3 s");
  EXPECT_EQ(Render("{{ {{ value }}"), "{{ {{ value }}") << "the name is \"{{ value\"";
  EXPECT_EQ(Render("{{ service | bytes }}"), "my bot/é") << "a text is no number";
}

TEST(TemplateTest, ValuesAreNotTemplates) { EXPECT_EQ(Render("{{ sneaky }}"), "{{ value }}"); }

TEST(TemplateTest, NumbersOfAnySize) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const double number : {0.0, -0.0, 1e-300, -1e308, 1e308, kInfinity, -kInfinity, std::nan("")}) {
    const TemplateValue values[] = {{"n", "text", number}};
    for (const TemplateFormatName& format : TemplateFormatNames()) {
      const std::string rendered = RenderTemplate("{{ n | " + std::string(format.name) + " }}", values);
      EXPECT_FALSE(rendered.empty()) << format.name;
      EXPECT_EQ(rendered.find("{{"), std::string::npos) << format.name;
    }
  }
  const TemplateValue values[] = {{"n", "", -0.0000001}};
  EXPECT_EQ(RenderTemplate("{{ n | number }}", values), "0");
}

TEST(TemplateTest, FormatsHaveOneName) {
  for (const TemplateFormatName& a : TemplateFormatNames()) {
    EXPECT_EQ(FindTemplateFormat(a.name), a.format);
    int own_names = 0;
    for (const TemplateFormatName& b : TemplateFormatNames()) own_names += b.format == a.format && !b.is_synonym;
    EXPECT_EQ(own_names, 1) << a.name;
  }
  EXPECT_FALSE(FindTemplateFormat("printf"));
}

// Pieces put together are the text; what is rendered is bounded and whole UTF-8.
TEST(TemplateTest, AnyTextIsTaken) {
  const std::string alphabet[] = {"{{", "}}", "{", "}", "|", " ", "value", "urlquery", "é", "a", "\n"};
  std::mt19937 random(7);
  const std::string large(5000, 'x');
  const std::string wide = std::string(2046, 'x') + "éé";
  const TemplateValue values[] = {{"value", large}, {"a", wide}};
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (std::uint32_t i = 0, n = random() % 12; i < n; ++i) text += alphabet[random() % std::size(alphabet)];
    std::string together;
    for (std::string_view rest = text; !rest.empty();) {
      const TemplatePiece piece = TakeTemplatePiece(&rest);
      ASSERT_FALSE(piece.text.empty());
      together += piece.text;
    }
    ASSERT_EQ(together, text);
    const std::string rendered = RenderTemplate(text, values);
    ASSERT_LE(rendered.size(), kMaxRendered);
    ASSERT_TRUE(IsUtf8(rendered)) << text;
  }
}

}  // namespace
}  // namespace spanwatch::core
