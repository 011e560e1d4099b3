// The rows of several requests as those of one, and the rows of its reply back to each.
#ifndef EMS_BATCHING_JOIN_H_
#define EMS_BATCHING_JOIN_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "base/tensor.h"

namespace ems {

// Rows are the first dimension; every tensor below has one, and all tensors of a request have the same number of rows.

// The most elements of a joined input that is padded: a long request must not make all others of its batch as long.
inline constexpr int64_t kMostPaddedElements = int64_t{16} << 20;

// Returns whether the last request can be joined with those before it, which fit together: equal shapes but for the
// rows, or with `pad` (pad_variable_length_inputs) equal ranks and no more than kMostPaddedElements.
bool FitTogether(const std::vector<const TensorMap*>& requests, bool pad);

// Returns rows `from` to `from` + `count` of a request.
TensorMap SliceRows(const TensorMap& inputs, int64_t from, int64_t count);

// Joins requests in their order and repeats the first row `padding` times at the end: a row that the model is known to
// take. Where shapes beyond the rows differ, each dimension becomes the largest, and the rest of a request's tensor is
// filled with its first element, as in TensorFlow Serving (batching_util.h).
TensorMap JoinRows(const std::vector<const TensorMap*>& requests, int64_t padding);

// Splits a reply into parts of `rows` rows each and drops what comes after them, the padding. FAILED_PRECONDITION with
// TensorFlow Serving's texts (batching_session.cc) where an output has not as many rows as were sent.
absl::StatusOr<std::vector<TensorMap>> SplitRows(const TensorMap& outputs, const std::vector<int64_t>& rows,
                                                 int64_t padding);

}  // namespace ems

#endif  // EMS_BATCHING_JOIN_H_
