#include "batching/join.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string>
#include <utility>

#include "absl/status/status.h"

namespace ems {
namespace {

bool SameRow(const Tensor& one, const Tensor& other) {
  return one.dtype == other.dtype && one.shape.size() == other.shape.size() &&
         std::equal(one.shape.begin() + 1, one.shape.end(), other.shape.begin() + 1);
}

Tensor Slice(const Tensor& tensor, int64_t from, int64_t count) {
  Tensor part;
  part.dtype = tensor.dtype;
  part.shape = tensor.shape;
  part.shape.front() = count;
  const int64_t rows = tensor.shape.front();
  if (rows == 0) return part;
  const auto bytes = static_cast<int64_t>(tensor.bytes.size()) / rows;
  part.bytes.assign(tensor.bytes, static_cast<size_t>(from * bytes), static_cast<size_t>(count * bytes));
  const auto strings = static_cast<int64_t>(tensor.strings.size()) / rows;
  const auto first = tensor.strings.begin() + from * strings;
  part.strings.assign(first, first + count * strings);
  return part;
}

void Append(const Tensor& from, Tensor& to) {
  to.bytes += from.bytes;
  to.strings.insert(to.strings.end(), from.strings.begin(), from.strings.end());
  to.shape.front() += from.shape.front();
}

// Copies the elements of `from` into `to`, whose dimensions are as large or larger, from dimension `depth` on; the
// positions count elements.
void CopyInto(const Tensor& from, size_t depth, size_t& position, Tensor& to, size_t target) {
  if (depth == from.shape.size()) {
    if (from.dtype == DataType::kString) {
      to.strings[target] = from.strings[position];
    } else {
      const size_t size = ElementSize(from.dtype);
      std::copy_n(from.bytes.data() + position * size, size, to.bytes.data() + target * size);
    }
    ++position;
    return;
  }
  for (int64_t i = 0; i < from.shape[depth]; ++i) {
    CopyInto(from, depth + 1, position, to, target * static_cast<size_t>(to.shape[depth]) + static_cast<size_t>(i));
  }
}

void FillWithFirst(const Tensor& from, Tensor& to) {
  if (from.dtype == DataType::kString) {
    std::fill(to.strings.begin(), to.strings.end(), from.strings.front());
    return;
  }
  const size_t size = ElementSize(from.dtype);
  for (size_t at = 0; at < to.bytes.size(); at += size) std::copy_n(from.bytes.data(), size, to.bytes.data() + at);
}

// Returns a tensor with rows as large as `row`, whose first dimension does not count. It has elements.
Tensor Widened(const Tensor& tensor, const Shape& row) {
  Shape shape = row;
  shape.front() = tensor.shape.front();
  Tensor wide = MakeTensor(tensor.dtype, std::move(shape));
  FillWithFirst(tensor, wide);
  size_t position = 0;
  CopyInto(tensor, 0, position, wide, 0);
  return wide;
}

// Returns the shape that the rows of all requests fit into.
Shape LargestRow(const std::vector<const TensorMap*>& requests, const std::string& key) {
  Shape largest = requests.front()->at(key).shape;
  for (const TensorMap* request : requests) {
    const Shape& shape = request->at(key).shape;
    for (size_t i = 1; i < largest.size(); ++i) largest[i] = std::max(largest[i], shape[i]);
  }
  return largest;
}

Tensor JoinRows(const std::vector<const TensorMap*>& requests, const std::string& key, int64_t padding) {
  const Shape row = LargestRow(requests, key);
  const auto fits = [&row](const Tensor& tensor) {
    return std::equal(row.begin() + 1, row.end(), tensor.shape.begin() + 1);
  };
  Tensor joined;
  for (const TensorMap* request : requests) {
    const Tensor& tensor = request->at(key);
    if (joined.dtype == DataType::kInvalid) {
      joined = fits(tensor) ? tensor : Widened(tensor, row);
    } else if (fits(tensor)) {
      Append(tensor, joined);
    } else {
      Append(Widened(tensor, row), joined);
    }
  }
  const Tensor first = padding > 0 ? Slice(joined, 0, 1) : Tensor();
  for (int64_t i = 0; i < padding; ++i) Append(first, joined);
  return joined;
}

}  // namespace

bool FitTogether(const std::vector<const TensorMap*>& requests, bool pad) {
  for (const auto& [key, tensor] : *requests.back()) {
    const auto first = requests.front()->find(key);
    if (first == requests.front()->end() || first->second.dtype != tensor.dtype) return false;
    if (SameRow(first->second, tensor) && !pad) continue;
    if (!pad || first->second.shape.size() != tensor.shape.size()) return false;
    Shape joined = LargestRow(requests, key);
    joined.front() = 0;
    for (const TensorMap* request : requests) joined.front() += request->at(key).shape.front();
    if (NumElements(joined).value_or(kMostPaddedElements + 1) > kMostPaddedElements) return false;
  }
  return true;
}

TensorMap SliceRows(const TensorMap& inputs, int64_t from, int64_t count) {
  TensorMap slice;
  for (const auto& [key, tensor] : inputs) slice.emplace_hint(slice.end(), key, Slice(tensor, from, count));
  return slice;
}

TensorMap JoinRows(const std::vector<const TensorMap*>& requests, int64_t padding) {
  TensorMap joined;
  for (const auto& entry : *requests.front()) {
    joined.emplace_hint(joined.end(), entry.first, JoinRows(requests, entry.first, padding));
  }
  return joined;
}

absl::StatusOr<std::vector<TensorMap>> SplitRows(const TensorMap& outputs, const std::vector<int64_t>& rows,
                                                 int64_t padding) {
  const int64_t sent = std::accumulate(rows.begin(), rows.end(), padding);
  for (const auto& entry : outputs) {
    const Shape& shape = entry.second.shape;
    if (shape.empty()) return absl::FailedPreconditionError("Batched output tensor has 0 dimensions");
    if (shape.front() != sent) {
      return absl::FailedPreconditionError(
          "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input "
          "tensors");
    }
  }
  std::vector<TensorMap> parts;
  parts.reserve(rows.size());
  int64_t from = 0;
  for (const int64_t count : rows) {
    parts.push_back(SliceRows(outputs, from, count));
    from += count;
  }
  return parts;
}

}  // namespace ems
