// Strict reading of small YAML files: every error names the file and the line.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <yaml-cpp/yaml.h>

#include "proxist/base/status.h"

namespace proxist::client {

/// The most bytes that a declaration or map file may have.
inline constexpr size_t kMaxYamlBytes = size_t{1} << 20;

/// One place of a YAML file: a node and the file's name for errors. Cheap to copy. The functions
/// here may throw YAML::Exception; WithYaml turns that into a Status.
class YamlNode {
 public:
  YamlNode(std::string file, YAML::Node node) : file_(std::move(file)), node_(std::move(node)) {}

  [[nodiscard]] int line() const { return node_.Mark().line + 1; }
  /// INVALID_ARGUMENT "FILE line N: message".
  [[nodiscard]] Status Error(std::string_view message) const;

  /// The keys of a mapping; an error when this is no mapping, a key stands twice, or one is not in
  /// `known`. `what` names the place ("a column").
  Status RequireMapping(std::string_view what, std::initializer_list<std::string_view> known) const;
  [[nodiscard]] bool Has(std::string_view key) const { return Find(key).has_value(); }
  /// The value of `key`, which must be there.
  [[nodiscard]] YamlNode At(std::string_view key) const;
  /// Key and value of every entry, in the file's order.
  [[nodiscard]] std::vector<std::pair<YamlNode, YamlNode>> Entries() const;

  /// `what` names the value in the error: "name is missing, expected ...".
  StatusOr<std::string> Text(std::string_view what) const;
  StatusOr<bool> Bool(std::string_view what) const;
  StatusOr<uint64_t> Unsigned(std::string_view what, uint64_t least, uint64_t most) const;
  /// A sequence of texts, or one text alone.
  StatusOr<std::vector<std::string>> Texts(std::string_view what) const;
  /// The elements of a sequence.
  StatusOr<std::vector<YamlNode>> Elements(std::string_view what) const;
  /// True for a mapping with this key.
  [[nodiscard]] bool IsMappingWith(std::string_view key) const { return IsMapping() && Has(key); }
  [[nodiscard]] bool IsMapping() const { return node_.IsMap(); }

 private:
  [[nodiscard]] std::optional<YAML::Node> Find(std::string_view key) const;
  std::string file_;
  YAML::Node node_;
};

/// The documents of `text`, empty ones left out. INVALID_ARGUMENT for what is not YAML.
StatusOr<std::vector<YamlNode>> LoadYaml(std::string_view text, const std::string& file);

/// Calls `read` and turns an exception of the YAML library into INVALID_ARGUMENT with its line.
template <typename Read>
auto WithYaml(const std::string& file, Read read) -> decltype(read()) {
  try {
    return read();
  } catch (const YAML::Exception& error) {
    return InvalidArgument("{} line {}: {}", file, error.mark.line + 1, error.msg);
  }
}

}  // namespace proxist::client
