// Columns between their wire message and views into it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/base/status.h"
#include "proxist/column/batch.h"
#include "proxist/column/type.h"

namespace proxist::v1 {
class Column;
class QueryResponse;
class Type;
}  // namespace proxist::v1

namespace proxist::api {

/// INVALID_ARGUMENT for an unknown kind or a scale that the kind does not have.
StatusOr<column::Type> DecodeType(const v1::Type& message);
void EncodeType(column::Type type, v1::Type* message);

/// The number of values that `message` holds by its lengths alone; INVALID_ARGUMENT, beginning with
/// the column's name, when they don't divide evenly.
StatusOr<size_t> RowsOf(const v1::Column& message);

/// Views into the bytes of `message`, which must outlive the result. Checks the type and every
/// length against `rows`, not the values: codes and offsets may still lie outside (ValidateBatch
/// and CheckBounds look at those). INVALID_ARGUMENT begins with the column's name.
StatusOr<column::ColumnView> DecodeColumn(const v1::Column& message, size_t rows);

/// INVALID_ARGUMENT when a valid row's symbol code or any string offset lies outside, so that
/// afterwards TextAt is safe.
Status CheckBounds(std::string_view name, const column::ColumnView& view, size_t rows);

/// Copies `view` of `rows` values.
void EncodeColumn(std::string_view name, const column::ColumnView& view, size_t rows,
                  v1::Column* message);

/// A column of an answer by its name.
struct NamedView {
  std::string_view name;
  column::ColumnView view;
};
/// The answer's columns as views into `response`, which must outlive them; bounds are checked.
/// DATA_LOSS names the column that is damaged.
StatusOr<std::vector<NamedView>> DecodeAnswer(const v1::QueryResponse& response);

}  // namespace proxist::api
