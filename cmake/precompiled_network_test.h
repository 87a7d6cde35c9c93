// The same for tests of what speaks gRPC.
#pragma once

#include "precompiled_network.h"
#include "precompiled_test.h"
