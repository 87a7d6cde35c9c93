// The part of a request's target behind its '?'.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace proxist::server {

/// Names and values, decoded ('+' is a space), in their order. What is no escape stays as it is.
using UrlQuery = std::vector<std::pair<std::string, std::string>>;
UrlQuery ParseUrlQuery(std::string_view target);
/// The first value under `name`; empty when there is none.
std::string_view ValueOf(const UrlQuery& query, std::string_view name);
/// "a=1&b=%20".
std::string FormatUrlQuery(const UrlQuery& query);
/// The target without '?' and what follows.
std::string_view PathOf(std::string_view target);

}  // namespace proxist::server
