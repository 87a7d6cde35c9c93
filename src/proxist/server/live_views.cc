#include "proxist/server/live_views.h"

#include <chrono>

#include "proxist/observe/log.h"

namespace proxist::server {
namespace {

// How often seams that are due are let go, and history's readiness is looked at.
constexpr auto kTick = std::chrono::milliseconds(200);
// Views are looked at again so often, in case somebody dropped one or ClickHouse lost it.
constexpr int kTicksBetweenChecks = 150;
constexpr int kTicksBetweenTries = 5;
constexpr auto kAwayPause = std::chrono::milliseconds(20);

}  // namespace

LiveViews::LiveViews(const Ports& ports, history::LiveEndpoint endpoint)
    : ports_(ports), endpoint_(std::move(endpoint)) {
  state_.endpoint = endpoint_.url;
  thread_ = std::thread([this] { Loop(); });
}

LiveViews::~LiveViews() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void LiveViews::Wake() {
  {
    MutexLock lock(&mutex_);
    woken_ = true;
  }
  wake_.notify_all();
}

LiveViews::State LiveViews::state() const {
  MutexLock lock(&mutex_);
  return state_;
}

bool LiveViews::Ensure() {
  size_t views = 0;
  Status failed;
  for (const column::SchemaPtr& schema : ports_.catalog->Tables()) {
    Status status = ports_.history->EnsureTable(*schema);
    if (status.ok()) status = ports_.history->EnsureView(*schema, endpoint_);
    if (status.ok()) {
      ++views;
    } else if (failed.ok()) {
      failed = Annotate(status, fmt::format("live view {}.{}", schema->tenant, schema->name));
    }
  }
  MutexLock lock(&mutex_);
  if (!failed.ok() && state_.last_error != Message(failed)) {
    observe::LogWarning("{}", Message(failed));
  }
  state_.views = views;
  state_.last_error = std::string(Message(failed));
  return failed.ok();
}

void LiveViews::Loop() {
  int ticks = 0;  // until the views are looked at again
  std::string seen_server;
  while (true) {
    bool due = false;
    {
      MutexLock lock(&mutex_);
      wake_.wait_for(lock, kTick, [this]() PX_REQUIRES(mutex_) { return stop_ || woken_; });
      if (stop_) return;
      due = woken_ || --ticks <= 0;
    }
    ports_.seams->Sweep();
    std::string server = ports_.server();
    if (!due && server == seen_server) continue;
    if (!ports_.ready()) {
      // A wake is not forgotten while history is away.
      std::this_thread::sleep_for(kAwayPause);
      continue;
    }
    {
      MutexLock lock(&mutex_);
      woken_ = false;
    }
    seen_server = std::move(server);
    ticks = Ensure() ? kTicksBetweenChecks : kTicksBetweenTries;
  }
}

}  // namespace proxist::server
