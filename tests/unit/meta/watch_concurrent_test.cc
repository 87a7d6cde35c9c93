// Watches of the SQLite store, whose callbacks run on a thread of their own.
#include <condition_variable>
#include <thread>

#include <gtest/gtest.h>

#include "proxist/base/mutex.h"
#include "proxist/meta/store.h"
#include "tests/unit/meta/scratch_directory.h"

namespace proxist::meta {
namespace {

class WatchConcurrentTest : public ::testing::Test {
 protected:
  StatusOr<Revision> Put(std::string key, std::string value,
                         std::optional<Revision> expected = std::nullopt) {
    const std::vector<Mutation> one{{std::move(key), std::move(value), expected}};
    return store_->Apply(one, "test", "put");
  }

  ScratchDirectory directory_;
  std::unique_ptr<MetadataStore> store_ = OpenSqliteStore(directory_.File("meta.db")).value();
};

// Collects events and lets a test wait for a number of them.
class Recorder {
 public:
  std::function<void(const Event&)> Callback() {
    return [this](const Event& event) {
      MutexLock lock(&mutex_);
      events_.push_back(event);
      changed_.notify_all();
    };
  }
  std::vector<Event> Wait(size_t count) {
    MutexLock lock(&mutex_);
    while (events_.size() < count) changed_.wait(lock);
    return events_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<Event> events_;
};

TEST_F(WatchConcurrentTest, WatchesSeeLaterChangesInOrder) {
  ASSERT_TRUE(Put("a/0", "before").ok());
  Recorder all;
  Recorder some;
  const auto watch_all = store_->Subscribe("", all.Callback()).value();
  const auto watch_some = store_->Subscribe("a/", some.Callback()).value();
  ASSERT_TRUE(Put("a/1", "x").ok());
  ASSERT_TRUE(Put("b/1", "y").ok());
  EXPECT_EQ(Put("b/1", "z", Revision(99)).status().code(), absl::StatusCode::kAborted);
  const std::vector<Mutation> two{{"a/1", std::nullopt, {}}, {"a/2", "w", {}}, {"gone", {}, {}}};
  ASSERT_TRUE(store_->Apply(two, "test", "").ok());
  const auto text = [](const std::vector<Event>& events) {
    std::string lines;
    for (const Event& e : events) {
      lines += fmt::format("{} {} {};", e.revision.value(), e.key, e.value.value_or("-"));
    }
    return lines;
  };
  EXPECT_EQ(text(all.Wait(4)), "2 a/1 x;3 b/1 y;4 a/1 -;4 a/2 w;");
  EXPECT_EQ(text(some.Wait(3)), "2 a/1 x;4 a/1 -;4 a/2 w;");
}

TEST_F(WatchConcurrentTest, WatchOrderUnderConcurrentWriters) {
  Recorder recorder;
  const auto watch = store_->Subscribe("k", recorder.Callback()).value();
  std::vector<std::thread> writers;
  for (int w = 0; w < 4; ++w) {
    writers.emplace_back([&, w] {
      for (int i = 0; i < 25; ++i) EXPECT_TRUE(Put(fmt::format("k{}", w), "v").ok());
    });
  }
  for (std::thread& writer : writers) writer.join();
  const std::vector<Event> events = recorder.Wait(100);
  ASSERT_EQ(events.size(), 100u);
  for (size_t i = 0; i < 100; ++i) EXPECT_EQ(events[i].revision.value(), int64_t(i) + 1);
}

TEST_F(WatchConcurrentTest, NoCallbackAfterTheWatchIsGone) {
  for (int round = 0; round < 20; ++round) {
    auto alive = std::make_unique<std::atomic<bool>>(true);
    auto watch = store_
                     ->Subscribe("",
                                 [flag = alive.get()](const Event&) {
                                   EXPECT_TRUE(flag->load());
                                   std::this_thread::yield();
                                 })
                     .value();
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(Put("k", "v").ok());
    watch.reset();
    alive->store(false);
    alive.reset();  // a callback now would read freed memory
  }
}

TEST_F(WatchConcurrentTest, CallbacksMayUseTheStoreAndEndTheirWatch) {
  Recorder recorder;
  const auto outer = store_->Subscribe("done", recorder.Callback()).value();
  std::unique_ptr<Watch> inner;
  Mutex mutex;
  {
    MutexLock lock(&mutex);
    inner = store_
                ->Subscribe("k",
                            [&](const Event& event) {
                              MutexLock held(&mutex);
                              inner.reset();
                              EXPECT_TRUE(Put("done", *event.value).ok());
                            })
                .value();
  }
  ASSERT_TRUE(Put("k", "first").ok());
  const std::vector<Event> events = recorder.Wait(1);
  EXPECT_EQ(events[0].value, "first");
}

TEST_F(WatchConcurrentTest, WatchMayOutliveTheStore) {
  Recorder recorder;
  auto watch = store_->Subscribe("", recorder.Callback()).value();
  ASSERT_TRUE(Put("k", "v").ok());
  store_.reset();
  watch.reset();
}

}  // namespace
}  // namespace proxist::meta
