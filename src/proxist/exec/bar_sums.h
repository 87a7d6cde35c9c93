// Exact sums of bars over rows that come a piece at a time, in one pass over
// them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "proxist/base/time.h"
#include "proxist/exec/internal/bar_kernels.h"
#include "proxist/exec/part_sums.h"

namespace proxist::exec {

class BarSums;

/// The rows with which bars of one length begin. Rows come a piece at a time,
/// their times never falling. One thread; keeps its memory.
class BarMarks {
 public:
  /// Times that are this far from the first one cannot be marked.
  static constexpr int64_t kReach = int64_t{1} << 50;

  /// Begins with other rows, the first of them in a bar that begins at `base`.
  /// The interval is above 0 and below kReach.
  void Restart(Timestamp base, Duration interval);
  /// Takes the next rows; their times lie before base + kReach. `ahead`: the
  /// times that come after these, as many of them, which are asked for while
  /// these are worked on; or null.
  void Add(std::span<const int64_t> ts, const int64_t* ahead = nullptr);
  /// The same, and BarSums::Add of their values, in one pass.
  void AddWith(std::span<const int64_t> ts, const double* values, const int64_t* weights,
               const internal::Ahead& ahead, BarSums* sums);
  /// Forgets all bars but the last one, whose first row becomes row 0.
  void KeepLast();

  /// How many bars begin in the rows so far.
  [[nodiscard]] size_t bars() const { return bars_; }
  /// The first row of each, and when it begins.
  [[nodiscard]] std::span<const uint32_t> rows() const { return std::span(rows_).first(bars_); }
  [[nodiscard]] std::span<const int64_t> starts() const { return std::span(starts_).first(bars_); }
  /// Rows so far.
  [[nodiscard]] uint32_t row_count() const { return row_count_; }
  /// A bit for each of the rows that were added last.
  [[nodiscard]] const uint8_t* last_marks() const { return marks_.data(); }
  /// How many of them are marked.
  [[nodiscard]] size_t last_bars() const { return last_bars_; }
  /// Rows of the bar that has most of them; the last bar ends with the rows so
  /// far.
  [[nodiscard]] uint32_t Longest() const;

 private:
  /// `n` rows on their way in, and where what is found of them goes.
  std::pair<internal::BarTimes, internal::MarkLists> Room(std::span<const int64_t> ts);
  void Took(size_t rows, size_t bars);

  int64_t base_ = 0;
  int64_t interval_ = 1;
  uint32_t row_count_ = 0;
  size_t bars_ = 0;
  size_t last_bars_ = 0;
  std::vector<uint8_t> marks_;
  std::vector<uint32_t> rows_;
  std::vector<int64_t> starts_;
};

/// Sums of float64 in marked bars, as ExactSum gives them, or of their products
/// with whole numbers, each rounded, and of these. Values are summed on a grid
/// that is guessed from a first one; when it did not hold them all nothing may
/// be asked. One thread; keeps its memory.
class BarSums {
 public:
  /// Bars of more rows are not for this.
  static constexpr uint32_t kLongest = 4096;

  explicit BarSums(bool weighted) : weighted_(weighted) {}
  /// Begins with other rows.
  void Restart();
  /// Begins again with rows that did not fit, on another grid. False when there
  /// is none to try.
  bool RestartWider();
  /// Takes the values of the rows that `marks` took last; `weights`: null when
  /// there are none.
  void Add(const double* values, const int64_t* weights, size_t n, const BarMarks& marks,
           const internal::Ahead& ahead = {});
  /// Takes the values of rows that are bars of their own, after others like
  /// them: windows may be asked for then.
  void AddEach(const double* values, const int64_t* weights, size_t n,
               const internal::Ahead& ahead = {});
  /// False: the sums of the bars so far, of which one has `longest` rows, may
  /// be wrong.
  [[nodiscard]] bool Fits(uint32_t longest) const;
  /// The sums of the bars [first, first + n).
  void Sums(size_t first, size_t n, double* out);
  /// Divided by their sums of weights. True when one of these is zero: that
  /// quotient stands for nothing, as IsZero says.
  bool Quotients(size_t first, size_t n, double* out);
  [[nodiscard]] bool IsZero(size_t bar) const { return weight_[bar] == weight_[bar + 1]; }
  /// The sums of windows of rows that AddEach took, of which none is longer
  /// than Fits was asked.
  void WindowSums(const Parts& windows, double* out);
  /// Divided by their rows, of which there are some.
  void WindowMeans(const Parts& windows, double* out);
  /// Divided by their sums of weights. True when one of these is zero, as
  /// WindowIsZero says.
  bool WindowQuotients(const Parts& windows, double* out);
  [[nodiscard]] bool WindowIsZero(uint32_t begin, uint32_t end) const {
    return weight_[begin] == weight_[end];
  }
  /// Forgets all bars but the last one.
  void KeepLast();
  /// Forgets the first `n` bars.
  void DropFront(size_t n);

 private:
  friend class BarMarks;
  void SetGrid(int exponent);
  /// The next values, of which there are some, and room for what comes of them.
  internal::MarkedValues Room(const double* values, const int64_t* weights, size_t n,
                              const internal::Ahead& ahead);
  /// Sums up to now, behind those before each bar.
  void Close();
  [[nodiscard]] internal::SplitPrefix From(size_t first) const {
    return {high_.data() + first, low_.data() + first, *grid_};
  }

  bool weighted_;
  int exponent_ = 0;  // magnitudes on the grid are below its power of two
  std::optional<internal::Grid> grid_;
  internal::RunningSums sums_;
  size_t bars_ = 0;
  std::vector<int64_t> high_;
  std::vector<int64_t> low_;
  std::vector<int64_t> weight_;
};

}  // namespace proxist::exec
