#include "client/output.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "client/numbers.h"

namespace ems {

namespace {

// Returns a complex number as "1+2i".
template <typename Part>
std::string Complex(const Tensor& tensor, size_t index) {
  const Part* parts = tensor.data<Part>() + 2 * index;
  const bool signs_itself = std::signbit(parts[1]) && !std::isnan(parts[1]);
  return absl::StrCat(parts[0], signs_itself ? "" : "+", parts[1], "i");
}

bool HasOrder(DataType dtype) {
  return dtype != DataType::kString && dtype != DataType::kComplex64 && dtype != DataType::kComplex128;
}

// 64-bit integers are printed as they are: no double holds all of them.
std::string Value(const Tensor& tensor, size_t index) {
  switch (tensor.dtype) {
    case DataType::kString:
      return absl::StrCat("\"", absl::CEscape(tensor.strings[index]), "\"");
    case DataType::kInt64:
      return absl::StrCat(tensor.data<int64_t>()[index]);
    case DataType::kUint64:
      return absl::StrCat(tensor.data<uint64_t>()[index]);
    case DataType::kComplex64:
      return Complex<float>(tensor, index);
    case DataType::kComplex128:
      return Complex<double>(tensor, index);
    default:
      return absl::StrCat(Number(tensor, index));
  }
}

// NaN is the least, so that any two values have an order.
double Rank(double value) { return std::isnan(value) ? -std::numeric_limits<double>::infinity() : value; }

// The indices of a row in the order in which they are printed.
std::vector<size_t> Order(const Tensor& tensor, size_t first, size_t width, int top) {
  std::vector<size_t> order(width);
  std::iota(order.begin(), order.end(), size_t{0});
  if (top == 0 || !HasOrder(tensor.dtype)) return order;
  const size_t shown = std::min(width, static_cast<size_t>(top));
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(shown), order.end(),
                    [&](size_t a, size_t b) {
                      const double left = Rank(Number(tensor, first + a));
                      const double right = Rank(Number(tensor, first + b));
                      return left > right || (left == right && a < b);
                    });
  order.resize(shown);
  return order;
}

void PrintSpecs(const char* kind, const std::map<std::string, TensorSpec>& specs, std::ostream& out) {
  for (const auto& [name, spec] : specs) {
    out << "  " << kind << ' ' << name << ": " << Name(spec.dtype) << ' ' << ToString(spec.shape) << '\n';
  }
}

}  // namespace

void PrintTensor(const std::string& name, const Tensor& tensor, int top, std::ostream& out) {
  out << name << ": " << Name(tensor.dtype) << ' ' << ToString(tensor.shape) << '\n';
  const auto count = static_cast<size_t>(*NumElements(tensor.shape));
  const size_t width = tensor.shape.empty() ? 1 : static_cast<size_t>(tensor.shape.back());
  for (size_t first = 0; first < count; first += width) {
    if (first > 0) out << '\n';
    for (const size_t index : Order(tensor, first, width, top)) {
      out << "  " << index << ' ' << Value(tensor, first + index) << '\n';
    }
  }
}

void PrintSignature(const std::string& name, const Signature& signature, std::ostream& out) {
  out << name << " (" << signature.method_name << ")\n";
  PrintSpecs("input", signature.inputs, out);
  PrintSpecs("output", signature.outputs, out);
}

}  // namespace ems
