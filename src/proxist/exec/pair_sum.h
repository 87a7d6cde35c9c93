// Sums of float64 as two doubles: exact for values of like size, and known to be so.
#pragma once

namespace proxist::exec {

/// As ExactSum, many times faster, while exact() holds; once it does not, nothing of this may be
/// used. Values that are not finite end it.
class PairSum {
 public:
  void Add(double value) {
    const double sum = high_ + value;
    const double lost = Lost(high_, value, sum);
    high_ = sum;
    const double low = low_ + lost;
    // Not equal also when it is NaN.
    exact_ = exact_ && Lost(low_, lost, low) == 0;
    low_ = low;
  }
  void Subtract(double value) { Add(-value); }
  [[nodiscard]] bool exact() const { return exact_; }
  /// The sum rounded once to nearest, ties to even.
  [[nodiscard]] double Value() const { return high_ + low_; }

 private:
  /// a + b - sum, exactly, for sum = a + b as rounded.
  static double Lost(double a, double b, double sum) {
    const double of_b = sum - a;
    return (a - (sum - of_b)) + (b - of_b);
  }

  double high_ = 0;
  double low_ = 0;
  bool exact_ = true;
};

}  // namespace proxist::exec
