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

/// yaml-cpp 0.7 never comes back from a directive that stands after a document's content. Maps and
/// tables need none.
Status RefuseDirectives(std::string_view text, const std::string& file) {
  size_t line = 1;
  for (size_t at = 0; at < text.size(); ++at) {
    const bool begins = at == 0 || text[at - 1] == '\n' || text[at - 1] == '\r';
    if (begins && text[at] == '%') {
      return InvalidArgument("{} line {}: a YAML directive ('%') is not taken here", file, line);
    }
    if (text[at] == '\n') ++line;
  }
  return OkStatus();
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
  PX_RETURN_IF_ERROR(RefuseDirectives(text, file));
  return WithYaml(file, [&]() -> StatusOr<std::vector<YamlNode>> {
    std::vector<YamlNode> documents;
    for (YAML::Node& node : YAML::LoadAll(std::string(text))) {
      if (node.IsDefined() && !node.IsNull()) documents.emplace_back(file, node);
    }
    return documents;
  });
}

}  // namespace proxist::client
