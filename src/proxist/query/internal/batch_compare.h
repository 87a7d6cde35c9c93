// Two answers to one query, row by row.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "proxist/query/engine.h"

namespace proxist::query::internal {

/// Keeps one answer and compares others with it, however they are cut into batches. One thread.
class AnswerCompare {
 public:
  struct Difference {
    std::string kept;  // empty: that answer has no such row
    std::string other;
  };
  /// The next batch of the answer that is kept.
  void Keep(ResultBatch batch);
  /// Goes back to the first kept row.
  void Rewind();
  /// The next batch of another answer; the first row that differs to the bit.
  std::optional<Difference> Compare(const ResultBatch& batch);
  /// The other answer ends; rows that it lacks differ.
  std::optional<Difference> End();

 private:
  void PassEmpty();

  std::vector<ResultBatch> kept_;
  size_t batch_ = 0;
  size_t row_ = 0;
};

/// "symbol=A ts=1 price=10.5": a row for people.
std::string FormatRow(const ResultBatch& batch, size_t row);

}  // namespace proxist::query::internal
