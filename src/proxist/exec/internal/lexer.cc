// One pass over the characters; everything that is not ASCII may stand in quotes only.
#include "proxist/exec/internal/lexer.h"

namespace proxist::exec::internal {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  StatusOr<std::vector<Token>> Run() {
    std::vector<Token> tokens;
    while (true) {
      while (at_ < text_.size() && IsSpace(text_[at_])) ++at_;
      Token token;
      token.at = at_ + 1;
      if (at_ == text_.size()) {
        tokens.push_back(token);
        return tokens;
      }
      PX_RETURN_IF_ERROR(Next(&token));
      tokens.push_back(std::move(token));
    }
  }

 private:
  [[nodiscard]] char Peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }

  Status Next(Token* token) {
    const char c = Peek();
    if (c == '\'') return Quoted('\'', TokenKind::kText, token);
    if (c == '"') return Quoted('"', TokenKind::kQuotedName, token);
    if (IsNameStart(c)) {
      token->kind = TokenKind::kName;
      while (IsNameStart(Peek()) || IsDigit(Peek())) {
        const char next = text_[at_++];
        token->text.push_back(next >= 'A' && next <= 'Z' ? static_cast<char>(next + 32) : next);
      }
      return OkStatus();
    }
    if (IsDigit(c) || (c == '.' && IsDigit(Peek(1)))) return Number(token);
    token->kind = TokenKind::kOperator;
    for (const std::string_view two : {"!=", "<>", "<=", ">="}) {
      if (text_.substr(at_, 2) == two) {
        token->text = two == "!=" ? "<>" : two;
        at_ += 2;
        return OkStatus();
      }
    }
    if (std::string_view("=<>(),-+*/").find(c) == std::string_view::npos) {
      return ErrorAt(token->at,
                     static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) < 0x7f
                         ? fmt::format("unexpected '{}'", c)
                         : fmt::format("unexpected byte 0x{:02x}", static_cast<unsigned char>(c)));
    }
    token->text.push_back(c);
    ++at_;
    return OkStatus();
  }

  Status Quoted(char quote, TokenKind kind, Token* token) {
    token->kind = kind;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] != quote) {
        token->text.push_back(text_[at_]);
      } else if (Peek(1) == quote && at_ + 1 < text_.size()) {
        token->text.push_back(quote);
        ++at_;
      } else {
        ++at_;
        return OkStatus();
      }
    }
    return ErrorAt(token->at, fmt::format("the closing {} is missing", quote));
  }

  Status Number(Token* token) {
    token->kind = TokenKind::kNumber;
    const size_t begin = at_;
    while (IsDigit(Peek())) ++at_;
    if (Peek() == '.') {
      ++at_;
      while (IsDigit(Peek())) ++at_;
    }
    if (Peek() == 'e' || Peek() == 'E') {
      ++at_;
      if (Peek() == '+' || Peek() == '-') ++at_;
      if (!IsDigit(Peek())) return ErrorAt(begin + 1, "a number ends in its exponent");
      while (IsDigit(Peek())) ++at_;
    }
    if (IsNameStart(Peek()) || Peek() == '.') {
      return ErrorAt(at_ + 1, fmt::format("unexpected '{}' in a number", Peek()));
    }
    token->text = text_.substr(begin, at_ - begin);
    return OkStatus();
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

Status ErrorAt(size_t at, std::string_view what) {
  return InvalidArgument("at character {}: {}", at, what);
}

StatusOr<std::vector<Token>> Tokenize(std::string_view text) { return Lexer(text).Run(); }

}  // namespace proxist::exec::internal
