// Readers of a dictionary beside its writer.
#include <atomic>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "proxist/column/dictionary.h"

namespace proxist::column {
namespace {

std::string NameOf(uint32_t code) { return "name of " + std::to_string(code); }

TEST(Dictionary, ReadersSeeWhatWasAddedBefore) {
  constexpr uint32_t kNames = 20'000;
  Dictionary dictionary;
  std::atomic<bool> wrong{false};
  const auto read = [&](uint32_t step) {
    uint32_t known = 0;
    for (uint32_t i = 0; known < kNames; i += step) {
      known = dictionary.size();
      if (known == 0) {
        std::this_thread::yield();
        continue;
      }
      const uint32_t code = i % known;
      const std::string name = NameOf(code);
      if (dictionary.At(code) != name || dictionary.Find(name).value_or(code) != code) wrong = true;
      // The newest entry's index slot may still be missing, every earlier one is there.
      if (code + 1 < known && dictionary.Find(name) != code) wrong = true;
      const auto ahead = dictionary.Find(NameOf(known + 3));
      if (ahead && *ahead != known + 3) wrong = true;
    }
  };
  std::thread a(read, 1);
  std::thread b(read, 7919);
  for (uint32_t i = 0; i < kNames; ++i) ASSERT_EQ(dictionary.Intern(NameOf(i)), i);
  a.join();
  b.join();
  EXPECT_FALSE(wrong);
}

}  // namespace
}  // namespace proxist::column
