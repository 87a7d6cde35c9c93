// 128-bit integers, which the compilers have and ISO C++ does not.
#pragma once

namespace proxist::exec {

__extension__ using Int128 = __int128;
__extension__ using Uint128 = unsigned __int128;

}  // namespace proxist::exec
