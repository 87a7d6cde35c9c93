// Strict reading of small YAML files: every error names the file and the line.
#include "proxist/client/internal/yaml_reader.h"

#include <algorithm>
#include <charconv>

#include "proxist/base/check.h"
#include "proxist/client/internal/fixed_point.h"

namespace proxist::client {
namespace {

// A plain `null` as a key is a null node to the library; here it is a word like any other.
std::optional<std::string> KeyText(const YAML::Node& key) {
  if (key.IsNull()) return "null";
  if (!key.IsScalar()) return std::nullopt;
  return key.Scalar();
}

/// The documents of `text`, each behind as many empty lines as stand before it, so that line
/// numbers hold. yaml-cpp 0.7 reads one document well, but may go round for ever over a damaged
/// stream of them, and over a directive ('%'), which maps and tables do not need.
StatusOr<std::vector<std::string>> SplitDocuments(std::string_view text, const std::string& file) {
  std::vector<std::string> documents(1);
  size_t line = 1;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    const std::string_view one = text.substr(0, end);
    if (one.starts_with('%') || one.find("\r%") != std::string_view::npos) {
      return InvalidArgument("{} line {}: a YAML directive ('%') is not taken here", file, line);
    }
    if (one.starts_with("---") || one.starts_with("...")) {
      documents.emplace_back(line - 1, '\n');
    }
    documents.back() += one.starts_with("...") ? std::string_view("\n") : one;
    text.remove_prefix(end);
    ++line;
  }
  return documents;
}

}  // namespace

std::optional<YAML::Node> YamlNode::Find(std::string_view key) const {
  if (!node_.IsMap()) return std::nullopt;
  for (const auto& entry : node_) {
    if (KeyText(entry.first) == key) return entry.second;
  }
  return std::nullopt;
}

YamlNode YamlNode::At(std::string_view key) const {
  std::optional<YAML::Node> value = Find(key);
  PX_CHECK(value.has_value());
  return {file_, *value};
}

Status YamlNode::Error(std::string_view message) const {
  return InvalidArgument("{} line {}: {}", file_, line(), message);
}

Status YamlNode::RequireMapping(std::string_view what,
                                std::initializer_list<std::string_view> known) const {
  if (!node_.IsMap()) return Error(fmt::format("{} must be a mapping (key: value)", what));
  std::vector<std::string> seen;
  for (const auto& [key, value] : Entries()) {
    const std::optional<std::string> text = KeyText(key.node_);
    if (!text) return key.Error("a key must be a single word");
    std::string name = *text;
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return key.Error(fmt::format("unknown key {} in {}, expected one of: {}", Quoted(name), what,
                                   fmt::join(known, ", ")));
    }
    if (std::find(seen.begin(), seen.end(), name) != seen.end()) {
      return key.Error(fmt::format("{} stands twice in {}", Quoted(name), what));
    }
    seen.push_back(std::move(name));
  }
  return OkStatus();
}

std::vector<std::pair<YamlNode, YamlNode>> YamlNode::Entries() const {
  std::vector<std::pair<YamlNode, YamlNode>> entries;
  for (const auto& entry : node_) {
    entries.emplace_back(YamlNode(file_, entry.first), YamlNode(file_, entry.second));
  }
  return entries;
}

StatusOr<std::string> YamlNode::Text(std::string_view what) const {
  if (!node_.IsScalar()) return Error(fmt::format("{} must be a single value", what));
  return node_.Scalar();
}

StatusOr<bool> YamlNode::Bool(std::string_view what) const {
  PX_ASSIGN_OR_RETURN(const std::string text, Text(what));
  if (text == "true") return true;
  if (text == "false") return false;
  return Error(fmt::format("{} is {}, expected true or false", what, Quoted(text)));
}

StatusOr<uint64_t> YamlNode::Unsigned(std::string_view what, uint64_t least, uint64_t most) const {
  PX_ASSIGN_OR_RETURN(const std::string text, Text(what));
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || value < least || value > most) {
    return Error(fmt::format("{} is {}, expected an integer from {} to {}", what, Quoted(text),
                             least, most));
  }
  return value;
}

StatusOr<std::vector<YamlNode>> YamlNode::Elements(std::string_view what) const {
  if (!node_.IsSequence()) return Error(fmt::format("{} must be a list", what));
  std::vector<YamlNode> elements;
  for (const auto& element : node_) elements.emplace_back(file_, element);
  return elements;
}

StatusOr<std::vector<std::string>> YamlNode::Texts(std::string_view what) const {
  std::vector<std::string> texts;
  if (node_.IsScalar()) {
    texts.push_back(node_.Scalar());
    return texts;
  }
  PX_ASSIGN_OR_RETURN(const std::vector<YamlNode> elements, Elements(what));
  for (const YamlNode& element : elements) {
    PX_ASSIGN_OR_RETURN(std::string text, element.Text(what));
    texts.push_back(std::move(text));
  }
  return texts;
}

StatusOr<std::vector<YamlNode>> LoadYaml(std::string_view text, const std::string& file) {
  PX_ASSIGN_OR_RETURN(const std::vector<std::string> texts, SplitDocuments(text, file));
  return WithYaml(file, [&]() -> StatusOr<std::vector<YamlNode>> {
    std::vector<YamlNode> documents;
    for (const std::string& one : texts) {
      const YAML::Node node = YAML::Load(one);
      if (node.IsDefined() && !node.IsNull()) documents.emplace_back(file, node);
    }
    return documents;
  });
}

}  // namespace proxist::client
