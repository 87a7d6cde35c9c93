// A grid is tried, and what it cannot hold shows.
#include "proxist/exec/bar_sums.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "proxist/base/check.h"
#include "proxist/exec/internal/grid.h"

namespace proxist::exec {
namespace {

// Values may be so many times greater than the first one, as a power of two,
// without another try.
constexpr int kRoom = 10;

template <typename T>
void MakeRoom(size_t n, std::vector<T>* list) {
  if (list->size() < n) list->resize(std::max(n, 2 * list->size()));
}

}  // namespace

void BarMarks::Restart(Timestamp base, Duration interval) {
  PX_CHECK(interval.ns() > 0 && interval.ns() < kReach);
  base_ = base.ns();
  interval_ = interval.ns();
  row_count_ = 0;
  bars_ = 0;
}

std::pair<internal::BarTimes, internal::MarkLists> BarMarks::Room(std::span<const int64_t> ts) {
  const size_t n = ts.size();
  MakeRoom(n / internal::kRowsOfMark + 1, &marks_);
  MakeRoom(bars_ + n + internal::kMarkSlack, &rows_);
  MakeRoom(bars_ + n + internal::kMarkSlack, &starts_);
  const int64_t end = bars_ == 0 ? INT64_MIN : starts_[bars_ - 1] + interval_;
  return {{ts.data(), n, base_, interval_, end, row_count_, nullptr},
          {marks_.data(), rows_.data() + bars_, starts_.data() + bars_}};
}

void BarMarks::Took(size_t rows, size_t bars) {
  bars_ += bars;
  last_bars_ = bars;
  row_count_ += static_cast<uint32_t>(rows);
}

void BarMarks::Add(std::span<const int64_t> ts, const int64_t* ahead) {
  if (ts.empty()) return;
  auto [times, lists] = Room(ts);
  times.ahead = ahead;
  Took(ts.size(), internal::MarkBars(times, lists));
}

void BarMarks::AddWith(std::span<const int64_t> ts, const double* values, const int64_t* weights,
                       const internal::Ahead& ahead, BarSums* sums) {
  if (ts.empty()) return;
  auto [times, lists] = Room(ts);
  times.ahead = ahead.times;
  const internal::MarkedValues of = sums->Room(values, weights, ts.size(), ahead);
  const size_t found = internal::MarkAndAdd(times, lists, of, &sums->sums_);
  Took(ts.size(), found);
  sums->bars_ += found;
}

void BarMarks::KeepLast() {
  if (bars_ == 0) return;
  row_count_ -= rows_[bars_ - 1];
  rows_[0] = 0;
  starts_[0] = starts_[bars_ - 1];
  bars_ = 1;
}

uint32_t BarMarks::Longest() const {
  if (bars_ == 0) return 0;
  const uint32_t last = row_count_ - rows_[bars_ - 1];
  return std::max(last, internal::Longest(rows_.data(), rows_.data() + 1, bars_ - 1));
}

void BarSums::SetGrid(int exponent) {
  exponent_ = exponent;
  grid_ = internal::WidestGrid(exponent, kLongest);
  sums_ = {};
  bars_ = 0;
}

void BarSums::Restart() {
  grid_.reset();
  sums_ = {};
  bars_ = 0;
}

bool BarSums::RestartWider() {
  if (!grid_.has_value() || !std::isfinite(sums_.greatest) || sums_.greatest == 0) return false;
  // The bar that is begun again may lie before the greatest value.
  const int exponent = std::ilogb(sums_.greatest) + 2;
  if (exponent == exponent_) return false;
  SetGrid(exponent);
  return grid_.has_value();
}

internal::MarkedValues BarSums::Room(const double* values, const int64_t* weights, size_t n,
                                     const internal::Ahead& ahead) {
  if (!grid_.has_value()) {
    double first = 0;
    for (size_t i = 0; i < n && (first == 0 || !std::isfinite(first)); ++i) {
      first = values[i] * (weighted_ ? static_cast<double>(weights[i]) : 1.0);
    }
    SetGrid(std::isfinite(first) && first != 0 ? std::ilogb(first) + 1 + kRoom : kRoom);
    if (!grid_.has_value()) SetGrid(kRoom);
  }
  const size_t room = bars_ + n + 1 + internal::kMarkSlack;
  MakeRoom(room, &high_);
  MakeRoom(room, &low_);
  if (weighted_) MakeRoom(room, &weight_);
  return {.values = values,
          .weights = weighted_ ? weights : nullptr,
          .grid = *grid_,
          .high = high_.data() + bars_,
          .low = low_.data() + bars_,
          .weight = weighted_ ? weight_.data() + bars_ : nullptr,
          .ahead = ahead};
}

void BarSums::Add(const double* values, const int64_t* weights, size_t n, const BarMarks& marks,
                  const internal::Ahead& ahead) {
  if (n == 0) return;
  const internal::MarkedValues of = Room(values, weights, n, ahead);
  internal::AddMarked(of, n, marks.last_marks(), &sums_);
  bars_ += marks.last_bars();
}

void BarSums::AddEach(const double* values, const int64_t* weights, size_t n,
                      const internal::Ahead& ahead) {
  if (n == 0) return;
  const internal::MarkedValues of = Room(values, weights, n, ahead);
  internal::AddEach(of, n, &sums_);
  bars_ += n;
}

bool BarSums::Fits(uint32_t longest) const {
  if (!grid_.has_value() || longest > kLongest || sums_.off_grid != 0) return false;
  if (!(sums_.greatest < std::ldexp(1.0, exponent_))) return false;
  return std::bit_width(sums_.weight_bits) + internal::GrowthOf(longest) <= internal::kSumBits;
}

void BarSums::Close() {
  high_[bars_] = sums_.high;
  low_[bars_] = sums_.low;
  if (weighted_) weight_[bars_] = sums_.weight;
}

void BarSums::Sums(size_t first, size_t n, double* out) {
  if (n == 0) return;
  Close();
  internal::MarkedSums(From(first), n, out);
}

bool BarSums::Quotients(size_t first, size_t n, double* out) {
  if (n == 0) return false;
  Close();
  return internal::MarkedQuotients(From(first), weight_.data() + first, n, out);
}

void BarSums::WindowSums(const Parts& windows, double* out) {
  Close();
  internal::PartSums(From(0), windows.begin.data(), windows.end.data(), windows.size(), out);
}

void BarSums::WindowMeans(const Parts& windows, double* out) {
  Close();
  internal::PartMeans(From(0), windows.begin.data(), windows.end.data(), windows.size(), out);
}

bool BarSums::WindowQuotients(const Parts& windows, double* out) {
  Close();
  return internal::PartQuotients(From(0), weight_.data(), windows.begin.data(), windows.end.data(),
                                 windows.size(), out);
}

void BarSums::DropFront(size_t n) {
  const auto drop = [&](std::vector<int64_t>* list) {
    const auto begin = list->begin();
    std::copy(begin + static_cast<ptrdiff_t>(n), begin + static_cast<ptrdiff_t>(bars_), begin);
  };
  drop(&high_);
  drop(&low_);
  if (weighted_) drop(&weight_);
  bars_ -= n;
}

void BarSums::KeepLast() {
  if (bars_ == 0) return;
  high_[0] = high_[bars_ - 1];
  low_[0] = low_[bars_ - 1];
  if (weighted_) weight_[0] = weight_[bars_ - 1];
  bars_ = 1;
}

}  // namespace proxist::exec
