// Codes and growth.
#include "proxist/column/dictionary.h"

#include <string>
#include <unordered_map>
#include <vector>

#include <gtest/gtest.h>

namespace proxist::column {
namespace {

std::string NameOf(uint32_t i) {
  return std::string(i % 40, static_cast<char>('a' + i % 26)) + std::to_string(i);
}

TEST(Dictionary, CodesAreDense) {
  Dictionary dictionary;
  EXPECT_EQ(dictionary.size(), 0u);
  EXPECT_EQ(dictionary.Find("AIG"), std::nullopt);
  EXPECT_EQ(dictionary.Intern("AIG"), 0u);
  EXPECT_EQ(dictionary.Intern(""), 1u);
  EXPECT_EQ(dictionary.Intern(std::string(100'000, 'x')), 2u);
  EXPECT_EQ(dictionary.Intern(std::string_view("A\0B", 3)), 3u);
  EXPECT_EQ(dictionary.Intern("AIG"), 0u);
  EXPECT_EQ(dictionary.Find(""), 1u);
  EXPECT_EQ(dictionary.Find("A"), std::nullopt);
  EXPECT_EQ(dictionary.At(1), "");
  EXPECT_EQ(dictionary.At(2), std::string(100'000, 'x'));
  EXPECT_EQ(dictionary.At(3), std::string_view("A\0B", 3));
  EXPECT_EQ(dictionary.size(), 4u);
}

TEST(Dictionary, GrowsWithoutMovingStrings) {
  Dictionary dictionary;
  std::unordered_map<std::string, uint32_t> model;
  const char* first = nullptr;
  size_t bytes = dictionary.SizeBytes();
  for (uint32_t i = 0; i < 20'000; ++i) {
    const std::string name = NameOf(i * 7919 % 15'000);
    const auto [it, fresh] = model.emplace(name, static_cast<uint32_t>(model.size()));
    ASSERT_EQ(dictionary.Intern(name), it->second);
    if (i == 0) first = dictionary.At(0).data();
    ASSERT_GE(dictionary.SizeBytes(), bytes);
    bytes = dictionary.SizeBytes();
  }
  EXPECT_EQ(dictionary.size(), model.size());
  EXPECT_EQ(dictionary.At(0).data(), first);
  for (const auto& [name, code] : model) {
    ASSERT_EQ(dictionary.Find(name), code);
    ASSERT_EQ(dictionary.At(code), name);
  }
  EXPECT_EQ(dictionary.Find(NameOf(15'000)), std::nullopt);
  EXPECT_GT(dictionary.SizeBytes(), model.size() * 30);
}

TEST(Dictionary, FindsManyAtOnce) {
  Dictionary dictionary;
  for (uint32_t round = 0; round < 200; ++round) {
    // Known and unknown ones, one of them twice, more than are looked up together.
    std::vector<std::string> names;
    std::vector<uint32_t> which;
    for (uint32_t i = 0; i < 100; ++i) {
      names.push_back(NameOf((round * 13 + i) % 900));
      if (i % 3 != 0) which.push_back(99 - i);
      if (i % 2 != 0) dictionary.Intern(names.back());
    }
    which.push_back(which.front());
    const std::vector<std::string_view> texts(names.begin(), names.end());
    constexpr uint32_t kBefore = 12345678;
    std::vector<uint32_t> codes(names.size(), kBefore);
    dictionary.FindAll(texts, which, codes);
    for (const uint32_t i : which) {
      ASSERT_EQ(codes[i], dictionary.Find(names[i]).value_or(kBefore)) << names[i];
    }
    EXPECT_EQ(codes[0], kBefore) << "it was not asked for";
  }
}

}  // namespace
}  // namespace proxist::column
