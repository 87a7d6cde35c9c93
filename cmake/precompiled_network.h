// The same for what speaks gRPC.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/grpcpp.h>

#include "precompiled.h"
#include "proxist/v1/proxist.grpc.pb.h"
