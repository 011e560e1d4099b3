// What the client prints.
#ifndef EMS_CLIENT_OUTPUT_H_
#define EMS_CLIENT_OUTPUT_H_

#include <ostream>
#include <string>

#include "base/tensor.h"
#include "model/servable.h"

namespace ems {

// Prints name, dtype and shape, then a line for each element: its index and its value. With `top`, the greatest values
// of each row alone, the greatest first; a row is what the last dimension counts. Zero: all. Strings and complex
// numbers have no greatest: all are printed.
void PrintTensor(const std::string& name, const Tensor& tensor, int top, std::ostream& out);

// Prints the names, dtypes and shapes of a signature.
void PrintSignature(const std::string& name, const Signature& signature, std::ostream& out);

}  // namespace ems

#endif  // EMS_CLIENT_OUTPUT_H_
