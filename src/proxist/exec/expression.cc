// The public face of predicates: compile, then select.
#include "proxist/exec/expression.h"

#include "proxist/exec/internal/predicate_node.h"

namespace proxist::exec {

Predicate::Predicate() = default;
Predicate::~Predicate() = default;
Predicate::Predicate(Predicate&&) noexcept = default;
Predicate& Predicate::operator=(Predicate&&) noexcept = default;

StatusOr<Predicate> Predicate::Compile(std::string_view text,
                                       std::span<const PredicateColumn> columns) {
  if (text.size() > kMaxPredicateBytes) {
    return InvalidArgument("a predicate may have at most {} bytes, this one has {}",
                           kMaxPredicateBytes, text.size());
  }
  std::vector<bool> used(columns.size(), false);
  PX_ASSIGN_OR_RETURN(Node root, internal::ParsePredicate(text, columns, &used));
  Predicate out;
  out.root_ = std::make_unique<const Node>(std::move(root));
  for (size_t i = 0; i < used.size(); ++i) {
    if (used[i]) out.columns_.push_back(i);
  }
  return out;
}

void Predicate::Select(const PredicateInput& input, std::vector<uint32_t>* rows) const {
  const std::vector<uint8_t> truth = internal::Evaluate(*root_, input);
  for (size_t row = 0; row < truth.size(); ++row) {
    if (truth[row] == 2) rows->push_back(static_cast<uint32_t>(row));
  }
}

}  // namespace proxist::exec
