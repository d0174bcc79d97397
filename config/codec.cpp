#include "config/codec.h"

#include "config/suggest.h"

#include <charconv>
#include <cmath>

namespace twinspan::config {

namespace {

template <class T>
bool take(Reader& reader, const Node& node, UnitResult<T> result, T& into) {
  if (result) {
    into = result.value();
    return true;
  }
  return reader.refuse(node, result.error().bare_number ? "T0207" : "T0208", result.error().message,
                       result.error().hint);
}

// A number or boolean in quotes is a text, unless a reference forced the quotes.
bool refuse_quoted(Reader& reader, const Node& node, const Shape& wanted) {
  if (!node.is_quoted() || node.has_reference()) return false;
  reader.refuse(node, "T0203", fmt::format("{} is wanted, not a text", wanted.words()), "remove the quotes");
  return true;
}

}  // namespace

bool Codec<std::string>::read(Reader& reader, const Node& node, std::string& into) {
  const std::string* text = reader.scalar(node, shape());
  if (text == nullptr) return false;
  into = *text;
  return true;
}

bool Codec<bool>::read(Reader& reader, const Node& node, bool& into) {
  const std::string* text = reader.scalar(node, shape());
  if (text == nullptr || refuse_quoted(reader, node, shape())) return false;
  if (*text != "true" && *text != "false") {
    return reader.refuse(node, "T0203", fmt::format("true or false is wanted, not {}", in_quotes(*text)),
                         *text == "yes" || *text == "on"   ? "write true"
                         : *text == "no" || *text == "off" ? "write false"
                                                           : "");
  }
  into = *text == "true";
  return true;
}

bool Codec<std::int64_t>::read(Reader& reader, const Node& node, std::int64_t& into) {
  const std::string* text = reader.scalar(node, shape());
  if (text == nullptr || refuse_quoted(reader, node, shape())) return false;
  std::string_view digits = *text;
  if (digits.starts_with('-')) digits.remove_prefix(1);
  if (digits.size() > 1 && digits.starts_with('0')) {
    return reader.refuse(node, "T0203", fmt::format("{} begins with 0", in_quotes(*text)),
                         "numbers are decimal: write it without the leading 0");
  }
  const auto [end, code] = std::from_chars(text->data(), text->data() + text->size(), into);
  if (code == std::errc::result_out_of_range)
    return reader.refuse(node, "T0206", fmt::format("{} does not fit into 64 bits", in_quotes(*text)));
  if (code != std::errc() || end != text->data() + text->size()) return reader.wrong_type(node, shape());
  return true;
}

bool Codec<double>::read(Reader& reader, const Node& node, double& into) {
  const std::string* text = reader.scalar(node, shape());
  if (text == nullptr || refuse_quoted(reader, node, shape())) return false;
  const auto [end, code] = std::from_chars(text->data(), text->data() + text->size(), into);
  if (code != std::errc() || end != text->data() + text->size() || !std::isfinite(into))
    return reader.wrong_type(node, shape());
  return true;
}

bool Codec<Duration>::read(Reader& reader, const Node& node, Duration& into) {
  const std::string* text = reader.scalar(node, shape());
  return text != nullptr && take(reader, node, parse_duration(*text), into);
}

bool Codec<std::uint64_t>::read(Reader& reader, const Node& node, std::uint64_t& into) {
  const std::string* text = reader.scalar(node, shape());
  return text != nullptr && take(reader, node, parse_bytes(*text), into);
}

bool Codec<Rate>::read(Reader& reader, const Node& node, Rate& into) {
  const std::string* text = reader.scalar(node, shape());
  return text != nullptr && take(reader, node, parse_rate(*text), into);
}

bool Codec<ByteRate>::read(Reader& reader, const Node& node, ByteRate& into) {
  const std::string* text = reader.scalar(node, shape());
  return text != nullptr && take(reader, node, parse_byte_rate(*text), into);
}

bool Codec<Expression>::read(Reader& reader, const Node& node, Expression& into) {
  // YAML reads NULL as nothing; in an expression it is a literal.
  const bool is_null_literal = node.kind == NodeKind::null && node.text().size() == 4;
  const std::string* text = is_null_literal ? &node.text() : reader.scalar(node, shape());
  if (text == nullptr) return false;
  if (text->find_first_not_of(" \n") == std::string::npos)
    return reader.refuse(node, "T0205", "the expression is empty");
  into = Expression(*text, node.origin);
  return true;
}

bool Codec<Id>::read(Reader& reader, const Node& node, Id& into) {
  const std::string* text = reader.scalar(node, shape());
  if (text == nullptr) return false;
  into = Id(*text, node.origin);
  return text->empty() ? reader.refuse(node, "T0205", "the name is empty") : true;
}

bool Codec<Secret>::read(Reader& reader, const Node& node, Secret& into) {
  if (node.secret) {
    into = *node.secret;
    return true;
  }
  if (node.kind != NodeKind::scalar) return reader.wrong_type(node, shape());
  if (node.unresolved) return false;
  const Scalar& scalar = *node.origin.scalar;
  if (scalar.value.empty()) return reader.refuse(node, "T0205", "the secret is empty");
  if (!scalar.substitutions.empty()) {
    into = Secret(scalar.raw, scalar.value);
    return true;
  }
  reader.diagnostics().hide(node.origin);
  reader.diagnostics().warning(node.origin, "T0127", "a secret stands in the file itself",
                               "put it into secrets.directory and write ${secret:name}");
  into = Secret("(hidden)", scalar.value);
  return true;
}

bool refuse_choice(Reader& reader, const Node& node, const Shape& shape) {
  return reader.refuse(node, "T0204", fmt::format("{} is not {}", in_quotes(node.text()), shape.words()), [&] {
    const std::string near = nearest_name(node.text(), shape.choices);
    return near.empty() ? std::string() : fmt::format("did you mean '{}'?", near);
  }());
}

bool check_identifier(Reader& reader, const Origin& at, std::string_view name) {
  if (is_identifier(name)) return true;
  reader.diagnostics().error(at, "T0209", fmt::format("{} is not a valid id", in_quotes(name)),
                             "ids begin with a-z and have up to 64 of a-z, 0-9 and _");
  return false;
}

std::string limit_text(const Shape& shape, double limit) {
  switch (shape.kind) {
    case ShapeKind::duration: return duration_text(Duration(std::llround(limit)));
    case ShapeKind::bytes: return bytes_text(static_cast<std::uint64_t>(std::llround(limit)));
    case ShapeKind::rate: return rate_text(Rate{limit});
    case ShapeKind::byte_rate: return byte_rate_text(ByteRate{limit});
    default: return fmt::format("{}", limit);
  }
}

void check_range(Reader& reader, const Node& node, const Shape& shape, const FieldOptions& options, double value) {
  if (options.min && value < *options.min) {
    reader.refuse(node, "T0206", fmt::format("{} is too small", in_quotes(node.text())),
                  fmt::format("at least {}", limit_text(shape, *options.min)));
  }
  if (options.max && value > *options.max) {
    reader.refuse(node, "T0206", fmt::format("{} is too large", in_quotes(node.text())),
                  fmt::format("at most {}", limit_text(shape, *options.max)));
  }
}

void check_not_empty(Reader& reader, const Node& node) {
  const bool empty = (node.kind == NodeKind::list && node.items.empty()) ||
                     (node.kind == NodeKind::map && node.entries.empty()) ||
                     (node.kind == NodeKind::scalar && node.text().empty());
  if (empty) reader.refuse(node, "T0205", "must not be empty");
}

}  // namespace twinspan::config
