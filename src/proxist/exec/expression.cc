// The public face of predicates and expressions: compile, then select or evaluate.
#include "proxist/exec/expression.h"

#include <numeric>

#include "proxist/exec/internal/predicate_node.h"

namespace proxist::exec {
namespace {

Status CheckLength(std::string_view what, std::string_view text) {
  if (text.size() <= kMaxPredicateBytes) return OkStatus();
  return InvalidArgument("{} may have at most {} bytes, this one has {}", what, kMaxPredicateBytes,
                         text.size());
}

std::vector<size_t> Indices(const std::vector<bool>& used) {
  std::vector<size_t> out;
  for (size_t i = 0; i < used.size(); ++i) {
    if (used[i]) out.push_back(i);
  }
  return out;
}

}  // namespace

Predicate::Predicate() = default;
Predicate::~Predicate() = default;
Predicate::Predicate(Predicate&&) noexcept = default;
Predicate& Predicate::operator=(Predicate&&) noexcept = default;

StatusOr<Predicate> Predicate::Compile(std::string_view text,
                                       std::span<const PredicateColumn> columns) {
  PX_RETURN_IF_ERROR(CheckLength("a predicate", text));
  std::vector<bool> used(columns.size(), false);
  PX_ASSIGN_OR_RETURN(Node root, internal::ParsePredicate(text, columns, &used));
  Predicate out;
  out.root_ = std::make_unique<const Node>(std::move(root));
  out.columns_ = Indices(used);
  return out;
}

std::vector<ColumnCondition> Predicate::NecessaryConditions() const {
  return internal::ConditionsOf(*root_);
}

void Predicate::Select(const PredicateInput& input, std::vector<uint32_t>* rows) const {
  const std::vector<uint8_t> truth = internal::Evaluate(*root_, input);
  // Without a branch, which would go wrong often: what is not selected is written over.
  const size_t known = rows->size();
  rows->resize(known + truth.size());
  uint32_t* out = rows->data() + known;
  size_t found = 0;
  for (size_t row = 0; row < truth.size(); ++row) {
    out[found] = static_cast<uint32_t>(row);
    found += static_cast<size_t>(truth[row] == 2);
  }
  rows->resize(known + found);
}

Expression::Expression() = default;
Expression::~Expression() = default;
Expression::Expression(Expression&&) noexcept = default;
Expression& Expression::operator=(Expression&&) noexcept = default;

StatusOr<Expression> Expression::Compile(std::string_view text,
                                         std::span<const PredicateColumn> columns) {
  PX_RETURN_IF_ERROR(CheckLength("an expression", text));
  std::vector<bool> used(columns.size(), false);
  PX_ASSIGN_OR_RETURN(internal::NamedScalar named,
                      internal::ParseExpression(text, columns, nullptr, &used));
  Expression out;
  out.root_ = std::make_unique<const Scalar>(std::move(named.root));
  out.name_ = std::move(named.name);
  out.columns_ = Indices(used);
  return out;
}

StatusOr<Expression> Expression::CompileCalls(std::string_view text, const Resolve& resolve) {
  PX_RETURN_IF_ERROR(CheckLength("an expression", text));
  PX_ASSIGN_OR_RETURN(internal::NamedScalar named,
                      internal::ParseExpression(text, {}, &resolve, nullptr));
  Expression out;
  out.root_ = std::make_unique<const Scalar>(std::move(named.root));
  out.name_ = std::move(named.name);
  return out;
}

column::Type Expression::type() const { return root_->type; }

std::optional<size_t> Expression::plain() const {
  if (root_->kind != Scalar::Kind::kColumn) return std::nullopt;
  return root_->column;
}

Column Expression::Evaluate(const PredicateInput& input) const {
  return internal::EvaluateScalar(*root_, input);
}

Column Expression::EvaluateCalls(const std::vector<Column>& calls, size_t rows) const {
  Frame frame;
  frame.ts.resize(rows);
  frame.columns = calls;
  std::vector<int> slots(calls.size());
  std::iota(slots.begin(), slots.end(), 0);
  PredicateInput input;
  input.frame = &frame;
  input.slots = slots;
  return internal::EvaluateScalar(*root_, input);
}

}  // namespace proxist::exec
