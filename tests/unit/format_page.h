// Compares a FORMAT.md with the fields that the code declares.
#pragma once

#include <array>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "proxist/base/field.h"

namespace proxist {

/// A file of the source tree, by its path from the root.
inline std::string Source(const std::string& path) {
  const std::string file = __FILE__;
  return file.substr(0, file.rfind("/tests/")) + "/" + path;
}

/// The text of a FORMAT.md.
inline std::string FormatPage(const std::string& path) {
  std::ifstream in(Source(path));
  EXPECT_TRUE(in.good()) << path;
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

/// "name offset size" for each row of the page's table that describes `kind`.
inline std::vector<std::string> Documented(const std::string& page, const std::string& kind) {
  std::istringstream in(page);
  const std::regex heading("\\| offset \\| bytes \\| (\\w+) field \\| meaning \\|");
  const std::regex row("\\| (\\d+) \\| (\\d+) \\| (\\w+) \\|.*");
  std::vector<std::string> fields;
  std::string current;
  for (std::string line; std::getline(in, line);) {
    std::smatch match;
    if (std::regex_match(line, match, heading)) current = match[1];
    if (current == kind && std::regex_match(line, match, row)) {
      fields.push_back(fmt::format("{} {} {}", match[3].str(), match[1].str(), match[2].str()));
    }
    if (line.empty()) current.clear();
  }
  return fields;
}

/// The same of what the code declares, which has no gaps from `begin` to `end`.
template <size_t N>
std::vector<std::string> Coded(const std::array<Field, N>& fields, size_t end, size_t begin = 0) {
  std::vector<std::string> lines;
  size_t next = begin;
  for (const Field& field : fields) {
    EXPECT_EQ(field.offset, next) << field.name;
    next = field.offset + field.size;
    lines.push_back(fmt::format("{} {} {}", field.name, field.offset, field.size));
  }
  EXPECT_EQ(next, end);
  return lines;
}

}  // namespace proxist
