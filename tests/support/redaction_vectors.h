// The lines of tests/vectors/redaction.txt.
#ifndef SPANWATCH_TESTS_SUPPORT_REDACTION_VECTORS_H_
#define SPANWATCH_TESTS_SUPPORT_REDACTION_VECTORS_H_

#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace spanwatch::testing {

struct RedactionVector {
  bool is_key = false;   // else a text
  std::string input;     // the key's name, or the text before
  std::string expected;  // the verdict, or the text after
  std::string where;     // line number and line
};

inline std::string Unescaped(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    switch (text.at(++i)) {
      case 'n':
        out += '\n';
        break;
      case 'r':
        out += '\r';
        break;
      case 't':
        out += '\t';
        break;
      case 'x':
        out += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
        i += 2;
        break;
      default:
        out += text[i];
    }
  }
  return out;
}

// Throws if a line is not as the file's head says.
inline std::vector<RedactionVector> ReadRedactionVectors() {
  std::ifstream file(SPANWATCH_SOURCE_DIR "/tests/vectors/redaction.txt");
  std::vector<RedactionVector> vectors;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    if (line.empty() || line[0] == '#') continue;
    const std::size_t first = line.find('\t');
    const std::size_t second = line.find('\t', first + 1);
    const std::string kind = line.substr(0, first);
    if (second == std::string::npos || (kind != "text" && kind != "key"))
      throw std::runtime_error("redaction.txt:" + std::to_string(number));
    RedactionVector vector;
    vector.is_key = kind == "key";
    vector.input = Unescaped(line.substr(first + 1, second - first - 1));
    vector.expected = Unescaped(line.substr(second + 1));
    if (!vector.is_key && vector.expected == "=") vector.expected = vector.input;
    vector.where = "redaction.txt:" + std::to_string(number) + ": " + line;
    vectors.push_back(vector);
  }
  if (vectors.empty()) throw std::runtime_error("redaction.txt cannot be read");
  return vectors;
}

}  // namespace spanwatch::testing

#endif  // SPANWATCH_TESTS_SUPPORT_REDACTION_VECTORS_H_
