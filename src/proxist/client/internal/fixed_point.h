// Decimal text as an integer times a power of ten, exactly.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace proxist::client {

enum class NumberFault : uint8_t {
  kNone,
  kNotANumber,  // not [+-]digits[.digits]
  kTooFine,     // more fraction digits than the scale holds, and not only zeros
  kTooLarge,    // beyond int64
};

/// `text` (an optional sign, digits, at most one point, no exponent) times 10^scale into `out`.
/// `scale` is at most 18. Never rounds.
NumberFault ParseFixedPoint(std::string_view text, unsigned scale, int64_t* out);

/// `value`, which counts units of 10^-from, in units of 10^-to. Never rounds. Scales at most 18.
NumberFault Rescale(int64_t value, unsigned from, unsigned to, int64_t* out);

/// `text` as it may stand in an error message: in quotes, cut after 40 bytes, control bytes and
/// bytes above ASCII escaped as \xNN.
std::string Quoted(std::string_view text);

}  // namespace proxist::client
