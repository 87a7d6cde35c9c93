// FORMAT.md says what the code does.
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxist/meta/internal/layout.h"

namespace proxist::meta {
namespace {

using ::testing::HasSubstr;

TEST(MetadataFormat, PageSaysWhatTheCodeDoes) {
  const std::string file = __FILE__;  // <root>/tests/unit/meta/format_test.cc
  std::ifstream in(file.substr(0, file.rfind("tests/unit/")) + "src/proxist/meta/FORMAT.md");
  const std::string page{std::istreambuf_iterator<char>(in), {}};
  EXPECT_THAT(page, HasSubstr(fmt::format("## The file, layout {}\n", kLayout)));
  EXPECT_THAT(page, HasSubstr(fmt::format("`layout` (`{}`)", kLayout)));
  EXPECT_THAT(page, HasSubstr(fmt::format("`{:#x}`", kApplicationId)));
  EXPECT_THAT(page, HasSubstr(fmt::format("start with `{}`", kAuditedPrefix)));
}

}  // namespace
}  // namespace proxist::meta
