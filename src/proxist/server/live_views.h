// The thread that keeps the live views in ClickHouse as the tables are.
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "proxist/base/mutex.h"
#include "proxist/history/history.h"
#include "proxist/meta/catalog.h"
#include "proxist/server/live_seams.h"

namespace proxist::server {

/// Thread-safe.
class LiveViews {
 public:
  struct Ports {
    const meta::Catalog* catalog;
    history::History* history;
    LiveSeams* seams;
    /// History is there and is the one of this data directory: nothing is touched before.
    std::function<bool()> ready;
    /// URL of the server in use: another one needs its views at once.
    std::function<std::string()> server;
  };
  struct State {
    std::string endpoint;  // that ClickHouse reaches this node under; empty: there are no views
    std::string why_none;  // in plain words, when the endpoint is empty
    size_t views = 0;      // made or found right
    std::string last_error;
  };
  LiveViews(const Ports& ports, history::LiveEndpoint endpoint);
  ~LiveViews();

  /// A table was made or changed.
  void Wake();
  [[nodiscard]] State state() const;

 private:
  void Loop();
  /// True when every table has its view.
  bool Ensure();

  const Ports ports_;
  const history::LiveEndpoint endpoint_;
  mutable Mutex mutex_;
  CondVar wake_;
  bool woken_ PX_GUARDED_BY(mutex_) = true;
  bool stop_ PX_GUARDED_BY(mutex_) = false;
  State state_ PX_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace proxist::server
