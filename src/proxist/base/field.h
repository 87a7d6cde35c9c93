// The fields of a durable format's headers: where they lie, written and read without padding.
#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>

#include "proxist/base/check.h"

namespace proxist {

/// Bytes [offset, offset + size) of a header, under the name that its FORMAT.md gives them.
struct Field {
  std::string_view name;
  size_t offset;
  size_t size;
};

/// `value` has the field's size. Little-endian, as this machine is.
template <typename T>
void StoreField(std::byte* base, const Field& field, T value) {
  PX_CHECK(field.size == sizeof value);
  std::memcpy(base + field.offset, &value, sizeof value);
}

template <typename T>
T LoadField(const std::byte* base, const Field& field) {
  PX_CHECK(field.size == sizeof(T));
  T value;
  std::memcpy(&value, base + field.offset, sizeof value);
  return value;
}

}  // namespace proxist
