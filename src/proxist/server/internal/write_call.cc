// From a write's bytes to a call of the node, and from its result to an answer.
#include "proxist/server/internal/write_call.h"

#include <string>
#include <utility>

#include <grpcpp/support/proto_buffer_writer.h>

#include "proxist/api/ack_token.h"
#include "proxist/api/table_message.h"
#include "proxist/api/write_request.h"
#include "proxist/base/check.h"
#include "proxist/env/clock.h"
#include "proxist/observe/metrics.h"
#include "proxist/server/grpc_server.h"
#include "proxist/v1/proxist.grpc.pb.h"

namespace proxist::server {
namespace {

StatusOr<std::shared_ptr<const v1::WriteRequest>> Parse(grpc::ByteBuffer* bytes) {
  std::shared_ptr<v1::WriteRequest> request = api::NewWriteRequest();
  const size_t size = bytes->Length();
  if (!grpc::SerializationTraits<v1::WriteRequest>::Deserialize(bytes, request.get()).ok()) {
    return InvalidArgument("the message of {} bytes is no WriteRequest: it does not parse", size);
  }
  return request;
}

StatusOr<WriteCall> Decode(std::shared_ptr<const v1::WriteRequest> request, const Node& node) {
  if (request->table().empty()) return InvalidArgument("the batch names no table");
  if (request->producer().size() > kMaxProducerBytes) {
    return InvalidArgument("a producer's name of {} bytes is above {}", request->producer().size(),
                           kMaxProducerBytes);
  }
  if (!request->producer().empty() && request->batch_number() == 0) {
    return InvalidArgument("producer {}: batch numbers begin at 1, this batch has 0",
                           request->producer());
  }
  const std::string_view tenant =
      request->tenant().empty() ? column::kDefaultTenant : std::string_view(request->tenant());
  PX_ASSIGN_OR_RETURN(const column::SchemaPtr schema,
                      node.catalog().Find(tenant, request->table()));
  WriteCall call{request->producer(), BatchNumber(request->batch_number()), {}};
  PX_ASSIGN_OR_RETURN(call.batch, api::DecodeWriteRequest(std::move(request), schema));
  return call;
}

}  // namespace

void SubmitWrite(grpc::ByteBuffer* bytes, Node* node, observe::Metrics* metrics,
                 std::function<void(const AcceptedWrite&, const WriteResult&)> done) {
  AcceptedWrite write{.arrived = env::SystemClock().Monotonic()};
  const auto finish = [metrics](const AcceptedWrite& finished, const WriteResult& result,
                                const auto& then) {
    const Duration elapsed(env::SystemClock().Monotonic().ns() - finished.arrived.ns());
    metrics->RecordWrite(result.status, finished.rows, result.duplicate, elapsed);
    then(finished, result);
  };
  StatusOr<std::shared_ptr<const v1::WriteRequest>> request = Parse(bytes);
  if (!request.ok()) return finish(write, WriteResult{.status = request.status()}, done);
  write.number = (*request)->batch_number();
  StatusOr<WriteCall> call = Decode(std::move(*request), *node);
  if (!call.ok()) return finish(write, WriteResult{.status = call.status()}, done);
  write.rows = call->batch.rows;
  node->Write(std::move(*call), [write, finish, then = std::move(done)](WriteResult result) {
    finish(write, result, then);
  });
}

grpc::ByteBuffer EncodeAck(const AcceptedWrite& write, const WriteResult& result) {
  v1::WriteResponse response;
  response.set_batch_number(write.number);
  response.set_rows(write.rows);
  for (const history::LsnRange& range : result.ranges) {
    v1::ShardRange* out = response.add_ranges();
    out->set_shard(range.shard.value());
    out->set_first_lsn(range.first.value());
    out->set_last_lsn(range.last.value());
  }
  response.set_durability(api::EncodeDurability(result.durability));
  response.set_duplicate(result.duplicate);
  response.set_token(api::EncodeToken(result.ranges));
  grpc::ByteBuffer bytes;
  bool own = false;
  const grpc::Status serialized =
      grpc::SerializationTraits<v1::WriteResponse>::Serialize(response, &bytes, &own);
  PX_CHECK(serialized.ok());
  return bytes;
}

}  // namespace proxist::server
